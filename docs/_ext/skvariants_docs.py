"""What the documentation takes from the package itself: pages of the API, tables of the registries, solvers.

Nothing that a registry knows is written by hand a second time: a new solver, loss, schedule or penalty appears here by
itself, and a public name without a docstring fails the build.
"""

import functools
import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from docutils import nodes
from docutils.statemachine import StringList
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sphinx.util.docutils import SphinxDirective
from sphinx.util.logging import getLogger

import skvariants
from skvariants.diagnostics import CHOICES, FURTHER, RULES, TROUBLES
from skvariants.displays import TrajectoryDisplay
from skvariants.losses import FAMILIES as FAMILIES_OF_LOSSES
from skvariants.losses import LOSSES
from skvariants.penalties import PENALTIES
from skvariants.schedules import SCHEDULES
from skvariants.solvers import FAMILIES as FAMILIES_OF_SOLVERS
from skvariants.solvers import SOLVERS

log = getLogger(__name__)
#: Tables whose last column is too long for a phone.
STACKED = ("solvers", "losses", "choices", "schedules", "further", "rules")
FAMILIES = {"solvers": SOLVERS, "losses": LOSSES, "schedules": SCHEDULES, "penalties": PENALTIES}


# ---------------------------------------------------------------------------- docstrings


def summary(thing):
    """First sentence of a docstring."""
    return " ".join(inspect.getdoc(thing).split("\n\n")[0].split())


def equation(thing):
    """Text of the first displayed equation of a docstring, or an empty string."""
    found = re.search(r"\.\. math:: ?(.*?)(?:\n\S|\n\n(?! ))", inspect.getdoc(thing) + "\n\n", re.S)
    return " ".join(found.group(1).split()) if found else ""


def use(thing):
    """What goes on with the sentence of the equation, and the paragraphs after it, up to the first section."""
    body = inspect.getdoc(thing).split("\nParameters\n")[0].split("\nReferences\n")[0]
    paragraphs = [p for p in body.split("\n\n")[1:] if p.strip() and not p.lstrip().startswith((".. math::", " "))]
    rest = ""
    if paragraphs and paragraphs[0][0].islower():  # "where ..." or "with ..."
        first, *others = paragraphs
        rest, *paragraphs = [*re.split(r"(?<=\.)\s+(?=[A-Z])", first, maxsplit=1), *others]
    return rest, "\n\n".join(paragraphs)


def section(thing, title):
    """Text of a numpydoc section."""
    found = re.search(rf"\n{title}\n-+\n(.*?)(?=\n\n\w+\n-+\n|$)", inspect.getdoc(thing), re.S)
    return found.group(1) if found else ""


def linked(text):
    """References with their DOI and arXiv identifiers as links."""
    # brackets belong to an identifier in pairs: 10.1016/S0893-6080(98)00116-6, but (doi:10.1145/775047.775151)
    text = re.sub(r"\bdoi:(10\.(?:\([^\s()]*\)|[^\s,;()])*[^\s,;.()])", r"`doi:\1 <https://doi.org/\1>`__", text)
    return re.sub(r"\barXiv:(\d{4}\.\d{4,5})", r"`arXiv:\1 <https://arxiv.org/abs/\1>`__", text)


def link_references(app, what, name, obj, options, lines):
    """The same for docstrings."""
    lines[:] = [linked(line) for line in lines]


def takes_steps(cls):
    """Whether a solver goes step by step from gradients, as the table, the costs and the pictures tell."""
    return cls.method == "steps"


# ---------------------------------------------------------------------------- tables


def table(directive, rows, kind=""):
    """Nodes of a table from rows of reStructuredText; one that is STACKED has cells below each other on a phone."""
    classes = f"registry stacked {kind}" if kind in STACKED else "registry"
    text = [".. list-table::", "   :header-rows: 1", f"   :class: {classes}", ""]
    for row in rows:
        text += [f"   {'*' if i == 0 else ' '} - {cell}" for i, cell in enumerate(row)]
    node = nodes.container()
    directive.state.nested_parse(StringList([*text, ""], source="registry"), 0, node)
    return node.children


class ParameterTable(SphinxDirective):
    """``.. parameter-table::``: every parameter of both pairs of estimators, with its defaults, from the signatures."""

    def run(self):
        return table(self, self.rows())

    def rows(self):
        pairs = [(SGDClassifier, skvariants.SGDVariantClassifier), (SGDRegressor, skvariants.SGDVariantRegressor)]
        signatures = [[defaults(cls) for cls in pair] for pair in pairs]
        yield "parameter", "``SGDClassifier``", "here", "``SGDRegressor``", "here"
        names = dict.fromkeys(name for pair in signatures for signature in pair for name in signature)
        for name in names:
            cells = []
            for theirs, ours in signatures:
                differ = name in theirs and name in ours and theirs[name] != ours[name]
                cells += [f"``{theirs[name]}``" if name in theirs else "", f"``{ours[name]}``" if name in ours else ""]
                if differ:
                    cells[-1] = f"**{ours[name]}**"
            yield (f"``{name}``", *cells)


def defaults(cls):
    """Default of every parameter of a class, as text."""
    return {name: repr(p.default) for name, p in inspect.signature(cls).parameters.items()}


class RegistryTable(SphinxDirective):
    """``.. registry-table:: solvers`` and so on: the registry as a table."""

    required_arguments = 1

    def run(self):
        return table(self, getattr(self, self.arguments[0])(), self.arguments[0])

    def solvers(self):
        yield "family", "``solver=``", "rows per step", "memory", "what it cures"
        yield (
            "the default",
            "``auto``",
            "those of its choice",
            "that of its choice",
            "choosing: what suits loss and data",
        )
        for title, family in FAMILIES_OF_SOLVERS.items():
            for name, cls in family.members.items():
                rows = {"full": "all", 1: "one"}.get(cls.batch_size, f"up to {cls.batch_size}")
                memory = {0: "none", 1: "1 array"}.get(len(cls.memory), f"{len(cls.memory)} arrays")
                if not takes_steps(cls):
                    rows, memory = "all (a growing part at first)", "curvature"
                yield title, f":ref:`{name} <solver-{name}>`", rows, memory, cls.cures

    def families(self):
        yield "", "``solver=``", "what they are for"
        yield "the default", "``auto``", "any table: the solver that suits loss and data, to the optimum"
        for name, family in FAMILIES_OF_SOLVERS.items():
            links = ", ".join(f":ref:`{solver} <solver-{solver}>`" for solver in family.members)
            yield name, links, family.purpose.replace("`", "``")

    def losses(self):
        yield "family", "``loss=``", "what it is"
        for name, cls in LOSSES.items():
            smooth = "smooth" if cls.smooth else "not smooth"
            kind = "regression" if cls.regression else "classification"
            title = next(title for title, family in FAMILIES_OF_LOSSES.items() if name in family.members)
            yield title, link(name, cls), f"{summary(cls)} For {kind}; {smooth}.\n\n       :math:`{equation(cls)}`\n"

    def choices(self):
        yield "where there is", "it takes", "because"
        for rule in CHOICES:
            yield rule.condition, solver_links(rule), f"{rule.reason} {linked(rule.reference)}"

    def troubles(self):
        yield "trouble", "cure", "what the cure costs"
        for trouble in TROUBLES:
            yield trouble.name, trouble.cure, trouble.price

    def further(self):
        yield "where there is", "worth a try", "what it gives", "not for"
        for line in FURTHER:
            yield line.condition, solver_links(line), line.worth, line.limits

    def rules(self):
        yield "if", "then", "because", "seconds beside ``auto``", "left at the end"
        for rule in RULES:
            left = f"{rule.left:.0e}".replace("-", "\N{NON-BREAKING HYPHEN}") if rule.left else ""
            cost = [f"{rule.seconds:.2g} times" if rule.seconds else "", left]
            yield rule.condition, solver_links(rule), f"{rule.reason} {linked(rule.reference)}", *cost

    def schedules(self):
        yield "``learning_rate=``", "what it is"
        yield "``auto``", "A constant step, a quarter of it when progress stops, two or three times; the default."
        for name, cls in SCHEDULES.items():
            yield link(name, cls), f"{summary(cls)}\n\n       :math:`{equation(cls)}`\n"

    def penalties(self):
        yield "``penalty=``", "what it adds to the objective"
        r = r"\tfrac{1 - \rho}{2} \|w\|_2^2 + \rho \|w\|_1"
        for name, factory in PENALTIES.items():
            fixed = getattr(factory, "keywords", {})
            text = {0.0: r"\alpha \tfrac{1}{2} \|w\|_2^2", 1.0: r"\alpha \|w\|_1"}.get(fixed.get("l1_ratio"))
            text = "0" if fixed.get("alpha") == 0.0 else text or rf"\alpha \left( {r} \right)"
            yield f"``{name}``", f":math:`{text}`"


def solver_links(rule):
    """The solvers of a rule, as links to their sections."""
    return ", ".join(f":ref:`{name} <solver-{name}>`" for name in rule.solvers)


def link(name, cls):
    """A registered name that leads to the page of its class."""
    return f":class:`{name} <{public_module(cls)}.{cls.__name__}>`"


def public_module(cls):
    """Name of the module that offers a class: a family is a package, whose parts are not public."""
    return ".".join(cls.__module__.split(".")[:2])


# ---------------------------------------------------------------------------- a section for every solver

CURVATURE = np.array([0.04, 2.0])
START, STEPS = (-9.0, 1.6), 40
# standard deviation of one sample's gradient around that of the surface, in the pictures
NOISE = 1.2


def ravine(a, b):
    """A tilted ravine: fifty times as steep across as along."""
    u, v = a + 0.35 * b, b - 0.35 * a
    return 0.5 * (CURVATURE[0] * u**2 + CURVATURE[1] * v**2)


def slope(batch, seed=3):
    """Gradient of the ravine, with the noise of a batch of that size."""
    rng = np.random.default_rng(seed)

    def gradient(w):
        u, v = w[0] + 0.35 * w[1], w[1] - 0.35 * w[0]
        g = np.array([CURVATURE[0] * u - 0.35 * CURVATURE[1] * v, 0.35 * CURVATURE[0] * u + CURVATURE[1] * v])
        return g if batch == "full" else g + NOISE / np.sqrt(batch) * rng.standard_normal(2)

    return gradient


def walk(solver, batch):
    """The path with the best step size of a ladder: it never climbs above its start, and ends lowest."""
    best, lowest = None, np.inf
    for eta in 10.0 ** (np.arange(-60, 41) / 20):
        path = TrajectoryDisplay.walk(slope(batch), solver, start=START, eta=eta, n_steps=STEPS)
        with np.errstate(over="ignore", invalid="ignore"):
            heights = ravine(*path.T)
            height = heights[-10:].mean() if (heights <= heights[0]).all() else np.inf
        if height < lowest:
            best, lowest = path, height
    return best


@functools.cache
def gradient_descent():
    """The path that all others are beside."""
    return walk(SOLVERS["gd"](), "full")


def picture(name, cls, folder):
    """Save the path of a solver over the ravine, beside that of gradient descent."""
    paths = {"gd": gradient_descent()}
    # batches of 64 where the solver takes up to 256: the pictures are to show that there is noise
    batch = cls.batch_size if cls.batch_size in ("full", 1) else 64
    paths[name] = walk(cls(), batch)
    figure, ax = plt.subplots(figsize=(7.2, 2.9), layout="constrained")
    display = TrajectoryDisplay(objective=ravine, paths=paths, minimum=(0, 0)).plot(ax, levels=10)
    if name != "gd":
        display.lines_[0].set(linewidth=1, alpha=0.7, markersize=1.5)
    figure.savefig(folder / f"{name}.png", dpi=110)
    plt.close(figure)


def cost(cls):
    """What a step costs, in one sentence."""
    if not takes_steps(cls):
        return "a step reads a part of the rows that grows to all, and keeps their curvature."
    rows = {"full": "all rows", 1: "one row"}.get(cls.batch_size, f"up to {cls.batch_size} rows")
    n = len(cls.memory)
    memory = "nothing beside the model" if n == 0 else f"{n} array{'s' * (n > 1)} of the model's size"
    if "table" in cls.needs:
        memory += ", and a number for each row and column"
    return f"a step reads {rows} and keeps {memory}."


def write_solvers(app, config):
    """Write the page of solvers and its pictures."""
    folder = Path(app.srcdir) / "guide" / "generated"
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    first = {next(iter(family.members)): title for title, family in FAMILIES_OF_SOLVERS.items()}
    for name, cls in SOLVERS.items():
        if name in first:
            heading = first[name][0].upper() + first[name][1:]
            purpose = FAMILIES_OF_SOLVERS[first[name]].purpose.replace("`", "``")
            lines += [heading, "~" * len(heading), "", f"**What they are for:** {purpose}.", ""]
        title = f"{cls.__name__} (``{name}``)"
        lines += [f".. _solver-{name}:", "", title, "^" * len(title), "", summary(cls), ""]
        if takes_steps(cls) and not cls.needs:  # a surface has no rows
            picture(name, cls, folder)
            lines += [f".. image:: generated/{name}.png", f"   :alt: Path of {name} over a ravine", ""]
        rest, how = use(cls)
        lines += [".. math::", "", f"   {equation(cls)}", "", rest, ""]
        lines += [
            f"**Cures** {cls.cures.replace('none:', 'nothing:')}.",
            "",
            how,
            "",
            f"**Cost:** {cost(cls)}",
            "",
        ]
        if parameters := section(cls, "Parameters"):
            lines += ["**Parameters:**", "", parameters, ""]
        lines += [
            f"**Source:** {linked(section(cls, 'References'))}",
            "",
            f"API: :class:`~{public_module(cls)}.{cls.__name__}`.",
            "",
        ]
    write(folder / "solvers.txt", "\n".join(lines))


# ---------------------------------------------------------------------------- the API


def public_modules():
    """Every module of the package whose name has no underscore, the package first."""
    yield skvariants
    for info in pkgutil.iter_modules(skvariants.__path__):
        if not info.name.startswith("_") and info.name != "estimators":
            yield importlib.import_module(f"skvariants.{info.name}")


def write_api(app, config):
    """Write the page of the API from ``__all__`` of every public module; complain about names without documentation."""
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    index = ["API", "===", "", "What is public; everything else begins with an underscore.", ""]
    index += [".. toctree::", "   :hidden:", ""]
    entries, overview = [], []
    seen, current = {"__version__"}, set()
    for module in public_modules():
        if not inspect.getdoc(module):
            log.warning("module %s has no docstring", module.__name__)
        # what the package itself offers is documented there
        where = {name: getattr(module, name) for name in module.__all__ if name not in seen}
        if module is skvariants:
            seen |= set(where)
        tables = {n for n, v in where.items() if not (inspect.isclass(v) or inspect.isroutine(v))}
        for name in where.keys() - tables:
            if not inspect.getdoc(where[name]):
                log.warning("%s.%s is public and has no docstring", module.__name__, name)
        title = module.__name__
        current |= {title, *(f"{title}.{name}" for name in where)}
        page = [title, "=" * len(title), "", f".. module:: {title}", ""]
        page += [inspect.getdoc(module).split("\n\n")[0], "", f".. currentmodule:: {title}", ""]
        page += [".. autosummary::", "   :toctree: generated", ""]
        page += [f"   {name}" for name in where if name not in tables] + [""]
        for name in sorted(tables):
            page += [f".. data:: {name}", "", f"   {comment(module, name)}", ""]
        write(folder / f"{title}.rst", "\n".join(page))
        entries.append(f"   {title.removeprefix('skvariants.')} <{title}>")
        heading = title.removeprefix("skvariants.")
        overview += [heading, "-" * len(heading), "", f":doc:`{title}`: {summary(module)}", ""]
        overview += [f".. currentmodule:: {title}", "", ".. autosummary::", "   :nosignatures:", ""]
        overview += [f"   {name}" for name in where if name not in tables] + [""]
        overview += [f":data:`{name}`\n   {comment(module, name)}" for name in sorted(tables)] + [""]
    write(folder / "index.rst", "\n".join([*index, *entries, "", *overview]))
    for page in [*folder.glob("skvariants*.rst"), *folder.glob("generated/*.rst")]:
        if page.stem not in current:  # of a name that is gone
            page.unlink()


def comment(module, name):
    """The ``#:`` comment above a public constant, in the module or in the one that it comes from."""
    sources = [inspect.getsource(m) for key, m in sys.modules.items() if key.startswith("skvariants.")]
    patterns = (re.search(rf"((?:^#: .*\n)+){name}\b", s, re.M) for s in [inspect.getsource(module), *sources])
    found = next((f for f in patterns if f), None)
    if not found:
        log.warning("%s.%s is public and has no '#:' comment", module.__name__, name)
        return ""
    return " ".join(line.removeprefix("#: ") for line in found.group(1).splitlines())


# ---------------------------------------------------------------------------- the gallery


def describe_thumbnails(app, doctree, page):
    """Say of each thumbnail which example it is of, where sphinx-gallery says nothing."""
    for image in doctree.findall(nodes.image):
        example = re.fullmatch(r"sphx_glr_(\w+)_thumb\.png", Path(image["uri"]).name)
        if example and not image.get("alt"):
            image["alt"] = f"Picture of the example: {app.env.titles[f'gallery/{example.group(1)}'].astext()}"


def write(path, text):
    """Write a file if its text has changed, so that what is up to date is not read again."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def setup(app):
    """Register with sphinx."""
    app.add_directive("registry-table", RegistryTable)
    app.add_directive("parameter-table", ParameterTable)
    app.connect("config-inited", write_api)
    app.connect("config-inited", write_solvers)
    app.connect("doctree-resolved", describe_thumbnails)
    # after numpydoc
    app.connect("autodoc-process-docstring", link_references, priority=900)
    return {"version": skvariants.__version__, "parallel_read_safe": True}
