"""SSIMULACRA 2 of two pictures: how alike they look.

Sneyers, "SSIMULACRA 2", Cloudinary 2023; weights and constants of version 2.1. What
lies beyond the edges is as the package `ssimulacra2` has it, with which scores agree.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

SCALES = 6
SIDE_MIN_PX = 7 * 2 ** (SCALES - 1) + 1  # or the coarsest scale has less than 8 pixels
BLUR_SIGMA_PX, BLUR_REACH_PX = 1.5, 5
BLUR = np.exp(-(np.arange(BLUR_REACH_PX + 1) ** 2) / (2 * BLUR_SIGMA_PX**2))
BLUR = (BLUR / (2 * BLUR.sum() - BLUR[0])).astype(np.float32)  # by the distance
ABSORBANCE = np.array(
    [
        [0.30, 0.622, 0.078],
        [0.23, 0.692, 0.078],
        [0.24342268924547819, 0.20476744424496821, 0.55180986650955360],
    ],
    "float32",
)
BIAS = 0.0037930732552754493
C2 = 0.0009
# [channel X, Y, B][scale][mean: structure, ringing, blur; fourth norm: likewise]
WEIGHTS = np.array(
    [
        [0.0, 0.0007376606707406586, 0.0, 0.0, 0.0007793481682867309, 0.0],
        [
            0.0,
            0.0004371155730107379,
            0.0,
            1.1041726426657346,
            0.00066284834129271,
            0.00015231632783718752,
        ],
        [0.0, 0.0016406437456599754, 0.0, 1.8422455520539298, 11.441172603757666, 0.0],
        [
            0.0007989109436015163,
            0.000176816438078653,
            0.0,
            1.8787594979546387,
            10.94906990605142,
            0.0,
        ],
        [
            0.0007289346991508072,
            0.9677937080626833,
            0.0,
            0.00014003424285435884,
            0.9981766977854967,
            0.00031949755934435053,
        ],
        [0.0004550992113792063, 0.0, 0.0, 0.0013648766163243398, 0.0, 0.0],
        [0.0, 0.0, 0.0, 7.466890328078848, 0.0, 17.445833984131262],
        [
            0.0006235601634041466,
            0.0,
            0.0,
            6.683678146179332,
            0.00037724407979611296,
            1.027889937768264,
        ],
        [
            225.20515300849274,
            0.0,
            0.0,
            19.213238186143016,
            0.0011401524586618361,
            0.001237755635509985,
        ],
        [
            176.39317598450694,
            0.0,
            0.0,
            24.43300999870476,
            0.28520802612117757,
            0.0004485436923833408,
        ],
        [0.0, 0.0, 0.0, 34.77906344483772, 44.835625328877896, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0008680556573291698, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0005313191874358747, 0.0, 0.00016533814161379112, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0004179171803251336, 0.0017290828234722833, 0.0],
        [0.0020827005846636437, 0.0, 0.0, 8.826982764996862, 23.19243343998926, 0.0],
        [
            95.1080498811086,
            0.9863978034400682,
            0.9834382792465353,
            0.0012286405048278493,
            171.2667255897307,
            0.9807858872435379,
        ],
        [0.0, 0.0, 0.0, 0.0005130064588990679, 0.0, 0.00010854057858411537],
    ]
).reshape(3, SCALES, 6)
# From the weighted sum to a distance, and from that to the score.
SUM_SCALE = 0.9562382616834844
POLYNOMIAL = 2.326765642916932, -0.020884521182843837, 6.248496625763138e-05
SCORE_POWER = 0.6276336467831387
DARK, LIGHT = 0.1, 0.9  # of sRGB: the grays behind what can be seen through
LINEAR = np.arange(255**2 + 1) / 255**2  # a sample times alpha -> linear light
LINEAR = np.where(
    LINEAR <= 0.04045, LINEAR / 12.92, ((LINEAR + 0.055) / 1.055) ** 2.4
).astype(np.float32)
BAND_PX = 32  # rows at once, so few that they stay in the cache; even, to be halved
Light = Callable[[slice], NDArray[np.float32]]  # rows -> linear RGB [3, rows, W]


def ssimulacra2(
    reference: NDArray[np.uint8],
    other: NDArray[np.uint8],
    alpha: NDArray[np.uint8] | None = None,
) -> float:
    """The score of colors of sRGB, both uint8 of one shape [H, W, 3]: 100 for equal
    ones, about 90 where no difference is seen, 70 high quality, 30 low; negative, too.

    With `alpha`, uint8 [H, W], that of both, they are seen on a dark gray and on a
    light one, and the lower score counts. Sides of less than 225 pixels are made as
    long by mirror images: the package leaves out the coarse scales of such pictures and
    gives their weights to others, so that small ones score high however they look.
    """
    assert reference.shape == other.shape
    lacking = [(0, max(0, SIDE_MIN_PX - side)) for side in reference.shape[:2]]
    if any(after for _, after in lacking):
        reference, other = (
            np.pad(rgb, (*lacking, (0, 0)), "symmetric") for rgb in (reference, other)
        )
        alpha = None if alpha is None else np.pad(alpha, lacking, "symmetric")
    scores, (height, width) = [], other.shape[:2]
    for gray in (DARK,) if alpha is None else (DARK, LIGHT):
        p, q = (light_on(gray, rgb, alpha) for rgb in (reference, other))
        scores.append(score(p, q, height, width))
    return min(scores)


def light_on(
    ground: float, rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None
) -> Light:
    """That of colors [H, W, 3] with `alpha` [H, W] on a gray."""

    def light_of(rows: slice) -> NDArray[np.float32]:
        if alpha is None:
            found = LINEAR[::255][rgb[rows]]
        else:
            shown = alpha[rows, :, None].astype(np.float32)
            composed = rgb[rows] * shown + 255 * ground * (255 - shown)
            found = LINEAR[np.rint(composed).astype(np.uint16)]
        return np.ascontiguousarray(np.moveaxis(found, 2, 0))

    return light_of


def score(p: Light, q: Light, height: int, width: int) -> float:
    """As `ssimulacra2`, of the light of pictures."""
    norms = np.empty((3, SCALES, 2, 3))  # by mean and fourth norm, and by map
    for scale in range(SCALES):
        if scale:
            p, q = halved(p, height), halved(q, height)
            height, width = -(-height // 2), -(-width // 2)
        sums = [differences(p, q, rows, height) for rows in bands(height)]
        norms[:, scale] = np.sum(sums, axis=0) / (height * width)
    norms[:, :, 1] **= 1 / 4
    total = SUM_SCALE * float(norms.ravel() @ WEIGHTS.ravel())
    first, second, third = POLYNOMIAL
    distance = total * (first + total * (second + total * third))
    return 100 - 10 * max(distance, 0) ** SCORE_POWER


def bands(height: int) -> list[slice]:
    return [slice(top, min(top + BAND_PX, height)) for top in range(0, height, BAND_PX)]


def halved(whole: Light, height: int) -> Light:
    """That of averages of 2 x 2 pixels, of fewer at the edges."""

    def halve(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
        _, height, width = rgb.shape
        rgb = np.pad(rgb, ((0, 0), (0, height % 2), (0, width % 2)), "edge")
        rows = rgb[:, ::2] + rgb[:, 1::2]
        return (rows[..., ::2] + rows[..., 1::2]) / 4

    smaller = np.concatenate([halve(whole(rows)) for rows in bands(height)], axis=1)
    return lambda rows: smaller[:, rows]


def opponent_colors(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """X, Y and B [3, rows, W], made positive, of linear RGB [3, rows, W]."""
    red, green, blue = rgb
    long, middle, short = (
        np.cbrt(r * red + g * green + b * blue + BIAS) - BIAS ** (1 / 3)
        for r, g, b in ABSORBANCE
    )
    x, y = (long - middle) / 2, (long + middle) / 2
    return np.stack([14 * x + 0.42, y + 0.01, short - y + 0.55])


def differences(p: Light, q: Light, rows: slice, height: int) -> NDArray[np.float64]:
    """[3, 2, 3], by channel: sums, and sums of fourth powers, of lost structure, of
    what rings, and of what is blurred.
    """
    reach = BLUR_REACH_PX
    near = slice(max(rows.start - reach, 0), min(rows.stop + reach, height))
    beyond = near.start - rows.start + reach, rows.stop + reach - near.stop
    colors_p, colors_q = (
        np.pad(opponent_colors(light(near)), ((0, 0), beyond, (0, 0)), "symmetric")
        for light in (p, q)
    )
    # 1 - (1 - of_means) * similarity, without small differences of large numbers.
    squares, errors = colors_p**2 + colors_q**2, (colors_p - colors_q) ** 2
    mean_p, mean_q, square, error = map(blur, (colors_p, colors_q, squares, errors))
    of_means = (mean_p - mean_q) ** 2
    variances = square - mean_p**2 - mean_q**2 + C2
    structure = of_means + (1 - of_means) * (error - of_means) / variances
    colors_p, colors_q = (colors[:, reach:-reach] for colors in (colors_p, colors_q))
    edge = (1 + np.abs(colors_q - mean_q)) / (1 + np.abs(colors_p - mean_p)) - 1
    maps = np.stack([structure, edge, -edge], axis=1)
    np.maximum(maps, 0, out=maps)
    powers = maps, np.square(np.square(maps))
    return np.stack([part.sum((2, 3), np.float64) for part in powers], axis=1)


def blur(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gaussian-weighted means of [3, rows, W] without the outer rows; black beyond the
    other edges.
    """
    reach = BLUR_REACH_PX
    _, height, width = planes.shape
    found = np.empty((3, height - 2 * reach, width), np.float32)
    wide = np.zeros((height - 2 * reach, width + 2 * reach), np.float32)
    for plane, blurred in zip(planes, found, strict=True):
        wide[:, reach:-reach] = blur_rows(plane)
        blurred[:] = blur_rows(wide.T).T
    return found


def blur_rows(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over rows above and below, without the outer ones."""
    height = len(plane) - 2 * BLUR_REACH_PX

    def shifted(rows: int) -> NDArray[np.float32]:
        start = BLUR_REACH_PX + rows
        return plane[start : start + height]

    total = shifted(0) * BLUR[0]
    for away in range(1, BLUR_REACH_PX + 1):
        pair = shifted(-away) + shifted(away)
        pair *= BLUR[away]
        total += pair
    return total
