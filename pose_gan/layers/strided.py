"""The convolution 4×4 with stride 2 and its transpose, as matrix products.

`(4, 4, outer, inner)` is the kernel's shape: *outer* are the channels of the large map and *inner* those of the small
one. A border of b pixels is the padding of the convolution, which its transpose leaves out.

By patches: on small maps, moving the large kernel through memory limits the library's operators, which also reorder it
for every call. Here the kernel stays as it is: it is the matrix `(16 · outer, inner)`.

By phases: on large maps the library's operators are fast, except for the gradient of the kernel. Every second pixel in
both directions makes a phase of the large map. With the four phases side by side, the convolution is one of 2×2 with
stride 1, and with the pixels of all images in one row, the gradient of each of its four taps is one matrix product of
shifted rows.
"""

from __future__ import annotations

import tensorflow as tf

KERNEL, STRIDE = 4, 2
ON_EVEN = KERNEL // 2 - 1
"""The border with which the convolution halves, and its transpose doubles, even sides: padding `same`."""


def convolve(large: tf.Tensor, kernel: tf.Tensor, border: int = 0) -> tf.Tensor:
    """The convolution by patches: the product of each 4×4 patch with the kernel.

    Args: large `(B, H, W, outer)`; kernel `(4, 4, outer, inner)`.
    Returns: `(B, (H + 2b − 2) // 2, (W + 2b − 2) // 2, inner)`.
    """

    @tf.custom_gradient
    def product(large: tf.Tensor, kernel: tf.Tensor):
        patches = _patches(large, border)
        small = tf.reshape(tf.matmul(patches, _matrix(kernel)), [-1, *_small_sides(large, border), kernel.shape[3]])

        def gradient(upstream: tf.Tensor):
            return _spread(upstream, kernel, border, large.shape[1:3]), _kernel_gradient(patches, upstream, kernel)

        return small, gradient

    return product(large, kernel)


def convolve_transposed(small: tf.Tensor, kernel: tf.Tensor, border: int = 0) -> tf.Tensor:
    """The transposed convolution by patches: each pixel's product with the kernel is added to its 4×4 patch.

    Args: small `(B, h, w, inner)`; kernel `(4, 4, outer, inner)`. Returns `(B, 2h + 2 − 2b, 2w + 2 − 2b, outer)`.
    """

    @tf.custom_gradient
    def product(small: tf.Tensor, kernel: tf.Tensor):
        def gradient(upstream: tf.Tensor):
            patches = _patches(upstream, border)
            to_small = tf.reshape(tf.matmul(patches, _matrix(kernel)), tf.shape(small))
            return to_small, _kernel_gradient(patches, small, kernel)

        sides = [STRIDE * side + KERNEL - STRIDE - 2 * border for side in small.shape[1:3]]
        return _spread(small, kernel, border, sides), gradient

    return product(small, kernel)


def halve(large: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The library's convolution with padding `same`; the gradient of its kernel is computed by phases.

    Args: large `(B, H, W, outer)` with even sides; kernel `(4, 4, outer, inner)`. Returns `(B, H / 2, W / 2, inner)`.
    """

    @tf.custom_gradient
    def convolution(large: tf.Tensor, kernel: tf.Tensor):
        def gradient(upstream: tf.Tensor):
            return _doubled(upstream, kernel), _kernel_gradient_by_phases(large, upstream, kernel)

        return tf.nn.conv2d(large, kernel, STRIDE, "SAME"), gradient

    return convolution(large, kernel)


def double(small: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The library's transposed convolution with padding `same`; the gradient of its kernel is computed by phases.

    Args: small `(B, h, w, inner)`; kernel `(4, 4, outer, inner)`. Returns `(B, 2h, 2w, outer)`.
    """

    @tf.custom_gradient
    def convolution(small: tf.Tensor, kernel: tf.Tensor):
        def gradient(upstream: tf.Tensor):
            to_small = tf.nn.conv2d(upstream, kernel, STRIDE, "SAME")
            return to_small, _kernel_gradient_by_phases(upstream, small, kernel)

        return _doubled(small, kernel), gradient

    return convolution(small, kernel)


def _matrix(kernel: tf.Tensor) -> tf.Tensor:
    return tf.reshape(kernel, [-1, kernel.shape[3]])


def _bordered(features: tf.Tensor, before: int, after: int) -> tf.Tensor:
    return tf.pad(features, [[0, 0], [before, after], [before, after], [0, 0]]) if before or after else features


def _small_sides(large: tf.Tensor, border: int) -> list[int]:
    return [(side + 2 * border - KERNEL) // STRIDE + 1 for side in large.shape[1:3]]


def _patches(large: tf.Tensor, border: int) -> tf.Tensor:
    """`(B · h · w, 16 · outer)`: for each pixel of the small map the values of its patch."""
    sides = [1, KERNEL, KERNEL, 1], [1, STRIDE, STRIDE, 1]
    patches = tf.image.extract_patches(_bordered(large, border, border), *sides, [1, 1, 1, 1], "VALID")
    return tf.reshape(patches, [-1, KERNEL**2 * large.shape[3]])


def _spread(small: tf.Tensor, kernel: tf.Tensor, border: int, sides: tf.TensorShape | list[int]) -> tf.Tensor:
    """Products of the pixels with the kernel, each added to the pixel of the large map that it belongs to.

    sides: height and width of the large map.
    """
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
    ends = [border + side for side in sides]
    missing = [max(0, end - STRIDE * (side + 1)) for end, side in zip(ends, (height, width), strict=True)]
    if any(missing):  # no patch reaches the last row or column
        large = tf.pad(large, [[0, 0], *([0, count] for count in missing), [0, 0]])
    if border:
        large = large[:, border : ends[0], border : ends[1]]
    return tf.ensure_shape(large, [None, *sides, outer])


def _kernel_gradient(patches: tf.Tensor, small: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    rows = tf.reshape(small, [-1, small.shape[3]])
    return tf.reshape(tf.matmul(patches, rows, transpose_a=True), kernel.shape)


def _doubled(small: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    height, width = (STRIDE * side for side in small.shape[1:3])
    return tf.nn.conv2d_transpose(small, kernel, [tf.shape(small)[0], height, width, kernel.shape[2]], STRIDE, "SAME")


def _kernel_gradient_by_phases(large: tf.Tensor, small: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The gradient of the kernel `(4, 4, outer, inner)` for large `(B, 2h, 2w, outer)` and small `(B, h, w, inner)`."""
    outer, inner = kernel.shape[2:]
    with tf.control_dependencies([large, small]):  # else one of them would be copied, and kept, long before the other
        blocks = tf.nn.space_to_depth(_bordered(large, ON_EVEN, ON_EVEN), STRIDE)  # (B, h + 1, w + 1, 4 · outer)
        with_border = _bordered(small, 0, 1)
    across = blocks.shape[2]
    blocks = tf.reshape(blocks, [-1, STRIDE**2 * outer])
    # The small map gets a row and a column of zeros, as many pixels as there are blocks. So tap (a, b) moves all pixels
    # by the same number of rows of the matrix. The last ones, which would leave it, are zeros.
    pixels = tf.reshape(with_border, [-1, inner])[: -across - 1]
    count = tf.shape(pixels)[0]
    starts = [a * across + b for a in (0, 1) for b in (0, 1)]
    taps = [tf.matmul(blocks[start : start + count], pixels, transpose_a=True) for start in starts]
    gradient = tf.reshape(tf.stack(taps), [2, 2, STRIDE, STRIDE, outer, inner])  # tap 2a + p, 2b + q at [a, b, p, q]
    return tf.reshape(tf.transpose(gradient, [0, 2, 1, 3, 4, 5]), kernel.shape)
