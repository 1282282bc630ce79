"""SSIM, mask-SSIM and L1: equal to scikit-image and to their definitions, and to published values."""

from __future__ import annotations

import imageio.v3 as iio
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from pose_gan.errors import InputError
from pose_gan.keypoints import read_annotations
from pose_gan.metrics import (
    METRICS,
    PROTOCOLS,
    ImageBatch,
    MetricOptions,
    body_mask,
    create_metrics,
    l1,
    mask_ssim,
    ssim,
)
from pose_gan.skeleton import COCO18


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


def skimage_ssim(generated, reference, data_range):
    return structural_similarity(
        reference,
        generated,
        data_range=data_range,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=-1,
    )


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


def test_ssim_equals_scikit_image():
    generated, reference = images(seed=1) // 2 + 30, images(seed=2)
    for protocol in PROTOCOLS:
        expected = []
        for a, b in zip(generated, reference, strict=True):
            data_range = 255 if protocol == "standard" else int(a.max()) - int(a.min())
            expected.append(skimage_ssim(a, b, data_range))
        np.testing.assert_allclose(ssim(generated, reference, protocol), expected, rtol=1e-12)


def test_ssim_equals_the_textbook_formula():
    generated, reference = images(1, (16, 15), seed=1)[0] // 2, images(1, (16, 15), seed=2)[0]
    data_range = float(generated.max()) - float(generated.min())
    np.testing.assert_allclose(ssim(generated, reference), [textbook_ssim(generated, reference, data_range)], atol=1e-9)
    np.testing.assert_allclose(
        ssim(generated, reference, "standard"), [textbook_ssim(generated, reference, 255)], atol=1e-9
    )


def test_equal_images_score_best():
    image = images()
    np.testing.assert_allclose(ssim(image, image), 1)
    np.testing.assert_allclose(mask_ssim(image, image, poses()), 1)
    np.testing.assert_array_equal(l1(image, image), 0)


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


def test_l1_is_the_mean_absolute_difference_on_the_scale_of_the_generator():
    a, b = images(seed=1), images(seed=2)
    expected = np.abs(2 * (a / 255 - 0.5) - 2 * (b / 255 - 0.5)).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(l1(a, b), expected, rtol=1e-12)
    np.testing.assert_array_equal(l1(np.zeros_like(a), np.full_like(a, 255)), 2)


def test_mask_ssim_is_ssim_of_masked_images():
    a, b, keypoints = images(seed=1), images(seed=2), poses()
    keypoints[:, 5:] = -1
    mask = body_mask(keypoints, (32, 24))[..., None]
    np.testing.assert_array_equal(mask_ssim(a, b, keypoints), ssim(a * mask, b * mask))
    a[~np.broadcast_to(mask, a.shape)] = 7  # what happens outside of the mask is of no effect
    np.testing.assert_array_equal(mask_ssim(a, b, keypoints), ssim(a * mask, b * mask))
    np.testing.assert_array_equal(mask_ssim(a[1], b[1], keypoints[1]), mask_ssim(a, b, keypoints)[1:2])


def test_bad_input():
    a = images()
    with pytest.raises(InputError, match=r"generated: expected uint8 images .* got float64 \(3, 32, 24, 3\)"):
        ssim(a / 255, a)
    with pytest.raises(InputError, match=r"differ in shape"):
        l1(a, a[:, 1:])
    with pytest.raises(InputError, match="protocol 'wang' is not known; allowed: release, standard"):
        ssim(a, a, "wang")
    with pytest.raises(InputError, match="at least 11x11 pixels"):
        ssim(a[:, :9], a[:, :9])
    with pytest.raises(InputError, match="3 images need as many poses, got 1"):
        mask_ssim(a, a, poses(1))
    with pytest.raises(InputError, match="metric 'psnrr' is not known; allowed: ssim, mask_ssim"):
        create_metrics(["psnrr"])
    with pytest.raises(InputError, match="no images to score"):
        METRICS["ssim"].create(MetricOptions()).result()


def test_table_accumulates_batches():
    a, b, keypoints = images(5, seed=1), images(5, seed=2), poses(5)
    expected = {
        "ssim": ssim(a, b),
        "ssim_standard": ssim(a, b, "standard"),
        "mask_ssim": mask_ssim(a, b, keypoints),
        "mask_ssim_standard": mask_ssim(a, b, keypoints, "standard"),
        "l1": l1(a, b),
    }
    metrics = create_metrics(METRICS)
    assert set(metrics) == set(expected)
    for name, metric in metrics.items():
        for part in (slice(0, 2), slice(2, 5)):
            metric.update(ImageBatch(a[part], b[part], keypoints[part]))
        result = metric.result()
        np.testing.assert_array_equal(result.values, expected[name])
        assert result.count == 5
        assert result.mean == pytest.approx(expected[name].mean())
        assert result.std == pytest.approx(expected[name].std())


def test_market_strips_of_the_released_model(shared_data):
    folder = shared_data / "market-sample"
    annotations = read_annotations(folder / "market-annotation-test.csv")
    more = read_annotations(folder / "market-annotation-train.csv")
    assert not set(more.names) & set(annotations.names)
    names = annotations.names + more.names
    annotations = type(annotations)(names, np.concatenate([annotations.keypoints, more.keypoints]))
    source, target, generated, keypoints = strips(folder / "released-model-output", annotations)
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
    # The paper's Table 1: SSIM .756
    assert ssim(generated, target).mean() == pytest.approx(0.756, abs=0.05)
    assert mask_ssim(generated, target, keypoints).mean() == pytest.approx(0.951, abs=0.02)
    assert ssim(source, target).mean() < ssim(generated, target).mean()
