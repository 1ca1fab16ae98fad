"""Estimators of scikit-learn that predict what a model predicts, and what other systems make of them."""

import pickle
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import (
    GammaRegressor,
    HuberRegressor,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
    SGDClassifier,
    TweedieRegressor,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC, LinearSVR
from sklearn.utils.validation import check_is_fitted

from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.losses import LOSSES, Hinge, LogLoss, Loss, Quantile, Tweedie, of_labels

GUIDE = Path(__file__).parents[1] / "docs" / "guide" / "saving.rst"
CLASSIFIERS = {"log_loss": LogisticRegression, "modified_huber": SGDClassifier, "perceptron": SGDClassifier}
REGRESSORS = {
    "squared_error": Ridge, "huber": HuberRegressor, "epsilon_insensitive": LinearSVR,
    "squared_epsilon_insensitive": LinearSVR, "absolute_error": QuantileRegressor, "quantile": QuantileRegressor,
    "log_cosh": LinearRegression, "poisson": PoissonRegressor, "gamma": GammaRegressor, "tweedie": TweedieRegressor,
}  # fmt: skip
OUTPUTS = ("predict", "decision_function", "predict_proba")


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).standard_normal((60, 4)) * [1.0, 10.0, 0.1, 1.0] + [0.0, 5.0, 0.0, 0.0]


@pytest.fixture(scope="module")
def z(X):
    return X @ [0.4, 0.05, -3.0, 0.0] + 0.5 * np.random.default_rng(1).standard_normal(len(X))


def same(model, exported, X):
    """Whether both answer alike, to rounding, on dense and sparse rows."""
    check_is_fitted(exported)
    for rows in (X, sp.csr_array(X)):
        for method in OUTPUTS:
            assert hasattr(model, method) or not hasattr(exported, method), method
            if hasattr(model, method):
                expected, found = getattr(model, method)(rows), getattr(exported, method)(rows)
                assert np.shape(found) == np.shape(expected)
                if np.asarray(expected).dtype.kind == "f":
                    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
                else:
                    np.testing.assert_array_equal(found, expected)
    return True


@pytest.mark.parametrize("loss", of_labels())
@pytest.mark.parametrize("labels", [["no", "yes"], ["a", "b", "c"]], ids=len)
def test_classifiers_answer_alike(loss, labels, X, z):
    y = np.array(labels)[np.searchsorted([0.0, 0.8][: len(labels) - 1], z)]
    model = SGDVariantClassifier(loss, class_weight="balanced", max_iter=30, tol=1e-2).fit(X, y)
    exported = model.to_sklearn()
    assert type(exported) is CLASSIFIERS.get(loss, LinearSVC)
    assert exported.classes_.tolist() == labels
    assert same(model, exported, X)


@pytest.mark.parametrize("loss", ["log_loss", "modified_huber"])
def test_classes_that_are_not_coupled_have_probabilities_of_one_vs_rest(loss, X, z):
    model = SGDVariantClassifier(loss, multi_class="ovr").fit(X, np.searchsorted([0.0, 0.8], z))
    assert type(model.to_sklearn()) is SGDClassifier
    assert same(model, model.to_sklearn(), X)


@pytest.mark.parametrize("loss", ["log_loss", "modified_huber", "hinge"])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix], ids=["dense", "sparse"])
def test_labels_become_classifiers_in_one(loss, container, X, z):
    Y = container(np.column_stack([z > 0, z > 0.5, np.ones(len(z)), np.zeros(len(z))]).astype(int))
    model = SGDVariantClassifier(loss, class_weight={1: 3.0}).fit(X, Y)
    exported = model.to_sklearn()
    assert type(exported) is OneVsRestClassifier
    assert sp.issparse(exported.predict(X)) == sp.issparse(Y)
    if sp.issparse(Y):
        assert (exported.predict(X) != model.predict(X)).nnz == 0
    else:
        assert same(model, exported, X)


@pytest.mark.parametrize("loss", REGRESSORS)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_regressors_answer_alike(loss, fit_intercept, X, z):
    model = SGDVariantRegressor(loss, fit_intercept=fit_intercept, epsilon="auto").fit(X, np.exp(z))
    exported = model.to_sklearn()
    assert type(exported) is REGRESSORS[loss]
    assert exported.get_params()["fit_intercept"] is fit_intercept
    assert same(model, exported, X)
    assert same(model.sparsify(), model.to_sklearn(), X)


def test_every_loss_of_regression_has_a_counterpart_or_a_sentence():
    assert {name for name, loss in LOSSES.items() if loss.regression} == REGRESSORS.keys() | {"binomial"}


@pytest.mark.parametrize("loss", ["squared_error", "log_cosh", "huber", "poisson", Tweedie(power=1.2)], ids=str)
def test_several_targets(loss, X, z):
    Y = np.exp(np.column_stack([z, -z]))
    model = SGDVariantRegressor(loss, epsilon="auto").fit(X, Y)
    exported = model.to_sklearn()
    assert isinstance(exported, (Ridge, LinearRegression, MultiOutputRegressor))
    assert same(model, exported, X)


def test_levels_of_a_quantile_are_several_targets(X, z):
    model = SGDVariantRegressor(Quantile([0.1, 0.5, 0.9])).fit(X, z)
    exported = model.to_sklearn()
    assert [part.quantile for part in exported.estimators_] == [0.1, 0.5, 0.9]
    assert same(model, exported, X)


def test_parameters_of_losses_are_kept(X, z):
    y = np.exp(z)
    assert SGDVariantRegressor("huber", epsilon=0.5).fit(X, y).to_sklearn().scale_ * 1.35 == pytest.approx(0.5)
    assert SGDVariantRegressor("epsilon_insensitive", epsilon=0.2).fit(X, y).to_sklearn().epsilon == 0.2
    assert SGDVariantRegressor(Quantile(0.8)).fit(X, y).to_sklearn().quantile == 0.8
    tweedie = SGDVariantRegressor(Tweedie(power=1.2)).fit(X, y).to_sklearn()
    assert (tweedie.power, tweedie.link) == (1.2, "log")


def test_names_precision_and_independence(X, z):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X.astype(np.float32), columns=list("abcd"))
    for y in (z > 0, np.column_stack([z > 0, z > 1]).astype(int)):
        model = SGDVariantClassifier().fit(frame, y)
        exported = model.to_sklearn()
        assert exported.feature_names_in_.tolist() == list("abcd")
        np.testing.assert_array_equal(exported.predict(frame), model.predict(frame))
        with pytest.raises(ValueError, match="feature names"):
            exported.predict(frame[list("dcba")])
    before = pickle.dumps(exported)
    model.coef_[:] = 0.0
    assert pickle.dumps(exported) == before
    single = SGDVariantClassifier().fit(frame, z > 0).to_sklearn()
    assert single.coef_.dtype == np.float32


def test_a_stream_can_be_exported(X, z):
    model = SGDVariantClassifier().partial_fit(X[:30], z[:30] > 0, classes=[False, True])
    assert same(model, model.to_sklearn(), X)
    growing = SGDVariantClassifier(on_new_class="grow").partial_fit(X[:5], ["a"] * 5)
    with pytest.raises(ValueError, match="two classes, and the stream has shown 'a' only"):
        growing.to_sklearn()


class Own(Hinge):
    """A margin loss of a user's own."""


class OwnProbability(LogLoss):
    """A loss with probabilities that scikit-learn need not know."""


class OwnResidual(Loss):
    """A regression loss of a user's own."""

    regression = True
    max_curvature = 1.0

    def value(self, y, z):
        return 0.5 * (y - z) ** 2

    def gradient(self, y, z, out):
        return np.subtract(z, y, out=out)


def test_losses_of_ones_own(X, z):
    model = SGDVariantClassifier(Own()).fit(X, z > 0)
    assert same(model, model.to_sklearn(), X)
    model = SGDVariantRegressor(OwnResidual()).fit(X, z)
    assert type(model.to_sklearn()) is LinearRegression
    assert same(model, model.to_sklearn(), X)
    with pytest.raises(ValueError, match="no classifier with the probabilities of the loss OwnProbability"):
        SGDVariantClassifier(OwnProbability()).fit(X, z > 0).to_sklearn()


def test_shares_have_no_counterpart(X, z):
    with pytest.raises(ValueError, match="no regressor with the link of the loss Binomial.*arrays"):
        SGDVariantRegressor("binomial").fit(X, (z > 0) * 0.5).to_sklearn()


def test_skops_asks_for_no_trust(X, z):
    skops = pytest.importorskip("skops.io")
    labels = np.column_stack([z > 0, z > 1]).astype(int)
    models = [SGDVariantClassifier().fit(X, y) for y in (z > 0, labels)]
    for model in [*models, SGDVariantRegressor().fit(X, z), SGDVariantRegressor("poisson").fit(X, np.exp(z))]:
        saved = skops.dumps(model.to_sklearn())
        assert skops.get_untrusted_types(data=saved) == []
        assert same(model, skops.loads(saved), X)


def onnx_outputs(exported, X):
    """What the runtime of ONNX predicts in single precision."""
    skl2onnx, runtime = pytest.importorskip("skl2onnx"), pytest.importorskip("onnxruntime")
    X = X.astype(np.float32)
    options = {id(exported): {"zipmap": False}} if hasattr(exported, "predict_proba") else None
    graph = skl2onnx.to_onnx(exported, X[:1], options=options)
    session = runtime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: X})


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("scaled", [False, True])
def test_onnx_of_classifiers(n_classes, scaled, X, z):
    y = np.array(["a", "b", "c"])[np.searchsorted([0.0, 0.8][: n_classes - 1], z)]
    model = SGDVariantClassifier().fit(X, y)
    exported = model.to_sklearn()
    if scaled:
        scaler = StandardScaler().fit(X)
        model = SGDVariantClassifier().fit(scaler.transform(X), y)
        exported = make_pipeline(scaler, model.to_sklearn())
        model = make_pipeline(scaler, model)
    label, probability = onnx_outputs(exported, X)
    np.testing.assert_allclose(probability, model.predict_proba(X), atol=1e-5)
    assert (label == model.predict(X)).mean() > 0.98  # but for ties in single precision


@pytest.mark.parametrize("loss", REGRESSORS)
def test_onnx_of_regressors(loss, X, z):
    model = SGDVariantRegressor(loss).fit(X, np.exp(z))
    (found,) = onnx_outputs(model.to_sklearn(), X)
    np.testing.assert_allclose(found.ravel(), model.predict(X), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("needs", [["onnxruntime", "skl2onnx"], ["shap", "matplotlib"]], ids="".join)
def test_the_examples_of_the_guide_work(needs):
    for name in needs:
        pytest.importorskip(name)
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:   .*\n|\n)+)", GUIDE.read_text())
    [example] = [block for block in blocks if needs[0] in block]
    exec(compile(textwrap.dedent(example), GUIDE.name, "exec"), {})
