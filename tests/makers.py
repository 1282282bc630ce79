"""Small networks, inputs, poses and metadata that several test modules use."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from pose_gan.config import ModelConfig
from pose_gan.model_files.metadata import TrainingInfo

SIZE = (96, 64)


def config(**values) -> ModelConfig:
    return ModelConfig(**{"image_size": SIZE, "width": 0.125, **values})


def inputs(model: keras.Model, count: int = 2, seed: int = 0) -> dict[str, tf.Tensor]:
    """Random photographs, and poses inside of the image with one joint missing."""
    random = np.random.default_rng(seed)
    values = {}
    for tensor in model.inputs:
        if tensor.name.endswith("keypoints"):
            height, width = SIZE
            pose = random.integers(0, (height, width), (count, tensor.shape[1], 2)).astype("float32")
            pose[:, 1] = -1
            values[tensor.name] = tf.constant(pose)
        else:
            values[tensor.name] = tf.constant(random.uniform(-1, 1, (count, *tensor.shape[1:])), tf.float32)
    return values


STANDING = np.array(
    [
        *[(1.2, 5.0), (2.2, 5.0), (2.2, 3.2), (3.7, 2.6), (5.0, 2.4), (2.2, 6.8), (3.7, 7.5), (5.0, 7.7)],
        *[(5.2, 3.8), (7.1, 3.7), (9.0, 3.5), (5.2, 6.2), (7.1, 6.4), (9.0, 6.6)],
        *[(1.0, 5.4), (1.0, 4.6), (1.1, 6.0), (1.1, 4.0)],
    ]
)


def people(count: int, image_size: tuple[int, int], seed: int = 0, missing: float = 0.15) -> np.ndarray:
    """Standing people, shaken, moved (partly out of the image) and with missing joints: int32 (B, 18, 2)."""
    random = np.random.default_rng(seed)
    size = np.array(image_size)
    poses = STANDING[None] / 10 + random.normal(0, 0.04, (count, 18, 2)) + random.normal(0, 0.1, (count, 1, 2))
    poses = np.round(poses * size).astype(np.int32)
    poses[poses == -1] = 0  # −1 would mean missing
    poses[random.random((count, 18)) < missing] = -1
    return poses


TRAINING = TrainingInfo("00003-market-mask", "market", "full", 90000, 4, 2e-4, 0, "begun.h5")
