"""The tables and the page that are made of the results, from made-up ones."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from pictures import picture
from PIL import Image

pytest.importorskip("scipy")
pytest.importorskip("plotly")

from benchmarks.__main__ import main
from benchmarks.comparison import Comparison, compare
from benchmarks.measurement import Measurement
from benchmarks.results import Average, average, write_rows
from benchmarks.tables import TABLES, filled
from codec.networks.heads import HEADS

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENTS = [ROOT / name for name in ("README.md", "SECURITY.md")]
DOCUMENTS.append(ROOT / "benchmarks" / "README.md")
SCRIPT = """
import json, os, sys
os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["QTWEBENGINE_CHROMIUM_FLAGS"] = "--no-sandbox --disable-gpu"
from PyQt6.QtCore import QTimer, QUrl
from PyQt6.QtWebEngineCore import QWebEnginePage
from PyQt6.QtWidgets import QApplication

messages = []

class Page(QWebEnginePage):
    def javaScriptConsoleMessage(self, level, message, line, source):
        messages.append(message)

application = QApplication(sys.argv)
page = Page()

def done(found):
    print(json.dumps({"messages": messages, **json.loads(found)}))
    application.quit()

def ask(ok):
    QTimer.singleShot(3000, lambda: page.runJavaScript(sys.argv[2], done))

page.loadFinished.connect(ask)
page.load(QUrl.fromLocalFile(sys.argv[1]))
QTimer.singleShot(60000, application.quit)
application.exec()
"""
QUESTION = """(() => {
  const range = document.getElementById("cut");
  range.value = 20;
  range.dispatchEvent(new Event("input"));
  const images = [...document.querySelectorAll(".sheet img")];
  return JSON.stringify({
    clip: getComputedStyle(images[1]).clipPath,
    widths: images.map(image => image.complete ? image.naturalWidth : 0),
    facts: document.getElementById("left-facts").textContent,
    plots: document.querySelectorAll(".js-plotly-plot").length,
  });
})()"""


@pytest.fixture
def results(tmp_path):
    """Results as the other subcommands write them."""
    rows = [
        Measurement("a.png", name, q, 8, 8, 1, rate, psnr, psnr + 2, 0.9 + q / 2000, q)
        for name, factor in (("aecodec", 0.5), ("jpeg", 1.0), ("webp", 0.7))
        for q, rate, psnr in (
            (20, factor / 4, 28),
            (50, factor, 33),
            (80, 4 * factor, 38),
        )
    ]
    averages = average(rows)
    write_rows(tmp_path / "kodak_summary.csv", Average, averages)
    compared = compare(averages, rows)
    write_rows(tmp_path / "kodak_bd_rates.csv", Comparison, compared)
    facts = {"model": "base-0", "images": 1, "codecs": {}}
    (tmp_path / "kodak_versions.json").write_text(json.dumps(facts))
    speed = [
        {"codec": name, "megapixels": size, "threads": n}
        | {"encode_mp_s": 2.5 * n, "decode_mp_s": 4 * n}
        for name in ("aecodec", "jpeg")
        for size in (0.4, 24)
        for n in (1, 2)
    ]
    write(tmp_path / "speed.csv", speed)
    weak = [
        {"kind": kind, "codec": name, "percent": value, "exact_percent": exact}
        for kind, name, value, exact in (
            ("text", "aecodec-psnr", 12.345, "nan"),
            ("text", "webp", "nan", "nan"),
            ("charts", "aecodec-psnr", 12.345, -30),
            ("charts", "webp", "nan", -20),
        )
    ]
    write(tmp_path / "weaknesses.csv", weak)
    return tmp_path


def write(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def page(results, tmp_path):
    """report.html"""
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.fromarray(picture(64, 96)).save(folder / "a.png")
    arguments = ["report", folder, "--results", results]
    arguments += ["--image", "a.png", "--bpp", "2"]
    result = CliRunner().invoke(main, map(str, arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return results / "report.html"


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_the_tables_of_the_documents_are_those_of_the_results(document):
    text = document.read_text(encoding="utf-8")
    assert "<!-- table " in text
    assert filled(text, RESULTS) == text


def test_a_table_is_replaced_between_its_marks(results):
    text = "before\n<!-- table qualities -->\nold\n<!-- end -->\nafter\n"
    new = filled(text, results)
    assert new.startswith("before\n<!-- table qualities -->\n|  | quality |")
    assert new.endswith("|\n<!-- end -->\nafter\n")
    assert "old" not in new
    assert filled(new, results) == new


def test_bd_rates_are_sorted_and_say_their_range(results):
    lines = TABLES["bd-rates"](results).splitlines()
    assert "| **aecodec** | -50.0 % | -50.0 % | -50 to -50 |" in lines[2]
    assert "-30.0 %" in lines[3]
    assert lines[-1] == "Common range: 28.0 to 38.0 dB."


def test_speed_is_that_of_two_threads(results):
    lines = TABLES["speed"](results).splitlines()
    assert lines[2] == "| **aecodec** | 5.0 | 5.0 | 8.0 | 8.0 |"


def test_a_weakness_without_common_quality_is_none(results):
    assert "| text | +12.3 % | none |" in TABLES["weaknesses"](results)


def test_weaknesses_say_what_exact_files_take(results):
    expected = "| charts | +12.3 %; exact -30.0 % | exact -20.0 % |"
    assert expected in TABLES["weaknesses"](results)


def test_missing_results_are_named(tmp_path):
    (tmp_path / "table.md").write_text("<!-- table speed -->\n<!-- end -->\n")
    arguments = ["tables", str(tmp_path / "table.md"), "--results", str(tmp_path)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "speed.csv" in result.output


def test_the_page_needs_no_network_and_has_all_pictures(page):
    text = page.read_text(encoding="utf-8")
    loads = re.findall(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=[^>]*", text)
    assert not [tag for tag in loads if "http" in tag]
    match = re.search(r'id="pictures">(.*?)</script>', text, re.DOTALL)
    shown = json.loads(match[1])["a.png"]
    files = shown["rates"]["2"]
    assert next(iter(files)) == "aecodec"
    for file in (shown["original"], *files.values()):
        assert file["source"].startswith("data:image/webp;base64,")
    sizes = {name: int(file["facts"].split()[0]) for name, file in files.items()}
    assert all(size <= sizes["aecodec"] for size in sizes.values())
    uses = re.findall(r"<h3>(\w+): ", text)
    assert list(uses) == list(HEADS)
    assert text.count('alt="aecodec"') == len(HEADS)


def test_the_page_works_in_a_browser(page):
    try:
        from PyQt6 import QtWebEngineCore  # noqa: F401
    except ImportError:
        pytest.skip("needs `pip install aecodec[browser]` and its system libraries")
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(page), QUESTION],
        capture_output=True,
        text=True,
        env=os.environ,
        check=True,
    )
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["messages"] == []
    assert found["clip"].endswith("20%)")
    assert found["widths"] == [96, 96]
    assert found["facts"].startswith("aecodec: ")
    assert found["plots"] == 4
