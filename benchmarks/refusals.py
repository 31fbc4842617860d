"""The subcommand `refusals`: what it takes to refuse bad input."""

import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

import codec
from benchmarks.environment import write_versions
from benchmarks.hostile_files import (
    BOMBS,
    GHOST,
    IMAGE,
    chained_headers,
    many_scans,
    saved,
    spoken,
)
from benchmarks.measured_calls import Ended, measured
from benchmarks.options import output_option
from benchmarks.results import write_rows

MAX_PIXELS = 2**16
GOOD = "a good file of 128 x 96 pixels"
OUTPUTS = {".tar": "out.tar", ".aec": "out.png"}  # by suffixes of inputs
Case = tuple[str, str, bytes]  # (command, name of the file, its content)


@dataclass(frozen=True)
class Refusal(Ended):
    """Of an input of so many bytes by a command; of GOOD it is none."""

    input: str
    input_bytes: int
    command: str


def cases() -> dict[str, Case]:
    """By what they are; GOOD first, to compare with."""
    good = codec.encode(IMAGE)
    found = {GOOD: ("info", "good.aec", good)}
    found |= {f"a bomb: {n}": ("encode", "bomb", data) for n, data in BOMBS.items()}
    noise = np.random.default_rng(0).bytes(10**6)
    return found | {
        "PostScript": ("encode", "ghost.jpg", GHOST),
        "noise": ("encode", "noise.png", noise),
        "30,000 scans": ("encode", "scans.jpg", many_scans(30_000)),
        "a comment of 50 MB": ("encode", "spoken.ppm", spoken(50_000_000)),
        "a PNG file, cut off": ("encode", "cut.png", saved(IMAGE, "PNG")[:999]),
        "5,000 extended headers": ("encode", "in.tar", chained_headers(5000)),
        "a model of noise": ("encode --model noise.aecm", "noise.aecm", noise),
        "noise as .aec": ("decode", "noise.aec", noise),
        "an .aec file, cut off": ("decode", "cut.aec", good[:-1]),
        "the good file, too large": ("decode --max-pixels 4096", "good.aec", good),
    }


def tried(what: str, case: Case) -> Refusal:
    command, name, content = case
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, name).write_bytes(content)
        options = command.split()
        if options != ["info"]:
            options += ["-o", OUTPUTS.get(Path(name).suffix, "out.aec")]
        if options[0] == "encode":
            options += ["--max-pixels", str(MAX_PIXELS)]
        ended = measured(*options, name, folder=folder)
    return Refusal(
        **asdict(ended), input=what, input_bytes=len(content), command=command
    )


@click.command()
@output_option
def refusals(output: Path) -> None:
    """Call `aecodec` with bad files, made here, each in a process of its own."""
    if sys.platform != "linux":
        raise click.UsageError("looks into /proc, which Linux alone has")
    rows = []
    for what, case in cases().items():
        rows.append(tried(what, case))
        click.echo(rows[-1])
    write_rows(output / "refusals.csv", Refusal, rows)
    write_versions(output / "refusals_versions.json", {"max_pixels": MAX_PIXELS})
