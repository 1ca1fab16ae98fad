"""What editors and type checkers know: names are those of the registries, and the documented uses run."""

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import skvariants
from skvariants import SGDVariantClassifier, SGDVariantRegressor, _names
from skvariants.penalties import PENALTIES
from skvariants.schedules import SCHEDULES
from skvariants.solvers import LECTURE, SOLVERS

USES = Path(__file__).parent / "typing_uses.py"


@pytest.mark.parametrize(
    ("names", "registry"),
    [
        (_names.SolverName, ["auto", *SOLVERS]),
        (_names.PenaltyName, [name for name in PENALTIES if name is not None]),
        (_names.LearningRateName, ["auto", *SCHEDULES]),
        (_names.ClassifierLossName, SGDVariantClassifier()._losses()),
        (_names.RegressorLossName, SGDVariantRegressor()._losses()),
    ],
)
def test_the_names_that_editors_complete_are_those_of_the_registry(names, registry):
    assert sorted(get_args(names)) == sorted(registry)


def test_the_lecture_names_solvers():
    assert set(LECTURE) < set(SOLVERS)


def test_modules_are_there_after_the_package_was_imported_and_take_no_time_before():
    code = (
        "import sys, skvariants\n"
        "assert not {'skvariants.displays', 'skvariants.model_selection', 'matplotlib'} & {*sys.modules}\n"
        "for name in skvariants._MODULES:\n"
        "    assert name in dir(skvariants) and getattr(skvariants, name).__all__\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_another_name_of_the_package_is_refused():
    with pytest.raises(AttributeError, match=re.escape("module 'skvariants' has no attribute 'display'")):
        skvariants.display  # noqa: B018


@pytest.mark.parametrize(
    ("name", "module"),
    [("Adam", "solvers"), ("BatchedGridSearchCV", "model_selection"), ("diagnose", "diagnostics"), ("Loss", "losses")],
)
def test_a_name_of_a_module_is_said_where_it_is(name, module):
    words = re.escape(f"{name} is in skvariants.{module}: from skvariants.{module} import {name}.")
    with pytest.raises(ImportError, match=words):
        exec(f"from skvariants import {name}")
    with pytest.raises(AttributeError, match=words):
        getattr(skvariants, name)
    assert not hasattr(skvariants, name)


def test_what_is_completed_is_what_is_offered():
    for module in skvariants._MODULES:
        assert dir(getattr(skvariants, module)) == sorted(getattr(skvariants, module).__all__)
    assert set(dir(skvariants)) == {*skvariants.__all__, *skvariants._MODULES}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_documented_uses_run(capsys):
    runpy.run_path(str(USES))
    assert "solver='adamm' is not one of" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_type_checkers_take_the_documented_uses(checker):
    pytest.importorskip(checker)
    done = subprocess.run(
        [sys.executable, "-m", checker, str(USES)], cwd=USES.parent.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
