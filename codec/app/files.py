"""Files in and out for the command line: bytes, pictures in Pillow's formats, and
outputs that appear whole or not at all.
"""

import contextlib
import errno
import io
import logging
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from codec.errors import CodecError, UsageError
from codec.file.container import check_size
from codec.picture.image import INFO_KEYS, Picture, read_picture

STREAM = "-"
# Of the pictures that are looked for in folders; Pillow reads more kinds.
PICTURES = frozenset(
    {".avif", ".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pgm"}
    | {".png", ".ppm", ".tif", ".tiff", ".webp"}
)
# What a decoded picture is written with; PNG faster than the decoder is.
SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    name: {"quality": 95} for name in ("JPEG", "WEBP", "AVIF")
} | {"PNG": {"compress_level": 2}}
METADATA_FORMATS = {"PNG", "JPEG", "WEBP", "AVIF", "TIFF"}
UMASK_LOCK = threading.Lock()  # it is read by setting it, for the whole process
logging.getLogger("PIL").addHandler(logging.NullHandler())  # warnings of odd metadata


def read(name: str) -> bytes:
    return sys.stdin.buffer.read() if name == STREAM else Path(name).read_bytes()


def load_picture(name: str, max_pixels: int, strip: Sequence[str]) -> Picture:
    """As `picture_in` that file."""
    return picture_in(read(name), max_pixels, strip)


def picture_in(data: bytes, max_pixels: int, strip: Sequence[str]) -> Picture:
    """The picture in a file of any format that Pillow reads; UsageError if it is no
    picture or too large.
    """
    if not data:
        raise UsageError("file is empty")
    Image.MAX_IMAGE_PIXELS = None  # our own limit stands below
    try:
        with quiet_pillow(), Image.open(io.BytesIO(data)) as image:
            check_size(image.width, image.height, max_pixels, UsageError)
            return read_picture(image, strip)
    except (CodecError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise UsageError("not an image in a format that Pillow reads") from None
    except Exception as error:  # Pillow's readers raise all kinds on damaged files
        raise UsageError(f"image cannot be read: {error}") from None


def file_bytes(image: Image.Image, image_format: str) -> tuple[bytes, list[str]]:
    """(the picture in a format of Pillow's, notices); UsageError if the format cannot
    hold it.

    Where the EXIF data cannot be kept, the picture is turned upright.
    """
    notices = []
    if image_format == "GIF" and image.mode != "L":
        notices.append("GIF reduces the colors")
    if image.info.get("xmp") and image_format == "TIFF":
        notices.append("TIFF files keep no XMP data")  # Pillow has no option for it
    with quiet_pillow():
        if image_format in METADATA_FORMATS:
            with contextlib.suppress(Exception):  # too long, or no EXIF data at all
                return saved(image, image_format, metadata_options(image)), notices
        if image.info:
            notices.append(f"metadata are left out of the {image_format} file")
        try:
            return saved(upright(image), image_format, {}), notices
        except MemoryError:
            raise
        except Exception as error:  # every format raises its own
            raise UsageError(
                f"cannot write this picture as {image_format}: {error}"
            ) from None


def upright(image: Image.Image) -> Image.Image:
    """The picture without its metadata, the EXIF orientation applied if it can be."""
    with contextlib.suppress(Exception):  # no EXIF data at all
        image = ImageOps.exif_transpose(image)
    return Image.frombytes(image.mode, image.size, image.tobytes())


def saved(image: Image.Image, image_format: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **SAVE_OPTIONS.get(image_format, {}), **options)
    return buffer.getvalue()


def metadata_options(image: Image.Image) -> dict[str, Any]:
    """Options for `Image.save` that write the metadata in `info`; PNG takes XMP its own
    way, and every other format ignores `pnginfo`.
    """
    options = {k: image.info[k] for k in INFO_KEYS.values() if k in image.info}
    if "xmp" in options:
        text = options["xmp"].decode("utf-8", "replace")
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", text)
    return options


def picture_suffixes() -> frozenset[str]:
    """Those of PICTURES that Pillow reads here."""
    return PICTURES & set(Image.registered_extensions())


def format_of(target: str) -> str:
    """Pillow's name of the format that the suffix of `target` stands for."""
    suffix = Path(target).suffix.lower()
    if target == STREAM or not suffix:
        return "PNG"
    known = Image.registered_extensions().get(suffix)
    if known is None or known not in Image.SAVE:
        raise UsageError(f"cannot write {suffix} files")
    return known


def check_target(target: str, force: bool) -> None:
    exists = os.path.lexists(target) and not is_device(Path(target))
    if target != STREAM and not force and exists:
        raise UsageError(f"{target} exists; use --force to replace it")
    folder = Path(os.path.realpath(target)).parent
    replaces = target != STREAM and not is_device(Path(target))
    if replaces and not (folder.is_dir() and os.access(folder, os.W_OK)):
        number = errno.EACCES if folder.is_dir() else errno.ENOENT
        raise UsageError(f"cannot write {target}: {os.strerror(number)}")
    if target == STREAM and sys.stdout.isatty():
        raise UsageError("not writing binary data to a terminal")


def is_device(path: Path) -> bool:
    """Whether writing to `path` replaces nothing: a pipe or a device."""
    return path.exists() and not path.is_file() and not path.is_dir()


def write(target: str, data: bytes, force: bool) -> None:
    if target == STREAM:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        if is_device(Path(target)):
            Path(target).write_bytes(data)
            return
        # A link stays, its target is replaced.
        with replacing(Path(os.path.realpath(target))) as file:
            file.write(data)
            check_target(target, force)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}") from None


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Pillow warns of odd metadata, which we do not use, on standard error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Any]:
    """A temporary file beside `path` that takes its place when all went well, and
    vanishes otherwise.
    """
    descriptor, name = tempfile.mkstemp(
        dir=path.parent, prefix=".aecodec-", suffix=".tmp"
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        with UMASK_LOCK:
            umask = os.umask(0)
            os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):  # in place, then interrupted
            os.unlink(name)
        raise
