"""What is compared: each method is a ladder of settings, each of which is a fit from scratch that is timed.

The objective of every method is ``mean loss + alpha / 2 * |w|^2``. Ours and Ridge see the data as they are, so `w` is
in the units of the data. The others (``scaled=True``) stand behind a StandardScaler (without centring where the data
are sparse), whose seconds count, and minimise the objective with `w` in the units of the scaled columns; text and
one-hot columns are in equal units already and stay as they are. With three classes or more the loss is softmax, and
one-vs-rest for SGDClassifier and liblinear.
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
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.solvers import SOLVERS

EPOCHS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
NEWTON = (1, 2, 3, 5, 8, 12, 20, 50)


@dataclass
class Method:
    """A named way to fit.

    Attributes
    ----------
    name, group : str
    settings : sequence
        Passed to `prepare` one after the other, from the cheapest to the dearest.
    prepare : callable
        ``prepare(problem, setting)`` does what is not timed and returns a function that is timed; what that returns is
        ``coef, intercept`` in the units of the data, or a function that gives them.
    tasks : tuple of str
    scaled : bool
        Whether the method stands behind a scaler where columns are in unequal units, so that the penalty is on the
        weights of scaled columns.
    one_vs_rest : bool
        Whether several classes are separate problems.
    dense_only, sparse_only : bool
    largest : float
        Most stored entries for which the method is tried.
    widest : float
        Most parameters for which it is tried: a Hessian must fit into memory.
    """

    name: str
    group: str
    settings: tuple
    prepare: Callable
    tasks: tuple = ("binary", "multiclass", "regression")
    scaled: bool = False
    one_vs_rest: bool = False
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


def _weights(model):
    return np.atleast_2d(model.coef_), np.ravel(model.intercept_)


# ------------------------------------------------------------------------- ours

#: More epochs, then finer tolerances; "default" is the fit that a user gets.
OURS = (
    *({"max_iter": m} for m in (1, 2, 5, 10, 20, 50)), {},
    *({"tol": tol} for tol in (1e-4, 1e-5, 1e-6)),
)  # fmt: skip


def ours(solver):
    def prepare(problem, setting):
        Model = SGDVariantRegressor if problem.task == "regression" else SGDVariantClassifier
        model = Model(solver=solver, alpha=problem.alpha, random_state=0, **setting)
        return lambda: _weights(model.fit(problem.X, problem.y))

    return Method(f"ours: {solver}" if solver != "auto" else "ours: default", "ours", OURS, prepare)


# ------------------------------------------------------------------------- scikit-learn


def _in_units_of_the_data(coef, intercept, scaler):
    coef = coef / scaler.scale_ if scaler.with_std else coef
    return coef, intercept - coef @ scaler.mean_ if scaler.with_mean else intercept


def _behind_scaler(make):
    def prepare(problem, setting):
        model = make(problem, setting)
        if not problem.unequal:
            return lambda: _weights(model.fit(problem.X, problem.y))
        scaler = StandardScaler(with_mean=not problem.sparse)

        def fit():
            make_pipeline(scaler, model).fit(problem.X, problem.y)
            return _in_units_of_the_data(*_weights(model), scaler)

        return fit

    return prepare


def sgd(name, kind, tol=None, **params):
    task = ("regression",) if kind is SGDRegressor else ("binary", "multiclass")
    loss = {"loss": "squared_error" if kind is SGDRegressor else "log_loss"}

    def make(problem, setting):
        stop = {"tol": tol, "max_iter": setting} if setting != "default" else {}
        return kind(**loss, alpha=problem.alpha, random_state=0, **params, **stop)

    settings = (*EPOCHS[:8], "default")
    return Method(name, "SGD", settings, _behind_scaler(make), task, scaled=True, one_vs_rest=True)


def logistic(name, solver, settings, group="scikit-learn", params=None, **kwargs):
    def make(problem, setting):
        C = 1 / (problem.alpha * problem.X.shape[0])
        stop = {"max_iter": setting, "tol": 1e-9} if setting != "default" else {}
        return LogisticRegression(solver=solver, C=C, random_state=0, **stop, **(params or {}))

    kwargs = {"tasks": ("binary", "multiclass"), **kwargs}
    return Method(name, group, (*settings, "default"), _behind_scaler(make), scaled=True, **kwargs)


def liblinear(name, settings, **params):
    # the intercept is penalised too: divided by this it hardly is
    params = {"intercept_scaling": 10.0, **params}
    return logistic(name, "liblinear", settings, "others", params, tasks=("binary",), one_vs_rest=True)


def ridge(solver):
    def prepare(problem, setting):
        n = problem.X.shape[0]
        extra = {} if setting == "default" else {"max_iter": setting, "tol": 1e-12}
        model = Ridge(alpha=problem.alpha * n, solver=solver, **extra)
        return lambda: _weights(model.fit(problem.X, problem.y))

    settings = ("default",) if solver == "auto" else (*EPOCHS[:9], "default")
    return Method(f"Ridge({solver})", "scikit-learn", settings, prepare, ("regression",))


# ------------------------------------------------------------------------- others, where installed


def torch_linear(lr):
    """Adam of torch on a linear layer, batches of 256 of standardised rows, the step falling as a cosine."""

    def prepare(problem, epochs):
        import torch

        torch.optim.Adam(torch.nn.Linear(1, 1).parameters())  # loads the rest of torch
        X, y, task = problem.X, problem.y, problem.task
        classes = np.unique(y) if task != "regression" else None
        k = len(classes) if task == "multiclass" else 1

        def fit():
            torch.manual_seed(0)
            mean, scale = X.mean(axis=0), X.std(axis=0)
            scale[scale == 0] = 1
            A = torch.from_numpy((X - mean) / scale)
            center, unit = (y.mean(), y.std()) if task == "regression" else (0.0, 1.0)
            if task == "regression":
                t = torch.from_numpy((y - center) / unit)
            else:
                t = torch.from_numpy(np.searchsorted(classes, y))
                t = t.double() if k == 1 else t
            layer = torch.nn.Linear(A.shape[1], k, dtype=torch.float64)
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
            optimizer = torch.optim.Adam(layer.parameters(), lr=lr)
            n, batch = len(A), 256
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * -(-n // batch))
            losses = torch.nn.functional
            for _ in range(epochs):
                order = torch.randperm(n)
                for i in range(0, n, batch):
                    rows = order[i : i + batch]
                    z = layer(A[rows])
                    if task == "regression":
                        loss = 0.5 * losses.mse_loss(z[:, 0], t[rows])
                    elif k == 1:
                        loss = losses.binary_cross_entropy_with_logits(z[:, 0], t[rows])
                    else:
                        loss = losses.cross_entropy(z, t[rows])
                    loss = loss + 0.5 * problem.alpha * (layer.weight**2).sum()
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    schedule.step()
            coef = layer.weight.detach().numpy() * unit / scale
            intercept = layer.bias.detach().numpy() * unit + center
            return coef, intercept - coef @ mean

        return fit

    name = f"torch Adam, lr={lr:g}"
    return Method(name, "others", EPOCHS, prepare, scaled=True, dense_only=True, largest=2e7)


def _vw_file(X, y, path):
    """Rows in Vowpal Wabbit's text format."""
    X = sp.csr_matrix(X)
    with open(path, "w") as out:
        for i in range(X.shape[0]):
            row = slice(X.indptr[i], X.indptr[i + 1])
            pairs = zip(X.indices[row].tolist(), X.data[row].tolist(), strict=True)
            out.write(f"{y[i]} | " + " ".join(f"{j}:{v:.9g}" for j, v in pairs) + "\n")


def vowpal_wabbit():
    """Vowpal Wabbit from its cache of scaled rows: scaling, writing and parsing text are not timed.

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
            scaler = StandardScaler(with_mean=not problem.sparse, with_std=problem.unequal)
            y = problem.y if problem.task == "regression" else np.where(problem.y == problem.y.max(), 1, -1)
            _vw_file(scaler.fit_transform(problem.X), y, file)
            Workspace(f"{data} --noop").finish()
            made[problem.name] = scaler
        scaler = made[problem.name]
        # its squared loss has no half: twice the penalty is the same minimum
        l2 = penalised * problem.alpha * (2 if problem.task == "regression" else 1)
        arguments = f"{data} --passes {passes} --holdout_off --loss_function {loss} --l2 {l2}"

        def fit():
            model = Workspace(arguments)

            def weights():
                model.save(f"{file}.model")
                model.finish()
                saved = Workspace(f"-i {file}.model -t --quiet")
                coef = np.array([[saved.get_weight(j) for j in range(d)]])
                intercept = np.array([saved.get_weight(11650396 & ((1 << bits) - 1))])  # its constant feature
                saved.finish()
                return _in_units_of_the_data(coef, intercept, scaler)

            return weights

        return fit

    settings = tuple((passes, penalised) for passes in EPOCHS[:7] for penalised in (False, True))
    return Method("Vowpal Wabbit", "others", settings, prepare, ("binary", "regression"), scaled=True, largest=8e6)


def has(module):
    return importlib.util.find_spec(module) is not None


def all_methods():
    """Every method, ours first; of the others, those whose package is installed."""
    # the default is the quasi-Newton method on every problem here
    methods = [ours(name) for name in ["auto", *(name for name, cls in SOLVERS.items() if cls.method == "steps")]]
    C, R = SGDClassifier, SGDRegressor
    methods += [
        sgd("SGD(optimal)", C),
        sgd("SGD(optimal, average)", C, average=True),
        sgd("SGD(constant)", C, learning_rate="constant", eta0=0.01),
        sgd("SGD(constant, average)", C, learning_rate="constant", eta0=0.01, average=True),
        sgd("SGD(invscaling)", C, learning_rate="invscaling", eta0=0.01, power_t=0.25),
        sgd("SGD(adaptive)", C, tol=1e-4, learning_rate="adaptive", eta0=0.01),
        sgd("SGD(invscaling)", R),
        sgd("SGD(invscaling, average)", R, average=True),
        sgd("SGD(constant)", R, learning_rate="constant"),
        sgd("SGD(optimal)", R, learning_rate="optimal"),
        sgd("SGD(adaptive)", R, tol=1e-4, learning_rate="adaptive"),
        logistic("LogisticRegression(lbfgs)", "lbfgs", (*EPOCHS, 3000)),
        logistic("LogisticRegression(newton-cholesky)", "newton-cholesky", NEWTON, widest=5000),
        logistic("LogisticRegression(saga)", "saga", EPOCHS[:8]),
        liblinear("liblinear", NEWTON),
        liblinear("liblinear, dual", EPOCHS[:9], dual=True),
        ridge("auto"),
        ridge("lsqr"),
    ]
    if has("torch"):
        methods += [torch_linear(1e-2), torch_linear(1e-3)]
    if has("vowpalwabbit"):
        methods += [vowpal_wabbit()]
    return methods
