"""One file converted: what the command line does with each of its inputs."""

import os
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from codec.api import SUFFIX, decode, encode, read_info, salvage
from codec.app.files import check_target, read, replacing, write
from codec.app.picture_files import file_bytes, format_of, sizes_written
from codec.app.shards import convert_shard, is_shard
from codec.coding.tiles import Region
from codec.errors import FormatError, UsageError
from codec.networks.bundle import EXACT, Bundle
from codec.picture.formats import readable_suffixes
from codec.picture.reading import Picture, picture_in
from codec.progress import Progress, untold

PNG = ".png"
REGION = re.compile(r"\d{1,9}(,\d{1,9}){3}", re.ASCII)


def region_in(text: str) -> Region:
    """left,top,width,height; UsageError if it is nothing like that."""
    if not REGION.fullmatch(text):
        raise UsageError("expected left,top,width,height in pixels")
    left, top, width, height = map(int, text.split(","))
    return left, top, width, height


def aec_name(name: str) -> str:
    """Whole names, so that photo.png and photo.jpg do not become the same."""
    return name if is_shard(name) else f"{name}{SUFFIX}"


def png_name(name: str) -> str:
    """photo.aec and photo.png.aec become photo.png, photo.jpg.aec photo.jpg.png."""
    if is_shard(name):
        return name
    stem = Path(name).stem
    return stem if stem.lower().endswith(PNG) else f"{stem}{PNG}"


@dataclass(frozen=True)
class Converted:
    """What became of a file: facts about the output, and what is lost in it."""

    facts: str
    losses: Sequence[str]
    size_bytes: int

    def losses_of(self, source: str) -> list[str]:
        """A line for each thing that the output of `source` does not hold."""
        return [f"{source}: lost: {loss}" for loss in self.losses]


@dataclass(frozen=True)
class Encoding:
    """A picture of a format that is read here to an .aec file, or those in a tar file
    to one; `options` are those of `codec.encode`. CodecError or OSError if that fails.
    """

    options: dict[str, Any]
    strip: Sequence[str]
    force: bool
    max_pixels: int
    threads: int | None = None

    def __call__(
        self, source: str, target: str, progress: Progress = untold
    ) -> Converted:
        if is_shard(source):
            kinds = readable_suffixes()
            convert = self.converted
            return shard(source, target, kinds, SUFFIX, convert, self.force, progress)
        data, converted = self.converted(read(source), progress)
        write(target, data, self.force)
        return converted

    def converted(
        self, content: bytes, progress: Progress = untold
    ) -> tuple[bytes, Converted]:
        """(.aec file, what became of it) of the content of a picture file."""
        picture = picture_in(content, self.max_pixels, self.strip)
        data = self.coded(picture, progress)
        facts = f"{len(data)} bytes, {read_info(data).rate_bpp:.3f} bpp"
        return data, Converted(facts, picture.losses, len(data))

    def coded(self, picture: Picture, progress: Progress = untold) -> bytes:
        return encode(
            picture,
            max_pixels=self.max_pixels,
            threads=self.threads,
            progress=progress,
            **self.options,
        )


@dataclass(frozen=True)
class Decoding:
    """An .aec file to a picture of the format that the suffix of the target names, or
    those in a tar file to PNG in another. CodecError or OSError if that fails, or if
    there was something to `salvage`.
    """

    force: bool
    max_pixels: int
    salvage: bool = False
    region: Region | None = None
    scale: float = 1
    precision: str = EXACT
    head: str | None = None
    bundle: Bundle | None = None
    quality: int | None = None  # of JPEG, WebP and AVIF
    threads: int | None = None

    def __call__(
        self, source: str, target: str, progress: Progress = untold
    ) -> Converted:
        if is_shard(source):
            if self.salvage:
                raise UsageError("nothing is salvaged from a tar file")
            convert = self.png
            return shard(source, target, {SUFFIX}, PNG, convert, self.force, progress)
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
            image = self.decoded(data, progress)
        coded, converted = self.saved(image, image_format)
        write(target, coded, self.force)
        if faults:
            raise FormatError(f"salvaged to {target}; " + "; ".join(faults))
        return converted

    def decoded(self, data: bytes, progress: Progress = untold) -> Image.Image:
        return decode(
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

    def saved(self, image: Image.Image, image_format: str) -> tuple[bytes, Converted]:
        """(file of one of Pillow's formats, what became of it)."""
        coded, losses = file_bytes(image, image_format, self.quality)
        facts = sizes_written(image, image_format, coded)
        return coded, Converted(facts, losses, len(coded))

    def png(self, content: bytes) -> tuple[bytes, Converted]:
        """As `saved`, of the content of an .aec file."""
        return self.saved(self.decoded(content), "PNG")


Conversion = Encoding | Decoding


def shard(
    source: str,
    target: str,
    kinds: Collection[str],
    suffix: str,
    convert: Callable[[bytes], tuple[bytes, Converted]],
    force: bool,
    progress: Progress,
) -> Converted:
    """`convert_shard` from file to file; UsageError, after it is written, if something
    in it stays as it was. `progress` is told of nothing done, before every picture.
    """

    def converted(content: bytes) -> tuple[bytes, Converted]:
        progress(0)
        return convert(content)

    if not is_shard(target):
        raise UsageError(f"a tar file becomes one, and {target} is none")
    check_target(target, force)
    with open(source, "rb") as file, replacing(Path(os.path.realpath(target))) as new:
        said = convert_shard(file, new, kinds, suffix, converted)
        check_target(target, force)
    failures = [f"{name}: {what}" for name, what in said if isinstance(what, str)]
    if failures:
        raise UsageError(f"written to {target} but for " + "; ".join(failures))
    losses = [
        f"{name}: {loss}"
        for name, what in said
        if isinstance(what, Converted)
        for loss in what.losses
    ]
    size = Path(target).stat().st_size
    return Converted(f"{len(said)} pictures, {size} bytes", losses, size)
