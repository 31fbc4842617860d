"""What may be asked of encoding and of decoding: two records, checked as they are made.

The command line, the service, folders, corpora and the Pillow plugin fill them and pass
them on. What is imported under its own name is for them, too: they import no networks.
"""

import operator
import sys
from collections.abc import Collection, Hashable
from dataclasses import dataclass
from numbers import Real
from typing import Any

from codec.errors import UsageError
from codec.file.chunks import METADATA_CHUNKS
from codec.file.header import QUALITY_CODE_MAX
from codec.limits import MAX_PIXELS, check_whole
from codec.networks.bundle import EXACT, FAST
from codec.networks.bundle import Bundle as Bundle
from codec.networks.heads import HEADS as HEADS
from codec.networks.refinement import Refinement
from codec.networks.shipped import TUNE_DEFAULT, load_bundle
from codec.networks.shipped import TUNES as TUNES

QUALITY_MIN, QUALITY_MAX, QUALITY_DEFAULT = 1, 100, 60
SCORE_MAX = 100  # of SSIMULACRA 2
THREADS_MAX = 1024
AUTO, PHOTO, GRAPHICS = CONTENTS = ("auto", "photo", "graphics")
PRECISIONS = (AUTO, EXACT, FAST)  # AUTO: the one that the model says
SCALES = (1, 1 / 2, 1 / 4, 1 / 8)  # of decoded pictures
STRIPPABLE = tuple(METADATA_CHUNKS)
# How good a file is to be.
TARGETS = ("quality", "size_bytes", "rate_bpp", "psnr_db", "ssimulacra2")
Region = tuple[int, int, int, int]  # left, top, width, height, in pixels
# The preview has no halo for a region, heads have no int8, and what is salvaged is the
# whole picture as it was encoded.
EXCLUSIVE = (
    ("region", "scale"),
    ("head", "scale"),
    ("head", "precision"),
    *(("salvage", other) for other in ("region", "scale", "head")),
)


@dataclass(frozen=True)
class Effort:
    """The precision of the analysis, how the latents are refined, if at all, and what
    the layer may take: the effort of lossless WebP, 0 to 100, and the speed of AVIF, 10
    to 0.
    """

    analysis: str
    refinement: Refinement | None = None
    webp_effort: int = 80
    avif_speed: int = 6


EFFORTS = {
    **dict.fromkeys((1, 2, 3), Effort(FAST, None, 50, 8)),
    **dict.fromkeys((4, 5, 6), Effort(EXACT)),
    7: Effort(EXACT, Refinement(10), 100, 4),
    8: Effort(EXACT, Refinement(40), 100, 4),
    9: Effort(EXACT, Refinement(150, drawn=True), 100, 4),
}
EFFORT_MIN, EFFORT_MAX, EFFORT_DEFAULT = min(EFFORTS), max(EFFORTS), 4


@dataclass(frozen=True, kw_only=True)
class EncodeOptions:
    """The keywords of `codec.encode`. UsageError for values that there are not, or
    that exclude each other.
    """

    quality: float | None = None
    size_bytes: int | None = None
    rate_bpp: float | None = None
    psnr_db: float | None = None
    ssimulacra2: float | None = None
    tune: str = TUNE_DEFAULT
    effort: int = EFFORT_DEFAULT
    content: str = AUTO
    lossless: bool = False
    strip: Collection[str] = ()
    max_pixels: int = MAX_PIXELS
    bundle: Bundle | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        check_bundle(self.bundle)
        check_targets({name: getattr(self, name) for name in TARGETS})
        if not is_one_of(self.tune, TUNES):
            raise UsageError(f"tune is {self.tune!r}; expected {' or '.join(TUNES)}")
        check_effort(self.effort)
        if self.content not in CONTENTS:
            expected = " or ".join(CONTENTS)
            raise UsageError(f"content is {self.content!r}; expected {expected}")
        if self.lossless:
            check_lossless(self)
        check_strip(self.strip)
        check_whole("max_pixels", self.max_pixels, 1)
        check_threads(self.threads)

    def model(self) -> Bundle:
        """The `bundle`, or the shipped one of the tune."""
        return self.bundle or load_bundle(TUNES[self.tune].model_id)

    def quality_code(self) -> int:
        """The header's integer for the quality."""
        if self.lossless:
            return QUALITY_CODE_MAX
        return quality_code(QUALITY_DEFAULT if self.quality is None else self.quality)

    def limit_bytes(self, width: int, height: int) -> int | None:
        """What the file of a picture has to stay under, if anything."""
        if self.rate_bpp is not None:
            return int(min(self.rate_bpp * width * height / 8, 2.0**62))
        return self.size_bytes


@dataclass(frozen=True, kw_only=True)
class DecodeOptions:
    """The keywords of `codec.decode`, and whether to salvage what damage has left.
    UsageError for values that there are not, or that exclude each other.
    """

    region: Region | None = None
    scale: float = 1
    precision: str = AUTO
    head: str | None = None
    salvage: bool = False
    max_pixels: int = MAX_PIXELS
    bundle: Bundle | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        check_bundle(self.bundle)
        if not is_one_of(self.scale, SCALES):
            raise UsageError(f"scale is {self.scale!r}; expected 1, 1/2, 1/4 or 1/8")
        if not is_one_of(self.precision, PRECISIONS):
            expected = " or ".join(PRECISIONS)
            raise UsageError(f"precision is {self.precision!r}; expected {expected}")
        if not is_one_of(self.head, (None, *HEADS)):
            raise UsageError(f"head is {self.head!r}; expected {', '.join(HEADS)}")
        if self.region is not None:
            object.__setattr__(self, "region", whole_region(self.region))
        asked = {
            "region": self.region is not None and "region",
            "scale": self.scale != 1 and f"scale {self.scale}",
            "precision": self.precision == FAST and f"precision {FAST}",
            "head": self.head and f"head {self.head}",
            "salvage": self.salvage and "salvage",
        }
        for one, other in EXCLUSIVE:
            if asked[one] and asked[other]:
                raise UsageError(f"{asked[one]} and {asked[other]} exclude each other")
        check_whole("max_pixels", self.max_pixels, 1)
        check_threads(self.threads)


def is_one_of(value: Any, choices: Collection[Any]) -> bool:
    return isinstance(value, Hashable) and value in choices


def check_bundle(bundle: Any) -> None:
    if not isinstance(bundle, Bundle | None):
        raise UsageError(
            f"bundle is {type(bundle).__name__}; expected what `read_model` returns"
        )


def check_targets(values: dict[str, float | None]) -> None:
    """UsageError for more than one, and for what is no number in range."""
    given = {name: value for name, value in values.items() if value is not None}
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other")
    for name, value in given.items():
        if name == "quality":
            quality_code(value)
        elif not (isinstance(value, Real) and 0 < value <= sys.float_info.max):
            raise UsageError(f"{name} is {value!r}; expected a positive number")
        elif name == "ssimulacra2" and value > SCORE_MAX:
            raise UsageError(f"{name} is {value!r}; expected at most {SCORE_MAX}")


def check_lossless(options: EncodeOptions) -> None:
    """UsageError for what lossless files have no use for."""
    others = [name for name in TARGETS if getattr(options, name) is not None]
    if options.content == PHOTO:
        others.append(f"content {PHOTO}")
    if others:
        raise UsageError(f"lossless and {others[0]} exclude each other")


def quality_code(quality: float) -> int:
    """The header's integer for a quality of 1 to 100; UsageError outside."""
    if not isinstance(quality, Real):
        raise UsageError(f"quality is {quality!r}; expected a number")
    if not QUALITY_MIN <= quality <= QUALITY_MAX:
        raise UsageError(
            f"quality is {quality}; expected {QUALITY_MIN} to {QUALITY_MAX}"
        )
    share = (quality - QUALITY_MIN) / (QUALITY_MAX - QUALITY_MIN)
    return round(share * QUALITY_CODE_MAX)


def quality_of(code: int) -> float:
    """The quality that a header's integer stands for, to two decimals."""
    span = QUALITY_MAX - QUALITY_MIN
    return round(QUALITY_MIN + code / QUALITY_CODE_MAX * span, 2)


def check_effort(effort: int) -> None:
    if not is_one_of(effort, EFFORTS):
        raise UsageError(
            f"effort is {effort!r}; expected a whole number from "
            f"{EFFORT_MIN} to {EFFORT_MAX}"
        )


def check_strip(names: Any) -> None:
    """UsageError if these are no names of metadata."""
    if isinstance(names, str) or not isinstance(names, Collection):
        raise UsageError(f"strip is {names!r}; expected a list of names")
    if unknown := [name for name in names if name not in STRIPPABLE]:
        names = ", ".join(sorted(map(str, unknown)))
        raise UsageError(f"strip names {names}; expected {', '.join(STRIPPABLE)}")


def whole_region(region: Any) -> Region:
    """UsageError if it is not four whole numbers."""
    try:
        left, top, width, height = map(operator.index, region)
        return left, top, width, height
    except (TypeError, ValueError):
        raise UsageError(
            f"region is {region!r}; expected left, top, width, height"
        ) from None


def check_threads(threads: Any) -> None:
    if threads is not None:
        check_whole("threads", threads, 1, THREADS_MAX)
