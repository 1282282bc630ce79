"""On a GPU: what is computed there is what the CPU computes. Most of it is skipped where there is none.

The first test needs TensorFlow's build for CUDA, and no GPU.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tensorflow as tf
from makers import people

from pose_gan import geometry, losses
from pose_gan.config import LossConfig, ModelConfig, RunConfig
from pose_gan.layers import DeformableSkip, placement
from pose_gan.training.gan import GAN

SIZE = (64, 64)
CPU, GPU = "/device:CPU:0", "/device:GPU:0"
needs_gpu = pytest.mark.skipif(not tf.config.list_physical_devices("GPU"), reason="TensorFlow finds no GPU")
FORMS = [("mask", "max"), ("mask", "avg"), ("full", "max"), ("stn", "max"), ("none", "max")]


@pytest.fixture(autouse=True)
def whole_float32():
    """Matrix products of GPUs round their factors to 10 bits (TF32) unless they are told not to."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    yield
    tf.config.experimental.enable_tensor_float_32_execution(before)


def gan(warp_skip: str = "mask", warp_agg: str = "max") -> GAN:
    model = ModelConfig(image_size=SIZE, width=0.02, warp_skip=warp_skip, warp_agg=warp_agg)
    return GAN(RunConfig(model=model, loss=LossConfig(nn_loss_area_size=3, tv_penalty_weight=0.1)))


def batch() -> dict[str, tf.Tensor]:
    random = np.random.default_rng(0)
    values = {f"{side}_image": random.uniform(-1, 1, (2, *SIZE, 3)) for side in ("source", "target")}
    values |= {f"{side}_keypoints": people(2, SIZE, seed=number) for number, side in enumerate(("source", "target"))}
    return {name: tf.constant(value, tf.float32) for name, value in values.items()}


@pytest.mark.skipif(not tf.test.is_built_with_cuda(), reason="TensorFlow is built without CUDA")
@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_every_operation_of_the_training_can_run_on_a_gpu(form):
    from tensorflow.python.framework import kernels  # there is no public list

    def has_kernel(node) -> bool:
        found = kernels.get_registered_kernels_for_op(node.op).kernel
        return any(
            kernel.device_type in ("GPU", "DEFAULT")
            and all(
                not node.attr[limit.name].type or node.attr[limit.name].type in limit.allowed_values.list.type
                for limit in kernel.constraint
            )
            for kernel in found
        )

    model = gan(*form)
    graph = model.train_step.get_concrete_function([batch()] * model.batches_per_iteration).graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert len(nodes) > 1000
    assert sorted({node.op for node in nodes if not has_kernel(node)}) == []


@needs_gpu
def test_sparse_products_are_computed_there():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        placement.gpu_lacks_sparse_products.cache_clear()
        assert not placement.gpu_lacks_sparse_products()


@needs_gpu
@pytest.mark.parametrize("aggregation", ["max", "avg"])
def test_a_deformable_skip_is_that_of_the_cpu(aggregation):
    poses = batch()
    features = tf.constant(np.random.default_rng(1).normal(size=(2, *SIZE, 5)), tf.float32)

    def computed(device: str) -> list[np.ndarray]:
        with tf.device(device), tf.GradientTape() as tape:
            tape.watch(features)
            transforms = geometry.part_transforms(poses["source_keypoints"], poses["target_keypoints"])
            masks = geometry.part_masks(poses["target_keypoints"], SIZE)
            moved = DeformableSkip(aggregation, image_size=SIZE)([features, transforms, masks])
            total = tf.reduce_sum(moved * moved)
        return [moved.numpy(), tape.gradient(total, features).numpy()]

    for ours, right in zip(computed(GPU), computed(CPU), strict=True):
        np.testing.assert_allclose(ours, right, rtol=1e-4, atol=1e-4)


@needs_gpu
def test_the_nearest_neighbour_loss_is_that_of_the_cpu():
    """Its search is compiled by XLA."""
    random = np.random.default_rng(2)
    generated, target = (tf.constant(random.normal(size=(2, *SIZE, 6)), tf.float32) for _ in range(2))

    def computed(device: str) -> list[np.ndarray]:
        with tf.device(device), tf.GradientTape() as tape:
            tape.watch(generated)
            loss = losses.nearest_neighbour_loss(generated, target, 5)
        return [loss.numpy(), tape.gradient(loss, generated).numpy()]

    for ours, right in zip(computed(GPU), computed(CPU), strict=True):
        np.testing.assert_allclose(ours, right, rtol=1e-4, atol=1e-7)


@needs_gpu
@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_losses_of_a_training_are_those_of_the_cpu(form):
    """Of the same weights, without dropout; then iterations run, and stay finite."""
    found = {}
    with tf.device(CPU):
        weights = [model.get_weights() for model in gan(*form).models()]
    for device in (CPU, GPU):
        with tf.device(device):
            there = gan(*form)
            for model, values in zip((there.generator, there.discriminator), weights, strict=True):
                model.set_weights(values)
            images, terms = there.validation_step(batch())
            found[device] = {"images": images.numpy(), **{name: term.numpy() for name, term in terms.items()}}
            for _ in range(3):
                report = there.train_step([batch()] * there.batches_per_iteration)
            assert all(np.isfinite(value) for value in report.values())
    for name, value in found[CPU].items():
        np.testing.assert_allclose(found[GPU][name], value, rtol=1e-3, atol=1e-3, err_msg=name)
