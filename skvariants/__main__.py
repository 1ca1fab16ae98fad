"""``python -m skvariants``: versions and the BLAS library, for reports of faults."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys

import scipy.linalg  # noqa: F401  loads the library of BLAS that SciPy brings
from threadpoolctl import threadpool_info

from skvariants._version import __version__

_PACKAGES = ("numpy", "scipy", "scikit-learn", "joblib", "threadpoolctl", "pandas", "matplotlib", "dask", "skops")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _threads(library: dict[str, object]) -> str:
    return f"{library['internal_api']} {library['version'] or ''}".strip() + f", {library['num_threads']} threads"


def report() -> str:
    """A line for each of what a fit depends on."""
    lines = {
        "skvariants": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "machine": f"{platform.platform()}, {os.cpu_count()} processors",
        **{package: _version(package) for package in _PACKAGES},
    }
    blas = [_threads(library) for library in threadpool_info() if library["user_api"] == "blas"]
    return "\n".join(f"{name:14} {value}" for name, value in [*lines.items(), *(("blas", line) for line in blas)])


def main() -> None:
    """Print the report, also to a reader that takes only its first lines, as ``head`` does."""
    try:
        print(report(), flush=True)
    except BrokenPipeError:
        # or Python fails once more when it flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
