"""The architecture, read from the source."""

import ast
import inspect
from dataclasses import fields
from pathlib import Path

import pytest

import skvariants
from skvariants import losses, penalties, schedules, solvers

ROOT = Path(skvariants.__file__).parent
TESTS = Path(__file__).parent

#: From the bottom up; a module imports what is below it only, and a package is the module that it re-exports.
LEVELS = [
    "_doclinks _callbacks _names _numerics _registry _shallow _step _threads _version _data.namespaces _data.occurring",
    "_data.scaling _data.shuffle _data.sparse _saving _stream.drift",
    "_component _messages _data.rows _training.certificate _stream.progress _stream.frame _stream.linearization"
    " _stream.arrivals _stream.compact",
    "_by_feature _data.tasks",
    "_data.labels _data.validate _training.problem _advice.facts losses.base penalties schedules solvers.base",
    "solvers.averages solvers.signs solvers.slopes _advice.rules _training.state _training.gradients losses.classes"
    " losses.deviance losses.residual",
    "_advice.choice _advice.troubles",
    "_advice.further",
    "losses.margin",  # and further modules of losses and of solvers
    "losses solvers _training.method _training.zeros _training.per_sample _training.lazy _training.linear"
    " _stream.sample",
    "_training.steps _training.loop",
    "_training.race _spec _quasi_newton.batch _quasi_newton.costs _quasi_newton.lasso _quasi_newton.line_search"
    " _interior_point.weights",
    "_interior_point.norms",
    "_interior_point.path _interior_point.rows",
    "_quasi_newton.groups",
    "_training.rungs _quasi_newton.hessian _stream.sums _stream.truncated",
    "_stream.learner _stream.likeness",
    "_stream.given",
    "_stream.correction _stream.reservoir",
    "_quasi_newton.leverage",
    "_stream.memory _quasi_newton.decrement _quasi_newton.neighbours _quasi_newton.working_set",
    "_quasi_newton.descent",
    "_quasi_newton.small",
    "_quasi_newton.method",
    "_interior_point.proximal _interior_point.ascent",
    "_interior_point.column",
    "_interior_point.method",
    "_blocks.engines",
    "_blocks.cluster",
    "_blocks.table",
    "_blocks.sums",
    "_blocks.quadratic",
    "_blocks.apart",
    "_blocks.survey _blocks.newton",
    "_blocks.predictions",
    "_fit.results",
    "_fit.job _blocks.passes batches",
    "_fit.steps _fit.iterations _fit.sums _blocks.folds",
    "_fit.certificates _fit.blocks",
    "_fit.story",
    "_fit.batches",
    "_fit displays._style model_selection._plan model_selection._progress",
    "displays.coefficients displays.curves displays.diagnosis displays.progress displays.race displays.search"
    " displays.trajectory model_selection._fold model_selection._time model_selection._block_scores",
    "displays",
    "model_selection._path model_selection._score",
    "model_selection._grams",
    "model_selection._evaluate",
    "model_selection._results model_selection._elsewhere",
    "model_selection._search",
    "model_selection.grid model_selection.halving",
    "model_selection",
    "_export",
    "estimators.base",
    "estimators.classifier estimators.regressor",
    "estimators",
    "diagnostics distributed",
    "skvariants",
    "__main__",
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names.split()}
LEVEL |= {
    name: LEVEL["losses.margin"]
    for family in ("losses", "solvers")
    for path in (ROOT / family).glob("[a-z]*.py")
    if (name := f"{family}.{path.stem}") not in LEVEL
}
#: Packages that only hold modules.
EMPTY = {"_data", "_training", "_quasi_newton", "_interior_point", "_blocks", "_advice", "_stream"}
FAMILIES = {
    "losses": losses.LOSSES, "penalties": penalties.PENALTIES,
    "schedules": schedules.SCHEDULES, "solvers": solvers.SOLVERS,
}  # fmt: skip
CLASSES = sorted({getattr(f, "func", f) for r in FAMILIES.values() for f in r.values()}, key=lambda c: c.__name__)

#: Packages of one interface in several files, tested by the package's name.
BY_PACKAGE = {"_fit", "losses", "solvers", "estimators", "displays", "model_selection"}
#: Modules that are tested in the file of another, and why.
ELSEWHERE = {
    "_data.namespaces": "test_array_api",
    "_stream.correction": "test_stream_sample",
    "_stream.frame": "test_stream_learner",
    "_stream.given": "test_stream_given",
    "_stream.learner": "test_stream_learner",
    "_stream.likeness": "test_stream_likeness",
    "_stream.linearization": "test_stream_learner",
    "_stream.memory": "test_stream_learner",
    "_stream.compact": "test_stream_sample",
    "_stream.sample": "test_stream_sample",
    "_stream.sums": "test_stream_learner",
    "_step": "test_solvers",  # what a step is told is what solvers read
    "_threads": "test_fit",  # around every fit
    "_numerics": "test_trust_threads",  # beside what else is left as it was
    "_saving": "test_trust_persistence",  # what is pickled
    "_names": "test_typing",  # what editors know
    "_version": "test_trust_persistence",
    "_messages": "test_estimators",  # sentences that users read
    "_blocks.passes": "test_batches",  # batches are read by it
    "_training.rungs": "test_streams_named",  # they race along a stream
    "_training.method": "test_loop",  # what the loop asks of a method
    "_quasi_newton.batch": "test_quasi_newton",  # the rows of a stage, with the stages
    "_quasi_newton.decrement": "test_certificate",  # the estimate beside the bound
    "_quasi_newton.descent": "test_quasi_newton",
    "_quasi_newton.neighbours": "test_search",  # models along the strength of a penalty
    "_quasi_newton.method": "test_quasi_newton",  # there is another of its name
    "_interior_point.ascent": "test_interior_point",
    "_interior_point.column": "test_interior_point",
    "_interior_point.method": "test_interior_point",  # there is another of its name
    "_interior_point.path": "test_interior_point",  # all of them are one way to one optimum
    "_interior_point.norms": "test_groups",
    "_interior_point.proximal": "test_interior_point",
    "distributed": "test_cluster",
    "_blocks.engines": "test_cluster",
    "_blocks.folds": "test_dask_search",
    "_interior_point.weights": "test_interior_point",
    "_blocks.newton": "test_blocks",  # all of them are one way to one optimum
    "_blocks.predictions": "test_cluster",
    "_blocks.quadratic": "test_blocks",
    "_blocks.sums": "test_blocks",
    "_blocks.survey": "test_blocks",
    "_blocks.table": "test_blocks",
    "_stream.truncated": "test_stream_reservoir",
    "_stream.reservoir": "test_stream_reservoir",
    "__main__": "test_project",  # beside what else a project brings
    "_stream.progress": "test_streams_api",  # what online users read
}
#: Estimators, whose constructors list what they take.
PUBLIC_ESTIMATORS = {
    "model_selection.grid.BatchedGridSearchCV",
    "model_selection.grid.BatchedRandomizedSearchCV",
    "estimators.classifier.SGDVariantClassifier",
    "estimators.regressor.SGDVariantRegressor",
    "model_selection.halving.BatchedHalvingSearchCV",
}
#: Functions of more than 60 lines, but for constructors of estimators, and why; the list may only shrink.
LONG: dict[str, str] = {}
#: Functions of more than 8 parameters, but for constructors of estimators and documented public functions; as above.
WIDE = {
    "_advice.facts.facts": "public by its name in diagnostics",
    "_advice.facts.measure": "the same for a task that is known",
    "displays.search.SearchCurveDisplay.__init__": "what is shown of each curve; users call `from_search`",
}
#: Below the estimators, where one is named, and why.
MENTIONS = {"model_selection.halving": "the message says which estimators go on from rung to rung"}
#: Where attributes are looked up in a namespace, and why.
NAMESPACES = {
    "_shallow": "a copy has what the other has",
    "estimators.base": "all attributes are set at once",
    "model_selection._search": "all attributes are set at once",
    "penalties": "the cached strengths of a component",
    "losses.base": "what a class itself declares",
    "solvers.base": "what a class itself declares",
    "model_selection._score": "what a class itself declares",
}


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "skvariants"


SOURCES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text()) for name, path in SOURCES.items()}
every_module = pytest.mark.parametrize("name", SOURCES)


def imports(name):
    """Modules that a module imports; those of this package without its name."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module.removeprefix("skvariants").lstrip(".")
            if not node.module.startswith("skvariants"):
                yield node.module
                continue
            for alias in node.names:
                deeper = f"{module}.{alias.name}".lstrip(".")
                yield deeper if deeper in SOURCES else module or "skvariants"


def functions(name):
    """Functions of a module by their full name, and whether each is public and documented."""

    def below(node, prefix, public):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef):
                shown = public and (not child.name.startswith("_") or child.name == "__init__")
                full = f"{prefix}.{child.name}"
                if isinstance(child, ast.FunctionDef):
                    yield full, child, shown and "Parameters\n" in (ast.get_docstring(child) or "")
                yield from below(child, full, shown)
            else:
                yield from below(child, prefix, public)

    yield from below(TREES[name], name, not any(part.startswith("_") for part in name.split(".")))


def docstrings(tree):
    """The nodes that are docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            yield node.body[0].value


# ------------------------------------------------------------------ who knows whom


def test_every_module_has_a_level():
    assert set(SOURCES) - EMPTY == set(LEVEL)
    assert all(TREES[name].body[1:] == [] for name in EMPTY)


@every_module
def test_imports_go_downward_only(name):
    for target in imports(name):
        if target in SOURCES:
            assert target not in EMPTY
            assert LEVEL[target] < LEVEL[name], f"{name} imports {target}"


@pytest.mark.parametrize("name", [name for name in SOURCES if name.split(".")[0] in EMPTY - {"_advice"}])
def test_what_trains_imports_no_family(name):
    for target in imports(name):
        assert target.split(".")[0] not in FAMILIES, target


@every_module
def test_no_private_module_of_others_is_imported(name):
    for target in imports(name):
        parts = target.split(".")
        if parts[0] in ("sklearn", "scipy", "numpy"):
            assert not any(part.startswith("_") for part in parts), target


@pytest.mark.parametrize("name", [name for name in LEVEL if LEVEL[name] < LEVEL["estimators.base"]])
def test_nothing_below_the_estimators_knows_them(name):
    assert not any(target.split(".")[0] == "estimators" for target in imports(name))
    said = set(docstrings(TREES[name]))
    mentions = [
        node.lineno
        for node in ast.walk(TREES[name])
        if (isinstance(node, ast.Constant) and node not in said and "SGDVariant" in str(node.value))
        or (isinstance(node, ast.Name) and "SGDVariant" in node.id)
    ]
    assert bool(mentions) == (name in MENTIONS), mentions


# ------------------------------------------------------------------ what is private stays so


@every_module
def test_private_attributes_are_ones_own(name):
    """Of itself, of its class, of what it inherits: a class body, where there is no super(), names its base."""

    def check(node, bases):
        for child in ast.iter_child_nodes(node):
            check(child, {ast.unparse(base) for base in child.bases} if isinstance(child, ast.ClassDef) else bases)
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__"):
            owner = ast.unparse(node.value)
            assert owner in {"self", "cls", "super()"} | bases, f"line {node.lineno}: {ast.unparse(node)}"

    check(TREES[name], set())


@every_module
def test_namespaces_are_left_alone(name):
    asked = [
        node.lineno
        for node in ast.walk(TREES[name])
        if (isinstance(node, ast.Attribute) and node.attr == "__dict__")
        or (isinstance(node, ast.Call) and ast.unparse(node.func) == "vars")
    ]
    assert bool(asked) == (name in NAMESPACES), asked


# ------------------------------------------------------------------ small parts, each with its tests


@pytest.mark.parametrize("name", sorted(set(SOURCES) - EMPTY - {"skvariants"}))
def test_every_module_has_a_test_file_of_its_name(name):
    package, stem = name.split(".")[0], name.split(".")[-1]
    file = ELSEWHERE.get(name, f"test_{package.lstrip('_')}" if package in BY_PACKAGE else f"test_{stem.lstrip('_')}")
    assert (TESTS / f"{file}.py").exists(), file


def test_no_module_is_said_to_be_tested_elsewhere_without_need():
    assert set(ELSEWHERE) <= set(SOURCES)
    for name, file in ELSEWHERE.items():
        own = TESTS / f"test_{name.split('.')[-1].lstrip('_')}.py"
        assert not own.exists(), f"{name} has a file of its own beside {file}"


def test_functions_are_short():
    found = set()
    constructors = {f"{name}.__init__" for name in PUBLIC_ESTIMATORS}  # a line for each parameter, twice
    for name in SOURCES:
        for full, node, _ in functions(name):
            doc = node.body[0] if ast.get_docstring(node) is not None else None
            lines = node.end_lineno - node.lineno + 1
            if lines - (0 if doc is None else doc.end_lineno - doc.lineno + 1) > 60 and full not in constructors:
                found.add(full)
    assert found == set(LONG)


def test_functions_take_few_parameters():
    found = set()
    constructors = {f"{name}.__init__" for name in PUBLIC_ESTIMATORS}
    for name in SOURCES:
        for full, node, documented in functions(name):
            args = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            count = len([arg for arg in args if arg.arg not in ("self", "cls")])
            if count > 8 and not documented and full not in constructors:
                found.add(full)
    assert found == set(WIDE)


# ------------------------------------------------------------------ what is public


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_every_field_is_documented_and_has_a_range(cls):
    doc = inspect.getdoc(cls)
    assert "References" in doc
    assert ">>>" in doc
    for f in fields(cls):
        assert f"{f.name} :" in doc, f.name


@pytest.mark.parametrize("family", FAMILIES)
def test_registered_classes_are_public(family):
    module = getattr(skvariants, family)
    for factory in FAMILIES[family].values():
        assert getattr(factory, "func", factory).__name__ in module.__all__


@pytest.mark.parametrize("name", skvariants.__all__[:2])
def test_every_parameter_of_an_estimator_is_documented(name):
    cls = getattr(skvariants, name)
    doc = inspect.getdoc(cls)
    for parameter in inspect.signature(cls).parameters:
        assert f"\n{parameter} :" in doc, parameter
