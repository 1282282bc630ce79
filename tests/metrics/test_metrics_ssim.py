"""SSIM and mask-SSIM: equal to scikit-image, to the definition, and to published values."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import imageio.v3 as iio
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from benchmarks.evaluation import draw_mask
from pose_gan.errors import InputError
from pose_gan.metrics import (
    METRICS,
    PROTOCOLS,
    CannotCompute,
    ImageBatch,
    MetricOptions,
    body_mask,
    l1,
    mask_ssim,
    ssim,
)
from pose_gan.metrics.similarity import Similarity
from pose_gan.poses.keypoints import read_annotations
from pose_gan.poses.skeleton import COCO18

MASKED = ("mask_ssim", "mask_ssim_standard")


def images(count=3, size=(32, 24), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), dtype=np.uint8)


def poses(count=3, size=(32, 24), seed=0):
    return np.random.default_rng(seed).integers(0, size, (count, COCO18.num_joints, 2))


def strips(folder, annotations):
    """Real strips of the released model: source, target, generated (uint8) and target keypoints."""
    pictures, keypoints = [], []
    for path in sorted(folder.glob("*.png")):
        target = path.name.removesuffix(".png").split(".jpg_")[1]
        keypoints.append(annotations.keypoints[annotations.rows[target]])
        pictures.append(np.split(iio.imread(path), 3, axis=1))
    source, target, generated = np.moveaxis(np.array(pictures), 1, 0)
    return source, target, generated, np.array(keypoints)


def skimage_ssim(generated, reference, protocol):
    """scikit-image called directly, with the settings that each protocol's authors wrote."""
    if protocol == "gfla":
        settings = {"win_size": 51, "data_range": 1.0}
        generated, reference = generated / 255.0, reference / 255.0
    else:
        settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        settings["data_range"] = 255 if protocol == "standard" else int(generated.max()) - int(generated.min())
    return structural_similarity(reference, generated, channel_axis=-1, **settings)


def textbook_ssim(generated, reference, data_range):
    """Wang et al., Eq. 13, at every pixel whose 11×11 window lies inside of the image."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window = (window / window.sum())[..., None]
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    values = []
    for y in range(5, generated.shape[0] - 5):
        for x in range(5, generated.shape[1] - 5):
            a = generated[y - 5 : y + 6, x - 5 : x + 6].astype(float)
            b = reference[y - 5 : y + 6, x - 5 : x + 6].astype(float)
            mean_a, mean_b = (window * a).sum((0, 1)), (window * b).sum((0, 1))
            var_a, var_b = (window * (a - mean_a) ** 2).sum((0, 1)), (window * (b - mean_b) ** 2).sum((0, 1))
            covariance = (window * (a - mean_a) * (b - mean_b)).sum((0, 1))
            values.append(
                (2 * mean_a * mean_b + c1)
                * (2 * covariance + c2)
                / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
            )
    return np.mean(values)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("size", [(128, 64), (51, 53), (97, 200)])
def test_equals_scikit_image(protocol, size):
    generated, reference = images(2, size, seed=1) // 2 + 30, images(2, size, seed=2)
    generated[0] = reference[0] // 2 + 60  # alike in structure
    expected = [skimage_ssim(*pair, protocol) for pair in zip(generated, reference, strict=True)]
    np.testing.assert_allclose(ssim(generated, reference, protocol), expected, rtol=0, atol=1e-12)


def test_equals_scikit_image_in_the_smallest_window():
    for protocol, side in (("release", 11), ("standard", 11), ("gfla", 51)):
        a, b = images(1, (side, side), seed=1)[0], images(1, (side, side), seed=2)[0]
        np.testing.assert_allclose(ssim(a, b, protocol), [skimage_ssim(a, b, protocol)], atol=1e-12)


def test_equals_scikit_image_on_large_images():
    """Blocks of the band matrix become narrower there."""
    a, b = images(1, (64, 1000), seed=1), images(1, (64, 1000), seed=2)
    for protocol in PROTOCOLS:
        np.testing.assert_allclose(ssim(a, b, protocol), [skimage_ssim(a[0], b[0], protocol)], atol=1e-12)


def test_equals_the_textbook_formula():
    generated, reference = images(1, (16, 15), seed=1)[0] // 2, images(1, (16, 15), seed=2)[0]
    data_range = float(generated.max()) - float(generated.min())
    np.testing.assert_allclose(ssim(generated, reference), [textbook_ssim(generated, reference, data_range)], atol=1e-9)
    np.testing.assert_allclose(
        ssim(generated, reference, "standard"), [textbook_ssim(generated, reference, 255)], atol=1e-9
    )


def test_equal_images_score_best():
    image = images(size=(64, 56))
    for protocol in PROTOCOLS:
        np.testing.assert_allclose(ssim(image, image, protocol), 1)
    np.testing.assert_allclose(mask_ssim(image, image, poses()), 1)


def test_constant_images_give_finite_scores():
    grey, white = np.full((2, 16, 16, 3), 128, np.uint8), np.full((2, 16, 16, 3), 255, np.uint8)
    np.testing.assert_allclose(ssim(grey, grey), 1)
    # Only the luminance term is left: 2ab / (a² + b²)
    np.testing.assert_allclose(ssim(grey, white), 2 * 128 * 255 / (128**2 + 255**2), rtol=1e-6)
    black = np.zeros_like(grey)
    np.testing.assert_allclose(ssim(black, black), 1)
    assert (np.abs(ssim(grey, images(2, (16, 16)))) < 0.01).all()
    nobody = np.full((2, COCO18.num_joints, 2), -1)
    np.testing.assert_allclose(mask_ssim(grey, white, nobody), 1)


def test_calls_do_not_disturb_each_other():
    """Of any size and in any thread."""
    cases = [(images(4, size, seed), images(4, size, seed + 1)) for seed, size in enumerate([(40, 30), (64, 64)] * 4)]
    expected = [ssim(*case) for case in cases]
    with ThreadPoolExecutor(4) as threads:
        for got, wanted in zip(threads.map(lambda case: ssim(*case), cases), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)
    a, b = cases[0]
    np.testing.assert_array_equal(ssim(a[1:2], b[1:2]), expected[0][1:2])
    assert ssim(a[:0], b[:0]).shape == (0,)


def test_mask_ssim_is_ssim_of_masked_images():
    a, b, keypoints = images(seed=1), images(seed=2), poses()
    keypoints[:, 5:] = -1
    mask = body_mask(keypoints, (32, 24))[..., None]
    np.testing.assert_array_equal(mask_ssim(a, b, keypoints), ssim(a * mask, b * mask))
    a[~np.broadcast_to(mask, a.shape)] = 7  # what happens outside of the mask is of no effect
    np.testing.assert_array_equal(mask_ssim(a, b, keypoints), ssim(a * mask, b * mask))
    np.testing.assert_array_equal(mask_ssim(a[1], b[1], keypoints[1]), mask_ssim(a, b, keypoints)[1:2])


def test_mask_ssim_equals_scikit_image_under_a_mask_drawn_by_it():
    size = (128, 64)
    a, b, keypoints = images(3, size, 1), images(3, size, 2), poses(3, size)
    keypoints[0, ::3] = -1
    for protocol in ("release", "standard"):
        expected = []
        for generated, reference, pose in zip(a, b, keypoints, strict=True):
            mask = draw_mask(pose, size)[..., None]
            expected.append(skimage_ssim(generated * mask, reference * mask, protocol))
        np.testing.assert_allclose(mask_ssim(a, b, keypoints, protocol), expected, atol=1e-12)


def test_metrics_give_what_the_functions_give():
    a, b, keypoints = images(5, (64, 56), 1), images(5, (64, 56), 2), poses(5, (64, 56))
    batch = ImageBatch(a, b, keypoints)
    other = batch.instead(b // 2)
    for name in ("ssim", "ssim_standard", "ssim_gfla", *MASKED):
        protocol = METRICS[name].settings["protocol"]
        for part, generated in ((batch, a), (other, b // 2)):
            metric = METRICS[name].create(MetricOptions())
            metric.update(part)
            masked = name in MASKED
            expected = mask_ssim(generated, b, keypoints, protocol) if masked else ssim(generated, b, protocol)
            np.testing.assert_array_equal(metric.result().values, expected)


def test_protocols_of_one_window_are_computed_together(monkeypatch):
    calls, plain = [], Similarity.__call__

    def counted(self, a, b, data_ranges):
        calls.append(len(data_ranges))
        return plain(self, a, b, data_ranges)

    monkeypatch.setattr(Similarity, "__call__", counted)
    batch = ImageBatch(images(2, (64, 56), 1), images(2, (64, 56), 2), poses(2))
    for name in ("ssim", "ssim_standard", "ssim_gfla", *MASKED):
        METRICS[name].create(MetricOptions()).update(batch)
    assert calls == [2, 2, 1, 1, 2, 2]  # of each image: Gaussian, uniform, Gaussian under the mask


def test_images_smaller_than_the_window():
    a = images(size=(50, 60))
    with pytest.raises(InputError, match="SSIM gfla: images of at least 51x51 pixels, got 50x60"):
        ssim(a, a, "gfla")
    with pytest.raises(InputError, match="SSIM release: images of at least 11x11 pixels, got 9x60"):
        ssim(a[:, :9], a[:, :9])
    with pytest.raises(CannotCompute, match="needs images of at least 51x51 pixels, got 50x60"):
        METRICS["ssim_gfla"].create(MetricOptions()).update(ImageBatch(a, a, poses()))


def test_bad_input():
    a = images()
    with pytest.raises(InputError, match=r"generated: expected uint8 images .* got float64 \(3, 32, 24, 3\)"):
        ssim(a / 255, a)
    with pytest.raises(InputError, match="protocol 'wang' is not known; allowed: release, standard, gfla"):
        ssim(a, a, "wang")
    with pytest.raises(InputError, match="3 images need as many poses, got 1"):
        mask_ssim(a, a, poses(1))


def market(shared_data):
    folder = shared_data / "market-sample"
    annotations = read_annotations(folder / "market-annotation-test.csv")
    more = read_annotations(folder / "market-annotation-train.csv")
    assert not set(more.names) & set(annotations.names)
    names = annotations.names + more.names
    annotations = type(annotations)(names, np.concatenate([annotations.keypoints, more.keypoints]))
    return strips(folder / "released-model-output", annotations)


def test_real_strips_equal_scikit_image(shared_data):
    source, target, generated, keypoints = market(shared_data)
    for images_of_row in (source, generated):
        for protocol in PROTOCOLS:
            expected = [skimage_ssim(a, b, protocol) for a, b in zip(images_of_row, target, strict=True)]
            np.testing.assert_allclose(ssim(images_of_row, target, protocol), expected, atol=1e-12)
    masks = np.stack([draw_mask(pose, (128, 64)) for pose in keypoints])
    # Apart from pixels that lie on a slanted side up to rounding
    assert (body_mask(keypoints, (128, 64)) != masks).sum() <= 3


def test_market_strips_of_the_released_model(shared_data):
    source, target, generated, keypoints = market(shared_data)
    assert len(generated) == 50
    # The paper's Table 1: SSIM .290, mask-SSIM .805 over 12,000 pairs; these are 50 chosen ones.
    assert ssim(generated, target).mean() == pytest.approx(0.33, abs=0.05)
    assert mask_ssim(generated, target, keypoints).mean() == pytest.approx(0.805, abs=0.05)
    assert ssim(source, target).mean() < 0.2
    assert l1(generated, target).mean() < 0.7 * l1(source, target).mean()


def test_fashion_strips_of_the_released_model(shared_data):
    folder = shared_data / "deepfashion-sample"
    annotations = read_annotations(folder / "fasion-annotation-test.csv")
    source, target, generated, keypoints = strips(folder / "released-model-output", annotations)
    assert len(generated) == 20
    # The paper's Table 1: SSIM .756; later papers: .6786
    assert ssim(generated, target).mean() == pytest.approx(0.756, abs=0.05)
    assert ssim(generated, target, "gfla").mean() == pytest.approx(0.6786, abs=0.05)
    assert mask_ssim(generated, target, keypoints).mean() == pytest.approx(0.951, abs=0.02)
    assert ssim(source, target).mean() < ssim(generated, target).mean()
