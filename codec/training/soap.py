"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner.

Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", ICLR 2025, algorithm
3. A convolution kernel counts as a sum over its taps of matrices [inputs, outputs];
what has fewer than four dimensions, or a side over `LARGEST`, follows Adam.
"""

import keras
from keras import ops

LARGEST = 512
BETA_1, BETA_2, BETA_BASIS = 0.9, 0.99, 0.98
REFRESH_EVERY = 20  # steps between two updates of the bases
EPSILON = 1e-8
# Adam's update is hardly ever over 1. After a new basis the second moment may be that
# of another direction, and far too small.
UPDATE_MAX = 3.0


class Soap(keras.optimizers.Optimizer):
    """Momentum and second moment as in Adam, kept in the eigenbasis.

    Rotations are computed in the policy's type. `refresh` says whether the bases are
    updated in the next step: "when due" tests the count of steps inside the graph;
    who compiles a graph of either kind sets a bool.
    """

    refresh: bool | str = "when due"

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.momentum, self.second, self.sides = [], [], []
        for variable in variables:
            self.momentum.append(self.add_variable_from_reference(variable, "momentum"))
            self.second.append(self.add_variable_from_reference(variable, "second"))
            self.sides.append(self.side_variables(variable))

    def side_variables(self, variable):
        """(covariance, eigenbasis) of the inputs and of the outputs of a kernel."""
        if len(variable.shape) < 4 or max(variable.shape[-2:]) > LARGEST:
            return None
        return [
            tuple(
                self.add_variable((size, size), start, name=f"{variable.name}_{name}")
                for name, start in (
                    ("covariance", "zeros"),
                    ("basis", keras.initializers.Identity()),
                )
            )
            for size in variable.shape[-2:]
        ]

    def update_step(self, gradient, variable, learning_rate):
        i = self._get_variable_index(variable)
        momentum, second, sides = self.momentum[i], self.second[i], self.sides[i]
        if sides:
            (rows, left), (columns, right) = sides
            low = ops.cast(
                gradient, keras.mixed_precision.global_policy().compute_dtype
            )
            self.follow(rows, ops.einsum("hwio,hwjo->ij", low, low))
            self.follow(columns, ops.einsum("hwio,hwip->op", low, low))
            gradient = rotate(gradient, left, right)
        step = ops.cast(self.iterations + 1, "float32")
        new_momentum = BETA_1 * momentum + (1 - BETA_1) * gradient
        new_second = BETA_2 * second + (1 - BETA_2) * gradient**2
        scale = ops.sqrt(new_second / (1 - BETA_2**step)) + EPSILON
        update = new_momentum / (1 - BETA_1**step) / scale
        update = ops.clip(update, -UPDATE_MAX, UPDATE_MAX)
        self.assign(second, new_second)
        if not sides:
            self.assign(momentum, new_momentum)
        else:
            update = rotate_back(update, left, right)

            def refresh():
                new = [basis_after(c, b) for c, b in sides]
                original = rotate_back(new_momentum, left, right)
                return (*new, rotate(original, *new))

            def keep():
                same = (ops.convert_to_tensor(basis) for basis in (left, right))
                return (*same, new_momentum)

            due = self.refresh
            if due == "when due":
                due = ops.equal(self.iterations % REFRESH_EVERY, 0)
            new_left, new_right, new_momentum = ops.cond(due, refresh, keep)
            self.assign(left, new_left)
            self.assign(right, new_right)
            self.assign(momentum, new_momentum)
        self.assign_sub(variable, ops.cast(learning_rate, "float32") * update)

    def follow(self, covariance, value):
        self.assign(
            covariance,
            BETA_BASIS * covariance + (1 - BETA_BASIS) * ops.cast(value, "float32"),
        )


def rotate(kernel, left, right):
    """Coordinates of a kernel [height, width, inputs, outputs] in the bases."""
    return product(ops.transpose(left), kernel, right)


def rotate_back(kernel, left, right):
    return product(left, kernel, ops.transpose(right))


def product(*matrices):
    """Matrix product in the policy's type, as float32."""
    dtype = keras.mixed_precision.global_policy().compute_dtype
    left, middle, right = (ops.cast(matrix, dtype) for matrix in matrices)
    return ops.cast(ops.matmul(ops.matmul(left, middle), right), "float32")


def basis_after(covariance, basis):
    """One step of subspace iteration towards the eigenvectors."""
    return ops.qr(ops.matmul(covariance, basis))[0]
