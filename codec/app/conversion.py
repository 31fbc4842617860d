"""One file encoded or decoded, from file to file."""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from PIL import Image

from codec.api import SUFFIX, decode_file, encode_picture, read_info, salvage_file
from codec.app.files import ALREADY_THERE, check_target, read, traits, write
from codec.app.picture_files import file_bytes, format_of
from codec.app.replacement import replacing
from codec.app.shards import SHARD_SUFFIX, convert_shard, is_shard
from codec.errors import FormatError, UsageError
from codec.options import DecodeOptions, EncodeOptions
from codec.picture.formats import readable_suffixes
from codec.picture.reading import picture_in
from codec.progress import Progress, no_progress

PNG = ".png"


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
    """What a file was converted to, what of it is lost there, and, of a tar file, the
    members that were not converted and why.
    """

    facts: str
    losses: Sequence[str]
    size_bytes: int
    failures: Sequence[str] = ()

    def losses_of(self, source: str) -> list[str]:
        """A line for each thing that the output of `source` does not hold."""
        return [f"{source}: lost: {loss}" for loss in self.losses]


@dataclass(frozen=True)
class Encoding:
    """A picture of a format that is read here to an .aec file, or those in a tar file
    to one. CodecError or OSError if that fails.
    """

    suffix: ClassVar[str] = SUFFIX  # of outputs
    made_already: ClassVar[str] = "is an .aec file already; `aecodec decode` reads it"
    updates: ClassVar[bool] = True  # replaces outputs that are older than their input
    options: EncodeOptions
    force: bool
    preserve: bool = False  # the times of the input

    @property
    def kinds(self) -> frozenset[str]:
        """Suffixes of the inputs that are looked for in folders."""
        return readable_suffixes() | {SHARD_SUFFIX}

    @staticmethod
    def rename(name: str) -> str:
        """The output's name in a folder."""
        return aec_name(name)

    @staticmethod
    def beside(name: str) -> str:
        """The output's name where none is given."""
        return str(Path(name).with_suffix(SUFFIX))

    def with_threads(self, threads: int) -> "Encoding":
        return replace(self, options=replace(self.options, threads=threads))

    def __call__(
        self, source: str, target: str, progress: Progress = no_progress
    ) -> Converted:
        check_target(target, self.force)
        if is_shard(source):
            kinds = readable_suffixes()
            convert = partial(shard, kinds=kinds, suffix=SUFFIX, convert=self.converted)
            return convert(source, target, self.force, self.preserve, progress)
        like = traits(source, self.preserve)
        data, converted = self.converted(content_of(source), progress)
        write(target, data, self.force, like)
        return converted

    def converted(
        self, content: bytes, progress: Progress = no_progress
    ) -> tuple[bytes, Converted]:
        """(.aec file, what became of it) of the content of a picture file."""
        picture = picture_in(content, self.options.max_pixels, self.options.strip)
        data = encode_picture(picture, self.options, progress)
        facts = f"{len(data)} bytes, {read_info(data).rate_bpp:.3f} bpp"
        return data, Converted(facts, picture.losses, len(data))


@dataclass(frozen=True)
class Decoding:
    """An .aec file to a picture of the format that the suffix of the target names, or
    those in a tar file to PNG in another. CodecError or OSError if that fails, or if
    there was something to salvage.
    """

    suffix: ClassVar[str] = PNG
    made_already: ClassVar[str] = "is no .aec file; `aecodec encode` makes one of it"
    updates: ClassVar[bool] = False
    options: DecodeOptions
    force: bool
    preserve: bool = False
    quality: int | None = None  # of JPEG, WebP and AVIF

    @property
    def kinds(self) -> frozenset[str]:
        """As of `Encoding`."""
        return frozenset({SUFFIX, SHARD_SUFFIX})

    @staticmethod
    def rename(name: str) -> str:
        """As of `Encoding`."""
        return png_name(name)

    @staticmethod
    def beside(name: str) -> str:
        """As of `Encoding`."""
        return png_name(name)

    def with_threads(self, threads: int) -> "Decoding":
        return replace(self, options=replace(self.options, threads=threads))

    def __call__(
        self, source: str, target: str, progress: Progress = no_progress
    ) -> Converted:
        check_target(target, self.force)
        if is_shard(source):
            if self.options.salvage:
                raise UsageError("nothing is salvaged from a tar file")
            convert = partial(shard, kinds={SUFFIX}, suffix=PNG, convert=self.converted)
            return convert(source, target, self.force, self.preserve, progress)
        image_format, like = format_of(target), traits(source, self.preserve)
        data = content_of(source)
        faults: list[str] = []
        if self.options.salvage:
            image, faults = salvage_file(data, self.options, progress)
        else:
            image = decode_file(data, self.options, progress)
        coded, converted = saved(image, image_format, self.quality)
        write(target, coded, self.force, like)
        if faults:
            raise FormatError(f"salvaged to {target}; " + "; ".join(faults))
        return converted

    def converted(self, content: bytes) -> tuple[bytes, Converted]:
        """(PNG file, what became of it) of the content of an .aec file."""
        return saved(decode_file(content, self.options), "PNG", self.quality)


def saved(
    image: Image.Image, image_format: str, quality: int | None = None
) -> tuple[bytes, Converted]:
    """(file of one of Pillow's formats, what became of it)."""
    coded, losses, facts = file_bytes(image, image_format, quality)
    return coded, Converted(facts, losses, len(coded))


def content_of(source: str) -> bytes:
    if os.path.isdir(source):
        raise UsageError("a folder; --recursive converts what is in it")
    return read(source)


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
    """`convert_shard` from file to file. `progress` is called with 0 before every
    picture, so that it can stop the work.
    """

    def converted(content: bytes) -> tuple[bytes, Converted]:
        progress(0)
        return convert(content)

    if not is_shard(target):
        raise UsageError(f"a tar file becomes one, and {target} is none")
    place, like = Path(os.path.realpath(target)), traits(source, preserve)
    try:
        with open(source, "rb") as file, replacing(place, like, force) as new:
            results = convert_shard(file, new, kinds, suffix, converted)
    except FileExistsError:
        raise UsageError(ALREADY_THERE.format(target)) from None
    done = [(name, what) for name, what in results if isinstance(what, Converted)]
    losses = [f"{name}: {loss}" for name, what in done for loss in what.losses]
    failures = [f"{name}: {what}" for name, what in results if isinstance(what, str)]
    size = Path(target).stat().st_size
    return Converted(f"{len(done)} pictures, {size} bytes", losses, size, failures)
