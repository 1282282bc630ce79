"""PCKh of an estimator's answers: known shares, batches, one estimator for all rows, messages."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from skeletons import STICK

from pose_gan.errors import InputError
from pose_gan.estimators import Poses
from pose_gan.metrics import pose
from pose_gan.metrics.base import CannotCompute, ImageBatch, MetricOptions
from pose_gan.metrics.pckh import pckh
from pose_gan.metrics.pose import SPECS, PosePCKh
from pose_gan.poses.keypoints import read_annotations
from pose_gan.poses.skeleton import COCO18

SIZE = (128, 64)


class Reader:
    """An estimator that reads the keypoints which `hidden` wrote into the first pixels."""

    name = "reader"
    skeleton = COCO18
    preferred_batch = 2

    def __init__(self):
        self.batches = []

    def __call__(self, images):
        self.batches.append(len(images))
        values = images.reshape(-1, SIZE[0] * SIZE[1] * 3)[:, : 2 * COCO18.num_joints].astype(np.int32)
        values[values == 255] = -1
        return Poses(values.reshape(-1, COCO18.num_joints, 2), np.ones((len(images), COCO18.num_joints), np.float32))


def hidden(keypoints):
    """Images whose first bytes are keypoints."""
    images = np.zeros((len(keypoints), *SIZE, 3), np.uint8)
    images.reshape(-1, SIZE[0] * SIZE[1] * 3)[:, : 2 * COCO18.num_joints] = keypoints.reshape(-1, 2 * COCO18.num_joints)
    return images


def targets(count=5):
    """Poses whose torso is 40 pixels long: half a head is 6 pixels."""
    poses = np.random.default_rng(0).integers(20, 60, (count, COCO18.num_joints, 2))
    for shoulder, hip in COCO18.scale_sides:
        poses[:, COCO18.index(shoulder)] = 30, 20 + COCO18.index(shoulder)
        poses[:, COCO18.index(hip)] = 70, 20 + COCO18.index(shoulder)
    return poses


def batch(answers, truth):
    images = hidden(answers)
    return ImageBatch(images, np.zeros_like(images), truth)


def test_shares_of_known_answers():
    truth = targets(4)
    answers = truth.copy()
    nose, wrist, ear, knee = COCO18.indices(("nose", "Rwri", "Lear", "Rkne"))
    answers[:1, nose, 0] += 6  # on the limit
    answers[1:2, nose, 0] += 7  # beyond
    answers[:3, wrist] = -1  # not found is wrong
    truth[0, ear] = -1  # nothing to find; found all the same
    truth[:, knee] = -1
    metric = PosePCKh(Reader())
    metric.update(batch(answers, truth))
    result = metric.result()
    expected = dict.fromkeys(COCO18.joints, 1.0) | {"nose": 3 / 4, "Rwri": 1 / 4}
    del expected["Rkne"]
    assert result.details == expected
    assert list(result.details) == [joint for joint in COCO18.joints if joint != "Rkne"]
    assert result.mean == pytest.approx(np.mean(list(expected.values())))
    assert (result.count, result.std, result.values) == (4, None, None)
    json.dumps(dict(result.details), allow_nan=False)


def test_parts_equal_the_whole():
    truth = targets(7)
    truth[2] = -1  # a pose without size counts for nothing
    answers = np.clip(truth + np.random.default_rng(1).integers(-8, 9, truth.shape), 0, 100)
    expected = pckh(answers, truth)
    reader = Reader()
    metric = PosePCKh(reader)
    for part in (slice(0, 3), slice(3, 3), slice(3, 7)):
        metric.update(batch(answers[part], truth[part]))
    result = metric.result()
    assert reader.batches == [2, 1, 2, 2]  # as many at once as the estimator prefers
    assert result.count == 7
    np.testing.assert_array_equal(list(result.details.values()), expected.per_joint)
    assert result.mean == pytest.approx(expected.mean)


def test_copying_the_source_scores_low_unless_it_stands_alike():
    source, target = targets(3), targets(3)
    source[..., 0] += 30
    rows = [PosePCKh(Reader()) for _ in range(3)]  # generated, copied, real
    for row, answers in zip(rows, (target + 2, source, target), strict=True):
        row.update(batch(answers, target))
    assert [row.result().mean for row in rows] == [1, 0, 1]


def test_rows_share_an_estimator(monkeypatch):
    made = []
    monkeypatch.setattr(pose, "load_estimator", lambda path: made.append(path) or Reader())
    pose.shared_estimator.cache_clear()
    (spec,) = SPECS
    for path in ("a.pb", "a.pb", "b.pb", "a.pb"):
        spec.create(MetricOptions(pose_estimator=path))
    assert made == ["a.pb", "b.pb"]
    pose.shared_estimator.cache_clear()


def test_what_cannot_be_computed():
    (spec,) = SPECS
    assert not spec.by_default
    json.dumps(spec.settings)
    with pytest.raises(CannotCompute, match="--pose_estimator FILE"):
        spec.create(MetricOptions())
    with pytest.raises(InputError, match=r"absent\.pb: no such file"):
        spec.create(MetricOptions(pose_estimator="absent.pb"))
    with pytest.raises(InputError, match="no images to score"):
        PosePCKh(Reader()).result()
    metric = PosePCKh(Reader())
    metric.update(batch(targets(2), np.full((2, COCO18.num_joints, 2), -1)))
    with pytest.raises(InputError, match="nothing to find"):
        metric.result()
    other = dataclasses.replace(COCO18, name="other", joints=tuple(reversed(COCO18.joints)))
    images = hidden(targets(1))
    with pytest.raises(CannotCompute, match=r"reader finds the joints of skeleton 'coco18', .* are of 'other'"):
        PosePCKh(Reader()).update(ImageBatch(images, images, targets(1), other))
    sizeless = dataclasses.replace(STICK, scale_sides=())
    with pytest.raises(CannotCompute, match="does not apply: skeleton 'stick' has no scale_sides"):
        PosePCKh(Reader()).update(ImageBatch(images, images, targets(1)[:, :3], sizeless))


@pytest.mark.slow
def test_real_network_on_images_of_the_released_model(shared_data):
    """Generated people stand in the target pose, source images mostly do not."""
    import imageio.v3 as iio

    folder = shared_data / "deepfashion-sample"
    annotations = read_annotations(folder / "fasion-annotation-test.csv")
    paths = sorted((folder / "released-model-output").glob("*.png"))[:4]
    strips = [np.split(iio.imread(path), 3, axis=1) for path in paths]
    names = [path.name.removesuffix(".png").split(".jpg_")[1] for path in paths]
    truth = annotations.keypoints[[annotations.rows[name] for name in names]]
    network = next((shared_data / "pose-estimator").glob("*.pb"))
    (spec,) = SPECS
    scores = []
    for column in (0, 2):  # source, generated
        images = np.stack([strip[column] for strip in strips])
        metric = spec.create(MetricOptions(pose_estimator=str(network)))
        metric.update(ImageBatch(images, images, truth))
        scores.append(metric.result().mean)
    assert 2 * scores[0] < scores[1]
