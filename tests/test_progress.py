"""What is told of long work, and the bar that shows it."""

import io

import pytest
from pictures import picture

import codec
from codec import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stages():
    """(list of the stages that were told with their shares, the function that tells)"""
    told: dict[str, list[float]] = {}
    return told, lambda stage, share: told.setdefault(stage, []).append(share)


def test_every_stage_runs_from_nothing_to_all(stages):
    told, tell = stages
    data = codec.encode(picture(100, 1600), progress=tell)
    assert list(told) == [
        "analysis",
        "hyper-analysis",
        "quantization",
        "entropy coding",
    ]
    assert len(told["analysis"]) == 3  # two windows
    told.clear()
    codec.decode(data, progress=tell)
    assert list(told) == ["entropy decoding", "synthesis"]
    for shares in told.values():
        assert shares == sorted(shares)
        assert (shares[0], shares[-1]) == (0, 1)


def test_salvage_tells_of_its_progress(stages, small_file):
    told, tell = stages
    codec.salvage(small_file, progress=tell)
    assert list(told) == ["entropy decoding", "synthesis"]


def test_the_bar_names_the_stage_and_is_gone_in_the_end(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(progress, "DELAY_S", 0)
    with progress.progress_bar("photo.png") as tell:
        tell("analysis", 0.25)
        tell("analysis", 1)
        tell("quantization", 0)
    *_, shown, rest = terminal.getvalue().split("\r")
    assert "photo.png: analysis  25 %" in terminal.getvalue()
    assert not shown.strip()
    assert rest == ""


def test_work_that_fails_leaves_no_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(progress, "DELAY_S", 0)
    with pytest.raises(ValueError), progress.progress_bar("photo.png") as tell:
        tell("analysis", 0.25)
        raise ValueError
    assert terminal.getvalue().endswith(" \r")


def test_nothing_is_shown_where_there_is_no_terminal(monkeypatch):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with progress.progress_bar("photo.png") as tell:
        tell("analysis", 0.25)
    assert codec.progress.sys.stderr.getvalue() == ""
