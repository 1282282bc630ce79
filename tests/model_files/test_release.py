"""Checkpoints of the authors' release: files as Keras 2.0.8 writes them give the images that the release gives."""

from __future__ import annotations

import itertools
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from release_geometry import HEAD, JOINTS, heat_maps, masks, stick_man, transforms, uniform_transform
from release_networks import Network

from pose_gan import geometry
from pose_gan.config import ModelConfig
from pose_gan.errors import InputError
from pose_gan.model_files import release, release_layout
from pose_gan.networks import build_generator, compiled, generator_config
from pose_gan.poses.keypoints import has_required_joints, read_annotations
from pose_gan.poses.skeleton import COCO18

SMALL = {"size": (64, 64), "width": 0.125}
GENERATORS = [
    *({"warp_skip": skip} for skip in ("mask", "none", "stn", "full")),
    {"use_input_pose": False},
    {"use_input_pose": False, "warp_skip": "none"},
    {"use_bg": True},
    {"pose_rep_type": "stickman"},
    {"warp_agg": "avg"},
]
DISCRIMINATORS = [
    {},
    {"use_input_pose": False},
    {"use_bg": True},
    {"pose_rep_type": "stickman"},
    {"disc_type": "sim"},
    {"disc_type": "warp"},
]


def people(count: int, size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Upright people with noise; joints outside of the torso are missing by chance: int (count, 18, 2)."""
    random = np.random.default_rng(seed)
    place = {"nose": (0.12, 0.5), "neck": (0.22, 0.5), "Leye": (0.1, 0.54), "Reye": (0.1, 0.46)}
    place |= {"Lear": (0.11, 0.6), "Rear": (0.11, 0.4)}
    for side, sign in (("R", -1), ("L", 1)):
        for name, y, x in (("sho", 0.22, 0.17), ("elb", 0.37, 0.24), ("wri", 0.5, 0.27)):
            place[side + name] = (y, 0.5 + sign * x)
        for name, y, x in (("hip", 0.52, 0.11), ("kne", 0.71, 0.13), ("ank", 0.9, 0.14)):
            place[side + name] = (y, 0.5 + sign * x)
    poses = np.array([place[name] for name in JOINTS]) + random.normal(0, 0.04, (count, 18, 2))
    poses = np.clip(np.round(poses * size), 0, np.array(size) - 1).astype(int)
    optional = [i for i, name in enumerate(JOINTS) if name[1:] not in ("sho", "hip")]
    for pose in poses:
        pose[random.choice(optional, 3, replace=False)] = -1
    return poses


def sample(size: tuple[int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    source, target = people(2, size, seed)
    return random.uniform(-1, 1, (*size, 3)), source, target


def released_model(path, kind: str = "generator", seed: int = 1, whole: bool = False, **values):
    """The twin's network, saved in `path`."""
    network = Network(seed, **{**SMALL, **values})
    model = network.generator() if kind == "generator" else network.discriminator()
    model.save(path, whole)
    return model


def edited(path) -> Any:
    """An HDF5 file to spoil; as Any, for its parts may be of many kinds."""
    return h5py.File(path, "a")


def image_of(generator: keras.Model, source, source_kp, target_kp, **images) -> np.ndarray:
    values = {"source_image": source, "source_keypoints": source_kp, "target_keypoints": target_kp, **images}
    return np.asarray(generator([values[t.name][None].astype("float32") for t in generator.inputs]))[0]


# Geometry -----------------------------------------------------------------------------------------


def test_heat_maps_are_the_staircase():
    keypoints = people(2, (128, 64))
    expected = [heat_maps(pose, (128, 64)) for pose in keypoints]
    np.testing.assert_allclose(geometry.heatmaps(keypoints, (128, 64), compat="release"), expected, atol=1e-6)
    smooth = np.asarray(geometry.heatmaps(keypoints, (128, 64)))
    assert 0.5 < np.abs(smooth - expected).max() < 0.64


def real_poses(folder, count: int) -> np.ndarray:
    keypoints = read_annotations(folder / "market-full" / "market-annotation-train.csv").keypoints
    keypoints = keypoints[has_required_joints(keypoints)]
    return keypoints[np.random.default_rng(0).permutation(len(keypoints))[:count]]


def assert_geometry_equals(sources: np.ndarray, targets: np.ndarray, size: tuple[int, int]) -> None:
    ours = np.asarray(geometry.part_transforms(sources, targets, compat="release"))
    np.testing.assert_allclose(ours, [transforms(*pair) for pair in zip(sources, targets, strict=True)], atol=1e-3)
    ours = np.asarray(geometry.uniform_transform(sources, targets, compat="release"))
    np.testing.assert_allclose(ours, [uniform_transform(*p) for p in zip(sources, targets, strict=True)], atol=1e-3)
    ours = geometry.part_masks(targets, size, compat="release")
    np.testing.assert_array_equal(ours, [masks(pose, size) for pose in targets])
    drawn = geometry.stickman(targets, size, compat="release")
    np.testing.assert_array_equal(drawn, [stick_man(pose, size) for pose in targets])


def test_geometry_equals_the_release():
    poses = people(24, (64, 64), seed=3)
    assert_geometry_equals(poses[:12], poses[12:], (64, 64))


def test_geometry_of_real_poses_equals_the_release(shared_data):
    """To the last pixel of every mask, in poses whose limbs' outlines run through pixel centres."""
    poses = real_poses(shared_data, 24)
    assert_geometry_equals(poses[:12], poses[12:], (128, 64))


def test_fits_equal_scikit_image_in_hundreds_of_real_pairs(shared_data):
    poses = real_poses(shared_data, 1000)
    ours = np.asarray(geometry.part_transforms(poses[:500], poses[500:], compat="release"))
    theirs = np.array([transforms(*pair) for pair in zip(poses[:500], poses[500:], strict=True)])
    # a fit that is hardly determined has huge numbers, where its last digits differ
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-3)


def test_a_source_limb_without_length_is_drawn_from_a_line():
    """The release does not call a singular fit missing."""
    source, target = people(2, (128, 64), seed=5)
    a, b = JOINTS.index("Rhip"), JOINTS.index("Rkne")  # of the first limb
    source[[a, b]], target[[a, b]] = (66, 20), ((60, 20), (80, 22))
    ours = np.asarray(geometry.part_transforms(source[None], target[None], compat="release"))[0]
    np.testing.assert_allclose(ours[2], transforms(source, target)[2], atol=1e-4)
    assert abs(np.linalg.det(ours[2, :6].reshape(2, 3)[:, :2])) < 1e-6
    missing = np.asarray(geometry.part_transforms(source[None], target[None]))[0, 2]
    np.testing.assert_array_equal(missing, [1, 0, 1000, 0, 1, 1000, 0, 0])


def test_undetermined_fits_are_missing():
    source, target = people(2, (128, 64), seed=6)
    torso = [JOINTS.index(name) for name in ("Rsho", "Lsho", "Rhip", "Lhip")]
    line, point = target.copy(), source.copy()
    line[torso] = [(20, 20), (30, 20), (40, 20), (60, 20)]
    point[torso] = (30, 30)
    ours = np.asarray(geometry.part_transforms([source, point], [line, target], compat="release"))
    np.testing.assert_array_equal(ours[:, 0], [[1, 0, 1000, 0, 1, 1000, 0, 0]] * 2)


def test_unknown_compat_is_refused():
    with pytest.raises(ValueError, match=r"compat 'keras' is not known; allowed: paper, release"):
        geometry.heatmaps(people(1, (64, 64)), (64, 64), compat="keras")


# Generators ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", GENERATORS, ids=str)
def test_generator_gives_the_releases_image(tmp_path, values):
    """Files alternate between weights alone and whole models."""
    whole = GENERATORS.index(values) % 2 == 0
    expected_model = released_model(tmp_path / "g.h5", whole=whole, **values)
    known = {} if whole else {"image_size": (64, 64), "warp_agg": values.get("warp_agg", "max")}
    if values.get("warp_skip") == "full" and not whole:
        known["warp_skip"] = "full"
    generator = release.load(tmp_path / "g.h5", **known)
    told = generator_config(generator)
    for name, value in {"image_size": (64, 64), "norm": "release", "compat": "release", **values}.items():
        assert getattr(told, name) == value, name
    for seed in (0, 1):
        inputs = sample((64, 64), seed)
        images = {"background": np.random.default_rng(9).uniform(-1, 1, (64, 64, 3))} if told.use_bg else {}
        expected = expected_model(*inputs, **images)
        assert 0.05 < expected.std() < 0.9
        np.testing.assert_allclose(image_of(generator, *inputs, **images), expected, atol=1e-4)


def test_every_switch_of_compat_is_needed(tmp_path):
    """The check above can fail: without any one of the release's behaviours the image is another."""
    model = released_model(tmp_path / "g.h5")
    inputs = sample((64, 64))
    expected = model(*inputs)
    right = release.load(tmp_path / "g.h5", image_size=(64, 64))
    for change in ({"warp_interpolation": "bilinear"}, {"compat": "paper"}):
        values = {"image_size": (64, 64), "width": 0.125, "compat": "release", **change}
        if change == {"compat": "paper"}:
            values |= {"norm": "release", "warp_interpolation": "nearest"}
        other = build_generator(ModelConfig(**values))
        other.set_weights(right.get_weights())
        assert np.abs(image_of(other, *inputs) - expected).max() > 1e-3, change


@pytest.mark.parametrize("warp_skip", ["mask", "stn"])
def test_seven_levels_are_a_generator_for_256_pixels(tmp_path, warp_skip):
    """Shapes only: the images of this size are compared in the slow test."""
    released_model(tmp_path / "g.h5", size=(256, 256), levels=7, warp_skip=warp_skip)
    kind, config = release.settings(tmp_path / "g.h5")
    assert (kind, config.image_size, config.warp_skip) == ("generator", (256, 256), warp_skip)
    generator = release.load(tmp_path / "g.h5")
    assert generator.output_shape == (None, 256, 256, 3)


@pytest.mark.slow
@pytest.mark.parametrize("warp_skip", ["mask", "none", "full", "stn"])
@pytest.mark.parametrize(("size", "levels"), [((128, 64), 6), ((256, 256), 7)])
def test_full_width_generator_gives_the_releases_image(tmp_path, size, levels, warp_skip):
    model = released_model(tmp_path / "g.h5", whole=True, size=size, levels=levels, width=1.0, warp_skip=warp_skip)
    inputs = sample(size)
    difference = np.abs(image_of(release.load(tmp_path / "g.h5"), *inputs) - model(*inputs))
    print(f"{warp_skip} {size}: largest difference {difference.max():.2g}")
    assert difference.max() < 1e-4


# Discriminators -------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", DISCRIMINATORS, ids=str)
def test_discriminator_gives_the_releases_scores(tmp_path, values):
    expected_model = released_model(tmp_path / "d.h5", "discriminator", **values)
    discriminator = release.load(tmp_path / "d.h5", image_size=(64, 64))
    source, source_kp, target_kp = sample((64, 64))
    random = np.random.default_rng(4)
    images = {name: random.uniform(-1, 1, (64, 64, 3)) for name in ("target", "background")}
    theirs = {name: images[name] for name in ("target", "background") if name == "target" or values.get("use_bg")}
    expected = expected_model(source, source_kp, target_kp, **theirs)
    scores = image_of(
        discriminator, source, source_kp, target_kp, target_image=images["target"], background=images["background"]
    )
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert np.all((expected > 1e-3) & (expected < 1 - 1e-3))


# Recognising ----------------------------------------------------------------------------------------


def test_layouts_of_all_variants_differ_where_they_can():
    """Weights tell generators apart by everything but the size's ratio, `full` from `mask`, and aggregation."""
    seen = {}
    choices = itertools.product(
        [(128, 64), (256, 256)], ["mask", "none", "stn"], ["hm", "stickman"], [True, False], [False, True]
    )
    for size, skip, pose, input_pose, bg in choices:
        if skip == "none" and bg:
            continue  # the release's plain U-Net does not look at it
        config = ModelConfig(size, skip, pose_rep_type=pose, use_input_pose=input_pose, use_bg=bg, compat="release")
        key = str([entry.shapes for entry in release_layout.generator_layout(config)])
        assert key not in seen, (config, seen.get(key))
        seen[key] = config


def test_what_the_weights_do_not_tell_comes_from_the_caller(tmp_path):
    released_model(tmp_path / "g.h5", size=(128, 128))
    assert release.settings(tmp_path / "g.h5")[1].image_size == (128, 64)
    kind, config = release.settings(tmp_path / "g.h5", image_size=(128, 128), warp_skip="full", warp_agg="avg")
    assert (kind, config.image_size, config.warp_skip, config.warp_agg) == ("generator", (128, 128), "full", "avg")


def test_files_of_later_keras_2_with_split_lists(tmp_path):
    released_model(tmp_path / "g.h5")
    with edited(tmp_path / "g.h5") as file:
        names = file.attrs["layer_names"]
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:20], names[20:]
    assert release.is_release(tmp_path / "g.h5")
    assert release.settings(tmp_path / "g.h5")[1].warp_skip == "mask"


def test_a_mismatch_is_explained(tmp_path):
    released_model(tmp_path / "g.h5")
    told = r"g\.h5: is of a generator with warp_skip mask, got warp_skip none; leave out the flag"
    with pytest.raises(InputError, match=told):
        release.load(tmp_path / "g.h5", warp_skip="none", image_size=(64, 64))
    with pytest.raises(InputError, match=r"with image_size 128x64, got image_size 256x256; leave out the flag"):
        release.load(tmp_path / "g.h5", image_size=(256, 256))
    released_model(tmp_path / "full.h5", whole=True, warp_skip="full")  # says so itself, the weights do not
    with pytest.raises(InputError, match=r"full\.h5: is of a generator with warp_skip full, got warp_skip mask; leave"):
        release.load(tmp_path / "full.h5", warp_skip="mask")
    with edited(tmp_path / "g.h5") as file:
        name = next(name for name in file.attrs["layer_names"] if b"transpose" in name).decode()
        del file[name][f"{name}/kernel:0"]
        file[name].create_dataset(f"{name}/kernel:0", data=np.zeros((4, 4, 3, 3), "f4"))
    with pytest.raises(
        InputError, match=r"layer 21 differs: the file has conv2d_transpose_8 with arrays \[\(4, 4, 3, 3"
    ):
        release.load(tmp_path / "g.h5")


def test_damaged_and_hostile_files_are_refused(tmp_path):
    path = tmp_path / "g.h5"
    with pytest.raises(InputError, match=r"g\.h5: no such model file"):
        release.load(path)
    path.write_bytes(b"no HDF5")
    with pytest.raises(InputError, match=r"damaged, or not an HDF5 file"):
        release.load(path)
    assert not release.is_release(path)

    def spoiled(spoil) -> None:
        released_model(path)
        with edited(path) as file:
            spoil(file, file[file.attrs["layer_names"][-2].decode()])

    def missing(file, group):
        del group[group.attrs["weight_names"][0].decode()]

    def external(file, group):
        name = group.attrs["weight_names"][0].decode()
        shape = group[name].shape
        del group[name]
        group.create_dataset(name, shape, "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])

    def text(file, group):
        name = group.attrs["weight_names"][0].decode()
        del group[name]
        group.create_dataset(name, data=np.full((3, 3, 128, 3), b"x"))

    def linked(file, group):
        name = group.attrs["weight_names"][0].decode()
        with h5py.File(tmp_path / "other.h5", "w") as other:
            other["x"] = group[name][()]
        del group[name]
        group[name] = h5py.ExternalLink(str(tmp_path / "other.h5"), "x")

    def flat(file, group):
        name = group.name.lstrip("/")
        del file[name]
        file[name] = np.zeros(3)

    def numbers(file, group):
        file.attrs["layer_names"] = 7

    def nan(file, group):
        group[group.attrs["weight_names"][0].decode()][0, 0, 0, 0] = np.nan

    for spoil, message in (
        (missing, "damaged"),
        (external, "hostile: conv2d_20/conv2d_20/kernel:0 leads to another file"),
        (text, "damaged: layer conv2d_20 holds something else than arrays of numbers"),
        (linked, "hostile: conv2d_20/conv2d_20/kernel:0 leads to another file"),
        (flat, "damaged: layer conv2d_20 is no group of arrays"),
        (numbers, "damaged"),
        (nan, "layer conv2d_20: holds numbers that are not finite"),
    ):
        spoiled(spoil)
        with pytest.raises(InputError, match=message):
            release.load(path, image_size=(64, 64))
    released_model(path)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(InputError, match=r"damaged"):
        release.load(path)


def test_localisation_nets_that_differ_are_refused(tmp_path):
    released_model(tmp_path / "g.h5", warp_skip="stn")
    with edited(tmp_path / "g.h5") as file:
        last = [name for name in file.attrs["layer_names"] if b"spatial" in name][-1].decode()
        file[last]["dense_3/bias:0"][0] += 1
    with pytest.raises(InputError, match=r"its localisation net is not that of the first skip"):
        release.load(tmp_path / "g.h5", image_size=(64, 64))


def test_heads_of_the_twin_are_those_of_the_skeleton():
    assert list(COCO18.joints) == JOINTS
    assert set(COCO18.parts[1].joints) == set(HEAD)


def test_compiled_and_eager_give_one_image(tmp_path):
    """Nearest neighbours are often tied in poses of whole pixels; no compiler may decide them otherwise."""
    released_model(tmp_path / "g.h5", size=(96, 64))
    generator = release.load(tmp_path / "g.h5", image_size=(96, 64))
    random, run = np.random.default_rng(0), compiled(generator)
    poses = np.clip(np.round(people(8, (96, 64), seed=7) / 2) * 2, 0, 62)
    sources, targets = poses[:4].astype("float32"), poses[4:].astype("float32")
    images = random.uniform(-1, 1, (4, 96, 64, 3)).astype("float32")
    values = {"source_image": images, "source_keypoints": sources, "target_keypoints": targets}
    eager = generator([values[t.name] for t in generator.inputs])
    np.testing.assert_allclose(run(values), eager, atol=1e-5)
