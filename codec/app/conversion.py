"""One file encoded or decoded, from file to file."""

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from codec.api import (
    MAGIC,
    SUFFIX,
    decode_file,
    encode_and_tell,
    read_info,
    salvage_file,
)
from codec.app.files import ALREADY_THERE, STREAM, check_target, read, traits, write
from codec.app.picture_files import check_quality, file_bytes, format_of
from codec.app.replacement import replacing
from codec.app.reporting import JSON, QUIET, asked, say, tell
from codec.app.shards import SHARD_SUFFIX, convert_shard, is_shard
from codec.errors import FormatError, UsageError
from codec.options import DecodeOptions, EncodeOptions
from codec.picture.formats import readable_suffixes
from codec.picture.reading import picture_in
from codec.progress import Progress, no_progress

PNG = ".png"
OLDER_NS = 2 * 10**9  # the coarsest step of the times that file systems keep


def aec_name(name: str) -> str:
    """Whole names, so that photo.png and photo.jpg do not become the same."""
    return name if is_shard(name) else f"{name}{SUFFIX}"


def picture_name(name: str, suffix: str = PNG) -> str:
    """photo.aec and photo.png.aec become photo.png, photo.jpg.aec photo.jpg.png; and
    photo.jpg.aec photo.jpg, if that is the `suffix`.
    """
    if is_shard(name):
        return name
    stem = Path(name).stem
    return stem if stem.lower().endswith(suffix) else f"{stem}{suffix}"


@dataclass(frozen=True)
class Converted:
    """What a file was converted to, what of it is lost there, and, of a tar file, the
    members that were not converted and why.
    """

    facts: str
    losses: Sequence[str]
    size_bytes: int
    failures: Sequence[str] = ()
    remark: str = ""  # of a target out of reach
    more: str = ""  # what --verbose adds to the facts
    record: Mapping[str, Any] = field(default_factory=dict)  # what --json adds
    seconds: float = 0

    def tell(self, source: str, target: str) -> None:
        """Report what became of `source`."""
        more = ", ".join([*filter(None, [self.more]), f"{self.seconds:.1f} s"])
        record = {
            "file": source,
            "output": target,
            "size_bytes": self.size_bytes,
            **self.record,
            "remark": self.remark,
            "lost": [*self.losses],
            "seconds": round(self.seconds, 3),
        }
        if self.failures:
            record["failed"] = [*self.failures]
        facts = "; ".join(filter(None, [self.facts, self.remark]))
        tell(f"{source} -> {target}: {facts}", record, more)

    def tell_losses(self, source: str) -> None:
        """A line for each thing that the output does not hold."""
        for loss in () if asked(JSON) or asked(QUIET) else self.losses:
            say(f"{source}: lost: {loss}")


@dataclass(frozen=True)
class Encoding:
    """A picture of a format that is read here to an .aec file, or those in a tar file
    to one. CodecError or OSError if that fails.
    """

    suffix: ClassVar[str] = SUFFIX  # of outputs
    sought: ClassVar[str] = "pictures"
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
        """With so many for the networks, unless the options say how many."""
        threads = self.options.threads or threads
        return replace(self, options=replace(self.options, threads=threads))

    def check(self, source: str, target: str) -> None:
        """CodecError or OSError for what is plain before the work has begun."""
        check_source(source)
        check_shard(source, target)
        check_target(target, self.force)

    def __call__(
        self, source: str, target: str, progress: Progress = no_progress
    ) -> Converted:
        self.check(source, target)
        if is_shard(source):
            kinds = readable_suffixes()
            convert = partial(shard, kinds=kinds, suffix=SUFFIX, convert=self.converted)
            return convert(source, target, self.force, self.preserve, progress)
        like = traits(source, self.preserve)
        data, converted = self.converted(read(source), progress)
        write(target, data, self.force, like)
        return converted

    def converted(
        self, content: bytes, progress: Progress = no_progress
    ) -> tuple[bytes, Converted]:
        """(.aec file, what became of it) of the content of a picture file."""
        if content.startswith(MAGIC):
            raise UsageError(self.made_already)
        picture = picture_in(content, self.options.max_pixels, self.options.strip)
        data, remark = encode_and_tell(picture, self.options, progress)
        info = read_info(data)
        facts = f"{len(data)} bytes, {info.rate_bpp:.3f} bpp"
        size = {"width": info.width, "height": info.height}
        return data, Converted(
            facts,
            picture.losses,
            len(data),
            more=f"{sizes(**size)}, quality {info.quality:g}, model {info.model}",
            record={
                **size,
                "rate_bpp": round(info.rate_bpp, 4),
                "quality": info.quality,
                "model": info.model,
            },
            remark=remark,
        )


@dataclass(frozen=True)
class Decoding:
    """An .aec file to a picture of the format that the suffix of the target names, or
    those in a tar file to pictures in another. CodecError or OSError if that fails, or
    if there was something to salvage.
    """

    sought: ClassVar[str] = f"{SUFFIX} files"
    made_already: ClassVar[str] = "is no .aec file; `aecodec encode` makes one of it"
    updates: ClassVar[bool] = False
    options: DecodeOptions
    force: bool
    preserve: bool = False
    quality: int | None = None  # of JPEG, WebP and AVIF
    suffix: str = PNG  # of outputs that get their names here

    @property
    def kinds(self) -> frozenset[str]:
        """As of `Encoding`."""
        return frozenset({SUFFIX, SHARD_SUFFIX})

    def rename(self, name: str) -> str:
        """As of `Encoding`."""
        return picture_name(name, self.suffix)

    beside = rename

    def with_threads(self, threads: int) -> "Decoding":
        """As of `Encoding`."""
        threads = self.options.threads or threads
        return replace(self, options=replace(self.options, threads=threads))

    def check(self, source: str, target: str) -> None:
        """As of `Encoding`."""
        check_source(source)
        check_shard(source, target)
        if is_shard(source) and self.options.salvage:
            raise UsageError("nothing is salvaged from a tar file")
        check_target(target, self.force)
        check_quality(self.format_of(target), self.quality)

    def format_of(self, target: str) -> str:
        """Pillow's name of what is written to a file, or into a tar file."""
        named = target != STREAM and not is_shard(target) and Path(target).suffix
        return format_of(named or self.suffix)

    def __call__(
        self, source: str, target: str, progress: Progress = no_progress
    ) -> Converted:
        self.check(source, target)
        if is_shard(source):
            convert = partial(
                shard, kinds={SUFFIX}, suffix=self.suffix, convert=self.converted
            )
            return convert(source, target, self.force, self.preserve, progress)
        image_format, like = self.format_of(target), traits(source, self.preserve)
        data = read(source)
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
        """(picture file, what became of it) of the content of an .aec file."""
        image = decode_file(content, self.options)
        return saved(image, format_of(self.suffix), self.quality)


def sizes(width: int, height: int) -> str:
    return f"{width} x {height} pixels"


def saved(
    image: Image.Image, image_format: str, quality: int | None = None
) -> tuple[bytes, Converted]:
    """(file of one of Pillow's formats, what became of it)."""
    coded, losses, facts = file_bytes(image, image_format, quality)
    return coded, Converted(
        facts,
        losses,
        len(coded),
        more=f"{len(coded)} bytes, {image_format}",
        record={"width": image.width, "height": image.height, "format": image_format},
    )


def check_source(source: str) -> None:
    if os.path.isdir(source):
        raise UsageError("a folder; --recursive converts what is in it")
    if source != STREAM and not os.access(source, os.R_OK):
        open(source, "rb").close()  # and it raises


def check_shard(source: str, target: str) -> None:
    """UsageError if one is a tar file and the other is none."""
    if is_shard(source) and not is_shard(target):
        raise UsageError(f"a tar file becomes one, and {target} is none")
    if is_shard(target) and not is_shard(source):
        raise UsageError(f"{target} is the name of a tar file, and this is none")


def tell_planned(source: str, target: str) -> None:
    """Report what --dry-run leaves undone."""
    record = {"file": source, "output": target, "dry_run": True}
    tell(f"{source} -> {target}", record)


Conversion = Encoding | Decoding


def timed(
    convert: Callable[..., Converted], source: str, target: str, progress: Progress
) -> Converted:
    """What becomes of `source`, and how long it took."""
    start = time.perf_counter()
    converted = convert(source, target, progress)
    return replace(converted, seconds=time.perf_counter() - start)


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

    place, like = Path(os.path.realpath(target)), traits(source, preserve)
    try:
        with open(source, "rb") as file, replacing(place, like, force) as new:
            results = convert_shard(file, new, kinds, suffix, converted)
    except FileExistsError:
        raise UsageError(ALREADY_THERE.format(target)) from None
    done = [(name, what) for name, what in results if isinstance(what, Converted)]
    losses = [f"{name}: {loss}" for name, what in done for loss in what.losses]
    failures = [f"{name}: {what}" for name, what in results if isinstance(what, str)]
    if failures:  # so that it counts as older, and the next run tries again
        old_ns = Path(source).stat().st_mtime_ns - OLDER_NS
        os.utime(place, ns=(old_ns, old_ns))
    size = Path(target).stat().st_size
    facts, record = f"{len(done)} pictures, {size} bytes", {"pictures": len(done)}
    return Converted(facts, losses, size, failures, record=record)
