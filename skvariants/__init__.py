"""Linear models by every variant of stochastic gradient descent."""

import importlib
import inspect
from typing import TYPE_CHECKING, Any

from skvariants._doclinks import set_docs_url
from skvariants._version import __version__
from skvariants.estimators import SGDVariantClassifier, SGDVariantRegressor

if TYPE_CHECKING:
    from skvariants import batches as batches
    from skvariants import diagnostics as diagnostics
    from skvariants import displays as displays
    from skvariants import distributed as distributed
    from skvariants import losses as losses
    from skvariants import model_selection as model_selection
    from skvariants import penalties as penalties
    from skvariants import schedules as schedules
    from skvariants import solvers as solvers

__all__ = ["SGDVariantClassifier", "SGDVariantRegressor", "__version__", "set_docs_url"]

_MODULES = (
    "batches",
    "diagnostics",
    "displays",
    "distributed",
    "losses",
    "model_selection",
    "penalties",
    "schedules",
    "solvers",
)


def __getattr__(name: str) -> Any:
    """Import a module of the package when it is asked for: searches and pictures take time to import."""
    if name in _MODULES:
        return importlib.import_module(f"skvariants.{name}")
    module = None if name.startswith("_") else _home(name)
    if module is None:
        raise AttributeError(f"module 'skvariants' has no attribute {name!r}")
    words = f"{name} is in skvariants.{module}: from skvariants.{module} import {name}."
    # "from skvariants import" asks by this function, and would say no more of an AttributeError than that
    frame = inspect.currentframe()
    asking = frame.f_back if frame is not None else None
    from_list = asking is not None and asking.f_code.co_name == "_handle_fromlist"
    raise ImportError(words) if from_list else AttributeError(words)


def _home(name: str) -> str | None:
    """The public module that offers a name."""
    return next((m for m in _MODULES if name in importlib.import_module(f"skvariants.{m}").__all__), None)


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})
