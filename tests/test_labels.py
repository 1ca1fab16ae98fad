"""Several labels: each is a binary classification of its own, and all are columns of one model."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import MultiLabelBinarizer

from skvariants import SGDVariantClassifier
from skvariants._data.labels import LabelColumns, LabelCounts, Labelling, several
from skvariants.diagnostics import diagnose
from skvariants.losses import LOSSES, Hinge, LogLoss
from skvariants.model_selection import BatchedGridSearchCV, BatchedHalvingSearchCV
from skvariants.solvers import SOLVERS

EXACT = {"tol": 1e-10, "alpha": 1e-3}
WEIGHTS = [None, "balanced", {0: 0.5, 1: 3.0}]
N_LABELS = 4


@pytest.fixture(scope="module")
def X():
    return _data()[0]


@pytest.fixture(scope="module")
def Y():
    return _data()[1]


def _data():
    return make_multilabel_classification(240, 8, n_classes=N_LABELS, n_labels=2, random_state=0)


def _alone(model, X, Y, **params):
    """A fit of each label by itself."""
    return [clone(model).fit(X, Y[:, j], **params) for j in range(Y.shape[1])]


def _decisions(models, X):
    return np.column_stack([model.decision_function(X) for model in models])


# ------------------------------------------------------------------ the model


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("loss", [
    "log_loss", "hinge",
    *(pytest.param(name, marks=pytest.mark.slow) for name in LOSSES if name not in ("log_loss", "hinge", "perceptron")),
])  # fmt: skip
def test_columns_are_the_fits_of_single_labels(X, Y, loss, weight):
    if not (LOSSES[loss].smooth or LOSSES[loss].has_ramps):
        pytest.skip(f"{loss} is learned by steps, whose end is that of all labels")
    tol = 1e-6 if LOSSES[loss].piecewise_linear else 1e-10
    model = SGDVariantClassifier(loss, class_weight=weight, alpha=1e-3, tol=tol)
    try:
        alone = _alone(model, X, Y)
    except ValueError:  # no loss of labels
        pytest.skip(f"{loss} is not defined for labels")
    assert_allclose(model.fit(X, Y).decision_function(X), _decisions(alone, X), atol=2e-4)
    assert model.status_ == "converged"


@pytest.mark.parametrize("weight", [None, "balanced"])
def test_the_optimum_is_that_of_one_logistic_regression_a_label(X, Y, weight, rng_weight):
    C = 1 / (EXACT["alpha"] * rng_weight.sum())
    if weight is not None:  # a label's own weights have mean one here, scikit-learn's have for equal sample weights
        rng_weight = np.ones(len(X))
        C = 1 / (EXACT["alpha"] * len(X))
    model = SGDVariantClassifier(class_weight=weight, **EXACT).fit(X, Y, sample_weight=rng_weight)
    for j in range(N_LABELS):
        one = LogisticRegression(C=C, class_weight=weight, tol=1e-10, max_iter=5000)
        one.fit(X, Y[:, j], sample_weight=rng_weight)
        assert_allclose(model.predict_proba(X)[:, j], one.predict_proba(X)[:, 1], atol=1e-5)


@pytest.fixture
def rng_weight():
    return np.random.default_rng(0).uniform(0.5, 2, 240)


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("solver", [
    "adam", "pa1", "sgd",
    *(pytest.param(name, marks=pytest.mark.slow) for name in SOLVERS if name not in ("auto", "adam", "sgd")),
])  # fmt: skip
def test_solvers_take_the_steps_that_single_labels_take(X, Y, solver, weight):
    """With a given step and the same order of rows, columns do not see each other."""
    if weight is not None and solver in ("implicit", "nag"):
        pytest.skip("a weight of a row is a longer step there, and that of a label a steeper loss")
    params = {"max_iter": 3, "tol": None, "random_state": 0, "class_weight": weight, "eta0": 1e-3}
    params |= {"solver": solver, "batch_size": 16, "scale_features": False}
    if solver == "pa1" or "passive" in solver:
        params |= {"loss": "hinge", "batch_size": 1, "eta0": "auto"}
        params |= {"solver": "auto", "learning_rate": "pa1"} if solver == "pa1" else {}
    model = SGDVariantClassifier(**params)
    try:
        alone = _alone(model, X, Y)
    except ValueError as error:  # a solver without steps, or without a step that could be given
        pytest.skip(str(error))
    z = _decisions(alone, X)
    assert_allclose(model.fit(X, Y).decision_function(X), z, rtol=1e-9, atol=1e-9 * np.abs(z).max())


def test_dense_and_sparse_features_and_a_warm_start_are_the_same(X, Y):
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.6, 0.0, X)
    for params in ({}, {"solver": "adam", "tol": None}):
        params = {"class_weight": "balanced", "random_state": 0, **params}
        whole = SGDVariantClassifier(max_iter=9, **params)
        halves = SGDVariantClassifier(max_iter=4, warm_start=True, **params)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole.fit(X, Y)
            halves.fit(X, Y)
            pickle.loads(pickle.dumps(halves)).set_params(max_iter=5).fit(X, Y)
            halves.set_params(max_iter=5).fit(X, Y)
            of_sparse = clone(whole).fit(sp.csr_array(X), Y)
        assert_array_equal(halves.coef_, whole.coef_)
        assert_allclose(of_sparse.decision_function(X), whole.decision_function(X), atol=1e-3)


# ------------------------------------------------------------------ what is given and what comes back


@pytest.mark.parametrize("given", [
    np.asarray, lambda Y: Y.tolist(), list, lambda Y: Y.astype(bool), lambda Y: Y.astype(float), pd.DataFrame,
    sp.csr_matrix, sp.coo_array, sp.csc_array,
], ids=["array", "lists", "rows", "bool", "float", "frame", "csr_matrix", "coo_array", "csc_array"])  # fmt: skip
def test_any_table_of_zeros_and_ones_is_taken_and_predictions_are_as_scikit_learns(X, Y, given):
    model, ours = SGDVariantClassifier(random_state=0), given(Y)
    theirs = OneVsRestClassifier(LogisticRegression(max_iter=5000)).fit(X, ours)
    expected = clone(model).fit(X, Y)
    assert_array_equal(model.fit(X, ours).coef_, expected.coef_)
    predicted, reference = model.predict(X), theirs.predict(X)
    assert type(predicted) is type(reference)
    assert predicted.dtype == reference.dtype
    dense = predicted.toarray() if sp.issparse(predicted) else predicted
    assert_array_equal(dense, model.decision_function(X) > 0)
    assert_array_equal(dense, model.predict_proba(X) > 0.5)
    assert_array_equal(model.classes_, theirs.classes_)
    assert model.coef_.shape == (N_LABELS, X.shape[1])
    assert model.predict_proba(X).shape == theirs.predict_proba(X).shape
    assert model.score(X, ours) == accuracy_score(Y, dense)
    assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X))


@pytest.mark.parametrize("y", [
    [["a", "b"], ["a"]], [("a", "b"), ("c", "d")], [{1}, {2}], [[1], [2, 3]], [["a", "b"], []],
    np.array([["a"], ["b", "c"]], dtype=object), pd.Series([["a"], ["b", "c"]]),
], ids=str)  # fmt: skip
def test_lists_of_labels_are_refused_with_the_remedy(X, y):
    with pytest.raises(ValueError, match=r"^y holds lists of labels.*MultiLabelBinarizer"):
        SGDVariantClassifier().fit(X[:2], y)
    table = MultiLabelBinarizer().fit_transform(list(y))
    SGDVariantClassifier().fit(X[:2], table)


@pytest.mark.parametrize(("change", "words"), [
    (lambda Y: Y + 1, r"y has 4 columns and holds 2, and .*MultiOutputClassifier"),
    (lambda Y: -Y, r"y has 4 columns and holds -1, and"),
    (lambda Y: Y * 0.5, r"y has 4 columns and holds 0.5, and"),
    (lambda Y: Y.astype(str).astype(object), r"y has 4 columns and holds '[01]', and"),
    (lambda Y: np.where(Y == 0, np.nan, Y), r"y contains NaN \(first in the column 0, row 1, .*\. Give a table of 0"),
    (lambda Y: sp.csr_array(2 * Y), r"y has 4 columns and holds 2, and"),
    (lambda Y: sp.csr_array(Y[:, :1]), r"y is a sparse matrix of shape \(240, 1\).*as an array"),
    (lambda Y: Y[:, :, None], r"y is not accepted"),
])  # fmt: skip
def test_what_is_no_table_of_labels_is_refused_by_a_sentence(X, Y, change, words):
    with pytest.raises(ValueError, match=words):
        SGDVariantClassifier().fit(X, change(Y))


def test_a_column_of_one_label_is_still_a_column_of_classes(X, Y):
    assert not several([["a"], ["b"]])
    assert not several(pd.Series(["a", "b"]))
    assert not several([])
    with pytest.warns(match="column-vector"):
        model = SGDVariantClassifier().fit(X, Y[:, :1])
    assert model.coef_.shape == (1, X.shape[1])


@pytest.mark.parametrize(("params", "words"), [
    ({"class_weight": {2: 1.0}}, r"class_weight=\{2: 1.0\} is not accepted for several labels: give weights of 0"),
    ({"class_weight": {1: 0}}, r"class_weight=\{1: 0\} is not accepted for several labels"),
    ({"multi_class": "multinomial"}, r"multi_class='multinomial' is for classes .* 'ovr' for several labels"),
])  # fmt: skip
def test_parameters_that_are_not_for_several_labels_are_refused(X, Y, params, words):
    for learn in (SGDVariantClassifier(**params).fit, SGDVariantClassifier(**params).partial_fit):
        with pytest.raises(ValueError, match=words):
            learn(X, Y)


# ------------------------------------------------------------------ labels without a question


@pytest.mark.parametrize("params", [
    {}, {"loss": "modified_huber"}, {"fit_intercept": False}, {"solver": "adam"}, {"class_weight": "balanced"},
    {"early_stopping": True}, {"loss": "hinge"},
], ids=str)  # fmt: skip
def test_a_label_that_all_rows_have_or_none_is_predicted_so(X, Y, params):
    Y = Y.copy()
    Y[:, 0], Y[:, 1] = 0, 1
    model = SGDVariantClassifier(random_state=0, **params).fit(X, Y)
    assert_array_equal(model.predict(X)[:, :2], Y[:, :2])
    assert_array_equal(model.coef_[:2], 0)
    assert np.isfinite(model.intercept_).all()
    if hasattr(model, "predict_proba"):
        assert_array_equal(model.predict_proba(X)[:, :2], Y[:, :2])
    if not params.keys() & {"early_stopping", "solver"}:
        both, rest = (clone(model).set_params(tol=1e-8).fit(X, T) for T in (Y, Y[:, 2:]))
        assert_allclose(both.decision_function(X)[:, 2:], rest.decision_function(X), atol=1e-3)
    for constant in (np.zeros_like(Y), np.ones_like(Y)):
        assert model.fit(X, constant).status_ == "converged"
        assert_array_equal(model.predict(X), constant)
    # rows of weight zero say nothing
    weight = (Y[:, 2] == 1).astype(float)
    assert model.fit(X, Y, sample_weight=weight).predict(X)[:, 2].all()


def test_a_warm_start_learns_a_label_that_was_constant(X, Y):
    constant = Y.copy()
    constant[:, 0], constant[:, 1] = 0, 1
    expected = SGDVariantClassifier(tol=1e-8).fit(X, Y).predict_proba(X)
    model = SGDVariantClassifier(warm_start=True, tol=1e-8).fit(X, constant)
    goes_on = pickle.loads(pickle.dumps(model)).fit(X, Y)
    from_coefficients = model.set_params(alpha=2e-4).fit(X, constant).set_params(alpha=1e-4).fit(X, Y)
    for again in (goes_on, from_coefficients):
        assert_allclose(again.predict_proba(X), expected, atol=1e-4)


# ------------------------------------------------------------------ searches and early stopping


@pytest.mark.parametrize("weight", WEIGHTS)
def test_a_search_scores_candidates_as_their_own_fits(X, Y, weight):
    model = SGDVariantClassifier(class_weight=weight, random_state=0)
    grid = {"alpha": [1e-3, 1.0], "loss": ["log_loss", "hinge"]}
    ours = BatchedGridSearchCV(model, grid, cv=3, return_train_score=True).fit(X, Y)
    theirs = GridSearchCV(model, grid, cv=3, return_train_score=True).fit(X, Y)
    for name in ("mean_test_score", "mean_train_score"):
        assert_allclose(ours.cv_results_[name], theirs.cv_results_[name], atol=0.02)
    of_sparse = BatchedGridSearchCV(model, grid, cv=3).fit(X, sp.coo_array(Y))
    assert_array_equal(of_sparse.cv_results_["mean_test_score"], ours.cv_results_["mean_test_score"])
    assert sp.issparse(of_sparse.predict(X))
    assert ours.predict(X).shape == Y.shape


def test_weights_and_margins_may_differ_between_the_candidates_of_a_matrix(X, Y):
    grid = {
        "loss": [Hinge(threshold=0.5), Hinge(threshold=1.0)],
        "solver": ["adam"],
        "class_weight": [None, "balanced"],
    }
    model = SGDVariantClassifier(random_state=0, eta0=0.01, max_iter=20, tol=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = BatchedGridSearchCV(model, grid, cv=3, scoring="f1_macro").fit(X, Y)
        for params, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
            own = cross_val_score(clone(model).set_params(**params), X, Y, cv=3, scoring="f1_macro")
            assert score == pytest.approx(own.mean(), abs=1e-12)


def test_halving_searches_several_labels(X, Y):
    model = SGDVariantClassifier(solver="adam", class_weight="balanced", random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = BatchedHalvingSearchCV(model, {"alpha": [1e-4, 1e-2, 1.0, 100.0]}, cv=3).fit(X, Y)
    assert search.best_params_["alpha"] < 100
    assert search.predict(X).shape == Y.shape


def test_early_stopping_scores_whole_rows(X, Y):
    model = SGDVariantClassifier(solver="adam", early_stopping=True, random_state=0)
    model.fit(X[:180], Y[:180], X_val=X[180:], y_val=Y[180:])
    assert max(model.validation_scores_) == model.score(X[180:], Y[180:])
    model.fit(X, Y)
    assert len(model.validation_scores_) == model.n_iter_


# ------------------------------------------------------------------ streams


@pytest.mark.parametrize("params", [
    {}, {"loss": "hinge"}, {"solver": "adagrad", "eta0": 0.1}, {"forgetting": "auto"},
], ids=str)  # fmt: skip
def test_a_stream_learns_labels_as_streams_of_single_labels_do(X, Y, params):
    model = SGDVariantClassifier(random_state=0, **params)
    alone = [clone(model) for _ in range(N_LABELS)]
    for first in range(0, len(X), 40):
        part = slice(first, first + 40)
        model.partial_fit(X[part], Y[part])
        for j, one in enumerate(alone):
            one.partial_fit(X[part], Y[part, j], classes=[0, 1])
    z = _decisions(alone, X)
    assert_allclose(model.decision_function(X), z, atol=0.02 * np.abs(z).max())
    assert 0 < model.progressive_score_ < 1
    pickle.loads(pickle.dumps(model)).partial_fit(X, sp.csr_array(Y), classes=np.arange(N_LABELS))


def test_a_stream_weighs_the_classes_of_each_label(X, Y):
    batch = SGDVariantClassifier(class_weight="balanced", tol=1e-8).fit(X, Y).decision_function(X)
    stream = SGDVariantClassifier(class_weight="balanced")
    for first in range(0, len(X), 40):
        stream.partial_fit(X[first : first + 40], Y[first : first + 40])
    plain = SGDVariantClassifier(tol=1e-8).fit(X, Y).decision_function(X)
    assert np.abs(stream.decision_function(X) - batch).mean() < 0.3 * np.abs(plain - batch).mean()


def test_a_label_that_comes_late_is_learned(X, Y):
    late = Y.copy()
    late[:120, 0], late[:120, 1] = 0, 1
    model = SGDVariantClassifier()
    for first in range(0, 120, 40):
        model.partial_fit(X[first : first + 40], late[first : first + 40])
    z = model.decision_function(X)
    assert (z[:, 0] < 0).all()
    assert (z[:, 1] > 0).all()
    assert np.abs(z).max() < 20
    for first in range(120, 240, 40):
        model.partial_fit(X[first : first + 40], late[first : first + 40])
    batch = SGDVariantClassifier().fit(X, late).decision_function(X)
    assert_allclose(model.decision_function(X).mean(axis=0), batch.mean(axis=0), atol=0.3)
    # a fit that knew one side only can be gone on with
    after = SGDVariantClassifier().fit(X[:120], late[:120]).partial_fit(X[120:], Y[120:])
    assert np.abs(after.intercept_).max() < 20


def test_what_a_stream_of_labels_cannot_do_is_said(X, Y):
    model = SGDVariantClassifier().partial_fit(X, Y)
    for y, words in (
        (Y[:, 0], r"y holds one label for each row, and the model was fitted with 4 labels"),
        (Y[:, :3], r"y has 3 labels \(columns\), but the model was fitted with 4"),
    ):
        with pytest.raises(ValueError, match=words):
            model.partial_fit(X, y)
    with pytest.raises(ValueError, match=r"classes=\[0, 1\] is not accepted: several labels are the columns of y"):
        SGDVariantClassifier().partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"on_new_class='grow' is for one label a row"):
        SGDVariantClassifier(on_new_class="grow").partial_fit(X, Y)
    with pytest.raises(ValueError, match=r"y has 4 columns, and the model was fitted with the classes"):
        SGDVariantClassifier().partial_fit(X, Y[:, 0], classes=[0, 1]).partial_fit(X, Y)


# ------------------------------------------------------------------ diagnoses


def test_a_diagnosis_knows_several_labels(X, Y):
    report = diagnose(X, Y, race=True, race_samples=100, random_state=0)
    assert report.loss == "log_loss"
    shares = Y.mean(axis=0)
    assert report.facts.smallest_class == pytest.approx(np.minimum(shares, 1 - shares).min())
    assert diagnose(X, 1 - Y).facts.smallest_class == pytest.approx(report.facts.smallest_class)
    assert f"{N_LABELS} labels, the rarest" in str(report)
    assert "  2 labels, the rarest" in str(diagnose(X, Y[:, :2]))
    assert report.race.objectives.min() < report.race.constant
    of_sparse = diagnose(X, sp.csr_array(Y), race=True, race_samples=100, random_state=0)
    assert of_sparse.facts == report.facts
    assert diagnose(X, Y * 1.5).loss == "squared_error"


# ------------------------------------------------------------------ parts


def test_columns_are_signs_and_their_summary_counts_them(Y):
    task = Labelling().learn(Y.astype(np.int8), LogLoss())
    encoding, weight = task.encoding(np.float32), np.random.default_rng(0).random(len(Y))
    stored = task.stored(task.as_rows(Y), np.float32)
    columns = encoding.expand(stored)
    assert_array_equal(columns, np.where(Y == 1, 1.0, -1.0))
    some = encoding.take(np.array([2, 0]))
    assert_array_equal(some.expand(stored), columns[:, [2, 0]])
    for w in (None, weight):
        for part, Z in ((encoding, Y), (some, Y[:, [2, 0]])):
            y, s = part.summary(stored, w)
            mass = np.ones(len(Y)) if w is None else w
            assert_allclose((s * (y > 0)).sum(axis=0), mass @ Z)
            assert_allclose(s.sum(axis=0), mass.sum())
    assert isinstance(encoding, LabelColumns)


@pytest.mark.parametrize("weight", ["balanced", {0: 2.0}, {0: 1.0, 1: 5.0}])
def test_weights_of_labels_have_mean_one_and_the_ratio_asked_for(weight):
    totals = np.array([[10.0, 0.0, 5.0, 1.0], [30.0, 40.0, 0.0, 39.0]])
    absent, present = LabelCounts(totals).weights(weight)
    assert_allclose((totals * [absent, present]).sum(axis=0), totals.sum(axis=0))
    ratio = totals[0] / totals[1].clip(1) if weight == "balanced" else weight.get(1, 1.0) / weight.get(0, 1.0)
    both = (totals > 0).all(axis=0)
    assert_allclose((present / absent)[both], np.broadcast_to(ratio, 4)[both])
    assert_array_equal(LabelCounts(totals).settled, [0, 1, -1, 0])


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "perceptron"])
def test_a_weighted_loss_is_the_loss_times_the_weight_of_the_label(name):
    loss = LOSSES[name]()
    if not (1.0 in loss.domain and -1.0 in loss.domain):
        pytest.skip(f"{name} is not defined for labels")
    rng = np.random.default_rng(0)
    y, z, s = rng.choice([-1.0, 1.0], (30, 2)), 2 * rng.standard_normal((30, 2)), rng.random((30, 1))
    absent, present = np.array([0.5, 2.0]), np.array([3.0, 1.0])
    weighted, w = loss.weighted(absent, present), np.where(y > 0, present, absent)
    assert_allclose(weighted.value(y, z), w * loss.value(y, z))
    r = weighted.gradient(y, z, np.empty_like(z))
    assert_allclose(r, w * loss.gradient(y, z, np.empty_like(z)))
    assert_allclose(weighted.total(y, z, s, r), (s * weighted.value(y, z)).sum(axis=0))
    assert_allclose(weighted.second_derivative(y, z), w * loss.second_derivative(y, z))
    assert_allclose(weighted.fit_intercept_only(y, s * np.ones_like(y)), loss.fit_intercept_only(y, s * w))
    assert weighted.smooth is loss.smooth
    assert weighted.has_ramps is loss.has_ramps
    one = weighted.take(np.array([1]))
    assert_allclose(one.value(y[:, 1:], z[:, 1:]), weighted.value(y, z)[:, 1:])
    # Fenchel: equality at the slope itself
    conjugate = weighted.conjugate(y, r)
    if conjugate is not None:
        assert_allclose(conjugate, r * z - weighted.value(y, z), atol=1e-12)
    if weighted.has_ramps:
        rebuilt = np.zeros_like(z)
        for position, low, high, width in weighted.ramps(y):
            u = np.linspace(-30, 30, 60001)[:, None, None]
            u = np.clip(u, np.broadcast_to(low, z.shape), np.broadcast_to(high, z.shape))
            rebuilt += (u * (z - position) - 0.5 * width * u**2).max(axis=0)
        assert_allclose(rebuilt, weighted.value(y, z), atol=1e-3)
