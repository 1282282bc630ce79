"""The Inception networks behind IS and FID: they map images to class probabilities and pooled features.

There are two networks, and their scores are not comparable. Published IS and FID use the network of 2015, a frozen
graph from TensorFlow's ImageNet tutorial; the user must supply its file. Keras' InceptionV3 has nearly the same
architecture but other weights. So its scores have their own names and titles.

Reference: C. Szegedy et al., Rethinking the Inception architecture for computer vision, CVPR 2016.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from pose_gan.errors import InputError, reason
from pose_gan.estimators import foreign
from pose_gan.estimators.pretrained import imagenet_weights, read_graph
from pose_gan.metrics.base import CannotCompute, ImageBatch, MetricOptions

SIDE = 299  # pixels of the networks' input, for any aspect ratio of the image
BATCH = 32  # number of images that go through a network together
GRAPH_FILE = "classify_image_graph_def.pb"
KERAS_FILE = "inception_v3_weights_tf_dim_ordering_tf_kernels.h5"

_INPUT, _POOL, _LOGITS = "ExpandDims", "pool_3", "softmax/logits/MatMul"  # nodes of the graph of 2015


class Activations(NamedTuple):
    """The outputs of a network for N images.

    Attributes:
        probabilities: float32 `(N, classes)`; 1008 classes for the graph of 2015, 1000 for Keras.
        features: float32 `(N, 2048)`, the averages of the last feature maps over the image (`pool_3`).
    """

    probabilities: np.ndarray
    features: np.ndarray


@dataclass(frozen=True, eq=False)
class Inception:
    """An opened network.

    Attributes:
        run: float32 `(N, H, W, 3)`, RGB in [0, 255] → probabilities and features.
        resizes: whether `run` resizes images to 299×299. The graph of 2015 does so, bilinearly and without smoothing.
            The other network takes images from `bicubic`.

    Call arguments: images `(N, H, W, 3)` with N ≥ 1, RGB in [0, 255], of any number type and size.
    """

    run: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    resizes: bool = True

    def __call__(self, images: np.ndarray) -> Activations:
        starts = range(0, len(images), BATCH)
        prepare = (lambda part: part.astype(np.float32)) if self.resizes else bicubic
        parts = [self.run(prepare(images[start : start + BATCH])) for start in starts]
        probabilities, features = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return Activations(probabilities, features)

    def of_resized(self, batch: ImageBatch) -> Activations:
        """The outputs for the generated images, resized by `bicubic`. They are computed once per batch."""
        return batch.once(("inception", self), lambda: self(bicubic(batch.generated)))

    def of_resized_targets(self, batch: ImageBatch) -> Activations:
        """The outputs for the target images, resized by `bicubic`. All batches with these targets share them."""
        return batch.once_for_targets(("inception", self), lambda: self(bicubic(batch.reference)))


def bicubic(images: np.ndarray) -> np.ndarray:
    """Resizes images to 299×299 for FID by Pillow's bicubic filter, which smooths when it shrinks, without rounding.

    Args:
        images: `(N, H, W, 3)` with N ≥ 1, range [0, 255].
    Returns: float32 `(N, 299, 299, 3)`; the filter may overshoot [0, 255] a little, and values are not clipped.
    Reference: G. Parmar et al., On aliased resizing and surprising subtleties in GAN evaluation, CVPR 2022.
    """
    channels = np.moveaxis(images.astype(np.float32), -1, 1).reshape(-1, *images.shape[1:3])
    size, kind = (SIDE, SIDE), Image.Resampling.BICUBIC
    resized = [np.asarray(Image.fromarray(channel).resize(size, kind)) for channel in channels]
    return np.moveaxis(np.stack(resized).reshape(-1, 3, SIDE, SIDE), 1, -1)


# ---------------------------------------------------------------------------- the graph of 2015


@cache
def open_graph(path: str | os.PathLike[str]) -> Inception:
    """The network of 2015. The same file is opened only once.

    Probabilities are softmax(features · weights) without the biases. This follows the code of the Inception score's
    authors (openai/improved-gan), with which published scores were computed.

    Args:
        path: the file `classify_image_graph_def.pb`.
    Raises: InputError: the file does not exist, or holds another network.
    """
    import tensorflow as tf

    definition = read_graph(path, "--inception_graph")
    nodes = {node.name: node for node in definition.node}
    if missing := [name for name in (_INPUT, _POOL, _LOGITS) if name not in nodes]:
        raise InputError(f"--inception_graph: {path}: has no node {missing[0]}; give {GRAPH_FILE}")
    for node in definition.node:
        node.attr.pop("_output_shapes", None)  # these shapes fix a batch of one; without them any batch size works

    # A session is used and not `wrap_function`: functions run at TensorFlow's present graph version, which no longer
    # has the graph's batch normalisation. A session runs at the version for which the file was written.
    try:
        with tf.Graph().as_default() as graph:
            images = tf.compat.v1.placeholder(tf.float32, (None, None, None, 3))
            name = nodes[_LOGITS].input[1]
            wanted = [f"{_POOL}:0", name if ":" in name else f"{name}:0"]
            pooled, weights = tf.import_graph_def(definition, {f"{_INPUT}:0": images}, wanted, name="")
            features = tf.reshape(pooled, (-1, weights.shape[0]))
            outputs = tf.nn.softmax(tf.matmul(features, weights)), features
        session = tf.compat.v1.Session(graph=graph)
        session.run(outputs, {images: np.zeros((2, SIDE, SIDE, 3), np.float32)})
    except Exception as error:  # TensorFlow has no common class for errors of import, shapes and running
        raise InputError(f"--inception_graph: {path}: does not run as {GRAPH_FILE} does ({reason(error)})") from None
    return Inception(lambda pixels: session.run(outputs, {images: pixels}))


# ----------------------------------------------------------------------------- Keras' InceptionV3


@cache
def open_keras(weights: str | os.PathLike[str]) -> Inception:
    """Keras' InceptionV3 with its top layer. The same weights are opened only once.

    Images are resized by `bicubic` and scaled to [-1, 1].

    Args:
        weights: `imagenet` (Keras' file, downloaded once to `~/.keras/models`) or the path of such a file.
    Raises: InputError: the weights cannot be downloaded or read.
    """
    import keras
    import tensorflow as tf

    path = Path(weights)
    if weights == "imagenet":
        path = imagenet_weights(
            KERAS_FILE, lambda: keras.applications.InceptionV3(weights="imagenet"), "--keras_inception", 96
        )
    if not path.is_file():
        raise InputError(f"--keras_inception: {path}: no such file; give imagenet or the path of {KERAS_FILE}")
    full = keras.applications.InceptionV3(weights=None)
    try:
        foreign.load_weights(full, path, "InceptionV3 with its top")
    except InputError as error:
        raise InputError(f"--keras_inception: {path}: not weights of InceptionV3 with its top ({error})") from None
    model = keras.Model(full.input, [full.output, full.get_layer("avg_pool").output])
    forward = tf.function(
        lambda pixels: model(pixels / 127.5 - 1.0, training=False),
        input_signature=[tf.TensorSpec((None, SIDE, SIDE, 3), tf.float32)],
    )

    def run(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        probabilities, features = forward(images)
        return probabilities.numpy(), features.numpy()

    return Inception(run, resizes=False)


# ------------------------------------------------------------------------------- for the metrics


@dataclass(frozen=True)
class Scale:
    """One of the two networks, with the names and settings that the metrics need.

    Attributes:
        suffix: suffix of the metrics' names.
        title: suffix of the metrics' titles.
        settings: the network, and its preparation of images.
        classes: the origin of the class probabilities.
        open: opens the network. It raises CannotCompute if the user named no file, and InputError if the file is bad.
    """

    suffix: str
    title: str
    settings: dict[str, str]
    classes: str
    open: Callable[[MetricOptions], Inception]


def _open_graph(options: MetricOptions) -> Inception:
    if options.inception_graph is None:
        raise CannotCompute(
            f"needs the Inception network of 2015, {GRAPH_FILE}, from the archive inception-2015-12-05.tgz of "
            "TensorFlow's ImageNet tutorial: --inception_graph FILE.pb"
        )
    return open_graph(options.inception_graph)


def _open_keras(options: MetricOptions) -> Inception:
    if options.keras_inception is None:
        raise CannotCompute(
            "needs weights of Keras' InceptionV3: --keras_inception imagenet (fetched once, 96 MB), or "
            f"--keras_inception FILE with {KERAS_FILE} from the keras-applications releases"
        )
    return open_keras(options.keras_inception)


SCALES = (
    Scale(
        suffix="",
        title="",
        settings={"network": f"Inception of 2015 ({GRAPH_FILE})"},
        classes="1008 classes, softmax without the biases, as in openai/improved-gan",
        open=_open_graph,
    ),
    Scale(
        suffix="_keras",
        title=" (Keras)",
        settings={"network": "InceptionV3 of keras.applications", "weights": "keras_inception"},
        classes="1000 classes, softmax with biases",
        open=_open_keras,
    ),
)
