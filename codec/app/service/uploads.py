"""Pictures that clients send, to be kept or to be looked at."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from codec.api import MAGIC, MIME_TYPE, decode_file, encode_picture
from codec.app.files import write
from codec.app.matching import CODECS, flat_picture, matched
from codec.app.service.answers import HEADERS, Answer, line
from codec.app.service.limits import Limits
from codec.app.service.pictures import refuse
from codec.errors import FormatError, UsageError, reason
from codec.options import SCALES, DecodeOptions, EncodeOptions
from codec.picture.reading import picture_in


@dataclass(frozen=True)
class Equal:
    """What is asked of another codec: a file of a format within some bytes."""

    kind: str
    limit_bytes: int


def refuse_other_sites(headers: Mapping[str, str]) -> None:
    """HTTPException 403 for what a page of another site sends by its visitor.

    Browsers send Sec-Fetch-Site by HTTPS and to loopback alone. Elsewhere Origin tells,
    which is not there where no browser sends.
    """
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site is not None:
        other = site not in ("same-origin", "none")
    else:
        host = headers.get("Host", "").lower()
        other = origin is not None and origin.partition("://")[2].lower() != host
    if other:
        raise HTTPException(403, "of another site")


def equal_in(query: dict[str, str]) -> Equal:
    """UsageError if the query asks for what there is not."""
    rest = dict(query)
    kind, limit = rest.pop("format"), rest.pop("bytes", "")
    refuse(rest)
    if kind not in CODECS:
        raise UsageError(f"format is {' or '.join(CODECS)}")
    if not (limit.isascii() and limit.isdigit()):
        raise UsageError("bytes is a number")
    return Equal(kind, int(limit[:18]))


def options_in(query: dict[str, str], max_pixels: int) -> EncodeOptions:
    """UsageError if the query asks for what there is not."""
    rest = dict(query)
    quality, tune = rest.pop("quality", None), rest.pop("tune", EncodeOptions.tune)
    content = rest.pop("content", EncodeOptions.content)
    lossless = rest.pop("lossless", "0")
    refuse(rest)
    if lossless not in ("0", "1"):
        raise UsageError("lossless is 0 or 1")
    try:
        value = None if quality is None else float(quality)
    except ValueError:
        raise UsageError("quality is a number") from None
    return EncodeOptions(
        quality=value,
        tune=tune,
        content=content,
        lossless=lossless == "1",
        max_pixels=max_pixels,
    )


async def receive(request: Request, target: Path, limits: Limits) -> None:
    """Write the body of a request to a file; HTTPException 413 and 408 for one that is
    too large or too slow.
    """
    too_large = HTTPException(413, f"more than {limits.upload_bytes} bytes")
    announced = request.headers.get("Content-Length", "")
    if announced.isdecimal() and float(announced) > limits.upload_bytes:
        raise too_large
    try:
        with anyio.fail_after(limits.upload_seconds), target.open("wb") as body:
            async for chunk in request.stream():
                body.write(chunk)
                if body.tell() > limits.upload_bytes:
                    raise too_large
    except TimeoutError:
        raise HTTPException(408, "too slow") from None
    except ClientDisconnect:
        raise HTTPException(400, "incomplete") from None  # nobody reads this


def coded(body: Path, options: EncodeOptions) -> Answer:
    """The picture in a file as an .aec file, which is not kept."""
    headers = {**HEADERS, "Content-Type": MIME_TYPE}
    return Answer(file_of(body, options), headers=headers)


def coded_by_another(body: Path, asked: Equal, max_pixels: int) -> Answer:
    """The picture in a file in another format; the header X-Quality says at which
    quality.
    """
    image = flat_picture(body.read_bytes(), max_pixels)
    match = matched(image, asked.kind, asked.limit_bytes)
    headers = {"Content-Type": f"image/{asked.kind}", "X-Quality": str(match.quality)}
    return Answer(match.data, headers={**HEADERS, **headers})


def file_of(body: Path, options: EncodeOptions) -> bytes:
    """The .aec file of a picture in a file, or the file itself if it is one already and
    can be decoded.
    """
    data = body.read_bytes()
    if not data.startswith(MAGIC):
        picture = picture_in(data, options.max_pixels, options.strip)
        return encode_picture(picture, options)
    if options != EncodeOptions(max_pixels=options.max_pixels):
        raise UsageError("an .aec file is kept as it is, without quality and tune")
    try:
        decode_file(
            data, DecodeOptions(scale=min(SCALES), max_pixels=options.max_pixels)
        )
    except FormatError as error:
        raise UsageError(reason(error)) from None
    return data


def store(body: Path, target: Path, options: EncodeOptions) -> Answer:
    """Encode the picture in a file to a new one; an .aec file is kept as it is."""
    data = file_of(body, options)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write(str(target), data, force=False)
    except (FileExistsError, NotADirectoryError):  # where a folder would be
        return line("exists", 409)
    except (UsageError, OSError):  # it names the folder
        if target.exists():
            return line("exists", 409)
        return line("cannot be written", 507)
    return line(f"{len(data)} bytes", 201)
