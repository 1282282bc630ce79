"""`pose_gan.geometry` against the NumPy twins, scikit-image and hand-computed cases."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import release_geometry
import skimage.draw
import tensorflow as tf
import twins
from makers import people

from pose_gan import geometry
from pose_gan.config import COMPATS
from pose_gan.poses.keypoints import found, has_required_joints, read_annotations
from pose_gan.poses.skeleton import COCO18, Part, Skeleton, Stroke

SIZES = [(128, 64), (256, 256), (64, 96)]
NEAR = 2e-3  # pixels
NAMES = [part.name for part in COCO18.parts]


# A standing person, (y, x) in tenths of the image height and width, in the order of COCO18.joints.

ANIMAL = Skeleton(
    name="lizard",
    joints=("snout", "neck", "rump", "tail", "left_foot", "right_foot"),
    edges=(("snout", "neck"), ("neck", "rump"), ("rump", "tail")),
    required=("neck", "rump", "left_foot"),
    mirror_pairs=(("right_foot", "left_foot"),),
    scale_sides=(("neck", "rump"),),
    parts=(
        Part("body", "whole", ("neck", "rump", "left_foot", "right_foot")),
        Part("head", "square", ("snout",), anchors=("neck", "rump"), size=0.3),
        Part("tail", "limb", ("rump", "tail"), size=0.1, mask_far=0.2, transform_far=0.0),
        Part("left_leg", "limb", ("rump", "left_foot"), size=0.15, near=0.0),
        Part("right_leg", "limb", ("rump", "right_foot"), size=0.15, near=0.0),
    ),
    uniform_optional=("tail",),
    strokes=(
        Stroke("line", (("snout",), ("neck", "rump")), (1.0, 0.25, 0.0)),
        Stroke("fill", (("neck",), ("left_foot",), ("rump",), ("right_foot",)), (0.0, 0.5, 1.0)),
        Stroke("line", (("rump",), ("tail",)), (0.5, 0.75, 0.0)),
    ),
)


def real_poses(folder, count: int, seed: int = 0) -> np.ndarray:
    keypoints = read_annotations(folder / "market-full" / "market-annotation-train.csv").keypoints
    keypoints = keypoints[has_required_joints(keypoints)]
    return keypoints[np.random.default_rng(seed).permutation(len(keypoints))[:count]]


def joint(name: str) -> int:
    return COCO18.index(name)


def apply(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Moves (x, y) points by 8 numbers."""
    matrix = np.asarray(transform, np.float64)[:6].reshape(2, 3)
    return points @ matrix[:, :2].T + matrix[:, 2]


def assert_masks_equal(ours: np.ndarray, keypoints: np.ndarray, skeleton: Skeleton = COCO18) -> None:
    """Equal to the twins but for pixels that lie on an outline to a few thousandths of a pixel."""
    image_size = ours.shape[2], ours.shape[3]
    for b, p in np.argwhere(np.any(ours != twins.part_masks(keypoints, image_size, skeleton), axis=(2, 3))):
        part = skeleton.parts[p]
        assert part.kind == "limb", f"sample {b}, part {part.name}"
        corners = twins.rectangle(keypoints[b], (part.joints[0], part.joints[1]), part, part.mask_far, skeleton)
        assert corners is not None, f"sample {b}, part {part.name}"
        wrong = ours[b, p] != twins.fill_limb(corners, image_size)
        assert twins.distance_to_border(corners, image_size)[wrong].max() < NEAR, f"sample {b}, part {part.name}"


def assert_transforms_equal(ours: np.ndarray, twin: np.ndarray) -> None:
    """Equal in what is missing; elsewhere equal to float32's precision, near enough."""
    assert ours.shape == twin.shape
    missing = np.array(twins.NO_TRANSFORM)
    np.testing.assert_array_equal(np.all(ours == missing, axis=-1), np.all(twin == missing, axis=-1))
    np.testing.assert_allclose(ours, twin, rtol=1e-5, atol=1e-5)


# Heat maps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [6.0, 2.5])
@pytest.mark.parametrize("image_size", SIZES)
def test_heatmaps_equal_twin(image_size, sigma):
    keypoints = people(2, image_size)
    ours = geometry.heatmaps(keypoints, image_size, sigma=sigma)
    assert ours.shape == (2, *image_size, 18)
    assert ours.dtype == tf.float32
    np.testing.assert_allclose(np.asarray(ours), twins.heatmaps(keypoints, image_size, sigma), atol=1e-6)


def test_heatmap_by_hand():
    keypoints = np.full((1, 18, 2), -1)
    keypoints[0, joint("Rwri")] = (40, 20)
    keypoints[0, joint("Lwri")] = (-1, 20)  # one coordinate is enough to be missing
    keypoints[0, joint("nose")] = (20, -1)
    maps = np.asarray(geometry.heatmaps(keypoints, (128, 64)))[0]
    assert maps[40, 20, joint("Rwri")] == 1
    assert maps[43, 24, joint("Rwri")] == pytest.approx(np.exp(-25 / 72), abs=1e-6)
    assert np.count_nonzero(maps.any(axis=(0, 1))) == 1


def test_heatmaps_of_fractional_and_outside_keypoints():
    keypoints = np.full((1, 18, 2), -1.0)
    keypoints[0, :3] = [(-5.5, 3.25), (130.0, 70.5), (10.5, -1.0)]
    maps = geometry.heatmaps(keypoints.astype(np.float32), (128, 64))
    np.testing.assert_allclose(np.asarray(maps), twins.heatmaps(keypoints, (128, 64)), atol=1e-6)


# Masks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_size", SIZES)
def test_part_masks_equal_twin(image_size):
    keypoints = people(4, image_size, seed=1)
    ours = geometry.part_masks(keypoints, image_size)
    assert ours.shape == (4, 10, *image_size)
    assert ours.dtype == tf.float32
    assert_masks_equal(np.asarray(ours), keypoints)


def test_part_masks_of_real_poses_equal_twin(shared_data):
    keypoints = real_poses(shared_data, 40)
    assert_masks_equal(np.asarray(geometry.part_masks(keypoints, (128, 64))), keypoints)


def test_part_masks_of_real_large_images_equal_twin(shared_data):
    keypoints = read_annotations(shared_data / "deepfashion-sample" / "fasion-annotation-test.csv").keypoints[:5]
    assert_masks_equal(np.asarray(geometry.part_masks(keypoints, (256, 256))), keypoints)


def test_limb_masks_agree_with_skimage():
    image_size = (128, 64)
    keypoints = people(8, image_size, seed=2, missing=0)
    ours = np.asarray(geometry.part_masks(keypoints, image_size))
    compared = 0
    for b, p in np.ndindex(8, 10):
        part = COCO18.parts[p]
        if part.kind == "limb":
            corners = twins.rectangle(keypoints[b], (part.joints[0], part.joints[1]), part, part.mask_far, COCO18)
            assert corners is not None
            expected = np.zeros(image_size)
            expected[skimage.draw.polygon(corners[:, 1], corners[:, 0], image_size)] = 1
            wrong = expected != ours[b, p]
            assert np.count_nonzero(wrong) <= 7
            compared += int(expected.sum())
            if wrong.any():
                assert twins.distance_to_border(corners, image_size)[wrong].max() < NEAR
    assert compared > 1000


def upright() -> np.ndarray:
    """Hips 50 px below the shoulders, so that st = 50: float64 (18, 2)."""
    pose = np.full((18, 2), -1.0)
    for name, yx in {"Rsho": (40, 20), "Lsho": (40, 44), "Rhip": (90, 22), "Lhip": (90, 42)}.items():
        pose[joint(name)] = yx
    pose[joint("Rhip"), 1], pose[joint("Lhip"), 1] = 20, 44
    return pose


def test_masks_by_hand():
    pose = upright()
    pose[joint("nose")], pose[joint("Leye")] = (20, 30), (15, 33)  # mean (17.5, 31.5), r = 20
    pose[joint("Rkne")] = (110, 20)  # 20 px below the hip, half width 10
    masks = np.asarray(geometry.part_masks(pose[None], (128, 64)))[0]
    assert masks[NAMES.index("torso")].all()
    head = np.zeros((128, 64))
    head[0:37, 11:51] = 1  # [17 − 20, 17 + 20) × [31 − 20, 31 + 20), cut at the top
    np.testing.assert_array_equal(masks[NAMES.index("head")], head)
    leg = masks[NAMES.index("R_upper_leg")]  # rows 90 − 2 … 110 + 0.1 · 22
    np.testing.assert_array_equal(np.nonzero(leg.any(axis=1))[0], np.arange(88, 113))
    np.testing.assert_array_equal(np.nonzero(leg.any(axis=0))[0], np.arange(10, 30))
    assert leg.sum() == 25 * 20
    for name in set(NAMES) - {"torso", "head", "R_upper_leg"}:
        assert not masks[NAMES.index(name)].any()


def test_lower_limbs_reach_further_in_masks_than_in_transforms():
    pose = upright()
    pose[joint("Rkne")], pose[joint("Rank")] = (60, 20), (80, 20)
    leg = np.asarray(geometry.part_masks(pose[None], (128, 64)))[0, NAMES.index("R_lower_leg")]
    np.testing.assert_array_equal(np.nonzero(leg.any(axis=1))[0], np.arange(58, 91))  # 60 − 2 … 80 + 0.5 · 22
    longer = pose.copy()
    longer[joint("Rank")] = (90, 20)
    got = np.asarray(geometry.part_transforms(longer[None], pose[None]))[0, NAMES.index("R_lower_leg")]
    # The target's axis 58 … 86.6 goes to the source's 57 … 99.9.
    np.testing.assert_allclose(apply(got, np.array([[20, 58], [20, 86.6]])), [[20, 57], [20, 99.9]], atol=1e-3)


def test_masks_of_unusual_poses():
    nobody = np.full((18, 2), -1)
    no_scale = upright()
    no_scale[[joint("Rhip"), joint("Lhip")]] = -1
    no_scale[[joint("nose"), joint("Relb"), joint("Rwri")]] = [(10, 30), (60, 20), (80, 20)]
    point_limb = upright()
    point_limb[joint("Rkne")] = point_limb[joint("Rhip")]
    tiny = upright()
    tiny[[joint("Rhip"), joint("Lhip")]] = tiny[[joint("Rsho"), joint("Lsho")]]
    tiny[[joint("nose"), joint("Relb")]] = [(10, 30), (60, 20)]
    one_side = upright()
    one_side[joint("Lhip")] = -1
    one_side[[joint("nose"), joint("Rkne")]] = [(10, 30), (110, 30)]
    outside = upright() + 300
    outside[joint("nose")] = outside[joint("Rkne")] = (500, 500)
    keypoints = np.stack([nobody, no_scale, point_limb, tiny, one_side, outside])
    masks = np.asarray(geometry.part_masks(keypoints, (128, 64)))
    assert np.isfinite(masks).all()
    assert_masks_equal(masks, keypoints)
    assert masks[:, NAMES.index("torso")].all()
    others = np.any(masks[:, 1:], axis=(2, 3))
    assert not np.any(others[[0, 1, 2, 3, 5]])
    assert np.all(others[4, [NAMES.index("head") - 1, NAMES.index("R_upper_leg") - 1]])


# Transforms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_size", SIZES)
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_part_transforms_equal_twin(image_size, missing):
    source, target = people(24, image_size, 3, missing), people(24, image_size, 4, missing)
    ours = geometry.part_transforms(source, target)
    assert ours.shape == (24, 10, 8)
    assert ours.dtype == tf.float32
    assert_transforms_equal(np.asarray(ours), twins.part_transforms(source, target))


def test_transforms_of_real_poses_equal_twins(shared_data):
    source, target = real_poses(shared_data, 200, 1), real_poses(shared_data, 200, 2)
    assert_transforms_equal(np.asarray(geometry.part_transforms(source, target)), twins.part_transforms(source, target))
    uniform = np.asarray(geometry.uniform_transform(source, target))
    assert_transforms_equal(uniform, twins.uniform_transform(source, target))


def test_limb_transforms_map_rectangle_to_rectangle():
    source, target = people(6, (128, 64), 5, 0), people(6, (128, 64), 6, 0)
    ours = np.asarray(geometry.part_transforms(source, target))
    for b, p in np.ndindex(6, 10):
        part = COCO18.parts[p]
        if part.kind != "limb":
            continue
        joints = part.joints[0], part.joints[1]
        to = twins.rectangle(target[b], joints, part, part.transform_far, COCO18)
        fr = twins.rectangle(source[b], joints, part, part.transform_far, COCO18)
        assert to is not None
        assert fr is not None
        exact = np.linalg.solve(np.column_stack([to[:3], np.ones(3)]), fr[:3])
        np.testing.assert_allclose(ours[b, p], [*exact[:, 0], *exact[:, 1], 0, 0], atol=1e-3)
        np.testing.assert_allclose(apply(ours[b, p], to), fr, atol=1e-3)


def test_same_pose_gives_identity():
    pose = people(4, (128, 64), 7, 0)
    identity = np.broadcast_to([1, 0, 0, 0, 1, 0, 0, 0], (4, 10, 8))
    np.testing.assert_allclose(np.asarray(geometry.part_transforms(pose, pose)), identity, atol=1e-4)
    np.testing.assert_allclose(np.asarray(geometry.uniform_transform(pose, pose)), identity[:, :1], atol=1e-4)


def test_transforms_of_a_moved_person_are_that_motion():
    target = people(3, (128, 64), 8, 0).astype(np.float32)
    angle = np.radians(30)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    xy = 1.5 * (target[..., ::-1] @ turn.T) + [7, -4]
    ours = np.asarray(geometry.part_transforms(xy[..., ::-1], target))
    motion = [*(1.5 * turn[0]), 7, *(1.5 * turn[1]), -4, 0, 0]
    np.testing.assert_allclose(ours, np.broadcast_to(motion, (3, 10, 8)), atol=1e-3)


def test_missing_source_limb_is_replaced_by_its_mirror():
    target, source = (people(1, (128, 64), seed, 0)[0] for seed in (9, 10))
    without = source.copy()
    without[joint("Rwri")] = -1
    swapped = source.copy()
    swapped[[joint("Relb"), joint("Rwri")]] = source[[joint("Lelb"), joint("Lwri")]]
    neither = without.copy()
    neither[joint("Lelb"), 0] = -1  # one coordinate is enough
    keypoints = np.stack([without, swapped, neither])
    arm, missing = NAMES.index("R_lower_arm"), np.array(twins.NO_TRANSFORM)
    ours = np.asarray(geometry.part_transforms(keypoints, np.stack([target] * 3)))
    np.testing.assert_allclose(ours[0, arm], ours[1, arm], rtol=1e-5, atol=1e-5)
    assert not np.array_equal(ours[0, arm], missing)
    np.testing.assert_array_equal(ours[2, arm], missing)
    backwards = np.asarray(geometry.part_transforms(np.stack([target] * 3), keypoints))
    np.testing.assert_array_equal(backwards[0, arm], missing)  # missing in the target: no stand-in


def test_transforms_of_degenerate_poses():
    good = people(1, (128, 64), 11, 0)[0]
    nobody = np.full((18, 2), -1)
    line = good.copy()
    line[:, 0] = 2 * line[:, 1] + 5
    two = good.copy()
    two[[joint("Rhip"), joint("Lhip")]] = -1
    dot = np.broadcast_to([60, 30], (18, 2))
    point_limb = good.copy()
    point_limb[joint("Rkne")] = point_limb[joint("Rhip")]
    flat = good.copy()
    flat[[joint("Rhip"), joint("Lhip")]] = flat[[joint("Rsho"), joint("Lsho")]]
    for bad in (nobody, line, two, dot, point_limb, flat):
        for source, target in ((bad, good), (good, bad), (bad, bad)):
            ours = np.asarray(geometry.part_transforms(source[None], target[None]))
            assert np.isfinite(ours).all()
            assert_transforms_equal(ours, twins.part_transforms(source[None], target[None]))
            uniform = np.asarray(geometry.uniform_transform(source[None], target[None]))
            assert_transforms_equal(uniform, twins.uniform_transform(source[None], target[None]))
    missing = np.array(twins.NO_TRANSFORM)
    ours = np.asarray(geometry.part_transforms(good[None], line[None]))[0]
    np.testing.assert_array_equal(ours[NAMES.index("torso")], missing)  # a collinear target is singular


def test_a_singular_transform_is_missing_or_as_the_release_has_it():
    """The source's torso lies on a line, the target's does not."""
    source, target = people(1, (128, 64), 11, 0), people(1, (128, 64), 12, 0)
    source[0, COCO18.indices(("Rsho", "Lsho", "Lhip", "Rhip"))] = [(20, 20), (30, 25), (40, 30), (60, 40)]
    paper, release = (np.asarray(geometry.part_transforms(source, target, compat=c))[0, 0] for c in COMPATS)
    np.testing.assert_array_equal(paper, twins.NO_TRANSFORM)
    np.testing.assert_allclose(release, release_geometry.transforms(source[0], target[0])[0], atol=1e-4)
    assert abs(release[0] * release[4] - release[1] * release[3]) < 1e-5


def test_head_transform_needs_a_head_joint():
    source, target = people(1, (128, 64), 12, 0), people(1, (128, 64), 13, 0)
    source[:, COCO18.indices(("nose", "Leye", "Lear"))] = -1
    target[:, COCO18.indices(("Reye", "Rear"))] = -1
    ours = np.asarray(geometry.part_transforms(source, target))[0]
    np.testing.assert_array_equal(ours[NAMES.index("head")], twins.NO_TRANSFORM)
    source[0, joint("nose")] = (15, 30)
    ours = np.asarray(geometry.part_transforms(source, target))[0, NAMES.index("head")]
    for name in ("nose", "Lsho", "Rsho"):  # three points: exact
        np.testing.assert_allclose(apply(ours, target[0, joint(name)][::-1]), source[0, joint(name)][::-1], atol=1e-2)


def test_anchors_alone_do_not_place_a_part():
    """Four anchors would determine a transform, but the head is missing if none of its own joints was found in both."""
    head = dataclasses.replace(ANIMAL.parts[1], anchors=("neck", "rump", "left_foot", "right_foot"))
    skeleton = dataclasses.replace(ANIMAL, parts=(head,))
    snout = skeleton.index("snout")
    whole, (other, moved) = lizards(60, 25), lizards(2, 26)
    whole = whole[found(whole).all(axis=1)][:3]
    source, target = np.stack([whole[0], whole[1], whole[2], other]), np.stack([whole[1], whole[2], whole[0], moved])
    source[0, snout] = target[1, snout] = -1
    ours = np.asarray(geometry.part_transforms(source, target, skeleton))
    np.testing.assert_array_equal(ours[:2, 0], [twins.NO_TRANSFORM] * 2)
    assert not np.array_equal(ours[2, 0], twins.NO_TRANSFORM)
    assert_transforms_equal(ours, twins.part_transforms(source, target, skeleton))
    masks = np.asarray(geometry.part_masks(np.stack([source[0], source[2]]), (64, 96), skeleton))
    np.testing.assert_array_equal(masks.any(axis=(1, 2, 3)), [False, True])


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_uniform_transform_equals_twin(missing):
    source, target = people(24, (128, 64), 14, missing), people(24, (128, 64), 15, missing)
    torso = COCO18.indices(COCO18.required)
    source[:, torso], target[:, torso] = people(24, (128, 64), 14, 0)[:, torso], people(24, (128, 64), 15, 0)[:, torso]
    ours = geometry.uniform_transform(source, target)
    assert ours.shape == (24, 1, 8)
    assert_transforms_equal(np.asarray(ours), twins.uniform_transform(source, target))


# Everything ---------------------------------------------------------------------------------------

FUNCTIONS = {
    "heatmaps": lambda s, t, k=COCO18, size=(64, 48): geometry.heatmaps(t, size, skeleton=k),
    "part_masks": lambda s, t, k=COCO18, size=(64, 48): geometry.part_masks(t, size, k),
    "part_transforms": lambda s, t, k=COCO18, size=(64, 48): geometry.part_transforms(s, t, k),
    "uniform_transform": lambda s, t, k=COCO18, size=(64, 48): geometry.uniform_transform(s, t, k),
    "stickman": lambda s, t, k=COCO18, size=(64, 48): geometry.stickman(t, size, k),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_dtypes_batching_and_graph(name):
    function = FUNCTIONS[name]
    source, target = people(3, (64, 48), 17), people(3, (64, 48), 18)
    expected = np.asarray(function(source, target))
    for dtype in (np.float32, np.int32, np.int64, np.float64):
        np.testing.assert_array_equal(np.asarray(function(source.astype(dtype), target.astype(dtype))), expected)
    single = np.concatenate([np.asarray(function(source[b : b + 1], target[b : b + 1])) for b in range(3)])
    np.testing.assert_allclose(single, expected, rtol=1e-6, atol=1e-6)
    spec = tf.TensorSpec((None, 18, 2), tf.float32)
    graph = tf.function(lambda s, t: function(s, t), input_signature=[spec, spec])
    np.testing.assert_allclose(np.asarray(graph(source, target)), expected, rtol=1e-6, atol=1e-6)
    assert graph(source[:0], target[:0]).shape[0] == 0


@pytest.mark.parametrize("image_size", [(128, 64), (256, 256)])
def test_float32_decides_as_float64_does(image_size):
    """For exporters. Outlines run through pixel centres in poses of whole pixels, where rounding must not decide."""
    source, target = people(60, image_size, 21, 0), people(60, image_size, 22, 0)
    masks, drawings = (np.asarray(draw(target, image_size)) for draw in (geometry.part_masks, geometry.stickman))
    assert np.count_nonzero(masks != geometry.part_masks(target, image_size, dtype=tf.float32)) <= 2
    assert np.count_nonzero(drawings != geometry.stickman(target, image_size, dtype=tf.float32)) <= 2
    maps = geometry.heatmaps(target, image_size)
    np.testing.assert_array_equal(maps, geometry.heatmaps(target, image_size, dtype=tf.float32))
    exact = np.asarray(geometry.part_transforms(source, target), np.float64)
    rough = np.asarray(geometry.part_transforms(source, target, dtype=tf.float32), np.float64)
    for pair, part in np.ndindex(60, 10):
        y, x = np.nonzero(masks[pair, part])
        places = np.stack([x, y], axis=-1)
        assert np.abs(apply(exact[pair, part], places) - apply(rough[pair, part], places)).max(initial=0) < 0.02


@pytest.mark.parametrize("compat", COMPATS)
def test_float32_knows_points_on_a_line(compat):
    """Heads whose joints and shoulders lie on a line in the target, at places that float32 must round."""
    random = np.random.default_rng(23)
    source, target = people(200, (256, 256), 24, 0).astype(float), people(200, (256, 256), 25, 0).astype(float)
    head = COCO18.parts[NAMES.index("head")]
    rows = COCO18.indices(head.joints + head.anchors)
    start, direction = random.uniform(50, 200, (200, 1, 2)), random.normal(size=(200, 1, 2))
    target[:, rows] = start + direction * random.uniform(-30, 30, (200, len(rows), 1))
    for dtype in (tf.float64, tf.float32):
        ours = np.asarray(geometry.part_transforms(source, target, compat=compat, dtype=dtype))
        np.testing.assert_array_equal(ours[:, NAMES.index("head")], [twins.NO_TRANSFORM] * 200)
        assert not np.any(np.all(ours[:, NAMES.index("torso")] == twins.NO_TRANSFORM, axis=-1))


def test_geometry_in_a_data_pipeline():
    keypoints = people(4, (64, 48), 19)
    masks = tf.data.Dataset.from_tensor_slices(keypoints).batch(2).map(lambda k: geometry.part_masks(k, (64, 48)))
    ours = np.concatenate(list(masks.as_numpy_iterator()))
    np.testing.assert_array_equal(ours, np.asarray(geometry.part_masks(keypoints, (64, 48))))


def lizards(count: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    pose = np.array([(30, 12), (30, 26), (30, 62), (34, 90), (48, 56), (12, 58)])
    poses = pose + random.integers(-5, 6, (count, 6, 2)) + random.integers(-20, 20, (count, 1, 2))
    poses[poses == -1] = 0
    poses[random.random((count, 6)) < 0.2] = -1
    return poses


def test_another_skeleton_passes_through_everything():
    image_size, source, target = (64, 96), lizards(12, 20), lizards(12, 21)
    source[0], target[0] = lizards(1, 22)[0], lizards(1, 23)[0]
    maps = geometry.heatmaps(target, image_size, skeleton=ANIMAL)
    np.testing.assert_allclose(np.asarray(maps), twins.heatmaps(target, image_size, skeleton=ANIMAL), atol=1e-6)
    masks = np.asarray(geometry.part_masks(target, image_size, skeleton=ANIMAL))
    assert masks.shape == (12, 5, 64, 96)
    assert_masks_equal(masks, target, ANIMAL)
    transforms = np.asarray(geometry.part_transforms(source, target, skeleton=ANIMAL))
    assert_transforms_equal(transforms, twins.part_transforms(source, target, ANIMAL))
    uniform = np.asarray(geometry.uniform_transform(source, target, skeleton=ANIMAL))
    assert_transforms_equal(uniform, twins.uniform_transform(source, target, ANIMAL))
    assert np.count_nonzero(found(target)) > 40


def test_skeleton_of_limbs_only():
    skeleton = dataclasses.replace(ANIMAL, parts=ANIMAL.parts[2:4], strokes=())
    target = lizards(3, 24)
    assert_masks_equal(np.asarray(geometry.part_masks(target, (64, 96), skeleton=skeleton)), target, skeleton)
    assert not np.asarray(geometry.stickman(target, (64, 96), skeleton=skeleton)).any()
