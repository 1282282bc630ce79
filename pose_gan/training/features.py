"""Frozen networks that losses use: VGG-19 features and the heat maps of a pose estimator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pose_gan.errors import InputError
from pose_gan.estimators import foreign
from pose_gan.estimators.networks import open_network
from pose_gan.estimators.pretrained import imagenet_weights
from pose_gan.poses.skeleton import COCO18, Skeleton

VGG_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
RANDOM_SEED = 19  # so that `random` weights are the same in every run

_BGR_MEANS = (103.939, 116.779, 123.68)


class VGGFeatures(keras.layers.Layer):
    """Feature maps of VGG-19 (Simonyan and Zisserman 2014), frozen.

    Args:
        layers: names such as `block1_conv2` (the paper's conv1_2, after ReLU).
        weights: `imagenet` (Keras' file, downloaded once to `~/.keras/models`), `random` (seeded) or
            the path of a VGG-19 weights file of keras-applications.
        input_size: (height, width) of the images.

    Call arguments: images `(B, H, W, 3)` in [-1, 1].
    Returns: a list of `(B, h, w, C)`, one per layer.
    Raises: InputError: a layer is unknown, or the weights cannot be downloaded or read.
    Deviation: the release subtracts the BGR means before it reverses the channels. Here, the channels are
        reversed first, as when VGG-19 was trained.
    """

    def __init__(self, layers: Sequence[str], weights: str, input_size: tuple[int, int]) -> None:
        super().__init__(trainable=False, name="vgg19")
        full = _vgg19(weights, input_size)
        known = [layer.name for layer in full.layers[1:]]
        for name in layers:
            if name not in known:
                raise InputError(f"content_loss_layer: VGG-19 has no layer {name!r}; allowed: none, {', '.join(known)}")
        self.model = keras.Model(full.input, [full.get_layer(name).output for name in layers])
        self.model.trainable = False

    def call(self, images: tf.Tensor) -> list[tf.Tensor]:
        pixels = (tf.cast(images, tf.float32) + 1.0) * 127.5
        bgr = pixels[..., ::-1] - tf.constant(_BGR_MEANS)
        out = self.model(bgr, training=False)
        return list(out) if isinstance(out, (list, tuple)) else [out]


def _vgg19(weights: str, input_size: tuple[int, int]) -> keras.Model:
    model = keras.applications.VGG19(include_top=False, weights=None, input_shape=(*input_size, 3))
    if weights == "random":
        rng = np.random.default_rng(RANDOM_SEED)  # Keras' own generator belongs to the run
        for weight in model.weights:
            deviation = np.sqrt(2.0 / np.prod(weight.shape[:-1])) if len(weight.shape) == 4 else 0.0  # He et al. 2015
            weight.assign(rng.normal(0.0, deviation, weight.shape))
        return model
    path = Path(weights)
    if weights == "imagenet":
        path = imagenet_weights(
            VGG_FILE,
            lambda: keras.applications.VGG19(include_top=False, weights="imagenet"),
            "--vgg_weights",
            80,
        )
    if not path.is_file():
        raise InputError(f"vgg_weights: {path}: no such file; give imagenet, random or the path of {VGG_FILE}")
    try:
        foreign.load_weights(model, path, "VGG-19 without its top")
    except InputError as error:
        raise InputError(f"vgg_weights: {path}: not a weights file of VGG-19 without its top ({error})") from None
    return model


def load_pose_maps(
    path: str, image_size: tuple[int, int], skeleton: Skeleton = COCO18
) -> Callable[[tf.Tensor], tf.Tensor]:
    """A pose estimator as a function from images to heat maps, for the structure loss.

    Args:
        path: a network that gives heat maps; see `pose_gan.estimators.networks.open_network`. Only its
            first `joints` maps are used.
        image_size: (height, width) of the images, in pixels.
        skeleton: gives the number of joints.
    Returns: images `(B, H, W, 3)` in [-1, 1], RGB → heat maps `(B, h, w, joints)`.
    Raises: InputError: there is no such network, or it gives too few maps.
    """
    network = open_network(path)
    count = network.count_maps(image_size)
    if count < skeleton.num_joints:
        raise InputError(f"pose_estimator: {path} gives {count} maps; the skeleton has {skeleton.num_joints} joints")

    def pose_maps(images: tf.Tensor) -> tf.Tensor:
        return network((tf.cast(images, tf.float32) + 1.0) * 127.5)[..., : skeleton.num_joints]

    return pose_maps
