# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Settings of the manual: Markdown by MyST, the furo theme, reference pages from docstrings."""

from importlib.metadata import version as _version

project = "kcoro"
copyright = "the kcoro authors"
author = "the kcoro authors"
version = release = _version("kcoro-core")

extensions = ["myst_parser", "sphinx.ext.autodoc"]
# The fragments become the changelog at a release; the tools make the tables.
exclude_patterns = ["_build", "_tools", "news.d"]

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]
suppress_warnings = [
    # A page links README.md and CHANGELOG.md as they lie in the repository; Sphinx does not build those.
    "myst.xref_missing",
]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "show-inheritance": True}

html_theme = "furo"
html_title = "kcoro"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6e69", "color-brand-content": "#0b6e69"},
    "dark_css_variables": {"color-brand-primary": "#5fd1c9", "color-brand-content": "#5fd1c9"},
}
