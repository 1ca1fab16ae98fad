"""Mutation testing: faults are put into modules one by one, and the tests of each are asked whether they see them.

    python tests/mutation/run.py                                       # every module of MODULES
    python tests/mutation/run.py losses.base _training.loop -n 30      # some, with more mutants
    python tests/mutation/run.py estimators.base --seed 3 --work /tmp/mutation

All happens in a copy of the tree. The tests of a module are those of the file that ``tests/test_architecture.py`` names
for it, of BESIDE, and its docstrings' examples. They are run once under ``coverage`` first, so that a mutant meets only
the tests that reach its statement, quickest first. A copy that is kept (``--work``) keeps what was measured as well.

A mutant ends as *killed*, *explained* (it is in ``explained.toml``, which says why it changes nothing that is
promised), *unreached* (no test of the module runs the statement) or *survived*; the last two are printed as they read
in the source.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE)]
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["MPLBACKEND"] = "Agg"

from mutants import Mutant, draw  # noqa: E402

#: What a run without arguments mutates.
MODULES = (
    "_training.loop estimators.base estimators.classifier estimators.regressor _quasi_newton.descent"
    " _quasi_newton.method _quasi_newton.small _quasi_newton.batch _quasi_newton.line_search _quasi_newton.lasso"
    " _quasi_newton.working_set _quasi_newton.decrement _quasi_newton.hessian _quasi_newton.neighbours"
    " _quasi_newton.costs _training.steps _training.race _training.rungs _training.certificate _training.state"
    " _training.problem _training.lazy _training.per_sample _training.gradients _data.scaling"
    " _stream.compact _stream.correction _stream.drift _stream.frame _stream.linearization _stream.memory"
    " _stream.progress _stream.reservoir _stream.sample _stream.sums _stream.truncated"
    " model_selection._evaluate model_selection._fold model_selection._path model_selection._plan"
    " model_selection._results model_selection._score model_selection._search model_selection.grid"
    " model_selection.halving solvers.base solvers.adaptive solvers.descent solvers.momentum"
    " solvers.passive_aggressive losses.base losses.classes losses.margin losses.residual penalties schedules"
).split()
#: Files of tests that belong to a module or a package beside that of its name.
BESIDE = {
    "estimators": ["test_spec", "test_kills_estimators", "test_documented_defaults"],
    "losses": ["test_kills_losses"],
    "model_selection": ["test_search", "test_kills_searches"],
    "solvers": ["test_documented_defaults", "test_kills_solvers", "test_lazy"],
    "schedules": ["test_documented_defaults", "test_kills_solvers"],
    "penalties": ["test_documented_defaults"],
    "_quasi_newton": ["test_kills_quasi_newton"],
    "_training": ["test_kills_training"],
    "_data": ["test_kills_training"],
    "_stream": ["test_streams_named", "test_kills_streams"],
}
#: What is imported before the first mutant, and never anything of the package.
NEEDED = (
    "matplotlib.pyplot numpy.testing pandas pytest scipy.optimize scipy.sparse.linalg scipy.special sklearn.datasets"
    " sklearn.linear_model sklearn.model_selection sklearn.pipeline sklearn.preprocessing"
).split()
#: Tests that take minutes and say little of one module.
LEFT_OUT = "scikit_learns_checks"
#: Seconds that a mutant's tests may take, as measured before; the slowest are left out.
SECONDS = 15.0
#: How many times as long as measured they may run.
PATIENCE = 4


class Copy:
    """A copy of the tree, and what its tests reach.

    Parameters
    ----------
    root : Path
        Where the copy is.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "skvariants", "tests", "pyproject.toml", "README.md"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        for name in listed.stdout.splitlines():
            source, target = ROOT / name, root / name
            if source.exists() and not (target.exists() and target.read_bytes() == source.read_bytes()):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
        code = hashlib.sha256(b"".join(path.read_bytes() for path in sorted((root / "skvariants").rglob("*.py"))))
        self.code = code.hexdigest()
        self.measured: dict[str, dict] = {}

    def path(self, module: str) -> Path:
        file = self.root / "skvariants" / Path(*module.split("."))
        return file / "__init__.py" if file.is_dir() else file.with_suffix(".py")

    def test(self, arguments: list[str], timeout: float, before: Callable | None = None) -> int | None:
        """The exit status of pytest in a process of its own, None where the time was up."""
        child = os.fork()
        if child == 0:
            self._child(arguments, before)
        ends = time.monotonic() + timeout
        while time.monotonic() < ends:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return None

    def _child(self, arguments: list[str], before: Callable | None) -> None:
        os.setpgid(0, 0)
        os.chdir(self.root)
        sys.path[:0] = [str(self.root), str(self.root / "tests")]
        os.environ["PYTHONPATH"] = str(self.root)
        with open(self.root / "last.txt", "wb") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        plugin = None if before is None else before()
        sys.dont_write_bytecode = before is None
        import pytest

        options = ["-x", "-q", "-p", "no:cacheprovider", "--tb=line", "-k", f"not {LEFT_OUT}"]
        code = pytest.main([*arguments, *options], plugins=[plugin] if plugin else [])
        if plugin:
            plugin.write()
        os._exit(int(code))

    def reach(self, files: list[str]) -> list[dict]:
        """For each file of tests: seconds of its tests, and those that reach each line of each module."""
        for file in files:
            if file in self.measured:
                continue
            text = (self.root / file).read_bytes()
            stored = self.root / "reach" / f"{hashlib.sha256(text + self.code.encode()).hexdigest()[:20]}.json"
            if not stored.exists():
                stored.parent.mkdir(exist_ok=True)
                print(f"measuring {file}", file=sys.stderr, flush=True)
                code = self.test([file], 900, lambda stored=stored: Reach(self.root, stored))
                if code not in (0, 5):
                    raise SystemExit(f"{file} does not pass without a mutant: see {self.root / 'last.txt'}")
            self.measured[file] = json.loads(stored.read_text())
        return [self.measured[file] for file in files]


class Reach:
    """A plugin of pytest that notes what each test reaches, and how long it takes."""

    def __init__(self, root: Path, stored: Path) -> None:
        import coverage

        self.root, self.stored = root, stored
        self.coverage = coverage.Coverage(data_file=None, config_file=False, source=[str(root / "skvariants")])
        self.coverage.start()
        self.seconds: dict[str, float] = {}

    def pytest_runtest_setup(self, item: object) -> None:
        self.coverage.switch_context(item.nodeid)

    def pytest_runtest_logreport(self, report: object) -> None:
        if report.passed:
            self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration

    def write(self) -> None:
        self.coverage.stop()
        data, tests, lines = self.coverage.get_data(), list(self.seconds), {}
        number = {test: i for i, test in enumerate(tests)}
        for file in data.measured_files():
            contexts = data.contexts_by_lineno(file)
            at = {line: [number[name] for name in names if name in number] for line, names in contexts.items()}
            lines[str(Path(file).relative_to(self.root / "skvariants"))] = at
        self.stored.write_text(json.dumps({"tests": tests, "seconds": list(self.seconds.values()), "lines": lines}))


def architecture(copy: Copy, name: str) -> Any:
    """A table of ``tests/test_architecture.py``, read and not imported: the package must not be loaded here."""
    for node in ast.parse((copy.root / "tests" / "test_architecture.py").read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return ast.literal_eval(node.value)
    raise LookupError(name)


def owners(copy: Copy, module: str) -> list[str]:
    """The files of tests that belong to a module, its own docstrings among them."""
    package, stem = module.split(".")[0], module.split(".")[-1].lstrip("_")
    elsewhere, by_package = (architecture(copy, name) for name in ("ELSEWHERE", "BY_PACKAGE"))
    own = elsewhere.get(module, f"test_{package}" if package in by_package else f"test_{stem}")
    files = [own, *BESIDE.get(module, []), *BESIDE.get(package, [])]
    examples = copy.path(module)
    found = [str(examples.relative_to(copy.root))] if b">>>" in examples.read_bytes() else []
    return found + [f"tests/{name}.py" for name in dict.fromkeys(files)]


def tests_of(copy: Copy, module: str, mutant: Mutant, source: str) -> list[tuple[float, str]]:
    """The tests that reach a mutant, quickest first; of a statement of the module itself, those of its name earlier."""
    file = str(copy.path(module).relative_to(copy.root / "skvariants"))
    reached = copy.reach(owners(copy, module))
    lines = range(mutant.first, mutant.last + 1)
    if mutant.name:  # run at import: who uses it
        word = re.compile(rf"\b(?:{mutant.name})\b")
        lines = [i for i, line in enumerate(source.splitlines(), 1) if word.search(line) and i not in lines]
    found: dict[str, float] = {}
    for one in reached:
        at = one["lines"].get(file, {})
        # what a module says when it is imported is also read by tests that run none of its lines
        numbers = {i for line in at if int(line) in lines for i in at[line]}
        for i in range(len(one["tests"])) if mutant.name else numbers:
            found[one["tests"][i]] = one["seconds"][i] * (4 if mutant.name and i not in numbers else 1)
    return sorted((seconds, test) for test, seconds in found.items())


def judge(copy: Copy, module: str, mutant: Mutant) -> str:
    """How a mutant ends."""
    path = copy.path(module)
    source = path.read_bytes()
    tests, total = [], 0.0
    for seconds, test in tests_of(copy, module, mutant, source.decode()):
        total += seconds
        if tests and total > SECONDS:
            break
        tests.append(test)
    if not tests:
        return "unreached"
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        compiled.unlink()
    try:
        path.write_bytes(mutant.of(source))
        code = copy.test(tests, 20 + PATIENCE * min(total, SECONDS))
    finally:
        path.write_bytes(source)
    return "survived" if code == 0 else "killed"


def explained() -> dict[tuple[str, str, str], str]:
    """Why some mutants change nothing that is promised, by module, line and what it becomes."""
    listed = tomllib.loads((HERE / "explained.toml").read_text()).get("mutant", [])
    return {(one["module"], one["line"], one["becomes"]): one["why"] for one in listed}


def warm() -> None:
    """Import what tests need, once for all of the processes to come."""
    for name in NEEDED:
        importlib.import_module(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("modules", nargs="*", default=MODULES)
    parser.add_argument("-n", "--mutants", type=int, default=8, help="mutants of each module")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--work", type=Path, help="where the copy is kept")
    given = parser.parse_args()
    known, table = explained(), {}
    with contextlib.ExitStack() as stack:
        work = given.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        copy = Copy(work)
        warm()
        for module in given.modules:
            source = copy.path(module).read_bytes()
            ends = table[module] = Counter()
            for mutant in draw(source, given.mutants, f"{given.seed} {module}"):
                line, becomes = mutant.change(source)
                why = known.get((module, line, becomes))
                end = "explained" if why else judge(copy, module, mutant)
                ends[end] += 1
                if end in ("survived", "unreached"):
                    print(f"\n{module}:{mutant.first} {end}\n  - {line}\n  + {becomes}", flush=True)
            print(f"{module}: {dict(ends)}", file=sys.stderr, flush=True)
    report(table)


def report(table: dict[str, Counter]) -> None:
    columns = ["killed", "explained", "survived", "unreached"]
    total = sum(table.values(), Counter())
    print(f"\n{'':32}" + "".join(f"{name:>11}" for name in columns))
    for module, ends in [*table.items(), ("all", total)]:
        print(f"{module:32}" + "".join(f"{ends[name]:11d}" for name in columns))


if __name__ == "__main__":
    main()
