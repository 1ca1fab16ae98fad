"""Diagnoses of problems whose answer is known, and what must not change one."""

from dataclasses import asdict, fields, is_dataclass, replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from skvariants import SGDVariantClassifier
from skvariants.diagnostics import RULES, Diagnosis, Facts, diagnose, facts, recommend
from skvariants.solvers import SOLVERS


def with_spectrum(eigenvalues, n=800, seed=0):
    """Centred columns whose second moments have exactly these eigenvalues, in rotated directions."""
    rng = np.random.default_rng(seed)
    d = len(eigenvalues)
    A = rng.standard_normal((n, d))
    U = np.linalg.qr(A - A.mean(axis=0))[0]
    Q = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return np.sqrt(n) * U * np.sqrt(eigenvalues) @ Q.T


def isotropic(n=4000, d=20, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    return X, (X @ rng.standard_normal(d) + rng.logistic(size=n) > 0).astype(int)


def zipf(n=6000, values=400, seed=0):
    """One-hot columns of two variables whose values have Zipf frequencies; each value has an effect of its own."""
    rng = np.random.default_rng(seed)
    p = 1 / np.arange(1, values + 1)
    codes = rng.choice(values, size=(n, 2), p=p / p.sum()) + values * np.arange(2)
    X = sp.csr_matrix((np.ones(2 * n), codes.ravel(), np.arange(0, 2 * n + 1, 2)), shape=(n, 2 * values))
    z = X @ rng.standard_normal(2 * values)
    return X, (z + 0.5 * rng.logistic(size=n) > 0).astype(int)


def steep(n=4000, d=20, seed=0):
    """A ravine that standardising cannot remove: what is to be learnt lies along the flat directions."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((n, 1))
    own = rng.standard_normal((n, d))
    X = common + 0.3 * own
    return X, own @ rng.standard_normal(d) + 0.1 * rng.standard_normal(n)


def same(a, b, rtol=1e-6, but=()):
    a, b = asdict(a), asdict(b)
    for name in a:
        if name not in but:
            if isinstance(a[name], float):
                assert a[name] == pytest.approx(b[name], rel=rtol), name
            else:
                assert a[name] == b[name], name


# ---------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("kappa", [1.0, 30.0, 1e6])
def test_condition_number_is_the_known_one(kappa):
    X = with_spectrum(np.geomspace(kappa, 1.0, 8))
    y = np.random.default_rng(0).standard_normal(len(X))
    f = diagnose(X, y, scale_features=False).facts
    assert f.condition_number == pytest.approx(kappa, rel=1e-6)
    assert f.raw_condition_number == f.condition_number


def test_condition_number_of_two_correlated_columns_in_any_units():
    rng = np.random.default_rng(0)
    U = with_spectrum(np.ones(2))
    r = 0.99
    X = np.column_stack([U[:, 0], r * U[:, 0] + np.sqrt(1 - r**2) * U[:, 1]])
    f = diagnose(X * [1e4, 1e-3] + [1e5, 0], rng.standard_normal(len(X))).facts
    assert f.condition_number == pytest.approx((1 + r) / (1 - r), rel=1e-6)
    assert f.scale_ratio == pytest.approx(1e7)
    assert f.largest_offset == pytest.approx(10.0)
    assert f.raw_condition_number > 1e11


def test_length_of_the_ravine_is_the_steps_that_gradient_descent_takes():
    n, spectrum = 1000, np.array([50.0, 7.0, 1.0])
    X = with_spectrum(spectrum, n)
    w = np.array([1.0, -2.0, 3.0])
    y = X @ w
    H = X.T @ X / n
    f = diagnose(X, y, loss="squared_error", scale_features=False).facts

    v, steps = np.zeros(3), 0
    start = w @ H @ w
    while (v - w) @ H @ (v - w) > 0.01 * start:
        v -= H @ (v - w) / 50.0
        steps += 1
    assert f.ravine == pytest.approx(steps, rel=0.05)


def test_a_flat_direction_without_gain_makes_no_ravine():
    X = with_spectrum([100.0, 1e-4], 1000)
    Q = np.linalg.eigh(X.T @ X)[1]
    f = diagnose(X, X @ Q[:, -1], loss="squared_error", scale_features=False).facts
    assert f.condition_number == pytest.approx(1e6, rel=1e-6)
    assert f.ravine < 3


def test_frequencies_are_the_known_ones():
    n = 1000
    X = np.zeros((n, 4))
    X[:, 0] = np.arange(1, n + 1)
    X[:500, 1] = 1.0
    X[:5, 2] = 1.0
    X[:, 3] = 7.0
    f = diagnose(X, np.arange(n, dtype=float)).facts
    assert f.rare_share == pytest.approx(1 / 3)
    assert f.frequency_ratio == pytest.approx(200)
    assert f.constant_columns == 1
    assert f.density == pytest.approx((1000 + 500 + 5 + 1000) / 4000)


def test_stored_zeros_are_zeros():
    X = sp.csr_matrix(np.eye(6))
    Z = sp.csr_matrix((np.r_[X.data, 0.0], (np.r_[np.arange(6), 0], np.r_[X.indices, 3])), shape=(6, 6))
    y = np.arange(6.0)
    same(diagnose(Z, y).facts, diagnose(X, y).facts)


def test_sizes_and_classes():
    X, _ = isotropic(100, 3)
    y = np.array(["a"] * 60 + ["b"] * 30 + ["c"] * 10)
    f = diagnose(X, y).facts
    assert (f.n_samples, f.n_features, f.n_columns, f.classes) == (100, 3, 3, 3)
    assert f.smallest_class == pytest.approx(0.1)
    g = diagnose(X, np.random.default_rng(0).standard_normal((100, 2))).facts
    assert (g.n_columns, g.classes, g.smallest_class) == (2, None, None)


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


# ---------------------------------------------------------------------------- advice


def test_every_rule_names_solvers_that_exist_and_says_why():
    assert RULES[-1].applies(diagnose(*isotropic(), random_state=0).facts)
    for rule in RULES:
        assert set(rule.solvers) <= set(SOLVERS)
        assert rule.reason
        assert rule.condition
        assert "doi:" in rule.reference or "arXiv:" in rule.reference


@pytest.mark.parametrize(
    ("data", "solvers"),
    [
        (isotropic, {"minibatch"}), (steep, {"momentum", "nesterov"}), (lambda: isotropic(200, 3), {"gd"}),
    ],
    ids=["neither", "ravine", "small"],
)  # fmt: skip
def test_known_problems_get_the_known_answer(data, solvers):
    report = diagnose(*data(), random_state=0)
    assert report.solver in solvers
    assert report.recommendation.shortlist[0] == report.solver


def test_rare_features_get_adagrad():
    advice = diagnose(*zipf(), scale_features=False, random_state=0).recommendation
    assert advice.solver_name == "adagrad"
    assert "rmsprop" in advice.shortlist


def test_ravine_and_rare_features_get_adam():
    X, _ = zipf(4000)
    S, t = steep(4000)
    assert diagnose(sp.hstack([X, sp.csr_matrix(S)]), t, random_state=0).solver == "adam"


def test_full_batches_are_not_advised_for_losses_with_kinks():
    X, y = isotropic(200, 3)
    assert diagnose(X, y, loss="hinge").solver == "minibatch"
    assert diagnose(X, y, loss="squared_hinge").solver == "gd"


def test_raw_units_get_adam():
    X, y = isotropic()
    assert diagnose(X * np.geomspace(1e-3, 1e3, 20), y, scale_features=False, random_state=0).solver == "adam"


@pytest.mark.parametrize("ravine", [1.0, 50.0, 1e4, 1e9])
@pytest.mark.parametrize("rare", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("n", [2, 1000, 10**7])
def test_some_rule_always_applies(ravine, rare, n):
    f = diagnose(*isotropic(), random_state=0).facts
    advice = recommend(replace(f, ravine=ravine, rare_share=rare, n_samples=n))
    assert advice.solver_name in SOLVERS


# ---------------------------------------------------------------------------- invariance


def test_units_do_not_matter():
    X, y = isotropic(3000)
    a = diagnose(X, y, random_state=0)
    b = diagnose(X * np.geomspace(1e-4, 1e4, 20), y, random_state=0)
    same(a.facts, b.facts, but=("scale_ratio", "raw_condition_number"))
    assert a.recommendation == b.recommendation


def test_order_of_rows_does_not_matter_where_all_are_sampled():
    X, y = isotropic(900)
    order = np.random.default_rng(1).permutation(900)
    same(diagnose(X, y).facts, diagnose(X[order], y[order]).facts)


def test_order_of_rows_hardly_matters_where_some_are_sampled():
    X, y = steep(6000)
    order = np.random.default_rng(1).permutation(6000)
    a, b = diagnose(X, y, random_state=0), diagnose(X[order], y[order], random_state=1)
    same(a.facts, b.facts, rtol=0.5)
    assert a.recommendation == b.recommendation


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("columns", [60, 6000])
def test_dense_is_sparse(scaled, columns):
    rng = np.random.default_rng(0)
    X = sp.csr_matrix(rng.standard_normal((700, columns)) * (rng.random((700, columns)) < 0.05))
    y = rng.standard_normal(700)
    a = diagnose(X, y, scale_features=scaled, random_state=0).facts
    b = diagnose(X.toarray(), y, scale_features=scaled, random_state=0).facts
    same(a, b, rtol=1e-5, but=("sparse",))
    assert a.sparse


def test_a_memory_map_and_float32_are_the_array(tmp_path):
    X, y = isotropic(3000)
    X32 = X.astype(np.float32)
    path = tmp_path / "X"
    X32.tofile(path)
    mapped = np.memmap(path, dtype=np.float32, mode="r", shape=X.shape)
    a = diagnose(mapped, y, random_state=0).facts
    assert a == diagnose(X32, y, random_state=0).facts
    same(a, diagnose(X, y, random_state=0).facts, rtol=1e-4)


def test_reading_in_blocks_is_reading_at_once(monkeypatch):
    X, y = isotropic(2000)
    whole = diagnose(X, y, random_state=0).facts
    monkeypatch.setattr("skvariants._advice._BLOCK", 1000)
    monkeypatch.setattr("skvariants._scaling._BLOCK", 1000)
    same(whole, diagnose(X, y, random_state=0).facts)


def test_rows_of_weight_zero_are_absent():
    X, y = isotropic(500)
    junk = np.full((100, X.shape[1]), 1e6)
    weight = np.r_[np.ones(500), np.zeros(100)]
    a = diagnose(np.r_[X, junk], np.r_[y, np.ones(100, int)], sample_weight=weight).facts
    same(a, diagnose(X, y).facts)


def test_weights_are_repetitions():
    X, y = isotropic(300)
    times = np.random.default_rng(0).integers(1, 4, 300)
    a = diagnose(X, y, sample_weight=times).facts
    b = diagnose(np.repeat(X, times, axis=0), np.repeat(y, times)).facts
    same(a, b, but=("n_samples", "sample_rows", "ravine"))
    assert a.ravine == pytest.approx(b.ravine, rel=0.1)


def test_data_frames():
    X, y = isotropic(200, 3)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    same(diagnose(frame, pd.Series(y)).facts, diagnose(X, y).facts)


def test_known_moments_spare_the_pass():
    from skvariants._scaling import Moments

    X, y = isotropic(900)
    moments = Moments()
    moments.update(X)
    a = facts(X, y, classification=True, moments=moments)
    same(a, facts(X, y, classification=True), but=("raw_condition_number",))


# ---------------------------------------------------------------------------- odd data


@pytest.mark.parametrize("X", [np.zeros((10, 3)), np.full((10, 1), 5.0), np.arange(2.0)[:, None]])
def test_degenerate_data_get_sane_facts(X):
    report = diagnose(X, np.arange(len(X)) % 2)
    for name, value in asdict(report.facts).items():
        if isinstance(value, float):
            assert np.isfinite(value), name
    assert report.solver in SOLVERS


def test_a_constant_target_is_no_ravine():
    X, _ = isotropic(100, 3)
    assert diagnose(X, np.ones(100) * 0.3).facts.ravine == 1.0


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
