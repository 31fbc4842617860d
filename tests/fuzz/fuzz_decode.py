"""Feed mutated files to the decoder; see README.md here.

A file must be refused with a FormatError or give a picture, whatever its bytes are.
Anything else is a crash, and so are more than 10 seconds or 2 GiB; libFuzzer then
writes the file that caused it as `crash-...` into the current folder.
"""

import csv
import random
import sys
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
GOLDEN = HERE.parent / "golden" / "v2"
sys.path[:0] = [str(ROOT)]

MAX_PIXELS = 2**17  # with larger pictures most of the time would go into the networks
MAX_BYTES = 4096  # of a mutated file
LIMITS = ("-timeout=10", "-rss_limit_mb=2048", f"-max_len={MAX_BYTES}")
REPORT_EVERY = 10_000
SALVAGED = 8


def repaired(data: bytes) -> bytes:
    """`data` with right checksums and of the length that its header says; what has no
    readable header stays as it is.
    """
    from codec.errors import FormatError
    from codec.file.chunks import read_table
    from codec.file.header import read_header
    from codec.file.primitives import CRC_BYTES, Reader, crc
    from codec.limits import check_size

    reader = Reader(data)
    try:
        header = read_header(reader)
        check_size(header.width, header.height, MAX_PIXELS, FormatError)
        table = read_table(reader, header.tile_count)
    except FormatError:
        return data
    if sum(length for _, length in table) > 2 * MAX_BYTES:
        return data
    out = data[: reader.position]
    out += crc(out)
    offset = reader.position + CRC_BYTES
    for _, length in table:
        payload = data[offset : offset + length].ljust(length, b"\0")
        out += payload + crc(payload)
        offset += length + CRC_BYTES
    return out


def outcome(data: bytes) -> str:
    """How the decoder takes a file; all but FormatErrors go through.

    One in `SALVAGED` of the files that are refused goes through `salvage` as well.
    """
    import codec

    def refused(call: Callable[..., object]) -> bool:
        try:
            call(data, max_pixels=MAX_PIXELS)
        except codec.FormatError as error:
            assert str(error)
            assert "\n" not in str(error)
            return True
        return False

    if not refused(codec.decode):
        return "decoded"
    if zlib.crc32(data) % SALVAGED:
        return "refused"
    return "refused, not salvaged" if refused(codec.salvage) else "refused, salvaged"


@click.command()
@click.argument("mode", type=click.Choice(["raw", "repaired"]))
@click.argument("corpus", type=click.Path(file_okay=False, path_type=Path))
@click.option("--seconds", type=int, help="Stop after that long.")
@click.option("--runs", type=int, default=-1, help="Stop after so many files.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--counts", type=click.Path(path_type=Path), help="CSV of the outcomes.")
def main(
    mode: str,
    corpus: Path,
    seconds: int | None,
    runs: int,
    seed: int,
    counts: Path | None,
) -> None:
    """Mutate the golden files and decode them, with all checksums repaired or raw.

    CORPUS is a folder for what the fuzzer finds worth mutating further.
    """
    import atheris

    # Raw, the fuzzer must not see the comparisons of checksums, or it forges them; it
    # mutates intact files alone then, for nothing tells it which others are of use.
    with atheris.instrument_imports(
        include=["codec"] if mode == "repaired" else ["codec.api"]
    ):
        import codec.api  # noqa: F401

    intact = [path.read_bytes() for path in sorted(GOLDEN.glob("*.aec"))]
    found = Counter[str]()

    def mutated(data: bytes, max_bytes: int, seed: int) -> bytes:
        return atheris.Mutate(random.Random(seed).choice(intact), max_bytes)

    def run_one(data: bytes) -> None:
        if mode == "repaired":
            data = repaired(data)
        result = "intact" if data in intact else outcome(data)
        assert mode == "repaired" or result != "decoded", "a damaged file is taken"
        found[result] += 1
        done = found.total()
        if counts and (done % REPORT_EVERY == 0 or done == runs):
            with counts.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(["checksums", "seed", "outcome", "files"])
                writer.writerows([mode, seed, *item] for item in found.most_common())

    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(intact):
        (corpus / f"golden-{number}").write_bytes(data)
    flags = [*LIMITS, f"-seed={seed}", f"-runs={runs}"]
    flags += [f"-max_total_time={seconds}"] if seconds else []
    options = {"custom_mutator": mutated} if mode == "raw" else {}
    atheris.Setup([sys.argv[0], *flags, str(corpus)], run_one, **options)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
