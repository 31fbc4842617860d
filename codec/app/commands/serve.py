"""`aecodec serve`."""

from pathlib import Path

import click

from codec.app.arguments import parsed, refuse_nonfinite
from codec.app.command_group import debug_option
from codec.app.extras import needs_extra
from codec.app.parsing import size_in
from codec.app.reporting import run_all, say


@click.command(short_help="Show .aec files to browsers.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option(
    "--uploads", is_flag=True, help="PUT of a picture encodes it into FOLDER."
)
@click.option(
    "--try",
    "playground",
    is_flag=True,
    help="A page to try qualities on pictures, beside JPEG, WebP and AVIF.",
)
@click.option(
    "--max-upload",
    metavar="BYTES",
    default="64M",
    show_default=True,
    callback=parsed(size_in),
    help="Refuse larger uploads.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Pictures to work on at once.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=2**26,
    show_default=True,
    help="Refuse pictures with more pixels.",
)
@click.option(
    "--timeout",
    "timeout_s",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    default=120,
    show_default=True,
    callback=refuse_nonfinite,
    help="End the work on a picture that takes longer.",
)
@debug_option
def serve(
    folder: Path,
    host: str,
    port: int,
    uploads: bool,
    playground: bool,
    max_upload: int,
    jobs: int,
    max_pixels: int,
    timeout_s: float,
) -> None:
    """Show the .aec files in FOLDER to browsers.

    Needs the packages of the extra `serve`. Whoever reaches the address may look at all
    of them; for the open internet, put a web server in front.
    """

    def ready(url: str) -> None:
        if playground:
            say(f"playground -> {url}.web/playground.html")
        say(f"{folder} -> {url}")

    def run(name: str) -> None:
        with needs_extra("serving", "serve"):
            from codec.app.service.limits import Limits
            from codec.app.service.server import serve
        limits = Limits(
            max_pixels=max_pixels,
            upload_bytes=max_upload,
            jobs=jobs,
            timeout_s=timeout_s,
        )
        serve(
            folder,
            host,
            port,
            uploads,
            playground,
            limits,
            ready,
        )

    run_all([f"{host}:{port}"], str, run)
