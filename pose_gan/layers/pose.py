"""The functions of `pose_gan.geometry` as layers: they turn keypoints into the pose inputs of the networks."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from pose_gan import geometry
from pose_gan.config import COMPATS, POSE_REPRESENTATIONS
from pose_gan.layers.base import one_of, register
from pose_gan.poses.skeleton import COCO18, Skeleton


class PoseLayer(keras.layers.Layer):
    """Base class of layers that take keypoints `(B, J, 2)`, (y, x) in pixels; float32 under every dtype policy.

    Args:
        image_size: (height, width) in pixels.
        skeleton: a `Skeleton` or its `to_dict()`.
        compat: `paper` or `release`; see `pose_gan.geometry`.
        precision: `float64`, or `float32` for exporters that lack it.
    """

    def __init__(
        self,
        image_size: tuple[int, int],
        skeleton: Skeleton | dict[str, Any] = COCO18,
        compat: str = "paper",
        precision: str = "float64",
        **kwargs: Any,
    ) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.skeleton = Skeleton.from_dict(skeleton) if isinstance(skeleton, dict) else skeleton
        self.compat = one_of("compat", compat, COMPATS)
        self.precision = one_of("precision", precision, ("float64", "float32"))
        self.number = tf.dtypes.as_dtype(self.precision)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "image_size": self.image_size,
            "skeleton": self.skeleton.to_dict(),
            "compat": self.compat,
            "precision": self.precision,
        }


@register
class PoseMaps(PoseLayer):
    """Keypoints `(B, J, 2)` → the heat maps or the drawing that the networks see: `(B, H, W, channels)`.

    Args:
        image_size: (height, width) in pixels.
        skeleton: a `Skeleton` or its `to_dict()`.
        representation: `hm` (one heat map per joint, Eq. 1) or `stickman` (three channels).
        sigma: standard deviation of the heat maps, pixels.
        compat: `paper` or `release`; see `pose_gan.geometry`.
    """

    def __init__(
        self,
        image_size: tuple[int, int],
        skeleton: Skeleton | dict[str, Any] = COCO18,
        representation: str = "hm",
        sigma: float = 6.0,
        compat: str = "paper",
        **kwargs: Any,
    ) -> None:
        super().__init__(image_size, skeleton, compat, **kwargs)
        self.representation = one_of("representation", representation, POSE_REPRESENTATIONS)
        self.sigma = sigma

    def call(self, keypoints: tf.Tensor) -> tf.Tensor:
        if self.representation == "hm":
            return geometry.heatmaps(keypoints, self.image_size, self.sigma, self.skeleton, self.compat, self.number)
        return geometry.stickman(keypoints, self.image_size, self.skeleton, self.compat, self.number)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        channels = self.skeleton.num_joints if self.representation == "hm" else 3
        return (input_shape[0], *self.image_size, channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "representation": self.representation, "sigma": self.sigma}


@register
class PartGeometry(PoseLayer):
    """Source and target keypoints, each `(B, J, 2)` → part transforms `(B, P, 8)` and masks `(B, P, H, W)`.

    The masks lie in the target pose. Call with the list `[source_keypoints, target_keypoints]`.

    Args:
        image_size: (height, width) in pixels.
        skeleton: a `Skeleton` or its `to_dict()`.
        compat: `paper` or `release`; see `pose_gan.geometry`.
        precision: `float64`, or `float32` for exporters that lack it.
    """

    def call(self, inputs: list[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        source, target = inputs
        transforms = geometry.part_transforms(
            source, target, self.skeleton, self.compat, self.number, image_size=self.image_size
        )
        return transforms, geometry.part_masks(target, self.image_size, self.skeleton, self.compat, self.number)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[tuple[int | None, ...], ...]:
        batch, parts = input_shape[0][0], self.skeleton.num_parts
        return (batch, parts, 8), (batch, parts, *self.image_size)


@register
class UniformTransform(PoseLayer):
    """Source and target keypoints → one transform `(B, 1, 8)` for the whole body (`--warp_skip full`).

    Args:
        image_size: (height, width) in pixels.
        skeleton: a `Skeleton` or its `to_dict()`.
        compat: `paper` or `release`; see `pose_gan.geometry`.
        precision: `float64`, or `float32` for exporters that lack it.
    """

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        source, target = inputs
        return geometry.uniform_transform(
            source, target, self.skeleton, self.compat, self.number, image_size=self.image_size
        )

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return (input_shape[0][0], 1, 8)
