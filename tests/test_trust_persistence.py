"""Saved models: they go on where they stopped, bit for bit, wherever they were saved and opened."""

import copy
import functools
import io
import pickle
import re
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skvariants
from _references import asked
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._version import __version__
from skvariants.losses import SquaredError
from skvariants.model_selection import BatchedGridSearchCV
from skvariants.schedules import SCHEDULES
from skvariants.solvers import SOLVERS

NAMES = ["auto", *SOLVERS]
STEPS = [name for name in SOLVERS if SOLVERS[name].method == "steps"]


class Own(SquaredError):
    """A loss that is no part of the package."""


GUIDE = Path(__file__).parents[1] / "docs" / "guide"


@functools.cache
def table(kind="classes"):
    if kind == "real":
        X, y = make_regression(150, 8, noise=30, random_state=0)
    else:
        X, y = make_classification(150, 8, n_informative=6, n_classes=3, random_state=0)
    return X * np.logspace(-1, 1, 8), y


def through_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def through_skops(model):
    skops = pytest.importorskip("skops.io")
    saved = skops.dumps(model)
    unknown = skops.get_untrusted_types(data=saved)
    assert all(name.startswith(("skvariants.", "scipy.sparse.")) for name in unknown), unknown
    return skops.loads(saved, trusted=unknown)


WAYS = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "joblib": through_joblib,
    "skops": through_skops,
    "deepcopy": copy.deepcopy,
}


def quietly(model, *data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*data)


def in_two_parts(model, way, X, y, first=2, rest=3):
    part = way(quietly(clone(model).set_params(max_iter=first, warm_start=True), X, y))
    assert part.n_iter_ == first
    return quietly(part.set_params(max_iter=rest), X, y), quietly(clone(model).set_params(max_iter=first + rest), X, y)


def same(found, expected):
    assert_array_equal(found.coef_, expected.coef_)
    assert_array_equal(found.intercept_, expected.intercept_)
    assert found.loss_curve_ == expected.loss_curve_
    assert found.t_ == expected.t_


def stream(model, way=None):
    """Chunks of a stream, saved between them."""
    X, y = table()
    model = clone(model)
    for begin in range(0, 150, 50):
        rows = slice(begin, begin + 50)
        model.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        model = model if way is None else way(model)
    return model


# ---------------------------------------------------------------------- resuming


@pytest.mark.parametrize("way", ["joblib", "skops"])
@pytest.mark.parametrize("solver", NAMES)
def test_a_fit_goes_on_bit_for_bit(solver, way):
    model = SGDVariantClassifier(**asked(solver), tol=None, random_state=0)
    same(*in_two_parts(model, WAYS[way], *table()))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("solver", ["auto", "adam", "sgd"])
def test_a_stream_goes_on_bit_for_bit(solver, way):
    model = SGDVariantClassifier(solver=solver, random_state=0)
    same(stream(model, WAYS[way]), stream(model))
    forgetful = SGDVariantClassifier(forgetting="auto", random_state=0)
    same(stream(forgetful, WAYS[way]), stream(forgetful))


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("average", [False, 3])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("rate", ["auto", *SCHEDULES])
@pytest.mark.parametrize("solver", STEPS)
def test_each_solver_goes_on_with_each_schedule(solver, rate, early_stopping, average, way):
    options = {**asked(solver), "learning_rate": rate, "average": average}
    if rate not in ("auto", "optimal"):
        options["eta0"] = 0.01
    model = SGDVariantClassifier(**options, early_stopping=early_stopping, tol=None, random_state=0)
    try:
        model.__skvariants_spec__()
    except ValueError as refused:
        pytest.skip(str(refused))
    same(*in_two_parts(model, WAYS[way], *table()))


@pytest.mark.parametrize("contained", [sp.csr_matrix, sp.csc_array, np.asfortranarray, lambda X: X.astype(np.float32)])
@pytest.mark.parametrize("solver", ["auto", "adagrad"])
def test_each_container_goes_on(solver, contained):
    X, y = table()
    same(*in_two_parts(SGDVariantClassifier(solver=solver, tol=None, random_state=0), WAYS["pickle"], contained(X), y))


OTHER = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
with open(sys.argv[1], "rb") as file:
    models, (X, y) = pickle.load(file)
for name, model in models.items():
    model.partial_fit(X, y) if name.startswith("stream") else model.set_params(max_iter=3).fit(X, y)
with open(sys.argv[1], "wb") as file:
    pickle.dump(models, file)
"""


def test_another_process_goes_on_bit_for_bit(tmp_path):
    data, whole, parts = table(), {}, {}
    for solver in NAMES:
        model = SGDVariantClassifier(**asked(solver), tol=None, random_state=0, warm_start=True)
        whole[solver] = quietly(clone(model).set_params(max_iter=5), *data)
        parts[solver] = quietly(clone(model).set_params(max_iter=2), *data)
    for solver in ("auto", "adam"):
        model = SGDVariantClassifier(solver=solver, random_state=0).partial_fit(*data, classes=[0, 1, 2])
        parts[f"stream {solver}"] = copy.deepcopy(model)
        whole[f"stream {solver}"] = model.partial_fit(*data)
    file = tmp_path / "models"
    file.write_bytes(pickle.dumps((parts, data)))
    subprocess.run([sys.executable, "-c", OTHER, str(file)], check=True, capture_output=True)
    for name, model in pickle.loads(file.read_bytes()).items():
        same(model, whole[name])


# ---------------------------------------------------------------------- versions


def models():
    X, y = table("real")
    model = quietly(SGDVariantRegressor(max_iter=3), X, y)
    return {"model": model, "search": BatchedGridSearchCV(SGDVariantRegressor(), {"alpha": [1e-3, 1.0]}).fit(X, y)}


@pytest.mark.parametrize("kind", ["model", "search"])
def test_a_pickle_says_which_version_saved_it(kind):
    model = models()[kind]
    assert model.__getstate__()["_skvariants_version"] == __version__ == skvariants.__version__
    again = pickle.loads(pickle.dumps(model))
    assert not hasattr(again, "_skvariants_version")
    assert_array_equal(again.predict(table("real")[0]), model.predict(table("real")[0]))


@pytest.mark.parametrize("kind", ["model", "search"])
def test_what_a_later_version_saved_is_opened_with_a_warning(kind):
    model = models()[kind]
    state = {**model.__getstate__(), "_skvariants_version": "97.1.dev3"}
    again = type(model).__new__(type(model))
    with pytest.warns(
        UserWarning, match=rf"saved by skvariants 97\.1\.dev3, and this is {re.escape(__version__)}.*upd"
    ):
        again.__setstate__(state)
    assert_array_equal(again.predict(table("real")[0]), model.predict(table("real")[0]))


@pytest.mark.parametrize("kind", ["model", "search"])
@pytest.mark.parametrize("version", [None, "0.0.9"])
def test_what_an_earlier_version_saved_has_parameters_added_since(kind, version):
    model = models()[kind]
    state = model.__getstate__()
    del state["max_time"], state["_skvariants_version"]
    if version is not None:
        state["_skvariants_version"] = version
    again = type(model).__new__(type(model))
    again.__setstate__(state)
    assert again.max_time is None
    assert again.get_params(deep=False).keys() == model.get_params(deep=False).keys()
    quietly(again, *table("real"))


def test_a_fitted_model_takes_little():
    # what skops trusts by itself grows with each nested object: a plain fit has few
    model = quietly(SGDVariantRegressor(solver="adam", max_iter=2), *table("real"))
    assert "_state" not in model.__getstate__()


# ---------------------------------------------------------------------- skops


def test_skops_saves_pipelines_and_searches():
    skops = pytest.importorskip("skops.io")
    X, y = table("real")
    search = BatchedGridSearchCV(
        make_pipeline(StandardScaler(), SGDVariantRegressor()), {"sgdvariantregressor__alpha": [1, 2]}
    )
    search.fit(X, y)
    saved = skops.dumps(search)
    unknown = skops.get_untrusted_types(data=saved)
    ours = [name for name in unknown if name.startswith("skvariants.")]
    assert set(unknown) - set(ours) <= {"sklearn.metrics._scorer._PassthroughScorer"}
    assert_array_equal(skops.loads(saved, trusted=unknown).predict(X), search.predict(X))


def test_a_loss_of_ones_own_is_to_be_reviewed():
    skops = pytest.importorskip("skops.io")
    model = quietly(SGDVariantRegressor(loss=Own(), max_iter=2), *table("real"))
    unknown = skops.get_untrusted_types(data=skops.dumps(model))
    assert f"{__name__}.Own" in unknown


def test_the_example_of_the_guide_works(tmp_path, monkeypatch):
    pytest.importorskip("skops.io")
    text = (GUIDE / "saving.rst").read_text()
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text) or re.findall(
        r"\.\. code-block:: python\n\n((?:   .*\n|\n)+)", text
    )
    [example] = [block for block in blocks if "skops" in block]
    monkeypatch.chdir(tmp_path)
    exec(compile(textwrap.dedent(example), "saving.rst", "exec"), {})
    assert [file.suffix for file in tmp_path.iterdir()] == [".skops"]
