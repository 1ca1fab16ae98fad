"""Registries: what users may name, each registered where it is defined."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Registered = TypeVar("Registered", bound=type)


@dataclass(frozen=True)
class Family:
    """Classes that serve one purpose.

    Parameters
    ----------
    purpose : str
        What they are for, in one phrase.
    members : dict of str to class
        By name, in order.
    """

    purpose: str
    members: dict[str, Any]


class Registry:
    """Families of classes, which the classes themselves join.

    ``registered = Registry({"momentum": "a ravine"})`` declares the families, and the decorator
    ``@registered("qhm", "momentum", 2019)`` above a class makes it a member of one by a name. So a new one is a module
    of its package, and nothing else.

    Parameters
    ----------
    purposes : dict of str to str
        For each family what it is for, in the order in which they are shown.
    """

    def __init__(self, purposes: Mapping[str, str]) -> None:
        self.purposes = dict(purposes)
        self.entries: list[tuple[str, str, int, Any]] = []

    def __call__(self, name: str, family: str, order: int = 10_000) -> Callable[[Registered], Registered]:
        """Decorator of a class.

        Parameters
        ----------
        name : str
            How users call it.
        family : str
            Which family it joins.
        order : int, default=10_000
            Where in its family it is shown, such as the year of its publication; of equal ones as in the source.

        Returns
        -------
        callable
        """
        if family not in self.purposes:
            raise ValueError(f"family={family!r} is not known: it must be one of {', '.join(self.purposes)}.")
        if any(name == known for known, *_ in self.entries):
            raise ValueError(f"name={name!r} is registered twice: choose another for one of them.")

        def register(cls: Registered) -> Registered:
            self.entries.append((name, family, order, cls))
            return cls

        return register

    def load(self, package: str, path: Iterable[str]) -> dict[str, Any]:
        """Import the modules of a package, so that all that is in it has joined.

        Parameters
        ----------
        package : str
            Its name.
        path : iterable of str
            Its ``__path__``.

        Returns
        -------
        dict of str to class
            Those that joined, by the names of the classes.
        """
        for module in sorted(info.name for info in pkgutil.iter_modules(path)):
            importlib.import_module(f"{package}.{module}")
        return {cls.__name__: cls for *_, cls in self.entries}

    @property
    def families(self) -> dict[str, Family]:
        """Families by title."""
        ordered = sorted(self.entries, key=lambda entry: entry[2])
        return {
            title: Family(purpose, {name: cls for name, family, _, cls in ordered if family == title})
            for title, purpose in self.purposes.items()
        }

    @property
    def by_name(self) -> dict[str, Any]:
        """Every class by name, family by family."""
        return {name: cls for family in self.families.values() for name, cls in family.members.items()}
