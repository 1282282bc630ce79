"""Where the sparse form of the deformable skip connection is computed, and what compilers must leave alone."""

from __future__ import annotations

import contextlib
import functools
import warnings

import tensorflow as tf

from pose_gan.errors import InputWarning, reason

CPU = "/device:CPU:0"  # TensorFlow's builds for some GPUs lack sparse products, or cannot run them


def for_sparse_products() -> contextlib.AbstractContextManager[object]:
    """A block whose operations run where sparse products can: on the CPU, if the GPU cannot compute them."""
    return tf.device(CPU) if gpu_lacks_sparse_products() else contextlib.nullcontext()


def never_clustered() -> contextlib.AbstractContextManager[object]:
    """A block of operations that XLA leaves alone where it chooses by itself what it compiles (`TF_XLA_FLAGS`).

    It would choose counts over a number of places that is known late, and fail.
    """
    return contextlib.nullcontext() if tf.executing_eagerly() else tf.xla.experimental.jit_scope(compile_ops=False)


@functools.cache
def gpu_lacks_sparse_products() -> bool:
    """Whether there is a GPU that cannot compute them.

    Once in a process, two products of one number are computed there. If that fails, or if TensorFlow moves them to the
    CPU by itself, a warning says so.
    """
    with tf.init_scope():  # at once, also while a graph is made
        gpus = tf.config.list_logical_devices("GPU") if tf.executing_eagerly() else []
        problem = _problem(gpus[0].name) if gpus else None
    if problem:
        warnings.warn(
            f"the GPU computes no sparse products ({problem}); the deformable skip connections are computed on the "
            "CPU, which is slower. docs/gpu.md says what to check",
            InputWarning,
            stacklevel=2,
        )
    return problem is not None


def _problem(device: str) -> str | None:
    """Why a device computes no sparse products, in words; None: it does."""
    one = tf.ones((1, 1))
    try:
        with tf.device(device):
            matrix = tf.raw_ops.SparseTensorToCSRSparseMatrix(
                indices=tf.zeros((1, 2), tf.int64), values=one[0], dense_shape=tf.ones(2, tf.int64)
            )
            for transpose in (False, True):
                product = tf.raw_ops.SparseMatrixMatMul(a=matrix, b=one, transpose_a=transpose)
                if product.numpy() != 1:
                    return f"the product of 1 and 1 is {float(product.numpy()[0, 0])}"
                if tf.DeviceSpec.from_string(product.device).device_type == "CPU" and ":CPU:" not in device:
                    return "this TensorFlow has none for it"
    except (tf.errors.OpError, RuntimeError) as error:
        return reason(error)
    return None
