"""What is told of long work, and the bar that shows it."""

import io
import re

import numpy as np
import pytest
from pictures import picture

import codec
from codec.app import progress_bar as progress
from codec.options import EFFORTS
from codec.progress import Stages


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("effort", [4, 7])
def test_no_work_is_done_twice_over_many_rows_of_tiles(effort):
    """Or the shares would go beyond 1: windows that are forgotten are made again."""
    shares: list[float] = []
    options = {"tune": "psnr", "effort": effort, "progress": shares.append}
    data = codec.encode(picture(4500, 40), **options)
    assert shares == sorted(set(shares))
    assert shares[-1] == 1
    shares.clear()
    codec.decode(data, progress=shares.append)
    assert shares == sorted(set(shares))
    assert shares[-1] == 1


def test_encoding_tells_how_far_it_is():
    shares: list[float] = []
    data = codec.encode(picture(100, 1600), progress=shares.append)
    # Analysis and quantization take two windows each, hyper-analysis as well.
    assert shares == [n / 6 for n in range(1, 7)]
    for call in (codec.decode, codec.salvage):
        shares.clear()
        call(data, progress=shares.append)
        assert shares == [0.5, 1]


def drawn(with_photograph: bool) -> np.ndarray:
    """A picture of few colors, or with a photograph in it."""
    image = np.full((300, 400, 3), 255, np.uint8)
    image[20:40, 30:200] = (20, 90, 160)
    if with_photograph:
        image[60:260, 100:360] = picture(200, 260)
    return image


TARGETS = [{}, {"size_bytes": 3000}, {"psnr_db": 30}, {"ssimulacra2": 50}]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("image", [picture(90, 120), drawn(False), drawn(True)])
def test_progress_rises_once_to_1_however_many_files_are_tried(image, target):
    shares: list[float] = []
    codec.encode(image, **target, progress=shares.append)
    assert shares == sorted(set(shares))
    assert shares[-1] == 1


def test_a_stage_is_a_share_of_what_is_left():
    told: list[float] = []
    stages = Stages(told.append)
    for share in (0.5, 0.5):
        stages.begin(share)
        stages(0.5)
        stages(1)
        stages(0.1)  # of work done again
    stages.finish()
    assert told == [0.25, 0.5, 0.625, 0.75, 1]


def test_a_layer_tells_of_every_tile_in_both_directions():
    shares: list[float] = []
    white = np.full((2500, 10, 3), 255, np.uint8)
    data = codec.encode(white, lossless=True, progress=shares.append)
    assert shares == [1 / 3, 2 / 3, 1]
    shares.clear()
    codec.decode(data, progress=shares.append)
    assert shares == [1024 / 2500, 2048 / 2500, 1]


def test_refinement_tells_of_every_iteration(small_picture):
    shares: list[float] = []
    codec.encode(small_picture, tune="psnr", effort=7, progress=shares.append)
    assert len(shares) == 3 + EFFORTS[7].refinement.iterations + 1
    assert shares[-1] == 1


def test_the_bar_names_the_file_and_is_gone_in_the_end(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(progress, "DELAY_S", 0)
    with progress.progress_bar("photo.png", progress.is_shown()) as tell:
        tell(0.25)
        tell(0.5)
    *_, shown, rest = terminal.getvalue().split("\r")
    assert "photo.png  25 %" in terminal.getvalue()
    assert re.search(r"50 % \|?.*\d\d:\d\d left", terminal.getvalue())
    assert not shown.strip()
    assert rest == ""


def test_work_that_fails_leaves_no_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(progress, "DELAY_S", 0)
    with (
        pytest.raises(ValueError),
        progress.progress_bar("photo.png", progress.is_shown()) as tell,
    ):
        tell(0.25)
        raise ValueError
    assert terminal.getvalue().endswith(" \r")


def test_the_bar_of_files_counts_them_and_tells_the_time_left(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with progress.files_bar(3) as advance:
        advance()
    assert re.search(r"0 of 3 files .*\? left", terminal.getvalue())


def test_true_shows_a_bar(monkeypatch, small_picture):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    data = codec.encode(small_picture, progress=True)
    codec.decode(data, progress=True)
    assert re.search(r"encode +\d+ % ", terminal.getvalue())
    assert re.search(r"decode 100 % .* left", terminal.getvalue())


def test_nothing_is_shown_where_there_is_no_terminal(monkeypatch):
    monkeypatch.setattr(progress, "DELAY_S", 0)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with progress.progress_bar("photo.png", progress.is_shown()) as tell:
        tell(0.25)
    assert progress.sys.stderr.getvalue() == ""
