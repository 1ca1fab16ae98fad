"""Diagnoses: what is measured and advised, what is refused, the report, and the race."""

from dataclasses import asdict, fields, is_dataclass

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from _references import assert_same_facts, isotropic, steep
from skvariants import SGDVariantClassifier
from skvariants.diagnostics import Diagnosis, Facts, diagnose, facts, recommend
from skvariants.solvers import SOLVERS

# ---------------------------------------------------------------------------- what is measured and advised


@pytest.mark.parametrize(
    ("y", "loss"),
    [
        (np.array([0.0, 1.0] * 20), "log_loss"),
        (np.array([1, 2, 3, 1] * 10), "log_loss"),
        (np.array([True, False] * 20), "log_loss"),
        (np.linspace(0, 1, 40), "squared_error"),
        (np.arange(40), "squared_error"),
    ],
)
def test_loss_is_guessed_from_the_targets(y, loss):
    X, _ = isotropic(40, 2)
    assert diagnose(X, y).loss == loss


def test_a_diagnosis_is_the_facts_and_their_advice():
    X, y = steep(900)
    report = diagnose(X, y, random_state=0)
    assert_same_facts(report.facts, facts(X, y, classification=False, random_state=0))
    assert report.recommendation == recommend(report.facts)
    assert report.solver == report.recommendation.shortlist[0]
    raw = diagnose(X, y > 0, loss="hinge", scale_features=False, fit_intercept=False, random_state=0).facts
    expected = dict(classification=True, scaled=False, smooth=False, center=False, random_state=0)
    assert_same_facts(raw, facts(X, y > 0, **expected))


def test_full_batches_are_not_advised_for_losses_with_kinks():
    X, y = isotropic(200, 3)
    assert diagnose(X, y, loss="hinge").solver == "minibatch"
    assert diagnose(X, y, loss="squared_hinge").solver == "gd"


def test_any_table_is_read_as_it_is(tmp_path):
    X, y = isotropic(3000)
    X32 = X.astype(np.float32)
    path = tmp_path / "X"
    X32.tofile(path)
    mapped = np.memmap(path, dtype=np.float32, mode="r", shape=X.shape)
    a = diagnose(mapped, y, random_state=0).facts
    assert a == diagnose(X32, y, random_state=0).facts
    S = sp.csr_matrix(np.where(X > 1, X, 0))
    b = diagnose(S.tocoo(), y, random_state=0).facts
    assert b.sparse
    assert_same_facts(b, diagnose(S.toarray(), y, random_state=0).facts, but=("sparse",))


def test_rows_of_weight_zero_are_absent():
    X, y = isotropic(500)
    junk = np.full((100, X.shape[1]), 1e6)
    weight = np.r_[np.ones(500), np.zeros(100)]
    a = diagnose(np.r_[X, junk], np.r_[y, np.ones(100, int)], sample_weight=weight).facts
    assert_same_facts(a, diagnose(X, y).facts)


def test_weights_are_repetitions():
    X, y = isotropic(300)
    times = np.random.default_rng(0).integers(1, 4, 300)
    a = diagnose(X, y, sample_weight=times).facts
    b = diagnose(np.repeat(X, times, axis=0), np.repeat(y, times)).facts
    assert_same_facts(a, b, but=("n_samples", "sample_rows", "ravine"))
    assert a.ravine == pytest.approx(b.ravine, rel=0.1)


def test_data_frames():
    X, y = isotropic(200, 3)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    assert_same_facts(diagnose(frame, pd.Series(y)).facts, diagnose(X, y).facts)


# ---------------------------------------------------------------------------- odd data


@pytest.mark.parametrize("X", [np.zeros((10, 3)), np.full((10, 1), 5.0), np.arange(2.0)[:, None]])
def test_degenerate_data_get_sane_facts(X):
    report = diagnose(X, np.arange(len(X)) % 2)
    for name, value in asdict(report.facts).items():
        if isinstance(value, float):
            assert np.isfinite(value), name
    assert report.solver in SOLVERS


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"loss": "logloss"}, "log_loss"),
        ({"scale_features": "auto"}, "scale_features"),
        ({"alpha": -1.0}, "alpha"),
        ({"race_epochs": 0}, "race_epochs"),
        ({"penalty": "l3"}, "penalty"),
        ({"sample_weight": np.ones(3)}, "sample_weight"),
        ({"sample_weight": -np.ones(50)}, "sample_weight"),
        ({"sample_weight": np.zeros(50)}, "sample_weight"),
    ],
)
def test_errors_name_the_parameter(kwargs, message):
    X, y = isotropic(50, 2)
    with pytest.raises(ValueError, match=message):
        diagnose(X, y, **kwargs)


def test_errors_of_the_data():
    X, y = isotropic(50, 2)
    with pytest.raises(ValueError, match="one class"):
        diagnose(X, np.zeros(50, int))
    for value in (np.nan, np.inf):
        for container in (np.asarray, sp.csr_matrix):
            with pytest.raises(ValueError, match="NaN"):
                diagnose(container(np.where(X > 1, value, X)), y)
    with pytest.raises(ValueError, match="NaN"):
        diagnose(X, np.where(y > 0, np.nan, y + 0.5))
    with pytest.raises(ValueError):
        diagnose(pd.DataFrame({"a": ["x"] * 50}), y)


# ---------------------------------------------------------------------------- report and race


def test_the_report_is_plain_data_and_prints():
    report = diagnose(*isotropic(), random_state=0)
    assert is_dataclass(report)
    text, page = str(report), report._repr_html_()
    for what in ("condition number", "Ravine", "Rare features", report.solver, report.recommendation.reason):
        assert what in text
    assert page.startswith("<div>")
    assert page.count("<tr>") == page.count("</tr>")
    assert report.recommendation.rule.replace("<", "&lt;").replace(">", "&gt;") in page
    assert {f.name for f in fields(Facts)} <= set(asdict(report.facts))
    assert report.race is None


def test_html_is_escaped():
    report = Diagnosis(
        *(getattr(diagnose(*isotropic()), name) for name in ("facts", "recommendation")), loss="<script>"
    )
    assert "<script>" not in report._repr_html_()


@pytest.mark.parametrize("task", ["binary", "three classes", "regression", "weights"])
def test_a_race_reports_the_objective_that_each_solver_reached(task):
    X, y = isotropic(400, 5)
    weight = None
    if task == "three classes":
        y = np.digitize(X[:, 0] + 0.3 * X[:, 1], [-0.5, 0.5])
    if task == "regression":
        y = X @ np.arange(5.0) + 3.0
    if task == "weights":
        weight = np.random.default_rng(0).uniform(0.5, 2, 400)
    report = diagnose(X, y, sample_weight=weight, race=True, race_epochs=3, random_state=0)
    race = report.race
    assert race.solvers == report.recommendation.shortlist
    assert race.winner == race.solvers[int(np.argmin(race.objectives))]
    assert (race.objectives < race.constant).all()
    progress = (race.constant - race.objectives[0]) / (race.constant - race.objectives.min())
    assert race.agrees == (progress >= 0.99)
    if task == "regression":
        assert race.constant == pytest.approx(0.5 * y.var())
    else:
        share = np.bincount(y, weight) / (len(y) if weight is None else weight.sum())
        assert race.constant == pytest.approx(-(share * np.log(share)).sum(), rel=1e-6)
    assert "Race (3 epochs" in str(report)
    assert race.winner in report._repr_html_()


def test_the_objective_of_a_race_is_that_of_the_same_fit():
    X, y = isotropic(400, 5)
    race = diagnose(X, y, race=True, race_epochs=2, alpha=0.1, random_state=0).race
    rng = np.random.RandomState(0)
    seed = rng.randint(np.iinfo(np.int32).max)
    model = SGDVariantClassifier(solver=race.solvers[0], scale_features=True, alpha=0.1, max_iter=2, random_state=seed)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    expected = log_loss(y, model.predict_proba(X)) + 0.05 * (model.coef_**2).sum()
    assert race.objectives[0] == pytest.approx(expected, rel=1e-9)


def test_a_race_takes_at_most_the_rows_allowed():
    X, y = isotropic(500, 3)
    assert diagnose(X, y, race=True, race_epochs=1, race_samples=100, random_state=0).race.n_samples == 100
