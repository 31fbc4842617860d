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
from benchmarks.codecs import CODECS
from benchmarks.comparison import Comparison, compare
from benchmarks.measurement import Measurement
from benchmarks.report import file_of_size, html_table, middle, spread
from benchmarks.results import Average, average, write_rows
from benchmarks.styles import MARKS, STYLES
from benchmarks.tables import TABLES, filled
from codec.networks.heads import HEADS

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENTS = [ROOT / name for name in ("README.md", "SECURITY.md")]
DOCUMENTS += [ROOT / name for name in ("benchmarks/README.md", "docs/measured.md")]
SCRIPT = """
import json, os, sys
os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["QTWEBENGINE_CHROMIUM_FLAGS"] = "--no-sandbox --disable-gpu"
from PyQt6.QtCore import QTimer, QUrl
from PyQt6.QtWebEngineCore import QWebEnginePage
from PyQt6.QtWebEngineWidgets import QWebEngineView
from PyQt6.QtWidgets import QApplication

messages = []

class Page(QWebEnginePage):
    def javaScriptConsoleMessage(self, level, message, line, source):
        messages.append(message)

application = QApplication(sys.argv)
window, page = QWebEngineView(), Page()
window.setPage(page)
window.resize(390, 800)
window.show()

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
  stage.scrollIntoView();
  const box = stage.getBoundingClientRect();
  const isHandle = share => {
    const x = box.left + share * box.width, y = box.top + box.height / 2;
    return document.elementFromPoint(x, y) === range;
  };
  const zoom = document.getElementById("zoom");
  const handles = [...zoom.options].map(option => {
    zoom.value = option.value;
    zoom.dispatchEvent(new Event("change"));
    return [isHandle(0.2), isHandle(0.8)];
  });
  const before = view.x;
  const drag = (type, x) => stage.dispatchEvent(
    new PointerEvent(type, {pointerId: 1, clientX: x, clientY: 0}));
  stage.setPointerCapture = () => {};
  stage.hasPointerCapture = () => true;
  drag("pointerdown", 50);
  drag("pointermove", 40);
  const images = [...document.querySelectorAll(".layer img")];
  return JSON.stringify({
    clip: getComputedStyle(images[1].parentElement).clipPath,
    handles: handles,
    panned: view.x - before,
    widths: images.map(image => image.complete ? image.naturalWidth : 0),
    facts: document.getElementById("left-facts").textContent,
    plots: document.querySelectorAll(".js-plotly-plot").length,
    seen: plots.filter(plot => !plot.hidden).length,
    buttons: [...new Set([...document.querySelectorAll(".modebar-btn")].map(
      button => button.dataset.title))],
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
    arguments += ["--bpp", "2"]
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


def test_every_codec_has_a_style_that_is_told_apart_in_gray():
    assert list(STYLES) == list(CODECS)
    assert len({(s.dash, s.marker) for s in STYLES.values()}) == len(STYLES)
    assert {style.marker for style in STYLES.values()} == set(MARKS)


def test_markdown_of_tables_is_shown_as_such():
    page = html_table("| **ours** | `-q` |\n| --- | --- |\n| a | < 1 |\n\nA note.\n")
    assert "<th><strong>ours</strong></th>" in page
    assert "<th><code>-q</code></th>" in page
    assert "<td>&lt; 1</td>" in page
    assert "<p>A note.</p>" in page


def test_pictures_of_any_folder_are_shown():
    names = [f"{number:02}.png" for number in range(24)]
    assert spread([Path(name) for name in names]) == ["04.png", "12.png", "20.png"]
    assert spread([Path("a.png")]) == ["a.png"]


def test_the_middle_of_a_large_picture_has_even_sides():
    image = Image.fromarray(picture(51, 99))
    assert middle(image, 64).size == (64, 50)
    assert middle(image, 64).getpixel((0, 0)) == image.getpixel((17, 0))


def test_a_file_is_the_largest_within_the_size():
    image = Image.fromarray(picture(64, 96))
    jpeg = CODECS["jpeg"]
    sizes = [len(jpeg.encode(image, quality)) for quality in range(1, 101)]
    assert len(file_of_size(jpeg, image, sizes[49])) == sizes[49]
    assert len(file_of_size(jpeg, image, 1)) == sizes[0]


def test_the_page_needs_no_network_and_has_all_pictures(page):
    text = page.read_text(encoding="utf-8")
    loads = re.findall(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=[^>]*", text)
    assert not [tag for tag in loads if "http" in tag]
    match = re.search(r'id="pictures">(.*?)</script>', text, re.DOTALL)
    shown = json.loads(match[1])["a.png"]
    files = shown["rates"]["2"]
    assert next(iter(files)) == "aecodec"
    assert {name.split(":")[0] for name in files} >= {"aecodec", "AVIF", "JPEG"}
    assert "aecodec, tune psnr" in files
    assert CODECS["jxl"].available == any("JPEG XL" in name for name in files)
    for file in (shown["original"], *files.values()):
        assert file["source"].startswith("data:image/")
    sizes = [int(file["facts"].split()[0].replace(",", "")) for file in files.values()]
    assert max(sizes) <= 2 * 64 * 96 / 8
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
    assert found["handles"] == [[True, False]] * 5
    assert found["panned"] == -10
    assert found["widths"] == [96, 96]
    assert found["facts"].startswith("aecodec: ")
    assert (found["plots"], found["seen"]) == (4, 1)
    assert "Zoom in" in found["buttons"]
    assert not any("Share" in button for button in found["buttons"])
