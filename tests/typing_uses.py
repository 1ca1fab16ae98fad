"""Uses that the documentation shows, for type checkers.

mypy and pyright check it (``pyproject.toml``), and a test runs it.
"""

from typing import Any, assert_type

import numpy as np

import skvariants
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._component import Interval, hyperparameter
from skvariants._names import SolverName
from skvariants.diagnostics import diagnose
from skvariants.displays import LossCurveDisplay, SolverComparisonDisplay
from skvariants.losses import Huber, Loss, Quantile
from skvariants.model_selection import BatchedGridSearchCV, BatchedHalvingSearchCV, BatchedRandomizedSearchCV
from skvariants.penalties import ElasticNet, GroupLasso
from skvariants.schedules import Constant, Cosine, Schedule
from skvariants.solvers import LECTURE, SOLVERS, Adam, Momentum, Solver, Step

Array = np.ndarray


class Heavy(Solver):
    """A solver of one's own, as the gallery and the guide write it."""

    momentum: float = 0.9
    memory = ("buffer",)

    def step(self, g: Array, t: int, work: Array, buffer: Array) -> tuple[Array, Any]:
        buffer *= self.momentum
        buffer += g
        return buffer, None


class Ranged(Solver):
    """One whose field has a range."""

    share: float = hyperparameter(0.5, Interval(0, 1))
    memory = ("squares", "means")
    batch_size = 32

    def step(self, g: Array, t: int, work: Array, squares: Array, means: Array) -> tuple[Array, Any]:
        return g, self.share


class Whole(Solver):
    """One with the whole step of its own."""

    memory = ("buffer",)

    def step(self, g: Array, t: int, work: Array, *memory: Array) -> tuple[Array, Any]:
        return g, None

    def update(self, theta: Array, g: Array, step: Step, buffer: Array) -> None:
        theta -= step.eta * g


class Cubic(Loss):
    """A loss of one's own."""

    power: float = 3.0

    def value(self, y: Array, z: Array) -> Array:
        return np.abs(z - y) ** self.power

    def gradient(self, y: Array, z: Array, out: Array) -> Array:
        return np.multiply(np.sign(z - y), self.power * np.abs(z - y) ** (self.power - 1), out=out)


class Halving(Schedule):
    """A schedule of one's own."""

    eta0: float = 0.1

    def __call__(self, t: int) -> float:
        return self.eta0 / 2**t


rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3))
y = (X[:, 0] > 0).astype(int)
target = X @ [1.0, 2.0, 3.0]

# components
adam = Adam(beta_1=0.8)
assert_type(adam, Adam)
assert_type(Momentum(momentum=0.95).momentum, float)
Huber(epsilon=1.5)
Quantile(quantile=[0.1, 0.9])
ElasticNet(alpha=0.1, l1_ratio=0.5)
GroupLasso(groups=[0, 0, 1], alpha=0.1)
Constant(eta0=0.1)
Cosine()
Heavy(momentum=0.8)

# estimators
model = SGDVariantClassifier(solver="adam", penalty="l1", loss="log_loss", learning_rate="constant", random_state=0)
fitted = model.fit(X, y)
assert_type(fitted, SGDVariantClassifier)
assert_type(model.n_iter_, int)
assert_type(model.status_, str)
assert_type(model.coef_, Array)
assert_type(model.intercept_, Array)
assert_type(model.classes_, Array)
assert_type(model.loss_curve_, list[float])
assert_type(model.multilabel_, bool)
assert_type(model.set_params(alpha=0.1), SGDVariantClassifier)
assert_type(model.predict_proba(X), Array)
assert_type(model.predict_log_proba(X), Array)
assert_type(model.decision_function(X), Array)
assert_type(model.predict(X), Array)
print(
    model.score(X, y),
    model.solver_,
    model.history_["objective"][-1],
    model.race_.winner,
    model.suboptimality_ < 1,
    model.objective_ > 0,
)
SGDVariantClassifier(solver=Momentum(momentum=0.95), loss=Huber(), penalty=ElasticNet(alpha=0.1))
SGDVariantClassifier(solver="auto", penalty=None, learning_rate=Cosine(eta0=0.1), batch_size="full", average=10)
SGDVariantClassifier(bounds=(None, 1.0), positive=[True, False, True], class_weight={0: 1.0, 1: 2.0})
regressor = SGDVariantRegressor(loss="huber", solver=Heavy(), eta0=0.01, max_iter=5, tol=None).fit(X, target)
assert_type(regressor, SGDVariantRegressor)
assert_type(regressor.predict(X), Array)
levels = SGDVariantRegressor(Quantile(quantile=[0.1, 0.9])).fit(X, target)
print(levels.crossing_ < 0.5)
SGDVariantRegressor(tol=1e-6, monotonic_cst={"s1": 1, "s3": -1}, bounds={"bp": (0, 1)})
exported = model.to_sklearn()
assert_type(exported.predict(X), Array)
assert_type(exported.score(X, y), float)
print(exported.coef_, exported.get_params()["C"], exported.predict_proba(X))
stream = SGDVariantClassifier().partial_fit(X, y, classes=[0, 1])
assert_type(stream.partial_fit(X, y), SGDVariantClassifier)
assert_type(stream.progressive_score_, float)

# searches
search = BatchedGridSearchCV(SGDVariantClassifier(), {"alpha": [1e-3, 1e-2]}, cv=2).fit(X, y)
assert_type(search, BatchedGridSearchCV)
assert_type(search.best_params_, dict[str, Any])
assert_type(search.best_score_, float)
print(search.predict(X), search.cv_results_["params"], search.best_estimator_.coef_)
BatchedRandomizedSearchCV(SGDVariantClassifier(), {"alpha": [1e-3, 1e-2]}, n_iter=2, cv=2).fit(X, y).predict(X)
halving = BatchedHalvingSearchCV(SGDVariantClassifier(solver="adam"), {"alpha": [1e-3, 1e-2]}, cv=2)
print(lambda: (halving.n_candidates_, halving.n_resources_, halving.n_epochs_, halving.n_iterations_))

# what comes with the package
print(skvariants.displays.LossCurveDisplay, skvariants.diagnostics.diagnose, skvariants.solvers.Adam)
print(skvariants.model_selection.BatchedGridSearchCV, skvariants.losses.Huber, skvariants.schedules.Cosine)
report = diagnose(X, y, random_state=0)

assert_type(report.solver, SolverName)
SGDVariantClassifier(solver=report.solver)
for name in SOLVERS:
    SGDVariantClassifier(solver=name)
for name in LECTURE:
    SGDVariantClassifier(solver=name)
print(LossCurveDisplay.from_estimator)
compared = SolverComparisonDisplay.from_estimator(SGDVariantClassifier(max_iter=5), X, y, solvers=["auto", "adam"])
for name, other in compared.estimators.items():
    print(name, other.status_)

# what is refused, before it is run: a comment that is not needed is an error
for refused in (
    lambda: SGDVariantClassifier(solver="adamm"),  # type: ignore[arg-type]
    lambda: SGDVariantClassifier(penalty="L2"),  # type: ignore[arg-type]
    lambda: SGDVariantClassifier(loss="log"),  # type: ignore[arg-type]
    lambda: SGDVariantClassifier(learning_rate="fast"),  # type: ignore[arg-type]
    lambda: SGDVariantClassifier(multi_class="crammer_singer"),  # type: ignore[arg-type]
    lambda: SGDVariantRegressor(solver="adamm"),  # type: ignore[arg-type]
    lambda: SGDVariantRegressor(loss="mse"),  # type: ignore[arg-type]
    lambda: SGDVariantClassifier(solver=Adam(beta1=0.8)),  # pyright: ignore[reportCallIssue]
):
    try:
        refused().fit(X, y)
    except (TypeError, ValueError) as error:
        print(error)
    else:
        raise AssertionError(refused)
