"""Rate and distortion on whole pictures while training."""

import numpy as np
from keras import ops

from codec.training import masked_contrast, ssimulacra2
from codec.training.dimensions import STRIDE_PX

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
SIDE_MIN_PX = 2 * STRIDE_PX  # or the measures have no room


def validate(codec, images):
    """Per quality level a row of means, as text by column: estimated bits per pixel,
    PSNR in dB, SSIMULACRA 2 and JOD; with rounding, no noise.

    `images` are uint8 [H, W, 3], at least SIDE_MIN_PX on either side.
    """
    for level in LEVELS:
        found = np.mean([measured(codec, level, image) for image in images], axis=0)
        bpp, psnr, score, jod = found.tolist()
        yield {
            "level": level,
            "bpp": f"{bpp:.4f}",
            "psnr": f"{psnr:.3f}",
            "ssimulacra2": f"{score:.2f}",
            "jod": f"{jod:.3f}",
        }


def measured(codec, level, image):
    """(bits per pixel, PSNR, SSIMULACRA 2, JOD) of an image, cut to whole cells."""
    height, width = (size // STRIDE_PX * STRIDE_PX for size in image.shape[:2])
    x = image[None, :height, :width].astype("float32") / 255 - 0.5
    result = codec(x, np.array([level], "float32"))
    bits = float(result["latent_bits"][0]) + float(result["hyper_bits"][0])
    x_hat = ops.clip(result["x_hat"], -0.5, 0.5)
    error = float(ops.mean(ops.square(x_hat - x)))
    pair = ops.convert_to_tensor(x + 0.5), x_hat + 0.5
    score, jod = (
        float(measure(*pair)[0]) for measure in (ssimulacra2.score, masked_contrast.jod)
    )
    return bits / (height * width), -10 * np.log10(error), score, jod
