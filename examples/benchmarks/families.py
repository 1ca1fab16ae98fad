"""What each solver leaves, family by family, beside the best of the lecture's and "auto": the evidence for `FURTHER`.

    python examples/benchmarks/families.py                          # bundled and synthetic tables
    python examples/benchmarks/families.py --data DIR --rows 5000   # and those of a folder (see problems.py)
    python examples/benchmarks/families.py --report families.json --page docs/choosing_evidence.md

Fits are those of ``advice.py``: defaults, smooth losses, standardised coordinates, one thread, at most ``--cap``
seconds each. Solvers that go row by row are left out: an epoch of theirs takes longer than that.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import advice
import numpy as np
import problems as data_sets

from skvariants._advice.facts import Facts
from skvariants._advice.further import FURTHER
from skvariants.solvers import FAMILIES, LECTURE, SOLVERS

ROW_BY_ROW = {"sgd", *FAMILIES["row by row"].members}
NAMES = [name for name, cls in SOLVERS.items() if cls.method == "steps" and name not in ROW_BY_ROW]
MARKER = "<!-- families -->"
#: What is left below this is rounding.
LEAST = 1e-9


def report(entries):
    """Markdown: a line for each solver, then one for each kind of table that some of them are advised for."""
    sizes = sorted(e["facts"]["n_samples"] for e in entries)
    lines = [
        f"{len(entries)} tables of {sizes[0]:,} to {sizes[-1]:,} rows.",
        "",
        "| family | `solver=` | left at the end, median | over that of `adam` | nearer than the best of the lecture's "
        "| nearer than `auto` | seconds over `auto` |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    left = {n: np.array([e["solvers"][n]["suboptimality"] for e in entries]) for n in ["auto", *NAMES]}
    seconds = {n: np.array([e["solvers"][n]["seconds"] for e in entries]) for n in ["auto", *NAMES]}
    lecture = np.min([left[n] for n in LECTURE if n in left], axis=0)
    for title, family in {"the default": None, **FAMILIES}.items():
        for name in ["auto"] if family is None else [n for n in family.members if n in left]:
            factor = advice.geometric_mean(np.maximum(left[name], LEAST) / np.maximum(left["adam"], LEAST))
            nearer = "" if name in LECTURE else f"{(left[name] < lecture).sum()} of {len(entries)}"
            beside = "" if name == "auto" else f"{(left[name] < left['auto']).sum()} of {len(entries)}"
            lines.append(
                f"| {title} | `{name}` | {np.median(left[name]):.0e} | {factor:.2g} | {nearer} | {beside} | "
                f"{advice.geometric_mean(seconds[name] / seconds['auto']):.1f} |"
            )
    lines += [
        "",
        "| worth a try where | `solver=` | tables | nearer there than the best of the lecture's | elsewhere |",
        "|---|---|---:|---:|---:|",
    ]
    for line in FURTHER:
        there = np.array([line.applies(Facts(**entry["facts"])) for entry in entries])
        for name in [n for n in line.solvers if n in left and there.any()]:
            nearer = left[name] < lecture
            lines.append(
                f"| {line.condition} | `{name}` | {there.sum()} | {nearer[there].sum()} | "
                f"{nearer[~there].sum()} of {(~there).sum()} |"
            )
    return "\n".join(lines)


def show(entries, page=None):
    """Print the table, or write it into a page."""
    if page is None:
        print(report(entries))
        return
    before, _, after = Path(page).read_text().split(MARKER)
    Path(page).write_text(f"{before}{MARKER}\n\n{report(entries)}\n\n{MARKER}{after}")


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder of local data")
    parser.add_argument("--names", nargs="*", help="problems; all that are there by default")
    parser.add_argument("--rows", type=int, default=5_000, help="most rows of a table")
    parser.add_argument("--cap", type=float, default=2.0, help="most seconds of a fit")
    parser.add_argument("--page", help=f"a page whose text between the markers {MARKER} is replaced by the table")
    parser.add_argument("--output", default="families.json", help="results; what is there already is kept")
    parser.add_argument("--report", nargs="+", help="only print the table of these results")
    args = parser.parse_args(arguments)
    if args.report:
        show([entry for path in args.report for entry in json.loads(Path(path).read_text())], args.page)
        return
    output = Path(args.output)
    entries = json.loads(output.read_text()) if output.exists() else []
    known = [*advice.OURS, *advice.ROUND, *(data_sets.local_names(args.data) if args.data else [])]
    for name in args.names or known:
        if name in {entry["name"] for entry in entries}:
            continue
        problem = advice.round_problem(name) if name in advice.ROUND else data_sets.make(name, args.data, raw=True)
        problem.X, problem.y = problem.X[: args.rows], problem.y[: args.rows]
        measured = advice.measure(problem, advice.SMOOTH[problem.task], True, args.cap, NAMES)
        entries.append({"name": name, **measured})
        output.write_text(json.dumps(entries, indent=1))
        print(f"{name}: done", flush=True)
    show(entries, args.page)


if __name__ == "__main__":
    main()
