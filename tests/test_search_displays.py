"""Displays of a search show what ``cv_results_`` holds."""

import sys

import matplotlib
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.svm import SVC

from skvariants.displays import SearchCurveDisplay, SearchHeatmapDisplay

matplotlib.use("Agg")
import matplotlib.pyplot as plt

X, y = load_iris(return_X_y=True)
GRID = {"C": [10.0, 0.1, 1.0], "gamma": [0.01, 1.0], "kernel": ["sigmoid", "rbf"]}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def search():
    return GridSearchCV(SVC(), GRID, cv=3, return_train_score=True).fit(X, y)


def best(search, **fixed):
    """Mean, standard deviation and training mean of the best candidate with some parameters fixed."""
    results = search.cv_results_
    rows = [i for i, p in enumerate(results["params"]) if fixed.items() <= p.items()]
    row = max(rows, key=lambda i: results["mean_test_score"][i])
    return [results[name][row] for name in ("mean_test_score", "std_test_score", "mean_train_score")]


@pytest.mark.parametrize("display", [SearchCurveDisplay, SearchHeatmapDisplay])
def test_a_missing_matplotlib_is_said_in_a_sentence(monkeypatch, search, display):
    for name in ("matplotlib", "matplotlib.patches", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        display.from_search(search)


def test_a_curve_shows_the_best_over_the_other_parameters(search):
    display = SearchCurveDisplay.from_search(search, "C")
    assert display.param_values == [0.1, 1.0, 10.0]
    expected = np.array([best(search, C=C) for C in (0.1, 1.0, 10.0)]).T
    np.testing.assert_array_equal(display.test_mean[0], expected[0])
    np.testing.assert_array_equal(display.test_std[0], expected[1])
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), expected[0])
    np.testing.assert_array_equal(display.lines_[1].get_ydata(), expected[2])
    assert display.ax_.get_xscale() == "log"
    assert display.ax_.get_xlabel() == "C"
    assert display.figure_ is display.ax_.figure
    assert len(display.fill_between_) == 2


def test_a_line_for_each_value_of_another_parameter(search):
    ax = plt.subplots()[1]
    display = SearchCurveDisplay.from_search(search, "gamma", line_by="kernel", score_type="test", ax=ax)
    assert display.ax_ is ax
    assert [line.get_label() for line in display.lines_] == ["kernel=sigmoid, test", "kernel=rbf, test"]
    for line, kernel in zip(display.lines_, ["sigmoid", "rbf"], strict=True):
        expected = [best(search, gamma=gamma, kernel=kernel)[0] for gamma in (0.01, 1.0)]
        np.testing.assert_array_equal(line.get_ydata(), expected)


def test_words_have_no_line_between_them(search):
    display = SearchCurveDisplay.from_cv_results(search.cv_results_, "kernel", score_name="accuracy")
    assert display.lines_ == []
    assert len(display.errorbar_) == 2
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["sigmoid", "rbf"]
    assert display.ax_.get_ylabel() == "accuracy"


@pytest.mark.parametrize("values", [[0.0, 1e-3, 1.0], [1e-3, 1.0, 1e3], [0.0, 1.0, 2.0], [-100.0, 0.0, 1.0]])
def test_values_of_several_sizes_stand_apart(values):
    scores = np.array([[0.7, 0.9, 0.8]])
    display = SearchCurveDisplay(param_name="alpha", param_values=values, test_mean=scores, test_std=0 * scores).plot()
    at = display.ax_.transData.transform(np.c_[values, scores[0]])[:, 0]
    assert np.diff(at).min() > 0.15 * np.ptp(at)


def test_a_map_shows_the_best_over_the_other_parameters(search):
    display = SearchHeatmapDisplay.from_search(search)
    assert (display.row_name, display.column_name) == ("C", "gamma")
    for i, C in enumerate((0.1, 1.0, 10.0)):
        for j, gamma in enumerate((0.01, 1.0)):
            assert display.scores[i, j] == best(search, C=C, gamma=gamma)[0]
            assert display.text_[i, j].get_text() == f"{display.scores[i, j]:.3g}"
    np.testing.assert_array_equal(display.im_.get_array(), display.scores)
    winner = search.best_params_
    assert (display.row_values[display.best[0]], display.column_values[display.best[1]]) == (
        winner["C"],
        winner["gamma"],
    )
    assert display.frame_.get_xy() == (display.best[1] - 0.5, display.best[0] - 0.5)


def test_a_map_of_chosen_parameters(search):
    display = SearchHeatmapDisplay.from_search(search, column_name="C", plot_kw={"include_values": False})
    assert (display.row_name, display.column_name) == ("gamma", "C")
    assert display.text_ is None
    again = display.plot(colorbar=False, im_kw={"vmin": 0})
    assert again is display
    assert again.im_.norm.vmin == 0


def test_candidates_without_the_parameter_are_left_out():
    grid = [{"alpha": [1.0, 2.0], "tol": [1e-3]}, {"alpha": [1.0], "fit_intercept": [True, False]}]
    search = GridSearchCV(RidgeClassifier(), grid, cv=3).fit(X, y)
    display = SearchHeatmapDisplay.from_search(search, "alpha", "fit_intercept")
    assert np.isnan(display.scores).tolist() == [[False, False], [True, True]]
    assert SearchCurveDisplay.from_search(search, "tol").test_mean.shape == (1, 1)


def test_a_halving_search_is_shown_by_the_last_rung_of_each_candidate():
    search = HalvingGridSearchCV(RidgeClassifier(), {"alpha": [1e-3, 1.0, 1e3]}, cv=3, random_state=0, min_resources=30)
    results = search.fit(X, y).cv_results_
    display = SearchCurveDisplay.from_search(search, "alpha")
    for alpha, mean in zip(display.param_values, display.test_mean[0], strict=True):
        rows = [i for i, p in enumerate(results["params"]) if p["alpha"] == alpha]
        assert mean == results["mean_test_score"][rows[-1]]


def test_several_metrics_and_negated_scores():
    scoring = ["accuracy", "neg_mean_squared_error"]
    search = GridSearchCV(RidgeClassifier(), {"alpha": [1.0, 2.0], "tol": [1e-3, 1e-2]}, scoring=scoring, refit=False)
    results = search.fit(X, y).cv_results_
    with pytest.raises(ValueError, match="accuracy, neg_mean_squared_error"):
        SearchCurveDisplay.from_cv_results(results)
    with pytest.raises(ValueError, match="metric='f1'"):
        SearchHeatmapDisplay.from_cv_results(results, metric="f1")
    curve = SearchCurveDisplay.from_cv_results(results, "alpha", metric="neg_mean_squared_error", negate_score=True)
    cells = SearchHeatmapDisplay.from_cv_results(results, metric="neg_mean_squared_error", negate_score=True)
    assert (curve.test_mean > 0).all()
    assert cells.scores[cells.best] == cells.scores.min() > 0
    assert curve.ax_.get_ylabel() == "negated neg_mean_squared_error"


def test_what_cannot_be_shown_is_refused(search):
    with pytest.raises(ValueError, match="'degree' was not searched: the parameters are C, gamma, kernel"):
        SearchCurveDisplay.from_search(search, "degree")
    with pytest.raises(ValueError, match="score_type='all'"):
        SearchCurveDisplay.from_search(search, "C", score_type="all")
    single = GridSearchCV(RidgeClassifier(), {"alpha": [1.0, 2.0]}, cv=3).fit(X, y)
    with pytest.raises(ValueError, match="only 1 vary"):
        SearchHeatmapDisplay.from_search(single)
    with pytest.raises(ValueError, match="return_train_score=True"):
        SearchCurveDisplay.from_search(single, "alpha", score_type="train")
