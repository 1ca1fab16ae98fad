"""What is compared: each method is a ladder of settings, each of which is a fit from scratch that is timed.

All methods are given the same columns and minimise ``mean loss + alpha / 2 * |w|^2`` with a free intercept. With three
classes or more the loss is softmax, and one-vs-rest for SGDClassifier. The variants of SGDClassifier and
SGDRegressor, schedules and first steps, are one family: a table shows the best of them in hindsight.
"""

from __future__ import annotations

import atexit
import importlib.util
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier, SGDRegressor

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.solvers import LECTURE

EPOCHS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
NEWTON = (1, 2, 3, 5, 8, 12, 20, 50)
#: Stored entries up to which our solvers of single steps are measured.
FEW = 4e5


@dataclass
class Method:
    """A named way to fit.

    Attributes
    ----------
    name, family : str
        The best of a family is what a table shows.
    settings : sequence
        Passed to `prepare` one after the other, from the cheapest to the dearest.
    prepare : callable
        ``prepare(problem, setting)`` does what is not timed and returns a function that is timed; what that returns is
        ``coef, intercept``, or a function that gives them.
    tasks : tuple of str
    one_vs_rest : bool
        Whether several classes are separate problems.
    one_thread : bool
        Whether it has one thread in any case; it is timed once then, and the seconds stand for two threads as well.
    dense_only : bool
    largest : float
        Most stored entries for which the method is tried.
    widest : float
        Most parameters for which it is tried: a Hessian must fit into memory.
    """

    name: str
    family: str
    settings: tuple
    prepare: Callable
    tasks: tuple = ("binary", "multiclass", "regression")
    one_vs_rest: bool = False
    one_thread: bool = False
    dense_only: bool = False
    largest: float = np.inf
    widest: float = np.inf

    def takes(self, problem):
        entries = problem.X.nnz if problem.sparse else problem.X.size
        parameters = problem.X.shape[1] * max(1, problem.classes)
        fits = entries <= self.largest and parameters <= self.widest
        return problem.task in self.tasks and not (self.dense_only and problem.sparse) and fits

    def loss(self, task):
        """Name of the loss in :mod:`objectives`."""
        if task == "multiclass":
            return "ovr" if self.one_vs_rest else "multinomial"
        return "squared_error" if task == "regression" else "log_loss"


def weights(model):
    """``coef_`` with a row for each column of predictions, and ``intercept_``."""
    return np.atleast_2d(model.coef_), np.ravel(model.intercept_)


def fits(make):
    """What is prepared is a model, and what is timed its fit."""

    def prepare(problem, setting):
        model = make(problem, setting)
        return lambda: weights(model.fit(problem.X, problem.y))

    return prepare


# ------------------------------------------------------------------------- ours

#: More iterations, then finer tolerances; "default" is the fit that a user gets.
OURS = (*({"max_iter": m} for m in (1, 2, 5, 10, 20, 50)), "default", *({"tol": t} for t in (1e-4, 1e-5, 1e-6, 1e-7)))
NAMED = ({"max_iter": 5}, {"max_iter": 20}, "default")


def ours(solver):
    def make(problem, setting):
        Model = SGDVariantRegressor if problem.task == "regression" else SGDVariantClassifier
        extra = {} if setting == "default" else setting
        return Model(solver=solver, alpha=problem.alpha, random_state=0, **extra)

    if solver == "auto":
        return Method("ours: default", "ours", OURS, fits(make))
    # steps on single samples take long
    return Method(f"ours: {solver}", "named", NAMED, fits(make), largest=5e4 if solver == "sgd" else FEW)


# ------------------------------------------------------------------------- scikit-learn


def sgd(kind, schedule="", eta0=None, average=False):
    """One of the variants; "" is the schedule that is the default."""
    regression = kind is SGDRegressor
    params = {"loss": "squared_error" if regression else "log_loss", "average": average, "random_state": 0}
    params |= {"learning_rate": schedule} if schedule else {}
    params |= {"eta0": eta0} if eta0 else {}

    def make(problem, setting):
        # "adaptive" divides its step when tol is missed; with a number of epochs the others go on to their end
        stop = {"tol": 1e-4 if schedule == "adaptive" else None, "max_iter": setting}
        return kind(alpha=problem.alpha, **params, **(stop if setting != "default" else {}))

    words = [schedule or "default", *([f"eta0={eta0:g}"] if eta0 else []), *(["average"] if average else [])]
    tasks = ("regression",) if regression else ("binary", "multiclass")
    settings = (*EPOCHS[:8], "default")
    return Method(f"SGD({', '.join(words)})", "SGD", settings, fits(make), tasks, one_vs_rest=True, one_thread=True)


def logistic(solver, settings, family=None, params=None, **kwargs):
    def make(problem, setting):
        C = 1 / (problem.alpha * problem.X.shape[0])
        stop = {"max_iter": setting, "tol": 1e-9} if setting != "default" else {}
        return LogisticRegression(solver=solver, C=C, random_state=0, **stop, **(params or {}))

    kwargs = {"tasks": ("binary", "multiclass"), **kwargs}
    name = ", ".join([solver, *(f"{k}={v:g}" if v is not True else k for k, v in (params or {}).items())])
    return Method(name, family or solver, (*settings, "default"), fits(make), **kwargs)


def liblinear(settings, **params):
    # it penalises the intercept too, divided by intercept_scaling; that makes the dual method slow
    return logistic("liblinear", settings, "liblinear", params, tasks=("binary",), one_vs_rest=True, one_thread=True)


def ridge(solver):
    def make(problem, setting):
        extra = {} if setting == "default" else {"max_iter": setting, "tol": 1e-12}
        return Ridge(alpha=problem.alpha * problem.X.shape[0], solver=solver, **extra)

    settings = ("default",) if solver == "auto" else (*EPOCHS[:9], "default")
    return Method(f"Ridge({solver})", "Ridge", settings, fits(make), ("regression",))


# ------------------------------------------------------------------------- others, where installed


def torch_linear(lr):
    """Adam of torch on a linear layer, batches of 256, the step falling as a cosine."""

    def prepare(problem, epochs):
        import torch

        torch.optim.Adam(torch.nn.Linear(1, 1).parameters())  # loads the rest of torch
        classes = np.unique(problem.y) if problem.task != "regression" else None
        k = len(classes) if problem.task == "multiclass" else 1
        losses = torch.nn.functional

        def loss_of(z, t):
            if problem.task == "regression":
                return 0.5 * losses.mse_loss(z[:, 0], t)
            return losses.binary_cross_entropy_with_logits(z[:, 0], t) if k == 1 else losses.cross_entropy(z, t)

        def fit():
            torch.manual_seed(0)
            A = torch.from_numpy(problem.X)
            t = torch.from_numpy(problem.y if classes is None else np.searchsorted(classes, problem.y))
            t = t.double() if k == 1 else t
            layer = torch.nn.Linear(A.shape[1], k, dtype=torch.float64)
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
            optimizer = torch.optim.Adam(layer.parameters(), lr=lr)
            n, batch = len(A), 256
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * -(-n // batch))
            for _ in range(epochs):
                order = torch.randperm(n)
                for i in range(0, n, batch):
                    rows = order[i : i + batch]
                    loss = loss_of(layer(A[rows]), t[rows]) + 0.5 * problem.alpha * (layer.weight**2).sum()
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    schedule.step()
            return layer.weight.detach().numpy(), layer.bias.detach().numpy()

        return fit

    return Method(f"torch Adam, lr={lr:g}", "torch Adam", EPOCHS, prepare, dense_only=True, largest=2e7)


def _vw_file(X, y, path):
    """Rows in Vowpal Wabbit's text format."""
    X = sp.csr_matrix(X)
    with open(path, "w") as out:
        for i in range(X.shape[0]):
            row = slice(X.indptr[i], X.indptr[i + 1])
            pairs = zip(X.indices[row].tolist(), X.data[row].tolist(), strict=True)
            out.write(f"{y[i]} | " + " ".join(f"{j}:{v:.9g}" for j, v in pairs) + "\n")


def vowpal_wabbit():
    """Vowpal Wabbit from its cache of rows: writing and parsing text are not timed.

    In its adaptive mode its penalty is not exactly this benchmark's objective: each number of passes is tried with and
    without.
    """
    made = {}

    def prepare(problem, setting):
        from vowpalwabbit import Workspace

        passes, penalised = setting
        d = problem.X.shape[1]
        bits = max(18, int(np.ceil(np.log2(d + 1))))
        loss = "squared" if problem.task == "regression" else "logistic"
        if not made:
            made["folder"] = tempfile.mkdtemp()
            atexit.register(shutil.rmtree, made["folder"], ignore_errors=True)
        file = Path(made["folder"]) / f"{problem.name}.vw"
        data = f"-d {file} -c -b {bits} --quiet"
        if problem.name not in made:
            y = problem.y if problem.task == "regression" else np.where(problem.y == problem.y.max(), 1, -1)
            _vw_file(problem.X, y, file)
            Workspace(f"{data} --noop").finish()
            made[problem.name] = True
        # its squared loss has no half: twice the penalty is the same minimum
        l2 = penalised * problem.alpha * (2 if problem.task == "regression" else 1)
        arguments = f"{data} --passes {passes} --holdout_off --loss_function {loss} --l2 {l2}"

        def fit():
            model = Workspace(arguments)

            def found():
                model.save(f"{file}.model")
                model.finish()
                saved = Workspace(f"-i {file}.model -t --quiet")
                coef = np.array([[saved.get_weight(j) for j in range(d)]])
                intercept = np.array([saved.get_weight(11650396 & ((1 << bits) - 1))])  # its constant feature
                saved.finish()
                return coef, intercept

            return found

        return fit

    settings = tuple((passes, penalised) for passes in EPOCHS[:7] for penalised in (False, True))
    return Method("Vowpal Wabbit", "Vowpal Wabbit", settings, prepare, ("binary", "regression"), largest=8e6)


def has(module):
    return importlib.util.find_spec(module) is not None


def peers():
    """scikit-learn's estimators, and those of other packages that are installed."""
    C, R = SGDClassifier, SGDRegressor
    found = [sgd(C), sgd(C, average=True)]
    found += [sgd(C, "constant", eta0, True) for eta0 in (0.01, 0.1, 1.0)]
    found += [sgd(C, "adaptive", eta0) for eta0 in (0.01, 0.1, 1.0)]
    found += [sgd(C, "invscaling", 0.1), sgd(R), sgd(R, average=True), sgd(R, "constant", 0.001, True)]
    found += [sgd(R, "adaptive", eta0) for eta0 in (0.001, 0.01, 0.1)]
    found += [
        logistic("lbfgs", (*EPOCHS, 3000)),
        logistic("newton-cholesky", NEWTON, "newton", widest=5000),
        logistic("newton-cg", NEWTON, "newton"),
        logistic("saga", EPOCHS[:8], one_thread=True),
        liblinear(NEWTON),
        liblinear(NEWTON, intercept_scaling=10.0),
        liblinear(EPOCHS[:9], dual=True),
        *(ridge(solver) for solver in ("auto", "lsqr", "sparse_cg")),
    ]
    if has("torch"):
        found += [torch_linear(1e-2)]
    return found + ([vowpal_wabbit()] if has("vowpalwabbit") else [])


def named():
    """The lecture's solvers, each by its name."""
    return [ours(name) for name in LECTURE]
