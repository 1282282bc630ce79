"""A small fully convolutional pose network of our own, and the one that comes with the package.

The network gives one map of logits per joint, at a quarter of the image's size. One more logit, which is always 0,
stands for "nowhere". So the map of a joint becomes a probability over its possible places:
`p = exp(l) / (1 + Σ exp(l))`. The network learns "missing" like any place, with the probability 1 − Σ p.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from pose_gan.errors import InputError
from pose_gan.estimators import foreign
from pose_gan.estimators.base import Poses
from pose_gan.poses.keypoints import MISSING
from pose_gan.poses.skeleton import COCO18, Skeleton

DEMO_FILE = Path(__file__).with_name("demo.weights.h5")  # weights only, since a whole model needs a version of Keras
HEIGHT = 128  # height in pixels of the images that the network sees
STRIDE = 4  # pixels per cell of the maps
MULTIPLE = 16  # the network halves its input four times
THRESHOLD = 0.5  # probability below which a joint counts as missing


def build_network(num_joints: int = COCO18.num_joints, width: int = 16) -> keras.Model:
    """Builds a residual encoder down to 1/16 of the image's size and a decoder up to 1/4, from stock Keras layers.

    Args:
        num_joints: number of maps in the output.
        width: channels of the first level; the other levels have 3, 4 and 6 times as many.
    Returns: a model that takes RGB images `(B, H, W, 3)`, range [0, 255], with H and W divisible by 16, and gives
        logits `(B, H/4, W/4, joints)`.
    """
    image = layers.Input((None, None, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = _convolution(x, width, strides=2)
    levels = []
    for factor, blocks in ((3, 1), (4, 1), (6, 2)):
        x = _convolution(x, factor * width, strides=2)
        for _ in range(blocks):
            x = _residual_block(x)
        levels.append(x)
    for skip in reversed(levels[:-1]):
        x = layers.Conv2D(skip.shape[-1], 1, use_bias=False)(x)
        x = layers.UpSampling2D(interpolation="bilinear")(x)
        x = _residual_block(layers.Add()([x, skip]))
    # Training needs fewer steps if the network starts with "nowhere" as its most likely answer
    bias = keras.initializers.Constant(-6.0)
    logits = layers.Conv2D(num_joints, 1, bias_initializer=bias, name="logits")(x)
    return keras.Model(image, logits, name="heat_map_network")


def _convolution(x: keras.KerasTensor, channels: int, strides: int = 1, active: bool = True) -> keras.KerasTensor:
    x = layers.Conv2D(channels, 3, strides=strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.98)(x)
    return layers.ReLU()(x) if active else x


def _residual_block(x: keras.KerasTensor) -> keras.KerasTensor:
    channels = x.shape[-1]
    return layers.ReLU()(layers.Add()([x, _convolution(_convolution(x, channels), channels, active=False)]))


def load_network(path: str | os.PathLike[str], num_joints: int = COCO18.num_joints, width: int = 16) -> keras.Model:
    """A network of `build_network` with the weights of a `.weights.h5` file.

    Raises: InputError: the file does not exist, or holds the weights of another network.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file of weights")
    network = build_network(num_joints, width)
    foreign.load_weights(network, path, f"a heat map network of width {width} for {num_joints} joints")
    return network


def location_loss(logits: tf.Tensor, keypoints: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """Cross entropy over the places of the joints, which include "nowhere".

    The true distribution shares its weight between the four cells around a joint, as bilinear interpolation does. So
    the centre of gravity of these cells is the exact place of the joint.

    Args:
        logits: float32 `(B, h, w, joints)`.
        keypoints: float32 `(B, joints, 2)`, (y, x) in pixels of the network's input.
        present: bool `(B, joints)`; whether the joint is in the image.
    Returns: float32 scalar, the mean over images and joints, in nats.
    """
    size = tf.shape(logits)[1:3]
    cells = tf.clip_by_value((keypoints + 0.5) / STRIDE - 0.5, 0.0, tf.cast(size - 1, tf.float32))

    def shares(axis: int) -> tf.Tensor:  # (B, joints, h or w)
        return tf.nn.relu(1 - tf.abs(cells[..., axis, None] - tf.range(size[axis], dtype=tf.float32)))

    at_place = tf.einsum("bhwj,bjh,bjw->bj", logits, shares(0), shares(1))
    everywhere = tf.reshape(logits, (tf.shape(logits)[0], -1, logits.shape[-1]))
    total = tf.reduce_logsumexp(tf.pad(everywhere, ((0, 0), (1, 0), (0, 0))), axis=1)
    return tf.reduce_mean(total - tf.where(present, at_place, 0.0))


def decode(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decodes the most likely place of each joint, and the probability that the joint is in the image.

    Args:
        logits: float `(B, h, w, joints)`.
    Returns: the places, float32 `(B, joints, 2)`, (y, x) in cells, where (0, 0) is the middle of the first cell; and
        the probability that the joint is in the image, float32 `(B, joints)`. A place is the centre of gravity of the
        3×3 cells around the likeliest cell.
    """
    batch, _, width, joints = logits.shape
    top = logits.max(axis=(1, 2))
    weights = np.exp(logits - top[:, None, None])
    anywhere = top + np.log(weights.sum(axis=(1, 2)))  # the logarithm of Σ exp(l)
    row, column = np.divmod(weights.reshape(batch, -1, joints).argmax(axis=1), width)
    padded = np.pad(weights, np.array([(0, 0), (1, 1), (1, 1), (0, 0)]))
    image, joint = np.ogrid[:batch, :joints]
    shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    around = np.stack([padded[image, row + 1 + dy, column + 1 + dx, joint] for dy, dx in shifts])
    offset = np.einsum("kbj,kc->bjc", around, np.array(shifts)) / around.sum(axis=0)[..., None]
    places = np.stack([row, column], axis=-1) + offset
    return places.astype(np.float32), tf.sigmoid(anywhere).numpy().astype(np.float32)


class HeatMapEstimator:
    """A network of `build_network` as an estimator.

    Images of any size are scaled, with their aspect ratio, to the height on which the network was trained. So the
    person should fill the height of the image, as in the crops of the data sets.

    Args:
        network: a model that takes images `(B, 128, W, 3)` and gives logits.
        name: a name for messages.
        skeleton: the skeleton whose joints the network's maps show.
        threshold: a joint is missing if its probability is below this value.
    Raises: InputError: the network does not give one map per joint.
    """

    def __init__(
        self,
        network: keras.Model,
        name: str = "heat map network",
        skeleton: Skeleton = COCO18,
        threshold: float = THRESHOLD,
    ) -> None:
        if len(network.inputs) != 1 or network.output_shape[-1] != skeleton.num_joints:
            raise InputError(
                f"{name}: gives {network.output_shape[-1]} maps of {len(network.inputs)} inputs, expected one map for "
                f"each of the {skeleton.num_joints} joints of skeleton {skeleton.name!r}, of one image"
            )
        self.name = name
        self.skeleton = skeleton
        self.preferred_batch = 32
        self.network = network
        self._threshold = threshold
        self._graphs: dict[int, Callable[[np.ndarray], tf.Tensor]] = {}

    def __call__(self, images: np.ndarray) -> Poses:
        """Finds the main person in each image; see `Estimator`.

        Raises: InputError: `images` is not uint8 `(B, H, W, 3)`.
        """
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape[1:]:
            raise InputError(f"images: expected uint8 (B, H, W, 3), RGB, got {images.dtype} {images.shape}")
        size = np.array(images.shape[1:3])
        seen = np.array([HEIGHT, max(1, round(size[1] * HEIGHT / size[0]))])
        parts = [
            decode(self._maps(images[start : start + self.preferred_batch], seen))
            for start in range(0, len(images), self.preferred_batch)
        ]
        empty = np.zeros((0, self.skeleton.num_joints), np.float32)
        cells = np.concatenate([empty[..., None].repeat(2, -1), *(places for places, _ in parts)])
        scores = np.concatenate([empty, *(likely for _, likely in parts)])
        # Cells are numbered at their middle, half a cell from the border, and pixels at their upper left corner
        keypoints = np.floor((cells + 0.5) * STRIDE * (size / seen))
        keypoints = np.clip(keypoints, 0, size - 1).astype(np.int32)
        is_found = scores >= self._threshold
        return Poses(np.where(is_found[..., None], keypoints, MISSING).astype(np.int32), np.where(is_found, scores, 0))

    def _maps(self, images: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Logits of the cells that lie inside of the images scaled to the size `seen`: float32 `(B, h, w, joints)`."""
        scaled = tf.image.resize(images, seen, antialias=True).numpy()
        margin = [(0, 0), *((0, -side % MULTIPLE) for side in seen), (0, 0)]
        logits = self._run(np.pad(scaled, margin, mode="edge")).numpy()
        height, width = -(-seen // STRIDE)
        return logits[:, :height, :width]

    def _run(self, images: np.ndarray) -> tf.Tensor:
        """Runs the network as a graph. Each width of images has its own graph, since upsampling must know the width."""
        width = images.shape[2]
        if width not in self._graphs:
            shape = tf.TensorSpec((None, HEIGHT, width, 3), tf.float32)
            self._graphs[width] = tf.function(lambda x: self.network(x, training=False), input_signature=[shape])
        return self._graphs[width](images)


@cache
def demo_estimator() -> HeatMapEstimator:
    """The network that comes with the package. It knows only the people of the demo data (`pose-gan data demo`).

    `pose-gan data train-estimator` trained it on drawings; its answers on photographs mean nothing.
    """
    return HeatMapEstimator(load_network(DEMO_FILE), "demo network (knows drawn people only)")
