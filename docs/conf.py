"""How the documentation is built: ``sphinx-build -W --keep-going -n docs out/docs``. No network is needed."""

from __future__ import annotations

import collapse_audit

project = "collapse-audit"
author = "the authors of collapse-audit"
version = release = collapse_audit.__version__

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}
nitpicky = True
smartquotes = False  # --option is no dash

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "collapse-audit"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["collapse-audit.css"]
pygments_style = "friendly"
pygments_dark_style = "native"
