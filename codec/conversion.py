"""One file converted: what the command line does with each of its inputs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from codec.api import decode, encode, read_info, salvage
from codec.bundle import EXACT, Bundle
from codec.coding import Region
from codec.errors import FormatError, UsageError
from codec.files import file_bytes, format_of, load_picture, read, write
from codec.progress import Progress, untold

REGION = re.compile(r"\d{1,9}(,\d{1,9}){3}", re.ASCII)


def region_in(text: str) -> Region:
    """left,top,width,height; UsageError if it is nothing like that."""
    if not REGION.fullmatch(text):
        raise UsageError("expected left,top,width,height in pixels")
    left, top, width, height = map(int, text.split(","))
    return left, top, width, height


@dataclass(frozen=True)
class Converted:
    """What became of a file: facts about the output, and what is not kept in it."""

    facts: str
    notices: Sequence[str]
    size_bytes: int

    def __str__(self) -> str:
        return "; ".join([self.facts, *self.notices])


@dataclass(frozen=True)
class Encoding:
    """A picture of any format that Pillow reads to an .aec file; `options` are those of
    `codec.encode`. CodecError or OSError if that fails.
    """

    options: dict[str, Any]
    strip: Sequence[str]
    force: bool
    max_pixels: int
    threads: int | None = None

    def __call__(
        self, source: str, target: str, progress: Progress = untold
    ) -> Converted:
        picture = load_picture(source, self.max_pixels, self.strip)
        data = encode(
            picture,
            max_pixels=self.max_pixels,
            threads=self.threads,
            progress=progress,
            **self.options,
        )
        write(target, data, self.force)
        facts = f"{len(data)} bytes, {read_info(data).rate_bpp:.3f} bpp"
        return Converted(facts, picture.notices, len(data))


@dataclass(frozen=True)
class Decoding:
    """An .aec file to a picture of the format that the suffix of the target names.
    CodecError or OSError if that fails, or if there was something to `salvage`.
    """

    force: bool
    max_pixels: int
    salvage: bool = False
    region: Region | None = None
    scale: float = 1
    precision: str = EXACT
    head: str | None = None
    bundle: Bundle | None = None
    threads: int | None = None

    def __call__(
        self, source: str, target: str, progress: Progress = untold
    ) -> Converted:
        image_format, data = format_of(target), read(source)
        faults: list[str] = []
        if self.salvage:
            image, faults = salvage(
                data,
                max_pixels=self.max_pixels,
                bundle=self.bundle,
                threads=self.threads,
                progress=progress,
            )
        else:
            image = decode(
                data,
                region=self.region,
                scale=self.scale,
                precision=self.precision,
                head=self.head,
                max_pixels=self.max_pixels,
                bundle=self.bundle,
                threads=self.threads,
                progress=progress,
            )
        coded, notices = file_bytes(image, image_format)
        write(target, coded, self.force)
        if faults:
            raise FormatError(f"salvaged to {target}; " + "; ".join(faults))
        facts = f"{image.width} x {image.height} pixels"
        return Converted(facts, notices, len(coded))


Conversion = Encoding | Decoding
