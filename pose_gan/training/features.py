"""Frozen networks that losses use: VGG-19 features and the heat maps of a pose estimator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from pose_gan.errors import InputError
from pose_gan.estimators import vgg19
from pose_gan.estimators.networks import open_network
from pose_gan.estimators.pretrained import imagenet_weights
from pose_gan.poses.skeleton import COCO18, Skeleton

VGG_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"


class VGGFeatures(keras.layers.Layer):
    """Feature maps of VGG-19 (Simonyan and Zisserman 2014), frozen.

    Args:
        layers: names such as `block1_conv2` (the paper's conv1_2, after ReLU).
        weights: `imagenet` (Keras' file, downloaded once to `~/.keras/models`), `random` (seeded) or
            the path of a weights file; see `pose_gan.estimators.vgg19.read`. Features of a file whose filters were
            normalised are scaled to those of Keras' file, so that loss weights keep their meaning.

    Call arguments: images `(B, H, W, 3)` in [-1, 1].
    Returns: a list of `(B, h, w, C)`, one per layer.
    Raises: InputError: a layer is unknown, or the weights cannot be downloaded or read.
    Deviation: the release subtracts the BGR means before it reverses the channels. Here, the channels are
        reversed first, as when VGG-19 was trained.
    """

    def __init__(self, layers: Sequence[str], weights: str) -> None:
        super().__init__(trainable=False, name="vgg19")
        self.model = vgg19.build(layers, vgg_weights(weights, vgg19.deepest(layers)))

    def call(self, images: tf.Tensor) -> list[tf.Tensor]:
        pixels = (tf.cast(images, tf.float32) + 1.0) * 127.5
        bgr = pixels[..., ::-1] - tf.constant(vgg19.BGR_MEANS)
        out = self.model(bgr, training=False)
        return list(out) if isinstance(out, (list, tuple)) else [out]


def vgg_weights(source: str, upto: str) -> vgg19.Weights:
    """Weights of VGG-19's layers up to `upto`, with the scale of their features.

    Args:
        source: `imagenet`, `random` or the path of a file; see `VGGFeatures`.
    Raises: InputError: they cannot be downloaded or read.
    """
    if source == "random":
        return vgg19.random_weights(upto)
    path = Path(source)
    if source == "imagenet":
        path = imagenet_weights(
            VGG_FILE,
            lambda: keras.applications.VGG19(include_top=False, weights="imagenet"),
            "--vgg_weights",
            80,
        )
    if not path.is_file():
        raise InputError(f"vgg_weights: {path}: no such file; give imagenet, random or the path of {VGG_FILE}")
    try:
        return vgg19.measured(vgg19.read(path, upto), upto)
    except InputError as error:
        raise InputError(f"vgg_weights: {error}") from None


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
