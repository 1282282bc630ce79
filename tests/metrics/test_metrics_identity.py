"""Identity: rankings against a slow twin, what is left out of the answers, real networks, messages."""

from __future__ import annotations

import numpy as np
import pytest
from checkout import ROOT

from pose_gan.errors import InputError
from pose_gan.metrics import METRICS, ImageBatch, MetricOptions
from pose_gan.metrics.base import CannotCompute
from pose_gan.metrics.identity import Identity, open_network, rank
from pose_gan.metrics.ranking import average_precision, order
from pose_gan.poses.skeleton import COCO18

NAMES = [f"{person:04d}_c{number}.jpg" for person in (1, 2, 3) for number in range(4)]
PAIRS = [(a, b) for a in NAMES for b in NAMES if a != b and a[:4] == b[:4]]


def describe(images: np.ndarray) -> np.ndarray:
    """The first two pixels as a feature."""
    features = images[:, 0, :2].reshape(len(images), -1).astype(float)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def pictures(seed: int) -> dict[str, np.ndarray]:
    """Images of a person are alike, with noise, so that some rankings are right and some are wrong."""
    rng = np.random.default_rng(seed)
    person = {name[:4]: rng.integers(60, 200, (4, 4, 3)) for name in NAMES}
    return {name: np.clip(person[name[:4]] + rng.normal(0, 45, (4, 4, 3)), 1, 255).astype(np.uint8) for name in NAMES}


def batches(real: dict[str, np.ndarray], generated: np.ndarray, size: int = 5):
    nobody = np.full((size, COCO18.num_joints, 2), -1)
    for start in range(0, len(PAIRS), size):
        part = PAIRS[start : start + size]
        source, target = (np.stack([real[pair[side]] for pair in part]) for side in (0, 1))
        yield ImageBatch(generated[start : start + size], target, nobody[: len(part)], COCO18, tuple(part), source)


def slow(real: dict[str, np.ndarray], generated: np.ndarray) -> dict[str, list[float]]:
    """Every query against every real image, by loops."""
    scores: dict[str, list[float]] = {"identity": [], "identity_5": [], "identity_map": []}
    for image, (source, target) in zip(generated, PAIRS, strict=True):
        query, answers = describe(image[None])[0], []
        for name in NAMES:
            if name not in (source, target):
                answers.append((-float(query @ describe(real[name][None])[0]), name[:4] == target[:4]))
        answers.sort(key=lambda answer: answer[0])
        hits, precisions = 0, []
        for place, (_, good) in enumerate(answers, start=1):
            hits += good
            if good:
                precisions.append(hits / place)
        scores["identity"].append(float(answers[0][1]))
        scores["identity_5"].append(float(any(good for _, good in answers[:5])))
        scores["identity_map"].append(sum(precisions) / len(precisions))
    return scores


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("identity", lambda good: rank(1, good)),
        ("identity_5", lambda good: rank(5, good)),
        ("identity_map", average_precision),
    ],
)
def test_scores_are_those_of_a_slow_twin(name, score):
    real = pictures(0)
    generated = np.stack([pictures(1)[target] for _, target in PAIRS])
    metric = Identity(describe, score)
    for batch in batches(real, generated):
        metric.update(batch)
    result = metric.result()
    expected = slow(real, generated)[name]
    assert result.values is not None
    np.testing.assert_allclose(result.values, expected)
    assert result.mean == pytest.approx(np.mean(expected))
    assert name == "identity_5" or 0.1 < result.mean < 0.95


def test_a_copy_does_not_find_itself():
    """Each person has two images that are alike within a pair only: a copy of the source finds nobody."""
    rng = np.random.default_rng(3)
    real = {name: rng.integers(1, 256, (4, 4, 3), dtype=np.uint8) for name in NAMES}
    copies = np.stack([real[source] for source, _ in PAIRS])
    metric = Identity(describe, lambda good: rank(1, good))
    for batch in batches(real, copies):
        metric.update(batch)
    assert metric.result().mean < 0.5  # of random images; with itself among the answers it would be 1


def test_the_person_is_the_source_s_by_the_rule_that_was_given():
    """With the pose of another person (a2-1 → b1-1), the generated image must find its source's person."""
    names = ["a1-1.jpg", "a2-1.jpg", "b1-1.jpg", "b2-1.jpg"]
    real = dict(zip(names, np.random.default_rng(4).integers(1, 256, (4, 4, 4, 3), dtype=np.uint8), strict=True))
    pairs = (("a2-1.jpg", "b1-1.jpg"), ("b2-1.jpg", "a1-1.jpg"))
    sources, targets = (np.stack([real[pair[side]] for pair in pairs]) for side in (0, 1))
    nobody = np.full((2, COCO18.num_joints, 2), -1)
    for looks_like, expected in ((("a1-1.jpg", "b1-1.jpg"), 1), (("b2-1.jpg", "a2-1.jpg"), 0)):
        metric = Identity(describe, lambda good: rank(1, good))
        generated = np.stack([real[name] for name in looks_like])
        metric.update(ImageBatch(generated, targets, nobody, COCO18, pairs, sources, lambda name: name[0]))
        assert metric.result().mean == expected


def test_average_precision_by_hand_and_order():
    assert average_precision(np.array([True, False, True, False])) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.array([False, False, True])) == pytest.approx(1 / 3)
    ranked = order(np.array([0.5, 0.1, 0.5, 0.0]), np.array([False, False, False, True]))
    assert ranked.tolist() == [1, 0, 2]


def test_what_cannot_be_computed():
    metric = Identity(describe, average_precision)
    images, nobody = np.ones((1, 4, 4, 3), np.uint8), np.full((1, COCO18.num_joints, 2), -1)
    with pytest.raises(CannotCompute, match="needs the names of the images"):
        metric.update(ImageBatch(images, images, nobody))
    metric.update(ImageBatch(images, images, nobody, COCO18, (("1_a.jpg", "1_b.jpg"),), images))
    with pytest.raises(CannotCompute, match="all images are of one person"):
        metric.result()
    metric.update(ImageBatch(images, images, nobody, COCO18, (("2_a.jpg", "2_b.jpg"),), images))
    with pytest.raises(CannotCompute, match="no person has a third image"):
        metric.result()
    with pytest.raises(CannotCompute, match=r"--identity_network FILE\.onnx"):
        METRICS["identity"].create(MetricOptions())
    with pytest.raises(InputError, match=r"--identity_network: none\.onnx: no such file"):
        METRICS["identity"].create(MetricOptions(identity_network="none.onnx"))
    pytest.importorskip("onnxruntime")
    with pytest.raises(InputError, match=r"--identity_network: .*README\.md: not a network that ONNX Runtime opens"):
        open_network(str(ROOT / "README.md"))


def test_a_real_network_knows_people(shared_data):
    """OSNet x0.25 on 1,757 images of Market-1501: every image a query, others of the same camera left out."""
    pytest.importorskip("onnxruntime")
    from pose_gan.files.images import read_image

    folder = shared_data / "market/data/test"
    names = sorted(path.name for path in folder.iterdir())[:300]
    features = open_network(shared_data / "reid/osnet_x0_25_msmt17.onnx")(
        np.stack([read_image(folder / n) for n in names])
    )
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    persons, cameras = (np.array([name.split("_")[part][:4] for name in names]) for part in (0, 1))
    cameras = np.array([camera[:2] for camera in cameras])
    hits = []
    for query in range(len(names)):
        same = (persons == persons[query]) & (cameras == cameras[query])
        good = persons[order(-(features @ features[query]), same)] == persons[query]
        if good.any():
            hits.append(rank(1, good))
    assert np.mean(hits) > 0.8
