"""The Inception networks and the Inception score: equal to NumPy, to closed forms and to scipy."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from scipy.stats import entropy

from pose_gan.errors import InputError
from pose_gan.metrics import ImageBatch, MetricOptions, body_mask
from pose_gan.metrics.base import CannotCompute
from pose_gan.metrics.fid import FID
from pose_gan.metrics.inception import BATCH, SIDE, Inception, bicubic, open_graph, open_keras
from pose_gan.metrics.inception_score import SPECS, InceptionScore, inception_score
from pose_gan.poses.skeleton import COCO18

BY_NAME = {spec.name: spec for spec in SPECS}
CLASSES, FEATURES, INNER_SIDE = 7, 6, 12  # of the stand-in networks


def images(count=3, size=(20, 13), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), dtype=np.uint8)


def batch(generated, keypoints=None):
    poses = np.full((len(generated), COCO18.num_joints, 2), -1) if keypoints is None else keypoints
    return ImageBatch(generated, generated, poses)


def numbers():
    """Weights of the stand-in graph."""
    random = np.random.default_rng(5)
    shapes = {
        "kernel": (3, 3, 3, FEATURES),
        "moving_mean": (FEATURES,),
        "moving_variance": (FEATURES,),
        "beta": (FEATURES,),
        "gamma": (FEATURES,),
        "weights": (FEATURES, CLASSES),
        "biases": (CLASSES,),
    }
    return {name: random.uniform(0.1, 1.0, shape).astype(np.float32) for name, shape in shapes.items()}


def write_graph(path: Path, pool: str = "pool_3") -> Path:
    """A small network with the nodes, the fixed batch of one, and the age of the graph of 2015."""
    w = numbers()
    with tf.Graph().as_default() as graph:
        contents = tf.constant(b"", name="DecodeJpeg/contents")
        x = tf.cast(tf.raw_ops.DecodeJpeg(contents=contents, channels=3, name="DecodeJpeg"), tf.float32, name="Cast")
        x = tf.raw_ops.ExpandDims(input=x, axis=0, name="ExpandDims")
        x = tf.raw_ops.ResizeBilinear(images=x, size=[INNER_SIDE, INNER_SIDE], name="ResizeBilinear")
        x = tf.multiply(tf.subtract(x, 128.0, name="Sub"), 1 / 128, name="Mul")
        x = tf.identity(tf.nn.conv2d(x, w["kernel"], 2, "VALID", name="conv/Conv2D"), name="conv/batchnorm")
        for name in ("moving_mean", "moving_variance", "beta", "gamma"):
            tf.constant(w[name], name=f"conv/batchnorm/{name}")
        x = tf.nn.relu(x, name="conv")
        x = tf.nn.avg_pool2d(x, x.shape[1:3], 1, "VALID", name=pool)
        x = tf.raw_ops.Reshape(tensor=x, shape=[1, FEATURES], name="pool_3/_reshape")
        x = tf.matmul(x, tf.constant(w["weights"], name="softmax/weights"), name="softmax/logits/MatMul")
        tf.nn.softmax(tf.nn.bias_add(x, w["biases"], name="softmax/logits"), name="softmax")
    definition = graph.as_graph_def(add_shapes=True)
    norm = next(node for node in definition.node if node.name == "conv/batchnorm")
    norm.op = "BatchNormWithGlobalNormalization"  # today's TensorFlow makes none, and runs it in old graphs only
    norm.input.extend(f"conv/batchnorm/{name}" for name in ("moving_mean", "moving_variance", "beta", "gamma"))
    norm.attr["variance_epsilon"].f = 0.001
    norm.attr["scale_after_normalization"].b = True
    definition.versions.producer = 8
    definition.versions.min_consumer = 0
    path.write_bytes(definition.SerializeToString())
    return path


def bilinear(image, side):
    """TensorFlow's first ResizeBilinear: corner to corner of pixels' top left, and no smoothing."""
    for axis in (0, 1):
        size = image.shape[axis]
        place = np.arange(side) * (size / side)
        low = np.floor(place).astype(int)
        share = (place - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        image = np.take(image, low, axis) * (1 - share) + np.take(image, np.minimum(low + 1, size - 1), axis) * share
    return image


def twin(pictures):
    """What the stand-in graph computes: probabilities without the biases, and features."""
    w, features = numbers(), []
    for picture in pictures.astype(np.float64):
        x = (bilinear(picture, INNER_SIDE) - 128) / 128
        windows = sliding_window_view(x, (3, 3), axis=(0, 1))[::2, ::2]  # (h, w, channels, 3, 3)
        x = np.einsum("hwcyx,yxcf->hwf", windows, w["kernel"])
        x = w["gamma"] * (x - w["moving_mean"]) / np.sqrt(w["moving_variance"] + 0.001) + w["beta"]
        features.append(np.maximum(x, 0).mean(axis=(0, 1)))
    exponentials = np.exp(np.array(features) @ w["weights"])
    return exponentials / exponentials.sum(axis=1, keepdims=True), np.array(features)


def colour_network(images):
    """A classifier with known outputs: how red, green and blue an image is."""
    means = images.mean(axis=(1, 2)) + 1e-9
    return means / means.sum(axis=1, keepdims=True), means


# ------------------------------------------------------------------------------------- networks


def test_graph_of_2015_equals_numpy(tmp_path):
    network = open_graph(write_graph(tmp_path / "graph.pb"))
    for pictures in (images(5), images(BATCH + 3, (32, 16), seed=1)):
        probabilities, features = network(pictures)
        assert probabilities.dtype == features.dtype == np.float32
        np.testing.assert_allclose(features, twin(pictures)[1], rtol=1e-4)
        np.testing.assert_allclose(probabilities, twin(pictures)[0], rtol=1e-4)
    assert open_graph(tmp_path / "graph.pb") is network


def test_graph_errors(tmp_path):
    with pytest.raises(
        InputError, match=r"--inception_graph: .*absent\.pb: no such file; give a frozen TensorFlow graph"
    ):
        open_graph(tmp_path / "absent.pb")
    (tmp_path / "text.pb").write_text("no graph")
    with pytest.raises(InputError, match=r"text\.pb: not a frozen TensorFlow graph"):
        open_graph(tmp_path / "text.pb")
    with pytest.raises(InputError, match=r"other\.pb: has no node pool_3; give classify_image_graph_def\.pb"):
        open_graph(write_graph(tmp_path / "other.pb", pool="pooling"))
    definition = tf.compat.v1.GraphDef.FromString(write_graph(tmp_path / "new.pb").read_bytes())
    definition.versions.producer = 2000
    (tmp_path / "new.pb").write_bytes(definition.SerializeToString())
    with pytest.raises(InputError, match=r"new\.pb: does not run as classify_image_graph_def\.pb does"):
        open_graph(tmp_path / "new.pb")


def test_bicubic_is_pillows_without_rounding():
    assert bicubic(images(2)).shape == (2, SIDE, SIDE, 3)
    pale = images(2) // 2 + 64  # the filter does not overshoot, so the 8-bit one cuts nothing off
    for picture, result in zip(pale, bicubic(pale), strict=True):
        rounded = np.asarray(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        np.testing.assert_allclose(result, rounded, atol=1.5)  # it rounds twice: rows, then columns
        assert np.abs(result - np.round(result)).max() > 0.4
    assert bicubic(images(2)).max() > 255
    square = images(1, (SIDE, SIDE))
    np.testing.assert_array_equal(bicubic(square), square)
    lines = np.zeros((1, 8 * SIDE, 8 * SIDE, 3), np.uint8)
    lines[:, ::2] = 200  # every second line: smoothing leaves grey, without it one of the colours would stay
    np.testing.assert_allclose(bicubic(lines)[:, 3:-3], 100, atol=1)


@pytest.fixture
def small_inception(monkeypatch):
    """InceptionV3 of Keras replaced by a small network with the same ends."""

    def build(weights=None):
        if weights == "imagenet":
            raise OSError("no route to host")
        pixels = keras.Input((SIDE, SIDE, 3))
        x = keras.layers.Conv2D(FEATURES, 8, 8, activation="relu", name="conv")(pixels)
        x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
        return keras.Model(pixels, keras.layers.Dense(CLASSES, activation="softmax", name="predictions")(x))

    monkeypatch.setattr(keras.applications, "InceptionV3", build)
    return build


def test_keras_network_takes_bicubic_images_in_minus_one_to_one(tmp_path, small_inception):
    model = small_inception()
    model.save_weights(tmp_path / "w.weights.h5")
    probabilities, features = open_keras(tmp_path / "w.weights.h5")(images())
    prepared = bicubic(images()) / 127.5 - 1
    np.testing.assert_allclose(probabilities, model.predict(prepared, verbose=0), rtol=1e-4)
    pooled = keras.Model(model.input, model.get_layer("avg_pool").output)
    np.testing.assert_allclose(features, pooled.predict(prepared, verbose=0), rtol=1e-4, atol=1e-6)


def test_keras_weights_errors(tmp_path, small_inception, monkeypatch):
    with pytest.raises(InputError, match=r"--keras_inception: .*absent\.h5: no such file; give imagenet or"):
        open_keras(tmp_path / "absent.h5")
    (tmp_path / "broken.h5").write_text("x")
    with pytest.raises(InputError, match=r"broken\.h5: not weights of InceptionV3 with its top"):
        open_keras(tmp_path / "broken.h5")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"no route to host.*put it there, or give its path with --keras_inception"):
        open_keras("imagenet")


@pytest.mark.slow
def test_real_inception_v3_with_random_weights(tmp_path):
    model = keras.applications.InceptionV3(weights=None)
    model.save_weights(tmp_path / "random.weights.h5")
    probabilities, features = open_keras(tmp_path / "random.weights.h5")(images(2))
    assert features.shape == (2, 2048)
    np.testing.assert_allclose(probabilities, model.predict(bicubic(images(2)) / 127.5 - 1, verbose=0), rtol=1e-3)


# ------------------------------------------------------------------------------ Inception score


def test_closed_forms():
    classes = np.tile(np.eye(8), (30, 1))  # sure of each image, every class equally often
    assert inception_score(classes) == pytest.approx((8, 0))
    assert inception_score(np.tile(classes[:1], (30, 1))) == pytest.approx((1, 0))
    assert inception_score(np.full((30, 8), 1 / 8)) == pytest.approx((1, 0))
    halves = np.repeat(np.eye(2), 20, axis=0)  # in order: each part but the middle ones knows one class only
    assert inception_score(halves) == pytest.approx((1, 0))
    assert inception_score(halves, splits=1) == pytest.approx((2, 0))


def test_score_equals_scipy():
    probabilities = np.random.default_rng(0).dirichlet(np.full(9, 0.3), 57).astype(np.float32)
    scores = []
    for part in range(10):
        rows = probabilities[part * 57 // 10 : (part + 1) * 57 // 10].astype(float)
        scores.append(np.exp(np.mean([entropy(row, rows.mean(axis=0)) for row in rows])))
    assert inception_score(probabilities) == pytest.approx((np.mean(scores), np.std(scores)), rel=1e-6)


def test_streaming_equals_all_at_once():
    pictures = images(43)
    expected = inception_score(colour_network(pictures)[0])
    metric = InceptionScore(Inception(colour_network))
    for start in range(0, 43, 8):
        metric.update(batch(pictures[start : start + 8]))
    result = metric.result()
    assert (result.mean, result.std) == pytest.approx(expected, rel=1e-6)
    assert result.count == 43
    assert result.values is None


def test_mask_score_sees_the_body_only():
    pictures = images(20, (64, 32))
    keypoints = np.random.default_rng(3).integers(0, (64, 32), (20, COCO18.num_joints, 2))
    keypoints[:, 4:] = -1
    masked = pictures * body_mask(keypoints, (64, 32))[..., None]
    metric, plain = InceptionScore(Inception(colour_network), masked=True), InceptionScore(Inception(colour_network))
    metric.update(batch(pictures, keypoints))
    plain.update(batch(masked, keypoints))
    assert metric.result() == plain.result()
    assert metric.result().mean != inception_score(colour_network(pictures)[0])[0]


def test_keras_score_and_fid_share_one_pass():
    seen = []

    def run(pictures):
        seen.append(pictures.shape)
        return colour_network(pictures)

    network, pictures = Inception(run, resizes=False), images(12)
    score, fid, pair = InceptionScore(network), FID(network), batch(pictures)
    for metric in (score, fid):
        metric.update(pair)
    assert seen == [(12, SIDE, SIDE, 3)] * 2  # the second are the targets
    assert score.result().mean == pytest.approx(inception_score(colour_network(bicubic(pictures))[0])[0], rel=1e-6)


def test_score_errors():
    with pytest.raises(InputError, match=r"expected \(N, classes\), got \(3,\)"):
        inception_score(np.ones(3))
    with pytest.raises(InputError, match="9 images cannot be split into 10 parts"):
        inception_score(np.ones((9, 4)) / 4)
    metric = InceptionScore(Inception(colour_network))
    with pytest.raises(InputError, match="no images to score"):
        metric.result()
    metric.update(batch(images(9)))
    with pytest.raises(CannotCompute, match="needs at least 10 images, one for each split; got 9"):
        metric.result()


def test_table_says_what_is_missing_and_computes_what_is_there(tmp_path):
    assert list(BY_NAME) == ["is", "mask_is", "is_keras", "mask_is_keras"]
    assert not any(spec.by_default for spec in SPECS)
    for name in ("is", "mask_is"):
        with pytest.raises(CannotCompute, match=r"classify_image_graph_def\.pb, from .*2015-12-05.*--inception_graph"):
            BY_NAME[name].create(MetricOptions())
    for name in ("is_keras", "mask_is_keras"):
        with pytest.raises(CannotCompute, match="--keras_inception imagenet"):
            BY_NAME[name].create(MetricOptions())
    pictures = images(12)
    graph = str(write_graph(tmp_path / "graph.pb"))
    assert [spec.needs_keypoints for spec in SPECS] == [False, True, False, True]
    metric = BY_NAME["is"].create(MetricOptions(inception_graph=graph))
    metric.update(batch(pictures))
    assert metric.result().mean == pytest.approx(inception_score(twin(pictures)[0])[0], rel=1e-5)
