"""SSIMULACRA 2 as a loss: differentiable, on any backend.

Sneyers, "SSIMULACRA 2", Cloudinary 2023; weights and constants of version 2.1, as the
package `ssimulacra2` has them. Blurs are products with banded matrices, each row
summing to 1: on CPUs many times faster than convolutions of one channel.
"""

from functools import cache

import numpy as np
from keras import ops

from codec.training.colors import linear_light

SCALES = 6
BLUR_SIGMA_PX, BLUR_REACH_PX = 1.5, 5
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
DARKEST = 0.5 * BIAS  # no infinite slope of the cube root
SMALLEST = 1e-16  # likewise of the fourth root
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


def distance(reference, distorted):
    """[B] of images [B, H, W, 3] of sRGB in [0, 1]: 0 for equal ones, and about the
    squared error in gray levels over 2.1. Sides are multiples of 32.
    """
    total = 0.0
    images = [
        ops.transpose(linear_light(image), (0, 3, 1, 2))
        for image in (reference, distorted)
    ]
    for scale in range(SCALES):
        if scale:
            images = [halve(image) for image in images]
        found = differences(*(opponent_colors(image) for image in images))
        weights = ops.convert_to_tensor(WEIGHTS[:, scale], "float32")
        total = total + ops.sum(found * weights, (1, 2))
    total = SUM_SCALE * total
    first, second, third = POLYNOMIAL
    return total * (first + total * (second + total * third))


def score(reference, distorted):
    """The score [B], 100 for equal images; see `distance`."""
    found = ops.maximum(distance(reference, distorted), 1e-6)
    return 100 - 10 * found**SCORE_POWER


def opponent_colors(image):
    """X, Y and B [B, 3, H, W], made positive, of linear RGB [B, 3, H, W]."""
    colors = ops.unstack(image, 3, 1)
    rows = [
        sum(float(weight) * color for weight, color in zip(row, colors, strict=True))
        for row in ABSORBANCE
    ]
    long, middle, short = (
        ops.maximum(row + BIAS, DARKEST) ** (1 / 3) - BIAS ** (1 / 3) for row in rows
    )
    x, y = 0.5 * (long - middle), 0.5 * (long + middle)
    return ops.stack([14 * x + 0.42, y + 0.01, short - y + 0.55], 1)


def differences(p, q):
    """[B, 3, 6] of opponent colors [B, 3, H, W]: means and fourth norms of lost
    structure, of what rings, and of what is blurred.
    """
    mean_p, mean_q, squares_p, squares_q, product = ops.unstack(
        blur(ops.stack([p, q, p * p, q * q, p * q])), 5
    )
    variance_p, variance_q = squares_p - mean_p**2, squares_q - mean_q**2
    similarity = (2 * (product - mean_p * mean_q) + C2) / (variance_p + variance_q + C2)
    structure = ops.maximum(1 - (1 - (mean_p - mean_q) ** 2) * similarity, 0)
    edge = (1 + ops.abs(q - mean_q)) / (1 + ops.abs(p - mean_p)) - 1
    maps = ops.stack([structure, ops.maximum(edge, 0), ops.maximum(-edge, 0)], 2)
    means = ops.mean(maps, (3, 4))
    fourth = ops.maximum(ops.mean(ops.square(ops.square(maps)), (3, 4)), SMALLEST)
    return ops.concatenate([means, ops.sqrt(ops.sqrt(fourth))], 2)


def blur(image):
    """Gaussian-weighted means around each pixel of [..., H, W]."""
    rows, columns = (ops.convert_to_tensor(blur_matrix(n)) for n in image.shape[-2:])
    return ops.matmul(rows, ops.matmul(image, ops.transpose(columns)))


@cache
def blur_matrix(size):
    """float32 [size, size]; rows sum to 1."""
    offset = np.arange(size)[:, None] - np.arange(size)
    weights = np.exp(-(offset**2) / (2 * BLUR_SIGMA_PX**2))
    weights *= np.abs(offset) <= BLUR_REACH_PX
    return (weights / weights.sum(1, keepdims=True)).astype("float32")


def halve(image):
    """Averages of 2 x 2 pixels of [B, C, H, W], H and W even."""
    height, width = image.shape[-2:]
    squares = (-1, image.shape[1], height // 2, 2, width // 2, 2)
    return ops.mean(ops.reshape(image, squares), (3, 5))
