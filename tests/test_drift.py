"""How long a stream is remembered: against weighted least squares, half-lives, and learners that never forget."""

import pickle

import numpy as np
import pytest

from skvariants._stream.drift import Adaptive, Forgetting, Gains, HalfLife, Levels, Spread


class Rows:
    """Rows in memory; `labels` says whether targets are classes."""

    def __init__(self, X, y, weight=None, labels=False):
        self.X, self.y, self.labels = X, y, labels
        self.weight = np.ones(len(y)) if weight is None else weight
        self.n_rows = len(y)

    @property
    def targets(self):
        return self.y if self.labels else None

    def part(self, begin, end):
        return Rows(self.X[begin:end], self.y[begin:end], self.weight[begin:end], self.labels)

    def times(self, weights):
        return Rows(self.X, self.y, self.weight * weights, self.labels)


class LeastSquares:
    """Recursive least squares."""

    def __init__(self, d):
        self.A, self.b, self.theta, self.n_rows = 1e-9 * np.eye(d), np.zeros(d), np.zeros(d), 0.0

    def losses(self, rows):
        return rows.weight * (rows.X @ self.theta - rows.y) ** 2 / 2

    def learn(self, rows):
        self.A += (rows.X.T * rows.weight) @ rows.X
        self.b += rows.X.T @ (rows.weight * rows.y)
        self.n_rows += rows.weight.sum()
        self.theta = np.linalg.solve(self.A, self.b)

    def forget(self, factor):
        self.A, self.b, self.n_rows = self.A * factor, self.b * factor, self.n_rows * factor

    def copy(self):
        return pickle.loads(pickle.dumps(self))


class Logistic(LeastSquares):
    """Expansions of the log loss to second order, labels -1 and 1, at two damped Newton steps."""

    def losses(self, rows):
        return rows.weight * np.logaddexp(0, -rows.y * (rows.X @ self.theta))

    def learn(self, rows):
        self.n_rows += rows.weight.sum()
        A = self.A + 1e-4 * self.n_rows * np.eye(len(self.b))

        def objective(theta):
            z = rows.X @ theta
            return theta @ A @ theta / 2 - self.b @ theta + rows.weight @ np.logaddexp(0, -rows.y * z)

        def expansion(theta):
            p = 1 / (1 + np.exp(np.clip(rows.y * (rows.X @ theta), -30, 30)))
            S = (rows.X.T * (rows.weight * p * (1 - p))) @ rows.X
            return S, S @ theta + rows.X.T @ (rows.weight * rows.y * p)

        for _ in range(2):
            S, c = expansion(self.theta)
            step, length = np.linalg.solve(A + S, self.b + c) - self.theta, 1.0
            while length > 1e-3 and objective(self.theta + length * step) > objective(self.theta):
                length /= 2
            self.theta = self.theta + length * step
        S, c = expansion(self.theta)
        self.A, self.b = self.A + S, self.b + c


class Broken(LeastSquares):
    """Predictions overflow where the first column is large."""

    def losses(self, rows):
        losses = super().losses(rows)
        losses[rows.X[:, 0] > 2.5] = np.nan
        losses[rows.X[:, 0] < -2.5] = np.inf
        return losses


def matrix(rng, n, d):
    return np.hstack([rng.standard_normal((n, d)), np.ones((n, 1))])


def labelled(rng, X, z):
    return np.where(rng.random(len(X)) < 1 / (1 + np.exp(-z)), 1.0, -1.0)


def follow(rule, learner, rows, chunk):
    """Losses of all rows before they were learned, and the learner in charge at the end."""
    losses = []
    for begin in range(0, rows.n_rows, chunk):
        part = rows.part(begin, min(begin + chunk, rows.n_rows))
        losses.append(learner.losses(part))
        learner = rule.learn(learner, part)
    return np.concatenate(losses), learner


def rotating(rng, n, d, turn):
    X, plane = matrix(rng, n, d), 2 * np.linalg.qr(rng.standard_normal((d + 1, 2)))[0]
    angle = 2 * np.pi * np.arange(n) / turn
    y = (X @ plane * np.c_[np.cos(angle), np.sin(angle)]).sum(axis=1) + rng.standard_normal(n)
    return Rows(X, y)


# ----------------------------------------------------------------------------- for ever, and half-lives


def test_for_ever_is_least_squares():
    rng = np.random.default_rng(0)
    X, y = matrix(rng, 300, 4), rng.standard_normal(300)
    _, learner = follow(Forgetting(), LeastSquares(5), Rows(X, y), 7)
    np.testing.assert_allclose(learner.theta, np.linalg.lstsq(X, y)[0], atol=1e-8)


@pytest.mark.parametrize("chunk", [1, 7, 300])
def test_with_a_half_life_rows_weigh_half_after_it(chunk):
    rng = np.random.default_rng(0)
    X, y = matrix(rng, 300, 4), rng.standard_normal(300)
    _, learner = follow(HalfLife(40), LeastSquares(5), Rows(X, y), chunk)
    weight = 0.5 ** (np.arange(299, -1, -1) / 40)
    root = np.sqrt(weight)
    np.testing.assert_allclose(learner.theta, np.linalg.lstsq(X * root[:, None], y * root)[0], atol=1e-7)
    assert learner.n_rows == pytest.approx(weight.sum())


# ----------------------------------------------------------------------------- worlds that change


@pytest.mark.parametrize(("chunk", "n"), [(1, 3_000), (10, 6_000), (100, 20_000), (1_000, 20_000)])
@pytest.mark.parametrize("kind", [LeastSquares, Logistic])
def test_after_a_flip_the_loss_is_back_within_a_tenth_of_the_rows(chunk, n, kind):
    rng = np.random.default_rng(1)
    tenth = n // 10
    X, w = matrix(rng, n + 4 * tenth, 8), rng.standard_normal(9) * 0.7
    z = X @ w * np.where(np.arange(len(X)) < n, 1, -1)
    y = labelled(rng, X, z) if kind is Logistic else z + rng.standard_normal(len(X))
    rule = Adaptive(9)
    losses, _ = follow(rule, kind(9), Rows(X, y, labels=kind is Logistic), chunk)
    before = losses[n // 2 : n].mean()
    assert rule.n_takeovers >= 1
    assert losses[n + tenth :].mean() < 1.1 * before


@pytest.mark.parametrize(("chunk", "turn"), [(10, 10_000), (100, 40_000)])
def test_a_slow_rotation_is_followed_about_as_well_as_with_the_best_half_life(chunk, turn):
    rows = rotating(np.random.default_rng(2), 12_000, 8, turn)
    mean = {}
    for name, rule in {"ever": Forgetting(), "auto": Adaptive(9), **{h: HalfLife(h) for h in (200, 800, 3200)}}.items():
        mean[name] = follow(rule, LeastSquares(9), rows, chunk)[0][2_000:].mean()
    assert mean["auto"] < 1.2 * min(mean[h] for h in (200, 800, 3200))
    assert mean["auto"] < 0.7 * mean["ever"]


def test_worlds_that_come_again():
    rng = np.random.default_rng(3)
    X, w = matrix(rng, 12_000, 5), rng.standard_normal((6, 2))
    y = (X @ w)[np.arange(12_000), np.arange(12_000) // 2_000 % 2] + rng.standard_normal(12_000)
    losses, _ = follow(Adaptive(6), LeastSquares(6), Rows(X, y), 20)
    assert losses[2_000:].mean() < 0.75  # half of the variance of the noise, and what twelve beginnings cost


def test_an_outlier_is_forgotten():
    rng = np.random.default_rng(4)
    X = matrix(rng, 6_000, 5)
    y = X.sum(axis=1) + rng.standard_normal(6_000)
    y[3_000] = 1e9
    ever, _ = follow(Forgetting(), LeastSquares(6), Rows(X, y), 10)
    auto, _ = follow(Adaptive(6), LeastSquares(6), Rows(X, y), 10)
    assert ever[4_000:].mean() > 1e6
    assert auto[4_000:].mean() < 1e-3 * ever[4_000:].mean()


# ----------------------------------------------------------------------------- worlds that do not


def still(name):
    """Rows of one world."""
    rng = np.random.default_rng(len(name))
    n, d = 6_000, 5
    X, w = matrix(rng, n, d), rng.standard_normal(d + 1)
    half = np.arange(n) > n // 2
    if name == "noise of heavy tails":
        return Rows(X, X @ w + rng.standard_t(2, n))
    if name == "rare events":
        return Rows(X, rng.poisson(np.exp(0.3 * X @ w - 4)).astype(float))
    if name == "noise that grows":
        return Rows(X, X @ w + rng.standard_normal(n) * np.where(half, 3, 1))
    if name == "columns whose means move":
        X[:, :d] += np.linspace(0, 3, n)[:, None]
        return Rows(X, X @ w + rng.standard_normal(n))
    if name == "columns whose means jump":
        X[:, :d] += 3 * half[:, None]
        return Rows(X, X @ w + rng.standard_normal(n))
    y = labelled(rng, X, X @ w - 4 * (name == "rare classes"))
    order = np.argsort(y, kind="stable") if name == "sorted labels" else slice(None)
    return Rows(X[order], y[order], labels=True)


STILL = (
    "noise of heavy tails", "rare events", "noise that grows", "columns whose means move", "columns whose means jump",
    "labels", "rare classes", "sorted labels",
)  # fmt: skip


@pytest.mark.parametrize("chunk", [10, 500])
@pytest.mark.parametrize("name", STILL)
def test_what_is_no_new_world_changes_nothing(name, chunk):
    rows = still(name)
    kind = Logistic if rows.labels else LeastSquares
    rule = Adaptive(6)
    losses, learner = follow(rule, kind(6), rows, chunk)
    ever, other = follow(Forgetting(), kind(6), rows, chunk)
    if rows.labels:  # expansions made at a poor model may be forgotten, and a chunk with a rise is learned in parts
        assert losses.mean() <= 1.002 * ever.mean()
    else:
        assert rule.n_takeovers == 0
        np.testing.assert_allclose(learner.theta, other.theta, rtol=1e-9)


def test_rivals_become_rare_while_the_world_stays():
    rng = np.random.default_rng(5)
    X = matrix(rng, 60_000, 3)
    rows, rule, learner = Rows(X, X.sum(axis=1) + rng.standard_normal(60_000)), Adaptive(4), LeastSquares(4)
    there = np.zeros(120)
    for i in range(120):
        learner = rule.learn(learner, rows.part(500 * i, 500 * i + 500))
        there[i] = rule.rival is not None
    assert rule.n_takeovers == 0
    assert there[4:].mean() < 0.6


# ----------------------------------------------------------------------------- state


def test_pickling_between_chunks_changes_nothing_and_the_pickle_is_bounded():
    rows = rotating(np.random.default_rng(6), 6_000, 4, 10_000)
    expected, _ = follow(Adaptive(5), LeastSquares(5), rows, 25)
    rule, learner, losses, sizes = Adaptive(5), LeastSquares(5), [], []
    for begin in range(0, rows.n_rows, 25):
        part = rows.part(begin, begin + 25)
        rule, learner = pickle.loads(pickle.dumps((rule, learner)))
        losses.append(learner.losses(part))
        learner = rule.learn(learner, part)
        sizes.append(len(pickle.dumps(rule)))
    np.testing.assert_array_equal(np.concatenate(losses), expected)
    assert max(sizes) < 8_000


@pytest.mark.parametrize("begin", [10, 500, 3_000])
def test_a_copy_goes_on_alike_and_leaves_the_other_alone(begin):
    rows = rotating(np.random.default_rng(6), 6_000, 4, 5_000)
    rule, learner = Adaptive(5), LeastSquares(5)
    _, learner = follow(rule, learner, rows.part(0, begin), 10)
    before = pickle.dumps((rule, learner))
    _, there = follow(rule.copy(), learner.copy(), rows.part(begin, 6_000), 10)
    assert pickle.dumps((rule, learner)) == before
    _, here = follow(rule, learner, rows.part(begin, 6_000), 10)
    np.testing.assert_array_equal(here.theta, there.theta)


def test_losses_that_are_no_numbers_end_nothing():
    rng = np.random.default_rng(7)
    X = matrix(rng, 3_000, 3)
    y = X.sum(axis=1) + rng.standard_normal(3_000)

    rule = Adaptive(4)
    _, learner = follow(rule, Broken(4), Rows(X, y), 10)
    assert rule.n_takeovers == 0
    np.testing.assert_allclose(learner.theta, np.linalg.lstsq(X, y)[0], atol=1e-7)


# ----------------------------------------------------------------------------- parts


def test_gains_are_measured_in_standard_errors():
    rng = np.random.default_rng(8)
    losses = 1 + rng.random(400)
    for shift, expected in ((0.1, False), (0.25, True)):
        rival = losses - shift + rng.standard_normal(400)
        gains = Gains()
        gains.add(losses, rival)
        difference = losses - rival
        z = difference.sum() / np.sqrt((difference**2).sum())
        assert gains.significant(0.0) is bool(z > 3.5) is expected


def test_rows_that_are_easier_than_usual_prove_less():
    gains = Gains()
    gains.add(np.full(20, 0.02), np.full(20, 0.01))
    assert gains.significant(0.02)
    assert not gains.significant(0.04)


def test_a_rise_is_found_where_it_was_in_few_buckets():
    rng = np.random.default_rng(9)
    levels = Levels()
    losses = rng.exponential(size=30_000)
    assert sum(levels.add(chunk) > 0 for chunk in np.split(losses, 3_000)) <= 3
    found = [levels.add(3 * rng.exponential(size=10)) for _ in range(10)]
    assert all(found[5:])
    assert found[9] == pytest.approx(100, abs=30)
    assert len(pickle.dumps(levels)) < 3_000


def test_a_fall_is_no_rise_and_what_was_worse_is_dropped():
    rng = np.random.default_rng(10)
    levels = Levels()
    for scale in (1e6, 1.0, 2.0):
        found = [levels.add(scale * rng.exponential(size=10)) for _ in range(200)]
        assert any(found) is (scale == 2.0)


def test_the_spread_is_the_variance_of_columns():
    Y = np.random.default_rng(11).integers(0, 2, (100, 3)).astype(float)
    spread, other = Spread(), Spread()
    spread.add(Y[:40])
    spread.add(Y[40:])
    assert spread.value() == pytest.approx(Y.var(axis=0).sum())
    other.add(np.ones((50, 3)))
    assert spread.like(spread)
    assert not other.like(spread)
    assert other.like(Spread())
