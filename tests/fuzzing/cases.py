"""The kinds of files that are damaged: a whole one to begin with, the damage that fits, and the readers that get it."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import foreign_keypoints as twin
import h5py
import keras
import numpy as np
import tensorflow as tf
from checkout import ROOT
from hypothesis import strategies as st
from PIL import Image
from release_networks import Network
from tensorflow.core.protobuf import saved_model_pb2

from fuzzing import mutations
from fuzzing.mutations import Draw, damage_archive, damage_bytes, damage_graph, damage_hdf5, damage_json, damage_text
from pose_gan.config import ModelConfig, RunConfig
from pose_gan.data.pairs import make_pairs, read_pairs, write_pairs
from pose_gan.data.video import open_clip
from pose_gan.estimators import cmu, load_estimator
from pose_gan.estimators.heatmap import build_network, load_network
from pose_gan.files.images import read_header, read_image
from pose_gan.metrics.detection import graph_detector
from pose_gan.metrics.inception import open_graph
from pose_gan.model_files.metadata import ModelInfo, TrainingInfo
from pose_gan.model_files.run_folder import latest_checkpoint, latest_generator, read_options
from pose_gan.model_files.saving import describe, load_generator, load_model, read_info, save_model
from pose_gan.networks import build_discriminator, build_generator
from pose_gan.poses.imports.poses import read_poses
from pose_gan.poses.keypoints import read_annotations, write_annotations
from pose_gan.poses.skeleton import COCO18, load_skeleton
from pose_gan.training.checkpoint import restore_checkpoint, save_checkpoint

Damage = Callable[[bytes, Draw], bytes]
SMALL = ModelConfig((64, 64), width=0.02)


@dataclass(frozen=True)
class Case:
    """A kind of files.

    Attributes:
        name: the name of the whole file, or folder, among the seeds.
        readers: public functions of the package that take its path.
        damages: how it is damaged, besides by bytes; for a folder by the end of a file's name.
    """

    name: str
    readers: tuple[Callable[[Path], Any], ...]
    damages: tuple[Damage, ...] | dict[str, Damage] = ()

    def damaged(self, seeds: Path, folder: Path, draw: Draw) -> Path:
        """Puts a damaged copy into `folder`, which may hold nothing else. Returns its path."""
        source, path = seeds / self.name, folder / self.name
        if isinstance(self.damages, dict):
            shutil.copytree(source, path)
            mutations.damage_folder(path, self.damages, draw)
        else:
            damage = draw(st.sampled_from([*self.damages * 2, damage_bytes]))
            path.write_bytes(damage(source.read_bytes(), draw))
        return path


def _graph(content: bytes, draw: Draw) -> bytes:
    return damage_graph(content, draw, tf.compat.v1.GraphDef)


def _saved_model(content: bytes, draw: Draw) -> bytes:
    return damage_graph(content, draw, saved_model_pb2.SavedModel)


def _frames(path: Path) -> None:
    for number, _ in enumerate(open_clip(path)):
        if number > 20:
            return


def _variables() -> dict[str, Sequence[keras.Variable]]:
    return {"weights": [keras.Variable(np.zeros((3, 2), np.float32)), keras.Variable(np.zeros(4, np.float32))]}


def _checkpoint(path: Path) -> None:
    checkpoint = latest_checkpoint(path)
    if checkpoint is not None:
        restore_checkpoint(checkpoint, _variables())


def _run(path: Path) -> None:
    RunConfig.from_dict(read_options(path)["config"], str(path))
    latest_generator(path)


def _once(open_file: Any, path: Path) -> None:
    """For functions that keep what they have opened, by its path."""
    open_file.cache_clear()
    open_file(path)


def _poses(path: Path) -> None:
    read_poses(path, COCO18, image_size=(64, 64))


FOREIGN_JSON = ("openpose", "coco", "alphapose", "mmpose", "mediapipe")
_MODEL = (read_info, load_model)
_DAMAGED_MODEL = {"saved_model.pb": _saved_model, ".json": damage_json}

CASES = (
    Case("generator.keras", (load_generator,), (damage_archive,)),
    Case("discriminator.h5", _MODEL, (damage_hdf5,)),
    Case("discriminator.keras", _MODEL, (damage_archive,)),
    Case("sim_discriminator.keras", _MODEL, (damage_archive,)),
    Case("saved_model", (load_generator,), _DAMAGED_MODEL),
    Case("generator.tflite", (read_info,)),
    Case("generator.onnx", (read_info,)),
    Case("release.h5", (load_generator,), (damage_hdf5,)),
    Case("release_discriminator.h5", _MODEL, (damage_hdf5,)),
    Case("estimator.pb", (load_estimator,), (_graph,)),
    Case("estimator.keras", (load_estimator,), (damage_archive,)),
    Case("estimator.h5", (load_estimator,), (damage_hdf5,)),
    Case("estimator", (load_estimator,), {"saved_model.pb": _saved_model}),
    Case("cmu.h5", (load_estimator,), (damage_hdf5,)),
    Case("heat_maps.weights.h5", (functools.partial(load_network, width=8),), (damage_hdf5,)),
    Case("inception.pb", (functools.partial(_once, open_graph),), (_graph,)),
    Case("detector.pb", (functools.partial(_once, graph_detector),), (_graph,)),
    Case("annotations.csv", (read_annotations,), (damage_text,)),
    *(Case(f"{name}.json", (_poses,), (damage_json, damage_text)) for name in FOREIGN_JSON),
    Case("deeplabcut.csv", (_poses,), (damage_text,)),
    *(Case(f"deeplabcut_{form}.h5", (_poses,), (damage_hdf5,)) for form in ("fixed", "table")),
    Case("pairs.csv", (read_pairs,), (damage_text,)),
    Case("skeleton.json", (load_skeleton,), (damage_json, damage_text)),
    Case("skeleton.toml", (load_skeleton,), (damage_text,)),
    *(Case(f"image.{end}", (read_image, read_header)) for end in ("png", "jpg", "gif", "bmp", "webp", "tif")),
    Case("clip.gif", (_frames,)),
    Case("run", (_run,), {".json": damage_json, "LAST": damage_text}),
    Case("checkpoints", (_checkpoint,), {".npz": damage_archive, ".json": damage_json, "LAST": damage_text}),
)


# ------------------------------------------------------------------------------------- whole files


def write_seeds(folder: Path) -> None:
    """Writes a whole file of every kind into `folder`, which is made. All are small."""
    folder.mkdir()
    keras.utils.set_random_seed(0)
    generator = build_generator(dataclasses.replace(SMALL, warp_skip="none"))
    info = dataclasses.replace(describe(generator), training=TrainingInfo("run", "market", None, 1, 1, 1e-4, 0))
    save_model(generator, folder / "generator.keras", info)
    discriminator, info = build_discriminator(SMALL), ModelInfo("discriminator", SMALL)
    for name in ("discriminator.h5", "discriminator.keras"):
        save_model(discriminator, folder / name, info)
    sim = ModelInfo("discriminator", dataclasses.replace(SMALL, disc_type="sim"))
    save_model(build_discriminator(sim.model), folder / "sim_discriminator.keras", sim)
    network = Network(0, size=(64, 64), width=0.125, warp_skip="none")
    network.generator().save(folder / "release.h5", True)
    Network(0, size=(64, 64), width=0.125).discriminator().save(folder / "release_discriminator.h5", False)
    with tarfile.open(ROOT / "tests/model_files/version_0.1.0.tar.xz") as archive:
        archive.extractall(folder / "old", filter="data")
    for name in ("saved_model", "generator.tflite", "generator.onnx"):
        shutil.move(folder / "old/export" / name, folder / name)
    shutil.copytree(folder / "old/run", folder / "run")
    shutil.rmtree(folder / "old")
    _write_networks(folder)
    _write_data(folder)


def _write_networks(folder: Path) -> None:
    image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, 2, "same", activation="relu")(x))
    model = keras.Model(image, [keras.layers.Conv2D(count, 3, 4, "same")(x) for count in (38, 19)])
    model.save(folder / "estimator.keras")
    model.save(folder / "estimator.h5")
    model.export(folder / "estimator", verbose=False)  # pyright: ignore[reportAttributeAccessIssue]
    build_network(width=8).save_weights(folder / "heat_maps.weights.h5")
    random = np.random.default_rng(0)
    with h5py.File(folder / "cmu.h5", "w") as file:
        for name, (kernel, bias) in cmu_shapes().items():
            group = file.create_group(name)
            group[f"{name}_W"] = random.normal(0, 0.1, kernel).astype("f4")
            group[f"{name}_b"] = np.zeros(bias, "f4")
    with tf.Graph().as_default() as graph:
        pixels = tf.compat.v1.placeholder(tf.float32, (None, None, None, 3), "image")
        kernel = random.normal(0, 0.1, (3, 3, 3, 57)).astype("f4")
        tf.identity(tf.nn.relu(tf.nn.conv2d(pixels, kernel, 8, "SAME")), name="Openpose/concat_stage7")
    (folder / "estimator.pb").write_bytes(graph.as_graph_def().SerializeToString())
    with tf.Graph().as_default() as graph:
        pixels = tf.compat.v1.placeholder(tf.uint8, (None, None, None, 3), "image_tensor")
        means = tf.reduce_mean(tf.cast(pixels, tf.float32), axis=[1, 2]) / 255
        tf.identity(means, name="detection_scores")
        tf.add(tf.zeros_like(means), [1.0, 2.0, 1.0], name="detection_classes")
    (folder / "detector.pb").write_bytes(graph.as_graph_def().SerializeToString())
    with tf.Graph().as_default() as graph:
        pixels = tf.compat.v1.placeholder(tf.float32, (None, None, None, 3), "ExpandDims")
        pooled = tf.reduce_mean(tf.image.resize(pixels, (8, 8)), axis=[1, 2], keepdims=True, name="pool_3")
        weights = tf.constant(random.normal(0, 1, (3, 5)).astype("f4"), name="softmax/weights")
        tf.matmul(tf.reshape(pooled, (-1, 3)), weights, name="softmax/logits/MatMul")
    (folder / "inception.pb").write_bytes(graph.as_graph_def().SerializeToString())


def cmu_shapes() -> dict[str, tuple[tuple[int, ...], tuple[int]]]:
    """The shapes of kernel and bias of every convolution of a CMU network of two channels."""
    shapes: dict[str, tuple[tuple[int, ...], tuple[int]]] = {}
    below = 3
    for name in cmu.layer_names()[:12]:
        shapes[name], below = ((3, 3, below, 2), (2,)), 2
    for stage in range(1, cmu.STAGES + 1):
        for branch, count in (("L1", 38), ("L2", 19)):
            below, names = 2 + 57 * (stage > 1), cmu.stage_layers(stage, branch)
            for name in names:
                channels = count if name == names[-1] else 2
                shapes[name], below = ((1, 1, below, channels), (channels,)), channels
    return shapes


def _write_foreign_keypoints(folder: Path, poses: np.ndarray) -> None:
    names = [f"{number}.jpg" for number in range(len(poses))]
    values = {
        "openpose": twin.openpose(list(poses), twin.BODY25),
        "coco": twin.coco_annotations(names, poses, (64, 64)),
        "alphapose": twin.alphapose(names, poses, twin.HALPE26),
        "mmpose": [{"frame_id": n, "instances": twin.mmpose_people([p], twin.COCO17)} for n, p in enumerate(poses)],
        "mediapipe": {name: twin.mediapipe_person(pose, (64, 64)) for name, pose in zip(names, poses, strict=True)},
    }
    for name in FOREIGN_JSON:
        (folder / f"{name}.json").write_text(json.dumps(values[name]))
    joints = list(COCO18.joints)
    (folder / "deeplabcut.csv").write_text(twin.deeplabcut_csv(names, joints, poses))
    for form in ("fixed", "table"):
        twin.deeplabcut_hdf5(folder / f"deeplabcut_{form}.h5", names, joints, poses, form)


def _write_data(folder: Path) -> None:
    random = np.random.default_rng(1)
    poses = random.integers(0, 64, (6, COCO18.num_joints, 2))
    names = [f"000{person}_c1_{number}.jpg" for person in (1, 2) for number in range(3)]
    write_annotations(folder / "annotations.csv", names, poses)
    _write_foreign_keypoints(folder, poses.astype(np.int32))
    write_pairs(folder / "pairs.csv", make_pairs(read_annotations(folder / "annotations.csv")))
    (folder / "skeleton.json").write_text(json.dumps(COCO18.to_dict()))
    (folder / "skeleton.toml").write_text(_toml(COCO18.to_dict()))
    picture = Image.fromarray(random.integers(0, 256, (24, 16, 3), dtype=np.uint8))
    for end in ("png", "jpg", "gif", "bmp", "webp", "tif"):
        picture.save(folder / f"image.{end}")
    pictures = [Image.fromarray(random.integers(0, 256, (24, 16, 3), dtype=np.uint8)) for _ in range(3)]
    picture.save(folder / "clip.gif", save_all=True, append_images=pictures, duration=40)
    generator = build_generator(dataclasses.replace(SMALL, warp_skip="none"))
    models = {"generator.h5": (generator, describe(generator))}
    for step in (1, 2):
        save_checkpoint(folder / "checkpoints", step, models, _variables(), {"position": 4 * step})


def _toml(skeleton: dict[str, Any]) -> str:
    """A skeleton's file in TOML; JSON's texts, numbers and lists are TOML's too."""
    plain = {
        key: value
        for key, value in skeleton.items()
        if not (value and isinstance(value, list) and isinstance(value[0], dict))
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in plain.items() if value is not None]
    for key, tables in skeleton.items():
        for table in () if key in plain else tables:
            lines.append(f"[[{key}]]")
            lines += [f"{name} = {json.dumps(value)}" for name, value in table.items() if value is not None]
    return "\n".join(lines) + "\n"
