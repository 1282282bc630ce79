"""Sparse products go to the CPU, with a message, where a GPU cannot compute them."""

from __future__ import annotations

import warnings
from collections import namedtuple

import numpy as np
import pytest
import tensorflow as tf
from makers import people

from pose_gan import geometry
from pose_gan.errors import InputWarning
from pose_gan.layers import DeformableSkip, placement

Device = namedtuple("Device", "name")
PRODUCTS = ("SparseTensorToCSRSparseMatrix", "SparseMatrixMatMul")


@pytest.fixture
def gpu_named(monkeypatch):
    """A function that makes TensorFlow list a GPU of this name. What is known of the real devices is forgotten."""
    cached = placement.gpu_lacks_sparse_products
    cached.cache_clear()
    yield lambda name: monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: [Device(name)])
    cached.cache_clear()


def skip(aggregation="max"):
    """A layer, and what it gives for random features, with the gradient."""
    poses = people(2, (32, 16), seed=3).astype(np.float32)
    transforms = geometry.part_transforms(tf.constant(poses), tf.constant(poses[::-1].copy()))
    masks = geometry.part_masks(tf.constant(poses[::-1].copy()), (32, 16))
    features = tf.constant(np.random.default_rng(0).normal(size=(2, 32, 16, 3)).astype(np.float32))
    layer = DeformableSkip(aggregation, image_size=(32, 16))

    @tf.function
    def run(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            moved = layer([features, transforms, masks])
            total = tf.reduce_sum(moved * moved)
        return moved, tape.gradient(total, features)

    return run, features


def devices_of(run, features) -> dict[str, set[str]]:
    """Where the graph wants its sparse products: operation → devices; empty: where TensorFlow likes."""
    graph = run.get_concrete_function(features).graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return {name: {node.device for node in nodes if node.op == name} for name in PRODUCTS}


@pytest.mark.parametrize("aggregation", ["max", "avg"])
def test_a_gpu_without_sparse_products_leaves_them_to_the_cpu(gpu_named, aggregation):
    run, features = skip(aggregation)
    expected = [value.numpy() for value in run(features)]
    assert devices_of(run, features) == {name: {""} for name in PRODUCTS}
    gpu_named("/device:GPU:0")  # there is none: TensorFlow computes on the CPU what cannot be computed there
    placement.gpu_lacks_sparse_products.cache_clear()
    run, features = skip(aggregation)
    message = r"the GPU computes no sparse products \(this TensorFlow has none for it\); .* on the CPU, .*docs/gpu.md"
    with pytest.warns(InputWarning, match=message) as caught:
        found = devices_of(run, features)
    assert len(caught) == 1
    assert all(device.endswith("CPU:0") for devices in found.values() for device in devices)
    for value, right in zip(run(features), expected, strict=True):
        np.testing.assert_allclose(value.numpy(), right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (tf.errors.InternalError(None, None, "cusparse: no\nkernel image"), r"\(cusparse: no kernel image\)"),
        (tf.constant([[3.0]]), r"\(the product of 1 and 1 is 3.0\)"),
    ],
    ids=["fails", "is wrong"],
)
def test_a_gpu_whose_products_fail_leaves_them_to_the_cpu(gpu_named, monkeypatch, fault, told):
    def product(**arguments):
        if isinstance(fault, Exception):
            raise fault
        return fault

    gpu_named("/device:GPU:0")
    with monkeypatch.context() as patch:
        patch.setattr(tf.raw_ops, "SparseMatrixMatMul", product)
        with pytest.warns(InputWarning, match=told), placement.for_sparse_products():
            pass
    run, features = skip()
    assert all("CPU:0" in device for devices in devices_of(run, features).values() for device in devices)


def test_a_gpu_that_can_is_left_alone(gpu_named):
    gpu_named("/device:CPU:0")  # a device that computes them
    run, features = skip()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert devices_of(run, features) == {name: {""} for name in PRODUCTS}


def test_xla_is_kept_from_the_counts_that_it_cannot_compile():
    run, features = skip()
    graph = run.get_concrete_function(features).graph.as_graph_def()
    counts = [node for node in graph.node if node.op in ("Bincount", "DenseBincount")]
    assert counts
    assert all("_XlaCompile" in node.attr and not node.attr["_XlaCompile"].b for node in counts)
