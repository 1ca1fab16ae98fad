"""Seconds with one thread and with two, and result files that say under which conditions they were measured."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
import re
import subprocess
import sys
import time
import warnings
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

import skvariants

PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "vowpalwabbit", "celer", "skglm")
#: A fit is repeated until it took this many seconds in all, at most so often; the fastest counts.
ENOUGH_SECONDS, MOST_REPEATS = 0.1, 5


def code_digest():
    """Twelve digits that change with every file of the package: which code was measured, commit or not."""
    folder = Path(skvariants.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _git(*arguments):
    command = ["git", "-C", str(Path(skvariants.__file__).parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _command():
    """The script and its arguments, without the file that it writes."""
    arguments = sys.argv[1:]
    if "--output" in arguments:
        at = arguments.index("--output")
        arguments = arguments[:at] + arguments[at + 2 :]
    return " ".join([Path(sys.argv[0]).name, *arguments])


def conditions():
    """What the numbers depend on."""
    cpu, info = platform.processor(), Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"model name\s*:\s*(.+)", info.read_text())
        cpu = found.group(1) if found else cpu
    packages = {"skvariants": skvariants.__version__}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            packages[name] = version(name)
    return {
        "commit": _git("rev-parse", "--short=10", "HEAD"), "changed": bool(_git("status", "--porcelain", ".")),
        "code": code_digest(), "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "command": _command(), "cpu": cpu, "cores": os.cpu_count(),
        "system": platform.platform(terse=True), "python": platform.python_version(), "packages": packages,
        "pools": sorted({f"{p['internal_api']} {p.get('version')}" for p in threadpool_info()}),
    }  # fmt: skip


def finite(value):
    """The same without inf and nan, which JSON lacks, and numbers to four digits."""
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    return value


def save(path, kind, content, command=None):
    """Write a result file: what kind of figures, under which conditions, and the figures."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    report = {"kind": kind, "conditions": conditions() | ({"command": command} if command else {}), **finite(content)}
    Path(path).write_text(json.dumps(report, indent=1) + "\n")
    return report


# ----------------------------------------------------------------------------- seconds


def threads_to_time():
    """One thread, and two where the machine has two."""
    return (1, 2) if len(_processors()) > 1 else (1,)


def _processors():
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)


@contextlib.contextmanager
def threads(count):
    """Let the libraries use so many threads; a single one stays on one processor, and so do threads that it starts."""
    processors = _processors()
    pinned = count == 1 and hasattr(os, "sched_setaffinity")
    with threadpool_limits(limits=count):
        if pinned:
            os.sched_setaffinity(0, {max(processors)})
        try:
            yield
        finally:
            if pinned:
                os.sched_setaffinity(0, processors)


def timed(function):
    """Result and seconds: the fastest of a few calls where one is quick. Warnings are not shown."""
    result, best, spent = None, np.inf, 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(MOST_REPEATS):
            start = time.perf_counter()
            result = function()
            seconds = time.perf_counter() - start
            best, spent = min(best, seconds), spent + seconds
            if spent > ENOUGH_SECONDS:
                break
    return result, best


def timed_by_threads(function, counts, one_thread=False):
    """Result, and the seconds by number of threads, one after the other; what has one thread is timed once."""
    seconds = {}
    for count in counts[:1] if one_thread else counts:
        with threads(count):
            result, seconds[str(count)] = timed(function)
    return result, seconds | ({str(count): seconds[str(counts[0])] for count in counts} if one_thread else {})


def warm_up():
    """Let BLAS start its threads before anything is timed."""
    A = np.random.default_rng(0).standard_normal((800, 800))
    for _ in range(5):
        A @ A


def geometric_mean(values):
    """Of positive numbers; nan of none."""
    return float(np.exp(np.mean(np.log(values)))) if len(values) else math.nan


def seconds_to(points, target, count):
    """Seconds, with so many threads, of the quickest fit that reached the target; None if none did."""
    arrived = [p for p in points if p["suboptimality"] is not None and p["suboptimality"] <= target]
    return min((p["seconds"][str(count)] for p in arrived if str(count) in p["seconds"]), default=None)
