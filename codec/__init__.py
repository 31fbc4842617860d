"""aecodec: a learned image codec. Importing it loads no inference engine.

>>> import codec
>>> from PIL import Image
>>> data = codec.encode(Image.new("RGB", (64, 48), "orange"), quality=50)
>>> codec.read_info(data).width
64
>>> codec.decode(data).size
(64, 48)
"""

from codec.api import (
    Info,
    Verified,
    decode,
    encode,
    features,
    read_info,
    salvage,
    verify,
)
from codec.errors import CodecError, FormatError, UsageError
from codec.networks.adaptation import read_model
from codec.pillow_plugin import open_image as open  # as Pillow's

__version__ = "0.1.0"
__all__ = [
    "CodecError",
    "FormatError",
    "Info",
    "UsageError",
    "Verified",
    "decode",
    "encode",
    "features",
    "open",
    "read_info",
    "read_model",
    "salvage",
    "verify",
]
