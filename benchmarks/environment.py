"""What a benchmark ran with: versions, machine and settings."""

import json
import os
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image

import codec
from benchmarks.codecs import ImageCodec
from benchmarks.results import replace_text


def describe_environment() -> dict[str, Any]:
    """Versions of all that takes part, and the machine; ready for JSON."""
    file = codec.encode(Image.new("RGB", (64, 64)), content="photo")
    info = codec.read_info(file)
    return {
        "aecodec": codec.__version__,
        "model": info.model,
        "model_id": info.model_id,
        "bundle_digest": info.bundle_digest,
        "format_version": info.format_version,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
    }


def write_versions(path: Path, facts: dict[str, Any]) -> None:
    """The day, the environment and `facts` of a run, as JSON."""
    text = {"date": date.today().isoformat(), **describe_environment(), **facts}
    replace_text(path, json.dumps(text, indent=2) + "\n")


def described_codecs(path: Path) -> dict[str, Any]:
    """The codecs in a file of `write_versions`, nothing if there is none."""
    if not path.exists():
        return {}
    return json.loads(path.read_text(encoding="utf-8")).get("codecs", {})


def describe_codecs(codecs: Sequence[ImageCodec]) -> dict[str, Any]:
    """Version, settings and qualities of each codec; ready for JSON."""
    return {
        codec.name: {
            "version": codec.version,
            "description": codec.description,
            "qualities": list(codec.qualities),
        }
        for codec in codecs
    }
