"""Configuration of the documentation: ``sphinx-build -W --keep-going docs docs/_build/html``."""

import os
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]
os.environ.setdefault("MPLBACKEND", "Agg")

import skvariants  # noqa: E402

# representations in the gallery lead to the pages beside it
skvariants.set_docs_url("..")

project = "skvariants"
author = "skvariants developers"
copyright = author
version = release = skvariants.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "sphinx-mathjax-offline",
    "skvariants_docs",
    "formulas",
    "thumbnails",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_ext", "_templates"]
default_role = "code"
nitpicky = False
# the built pages fetch nothing from elsewhere
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
smartquotes_action = "De"  # quotes stay as they are typed, as most are strings

html_theme = "pydata_sphinx_theme"
html_title = "skvariants"
html_static_path = ["_static"]
html_css_files = ["skvariants.css"]
html_show_sourcelink = False
html_show_sphinx = False
html_copy_source = False
_WITHOUT_SECTIONS = (
    "index", "getting_started", "defaults", "coming_from_sgdclassifier", "benchmarks", "contributing", "changelog",
)  # fmt: skip
html_sidebars = {page: [] for page in _WITHOUT_SECTIONS}
html_theme_options = {
    "show_nav_level": 1,
    "header_links_before_dropdown": 8,
    "navigation_with_keys": False,
    # the gallery gives its room to the code
    "secondary_sidebar_items": {
        page: ["page-toc"] for page in ("guide/**", "api/**", "choosing*", *_WITHOUT_SECTIONS) if page != "index"
    },
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

autosummary_generate = True
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
# a public name without a docstring, or a parameter without a description, fails the build
numpydoc_validation_checks = {"GL03", "GL08", "PR01", "PR02", "PR03", "PR10", "SS01", "YD01"}
numpydoc_validation_exclude = {
    r"\.set_(fit|partial_fit|score|predict)_request$",
    r"\.(get_params|set_params|get_metadata_routing|score|set_callbacks|fit_predict|fit_transform)$",
    # methods of components, whose parameters the interface describes
    r"skvariants\.(solvers|schedules|penalties|losses)\.\w+\.\w+$",
}

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"quickstart|benchmarks|__init__",
    "doc_module": ("skvariants",),
    "backreferences_dir": "api/backreferences",
    "inspect_global_variables": True,
    "remove_config_comments": True,
    "abort_on_example_error": False,
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "min_reported_time": 5,
    "write_computation_times": False,
    "matplotlib_animations": False,
    "image_scrapers": ("thumbnails",),
    "image_srcset": ["2x"],
    "thumbnail_size": (600, 420),
    "within_subsection_order": "FileNameSortKey",
    "capture_repr": ("_repr_html_",),
    "plot_gallery": "True",
}
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")
