"""The benchmarks measure what they say: minima, suboptimality, ratios, and the page is what the results say."""

import importlib
import importlib.util
import json
import re
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from skvariants.diagnostics import facts as measure_facts

FOLDER = Path(__file__).parents[1] / "examples" / "benchmarks"
MODULES = [
    "measuring", "objectives", "problems", "methods", "benchmark", "kinks", "pictures", "report", "run_all",
    "compare_commits", "advice", "families", "lasso", "ordinal", "streams", "workers",
]  # fmt: skip
DOCS = FOLDER.parents[1] / "docs"


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


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_minimum_is_that_of_scikit_learn(scripts, task):
    X, y = data(task)
    alpha, n = 0.01, len(y)
    loss = {"regression": "squared_error", "binary": "log_loss", "multiclass": "multinomial"}[task]
    X = StandardScaler().fit_transform(X)
    if task == "regression":
        model = Ridge(alpha=alpha * n).fit(X, y)
    else:
        solver = "newton-cholesky" if task == "binary" else "newton-cg"
        model = LogisticRegression(C=1 / (alpha * n), solver=solver, tol=1e-10, max_iter=1000).fit(X, y)
    best = scripts["objectives"].Objective(X, y, loss, alpha).minimum()
    coef, expected = best.coef.T, np.atleast_2d(model.coef_)
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


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("shape", [(200, 8), (40, 90)])
@pytest.mark.parametrize("regression", [False, True])
def test_interior_point_closes_the_gap(scripts, regression, shape, container):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal(shape), rng.standard_normal(shape[0])
    y = y if regression else np.sign(y + X[:, 0])
    kinks = scripts["kinks"]
    method = kinks.InteriorPoint(container(X), y, 0.01, regression)
    value, gap = method.find()
    assert 0 <= gap <= 1e-10
    # the dual is a bound only if its intercept's constraint holds; and the value is that of a model
    assert abs(method.back(method.u)[-1]) < 1e-9
    # wide rows are replaced by narrower ones of the same inner products
    np.testing.assert_allclose(method.rows[:, :-1] @ method.rows[:, :-1].T, X @ X.T, atol=1e-9)
    objective = kinks.Kinked(method.rows[:, :-1], y if regression else y > 0, 0.01, regression)
    assert objective(method.theta[:-1], method.theta[-1]) == pytest.approx(value, rel=1e-12)
    for scale in (0.99, 1.01):
        assert objective(scale * method.theta[:-1], method.theta[-1]) >= value


def test_minimum_of_the_hinge_by_hand(scripts):
    # y = -1, 1 at x = -1, 1: f(w) = max(0, 1 - w) + alpha w^2 / 2 is least at min(1, 1 / alpha)
    X, y = np.array([[-1.0], [1.0]]), np.array([0, 1])
    for alpha, expected in ((0.5, 0.25), (2.0, 0.75)):
        objective = scripts["kinks"].Kinked(X, y, alpha, False)
        objective.find()
        assert objective.best == pytest.approx(expected, rel=1e-8)
        assert objective.constant == 1.0
        assert objective.suboptimality([[0.0]], [0.0]) == pytest.approx(1.0)


def test_without_a_reference_the_least_value_counts(scripts, monkeypatch):
    kinks = scripts["kinks"]
    monkeypatch.setattr(kinks, "SMALL_SIDE", 0)
    objective = kinks.Kinked(np.array([[-1.0], [1.0]]), np.array([0, 1]), 0.5, False)
    objective.find()
    assert objective.source == "least found"
    values = [objective([[w]], [0.0]) for w in (0.5, 1.0)]
    assert np.isnan(objective.suboptimality([[0.5]], [0.0]))
    objective.suboptimality([[1.0]], [0.0])
    assert objective.relative(values[1]) == 0.0
    assert objective.relative(values[0]) == pytest.approx((values[0] - 0.25) / 0.75)


# ---------------------------------------------------------------------------- methods


@pytest.mark.parametrize(
    ("pattern", "task", "to"),
    [
        ("lbfgs", "binary", 1e-5),
        ("lbfgs", "multiclass", 1e-5),
        ("newton-cholesky", "binary", 1e-8),
        ("newton-cg", "binary", 1e-6),
        ("saga", "binary", 1e-2),
        ("liblinear$", "binary", 1e-2),
        ("liblinear, intercept_scaling=10", "binary", 1e-3),
        ("liblinear, dual", "binary", 0.1),
        (r"Ridge\(auto\)", "regression", 1e-3),
        ("Ridge.lsqr", "regression", 1e-3),
        (r"SGD\(default, average\)", "regression", 0.1),
        (r"SGD\(adaptive, eta0=0.1\)", "binary", 0.1),
        (r"SGD\(adaptive, eta0=0.1\)", "multiclass", 0.2),
        ("ours: default", "binary", 1e-4),
        ("ours: default", "multiclass", 1e-4),
        ("ours: default", "regression", 1e-4),
    ],
)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_a_method_approaches_the_minimum(scripts, pattern, task, to, container):
    X, y = data(task)
    X = StandardScaler().fit_transform(X)
    problem = scripts["problems"].Problem("toy", "test", task, container(X), y, X, y)
    methods = [scripts["methods"].ours("auto"), *scripts["methods"].peers()]
    method = next(m for m in methods if re.search(pattern, m.name) and task in m.tasks)
    objective = scripts["objectives"].Objective(problem.X, y, method.loss(task), problem.alpha)
    points = scripts["benchmark"].measure(method, problem, objective, (1,))  # no limit of time: the ladder ends
    assert min(p["suboptimality"] for p in points) < to
    assert all(p["seconds"]["1"] > 0 for p in points)


@pytest.mark.parametrize("name", ["liblinear", "sgd", "ours"])
@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_a_method_for_kinks_approaches_the_minimum(scripts, task, name):
    X, y = data(task)
    X = StandardScaler().fit_transform(X)
    kinks = scripts["kinks"]
    problem = scripts["problems"].Problem("toy", "test", task, X, y, X, y)
    objective = kinks.Kinked(X, y, problem.alpha, task == "regression")
    objective.find()
    method = {"liblinear": lambda: kinks.liblinear(1.0), "sgd": lambda: kinks.sgd(False), "ours": kinks.ours}[name]()
    tested = lambda *found: kinks.test_loss(objective, problem, *found)  # noqa: E731
    points = scripts["benchmark"].measure(method, problem, objective, (1,), 1.0, tested)
    assert objective.source == "interior point"
    assert min(p["suboptimality"] for p in points) < (20 if name == "sgd" else 0.05)
    # without a penalty the loss on the same rows is what is left of the objective
    assert all(p["test_loss"] <= p["value"] for p in points)


def test_one_thread_is_one_thread(scripts):
    from threadpoolctl import threadpool_info

    with scripts["measuring"].threads(1):
        assert all(pool["num_threads"] == 1 for pool in threadpool_info())


def test_no_hessian_of_a_wide_problem_is_formed(scripts):
    newton = next(m for m in scripts["methods"].peers() if m.name == "newton-cholesky")
    X, y = sp.csr_matrix((4, 50_000)), np.array([0, 1, 0, 1])
    Problem = scripts["problems"].Problem
    assert not newton.takes(Problem("wide", "test", "binary", X, y, X, y))
    assert newton.takes(Problem("narrow", "test", "binary", X[:, :20], y, X[:, :20], y))


def test_problems(scripts, tmp_path):
    problems = scripts["problems"]
    for name in problems.QUICK:
        p = problems.make(name)
        values = p.X.data if p.sparse else p.X
        assert np.abs(values).max() < 50
        assert p.X.shape[0] == len(p.y)
        assert p.X_test.shape[0] == len(p.y_test)
        assert p.classes == (0 if p.task == "regression" else len(np.unique(p.y_test)))
    assert problems.make("text_quick").alpha == 1e-5
    assert problems.make("digits", rows=500).X.shape == (400, 64)
    assert problems.make("dense_quick", raw=True).X.std(axis=0).max() > 10
    with pytest.raises(ValueError, match="--data"):
        problems.make("mine")
    (tmp_path / "load.py").write_text(
        "import numpy as np\n"
        "def names():\n    return ['adult', 'mine']\n"
        "def matrix(name):\n    return np.arange(40.0).reshape(20, 2), np.arange(20) % 2, 'binary'\n"
    )
    p = problems.make("mine", tmp_path)
    assert p.X.shape == (16, 2)
    np.testing.assert_allclose(p.X.std(axis=0), 1.0)
    assert problems.names((), tmp_path) == ["adult", "mine"]


# ---------------------------------------------------------------------------- the report


def points(*pairs):
    """Fits by seconds with one thread and suboptimality; two threads take half the time. The last is the default."""
    found = [
        {"setting": str(i), "seconds": {"1": s, "2": s / 2}, "suboptimality": f, "test_loss": 0.5}
        for i, (s, f) in enumerate(pairs)
    ]
    return [*found[:-1], {**found[-1], "setting": "default"}]


def smooth():
    problem = {
        "source": "test", "task": "binary", "size": "1 x 1", "classes": 2, "alpha": 1e-4, "reference_error": 0.0,
    }  # fmt: skip
    results = [
        ("a", "ours: default", "ours", points((1.0, 5e-3), (2.0, 5e-6))),
        ("a", "SGD(default)", "SGD", points((8.0, 5e-4), (6.0, 1e-3))),
        ("a", "lbfgs", "lbfgs", points((0.5, 1e-3))),
        ("b", "ours: default", "ours", points((1.0, 0.5))),
        ("b", "SGD(default)", "SGD", points((3.0, 1e-3))),
        ("b", "lbfgs", "lbfgs", points((1.0, None))),
    ]
    keys = ("problem", "method", "family", "points")
    return {
        "kind": "smooth", "threads": [1, 2], "problems": [{"name": n, **problem} for n in ("a", "b")],
        "results": [dict(zip(keys, r, strict=True)) for r in results],
    }  # fmt: skip


def test_seconds_and_ratios(scripts):
    report, r = scripts["report"], smooth()
    seconds_to = scripts["measuring"].seconds_to
    assert seconds_to(r["results"][0]["points"], 1e-2, 1) == 1.0
    assert seconds_to(r["results"][0]["points"], 1e-3, 2) == 1.0
    assert seconds_to(r["results"][0]["points"], 1e-6, 1) is None
    assert report.ratio(r, "a", "SGD", 1e-3, 1) == 3.0
    assert report.ratio(r, "a", "lbfgs", 1e-3, 2) == 0.25
    assert report.ratio(r, "b", "SGD", 1e-3, 1) == 0.0  # ours did not arrive
    assert report.ratio(r, "b", "lbfgs", 1e-3, 1) is None
    table = report.time_table(r, 1e-3)
    assert "| a | 2000 / 1000 | 3 | **0.25** |" in table
    assert "| b | - / - | **only** | - |" in table
    assert "| *geometric mean* |  | 3 | **0.25** |" in table
    assert "| *arrived* |  | 2 of 2 | 1 of 2 |" in table


def test_losses_are_shown_first(scripts):
    report = scripts["report"]
    text = report.conclusion({"smooth": smooth()})
    assert "**Ours arrives first in 2 of 8 comparisons**" in text  # a to 1e-5, with one thread and with two
    assert "to 1e-3: a (lbfgs 4 / 4), b (SGD arrived, ours did not)." in text
    assert "the faster of SGD plain and averaged takes 3 times our seconds" in text


def test_a_quick_run_makes_a_page_that_is_checked(scripts, tmp_path, capsys):
    methods, report = r"lbfgs", scripts["report"]
    files = [str(tmp_path / name) for name in ("kinks.json", "smooth.json")]
    scripts["benchmark"].main(["--quick", "--problems", "dense_quick", "--methods", methods, "--output", files[1]])
    scripts["kinks"].main(["--quick", "--problems", "dense_quick", "--methods", "SGD$", "--output", files[0]])
    scripts["measuring"].save(tmp_path / "more.json", "printed", {"title": "More", "text": "a  b\n"}, "more.py")
    results = json.loads(Path(files[1]).read_text())
    assert {r["method"] for r in results["results"]} == {"ours: default", "lbfgs"}
    assert results["conditions"]["code"] == scripts["measuring"].code_digest()
    page, pictures = tmp_path / "page.md", tmp_path / "pictures"
    pictures.mkdir()
    page.write_text((DOCS / "benchmarks.md").read_text())
    arguments = [*files, str(tmp_path / "more.json"), "--page", str(page), "--pictures", str(pictures)]
    report.main(arguments)
    report.main([*arguments, "--check", "--fresh"])
    text = page.read_text()
    for what in ("| dense_quick |", "```text\na  b\n```", results["conditions"]["python"]):
        assert what in text
    if importlib.util.find_spec("matplotlib"):
        assert {p.name for p in pictures.glob("*.png")} == {"smooth_binary.png", "kinks_binary.png"}
    # an edited number, other results, other code
    page.write_text(text.replace("comparisons**", "comparisons!**"))
    with pytest.raises(SystemExit):
        report.main([*arguments, "--check"])
    assert "differs from what the results say" in capsys.readouterr().out
    report.main(arguments)
    Path(files[1]).write_text(json.dumps(results | {"conditions": {**results["conditions"], "code": "0"}}))
    with pytest.raises(SystemExit):
        report.main([*arguments, "--check", "--fresh"])
    printed = capsys.readouterr().out
    assert "smooth measured other code than this" in printed
    assert ("was drawn from other results" in printed) == bool(importlib.util.find_spec("matplotlib"))


def test_the_page_says_what_its_results_say(scripts):
    files = sorted(map(str, (DOCS / "benchmarks").glob("*.json")))
    scripts["report"].main([*files, "--check"])


def test_our_own_curve_is_inside_every_picture(scripts):
    pytest.importorskip("matplotlib")
    figure = scripts["pictures"].figure_of(smooth(), "binary", "title")
    assert len(figure.axes) == 4
    for ax in figure.axes:
        ours = [line for line in ax.get_lines() if line.get_color() == "black"]
        assert ours
        for line in ours:
            x, y = np.asarray(line.get_data())
            assert (x >= ax.get_xlim()[0]).all()
            assert (x <= ax.get_xlim()[1]).all()
            assert (y >= ax.get_ylim()[0]).all()
            assert (y <= ax.get_ylim()[1]).all()
    import matplotlib.pyplot as plt

    plt.close(figure)


def test_what_a_script_prints_is_kept(scripts, tmp_path, monkeypatch):
    run_all = scripts["run_all"]
    (tmp_path / "script.py").write_text("import os\nprint(os.environ['OMP_NUM_THREADS'])")
    monkeypatch.setattr(run_all, "HERE", tmp_path)
    run_all.keep_printed("Title", "script.py", ["--quick"], tmp_path / "out.json", threads=1)
    kept = json.loads((tmp_path / "out.json").read_text())
    assert (kept["kind"], kept["title"], kept["text"]) == ("printed", "Title, one thread", "1\n")
    assert kept["conditions"]["command"] == "script.py --quick"


# ---------------------------------------------------------------------------- many workers, simulated


def test_a_simulated_round_by_hand(scripts):
    workers = scripts["workers"]
    part, free = workers.Round("gradient", 1e-6, block=0.5, down=100.0, up=1000.0), workers.Overhead("", 0, 0, 0, False)
    # 8 blocks of 1,000,000 rows take 1.5 seconds each
    assert workers.simulated([part], 8e6, 8, 1, free) == (pytest.approx(12.0), 4 * 1000)  # runs of two
    assert workers.simulated([part, part], 8e6, 8, 4, free) == (pytest.approx(6.0), 16 * 1000)
    assert workers.simulated([part], 8e6, 8, 2, free, np.array([0.5, 1.0]))[0] == pytest.approx(
        9.0
    )  # the slow one has 3
    dear = workers.Overhead("", 0.25, 0.02, 1e-4, False)
    seconds, received = workers.simulated([part], 0, 8, 8, dear)
    # the last task leaves after all, and what was ready before is in by then; its own answer comes after it
    sent = 0.25 + 8 * (0.01 + 0.01)
    assert received == 8000
    assert seconds >= sent + 0.5 + 0.01 + 0.1
    assert seconds == pytest.approx(0.25 + 0.02 + 0.5 + 8 * (0.01 + 0.1))  # they wait in line, from the first one on
    # a task for each worker, and as many bytes
    grouped = workers.Overhead("", 0.0, 1.0, 0.0, True)
    assert workers.simulated([part], 0, 8, 2, grouped)[0] == pytest.approx(0.5 * 2 + 4 * 0.5 + 0.5)
    assert workers.scaling([8.0, 4.0, 3.0, 3.5], [1, 2, 4, 8]) == (4, 4)


def test_rounds_are_those_of_the_fit(scripts, tmp_path):
    workers = scripts["workers"]
    X, y = workers.table(4000, 5)
    objective = workers.Objective(X, y, 1e-4)
    best = objective.minimum()
    known = LogisticRegression(C=1 / (1e-4 * 4000), tol=1e-12, max_iter=1000).fit(X.astype(float), y)
    assert objective(np.append(known.coef_[0], known.intercept_))[0] == pytest.approx(best, rel=1e-10)
    gaps = objective.gaps(best)
    assert gaps(np.zeros(6)) == 1.0
    rounds, gap = workers.our_rounds(workers.written(tmp_path, X, y, 4), 4000, gaps, 1e-4, repeats=1)
    assert gap <= workers.GAP
    assert [(part.name, part.sampled) for part in rounds[:2]] == [("about", False), ("look", True)]
    assert all(part.name.startswith("statistics") and not part.sampled for part in rounds[2:])
    assert all(part.up > 8 * 6 * (6 if part.name.endswith("Hessian") else 1) for part in rounds[2:])
    other, gap = workers.lbfgs_rounds(objective, gaps, 1e-7, 5)
    assert gap <= workers.GAP
    assert len(other) > len(rounds) - 2
    steps = workers.LocalSteps(X, y, 10, 1e-4, 0.3, 0.0)
    assert gaps([steps.round() for _ in range(10)][-1]) < 0.01


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a process that forks beside threads
def test_a_quick_simulation_says_where_more_workers_are_of_no_use(scripts, capsys):
    with pytest.raises(SystemExit):
        scripts["workers"].main(["--quick", "--rows", "1e8"])
    printed = capsys.readouterr().out
    for what in ("L-BFGS from zero", "Averaged steps on 10 parts", "| 1,000 |", "takes least time with", "foretold"):
        assert what in printed


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


# ---------------------------------------------------------------------------- the advice, measured


@pytest.mark.parametrize("loss", ["log_loss", "hinge", "squared_error", "epsilon_insensitive"])
def test_every_solver_is_measured_by_what_it_leaves(scripts, loss):
    pytest.importorskip("sklearn.callback")
    task = "regression" if loss in ("squared_error", "epsilon_insensitive") else "binary"
    X, y = data(task, 200, 4)
    problem = scripts["problems"].Problem("toy", "toy", task, X, y, X, y)
    entry = scripts["advice"].measure(problem, loss, True, 5.0)
    assert set(entry["solvers"]) == {"auto", *scripts["advice"].NAMED}
    for run in entry["solvers"].values():
        assert 0 <= run["suboptimality"] < 0.5
        assert run["seconds"] > 0
        for target, seconds in zip(scripts["advice"].TARGETS, run["to"], strict=True):
            assert (seconds is not None) or run["suboptimality"] > target
            assert seconds is None or seconds <= run["seconds"]
    json.dumps(entry)


def test_the_advice_is_judged_beside_the_best_named_solver_and_auto(scripts):
    advice = scripts["advice"]
    facts = asdict(measure_facts(*data("binary"), classification=True))
    missed = {"seconds": 3.0, "suboptimality": 0.02, "to": [None, None]}
    assert advice.cost(missed) == pytest.approx(3 * np.sqrt(2 * 20))
    reached = {"seconds": 3.0, "suboptimality": 1e-4, "to": [1.0, 2.0]}
    assert advice.cost(reached) == pytest.approx(np.sqrt(2))
    runs = dict.fromkeys(advice.NAMED, missed) | {"auto": reached, "adam": reached}
    entry = {"name": "toy", "loss": "log_loss", "scaled": True, "facts": facts, "solvers": runs}
    judged = advice.judged(entry)
    assert judged["best"] == "adam"
    assert judged["factor"] == pytest.approx(advice.cost(runs[judged["advised"]]) / np.sqrt(2))
    assert judged["seconds beside auto"] == 1
    assert "always `adam` | 100%" in advice.report([entry])


def test_the_ordinal_model_is_the_true_one_and_labels_come_near(scripts, capsys):
    ordinal = scripts["ordinal"]
    # probabilities of more than each level, of which the second pair crosses
    np.testing.assert_allclose(
        ordinal.probabilities(np.array([[0.9, 0.4], [0.2, 0.5]])), [[0.1, 0.5, 0.4], [8 / 13, 0, 5 / 13]]
    )
    ordinal.main(["--tables", "1", "--rows", "200"])
    rows, *numbers = capsys.readouterr().out.splitlines()[1].replace(",", "").split()
    assert rows == "200"
    losses = [float(number) for number in numbers[:6:2]]
    assert losses[0] < min(losses[1:]) < 1.2 * losses[0]


def test_every_solver_of_every_family_has_a_line_beside_adam_and_auto(scripts, tmp_path):
    families = scripts["families"]
    facts = asdict(measure_facts(*data("binary"), classification=True))
    runs = {name: {"seconds": 2.0, "suboptimality": 1e-2} for name in families.NAMES}
    runs |= {"auto": {"seconds": 1.0, "suboptimality": 1e-4}, "saga": {"seconds": 4.0, "suboptimality": 1e-5}}
    entry = {"name": "toy", "facts": facts, "solvers": runs}
    lines = families.report([entry]).splitlines()
    assert lines[0] == "1 tables of 300 to 300 rows."
    end = lines.index("", 4)
    shown = {line.split(" | ")[1].strip("`"): line.split(" | ")[2:] for line in lines[4:end]}
    assert list(shown) == ["auto", *families.NAMES]
    # two classes, few rows
    assert lines[end + 3 :] == ["| one target, or two classes | `prodigy` | 1 | 0 | 0 of 0 |"]
    assert shown["saga"] == ["1e-05", "0.001", "1 of 1", "1 of 1", "4.0 |"]
    assert shown["adam"] == ["1e-02", "1", "", "0 of 1", "2.0 |"]
    page = tmp_path / "page.md"
    page.write_text("before <!-- families --> old <!-- families --> after")
    families.show([entry], page)
    assert page.read_text().count("| `adan` |") == 1
    assert "old" not in page.read_text()


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


# ---------------------------------------------------------------------------- streams


@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize("loss", ["log_loss", "hinge", "multinomial", "squared_error", "huber", "epsilon_insensitive"])
def test_the_objective_of_a_stream_is_the_one_that_is_minimised(scripts, loss, penalty):
    streams = scripts["streams"]
    X, y = data({"multinomial": "multiclass"}.get(loss, "regression" if loss in streams.REAL else "binary"))
    X = StandardScaler().fit_transform(X)
    objective = streams.Objective(X, y, loss, penalty)
    objective.find()
    assert objective.best < objective.constant
    # a minimum: nothing near it, and no constant, is less
    rng, k = np.random.default_rng(0), objective.Y.shape[1]
    params = {"tol": 1e-7, "random_state": 0}
    model = streams.learner(streams.SGDVariantRegressor, streams.SGDVariantClassifier, loss, penalty, **params).fit(
        X, y
    )
    coef, intercept = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    for size in (1e-3, 1e-1):
        move = size * rng.standard_normal((k, X.shape[1] + 1))
        assert objective(coef + move[:, :-1], intercept + move[:, -1]) > objective.best
    constants = rng.uniform(-3, 3, (50, k)) + (y.mean() if loss in streams.REAL else 0)
    values = [objective(np.zeros((k, X.shape[1])), b) for b in constants]
    assert min(values) >= objective.constant - 1e-12
    assert objective.left(objective.constant) == pytest.approx(1.0)


def test_a_scaled_model_is_measured_in_the_units_of_the_data(scripts):
    streams = scripts["streams"]
    X, y = data("binary")
    method = streams.SGD("log_loss", "l2", scaled=True)
    method.learn(X, y, np.arange(2))
    z = method.model.decision_function(method.scaler.transform(X))
    value = np.logaddexp(0, -np.where(y > 0, z, -z)).mean() + 0.5e-4 * (method.model.coef_**2).sum()
    objective = streams.Objective(X, y, "log_loss", "l2", scaled=True)
    assert method.value(objective) == pytest.approx(value)
    objective.find()
    model = LogisticRegression(C=1e4 / len(y), tol=1e-10, max_iter=1000).fit(StandardScaler().fit_transform(X), y)
    assert objective.best == pytest.approx(objective.at(model.coef_, model.intercept_), rel=1e-6)


@pytest.mark.parametrize("name", ["random", "sorted", "file"])
def test_a_pass_sees_every_row_once(scripts, name):
    y = np.random.default_rng(0).integers(0, 3, 50)
    order = scripts["streams"].order_of(name, y)
    np.testing.assert_array_equal(np.sort(order), np.arange(50))
    assert name != "sorted" or (np.diff(y[order]) >= 0).all()


def test_rows_are_sorted_by_the_column_that_says_most(scripts):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 4))
    order = scripts["streams"].by_column(X, X[:, 2] - 0.3 * X[:, 1] > 0)
    assert (np.diff(X[order, 2]) >= 0).all()


def test_streams_are_measured(scripts, tmp_path, monkeypatch, capsys):
    streams, file, minima = scripts["streams"], tmp_path / "streams.json", str(tmp_path / "minima.json")
    monkeypatch.setattr(streams, "CALLS", (20, 60))
    monkeypatch.setattr(streams, "COST_CHUNKS", (1_000,))
    arguments = ["--quick", "--tables", "diabetes", "--methods", "ours|SGD scaled$", "--minima", minima]
    streams.main([*arguments, "--json", str(file)])
    results = json.loads(file.read_text())
    for case in results["passes"]:
        assert case["methods"]["ours"]["left"] < 1e-8  # recursive least squares
        assert case["methods"]["ours"]["left"] < case["methods"]["SGD scaled"]["left"]
    assert {(c["chunk"], c["order"]) for c in results["passes"]} == {
        (c, o) for c in (100, 1_000) for o in ("random", "sorted")
    }
    assert all(c["ratio"] > 0 for c in results["costs"])
    for case in results["begins"]:
        assert case["left"][2] < 1e-2 < case["left"][0]
    printed = capsys.readouterr().out
    assert "diabetes" in printed
    # minima are found once
    monkeypatch.setattr(streams.Objective, "find", None)
    streams.main([*arguments, "--only", "passes"])
    assert capsys.readouterr().out.splitlines()[1][:90] == printed.splitlines()[1][:90]
