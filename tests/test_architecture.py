"""The architecture, read from the source."""

import ast
import inspect
from dataclasses import fields
from pathlib import Path

import pytest

import skvariants
from skvariants import losses, penalties, schedules, solvers

ROOT = Path(skvariants.__file__).parent
LEVELS = {
    "_component": 0, "losses": 1, "penalties": 1, "schedules": 1, "solvers": 1, "_scaling": 1,
    "_doclinks": -1, "_search_displays": -1, "displays": 0, "_callbacks": 0,
    "_advice": 2, "_newton": 1, "_shuffle": 1, "_sparse": 1, "_engine": 2, "_race": 3, "_fullbatch": 4, "_fit": 5,
    "estimators": 6, "diagnostics": 7, "_search": 7, "model_selection": 8, "__init__": 9,
}  # fmt: skip
FAMILIES = {
    "losses": losses.LOSSES, "penalties": penalties.PENALTIES,
    "schedules": schedules.SCHEDULES, "solvers": solvers.SOLVERS,
}  # fmt: skip
CLASSES = sorted({getattr(f, "func", f) for r in FAMILIES.values() for f in r.values()}, key=lambda c: c.__name__)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield node.module, [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, []


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.py")), ids=lambda p: p.stem)
def test_imports_go_downward_only(path):
    for module, names in imports(path):
        if not module.startswith("skvariants"):
            continue
        targets = names if module == "skvariants" else [module.split(".")[1]]
        for target in targets:
            assert LEVELS[target] < LEVELS[path.stem], f"{path.stem} imports {target}"


def test_the_engine_imports_no_component():
    for module, _ in imports(ROOT / "_engine.py"):
        assert module.split(".")[-1] not in FAMILIES


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.py")), ids=lambda p: p.stem)
def test_no_private_module_of_others_is_imported(path):
    for module, _ in imports(path):
        parts = module.split(".")
        if parts[0] in ("sklearn", "scipy", "numpy"):
            assert not any(part.startswith("_") for part in parts)


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


def test_the_readme_lists_the_solvers_of_the_registry():
    readme = ROOT.parent / "README.md"
    rows = [line.split("`")[1] for line in readme.read_text().splitlines() if line.startswith("| `") and "|" in line]
    assert [name for name in rows if name in FAMILIES["solvers"]] == list(FAMILIES["solvers"])
