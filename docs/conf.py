"""Configuration of the manual."""

import sys
from pathlib import Path

import soxspipe

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "soxspipe"
author = "soxspipe developers"
copyright = "2026, soxspipe developers"  # noqa: A001 - the name Sphinx asks for
release = version = soxspipe.__version__

extensions = ["myst_parser", "recipe_pages"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_ext"]

html_theme = "furo"
html_title = f"soxspipe {release}"
html_show_sourcelink = False
