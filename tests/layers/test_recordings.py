"""Ours against recorded outputs of tensorflow-addons 0.23 (see `recordings/README.md`)."""

from __future__ import annotations

import numpy as np
import pytest
import twins
from checkout import ROOT

from pose_gan.layers import DeformableSkip, InstanceNormalization

PATH = ROOT / "tests/recordings" / "tensorflow_addons.npz"
SIZES = ("tall", "wide", "square")


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    with np.load(PATH) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("name", SIZES)
def test_deformable_skip_warps_as_tensorflow_addons(recorded, name, interpolation):
    images, transforms = recorded[f"warp_{name}_images"], recorded[f"warp_{name}_transforms"]
    layer = DeformableSkip(aggregation="max", interpolation=interpolation, image_size=images.shape[1:3])
    for training in (False, True):
        ours = np.asarray(layer([images, transforms[:, None]], training=training))
        np.testing.assert_allclose(ours, recorded[f"warp_{name}_{interpolation}"], atol=1e-5)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("name", SIZES)
def test_twin_warps_as_tensorflow_addons(recorded, name, interpolation):
    images, transforms = recorded[f"warp_{name}_images"], recorded[f"warp_{name}_transforms"]
    twin = twins.deformable_skip(images, transforms[:, None], None, images.shape[1:3], "max", interpolation)
    np.testing.assert_allclose(twin, recorded[f"warp_{name}_{interpolation}"], atol=1e-5)


@pytest.mark.parametrize("epsilon", ["small", "default"])
@pytest.mark.parametrize("name", ["plain", "large"])
def test_instance_normalization_equals_tensorflow_addons(recorded, name, epsilon):
    images, expected = recorded[f"norm_{name}_images"], recorded[f"norm_{name}_{epsilon}_outputs"]
    value = float(recorded[f"norm_{name}_{epsilon}_epsilon"])
    assert value == pytest.approx(1e-5 if epsilon == "small" else 1e-3)
    layer = InstanceNormalization(mode="instance", epsilon=None if epsilon == "small" else value)
    layer.build(images.shape)
    layer.set_weights([recorded[f"norm_{name}_gamma"], recorded[f"norm_{name}_beta"]])
    np.testing.assert_allclose(np.asarray(layer(images)), expected, atol=1e-5)


def test_recording_is_of_the_last_tensorflow_addons_and_small(recorded):
    assert [text.split(".")[:2] for text in recorded["versions"]] == [
        ["tensorflow 2", "15"],
        ["tensorflow-addons 0", "23"],
    ]
    assert PATH.stat().st_size < 100_000
