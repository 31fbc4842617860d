"""Kernels to 8 bits such that what a convolution computes changes least.

Each weight is rounded in turn, and the error it makes on the inputs that were seen is
made up for by those that are not rounded yet, at last by the bias (Frantar, Ashkboos,
Hoefler, Alistarh, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
Transformers", ICLR 2023).
"""

import numpy as np

LEVELS = 127  # on either side of zero
SMALLEST = 0.01  # range of a channel; the engine allows no large ratios
TINIEST = 1e-9  # largest weight of an output
DAMPING = 0.003  # of the mean second moment, added to each


class SecondMoments:
    """Of the inputs of a convolution, and of the constant input of its bias."""

    def __init__(self, inputs):
        self.total = np.zeros((inputs + 1, inputs + 1))
        self.count = 0

    def add(self, inputs):
        """Of rows [n, inputs] in the order of the kernel."""
        rows = np.pad(inputs.astype(np.float32), ((0, 0), (0, 1)), constant_values=1)
        self.total += rows.T @ rows
        self.count += len(rows)

    def of_scaled(self, factors):
        """float64 [inputs + 1, inputs + 1], inputs multiplied by `factors` [inputs]."""
        factors = np.append(factors, 1)
        return self.total / self.count * factors[:, None] * factors


def rounded_kernel(kernel, bias, moments):
    """(kernel, bias) with the kernel in LEVELS steps of its largest weight by output,
    either side; `moments` [inputs + 1, inputs + 1] are those of the inputs.
    """
    flat = kernel.reshape(-1, kernel.shape[-1]).astype(float)
    inputs, outputs = flat.shape
    step = np.maximum(np.abs(flat).max(0), TINIEST) / LEVELS
    largest = np.abs(flat).argmax(0), np.arange(outputs)
    kept = np.zeros(flat.shape)  # the largest stay, and with them the steps
    kept[largest] = LEVELS * np.sign(flat[largest])
    weights = np.append(flat, [bias], 0)
    damped = moments + DAMPING * np.diag(moments).mean() * np.eye(inputs + 1)
    factor = np.linalg.cholesky(np.linalg.inv(damped)).T
    for i in range(inputs):
        whole = np.clip(np.rint(weights[i] / step), -LEVELS, LEVELS)
        whole = np.where(kept[i] == 0, whole, kept[i])
        error = (weights[i] - whole * step) / factor[i, i]
        weights[i] = whole * step
        weights[i + 1 :] -= factor[i, i + 1 :, None] * error
    return weights[:-1].reshape(kernel.shape), weights[-1]
