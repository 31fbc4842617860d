"""Calls of the command line in this process, and what they must look like."""

import io
import os
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result
from pictures import picture
from PIL import Image

from codec.app.cli import main

ORIGINAL = picture(40, 60)  # photo.png


def aecodec(*arguments: object, stdin: bytes = b"") -> Result:
    result = CliRunner().invoke(main, [str(a) for a in arguments], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def succeeds(*arguments: object, stdin: bytes = b"") -> Result:
    result = aecodec(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return result


def fails(*arguments: object, stdin: bytes = b"") -> str:
    """The only line on standard error of a call that ends with status 1."""
    result = aecodec(*arguments, stdin=stdin)
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("aecodec: ")
    assert "Traceback" not in lines[0]
    return lines[0]


def complaints(*arguments: object) -> list[str]:
    """Lines on standard error about what failed, of a call that ends with status 1."""
    result = aecodec(*arguments)
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr
    return [li for li in result.stderr.splitlines() if li.startswith("aecodec: ")]


def is_refused(*arguments: object) -> str:
    """Standard error of a call that is wrong usage."""
    result = aecodec(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    return result.stderr


def names(path: Path | str = ".") -> list[str]:
    return sorted(os.listdir(path))


def pixels(data: bytes | str) -> np.ndarray:
    with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
        return np.asarray(image)
