"""Streams as online users meet them: classes, weights, passes, scores, and every form of a chunk."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.metrics import accuracy_score, hinge_loss, log_loss, mean_squared_error, r2_score

from _references import asked, refuses
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._data.scaling import Moments
from skvariants._data.tasks import Binary, ClassCounts, Classification, OneClass, OneVsRest, Softmax
from skvariants._data.validate import Header
from skvariants._stream.progress import BINS, Progress, Scored
from skvariants.displays import ProgressDisplay
from skvariants.losses import Hinge, LogLoss
from skvariants.solvers import SOLVERS

NAMES = ["auto", *SOLVERS]
# a step that is the same whatever the rows: what a stream does is then known
PLAIN = dict(
    solver="minibatch", learning_rate="constant", eta0=0.1, scale_features=False, shuffle=False, batch_size=20,
    random_state=0,
)  # fmt: skip


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def X(rng):
    return rng.standard_normal((120, 4))


@pytest.fixture
def y(X):
    return (X @ [[1, -1, 0], [0, 1, -1], [2, 0, -2], [0, 0, 0]]).argmax(axis=1)


def chunks(n, size):
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def taught(model, X, y, size=20, **params):
    """The model after a stream; steps that are too large for a chunk are another test's business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for rows in chunks(len(y), size):
            model.partial_fit(X[rows], y[rows], **params)
    return model


def everything(model):
    """All that an estimator holds, as bytes."""
    return pickle.dumps({**model.__getstate__()})


# ---------------------------------------------------------------------- balanced classes


@pytest.mark.parametrize("solver", ["auto", "sgd", "minibatch", "adam"])
@pytest.mark.parametrize("own", [False, True])
def test_balanced_weights_come_from_the_rows_so_far(X, y, rng, solver, own):
    weight = rng.random(len(y)) if own else np.ones(len(y))
    names = np.array(["pear", "fig", "apple"])[y]
    model = SGDVariantClassifier(solver=solver, random_state=0)
    balanced, by_hand = clone(model).set_params(class_weight="balanced"), clone(model)
    for rows in chunks(len(y), 30):
        totals = {label: weight[: rows.stop][names[: rows.stop] == label].sum() for label in np.unique(names)}
        of_class = {label: sum(totals.values()) / 3 / total for label, total in totals.items()}
        product = weight[rows] * np.array([of_class[label] for label in names[rows]])
        balanced.partial_fit(
            X[rows], names[rows], classes=np.unique(names), sample_weight=weight[rows] if own else None
        )  # fmt: skip
        by_hand.partial_fit(X[rows], names[rows], classes=np.unique(names), sample_weight=product)
    assert_allclose(balanced.coef_, by_hand.coef_, rtol=1e-8, atol=1e-10)
    assert_allclose(balanced.intercept_, by_hand.intercept_, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("solver", ["auto", "adam", "minibatch"])
def test_a_stream_says_that_it_is_one(X, y, solver):
    model = SGDVariantClassifier(solver=solver).partial_fit(X, y, classes=np.unique(y))
    assert model.status_ == "streaming"
    assert model.partial_fit(X, y).status_ == "streaming"
    assert SGDVariantRegressor(solver=solver).partial_fit(X, X[:, 0]).status_ == "streaming"


def test_counts_are_those_of_fit_and_of_all_chunks_and_can_be_forgotten(X, y):
    model = SGDVariantClassifier(solver="adam", max_iter=2, tol=None, class_weight={0: 5.0}).fit(X, y)
    model = pickle.loads(pickle.dumps(model)).partial_fit(X[:30], y[:30], sample_weight=2.0)
    task = model._task
    assert_allclose(task.counts.totals, np.bincount(y) + 2 * np.bincount(y[:30]))
    assert_allclose(task.forget(0.25).counts.totals, task.counts.totals / 4)
    assert SGDVariantRegressor().fit(X, y)._task.forget(0.5) == SGDVariantRegressor().fit(X, y)._task


def test_balanced_weights_give_classes_with_rows_the_same_total():
    counts = ClassCounts(np.array([1.0, 0.0, 3.0]))
    assert_allclose(counts.balanced() * counts.totals, [2, 0, 2])
    assert_allclose(counts.spread(np.array([0, 2, 3]), 4).totals, [1, 0, 0, 3])
    assert_allclose(counts.added(np.array([1, 1, 1])).totals, [2, 1, 4])


def test_a_rare_class_is_found_where_its_weight_is_balanced(rng):
    X = rng.standard_normal((2000, 3))
    y = (X[:, 0] + rng.standard_normal(2000) > 2.5).astype(int)
    plain = taught(SGDVariantClassifier(random_state=0), X, y, 100, classes=[0, 1])
    balanced = taught(SGDVariantClassifier(class_weight="balanced", random_state=0), X, y, 100, classes=[0, 1])
    assert balanced.predict(X)[y == 1].mean() > plain.predict(X)[y == 1].mean() + 0.3


# ---------------------------------------------------------------------- new classes


@pytest.mark.parametrize("multi_class", ["auto", "ovr"])
@pytest.mark.parametrize("solver", NAMES)
def test_classes_that_are_all_in_the_first_chunk_need_no_list(X, y, solver, multi_class):
    model = SGDVariantClassifier(**asked(solver), multi_class=multi_class, random_state=0)
    told = taught(clone(model), X, y, 40, classes=[0, 1, 2])
    grown = taught(clone(model).set_params(on_new_class="grow"), X, y, 40)
    assert_array_equal(grown.coef_, told.coef_)
    assert_array_equal(grown.intercept_, told.intercept_)


@pytest.mark.parametrize(
    "loss",
    [
        "log_loss",
        "hinge",
        *(pytest.param(x, marks=pytest.mark.slow) for x in ("modified_huber", "perceptron", "squared_error")),
    ],
)
@pytest.mark.parametrize("solver", NAMES)
def test_a_label_adds_a_column_whatever_the_solver(X, y, loss, solver):
    if solver in SOLVERS and refuses(solver, loss):
        pytest.skip("does not take this loss")
    model = SGDVariantClassifier(loss, solver=solver, on_new_class="grow", random_state=0)
    order = np.argsort(y, kind="stable")
    for rows in np.array_split(order, 6):
        taught(model, X[rows], y[rows])
        assert_array_equal(model.classes_, np.unique(y[order[: np.flatnonzero(order == rows[-1])[0] + 1]]))
        assert set(model.predict(X)) <= set(model.classes_)
        assert np.isfinite(model.coef_).all()
        assert model.coef_.shape == (1 if len(model.classes_) < 3 else 3, 4)
        if hasattr(model, "predict_proba"):
            assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    assert pickle.loads(pickle.dumps(model)).partial_fit(X, y).score(X, y) == model.partial_fit(X, y).score(X, y)


@pytest.mark.parametrize("size", [2, 10])
def test_a_model_that_grew_ends_as_well_as_one_that_was_told(size):
    X, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order], y[order]
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = SGDVariantClassifier(solver="adagrad", eta0=0.3, scale_features=True, random_state=0)
    told = taught(clone(model), X, names, size, classes=np.unique(names))
    grown = taught(clone(model).set_params(on_new_class="grow"), X, names, size)
    assert grown.score(X, names) > told.score(X, names) - 0.03


@pytest.mark.parametrize("new", ["a", "bb", "c", "z"])
def test_odds_of_the_old_classes_stay_and_new_ones_are_rare(X, rng, new):
    old = Binary(np.array(["b", "d"]), counts=ClassCounts(np.array([30.0, 60.0])))
    asked = Classification(on_new_class="grow")
    task = asked.extended(old, np.array([new]), LogLoss()).counted(np.array([1]), None)
    coef, intercept = 5 * rng.standard_normal((1, 4)), np.array([3.0])
    weights, columns = task.grown(old, LogLoss(), coef, intercept, X)
    p = softmax(X @ weights.T + columns, axis=1)
    before = (X @ coef.T + intercept)[:, 0]
    b, d, at = (list(task.classes).index(label) for label in ("b", "d", new))
    assert_allclose(np.log(p[:, d] / p[:, b]), before, atol=1e-9)
    assert (p[:, at] <= 0.5 / 90).all()
    # several classes: their columns as they are
    third = asked.extended(task, np.array(["y"]), LogLoss())
    more, constants = third.grown(task, LogLoss(), weights, columns, X)
    assert_array_equal(more[np.isin(third.classes, task.classes)], weights)
    assert softmax(X @ more.T + constants, axis=1)[:, list(third.classes).index("y")].max() < 0.02


def test_one_vs_rest_decides_between_the_old_classes_as_before(X, rng):
    old = Binary(np.array([3, 5]), counts=ClassCounts(np.array([30.0, 60.0])))
    task = Classification("ovr", on_new_class="grow").extended(old, np.array([4, 3]), Hinge())
    assert isinstance(task, OneVsRest)
    assert_array_equal(task.classes, [3, 4, 5])
    coef, intercept = rng.standard_normal((1, 4)), np.array([0.5])
    weights, columns = task.grown(old, Hinge(), coef, intercept, X)
    before = old.decode(X @ coef.T + intercept, Hinge())
    assert_array_equal(task.decode(X @ weights.T + columns, Hinge()), before)


def test_what_multi_class_says_decides_what_two_classes_become():
    old = Binary(np.array([0, 1]))
    for name, loss, kind in (("auto", LogLoss(), Softmax), ("ovr", LogLoss(), OneVsRest), ("auto", Hinge(), OneVsRest)):
        assert type(Classification(name, on_new_class="grow").extended(old, np.array([2]), loss)) is kind
    assert Classification(on_new_class="grow").extended(old, np.array([1]), LogLoss()) is old
    assert Classification().extended(old, np.array([7]), LogLoss()) is old


def test_a_new_class_of_next_to_no_weight_leaves_the_model_as_it_was(X, y):
    rows = y < 2
    model = SGDVariantClassifier(on_new_class="grow", **PLAIN)
    taught(model, X[rows], y[rows])
    before = model.predict_proba(X)
    model.partial_fit(X[~rows][:1], y[~rows][:1], sample_weight=1e-6)
    after = model.predict_proba(X)
    assert_allclose(after[:, :2] / after[:, :2].sum(axis=1, keepdims=True), before, atol=1e-5)
    assert after[:, 2].max() < 0.01


def test_moments_and_counts_of_the_stream_outlive_a_new_class(X, y):
    order = np.argsort(y, kind="stable")
    X, y = X[order] * 100 + 7, y[order]
    model = taught(SGDVariantClassifier(solver="adagrad", on_new_class="grow", random_state=0), X, y)
    setup = model._state.setup
    assert (setup.n_rows, setup.total_weight) == (len(y), len(y))
    assert_allclose(setup.moments.mean, X.mean(axis=0))
    assert_allclose(model._task.counts.totals, np.bincount(y))


def test_later_calls_may_name_more_classes(X, y):
    model = SGDVariantClassifier(on_new_class="grow", random_state=0).partial_fit(X[y < 2], y[y < 2], classes=[0, 1])
    model.partial_fit(X[y < 2], y[y < 2], classes=[2])
    assert_array_equal(model.classes_, [0, 1, 2])
    assert model.predict_proba(X)[:, 2].max() < 0.1
    first = SGDVariantClassifier(on_new_class="grow", random_state=0).partial_fit(X, y, classes=[0, 1, 2, 3])
    assert_array_equal(first.classes_, [0, 1, 2, 3])
    fitted = SGDVariantClassifier(on_new_class="grow").fit(X, y).partial_fit(X, np.append(y[:-1], 9))
    assert_array_equal(fitted.classes_, [0, 1, 2, 9])


def test_one_class_is_a_model_too(X):
    model = SGDVariantClassifier(on_new_class="grow", random_state=0).partial_fit(X, np.full(len(X), "only"))
    assert isinstance(model._task, OneClass)
    assert set(model.predict(X)) == {"only"}
    assert_array_equal(model.predict_proba(X), np.ones((len(X), 1)))
    assert_array_equal(model.predict_log_proba(X), np.zeros((len(X), 1)))
    assert model.decision_function(X).shape == (len(X),)
    assert model.partial_fit(X, np.full(len(X), "only")).progressive_score_ == 1.0
    with pytest.raises(ValueError, match="greater than one"):
        SGDVariantClassifier(on_new_class="grow").fit(X, np.ones(len(X), int))


def test_unknown_labels_are_an_error_that_names_the_way_out(X, y):
    model = SGDVariantClassifier(random_state=0).partial_fit(X[y < 2], y[y < 2], classes=[0, 1])
    with pytest.raises(
        ValueError,
        match=r"label 2.*pass every label in classes to the first.*or set on_new_class='grow'",
    ):
        model.partial_fit(X, y)
    assert_array_equal(model.set_params(on_new_class="grow").partial_fit(X, y).classes_, [0, 1, 2])
    with pytest.raises(ValueError, match="label '0', which is of another kind than the classes"):
        model.partial_fit(X, y.astype(str))
    with pytest.raises(ValueError, match="on_new_class='shrink' is not accepted: on_new_class must be"):
        SGDVariantClassifier(on_new_class="shrink").partial_fit(X, y)


@pytest.mark.parametrize("grows", ["error", "grow"])
def test_classes_are_any_list_of_labels_of_one_kind(X, y, grows):
    model = SGDVariantClassifier(on_new_class=grows, solver="adam", random_state=0)
    for classes in (
        range(3),
        {2, 1, 0},
        {0: "a", 1: "b", 2: "c"}.keys(),
        pd.Series([2, 0, 1, 1]),
        np.array([0.0, 1, 2]),
    ):
        assert_array_equal(clone(model).partial_fit(X, y, classes=classes).classes_, [0, 1, 2])
    for classes in ([0, 1, np.nan], [[0, 1, 2]], "012", 3, ["0", 1, 2], [None, 1, 2]):
        with pytest.raises(ValueError, match=r"classes=.* is not accepted: give a list of labels, all of them numbers"):
            clone(model).partial_fit(X, y, classes=classes)


def test_class_weights_may_name_classes_to_come(X, y):
    model = SGDVariantClassifier(on_new_class="grow", class_weight={0: 3.0, 2: 5.0}, **PLAIN)
    in_time = SGDVariantClassifier(on_new_class="grow", class_weight={0: 3.0}, **PLAIN)
    for rows in (y < 2, y == 2):
        model.partial_fit(X[rows], y[rows])
        in_time.partial_fit(X[rows], y[rows]).set_params(class_weight={0: 3.0, 1: 1.0, 2: 5.0})
    assert_array_equal(model.coef_, in_time.coef_)
    equal = SGDVariantClassifier(on_new_class="grow", **PLAIN)
    for rows in (y < 2, y == 2):
        equal.partial_fit(X[rows], y[rows])
    assert np.abs(equal.coef_ - model.coef_).max() > 1e-3


# ---------------------------------------------------------------------- nothing to learn, bad calls


@pytest.mark.parametrize("solver", NAMES)
@pytest.mark.parametrize("estimator", [SGDVariantClassifier, SGDVariantRegressor])
def test_weights_that_are_all_zero_change_nothing(X, y, solver, estimator):
    classes = {} if estimator is SGDVariantRegressor else {"classes": [0, 1, 2]}
    model = estimator(**asked(solver, bool(classes)), random_state=0)
    late = clone(model).partial_fit(X, y, sample_weight=np.zeros(len(y)), **classes)
    assert not hasattr(late, "coef_")
    with pytest.raises(NotFittedError):
        late.predict(X)
    taught(model, X, y, **classes)
    assert_array_equal(taught(late, X, y).coef_, model.coef_)  # the classes are kept
    before = everything(model)
    model.partial_fit(X, y, sample_weight=0.0)
    assert everything(model) == before


BAD = {
    "nan": (lambda X, y: (X * np.nan, y, {}), "contains NaN"),
    "features": (lambda X, y: (X[:, :2], y, {}), "X has 2 features"),
    "no rows": (lambda X, y: (X[:0], y[:0], {}), "0 sample"),
    "no sparse rows": (lambda X, y: (sp.csr_matrix(X[:0]), y[:0], {}), "0 sample"),
    "lengths": (lambda X, y: (X, y[:-1], {}), "inconsistent numbers of samples"),
    "negative": (lambda X, y: (X, y, {"sample_weight": -np.ones(len(y))}), "Negative values"),
    "overflow": (lambda X, y: (X, y, {"sample_weight": 1e307}), "sum of `sample_weight` overflows"),
    "words": (lambda X, y: (X, y, {"sample_weight": "heavy"}), "sample_weight of type str is not accepted"),
    "sparse weights": (lambda X, y: (X, y, {"sample_weight": sp.csr_matrix(y)}), "sample_weight of type csr_matrix"),
    "shape": (lambda X, y: (X, y, {"sample_weight": np.ones(3)}), "one weight per row"),
    "targets": (lambda X, y: (X, np.column_stack([y, y, y]), {}), "y has 3 (columns|targets)"),
    "no epoch": (lambda X, y: (X, y, {"n_epochs": 0}), r"n_epochs=0 is not accepted: n_epochs must be an integer"),
    "half an epoch": (lambda X, y: (X, y, {"n_epochs": 1.5}), "n_epochs=1.5 is not accepted"),
    "variance": (lambda X, y: (X * 1e160, y, {}), "so large values that their variance overflows"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("estimator", [SGDVariantClassifier, SGDVariantRegressor])
def test_a_call_that_fails_leaves_the_model_as_it_was(X, y, kind, estimator):
    model = estimator(random_state=0)
    classes = {} if estimator is SGDVariantRegressor else {"classes": [0, 1, 2]}
    taught(model, X, y, **classes)
    before = everything(model)
    change, message = BAD[kind]
    Z, t, arguments = change(X, y)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(Z, t, **arguments)
    assert everything(model) == before
    alpha = model.alpha
    for bad in ({"alpha": -1.0}, {"solver": "newton"}, {"loss": "zero"}, {"early_stopping": True}):
        model.set_params(**bad)
        with pytest.raises(ValueError, match=r"is not accepted|is not one of|should be False with partial_fit"):
            model.partial_fit(X, y)
        model.set_params(alpha=alpha, solver="auto", loss=estimator().loss, early_stopping=False)
        assert everything(model) == before


def test_other_columns_of_a_table_are_an_error(X, y):
    table = pd.DataFrame(X, columns=list("abcd"))
    model = SGDVariantClassifier(random_state=0).partial_fit(table, y, classes=[0, 1, 2])
    model.partial_fit(table, y)
    for other in (table[list("badc")], table.rename(columns={"a": "A"})):
        with pytest.raises(ValueError, match="feature names should match"):
            model.partial_fit(other, y)


# ---------------------------------------------------------------------- every form of a chunk


def long_indices(X):
    A = sp.csr_matrix(X)
    A.indices, A.indptr = A.indices.astype(np.int64), A.indptr.astype(np.int64)
    return A


FORMS = {
    "csr": sp.csr_matrix, "csr array": sp.csr_array, "csc": sp.csc_matrix, "coo": sp.coo_matrix,
    "64-bit indices": long_indices, "fortran": np.asfortranarray, "lists": lambda X: X.tolist(), "table": pd.DataFrame,
    "objects": lambda X: X.astype(object), "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "whole numbers": lambda X: X.astype(int),
}  # fmt: skip
TARGETS = {"binary": lambda y: y % 2, "classes": lambda y: y, "real": lambda y: y * 1.5,
           "several": lambda y: np.column_stack([y, -2.0 * y])}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("solver", ["auto", "adam"])
def test_a_chunk_may_have_any_form(X, y, form, target, solver):
    X, t = np.round(4 * X), TARGETS[target](y)
    classes = {"classes": np.unique(t)} if target in ("binary", "classes") else {}
    estimator = SGDVariantClassifier if classes else SGDVariantRegressor
    plain, other = estimator(solver=solver, random_state=0), estimator(solver=solver, random_state=0)
    for rows in chunks(len(y), 40):
        plain.partial_fit(X[rows], t[rows], **classes)
        other.partial_fit(FORMS[form](X[rows]), t[rows], **classes)
    assert_allclose(other.coef_, plain.coef_, rtol=1e-6, atol=1e-9)
    assert_allclose(other.intercept_, plain.intercept_, rtol=1e-6, atol=1e-9)
    assert other.progressive_score_ == pytest.approx(plain.progressive_score_, rel=1e-6)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_single_precision_is_kept_by_a_stream(X, y, form):
    model = SGDVariantClassifier(random_state=0, on_new_class="grow")
    for rows in chunks(len(y), 20):
        labels = y[rows] if rows.start else y[rows] % 2
        model.partial_fit(form(X[rows].astype(np.float32)), labels)
    assert model.coef_.dtype == np.float32
    assert 0.3 < model.progressive_score_ <= 1


def test_one_column_of_targets_is_warned_of(X, y):
    for model in (SGDVariantClassifier(on_new_class="grow"), SGDVariantRegressor()):
        with pytest.warns(DataConversionWarning, match="column-vector y"):
            model.partial_fit(X, y[:, None])
        assert model.partial_fit(X, y).predict(X).shape == (len(y),)


def test_one_weight_counts_as_one_for_each_row(X, y):
    one = taught(SGDVariantRegressor(solver="adam", random_state=0), X, y, sample_weight=3.0)
    for size in (20,):
        each = SGDVariantRegressor(solver="adam", random_state=0)
        for rows in chunks(len(y), size):
            each.partial_fit(X[rows], y[rows], sample_weight=np.full(rows.stop - rows.start, 3))
    assert_array_equal(one.coef_, each.coef_)


# ---------------------------------------------------------------------- passes


@pytest.mark.parametrize("solver", [name for name, cls in SOLVERS.items() if cls.method == "steps"])
def test_passes_are_calls_where_nothing_is_counted(X, y, solver):
    params = PLAIN | {"solver": solver, "eta0": 1e-3}
    once, thrice = SGDVariantRegressor(**params), SGDVariantRegressor(**params)
    thrice.partial_fit(X, y, n_epochs=3)
    for _ in range(3):
        once.partial_fit(X, y)
    assert_array_equal(thrice.coef_, once.coef_)
    assert thrice.t_ == once.t_
    assert len(thrice.loss_curve_) == len(once.loss_curve_) == 3


def test_more_passes_learn_more_of_a_chunk(X, y):
    one = SGDVariantClassifier(**PLAIN).partial_fit(X, y, classes=[0, 1, 2])
    ten = SGDVariantClassifier(**PLAIN).partial_fit(X, y, classes=[0, 1, 2], n_epochs=10)
    assert log_loss(y, ten.predict_proba(X)) < log_loss(y, one.predict_proba(X)) - 0.1


# ---------------------------------------------------------------------- scores before learning


def before_learning(model, X, y, predicted, weight=None, size=20, **params):
    """Chunks after the first with what was predicted for them, as a user would do it."""
    seen = []
    for rows in chunks(len(y), size):
        if rows.start:
            seen.append(predicted(model, X[rows]))
        model.partial_fit(X[rows], y[rows], sample_weight=None if weight is None else weight[rows], **params)
    return np.concatenate(seen)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("solver", ["auto", "adam"])
def test_a_classifier_scores_what_it_has_not_learned(X, y, rng, own, solver):
    weight = rng.random(len(y)) if own else None
    late = None if weight is None else weight[20:]
    model = SGDVariantClassifier(solver=solver, class_weight="balanced", random_state=0)
    p = before_learning(model, X, y, lambda m, Z: m.predict_proba(Z), weight, classes=[0, 1, 2])
    curves = model.progressive_scores_
    hits = accuracy_score(y[20:], p.argmax(axis=1), sample_weight=late)
    assert model.progressive_score_ == pytest.approx(hits)
    assert_array_equal(curves["n_rows"], np.arange(20, 101, 20))
    for i, rows in enumerate(chunks(100, 20)):
        w = None if late is None else late[rows]
        assert curves["loss"][i] == pytest.approx(log_loss(y[20:][rows], p[rows], labels=[0, 1, 2], sample_weight=w))
        score = accuracy_score(y[20:][rows], p[rows].argmax(axis=1), sample_weight=w)
        assert curves["score"][i] == pytest.approx(score)


def test_a_hinge_loss_is_that_of_the_decisions(X, y):
    model = SGDVariantClassifier("hinge", random_state=0)
    z = before_learning(model, X, y % 2, lambda m, Z: m.decision_function(Z), classes=[0, 1])
    loss = np.average(model.progressive_scores_["loss"])
    assert loss == pytest.approx(hinge_loss(y[20:] % 2, z))


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_a_regressor_scores_what_it_has_not_learned(X, y, rng, several, own):
    t = np.column_stack([X[:, 0] + rng.standard_normal(120), 5 + X[:, 1], 0 * X[:, 2]]) if several else X[:, 0] + 9
    weight = rng.random(len(y)) if own else None
    late = None if weight is None else weight[20:]
    model = SGDVariantRegressor(random_state=0)
    z = before_learning(model, X, t, lambda m, Z: m.predict(Z), weight)
    expected = r2_score(t[20:], z, sample_weight=late, multioutput="raw_values")
    if several:
        # a target that never changes has no R2: its error is measured by one
        expected[2] = 1 - mean_squared_error(t[20:, 2], z[:, 2], sample_weight=late)
    assert model.progressive_score_ == pytest.approx(expected.mean())
    curves = model.progressive_scores_
    rows = chunks(100, 20)
    loss = [
        np.average((t[20:][r] - z[r]) ** 2 / 2, axis=0, weights=None if late is None else late[r]).sum() for r in rows
    ]
    assert_allclose(curves["loss"], loss)
    weights = [1.0 if late is None else late[r].sum() for r in rows]
    assert np.average(curves["score"], weights=weights) == pytest.approx(model.progressive_score_)


def test_scores_begin_where_there_is_a_model(X, y):
    model = SGDVariantClassifier(random_state=0)
    for name in ("progressive_score_", "progressive_scores_"):
        assert not hasattr(model, name)
        with pytest.raises(AttributeError, match=f"has no {name}: it is there after a call of partial_fit"):
            getattr(clone(model).fit(X, y), name)
    model.partial_fit(X, y, classes=[0, 1, 2])
    assert np.isnan(model.progressive_score_)
    assert {name: len(curve) for name, curve in model.progressive_scores_.items()} == dict(n_rows=0, loss=0, score=0)
    fitted = SGDVariantClassifier(random_state=0).fit(X[:60], y[:60])
    score = fitted.score(X[60:], y[60:])
    assert fitted.partial_fit(X[60:], y[60:]).progressive_score_ == pytest.approx(score)
    assert not hasattr(fitted.fit(X, y), "progressive_score_")
    # nor does another solver end the story
    other = taught(SGDVariantRegressor(solver="adam", random_state=0), X, y).set_params(solver="adagrad")
    assert other.partial_fit(X, y).progressive_scores_["n_rows"][-1] == 220


def test_labels_that_are_new_are_predicted_wrongly(X, y):
    model = SGDVariantClassifier(on_new_class="grow", random_state=0).partial_fit(X[y < 2], y[y < 2])
    model.partial_fit(X[y == 2], y[y == 2])
    assert model.progressive_score_ == 0
    assert np.isfinite(model.progressive_scores_["loss"]).all()


def test_a_wide_sparse_chunk_is_scored_as_a_dense_one(y):
    X = sp.random(120, 30_000, 0.001, "csr", random_state=0)
    models = [SGDVariantClassifier(solver="sgd", eta0=0.1, random_state=0) for _ in range(2)]
    for rows in chunks(120, 40):
        models[0].partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        models[1].partial_fit(X[rows].toarray(), y[rows], classes=[0, 1, 2])
    assert_allclose(models[0].progressive_scores_["loss"], models[1].progressive_scores_["loss"])


def chunk(i, n=3):
    return Scored(n, 2.0 * n, i + 1.0, np.array([i % 3]), Moments(2.0 * n, np.array([1.0 * i]), np.array([0.5])))


def test_bins_are_bounded_and_nothing_is_lost():
    progress, n = Progress(), 5 * BINS + 7
    sizes = []
    for i in range(n):
        assert progress.update(chunk(i)) == pytest.approx((i + 1) / 6)
        sizes.append(len(progress.bins))
    assert max(sizes) == BINS
    assert min(sizes[BINS:]) >= BINS // 2
    assert_allclose(progress.bins.sum(axis=0), [3 * n, 6 * n, n * (n + 1) / 2, sum(i % 3 for i in range(n))])
    assert set(progress.bins[:-1, 0]) == {24}
    curves = progress.curves()
    assert curves["n_rows"][-1] == 3 * n
    assert np.average(curves["loss"], weights=progress.bins[:, 1]) == pytest.approx((n + 1) / 12)
    assert np.average(curves["score"], weights=progress.bins[:, 1]) == pytest.approx(progress.score())


def test_plain_arrays_are_what_the_checks_return(monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 3)), np.arange(40) % 2
    calls = [(X, y), (X.astype(np.float32), y > 0), (X, y * 1.0), (np.asfortranarray(X), y), (X[::2], y[::2])]
    calls += [(X.tolist(), y), (pd.DataFrame(X), y), (X, y[:, None]), (X[:, :2], y), (X[:9], y), (X * np.nan, y)]
    calls += [(X[:0], y[:0]), (X, np.full(40, np.inf)), (np.full((40, 3), 1e308), y)]

    def outcome(X, y, kind):
        model = kind().partial_fit(*start, **({"classes": [0, 1]} if kind is SGDVariantClassifier else {}))
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            try:
                result = model.partial_fit(X, y).coef_.tolist()
            except ValueError as error:
                result = str(error)
        return result, [str(warning.message) for warning in seen]

    start = X[:20] + 1, y[:20]
    for kind in (SGDVariantClassifier, SGDVariantRegressor):
        plain = [outcome(*call, kind) for call in calls]
        with monkeypatch.context() as patch:
            patch.setattr(Header, "_plain", lambda self, X, y: False)
            assert plain == [outcome(*call, kind) for call in calls]


def test_parameters_may_change_between_calls_of_a_stream():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3))
    y = X @ [1.0, 2.0, 3.0]
    model, other = SGDVariantRegressor(), SGDVariantRegressor(alpha=10.0)
    for _ in range(2):
        model.partial_fit(X, y)
        other.partial_fit(X, y)
    assert np.abs(other.coef_).max() < 0.5 * np.abs(model.coef_).max()
    model.set_params(alpha=10.0).partial_fit(X, y)
    assert_allclose(model.coef_, other.partial_fit(X, y).coef_)
    with pytest.raises(ValueError, match="alpha=True"):
        model.set_params(alpha=True).partial_fit(X, y)


@pytest.mark.parametrize("asks", [{"eta0": 0.01}, {"learning_rate": "constant"}, {"average": True}, {"batch_size": 10}])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_stream_goes_on_by_steps_where_they_are_asked_for(asks, n_classes):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((900, 4))
    y = (X @ rng.standard_normal((4, n_classes))).argmax(axis=1)
    model = SGDVariantClassifier(random_state=0).partial_fit(X[:300], y[:300], range(n_classes))
    score, solver = model.score(X, y), model.solver_
    model.set_params(**asks).partial_fit(X[300:600], y[300:600])
    assert type(model.solver_) is not type(solver)
    assert model.score(X, y) > score - 0.05
    back = {name: value for name, value in SGDVariantClassifier().get_params().items() if name in asks}
    model.set_params(**back).partial_fit(X[600:], y[600:])
    assert type(model.solver_) is type(solver)
    assert model.score(X, y) > score - 0.05


def test_progress_is_copied_merged_and_pickled():
    first, second, whole = Progress(), Progress(), Progress()
    for i in range(300):
        whole.update(chunk(i))
        (first if i < 200 else second).update(chunk(i))
    copy, through = first.copy(), pickle.loads(pickle.dumps(first))
    for other in (copy, through):
        for name, curve in first.curves().items():
            assert_array_equal(other.curves()[name], curve)
        assert other.update(chunk(7)) > 0
        assert other.score() != first.score()
    assert first.merge(second) is first
    assert len(first.bins) <= BINS
    assert first.score() == pytest.approx(whole.score())
    assert_allclose(first.bins.sum(axis=0), whole.bins.sum(axis=0))
    assert Progress().merge(second).score() == second.score()
    assert len(second.merge(Progress()).bins) == 100


def test_a_stream_of_any_length_keeps_as_much(X, y):
    model = SGDVariantClassifier(solver="sgd", eta0=0.01, random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    sizes = []
    for i in range(BINS + 20):
        model.partial_fit(X[i % 120 : i % 120 + 1], y[i % 120 : i % 120 + 1])
        sizes.append(len(pickle.dumps(model._state.progress)))
    assert max(sizes) < 40 * BINS
    assert sizes[-1] < max(sizes)
    assert model.progressive_scores_["n_rows"][-1] == BINS + 20


@pytest.mark.parametrize("score", [True, False])
def test_the_display_shows_what_was_scored(X, y, score):
    plt = pytest.importorskip("matplotlib.pyplot")
    models = [taught(SGDVariantClassifier(solver=s, random_state=0), X, y, classes=[0, 1, 2]) for s in ("auto", "adam")]
    display = ProgressDisplay.from_estimators(models, score=score)
    for i, model in enumerate(models):
        curves = model.progressive_scores_
        assert_array_equal(display.lines_[i].get_xdata(), curves["n_rows"])
        assert_array_equal(display.lines_[i].get_ydata(), curves["loss"])
        if score:
            assert_array_equal(display.score_lines_[i].get_ydata(), curves["score"])
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["auto", "adam"]
    assert (display.score_ax_ is not None) == score
    one = ProgressDisplay.from_estimator(models[0], name="mine", log=True)
    assert (one.lines_[0].get_label(), one.ax_.get_yscale()) == ("mine", "log")
    unseen = SGDVariantClassifier().partial_fit(X, y, classes=[0, 1, 2])
    for model in (unseen, SGDVariantClassifier().fit(X, y)):
        with pytest.raises(ValueError, match="no progressive_scores_ to show: .*call partial_fit twice at least"):
            ProgressDisplay.from_estimator(model)
    plt.close("all")


# ---------------------------------------------------------------------- what is remembered


@pytest.mark.parametrize(
    ("forgetting", "expected"),
    [
        (None, lambda n: n),
        (300.0, lambda n: (1 - 0.5 ** (n / 300)) / (1 - 0.5 ** (1 / 300))),
        ("auto", lambda n: np.where(n <= 2000, n, n - 2000 + 6)),  # a rival begins with a row for each parameter
    ],
    ids=["none", "300", "auto"],
)  # fmt: skip
def test_the_history_of_a_stream_says_how_many_rows_are_remembered(rng, capsys, forgetting, expected):
    X = rng.standard_normal((3000, 5))
    y = 3 * X[:, 0] + rng.logistic(size=3000) > 0
    y[2000:] = ~y[2000:]
    model = SGDVariantClassifier(forgetting=forgetting, verbose=1)
    for start in range(0, 3000, 200):
        model.partial_fit(X[start : start + 200], y[start : start + 200], classes=[False, True])
    assert_allclose(model.history_["remembered"], expected(np.arange(200, 3001, 200)), rtol=1e-9)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("memory:")]
    assert lines == ["memory:      now of 206 rows, as what was learned of these predicts better"] * (
        forgetting == "auto"
    )


def test_a_stream_by_steps_does_not_say_what_it_remembers(rng):
    X = rng.standard_normal((100, 3))
    model = SGDVariantClassifier(**PLAIN).partial_fit(X, X[:, 0] > 0, classes=[False, True])
    assert model.history_["remembered"] == [None]


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_a_loss_of_another_link_does_not_go_on_from_the_coefficients(call):
    X, rng = np.random.default_rng(0).standard_normal((60, 3)), np.random.default_rng(1)
    y = rng.poisson(3.0, 60).astype(float)
    model = getattr(SGDVariantRegressor(), call)(X, y)
    before = model.coef_.copy()
    with pytest.raises(ValueError, match=r"loss='poisson' is not accepted, .* \(SquaredError\): call fit"):
        model.set_params(loss="poisson").partial_fit(X, y)
    np.testing.assert_array_equal(model.coef_, before)
    model.set_params(loss="huber").partial_fit(X, y)
    getattr(SGDVariantRegressor("poisson"), call)(X, y).set_params(loss="tweedie").partial_fit(X, y)
