"""Copies of what is plain data, without the detour over pickling that :func:`copy.copy` takes."""

from __future__ import annotations

from typing import TypeVar

S = TypeVar("S", bound="Shallow")


class Shallow:
    """Base of what is copied once or more for each chunk of a stream."""

    def __copy__(self: S) -> S:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other


__all__ = ["Shallow"]
