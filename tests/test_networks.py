"""Networks: the paper's sizes, every variant, and what is inside."""

from __future__ import annotations

import dataclasses
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from makers import SIZE, config, inputs

from pose_gan import geometry
from pose_gan.config import ModelConfig
from pose_gan.errors import InputError
from pose_gan.networks import build_discriminator, build_generator, generator_config, logits_model
from pose_gan.poses.skeleton import Part, Skeleton


@pytest.mark.parametrize(
    ("size", "generator_millions", "discriminator_millions", "cells"),
    [((128, 64), 61.1, 2.8, 3), ((256, 256), 82.1, 2.8, 49)],
)
def test_full_width_has_the_published_number_of_parameters(size, generator_millions, discriminator_millions, cells):
    full = ModelConfig(image_size=size)
    generator, discriminator = build_generator(full), build_discriminator(full)
    assert round(generator.count_params() / 1e6, 1) == generator_millions
    assert round(discriminator.count_params() / 1e6, 1) == discriminator_millions
    assert discriminator.output_shape == (None, cells)


VARIANTS = [
    *({"warp_skip": skip, "warp_agg": agg} for skip, agg in itertools.product(("mask", "full"), ("max", "avg"))),
    {"warp_skip": "none"},
    {"warp_skip": "stn"},
    {"disc_type": "sim"},
    {"disc_type": "warp"},
    {"pose_rep_type": "stickman"},
    {"use_input_pose": False},
    {"use_input_pose": False, "warp_skip": "none", "disc_type": "warp"},
    {"use_bg": True},
    {"norm": "release"},
    {"warp_interpolation": "nearest"},
]


@pytest.mark.parametrize("values", VARIANTS, ids=str)
def test_every_variant_generates_judges_and_learns(values):
    generator, discriminator = build_generator(config(**values)), build_discriminator(config(**values))
    batch = inputs(generator) | inputs(discriminator)
    with tf.GradientTape() as tape:
        image = generator([batch[t.name] for t in generator.inputs], training=True)
        score = discriminator([{**batch, "target_image": image}[t.name] for t in discriminator.inputs])
        loss = tf.reduce_mean(score)
    assert image.shape == (2, *SIZE, 3)
    assert np.abs(image).max() <= 1
    assert np.all((score.numpy() > 0) & (score.numpy() < 1))
    gradients = tape.gradient(loss, generator.trainable_variables)
    for variable, gradient in zip(generator.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient.numpy()).all(), variable.path


@pytest.mark.parametrize("values", VARIANTS, ids=str)
def test_a_generator_tells_its_settings(values):
    told = generator_config(build_generator(config(**values)))
    kept = {"disc_type": "call"}
    if told.warp_skip in ("none", "stn"):  # nothing to merge or to choose
        kept |= {"warp_agg": "max", "warp_interpolation": "bilinear"}
    assert told == dataclasses.replace(config(**values), **kept)
    with pytest.raises(ValueError, match="'discriminator' is not a generator"):
        generator_config(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="discriminator"))


def test_size_and_width_follow_the_rule():
    square = build_generator(config(image_size=(128, 128)))
    large = build_generator(config(image_size=(192, 128)))
    blocks = [sum("decoder_norm" in layer.name for layer in model.layers) for model in (square, large)]
    assert blocks == [5, 6]
    assert large.output_shape == (None, 192, 128, 3)


@pytest.mark.parametrize("size", [(63, 64), (160, 32), (0, 64), (128,)])
def test_sizes_that_do_not_fit_are_refused(size):
    with pytest.raises(InputError, match="image_size"):
        ModelConfig(image_size=size)


def test_the_source_pose_matters_only_where_it_is_used():
    """`use_input_pose 0` with plain skips sees no source pose at all."""
    generator = build_generator(config(use_input_pose=False, warp_skip="none"))
    batch = inputs(generator)
    other = {**batch, "source_keypoints": batch["source_keypoints"] + 5}
    assert np.array_equal(generator(batch), generator(other))
    with_pose = build_generator(config(warp_skip="none"))
    assert not np.array_equal(with_pose(batch), with_pose(other))


def test_the_four_finest_skips_are_moved_into_the_target_pose():
    """What reaches the decoder equals moving the encoder's map by hand; the deepest maps are not moved."""
    model_config = config()
    generator = build_generator(model_config)
    batch = inputs(generator)
    names = [f"deformable_skip_{i}" for i in range(4)]
    assert sorted(layer.name for layer in generator.layers if layer.name.startswith("deformable_skip")) == names
    ends = [generator.get_layer("appearance_0").output, generator.get_layer(names[0]).output]
    still, moved = keras.Model(generator.inputs, ends)([batch[t.name] for t in generator.inputs])
    masks = geometry.part_masks(batch["target_keypoints"], SIZE).numpy()
    transforms = geometry.part_transforms(batch["source_keypoints"], batch["target_keypoints"]).numpy()
    y, x = 40, 30
    candidates = []
    for part in range(10):
        a = transforms[0, part]
        sx, sy = a[0] * x + a[1] * y + a[2], a[3] * x + a[4] * y + a[5]
        value = np.zeros(still.shape[-1])
        for yy, xx in itertools.product(
            (int(np.floor(sy)), int(np.floor(sy)) + 1), (int(np.floor(sx)), int(np.floor(sx)) + 1)
        ):
            if 0 <= yy < SIZE[0] and 0 <= xx < SIZE[1]:
                value += still[0, yy, xx].numpy() * (1 - abs(sy - yy)) * (1 - abs(sx - xx))
        candidates.append(value * masks[0, part, y, x])
    np.testing.assert_allclose(moved[0, y, x], np.max(candidates, axis=0), atol=1e-5)


def test_predicted_transform_is_the_identity_at_first():
    generator = build_generator(config(warp_skip="stn"))
    batch = inputs(generator)
    ends = [generator.get_layer(name).output for name in ("appearance_1", "deformable_skip_1")]
    norm = generator.get_layer("appearance_norm_1").output
    _, moved, still = keras.Model(generator.inputs, [*ends, norm])([batch[t.name] for t in generator.inputs])
    np.testing.assert_allclose(moved, still, atol=1e-4)


def test_logits_model_shares_weights_and_gives_the_same_scores():
    discriminator = build_discriminator(config())
    logits = logits_model(discriminator)
    batch = inputs(discriminator)
    values = [batch[t.name] for t in discriminator.inputs]
    np.testing.assert_allclose(tf.sigmoid(logits(values)), discriminator(values), atol=1e-6)
    discriminator.set_weights([w * 0 for w in discriminator.get_weights()])
    assert not np.any(logits(values))


def test_another_object_passes_through_both_networks():
    """Four joints, two parts: nothing else knows how many there are."""
    worm = Skeleton(
        name="worm",
        joints=("head", "collar", "middle", "tail"),
        edges=(("head", "collar"), ("collar", "middle"), ("middle", "tail")),
        required=("head", "collar", "tail"),
        mirror_pairs=(),
        scale_sides=(("collar", "tail"),),
        parts=(
            Part("body", "whole", ("head", "collar", "middle", "tail")),
            Part("rear", "limb", ("middle", "tail"), size=0.3),
        ),
    )
    generator = build_generator(config(skeleton=worm))
    discriminator = build_discriminator(config(skeleton=worm, disc_type="warp"))
    batch = inputs(generator) | inputs(discriminator)
    assert generator([batch[t.name] for t in generator.inputs]).shape == (2, *SIZE, 3)
    assert discriminator([batch[t.name] for t in discriminator.inputs]).shape[0] == 2
