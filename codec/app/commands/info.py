"""`aecodec info`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import codec
from codec.api import MAGIC, MODEL_SUFFIX, SUFFIX
from codec.app.command_group import reporting_options
from codec.app.files import read
from codec.app.reporting import run_all, show, tell
from codec.options import DecodeOptions
from codec.picture.formats import open_picture, unreadable

NEITHER = "neither an .aec file nor an adapted model"
ANY_SIZE = 2**48  # pixels, where no memory is taken for them


@click.command(short_help="Show what a file is.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@reporting_options
def info(files: Sequence[str]) -> None:
    """Show dimensions, quality and model of .aec files, without decoding them; and what
    an adapted model or another picture is.
    """

    def describe(name: str) -> None:
        if Path(name).is_dir():
            raise codec.UsageError(
                "a folder; `aecodec verify -r` looks at what is in it"
            )
        if name.lower().endswith(MODEL_SUFFIX):
            line, more, record = model_facts(name)
        else:
            data = read(name)
            ours = name.lower().endswith(SUFFIX) or data.startswith(MAGIC)
            line, more, record = file_facts(data) if ours else picture_facts(data)
        tell(f"{name}: {line}", {"file": name, **record}, more, out=show)

    run_all(files, str, describe)


Facts = tuple[str, str, dict[str, Any]]  # a line, more of it, the same for --json


def file_facts(data: bytes) -> Facts:
    """Of an .aec file."""
    facts = codec.read_info(data)
    line = (
        f"{facts.width} x {facts.height} {facts.mode}, "
        f"quality {facts.quality:g}, {facts.size_bytes} bytes, "
        f"{facts.rate_bpp:.3f} bpp, model {facts.model_id} ({facts.model}), "
        f"{facts.tiles} tile{'s' * (facts.tiles > 1)}{layers(facts)}, "
        + ", ".join([f"format {facts.format_version}", *facts.metadata])
    )
    record = dataclasses.asdict(facts) | {"rate_bpp": round(facts.rate_bpp, 4)}
    return line, f"bundle {facts.bundle_digest}", {"kind": "aec", **record}


def layers(facts: codec.Info) -> str:
    """What of the tiles is drawn, and what exact."""
    if not facts.drawn_tiles:
        return ""
    return f" ({facts.drawn_tiles} with a layer, {facts.exact_tiles} exact)"


def model_facts(name: str) -> Facts:
    """Of an adapted model."""
    model, size_bytes = codec.read_model(name), Path(name).stat().st_size
    base, digest = model.folder.name, model.digest.hex()[:16]
    line = (
        f"adapted model, of model {model.model_id} ({base}), {size_bytes} bytes; "
        "for --model of the commands that have it"
    )
    record = {
        "kind": "model",
        "model_id": model.model_id,
        "model": base,
        "bundle_digest": digest,
        "size_bytes": size_bytes,
    }
    return line, f"bundle {digest}", record


def picture_facts(data: bytes) -> Facts:
    """Of a picture of another format; FormatError if it is none."""
    try:
        image = open_picture(data, ANY_SIZE, DecodeOptions.max_pixels)
    except codec.UsageError as error:
        raise codec.FormatError(f"{NEITHER}, and {error}") from None
    except Exception as error:  # Pillow's readers raise all kinds on damaged files
        raise codec.FormatError(unreadable(error)) from None
    line = f"{image.format} picture, {image.width} x {image.height} "
    line += f"{image.mode}, {len(data)} bytes"
    record = {
        "kind": "picture",
        "format": image.format,
        "width": image.width,
        "height": image.height,
        "mode": image.mode,
        "size_bytes": len(data),
    }
    return line, "`aecodec encode` makes an .aec file of it", record
