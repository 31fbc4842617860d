"""The score of SSIMULACRA 2. That it is the package's: test_benchmarks.py."""

import numpy as np
import pytest
from pictures import picture
from PIL import Image

from codec.picture.ssimulacra2 import ssimulacra2

REFERENCE = picture(70, 90)


def coarse(image: np.ndarray, step: int) -> np.ndarray:
    """With fewer levels."""
    return (image // step * step + step // 2).astype(np.uint8)


def test_equal_pictures_have_100():
    assert ssimulacra2(REFERENCE, REFERENCE) == 100


def test_the_score_falls_with_the_error():
    scores = [ssimulacra2(REFERENCE, coarse(REFERENCE, step)) for step in (4, 16, 64)]
    assert 100 > scores[0] > scores[1] > scores[2]


@pytest.mark.parametrize(
    ("size", "expected"),
    [((256, 300), 91.8944), ((225, 259), 87.6989), ((301, 226), 91.3574)],
)
def test_scores_are_those_of_the_package(size, expected):
    """Version 0.3.0, which was asked once."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    image = np.stack([x * 3, y * 5, (x + y) * 2], axis=-1) % 256
    found = ssimulacra2(image.astype(np.uint8), coarse(image, 8))
    assert found == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 7)])
def test_tiny_pictures_have_a_score(size):
    image = picture(*size)
    assert ssimulacra2(image, image) == 100
    assert ssimulacra2(image, 255 - image) < 50


def test_small_pictures_go_on_mirrored():
    pair = REFERENCE, coarse(REFERENCE, 16)
    mirrored = (np.pad(x, ((0, 155), (0, 135), (0, 0)), "symmetric") for x in pair)
    assert ssimulacra2(*pair) == ssimulacra2(*mirrored)


def test_what_is_opaque_has_the_score_without_alpha():
    other, alpha = coarse(REFERENCE, 16), np.full((70, 90), 255, np.uint8)
    assert ssimulacra2(REFERENCE, other, alpha) == ssimulacra2(REFERENCE, other)


def test_colors_that_cannot_be_seen_do_not_count():
    other, alpha = REFERENCE.copy(), np.full((70, 90), 255, np.uint8)
    other[20:60], alpha[20:60] = 0, 0
    assert ssimulacra2(REFERENCE, other, alpha) == 100


def test_the_worse_of_a_dark_and_a_light_ground_counts():
    """As composed by Pillow, whose samples are whole numbers."""
    alpha = np.tile(np.linspace(40, 255, 90).astype(np.uint8), (70, 1))
    other, mask = coarse(REFERENCE, 32), Image.fromarray(alpha)
    scores = []
    for gray in (26, 230):  # a tenth, and nine
        ground = Image.new("RGB", mask.size, (gray,) * 3)
        pair = (
            np.asarray(Image.composite(Image.fromarray(colors), ground, mask))
            for colors in (REFERENCE, other)
        )
        scores.append(ssimulacra2(*pair))
    assert max(scores) - min(scores) > 3
    assert ssimulacra2(REFERENCE, other, alpha) == pytest.approx(min(scores), abs=1)
