"""What a program may change in its process, and the library may not."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from PIL import Image

from codec.api import start_engine
from codec.errors import CodecError
from codec.machine import native_stderr_silenced

READERS = r"(PIL|pillow_heif|pillow_jxl)\b"


@contextmanager
def own_process() -> Iterator[None]:
    """The limit that counts is --max-pixels, not Pillow's, and of odd metadata there is
    a line where they are lost, but no warning. Entered before there are threads.
    """
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    log, handler = logging.getLogger("PIL"), logging.NullHandler()
    log.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=READERS)
            yield
    finally:
        log.removeHandler(handler)
        Image.MAX_IMAGE_PIXELS = limit


def start_engine_silently() -> None:
    """Before there are threads that may print. Work says itself what is not there."""
    with native_stderr_silenced(), suppress(CodecError):
        start_engine()
