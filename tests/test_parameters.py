"""Every parameter changes something wherever it is taken, and is refused, or said to say nothing, where it is not.

The tables walk the signatures: a parameter without an entry fails. The ways in which a parameter is taken are

- "auto": `fit` with the default solver, "named": with one that takes steps,
- "stream": `partial_fit` by default, "steps": by a named solver,
- "search": as an axis of `BatchedGridSearchCV`.

An entry says for each either that the model changes, or what is printed or published, which is the default; or the
words of the error; or why nothing can change: then it is asserted that nothing does.
"""

import contextlib
import functools
import inspect
import io
import warnings
from dataclasses import dataclass, field

import numpy as np
import pytest
from joblib import parallel_config
from scipy.stats import uniform
from sklearn.base import clone

from _references import in_domain
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.losses import LOSSES
from skvariants.model_selection import BatchedGridSearchCV, BatchedHalvingSearchCV, BatchedRandomizedSearchCV
from skvariants.penalties import PENALTIES
from skvariants.schedules import SCHEDULES
from skvariants.solvers import SOLVERS, Adam

N, CHUNK = 240, 60
WAYS = ("auto", "named", "stream", "steps", "search")
SOLVER = {"named": "adam", "steps": "adagrad"}


@dataclass
class Entry:
    """What a parameter does.

    Parameters
    ----------
    value : object
        Other than the default.
    beside : dict
        Parameters that it needs beside it.
    silent, refused : dict
        By way: why nothing changes, words of the error.
    """

    value: object
    beside: dict = field(default_factory=dict)
    silent: dict = field(default_factory=dict)
    refused: dict = field(default_factory=dict)


WHOLE = "all rows are in each iteration"
KNOWN = "fit knows all its rows"
ONE_CALL = "a call is one pass"
EARLY = dict.fromkeys(("stream", "steps"), "early_stopping should be False with partial_fit")
IN_STREAMS = ("stream", "steps")

SHARED = {
    "penalty": Entry("l1", {"alpha": 0.05}),
    "alpha": Entry(0.5),
    "l1_ratio": Entry(0.9, {"penalty": "elasticnet", "alpha": 0.05}),
    "fit_intercept": Entry(False),
    "solver": Entry(Adam(beta_1=0.5)),
    "batch_size": Entry(7),
    "scale_features": Entry(False, silent={"stream": "sums are kept in units of their own"}),
    "learning_rate": Entry("invscaling"),
    "eta0": Entry(0.003),
    "power_t": Entry(0.9, {"learning_rate": "invscaling", "eta0": 0.003}),
    "max_iter": Entry(1, silent=dict.fromkeys(IN_STREAMS, ONE_CALL)),
    "max_time": Entry(1e-9, silent=dict.fromkeys(IN_STREAMS, "partial_fit takes the time that its rows take")),
    "tol": Entry(0.5, silent=dict.fromkeys(IN_STREAMS, ONE_CALL)),
    "n_iter_no_change": Entry(1, {"early_stopping": True, "tol": 1e-8}, refused=EARLY),
    "shuffle": Entry(False, silent={"auto": WHOLE, "stream": "rows are added up"}),
    "epsilon": Entry(0.7, {"loss": "huber"}),
    "early_stopping": Entry(True, refused=EARLY),
    "validation_fraction": Entry(0.4, {"early_stopping": True}, refused=EARLY),
    "average": Entry(True),
    "forgetting": Entry(
        20, silent={"auto": KNOWN},
        refused=dict.fromkeys(("named", "steps", "search"), "forgetting=20 is for solver='auto'"),
    ),
    "warm_start": Entry(
        True, silent=dict.fromkeys(IN_STREAMS, "partial_fit goes on in any case") | {"search": "candidates begin anew"}
    ),
    "random_state": Entry(1, silent={"auto": WHOLE, "stream": "the sample holds all of so few rows"}),
    "verbose": Entry(1),
    "penalty_factor": Entry(np.array([0.0, 1.0, 5.0, 1.0]), {"alpha": 0.5}),
    "positive": Entry(True),
    "bounds": Entry((-0.1, 0.1)),
    "monotonic_cst": Entry([1, -1, 0, 0]),
}  # fmt: skip
TABLE = {
    SGDVariantClassifier: SHARED | {
        "loss": Entry("squared_hinge"),
        "multi_class": Entry("ovr"),
        "class_weight": Entry({0: 5.0}),
        "on_new_class": Entry("grow", silent=dict.fromkeys(("auto", "named", "search"), KNOWN)),
        "monotonic_cst": Entry([1, -1, 0, 0], refused=dict.fromkeys(WAYS, "is for two classes or real targets")),
        "n_jobs": Entry(2, silent=dict.fromkeys(WAYS, "all classes share one product")),
    },
    SGDVariantRegressor: SHARED | {
        "loss": Entry("huber"),
        "n_iter_no_change": Entry(1, {"early_stopping": True, "loss": "huber", "tol": 1e-8}, refused=EARLY),
        "tol": Entry(0.5, {"loss": "huber"}, silent=dict.fromkeys(IN_STREAMS, ONE_CALL)),
    },
}  # fmt: skip


def _data(estimator):
    """Rows of three classes, of which the first chunk shows two; or real targets."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, 4)) * [1.0, 2.0, 0.5, 1.0] + [0.0, 1.0, 0.0, 3.0]
    z = X @ rng.standard_normal((4, 3)) + rng.standard_normal((N, 3))
    z -= z.mean(axis=0)
    if estimator is SGDVariantRegressor:
        return X, z[:, 0]
    y = z.argmax(axis=1)
    first = np.flatnonzero(y < 2)[:CHUNK]
    order = np.concatenate([first, np.setdiff1d(np.arange(N), first)])
    return X[order], y[order]


def _state(model):
    """What a user can see of a model, but for times and parameters."""
    names = ("coef_", "intercept_", "n_iter_", "t_", "status_", "loss_curve_", "validation_scores_", "best_epoch_")
    seen = {name: np.asarray(getattr(model, name, None)).tolist() for name in names}
    return repr(seen | {"solver": model.solver_, "progress": getattr(model, "progressive_score_", None)})


def _learned(way, estimator, params):
    """What is seen while one estimator learns in one way."""
    params = {"random_state": 0} | ({"solver": SOLVER[way]} if way in SOLVER else {}) | params
    model, (X, y) = estimator(**params), _data(estimator)
    printed, seen = io.StringIO(), []
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if way in ("stream", "steps"):
            known = {"classes": [0, 1, 2]} if estimator is SGDVariantClassifier else {}
            known = {} if params.get("on_new_class") == "grow" else known
            for first in range(0, N, CHUNK):
                model.partial_fit(X[first : first + CHUNK], y[first : first + CHUNK], **(known if not first else {}))
                seen.append(_state(model))
        else:
            for _ in range(2):  # the second sees a warm start
                seen.append(_state(model.fit(X, y)))
    return seen, printed.getvalue()


def _digest(model, X, y=None):
    """A number that nearly any change of a model changes."""
    weights = np.random.default_rng(1).standard_normal(np.size(model.coef_) + np.size(model.intercept_))
    return float(weights @ np.append(np.ravel(model.coef_), model.intercept_)) + 1e3 * model.n_iter_


def _searched(estimator, params, name, values):
    """Digests of the candidates of a search on each fold, and what is printed."""
    X, y = _data(estimator)
    model, printed = estimator(**({"random_state": 0, "solver": "adam"} | params)), io.StringIO()
    search = BatchedGridSearchCV(model, {name: values}, scoring=_digest, cv=3, refit=False, error_score="raise")
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, y)
    return np.array([search.cv_results_[f"split{j}_test_score"] for j in range(3)]), printed.getvalue()


CASES = [
    pytest.param(
        estimator,
        name,
        way,
        id=f"{estimator.__name__}-{name}-{way}",
        # what the classifier shows of the same entry
        marks=pytest.mark.slow
        if TABLE[estimator].get(name) is TABLE[SGDVariantClassifier].get(name) and estimator is SGDVariantRegressor
        else (),
    )
    for estimator in TABLE
    for name in inspect.signature(estimator).parameters
    for way in WAYS
]


@pytest.mark.parametrize(("estimator", "name", "way"), CASES)
def test_a_parameter_changes_something_in_every_way_that_takes_it(estimator, name, way):
    entry = TABLE[estimator].get(name)
    assert entry is not None, f"{name} is not in the table: say what it changes, and where"
    default = inspect.signature(estimator).parameters[name].default
    if way == "search":
        run = functools.partial(_searched, estimator, entry.beside, name, [default, entry.value])
    else:
        run = functools.partial(_learned, way, estimator, entry.beside | {name: entry.value})
    if way in entry.refused:
        with pytest.raises(ValueError, match=entry.refused[way]):
            run()
        return
    changed = run()
    if way == "search":
        scores, printed = changed
        same = bool((scores[:, 0] == scores[:, 1]).all()) and not printed
    else:
        given = {} if name == "solver" and way in SOLVER else {name: default}
        same = _learned(way, estimator, entry.beside | given) == changed
    assert same is (way in entry.silent), entry.silent.get(way, "nothing changes")


# ------------------------------------------------------------------ searches

GRID = {"alpha": [1e-4, 1e-2, 1.0, 10.0, 100.0, 1000.0]}
SAME_SCORES = dict.fromkeys(("grid", "random", "halving"), "where folds are trained changes no score")
OF_SEARCHES = {
    "estimator": Entry(SGDVariantClassifier(loss="hinge", solver="adam", max_iter=8, random_state=0)),
    "param_grid": Entry({"alpha": [0.5, 5.0, 50.0]}),
    "param_distributions": Entry({"alpha": [0.5, 5.0, 50.0]}),
    "scoring": Entry("f1_macro"),
    "n_jobs": Entry(2, silent=SAME_SCORES),
    "pre_dispatch": Entry("all", {"n_jobs": 2}, silent=SAME_SCORES),
    "refit": Entry(False),
    "cv": Entry(3),
    "verbose": Entry(1),
    "error_score": Entry(-1.0, {"param_grid": {"tol": [1e-3, -1.0]}, "param_distributions": {"tol": [1e-3, -1.0]}}),
    "return_train_score": Entry(None),
    "max_time": Entry(1e-9),
    "n_iter": Entry(2),
    "random_state": Entry(
        1,
        {
            "n_iter": 2, "n_candidates": 3, "param_grid": {"alpha": uniform(0, 1)},
            "param_distributions": {"alpha": uniform(0, 1)},  # no draw of few values, which two seeds may share
        },
    ),
    "n_candidates": Entry(3, {"n_candidates": 5, "param_grid": {"alpha": uniform(0, 1)}}),
    "factor": Entry(2),
    "max_resources": Entry(2),
    "min_resources": Entry(2),
    "aggressive_elimination": Entry(True, {"max_resources": 4}),
}  # fmt: skip
SEARCHES = {"grid": BatchedGridSearchCV, "random": BatchedRandomizedSearchCV, "halving": BatchedHalvingSearchCV}


def _results(kind, params):
    """What is seen of a search, but for times."""
    search = SEARCHES[kind]
    names = inspect.signature(search).parameters
    X, y = _data(SGDVariantClassifier)
    params = {
        "estimator": SGDVariantClassifier(solver="adam", max_iter=8, random_state=0), "param_grid": GRID,
        "param_distributions": GRID, "n_iter": 4, "random_state": 0,
    } | params  # fmt: skip
    printed, model = io.StringIO(), search(**{name: value for name, value in params.items() if name in names})
    with contextlib.redirect_stdout(printed), warnings.catch_warnings(), parallel_config("threading"):
        warnings.simplefilter("ignore")
        model.fit(X, y)
    results = {name: np.asarray(column).tolist() for name, column in model.cv_results_.items() if "time" not in name}
    seen = [getattr(model, name, None) for name in ("best_params_", "n_candidates_", "n_resources_", "n_epochs_")]
    best = getattr(model, "best_estimator_", None)
    return repr((results, seen, None if best is None else best.coef_.tolist())), printed.getvalue() != ""


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        # a search at random shows what the grid shows
        pytest.param(
            kind, name, marks=pytest.mark.slow if kind == "random" and name not in ("n_iter", "random_state") else ()
        )
        for kind in SEARCHES
        for name in inspect.signature(SEARCHES[kind]).parameters
    ],
)
def test_a_parameter_of_a_search_changes_something(kind, name):
    entry = OF_SEARCHES.get(name)
    assert entry is not None, f"{name} is not in the table: say what it changes"
    default = inspect.signature(SEARCHES[kind]).parameters[name].default
    value = not default if entry.value is None else entry.value
    given = {} if default is inspect.Parameter.empty else {name: default}
    before = _results(kind, given | entry.beside)
    assert (_results(kind, entry.beside | {name: value}) == before) is (kind in entry.silent), entry.silent.get(kind)


# ------------------------------------------------------------------ fields of solvers, losses, penalties and schedules

OF_COMPONENTS = {"solver": SOLVERS, "loss": LOSSES, "penalty": PENALTIES, "learning_rate": SCHEDULES}
FIELDS = [
    # a field is in each way what it is in a fit
    pytest.param(
        role, factory, field, way, id=f"{role}-{name}-{field}-{way}", marks=() if way == "fit" else pytest.mark.slow
    )
    for role, registry in OF_COMPONENTS.items()
    for name, factory in registry.items()
    for field in sorted(factory().get_params())
    for way in ("fit", "stream", "search")
]


def _others(component, field):
    """The same component with other values of a field, those that it takes."""
    value = getattr(component, field)
    numbers = (0.1, 10.0, 3, 1e6)
    if not isinstance(value, str):
        numbers = (0.3, 1e-6 * value, 0.5 * value, 1.1 * value, 10 * value)
    for other in numbers:
        changed = component.with_fields(**{field: other})
        with contextlib.suppress(ValueError, TypeError):
            changed.validate("component")
            yield changed


def _problem(role, component):
    """An estimator that takes a component, rows and targets."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4)) * [1.0, 2.0, 0.5, 1.0]
    y = X @ [1.0, -1.0, 0.5, 0.0] + rng.standard_normal(60)
    params = {"random_state": 0, "alpha": 0.01, role: component}
    if role == "solver":
        loss, steps = "squared_error", component.method == "steps"
        with contextlib.suppress(ValueError):
            component.check_loss(LOSSES["log_loss"]())
            loss = "log_loss"
        params |= {"tol": None, "max_iter": 40} if steps else {"tol": 1e-2}
        if not steps:
            return SGDVariantClassifier(**params, loss=loss if loss == "log_loss" else "hinge"), X, np.sign(y)
        return SGDVariantRegressor(**params), X, y
    if role == "loss":
        if not component.regression:
            return SGDVariantClassifier(**params), X, np.sign(y)
        return SGDVariantRegressor(**params), X, in_domain(component, y)
    if role == "learning_rate":
        params["loss"] = "squared_error"
        try:
            component.bind(LOSSES["squared_error"](), 0.01)
        except ValueError:
            params["loss"] = "epsilon_insensitive"
    return SGDVariantRegressor(**params), X, y


def _fitted(role, components, way):
    """Digests of fits with some components, one after the other or side by side."""
    model, X, y = _problem(role, components[0])
    known = {"classes": [-1, 1]} if isinstance(model, SGDVariantClassifier) else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if way == "search":
            search = BatchedGridSearchCV(model, {role: components}, scoring=_digest, cv=2, refit=False)
            return list(search.fit(X, y).cv_results_["split0_test_score"])
        models = [clone(model).set_params(**{role: component}) for component in components]
        for one in models:
            if way == "fit":
                one.fit(X, y)
            else:
                for i in range(0, 60, 5):
                    one.partial_fit(X[i : i + 5], y[i : i + 5], **known)
    return [_digest(one, X) for one in models]


@pytest.mark.parametrize(("role", "factory", "field", "way"), FIELDS)
def test_a_field_of_a_component_changes_something(role, factory, field, way):
    component = factory()
    if np.array_equal(getattr(component, "alpha", 1.0), 0.0) and field != "alpha":
        pytest.skip("of a strength of zero")
    if way == "stream" and (getattr(component, "method", "steps") != "steps" or hasattr(component, "floor")):
        pytest.skip("a call is one pass, which nothing ends")
    first, *others = _fitted(role, [component, *_others(component, field)], way)
    assert others
    assert any(other != first for other in others)
