"""What is documented as a default is the default, of every public class and function."""

import ast
import importlib
import inspect
import re

import numpy as np
import pytest

MODULES = "skvariants losses penalties schedules solvers model_selection diagnostics displays distributed".split()


def public():
    for name in MODULES:
        module = importlib.import_module("skvariants" if name == "skvariants" else f"skvariants.{name}")
        for each in module.__all__:
            yield f"{name}.{each}", getattr(module, each)


def documented(text):
    """Parameters of a docstring, and what they are said to be by default."""
    names = re.findall(r"^(\w[\w, ]*) : .*?default=([^\n]+)$", inspect.cleandoc(text or ""), re.MULTILINE)
    return {name.strip(): said for many, said in names for name in many.split(",")}


def cases():
    for name, thing in public():
        callables = [(name, thing, inspect.getdoc(thing))] if callable(thing) else []
        if inspect.isclass(thing):
            callables += [
                (f"{name}.{key}", member, inspect.getdoc(member))
                for key, member in inspect.getmembers(thing, callable)
                if not key.startswith("_") and str(getattr(member, "__module__", "")).startswith("skvariants")
            ]
        for full, one, doc in callables:
            if documented(doc):
                yield pytest.param(one, documented(doc), id=full)


@pytest.mark.parametrize(("thing", "said"), list(cases()))
def test_documented_defaults_are_the_defaults(thing, said):
    parameters = inspect.signature(thing).parameters
    for name, text in said.items():
        if name not in parameters:
            continue  # an attribute
        value = np.nan if "nan" in text else ast.literal_eval(text.strip().rstrip("."))
        default = parameters[name].default
        assert value == default or (value != value and default != default), name


def test_what_has_a_number_for_default_says_so():
    for name, thing in public():
        if not inspect.isclass(thing):
            continue
        said = documented(inspect.getdoc(thing))
        for parameter in inspect.signature(thing).parameters.values():
            if isinstance(parameter.default, int | float | np.number) and not isinstance(parameter.default, bool):
                assert parameter.name in said, f"{name}: {parameter.name}"
