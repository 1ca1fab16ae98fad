"""``python -m skvariants``: versions and the BLAS library, for reports of faults."""

from __future__ import annotations

import importlib.metadata
import os
import platform

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


def main() -> None:
    """Print a line for each of what a fit depends on."""
    lines = {
        "skvariants": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "machine": f"{platform.platform()}, {os.cpu_count()} processors",
        **{package: _version(package) for package in _PACKAGES},
    }
    for name, value in lines.items():
        print(f"{name:14} {value}")
    for library in threadpool_info():
        if library["user_api"] == "blas":
            print(f"{'blas':14} {_threads(library)}")


if __name__ == "__main__":
    main()
