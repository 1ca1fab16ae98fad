"""What saved models say of the version that saved them, and what a later one does with them."""

from __future__ import annotations

import functools
import inspect
import re
import warnings
from typing import Any

from skvariants._version import __version__

__all__ = ["Versioned"]

_KEY = "_skvariants_version"


class Versioned:
    """Mixin of what is pickled: the state carries the version, by which a later one knows what it opens."""

    def __getstate__(self) -> Any:
        return {**super().__getstate__(), _KEY: __version__}  # type: ignore[dict-item]

    def __setstate__(self, state: dict[str, Any]) -> None:
        saved_by, name = state.get(_KEY, __version__), type(self).__name__
        if _release(saved_by) > _release(__version__):
            warnings.warn(
                f"This {name} was saved by skvariants {saved_by}, and this is {__version__}, which cannot know what "
                "later versions save: update skvariants (pip install -U skvariants), or fit it again.",
                UserWarning, stacklevel=2,
            )  # fmt: skip
        state = {key: value for key, value in state.items() if key != _KEY}
        super().__setstate__(_defaults(type(self)) | state)  # type: ignore[arg-type]


@functools.cache
def _defaults(cls: Any) -> dict[str, Any]:
    """Defaults of the parameters: one that was added since is not in what an earlier version has saved."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version, to be compared."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
