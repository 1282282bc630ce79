"""The interface of all pose estimators: they take images and return keypoints and scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pose_gan.poses.skeleton import Skeleton

COLOUR_ORDERS = ("auto", "rgb", "bgr")
INPUT_RANGES = ("auto", "bytes", "unit", "centred", "signed")  # 0..255, 0..1, -0.5..0.5, -1..1


@dataclass(frozen=True)
class Poses:
    """The main person of each image.

    Attributes:
        keypoints: int32 `(B, joints, 2)`, (y, x) in pixels, −1 where missing; all are −1 if nobody was found.
        scores: float32 `(B, joints)`, 0 (missing) to 1 (sure).
        people: int `(B,)`, number of people that the estimator saw; None: it looks for one person only.
        choice: how the main person was chosen among several, as a phrase for messages.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    people: np.ndarray | None = None
    choice: str = ""


class Estimator(Protocol):
    """A pose estimator. `pose_gan.estimators.load_estimator` makes one from a file.

    Attributes:
        name: a description for messages and logs, such as `frozen graph mobilenet.pb`.
        skeleton: the skeleton of the returned keypoints.
        preferred_batch: number of images per call that uses this machine well.
    """

    @property
    def name(self) -> str: ...

    @property
    def skeleton(self) -> Skeleton: ...

    @property
    def preferred_batch(self) -> int: ...

    def __call__(self, images: np.ndarray) -> Poses:
        """Finds the main person in each image.

        Args:
            images: uint8 `(B, H, W, 3)`, RGB; any size.
        """
        ...


@dataclass(frozen=True)
class EstimatorConfig:
    """The settings of a pose estimator. The value `auto` is worked out from the file.

    Attributes:
        estimator_input: name of the input tensor of a frozen graph; None: the only placeholder, or a common name.
        estimator_output: name of the output tensor (or two, separated by a comma) of a frozen graph or SavedModel;
            None: a common name.
        colour_order: order of the colour channels in the network's input: auto, rgb or bgr.
        input_range: range of the pixels in the network's input: auto, bytes (0..255), unit (0..1), centred
            (-0.5..0.5) or signed (-1..1).
        scales: heights at which the network sees the image, as multiples of 368 pixels, separated by commas.
    """

    estimator_input: str | None = None
    estimator_output: str | None = None
    colour_order: str = "auto"
    input_range: str = "auto"
    scales: str = "0.5,1,1.5,2"
