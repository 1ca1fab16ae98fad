"""Tasks: what is stored of targets, what stands in columns, what it decodes to, and how good it is."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import compute_class_weight, compute_sample_weight

from skvariants._component import Interval
from skvariants._data.scaling import Moments
from skvariants._data.tasks import (
    Binary,
    ClassColumns,
    Classification,
    OneHotColumns,
    OneVsRest,
    RealColumns,
    RealTargets,
    Regression,
    SignColumn,
    Softmax,
    check_domain,
    distinct_labels,
    label_codes,
)
from skvariants.losses import Hinge, LogLoss, MultinomialLogLoss, SquaredError

N = 60
WORDS = np.array(["apple", "pear", "plum", "quince"])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


class Counts(SquaredError):
    """A loss of targets that are not negative, on a log scale."""

    domain = Interval(0)
    in_target_units = False

    def inverse_link(self, z):
        return np.exp(z)


# ------------------------------------------------------------------ encodings


@pytest.mark.parametrize(("kind", "low"), [(ClassColumns, -1.0), (OneHotColumns, 0.0)])
def test_columns_of_classes_are_one_hot_or_signs(rng, kind, low):
    codes = rng.integers(0, 4, N)
    expected = np.full((N, 4), low)
    expected[np.arange(N), codes] = 1
    encoding = kind(4, np.float32)
    got = encoding.expand(codes)
    assert got.dtype == np.float32
    assert_array_equal(got, expected)
    columns = np.array([2, 0, 2])
    some = encoding.take(columns)
    assert_array_equal(some.expand(codes[5:9]), expected[5:9][:, columns])
    assert_array_equal(some.take(np.array([1])).expand(codes), expected[:, [0]])
    # too many classes for a table
    many = np.minimum(codes * 700, 2000)
    assert_array_equal(kind(2001).expand(many[:3]).argmax(axis=1), many[:3])
    assert_array_equal(kind(2001).take(many[:3]).expand(many[:3]).diagonal(), 1)


def test_real_columns_are_what_is_stored_and_a_single_one_stands_for_any_number(rng):
    Y = rng.standard_normal((N, 3))
    encoding = RealColumns(3, np.float32)
    assert_array_equal(encoding.expand(Y), Y.astype(np.float32))
    assert_array_equal(encoding.take(np.array([2, 2, 0])).expand(Y), Y[:, [2, 2, 0]].astype(np.float32))
    assert encoding.expand(Y[:, ::-1]).flags.c_contiguous
    for single in (RealColumns(1), SignColumn(1)):
        assert single.take(np.zeros(5, int)) is single


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("encoding", [ClassColumns(4), OneHotColumns(4), SignColumn(1), RealColumns(2)])
def test_a_constant_model_sees_of_the_targets_what_their_summary_says(rng, encoding, weighted):
    y = {SignColumn: rng.choice([-1.0, 1.0], (N, 1)), RealColumns: rng.standard_normal((N, 2))}.get(
        type(encoding), rng.integers(0, 3, N)
    )
    weight = rng.random(N) if weighted else None
    columns, s = encoding.summary(y, weight)
    assert columns.shape == s.shape
    w = np.ones(N) if weight is None else weight
    for function in (np.ones_like, np.exp):
        assert_allclose((function(columns) * s).sum(axis=0), w @ function(encoding.expand(y)))
    if not isinstance(encoding, RealColumns) or isinstance(encoding, SignColumn):
        assert len(columns) <= 4


# ------------------------------------------------------------------ what was learned


def learned(kind, rng):
    """A task, targets of it, and the loss."""
    if kind == "real":
        return RealTargets(2, False), rng.standard_normal((N, 2)), SquaredError()
    if kind == "flat":
        return RealTargets(1), rng.standard_normal((N, 1)), SquaredError()
    y = WORDS[np.arange(N) % (2 if kind == "binary" else 4)]
    loss = Hinge() if kind == "ovr" else LogLoss()
    return Classification().learn(y, loss), y, loss


KINDS = {"binary": Binary, "ovr": OneVsRest, "softmax": Softmax, "real": RealTargets, "flat": RealTargets}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_stored_and_expanded_decodes_to_the_targets(rng, kind):
    task, y, loss = learned(kind, rng)
    assert type(task) is KINDS[kind]
    for dtype in (np.float64, np.float32):
        encoding = task.encoding(dtype)
        columns = encoding.expand(task.stored(y, dtype))
        assert columns.shape == (N, task.n_columns)
        assert columns.dtype == dtype
        decoded = task.decode(columns, task.bind_loss(loss))
        expected = y[:, 0] if kind == "flat" else y
        if task.classification:
            assert_array_equal(decoded, expected)
        else:
            assert_allclose(decoded, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_scikit_learns(rng, kind, weighted):
    task, y, loss = learned(kind, rng)
    weight = rng.random(N) if weighted else None
    z = rng.standard_normal((N, 5, task.n_columns))
    bound = task.bind_loss(loss)
    scores = task.scores(z, y, weight, bound)
    assert scores.shape == (5,)
    metric = accuracy_score if task.classification else r2_score
    for j in range(5):
        expected = metric(y[:, 0] if kind == "flat" else y, task.decode(z[:, j], bound), sample_weight=weight)
        assert scores[j] == pytest.approx(expected, rel=1e-12)


def test_scores_and_decoded_targets_are_on_the_scale_of_the_data(rng):
    task, z, y = RealTargets(1), rng.standard_normal((N, 1, 1)), rng.random((N, 1))
    assert_allclose(task.decode(z[:, 0], Counts()), np.exp(z[:, 0, 0]))
    assert task.scores(z, y, None, Counts())[0] == pytest.approx(r2_score(y, np.exp(z[:, 0])))


def test_errors_on_constant_targets_are_measured_by_the_given_spread(rng):
    task, loss = RealTargets(2), SquaredError()
    train, weight = rng.standard_normal((N, 2)) * [1.0, 5.0], rng.random(N) + 0.5
    spread = task.spread(train, weight, SquaredError())
    mean = np.average(train, axis=0, weights=weight)
    assert_allclose(spread, [np.average((train[:, j] - mean[j]) ** 2, weights=weight) for j in range(2)])
    y = np.column_stack([np.full(7, 2.0), rng.standard_normal(7)])
    z = rng.standard_normal((7, 3, 2))
    for j, score in enumerate(task.scores(z, y, None, loss, spread)):
        flat = 1 - ((y[:, 0] - z[:, j, 0]) ** 2).mean() / spread[0]
        assert score == pytest.approx((flat + r2_score(y[:, 1], z[:, j, 1])) / 2)
    for n in (1, 20):
        assert_array_equal(task.spread(np.full((n, 2), 1e-9), None, SquaredError()), 1.0)
    assert Binary(np.arange(2)).spread(np.zeros(3), None, SquaredError()) is None


def test_a_score_is_a_plain_mean_unless_a_target_is_constant(rng):
    task = RealTargets(2)
    y = rng.standard_normal((N, 2))
    assert task.scorable_at_once(y)
    assert not task.scorable_at_once(y[:1])
    assert not task.scorable_at_once(np.column_stack([y[:, 0], np.ones(N)]))
    assert learned("binary", rng)[0].scorable_at_once(WORDS[:1])


@pytest.mark.parametrize("kind", ["binary", "ovr", "softmax"])
def test_a_label_that_was_never_seen_is_named(rng, kind):
    task, _, _ = learned(kind, rng)
    with pytest.raises(ValueError, match=r"y holds the label 'kiwi', which is not among the classes .*'apple'"):
        task.stored(np.array(["apple", "kiwi"]), float)
    with pytest.raises(ValueError, match=r"y holds the label 'zucchini'"):
        task.stored(np.array(["zucchini"]), float)


LABELS = {
    "words": WORDS, "objects": WORDS.astype(object), "numbers": np.array([-3, 0, 7]), "reals": np.array([-1.0, 2.0]),
    "flags": np.array([False, True]), "long words": np.array(["a" * 300, "a" * 299 + "b", ""], dtype=object),
    "letters": np.array(["Zebra", "apple", "Äpfel", "écru", "日本"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", LABELS)
def test_labels_are_told_apart_and_numbered_as_sorting_them_does(rng, kind):
    y = rng.choice(LABELS[kind], N)
    classes, codes = np.unique(y, return_inverse=True)
    found = distinct_labels(y)
    assert found.dtype == y.dtype
    assert_array_equal(found, classes)
    assert_array_equal(label_codes(y, classes), codes)
    assert_array_equal(label_codes(y, classes[1:]), codes - 1)


def test_labels_of_another_kind_are_none_of_the_classes():
    for y, classes in ((WORDS, np.arange(3)), (np.arange(3), WORDS), (WORDS.astype(object), np.array([0.5, 1.0]))):
        assert_array_equal(label_codes(y, classes), -1)


def test_columns_and_coefficients_are_those_that_users_see(rng):
    for kind, shape in (("binary", (1, 3)), ("ovr", (4, 3)), ("real", (2, 3)), ("flat", (3,))):
        task, _, _ = learned(kind, rng)
        theta = rng.standard_normal((4, task.n_columns))
        coef, intercept = task.as_published(theta)
        assert coef.shape == shape
        assert_array_equal(intercept, theta[-1])
        columns, intercepts = task.as_columns(coef, intercept)
        assert_array_equal(columns, theta[:-1].T)
        assert_array_equal(intercepts, theta[-1])


def test_a_fitted_estimator_says_its_classes_or_targets(rng):
    assert_array_equal(learned("ovr", rng)[0].attributes()["classes_"], WORDS)
    assert learned("real", rng)[0].attributes() == {"n_targets_": 2}


def test_one_model_goes_on_with_the_other_where_columns_mean_the_same(rng):
    ovr, softmax, binary = (learned(kind, rng)[0] for kind in ("ovr", "softmax", "binary"))
    assert ovr.same_as(Classification(class_weight={"plum": 2}).learn(WORDS.repeat(2), Hinge()))
    assert not ovr.same_as(softmax)
    assert not ovr.same_as(OneVsRest(np.array(["a", "b", "c", "d"])))
    assert not ovr.same_as(binary)
    assert RealTargets(2, False).same_as(RealTargets(2, False))
    assert not RealTargets(1).same_as(RealTargets(2, False))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_what_there_is_to_learn_is_the_target_less_the_best_constant(rng, kind, weighted):
    task, y, _ = learned(kind, rng)
    weight = rng.random(N) + 0.1 if weighted else None
    hot = y.astype(float) if not task.classification else (y[:, None] == task.classes).astype(float)
    expected = hot - np.average(hot, axis=0, weights=weight)
    index = np.array([5, 3, 7])
    residual = task.residual(y, weight, index)
    assert_allclose(residual, expected[index][:, 1:] if kind == "binary" else expected[index], atol=1e-12)


def test_the_rarest_class_has_the_smallest_share_of_the_weight():
    y = np.repeat(WORDS[:3], [6, 3, 1])
    task = Classification().learn(y, Hinge())
    assert task.smallest_class(y, None) == pytest.approx(0.1)
    assert task.smallest_class(y, np.repeat([1.0, 1.0, 11.0], [6, 3, 1])) == pytest.approx(0.15)
    assert RealTargets(1).smallest_class(np.ones((3, 1)), None) is None
    assert (task.n_classes, RealTargets(1).n_classes) == (3, None)


# ------------------------------------------------------------------ class weights


@pytest.mark.parametrize("class_weight", ["balanced", {"apple": 3.0, "plum": 0.5, "pear": 1.0}])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_class_weight_is_a_sample_weight_by_another_name(rng, class_weight, weighted):
    y = WORDS[:3][rng.choice(3, N, p=[0.6, 0.3, 0.1])]
    weight = rng.integers(1, 4, N).astype(float) if weighted else None
    for multi_class in ("auto", "ovr"):
        task = Classification(multi_class, class_weight).learn(y, LogLoss())
        expected = compute_sample_weight(class_weight, y)
        if class_weight == "balanced" and weighted:  # a weight is a repetition
            times = np.repeat(y, weight.astype(int))
            by_class = dict(
                zip(task.classes, compute_class_weight("balanced", classes=task.classes, y=times), strict=True)
            )
            expected = compute_sample_weight(by_class, y)
        assert_allclose(task.weights(y, weight), expected if weight is None else expected * weight)


def test_balanced_weights_leave_absent_classes_out_and_the_total_as_it_is(rng):
    y = WORDS[:3][rng.integers(0, 2, N)]
    task = OneVsRest(WORDS[:3], "balanced")
    weights = task.weights(y, None)
    assert weights.sum() == pytest.approx(N)
    assert weights[y == "apple"].sum() == pytest.approx(N / 2)


def test_without_class_weights_the_weights_are_the_users(rng):
    task, y, _ = learned("ovr", rng)
    weight = rng.random(N)
    assert task.weights(y, None) is None
    assert task.weights(y, weight) is weight
    assert RealTargets(1).weights(y, weight) is weight
    assert OneVsRest(WORDS, "balanced").weights(y[:0], None) is None


# ------------------------------------------------------------------ what was asked for


def test_classes_are_coupled_where_their_loss_couples_and_nobody_objects():
    assert type(Classification("auto").learn(WORDS.repeat(2), LogLoss())) is Softmax
    assert type(Classification("multinomial").learn(WORDS.repeat(2), LogLoss())) is Softmax
    assert type(Classification("ovr").learn(WORDS.repeat(2), LogLoss())) is OneVsRest
    assert type(Classification("auto").learn(WORDS.repeat(2), Hinge())) is OneVsRest
    assert type(Classification("multinomial").learn(WORDS[:2].repeat(2), LogLoss())) is Binary
    bound = Softmax(WORDS).bind_loss(LogLoss())
    assert isinstance(bound, MultinomialLogLoss)
    assert bound.columns_per_model == 4
    loss = Hinge()
    assert OneVsRest(WORDS).bind_loss(loss) is loss


def test_one_class_is_none():
    with pytest.raises(ValueError, match=r"number of classes has to be greater than one; got 1 class: y must hold"):
        Classification().learn(np.ones(9, int), LogLoss())
    with pytest.raises(
        ValueError, match=r"number of classes has to be greater than one; got 1 class: pass every label"
    ):
        Classification().announced([3, 3], LogLoss())


def test_classes_that_are_announced_need_no_rows():
    task = Classification(class_weight={"pear": 2.0}).announced(["plum", "apple", "pear", "pear"], Hinge())
    assert_array_equal(task.classes, ["apple", "pear", "plum"])
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        Classification().announced(None, Hinge())
    with pytest.raises(ValueError, match=r"classes=\['plum', 'fig'\]. is not the same as on last call"):
        Classification().announced(["plum", "fig"], Hinge(), task)


def test_labels_that_are_reals_are_refused():
    with pytest.raises(ValueError, match="Unknown label type"):
        Classification().validated(np.array([0.5, 1.5, 2.25]))
    assert_array_equal(Classification().validated(np.array([1.0, 2.0])), [1, 2])


def test_targets_become_columns_and_a_column_that_is_alone_is_warned_of(rng):
    y = rng.standard_normal(N)
    assert Regression().validated(y.tolist()).shape == (N, 1)
    assert Regression().validated(np.column_stack([y, y])).shape == (N, 2)
    with pytest.warns(UserWarning, match="column-vector"):
        assert Regression().validated(y[:, None]).shape == (N, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert RealTargets(1).validated(y[:, None]).shape == (N, 1)
    assert Regression().learn(np.ones((N, 2)), SquaredError()) == RealTargets(2, False)
    assert Regression().learn(np.ones((N, 1)), SquaredError()) == RealTargets(1, True)


def test_further_rows_have_as_many_targets():
    with pytest.raises(ValueError, match=r"y has 3 targets, but the model was fitted with 2\."):
        RealTargets(2, False).validated(np.ones((4, 3)))


def test_targets_outside_the_domain_of_a_loss_are_named():
    with pytest.raises(
        ValueError, match=r"y holds -2\.0, and the loss Counts is defined for targets that are a number in \[0, inf"
    ):
        check_domain(np.array([[1.0], [-2.0], [-3.0]]), Counts())
    with pytest.raises(ValueError, match=r"y holds -2\.0"):
        Regression().learn(np.array([[1.0], [-2.0]]), Counts())
    check_domain(np.array([[0.0], [3.0]]), Counts())
    check_domain(np.array([[-1e300]]), SquaredError())


# ------------------------------------------------------------------ the unit of a target


@pytest.mark.parametrize("weighted", [False, True])
def test_the_unit_of_a_target_is_its_standard_deviation_or_its_size(rng, weighted):
    y = 3 + rng.standard_normal((N, 2)) * [1, 5]
    weight = rng.random(N) if weighted else None
    task = RealTargets(2, False)
    moments = task.target_moments(y[20:], None if weight is None else weight[20:], None)
    moments = task.target_moments(y[:20], None if weight is None else weight[:20], moments)
    mean = np.average(y, axis=0, weights=weight)
    variance = np.average((y - mean) ** 2, axis=0, weights=weight)
    assert_allclose(task.unit(moments, True), np.sqrt(variance))
    assert_allclose(task.unit(moments, False), np.sqrt(variance + mean**2))
    assert isinstance(RealTargets(1).unit(RealTargets(1).target_moments(y[:, :1], None, None), True), float)


def test_a_target_without_variation_has_the_unit_one():
    task = RealTargets(1)
    assert task.unit(task.target_moments(np.full((9, 1), 0.1), None, None), True) == 1.0
    assert task.unit(None, True) == 1.0
    assert Binary(np.array([0, 1])).unit(Moments(), True) == 1.0
    assert Binary(np.array([0, 1])).target_moments(np.array([0, 1]), None, None) is None


def test_targets_whose_variance_overflows_are_refused_with_a_remedy():
    with pytest.raises(
        ValueError, match=r"y has values so large that their variance overflows: divide them by a power"
    ):
        RealTargets(1).target_moments(np.array([[1e200], [-1e200]]), None, None)
