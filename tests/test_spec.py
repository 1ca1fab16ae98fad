"""Parameters become a spec: read once, refused in sentences, compared by value."""

import re

import numpy as np
import pytest

from _references import asked
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants._component import hyperparameter
from skvariants._data.labels import Labelling
from skvariants._data.tasks import Regression
from skvariants._names import CALLED_ELSEWHERE
from skvariants._spec import Spec, Trainable
from skvariants._training.loop import Stopping
from skvariants.losses import Hinge, Huber, LogLoss, Loss, Quantile, SquaredError
from skvariants.model_selection import BatchedGridSearchCV
from skvariants.penalties import ElasticNet
from skvariants.schedules import Adaptive, Constant, InvScaling
from skvariants.solvers import SOLVERS, Adam, Momentum, PassiveAggressiveI, PassiveAggressiveII
from skvariants.solvers.quasi_newton import Auto


def spec(**params):
    return SGDVariantClassifier(**params).__skvariants_spec__()


def regression(**params):
    return SGDVariantRegressor(**params).__skvariants_spec__()


class Weighted(Loss):
    """A loss of a user's own that holds a value for each row."""

    rows: object = hyperparameter(None, axis=None)

    def value(self, y, z):
        return (y - z) ** 2

    def gradient(self, y, z, out):
        return np.multiply(z - y, 2, out=out)


# ------------------------------------------------------------------ names become components


def test_defaults_are_read_as_they_are_documented():
    s = spec()
    assert type(s.loss) is LogLoss
    assert type(s.solver) is Auto
    assert (s.penalty.alpha, s.penalty.l1_ratio) == (1e-4, 0.0)
    assert s.schedule.get_params() == Adaptive(eta0="auto", factor=0.25).get_params()
    assert s.stopping == Stopping(1000, 1e-3, 5, False, 0.1, False)
    assert spec(warm_start=True).stopping.resumable
    assert (s.auto_rate, s.free, s.scale, s.fit_intercept, s.shuffle, s.average) == (True, True, True, True, True, 0)
    assert s.task == Labelling()
    assert regression().task == Regression()
    assert type(regression().loss) is SquaredError


def test_numbers_of_the_estimator_go_to_the_components_that_are_named():
    s = spec(penalty="elasticnet", alpha=0.5, l1_ratio=0.25, learning_rate="invscaling", eta0=0.1, power_t=0.3)
    assert (s.penalty.alpha, s.penalty.l1_ratio) == (0.5, 0.25)
    assert (s.schedule.eta0, s.schedule.power_t) == (0.1, 0.3)
    assert regression(loss="huber", epsilon=2.5).loss.epsilon == 2.5
    assert spec(learning_rate="optimal", alpha=0.01).alpha == 0.01


def test_instances_stay_as_they_are_but_for_a_step_left_open():
    solver, penalty, loss = Momentum(momentum=0.5), ElasticNet(0.1, 0.2), Hinge(threshold=2.0)
    s = spec(solver=solver, penalty=penalty, loss=loss, learning_rate=Constant(eta0=0.3), eta0=0.7)
    assert (s.solver, s.penalty, s.loss) == (solver, penalty, loss)
    assert s.schedule.eta0 == 0.3
    assert spec(learning_rate=InvScaling(power_t=0.1), eta0=0.7).schedule.eta0 == 0.7


def test_features_are_scaled_where_the_step_is_ours_to_find():
    assert spec().scale
    assert spec(solver="adam").scale
    for fixed in ({"eta0": 0.1}, {"learning_rate": "optimal"}, {"learning_rate": "pa1", "loss": "hinge"}):
        assert not spec(**fixed).scale
        assert spec(**fixed, scale_features=True).scale
    assert not spec(scale_features=False).scale


@pytest.mark.parametrize(
    "asked", [{"eta0": 0.1}, {"learning_rate": "constant"}, {"batch_size": 8}, {"average": True}, {"average": 5}]
)
def test_a_step_a_batch_or_an_average_leaves_the_choice_less_free(asked):
    assert spec().free
    assert not spec(**asked).free


@pytest.mark.parametrize(("rate", "rule"), [("pa1", PassiveAggressiveI), ("pa2", PassiveAggressiveII)])
def test_a_passive_aggressive_rate_is_a_solver(rate, rule):
    s = spec(loss="hinge", learning_rate=rate, eta0=0.5)
    assert type(s.solver) is rule
    assert s.solver.C == 0.5
    assert s.natural_batch_size is None
    assert spec(loss="hinge", learning_rate=rate).solver.C == 1.0
    assert spec(loss="hinge", learning_rate=rate, solver="minibatch").natural_batch_size == 256
    assert spec(loss="hinge", learning_rate=rate, solver="gd").natural_batch_size == "full"
    assert spec(loss="hinge", solver=rule(C=0.25)).solver.C == 0.25
    assert spec(loss="hinge", solver=rule()).schedule.eta0 == 1.0


def test_a_rule_with_lengths_of_its_own_has_the_schedule_of_ones():
    s = spec(loss="hinge", solver=PassiveAggressiveII())
    assert (type(s.schedule), s.schedule.eta0, s.auto_rate) == (Constant, 1.0, False)
    assert spec(solver="quasi_newton").free


def test_an_estimator_says_its_spec_and_takes_its_result():
    assert isinstance(SGDVariantClassifier(), Trainable)
    assert isinstance(spec(), Spec)


# ------------------------------------------------------------------ sentences

REFUSED = [
    ({"alpha": -1}, r"alpha=-1 is not accepted: alpha must be a number in \[0, inf\)"),
    ({"tol": "no"}, r"tol='no' is not accepted: tol must be None or a number"),
    ({"max_iter": 0}, r"max_iter=0 is not accepted: max_iter must be an integer in \[1, inf\)"),
    ({"batch_size": "fulll"}, r"batch_size='fulll' is not accepted.*did you mean 'full'\?"),
    ({"loss": "log_los"}, r"loss='log_los' is not one of log_loss, hinge.*Did you mean 'log_loss'\?"),
    ({"penalty": "l3"}, r"penalty='l3' is not one of l2, l1, elasticnet, .*None, nor an instance of Penalty"),
    ({"solver": "addam"}, r"solver='addam' is not one of auto, gd, sgd.*Did you mean 'adam'\?"),
    ({"solver": LogLoss()}, r"solver=LogLoss\(\) is not one of auto, gd"),
    ({"learning_rate": "kosine"}, r"learning_rate='kosine' is not one of auto, constant.*Did you mean 'cosine'\?"),
    ({"penalty": "elasticnet", "l1_ratio": None}, r"l1_ratio must be set when penalty is 'elasticnet': pass a number"),
    ({"solver": Adam(beta_1=2.0)}, r"solver__beta_1=2\.0 is not accepted"),
    ({"multi_class": "multinomial", "loss": "hinge"}, r"multi_class='multinomial' needs loss=.log_loss."),
    ({"learning_rate": "optimal", "alpha": 0.0}, r"alpha must be > 0 since learning_rate is 'optimal'"),
    (
        {"solver": "quasi_newton", "eta0": 0.1},
        r"solver='quasi_newton' finds its own steps and batches: leave learning_rate, eta0 and batch_size 'auto'",
    ),
    ({"solver": "quasi_newton", "batch_size": 8}, r"solver='quasi_newton' finds its own steps and batches"),
    ({"solver": "quasi_newton", "average": True}, r"average=False, or choose a solver that takes steps"),
    ({"solver": "quasi_newton", "learning_rate": "constant"}, r"solver='quasi_newton' finds its own steps"),
    ({"solver": "quasi_newton", "loss": "hinge"}, r"solver='quasi_newton' needs a smooth loss, and Hinge has kinks"),
    (
        {"learning_rate": "pa1", "solver": "adam", "loss": "hinge"},
        r"learning_rate='pa1' is a rule of its own .*and solver='adam' is another: leave solver='auto', 'sgd'",
    ),
    ({"solver": Adam}, r"solver=Adam is a class, not an instance: pass solver=Adam\(\)\."),
    ({"loss": "Ordinal"}, r"loss='Ordinal' is not one of .*Did you mean 'log_loss' of a label for each threshold"),
    ({"solver": "L-BFGS"}, r"solver='L-BFGS' is not one of .*Did you mean 'quasi_newton' \(or leave 'auto'\)\?"),
    ({"solver": None}, r"solver=None is not one of .*Did you mean 'auto'\?"),
    ({"penalty": "L2"}, r"penalty='L2' is not one of .*Did you mean 'l2'\?"),
    ({"penalty": "none"}, r"penalty='none' is not one of .*Did you mean None, without quotation marks\?"),
    ({"loss": "log"}, r"loss='log' is not one of .*Did you mean 'log_loss'\?"),
    ({"loss": "mse"}, r"loss='mse' is not one of .*Did you mean 'squared_error'\?"),
    ({"loss": "hinge_loss"}, r"Did you mean 'hinge'\?"),
    ({"loss": "mae"}, r"Did you mean 'absolute_error'\?"),
    ({"loss": "rmse"}, r"Did you mean 'squared_error' \(of the same minimum as its root; score with scoring="),
    ({"loss": "ridge"}, r"Did you mean loss='squared_error' with penalty='l2'\?"),
    ({"loss": "lasso"}, r"Did you mean loss='squared_error' with penalty='l1'\?"),
    ({"solver": "rms-prop"}, r"Did you mean 'rmsprop'\?"),
    ({"solver": "newton"}, r"Did you mean 'quasi_newton' \(or leave 'auto'\)\?"),
    ({"solver": "svd"}, r"Did you mean 'auto'\?"),
    ({"learning_rate": None}, r"Did you mean 'auto'\?"),
    ({"early_stopping": (1, 2)}, r"must be True or False; validation rows of your own go to fit, as X_val and y_val"),
    ({"loss": "poisson"}, r"is for regression, not for labels: use the regressor, or one of log_loss"),
    ({"learning_rate": 0.01}, r"learning_rate=0.01 is not one of .* A number is the first step: pass eta0=0.01\."),
    ({"learning_rate": "pa1"}, r"learning_rate='pa1' only works with the hinge loss.*not with LogLoss"),
    ({"solver": PassiveAggressiveI()}, r"only works with the hinge loss.*not with LogLoss"),
]  # fmt: skip


@pytest.mark.parametrize(("params", "sentence"), REFUSED)
def test_what_is_not_accepted_is_refused_in_a_sentence(params, sentence):
    with pytest.raises(ValueError, match=sentence):
        spec(**params)


# ------------------------------------------------------------------ fields of components that are named


@pytest.mark.parametrize(
    ("given", "change", "meant"),
    [
        ({"solver": "momentum"}, {"solver__momentum": 0.5}, {"solver": Momentum(momentum=0.5)}),
        ({}, {"solver": "adam", "solver__beta_1": 0.5, "solver__eps": 1e-3}, {"solver": Adam(beta_1=0.5, eps=1e-3)}),
        ({"loss": "huber", "epsilon": 0.7}, {"loss__epsilon": 0.2}, {"loss": Huber(epsilon=0.2)}),
        ({"penalty": "l2"}, {"alpha": 0.5, "penalty__l1_ratio": 0.2}, {"penalty": ElasticNet(0.5, 0.2), "alpha": 0.5}),
        (
            {"learning_rate": "invscaling", "eta0": 0.3},
            {"learning_rate__power_t": 0.7},
            {"learning_rate": InvScaling(eta0=0.3, power_t=0.7), "eta0": 0.3},
        ),
        ({"solver": Momentum()}, {"solver__momentum": 0.5}, {"solver": Momentum(momentum=0.5)}),
    ],
)
def test_a_field_of_a_component_that_is_named_makes_an_instance_of_it(given, change, meant):
    model = SGDVariantClassifier(**given).set_params(**change)
    assert model.__skvariants_spec__().key() == spec(**meant).key()


@pytest.mark.parametrize(
    ("given", "change", "sentence"),
    [
        (
            {},
            {"solver__momentum": 0.5},
            r"solver__momentum is not a parameter of solver='auto', which has no .*Momentum",
        ),
        (
            {"solver": "adam"},
            {"solver__beta1": 0.5},
            r"solver__beta1 .*of solver='adam', which has beta_1, beta_2, eps\.",
        ),
        (
            {"penalty": None},
            {"penalty__alpha": 1.0},
            r"penalty__alpha .*penalty=None.*pass penalty=ElasticNet\(alpha=\.\.\.",
        ),
        ({"solver": "adamm"}, {"solver__beta_1": 0.5}, r"solver='adamm' is not one of"),
        ({"solver": Adam}, {"solver__beta_1": 0.5}, r"solver=Adam is a class"),
        ({"solver": "momentum"}, {"solver__momentum": 0.5, "gamma": 1}, "Invalid parameter 'gamma'"),
    ],
)
def test_a_field_that_there_is_not_is_refused_in_a_sentence(given, change, sentence):
    model = SGDVariantClassifier(**given)
    with pytest.raises(ValueError, match=sentence):
        model.set_params(**change)
    assert model.get_params() == SGDVariantClassifier(**given).get_params()


def test_a_subclass_that_fixes_a_component_takes_no_fields_of_it():
    class Fixed(SGDVariantClassifier):
        def __init__(self, loss="huber"):
            super().__init__(loss=loss, solver="momentum")

    assert Fixed().set_params(loss__epsilon=0.5).loss.epsilon == 0.5
    with pytest.raises(ValueError, match="Invalid parameter 'solver'"):
        Fixed().set_params(solver__momentum=0.5)


def test_a_search_varies_a_field_of_a_component_that_is_named():
    X = np.random.default_rng(0).normal(size=(80, 3))
    y = X @ [1.0, -1.0, 0.5] + np.random.default_rng(1).normal(size=80)
    grid = {"loss__quantile": [0.2, 0.5]}
    named = BatchedGridSearchCV(SGDVariantRegressor(loss="quantile"), grid, cv=2).fit(X, y)
    given = BatchedGridSearchCV(SGDVariantRegressor(loss=Quantile()), grid, cv=2).fit(X, y)
    assert (named.cv_results_["mean_test_score"] == given.cv_results_["mean_test_score"]).all()
    assert named.best_estimator_.loss.get_params() == given.best_estimator_.loss.get_params()


def test_a_loss_of_classes_is_refused_for_real_targets():
    with pytest.raises(
        ValueError, match="loss='hinge' is for classification: use the classifier, or one of squared_error, "
    ):
        regression(loss="hinge")
    with pytest.raises(ValueError, match=r"loss=Hinge\(\) is for classification; use one of squared_error, "):
        regression(loss=Hinge())
    assert spec(loss="squared_error").loss.regression


# ------------------------------------------------------------------ equal by value


def test_a_spec_is_equal_to_another_of_equal_values():
    one, other = (
        spec(solver=Adam(beta_1=0.8), penalty=ElasticNet(alpha=np.arange(3.0)), class_weight={0: 1.0, 1: 2.0})
        for _ in range(2)
    )
    assert one.key() == other.key()
    assert hash(one.key()) == hash(other.key())
    assert hash(one.group_key()) == hash(other.group_key())


def test_arrays_that_differ_inside_differ():
    # too long to be printed whole
    values = np.ones(1200)
    changed = values.copy()
    changed[600] = 2.0
    assert repr(values) == repr(changed)
    for make in (lambda a: {"loss": Weighted(rows=a)}, lambda a: {"penalty": ElasticNet(units=a)}):
        one, same, other = (spec(**make(a)) for a in (values, values.copy(), changed))
        assert one.key() == same.key() != other.key()
        assert one.group_key() == same.group_key() != other.group_key()


@pytest.mark.parametrize(
    "change",
    [{"max_iter": 7}, {"tol": 1e-5}, {"tol": None}, {"n_iter_no_change": 9}, {"random_state": 3}, {"verbose": 1},
     {"warm_start": True}],
)  # fmt: skip
def test_a_fit_goes_on_with_other_stopping_seed_and_words(change):
    assert spec(**change).key() == spec().key()


@pytest.mark.parametrize(
    "change",
    [{"alpha": 1e-3}, {"loss": "hinge"}, {"penalty": "l1"}, {"solver": "adam"}, {"eta0": 0.1}, {"batch_size": 8},
     {"fit_intercept": False}, {"shuffle": False}, {"average": True}, {"scale_features": False}, {"multi_class": "ovr"},
     {"class_weight": "balanced"}, {"early_stopping": True}, {"validation_fraction": 0.2},
     {"learning_rate": "constant"}],
)  # fmt: skip
def test_a_fit_does_not_go_on_as_another_problem(change):
    assert spec(**change).key() != spec().key()


def test_numbers_that_are_equal_are_equal_whatever_their_type():
    assert spec(alpha=1).key() == spec(alpha=1.0).key() == spec(alpha=np.float64(1)).key()
    assert spec(shuffle=np.True_).key() == spec(shuffle=True).key()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"alpha": 1e-4}, {"alpha": 1.0}),
        ({"tol": 1e-4}, {"tol": 1e-2}),
        ({"eta0": 0.1}, {"eta0": 0.2}),
        ({"solver": Momentum(0.5)}, {"solver": Momentum(0.9)}),
        ({"penalty": "elasticnet", "l1_ratio": 0.2}, {"penalty": "elasticnet", "l1_ratio": 0.8}),
        ({"loss": "huber", "epsilon": 0.1}, {"loss": "huber", "epsilon": 2.0}),
        ({"learning_rate": "invscaling", "power_t": 0.1}, {"learning_rate": "invscaling", "power_t": 0.4}),
        (
            {"loss": "hinge", "learning_rate": "pa1", "eta0": 0.1},
            {"loss": "hinge", "learning_rate": "pa1", "eta0": 1.0},
        ),
    ],
)
def test_numbers_may_differ_by_column(one, other):
    assert spec(**one).group_key() == spec(**other).group_key()
    assert spec(**one).key() != spec(**other).key() or set(one) == {"tol"}


@pytest.mark.parametrize(
    "change",
    [{"solver": "adam"}, {"loss": "hinge"}, {"batch_size": 7}, {"penalty": "l1"}, {"eta0": 0.1}, {"tol": None},
     {"class_weight": "balanced"}, {"random_state": 3}, {"max_iter": 5}, {"multi_class": "ovr"}, {"shuffle": False},
     {"penalty": ElasticNet(units=np.ones(3))}, {"early_stopping": True}, {"average": True}, {"fit_intercept": False}],
)  # fmt: skip
def test_what_cannot_share_a_matrix_is_apart(change):
    assert spec(**change).group_key() != spec().group_key()


def test_l1_that_is_none_is_apart_from_some():
    one, other = (spec(penalty="elasticnet", l1_ratio=ratio) for ratio in (0.0, 0.5))
    assert one.group_key() != other.group_key()


@pytest.mark.parametrize("name", SOLVERS)
def test_more_epochs_are_the_same_problem(name):
    more = spec(**asked(name)).with_epochs(7)
    assert more.stopping.max_iter == 7
    assert more.warm_start
    assert more.key() == spec(**asked(name)).key()


# ---------------------------------------------------------------------------- names that there are not


@pytest.mark.parametrize("estimator", [SGDVariantClassifier, SGDVariantRegressor])
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("alhpa", "Did you mean 'alpha'?"),
        ("learnig_rate", "Did you mean 'learning_rate'?"),
        ("maxiter", "Did you mean 'max_iter'?"),
        ("C", "pass alpha=1 / (C * n_samples)"),
        ("n_iter", "pass max_iter."),
        ("momentum", "pass solver=Momentum(momentum=...)."),
        ("beta_1", "pass solver=Adam(beta_1=...)."),
        ("quantile", "pass loss=Quantile(quantile=...)."),
        ("zzz", "which has "),
    ],
)
def test_a_parameter_that_there_is_not_is_answered_with_what_was_meant(estimator, name, meant):
    words = re.escape(f"{name} is not a parameter of {estimator.__name__}") + ".*" + re.escape(meant)
    with pytest.raises(TypeError, match="^" + words):
        estimator(**{name: 1})
    words = re.escape(f"Invalid parameter {name!r}: {name} is not a parameter of {estimator.__name__}()") + ".*"
    with pytest.raises(ValueError, match=words + re.escape(meant)):
        estimator().set_params(**{name: 1})
    with pytest.raises(ValueError, match=words + re.escape(meant)):
        estimator().set_params(**{f"{name}__field": 1})


def test_all_that_is_called_otherwise_is_no_parameter():
    names = SGDVariantRegressor().get_params()
    for name, remedy in CALLED_ELSEWHERE.items():
        assert name not in names
        with pytest.raises(TypeError, match=re.escape(f": {remedy}.")):
            SGDVariantRegressor(**{name: None})


@pytest.mark.parametrize("solver", ["adam", Adam()])
def test_a_field_that_is_near_is_meant(solver):
    model = SGDVariantClassifier(solver=solver)
    near = r"solver__beta is not a parameter of solver=.*dam.*Did you mean 'solver__beta_1' or 'solver__beta_2'\?"
    with pytest.raises(ValueError, match=near):
        model.set_params(solver__beta=0.5)
    with pytest.raises(ValueError, match=r"pass solver=Momentum\(momentum=\.\.\.\)"):
        model.set_params(solver__momentum=0.5)
    with pytest.raises(ValueError, match=r"beta is not a parameter of Adam\(\).*Did you mean 'beta_1' or 'beta_2'\?"):
        Adam().set_params(beta=0.5)
    assert model.get_params(deep=False)["solver"] is solver


def test_a_subclass_may_take_any_name():
    class Open(SGDVariantClassifier):
        def __init__(self, extra=1, **params):
            super().__init__(**params)
            self.extra = extra

    assert Open(extra=2, alpha=0.5).alpha == 0.5
    with pytest.raises(TypeError, match=r"alhpa is not a parameter of SGDVariantClassifier\. Did you mean 'alpha'"):
        Open(alhpa=0.5)
