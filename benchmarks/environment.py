"""What a benchmark ran with: versions, machine and settings."""

import json
import os
import platform
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import PIL

import codec
from benchmarks.codecs import ImageCodec
from benchmarks.results import replace_text
from codec.file.header import FORMAT_VERSION
from codec.networks.shipped import TUNES, load_bundle, model_name


def describe_environment() -> dict[str, Any]:
    """Versions of all that takes part, and the machine; ready for JSON."""
    return {
        "aecodec": codec.__version__,
        "models": {
            name: f"{model_name(tune.model_id)} "
            f"({load_bundle(tune.model_id).digest.hex()})"
            for name, tune in TUNES.items()
        },
        "format_version": FORMAT_VERSION,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "avif": avif_libraries(),
        "platform": platform.platform(),
        "processor": processor(),
        "cpu_count": os.cpu_count(),
    }


def processor() -> str:
    """Its name and those of its instructions for vectors; as Linux tells."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    facts = dict(re.findall(r"^(model name|flags)\s*: (.*)$", text, re.MULTILINE))
    flags = re.findall(r"avx\S*|amx\S*", facts.get("flags", ""))
    return " ".join([facts.get("model name", platform.machine()), *flags])


def avif_libraries() -> str:
    """What codes AVIF within Pillow; its defaults change with it."""
    try:
        from PIL._avif import codec_versions
    except ImportError:
        return ""
    return str(codec_versions())


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
