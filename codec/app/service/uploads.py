"""Pictures that clients send."""

from pathlib import Path

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from codec.api import encode_picture
from codec.app.files import write
from codec.app.service.answers import Answer, line
from codec.app.service.limits import Limits
from codec.app.service.pictures import refuse
from codec.errors import UsageError
from codec.options import EncodeOptions
from codec.picture.reading import picture_in


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


def store(body: Path, target: Path, options: EncodeOptions) -> Answer:
    """Encode the picture in a file to a new one."""
    picture = picture_in(body.read_bytes(), options.max_pixels, options.strip)
    data = encode_picture(picture, options)
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
