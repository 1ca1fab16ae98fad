"""Write what is taken from the registries: tables of the README, and the names that editors see.

``python docs/make_tables.py`` writes them; tests/test_registry.py fails where they are not those of the registries.
"""

import importlib
import json
import re
from pathlib import Path

from skvariants import SGDVariantClassifier, SGDVariantRegressor, losses, penalties, solvers

ROOT = Path(__file__).parents[1]
#: Names that editors complete, of skvariants/_names.py.
LITERALS = {
    "SolverName": lambda: ["auto", *solvers.SOLVERS],
    "PenaltyName": lambda: [name for name in penalties.PENALTIES if name is not None],
    "ClassifierLossName": lambda: SGDVariantClassifier()._losses(),
    "RegressorLossName": lambda: SGDVariantRegressor()._losses(),
}
#: Rows above the families of each registry.
FIRST = {
    "solver": ["the default", "`auto`", "any table: the solver that suits loss and data, to the optimum"],
}


def table(parameter, families):
    """A Markdown table of families, the default first."""
    rows = [FIRST[parameter]] if parameter in FIRST else []
    rows += [[title, ", ".join(f"`{name}`" for name in f.members), f.purpose] for title, f in families.items()]
    header = f"| | `{parameter}=` | what they are for |\n|---|---|---|\n"
    return header + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def imports(module):
    """Lines that tell type checkers of the registered classes of a package."""
    classes = [cls for family in module.FAMILIES.values() for cls in family.members.values()]
    # as ruff sorts them
    classes.sort(key=lambda cls: (cls.__module__, not cls.__name__.isupper(), cls.__name__))
    return "".join(f"    from {cls.__module__} import {cls.__name__} as {cls.__name__}\n" for cls in classes)


def literal(title, names):
    """The names that editors complete, as ruff formats them."""
    line = f"{title}: TypeAlias = Literal[{', '.join(map(json.dumps, names))}]\n"
    parts = "".join(f'    "{name}",\n' for name in names)
    return line if len(line) <= 121 else f"{title}: TypeAlias = Literal[\n{parts}]\n"


def written(text, begin, new, end):
    """A text with what is between two patterns replaced."""
    found = re.search(f"({begin})(.*?)({end})", text, re.S | re.M)
    return text[: found.end(1)] + new + text[found.start(3) :]


def files():
    """Each file with its text as the registries have it."""
    readme = (ROOT / "README.md").read_text()
    for parameter, module in (("solver", solvers), ("loss", losses)):
        readme = written(readme, rf"<!-- {parameter}= .*?-->\n\n", table(parameter, module.FAMILIES), "\n<!-- end -->")
        path = Path(importlib.import_module(module.__name__).__file__)
        yield path, written(path.read_text(), "^if TYPE_CHECKING:.*?\n", imports(module), "^(?! )")
    yield ROOT / "README.md", readme
    path = ROOT / "skvariants" / "_names.py"
    if path.exists():
        names = path.read_text()
        for title, known in LITERALS.items():
            pattern = rf"^{title}: TypeAlias = Literal\[.*?\]\n"
            names = re.sub(pattern, literal(title, known()), names, flags=re.S | re.M)
        yield path, names


if __name__ == "__main__":
    for path, text in files():
        path.write_text(text)
