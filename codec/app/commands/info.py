"""`aecodec info`."""

import dataclasses
import json
from collections.abc import Sequence

import click

import codec
from codec.app.command_group import debug_option
from codec.app.files import read
from codec.app.reporting import run_all, show


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object per line and file."
)
@debug_option
def info(files: Sequence[str], as_json: bool) -> None:
    """Show dimensions, quality and model of .aec files, without decoding them."""

    def describe(name: str) -> None:
        facts = codec.read_info(read(name))
        if as_json:
            show(
                json.dumps(
                    {
                        "file": name,
                        **dataclasses.asdict(facts),
                        "rate_bpp": round(facts.rate_bpp, 4),
                    }
                )
            )
        else:
            show(
                f"{name}: {facts.width} x {facts.height} {facts.mode}, "
                f"quality {facts.quality:g}, {facts.size_bytes} bytes, "
                f"{facts.rate_bpp:.3f} bpp, model {facts.model_id} ({facts.model}), "
                f"{facts.tiles} tile{'s' * (facts.tiles > 1)}{layers(facts)}, "
                + ", ".join([f"format {facts.format_version}", *facts.metadata])
            )

    run_all(files, str, describe)


def layers(facts: codec.Info) -> str:
    """What of the tiles is drawn, and what exact."""
    if not facts.drawn_tiles:
        return ""
    return f" ({facts.drawn_tiles} with a layer, {facts.exact_tiles} exact)"
