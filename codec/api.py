"""The public functions: what may be asked for, and the targets that encoding meets."""

import itertools
import math
import operator
from collections.abc import Collection
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.coding.decoder import decode_colors, decode_latents
from codec.coding.encoder import Encoder
from codec.coding.extras import add_extras
from codec.coding.targets import file_of_psnr, file_within
from codec.coding.tiles import Region, tile_spans, whole
from codec.errors import FormatError, UsageError
from codec.file.chunks import ALPHA_CHUNK, GRAY_CHUNK, METADATA_CHUNKS
from codec.file.container import Container, unpack
from codec.file.header import DIGEST_BYTES, FORMAT_VERSION, QUALITY_CODE_MAX
from codec.limits import MAX_PIXELS, NO_LIMIT, SIDE_MAX_PX, check_field, check_size
from codec.networks.bundle import EXACT, FAST, PRECISIONS, Bundle
from codec.networks.descriptors import describe
from codec.networks.heads import COLORIZE, HEADS, output_of
from codec.networks.outputs import preview_of, synthesis_of
from codec.networks.refinement import Refinement
from codec.networks.runtime import Networks
from codec.networks.shipped import (
    TUNE_DEFAULT,
    bundle_of_tune,
    load_bundle,
    model_name,
)
from codec.picture.metadata import INFO_KEYS
from codec.picture.reading import Picture, read_picture
from codec.picture.repair import fill_in
from codec.progress import Progress, untold

SUFFIX, MIME_TYPE = ".aec", "image/x-aec"
QUALITY_MIN, QUALITY_MAX, QUALITY_DEFAULT = 1, 100, 60
EFFORT_MIN, EFFORT_MAX, EFFORT_DEFAULT = 1, 9, 4
EFFORT_OF_EXACT = 4  # lower ones analyze fast
THREADS_MAX = 1024
SCALES = (1, 1 / 2, 1 / 4, 1 / 8)  # of decoded pictures
REFINEMENTS = {  # by effort
    7: Refinement(10),
    8: Refinement(40),
    9: Refinement(150, drawn=True),
}


@dataclass(frozen=True)
class Info:
    """What a file says of itself."""

    width: int
    height: int
    mode: str  # as Pillow's: L, LA, RGB or RGBA
    metadata: tuple[str, ...]  # of icc, exif, xmp, dpi, text and iptc, those there
    quality: float
    model_id: int
    model: str
    bundle_digest: str  # first bytes of it, hex
    format_version: int
    tiles: int
    size_bytes: int

    @property
    def rate_bpp(self) -> float:
        """File size in bits per pixel."""
        return 8 * self.size_bytes / (self.width * self.height)


def quality_code(quality: float) -> int:
    """The header's integer for a quality of 1 to 100; UsageError outside."""
    if not isinstance(quality, Real):
        raise UsageError(f"quality is {quality!r}; expected a number")
    if not QUALITY_MIN <= quality <= QUALITY_MAX:
        raise UsageError(
            f"quality is {quality}; expected {QUALITY_MIN} to {QUALITY_MAX}"
        )
    return round(
        (quality - QUALITY_MIN) / (QUALITY_MAX - QUALITY_MIN) * QUALITY_CODE_MAX
    )


def encode(
    image: Image.Image | NDArray[np.uint8] | Picture,
    *,
    quality: float | None = None,
    size_bytes: int | None = None,
    rate_bpp: float | None = None,
    psnr_db: float | None = None,
    tune: str = TUNE_DEFAULT,
    effort: int = EFFORT_DEFAULT,
    strip: Collection[str] = (),
    max_pixels: int = MAX_PIXELS,
    bundle: Bundle | None = None,
    threads: int | None = None,
    progress: Progress = untold,
) -> bytes:
    """The image as an .aec file.

    `image` is a Pillow image, whose alpha and metadata are kept, or uint8
    [H, W] (gray) or [H, W, 3], or the `codec.image.Picture` of one.

    At most one of these says how well: `quality` 1 to 100, 60 if none is given, larger
    is better and need not be whole; `size_bytes` or `rate_bpp` (bits per pixel), limits
    that the file stays under, by 2 % at most where quality allows; `psnr_db`, that of
    the decoded colors, within 0.1 dB, or more at the lowest quality.

    `tune` chooses the model: "visual" for pictures that look alike (SSIMULACRA 2,
    ColorVideoVDP), "psnr" for the smallest error; `bundle` is another model instead.
    `effort` 1 (fast analysis) to 9 (slowest, smallest files), see the README; 7 to 9
    are for "psnr" only. `strip` names metadata to leave out ("icc", "exif", "xmp",
    "dpi", "text", "iptc"; without EXIF data its orientation is applied); `threads` are
    as many as there are cores if not given; `progress` is called with the share of the
    work that is done, 1 in the end; with a target, of each attempt.

    Raises UsageError for anything else, for a target that no quality meets, and for
    more than `max_pixels` pixels.
    """
    given = {"quality": quality, "size_bytes": size_bytes}
    given |= {"rate_bpp": rate_bpp, "psnr_db": psnr_db}
    given = {name: value for name, value in given.items() if value is not None}
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other")
    for name, value in given.items():
        if name != "quality" and not (isinstance(value, Real) and 0 < value < math.inf):
            raise UsageError(f"{name} is {value!r}; expected a positive number")
    code = quality_code(QUALITY_DEFAULT if quality is None else quality)
    if bundle is None:
        bundle = bundle_of_tune(tune)
    check_effort(effort, bundle)
    if unknown := set(strip) - set(METADATA_CHUNKS):
        raise UsageError(f"strip names {', '.join(sorted(map(str, unknown)))}")
    if isinstance(image, Image.Image):  # before it is loaded
        check_size(image.width, image.height, max_pixels, UsageError)
    if isinstance(image, Picture) and strip:
        raise UsageError("strip is for `read_picture` where there is a Picture already")
    picture = image if isinstance(image, Picture) else read_picture(image, strip)
    height, width = picture.rgb.shape[:2]
    check_field("longest side", max(width, height), 1, SIDE_MAX_PX, UsageError)
    check_size(width, height, max_pixels, UsageError)
    if rate_bpp is not None:
        size_bytes = int(min(rate_bpp * width * height / 8, 2.0**62))
    encoder = Encoder(
        picture,
        networks_of(
            bundle, threads, analysis=EXACT if effort >= EFFORT_OF_EXACT else FAST
        ),
        refinement=REFINEMENTS.get(effort),
        keep_latents=psnr_db is not None or size_bytes is not None,
        progress=progress,
    )
    if psnr_db is not None:
        return file_of_psnr(encoder, psnr_db)
    if size_bytes is not None:
        return file_within(encoder, size_bytes)
    return encoder.file(code)


def networks_of(bundle: Bundle, threads: int | None, **precision: str) -> Networks:
    """UsageError if `threads` is no number of them."""
    if threads is not None and threads not in range(1, THREADS_MAX + 1):
        raise UsageError(f"threads is {threads!r}; expected 1 to {THREADS_MAX}")
    return Networks(bundle, threads, **precision)


def check_effort(effort: int, bundle: Bundle) -> None:
    """UsageError for an effort that there is not, or not with this model."""
    if effort not in range(EFFORT_MIN, EFFORT_MAX + 1):
        raise UsageError(
            f"effort is {effort!r}; expected a whole number from "
            f"{EFFORT_MIN} to {EFFORT_MAX}"
        )
    if effort in REFINEMENTS and not bundle.can_refine:
        raise UsageError(
            f"effort {effort} refines for a small error, which this model is not "
            f"trained for; at most {min(REFINEMENTS) - 1} works with it, all with "
            "--tune psnr"
        )


def decode(
    data: bytes,
    *,
    region: Region | None = None,
    scale: float = 1,
    precision: str = EXACT,
    head: str | None = None,
    max_pixels: int = MAX_PIXELS,
    bundle: Bundle | None = None,
    threads: int | None = None,
    progress: Progress = untold,
) -> Image.Image:
    """The picture in an .aec file, of mode RGB, RGBA, L or LA, metadata in its `info`.

    With a `region` (left, top, width, height) in pixels only that part, decoded from
    the tiles around it alone. A `scale` of 1/2, 1/4 or 1/8 gives the whole picture
    smaller, sides rounded up, in less time. The `precision` "fast" computes residual
    branches in int8, for nearly the same colors sooner; it does not matter to a
    smaller picture. The rest is as for `encode`.

    A `head` makes another picture of the file: "denoise" without the noise, "restore"
    without the blur and the JPEG artifacts of the picture that was encoded, "upscale"
    twice as large, so with four times the pixels, "colorize" of mode RGB or RGBA from
    a gray one. Heads are exact.

    Raises FormatError for anything that is not a whole, undamaged file of a known
    model, or that has more than `max_pixels` pixels, and UsageError for a region that
    is not within the picture, other scales and precisions, a region or a head with a
    scale, a head with "fast" or that there is not for the model, and "colorize" for
    colors.
    """
    if scale not in SCALES:
        raise UsageError(f"scale is {scale!r}; expected 1, 1/2, 1/4 or 1/8")
    if precision not in PRECISIONS:
        expected = " or ".join(PRECISIONS)
        raise UsageError(f"precision is {precision!r}; expected {expected}")
    if region is not None and scale != 1:
        raise UsageError("a region has no scale")
    if head not in (None, *HEADS):
        raise UsageError(f"head is {head!r}; expected {', '.join(HEADS)}")
    if head and (scale != 1 or precision != EXACT):
        raise UsageError("a head has no scale and is always exact")
    container = unpack(checked_bytes(data), max_pixels=max_pixels)
    region = (
        whole(container.header) if region is None else checked_region(region, container)
    )
    networks = networks_of(bundle_of(container, bundle), threads, synthesis=precision)
    mode = "L" if container.has(GRAY_CHUNK) else "RGB"
    if head:
        output = output_of(networks, head)
    elif scale < 1:
        output = preview_of(networks)
    else:
        output = synthesis_of(networks)
    if head == COLORIZE:
        if mode != "L":
            raise UsageError("the picture has colors already")
        mode = "RGB"
    image = decode_colors(container, networks, region, output, mode, None, progress)
    factor = round(1 / scale)
    if factor > 1:
        image = image.reduce(factor // networks.bundle.preview_factor)
    add_extras(image, container, region, factor=factor)
    if head == COLORIZE:
        image.info.pop(INFO_KEYS["icc"], None)  # of gray samples
    return image


def features(
    data: bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    bundle: Bundle | None = None,
    threads: int | None = None,
    progress: Progress = untold,
) -> NDArray[np.float32]:
    """A descriptor of the picture in an .aec file, float32, as long for every picture
    of a model, to compare or classify pictures by: see
    `codec.descriptors`.

    Computed from the latents, in less time than the picture. Arguments and errors are
    as for `decode`.
    """
    container = unpack(checked_bytes(data), max_pixels=max_pixels)
    networks = networks_of(bundle_of(container, bundle), threads)
    header = container.header
    latents = decode_latents(container, networks, progress)
    return describe(latents, header.width, header.height, networks.bundle.latent_px)


def salvage(
    data: bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    bundle: Bundle | None = None,
    threads: int | None = None,
    progress: Progress = untold,
) -> tuple[Image.Image, list[str]]:
    """(picture, what is wrong with it): all that a damaged or cut-off file still gives.

    Damaged tiles, and 24 pixels around them, are filled in from what is beyond; damaged
    alpha or metadata are left out.
    Raises FormatError if the header is damaged, or the file not one of ours.
    """
    data = checked_bytes(data)
    container = unpack(data, max_pixels=max_pixels, whole=False)
    region, damage = whole(container.header), dict[int, str]()
    networks = networks_of(bundle_of(container, bundle), threads)
    mode = "L" if container.has(GRAY_CHUNK) else "RGB"
    output = synthesis_of(networks)
    image = decode_colors(container, networks, region, output, mode, damage, progress)
    rows, columns = tile_spans(container.header)
    if damage:
        tiles = list(itertools.product(rows, columns))
        fill_in(image, [tiles[number] for number in damage])
    faults = [damage[number] for number in sorted(damage)]
    add_extras(image, container, region, faults)
    if len(data) > container.size_bytes:
        after = len(data) - container.size_bytes
        faults.append(f"{after} bytes after the end of the file")
    return image, faults


def checked_region(region: Any, container: Container) -> Region:
    """The region; UsageError if it is not four whole numbers, or not within the
    picture.
    """
    header = container.header
    try:
        left, top, width, height = map(operator.index, region)
    except (TypeError, ValueError):
        raise UsageError(
            f"region is {region!r}; expected left, top, width, height"
        ) from None
    if (
        min(left, top) < 0
        or min(width, height) < 1
        or left + width > header.width
        or top + height > header.height
    ):
        raise UsageError(
            f"region {left},{top},{width},{height} is empty or not within the picture "
            f"of {header.width} x {header.height} pixels"
        )
    return left, top, width, height


def checked_bytes(data: bytes) -> bytes:
    """`data`, or UsageError for anything but the bytes of a file, such as its name."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise UsageError(f"data is {type(data).__name__}; expected the file's bytes")
    return bytes(data)


def bundle_of(container: Container, bundle: Bundle | None = None) -> Bundle:
    """The shipped bundle that the header names, or `bundle`; FormatError if it is not
    the one of the file.
    """
    header = container.header
    bundle = bundle or load_bundle(header.model_id)
    if header.bundle_digest != bundle.digest[:DIGEST_BYTES]:
        found, expected = bundle.digest[:DIGEST_BYTES].hex(), header.bundle_digest.hex()
        raise FormatError(
            f"file was made with another model {header.model_id}, perhaps an adapted "
            f"one (bundle {expected}, here {found})"
        )
    return bundle


def read_info(data: bytes) -> Info:
    """What an .aec file says of itself; decodes nothing. Raises FormatError, also for a
    file that is cut off.
    """
    data = checked_bytes(data)
    container = unpack(data, max_pixels=NO_LIMIT)
    if len(data) < container.size_bytes:
        raise FormatError(
            f"file is cut off: {container.size_bytes - len(data)} bytes missing"
        )
    return info_of(container)


def info_of(container: Container) -> Info:
    """What a parsed file says of itself."""
    header, span = container.header, QUALITY_MAX - QUALITY_MIN
    return Info(
        width=header.width,
        height=header.height,
        mode=("L" if container.has(GRAY_CHUNK) else "RGB")
        + ("A" if container.has(ALPHA_CHUNK) else ""),
        metadata=tuple(k for k, v in METADATA_CHUNKS.items() if container.has(v)),
        quality=round(QUALITY_MIN + header.quality_code / QUALITY_CODE_MAX * span, 2),
        model_id=header.model_id,
        model=model_name(header.model_id),
        bundle_digest=header.bundle_digest.hex(),
        format_version=FORMAT_VERSION,
        tiles=header.tile_count,
        size_bytes=container.size_bytes,
    )
