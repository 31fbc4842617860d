"""The site is built of the documents without a warning, and loads nothing."""

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from codec.app.cli import main

ROOT = Path(__file__).parent.parent
PACKAGES = ("sphinx", "furo", "myst_parser", "sphinx_click", "sphinx_external_toc")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for name in PACKAGES:
        pytest.importorskip(name, reason="needs `pip install aecodec[docs]`")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q"]
    command += ["-d", str(folder / "doctrees"), "-c", "docs", ".", str(folder / "html")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return folder / "html"


def text_of(page):
    return unescape(re.sub("<[^>]*>", "", page.read_text(encoding="utf-8")))


def test_pages_load_nothing_from_outside(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        tags = re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*>", text)
        assert not [
            tag for tag in tags if re.search(r'(?:src|href)="(?:https?:)?//', tag)
        ]
    for style in site.rglob("*.css"):
        assert not re.search(
            r"(?:@import|url\()\s*[\"']?(?:https?:)?//", style.read_text()
        )


def test_the_first_page_is_the_index(site):
    assert (site / "docs" / "README.html").exists()
    assert "url=docs/README.html" in (site / "index.html").read_text(encoding="utf-8")


def test_commands_and_functions_are_described(site):
    commands = text_of(site / "docs" / "commands.html")
    assert all(f"aecodec {name}" in commands for name in main.commands)
    functions = text_of(site / "docs" / "api.html")
    for name in ("encode", "decode", "salvage", "features", "read_info", "read_model"):
        assert f"codec.{name}(" in functions


def test_flowcharts_are_drawn(site):
    source = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = (site / "docs" / "architecture.html").read_text(encoding="utf-8")
    assert drawn.count("<rect ") == source.count('["') > 5
    assert drawn.count("marker-end") == len(re.findall("--> |-.-> ", source)) > 5
