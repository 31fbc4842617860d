"""`Image.open` and `Image.save` for .aec files, by an explicit `register()`.

>>> import io
>>> from PIL import Image
>>> from codec import pillow_plugin
>>> pillow_plugin.register()
>>> Image.new("RGB", (64, 48), "orange").save(file := io.BytesIO(), "AEC", quality=50)
>>> Image.open(file).size
(64, 48)
"""

import io
import math
import mimetypes
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import IO, Any

from PIL import Image, ImageFile

from codec.api import (
    MIME_TYPE,
    SUFFIX,
    decode_file,
    encode_picture,
    read_info,
    salvage_file,
    verify,
)
from codec.errors import CodecError, FormatError
from codec.file.container import FileBytes, unpack
from codec.file.header import MAGIC
from codec.limits import MAX_PIXELS, NO_LIMIT, check_size
from codec.options import SCALES, TARGETS, Bundle, DecodeOptions, EncodeOptions
from codec.picture.metadata import INFO_KEYS, info_value
from codec.picture.reading import read_picture

FORMAT = "AEC"
OPTIONS = (
    *TARGETS,
    *("tune", "effort", "content", "lossless", "strip", "bundle", "threads"),
)


class AecImageFile(ImageFile.ImageFile):
    """Opening reads the header and the metadata, loading decodes the picture, after
    `draft` or `thumbnail` no larger than it has to be.

    `info` has "quality" and, where the file has them, "icc_profile", "exif", "xmp",
    "dpi", "text" (a dictionary) and "iptc". With `ImageFile.LOAD_TRUNCATED_IMAGES`
    files are opened that are cut off or damaged, and loaded as `codec.salvage` does.
    """

    format: str | None = FORMAT
    format_description: str | None = "aecodec image"
    info: dict[str | tuple[int, int], Any]
    fp: IO[bytes] | None
    told: dict[str | tuple[int, int], Any]  # `info` as it was when it was opened
    whole_size: tuple[int, int]
    scale: float
    # What is still to be decoded, and how; a copied or pickled image is loaded.
    coded: bytes = b""
    bundle: Bundle | None = None
    threads: int | None = None
    max_pixels: int | None = None  # Pillow's limit if None

    def _open(self) -> None:
        assert self.fp is not None
        coded = self.fp.read()
        try:
            whole = not ImageFile.LOAD_TRUNCATED_IMAGES
            facts = read_info(coded, whole=whole)
            container = unpack(coded, max_pixels=NO_LIMIT, whole=whole)
            for name, value in container.metadata(whole).items():
                with nullcontext() if whole else suppress(FormatError):
                    self.info[INFO_KEYS[name]] = info_value(name, value)
        except CodecError as error:
            raise SyntaxError(str(error)) from None  # what Pillow expects here
        self.coded = coded
        self.info["quality"] = facts.quality
        self.told = dict(self.info)
        self.whole_size, self.scale = (facts.width, facts.height), 1.0
        self._size, self._mode = self.whole_size, facts.mode

    def draft(
        self, mode: str | None, size: tuple[int, int] | None
    ) -> tuple[str, tuple[int, int, float, float]] | None:
        """Decode smaller, if that is still at least `size`; `Image.thumbnail` asks for
        it. Returns (mode, box of the picture in what will be decoded).
        """
        if not self.coded or size is None or ImageFile.LOAD_TRUNCATED_IMAGES:
            return None
        width, height = self.whole_size
        sizes = {s: (math.ceil(s * width), math.ceil(s * height)) for s in SCALES}
        large = [s for s in SCALES if sizes[s][0] >= size[0] and sizes[s][1] >= size[1]]
        self.scale = min(large, default=1)
        self._size = sizes[self.scale]
        return self.mode, (0, 0, self.scale * width, self.scale * height)

    def load(self) -> Any:
        if self.coded:
            limit = self.max_pixels or pixel_limit()
            salvage = ImageFile.LOAD_TRUNCATED_IMAGES
            try:
                options = DecodeOptions(
                    scale=self.scale,
                    salvage=salvage,
                    max_pixels=limit,
                    bundle=self.bundle,
                    threads=self.threads,
                )
                if salvage:
                    image, _ = salvage_file(self.coded, options)
                else:
                    image = decode_file(self.coded, options)
            except CodecError as error:
                raise OSError(str(error)) from None
            self.im = image.im
            self._mode = image.mode  # without alpha, if that is damaged
            self.take_over(image.info)
            self.coded = b""
            if self.fp and self._exclusive_fp:
                self.fp.close()
            self.fp = None
        return super().load()

    def take_over(self, info: dict[Any, Any]) -> None:
        """Have the metadata of the decoded picture, of which a smaller one has less;
        those that were changed since it was opened stay.
        """
        for key in INFO_KEYS.values():
            if self.info.get(key) == self.told.get(key) != info.get(key):
                self.info.pop(key, None)
                if key in info:
                    self.info[key] = info[key]

    def verify(self) -> None:
        """Raise OSError if a checksum differs or bytes are missing; the image must be
        opened again to be loaded, as Pillow has it. One that is loaded was whole.
        """
        try:
            if self.coded:
                verify(self.coded)
        except CodecError as error:
            raise OSError(str(error)) from None
        super().verify()


def open_image(
    file: FileBytes | str | Path | IO[bytes],
    *,
    max_pixels: int = MAX_PIXELS,
    bundle: Bundle | None = None,
    threads: int | None = None,
) -> AecImageFile:
    """The picture in an .aec file, given its bytes, its name or a file that is open, as
    a Pillow image. That decodes it when its pixels are asked for, and after `draft` or
    `thumbnail` no larger than it has to be, with `max_pixels`, `bundle` and `threads`
    as of `codec.decode`.

    Raises FormatError if it is no whole .aec file or over the limit, OSError if it
    cannot be read, also when it is decoded.
    """
    if isinstance(file, FileBytes):
        file = io.BytesIO(file)
    elif not isinstance(file, str | Path):
        file.seek(0)  # as `Image.open`
    try:
        image = AecImageFile(file)
    except SyntaxError as error:  # as Pillow has it
        raise FormatError(str(error)) from None
    try:
        check_size(image.width, image.height, max_pixels, FormatError)
    except CodecError:
        image.close()
        raise
    image.max_pixels, image.bundle, image.threads = max_pixels, bundle, threads
    return image


def pixel_limit() -> int:
    """Ours, or Pillow's where that is larger; `Image.open` refuses twice as much."""
    if Image.MAX_IMAGE_PIXELS is None:
        return NO_LIMIT
    return max(MAX_PIXELS, 2 * Image.MAX_IMAGE_PIXELS)


def save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    """Options are `quality`, `size_bytes`, `rate_bpp`, `psnr_db`, `ssimulacra2`,
    `tune`, `effort`, `content`, `lossless`, `strip`, `bundle` and `threads`, as of
    `codec.encode`, but that a quality is of no matter to lossless files, as with WebP;
    and `icc_profile`, `exif`, `xmp`, `dpi`, `text` and `iptc`, by default those in the
    image's `info`. Pillow loads images before: what it does not read of their files is
    found if they were opened by their names, see `codec.picture.reading.read_picture`.
    """
    options = image.encoderinfo
    chosen = {name: options[name] for name in OPTIONS if name in options}
    if chosen.get("lossless"):
        chosen.pop("quality", None)
    given = {name: options[key] for name, key in INFO_KEYS.items() if key in options}
    try:
        asked = EncodeOptions(max_pixels=NO_LIMIT, **chosen)
        picture = read_picture(image, asked.strip, NO_LIMIT, given)
        data = encode_picture(picture, asked)
    except CodecError as error:
        raise ValueError(str(error)) from None
    file.write(data)


def register() -> None:
    """Make Pillow read and write .aec files, and `mimetypes` know them."""
    Image.register_open(FORMAT, AecImageFile, lambda prefix: prefix.startswith(MAGIC))
    Image.register_save(FORMAT, save)
    Image.register_extension(FORMAT, SUFFIX)
    Image.register_mime(FORMAT, MIME_TYPE)
    mimetypes.add_type(MIME_TYPE, SUFFIX)
