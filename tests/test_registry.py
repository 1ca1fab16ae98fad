"""Registries: a class joins where it is defined, and what is shown of all of them is theirs."""

import importlib
import importlib.util
import sys
from pathlib import Path

import pytest

from skvariants import losses, solvers
from skvariants._registry import Registry

DOCS = Path(__file__).parents[1] / "docs"


def test_members_are_in_the_order_that_they_say_and_the_others_last():
    registered = Registry({"old": "what was", "new": "what is"})

    @registered("c", "new")
    class C:
        pass

    @registered("b", "new", 2019)
    class B:
        pass

    @registered("a", "old")
    class A:
        pass

    assert registered.by_name == {"a": A, "b": B, "c": C}
    assert list(registered.by_name) == ["a", "b", "c"]
    assert list(registered.families) == ["old", "new"]
    assert registered.families["new"].purpose == "what is"
    with pytest.raises(ValueError, match="name='a' is registered twice"):
        registered("a", "new")
    with pytest.raises(ValueError, match="family='odd' is not known: it must be one of old, new"):
        registered("d", "odd")


def test_a_further_solver_is_a_further_module(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("from skvariants._registry import Registry\nr = Registry({'f': ''})")
    (tmp_path / "mine" / "new.py").write_text("from mine import r\n\n\n@r('new', 'f')\nclass New:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    mine = importlib.import_module("mine")
    assert list(mine.r.load("mine", mine.__path__)) == ["New"]
    assert mine.r.by_name == {"new": sys.modules["mine.new"].New}


@pytest.mark.parametrize("module", [solvers, losses], ids=["solvers", "losses"])
def test_what_is_registered_is_public(module):
    names = {cls.__name__: cls for family in module.FAMILIES.values() for cls in family.members.values()}
    assert names.keys() <= set(module.__all__)
    assert all(getattr(module, name) is cls for name, cls in names.items())


def test_tables_and_names_for_editors_are_those_of_the_registries():
    spec = importlib.util.spec_from_file_location("make_tables", DOCS / "make_tables.py")
    make_tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_tables)
    for path, text in make_tables.files():
        assert path.read_text() == text, f"{path}: run python docs/make_tables.py"
