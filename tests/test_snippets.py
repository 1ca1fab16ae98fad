"""Every block of Python in the pages runs as it is printed, after what stands before it on the page."""

import doctest
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
#: A fenced block of Markdown, or a directive of reStructuredText with what is indented below it.
BLOCK = re.compile(
    r"^```python\n(?P<fenced>(?:.*\n)*?)```|^\.\. code-block:: python\n\n(?P<indented>(?:   .*\n|\n)+)", re.M
)
#: Characters of code in a line of a page of the guide that is 1280 pixels wide.
WIDEST = 97
#: Blocks that need a file, a cluster or steps that nobody has, by a word of theirs.
NEEDS_A_FILE = ('np.memmap("X.bin"', 'Client("scheduler:8786")', "ColumnTransformer(...)", "ray.init()")
#: Packages that no extra brings, and blocks of rows in `trips`, which need some: they run where these are, as in CI.
BESIDE = re.compile(r"^(?:import|from) (skl2onnx|onnxruntime|shap|torch)\b", re.M)
OF_TRIPS = ('"trips/', "frame[features]")
#: Code within a sentence, or a line of a block of commands, that calls a script.
COMMAND = re.compile(r"(?:`|^.*)\b([a-z_]+\.py)((?:\s+[\w./-]+)+)(?:`|$)", re.M)
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.[mr][ds]*")),
    *sorted((ROOT / "docs" / "guide").glob("*.[mr][ds]*")),
]
#: Those of the benchmarks, as pages name them below figures.
COMMANDS = {
    (script, tuple(arguments.split()))
    for page in PAGES
    for script, arguments in COMMAND.findall(re.sub(r"(?<=\w)\n\s*(?=--)", " ", page.read_text()))
    if (ROOT / "examples" / "benchmarks" / script).exists() and "--" in arguments
}
PAGES = [page for page in PAGES if BLOCK.search(page.read_text())]


def blocks(text):
    """Where each block begins, and its lines."""
    for found in BLOCK.finditer(text):
        yield found.start(), found["fenced"] or re.sub("^   ", "", found["indented"], flags=re.M)


def examples(text):
    """Where each doctest of a page begins, and its lines."""
    starts = [0, *(m.end() for m in re.finditer("\n", text))]
    for example in doctest.DocTestParser().get_examples(text):
        if not example.options.get(doctest.SKIP):
            yield starts[example.lineno], example.source


def write_trips():
    """Small Parquet files with the columns that pages read, where there are packages that can."""
    if importlib.util.find_spec("pyarrow") is None or importlib.util.find_spec("pandas") is None:
        return
    import pandas as pd

    rng = np.random.default_rng(0)
    Path("trips").mkdir()
    for number in range(3):
        km, minutes = rng.exponential(5, 100), rng.exponential(20, 100)
        hour, times = rng.integers(0, 24, 100), rng.integers(1, 3, 100)
        paid = (km + rng.logistic(size=100) > 4).astype(int)
        table = pd.DataFrame({"km": km, "minutes": minutes, "hour": hour, "times": times, "paid": paid})
        table.to_parquet(f"trips/{number}.parquet")


def run(page):
    text = page.read_text()
    names = {"__name__": "snippets"}
    for _, lines in sorted([*blocks(text), *examples(text)]):
        code = compile(lines, page.name, "exec")
        needed = BESIDE.findall(lines) + ["dask", "pandas", "pyarrow"] * any(word in lines for word in OF_TRIPS)
        absent = any(importlib.util.find_spec(name) is None for name in needed)
        if not absent and not any(word in lines for word in NEEDS_A_FILE):
            exec(code, names)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "page",
    [
        page if page.stem in ("index", "coming_from_sgdclassifier") else pytest.param(page, marks=pytest.mark.slow)
        for page in PAGES
    ],
    ids=lambda page: page.name,
)
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_trips()
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # as pages say, where arrays of other libraries are fitted
    plt = pytest.importorskip("matplotlib.pyplot")
    try:
        run(page)
    finally:
        plt.close("all")


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "guide").glob("*.[mr][ds]*")), ids=lambda page: page.name)
def test_no_line_of_code_is_wider_than_the_page(page):
    text = page.read_text()
    lines = [line for _, block in blocks(text) for line in block.splitlines()]
    lines += [f">>> {line}" for _, example in examples(text) for line in example.splitlines()]
    assert [line for line in lines if len(line) > WIDEST] == []


def test_scripts_named_on_pages_exist():
    named = {name for page in PAGES for name in re.findall(r"examples/[a-z_0-9/]+\.py", page.read_text())}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_commands_below_figures_have_options_and_sections_that_exist():
    assert len(COMMANDS) > 30
    for script, arguments in sorted(COMMANDS):
        source, option = (ROOT / "examples" / "benchmarks" / script).read_text(), None
        for argument in arguments:
            if argument.startswith("--"):
                option = argument
                assert f'"{option}"' in source, f"{script} has no {option}"
            elif option == "--only":
                assert re.search(rf"\b(def )?{argument}\b", source), f"{script} has no section {argument}"


def test_blocks_are_found():
    assert len(PAGES) > 7
    text = "```python\na = 1\n```\n\n>>> b = a\n\n.. code-block:: python\n\n   if b:\n       c = b\n\nand so on\n"
    assert [lines.strip() for _, lines in sorted([*blocks(text), *examples(text)])] == [
        "a = 1",
        "b = a",
        "if b:\n    c = b",
    ]
