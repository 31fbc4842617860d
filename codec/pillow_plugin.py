"""`Image.open` and `Image.save` for .aec files, by an explicit `register()`.

>>> import io
>>> from PIL import Image
>>> from codec import pillow_plugin
>>> pillow_plugin.register()
>>> Image.new("RGB", (64, 48), "orange").save(file := io.BytesIO(), "AEC", quality=50)
>>> Image.open(file).size
(64, 48)
"""

from typing import IO, Any

from PIL import Image, ImageFile

from codec.api import QUALITY_DEFAULT, decode, encode, read_info
from codec.container import MAGIC, MAX_PIXELS, NO_LIMIT, unpack
from codec.errors import CodecError
from codec.image import INFO_KEYS, info_value

FORMAT = "AEC"
SUFFIX = ".aec"
MIME_TYPE = "image/x-aec"


class AecImageFile(ImageFile.ImageFile):
    """Opening reads the header and the metadata, loading decodes the picture.

    `info` has "quality" and, where the file has them, "icc_profile", "exif" and "xmp".
    """

    format = FORMAT
    format_description = "aecodec image"

    def _open(self) -> None:
        assert self.fp is not None
        self.coded = self.fp.read()
        try:
            facts = read_info(self.coded)
            metadata = unpack(self.coded, max_pixels=NO_LIMIT).metadata()
        except CodecError as error:
            raise SyntaxError(str(error)) from None  # what Pillow expects here
        for name, value in metadata.items():
            self.info[INFO_KEYS[name]] = info_value(name, value)
        self.info["quality"] = facts.quality
        self._size, self._mode = (facts.width, facts.height), facts.mode

    def load(self) -> Any:
        if self.coded:
            limit = NO_LIMIT if Image.MAX_IMAGE_PIXELS is None else MAX_PIXELS
            try:
                self.im = decode(self.coded, max_pixels=limit).im
            except CodecError as error:
                raise OSError(str(error)) from None
            self.coded = b""
            if self.fp and self._exclusive_fp:
                self.fp.close()
            self.fp = None
        return super().load()


def save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    """Options are `quality` and `effort`, as of `codec.encode`, and `icc_profile`,
    `exif` and `xmp`, by default those in the image's `info`.
    """
    options = image.encoderinfo
    image = image.copy()
    for key in set(INFO_KEYS.values()) & set(options):
        value = options[key]
        image.info[key] = value.tobytes() if isinstance(value, Image.Exif) else value
    extra = {"effort": options["effort"]} if "effort" in options else {}
    quality = options.get("quality", QUALITY_DEFAULT)
    try:
        data = encode(image, quality=quality, max_pixels=NO_LIMIT, **extra)
    except CodecError as error:
        raise ValueError(str(error)) from None
    file.write(data)


def register() -> None:
    """Make Pillow read and write .aec files."""
    Image.register_open(FORMAT, AecImageFile, lambda prefix: prefix.startswith(MAGIC))
    Image.register_save(FORMAT, save)
    Image.register_extension(FORMAT, SUFFIX)
    Image.register_mime(FORMAT, MIME_TYPE)
