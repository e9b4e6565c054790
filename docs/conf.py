"""Configuration of the documentation: `sphinx-build -W docs docs/_build`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import jaxgan

project = "jaxgan"
author = "the authors of jaxgan"
version = release = jaxgan.__version__
html_title = f"jaxgan {version}"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx-mathjax-offline",  # formulas without a server of someone else
    "generated_pages",
]
exclude_patterns = ["_build", "_ext", "jupyter_execute", "**/.ipynb_checkpoints"]

html_theme = "furo"
html_theme_options = {"navigation_with_keys": True}
# Pages must not fetch anything.
html_show_sphinx = False

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
# `$` is also that of shells.
myst_dmath_double_inline = False
# The notebooks are executed by the tests.
nb_execution_mode = "off"
suppress_warnings = ["misc.highlighting_failure"]

autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
