"""The subcommand `profile`: stages beside what the machine can do."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import click
import numpy as np

import codec
from benchmarks.environment import write_versions
from benchmarks.measurement import image_paths
from benchmarks.options import folder_argument, output_option
from benchmarks.results import write_rows
from benchmarks.scaling import timed
from benchmarks.speed import on_cores, picture, stages_timed
from codec.networks.shipped import DEFAULT_MODEL_ID, load_bundle
from codec.training.complexity import work

MEGAPIXELS = 2
THREADS = 2
ROUNDS = 5
GRAPHS = {
    "analysis": "analysis",
    "hyper-analysis": "hyper_analysis",
    "scales": "scales",
    "means": "mean_context",
    "synthesis": "synthesis",
}
# Instructions -> what oneDNN and MKL are told, when a process starts.
INSTRUCTIONS = {
    "all": {},
    "AVX-512 with VNNI": {
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
    },
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
}
# Products of two large matrices, the best of a second: 10^9 multiply-accumulates a
# second in float32, bfloat16 and int8.
PEAKS = """
import sys, time, torch
torch.set_num_threads(int(sys.argv[1]))
side = 1024
kinds = torch.float32, torch.bfloat16, torch.int8
for kind in kinds:
    product = torch._int_mm if kind == torch.int8 else torch.mm
    a, b = (torch.ones(side, side, dtype=kind) for _ in range(2))
    best = float("inf")
    begin = time.perf_counter()
    while time.perf_counter() < begin + 1:
        start = time.perf_counter()
        product(a, b)
        best = min(best, time.perf_counter() - start)
    print(side**3 / best / 1e9)
"""


@dataclass(frozen=True)
class Profiled:
    """A stage of one direction, decoded exactly, or at effort 1 and decoded fast;
    `arithmetic` is that of its residual branches. Bytes are those that the operators
    read and write, if nothing stays in caches; the share is that of the machine's peak
    in the same arithmetic.
    """

    direction: str
    setting: str
    stage: str
    arithmetic: str
    kmac_per_pixel: float
    bytes_per_pixel: float
    milliseconds: float
    gmac_s: float
    gb_s: float
    peak_share: float


@dataclass(frozen=True)
class Peak:
    """Of large matrix products, in 10^9 multiply-accumulates a second, with the
    `instructions`; copies of memory in 10^9 bytes read and written a second.
    """

    instructions: str
    float32: float
    bfloat16: float
    int8: float
    memory_gb_s: float


def instructions() -> list[str]:
    """What this processor has of those that matter here; on Linux."""
    flags = Path("/proc/cpuinfo").read_text().partition("\nflags")[2].split("\n")[0]
    kinds = "avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"
    return [kind for kind in kinds if kind in flags.split()]


def copies_gb_s() -> float:
    source = np.ones(2**28, np.uint8)
    target = np.zeros_like(source)
    seconds = min(timed(partial(np.copyto, target, source))[0] for _ in range(8))
    return 2 * len(source) / seconds / 1e9


def peaks() -> Iterator[Peak]:
    if find_spec("torch") is None:
        raise click.UsageError("this needs PyTorch: pip install 'aecodec[judges]'")
    memory = on_cores(1, copies_gb_s)
    for name, variables in INSTRUCTIONS.items():
        call = [sys.executable, "-c", PEAKS, str(THREADS)]
        result = subprocess.run(
            call, env=os.environ | variables, capture_output=True, text=True, check=True
        )
        float32, bfloat16, int8 = map(float, result.stdout.split())
        yield Peak(name, float32, bfloat16, int8, memory)


def stage_seconds(
    paths: Sequence[Path], rounds: int
) -> dict[tuple[str, str, str], float]:
    """(direction, precision, stage) -> median seconds, of effort 1 and fast decoding,
    and of effort 4 and exact decoding.
    """
    image = picture(paths, MEGAPIXELS)
    found: dict[tuple[str, str, str], list[float]] = {}
    for _ in range(rounds + 1):
        for precision, effort in (("exact", 4), ("fast", 1)):
            with stages_timed() as encoding:
                seconds, data = timed(partial(codec.encode, image, effort=effort))
            encoding["rest"] = seconds - sum(encoding.values())
            with stages_timed() as decoding:
                decode = partial(codec.decode, data, precision=precision)
                seconds, _ = timed(decode)
            decoding["rest"] = seconds - sum(decoding.values())
            for direction, spent in (("encode", encoding), ("decode", decoding)):
                for stage, value in spent.items():
                    key = direction, precision, stage
                    found.setdefault(key, []).append(value)
    return {key: median(values[1:]) for key, values in found.items() if any(values)}


def profiled(
    seconds: dict[tuple[str, str, str], float], peak: Peak
) -> Iterator[Profiled]:
    bundle = load_bundle(DEFAULT_MODEL_ID)
    pixels = MEGAPIXELS * 1e6
    for (direction, precision, stage), spent in seconds.items():
        narrow = precision == "fast" and stage in ("analysis", "synthesis")
        kmac, moved = math.nan, math.nan
        if stage in GRAPHS:
            kmac, moved = work(bundle.graph(GRAPHS[stage]), bundle)
        gmac_s = kmac * 1e3 * pixels / spent / 1e9
        yield Profiled(
            direction,
            precision,
            stage,
            "int8" if narrow else "float32",
            kmac,
            math.nan if narrow else moved,
            1000 * spent,
            gmac_s,
            math.nan if narrow else moved * pixels / spent / 1e9,
            gmac_s / (peak.int8 if narrow else peak.float32),
        )


@click.command()
@folder_argument
@output_option
def profile(folder: Path, output: Path) -> None:
    """Compare the stages with the machine's peaks, on 2 MP put together from FOLDER."""
    machine = list(peaks())
    seconds = on_cores(THREADS, stage_seconds, image_paths(folder), ROUNDS)
    rows = list(profiled(seconds, machine[0]))
    write_rows(output / "profile.csv", Profiled, rows)
    write_rows(output / "profile_peaks.csv", Peak, machine)
    write_versions(output / "profile_versions.json", {"instructions": instructions()})
    for row in (*machine, *rows):
        click.echo(row)
