"""Displays: what they show is what the fit did, and they draw nothing before they are asked."""

import subprocess
import sys
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from _references import ROW_RECURSIONS
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.displays import (
    CoefficientsDisplay,
    DiagnosisDisplay,
    LossCurveDisplay,
    ProgressDisplay,
    RaceDisplay,
    SearchCurveDisplay,
    SolverComparisonDisplay,
    TrajectoryDisplay,
)
from skvariants.displays._style import GREY, VERMILLION, parameter_path, styles, trained
from skvariants.losses import Quantile
from skvariants.model_selection import BatchedGridSearchCV
from skvariants.solvers import FAMILIES, GD, LECTURE, SOLVERS, Adam, Momentum, PassiveAggressiveI, QuasiNewton

matplotlib.use("Agg")
import matplotlib.pyplot as plt

CANCER = load_breast_cancer(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True, scaled=False)
STEPPING = [name for name, cls in SOLVERS.items() if cls.method == "steps"]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def stopped():
    """Three classifiers with validation scores."""
    names = ("momentum", "adagrad", "adam")
    make = SGDVariantClassifier
    return {n: make(solver=n, early_stopping=True, max_iter=8, tol=None, random_state=0).fit(*CANCER) for n in names}


@pytest.fixture(scope="module")
def raced():
    return SGDVariantRegressor(solver="momentum", max_iter=3, tol=None, random_state=0).fit(*DIABETES)


class Fitted(BaseEstimator):
    """An estimator of someone else with the attributes that displays read."""

    def __init__(self, objective=(4.0, 2.0, 1.0)):
        self.objective = objective
        n = len(objective)
        self.history_ = {
            "epoch": list(range(1, n + 1)), "objective": list(objective), "eta": [1.0] * n,
            "seconds": np.linspace(1, 2, n), "validation_score": [None] * n,
        }  # fmt: skip

    def fit(self, X, y):
        return self


def test_matplotlib_is_not_imported_with_the_module():
    code = "import sys, skvariants.displays; assert not any(m.startswith('matplotlib') for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_matplotlib_is_said_in_a_sentence(monkeypatch, raced):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        RaceDisplay.from_estimator(raced)


def test_every_registered_solver_has_a_style_of_its_own():
    """Without colours too, and in a family by colours too."""
    names = ["auto", *SOLVERS]
    assert len({(style.dashes, style.marker) for style in styles(names)}) == len(names)
    for family in FAMILIES.values():
        members = styles([*family.members, "auto"])
        assert len({style.color for style in members}) == len(members) or "gd" in family.members
        assert len({style.marker for style in members}) == 2
    lecture = styles(LECTURE)
    assert len({(style.color, style.dashes) for style in lecture}) == len(lecture)


def test_a_solver_looks_the_same_in_every_company():
    assert styles(["adam", "gd"])[0] == styles(["momentum", "adam", "mine"])[1]
    assert styles(["adam", "gd", "mine"])[2][0] not in (VERMILLION, GREY)
    assert len(set(styles("abcdefgh"))) == 8
    alone = styles(["adam", "momentum", "quasi_newton"])
    assert styles(["adam, tuned", "Momentum(momentum=0.95)", "QuasiNewton()"]) == alone
    twice = styles(["adam (1)", "adam (2)", "momentum"])
    assert [twice[0], twice[2]] == alone[:2]
    assert twice[1].color not in (twice[0].color, twice[2].color)
    assert styles(["adamant", "adam x", "momentum"])[0] != alone[0]


# ---------------------------------------------------------------- loss curves


@pytest.mark.parametrize("x", ["epochs", "seconds"])
def test_curves_are_the_history(stopped, x):
    display = LossCurveDisplay.from_estimators(stopped, x=x)
    key = {"epochs": "epoch", "seconds": "seconds"}[x]
    assert len(display.lines_) == len(display.validation_lines_) == 3
    for line, below, (name, model) in zip(display.lines_, display.validation_lines_, stopped.items(), strict=True):
        assert line.get_label() == name
        np.testing.assert_allclose(line.get_xdata(), model.history_[key])
        np.testing.assert_allclose(line.get_ydata(), model.loss_curve_)
        np.testing.assert_allclose(below.get_ydata(), model.validation_scores_)
    assert display.validation_ax_.get_xlabel() == key.removesuffix("s") + ("s" if x == "seconds" else "")


def test_the_best_epoch_is_marked_in_both_panels(stopped):
    model = stopped["adam"]
    display = LossCurveDisplay.from_estimator(model)
    at = model.best_epoch_ - 1
    points = [(m.get_xdata()[0], m.get_ydata()[0]) for m in display.best_]
    assert points == [
        (model.best_epoch_, model.loss_curve_[at]), (model.best_epoch_, model.validation_scores_[at])
    ]  # fmt: skip
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["adam", f"best epoch ({model.best_epoch_})"]


def test_without_validation_there_is_one_panel(raced, stopped):
    assert LossCurveDisplay.from_estimator(raced).validation_ax_ is None
    display = LossCurveDisplay.from_estimators(stopped, validation=False)
    assert display.figure_.axes == [display.ax_]


@pytest.mark.parametrize(("last", "scale"), [(3.9, "linear"), (0.01, "log"), (-1.0, "linear")])
def test_the_log_scale_is_chosen_where_it_helps(last, scale):
    assert LossCurveDisplay.from_estimator(Fitted((4.0, 3.95, last))).ax_.get_yscale() == scale


def test_axes_are_used_or_split(stopped):
    figure, axes = plt.subplots(1, 2)
    LossCurveDisplay.from_estimators(stopped, ax=axes[0])
    assert len(figure.axes) == 4
    display = LossCurveDisplay.from_estimators(stopped, ax=axes[1], validation=False)
    assert display.ax_ is axes[1]
    with pytest.raises(ValueError, match="validation=False"):
        LossCurveDisplay.from_estimators(stopped, ax=figure.add_axes([0, 0, 1, 1]))


def test_names_are_given_or_the_solvers(stopped):
    models = list(stopped.values())
    display = LossCurveDisplay.from_estimators([models[0], models[0]])
    assert list(display.histories) == ["momentum (1)", "momentum (2)"]
    assert list(LossCurveDisplay.from_estimators(models[:2], names=["a", "b"]).histories) == ["a", "b"]
    instance = SGDVariantRegressor(solver=Momentum(momentum=0.5), max_iter=1, tol=None).fit(*DIABETES)
    assert list(LossCurveDisplay.from_estimator(instance).histories) == ["Momentum(momentum=0.5)"]
    with pytest.raises(ValueError, match="one name for each"):
        LossCurveDisplay.from_estimators(models, names=["a"])
    with pytest.raises(ValueError, match="must be None"):
        LossCurveDisplay.from_estimators(stopped, names=["a", "b", "c"])


def test_a_single_epoch_is_visible():
    assert LossCurveDisplay.from_estimator(Fitted((4.0,))).lines_[0].get_marker() == "o"


@pytest.mark.parametrize("kwargs", [{"x": "hours"}, {"log": "maybe"}])
def test_choices_are_named(raced, kwargs):
    with pytest.raises(ValueError, match=f"{next(iter(kwargs))}=.*must be one of"):
        LossCurveDisplay.from_estimator(raced, **kwargs)


def test_an_empty_history_is_refused():
    with pytest.raises(ValueError, match="no epoch"):
        LossCurveDisplay.from_estimator(Fitted(()))


# ---------------------------------------------------------------- race


def test_the_race_is_the_race(raced):
    display = RaceDisplay.from_estimator(raced)
    sound = raced.race_.scores <= 1e3 * raced.race_.scores.min()
    assert 2 < sound.sum() < len(sound)
    np.testing.assert_array_equal(display.line_.get_xdata(), raced.race_.eta0[sound])
    np.testing.assert_array_equal(display.line_.get_ydata(), raced.race_.scores[sound])
    assert display.winner_.get_ydata()[0] == raced.race_.scores.min()
    assert display.ax_.get_title(loc="left").startswith("momentum: ")


def test_the_race_of_the_default_is_drawn_too():
    model = SGDVariantRegressor(random_state=0).fit(*DIABETES)
    display = RaceDisplay.from_estimator(model)
    assert display.winner_ is not None
    assert "1 step each" in display.ax_.get_title(loc="left")


def test_diverged_rungs_are_crosses():
    display = RaceDisplay(eta0=[0.1, 1.0, 10.0], scores=[1.0, 0.5, np.inf], winner=1.0, steps=7).plot()
    assert list(display.diverged_.get_xdata()) == [10.0]
    assert display.diverged_.get_label() == "diverged"
    far = RaceDisplay(eta0=[0.1, 1.0, 10.0], scores=[1.0, 0.5, 1e70], winner=1.0, steps=7).plot()
    assert list(far.diverged_.get_xdata()) == [10.0]
    assert far.ax_.get_ylim()[1] < 2
    assert display.winner_.get_xdata()[0] == 1.0
    lost = RaceDisplay(eta0=[0.1, 1.0], scores=[np.inf, np.inf], winner=np.nan, steps=7).plot()
    assert lost.winner_ is None


def test_no_race_is_said_in_a_sentence():
    model = SGDVariantRegressor(solver="minibatch", eta0=1e-9, max_iter=1, tol=None).fit(*DIABETES)
    with pytest.raises(ValueError, match="ran no race"):
        RaceDisplay.from_estimator(model)


# ---------------------------------------------------------------- comparison


def objective(model, X, y):
    """Half the mean squared error and the penalty, by their definitions."""
    return np.mean((y - model.predict(X)) ** 2) / 2 + model.alpha / 2 * np.sum(model.coef_**2)


def test_the_comparison_shows_the_distance_from_the_optimum():
    model = SGDVariantRegressor(random_state=0, max_iter=4)
    solvers = {"momentum": "momentum", "fast Adam": Adam(beta_1=0.5)}
    display = SolverComparisonDisplay.from_estimator(model, *DIABETES, solvers=solvers, X_test=DIABETES[0],
                                                     y_test=DIABETES[1])  # fmt: skip
    assert not hasattr(model, "coef_")
    ends = {name: objective(fitted, *DIABETES) for name, fitted in display.estimators.items()}
    best = min(ends.values())
    for line, (name, fitted) in zip(display.lines_, display.estimators.items(), strict=True):
        np.testing.assert_allclose(
            line.get_ydata() - 1e-4 * best, np.array([*fitted.loss_curve_, ends[name]]) - best, atol=1e-9 * best
        )
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4, 4])
        assert f"score {fitted.score(*DIABETES):.3f}" in line.get_label()
        assert line.get_label().endswith("(max_iter)")


def test_the_comparison_says_from_where_it_measures():
    model = SGDVariantRegressor(random_state=0)
    display = SolverComparisonDisplay.from_estimator(model, *DIABETES, solvers=["minibatch", "auto", "adam"])
    auto = display.estimators["auto"]
    assert display.ax_.get_ylabel().startswith("objective above that of auto,\nthe optimum to ")
    Z = StandardScaler(with_std=False).fit_transform(DIABETES[0])
    r = DIABETES[1] - DIABETES[1].mean()
    w = np.linalg.solve(Z.T @ Z / len(r) + auto.alpha * np.eye(Z.shape[1]), Z.T @ r / len(r))
    least = np.mean((r - Z @ w) ** 2) / 2 + auto.alpha / 2 * w @ w
    for fitted, line in zip(display.estimators.values(), display.lines_, strict=True):
        ended = objective(fitted, *DIABETES)
        assert ended >= least * (1 - 1e-12)
        assert line.get_ydata()[-1] == pytest.approx(ended - least + 1e-4 * least, rel=1e-3)
    # means of epochs alone say less
    alone = SolverComparisonDisplay(
        histories=display.histories, statuses=display.statuses, seconds=display.seconds
    ).plot()
    assert alone.ax_.get_ylabel() == "objective above the least mean of an epoch"
    below = {"minibatch": display.histories["minibatch"] | {"objective": np.full(3, -1.0), "epoch": np.arange(1, 4)}}
    low = SolverComparisonDisplay(
        histories=below, statuses=display.statuses, seconds=display.seconds, objectives={"minibatch": (2.0, np.nan, "")}
    ).plot()
    np.testing.assert_allclose(low.lines_[0].get_ydata(), 4 * [2e-4])
    assert low.ax_.get_ylabel() == "objective above that of minibatch"


def test_a_wrapper_of_several_fits_is_above_the_sum_of_their_optima():
    Y = np.column_stack([DIABETES[1], DIABETES[0][:, 0]])
    each = MultiOutputRegressor(SGDVariantRegressor(random_state=0))
    display = SolverComparisonDisplay.from_estimator(each, DIABETES[0], Y, solvers=["auto", "adam"])
    for fitted, (total, left, kind) in zip(display.estimators.values(), display.objectives.values(), strict=True):
        one, other = fitted.estimators_
        assert total == pytest.approx(objective(one, *DIABETES) + objective(other, DIABETES[0], Y[:, 1]))
        assert left == max(one.suboptimality_, other.suboptimality_)
        assert kind in ("bound", "estimate")


def test_solvers_may_be_a_list_of_names_and_instances():
    display = SolverComparisonDisplay.from_estimator(
        SGDVariantRegressor(random_state=0, max_iter=2), *DIABETES, solvers=["gd", Momentum()], x="seconds"
    )
    assert list(display.statuses) == ["gd", "Momentum()"]
    assert display.ax_.get_xlabel() == "seconds"


def test_many_solvers_have_a_panel_for_each_family_with_auto_in_all():
    model = SGDVariantRegressor(random_state=0, max_iter=2)
    X, y = DIABETES[0][:60], DIABETES[1][:60]
    display = SolverComparisonDisplay.from_estimator(model, X, y)
    expected = {"auto", *SOLVERS} - {"sgd", "interior_point", *FAMILIES["row by row"].members}
    assert list(display.estimators) == [name for name in ["auto", *SOLVERS] if name in expected]
    assert list(display.refused) == ["interior_point"]
    titles = [ax.get_title(loc="left") for ax in display.axes_]
    assert titles == [title for title, family in FAMILIES.items() if expected & family.members.keys()]
    for ax in display.axes_:
        shown = [line.get_label().split(":")[0] for line in ax.get_lines() if not line.get_label().startswith("_")]
        assert shown[0] == "auto"
        assert set(shown[1:]) == expected & FAMILIES[ax.get_title(loc="left")].members.keys()
        assert len(ax.get_lines()) == len(expected)  # the others behind them
    for line, look in zip(display.lines_, styles(list(display.histories)), strict=True):
        assert line.get_color() == look.color
        assert line.get_marker() == (look.marker or "o")  # of "auto", which takes one step here
    one = display.plot(panels=False)
    assert one.axes_ == [one.ax_]
    few = SolverComparisonDisplay.from_estimator(model, X, y, solvers=[Momentum(), "auto", "sgd"])
    ax = plt.subplots(1, 2)[1][0]
    assert [a.get_title(loc="left") for a in few.plot(ax, panels=True).axes_] == ["plain steps", "others"]
    with pytest.raises(ValueError, match="no place in a grid"):
        few.plot(plt.figure().add_axes([0, 0, 1, 1]), panels=True)


def test_what_was_asked_for_is_not_left_out():
    with pytest.raises(ValueError, match="interior_point"):
        SolverComparisonDisplay.from_estimator(SGDVariantRegressor(), *DIABETES, solvers=["interior_point"])
    with pytest.raises(ValueError, match="loss='odd'"):
        SolverComparisonDisplay.from_estimator(SGDVariantRegressor(loss="odd"), *DIABETES)


# ---------------------------------------------------------------- what people have


def wrapped(model):
    """The same model at the end of a pipeline, in searches and in a wrapper."""
    line = make_pipeline(StandardScaler(), model)
    yield line, "sgdvariantregressor__solver"
    yield (
        GridSearchCV(line, {"sgdvariantregressor__alpha": [1e-3, 1e-2]}, cv=2),
        "estimator__sgdvariantregressor__solver",
    )
    yield BatchedGridSearchCV(model, {"alpha": [1e-3, 1e-2]}, cv=2), "estimator__solver"
    yield TransformedTargetRegressor(model), "regressor__solver"


@pytest.mark.parametrize("i", range(4))
def test_displays_find_what_was_trained(i):
    model, name = list(wrapped(SGDVariantRegressor(solver="momentum", random_state=0, max_iter=3, tol=None)))[i]
    assert parameter_path(model, "solver") == name
    fitted = model.fit(*DIABETES)
    last = trained(fitted)
    assert type(last) is SGDVariantRegressor
    assert list(LossCurveDisplay.from_estimators([fitted]).histories) == ["momentum"]
    assert RaceDisplay.from_estimator(fitted).winner == last.race_.winner
    coefficients = CoefficientsDisplay.from_estimator(fitted)
    np.testing.assert_array_equal(coefficients.coef[0], last.coef_)
    display = SolverComparisonDisplay.from_estimator(
        model, *DIABETES, solvers=["gd", "adam"], X_test=DIABETES[0], y_test=DIABETES[1]
    )
    assert [type(trained(e).solver_).__name__ for e in display.estimators.values()] == ["GD", "Adam"]
    assert display.scores["gd"] == display.estimators["gd"].score(*DIABETES)


@pytest.mark.parametrize("around", [lambda search: search, TransformedTargetRegressor, make_pipeline])
def test_the_best_of_a_search_is_compared_not_the_search(around):
    model = SGDVariantRegressor(random_state=0, max_iter=3, tol=None)
    grid = {"alpha": [1e-3, 10.0], "solver": ["gd", "momentum"]}
    fitted = around(GridSearchCV(model, grid, cv=2)).fit(*DIABETES)
    best = trained(fitted)
    display = SolverComparisonDisplay.from_estimator(fitted, *DIABETES, solvers=["gd", "adam"])
    for name, made in display.estimators.items():
        alone = clone(best).set_params(solver=name)
        assert trained(made).get_params() == alone.get_params()
        if around is not TransformedTargetRegressor:
            np.testing.assert_allclose(trained(made).coef_, alone.fit(*DIABETES).coef_)
    with pytest.raises(ValueError, match="solver='adamm' is not one of.*Did you mean 'adam'"):
        SolverComparisonDisplay.from_estimator(fitted, *DIABETES, solvers=["adamm"])
    with pytest.raises(ValueError, match="a search without best_estimator_, and would tune anew.*fit it first"):
        SolverComparisonDisplay.from_estimator(clone(fitted), *DIABETES, solvers=["adam"])


def test_several_outputs_are_several_curves():
    Y = np.column_stack([DIABETES[1], DIABETES[0][:, 0]])
    each = MultiOutputRegressor(SGDVariantRegressor(solver="gd", max_iter=3, tol=None)).fit(DIABETES[0], Y)
    assert list(LossCurveDisplay.from_estimators([each]).histories) == ["gd, output 0", "gd, output 1"]
    assert list(LossCurveDisplay.from_estimators({"all": each}).histories) == ["all, output 0", "all, output 1"]


def test_panels_of_coefficients_are_named_by_what_they_predict():
    X, y = DIABETES
    levels = SGDVariantRegressor(loss=Quantile([0.1, 0.5, 0.95])).fit(X, y)
    display = CoefficientsDisplay.from_estimator(levels)
    assert [ax.get_title(loc="left") for ax in display.axes_] == ["level 0.1", "level 0.5", "level 0.95"]
    Y = (X[:, :3] > X[:, :3].mean(axis=0)).astype(int)
    for k in (2, 3):
        labels = SGDVariantClassifier().fit(X, Y[:, :k])
        assert labels.multilabel_
        display = CoefficientsDisplay.from_estimator(labels)
        assert display.outputs == [f"towards label {i}" for i in range(k)]
    named = CoefficientsDisplay.from_estimator(labels, outputs=["old", "male", "heavy"])
    assert [ax.get_title(loc="left") for ax in named.axes_] == ["old", "male", "heavy"]
    with pytest.raises(ValueError, match="outputs=.* must be 3 strings, one a row of coef_"):
        CoefficientsDisplay.from_estimator(labels, outputs=["old"])
    flowers = SGDVariantClassifier().fit(*load_iris(return_X_y=True))
    assert not flowers.multilabel_
    assert CoefficientsDisplay.from_estimator(flowers).outputs == ["towards 0", "towards 1", "towards 2"]
    several = SGDVariantRegressor().fit(X, np.column_stack([y, y]))
    assert CoefficientsDisplay.from_estimator(several).outputs == ["target 0", "target 1"]
    assert CoefficientsDisplay.from_estimator(SGDVariantRegressor("quantile").fit(X, y)).outputs == [""]


def test_a_stream_at_the_end_of_a_pipeline_is_shown():
    model = SGDVariantRegressor(random_state=0)
    for rows in np.split(np.arange(400), 4):
        model.partial_fit(DIABETES[0][rows], DIABETES[1][rows])
    line = make_pipeline(FunctionTransformer(), model)
    assert ProgressDisplay.from_estimator(line).curves.keys() == {"auto"}


def test_coefficients_have_the_names_of_their_features_and_one_unit():
    X, y = load_diabetes(return_X_y=True, scaled=False, as_frame=True)
    model = SGDVariantRegressor().fit(X, y)
    display = CoefficientsDisplay.from_estimator(model, X, n_features=4)
    effect = model.coef_ * X.std(ddof=0)
    order = effect.abs().sort_values(ascending=False, kind="stable").index
    assert display.shown_ == list(order[:4])
    np.testing.assert_allclose([bar.get_width() for bar in display.bars_[0]], effect[order[:4]])
    assert "one standard deviation\n6 smaller not shown" in display.ax_.get_xlabel()
    sparse = CoefficientsDisplay.from_estimator(SGDVariantRegressor().fit(X.to_numpy(), y), csr_matrix(X.to_numpy()))
    np.testing.assert_allclose(sparse.coef[0], effect, rtol=1e-6)
    assert sparse.shown_[0].startswith("x")
    line = make_pipeline(StandardScaler().set_output(transform="default"), SGDVariantRegressor()).fit(X, y)
    of_line = CoefficientsDisplay.from_estimator(line, X)
    assert set(of_line.shown_) == set(X)
    np.testing.assert_allclose(of_line.coef[0], trained(line).coef_, rtol=1e-6)


def test_coefficients_of_wrappers_of_several_fits_are_those_of_each_fit():
    X, y = load_iris(return_X_y=True)
    inside = make_pipeline(StandardScaler(), SGDVariantClassifier())
    outside = make_pipeline(StandardScaler(with_std=False), OneVsRestClassifier(inside)).fit(X, y)
    display = CoefficientsDisplay.from_estimator(outside, X)
    assert display.outputs == ["towards 0", "towards 1", "towards 2"]
    np.testing.assert_allclose(display.coef, [fit[-1].coef_[0] for fit in outside[-1].estimators_])
    Y = np.c_[DIABETES[1], DIABETES[1] ** 2]
    each = MultiOutputRegressor(SGDVariantRegressor()).fit(DIABETES[0], Y)
    display = CoefficientsDisplay.from_estimator(each)
    assert display.outputs == ["output 0", "output 1"]
    np.testing.assert_array_equal(display.coef, [fit.coef_ for fit in each.estimators_])
    calibrated = CalibratedClassifierCV(SGDVariantClassifier(), cv=3).fit(*CANCER)
    assert CoefficientsDisplay.from_estimator(calibrated).outputs == ["fold 0", "fold 1", "fold 2"]
    bagged = BaggingClassifier(SGDVariantClassifier(), 2, random_state=0).fit(*CANCER)
    assert CoefficientsDisplay.from_estimator(bagged).outputs == ["bag 0", "bag 1"]
    chain = RegressorChain(SGDVariantRegressor()).fit(DIABETES[0], Y)
    with pytest.raises(ValueError, match="have different features: give one of its estimators_"):
        CoefficientsDisplay.from_estimator(chain)
    with pytest.raises(ValueError, match="MultiOutputRegressor has 2 fits, each with a race of its own"):
        RaceDisplay.from_estimator(each)


def test_rows_go_through_all_steps_on_their_way_to_the_coefficients():
    X, y = CANCER
    inner = make_pipeline(StandardScaler(), SGDVariantClassifier())
    for nested in (make_pipeline(StandardScaler(with_mean=False), inner), TunedThresholdClassifierCV(inner)):
        display = CoefficientsDisplay.from_estimator(nested.fit(X, y), X)
        np.testing.assert_allclose(display.coef, trained(nested).coef_, rtol=1e-6)  # all deviations are one


@pytest.mark.parametrize(
    ("model", "quantity"),
    [
        (SGDVariantRegressor(), "prediction"),
        (SGDVariantRegressor(loss="poisson"), "linear predictor"),
        (SGDVariantClassifier(), "decision function"),
    ],
)
def test_the_label_of_coefficients_says_what_is_linear_in_them(model, quantity):
    display = CoefficientsDisplay.from_estimator(model.fit(CANCER[0], CANCER[1]))
    assert f"change of the {quantity} for one unit" in display.ax_.get_xlabel()


def test_solvers_are_compared_on_several_outputs_by_the_sums_of_their_fits():
    X, y = DIABETES
    Y = np.c_[y, y[::-1]]
    wrapper = MultiOutputRegressor(SGDVariantRegressor(max_iter=4, random_state=0))
    display = SolverComparisonDisplay.from_estimator(wrapper, X, Y, solvers=["auto", "momentum"])
    for name, model in display.estimators.items():
        curves = [fit.loss_curve_ for fit in model.estimators_]
        assert display.histories[name]["objective"][0] == pytest.approx(sum(curve[0] for curve in curves))
        assert display.histories[name]["objective"][-1] == pytest.approx(sum(curve[-1] for curve in curves))
    assert display.statuses == {"auto": "converged", "momentum": "max_iter"}


def within(figure, artist):
    """Whether an artist is in the picture as a whole."""
    figure.canvas.draw()
    box, whole = artist.get_window_extent(), figure.bbox
    return box.x0 >= whole.x0 and box.y0 >= whole.y0 and box.x1 <= whole.x1 and box.y1 <= whole.y1


@pytest.mark.parametrize("end", ["", "_of_the_table_at_hand"])
def test_the_label_of_coefficients_is_within_the_picture(end):
    names = [f"column_{j}{end}" for j in range(len(DIABETES[0][0]))]
    model = SGDVariantRegressor().fit(*DIABETES)
    display = CoefficientsDisplay.from_estimator(model, DIABETES[0], names=names)
    assert within(display.figure_, display.ax_.xaxis.label)


def test_targets_in_other_units_have_scales_of_their_own():
    X, y = DIABETES
    Y = np.c_[1000 * y, y]
    for model in (SGDVariantRegressor(), MultiOutputRegressor(SGDVariantRegressor())):
        display = CoefficientsDisplay.from_estimator(model.fit(X, Y))
        for panel, coef in zip(display.axes_, display.coef, strict=True):
            low, high = panel.get_xlim()
            assert np.ptp(coef) > 0.5 * (high - low)
    of_each = CoefficientsDisplay.from_estimator(SGDVariantRegressor().fit(X, np.c_[1e6 * X[:, 0], X[:, 1]]), X)
    assert set(of_each.plot(n_features=2).shown_) == {"x0", "x1"}
    levels = SGDVariantRegressor(Quantile([0.1, 0.9])).fit(X, y)
    classes = SGDVariantClassifier().fit(*load_iris(return_X_y=True))
    for model in (levels, classes):
        panels = CoefficientsDisplay.from_estimator(model).axes_
        assert len({panel.get_xlim() for panel in panels}) == 1


@pytest.mark.parametrize("n_panels", [1, 2])
def test_the_legend_of_a_comparison_is_within_the_picture(n_panels):
    model = SGDVariantRegressor(random_state=0, max_iter=2)
    display = SolverComparisonDisplay.from_estimator(model, *DIABETES, solvers=["auto", "gd", "adam"])
    assert within(display.figure_, display.ax_.get_legend())
    axes = np.ravel(plt.subplots(1, n_panels, figsize=(6.4 * n_panels, 4.8))[1])
    for ax in axes:
        assert within(ax.figure, display.plot(ax).ax_.get_legend())


def test_a_stream_has_chunks_and_losses_before_learning():
    X, y = DIABETES
    stream = SGDVariantRegressor()
    for chunk in np.array_split(np.arange(len(X)), 4):
        stream.partial_fit(X[chunk], y[chunk])
    ax = LossCurveDisplay.from_estimator(stream).ax_
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("chunk", "loss before learning")
    assert LossCurveDisplay.from_estimator(stream, x="seconds").ax_.get_xlabel() == "seconds"
    fitted = LossCurveDisplay.from_estimators([stream.fit(X, y)]).ax_
    assert (fitted.get_xlabel(), fitted.get_ylabel()) == ("epoch", "objective")


def test_coefficients_of_classes_and_targets_have_panels():
    X, y = load_iris(return_X_y=True)
    display = CoefficientsDisplay.from_estimator(SGDVariantClassifier().fit(X, y), names=list("abcd"))
    assert [ax.get_title(loc="left") for ax in display.axes_] == ["towards 0", "towards 1", "towards 2"]
    two = CoefficientsDisplay.from_estimator(SGDVariantClassifier().fit(X, y > 0))
    assert two.ax_.get_title(loc="left") == "towards True"
    targets = CoefficientsDisplay.from_estimator(SGDVariantRegressor().fit(X, X[:, :2]))
    assert [ax.get_title(loc="left") for ax in targets.axes_] == ["target 0", "target 1"]
    labels = CoefficientsDisplay.from_estimator(SGDVariantClassifier().fit(X, np.eye(3, dtype=int)[y]))
    assert [ax.get_title(loc="left") for ax in labels.axes_] == [f"towards label {i}" for i in range(3)]
    with pytest.raises(ValueError, match="names must be 4, one a feature"):
        CoefficientsDisplay.from_estimator(SGDVariantClassifier().fit(X, y), names=["a"])
    with pytest.raises(ValueError, match="X has 2 columns, and the model 4"):
        CoefficientsDisplay.from_estimator(SGDVariantClassifier().fit(X, y), X[:, :2])


def test_the_parameters_of_a_search_may_be_named_by_their_end():
    line = make_pipeline(StandardScaler(), SGDVariantRegressor(max_iter=2, tol=None, random_state=0))
    names = list(FAMILIES["after Adam"].members)
    grid = {"sgdvariantregressor__alpha": [1e-3, 1e-1], "sgdvariantregressor__solver": names}
    search = BatchedGridSearchCV(line, grid, cv=2).fit(*DIABETES)
    display = SearchCurveDisplay.from_search(search, "solver")
    assert display.param_name == "sgdvariantregressor__solver"
    assert [label.get_rotation() for label in display.ax_.get_xticklabels()] == [90.0] * len(names)
    assert SearchCurveDisplay.from_search(search, "alpha", line_by="solver").line_name.endswith("__solver")
    both = {
        "param_a__x": np.ma.array([1.0]),
        "param_b__x": np.ma.array([1.0]),
        "mean_test_score": [1.0],
        "params": [{}],
    }
    with pytest.raises(ValueError, match="'x' is not clear: it may be a__x or b__x"):
        SearchCurveDisplay.from_cv_results(both, "x")


# ---------------------------------------------------------------- trajectories

CURVATURE = np.array([0.1, 2.0])


def surface(a, b):
    return 0.5 * (CURVATURE[0] * a**2 + CURVATURE[1] * b**2)


def walk(solvers, **kwargs):
    kwargs = {"start": (-9.0, 1.5), "eta": 0.6, "n_steps": 12, **kwargs}
    return TrajectoryDisplay.from_objective(surface, lambda w: CURVATURE * w, solvers, **kwargs)


# AdamW's decay and DoG's first distance depend on where the origin is, which here is the start;
# solvers of rows have no path
@pytest.mark.parametrize("name", [name for name in STEPPING if name not in ("adamw", "dog", *ROW_RECURSIONS)])
def test_a_path_is_what_the_estimator_does(name):
    """On least squares whose surface is the same, epoch for epoch."""
    X = np.sqrt(2 * CURVATURE) * np.eye(2)
    start = np.array([-9.0, 1.5])
    model = SGDVariantRegressor(
        solver=name,
        batch_size="full",
        learning_rate="constant",
        eta0=0.6,
        penalty=None,
        fit_intercept=False,
        scale_features=False,
    )
    path = [start]
    for _ in range(12):
        model.partial_fit(X, -X @ start)
        path.append(start + model.coef_)
    np.testing.assert_allclose(walk({name: SOLVERS[name]()}).paths[name], path, atol=1e-12)


@pytest.mark.parametrize("solver", [QuasiNewton(), PassiveAggressiveI()])
def test_what_has_no_step_from_a_gradient_cannot_walk(solver):
    with pytest.raises(ValueError, match="cannot walk down a surface"):
        walk({"mine": solver})


def test_zigzag_is_length_over_distance():
    display = TrajectoryDisplay(objective=surface, paths={"a": [(0, 0), (3, 0), (3, 4)], "b": [(0, 0), (1, 1), (2, 2)]})
    assert display.zigzag == pytest.approx({"a": 7 / 5, "b": 1.0})
    assert TrajectoryDisplay(objective=surface, paths={"c": [(1, 1), (2, 2), (1, 1)]}).zigzag == {"c": np.inf}


@pytest.mark.parametrize("solvers", [["minibatch"], ["gd", "minibatch"], ["gd", "momentum", "minibatch"]])
@pytest.mark.parametrize("size", [(7.2, 2.9), (6.4, 4.8)])
def test_the_legend_of_paths_is_within_the_picture(solvers, size):
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    walk({name: SOLVERS[name]() for name in solvers}, minimum=(0, 0), ax=ax)
    figure.draw_without_rendering()
    legend, picture = ax.get_legend().get_window_extent(), figure.bbox
    assert picture.x0 <= legend.x0 < legend.x1 <= picture.x1
    assert picture.y0 <= legend.y0 < legend.y1 <= picture.y1


def test_a_path_that_diverges_does_not_rule_the_picture():
    display = walk([GD(), Momentum(0.5)], eta={"gd": 1.5, "momentum": 0.4}, n_steps=40)
    low, high = display.ax_.get_ylim()
    assert -4 < low < 0 < high < 4
    assert np.abs(display.paths["gd"]).max() > 100


def test_contours_rise_from_the_optimum():
    display = walk([GD()])
    levels = display.contours_.levels
    assert (np.diff(levels) > 0).all()
    assert levels[0] > 0
    assert walk([GD()], minimum=None).ax_.get_xlabel() == "first weight"


def test_displays_take_the_axes_given(raced):
    for draw in (lambda ax: RaceDisplay.from_estimator(raced, ax=ax), lambda ax: walk([GD()], ax=ax)):
        ax = plt.subplots()[1]
        assert draw(ax).ax_ is ax


# ---------------------------------------------------------------- diagnosis


def report(race=None):
    """What a report of diagnose has."""
    facts = SimpleNamespace(
        scale_ratio=2.7e5, raw_condition_number=3e12, condition_number=9.9e4, ravine=412.0, frequency_ratio=1.0
    )
    auto = SimpleNamespace(solver_name="quasi_newton", reason="The loss is smooth.")
    named = SimpleNamespace(solver_name="momentum", reason="The surface is a ravine.")
    return SimpleNamespace(facts=facts, solver="auto", auto=auto, recommendation=named, race=race)


def test_a_report_is_drawn_with_its_numbers():
    display = DiagnosisDisplay.from_diagnosis(report())
    assert [bar.get_width() for bar in display.bars_] == [2.7e5, 3e12, 9.9e4, 412.0, 1.0]
    assert display.race_ax_ is None
    title = display.ax_.get_title(loc="left")
    for word in ("auto", "quasi_newton", "The loss is smooth.", "momentum"):
        assert word in title


def test_the_race_of_a_report_is_seconds_and_what_is_left():
    race = SimpleNamespace(
        solvers=("auto", "momentum", "gd"), seconds=np.array([0.2, 0.1, 0.5]), left=np.array([0.0, 0.012, 1.1])
    )
    display = DiagnosisDisplay.from_diagnosis(report(race))
    np.testing.assert_allclose([bar.get_width() for bar in display.race_bars_], race.seconds)
    labels = [text.get_text() for text in display.race_ax_.texts]
    assert labels == ["0.2 s, the best", "0.1 s, 1.2 % left", "0.5 s, 1.1e+02 % left"]
    axes = plt.subplots(1, 2)[1]
    assert DiagnosisDisplay.from_diagnosis(report(race), ax=axes[1]).race_ax_ is not axes[1]


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (
            lambda m: CoefficientsDisplay.from_estimator(m, n_feature=3),
            r"n_feature is not a parameter of CoefficientsDisplay\.plot or .*Did you mean 'n_features'\?",
        ),
        (lambda m: LossCurveDisplay.from_estimator(m, nmae="a"), r"nmae is not a parameter of .*Did you mean 'name'\?"),
        (lambda m: RaceDisplay.from_estimator(m, colour="r"), r"colour is not a parameter of RaceDisplay\.plot"),
        (lambda m: CoefficientsDisplay.from_estimator(m, names=5), r"names=5 is not accepted: .* names must be 10"),
        (lambda m: SearchCurveDisplay.from_search(m), r"search=SGDVariantRegressor\(.*must be a fitted search"),
        (
            lambda m: ProgressDisplay.from_estimator(StandardScaler().fit(DIABETES[0])),
            r"estimator=StandardScaler\(\) is not accepted: estimator must be one of skvariants",
        ),
        (
            lambda m: SolverComparisonDisplay.from_estimator(make_pipeline(StandardScaler(), Ridge()), *DIABETES),
            r"estimator=Ridge\(\) is not accepted: estimator must be one of skvariants",
        ),
    ],
)
def test_what_a_display_cannot_take_is_named(raced, draw, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        draw(raced)
