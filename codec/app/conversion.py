"""One file converted: what the command line does with each of its inputs."""

import os
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from codec.api import SUFFIX, decode, encode, read_info, salvage
from codec.app.files import ALREADY_THERE, check_target, read, traits, write
from codec.app.picture_files import file_bytes, format_of, picture_suffixes
from codec.app.replacement import replacing
from codec.app.shards import convert_shard, is_shard
from codec.coding.tiles import Region
from codec.errors import FormatError, UsageError
from codec.networks.bundle import EXACT, Bundle
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
    """What became of a file: facts about the output, what is not kept in it, and, of a
    tar file, the pictures that were not converted and why.
    """

    facts: str
    notices: Sequence[str]
    size_bytes: int
    failures: Sequence[str] = ()

    def __str__(self) -> str:
        return "; ".join([self.facts, *self.notices])


@dataclass(frozen=True)
class Encoding:
    """A picture of any format that Pillow reads to an .aec file, or those in a tar file
    to one; `options` are those of `codec.encode`. CodecError or OSError if that fails.
    """

    options: dict[str, Any]
    strip: Sequence[str]
    force: bool
    max_pixels: int
    preserve: bool = False
    threads: int | None = None

    def __call__(
        self, source: str, target: str, progress: Progress = untold
    ) -> Converted:
        check_target(target, self.force)
        if is_shard(source):
            kinds = picture_suffixes()
            convert = partial(shard, kinds=kinds, suffix=SUFFIX, convert=self.converted)
            return convert(source, target, self.force, self.preserve, progress)
        like = traits(source, self.preserve)
        data, converted = self.converted(read(source), progress)
        write(target, data, self.force, like)
        return converted

    def converted(
        self, content: bytes, progress: Progress = untold
    ) -> tuple[bytes, Converted]:
        """(.aec file, what became of it) of the content of a picture file."""
        picture = picture_in(content, self.max_pixels, self.strip)
        data = self.coded(picture, progress)
        facts = f"{len(data)} bytes, {read_info(data).rate_bpp:.3f} bpp"
        return data, Converted(facts, picture.notices, len(data))

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
    preserve: bool = False
    threads: int | None = None

    def __call__(
        self, source: str, target: str, progress: Progress = untold
    ) -> Converted:
        check_target(target, self.force)
        if is_shard(source):
            if self.salvage:
                raise UsageError("nothing is salvaged from a tar file")
            convert = partial(shard, kinds={SUFFIX}, suffix=PNG, convert=self.png)
            return convert(source, target, self.force, self.preserve, progress)
        image_format, like = format_of(target), traits(source, self.preserve)
        data = read(source)
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
        write(target, coded, self.force, like)
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
        coded, notices = file_bytes(image, image_format)
        facts = f"{image.width} x {image.height} pixels"
        return coded, Converted(facts, notices, len(coded))

    def png(self, content: bytes) -> tuple[bytes, Converted]:
        """As `saved`, of the content of an .aec file."""
        return self.saved(self.decoded(content), "PNG")


Conversion = Encoding | Decoding


def shard(
    source: str,
    target: str,
    force: bool,
    preserve: bool,
    progress: Progress,
    *,
    kinds: Collection[str],
    suffix: str,
    convert: Callable[[bytes], tuple[bytes, Converted]],
) -> Converted:
    """`convert_shard` from file to file. `progress` is told of nothing done, before
    every picture.
    """

    def converted(content: bytes) -> tuple[bytes, Converted]:
        progress(0)
        return convert(content)

    if not is_shard(target):
        raise UsageError(f"a tar file becomes one, and {target} is none")
    place, like = Path(os.path.realpath(target)), traits(source, preserve)
    try:
        with open(source, "rb") as file, replacing(place, like, force) as new:
            said = convert_shard(file, new, kinds, suffix, converted)
    except FileExistsError:
        raise UsageError(ALREADY_THERE.format(target)) from None
    done = [(name, what) for name, what in said if isinstance(what, Converted)]
    notices = [f"{name}: {what}" for name, what in done if what.notices]
    failures = [f"{name}: {what}" for name, what in said if isinstance(what, str)]
    size = Path(target).stat().st_size
    return Converted(f"{len(done)} pictures, {size} bytes", notices, size, failures)
