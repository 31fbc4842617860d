"""Looking at pictures: what is shown, which part of it, and where."""

import os
import subprocess
import sys
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from command_line import ORIGINAL, fails, succeeds
from make_golden import GOLDEN
from pictures import psnr
from PIL import Image, ImageShow

import codec
from codec.app.commands import view as command
from codec.app.screen import Shown, open_for_screen, size_text
from codec.app.viewer.view import View, dragged, drawn, fitted, zoomed
from codec.options import DecodeOptions
from codec.picture.profiles import rgb_profile

ROOT = Path(__file__).parent.parent
PICTURE, WINDOW = (300, 200), (100, 100)
TURNED = 6  # EXIF: to be turned by 90 degrees, clockwise
XVFB = pytest.mark.skipif(not which("xvfb-run"), reason="no display to be had")
SWAPPED = rgb_profile(  # red and green have each other's chromaticities
    "swapped", ((0.3, 0.6), (0.64, 0.33), (0.15, 0.06), (0.3127, 0.329)), (2.2,)
)


def shown(name: str) -> Shown:
    return open_for_screen(name, DecodeOptions())


def test_the_title_says_what_a_file_is(coded):
    assert shown("photo.aec").title == (
        f"photo.aec: 60 x 40, {size_text(len(coded))}, {8 * len(coded) / 2400:.2f} bpp"
    )
    assert shown("photo.png").title.startswith("photo.png: 60 x 40, ")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (999, "999 bytes"),
        (1000, "1.00 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (123_456_789, "123 MB"),
    ],
)
def test_sizes_have_three_digits(size, text):
    assert size_text(size) == text


def test_coded_files_and_other_pictures_are_shown(coded):
    assert np.array_equal(shown("photo.png").image, ORIGINAL)
    assert np.array_equal(shown("photo.aec").image, codec.decode(coded))


def test_a_coded_file_of_any_name_is_shown(coded):
    Path("photo.png").write_bytes(coded)
    assert shown("photo.png").image.size == (60, 40)


@pytest.mark.parametrize("name", ["turned.png", "turned.aec"])
def test_pictures_are_upright(folder, name):
    exif = Image.Exif()
    exif[0x112] = TURNED
    Image.fromarray(ORIGINAL).save("turned.png", exif=exif)
    Path("turned.aec").write_bytes(codec.encode("turned.png"))
    image = shown(name).image
    assert image.size == (40, 60)
    assert psnr(image, np.rot90(ORIGINAL, -1)) > 25


@pytest.mark.parametrize("name", ["red.png", "red.aec"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colors_are_those_of_the_profile(folder, name, mode):
    color = (255, 0, 0, 128)[: len(mode)]
    Image.new(mode, (20, 20), color).save("red.png", icc_profile=SWAPPED)
    Path("red.aec").write_bytes(codec.encode("red.png"))
    image = shown(name).image
    assert image.mode == mode
    red, green, *_ = image.getpixel((9, 9))
    assert red < 30 < 220 < green


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16", "CMYK", "RGBA"])
def test_pictures_of_any_mode_are_shown_in_color(folder, mode):
    Image.new(mode, (20, 10), 1).save("some.tiff" if mode == "CMYK" else "some.png")
    image = shown("some.tiff" if mode == "CMYK" else "some.png").image
    assert (image.mode[:3], image.size) == ("RGB", (20, 10))


def test_a_small_picture_is_shown_as_it_is_and_a_large_one_fitted():
    assert fitted((30, 20), WINDOW) == View(15, 10, 1)
    assert fitted(PICTURE, WINDOW) == View(150, 100, 1 / 3)


def test_what_the_mouse_points_to_stays_when_it_zooms():
    x, y = 40, -10  # from the middle of the window
    before = View(150, 100, 1)
    after = zoomed(before, 2, x, y, PICTURE, WINDOW)
    assert after.zoom == 2
    assert after.x + x / 2 == before.x + x
    assert after.y + y / 2 == before.y + y


def test_zooming_ends_where_all_is_seen_and_where_a_pixel_is_large():
    view = fitted(PICTURE, WINDOW)
    assert zoomed(view, 0.5, 9, 9, PICTURE, WINDOW) == view
    assert zoomed(view, 1e9, 0, 0, PICTURE, WINDOW).zoom == 64


def test_dragging_moves_the_picture_to_its_edge():
    view = View(150, 100, 2)
    assert dragged(view, 10, -20, PICTURE, WINDOW) == View(145, 110, 2)
    assert dragged(view, 9999, -9999, PICTURE, WINDOW) == View(25, 175, 2)


def test_a_window_shows_a_part_pixel_by_pixel():
    pixels = np.random.default_rng(0).integers(256, size=(200, 300, 3), dtype=np.uint8)
    part, place = drawn(Image.fromarray(pixels), View(150, 100, 1), WINDOW)
    assert place == (0, 0)
    assert np.array_equal(part, pixels[50:150, 100:200])
    part, place = drawn(Image.fromarray(pixels), View(150, 100, 4), WINDOW)
    assert place == (-2, -2)  # of the first pixel, the half is seen
    assert np.array_equal(np.asarray(part)[::4, ::4], pixels[87:113, 137:163])


def test_a_picture_smaller_than_the_window_is_in_its_middle():
    part, place = drawn(Image.new("RGB", (30, 20)), View(15, 10, 2), WINDOW)
    assert (part.size, place) == ((60, 40), (20, 30))


def test_squares_are_seen_through_a_picture():
    clear = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    part, _ = drawn(clear, View(10, 10, 1), WINDOW)
    assert sorted(part.getcolors()) == [(192, (153,) * 3), (208, (204,) * 3)]


@pytest.fixture
def no_window(monkeypatch) -> list[Image.Image]:
    """What the desktop's viewer is given, as there can be no window."""
    given: list[Image.Image] = []
    monkeypatch.setattr(command, "window_of", lambda files, load: None)
    monkeypatch.setattr(
        ImageShow, "show", lambda image, title: given.append(image) or True
    )
    monkeypatch.setenv("DISPLAY", ":9")
    return given


def test_without_a_window_the_desktops_viewer_shows_the_pictures(coded, no_window):
    succeeds("view", "photo.aec", "photo.png")
    assert [image.size for image in no_window] == [(60, 40)] * 2


def test_without_a_window_a_damaged_file_gives_one_line(coded, no_window):
    Path("photo.aec").write_bytes(coded[:-9])
    assert "photo.aec: file is cut off" in fails("view", "photo.aec")


def test_without_a_viewer_that_is_told(coded, no_window, monkeypatch):
    monkeypatch.setattr(ImageShow, "show", lambda image, title: False)
    assert "no program that shows pictures" in fails("view", "photo.aec")


@pytest.mark.skipif(sys.platform != "linux", reason="others always have a display")
def test_without_a_display_there_is_a_hint(coded, no_window, monkeypatch):
    for name in command.DISPLAYS:
        monkeypatch.delenv(name, raising=False)
    assert "there is no display" in fails("view", "photo.aec")
    assert not no_window


@pytest.mark.skipif(sys.platform != "linux", reason="others always have a display")
def test_a_display_that_is_not_there_is_named(coded, monkeypatch):
    pytest.importorskip("tkinter")
    monkeypatch.setenv("DISPLAY", ":98765")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert ":98765" in fails("view", "photo.aec")


LOOKING = """
import sys
import tkinter
from codec.app.commands.view import window_of
from codec.app.screen import open_for_screen
from codec.options import DecodeOptions

def load(name):
    try:
        return open_for_screen(name, DecodeOptions(max_pixels=2**20))
    except Exception as error:
        return str(error)

window = window_of(sys.argv[1:], load).__self__

def look(*events):
    for name, options in events:
        window.canvas.event_generate(name, **options)
    try:
        window.root.update()
        title, view = window.root.title(), window.view
    except tkinter.TclError:
        print("closed")
    else:
        print(title.split("/")[-1], view.zoom, view.x, window.fault, sep=", ")

def press(key):
    window.root.focus_force()
    window.root.update()
    look((f"<Key-{key}>", {}))

window.root.geometry("200x100")
window.root.update()
window.open()
look()
press("plus")
press("1")
look(("<Button-4>", {"x": 150, "y": 50}))
look(("<ButtonPress-1>", {"x": 9, "y": 9}), ("<B1-Motion>", {"x": 19, "y": 9}))
press("0")
press("Right")
press("Right")
press("Left")
press("q")
"""


@XVFB
def test_keys_and_mouse_do_what_the_help_says(folder):
    pytest.importorskip("tkinter")
    Image.new("RGB", (400, 100)).save("wide.png")
    cut = os.fsdecode(b"cut\xef.aec")  # no UTF-8, which Tk would not take
    Path(cut).write_bytes((GOLDEN / "flat.aec").read_bytes()[:-3])
    call = ["xvfb-run", "-a", sys.executable, "-c", LOOKING, "wide.png", cut]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    said = subprocess.check_output(call, text=True, env=environment).splitlines()
    wide, why = (
        said[0].partition(", 0.5")[0],
        "file is cut off: not enough bytes for tile 2 of 2",
    )
    assert wide.startswith("wide.png: 400 x 100, ")
    assert said == [
        f"{wide}, 0.5, 200.0, ",
        f"{wide}, 0.625, 200.0, ",
        f"{wide}, 1.0, 200.0, ",
        f"{wide}, 1.25, 210.0, ",
        f"{wide}, 1.25, 202.0, ",
        f"{wide}, 0.5, 200.0, ",
        *2 * [f"cut\\xef.aec, 0.5, 200.0, {why}"],
        f"{wide}, 0.5, 200.0, ",
        "closed",
    ]
