"""Components are configuration: declared fields, checked ranges, sentences that help."""

import inspect
import pickle
import re

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone

from skvariants import SGDVariantRegressor
from skvariants._component import (
    Accepts,
    Component,
    Flag,
    Interval,
    OneOf,
    check,
    field_names,
    hyperparameter,
    integers,
    number,
    operand,
    resolve,
    side_by_side,
    varies_by_column,
)
from skvariants.losses import LOSSES, Loss, MultinomialLogLoss
from skvariants.penalties import PENALTIES, ElasticNet, Penalty
from skvariants.schedules import SCHEDULES, Schedule
from skvariants.solvers import GD, PASSIVE_AGGRESSIVE, SOLVERS, AdaGrad, Adam, Momentum, Solver

FAMILIES = {"loss": LOSSES, "penalty": PENALTIES, "learning_rate": SCHEDULES, "solver": SOLVERS}
FACTORIES = [
    pytest.param(factory, id=f"{family}-{name}")
    for family, registry in FAMILIES.items()
    for name, factory in registry.items()
]
FACTORIES += [pytest.param(cls, id=f"solver-{name}") for name, cls in PASSIVE_AGGRESSIVE.items()]
FACTORIES += [pytest.param(MultinomialLogLoss, id="loss-multinomial")]


class Halved(Loss):
    """A user's loss."""

    share: float = hyperparameter(0.5, Interval(0, 1, "both"))
    regression = True

    def value(self, y, z):
        return self.share * (y - z) ** 2

    def gradient(self, y, z, out):
        out[...] = 2 * self.share * (z - y)
        return out


class Box(Penalty):
    """A user's penalty: weights stay in a box."""

    size: float = hyperparameter(1.0, Interval(0))

    def value(self, W):
        return np.where(np.abs(W).max(axis=0) <= self.size, 0.0, np.inf)

    def add_gradient(self, W, out):
        pass

    def prox(self, W, step, smooth=True):
        np.clip(W, -self.size, self.size, out=W)


class Harmonic(Schedule):
    """A user's schedule."""

    eta0: float = hyperparameter(1.0, Interval(0, closed="neither"))

    def __call__(self, t):
        return self.eta0 / t


class SignDescent(Solver):
    """A user's solver."""

    length: float = hyperparameter(1.0, Interval(0, closed="neither"))

    def step(self, g, t, work, *memory):
        np.sign(g, out=work)
        return work, self.length


USERS = [(Halved, LOSSES, Loss), (Box, PENALTIES, Penalty), (Harmonic, SCHEDULES, Schedule)]
USERS.append((SignDescent, SOLVERS, Solver))


# ---------------------------------------------------------------- ranges


@pytest.mark.parametrize(
    ("accepts", "inside", "outside"),
    [
        (Interval(), [0, -1.5, np.float32(2), np.int64(3)], [np.inf, -np.inf, np.nan, "1", None, True, 1j, [1.0]]),
        (Interval(0), [0, 0.0, 1e300], [-1e-300]),
        (Interval(0, closed="neither"), [1e-300], [0, -1.0]),
        (Interval(0, 1), [0.0, 0.999], [1.0, 1]),
        (Interval(0, 1, "both"), [0, 1], [1.0000001, -0.0000001]),
        (Interval(0, 1, "right"), [1, 0.5], [0]),
        (Interval(0), [np.array([0.0, 2.0]), np.array([1, 2])], [np.array([0.0, -2.0]), np.array([np.nan])]),
        (Interval(0), [], [np.zeros((2, 2)), np.array([True])]),
        (number(0), [0.5], [np.array([0.5])]),
        (integers(1), [1, np.int32(7)], [0, 1.0, True, np.array([1])]),
        (Interval(1, integer=True), [np.array([1, 7])], [np.array([1.0]), np.array([0])]),
        (Flag(), [True, False, np.True_], [0, 1, None, "True"]),
        (OneOf("auto", None, Interval(0)), ["auto", None, 3.0], ["Auto", -1.0, False]),
        (OneOf(False, integers(0)), [False, 0, 5], [True, 0.5]),
        (OneOf("auto", Solver), ["auto", Momentum()], [Momentum, ElasticNet()]),
    ],
)
def test_a_range_holds_what_it_says(accepts, inside, outside):
    assert all(value in accepts for value in inside)
    assert not any(value in accepts for value in outside)


@pytest.mark.parametrize(
    ("accepts", "words"),
    [
        (Interval(), "a number"),
        (Interval(0), "a number in [0, inf)"),
        (Interval(0, 1, "neither"), "a number in (0, 1)"),
        (Interval(0, 1, "both"), "a number in [0, 1]"),
        (integers(1), "an integer in [1, inf)"),
        (Flag(), "True or False"),
        (OneOf("a"), "'a'"),
        (OneOf("a", None, integers(1), Solver), "'a', None, an integer in [1, inf) or an instance of Solver"),
    ],
)
def test_a_range_is_words(accepts, words):
    assert str(accepts) == words


def test_the_interface_of_ranges_accepts_nothing_by_itself():
    with pytest.raises(NotImplementedError):
        0 in Accepts()  # noqa: B015


def test_the_sentence_names_parameter_value_and_what_is_accepted():
    check("alpha", 0.5, Interval(0))
    with pytest.raises(ValueError) as error:
        check("alpha", -3.0, Interval(0))
    assert "alpha=-3.0" in str(error.value)
    assert "alpha must be a number in [0, inf)" in str(error.value)


def test_a_misspelt_word_gets_the_nearest_one():
    with pytest.raises(ValueError, match=r"mode='slwo' .* did you mean 'slow'\?"):
        check("mode", "slwo", OneOf("fast", "slow"))
    with pytest.raises(ValueError) as error:
        check("mode", "zzz", OneOf("fast", "slow"))
    assert "did you mean" not in str(error.value)


# ---------------------------------------------------------------- every component


@pytest.mark.parametrize("factory", FACTORIES)
def test_every_component_is_valid_by_default(factory):
    factory().validate()


@pytest.mark.parametrize("factory", FACTORIES)
def test_every_component_survives_clone_repr_and_pickle(factory):
    component = factory()
    for copy in (clone(component), pickle.loads(pickle.dumps(component))):
        assert copy is not component
        assert type(copy) is type(component)
        assert copy.get_params() == component.get_params()
    namespace = {cls.__name__: cls for cls in [type(component)]}
    assert eval(repr(component), namespace).get_params() == component.get_params()


@pytest.mark.parametrize("factory", FACTORIES)
def test_every_component_refuses_a_field_that_does_not_exist(factory):
    with pytest.raises(TypeError, match=r"no_such_field is not a parameter of \w+, which has"):
        factory(no_such_field=1)
    with pytest.raises(ValueError, match="no_such_field"):
        factory().set_params(no_such_field=1)


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("bad", [np.nan, "nonsense", True])
def test_every_declared_field_is_checked_and_named(factory, bad):
    declared = type(factory()).__dataclass_fields__.values()
    for field in (f for f in declared if f.metadata.get("accepts") is not None):
        component = factory().set_params(**{field.name: bad})
        with pytest.raises(ValueError) as error:
            component.validate("owner")
        assert f"owner__{field.name}={bad!r}" in str(error.value)
        assert str(field.metadata["accepts"]) in str(error.value)


def test_set_params_changes_the_object_and_clone_does_not():
    momentum = Momentum(momentum=0.5)
    copy = clone(momentum).set_params(momentum=0.7)
    assert (momentum.momentum, copy.momentum) == (0.5, 0.7)
    assert repr(copy) == "Momentum(momentum=0.7)"
    assert repr(Momentum()) == "Momentum()"


def test_clone_copies_values_per_column():
    rates = np.array([0.1, 0.2])
    copy = clone(Momentum(momentum=rates))
    assert copy.momentum is not rates
    np.testing.assert_array_equal(copy.momentum, rates)


# ---------------------------------------------------------------- columns


def test_taking_columns_of_a_component_without_any_is_the_component():
    component = Adam()
    assert component.take(np.array([0])) is component


@pytest.mark.parametrize("columns", [np.array([2, 0]), np.array([True, False, True])])
def test_taking_columns_takes_them_of_every_field_that_varies(columns):
    component = Adam(beta_1=np.array([0.1, 0.2, 0.3]), eps=np.array([1e-3, 1e-4, 1e-5]))
    before = component.beta_1.copy()
    taken = component.take(columns)
    assert isinstance(taken, Adam)
    np.testing.assert_array_equal(taken.beta_1, before[columns])
    np.testing.assert_array_equal(taken.eps, np.array([1e-3, 1e-4, 1e-5])[columns])
    assert taken.beta_2 == component.beta_2
    np.testing.assert_array_equal(component.beta_1, before)


def test_a_range_is_checked_in_every_column():
    with pytest.raises(ValueError, match="momentum"):
        Momentum(momentum=np.array([0.5, 1.0])).validate()


class Weighted(Penalty):
    """A user's penalty: the squares, with a weight for each feature."""

    strength: float = hyperparameter(1.0, Interval(0))
    weights: object = hyperparameter(1.0, axis="feature")
    power: int = hyperparameter(2, integers(1))
    knots: object = None


ROWS, BOTH = np.array([1.0, 2.0]), np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@pytest.mark.parametrize("weights", [ROWS, BOTH[:, :1]], ids=["(n_features,)", "(n_features, 1)"])
def test_taking_columns_leaves_what_belongs_to_features_and_to_none(weights):
    component = Weighted(weights=weights, knots=np.array([7.0, 8.0, 9.0]))
    assert component.take(np.array([1])) is component
    taken = component.with_fields(strength=np.array([0.1, 0.2])).take(np.array([1]))
    assert taken.weights is weights
    assert taken.knots is component.knots
    np.testing.assert_array_equal(taken.strength, [0.2])


def test_taking_columns_takes_them_of_a_value_for_each_feature_and_column():
    np.testing.assert_array_equal(Weighted(weights=BOTH).take(np.array([2, 0])).weights, BOTH[:, [2, 0]])


@pytest.mark.parametrize("weights", [ROWS, BOTH, BOTH[:, :1]], ids=lambda w: str(w.shape))
def test_a_value_for_each_feature_needs_as_many_as_there_are(weights):
    Weighted(weights=weights).check_features(2)
    with pytest.raises(ValueError) as error:
        Weighted(weights=weights).check_features(3, "penalty")
    assert str(error.value).startswith("penalty__weights holds 2 values, and X has 3 features: give one value for each")
    with pytest.raises(ValueError, match=r"^weights holds 2 values"):
        Weighted(weights=weights).check_features(1)


def test_one_value_and_a_value_for_each_column_fit_any_number_of_features():
    Weighted(strength=np.array([0.1, 0.2, 0.3]), weights=2.0, knots=np.zeros(5)).check_features(2, "penalty")


# ---------------------------------------------------------------- side by side


def test_numbers_that_differ_become_a_value_for_each_column():
    components = [Weighted(strength=s, weights=ROWS, power=3) for s in (0.1, 0.2)]
    together = side_by_side(components, 2, np.float32)
    assert together.strength.dtype == np.float32
    np.testing.assert_array_equal(together.strength, np.float32([0.1, 0.1, 0.2, 0.2]))
    assert together.weights is ROWS
    assert together.power == 3
    for j, component in enumerate(components):
        # of each column, what it came with
        assert together.take(np.array([2 * j])).strength == np.float32(component.strength)


def test_numbers_that_are_equal_stay_numbers():
    assert side_by_side([Adam(0.5), Adam(0.5)], 3, np.float64).get_params() == Adam(0.5).get_params()
    one = Adam(beta_1=0.3)
    assert side_by_side([one], 3, np.float64) is one


def test_arrays_by_column_are_put_end_to_end():
    one = Weighted(strength=np.array([0.1, 0.2]), weights=BOTH[:, :2])
    other = Weighted(strength=np.array([0.3, 0.4]), weights=BOTH[:, 1:])
    together = side_by_side([one, other], 2, np.float64)
    np.testing.assert_array_equal(together.strength, [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_array_equal(together.weights, np.hstack([BOTH[:, :2], BOTH[:, 1:]]))
    for columns, component in (([0, 1], one), ([2, 3], other)):
        assert together.take(np.array(columns)).key() == component.key()


def test_only_real_numbers_by_column_vary_by_column():
    component = Weighted(strength=1, weights=2.0)
    assert [name for name in field_names(Weighted) if varies_by_column(component, name)] == ["strength"]
    assert not varies_by_column(Weighted(strength=ROWS), "strength")
    assert not varies_by_column(SCHEDULES["constant"](), "eta0")
    assert varies_by_column(SCHEDULES["constant"](eta0=0.1), "eta0")


# ---------------------------------------------------------------- identity

LONG = np.linspace(0.0, 1.0, 1200)
BENT = np.where(np.arange(1200) == 600, 0.25, LONG)
PAIRS_THAT_DIFFER = {
    "class": (Adam(), AdaGrad()),
    "number": (Adam(0.5), Adam(0.6)),
    "inside a long array": (Weighted(weights=LONG), Weighted(weights=BENT)),
    "shape": (Weighted(weights=LONG), Weighted(weights=LONG[:, None])),
    "precision": (Weighted(weights=LONG), Weighted(weights=LONG.astype(np.float32))),
    "array and number": (Weighted(strength=1.0), Weighted(strength=np.ones(2))),
    "true and one": (Weighted(knots=True), Weighted(knots=1)),
    "inside a list": (Weighted(knots=[1, BENT]), Weighted(knots=[1, LONG])),
    "list and tuple": (Weighted(knots=[1, 2]), Weighted(knots=(1, 2))),
    "inside a component": (Weighted(knots=Momentum(0.5)), Weighted(knots=Momentum(0.6))),
    "sparse": (Weighted(knots=sp.csr_array(np.eye(2))), Weighted(knots=sp.csr_array(2 * np.eye(2)))),
    "objects": (Weighted(knots=object()), Weighted(knots=object())),
}


@pytest.mark.parametrize(("one", "other"), PAIRS_THAT_DIFFER.values(), ids=PAIRS_THAT_DIFFER)
def test_what_differs_in_value_has_another_key(one, other):
    assert one.key() != other.key()
    assert one.key() == one.key()


@pytest.mark.parametrize("component", [one for one, _ in PAIRS_THAT_DIFFER.values()][:-1])
def test_what_is_equal_in_value_has_the_same_key(component):
    copy = clone(component)
    assert copy.key() == component.key()
    assert hash(copy.key()) == hash(component.key())
    assert copy.group_key() == component.group_key()


def test_equal_arrays_are_equal_whatever_their_memory():
    assert Weighted(weights=BOTH).key() == Weighted(weights=np.asfortranarray(BOTH)).key()
    assert Weighted(weights=np.repeat(LONG, 2)[::2]).key() == Weighted(weights=LONG.copy()).key()


def test_what_stands_side_by_side_may_differ_in_numbers_by_column_alone():
    assert Weighted(strength=0.1).group_key() == Weighted(strength=0.2).group_key()
    assert Weighted(strength=0.1).key() != Weighted(strength=0.2).key()
    different = [
        Weighted(strength=0.1),
        Weighted(strength=ROWS),
        Weighted(strength=ROWS + 1),
        Weighted(strength=0.1, power=3),
        Weighted(strength=0.1, weights=2.0),
        Weighted(strength=0.1, weights=LONG),
        Weighted(strength=0.1, weights=BENT),
        Weighted(strength=0.1, knots=0.5),
        Box(0.1),
    ]
    assert len({component.group_key() for component in different}) == len(different)


@pytest.mark.parametrize("factory", FACTORIES)
def test_every_component_is_itself_by_value(factory):
    component = factory()
    assert pickle.loads(pickle.dumps(component)).key() == component.key()
    others = [f.values[0]() for f in FACTORIES]
    # names of one class with other fields are other components
    assert sum(other.key() == component.key() for other in others) == 1


# ---------------------------------------------------------------- a user's own


@pytest.mark.parametrize(("cls", "registry", "family"), USERS)
def test_a_users_own_component_needs_no_registration(cls, registry, family):
    (name,) = field_names(cls)
    component = resolve(cls(), registry, family, "parameter", {})
    assert component.get_params() == {name: getattr(cls(), name)}
    changed = clone(component).set_params(**{name: 0.25})
    assert repr(changed) == f"{cls.__name__}({name}=0.25)"
    assert cls(0.25).get_params() == changed.get_params()
    assert cls(**{name: np.array([0.1, 0.2])}).take(np.array([1])).get_params()[name].tolist() == [0.2]
    with pytest.raises(ValueError, match=rf"parameter__{name}=-1 is not accepted"):
        resolve(cls(-1), registry, family, "parameter", {})


def test_annotations_that_are_constants_of_the_class_are_no_fields():
    assert field_names(Halved) == ["share"]
    assert field_names(Momentum) == ["momentum"]


def test_a_fields_default_may_be_anything_where_no_range_is_declared():
    class Free(Component):
        anything: object = None

    Free(anything=object()).validate()


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("registry", FAMILIES.values(), ids=FAMILIES)
def test_a_name_becomes_that_component_with_the_context_it_knows(registry):
    context = {"alpha": 0.125, "momentum": 0.5, "epsilon": 0.75, "eta0": 2.0, "no_such_field": 1}
    for name, factory in registry.items():
        component = resolve(name, registry, Component, "parameter", context)
        assert type(component) is type(factory())
        for field, value in component.get_params().items():
            known = field in context and field in field_names(factory)
            assert value == (context[field] if known else factory().get_params()[field])


def test_an_instance_is_left_as_it_is():
    solver = Momentum(0.3)
    assert resolve(solver, SOLVERS, Solver, "solver", {"momentum": 0.9}) is solver


def test_a_partial_fixes_its_fields():
    assert "l1_ratio" not in field_names(PENALTIES["l2"])
    assert resolve("l1", PENALTIES, Penalty, "penalty", {"l1_ratio": 0.5, "alpha": 2.0}).l1_ratio == 1.0


@pytest.mark.parametrize("spec", ["adm", "", 3, 1.5, int, ElasticNet(), ["adam"], {"adam": 1}, None])
def test_what_is_neither_a_name_nor_an_instance_is_refused_in_a_sentence(spec):
    with pytest.raises(ValueError) as error:
        resolve(spec, SOLVERS, Solver, "solver", {})
    message = str(error.value)
    assert message.startswith(f"solver={spec!r}")
    assert all(name in message for name in SOLVERS)
    assert "instance of Solver" in message


def test_a_misspelt_name_gets_the_nearest_one():
    with pytest.raises(ValueError, match=r"Did you mean 'adam'\?"):
        resolve("adm", SOLVERS, Solver, "solver", {})
    with pytest.raises(ValueError, match=r"Did you mean 'elasticnet'\?"):
        resolve("elastic_net", PENALTIES, Penalty, "penalty", {})
    with pytest.raises(ValueError) as error:
        resolve("qqqq", SOLVERS, Solver, "solver", {})
    assert "Did you mean" not in str(error.value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.1, -2.0, 80, 1e-10, np.float64(0.9)])
def test_an_operand_acts_on_an_array_as_the_number_does(value, dtype):
    x = np.linspace(-3, 3, 7, dtype=dtype)
    for ufunc in (np.add, np.multiply, np.minimum, np.divide):
        got = ufunc(x, operand(value, dtype))
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, ufunc(x, float(value)))


def test_an_operand_cannot_be_changed_and_an_array_stays_itself():
    with pytest.raises(ValueError):
        operand(0.1, np.float64)[...] = 2.0
    by_column = np.array([0.1, 0.2])
    assert operand(by_column, np.float64) is by_column


def test_a_list_is_no_array_with_a_value_for_each_feature():
    class ByFeature(Component):
        strengths: object = hyperparameter(1.0, axis="feature")

    ByFeature(np.ones(3)).check_features(3)
    with pytest.raises(ValueError, match=r"penalty__strengths=\[1.0, 2.0\] is not accepted.*an ndarray"):
        ByFeature([1.0, 2.0]).check_features(2, "penalty")


def test_a_class_in_the_place_of_an_instance_is_named():
    with pytest.raises(ValueError, match=r"^solver=Adam is a class, not an instance: pass solver=Adam\(\)\."):
        resolve(Adam, SOLVERS, Solver, "solver", {})
    with pytest.raises(ValueError, match=r"Did you mean 'l2'\?"):
        resolve("L2", PENALTIES, Penalty, "penalty", {})


@pytest.mark.parametrize("name", ["lr", "learning_rate", "eta0"])
def test_a_solver_says_where_its_first_step_is_given(name):
    words = f"{name} is not a parameter of Adam, which has beta_1, beta_2, eps: the first step is the estimator's, pass"
    with pytest.raises(TypeError, match=re.escape(words)):
        Adam(**{name: 0.01})
    with pytest.raises(TypeError, match="is not a parameter of GD, which has no parameters: the first step"):
        GD(**{name: 0.01})


def test_a_constructor_of_the_user_takes_what_it_says():
    class Own(Solver):
        def __init__(self, share=0.5):
            self.share = share

    class Any(Own):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)

    assert Own(share=0.2).share == Any(share=0.2).share == 0.2
    assert list(inspect.signature(Adam).parameters) == ["beta_1", "beta_2", "eps"]


class WithoutProx(Penalty):
    def value(self, W):
        return (W**4).sum(axis=0)

    def add_gradient(self, W, out):
        out += 4 * W**3


class WithoutGradient(Loss):
    def value(self, y, z):
        return (y - z) ** 2


@pytest.mark.parametrize(
    ("params", "missing"),
    [
        ({"penalty": WithoutProx()}, "penalty=.* has to define `prox`"),
        ({"loss": WithoutGradient()}, "define `gradient`"),
    ],
    ids=["penalty", "loss"],
)
def test_a_class_that_lacks_a_method_of_its_family_is_refused(params, missing):
    # the body of an abstract method does nothing, and a fit by it "converged"
    X = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(ValueError, match=missing):
        SGDVariantRegressor(**params).fit(X, X[:, 0])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Adam(beta1=0.5), "Did you mean 'beta_1'?"),
        (lambda: Adam(beta=0.5), "Did you mean 'beta_1' or 'beta_2'?"),
        (lambda: LOSSES["quantile"](tau=0.5), "tau is not a parameter of Quantile, which has quantile: pass quantile."),
        (lambda: LOSSES["huber"](delta=0.5), "which has epsilon: pass epsilon."),
        (lambda: PENALTIES["l2"](lambda_=0.5), ": pass alpha."),
        (lambda: SCHEDULES["constant"](lr=0.5), "which has eta0: pass eta0."),
    ],
)
def test_a_field_that_there_is_not_is_answered_with_what_was_meant(make, words):
    with pytest.raises(TypeError, match=re.escape(words)):
        make()
