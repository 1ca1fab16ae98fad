"""Tests that scikit-learn ships, with other classes in the place of its own."""

import fnmatch
import functools
import importlib
import importlib.util
import sys
from unittest.mock import patch

import pytest


def _listed(mark, stands_for_all):
    """A mark whose cases are a list: newer versions of pytest warn of a generator."""
    if mark.name != "parametrize" or len(mark.args) < 2:
        return mark
    names, cases, *rest = mark.args
    cases = list(cases)
    chosen = [case for case in stands_for_all.get(str(names), ()) if case in cases][:1]
    return pytest.mark.parametrize(names, chosen or cases, *rest, **mark.kwargs).mark


def load(name, replaced, excluded=(), only=None, own=None, quick=None, stands_for_all=None, fixtures=()):
    """The tests of a module of scikit-learn, by name, where some classes are others.

    Parameters
    ----------
    name : str
        Of the module; where it is not installed there are no tests.
    replaced : dict of str to dict
        By the module that they are imported from, the classes by name.
    excluded : collection of str
        Tests to leave out, by their names or patterns of these.
    only : collection of str, optional
        Tests to take; all by default.
    own : dict of str to object, optional
        What stands for names that the module defines itself, or has other names for.
    quick : collection of str, optional
        Tests that run every time, the others being slow; by default none is marked.
    stands_for_all : dict of str to sequence, optional
        By the name of a parameter, the cases of which the first that a test has is the only one to take.
    fixtures : collection of str, optional
        Fixtures of the module that its tests ask for.
    """
    spec = importlib.util.find_spec(name)
    if spec is None:
        return {}
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name + "_replaced"] = module
    patches = [patch.multiple(source, **classes) for source, classes in replaced.items()]
    originals = {
        getattr(importlib.import_module(source), old): new
        for source, classes in replaced.items()
        for old, new in classes.items()
    }
    for one in patches:
        one.start()
    try:
        spec.loader.exec_module(module)
    finally:
        for one in patches:
            one.stop()
    for key, value in list(vars(module).items()):
        if isinstance(value, functools.partial) and value.func in originals:
            setattr(module, key, functools.partial(originals[value.func], *value.args, **value.keywords))
    for value in vars(module).values():
        if hasattr(value, "pytestmark"):
            value.pytestmark = [_listed(mark, stands_for_all or {}) for mark in value.pytestmark]
    vars(module).update(own or {})
    tests = {
        key: value
        for key, value in vars(module).items()
        if key.startswith("test_") and not any(fnmatch.fnmatchcase(key, pattern) for pattern in excluded)
    }
    tests = {key: value for key, value in tests.items() if only is None or key in only}
    tests = {key: value if quick is None or key in quick else pytest.mark.slow(value) for key, value in tests.items()}
    return tests | {key: vars(module)[key] for key in fixtures if hasattr(module, key)}


def skip(request, cases):
    """Skip a test that is among the cases, by its own name and a part of the name of the case, with the reason."""
    for (name, part), reason in cases.items():
        if request.function.__name__ == name and part in request.node.name:
            pytest.skip(reason)
