"""Links of the documentation: what the check of the built pages finds, and where identifiers end."""

import runpy
import sys
import types
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
GOOD = """<h1 id="top">Top</h1><a href="#top">up</a> <a href="b/other.html#there">there</a>
<a href="https://doi.org/10.1016/S0893-6080(98)00116-6">doi</a> <a class="reference" href="b/other.html">
<code class="xref py-class">Other</code></a> <img src="picture.png" alt="a line"> <code class="literal">code</code>"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "other.html").write_text('<p id="there"><a href="../a.html">back</a></p>')
    for picture in ("picture.png", "b/x_plot_1_thumb.png"):
        (tmp_path / picture).write_bytes(b"")
    (tmp_path / "a.html").write_text(GOOD)
    return tmp_path


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ("", None),
        ('<a href="c.html">c</a>', "a.html: c.html has no file"),
        ('<a href="b/other.html#here">c</a>', "a.html: b/other.html#here has no anchor"),
        ('<a href="#bottom">c</a>', "a.html: #bottom has no anchor"),
        ('<a href="http://example.org">c</a>', "a.html: http://example.org is not https"),
        ('<a href="https://doi.org/10.1/x)">c</a>', "a.html: https://doi.org/10.1/x) does not end where it should"),
        (
            '<code class="xref py py-class"><span>Adamm</span></code>',
            "a.html: the cross-reference 'Adamm' leads nowhere",
        ),
        ('<img src="none.png" alt="none">', "a.html: the picture none.png is not there"),
        ('<img src="picture.png">', "a.html: the picture picture.png has no alternative text"),
        (
            '<img src="b/x_plot_1_thumb.png" alt="">',
            "a.html: the picture b/x_plot_1_thumb.png has no alternative text",
        ),
        (
            '<img src="b/x_plot_1_thumb.png" alt="plot 1">',
            "a.html: the picture b/x_plot_1_thumb.png has its name as alternative text: give the figure a title",
        ),
    ],
)
def test_a_link_that_leads_nowhere_is_named(folder, bad, sentence):
    problems = runpy.run_path(str(DOCS / "check_links.py"))["problems"]
    (folder / "a.html").write_text(GOOD + bad)
    assert problems(folder) == ([] if sentence is None else [sentence])


def test_brackets_belong_to_an_identifier_in_pairs(monkeypatch):
    pytest.importorskip("docutils")
    pytest.importorskip("sphinx")
    monkeypatch.setattr(sys, "path", [str(DOCS / "_ext"), *sys.path])
    linked = pytest.importorskip("skvariants_docs").linked
    for text, identifier in (
        ("(Zadrozny 2002, doi:10.1145/775047.775151).", "10.1145/775047.775151"),
        ("Qian (1999), doi:10.1016/S0893-6080(98)00116-6.", "10.1016/S0893-6080(98)00116-6"),
        ("doi:10.1198/016214506000000735, and", "10.1198/016214506000000735"),
    ):
        link = f"`doi:{identifier} <https://doi.org/{identifier}>`__"
        assert linked(text) == text.replace(f"doi:{identifier}", link)


def test_a_thumbnail_is_described_by_the_title_of_its_example(monkeypatch):
    nodes = pytest.importorskip("docutils.nodes")
    pytest.importorskip("sphinx")
    monkeypatch.setattr(sys, "path", [str(DOCS / "_ext"), *sys.path])
    describe = pytest.importorskip("skvariants_docs").describe_thumbnails
    titles = {"gallery/plot_01_rate": nodes.title("", "Too small, right, too large")}
    images = [
        nodes.image(uri="gallery/images/thumb/sphx_glr_plot_01_rate_thumb.png", alt=""),
        nodes.image(uri="gallery/images/thumb/sphx_glr_plot_01_rate_thumb.png", alt="said"),
        nodes.image(uri="images/race.png", alt=""),
    ]
    app = types.SimpleNamespace(env=types.SimpleNamespace(titles=titles))
    describe(app, nodes.container("", *images), "gallery/index")
    assert [image["alt"] for image in images] == ["Picture of the example: Too small, right, too large", "said", ""]
