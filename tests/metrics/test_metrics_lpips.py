"""LPIPS: what the package `lpips` is given and what becomes of its answers, with a stand-in for it."""

from __future__ import annotations

import contextlib
import sys
import types

import numpy as np
import pytest

from pose_gan.errors import InputError
from pose_gan.metrics import ImageBatch, MetricOptions
from pose_gan.metrics.base import CannotCompute
from pose_gan.metrics.lpips import BATCH, SPECS, lpips, open_lpips
from pose_gan.poses.skeleton import COCO18

(SPEC,) = SPECS


def images(count=3, size=(40, 32), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), dtype=np.uint8)


def distance(generated, reference):
    """What the stand-in computes, from uint8 `(N, H, W, 3)`: red counts once, green twice, blue four times."""
    difference = (generated.astype(float) - reference) / 127.5
    return (difference**2 * [1, 2, 4]).mean(axis=(1, 2, 3))


class Tensor:
    def __init__(self, values):
        self.values = values

    def numpy(self):
        return self.values


class Network:
    """`lpips.LPIPS`, as far as it is used."""

    batches: tuple[int, ...] = ()

    def __init__(self, net, version, verbose):
        assert (net, version, verbose) == ("alex", "0.1", False)

    def __call__(self, first, second):
        for tensor in (first, second):
            values = tensor.values
            assert values.dtype == np.float32
            assert values.shape[1] == 3
            assert values.flags.c_contiguous
            assert -1 <= values.min() < -0.9 < 0.9 < values.max() <= 1
        Network.batches += (len(first.values),)
        squares = (first.values - second.values) ** 2 * np.array([1, 2, 4], np.float32).reshape(3, 1, 1)
        return Tensor(squares.mean(axis=(1, 2, 3), keepdims=True))


@pytest.fixture
def package(monkeypatch):
    """Stand-ins for `torch` and `lpips`; nothing of them stays."""
    torch = types.SimpleNamespace(from_numpy=Tensor, no_grad=contextlib.nullcontext)
    fake = types.SimpleNamespace(LPIPS=Network)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "lpips", fake)
    monkeypatch.setattr(Network, "batches", ())
    open_lpips.cache_clear()
    yield fake
    open_lpips.cache_clear()


def test_images_go_in_as_the_package_wants_them(package):
    a, b = images(BATCH + 2, seed=1), images(BATCH + 2, seed=2)
    values = lpips(a, b)
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, distance(a, b), rtol=1e-5)
    assert Network.batches == (BATCH, 2)
    np.testing.assert_array_equal(lpips(a[0], a[0]), [0])


def test_metric_scores_each_image(package):
    a, b = images(5, seed=1), images(5, seed=2)
    metric = SPEC.create(MetricOptions())
    for part in (slice(0, 2), slice(2, 5)):
        metric.update(ImageBatch(a[part], b[part], np.full((5, COCO18.num_joints, 2), -1)[part]))
    result = metric.result()
    assert result.values is not None
    np.testing.assert_allclose(result.values, distance(a, b), rtol=1e-5)
    assert result.count == 5
    assert (SPEC.name, SPEC.higher_is_better, SPEC.by_default) == ("lpips", False, False)


def test_absent_package(package, monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)  # as if not installed
    with pytest.raises(CannotCompute, match=r'needs the package lpips.*pip install "pose_gan\[lpips\]"'):
        SPEC.create(MetricOptions())


def test_weights_that_cannot_be_fetched(package, monkeypatch):
    def offline(**arguments):
        raise OSError("no route to host")

    monkeypatch.setattr(package, "LPIPS", offline)
    with pytest.raises(CannotCompute, match=r"no route to host.*alexnet-owt-7be5be79\.pth.*hub/checkpoints"):
        SPEC.create(MetricOptions())


def test_bad_input(package):
    with pytest.raises(InputError, match="differ in shape"):
        lpips(images(), images()[:, 1:])
    with pytest.raises(InputError, match=r"LPIPS: needs images of at least 31x31 pixels, got \(30, 32\)"):
        lpips(images(size=(30, 32)), images(size=(30, 32)))
    small, nobody = images(size=(30, 32)), np.full((3, COCO18.num_joints, 2), -1)
    with pytest.raises(CannotCompute, match=r"^needs images of at least 31x31 pixels"):
        SPEC.create(MetricOptions()).update(ImageBatch(small, small, nobody))
