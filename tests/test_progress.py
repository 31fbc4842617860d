"""What is told of long work, and the bar that shows it."""

import io

import pytest
from pictures import picture

import codec
from codec import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_encoding_tells_how_far_it_is():
    shares: list[float] = []
    data = codec.encode(picture(100, 1600), progress=shares.append)
    # Analysis and quantization take two windows each, hyper-analysis as well.
    assert shares == [n / 6 for n in range(1, 7)]
    for call in (codec.decode, codec.salvage):
        shares.clear()
        call(data, progress=shares.append)
        assert shares == [0.5, 1]


def test_every_attempt_at_a_target_ends_at_1(small_picture):
    shares: list[float] = []
    codec.encode(small_picture, size_bytes=300, progress=shares.append)
    assert shares.count(1) > 1
    assert 0 < min(shares) < max(shares) == 1


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
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with progress.progress_bar("photo.png") as tell:
        tell(0.25)
    assert progress.sys.stderr.getvalue() == ""
