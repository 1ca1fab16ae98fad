"""The parts of a search: candidates and what they share, one fold, what is given back, what is said."""

import ast
import pickle
import re
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import logsumexp
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, get_scorer, r2_score
from sklearn.model_selection import GridSearchCV, KFold, LeaveOneOut, ShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import skvariants.model_selection
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._data.rows import rows_of
from skvariants._fit import fit_together
from skvariants.losses import LOSSES, SquaredError
from skvariants.model_selection import BatchedGridSearchCV, _evaluate, _path
from skvariants.model_selection._evaluate import (
    FoldResult,
    Rung,
    TrainedModel,
    assess,
    evaluate_fold,
    fit_columns,
    train_block,
)
from skvariants.model_selection._fold import (
    Fold,
    SearchContext,
    n_rows,
    per_row,
    take,
    take_metadata,
    transform_fold,
)
from skvariants.model_selection._grams import Sums, sums_by_fold
from skvariants.model_selection._plan import Candidate, PipelineGroup, final_step, plan, with_final_step
from skvariants.model_selection._progress import NullContext, Progress, warn
from skvariants.model_selection._results import (
    cv_results,
    param_columns,
    ranks,
    report_failures,
    report_unfinished,
    table,
)
from skvariants.model_selection._score import score, scores_at_once

FAST = {"solver": "adam", "max_iter": 4, "tol": None, "random_state": 0}
MODEL = SGDVariantClassifier(**FAST)
ALPHAS = [1e-4, 1e-2, 1.0]
X, Y = make_classification(90, 5, n_informative=4, n_redundant=0, n_classes=3, random_state=0)
TRAIN, TEST = np.arange(60), np.arange(60, 90)
TARGETS = X @ np.arange(5.0)


class OwnFit(SGDVariantClassifier):
    def fit(self, X, y, **params):
        return super().fit(X, y, **params)


class OwnPredict(SGDVariantClassifier):
    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def context(y=Y, scoring="accuracy", **changes):
    defaults = {
        "fit_params": {}, "score_params": {}, "scorer": get_scorer(scoring), "names": None, "plain_scorer": True,
        "named": {None: None}, "error_score": np.nan, "return_train_score": False,
    }  # fmt: skip
    return SearchContext(X, y, **{**defaults, **changes})


def candidates(model=MODEL, **grid):
    ((name, values),) = grid.items()
    return [
        Candidate.of(number, {name: value}, clone(model).set_params(**{name: value}))
        for number, value in enumerate(values)
    ]


def fold(y=Y, **params):
    return Fold(0, TRAIN, TEST, None, X[TRAIN], y[TRAIN], params, X[TEST], X[TRAIN])


# ---------------------------------------------------------------------- what may be asked


def test_a_search_knows_no_estimator_and_nobodys_private_members():
    folder = Path(skvariants.model_selection.__file__).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not node.module.startswith("skvariants.estimators"), path
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                assert node.attr == "_accepts" or getattr(node.value, "id", None) == "self", (path, node.attr)


# ---------------------------------------------------------------------- plan


def test_the_final_step_of_nested_pipelines_is_found_and_replaced():
    inner = make_pipeline(StandardScaler(), MODEL)
    outer = Pipeline([("pca", PCA()), ("inner", inner)])
    path, final = final_step(outer)
    assert (path, final) == ("inner__sgdvariantclassifier", MODEL)
    other = with_final_step(outer, Ridge())
    assert isinstance(final_step(other)[1], Ridge)
    assert final_step(outer)[1] is MODEL
    assert other.named_steps["pca"] is outer.named_steps["pca"]
    assert final_step(MODEL) == ("", MODEL)
    assert with_final_step(MODEL, inner) is inner


def test_candidates_are_grouped_by_the_steps_before_them_and_by_their_matrix():
    model = make_pipeline(PCA(), MODEL)
    settings = [
        {"pca__n_components": n, "sgdvariantclassifier__alpha": alpha, "sgdvariantclassifier__solver": solver}
        for n in (1, 1.0, "mle") for alpha in ALPHAS for solver in ("adam", "sgd")
    ]  # fmt: skip
    groups = plan(model, settings)
    assert [[c.number for c in group.candidates] for group in groups] == [
        list(range(0, 6)), list(range(6, 12)), list(range(12, 18))
    ]  # fmt: skip
    assert [[c.number for c in matrix] for matrix in groups[1].matrices()] == [[6, 8, 10], [7, 9, 11]]
    for group in groups:
        assert group.path == "sgdvariantclassifier"
        for candidate in group.candidates:
            assert candidate.params is settings[candidate.number]
            assert candidate.final.alpha == candidate.params["sgdvariantclassifier__alpha"]
            assert candidate.spec.alpha == candidate.final.alpha


def test_who_shares_a_matrix():
    wrong = clone(MODEL).set_params(alpha=-1.0)
    finals = [
        MODEL,
        clone(MODEL).set_params(alpha=0.5),
        OwnPredict(**FAST),
        OwnFit(**FAST),
        wrong,
        LogisticRegression(),
    ]
    found = [Candidate.of(number, {}, final) for number, final in enumerate(finals)]
    assert [c.trainable for c in found] == [True] * 5 + [False]
    assert [c.as_columns for c in found] == [True, True, True, False, True, False]
    assert [c.spec is None for c in found] == [False] * 4 + [True, True]
    matrices = PipelineGroup(MODEL, "", found).matrices()
    assert [[c.number for c in matrix] for matrix in matrices] == [[0, 1], [2], [3], [4], [5]]


# ---------------------------------------------------------------------- one fold


def test_rows_of_all_kinds_of_data():
    pd = pytest.importorskip("pandas")
    rows = np.array([2, 0])
    expected = X[rows]
    for values in (X, sp.csr_array(X), pd.DataFrame(X, index=range(7, 97)), X.tolist()):
        found = take(values, rows)
        np.testing.assert_array_equal(found.toarray() if sp.issparse(found) else np.asarray(found), expected)
        assert n_rows(values) == 90
        assert per_row(values, 90)
        assert not per_row(values, 89)
    assert take(None, rows) is None
    assert not any(per_row(value, 3) for value in ("abc", b"abc", {1, 2, 3}, {"a": 1, "b": 2, "c": 3}, 3, np.array(3)))
    found = take_metadata({"sample_weight": np.arange(90), "coef_init": np.ones((3, 5))}, 90, rows)
    np.testing.assert_array_equal(found["sample_weight"], rows)
    assert found["coef_init"].shape == (3, 5)


@pytest.mark.parametrize("plain", [True, False])
def test_steps_before_see_training_rows_only(plain):
    group = plan(make_pipeline(StandardScaler(), MODEL), [{"sgdvariantclassifier__alpha": a} for a in ALPHAS])[0]
    found = transform_fold(context(plain_scorer=plain, return_train_score=True), group, 1, TRAIN, TEST)
    scaler = StandardScaler().fit(X[TRAIN])
    np.testing.assert_array_equal(found.X, scaler.transform(X[TRAIN]))
    np.testing.assert_array_equal(found.y, Y[TRAIN])
    (_, X_test, test), (_, X_train, train) = found.scored_rows(True)
    assert (test is TEST, train is TRAIN) == (True, True)
    for given, rows in ((X_test, TEST), (X_train, TRAIN)):
        np.testing.assert_array_equal(given, scaler.transform(X[rows]) if plain else X[rows])
    assert (found.pipeline is None) == plain
    assert found.failure is None


def test_steps_that_fail():
    group = plan(make_pipeline(PCA(99), MODEL), [{}])[0]
    found = transform_fold(context(), group, 0, TRAIN, TEST)
    assert "n_components=99" in str(found.failure)
    (model,) = train_block(found, group.candidates)
    assert model.failure is found.failure
    with pytest.raises(ValueError, match="n_components=99"):
        transform_fold(context(error_score="raise"), group, 0, TRAIN, TEST)


def test_a_block_is_trained_as_each_would_be():
    for block in (candidates(alpha=ALPHAS), candidates(OwnFit(**FAST), alpha=ALPHAS[:1])):
        for model in train_block(fold(sample_weight=np.arange(60.0)), block):
            alone = clone(model.candidate.final).fit(X[TRAIN], Y[TRAIN], sample_weight=np.arange(60.0))
            np.testing.assert_allclose(model.final.coef_, alone.coef_, rtol=1e-9, atol=1e-12)
            assert (model.final is model.candidate.final, model.failure, model.status) == (False, None, "max_iter")
            assert model.seconds > 0


WIDE = np.logspace(-6, 1, 40)
ROWS, CLASSES = make_classification(
    1500, 8, n_informative=5, n_redundant=2, n_classes=3, class_sep=0.5, flip_y=0.05, random_state=1
)


def along(model, targets, monkeypatch, rows=ROWS, strengths=WIDE):
    """Models whose strengths differ, fitted along them; fits that start nowhere are counted."""
    begun = []

    def counted(specs, *args, starts=None, **kwargs):
        begun.append(len(specs) if starts is None else 0)
        return fit_together(specs, *args, starts=starts, **kwargs)

    monkeypatch.setattr(_path, "_WORTH", 0)
    monkeypatch.setattr(_path, "fit_together", counted)
    models = train_block(Fold(0, TRAIN, TEST, None, rows, targets, {}, rows, rows), candidates(model, alpha=strengths))
    return models, sum(begun)


def excess(model, rows, labels, alpha):
    """How far from the optimum of scikit-learn, as a share of what that gains over a constant."""
    n, k = len(rows), len(model.classes_)
    at = LogisticRegression(C=1 / (alpha * n), tol=1e-9, max_iter=10_000).fit(rows, labels)
    index = np.searchsorted(model.classes_, labels)

    def objective(coef, intercept):
        z = rows @ coef.T + intercept
        z = z if k > 2 else np.hstack([np.zeros((n, 1)), z])
        return float((logsumexp(z, axis=1) - z[np.arange(n), index]).mean() + 0.5 * alpha * (coef**2).sum())

    share = np.bincount(index) / n
    least, constant = objective(at.coef_, at.intercept_), -(share * np.log(share)).sum()
    return (objective(model.coef_, model.intercept_) - least) / (constant - least)


@pytest.mark.parametrize(
    ("labels", "rows"),
    [
        pytest.param(CLASSES > 0, ROWS, id="two classes"),
        pytest.param(CLASSES, ROWS, id="three classes", marks=pytest.mark.slow),
        pytest.param(CLASSES > 0, sp.csr_array(ROWS * (np.abs(ROWS) > 1)), id="sparse", marks=pytest.mark.slow),
    ],
)
def test_candidates_between_others_are_as_near_the_optimum_as_tol_says(labels, rows, monkeypatch):
    model = SGDVariantClassifier(scale_features=False, random_state=0)
    order = np.random.default_rng(0).permutation(len(WIDE))
    models, begun = along(model, labels, monkeypatch, rows, WIDE[order])
    assert begun < len(WIDE) / 3
    dense = rows.toarray() if sp.issparse(rows) else rows
    for trained, alpha in zip(models, WIDE[order], strict=True):
        assert (trained.status, trained.candidate.params["alpha"]) == ("converged", alpha)
        assert excess(trained.final, dense, labels, alpha) < 1e-3


@pytest.mark.parametrize("options", [{"multi_class": "ovr"}, {"loss": "squared_hinge"}])
def test_candidates_of_one_model_a_class_are_too(options, monkeypatch):
    models, begun = along(SGDVariantClassifier(random_state=0, **options), CLASSES, monkeypatch)
    assert begun < len(WIDE) / 3
    loss, signs = LOSSES[options.get("loss", "log_loss")](), np.where(CLASSES[:, None] == np.arange(3), 1.0, -1.0)

    def objective(model, alpha):
        value = loss.value(signs, model.decision_function(ROWS)).mean(axis=0).sum()
        return value + 0.5 * alpha * (model.coef_**2).sum()

    constant = objective(SGDVariantClassifier(alpha=1e9, **options).fit(ROWS, CLASSES), 0.0)
    for trained, alpha in zip(models, WIDE, strict=True):
        least = objective(clone(trained.candidate.final).set_params(tol=1e-8).fit(ROWS, CLASSES), alpha)
        assert objective(trained.final, alpha) - least < 1e-3 * (constant - least)


@pytest.mark.parametrize(
    ("model", "strengths"),
    [
        (SGDVariantClassifier(max_iter=2), WIDE), (SGDVariantClassifier(), WIDE[::8]),
        (SGDVariantClassifier(), [0.0, *WIDE]), (SGDVariantClassifier(penalty="l1"), WIDE[::2]),
        (SGDVariantClassifier(early_stopping=True), WIDE), (MODEL, WIDE),
    ],
    ids=["unfinished", "far apart", "none", "l1", "early stopping", "steps"],
)  # fmt: skip
def test_candidates_that_nothing_is_known_of_start_as_their_own_fits(model, strengths, monkeypatch):
    model = clone(model).set_params(random_state=0)
    models, begun = along(model, CLASSES > 0, monkeypatch, strengths=strengths)
    assert begun == len(strengths)
    for trained in models[::9]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            alone = clone(trained.candidate.final).fit(ROWS, CLASSES > 0)
        np.testing.assert_allclose(trained.final.coef_, alone.coef_, rtol=0, atol=1e-4)


def test_an_interrupt_ends_all_rounds(monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(_path, "_WORTH", 0)
    monkeypatch.setattr(_path, "fit_together", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_block(fold(), candidates(SGDVariantClassifier(), alpha=WIDE))


def test_what_spec_data_or_fit_raise_is_each_ones():
    wrong = candidates(alpha=[-1.0])
    assert "alpha=-1.0" in str(train_block(fold(), wrong)[0].failure)
    for model in train_block(fold(np.zeros(90)), candidates(alpha=ALPHAS)):
        assert "number of classes" in str(model.failure)
        assert model.status is None
        assert not hasattr(model.final, "coef_")
    with pytest.raises(ValueError, match="number of classes"):
        assess(context(error_score="raise"), fold(), train_block(fold(np.zeros(90)), candidates(alpha=ALPHAS)))
    results = assess(context(error_score=-3.0), fold(), train_block(fold(), wrong))
    assert (results[0].test, "alpha=-1.0" in results[0].failure) == (-3.0, True)


def test_models_that_diverged_get_the_error_score():
    model = SGDVariantClassifier(**{**FAST, "solver": "minibatch"}, loss="squared_error", scale_features=False)
    block = candidates(model, eta0=[1e-3, 1e6])
    with np.errstate(all="ignore"):
        models = train_block(fold(), block)
    assert [m.status for m in models] == ["max_iter", "diverged"]
    scorer = dict(names=["a", "b"], scorer=lambda m, X, y: {"a": 1, "b": 2}, named=None)
    results = assess(context(**scorer), fold(), models)
    assert results[0].test == {"a": 1, "b": 2}
    assert np.isnan(list(results[1].test.values())).all()
    with pytest.raises(ValueError, match="diverged on fold 0"):
        assess(context(error_score="raise"), fold(), models)


# ---------------------------------------------------------------------- rungs


def test_a_rung_goes_on_also_through_a_pickle():
    block, rung = candidates(alpha=ALPHAS), Rung()
    for epochs in (2, 3, 6):
        rung.advance(epochs, {0, 1, 2} if epochs < 6 else {1})
        rung = pickle.loads(pickle.dumps(rung))
        models = train_block(fold(), block if epochs < 6 else block[1:2], rung)
        assert [m.epochs for m in models] == [rung.epochs - rung.behind] * len(models)
        for model in models:
            full = clone(model.candidate.final).set_params(max_iter=epochs).fit(X[TRAIN], Y[TRAIN])
            np.testing.assert_allclose(model.final.coef_, full.coef_, rtol=1e-9, atol=1e-12)
            assert model.final.get_params() == model.candidate.final.get_params()
    assert set(rung.fitted) == {1}


def test_candidates_that_have_stopped_by_themselves_stay():
    block, rung = candidates(clone(MODEL).set_params(tol=1e-3), max_iter=[500, 500]), Rung()
    rung.advance(400, {0, 1})
    first = train_block(fold(), block, rung)
    assert [m.status for m in first] == ["plateau"] * 2  # what a search does not measure is not called converged
    rung.advance(500, {0, 1})
    again = train_block(fold(), block, rung)
    assert [m.epochs for m in again] == [0, 0]
    assert again[0].fitted is first[0].fitted
    np.testing.assert_array_equal(again[0].final.coef_, first[0].final.coef_)


def test_the_steps_before_are_fitted_in_the_first_rung_only():
    group, rung = plan(make_pipeline(StandardScaler(), MODEL), [{}])[0], Rung()
    rung.advance(1, {0})
    list(evaluate_fold(context(), group, 0, TRAIN, TEST, rung))
    seen = rung.fold
    rung.advance(2, {0})
    list(evaluate_fold(context(), group, 0, TRAIN, TEST, rung))
    assert seen.seconds == rung.fold.seconds == 0.0
    assert seen.X is rung.fold.X


# ---------------------------------------------------------------------- scores


def at_once(search_context, models, X, y, params):
    """Scores of models of one matrix."""
    return scores_at_once(search_context, type(models[0].final), [model.fitted for model in models], X, y, params)


@pytest.mark.parametrize("weight", [None, np.arange(30.0)])
def test_scores_at_once_are_those_of_the_metric(weight):
    params = {} if weight is None else {"sample_weight": weight}
    regressor = SGDVariantRegressor(**FAST)
    for model, y, metric in (
        (MODEL, Y, accuracy_score),
        (regressor, TARGETS, r2_score),
        (regressor, np.column_stack([TARGETS, TARGETS**2]), r2_score),
    ):
        models = train_block(fold(y), candidates(model, alpha=ALPHAS))
        found = at_once(context(y), models, X[TEST], y[TEST], params)
        expected = [metric(y[TEST], m.final.predict(X[TEST]), sample_weight=weight) for m in models]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        results = assess(context(y), fold(y), models)
        np.testing.assert_allclose([r.test for r in results], [m.final.score(X[TEST], y[TEST]) for m in models])


class Log(SquaredError):
    """Predicts on another scale, by a number of its own."""

    base: float = 2.0

    def inverse_link(self, z):
        return self.base * np.asarray(z)


def test_scores_at_once_ask_each_loss():
    models = train_block(fold(TARGETS), candidates(SGDVariantRegressor(**FAST), loss=[Log(base=2.0), Log(base=0.5)]))
    models += train_block(fold(TARGETS), candidates(SGDVariantRegressor(**FAST), alpha=[0.1]))
    found = at_once(context(TARGETS), models, X[TEST], TARGETS[TEST], {})
    np.testing.assert_allclose(found, [m.final.score(X[TEST], TARGETS[TEST]) for m in models], rtol=1e-12)


def test_who_is_asked_for_the_score_itself():
    models = train_block(fold(), candidates(alpha=ALPHAS))
    args = X[TEST], Y[TEST]
    assert at_once(context(), models, *args, {}) is not None
    assert at_once(context(named=None), models, *args, {}) is None
    assert at_once(context(), models, *args, {"threshold": 1}) is None
    assert at_once(context(), models, X[TEST, :3], Y[TEST], {}) is None  # says what is wrong
    assert at_once(context(), models, X[TEST], None, {}) is None
    for cls in (OwnPredict, OwnFit):
        block = candidates(cls(**FAST), alpha=ALPHAS[:1])
        assert at_once(context(), train_block(fold(), block), *args, {}) is None
    constant = train_block(fold(TARGETS), candidates(SGDVariantRegressor(**FAST), alpha=ALPHAS))
    assert at_once(context(TARGETS), constant, X[TEST], np.ones(30), {}) is None


def test_scores_are_numbers():
    model = clone(MODEL).fit(X, Y)
    assert type(score(context(scorer=lambda m, X, y: np.float32(0.5)), model, X, Y, {})) is float
    assert score(context(scorer=lambda m, X: 0.25), model, X, None, {}) == 0.25
    with pytest.raises(ValueError, match="must return a number, got abc"):
        score(context(scorer=lambda m, X, y: "abc"), model, X, Y, {})
    with pytest.warns(UserWarning, match="will be set to -1"):
        found = score(context(scorer=lambda *_: {"a": "no", "b": 1}, names=["a", "b"], error_score=-1), model, X, Y, {})
    assert found == {"a": -1, "b": 1}


# ---------------------------------------------------------------------- results


def results_of(scores, **changes):
    return [FoldResult(*key, test=value, train=value, **changes) for key, value in scores.items()]


def test_columns_are_those_of_scikit_learn():
    grid = [{"alpha": ALPHAS, "solver": ["auto", "svd"]}, {"positive": [True], "tol": [1e-3]}]
    theirs = GridSearchCV(Ridge(), grid, cv=2, return_train_score=True).fit(X, TARGETS).cv_results_
    rows = [
        [
            FoldResult(number, k, theirs[f"split{k}_test_score"][number], theirs[f"split{k}_train_score"][number])
            for k in range(2)
        ]
        for number in range(7)
    ]
    ours = cv_results(theirs["params"], rows, True, {})
    assert list(ours) == list(theirs)
    for name, expected in theirs.items():
        if "_time" not in name:
            np.testing.assert_array_equal(ours[name], expected)
            assert getattr(ours[name], "dtype", None) == getattr(expected, "dtype", None)
    assert next(iter(cv_results(theirs["params"], rows, False, {"iter": [0] * 7}))) == "iter"


def test_parameters_and_ranks():
    columns = param_columns([{"a": 1}, {"a": 2, "b": [1, 2]}, {"b": [1]}])
    assert columns["param_a"].dtype.kind == "i"
    assert columns["param_a"].mask.tolist() == [False, False, True]
    assert columns["param_b"].tolist() == [None, [1, 2], [1]]
    assert ranks(np.array([0.5, np.nan, 0.7, 0.5, np.nan])).tolist() == [2, 4, 1, 2, 4]
    assert ranks(np.full(2, np.nan)).tolist() == [1, 1]


def test_a_failed_result_gets_a_score_for_each_metric():
    good = results_of({(1, 1): {"a": 1.0}, (1, 0): {"a": 2.0}})
    bad = results_of({(0, 0): np.nan, (0, 1): np.nan}, failure="no")
    rows = table(bad + good, [0, 1], -1)
    assert [[r.test for r in row] for row in rows] == [[{"a": -1}, {"a": -1}], [{"a": 2.0}, {"a": 1.0}]]


def test_failures_are_said_once():
    settings = [{"alpha": float(number)} for number in range(8)]
    sound = results_of({(number, 0): 1.0 for number in range(8)})
    report_failures(sound, settings, np.nan)
    with pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 10(.|\n)*1 fits failed with(.|\n)*why"):
        report_failures(
            sound + results_of({(0, 1): 0}, failure="why") + results_of({(1, 1): 0}, failure="too"), settings, 0
        )
    diverged = results_of({(number, 1): 0 for number in range(7)}, diverged=True)
    with pytest.warns(ConvergenceWarning, match=r"7 of 8 candidates diverged.*'alpha': 4.0}, \.\.\.\. Their") as caught:
        report_failures(sound + diverged, settings, 0)
    assert len(caught) == 1
    with pytest.raises(ValueError, match="All the 7 fits failed(.|\n)*7 fits diverged"):
        report_failures(diverged, settings, 0)


def test_only_candidates_with_a_tolerance_are_unfinished():
    settings = [{"tol": 1e-3}, {"tol": None}, {"tol": 1e-5}]
    groups = plan(MODEL, settings)
    unfinished = results_of({(0, 0): 1.0, (1, 0): 1.0}, unfinished=True)
    with pytest.warns(ConvergenceWarning, match=r"1 of 3 candidates reached max_iter.*{'tol': 0.001}\. Consider"):
        report_unfinished(unfinished, groups, settings)
    report_unfinished(unfinished[1:], groups, settings)


# ---------------------------------------------------------------------- squared error, from sums

NOISY = TARGETS + 50.0 + np.random.default_rng(0).standard_normal(90)
PATH = {"alpha": [1e-3, 0.1, 1.0], "l1_ratio": [0.2, 0.9]}
LASSO = SGDVariantRegressor(penalty="elasticnet", l1_ratio=0.5, tol=1e-10, random_state=0)


def scores_of(search):
    return np.array([values for name, values in search.cv_results_.items() if name.startswith(("mean_t", "std_t"))])


@pytest.fixture
def without_rows(monkeypatch):
    """A search that asks for the rows of a fold fails."""

    def refuse(*args):
        raise AssertionError("a fold was asked for")

    monkeypatch.setattr(_evaluate, "transform_fold", refuse)
    monkeypatch.setattr(_evaluate, "train_block", refuse)


@pytest.mark.parametrize("dense", [True, False])
def test_sums_are_those_of_the_rows_in_any_order_and_add_up(dense):
    rng = np.random.default_rng(0)
    rows, weight = np.add(rng.standard_normal((5000, 4)), [0, 1e8, 5, 0]), rng.random(5000)
    rows[:, 3] = 3.0
    y = rows[:, :1] * 2 + rng.standard_normal((5000, 1))
    table_ = rows_of(rows if dense else sp.csr_array(rows), y, weight)
    index = rng.permutation(5000)
    sums, parts = Sums.of(table_, index), [Sums.of(table_, part) for part in (index[:1000], index[1000:])]
    both = np.hstack([rows, y])
    mean = np.average(both, axis=0, weights=weight)
    D = both - mean
    for found in (sums, parts[0] + parts[1], Sums.of(table_, np.arange(5000))):
        assert (found.n, pytest.approx(weight.sum())) == (5000, found.weight)
        np.testing.assert_allclose(found.mean, mean, rtol=1e-12)
        np.testing.assert_allclose(found.squares, D.T @ (weight[:, None] * D), rtol=1e-7, atol=1e-6)
        assert found.squares[3, 3] <= weight.sum() * (64 * np.finfo(float).eps * 3.0) ** 2


@pytest.mark.parametrize("cv", [KFold(2), KFold(3, shuffle=True, random_state=0), ShuffleSplit(2, random_state=0)])
def test_the_sums_of_a_fold_are_those_of_its_rows(cv):
    folds = list(cv.split(X))
    group = plan(LASSO, [PATH | {"alpha": 0.1, "l1_ratio": 0.5}])[0]
    found = sums_by_fold(context(NOISY, metrics={None: "r2"}), group, folds)
    both = np.column_stack([X, NOISY])
    for sums, parts in zip(found, folds, strict=True):
        for part, rows in zip((sums.train, sums.scored[0]), parts, strict=True):
            np.testing.assert_allclose(part.mean, both[rows].mean(axis=0), rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(part.squares, np.cov(both[rows].T, ddof=0) * len(rows), rtol=1e-9, atol=1e-9)


def test_a_search_with_squared_error_asks_for_no_rows_and_finds_the_optima_of_scikit_learn(without_rows):
    search = BatchedGridSearchCV(LASSO, PATH, cv=3, return_train_score=True, scoring="r2", refit=False).fit(X, NOISY)
    theirs = GridSearchCV(ElasticNet(tol=1e-12, max_iter=10_000), PATH, cv=3, return_train_score=True).fit(X, NOISY)
    np.testing.assert_allclose(scores_of(search), scores_of(theirs), atol=1e-9)
    grid = {"alpha": [1e-3, 1.0], "fit_intercept": [True, False]}
    mean_squared = {"scoring": ["neg_root_mean_squared_error", "neg_mean_squared_error"], "refit": False, "cv": 3}
    search = BatchedGridSearchCV(SGDVariantRegressor(), grid, **mean_squared).fit(
        X, np.column_stack([NOISY, -X[:, 0] + NOISY])
    )
    grid["alpha"] = [0.06, 60.0]
    theirs = GridSearchCV(Ridge(), grid, **mean_squared).fit(X, np.column_stack([NOISY, -X[:, 0] + NOISY]))
    np.testing.assert_allclose(scores_of(search), scores_of(theirs), rtol=1e-8)


#: Whether searches of the installed scikit-learn hand weights to a scorer without routing, as they do since 1.7.
SCORES_ARE_WEIGHTED = hasattr(get_scorer("r2"), "_accept_sample_weight")


@pytest.mark.parametrize(
    ("model", "grid", "rows", "weight"),
    [
        (LASSO, PATH, X, True),
        pytest.param(LASSO, PATH, sp.csr_array(X), False, marks=pytest.mark.slow),
        pytest.param(LASSO, PATH, X.astype(np.float32), False, marks=pytest.mark.slow),
        (SGDVariantRegressor(tol=1e-10, bounds=(-0.5, 1.5)), {"alpha": ALPHAS}, X, False),
        (SGDVariantRegressor(tol=1e-10, penalty_factor=[0, 1, 1, 2, 3]), {"alpha": ALPHAS}, X, False),
        (SGDVariantRegressor(tol=1e-10, penalty=None), {"fit_intercept": [True, False]}, X[:, [0, 1, 2, 2]], True),
        (make_pipeline(StandardScaler(), LASSO), {"sgdvariantregressor__alpha": ALPHAS}, X, False),
    ],
)  # fmt: skip
def test_sums_give_what_fits_of_their_own_give(model, grid, rows, weight, monkeypatch):
    params = {"sample_weight": np.random.default_rng(1).random(90)} if weight else {}
    options = {"cv": 3, "return_train_score": True, "refit": False}
    theirs = GridSearchCV(model, grid, **options).fit(rows, NOISY, **params)
    if SCORES_ARE_WEIGHTED or not weight:
        monkeypatch.setattr(_evaluate, "train_block", None)  # of rows nothing is trained
    ours = BatchedGridSearchCV(model, grid, **options).fit(rows, NOISY, **params)
    atol = 1e-5 if getattr(rows, "dtype", None) == np.float32 else 1e-7
    np.testing.assert_allclose(scores_of(ours), scores_of(theirs), atol=atol)


ONES = np.ones((90, 1))
ODD = {
    "zeros": 0 * ONES,
    "constant": 3 * ONES,
    "constants": ONES * [3.0, -1e3],
    "constant among others": np.hstack([X, 0.1 * ONES]),
    "constant in the training": np.hstack([X[:, 3:], np.eye(90, 1)]),
    "one column": X[:, 3:4],
    "one row of weight zero": X,
    "more columns than rows": np.random.default_rng(3).standard_normal((30, 45)),
}
RIDGE = SGDVariantRegressor(tol=1e-10, random_state=0)


@pytest.mark.parametrize("table_", ODD)
@pytest.mark.parametrize(
    ("model", "dense"),
    [
        (RIDGE, True),
        pytest.param(RIDGE, False, marks=pytest.mark.slow),
        (LASSO, True),
        pytest.param(LASSO, False, marks=pytest.mark.slow),
        (clone(RIDGE).set_params(bounds=(1.0, 2.0)), True),
        pytest.param(clone(RIDGE).set_params(fit_intercept=False), True, marks=pytest.mark.slow),
        (make_pipeline(StandardScaler(with_mean=False), RIDGE), False),
    ],
)
def test_odd_tables_give_what_fits_of_their_own_give(table_, model, dense):
    rows, prefix = ODD[table_], "sgdvariantregressor__" if isinstance(model, Pipeline) else ""
    weight = np.ones(len(rows))
    weight[4] = 0
    params = {f"{prefix}sample_weight": weight} if table_ == "one row of weight zero" else {}
    rows, y = rows if dense else sp.csr_array(rows), NOISY[: len(rows)]
    ours, theirs = (
        search(model, {f"{prefix}alpha": [0.1, 1.0]}, cv=3, return_train_score=True, refit=False).fit(rows, y, **params)
        for search in (BatchedGridSearchCV, GridSearchCV)
    )
    np.testing.assert_allclose(scores_of(ours), scores_of(theirs), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    "routed",
    [False, pytest.param(True, marks=pytest.mark.skipif(not SCORES_ARE_WEIGHTED, reason="scikit-learn before 1.7"))],
)
def test_training_scores_have_the_weights_of_the_score_not_those_of_the_fit(routed):
    weight = np.random.default_rng(1).random(90)
    grid, name = {"sgdvariantregressor__alpha": ALPHAS}, "sgdvariantregressor__sample_weight"
    with config_context(enable_metadata_routing=routed):
        model = make_pipeline(StandardScaler(), RIDGE)
        if routed:  # the score has weights, the fit has none
            final = clone(RIDGE).set_fit_request(sample_weight=False).set_score_request(sample_weight=True)
            model, name = make_pipeline(StandardScaler().set_fit_request(sample_weight=True), final), "sample_weight"
        ours, theirs = (
            search(model, grid, cv=3, return_train_score=True, refit=False).fit(X, NOISY, **{name: weight})
            for search in (BatchedGridSearchCV, GridSearchCV)
        )
    np.testing.assert_allclose(scores_of(ours), scores_of(theirs), rtol=1e-9)


def test_jobs_and_maps_give_the_same_bits(tmp_path, without_rows):
    options = {"cv": 3, "refit": False}
    one = BatchedGridSearchCV(LASSO, PATH, **options).fit(X, NOISY)
    mapped = np.memmap(tmp_path / "rows", X.dtype, "w+", shape=X.shape)
    mapped[:] = X
    again = BatchedGridSearchCV(LASSO, PATH, **options).fit(mapped, NOISY)
    with joblib.parallel_backend("threading"):
        jobs = BatchedGridSearchCV(LASSO, PATH, n_jobs=2, **options).fit(X, NOISY)
    for other in (again, jobs):
        np.testing.assert_array_equal(scores_of(one), scores_of(other))


@pytest.mark.parametrize(
    ("model", "y", "options"),
    [
        (LASSO, TARGETS, {}),  # met exactly: rounding would be the score
        (LASSO, NOISY, {"scoring": "neg_mean_absolute_error"}),
        (LASSO, NOISY, {"cv": LeaveOneOut(), "scoring": "neg_mean_squared_error"}),
        (clone(LASSO).set_params(max_iter=3), NOISY, {}),
        (clone(LASSO).set_params(early_stopping=True), NOISY, {}),
        pytest.param(clone(LASSO).set_params(loss="huber"), NOISY, {}, marks=pytest.mark.slow),
        (clone(LASSO).set_params(solver="adam", max_iter=100), NOISY, {}),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_sums_do_not_say_is_fitted(model, y, options, monkeypatch):
    seen, train = [], _evaluate.train_block
    monkeypatch.setattr(
        _evaluate, "train_block", lambda fold, block, rung: seen.append(block) or train(fold, block, rung)
    )
    options = {"cv": 2, "refit": False, **options}
    rows, y = (X[:8], y[:8]) if options["cv"] != 2 else (X, y)
    search = BatchedGridSearchCV(model, {"alpha": [1e-4]}, **options).fit(rows, y)
    assert len(seen) == search.n_splits_
    theirs = GridSearchCV(model, {"alpha": [1e-4]}, **options).fit(rows, y)
    np.testing.assert_allclose(scores_of(search), scores_of(theirs), atol=1e-6)


@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_a_candidate_that_is_not_accepted_fails_alone():
    grid = {"alpha": [0.1], "penalty_factor": [None, [1.0, 2.0]]}
    with pytest.warns(FitFailedWarning, match="penalty_factor"):
        search = BatchedGridSearchCV(SGDVariantRegressor(), grid, cv=3).fit(X, NOISY)
    assert np.isfinite(search.cv_results_["mean_test_score"]).tolist() == [True, False]


# ---------------------------------------------------------------------- progress


def test_lines_and_tasks(capsys):
    for verbose, expected in (
        (0, ""), (2, "[CV] END"), (3, "[CV 2/3] END"), (10, "[CV 2/3; 1/1] END"),
    ):  # fmt: skip
        search = BatchedGridSearchCV(MODEL, {}, verbose=verbose)
        result = FoldResult(0, 1, test=0.5, fit_time=1.0, score_time=0.25)
        Progress(search, NullContext(), [{"b": 1, "a": 2}], 3).done([result], None)
        said = capsys.readouterr().out
        assert said.startswith(expected)
        assert ("a=2, b=1" in said, "score=0.500" in said) == (verbose > 1, verbose > 2)
        assert not verbose or "total time= 1.250s" in said
    with NullContext().propagate_callback_context(None):
        assert not NullContext().call_on_fit_task_begin().call_on_fit_task_end()


def test_a_warning_is_the_users():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn("look here", UserWarning)
    assert (caught[0].filename, str(caught[0].message)) == (__file__, "look here")


def test_a_model_whose_result_cannot_be_published_has_failed():
    class Refuses(SGDVariantClassifier):
        def __skvariants_publish__(self, fitted, **kwargs):
            if self.alpha == 1.0:
                raise RuntimeError("not this one")
            super().__skvariants_publish__(fitted, **kwargs)

    models = [TrainedModel(candidate, candidate.final) for candidate in candidates(Refuses(**FAST), alpha=ALPHAS)]
    fit_columns(fold(), models)
    assert [str(m.failure) for m in models] == ["None", "None", "not this one"]


@pytest.mark.parametrize(
    ("scoring", "meant"),
    [
        ("acuracy", "Did you mean 'accuracy'?"),
        ("rmse", "Did you mean 'neg_root_mean_squared_error'?"),
        ("log_loss", "Did you mean 'neg_log_loss'?"),
        ("brier_score", "Did you mean 'neg_brier_score'?"),
        (["accuracy", "f1macro"], "Did you mean 'f1_macro'?"),
        ({"a": "accuracy", "b": "nothing like it"}, "Give one of sklearn.metrics.get_scorer_names()."),
    ],
)
def test_a_scorer_that_there_is_not_is_answered_with_the_one_that_was_meant(scoring, meant):
    search = BatchedGridSearchCV(SGDVariantClassifier(), {"alpha": [1e-3]}, scoring=scoring, refit=False)
    with pytest.raises(ValueError, match=re.escape(f"scoring={scoring!r} is not accepted") + ".*" + re.escape(meant)):
        search.fit(X, Y)


def test_parameters_of_searches_and_of_their_candidates_are_guessed():
    with pytest.raises(TypeError, match=r"scorring is not a parameter of BatchedGridSearchCV\. Did you mean 'scoring'"):
        BatchedGridSearchCV(SGDVariantClassifier(), {"alpha": [1]}, scorring="accuracy")
    with pytest.raises(ValueError, match=r"estimator=SGDVariantClassifier is not accepted, as it is a class"):
        BatchedGridSearchCV(SGDVariantClassifier, {"alpha": [1]}).fit(X, Y)
    line = make_pipeline(StandardScaler(), SGDVariantClassifier())
    for name, meant in (("sgdvariantclassifer__alpha", "sgdvariantclassifier__alpha"), ("alhpa", "alpha")):
        estimator = line if "__" in name else SGDVariantClassifier()
        with pytest.raises(ValueError, match=rf"'{name}'.*Did you mean '{meant}'\?"):
            BatchedGridSearchCV(estimator, {name: [1]}).fit(X, Y)
