"""The static site: `sphinx-build -W -c docs . build/site`, which needs no network.

Sources are read from the root of the checkout, so that links between documents lead to
the same places on the site and where the repository is hosted.
"""

import re
import sys
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from flowchart import Flowchart  # noqa: E402

import codec  # noqa: E402

project = "aecodec"
copyright = "aecodec contributors, Apache-2.0"
release = codec.__version__

external_toc_path = "docs/_toc.yml"
include_patterns = [
    "docs/**.md",
    "codec/**.md",
    "benchmarks/README.md",
    "tests/fuzz/README.md",
    "*.md",
]
exclude_patterns = [".*", "build", "dist", "runs"]
extensions = [
    "myst_parser",
    "sphinx_external_toc",
    "sphinx.ext.autodoc",
    "sphinx_click",
]
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]
default_role = "literal"  # what docstrings mean by single backticks
smartquotes = False  # -- is the beginning of an option
autodoc_preserve_defaults = True
autodoc_typehints = "description"

html_theme = "furo"
html_title = f"aecodec {release}"
html_extra_path = ["site"]
html_copy_source = False
html_theme_options = {"top_of_page_buttons": []}


def keep_percent(app: Sphinx, name: str, source: list[str]) -> None:
    """A number and its percent sign stay on one line."""
    source[0] = re.sub(r"(?<=\d) %", "\u00a0%", source[0])


def setup(app: Sphinx) -> None:
    app.connect("source-read", keep_percent)
    app.add_directive("mermaid", Flowchart)
    app.add_lexer("hex", TextLexer)
