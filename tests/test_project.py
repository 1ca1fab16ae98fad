"""What a project brings beside its source: what it says of itself, and that its files agree and lead somewhere."""

import importlib.util
import os
import re
import runpy
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import numpy as np
import pytest

import skvariants

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "guide").glob("*.md")])
WITH_ADDRESSES = sorted(
    path for folder in ("skvariants", "docs", "examples") for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".rst", ".md") and not {"generated", "gallery", "_build"} & set(path.parts)
)  # fmt: skip
#: as publishers write them; brackets come in pairs
DOI = re.compile(r"10\.\d{4,9}/[^\s`<>\"']+")


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture
def build_hook(monkeypatch):
    """The hook of the build, whose base class need not be installed."""
    stub = types.ModuleType("hatchling.metadata.plugin.interface")
    stub.MetadataHookInterface = object
    monkeypatch.setitem(sys.modules, stub.__name__, stub)
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_versions_are_printed(capsys):
    runpy.run_module("skvariants", run_name="__main__")
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["skvariants"] == skvariants.__version__
    assert lines["numpy"] == np.__version__
    assert "threads" in lines["blas"]


def test_a_reader_of_the_first_line_alone_ends_the_report_in_silence():
    gone, pipe = os.pipe()
    os.close(gone)
    with open(pipe, "wb") as writer:
        done = subprocess.run([sys.executable, "-m", "skvariants"], stdout=writer, stderr=subprocess.PIPE, text=True)
    assert done.stderr == ""
    assert done.returncode == 0


def test_files_agree_on_version_licence_and_requirements(project):
    recipe, citation = (ROOT / "conda" / "recipe.yaml").read_text(), (ROOT / "CITATION.cff").read_text()
    assert f'version: "{skvariants.__version__}"' in recipe
    assert f"version: {skvariants.__version__}\n" in citation
    for text in (recipe, citation):
        assert f"license: {project['license']}\n" in text
    assert f"- python {project['requires-python']}\n" in recipe
    for requirement in project["dependencies"]:
        assert f"- {requirement.replace('>=', ' >=')}\n" in recipe
    assert f"\n## {skvariants.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_readme_is_readable_without_the_repository(build_hook):
    text = (ROOT / "README.md").read_text()
    alone = build_hook.readable_anywhere(text, "")
    assert "](docs" not in alone
    assert "choosing a solver" in alone
    linked = build_hook.readable_anywhere(text, "https://host.example/us/skvariants")
    assert "![" in linked
    assert "(https://host.example/us/skvariants/raw/main/docs/images/" in linked
    assert "[choosing a solver](https://host.example/us/skvariants/blob/main/docs/choosing.md)" in linked
    assert build_hook.addresses("") == {}
    assert all(
        url.startswith("https://host.example/") for url in build_hook.addresses("https://host.example/a").values()
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_to_files_lead_somewhere(page):
    for target in re.findall(r"]\((?!https?:|#)([^)#]+)", page.read_text()):
        found = page.parent / target
        assert found.exists() or found.with_suffix(".rst").exists() or target.startswith("gallery/"), target


def test_addresses_are_whole():
    for path in WITH_ADDRESSES:
        for doi in DOI.findall(path.read_text()):
            cut = doi.rstrip(".,;:")
            while cut.endswith(")") and cut.count(")") > cut.count("("):
                cut = cut[:-1].rstrip(".,;:")
            assert cut.count("(") == cut.count(")"), f"{path.name}: {doi}"
            assert len(cut.split("/", 1)[1]) > 3, f"{path.name}: {doi}"
