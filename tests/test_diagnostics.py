"""Diagnoses: what is measured and advised, what is refused, the report, and the race."""

from dataclasses import asdict, fields, is_dataclass, replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from _references import assert_same_facts, isotropic, steep
from skvariants import SGDVariantClassifier
from skvariants.diagnostics import Diagnosis, Facts, RaceResult, diagnose, facts, recommend, troubles
from skvariants.losses import Quantile
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
    assert report.troubles == troubles(report.facts)
    assert report.solver == "auto"
    raw = diagnose(X, y > 0, loss="hinge", scale_features=False, fit_intercept=False, random_state=0).facts
    expected = dict(classification=True, scaled=False, smooth=False, center=False, random_state=0)
    assert_same_facts(raw, facts(X, y > 0, **expected))


def test_whether_the_loss_has_kinks_is_seen():
    X, y = steep(4000)
    assert diagnose(X, y > 0, loss="hinge").recommendation.solver_name == "rmsprop"
    assert diagnose(X, y > 0, loss="squared_hinge").recommendation.solver_name == "adam"


@pytest.mark.parametrize("loss", ["log_loss", "hinge", "squared_hinge"])
def test_a_diagnosis_says_what_auto_does(loss):
    X, y = isotropic(300, 3)
    report = diagnose(X, y, loss=loss, random_state=0)
    model = SGDVariantClassifier(loss=loss, random_state=0).fit(X, y)
    assert type(model.solver_) is SOLVERS[report.auto.solver_name]
    text = str(report)
    assert text.index("'auto' is here") < text.index("If you name a solver")
    assert report.auto.rule in " ".join(text.split())


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
    assert_same_facts(a, b, but=("n_samples", "sample_rows", "ravine", "noise"))
    assert a.ravine == pytest.approx(b.ravine, rel=0.1)
    assert a.noise == pytest.approx(b.noise, rel=0.05)


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
    assert report.recommendation.solver_name in SOLVERS
    assert np.isfinite(report.facts.ravine)


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
    frame = pd.DataFrame(X, columns=["age", "income"])
    frame.loc[7, "income"] = np.nan
    for weight in (None, np.r_[0.0, np.ones(49)]):
        with pytest.raises(ValueError, match="first in the column 'income', row 7"):
            diagnose(frame, y, sample_weight=weight)


@pytest.mark.parametrize("arguments", [(), isotropic(50, 2)[:1], isotropic(50, 2)])
def test_an_estimator_in_the_place_of_data_is_told_what_to_pass(arguments):
    pipeline = make_pipeline(StandardScaler(), SGDVariantClassifier())
    with pytest.raises(
        TypeError, match=r"diagnose looks at data, and Pipeline.* is an estimator: pass diagnose\(X, y\)"
    ):
        diagnose(pipeline, *arguments)


# ---------------------------------------------------------------------------- report and race


def test_the_report_is_plain_data_and_prints():
    report = diagnose(*isotropic(), random_state=0)
    assert is_dataclass(report)
    text, page = str(report), report._repr_html_()
    words = " ".join(text.split())
    for what in (
        "condition number", "a ravine", "rare features", "solver 'auto'", report.auto.reason,
        report.recommendation.solver_name, report.recommendation.reason,
    ):  # fmt: skip
        assert what in words
    assert max(map(len, text.splitlines())) <= 120
    assert page.startswith("<div>")
    assert page.count("<tr>") == page.count("</tr>")
    assert report.recommendation.rule.replace("<", "&lt;").replace(">", "&gt;") in page
    assert {f.name for f in fields(Facts)} <= set(asdict(report.facts))
    assert report.race is None


def test_html_is_escaped():
    report = Diagnosis(
        *(getattr(diagnose(*isotropic()), name) for name in ("facts", "auto", "recommendation")), loss="<script>"
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
    assert race.solvers == ("auto", *report.recommendation.shortlist)
    assert race.winner == race.solvers[int(np.argmin(race.objectives))]
    assert (race.objectives < race.constant).all()
    progress = (race.constant - race.objectives) / (race.constant - race.objectives.min())
    assert race.agrees == (progress[0] >= 0.99)
    np.testing.assert_allclose(race.left, 1 - progress, atol=1e-12)
    assert report.solver == "auto"
    if task == "regression":
        assert race.constant == pytest.approx(0.5 * y.var())
    else:
        share = np.bincount(y, weight) / (len(y) if weight is None else weight.sum())
        assert race.constant == pytest.approx(-(share * np.log(share)).sum(), rel=1e-6)
    assert "named solvers at most 3 epochs" in str(report)
    assert race.winner in report._repr_html_()


def test_the_objective_of_a_race_is_that_of_the_same_fit():
    X, y = isotropic(400, 5)
    race = diagnose(X, y, race=True, race_epochs=2, alpha=0.1, random_state=0).race
    rng = np.random.RandomState(0)
    seed = rng.randint(np.iinfo(np.int32).max)
    model = SGDVariantClassifier(solver=race.solvers[1], scale_features=True, alpha=0.1, max_iter=2, random_state=seed)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    expected = log_loss(y, model.predict_proba(X)) + 0.05 * (model.coef_**2).sum()
    assert race.objectives[1] == pytest.approx(expected, rel=1e-9)


def test_a_race_takes_at_most_the_rows_allowed():
    X, y = isotropic(500, 3)
    assert diagnose(X, y, race=True, race_epochs=1, race_samples=100, random_state=0).race.n_samples == 100


def test_a_race_has_rows_of_every_class():
    X, _ = isotropic(2000, 3)
    for rare in ([7], [3, 1500]):
        y = np.zeros(2000, int)
        y[rare] = 1
        race = diagnose(X, y, race=True, race_epochs=1, race_samples=50, random_state=0).race
        assert race.n_samples == 50
        assert np.isfinite(race.objectives).all()
    race = diagnose(X, np.arange(2000) % 15, race=True, race_epochs=1, race_samples=10, random_state=0).race
    assert race.n_samples == 15


def test_the_advice_is_the_winner_of_a_race_only_where_auto_fell_behind():
    report = diagnose(*isotropic(), random_state=0)

    def advice(objectives, winner, agrees):
        race = RaceResult(("auto", "adam"), np.array(objectives), np.ones(2), 1.0, 5, 100, winner, agrees)
        behind = replace(report, race=race)
        return behind.solver, str(behind)

    assert advice([0.1, 0.2], "auto", True)[0] == "auto"
    solver, text = advice([0.100001, 0.1], "adam", True)
    assert solver == "auto"
    assert "yes: 'adam' is the best; 'auto' made 100.0% of its progress" in text
    solver, text = advice([0.55, 0.1], "adam", False)
    assert solver == "adam"
    assert "no: 'adam' is the best; 'auto' made 50.0% of its progress" in text
    hopeless = RaceResult(("auto", "adam"), np.array([1.0, 2.0]), np.ones(2), 1.0, 5, 100, "auto", True)
    np.testing.assert_array_equal(hopeless.left, 0.0)


def test_levels_of_a_quantile_are_no_columns_of_the_targets():
    X, y = np.random.default_rng(0).standard_normal((60, 3)), np.arange(60.0)
    report = diagnose(X, y, loss=Quantile([0.1, 0.5, 0.9]))
    assert (report.facts.n_columns, report.facts.outputs) == (3, 3)
    assert "real, 1 column of which the loss predicts 3 levels" in " ".join(str(report).split())
    assert "real, 2 columns\n" in str(diagnose(X, np.column_stack([y, y]), loss="squared_error"))


def test_a_report_advises_further_solvers_where_they_are_worth_it():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    small = str(diagnose(X, X.sum(axis=1)))
    assert "prodigy " in small
    assert not any(name in small for name in ("svrg", "dowg", "nag,", "ftrl"))
    large = str(diagnose(np.tile(X, (14, 1)), np.tile(X.sum(axis=1), 14)))
    assert "svrg, saga " in large
    assert "Not for a stream" in large


def test_a_target_that_does_not_vary_is_a_number_unless_it_is_whole():
    X = np.random.default_rng(0).standard_normal((40, 2))
    assert "loss='squared_error'" in str(diagnose(X, np.zeros(40)))
    with pytest.raises(ValueError, match="^y holds one class"):
        diagnose(X, np.zeros(40, int))
