"""The public functions with keywords, and the same with a record of options.

The first fill a record and call the second.
"""

import os
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.coding.choice import Choice
from codec.coding.decoder import decode_latents, decode_picture, networks_of
from codec.coding.encoder import Encoder
from codec.coding.info import Info, read_info
from codec.coding.relayering import without_layer
from codec.coding.salvage import salvage_picture
from codec.coding.targets import file_of_psnr, file_of_score, file_within
from codec.coding.verification import Verified, verify_container
from codec.errors import UsageError
from codec.file.container import FileBytes, unpack
from codec.file.header import MAGIC as MAGIC
from codec.limits import MAX_PIXELS, NO_LIMIT, SIDE_MAX_PX, check_field, check_size
from codec.networks.bundle import Bundle
from codec.networks.descriptors import describe
from codec.networks.descriptors import distance as distance
from codec.networks.fingerprints import (
    FINGERPRINT_BYTES,
    Sought,
    fingerprint,
    sought_alike,
    sought_anywhere,
)
from codec.networks.runtime import Networks
from codec.networks.shipped import DEFAULT_MODEL_ID, TUNE_DEFAULT, load_bundle
from codec.options import (
    AUTO,
    EFFORT_DEFAULT,
    EFFORT_MIN,
    EFFORTS,
    PHOTO,
    DecodeOptions,
    EncodeOptions,
    Region,
)
from codec.picture.exif import orientation_of
from codec.picture.reading import Picture, picture_in, read_picture
from codec.progress import Progress, Stages, no_progress, told

__all__ = [
    "DEFAULT_MODEL_ID",
    "FINGERPRINT_BYTES",
    "Info",
    "Sought",
    "Verified",
    "decode",
    "decode_file",
    "describe_file",
    "encode",
    "encode_and_tell",
    "encode_picture",
    "features",
    "fingerprint_file",
    "read_info",
    "salvage",
    "salvage_file",
    "sought_alike",
    "sought_picture",
    "start_engine",
    "verify",
]
SUFFIX, MIME_TYPE = ".aec", "image/x-aec"
MODEL_SUFFIX = ".aecm"


def start_engine() -> None:
    """Load the smallest graph. With the first one LiteRT prints a line on standard
    error, with no option to turn that off; programs that mind can see to it before they
    start threads. CodecError if the model is not there.
    """
    Networks(load_bundle(DEFAULT_MODEL_ID), 1).graph("scales")


def encode(
    image: Image.Image | NDArray[np.uint8] | Picture | Path | str | FileBytes,
    *,
    quality: float | None = None,
    size_bytes: int | None = None,
    rate_bpp: float | None = None,
    psnr_db: float | None = None,
    ssimulacra2: float | None = None,
    tune: str = TUNE_DEFAULT,
    effort: int = EFFORT_DEFAULT,
    content: str = AUTO,
    lossless: bool = False,
    strip: Collection[str] = (),
    max_pixels: int = MAX_PIXELS,
    bundle: Bundle | None = None,
    threads: int | None = None,
    progress: Progress | bool = False,
) -> bytes:
    """The image as an .aec file.

    `image` is the name or the bytes of a picture's file or a Pillow image, whose alpha
    and metadata are kept, or uint8 [H, W] (gray), [H, W, 3] or [H, W, 4] (with alpha),
    or the `codec.picture.reading.Picture` of one. Who opens a Pillow image chooses its
    decoder and Pillow's own limit; `max_pixels` is tested before it is loaded, but for
    formats that are decoded as they are opened. One that has no name is best not loaded
    before: what a file says where Pillow does not look, of colors, depth and
    transparency, is found in the file. What is not kept is told by
    `codec.picture.reading.read_picture`.

    At most one of these says how well: `quality` 1 to 100, 60 if none is given, larger
    is better and need not be whole; `size_bytes` or `rate_bpp` (bits per pixel), limits
    that the file stays under, by 2 % at most where quality allows; `psnr_db`, that of
    the decoded colors, within 0.1 dB, or with as little more as a file has: at the
    lowest quality, or where what is drawn goes by the steps of AVIF's quality;
    `ssimulacra2`, a score of SSIMULACRA 2, at most 100, that of exact files: the
    decoded picture reaches it, mostly with 0.2 more at most. It is of colors by their
    profile and, where there is alpha, the lower one on dark and on light gray. Both are
    of the picture as `decode` makes it unless told otherwise.

    `tune` chooses the model: "visual" for pictures that look alike (SSIMULACRA 2,
    ColorVideoVDP), "psnr" for the smallest error; `bundle` is another model instead.
    `effort` 1 (fast analysis) to 9 (slowest); 1 to 3 are the same, and 4 to 6; 7 to 9
    descend on what the model was trained for: files are smaller for the same quality of
    the picture, though at the same number they may be larger, and better.

    `content` says what is coded by the networks, as "photo", and what by lossless WebP
    and AVIF, whichever costs less, as "graphics"; "auto" decides by the picture.
    `lossless` stores all colors exactly that can be seen. `strip` names metadata to
    leave out ("icc", "exif", "xmp", "dpi", "text", "iptc"; without EXIF data its
    orientation is applied); `threads` are as many as there are cores if not given;
    `progress` is True for a bar, by tqdm, or is called with the share of the work that
    is done, which rises to 1; where it is not known what is left, by a guess.

    Raises OSError if a file cannot be read, UsageError for anything else, for a target
    that no quality meets, and for more than `max_pixels` pixels.
    """
    options = EncodeOptions(
        quality=quality,
        size_bytes=size_bytes,
        rate_bpp=rate_bpp,
        psnr_db=psnr_db,
        ssimulacra2=ssimulacra2,
        tune=tune,
        effort=effort,
        content=content,
        lossless=lossless,
        strip=strip,
        max_pixels=max_pixels,
        bundle=bundle,
        threads=threads,
    )
    if isinstance(image, Picture):
        if strip:
            raise UsageError("strip is for `read_picture` where there is a Picture")
        picture = image
    elif isinstance(image, str | os.PathLike):
        picture = picture_in(Path(image).read_bytes(), max_pixels, strip)
    elif isinstance(image, FileBytes):
        picture = picture_in(bytes(image), max_pixels, strip)
    else:
        picture = read_picture(image, strip, max_pixels)
    with told(progress, "encode") as shown:
        return encode_picture(picture, options, shown)


def encode_picture(
    picture: Picture, options: EncodeOptions, progress: Progress = no_progress
) -> bytes:
    """As `encode`, of what was read with the `strip` of the options."""
    return encode_and_tell(picture, options, progress)[0]


def encode_and_tell(
    picture: Picture, options: EncodeOptions, progress: Progress = no_progress
) -> tuple[bytes, str]:
    """(as `encode_picture`, what is to be said of a target that is out of reach)."""
    height, width = picture.rgb.shape[:2]
    check_field("longest side", max(width, height), 1, SIDE_MAX_PX, UsageError)
    check_size(width, height, options.max_pixels, UsageError)
    effort = EFFORTS[options.effort]
    networks = Networks(options.model(), options.threads, analysis=effort.analysis)
    limit_bytes = options.limit_bytes(width, height)
    searches = any(
        wanted is not None
        for wanted in (limit_bytes, options.psnr_db, options.ssimulacra2)
    )
    code = options.quality_code()
    stages, remark = Stages(progress), ""
    choice = Choice(picture, options, networks, searches, stages)
    encoder = choice.encoder(code)
    # What is best at a quality of 60 need not be best, or enough, at another one.
    has_others = encoder.layering and options.content == AUTO
    if options.psnr_db is not None or options.ssimulacra2 is not None:
        try:
            file, remark = file_of_aim(encoder, options, stages)
        except UsageError:
            if not has_others or encoder.is_all_covered:
                raise
            file, remark = file_of_aim(choice.with_layer(None), options, stages)
    elif limit_bytes is not None:
        encoders = [encoder]
        if has_others:
            encoders.append(choice.without_layer())
        file, remark = file_within(encoders, limit_bytes, choice.cost, stages)
    else:
        stages.begin(1)
        file = encoder.file(code)
    stages.finish()
    return file, remark


def file_of_aim(
    encoder: Encoder, options: EncodeOptions, stages: Stages
) -> tuple[bytes, str]:
    """(the file of the PSNR or score that is asked for, what is to be said of it)."""
    if options.psnr_db is not None:
        return file_of_psnr(encoder, options.psnr_db, stages)
    assert options.ssimulacra2 is not None
    return file_of_score(encoder, options.ssimulacra2, stages)


def decode(
    data: FileBytes | Path | str,
    *,
    region: Region | None = None,
    scale: float = 1,
    precision: str = AUTO,
    head: str | None = None,
    max_pixels: int = MAX_PIXELS,
    bundle: Bundle | None = None,
    threads: int | None = None,
    progress: Progress | bool = False,
) -> Image.Image:
    """The picture in an .aec file, given its bytes or its name; of mode RGB, RGBA, L or
    LA, metadata in its `info`.

    With a `region` (left, top, width, height) in pixels only that part, decoded from
    the tiles around it alone. A `scale` of 1/2, 1/4 or 1/8 gives the whole picture
    smaller, sides rounded up, in less time. The `precision` "fast" computes residual
    branches in int8, for nearly the same colors sooner, "exact" in float32; "auto" is
    "fast" where nobody sees it, with models of the tune visual. It does not matter to a
    smaller picture. The rest is as for `encode`.

    A `head` makes another picture of the file: "denoise" without the noise, "restore"
    without the blur and the JPEG artifacts of the picture that was encoded, "upscale"
    twice as large, so with four times the pixels, "colorize" of mode RGB or RGBA from
    a gray one. Heads are exact.

    Raises OSError if a file cannot be read, FormatError for anything that is not a
    whole, undamaged file of a known model, or that has more than `max_pixels` pixels,
    as it is or enlarged, and UsageError for a region that is not within the picture,
    other scales and precisions, a region or a head with a scale, a head with "fast" or
    that there is not for the model, and "colorize" for colors.
    """
    options = DecodeOptions(
        region=region,
        scale=scale,
        precision=precision,
        head=head,
        max_pixels=max_pixels,
        bundle=bundle,
        threads=threads,
    )
    with told(progress, "decode") as shown:
        return decode_file(data, options, shown)


def decode_file(
    data: FileBytes | Path | str,
    options: DecodeOptions,
    progress: Progress = no_progress,
) -> Image.Image:
    """As `decode`."""
    container = unpack(data, max_pixels=options.max_pixels)
    networks = networks_of(container, options)
    if options.head:
        container = without_layer(container, networks)
    return decode_picture(container, networks, options, progress)


def salvage(
    data: FileBytes | Path | str,
    *,
    precision: str = AUTO,
    max_pixels: int = MAX_PIXELS,
    bundle: Bundle | None = None,
    threads: int | None = None,
    progress: Progress | bool = False,
) -> tuple[Image.Image, list[str]]:
    """(picture, what is wrong with it): all that a damaged or cut-off file still gives.

    Damaged tiles, and 24 pixels around them of what the networks make, are filled in
    from what is beyond; damaged alpha or metadata are left out. The rest is as for
    `decode`.
    Raises FormatError if the header is damaged, or the file not one of ours.
    """
    options = DecodeOptions(
        salvage=True,
        precision=precision,
        max_pixels=max_pixels,
        bundle=bundle,
        threads=threads,
    )
    with told(progress, "salvage") as shown:
        return salvage_file(data, options, shown)


def salvage_file(
    data: FileBytes | Path | str,
    options: DecodeOptions,
    progress: Progress = no_progress,
) -> tuple[Image.Image, list[str]]:
    """As `salvage`."""
    container = unpack(data, max_pixels=options.max_pixels, whole=False)
    return salvage_picture(container, networks_of(container, options), progress)


def verify(data: FileBytes | Path | str) -> Verified:
    """What of an .aec file was tested and is whole: the checksums of all tiles and
    chunks. Nothing is decoded, so any model will do.

    Raises OSError if a file cannot be read, FormatError if it is damaged or cut off.
    """
    return verify_container(unpack(data, max_pixels=NO_LIMIT))


def features(
    data: FileBytes | Path | str,
    *,
    max_pixels: int = MAX_PIXELS,
    bundle: Bundle | None = None,
    threads: int | None = None,
    progress: Progress | bool = False,
) -> NDArray[np.float32]:
    """A descriptor of the picture in an .aec file, float32, as long for every picture
    of a model, to compare or classify pictures by; see `codec.networks.descriptors`.

    Computed from the latents, in less time than the picture. Arguments and errors are
    as for `decode`.
    """
    options = DecodeOptions(max_pixels=max_pixels, bundle=bundle, threads=threads)
    with told(progress, "features") as shown:
        return describe_file(data, options, shown)


def describe_file(
    data: FileBytes | Path | str,
    options: DecodeOptions,
    progress: Progress = no_progress,
) -> NDArray[np.float32]:
    """As `features`."""
    container = unpack(data, max_pixels=options.max_pixels)
    networks = networks_of(container, options)
    container = without_layer(container, networks)
    header, bundle = container.header, networks.bundle
    latents = (
        band * bundle.descriptor_scale
        for band in decode_latents(container, networks, progress)
    )
    return describe(latents, header.width, header.height, bundle.latent_px)


def fingerprint_file(data: bytes, options: DecodeOptions) -> NDArray[np.int8]:
    """A fingerprint of the picture in an .aec file, int8 [FINGERPRINT_BYTES], to search
    by; see `codec.networks.fingerprints`. Of the picture upright; where that is another
    than in the file, or the latents are of another model than the default one or of
    another quality, with which magnitudes change, it is coded again.
    """
    container = unpack(data, max_pixels=options.max_pixels)
    orientation = orientation_of(container.metadata().get("exif", b""))
    comparable = DEFAULT_MODEL_ID, EncodeOptions().quality_code()
    header = container.header
    if (header.model_id, header.quality_code) != comparable or orientation != 1:
        data = coded_to_compare(upright_picture(data, options).rgb, options)
        return fingerprint_file(data, options)
    return fingerprint(describe_file(data, options))


def sought_picture(data: bytes, options: DecodeOptions) -> Sought:
    """The picture in a file, .aec or one that `encode` reads, as it is searched for."""
    if data.startswith(MAGIC):
        rgb = upright_picture(data, options).rgb
    else:
        rgb = picture_in(data, options.max_pixels, ("exif",)).rgb
    described, mirrored = (
        describe_file(coded_to_compare(way, options), options)
        for way in (rgb, rgb[:, ::-1])
    )
    return sought_anywhere(described, mirrored)


def upright_picture(data: bytes, options: DecodeOptions) -> Picture:
    """What an .aec file shows, its orientation applied."""
    image = decode_file(data, options)
    return read_picture(image, ("exif",), options.max_pixels)


def coded_to_compare(rgb: NDArray[np.uint8], options: DecodeOptions) -> bytes:
    """A file of the default model, whose latents can be compared with those of others;
    `rgb` is uint8 [H, W, 3].
    """
    quickly = EncodeOptions(
        effort=EFFORT_MIN, content=PHOTO, max_pixels=options.max_pixels
    )
    return encode_picture(Picture(np.ascontiguousarray(rgb)), quickly)
