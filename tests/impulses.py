"""How far the networks of a bundle see, by what an impulse changes."""

import numpy as np

from codec.networks.bundle import EXACT, Bundle
from codec.networks.runtime import Networks

CELLS, MIDDLE = 13, 6


def reach(array: np.ndarray, other: np.ndarray, unit: int) -> int:
    """Cells from the middle one to the farthest in which arrays differ, `unit` rows to
    a cell.
    """
    rows = np.flatnonzero(np.abs(array - other).max((0, 2, 3)) > 0)
    cells = rows // unit
    return int(max(MIDDLE - cells.min(), cells.max() - MIDDLE))


def middle(unit: int) -> slice:
    return slice(MIDDLE * unit, (MIDDLE + 1) * unit)


def reaches(bundle: Bundle, quality_code: int) -> dict[str, tuple[int, int]]:
    """(cells that an impulse reaches, cells that the halos allow) by what it goes
    through, in a picture one cell wide.
    """
    networks = Networks(bundle, synthesis=EXACT)
    vectors = bundle.vectors(quality_code)
    halos, found = bundle.halos, {}
    flat = np.full((1, 64 * CELLS, 64, 3), 128, np.uint8)
    impulse = flat.copy()
    impulse[:, middle(64)] = 255
    latents = [networks.analyze(image) for image in (flat, impulse)]
    found["analysis"] = reach(*latents, 4), halos.analysis
    hyper = [networks.hyper_analyze(y, vectors["gain"]) for y in latents]
    both = halos.analysis + halos.hyper_analysis
    found["hyper-analysis"] = reach(*hyper, 1), both

    residuals, z = np.zeros_like(latents[0]), np.zeros_like(hyper[0])
    other, other_z = residuals.copy(), z.copy()
    other[:, middle(4)], other_z[:, MIDDLE] = 3, 5
    gains = vectors["gain"], vectors["inverse_gain"]
    decoded = networks.reconstruct(residuals, z, *gains)
    for name, changed in (("residuals", (other, z)), ("means", (residuals, other_z))):
        array = networks.reconstruct(*changed, *gains)
        found[name] = reach(decoded, array, 4), halos.mean
    changed = decoded, decoded + other
    rest = vectors["inverse_gain"], vectors["block_scale"]
    pictures = [networks.synthesize(y, *rest).astype(int) for y in changed]
    found["synthesis"] = reach(*pictures, 64), halos.synthesis
    small = [networks.preview(y, gains[1]).astype(int) for y in changed]
    found["preview"] = reach(*small, 64 // bundle.preview_factor), halos.synthesis
    return found
