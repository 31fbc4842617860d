"""Measures for which no model is trained, by a program and a package that need not be
here.
"""

import hashlib
import shutil
import subprocess
import tempfile
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BUTTERAUGLI = "butteraugli_main"  # of libjxl
DISPLAY = "standard_fhd"


def butteraugli_version() -> str | None:
    """Of the program, which does not tell it, the start of its SHA-256; None if it is
    not here, or does not run, as without its libraries.
    """
    program = shutil.which(BUTTERAUGLI)
    if program is None:
        return None
    if subprocess.run([program], capture_output=True, check=False).returncode == 127:
        return None
    return f"sha256 {hashlib.sha256(Path(program).read_bytes()).hexdigest()[:8]}"


def butteraugli(reference: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """3-norm of the distances that Butteraugli finds between two uint8 [H, W, 3], at 80
    nits: 0 for equal images, up to about 1 where no difference is seen.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [f"{folder}/reference.ppm", f"{folder}/other.ppm"]
        for file, image in zip(files, (reference, other), strict=True):
            Image.fromarray(image).save(file)
        command = [BUTTERAUGLI, *files, "--pnorm", "3"]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    (norm,) = (
        line.removeprefix("3-norm: ")
        for line in result.stdout.splitlines()
        if line.startswith("3-norm: ")
    )
    return float(norm)


def cvvdp_version() -> str | None:
    """Of the package; None if it is not here."""
    try:
        return version("cvvdp")
    except PackageNotFoundError:
        return None


@cache
def color_video_vdp() -> Any:
    """The metric of the package, in one thread: images are measured in processes."""
    import torch
    from pycvvdp import cvvdp

    torch.set_num_threads(1)
    return cvvdp(display_name=DISPLAY, heatmap=None)


def cvvdp(reference: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """ColorVideoVDP of uint8 [H, W, 3] on a display of 24 inches and 200 nits, in JOD
    (just-objectionable differences): 10 for equal images, 1 less where 3 of 4 people
    would choose the better one.
    """
    found, _ = color_video_vdp().predict(other, reference, dim_order="HWC")
    return float(found)
