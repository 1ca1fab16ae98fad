"""What NumPy does about overflows and the like, whatever the caller has asked it to do in his own code."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from sklearn import config_context, get_config

__all__ = ["usual_errors"]

Method = TypeVar("Method", bound=Callable[..., Any])
_DEFAULTS = np.errstate(divide="warn", over="warn", invalid="warn", under="ignore")


def usual_errors(method: Method) -> Method:
    """Decorate what computes: NumPy's own defaults, so that an underflow to zero is no error of ours.

    All is computed by NumPy: with scikit-learn's ``array_api_dispatch``, too, the arrays of others become its arrays.
    """
    computes = _DEFAULTS(method)

    @functools.wraps(method)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if not get_config()["array_api_dispatch"]:
            return computes(*args, **kwargs)
        with config_context(array_api_dispatch=False):
            return computes(*args, **kwargs)

    return cast("Method", wrapped)
