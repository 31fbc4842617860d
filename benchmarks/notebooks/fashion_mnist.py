"""The pictures of the notebooks: loading, comparing and showing them."""

import math
from pathlib import Path
from typing import Any

import keras
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]  # [pictures, 28, 28], in [0, 1]

SUBSET = Path(__file__).with_name("fashion_mnist_600.npz")
TEST_PICTURES = 100


def load_pictures(*, download: bool = False) -> tuple[Images, Images]:
    """(500 to train with, 100 to test with) of the subset beside this file.

    With `download`, 60,000 to train with, which Keras fetches from the network.
    """
    if download:
        (train, _), (test, _) = keras.datasets.fashion_mnist.load_data()
    else:
        with np.load(SUBSET) as file:
            train, test = np.split(file["images"], [-TEST_PICTURES])
    test = test[:TEST_PICTURES]
    return train.astype(np.float32) / 255, test.astype(np.float32) / 255


def psnr(images: NDArray[Any], others: NDArray[Any]) -> float:
    """In dB, one mean squared error over all of [0, 1]."""
    return -10 * math.log10(np.mean((images - others) ** 2))


def show(**rows: Images) -> None:
    """The first ten pictures of each, one row under the other."""
    plt.figure(figsize=(7, 0.7 * len(rows)), dpi=60)
    mosaic = np.concatenate([np.hstack(list(images[:10])) for images in rows.values()])
    plt.imshow(mosaic, cmap="gray_r", vmin=0, vmax=1)
    plt.yticks(28 * np.arange(len(rows)) + 14, list(rows))
    plt.xticks([])
    plt.show()


def one_picture(images: Images) -> NDArray[np.uint8]:
    """100 pictures, ten in a row: uint8 [280, 280]."""
    mosaic = images.reshape(10, 10, 28, 28).swapaxes(1, 2).reshape(280, 280)
    return np.rint(mosaic * 255).astype(np.uint8)
