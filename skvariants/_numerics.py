"""What NumPy does about overflows and the like, whatever the caller has asked it to do in his own code."""

from __future__ import annotations

import numpy as np

__all__ = ["usual_errors"]

#: Decorates what computes: NumPy's own defaults, so that an underflow to zero is no error of ours.
usual_errors = np.errstate(divide="warn", over="warn", invalid="warn", under="ignore")
