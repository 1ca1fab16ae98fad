"""Callbacks of scikit-learn 1.9 watch both estimators, may stop them, and change nothing."""

import importlib.util
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.estimators import base

CANCER = load_breast_cancer(return_X_y=True, as_frame=True)
DIABETES = load_diabetes(return_X_y=True, scaled=False)
CASES = [
    (SGDVariantClassifier(solver="adam", max_iter=6, tol=None, random_state=0), CANCER),
    (SGDVariantRegressor(solver="momentum", max_iter=6, tol=None, random_state=0), DIABETES),
    (SGDVariantRegressor(solver="sgd", average=True, max_iter=6, tol=None, random_state=0), DIABETES),
    (SGDVariantClassifier(alpha=1e-6, max_iter=6, tol=None, random_state=0), CANCER),
    (SGDVariantClassifier(solver="adagrad", max_iter=6, tol=None, random_state=0), load_wine(return_X_y=True)),
]
IDS = ["classifier", "regressor", "averaged", "quasi-newton", "three classes"]


def test_a_warning_points_to_the_line_that_fits():
    with pytest.warns(ConvergenceWarning) as caught:
        SGDVariantRegressor(solver="gd", max_iter=2, tol=1e-6).fit(*DIABETES)
    assert [warning.filename for warning in caught] == [__file__]


class Watcher:
    """Writes down what happens, and stops the fit after a number of epochs."""

    def __init__(self, last=None):
        self.last, self.events, self.scores, self.weights, self.before = last, [], [], [], []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X, y, fitted_estimator):
        self.events.append(f"begin {context.task_name}")
        if context.task_name == "epoch":
            self.before.append(fitted_estimator.score(X, y))

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.events.append(f"end {context.task_name}")
        self.weights.append(metadata)
        if context.task_name == "epoch":
            self.scores.append(fitted_estimator.score(X, y))
        return self.last is not None and len(self.scores) >= self.last


class Blind:
    """A callback that looks at nothing."""

    def setup(self, estimator, context): ...
    def teardown(self, estimator, context): ...
    def on_fit_task_begin(self, estimator, context): ...
    def on_fit_task_end(self, estimator, context): ...


def same(a, b):
    np.testing.assert_array_equal(a.coef_, b.coef_)
    np.testing.assert_array_equal(a.intercept_, b.intercept_)
    assert a.loss_curve_ == b.loss_curve_


if importlib.util.find_spec("sklearn.callback"):
    from sklearn.callback import ProgressBar, ScoringMonitor

    @pytest.mark.parametrize(("model", "data"), CASES, ids=IDS)
    def test_every_epoch_is_a_task(model, data):
        watcher = Watcher()
        fitted = clone(model).set_callbacks(watcher).fit(*data)
        epochs = ["begin epoch", "end epoch"] * 6
        assert watcher.events == ["setup", "begin fit", *epochs, "end fit", "teardown"]
        assert watcher.scores[-1] == pytest.approx(fitted.score(*data), abs=1e-12)

    @pytest.mark.parametrize(("model", "data"), CASES, ids=IDS)
    def test_watching_changes_nothing(model, data):
        same(clone(model).set_callbacks(Watcher()).fit(*data), clone(model).fit(*data))

    @pytest.mark.parametrize(("model", "data"), CASES, ids=IDS)
    def test_a_callback_stops_the_fit(model, data):
        watched = clone(model).set_callbacks(Watcher(last=3)).fit(*data)
        assert watched.status_ == "interrupted"
        same(watched, clone(model).set_params(max_iter=3).fit(*data))

    @pytest.mark.parametrize(("model", "data"), CASES, ids=IDS)
    def test_the_model_of_an_epoch_is_that_of_a_shorter_fit(model, data):
        watcher = Watcher()
        clone(model).set_callbacks(watcher).fit(*data)
        shorter = [clone(model).set_params(max_iter=k).fit(*data).score(*data) for k in range(1, 7)]
        np.testing.assert_allclose(watcher.scores, shorter, atol=1e-12)
        np.testing.assert_allclose(watcher.before[1:], shorter[:-1], atol=1e-12)

    def test_the_monitor_logs_a_score_an_epoch():
        monitor = ScoringMonitor(scoring="accuracy")
        model = clone(CASES[0][0]).set_callbacks(monitor).fit(*CANCER)
        rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
        assert len(rows) == model.n_iter_
        assert rows[-1]["accuracy"] == model.score(*CANCER)

    @pytest.mark.parametrize("tol", [None, 1e-3])
    def test_the_progress_bar_ends(tol, capsys):
        clone(CASES[1][0]).set_params(tol=tol, max_iter=300).set_callbacks(ProgressBar()).fit(*DIABETES)
        assert "SGDVariantRegressor - fit" in capsys.readouterr().out

    def test_a_search_passes_the_progress_bar_on(capsys):
        model = clone(CASES[1][0]).set_params(max_iter=2)
        search = GridSearchCV(model, {"alpha": [1e-4, 1e-2]}, cv=2).set_callbacks(ProgressBar()).fit(*DIABETES)
        assert "SGDVariantRegressor" in capsys.readouterr().out
        assert search.best_estimator_.n_iter_ == 2

    def test_a_callback_within_a_search_sees_the_epochs():
        watcher = Watcher()
        model = clone(CASES[1][0]).set_params(max_iter=2).set_callbacks(watcher)
        GridSearchCV(model, {"alpha": [1e-4, 1e-2]}, cv=2).fit(*DIABETES)
        assert watcher.events.count("end epoch") == 5 * 2

    def test_weights_are_handed_over():
        weight = np.linspace(1, 2, len(DIABETES[1]))
        watcher = Watcher()
        clone(CASES[1][0]).set_callbacks(watcher).fit(*DIABETES, sample_weight=weight)
        assert all(metadata["sample_weight"] is weight for metadata in watcher.weights)

    def test_an_interrupted_epoch_ends_too():
        class Interrupts(Watcher):
            def on_fit_task_begin(self, estimator, context):
                super().on_fit_task_begin(estimator, context, X=None, y=None, fitted_estimator=Scored())
                if len(self.before) == 3:
                    raise KeyboardInterrupt

            def on_fit_task_end(self, estimator, context):
                self.events.append(f"end {context.task_name}")

        class Scored:
            def score(self, X, y):
                return 0.0

        watcher = Interrupts()
        model = clone(CASES[1][0]).set_callbacks(watcher)
        with pytest.raises(KeyboardInterrupt):
            model.fit(*DIABETES)
        assert (model.status_, model.n_iter_) == ("interrupted", 2)
        assert watcher.events == ["setup", "begin fit", *["begin epoch", "end epoch"] * 3, "end fit", "teardown"]
        same(model, clone(CASES[1][0]).set_params(max_iter=2).fit(*DIABETES))

    def test_no_model_is_built_that_nobody_asks_for(monkeypatch):
        model = clone(CASES[1][0])
        built = []
        build = base.model_attributes
        monkeypatch.setattr(base, "model_attributes", lambda *args: (built.append(1), build(*args))[1])
        model.set_callbacks(Blind()).fit(*DIABETES)
        assert built == []

    def test_a_failing_fit_tears_down_and_leaves_the_model_as_it_was():
        watcher = Watcher()
        model = clone(CASES[1][0]).fit(*DIABETES)
        before = model.coef_.copy()
        with pytest.raises(ValueError, match="NaN"):
            model.set_callbacks(watcher).fit(np.full_like(DIABETES[0], np.nan), DIABETES[1])
        assert watcher.events == ["setup", "begin fit", "teardown"]
        np.testing.assert_array_equal(model.coef_, before)
        assert not any("callback_fit" in name or "teardown" in name for name in vars(model))

    def test_callbacks_are_taken_off_and_survive_a_clone_and_a_pickle():
        model = clone(CASES[1][0]).set_callbacks(Blind())
        copied = pickle.loads(pickle.dumps(clone(model).fit(*DIABETES)))
        same(copied, clone(CASES[1][0]).fit(*DIABETES))
        watcher = Watcher()
        model.set_callbacks(watcher).set_callbacks().fit(*DIABETES)
        assert watcher.events == []

    def test_a_callback_needs_its_hooks():
        with pytest.raises(TypeError, match="FitCallback"):
            SGDVariantRegressor().set_callbacks(print)

    def test_a_fit_that_goes_on_is_a_new_task():
        watcher = Watcher()
        model = clone(CASES[1][0]).set_params(warm_start=True).set_callbacks(watcher)
        model.fit(*DIABETES).set_params(max_iter=4).fit(*DIABETES)
        assert watcher.events.count("end epoch") == 6 + 4

    def test_partial_fit_calls_nobody():
        watcher = Watcher()
        clone(CASES[1][0]).set_callbacks(watcher).partial_fit(*DIABETES)
        assert watcher.events == []

else:

    @pytest.mark.parametrize(("model", "data"), CASES, ids=IDS)
    def test_an_older_scikit_learn_is_named(model, data):
        with pytest.raises(ImportError, match=r"1\.9 or newer"):
            clone(model).set_callbacks(Blind())
        assert clone(model).fit(*data).n_iter_ == 6
