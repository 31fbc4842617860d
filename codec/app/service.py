"""An ASGI application that shows the .aec files in a folder to browsers.

    GET /photo.aec   the picture; ?format=png|jpeg|webp|aec, ?w=WIDTH, ?region=X,Y,W,H
    GET /folder/     what is in a folder, with thumbnails
    GET /health      "ok"
    PUT /photo.aec   encode the picture in the body, if uploads are allowed;
                     ?quality=, ?tune=

A few threads work on pictures. Other requests wait, with no memory taken for their
pictures; uploads wait on disk. Nothing outside the folder is read or written, wherever
paths and links lead.
"""

import hashlib
import html
import os
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import quote

import anyio
import uvicorn
from anyio import to_thread
from PIL import Image
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route
from starlette.types import ASGIApp

from codec import __version__
from codec.api import MIME_TYPE, SUFFIX, decode_file, encode_picture, read_info
from codec.app.files import write
from codec.app.parsing import region_in
from codec.app.picture_files import file_bytes, upright
from codec.errors import CodecError, UsageError, reason
from codec.options import SCALES, DecodeOptions, EncodeOptions
from codec.picture.reading import picture_in

T = TypeVar("T")
CONNECTIONS_MAX = 1000
LOOPBACK = ("127.0.0.1", "::1", "[::1]", "localhost")
LISTED_MAX = 1000  # entries of a folder
THUMBNAIL_PX = 256
WIDTH_MAX = 16384
SPOOLED_BYTES = 2**20  # of an upload; the rest waits on disk
RAW = "aec"  # the file as it is
MIME_TYPES = {name: f"image/{name}" for name in ("png", "jpeg", "webp")}
MIME_TYPES[RAW] = MIME_TYPE
HEADERS = {
    "Cache-Control": "no-cache",  # to be kept, and asked for again by its ETag
    "X-Content-Type-Options": "nosniff",
}
PAGE = """<!doctype html>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font-family: sans-serif }} li {{ display: inline-block; margin: 4px }}
img {{ display: block; max-width: {width}px; max-height: {width}px }}
</style>
<h1>{title}</h1>
<ul>{entries}</ul>
<p>{note}</p>
"""


@dataclass(frozen=True)
class Limits:
    """Limits of a picture, of an upload, and of what is done at once."""

    max_pixels: int
    upload_bytes: int
    jobs: int
    upload_seconds: float = 60.0


def application(folder: Path, uploads: bool, limits: Limits) -> Starlette:
    """The application. Bad requests get one line of text, with status 4xx."""
    root = folder.resolve()
    workers = anyio.CapacityLimiter(limits.jobs)

    async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
        return await to_thread.run_sync(work, *arguments, limiter=workers)

    async def show(request: Request) -> Response:
        path = request.path_params["path"]
        place = place_of(root, path)
        if place.is_dir():
            if path and not path.endswith("/"):
                return RedirectResponse(quote(path.rpartition("/")[2]) + "/")
            return await in_thread(page, place, path)
        if place.suffix.lower() != SUFFIX or not place.is_file():
            raise HTTPException(404)
        return await in_thread(picture_response, place, request, limits.max_pixels)

    async def upload(request: Request) -> Response:
        target = place_of(root, request.path_params["path"])
        if target.suffix.lower() != SUFFIX:
            raise HTTPException(400, f"the name of an upload ends in {SUFFIX}")
        if target.exists():
            raise HTTPException(409, "exists")
        with tempfile.SpooledTemporaryFile(SPOOLED_BYTES) as body:
            await receive(request, body, limits)
            return await in_thread(
                store, body, target, dict(request.query_params), limits.max_pixels
            )

    async def health(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    routes = [
        Route("/health", health),
        Route("/{path:path}", show),
    ]
    if uploads:
        routes.append(Route("/{path:path}", upload, methods=["PUT"]))
    statuses = {UsageError: 400, CodecError: 500, OSError: 500, MemoryError: 503}
    handlers: Any = {error: error_handler(status) for error, status in statuses.items()}
    return Starlette(routes=routes, exception_handlers=handlers)


def error_handler(status: int) -> Callable[[Request, Exception], Response]:
    """A handler that answers with the reason of an exception."""

    def handler(request: Request, error: Exception) -> Response:
        return PlainTextResponse(f"{reason(error)}\n", status)

    return handler


def place_of(root: Path, path: str) -> Path:
    """The place that the path of a URL names, links followed; HTTPException 404 if it
    is not in the folder `root`.
    """
    try:
        place = (root / path).resolve()
        if place.is_relative_to(root):
            place.exists()  # or it raises, where a name is too long
            return place
    except (OSError, ValueError, RuntimeError):  # NUL, too long, links in a circle
        pass
    raise HTTPException(404)


def page(folder: Path, path: str) -> Response:
    """Links to what is in a folder."""
    with os.scandir(folder) as entries:
        found = sorted(filter(None, map(link_name, entries)))
    folders = [name for name in found if name.endswith("/")]
    pictures = [name for name in found if not name.endswith("/")]
    shown = [*folders, *pictures][:LISTED_MAX]
    items = [
        f'<a href="{quote(name)}">{thumbnail_of(name)}{html.escape(name)}</a>'
        for name in shown
    ]
    more = len(found) - len(shown)
    content = PAGE.format(
        title=html.escape(f"/{path}"),
        width=THUMBNAIL_PX,
        entries="".join(f"<li>{item}</li>\n" for item in items),
        note=f"and {more} more" if more > 0 else "",
    )
    return HTMLResponse(content, headers=HEADERS)


def link_name(entry: os.DirEntry[str]) -> str:
    """Name of a folder, with a slash, or of a picture; "" for what is not shown."""
    if entry.name.startswith(".") or not entry.name.isprintable():  # or no Unicode
        return ""
    if entry.is_dir():
        return f"{entry.name}/"
    return entry.name if entry.name.lower().endswith(SUFFIX) else ""


def thumbnail_of(name: str) -> str:
    """An image, unless it is a folder."""
    if name.endswith("/"):
        return ""
    query = f"?format=webp&amp;w={THUMBNAIL_PX}"
    return f'<img loading="lazy" alt="" src="{quote(name)}{query}">'


def picture_response(file: Path, request: Request, max_pixels: int) -> Response:
    """The picture as the query asks for it, or status 304 if the client has it."""
    data = file.read_bytes()
    query = dict(request.query_params)
    kind = query.pop("format", "png")
    if kind not in MIME_TYPES:
        raise UsageError(f"format is {' or '.join(MIME_TYPES)}")
    # Weak, as pixels may differ by a gray level where another machine answers.
    facts = repr((__version__, kind, sorted(query.items()))).encode()
    tag = f'W/"{hashlib.sha256(facts + data).hexdigest()[:32]}"'
    headers = {**HEADERS, "ETag": tag}
    known = request.headers.get("If-None-Match", "").split(",")
    if tag in map(str.strip, known):
        return Response(status_code=304, headers=headers)
    if kind != RAW:
        image = picture_of(data, query, max_pixels)
        if kind == "jpeg" and image.has_transparency_data:
            on_white = Image.new("RGB", image.size, "white")
            on_white.paste(image, mask=image.getchannel("A"))
            on_white.info |= image.info
            image = on_white
        data, _ = file_bytes(image, kind.upper())
    return Response(data, media_type=MIME_TYPES[kind], headers=headers)


def picture_of(data: bytes, query: dict[str, str], max_pixels: int) -> Image.Image:
    """The picture in an .aec file upright, without EXIF and XMP; the `query` may have
    `region`, of the pixels as stored, and `w`, the width to reduce it to.
    """
    region, width = query.pop("region", None), query.pop("w", None)
    refuse(query)
    if width and not (width.isascii() and width.isdigit()):
        raise UsageError("w is a number of pixels")
    width_px = min(int(width[:9]), WIDTH_MAX) if width else WIDTH_MAX
    if not width_px:
        raise UsageError("w is at least 1")
    if region:
        options = DecodeOptions(region=region_in(region), max_pixels=max_pixels)
        image = decode_file(data, options)
        size = image.size
    else:
        facts = read_info(data)
        size = facts.width, facts.height
        # Which of them is the width is not known before EXIF is.
        scale = min((s for s in SCALES if s * min(size) >= width_px), default=1)
        options = DecodeOptions(scale=scale, max_pixels=max_pixels)
        image = decode_file(data, options)
    profile = image.info.get("icc_profile")
    stored, image = image.size, upright(image)
    if image.size != stored:
        size = size[::-1]
    if width_px < size[0]:
        height_px = max(1, round(size[1] * width_px / size[0]))
        image = image.resize((width_px, height_px), Image.Resampling.LANCZOS)
    if profile:
        image.info["icc_profile"] = profile
    return image


def refuse(query: dict[str, str]) -> None:
    if query:
        raise UsageError(f"unknown: {', '.join(sorted(query))}")


async def receive(request: Request, body: IO[bytes], limits: Limits) -> None:
    """Write the body of a request to a file; HTTPException 413 and 408 for one that is
    too large or too slow.
    """
    too_large = HTTPException(413, f"more than {limits.upload_bytes} bytes")
    if int(request.headers.get("Content-Length", 0)) > limits.upload_bytes:
        raise too_large
    try:
        with anyio.fail_after(limits.upload_seconds):
            async for chunk in request.stream():
                body.write(chunk)
                if body.tell() > limits.upload_bytes:
                    raise too_large
    except TimeoutError:
        raise HTTPException(408, "too slow") from None
    except ClientDisconnect:
        raise HTTPException(400, "incomplete") from None  # nobody reads this


def store(
    body: IO[bytes], target: Path, query: dict[str, str], max_pixels: int
) -> Response:
    """Encode the picture in `body` to a new file."""
    quality, tune = query.pop("quality", None), query.pop("tune", EncodeOptions.tune)
    refuse(query)
    try:
        value = None if quality is None else float(quality)
    except ValueError:
        raise UsageError("quality is a number") from None
    options = EncodeOptions(quality=value, tune=tune, max_pixels=max_pixels)
    body.seek(0)
    picture = picture_in(body.read(), options.max_pixels, options.strip)
    data = encode_picture(picture, options)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write(str(target), data, force=False)
    except (UsageError, OSError):  # it names the folder
        if target.exists() or target.parent.is_file():
            raise HTTPException(409, "exists") from None
        raise HTTPException(507, "cannot be written") from None
    return PlainTextResponse(f"{len(data)} bytes\n", 201)


def serve(
    folder: Path,
    host: str,
    port: int,
    uploads: bool,
    limits: Limits,
    ready: Callable[[str], None],
) -> None:
    """Answer until a signal comes; `ready` is told the URL. UsageError if `host` and
    `port` cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    app: ASGIApp = application(folder, uploads, limits)
    if host in LOOPBACK:  # so that no page of another site reads it by its own name
        app = TrustedHostMiddleware(app, LOOPBACK)
    config = uvicorn.Config(
        app,
        log_level="warning",
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=5,
        server_header=False,
    )
    try:
        listener = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:  # its text says the address again
        raise UsageError(reason(error).partition(" (")[0]) from None
    with listener:
        name = f"[{host}]" if ":" in host else host
        ready(f"http://{name}:{listener.getsockname()[1]}/")
        uvicorn.Server(config).run(sockets=[listener])
