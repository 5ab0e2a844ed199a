"""The site of these pages: `make docs`. Its navigation stands in index.md."""

project = "Loopmix"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "Loopmix"
html_copy_source = False
html_show_copyright = False
myst_heading_anchors = 4  # the anchors that GitHub makes, so that links hold in both places
templates_path: list[str] = []
