"""Measure everything on the page of benchmarks again, and write the page: about twelve minutes on two cores.

::

    python examples/benchmarks/run_all.py                          # into docs/benchmarks, then report.py
    python examples/benchmarks/run_all.py --only kinks             # some of it, the page from all files there are
    python examples/benchmarks/run_all.py --data DIR --rows 20000  # local data (see problems.py) beside the others
    python examples/benchmarks/run_all.py --only tables search --data DIR --problems adult bank_full
    python examples/benchmarks/run_all.py --quick --output /tmp/x  # a minute, to see that it works; no page

``benchmark.py`` and ``kinks.py`` write files of results themselves. What the other scripts print is kept as it is, with
the conditions under which it was measured.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measuring

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
#: Scripts that write results: name of the file -> script.
MEASURED = {"smooth": "benchmark.py", "kinks": "kinks.py"}
#: advice.py, families.py and defaults.py keep their measurements between runs; here they are made anew.
SCRATCH, SCRATCH_FAMILIES, SCRATCH_DEFAULTS = (
    ["--output", str(Path(tempfile.gettempdir()) / f"{name}_{os.getpid()}.json")]
    for name in ("advice", "families", "defaults")
)
#: Scripts that print: name of the file -> title, script, arguments, arguments of a quick run.
PRINTED = {
    "lasso": ("L1 and elastic net beside coordinate descent", "lasso.py", [], ["--quick"]),
    "classes": ("Many classes", "classes.py", [], ["--only", "iris"]),
    "text": ("Text", "text.py", [], ["--quick"]),
    "tables": ("Dense tables", "tables.py", [], ["--quick"]),
    "streams": ("Streams", "streams.py", [], ["--quick"]),
    "search": ("Searches", "search.py", ["--only", "comparison"], ["--quick", "--only", "comparison"]),
    "workers": ("Many workers, simulated", "workers.py", [], ["--quick"]),
    "epoch": ("One epoch of a named solver", "epoch.py", ["--quick"], ["--quick", "--only", "sparse"]),
    "advice": ("Advice", "advice.py", [*SCRATCH, "--rows", "5000"], [*SCRATCH, "--names", "dense_quick"]),
    "families": (
        "Every solver, family by family",
        "families.py",
        SCRATCH_FAMILIES,
        [*SCRATCH_FAMILIES, "--names", "diabetes"],
    ),
    "defaults": (
        "The default fit on raw tables",
        "defaults.py",
        SCRATCH_DEFAULTS,
        [*SCRATCH_DEFAULTS, "--names", "diabetes"],
    ),
    "guide": ("Further figures of the guide", "guide.py", [], ["--only", "told"]),
}
#: Of those that print, which run with one thread and with two; the others run with two.
BOTH = ("lasso", "classes", "text", "tables")
#: Of those that print, which measure local tables too that `--problems` names, and what they call the names.
LOCAL = {"text": "--sets", "tables": "--sets", "streams": "--tables", "search": "--tables"}
LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def environment(threads=None):
    """Of a child process: it imports the same package, and has so many threads if that is said."""
    root = str(Path(measuring.skvariants.__file__).parents[1])
    limits = dict.fromkeys(LIBRARIES, str(threads)) if threads else {}
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]), **limits}


def measure(script, arguments):
    """Run a script that writes its results."""
    subprocess.run([sys.executable, str(HERE / script), *map(str, arguments)], env=environment(), check=True)


def keep_printed(title, script, arguments, output, threads=2):
    """Run a script that prints, with so many threads, and write what it printed."""
    command = [sys.executable, str(HERE / script), *arguments]
    with measuring.threads(threads):  # of this process: a child inherits the one processor
        done = subprocess.run(command, env=environment(threads), capture_output=True, text=True)
    if done.returncode:
        print(f"{script} ended with {done.returncode}; its file is left as it was.\n{done.stderr[-2000:]}", flush=True)
        return
    print(done.stdout, flush=True)
    title = f"{title}, {'one thread' if threads == 1 else 'two threads'}"
    shown = " ".join([script, *(a for a in arguments if a not in (*SCRATCH, *SCRATCH_FAMILIES, *SCRATCH_DEFAULTS))])
    measuring.save(output, "printed", {"title": title, "text": done.stdout}, shown)


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small problems")
    parser.add_argument("--only", nargs="+", choices=[*MEASURED, *PRINTED], help="some of the files")
    parser.add_argument("--data", help="folder of local data: smooth_open.json and kinks_open.json too")
    parser.add_argument("--problems", nargs="+", help="names of local tables; the default is all")
    parser.add_argument("--rows", type=int, default=20_000, help="at most so many rows of each local table")
    parser.add_argument("--output", type=Path, default=DOCS / "benchmarks", help="folder of the files")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.only or [*MEASURED, *PRINTED]:
        start, file = time.perf_counter(), options.output / f"{name}.json"
        if name in MEASURED:
            measure(MEASURED[name], ["--output", file, *(["--quick"] if options.quick else [])])
            if options.data:
                local = ["--data", options.data, "--rows", options.rows]
                local += ["--problems", *options.problems] if options.problems else []
                measure(MEASURED[name], [*local, "--output", file.with_name(f"{name}_open.json")])
        else:
            title, script, full, quick = PRINTED[name]
            for threads in (1, 2) if name in BOTH else (2,):
                if (HERE / script).exists():
                    file = options.output / f"{name}_{threads}.json"
                    given = quick if options.quick else full
                    keep_printed(title, script, given, file, threads)
                    if options.data and options.problems and name in LOCAL:
                        local = [*given, "--data", options.data, LOCAL[name], *options.problems]
                        file = file.with_name(f"{name}_{threads}_open.json")
                        keep_printed(f"{title}, local data", script, local, file, threads)
        print(f"{name}: {time.perf_counter() - start:.0f} seconds", flush=True)
    if options.output == DOCS / "benchmarks":
        files = sorted(map(str, options.output.glob("*.json")))
        subprocess.run([sys.executable, str(HERE / "report.py"), *files], env=environment(), check=True)


if __name__ == "__main__":
    main()
