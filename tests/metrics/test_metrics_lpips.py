"""LPIPS: recorded distances of the package `lpips`, a real SqueezeNet, files that are absent or of other networks."""

from __future__ import annotations

import importlib.metadata
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from checkout import ROOT
from PIL import Image

from pose_gan.errors import InputError
from pose_gan.metrics import METRICS, ImageBatch, MetricOptions
from pose_gan.metrics.base import CannotCompute
from pose_gan.metrics.lpips import BATCH, FILES, lpips, open_lpips
from pose_gan.metrics.perceptual_networks import features, kernel_shapes, read_weights
from pose_gan.poses.skeleton import COCO18

HEADS = {
    "alex": (64, 192, 384, 256, 256),
    "vgg": (64, 128, 256, 512, 512),
    "squeeze": (64, 128, 256, 384, 384, 512, 512),
}


def images(count=3, size=(40, 32), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), dtype=np.uint8)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Files of the networks with the weights of `tests/recordings/record_lpips.py`, and its heads in the package."""
    heads = {}
    for network, channels in HEADS.items():
        rng, arrays = np.random.default_rng(7), {}
        for number, (height, width, below, above) in enumerate(kernel_shapes(network)):
            deviation = np.sqrt(2 / (height * width * below))
            kernel = rng.normal(0, deviation, (above, below, height, width)).astype(np.float32)  # OIHW
            arrays |= {f"{number:02d}_w": kernel, f"{number:02d}_b": rng.normal(0, 0.1, above).astype(np.float32)}
        np.savez(tmp_path / f"{network}.npz", **arrays)
        heads[f"{network}.pth"] = {
            f"lin{n}": rng.random((1, c, 1, 1)).astype(np.float32) for n, c in enumerate(channels)
        }
    found = types.SimpleNamespace(locate_file=lambda path: path)
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: found)
    monkeypatch.setattr(sys.modules["pose_gan.metrics.lpips"], "read_state", lambda path: heads[path.name])
    open_lpips.cache_clear()
    yield {network: tmp_path / f"{network}.npz" for network in HEADS}
    open_lpips.cache_clear()


@pytest.mark.parametrize("network", HEADS)
def test_distances_are_those_of_the_package(network, weights):
    recorded = np.load(ROOT / "tests/recordings/lpips.npz")
    for size in ((128, 64), (67, 95)):
        rng = np.random.default_rng(8)
        first = rng.integers(0, 256, (2, *size, 3), dtype=np.uint8)
        second = np.clip(first.astype(int) + rng.integers(-40, 41, first.shape), 0, 255).astype(np.uint8)
        values = lpips(first, second, network, weights[network])
        assert values.dtype == np.float64
        np.testing.assert_allclose(values, recorded[f"{network}_{size[0]}x{size[1]}"], rtol=1e-5)
        np.testing.assert_array_equal(lpips(first[0], first[0], network, weights[network]), [0])


def test_a_real_squeezenet_knows_a_cat(shared_data):
    """The whole network, with the last convolution that LPIPS leaves out: kit fox 0.71, tiger cat 0.05."""
    path = shared_data / "perceptual/squeezenet1_1_torchvision_fp16.npz"
    picture = Image.open(shared_data / "perceptual/cat.jpg").convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
    pixels = (np.asarray(picture) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    last = features("squeeze", read_weights("squeeze", path, ""), tf.constant(pixels[None], tf.float32))[-1]
    arrays = np.load(path)
    kernel, bias = (arrays[f"25_convrelu_25_{part}"].astype(np.float32) for part in "wb")
    scores = tf.nn.relu(tf.nn.conv2d(last, kernel.transpose(2, 3, 1, 0), 1, "VALID") + bias)
    shares = tf.nn.softmax(tf.reduce_mean(scores, [0, 1, 2])).numpy()
    assert (round(float(shares[278]), 2), round(float(shares[282]), 2)) == (0.71, 0.05)


@pytest.mark.parametrize("network", HEADS)
def test_metric_scores_each_image(network, weights):
    spec = METRICS["lpips" if network == "alex" else f"lpips_{network}"]
    a, b = images(BATCH + 2, seed=1), images(BATCH + 2, seed=2)
    metric = spec.create(MetricOptions(**{f"lpips_{network}": str(weights[network])}))
    for part in (slice(0, 2), slice(2, None)):
        metric.update(ImageBatch(a[part], b[part], np.full((len(a), COCO18.num_joints, 2), -1)[part]))
    result = metric.result()
    assert result.values is not None
    np.testing.assert_allclose(result.values, lpips(a, b, network, weights[network]), rtol=1e-5)
    assert (spec.higher_is_better, spec.by_default) == (False, False)


def test_without_the_package_or_the_weights_it_says_what_to_do(weights, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    with pytest.raises(CannotCompute, match=r"alexnet-owt-7be5be79\.pth: give the file with --lpips_alex"):
        METRICS["lpips"].create(MetricOptions())

    def absent(name):
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(CannotCompute, match=r"needs the package lpips.*pip install --no-deps lpips"):
        METRICS["lpips"].create(MetricOptions())


def test_the_cache_of_pytorch_is_looked_into(weights, monkeypatch, tmp_path):
    folder = tmp_path / "torch/hub/checkpoints"
    folder.mkdir(parents=True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    (folder / FILES["squeeze"]).write_bytes(b"not weights")
    with pytest.raises(InputError, match=r"squeezenet1_1-b8a52dc0\.pth: .*type|--lpips_squeeze"):
        METRICS["lpips_squeeze"].create(MetricOptions())


def test_bad_input(weights, tmp_path):
    with pytest.raises(InputError, match="differ in shape"):
        lpips(images(), images()[:, 1:], weights=weights["alex"])
    with pytest.raises(InputError, match=r"LPIPS: needs images of at least 31x31 pixels, got \(30, 32\)"):
        lpips(images(size=(30, 32)), images(size=(30, 32)), weights=weights["alex"])
    with pytest.raises(InputError, match=r"network 'resnet' is not known; allowed: alex, vgg, squeeze"):
        lpips(images(), images(), "resnet")
    with pytest.raises(
        InputError, match=r"--lpips_vgg: .*alex\.npz: holds 5 kernels and 5 biases.* has 13 convolutions"
    ):
        lpips(images(), images(), "vgg", weights["alex"])
    with pytest.raises(InputError, match=r"--lpips_alex: .*vgg\.npz: convolution 1 has the shapes"):
        lpips(images(), images(), "alex", weights["vgg"])
    with pytest.raises(InputError, match=r"--lpips_alex: .*none\.npz: no such file of weights"):
        lpips(images(), images(), "alex", tmp_path / "none.npz")
    small, nobody = images(size=(30, 32)), np.full((3, COCO18.num_joints, 2), -1)
    metric = METRICS["lpips"].create(MetricOptions(lpips_alex=str(weights["alex"])))
    with pytest.raises(CannotCompute, match=r"^needs images of at least 31x31 pixels"):
        metric.update(ImageBatch(small, small, nobody))
