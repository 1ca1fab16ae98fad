"""Links of the HTML representation go to pages that exist, and only where somebody said where they are."""

import html
import re

import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skvariants
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.diagnostics import diagnose
from skvariants.model_selection import BatchedGridSearchCV
from skvariants.solvers import Adam, Momentum, Solver

URL = "file:///somewhere/html"


class Own(Solver):
    def step(self, g, t, work):
        return g, None


@pytest.fixture
def base():
    skvariants.set_docs_url(URL + "/")
    yield
    skvariants.set_docs_url(None)


def test_there_are_no_links_unless_an_address_is_set():
    assert SGDVariantClassifier()._get_doc_link() == ""
    assert 'href="' not in SGDVariantRegressor()._repr_html_()


@pytest.mark.usefixtures("base")
@pytest.mark.parametrize(
    ("thing", "page"),
    [
        (SGDVariantClassifier(), "skvariants.SGDVariantClassifier"),
        (SGDVariantRegressor(), "skvariants.SGDVariantRegressor"),
        (Momentum(), "skvariants.solvers.Momentum"),
        (BatchedGridSearchCV(SGDVariantClassifier(), {}), "skvariants.model_selection.BatchedGridSearchCV"),
    ],
)
def test_a_link_leads_to_the_page_of_the_class(thing, page):
    address = f"{URL}/api/generated/{page}.html"
    assert thing._get_doc_link() == address
    assert f'href="{address}' in thing._repr_html_()


@pytest.mark.usefixtures("base")
def test_the_diagram_of_a_pipeline_links_to_its_step():
    diagram = make_pipeline(StandardScaler(), SGDVariantRegressor())._repr_html_()
    assert f'href="{URL}/api/generated/skvariants.SGDVariantRegressor.html' in diagram


@pytest.mark.usefixtures("base")
def test_a_report_links_to_its_page():
    report = diagnose([[0.0], [1.0], [2.0], [4.0]], [0.0, 1.0, 2.5, 4.5], random_state=0)
    assert f"href='{URL}/api/generated/skvariants.diagnostics.Diagnosis.html'" in report._repr_html_()
    skvariants.set_docs_url(None)
    assert "href" not in report._repr_html_()


@pytest.mark.usefixtures("base")
def test_a_class_of_the_user_has_no_page():
    assert Own()._get_doc_link() == ""


def test_an_address_is_text():
    with pytest.raises(TypeError, match=r"url=7 is not accepted"):
        skvariants.set_docs_url(7)


def words(diagram):
    """What a diagram shows, without its styles and scripts."""
    text = re.sub(r"<(style|script).*?</\1>", "", diagram, flags=re.S)
    return html.unescape(re.sub("<[^>]*>", " ", text))


def test_the_diagram_shows_whole_words():
    X, y = [[0.0], [1.0], [2.0], [4.0]], [0.0, 1.0, 2.5, 4.5]
    model = SGDVariantRegressor(solver=Adam(beta_1=0.85, beta_2=0.9995), tol=1e-2).fit(X, y)
    search = BatchedGridSearchCV(model, {"alpha": [1e-3, 1e-2]}, cv=2).fit(X, y)
    stream = SGDVariantRegressor(tol=1e-2).partial_fit(X, y)
    for fitted in (model, search, stream):
        shown = words(fitted._repr_html_())
        assert re.findall(r"[a-z_]\.\.\.|\.\.\.[a-z_]", shown, re.I) == []
        if "Fitted attributes" in shown:  # scikit-learn 1.9
            best = getattr(fitted, "best_estimator_", fitted)
            assert repr(best.status_) in shown
            assert repr(best.suboptimality_kind_) in shown
            assert "'objective': [" in shown
    shown = words(model._repr_html_())
    assert "Parameters" not in shown or "Adam(...)" in shown  # from scikit-learn 1.7 on
    assert "beta_2" in shown
