"""From files of results to the page: its tables between markers, and its pictures.

::

    python examples/benchmarks/report.py docs/benchmarks/*.json           # writes docs/benchmarks.md and the pictures
    python examples/benchmarks/report.py docs/benchmarks/*.json --check   # exits with 1 if they are not up to date
    python examples/benchmarks/report.py docs/benchmarks/*.json --check --fresh   # nor measured with this code

A number on the page comes from a file, and each file says with which commit, on which day and on which machine it was
measured. A picture holds the digest of the files that it was drawn from.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import sys
from pathlib import Path

import measuring
from measuring import seconds_to
from pictures import draw_all

DOCS = Path(__file__).parents[2] / "docs"
TARGETS = (1e-2, 1e-3, 1e-5)
HEADINGS = {"SGD": "SGD", "newton": "newton", "torch Adam": "torch", "Vowpal Wabbit": "VW"}
#: The families in the table of the conclusion; FAMILIES in the others.
CONCLUDED = ("SGD", "lbfgs", "newton", "saga", "liblinear", "Ridge")
FAMILIES = ("SGD", "lbfgs", "newton", "saga", "liblinear", "Ridge", "torch Adam", "Vowpal Wabbit")


def by_family(report, problem):
    """Family -> points of all its methods on a problem."""
    points = {}
    for result in report["results"]:
        if result["problem"] == problem:
            points.setdefault(result["family"], []).extend(result["points"])
    return points


def families(report):
    """The families of a report that are not ours, in the order of the columns."""
    found = {r["family"] for r in report["results"]} - {"ours", "named"}
    return [f for f in FAMILIES if f in found]


def part(report, tasks):
    """The same report with the problems of some tasks only; None if there are none."""
    problems = [p for p in report["problems"] if p["task"] in tasks]
    names = {p["name"] for p in problems}
    results = [r for r in report["results"] if r["problem"] in names]
    return {**report, "problems": problems, "results": results} if problems else None


def ratio(report, problem, family, target, count):
    """Seconds of the best of a family over ours; None if it did not arrive, inf if only ours did not."""
    points = by_family(report, problem)
    ours, other = (seconds_to(points.get(f, []), target, count) for f in ("ours", family))
    if other is None:
        return None
    return 0.0 if ours is None else other / ours


def number(value):
    """Two digits, none after the point from ten on."""
    return f"{value:.2g}" if value < 9.95 else f"{value:.0f}"


def cell(values):
    """Ratios with one thread and with two: bold where ours is slower."""
    shown = []
    for value in values:
        text = "-" if value is None else number(value) if value > 0 else "only"
        shown.append(f"**{text}**" if value is not None and value < 0.95 else text)
    return shown[0] if len(set(shown)) == 1 else " / ".join(shown)


def markdown(header, rows):
    """A table whose first column is text and whose others are numbers."""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def milliseconds(values):
    """Of one thread and two."""
    return " / ".join("-" if v is None else number(1e3 * v) for v in values)


def time_table(report, target):
    """Problems by families: our milliseconds to a target, and the others' as ratios to ours."""
    counts, columns = report["threads"], families(report)
    rows = []
    for problem in (p["name"] for p in report["problems"]):
        points = by_family(report, problem)
        row = [problem, milliseconds([seconds_to(points["ours"], target, c) for c in counts])]
        for family in columns:
            tried = family in points
            row.append(cell([ratio(report, problem, family, target, c) for c in counts]) if tried else "")
        rows.append(row)
    means, reached = ["*geometric mean*", ""], ["*arrived*", ""]
    for family in columns:
        found = [[ratio(report, p["name"], family, target, c) for p in report["problems"]] for c in counts]
        both = [[v for v in values if v] for values in found]
        means.append(cell([measuring.geometric_mean(v) if v else None for v in both]))
        tried = sum(family in by_family(report, p["name"]) for p in report["problems"])
        reached.append(f"{max(sum(v is not None for v in values) for values in found)} of {tried}")
    return markdown(["problem", "ours, ms", *(HEADINGS.get(f, f) for f in columns)], [*rows, means, reached])


def default_points(report, problem):
    """Method -> the point of its own defaults."""
    found = {}
    for result in report["results"]:
        if result["problem"] == problem and result["family"] != "named":
            for point in result["points"]:
                if point["setting"] == "default" and point["seconds"]:
                    found[result["method"]] = point
    return found


def default_table(report, columns):
    """What a user gets without passing anything: milliseconds and suboptimality of whole fits, one thread."""
    count = str(report["threads"][0])
    rows = []
    for problem in (p["name"] for p in report["problems"]):
        points = default_points(report, problem)
        row = [problem]
        for names in columns.values():
            found = [points[n] for n in names if n in points]
            best = min(found, key=lambda p: p["seconds"][count], default=None)
            far = None if best is None else best["suboptimality"]
            row.append("" if best is None else f"{number(1e3 * best['seconds'][count])} ms, {power(far)}")
        rows.append(row)
    return markdown(["problem", *columns], rows)


def power(value):
    """One digit and the power of ten; "far" for what is not finite."""
    if value is None:
        return "far"
    return "0" if value < 1e-12 else f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e+").replace("e+", "e")


def named_table(report):
    """Our solvers of single steps: how far their default fits end, and their seconds over our default's to 1e-2."""
    count = report["threads"][-1]
    rows = []
    for name in dict.fromkeys(r["method"] for r in report["results"] if r["family"] == "named"):
        mine = {r["problem"]: r["points"] for r in report["results"] if r["method"] == name}
        ends = [p["suboptimality"] for v in mine.values() for p in v if p["setting"] == "default"]
        ends = sorted(math.inf if e is None else e for e in ends)
        ratios = []
        for target in TARGETS[:2]:
            pairs = [
                (seconds_to(v, target, count), seconds_to(by_family(report, p)["ours"], target, count))
                for p, v in mine.items()
            ]
            reached = [a / b for a, b in pairs if a is not None and b is not None]
            mean = number(measuring.geometric_mean(reached)) if reached else "-"
            ratios.append(f"{mean} ({sum(a is not None for a, _ in pairs)} of {len(pairs)})")
        middle = power(ends[len(ends) // 2]) if ends else "-"
        rows.append([name.removeprefix("ours: "), middle, power(ends[-1]) if ends else "-", *ratios])
    return markdown(["solver", "ends at, median", "at worst", "seconds to 1e-2", "to 1e-3"], rows)


# ----------------------------------------------------------------------------- the conclusion


def standing(report, target, count):
    """Where ours is the fastest, and where another is, and which: a list and a dictionary of problems."""
    won, lost = [], {}
    for problem in (p["name"] for p in report["problems"]):
        ratios = {f: ratio(report, problem, f, target, count) for f in families(report)}
        ratios = {f: v for f, v in ratios.items() if v is not None}
        best = min(ratios, key=ratios.get, default=None)
        if best is not None and ratios[best] < 1:
            lost[problem] = best
        elif seconds_to(by_family(report, problem)["ours"], target, count) is not None:
            won.append(problem)
    return won, lost


def conclusion_row(report, title, target):
    """How often ours is the fastest, with one thread and two, and the geometric means where both arrived."""
    counts, row = report["threads"], [f"{title}, {power(target)}"]
    won = [len(standing(report, target, c)[0]) for c in counts]
    row.append(f"{' / '.join(map(str, won))} of {len(report['problems'])}")
    for family in CONCLUDED:
        found = [[ratio(report, p["name"], family, target, c) for p in report["problems"]] for c in counts]
        known = [[v for v in values if v] for values in found]
        tried = any(family in by_family(report, p["name"]) for p in report["problems"])
        row.append(cell([measuring.geometric_mean(v) if v else None for v in known]) if tried else "")
    return row


def losses(report, title, target):
    """A line of where another is faster, with which, and how many times; empty if nowhere."""
    counts, shown = report["threads"], []
    lost = [standing(report, target, c)[1] for c in counts]
    for problem in (p["name"] for p in report["problems"]):
        family = next((found[problem] for found in lost if problem in found), None)
        if family is None:
            continue
        times = [ratio(report, problem, family, target, c) for c in counts]
        how = "arrived, ours did not" if 0.0 in times else " / ".join(number(1 / v) if v else "-" for v in times)
        shown.append(f"{problem} ({family} {how})")
    return f"- {title}, to {power(target)}: {', '.join(shown)}." if shown else ""


def conclude_whole(report, title, others):
    """A sentence: whole fits as they come, beside the fastest of some others."""
    count = str(report["threads"][0])
    ratios, ends, beside = [], [], []
    for problem in (p["name"] for p in report["problems"]):
        points = default_points(report, problem)
        found = [points[name] for name in others if name in points]
        if "ours: default" in points and found:
            fastest = min(found, key=lambda p: p["seconds"][count])
            ratios.append(fastest["seconds"][count] / points["ours: default"]["seconds"][count])
            ends.append(points["ours: default"]["suboptimality"])
            beside.append(math.inf if fastest["suboptimality"] is None else fastest["suboptimality"])
    if not ratios:
        return ""
    count_of = f"{len(ratios)} problem{'s' * (len(ratios) != 1)}"
    slower = sum(r < 1 for r in ratios)
    return (
        f"- {title}: the faster of SGD plain and averaged takes {number(measuring.geometric_mean(ratios))} times our "
        f"seconds (geometric mean of {count_of}; less than ours on {slower}) and ends at "
        f"{power(sorted(beside)[len(beside) // 2])} in the median, ours at {power(sorted(ends)[len(ends) // 2])}."
    )


#: Kind of results -> titles of its classifications and of its regressions, and the defaults of SGD's whole fits.
TITLES = {
    "smooth": ("Log loss and softmax", "Squared error", ("SGD(default)", "SGD(default, average)")),
    "kinks": ("Hinge", "Epsilon-insensitive", ("SGD", "SGD, averaged")),
}


def conclusion(reports):
    """A table of means, where another is faster, and whole fits, over all files of results."""
    rows, lost, whole, won, total = [], [], [], 0, 0
    for kind, (classes, regression, others) in TITLES.items():
        for report in of_kind(reports, kind):
            for tasks, title in ((("binary", "multiclass"), classes), (("regression",), regression)):
                some = part(report, tasks)
                if some is None:
                    continue
                named = title + data_of(report)
                for target in (1e-3, 1e-5):
                    rows.append(conclusion_row(some, named, target))
                    lost.append(losses(some, named, target))
                    won += sum(len(standing(some, target, c)[0]) for c in some["threads"])
                    total += len(some["problems"]) * len(some["threads"])
                whole.append(conclude_whole(some, named, others))
    if not rows:
        return "Nothing has been measured."
    header = ["loss, target", "ours first", *(HEADINGS.get(f, f) for f in CONCLUDED)]
    parts = [
        f"**Ours arrives first in {won} of {total} comparisons** with everybody else's best setting (problems, "
        "targets, one thread and two). Others' seconds over ours, geometric mean of the problems where both arrived:",
        markdown(header, rows),
        "**Where another is faster**, which one, and how many times (one thread / two):",
        "\n".join(filter(None, lost)) or "Nowhere.",
        "**Whole fits**, with the defaults and one thread:",
        "\n".join(filter(None, whole)),
    ]
    return "\n\n".join(parts)


# ----------------------------------------------------------------------------- the page


def of_kind(reports, kind):
    return [r for r in reports.values() if r["kind"] == kind]


def data_of(report):
    """What to add to a title where the data are not those that everybody has."""
    return " on open tables" if any(p["source"] == "local" for p in report["problems"]) else ""


def conditions(reports):
    """When, with which code and where each file was measured."""
    rows, machines = [], {}
    for name, report in reports.items():
        c = report["conditions"]
        commit = c["commit"] + (" (changed)" if c["changed"] else "")
        rows.append([f"[{name}](benchmarks/{name}.json)", f"`{c['command']}`", c["date"][:10], commit, c["code"]])
        packages = ", ".join(f"{k} {v}" for k, v in c["packages"].items() if k != "skvariants")
        machines[f"{c['cpu']}, {c['cores']} cores, {c['system']}, Python {c['python']}, {packages}."] = True
    table = markdown(["results", "command", "date", "commit", "digest of the code"], rows)
    return table.replace("---:", "---") + "\n\n" + "\n\n".join(machines)


def problems(reports):
    """What is trained on, and how well the reference knows the minimum."""
    rows = {}
    for report in [*of_kind(reports, "smooth"), *of_kind(reports, "kinks")]:
        for p in report["problems"]:
            task = f"{p['classes']} classes" if p["classes"] > 2 else p["task"]
            known = "least found" if p.get("reference") == "least found" else power(p["reference_error"])
            before = rows.get((p["name"], p["size"]))
            if before:
                before[-1] += f", {known}"
            else:
                rows[p["name"], p["size"]] = [p["name"], p["source"], task, p["size"], power(p["alpha"]), known]
    header = ["problem", "data", "task", "training rows x columns", "alpha", "minimum within"]
    return markdown(header, rows.values())


def smooth(reports):
    """Tables of time to each target."""
    parts = []
    for report in of_kind(reports, "smooth"):
        for target in TARGETS:
            parts.append(f"**To {power(target)}{data_of(report)}**")
            for tasks in (("binary", "multiclass"), ("regression",)):
                if some := part(report, tasks):
                    parts.append(time_table(some, target))
    return "\n\n".join(parts)


def as_they_come(reports):
    """Whole fits with defaults, of smooth losses."""
    parts = []
    for report in of_kind(reports, "smooth"):
        if some := part(report, ("binary", "multiclass")):
            sgd = ["SGD(default)", "SGD(default, average)"]
            columns = {"ours": ["ours: default"], "SGDClassifier": sgd[:1], "averaged": sgd[1:]}
            parts.append(default_table(some, {**columns, "LogisticRegression": ["lbfgs"]}))
        if some := part(report, ("regression",)):
            columns = {"ours": ["ours: default"], "SGDRegressor": sgd[:1], "averaged": sgd[1:]}
            parts.append(default_table(some, {**columns, "Ridge": ["Ridge(auto)"]}))
    return "\n\n".join(parts)


def named(reports):
    """Our solvers of single steps."""
    found = [r for r in of_kind(reports, "smooth") if any(x["family"] == "named" for x in r["results"])]
    return "\n\n".join(named_table(r) for r in found)


def kinks(reports):
    """Tables of losses with kinks."""
    parts = []
    columns = {"ours": ["ours: default"], "SGD": ["SGD"], "SGD, averaged": ["SGD, averaged"]}
    for report in of_kind(reports, "kinks"):
        liblinear = [m for m in {r["method"] for r in report["results"]} if m.startswith("liblinear")]
        for tasks, title in zip((("binary", "multiclass"), ("regression",)), TITLES["kinks"], strict=False):
            if some := part(report, tasks):
                for target in TARGETS[1:]:
                    parts += [f"**{title}{data_of(report)}, to {power(target)}**", time_table(some, target)]
                parts += [f"**{title}{data_of(report)}, whole fits as they come**"]
                parts += [default_table(some, {**columns, "liblinear": liblinear})]
    return "\n\n".join(parts)


def printed(reports):
    """What other scripts printed, as it is."""
    parts = []
    for report in of_kind(reports, "printed"):
        text = report["text"].strip("\n")
        parts.append(f"### {report['title']}\n\n`{report['conditions']['command']}`")
        parts.append(text if re.search(r"^\|", text, re.M) else f"```text\n{text}\n```")
    return "\n\n".join(["## What the other scripts print", *parts] if parts else [])


BLOCKS = {
    "conclusion": conclusion, "smooth": smooth, "as they come": as_they_come, "named": named, "kinks": kinks,
    "printed": printed, "problems": problems, "conditions": conditions,
}  # fmt: skip


def filled(text, reports):
    """The page with every block between its markers made anew."""
    for name, block in BLOCKS.items():
        found = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.S)
        if not found.search(text):
            raise ValueError(f"The page has no markers for {name!r}: add <!-- {name} --> and <!-- end -->.")
        made = block(reports)
        text = found.sub(lambda m, made=made: f"{m[1]}\n{made}\n\n{m[2]}", text)
    return text


def read(paths):
    """Reports by the names of their files, and a digest of all of them."""
    paths = sorted(map(Path, paths), key=lambda p: p.name)
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in paths)).hexdigest()[:16]
    return {p.stem: json.loads(p.read_text()) for p in paths}, digest


def faults(reports, digest, page, folder, fresh):
    """Sentences: what is not up to date."""
    found = []
    if filled(page.read_text(), reports) != page.read_text():
        found.append(f"{page} differs from what the results say: run report.py without --check.")
    for picture in sorted(folder.glob("*.png")):
        if digest.encode() not in picture.read_bytes():
            found.append(f"{picture} was drawn from other results: run report.py without --check.")
    code = measuring.code_digest()
    stale = [name for name, report in reports.items() if report["conditions"]["code"] != code]
    if stale and fresh:
        found.append(f"{', '.join(stale)} measured other code than this ({code}): run run_all.py.")
    if fresh:
        drawn = [p.name for p in sorted((DOCS / "images").glob("*.png")) if code.encode() not in p.read_bytes()]
        found += [f"{', '.join(drawn)} show other code than this ({code}): run docs/make_images.py."] if drawn else []
    return found


def main(arguments=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", help="files of results")
    parser.add_argument("--page", type=Path, default=DOCS / "benchmarks.md", help="page with markers")
    parser.add_argument("--pictures", type=Path, default=DOCS / "benchmarks", help="folder of the pictures")
    parser.add_argument("--check", action="store_true", help="write nothing, and exit with 1 if something is old")
    parser.add_argument("--fresh", action="store_true", help="with --check: the results must be of the present code")
    options = parser.parse_args(arguments)
    reports, digest = read(options.results)
    if options.check:
        found = faults(reports, digest, options.page, options.pictures, options.fresh)
        print("\n".join(found) or "The page and its pictures say what the results say.")
        return sys.exit(1) if found else None
    options.page.write_text(filled(options.page.read_text(), reports))
    drawn = draw_all(reports, options.pictures, digest)
    print(f"wrote {options.page} and {', '.join(drawn) or 'no pictures: matplotlib is not installed'}")
    return None


if __name__ == "__main__":
    main()
