"""Links of the HTML representation go to pages that exist, and only where somebody said where they are."""

import html

import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skvariants
from skvariants import SGDVariantClassifier, SGDVariantRegressor
from skvariants.diagnostics import diagnose
from skvariants.model_selection import BatchedGridSearchCV
from skvariants.solvers import Momentum, Solver

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


def test_the_diagram_shows_whole_words():
    model = SGDVariantRegressor(tol=1e-2).fit([[0.0], [1.0], [2.0], [4.0]], [0.0, 1.0, 2.5, 4.5])
    diagram = model._repr_html_()
    if "Fitted attributes" in diagram:  # scikit-learn 1.9
        assert html.escape(repr(model.suboptimality_kind_)) in diagram
        assert html.escape(repr(model.status_)) in diagram
