"""The convolution 4×4 with stride 2 and its transpose, as matrix products.

On small maps, moving the large kernel through memory limits the library's operators, which also reorder it for every
call. Here the kernel stays as it is: `(4, 4, outer, inner)` is the matrix `(16 · outer, inner)`, where *outer* are the
channels of the large map and *inner* those of the small one. Each function is the gradient of the other.
"""

from __future__ import annotations

import tensorflow as tf

KERNEL, STRIDE = 4, 2


@tf.custom_gradient
def convolve(large: tf.Tensor, kernel: tf.Tensor):
    """The convolution without padding: the product of each 4×4 patch with the kernel.

    Args: large `(B, H, W, outer)`; kernel `(4, 4, outer, inner)`. Returns `(B, (H − 2) // 2, (W − 2) // 2, inner)`.
    """
    height, width = ((side - KERNEL) // STRIDE + 1 for side in large.shape[1:3])
    patches = _patches(large)
    small = tf.matmul(patches, _matrix(kernel))

    def gradient(upstream: tf.Tensor):
        rest = [[0, 0], *([0, side % STRIDE] for side in large.shape[1:3]), [0, 0]]
        return tf.pad(_spread(upstream, kernel), rest), _kernel_gradient(patches, upstream, kernel)

    return tf.reshape(small, [-1, height, width, kernel.shape[3]]), gradient


@tf.custom_gradient
def convolve_transposed(small: tf.Tensor, kernel: tf.Tensor):
    """The transposed convolution without cropping: each pixel's product with the kernel is added to its 4×4 patch.

    Args: small `(B, h, w, inner)`; kernel `(4, 4, outer, inner)`. Returns `(B, 2h + 2, 2w + 2, outer)`.
    """

    def gradient(upstream: tf.Tensor):
        patches = _patches(upstream)
        to_small = tf.reshape(tf.matmul(patches, _matrix(kernel)), tf.shape(small))
        return to_small, _kernel_gradient(patches, small, kernel)

    return _spread(small, kernel), gradient


def _matrix(kernel: tf.Tensor) -> tf.Tensor:
    return tf.reshape(kernel, [-1, kernel.shape[3]])


def _patches(large: tf.Tensor) -> tf.Tensor:
    """`(B · h · w, 16 · outer)`: for each pixel of the small map the values of its patch."""
    sides = [1, KERNEL, KERNEL, 1], [1, STRIDE, STRIDE, 1]
    patches = tf.image.extract_patches(large, *sides, [1, 1, 1, 1], "VALID")
    return tf.reshape(patches, [-1, KERNEL**2 * large.shape[3]])


def _spread(small: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Products of the pixels with the kernel, each added to the pixel of the large map that it belongs to."""
    height, width, inner = small.shape[1:]
    outer = kernel.shape[2]
    rows = tf.reshape(small, [1, -1, inner])
    # A batched product of one matrix: TensorFlow's plain one is up to four times slower with few rows and a transposed
    # second matrix.
    products = tf.matmul(rows, _matrix(kernel)[None], transpose_b=True)
    products = tf.reshape(products, [-1, height, width, KERNEL**2 * outer])

    def tap(y: int, x: int) -> tf.Tensor:
        start = (y * KERNEL + x) * outer
        return products[..., start : start + outer]

    # Pixel i adds tap k to pixel 2i + k of the large map, which is phase k % 2 of block i + k // 2.
    phases = [
        tf.add_n(
            [
                tf.pad(tap(2 * a + p, 2 * b + q), [[0, 0], [a, 1 - a], [b, 1 - b], [0, 0]])
                for a in (0, 1)
                for b in (0, 1)
            ]
        )
        for p in (0, 1)
        for q in (0, 1)
    ]
    large = tf.nn.depth_to_space(tf.concat(phases, axis=-1), STRIDE)
    return tf.ensure_shape(large, [None, STRIDE * (height + 1), STRIDE * (width + 1), outer])


def _kernel_gradient(patches: tf.Tensor, small: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    rows = tf.reshape(small, [-1, small.shape[3]])
    return tf.reshape(tf.matmul(patches, rows, transpose_a=True), kernel.shape)
