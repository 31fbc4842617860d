"""What is told of long work, and the bar that shows it."""

import io

import pytest
from pictures import picture

import codec
from codec.app import progress_bar as progress
from codec.options import EFFORTS


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


def test_every_attempt_at_a_target_goes_from_low_to_1(small_picture):
    shares: list[float] = []
    codec.encode(small_picture, size_bytes=300, progress=shares.append)
    attempts = shares.count(1)
    assert attempts > 1
    # The first attempt analyzes, the others have two windows each.
    assert shares == [1 / 3, 2 / 3, 1] + (attempts - 1) * [0.5, 1]


def test_refinement_tells_of_every_iteration(small_picture):
    shares: list[float] = []
    codec.encode(small_picture, tune="psnr", effort=7, progress=shares.append)
    assert len(shares) == 3 + EFFORTS[7].refinement.iterations + 1
    assert shares[-1] == 1


def test_the_bar_names_the_file_and_is_gone_in_the_end(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(progress, "DELAY_S", 0)
    with progress.progress_bar("photo.png") as tell:
        tell(0.25)
        tell(0.5)
    *_, shown, rest = terminal.getvalue().split("\r")
    assert "photo.png  25 %" in terminal.getvalue()
    assert not shown.strip()
    assert rest == ""


def test_work_that_fails_leaves_no_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(progress, "DELAY_S", 0)
    with pytest.raises(ValueError), progress.progress_bar("photo.png") as tell:
        tell(0.25)
        raise ValueError
    assert terminal.getvalue().endswith(" \r")


def test_nothing_is_shown_where_there_is_no_terminal(monkeypatch):
    monkeypatch.setattr(progress, "DELAY_S", 0)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with progress.progress_bar("photo.png") as tell:
        tell(0.25)
    assert progress.sys.stderr.getvalue() == ""
