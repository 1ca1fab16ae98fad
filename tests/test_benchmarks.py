"""The benchmark measures what it says: minima, suboptimality, ratios, and every method in its own coordinates."""

import importlib
import importlib.util
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

FOLDER = Path(__file__).parents[1] / "examples" / "benchmarks"
MODULES = ["objectives", "problems", "methods", "benchmark", "compare_commits", "lasso"]


@pytest.fixture(scope="module")
def scripts():
    """The benchmark's modules by name; they are scripts beside each other, not a package."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: importlib.import_module(name) for name in MODULES}
    finally:
        sys.path.remove(str(FOLDER))
        for name in MODULES:
            sys.modules.pop(name, None)


def data(task, n=300, d=6, seed=0):
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((n, d)) + 0.5 * rng.standard_normal(d)) * 10.0 ** rng.integers(-1, 2, d)
    z = (X - X.mean(axis=0)) / X.std(axis=0) @ rng.standard_normal((d, 3))
    if task == "regression":
        return X, z[:, 0] + rng.standard_normal(n)
    if task == "binary":
        return X, (z[:, 0] + rng.logistic(size=n) > 0).astype(int)
    return X, np.argmax(z + rng.gumbel(size=z.shape), axis=1)


# ---------------------------------------------------------------------------- the reference


def test_minimum_on_a_toy_problem_by_hand(scripts):
    # y = -1, 1 at x = -1, 1: f(w) = (1 - w)^2 / 2 + w^2 / 2 with alpha = 1, least at w = 1/2
    objective = scripts["objectives"].Objective(np.array([[-1.0], [1.0]]), np.array([-1.0, 1.0]), "squared_error", 1.0)
    best = objective.minimum()
    assert best.value == pytest.approx(0.25)
    assert best.constant == pytest.approx(0.5)
    assert best.coef.item() == pytest.approx(0.5)
    assert objective.suboptimality([[0.0]], [0.0]) == pytest.approx(1.0)
    assert objective.suboptimality([[0.5]], [0.0]) == pytest.approx(0.0, abs=1e-12)
    assert objective.suboptimality([[1.0]], [0.0]) == pytest.approx(1.0)
    assert objective.suboptimality([[np.nan]], [0.0]) == np.inf


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_minimum_is_that_of_scikit_learn(scripts, task, scaled):
    X, y = data(task)
    alpha, n = 0.01, len(y)
    loss = {"regression": "squared_error", "binary": "log_loss", "multiclass": "multinomial"}[task]
    scaler = StandardScaler().fit(X)
    A = scaler.transform(X) if scaled else X
    if task == "regression":
        model = Ridge(alpha=alpha * n).fit(A, y)
    else:
        solver = "newton-cholesky" if task == "binary" else "newton-cg"
        model = LogisticRegression(C=1 / (alpha * n), solver=solver, tol=1e-10, max_iter=1000).fit(A, y)
    best = scripts["objectives"].Objective(X, y, loss, alpha, scaled).minimum()
    coef = best.coef.T * (scaler.scale_ if scaled else 1)
    expected = np.atleast_2d(model.coef_)
    if task == "multiclass":  # only differences between classes are determined
        coef, expected = coef - coef.mean(axis=0), expected - expected.mean(axis=0)
    np.testing.assert_allclose(coef, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert best.error < 1e-8


def test_one_vs_rest_is_the_sum_of_its_problems(scripts):
    X, y = data("multiclass")
    Objective = scripts["objectives"].Objective
    whole = Objective(X, y, "ovr", 0.01).minimum()
    parts = [Objective(X, (y == k).astype(int), "log_loss", 0.01).minimum() for k in range(3)]
    assert whole.value == pytest.approx(sum(p.value for p in parts), rel=1e-10)
    assert whole.constant == pytest.approx(sum(p.constant for p in parts), rel=1e-10)


@pytest.mark.parametrize("most", [5, 10])
@pytest.mark.parametrize("loss", ["log_loss", "multinomial"])
def test_both_references_find_the_same_minimum(scripts, monkeypatch, loss, most):
    X, y = data("multiclass" if loss == "multinomial" else "binary")
    X = StandardScaler().fit_transform(X)
    objectives = scripts["objectives"]
    newton = objectives.Objective(X, y, loss, 0.01).minimum()
    monkeypatch.setattr(objectives.Objective, "_newton", objectives.Objective._lbfgs)
    monkeypatch.setattr(objectives, "MOST_PARAMETERS", most)
    assert objectives.Objective(X, y, loss, 0.01).minimum().value == pytest.approx(newton.value, rel=1e-9)


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_sparse_is_dense(scripts, task):
    X, y = data(task)
    X = np.where(np.abs(X) > 0.5, X, 0.0)
    loss = {"regression": "squared_error", "binary": "log_loss", "multiclass": "multinomial"}[task]
    Objective = scripts["objectives"].Objective
    a, b = Objective(X, y, loss, 0.1).minimum(), Objective(sp.csr_matrix(X), y, loss, 0.1).minimum()
    assert a.value == pytest.approx(b.value, rel=1e-9)
    np.testing.assert_allclose(a.coef, b.coef, rtol=1e-5, atol=1e-7)


# ---------------------------------------------------------------------------- methods


@pytest.mark.parametrize(
    ("pattern", "task", "to"),
    [
        ("lbfgs", "binary", 1e-5),
        ("lbfgs", "multiclass", 1e-5),
        ("newton-cholesky", "binary", 1e-8),
        ("saga", "binary", 1e-2),
        ("liblinear$", "binary", 1e-3),
        ("liblinear, dual", "binary", 0.1),
        (r"Ridge\(auto\)", "regression", 1e-3),
        ("Ridge.lsqr", "regression", 1e-3),
        (r"SGD\(invscaling\)", "regression", 0.1),
        (r"SGD\(adaptive\)", "binary", 0.1),
        (r"SGD\(adaptive\)", "multiclass", 0.2),
        ("ours: default", "binary", 0.05),
        ("ours: default", "multiclass", 0.05),
        ("ours: default", "regression", 0.05),
    ],
)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_a_method_approaches_the_minimum_of_its_own_objective(scripts, pattern, task, to, container):
    X, y = data(task)
    problem = scripts["problems"].Problem("toy", "test", task, container(X), y, X, y)
    method = next(m for m in scripts["methods"].all_methods() if re.search(pattern, m.name) and task in m.tasks)
    objective = scripts["objectives"].Objective(
        problem.X, y, method.loss(task), problem.alpha, method.scaled and problem.unequal
    )
    points = scripts["benchmark"].measure(method, problem, objective, np.inf)  # no limit of time: the ladder ends
    assert min(p["suboptimality"] for p in points) < to


def test_no_hessian_of_a_wide_problem_is_formed(scripts):
    newton = next(m for m in scripts["methods"].all_methods() if "newton" in m.name)
    X, y = sp.csr_matrix((4, 50_000)), np.array([0, 1, 0, 1])
    Problem = scripts["problems"].Problem
    assert not newton.takes(Problem("wide", "test", "binary", X, y, X, y))
    assert newton.takes(Problem("narrow", "test", "binary", X[:, :20], y, X[:, :20], y))


def test_problems(scripts, tmp_path):
    problems = scripts["problems"]
    for name in problems.QUICK:
        p = problems.make(name)
        assert p.X.shape[0] == len(p.y)
        assert p.X_test.shape[0] == len(p.y_test)
        assert p.classes == (0 if p.task == "regression" else len(np.unique(p.y_test)))
    with pytest.raises(ValueError, match="--data"):
        problems.make("mine")
    (tmp_path / "load.py").write_text(
        "import numpy as np\n"
        "def names():\n    return ['adult', 'mine']\n"
        "def matrix(name):\n    return np.arange(40.0).reshape(20, 2), np.arange(20) % 2, 'binary'\n"
    )
    assert problems.make("mine", tmp_path).X.shape == (16, 2)
    assert "adult" in problems.names(data=tmp_path)


# ---------------------------------------------------------------------------- the report


def report():
    def points(*pairs):
        return [{"setting": "1", "seconds": s, "suboptimality": f, "test_loss": 0.5} for s, f in pairs]

    problems = [
        {
            "name": n,
            "source": "test",
            "task": "binary",
            "size": "1 x 1",
            "classes": 2,
            "alpha": 1e-4,
            "reference_error": 0.0,
        }
        for n in ("a", "b")
    ]
    results = [
        ("a", "ours: default", "ours", points((1.0, 5e-3), (2.0, 5e-4))),
        ("a", "slow", "SGD", points((8.0, 5e-4), (6.0, 1e-3))),
        ("a", "quick", "others", points((0.5, 1e-3))),
        ("b", "ours: default", "ours", points((1.0, 0.5))),
        ("b", "slow", "SGD", points((3.0, 1e-3))),
        ("b", "quick", "others", points((1.0, np.inf))),
    ]
    keys = ("problem", "method", "group", "points")
    machine = {"cpu": "c", "cores": 2, "system": "s", "python": "3", "packages": {"numpy": "2"}, "thread_pools": ["p"]}
    return {
        "machine": machine, "cap": 1.0, "problems": problems,
        "results": [dict(zip(keys, r, strict=True)) for r in results],
    }  # fmt: skip


def test_seconds_and_ratios(scripts):
    benchmark = scripts["benchmark"]
    r = report()
    assert benchmark.seconds_to(r["results"][0]["points"], 1e-2) == 1.0
    assert benchmark.seconds_to(r["results"][0]["points"], 1e-3) == 2.0
    assert benchmark.seconds_to(r["results"][0]["points"], 1e-4) is None
    ratios, base = benchmark.ratios(r, 1e-3)
    assert ratios["slow"] == {"a": 3.0, "b": 1.0}
    assert ratios["quick"] == {"a": 0.25, "b": None}
    assert ratios["ours: default"] == {"a": 1.0, "b": None}
    assert base == {"a": 2.0, "b": 3.0}


def test_losses_are_shown(scripts):
    text = scripts["benchmark"].losses(report())
    assert "| a | 0.001 | quick | 4 times as fast as our default |" in text
    assert "| b | 0.001 | slow | 3 s, which our default did not reach in the time given |" in text
    table = scripts["benchmark"].ratio_table(report(), 1e-3)
    assert "| quick | **0.25** | - | 0.25 | 1 of 2 |" in table


def test_a_quick_run_writes_page_measurements_and_plots(scripts, tmp_path, capsys):
    output = tmp_path / "page"
    methods = r"^ours: default$|lbfgs"
    scripts["benchmark"].main(
        ["--quick", "--problems", "dense_quick", "--methods", methods, "--seconds", "0.05", "--output", str(output)]
    )
    printed = capsys.readouterr().out
    assert "Seconds to 0.001" in printed
    page = output.with_suffix(".md").read_text()
    results = json.loads((output / "results.json").read_text())
    assert {r["method"] for r in results["results"]} == {"ours: default", "LogisticRegression(lbfgs)"}
    assert results["machine"]["cores"] >= 1
    for what in ("## Where others are faster", "page/summary.png", "### To 0.001", results["machine"]["python"]):
        assert what in page
    plotted = {p.stem for p in output.glob("*.png")}
    assert plotted == ({"summary", "dense_quick"} if importlib.util.find_spec("matplotlib") else set())


# ---------------------------------------------------------------------------- comparing commits


def test_commits_are_compared_in_turn(scripts):
    called = []

    def timer(place, pattern):
        called.append(place)
        slow = 2.0 if place == "after" else 1.0
        return {"fit": {"seconds": slow * len(called), "objective": slow}}

    compare = scripts["compare_commits"].compare
    ((name, seconds, ratio, low, high, best, a, b),) = compare("before", "after", 3, timer=timer)
    assert called == ["before", "after", "after", "before", "before", "after"]
    assert (name, a, b) == ("fit", 1.0, 2.0)
    # seconds 1, 4, 5 before and 4, 6, 12 after
    assert seconds == 4.0
    assert (ratio, low, high) == (2.4, 1.5, 4.0)
    assert best == 4.0
    assert scripts["compare_commits"].verdict(low, high) == "SLOWER"
    assert scripts["compare_commits"].verdict(0.5, 0.8) == "faster"
    assert scripts["compare_commits"].verdict(0.8, 1.3) == ""


def test_the_working_tree_can_be_timed(scripts):
    compare_commits = scripts["compare_commits"]
    with compare_commits.checked_out(None) as place:
        results = compare_commits.time_in(place, "default, 500 x 20")
    assert list(results) == ["default, 500 x 20"]
    assert results["default, 500 x 20"]["seconds"] > 0


def test_lasso_methods_are_timed_to_the_same_accuracy(scripts, monkeypatch, capsys):
    lasso = scripts["lasso"]
    X, y = lasso.prepared(*lasso.autoregressive(200, 10), 150, scaled=True)
    assert X.shape == (150, 10)
    assert y.std() == pytest.approx(1)
    alpha = lasso.strongest(X, y)
    methods = {name: lasso.METHODS[name] for name in ("skvariants", "scikit-learn")}
    for method in methods.values():
        assert lasso.fitted(method, X, y, 1.001 * alpha, 1.0, 1e-6)[2] == 0
        assert lasso.fitted(method, X, y, 0.99 * alpha, 1.0, 1e-6)[2] > 0
    assert lasso.objective(X, y, alpha, 1.0, np.zeros(10)) == pytest.approx(0.5)
    times, nonzero = lasso.compare(methods, X, y, 0.1 * alpha, 0.5, repeats=1)
    assert 0 < nonzero <= 10
    assert all(0 < seconds < 60 for cells in times.values() for seconds in cells)
    monkeypatch.setattr(sys, "argv", ["lasso.py", "--quick", "--only", "autoregressive", "--methods", *methods])
    lasso.main()
    assert "scikit-learn: " in capsys.readouterr().out
