"""The heat-map estimator: its loss and decoding against known places, and the network that is shipped."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from skeletons import STICK

from data_prep.people import make_cameras, render_person, sample_identity, sample_shot
from pose_gan.errors import InputError
from pose_gan.estimators import heatmap, load_estimator
from pose_gan.estimators.heatmap import (
    DEMO_FILE,
    STRIDE,
    HeatMapEstimator,
    build_network,
    decode,
    load_network,
    location_loss,
)
from pose_gan.metrics.pckh import pckh
from pose_gan.poses.keypoints import found
from pose_gan.poses.skeleton import COCO18


@pytest.fixture(scope="module")
def people():
    """Twenty-four people whom the network has not seen, before the cameras of the demo: images, keypoints."""
    drawn = []
    for number in range(24):
        rng = np.random.default_rng([2024, number])
        # None of the joints behind the body is left out by chance: nobody could tell which
        shot = dataclasses.replace(sample_shot(rng, make_cameras(0)[number % 6]), miss=0.0)
        drawn.append(render_person(sample_identity(rng), shot))
    images, keypoints = zip(*drawn, strict=True)
    return np.stack(images), np.stack(keypoints)


@pytest.fixture(scope="module")
def demo():
    return load_estimator("demo")


def shared_logits(places, grid, amount=40.0):
    """Logits whose probability lies in the four cells around each place `(B, joints, 2)`, in cells."""
    shares = [np.maximum(0, 1 - np.abs(places[..., axis, None] - np.arange(side))) for axis, side in enumerate(grid)]
    probability = np.einsum("bjh,bjw->bhwj", *shares)
    return (np.log(probability + 1e-30) + amount).astype(np.float32)


def test_decoding_finds_exact_places():
    places = np.random.default_rng(0).uniform(0, [31, 15], (7, 5, 2))
    cells, likely = decode(shared_logits(places, (32, 16)))
    np.testing.assert_allclose(cells, places, atol=1e-4)
    np.testing.assert_allclose(likely, 1, atol=1e-5)


def test_decoding_knows_nowhere():
    logits = np.full((1, 8, 8, 2), -30.0, np.float32)
    logits[0, 3, 5, 1] = 0.0  # as likely there as nowhere
    cells, likely = decode(logits)
    np.testing.assert_allclose(likely, [[0, 0.5]], atol=1e-6)
    np.testing.assert_allclose(cells[0, 1], [3, 5], atol=1e-6)
    for extreme in (-2000.0, 2000.0):
        cells, likely = decode(np.full((1, 2, 2, 1), extreme, np.float32))
        assert np.isfinite(cells).all()
        assert likely.item() == (extreme > 0)


def test_loss_equals_the_cross_entropy_written_out():
    random = np.random.default_rng(0)
    logits = random.normal(size=(2, 4, 3, 5)).astype(np.float32)
    keypoints = random.uniform(-1, [16, 12], (2, 5, 2)).astype(np.float32)
    present = random.random((2, 5)) < 0.7
    losses = []
    for image in range(2):
        for joint in range(5):
            scores = {(y, x): float(logits[image, y, x, joint]) for y in range(4) for x in range(3)}
            total = np.log(1 + sum(np.exp(score) for score in scores.values()))
            truth = {(0, 0): 0.0}
            if present[image, joint]:
                cell = np.clip((keypoints[image, joint] + 0.5) / STRIDE - 0.5, 0, [3, 2])
                truth = {place: np.prod(np.maximum(0, 1 - np.abs(cell - place))) for place in scores}
                assert sum(truth.values()) == pytest.approx(1, abs=1e-5)
                losses.append(sum(share * (total - scores[place]) for place, share in truth.items()))
            else:
                losses.append(total)
    loss = location_loss(tf.constant(logits), tf.constant(keypoints), tf.constant(present))
    assert float(loss) == pytest.approx(np.mean(losses), rel=1e-5)


def test_network_has_a_map_a_joint():
    network = build_network(num_joints=3, width=4)
    assert network(np.zeros((2, 64, 32, 3))).shape == (2, 16, 8, 3)
    assert all(type(layer).__module__.startswith("keras.") for layer in network.layers)
    estimator = HeatMapEstimator(network, skeleton=STICK)
    assert estimator(np.zeros((2, 30, 40, 3), np.uint8)).keypoints.shape == (2, 3, 2)


class Bright(keras.layers.Layer):
    """Logits that are high where a cell of the image is white; the same for three joints."""

    def call(self, image):
        return keras.ops.tile(keras.ops.average_pool(image, STRIDE)[..., :1], (1, 1, 1, 3)) - 128.0


@pytest.mark.parametrize("size", [(128, 64), (256, 128), (64, 100), (333, 217), (128, 30), (40, 200)])
def test_places_come_back_in_pixels_of_the_image(size):
    image = keras.Input((None, None, 3))
    estimator = HeatMapEstimator(keras.Model(image, Bright()(image)), skeleton=STICK)
    cell = STRIDE * size[0] / 128  # in pixels of the image
    for y, x in np.random.default_rng(0).uniform(2 * cell, np.array(size) - 2 * cell, (5, 2)):
        images = np.zeros((1, *size, 3), np.uint8)
        rows, columns = (
            np.abs(np.arange(side) + 0.5 - centre) < cell for side, centre in zip(size, (y, x), strict=True)
        )
        images[0, rows[:, None] & columns] = 255
        keypoints = estimator(images).keypoints
        assert keypoints.dtype == np.int32
        np.testing.assert_allclose(keypoints[0], [[y - 0.5, x - 0.5]] * 3, atol=0.75 * cell)


def test_shipped_file_is_small():
    assert DEMO_FILE.stat().st_size <= 3_000_000
    assert heatmap.demo_estimator() is load_estimator("demo")


def test_drawn_people_are_found(demo, people):
    images, keypoints = people
    poses = demo(images)
    result = pckh(poses.keypoints, keypoints)
    assert result.mean > 0.9
    assert result.false_positive_share < 0.25
    assert result.false_negative_share < 0.1


def test_answers_have_the_promised_form(demo, people):
    images, _ = people
    poses = demo(images)
    assert poses.keypoints.dtype == np.int32
    assert poses.keypoints.shape == (24, COCO18.num_joints, 2)
    assert poses.scores.dtype == np.float32
    is_found = found(poses.keypoints)
    assert np.array_equal(poses.scores > 0, is_found)
    assert np.all(poses.scores <= 1 + 1e-6)
    assert np.all(poses.keypoints[~is_found] == -1)
    assert np.all((poses.keypoints[is_found] >= 0) & (poses.keypoints[is_found] < [128, 64]))
    assert demo(images[:0]).keypoints.shape == (0, 18, 2)


def test_nobody_is_found_where_nobody_is(demo):
    random = np.random.default_rng(0)
    empty = np.stack(
        [
            np.zeros((128, 64, 3), np.uint8),
            np.full((128, 64, 3), 255, np.uint8),
            np.full((128, 64, 3), (90, 120, 70), np.uint8),
            random.integers(0, 256, (128, 64, 3), dtype=np.uint8),
            np.clip(random.normal(120, 30, (128, 64, 3)), 0, 255).astype(np.uint8),
        ]
    )
    assert found(demo(empty).keypoints).mean() < 0.1


def test_batches_do_not_matter(demo, people):
    images = np.concatenate([people[0], people[0][::-1]])  # more than one batch
    assert len(images) > demo.preferred_batch
    together = demo(images)
    single = [demo(image[None]) for image in images[:6]]
    # Sums in another order may move a place over the border of a pixel
    alone = np.concatenate([poses.keypoints for poses in single])
    assert np.abs(together.keypoints[:6] - alone).max() <= 1
    np.testing.assert_allclose(together.scores[:6], np.concatenate([poses.scores for poses in single]), atol=1e-3)


def test_a_larger_image_gives_larger_poses(demo, people):
    images, _ = people
    larger = np.stack(
        [np.asarray(Image.fromarray(image).resize((128, 256), Image.Resampling.BICUBIC)) for image in images]
    )
    small, large = demo(images).keypoints, demo(larger).keypoints
    both = found(small) & found(large)
    assert both.sum() > 0.97 * found(small).sum()
    distance = np.linalg.norm(large - (2 * small + 0.5), axis=-1)[both]
    assert np.median(distance) < 2
    assert np.mean(distance < 6) > 0.97


def test_wider_images_are_searched(demo, people):
    images, _ = people
    wide = np.pad(images, np.array([(0, 0), (0, 0), (20, 37), (0, 0)]), mode="edge")
    small, large = demo(images).keypoints, demo(wide).keypoints
    both = found(small) & found(large)
    assert both.sum() > 0.9 * found(small).sum()
    assert np.mean(np.linalg.norm(large - small - [0, 20], axis=-1)[both] < 3) > 0.9


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 128, 64, 3), np.float32), r"images: expected uint8 \(B, H, W, 3\), RGB, got float32"),
        (np.zeros((128, 64, 3), np.uint8), r"got uint8 \(128, 64, 3\)"),
        (np.zeros((1, 128, 64, 4), np.uint8), r"got uint8 \(1, 128, 64, 4\)"),
    ],
)
def test_wrong_images(demo, images, message):
    with pytest.raises(InputError, match=message):
        demo(images)


def test_one_pixel_is_an_image(demo):
    assert demo(np.zeros((1, 1, 1, 3), np.uint8)).keypoints.shape == (1, 18, 2)


def test_files_that_hold_no_network(tmp_path):
    with pytest.raises(InputError, match=r"absent\.weights\.h5: no such file of weights"):
        load_network(tmp_path / "absent.weights.h5")
    (tmp_path / "broken.weights.h5").write_bytes(DEMO_FILE.read_bytes()[:100_000])
    with pytest.raises(InputError, match=r"broken\.weights\.h5: damaged, or not the weights of a heat map network"):
        load_network(tmp_path / "broken.weights.h5")
    with pytest.raises(InputError, match=r"demo\.weights\.h5: .* of width 8 for 18 joints"):
        load_network(DEMO_FILE, width=8)


def test_a_network_of_other_joints():
    with pytest.raises(InputError, match=r"mine: gives 3 maps .* each of the 18 joints of skeleton 'coco18'"):
        HeatMapEstimator(build_network(num_joints=3, width=4), name="mine")
