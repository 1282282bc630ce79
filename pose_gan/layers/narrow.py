"""A convolution to few channels, such as the generator's last: its gradients as matrix products.

The library splits the work of such gradients badly. The patches of the upstream gradient, which has few channels, are
small, and both gradients are plain products with them.
"""

from __future__ import annotations

import tensorflow as tf


def convolve_to_few(features: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The library's convolution with stride 1 and padding `same`; its gradients are computed by products.

    Args: features `(B, H, W, C)`; kernel `(k, k, C, few)` with an odd k. Returns `(B, H, W, few)`.
    """

    @tf.custom_gradient
    def convolution(features: tf.Tensor, kernel: tf.Tensor):
        side, _, channels, few = kernel.shape

        def gradient(upstream: tf.Tensor):
            patches = tf.reshape(_patches(upstream, side), [-1, side * side * few])
            # Weight (i, j) takes a pixel to the upstream's pixel (−i, −j), so kernels are turned by 180°.
            turned = tf.reshape(tf.transpose(kernel[::-1, ::-1], [0, 1, 3, 2]), [-1, channels])
            to_features = tf.reshape(tf.matmul(patches, turned), tf.shape(features))
            to_kernel = tf.matmul(tf.reshape(features, [-1, channels]), patches, transpose_a=True)
            to_kernel = tf.reshape(to_kernel, [channels, side, side, few])[:, ::-1, ::-1]
            return to_features, tf.transpose(to_kernel, [1, 2, 0, 3])

        return tf.nn.conv2d(features, kernel, 1, "SAME"), gradient

    return convolution(features, kernel)


def _patches(values: tf.Tensor, side: int) -> tf.Tensor:
    """`(B, H, W, side² · few)`: the patch around each pixel, cut out by a convolution with the identity.

    It is several times faster than the operator that cuts patches out.
    """
    few = values.shape[3]
    identity = tf.reshape(tf.eye(side * side * few), [side, side, few, side * side * few])
    return tf.nn.conv2d(values, identity, 1, "SAME")
