"""Feed mutated input to a reader of strangers' bytes; see README.md here.

What raises anything but the documented error is a crash, and so are more than 10
seconds or 2 GiB; libFuzzer then writes the input that caused it as `crash-...` into the
current folder.
"""

import csv
import importlib
import random
import sys
from collections import Counter
from pathlib import Path

import click

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent)]

LIMITS = ("-timeout=10", "-rss_limit_mb=2048", "-len_control=0")
REPORT_EVERY = 1000
# By name: module, target in it, and the modules whose branches the fuzzer sees. Raw, it
# must not see the comparisons of checksums, or it forges them.
TARGETS = {
    "decoder": ("fuzz_decoder", "REPAIRED", ["codec"]),
    "decoder-raw": ("fuzz_decoder", "RAW", ["codec.api"]),
    "pictures": ("fuzz_pictures", "TARGET", ["codec.picture", "PIL"]),
    "archives": ("fuzz_archives", "TARGET", ["codec.app", "tarfile"]),
    "models": ("fuzz_models", "TARGET", ["codec.networks", "zipfile"]),
    "service": ("fuzz_service", "TARGET", ["codec.app", "starlette"]),
}


@click.command()
@click.argument("name", metavar="TARGET", type=click.Choice(list(TARGETS)))
@click.argument("corpus", type=click.Path(file_okay=False, path_type=Path))
@click.option("--seconds", type=int, help="Stop after that long.")
@click.option("--runs", type=int, default=-1, help="Stop after so many inputs.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--counts", type=click.Path(path_type=Path), help="CSV of the outcomes.")
def main(
    name: str,
    corpus: Path,
    seconds: int | None,
    runs: int,
    seed: int,
    counts: Path | None,
) -> None:
    """Mutate small intact input of a TARGET and see what becomes of it.

    CORPUS is a folder for what the fuzzer finds worth mutating further, one for each
    target.
    """
    import atheris

    module, variable, seen = TARGETS[name]
    with atheris.instrument_imports(include=seen):
        target = getattr(importlib.import_module(module), variable)
        seeds = target.seeds()
        target.outcome(seeds[0])  # which may import more
    found = Counter[str]()

    def mutated(data: bytes, max_bytes: int, seed: int) -> bytes:
        if target.mutated and seed % 4:
            return target.mutated(data, seed)[:max_bytes]
        if target.seeds_alone:
            data = random.Random(seed).choice(seeds)
        return atheris.Mutate(data, max_bytes)

    def write_counts() -> None:
        if counts:
            with counts.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(["target", "seed", "outcome", "inputs"])
                writer.writerows([name, seed, *item] for item in found.most_common())

    def run_one(data: bytes) -> None:
        found[target.outcome(target.repaired(data))] += 1
        done = found.total()
        if done % REPORT_EVERY == 0 or done == runs:
            write_counts()

    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(data)
    flags = [*LIMITS, f"-seed={seed}", f"-runs={runs}", f"-max_len={target.max_bytes}"]
    flags += [f"-max_total_time={seconds}"] if seconds else []
    changes = target.seeds_alone or target.mutated
    options = {"custom_mutator": mutated} if changes else {}
    atheris.Setup([sys.argv[0], *flags, str(corpus)], run_one, **options)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
