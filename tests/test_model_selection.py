"""A search is a grid search: scikit-learn's own searches are the oracle."""

import functools
import inspect
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import loguniform
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, make_classification, make_regression
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import estimator_checks_generator

from _references import CLASSIFYING, STEPPING, asked, in_domain
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._component import hyperparameter
from skvariants.losses import LOSSES, Huber, Quantile
from skvariants.model_selection import (
    BatchedGridSearchCV,
    BatchedHalvingSearchCV,
    BatchedRandomizedSearchCV,
    _path,
)
from skvariants.penalties import PENALTIES, ElasticNet, Penalty
from skvariants.schedules import SCHEDULES
from skvariants.solvers import SOLVERS, Adam, Momentum

FAST = {"max_iter": 4, "tol": None, "random_state": 0}
ALPHAS = [1e-4, 1e-2, 1.0]


def table(n_classes=2, seed=0, n=90):
    X, y = make_classification(
        n, 5, n_informative=4, n_redundant=0, n_classes=n_classes, class_sep=0.7, flip_y=0.1, random_state=seed
    )
    return X, np.array(["a", "b", "c"])[y]


def targets(n_targets=1, n=90):
    X, y = make_regression(n, 5, n_targets=n_targets, noise=20, random_state=0)
    return X, y / 50


BINARY, THREE = table(), table(3)


def quiet(search, *args, **kwargs):
    """Fit where warnings of single candidates are not the point."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return search.fit(*args, **kwargs)


def quiet_scores(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return cross_validate(*args, **kwargs)["test_score"]


def assert_same_results(ours, theirs, atol=1e-6):
    assert list(ours.cv_results_) == list(theirs.cv_results_)
    for name, expected in theirs.cv_results_.items():
        found = ours.cv_results_[name]
        if name == "params":
            assert str(found) == str(expected)
        elif name.startswith("param_"):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(np.ma.getmaskarray(found), np.ma.getmaskarray(expected))
            assert str(found) == str(expected)
        elif name.startswith("rank_"):
            # candidates that are the same model (an alpha without a penalty) are columns that may differ by rounding
            assert found.dtype == expected.dtype
            mean = theirs.cv_results_[name.replace("rank_", "mean_")]
            same = np.isclose(mean[:, None], mean, rtol=1e-12, atol=0)
            np.testing.assert_array_equal(*(np.sign(r[:, None] - r)[~same] for r in (found, expected)), name)
        elif "_time" not in name:
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, atol=atol, err_msg=name)
    fitted = {name for name in vars(theirs) if name.endswith("_")}
    assert {name for name in vars(ours) if name.endswith("_")} == fitted
    for name in fitted & {"n_splits_", "multimetric_"}:
        assert getattr(ours, name) == getattr(theirs, name)
    if "best_index_" in fitted and ours.best_index_ != theirs.best_index_:
        # only among candidates that are the same model
        means = [mean for name, mean in theirs.cv_results_.items() if name.startswith("mean_test_")]
        for mean in means:
            np.testing.assert_allclose(mean[ours.best_index_], mean[theirs.best_index_], rtol=1e-12)
    elif "best_params_" in fitted:
        assert str(ours.best_params_) == str(theirs.best_params_)


def assert_same(estimator, grid, X, y, fit_params=None, **kwargs):
    """Both searches, compared; returns ours."""
    kwargs = {"cv": 2, **kwargs}
    theirs = quiet(GridSearchCV(estimator, grid, **kwargs), X, y, **(fit_params or {}))
    ours = quiet(BatchedGridSearchCV(estimator, grid, **kwargs), X, y, **(fit_params or {}))
    assert_same_results(ours, theirs)
    if kwargs.get("refit", True):
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    return ours


# ---------------------------------------------------------------------- the law, over the registries


@pytest.mark.parametrize("solver", [*SOLVERS, "auto"])
def test_a_search_is_a_grid_search_for_every_solver(solver):
    model, steps = SGDVariantClassifier(**asked(solver), **FAST), solver == "auto" or solver in STEPPING
    grid = {"alpha": ALPHAS, **({"eta0": [0.01, 0.1], "batch_size": [16]} if steps else {})}
    assert_same(model, grid, *BINARY, scoring="neg_log_loss" if hasattr(model, "predict_proba") else "roc_auc")


@pytest.mark.parametrize("solver", SOLVERS)
def test_raced_steps_are_those_of_the_single_fit(solver):
    batch_size = 16 if solver in STEPPING else "auto"
    assert_same(SGDVariantClassifier(**asked(solver), batch_size=batch_size, **FAST), {"alpha": ALPHAS}, *THREE)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("loss", CLASSIFYING)
def test_a_search_is_a_grid_search_for_every_loss(loss, classes):
    model = SGDVariantClassifier(loss=loss, solver="momentum", eta0=0.01, multi_class="ovr", **FAST)
    assert_same(model, {"alpha": ALPHAS}, *(BINARY if classes == 2 else THREE))


@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("loss", [name for name, loss in LOSSES.items() if loss.regression])
def test_a_search_is_a_grid_search_for_every_loss_of_the_regressor(loss, n_targets):
    model, (X, y) = SGDVariantRegressor(loss=loss, solver="adam", eta0=0.05, **FAST), targets(n_targets)
    assert_same(model, {"alpha": ALPHAS}, X, in_domain(LOSSES[loss](), y))


@pytest.mark.filterwarnings("ignore:param_grid varies:UserWarning")  # of parameters that some of these lack
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("solver", ["sgd", "adagrad"])
def test_a_search_is_a_grid_search_for_every_penalty(penalty, solver):
    model = SGDVariantRegressor(penalty=penalty, solver=solver, eta0=0.02, **FAST)
    assert_same(model, {"alpha": ALPHAS, "l1_ratio": [0.2, 0.8]}, *targets())


@pytest.mark.filterwarnings("ignore:param_grid varies:UserWarning")  # which "optimal" has no use for
@pytest.mark.parametrize("schedule", [*SCHEDULES, "auto"])
def test_a_search_is_a_grid_search_for_every_schedule(schedule):
    loss = "hinge" if schedule.startswith("pa") else "log_loss"
    solver = "sgd" if schedule.startswith("pa") else "nesterov"
    model = SGDVariantClassifier(loss=loss, learning_rate=schedule, solver=solver, **FAST)
    assert_same(model, {"alpha": ALPHAS, "eta0": [0.01, 0.1]}, *BINARY)


@pytest.mark.filterwarnings("ignore:param_grid varies:UserWarning")
def test_numbers_inside_components_share_a_matrix():
    model = SGDVariantRegressor(loss=Huber(), solver=Momentum(), eta0=0.05, **FAST)
    grid = {"solver__momentum": [0.5, 0.9], "loss__epsilon": [0.1, 1.0], "power_t": [0.1, 0.5]}
    assert_same(model, grid, *targets())


@pytest.mark.parametrize("multi_class", ["ovr", "multinomial"])
def test_three_classes_either_way(multi_class):
    model = SGDVariantClassifier(multi_class=multi_class, class_weight="balanced", **FAST)
    assert_same(model, {"alpha": ALPHAS}, *THREE, return_train_score=True)


@pytest.mark.parametrize("average", [True, 10])
def test_averages_are_those_of_the_single_fit(average):
    assert_same(SGDVariantClassifier(average=average, eta0=0.1, **FAST), {"alpha": ALPHAS}, *BINARY)


def test_each_candidate_stops_by_its_own_rule():
    model = SGDVariantClassifier(early_stopping=True, n_iter_no_change=2, eta0=0.05, max_iter=40, random_state=0)
    grid = {"alpha": ALPHAS, "tol": [1e-4, 0.05], "eta0": [1e-3, 0.1]}
    assert_same(model, grid, *table(3, n=150), scoring="neg_log_loss")


def test_each_candidate_converges_by_itself():
    model = SGDVariantRegressor(max_iter=60, random_state=0)
    assert_same(model, {"alpha": ALPHAS, "tol": [1e-1, 1e-3], "max_iter": [2, 60]}, *targets())


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array, sp.csc_matrix])
def test_sparse_rows(kind):
    X, y = THREE
    X = np.where(np.abs(X) > 0.7, X, 0.0)
    assert_same(SGDVariantClassifier(**FAST), {"alpha": ALPHAS, "solver": ["sgd", "adam"]}, kind(X), y)


def test_float32_and_data_frames():
    pd = pytest.importorskip("pandas")
    X, y = THREE
    assert_same(SGDVariantClassifier(**FAST), {"alpha": ALPHAS}, X.astype(np.float32), y)
    frame = pd.DataFrame(X, columns=list("vwxyz"))
    ours = assert_same(SGDVariantClassifier(**FAST), {"alpha": ALPHAS}, frame, pd.Series(y, index=range(5, 5 + len(y))))
    assert list(ours.feature_names_in_) == list("vwxyz")


def test_lists_are_rows_too():
    X, y = BINARY
    assert_same(SGDVariantClassifier(**FAST), {"alpha": ALPHAS}, X.tolist(), y.tolist())


# ---------------------------------------------------------------------- grids of every kind


def test_what_cannot_share_a_matrix_is_grouped():
    grid = [
        {"solver": ["adam", "sgd", Momentum(momentum=0.5)], "alpha": ALPHAS},
        {"loss": ["hinge", "log_loss"], "batch_size": [8, 16], "eta0": [0.1]},
        {},
    ]
    assert_same(SGDVariantClassifier(**FAST), grid, *THREE, return_train_score=True)


def test_estimators_of_others_are_fitted_the_ordinary_way(capsys):
    grid = [{"m__alpha": ALPHAS}, {"m": [LogisticRegression(), SGDVariantClassifier(solver="adam", **FAST)]}]
    assert_same(Pipeline([("m", SGDVariantClassifier(**FAST))]), grid, *BINARY)
    assert_same(Ridge(), {"alpha": ALPHAS}, *targets(), return_train_score=True)
    capsys.readouterr()
    BatchedGridSearchCV(Pipeline([("m", SGDVariantClassifier(**FAST))]), grid, cv=2, verbose=1).fit(*BINARY)
    said = capsys.readouterr().out
    assert "Fitting 2 folds for each of 5 candidates, totalling 10 fits" in said
    assert "one by one (LogisticRegression)" in said


class Centred(SGDVariantClassifier):
    """A subclass whose fit is its own, and counts."""

    fits = []

    def fit(self, X, y, **params):
        self.fits.append(len(X))
        return super().fit(X + 1.0, y, **params)


def test_how_candidates_share_is_said_in_whole_words(capsys):
    BatchedGridSearchCV(SGDVariantClassifier(**FAST), {"alpha": ALPHAS}, cv=2, verbose=1, refit=False).fit(*BINARY)
    assert f"{len(ALPHAS)} candidates are columns of 1 matrix, in each fold" in capsys.readouterr().out
    BatchedGridSearchCV(Centred(**FAST), {"alpha": [1.0]}, cv=2, verbose=1, refit=False).fit(*BINARY)
    said = capsys.readouterr().out
    assert "Fitting 2 folds for each of 1 candidate, totalling 2 fits" in said
    assert "1 candidate is fitted one by one (Centred)" in said
    assert "matri" not in said


def test_a_parameter_of_a_step_is_told_by_its_whole_name():
    pipeline = make_pipeline(StandardScaler(), SGDVariantClassifier(**FAST))
    for search in (BatchedGridSearchCV, BatchedHalvingSearchCV):
        with pytest.raises(ValueError, match="Invalid parameter 'alpha' .* called 'sgdvariantclassifier__alpha'"):
            search(pipeline, {"alpha": ALPHAS}).fit(*BINARY)


def test_a_subclass_that_overrides_fit_is_fitted_by_it(capsys):
    Centred.fits.clear()
    BatchedGridSearchCV(Centred(**FAST), {"alpha": ALPHAS}, cv=2, verbose=1, refit=False).fit(*BINARY)
    assert Centred.fits == [45] * 6
    assert "3 candidates are fitted one by one (Centred)" in capsys.readouterr().out
    # what is said of the candidates stays one word
    model = Centred(solver="adagrad", max_iter=3, random_state=0)
    with pytest.warns(ConvergenceWarning, match="3 of 3 candidates reached max_iter") as caught:
        BatchedGridSearchCV(model, {"alpha": ALPHAS}, cv=2, refit=False).fit(*BINARY)
    assert len(caught) == 1
    assert_same(Centred(**FAST), {"alpha": ALPHAS}, *BINARY)
    with pytest.raises(ValueError, match="fitted by Centred"):
        BatchedHalvingSearchCV(Centred(**FAST), {"alpha": ALPHAS}).fit(*BINARY)


class Cautious(SGDVariantClassifier):
    """A subclass that predicts in its own way: most rows are of the first class."""

    def predict(self, X):
        return np.where(self.decision_function(X) > 1.0, self.classes_[1], self.classes_[0])


def test_a_subclass_that_predicts_or_publishes_in_its_own_way_is_scored_by_it():
    class Rounded(SGDVariantClassifier):
        def __skvariants_publish__(self, fitted, **kwargs):
            super().__skvariants_publish__(fitted, **kwargs)
            self.coef_ = np.round(self.coef_, 0)

    for model in (Cautious(**FAST), Rounded(**FAST)):
        ours = assert_same(model, {"alpha": ALPHAS}, *BINARY)
        plain = BatchedGridSearchCV(SGDVariantClassifier(**FAST), {"alpha": ALPHAS}, cv=2).fit(*BINARY)
        assert (ours.cv_results_["mean_test_score"] != plain.cv_results_["mean_test_score"]).any()


class Weighted(Penalty):
    """L2 with a strength for each feature."""

    strengths: object = hyperparameter(1.0, axis="feature")

    def value(self, W):
        return 0.5 * (np.reshape(self.strengths, (-1, 1)) * W**2).sum(axis=0)

    def add_gradient(self, W, out):
        out += np.reshape(self.strengths, (-1, 1)) * W

    def prox(self, W, step, smooth=True):
        if smooth:
            W /= 1 + step * np.reshape(self.strengths, (-1, 1))

    @property
    def has_prox(self):
        return False


def test_penalties_that_differ_inside_a_long_array_are_two_groups():
    X, y = make_classification(60, 1200, n_informative=9, shuffle=False, random_state=0)
    weak = np.ones(1200)
    strong = np.where((np.arange(1200) > 3) & (np.arange(1200) < 1190), 100.0, weak)
    penalties = [Weighted(strengths=weak), Weighted(strengths=strong)]
    assert repr(penalties[0]) == repr(penalties[1])
    model = SGDVariantClassifier(solver="gd", eta0=0.01, scale_features=False, **FAST)
    ours = assert_same(model, {"penalty": penalties}, X, y, scoring="neg_log_loss")
    assert np.ptp(ours.cv_results_["mean_test_score"]) > 1e-3


def test_a_precomputed_kernel_is_split_both_ways():
    X, y = BINARY
    assert_same(SVC(kernel="precomputed"), {"C": [0.1, 1]}, X @ X.T, y)


def test_a_randomized_search_draws_the_same_candidates():
    X, y = targets()
    model = SGDVariantRegressor(**FAST)
    distributions = {"alpha": loguniform(1e-5, 1), "penalty": ["l1", "l2"]}
    pair = [
        search(model, distributions, n_iter=7, random_state=3, cv=2).fit(X, y)
        for search in (BatchedRandomizedSearchCV, RandomizedSearchCV)
    ]
    assert_same_results(*pair)


# ---------------------------------------------------------------------- scoring and refitting


@pytest.mark.parametrize("refit", ["accuracy", False, lambda results: 1])
def test_several_metrics(refit):
    model = SGDVariantClassifier(**FAST)
    scoring = ["accuracy", "neg_log_loss", "roc_auc"]
    assert_same(model, {"alpha": ALPHAS}, *BINARY, scoring=scoring, refit=refit, return_train_score=True)


def test_several_metrics_by_name_and_through_a_pipeline():
    scoring = {"a": "balanced_accuracy", "b": make_scorer(accuracy_score), "c": lambda m, X, y: float(len(X))}
    model = make_pipeline(StandardScaler(), SGDVariantClassifier(**FAST))
    assert_same(model, {"sgdvariantclassifier__alpha": ALPHAS}, *THREE, scoring=scoring, refit="a")


def test_a_scorer_sees_the_whole_pipeline_and_the_rows_as_given():
    X, y = THREE

    def scorer(model, X, y):
        assert isinstance(model, Pipeline)
        assert X.shape[1] == 5
        return {"shape": float(model[-1].coef_.shape[1]), "score": model.score(X, y)}

    model = make_pipeline(PCA(2), SGDVariantClassifier(**FAST))
    grid = {"sgdvariantclassifier__alpha": ALPHAS, "pca__n_components": [2, 3]}
    ours = assert_same(model, grid, X, y, scoring=scorer, refit="score")
    np.testing.assert_array_equal(ours.cv_results_["mean_test_shape"], ours.cv_results_["param_pca__n_components"])


def test_a_winner_chosen_by_a_function():
    ours = assert_same(SGDVariantClassifier(**FAST), {"alpha": ALPHAS}, *BINARY, refit=lambda results: np.int64(1))
    assert not hasattr(ours, "best_score_")
    with pytest.raises(TypeError, match="not an integer"):
        BatchedGridSearchCV(SGDVariantClassifier(**FAST), {"alpha": ALPHAS}, refit=lambda r: 0.5).fit(*BINARY)
    with pytest.raises(IndexError, match="out of range"):
        BatchedGridSearchCV(SGDVariantClassifier(**FAST), {"alpha": ALPHAS}, refit=lambda r: 3).fit(*BINARY)


@pytest.mark.parametrize("scoring", [None, "accuracy"])
def test_the_name_of_a_metric_to_refit_by_is_not_looked_at_where_there_is_one_score(scoring):
    ours = assert_same(SGDVariantClassifier(**FAST), {"alpha": ALPHAS}, *BINARY, scoring=scoring, refit="zz")
    assert ours.best_score_ == ours.cv_results_["mean_test_score"].max()


def test_without_refit_there_is_no_model():
    search = BatchedGridSearchCV(SGDVariantClassifier(**FAST), {"alpha": ALPHAS}, refit=False).fit(*BINARY)
    assert search.best_params_["alpha"] in ALPHAS
    assert not hasattr(search, "best_estimator_")
    assert not hasattr(search, "predict")


def test_prediction_is_delegated_to_the_winner():
    X, y = THREE
    search = BatchedGridSearchCV(SGDVariantClassifier(**FAST), {"alpha": ALPHAS}, scoring="neg_log_loss")
    assert hasattr(search, "predict_proba")
    assert not hasattr(search, "transform")
    assert not hasattr(BatchedGridSearchCV(SGDVariantClassifier(loss="hinge"), {}).fit(X, y), "predict_proba")
    search.fit(X, y)
    model = search.best_estimator_
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        np.testing.assert_array_equal(getattr(search, method)(X), getattr(model, method)(X))
    assert list(search.classes_) == ["a", "b", "c"]
    assert search.n_features_in_ == 5
    assert search.score(X, y) == search.scorer_(model, X, y)
    assert search.refit_time_ > 0


@pytest.mark.parametrize(("model", "data"), [(SGDVariantClassifier, THREE), (SGDVariantRegressor, targets(2))])
def test_default_scores_of_a_group_come_from_one_product(monkeypatch, model, data):
    search = BatchedGridSearchCV(model(**FAST), {"alpha": ALPHAS}, cv=2, return_train_score=True, refit=False)
    asked = GridSearchCV(model(**FAST), {"alpha": ALPHAS}, cv=2, return_train_score=True, refit=False).fit(*data)
    monkeypatch.setattr(model, "score", None)
    with monkeypatch.context() as patch:
        patch.setattr(model, "predict", None)
        assert_same_results(search.fit(*data), asked)


METRICS_OF_LABELS = ["accuracy", "neg_log_loss", "balanced_accuracy", "f1_macro", "precision_weighted"]


@pytest.mark.parametrize("labels", [int, str, object])
@pytest.mark.parametrize("scoring", [*METRICS_OF_LABELS, METRICS_OF_LABELS])
def test_metrics_of_labels_of_a_group_come_from_one_product(monkeypatch, labels, scoring):
    X, y = THREE
    y = np.unique(y, return_inverse=True)[1] if labels is int else y.astype(labels)
    options = dict(cv=3, return_train_score=True, refit=False, scoring=scoring)
    model, weight = SGDVariantClassifier(**FAST, solver="adam"), np.random.default_rng(0).random(len(y)) + 0.5
    asked = GridSearchCV(model, {"alpha": ALPHAS}, **options).fit(X, y, sample_weight=weight)
    monkeypatch.setattr(SGDVariantClassifier, "predict", None)
    monkeypatch.setattr(SGDVariantClassifier, "predict_proba", None)
    found = BatchedGridSearchCV(model, {"alpha": ALPHAS}, **options).fit(X, y, sample_weight=weight)
    assert_same_results(found, asked)


def test_labels_that_a_fold_lacks_score_as_scikit_learn_says():
    X, y = THREE
    y = np.where(np.arange(len(y)) < 60, np.where(y == "c", "a", y), y)
    for scoring in ("f1_macro", "accuracy"):
        assert_same(SGDVariantClassifier(**FAST), {"alpha": ALPHAS}, X, y, cv=KFold(3), scoring=scoring)


@pytest.mark.parametrize(
    ("scoring", "data", "words"),
    [
        ("f1", BINARY, r"scoring='f1' .*pos_label=1 is not a valid label.*make_scorer\(f1_score, pos_label='b'\)"),
        (["accuracy", "precision"], BINARY, "scoring='precision' .*pos_label"),
        ({"a": "neg_mean_squared_error"}, BINARY, "scoring='neg_mean_squared_error' .*'accuracy'"),
        ("recall", THREE, "scoring='recall' .*(Target is multiclass|pos_label).*'f1_macro'"),
        ("roc_auc", THREE, "scoring='roc_auc' .*'roc_auc_ovr'"),
    ],
    ids=["f1", "precision", "squares", "recall", "roc_auc"],
)  # fmt: skip
def test_a_metric_that_these_labels_do_not_have_is_refused_at_once(scoring, data, words):
    with pytest.raises(ValueError, match=words):
        BatchedGridSearchCV(SGDVariantClassifier(**FAST), {"alpha": ALPHAS}, scoring=scoring, refit=False).fit(*data)


@pytest.mark.parametrize("scoring", ["r2", {"a": "neg_mean_absolute_error"}])
def test_a_metric_that_levels_of_a_quantile_do_not_have_is_refused_at_once(scoring):
    X, y = targets()
    model = SGDVariantRegressor(Quantile([0.1, 0.9]), **FAST)
    with pytest.raises(ValueError, match="scoring='.*' is not accepted: .*predicts 2 levels.*leave scoring=None"):
        BatchedGridSearchCV(model, {"alpha": ALPHAS}, scoring=scoring, refit=False).fit(X, y)
    assert np.isfinite(BatchedGridSearchCV(model, {"alpha": ALPHAS}, cv=2).fit(X, y).best_score_)


def test_a_metric_that_several_targets_do_not_have_is_refused_at_once():
    X, y = targets()
    search = BatchedGridSearchCV(SGDVariantRegressor(**FAST), {"alpha": ALPHAS}, scoring="neg_max_error", cv=2)
    with pytest.raises(ValueError, match="scoring='neg_max_error' .*takes several targets, such as 'r2'"):
        search.fit(X, np.c_[y, y])
    assert np.isfinite(search.fit(X, y).best_score_)


@pytest.mark.parametrize(
    ("model", "grid", "idle"),
    [
        (SGDVariantRegressor(penalty=ElasticNet(0.1)), {"alpha": [0.1, 1.0]}, "penalty__alpha"),
        (SGDVariantRegressor(penalty=None), {"alpha": [0.1, 1.0], "fit_intercept": [True, False]}, "penalty__alpha"),
        (SGDVariantRegressor(Huber()), {"epsilon": [0.1, 1.0]}, "loss__epsilon"),
        (SGDVariantRegressor(), {"l1_ratio": [0.1, 1.0]}, "penalty__l1_ratio"),
        (SGDVariantRegressor(), {"alpha": [0.1, 1.0]}, None),
        (SGDVariantRegressor(), {"l1_ratio": [0.1, 1.0], "penalty": ["l2", "elasticnet"]}, None),
        (SGDVariantRegressor("huber"), {"epsilon": [0.1, 1.0]}, None),
        (SGDVariantRegressor(penalty=ElasticNet(0.1)), {"penalty__alpha": [0.1, 1.0]}, None),
        (SGDVariantRegressor(penalty=ElasticNet(0.1)), {"alpha": [0.1]}, None),
    ],
)
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_a_grid_that_changes_nothing_is_said_once(model, grid, idle, in_pipeline):
    X, y = targets()
    lead = "sgdvariantregressor__" if in_pipeline else ""
    model = make_pipeline(StandardScaler(), model) if in_pipeline else model
    search = BatchedGridSearchCV(model, {f"{lead}{name}": values for name, values in grid.items()}, cv=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(X, y)
    said = [str(w.message) for w in caught if issubclass(w.category, UserWarning) and "no effect" in str(w.message)]
    assert len(said) == (idle is not None)
    if idle is None:
        return
    assert f"param_grid varies '{lead}{idle.rpartition('__')[2]}', which has no effect" in said[0]
    assert f"search '{lead}{idle}'" in said[0]
    scores = search.cv_results_["mean_test_score"].reshape(2, -1)
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-10)


def test_a_constant_target_in_a_fold_scores_as_scikit_learn_says():
    X, _ = targets()
    y = np.r_[np.zeros(30), np.arange(60.0)]
    assert_same(SGDVariantRegressor(**FAST), {"alpha": ALPHAS}, X, y, cv=KFold(3))


def test_a_scorer_that_fails():
    def fails(model, X, y):
        raise RuntimeError("no score today")

    search = BatchedGridSearchCV(SGDVariantClassifier(**FAST), {"alpha": ALPHAS}, scoring=fails, error_score=-1.0)
    with pytest.warns(UserWarning, match="no score today"):
        search.fit(*BINARY)
    assert (search.cv_results_["mean_test_score"] == -1).all()
    with pytest.raises(RuntimeError, match="no score today"):
        search.set_params(error_score="raise").fit(*BINARY)
    several = BatchedGridSearchCV(
        SGDVariantClassifier(**FAST),
        {"alpha": ALPHAS},
        scoring={"a": "accuracy", "f": fails},
        refit="a",
        error_score=-1,
    )
    with pytest.warns(UserWarning, match="no score today"):
        several.fit(*BINARY)
    assert (several.cv_results_["mean_test_f"] == -1).all()
    assert (several.cv_results_["mean_test_a"] > 0).all()


# ---------------------------------------------------------------------- pipelines


class Counting(TransformerMixin, BaseEstimator):
    """Scales, and counts fits and the rows that they saw."""

    fits = []

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, X, y=None):
        self.fits.append(X[:, -1].copy())
        self.mean_ = X.mean(axis=0)
        return self

    def transform(self, X):
        return (X - self.mean_) * self.factor


@pytest.mark.parametrize("scoring", [None, lambda model, X, y: model.score(X, y)])
def test_steps_before_are_fitted_once_per_fold_and_setting_on_training_rows_only(scoring):
    X, y = table(n=60)
    X[:, -1] = np.arange(60)
    model = make_pipeline(Counting(), SGDVariantClassifier(**FAST))
    grid = {"sgdvariantclassifier__alpha": ALPHAS, "counting__factor": [1.0, 2.0]}
    cv = KFold(3)
    Counting.fits.clear()
    BatchedGridSearchCV(model, grid, cv=cv, scoring=scoring, refit=False).fit(X, y)
    assert len(Counting.fits) == 3 * 2
    folds = {tuple(train) for train, _ in cv.split(X)}
    assert {tuple(rows.astype(int)) for rows in Counting.fits} == folds
    assert_same(model, grid, X, y, cv=cv, scoring=scoring, return_train_score=True)


class OutOfFold(TransformerMixin, BaseEstimator):
    """Like a target encoder: training rows are transformed by the other half, new rows by all."""

    def fit(self, X, y):
        self.mean_ = X.mean(axis=0)
        return self

    def fit_transform(self, X, y):
        half = np.arange(len(X)) % 2 == 0
        other = np.where(half[:, None], X[~half].mean(axis=0), X[half].mean(axis=0))
        return self.fit(X, y) and X - 3 * other

    def transform(self, X):
        return X - 3 * self.mean_


def test_a_table_with_columns_of_several_kinds():
    pd = pytest.importorskip("pandas")
    X, y = THREE
    frame = pd.DataFrame({"x": X[:, 0], "z": X[:, 1], "city": np.where(X[:, 2] > 0, "rome", "oslo")})
    columns = ColumnTransformer([("city", OneHotEncoder(), ["city"])], remainder=StandardScaler())
    model = make_pipeline(columns, OutOfFold(), SGDVariantClassifier(**FAST))
    grid = {"sgdvariantclassifier__alpha": ALPHAS, "columntransformer__city__drop": [None, "first"]}
    assert_same(model, grid, frame, y, return_train_score=True)


def test_whole_steps_are_swapped_and_pipelines_are_nested(tmp_path):
    inner = make_pipeline(StandardScaler(), SGDVariantClassifier(**FAST))
    outer = Pipeline([("cut", FunctionTransformer()), ("inner", inner)])
    grid = [
        {
            "inner__sgdvariantclassifier__alpha": ALPHAS,
            "inner__standardscaler": [MinMaxScaler(), "passthrough", StandardScaler(with_mean=False)],
        },
        {"inner": [inner, LogisticRegression(), SGDVariantClassifier(solver="adam", **FAST)]},
    ]
    assert_same(outer, grid, *THREE)
    cached = Pipeline([("scale", StandardScaler()), ("model", SGDVariantClassifier(**FAST))], memory=str(tmp_path))
    assert_same(cached, {"model__alpha": ALPHAS, "scale__with_std": [True, False]}, *THREE)


def test_a_solver_inside_a_pipeline_is_searched():
    model = make_pipeline(StandardScaler(), SGDVariantClassifier(solver=Momentum(), eta0=0.1, **FAST))
    grid = [
        {"sgdvariantclassifier__solver__momentum": [0.3, 0.9]},
        {"sgdvariantclassifier__solver": [Adam(), "sgd"], "sgdvariantclassifier__alpha": ALPHAS},
    ]
    assert_same(model, grid, *BINARY)


# ---------------------------------------------------------------------- weights, groups, routing


def test_weights_and_groups_without_routing():
    X, y = THREE
    weight = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    groups = np.arange(len(y)) % 7
    model, grid = SGDVariantClassifier(**FAST), {"alpha": ALPHAS}
    assert_same(model, grid, X, y, {"sample_weight": weight, "groups": groups}, cv=GroupKFold(3))
    piped = make_pipeline(StandardScaler(), model)
    fit_params = {
        "sgdvariantclassifier__sample_weight": weight.tolist(),
        "standardscaler__sample_weight": weight,
        "groups": groups,
    }
    assert_same(piped, {"sgdvariantclassifier__alpha": ALPHAS}, X, y, fit_params, cv=GroupKFold(3))


def test_a_start_is_passed_on_to_each_fit():
    X, y = BINARY
    start = {"coef_init": np.ones((1, 5)), "intercept_init": np.zeros(1)}
    assert_same(SGDVariantClassifier(eta0=0.01, **FAST), {"alpha": ALPHAS}, X, y, start)


def test_validation_rows_are_shared_by_all_candidates():
    X, y = BINARY
    held_out = {"X_val": X[:31], "y_val": y[:31]}
    model = SGDVariantClassifier(early_stopping=True, max_iter=30, eta0=0.05, random_state=0)
    assert_same(model, {"alpha": ALPHAS}, X, y, held_out)


def test_metadata_is_routed():
    X, y = THREE
    rng = np.random.default_rng(0)
    weight, groups = rng.uniform(size=len(y)), np.arange(len(y)) % 5
    with config_context(enable_metadata_routing=True):
        model = SGDVariantClassifier(**FAST).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scale = StandardScaler().set_fit_request(sample_weight="other")
        grid = {"sgdvariantclassifier__alpha": ALPHAS}
        passed = {"sample_weight": weight, "other": weight**2, "groups": groups}
        own = {"sample_weight": weight, "groups": groups}
        assert_same(model, {"alpha": ALPHAS}, X, y, own, cv=GroupKFold(3))
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        ours = assert_same(make_pipeline(scale, model), grid, X, y, passed, cv=GroupKFold(3), scoring=scorer)
        assert ours.score(X, y, sample_weight=weight) != ours.score(X, y)
        with pytest.raises(TypeError, match="bogus"):
            ours.fit(X, y, bogus=1)


def test_validation_rows_go_through_the_pipeline():
    X, y = BINARY
    with config_context(enable_metadata_routing=True):
        model = SGDVariantClassifier(early_stopping=True, max_iter=30, eta0=0.05, random_state=0)
        model.set_fit_request(X_val=True, y_val=True)
        piped = Pipeline([("scale", StandardScaler()), ("model", model)], transform_input=["X_val"])
        assert_same(piped, {"model__alpha": ALPHAS}, X, y, {"X_val": X[:31], "y_val": y[:31]})


# ---------------------------------------------------------------------- what goes wrong


@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_a_candidate_that_fails_gets_its_score_and_a_warning():
    X, y = BINARY
    model, grid = SGDVariantClassifier(**FAST), {"alpha": [1e-3, -1.0]}
    search = BatchedGridSearchCV(model, grid)
    with pytest.warns(FitFailedWarning, match="5 fits failed out of a total of 10"):
        search.fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same_results(search, GridSearchCV(model, grid).fit(X, y))
    assert list(search.cv_results_["rank_test_score"]) == [1, 2]
    with pytest.raises(ValueError, match="alpha=-1.0"):
        BatchedGridSearchCV(model, grid, error_score="raise").fit(X, y)
    with pytest.raises(ValueError, match="All the 5 fits failed"):
        BatchedGridSearchCV(model, {"alpha": [-1.0]}).fit(X, y)


def test_steps_that_fail_fail_all_their_candidates():
    model = make_pipeline(PCA(), SGDVariantClassifier(**FAST))
    grid = {"pca__n_components": [2, 99], "sgdvariantclassifier__alpha": ALPHAS}
    with pytest.warns(FitFailedWarning, match="6 fits failed out of a total of 12"):
        search = BatchedGridSearchCV(model, grid, cv=2, error_score=0.0).fit(*BINARY)
    assert list(search.cv_results_["mean_test_score"] == 0) == [False] * 3 + [True] * 3


@pytest.mark.filterwarnings("ignore:One or more of the test scores")
@pytest.mark.parametrize("scoring", [None, ["accuracy", "roc_auc"], lambda m, X, y: {"accuracy": m.score(X, y)}])
def test_a_candidate_that_diverges_is_named_and_the_others_are_untouched(scoring):
    X, y = targets()
    y = (y > 0).astype(int)
    X = X * 100
    metric = "score" if scoring is None else "accuracy"
    model = SGDVariantClassifier(loss="squared_error", solver="minibatch", **FAST)
    refit = True if scoring is None else "accuracy"
    search = BatchedGridSearchCV(model, {"eta0": [1e-7, 10.0, 1e-6]}, scoring=scoring, refit=refit)
    with pytest.warns(ConvergenceWarning, match=r"1 of 3 candidates diverged.*\{'eta0': 10.0\}"):
        search.fit(X, y)
    scores = search.cv_results_[f"mean_test_{metric}"]
    assert np.isnan(scores[1])
    alone = BatchedGridSearchCV(model, {"eta0": [1e-7, 1e-6]}, scoring=scoring, refit=refit).fit(X, y)
    np.testing.assert_allclose(scores[[0, 2]], alone.cv_results_[f"mean_test_{metric}"], atol=1e-12)
    with pytest.raises(ValueError, match=r"'eta0': 10.0.*diverged"):
        search.set_params(error_score="raise").fit(X, y)


def test_candidates_that_need_more_epochs_are_named_once():
    model = SGDVariantClassifier(solver="adagrad", max_iter=3, random_state=0)
    with pytest.warns(ConvergenceWarning, match="max_iter") as caught:
        BatchedGridSearchCV(model, {"alpha": ALPHAS, "tol": [1e-9, None]}, refit=False).fit(*BINARY)
    assert len(caught) == 1
    assert "3 of 6 candidates" in str(caught[0].message)


@pytest.mark.parametrize("search", [BatchedGridSearchCV, BatchedHalvingSearchCV])
def test_warnings_point_at_the_line_of_the_user(search):
    def fails(model, X, y):
        raise RuntimeError("no score today")

    X, y = BINARY
    model = SGDVariantClassifier(solver="adagrad", max_iter=4, tol=1e-9, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search(model, {"alpha": [1e-3, -1.0]}, cv=2, refit=False).fit(X, y)
        search(model, {"alpha": [1e-3]}, cv=2, refit=False, scoring=fails).fit(X, y, sample_weight=np.ones(90))
    assert {warning.filename for warning in caught} == {__file__}
    assert {"fits failed", "non-finite", "Scoring failed"} <= {
        phrase for phrase in ("fits failed", "non-finite", "Scoring failed") for w in caught if phrase in str(w.message)
    }


def test_a_failing_fit_leaves_the_search_as_it_was():
    search = BatchedGridSearchCV(SGDVariantClassifier(**FAST), {"alpha": ALPHAS}).fit(*BINARY)
    before = dict(vars(search))
    with pytest.raises(ValueError, match="All the"):
        search.fit(np.full((90, 5), np.nan), BINARY[1])
    assert vars(search) == before


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("n_jobs", 1.5, "n_jobs=1.5"),
        ("verbose", -1, "verbose=-1"),
        ("error_score", "ignore", "error_score='ignore'"),
        ("refit", 3, "refit=3"),
        ("estimator", 7, "estimator=7"),
        ("scoring", 5, "scoring=5"),
        ("scoring", ["accuracy", "roc_auc"], "refit must be set"),
        ("param_grid", {"alpha": 1}, "needs to be a list"),
    ],
)
def test_parameters_are_checked(name, value, message):
    search = BatchedGridSearchCV(SGDVariantClassifier(**FAST), {"alpha": ALPHAS}).set_params(**{name: value})
    with pytest.raises((ValueError, TypeError), match=message):
        search.fit(*BINARY)


def test_an_unknown_parameter_is_refused():
    with pytest.raises(ValueError, match="Invalid parameter 'beta'"):
        BatchedGridSearchCV(SGDVariantClassifier(), {"beta": [1]}).fit(*BINARY)


def test_an_interrupted_search_ends_and_stays_unfitted(monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(_path, "fit_together", interrupted)
    search = BatchedGridSearchCV(SGDVariantClassifier(**FAST), {"alpha": ALPHAS})
    with pytest.raises(KeyboardInterrupt):
        search.fit(*BINARY)
    assert not hasattr(search, "cv_results_")


# ---------------------------------------------------------------------- a citizen of scikit-learn


FEW = {"solver": "adam", "max_iter": 20, "tol": None, "random_state": 0}
CHECKED = [
    BatchedGridSearchCV(SGDVariantClassifier(**FEW), {"alpha": [1e-4, 1e-2]}, cv=2, error_score="raise"),
    BatchedGridSearchCV(
        make_pipeline(PCA(), SGDVariantRegressor(**FEW)),
        {"sgdvariantregressor__alpha": [1e-4, 1e-2]},
        cv=2,
        error_score="raise",
    ),
    BatchedHalvingSearchCV(SGDVariantRegressor(**FEW), {"alpha": [1e-4, 1e-2]}, cv=2, error_score="raise", factor=2),
]
# GridSearchCV over the same estimators fails these: it does not warn of a column as target, and says that folds hold
# one class where the check wants a word about weights
LEFT_OUT = {"check_supervised_y_2d", "check_classifiers_one_label_sample_weights"}


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(estimator, check, marks=() if search is CHECKED[1] else pytest.mark.slow)
        for search in CHECKED
        for estimator, check in estimator_checks_generator(search)
        if getattr(check, "func", check).__name__ not in LEFT_OUT
    ],
)
def test_scikit_learns_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


@pytest.mark.parametrize("search", [GridSearchCV, RandomizedSearchCV])
def test_a_user_changes_the_class_name_and_nothing_else(search):
    ours = {GridSearchCV: BatchedGridSearchCV, RandomizedSearchCV: BatchedRandomizedSearchCV}[search]
    model = ours(SGDVariantClassifier(), {"alpha": ALPHAS})
    assert isinstance(model, search)
    theirs = search(SGDVariantClassifier(), {}).get_params(deep=False).keys()
    assert model.get_params(deep=False).keys() == theirs | {"max_time"}
    for name in model.get_params(deep=False):
        assert f"\n{name} :" in inspect.getdoc(ours)


def test_every_parameter_of_halving_is_documented():
    for name in BatchedHalvingSearchCV(SGDVariantClassifier(), {}).get_params(deep=False):
        assert f"\n{name} :" in inspect.getdoc(BatchedHalvingSearchCV)


@pytest.mark.parametrize("make", [BatchedGridSearchCV, BatchedHalvingSearchCV])
def test_a_search_is_pickled_cloned_nested_and_a_step(make):
    X, y = THREE
    search = make(SGDVariantClassifier(**FAST), {"alpha": ALPHAS}, cv=2)
    scores = cross_validate(search, X, y, cv=2)["test_score"]
    assert (scores > 0.4).all()
    piped = make_pipeline(StandardScaler(), search).fit(X, y)
    again = pickle.loads(pickle.dumps(piped))
    np.testing.assert_array_equal(again.predict(X), piped.predict(X))
    assert clone(piped[-1]).get_params()["estimator__max_iter"] == 4
    assert not hasattr(clone(piped[-1]), "cv_results_")


def test_folds_in_two_processes_give_the_same():
    X, y = THREE
    model = make_pipeline(StandardScaler(), SGDVariantClassifier(**FAST))
    grid = {"sgdvariantclassifier__alpha": ALPHAS, "standardscaler__with_std": [True, False]}
    one, two = (BatchedGridSearchCV(model, grid, n_jobs=n, cv=3).fit(X, y) for n in (None, 2))
    assert_same_results(two, one, atol=0)
    halving = {"n_jobs": 2, "min_resources": 2, "factor": 2, "cv": 3}
    two = BatchedHalvingSearchCV(model, grid, **halving).fit(X, y)
    one = BatchedHalvingSearchCV(model, grid, **{**halving, "n_jobs": 1}).fit(X, y)
    assert_same_results(two, one, atol=0)


class Listener:
    """A callback that keeps what it was told."""

    def __init__(self):
        self.told = []

    def setup(self, estimator, context):
        self.told.append("setup")

    def teardown(self, estimator, context):
        self.told.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.told.append((context.task_name, context.task_id, context.max_subtasks))


def test_callbacks_hear_what_they_hear_from_a_grid_search():
    pair = [s(SGDVariantClassifier(**FAST), {"alpha": ALPHAS}, cv=2) for s in (BatchedGridSearchCV, GridSearchCV)]
    if not hasattr(pair[1], "set_callbacks"):  # an older scikit-learn has none
        assert not hasattr(pair[0], "set_callbacks")
        return
    heard = []
    for search in pair:
        listener = Listener()
        search.set_callbacks(listener).fit(*BINARY)
        assert (listener.told[0], listener.told[-1]) == ("setup", "teardown")
        heard.append(sorted(map(str, listener.told)))
    assert heard[0] == heard[1]
    listener = Listener()
    with pytest.raises(ValueError, match="All the"):
        pair[0].set_callbacks(listener).set_params(param_grid={"alpha": [-1.0]}).fit(*BINARY)
    assert listener.told[-1] == "teardown"


class Propagated(Listener):
    """A callback that the estimators inside hear of too."""

    max_propagation_depth = None

    def on_fit_task_begin(self, estimator, context, *, X, y, metadata):
        rows = None if X is None else (X.shape, len(y), metadata["sample_weight"].sum())
        self.told.append((context.task_name, context.source_task_name, type(estimator).__name__, rows))

    def on_fit_task_end(self, estimator, context):
        pass


@pytest.mark.parametrize("search", [BatchedGridSearchCV, GridSearchCV])
def test_callbacks_reach_candidates_that_are_fitted_the_ordinary_way(search):
    if not hasattr(GridSearchCV, "set_callbacks"):
        pytest.skip("this scikit-learn has no callbacks")
    X, y = BINARY
    own, columns = Centred("hinge", solver="adam", **FAST), SGDVariantClassifier(**FAST)
    weights, listener = np.arange(len(y)) / 10, Propagated()
    search(own, {"alpha": ALPHAS}, cv=2, refit=False).set_callbacks(listener).fit(X, y, sample_weight=weights)
    told = [entry for entry in listener.told if entry[0] == "epoch"]
    assert len(told) == len(ALPHAS) * 2 * FAST["max_iter"]
    fits = [entry for entry in listener.told if entry[1] == "candidate-split-evaluation"]
    assert [(name, rows[0]) for *_, name, rows in fits] == [("Centred", (45, 5))] * 6
    assert sum(rows[2] for *_, rows in fits) == pytest.approx(len(ALPHAS) * weights.sum())
    # of those that a matrix trains they hear when it is done, with the rows of the fold
    listener = Propagated()
    BatchedGridSearchCV(columns, {"alpha": ALPHAS}, cv=2, refit=False).set_callbacks(listener).fit(
        X, y, sample_weight=weights
    )
    told = [rows for name, *_, rows in listener.told if name == "candidate-split-evaluation"]
    assert [shape for shape, *_ in told] == [(45, 5)] * 6
    assert sum(each[2] for each in told) == pytest.approx(len(ALPHAS) * weights.sum())


def test_callbacks_hear_of_candidates_in_other_processes():
    callback = pytest.importorskip("sklearn.callback")
    heard = []
    for jobs in (1, 2):
        monitor = callback.ScoringMonitor(scoring="accuracy")
        model = Centred(solver="adam", **FAST).set_callbacks(monitor)
        BatchedGridSearchCV(model, {"alpha": ALPHAS}, cv=2, refit=False, n_jobs=jobs).fit(*BINARY)
        logs = monitor.get_logs(select="all")
        heard.append(sorted(row["accuracy"] for log in logs for row in log.data))
    assert heard[0] == heard[1]
    assert len(heard[0]) >= len(ALPHAS) * 2 * FAST["max_iter"]


def test_callbacks_of_the_estimator_hear_each_fit():
    callback = pytest.importorskip("sklearn.callback")
    X, y = BINARY
    heard, searches = [], []
    for search in (BatchedGridSearchCV, GridSearchCV):
        monitor = callback.ScoringMonitor(scoring="accuracy")
        model = SGDVariantClassifier(solver="adam", **FAST).set_callbacks(monitor)
        searches.append(search(model, {"alpha": ALPHAS}, cv=2, refit=False, return_train_score=True).fit(X, y))
        heard.append(sorted(row["accuracy"] for log in monitor.get_logs(select="all") for row in log.data))
    assert heard[0] == heard[1]
    assert_same_results(*searches)
    with pytest.raises(ValueError, match="give them to the search, by its set_callbacks"):
        BatchedHalvingSearchCV(model, {"alpha": ALPHAS}).fit(X, y)


def test_verbosity(capsys):
    X, y = BINARY
    model = SGDVariantClassifier(**FAST)
    BatchedGridSearchCV(model, {"alpha": ALPHAS}, cv=2).fit(X, y)
    assert capsys.readouterr().out == ""
    BatchedGridSearchCV(model, {"alpha": ALPHAS}, cv=2, verbose=10).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert sum("END" in line for line in lines) == 6
    assert any(line.startswith("[CV 2/2; 3/3] END") and "alpha=1.0; score=" in line for line in lines)


# ---------------------------------------------------------------------- halving


@pytest.mark.parametrize("aggressive", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("least", "most"), [(1, 5), (2, 16), ("exhaust", 16), (4, 4)])
def test_rungs_are_those_of_scikit_learn(least, most, aggressive):
    X, y = BINARY
    options = {
        "min_resources": least, "max_resources": most, "factor": 2, "aggressive_elimination": aggressive, "cv": 2,
    }  # fmt: skip
    model, grid = SGDVariantClassifier(eta0=0.05, **FAST), {"alpha": np.logspace(-5, 1, 9)}
    ours = BatchedHalvingSearchCV(model, grid, **options).fit(X, y)
    theirs = HalvingGridSearchCV(model, grid, resource="max_iter", random_state=0, **options).fit(X, y)
    for name in (
        "n_resources_", "n_candidates_", "n_iterations_", "n_required_iterations_", "n_possible_iterations_",
        "min_resources_", "max_resources_", "n_remaining_candidates_", "n_splits_",
    ):  # fmt: skip
        assert getattr(ours, name) == getattr(theirs, name), name
    mine, other = ours.cv_results_, theirs.cv_results_
    assert set(other) - set(mine) == {"param_max_iter"}
    assert set(mine) <= set(other)
    for name in ("iter", "n_resources", "mean_test_score", "mean_train_score", "param_alpha", "rank_test_score"):
        np.testing.assert_allclose(np.asarray(mine[name], float), np.asarray(other[name], float), atol=1e-9)
    assert ours.best_index_ == theirs.best_index_


@pytest.mark.parametrize("piped", [False, True])
def test_a_rung_is_a_continuation(piped):
    """The score at a rung is that of a fit with so many epochs, and the epochs before are not paid again."""
    X, y = THREE
    model = SGDVariantClassifier(solver="adam", max_iter=18, tol=None, random_state=0)
    name = "sgdvariantclassifier__alpha" if piped else "alpha"
    if piped:
        model = make_pipeline(StandardScaler(), model)
    search = BatchedHalvingSearchCV(model, {name: np.logspace(-4, 1, 9)}, min_resources=2, cv=3, scoring="neg_log_loss")
    search.fit(X, y)
    assert search.n_resources_ == [2, 6, 18]
    assert search.n_candidates_ == [9, 3, 1]
    assert search.n_epochs_ == [9 * 3 * 2, 3 * 3 * 4, 1 * 3 * 12]
    results = search.cv_results_
    for row in range(len(results["params"])):
        epochs = int(results["n_resources"][row])
        full = clone(model).set_params(**results["params"][row])
        full.set_params(**{"sgdvariantclassifier__max_iter" if piped else "max_iter": epochs})
        expected = cross_validate(full, X, y, cv=3, scoring="neg_log_loss")["test_score"].mean()
        np.testing.assert_allclose(results["mean_test_score"][row], expected, atol=1e-9)
    assert search.best_params_ == results["params"][search.best_index_]
    assert search.best_index_ == 12


@pytest.mark.parametrize("solver", ["auto", "quasi_newton"])
@pytest.mark.parametrize("data", ["digits", "batches"])
def test_a_rung_of_quasi_newton_iterations_is_a_continuation(solver, data):
    """The same where iterations are quasi-Newton's, on all rows and on a batch that grows."""
    if data == "digits":
        X, y = load_digits(return_X_y=True)
        X, y = X[:600], y[:600]
    else:
        X, y = make_classification(16_400, 6, n_informative=5, n_redundant=0, n_classes=3, random_state=0)
    model = SGDVariantClassifier(solver=solver, max_iter=8, tol=None, random_state=0)
    search = BatchedHalvingSearchCV(
        model, {"alpha": np.logspace(-6, 0, 7)}, min_resources=2, factor=2, cv=2, scoring="neg_log_loss"
    ).fit(X, y)
    results = search.cv_results_
    assert search.n_resources_ == [2, 4, 8]
    assert search.n_epochs_[0] == 7 * 2 * 2
    for row, (params, epochs) in enumerate(zip(results["params"], results["n_resources"], strict=True)):
        full = clone(model).set_params(max_iter=int(epochs), **params)
        expected = quiet_scores(full, X, y, cv=2, scoring="neg_log_loss")
        np.testing.assert_allclose(results["mean_test_score"][row], expected.mean(), atol=1e-9)


def test_a_start_is_given_again_to_each_rung():
    X, y = BINARY
    model = SGDVariantClassifier(solver="adam", eta0=0.01, max_iter=4, tol=None, random_state=0)
    start = {"coef_init": np.ones((1, 5)), "intercept_init": np.zeros(1)}
    search = BatchedHalvingSearchCV(model, {"alpha": ALPHAS}, min_resources=2, factor=2, cv=2, scoring="neg_log_loss")
    search.fit(X, y, **start)
    full = GridSearchCV(model, {"alpha": ALPHAS}, cv=2, scoring="neg_log_loss").fit(X, y, **start)
    last = search.cv_results_["iter"] == 1
    expected = [
        full.cv_results_["mean_test_score"][ALPHAS.index(alpha)] for alpha in search.cv_results_["param_alpha"][last]
    ]
    np.testing.assert_allclose(search.cv_results_["mean_test_score"][last], expected, atol=1e-12)


@pytest.mark.filterwarnings("ignore:One or more of the")
def test_a_candidate_that_fails_fails_in_each_rung():
    model = SGDVariantClassifier(solver="adam", max_iter=2, tol=None, random_state=0)
    search = BatchedHalvingSearchCV(
        model, {"alpha": [-1.0, *ALPHAS]}, min_resources=2, factor=1.5, aggressive_elimination=True, cv=2
    )
    with pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 8"):
        search.fit(*BINARY)
    failed = search.cv_results_["param_alpha"] == -1.0
    assert search.n_candidates_[:2] == [4, 3]
    np.testing.assert_array_equal(np.isnan(search.cv_results_["mean_test_score"]), failed)
    assert search.n_epochs_ == [3 * 2 * 2, 0, 0, 0]


def test_candidates_that_have_converged_cost_nothing_more():
    X, y = targets()
    model = SGDVariantRegressor(max_iter=200, random_state=0, tol=1e-2)
    search = BatchedHalvingSearchCV(model, {"alpha": ALPHAS}, min_resources=60, factor=1.5, cv=2).fit(X, y)
    assert search.n_resources_ == [60, 90, 135]
    assert search.n_epochs_[0] < 60 * 3 * 2
    assert search.n_epochs_[1:] == [0, 0]


def test_drawn_candidates_climb_too():
    X, y = targets()
    search = BatchedHalvingSearchCV(
        SGDVariantRegressor(max_iter=8, tol=None, random_state=0), {"alpha": loguniform(1e-6, 1)},
        n_candidates=6, random_state=0, min_resources=2, factor=2,
    )  # fmt: skip
    search.fit(X, y)
    assert search.n_candidates_ == [6, 3, 2]
    drawn = RandomizedSearchCV(Ridge(), {"alpha": loguniform(1e-6, 1)}, n_iter=6, random_state=0).fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["param_alpha"][:6], drawn.cv_results_["param_alpha"])


def test_only_what_can_go_on_can_climb():
    X, y = BINARY
    with pytest.raises(ValueError, match="fitted by LogisticRegression.*Use BatchedGridSearchCV"):
        BatchedHalvingSearchCV(LogisticRegression(), {"C": [1, 2]}).fit(X, y)
    with pytest.raises(ValueError, match="epochs are the resource"):
        BatchedHalvingSearchCV(SGDVariantClassifier(), {"max_iter": [1, 2]}).fit(X, y)
    with pytest.raises(ValueError, match="min_resources_=9 is greater than max_resources_=4"):
        BatchedHalvingSearchCV(SGDVariantClassifier(**FAST), {"alpha": ALPHAS}, min_resources=9).fit(X, y)
    with pytest.raises(ValueError, match="factor=1"):
        BatchedHalvingSearchCV(SGDVariantClassifier(), {"alpha": ALPHAS}, factor=1).fit(X, y)


def test_folds_are_drawn_once_for_all_rungs():
    drawn = []

    class Folds(StratifiedKFold):
        def split(self, X, y, groups=None):
            drawn.append(1)
            return super().split(X, y, groups)

    model = SGDVariantClassifier(max_iter=4, tol=None, eta0=0.1, random_state=0)
    search = BatchedHalvingSearchCV(model, {"alpha": ALPHAS}, min_resources=1, factor=2, cv=Folds(2, shuffle=True)).fit(
        *BINARY
    )
    assert search.n_resources_ == [1, 2]
    assert len(drawn) == 1


# ---------------------------------------------------------------------- a fit that is somebody else's


def through(fit):
    @functools.wraps(fit)
    def wrapped(self, X, y, **params):
        return fit(self, np.asarray(X) * 1e-3, y, **params)

    return wrapped


class Wrapped(SGDVariantRegressor):
    """A subclass whose `fit` is a wrapper that takes over all marks of the one it wraps."""

    fit = through(SGDVariantRegressor.fit)

    def predict(self, X):
        return super().predict(X * 1e-3)


class ScoresItself(SGDVariantRegressor):
    """A subclass that names the fit it inherits, and has a score of its own."""

    fit = SGDVariantRegressor.fit

    def score(self, X, y, sample_weight=None):
        return -1.0


@pytest.mark.parametrize("cls", [Wrapped, ScoresItself])
def test_a_wrapped_fit_and_a_score_of_its_own_are_called(cls):
    X, y = targets()
    assert_same(cls(solver="adam", **FAST), {"alpha": [1e-4, 1.0]}, X, y)


@pytest.mark.slow
def test_a_component_of_a_script_is_the_same_in_other_processes():
    # a class that is pickled by value, as those of a script or a notebook are
    script = """
import numpy as np
from skvariants import SGDVariantRegressor
from skvariants._component import Interval, hyperparameter
from skvariants.model_selection import BatchedGridSearchCV
from skvariants.schedules import Schedule
from skvariants.solvers import Solver
class Heavy(Solver):
    memory = ("v",)
    beta: float = hyperparameter(0.9, Interval(0, 1))
    def step(self, g, t, work, v):
        v *= self.beta
        v += g
        return v, None
class Stairs(Schedule):
    eta0: object = "auto"
    every: int = 10000
    def __call__(self, t):
        return self.eta0 * 0.5 ** (t // self.every)
rng = np.random.default_rng(0)
X = rng.standard_normal((90, 4))
y = X @ rng.standard_normal(4)
model = SGDVariantRegressor(solver=Heavy(), learning_rate=Stairs(every=2), max_iter=3, tol=None, random_state=0)
grid = {"solver__beta": [0.1, 0.5, 0.95]}
searches = [BatchedGridSearchCV(model, grid, cv=3, n_jobs=n, refit=False).fit(X, y) for n in (1, 2)]
scores = [search.cv_results_["mean_test_score"] for search in searches]
np.testing.assert_array_equal(*scores)
assert len(set(scores[0])) == 3
"""
    subprocess.run([sys.executable, "-c", script], check=True)
