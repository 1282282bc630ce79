"""What the generator is told about a pair of poses, as arrays to look at (paper, Section 3.1).

The functions take NumPy arrays of one image or one pose, without a batch axis, and return NumPy arrays. They compute
with `pose_gan.geometry` and `pose_gan.layers`, as the generator does, so that a picture of them shows what the network
uses and no imitation of it. For each generator's settings, a graph is traced once; a later call takes one or two
milliseconds at 128×64 pixels.

Notation: P_a and P_b are the source and the target pose, x_a is the source image, f_h is the affine transform of part
h from the target to the source, and M_h is the mask of part h.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pose_gan import geometry
from pose_gan.config import ModelConfig
from pose_gan.errors import InputError
from pose_gan.layers import DeformableSkip
from pose_gan.poses.drawing import hues, to_uint8

MOVING = ("mask", "full")  # kinds of skip connections whose transforms follow from the poses alone


def heat_maps(keypoints: np.ndarray, settings: ModelConfig) -> np.ndarray:
    """The heat map of each joint: `H_j(p) = exp(-‖p − p_j‖² / (2σ²))` (Eq. 1), which the networks see.

    Args:
        keypoints: `(joints, 2)`, (y, x) in pixels, −1 where missing.
        settings: the generator's settings.
    Returns: float32 `(joints, H, W)` in [0, 1]; all zeros for a missing joint.
    """
    return _graphs(settings).heat_maps(_batch(keypoints)).numpy()


def part_names(settings: ModelConfig) -> tuple[str, ...]:
    """The names of the parts in the order of all arrays by part; one whole body with `warp_skip` `full`.

    Args:
        settings: settings of the generator.
    Raises: InputError: the generator's skip connections do not move parts by the poses.
    """
    if settings.warp_skip not in MOVING:
        raise InputError(
            f"warp_skip {settings.warp_skip}: this generator moves no body parts by the poses, so there is no deformed "
            f"source; those with warp_skip {' or '.join(MOVING)} do"
        )
    return ("whole body",) if settings.warp_skip == "full" else tuple(part.name for part in settings.skeleton.parts)


def part_masks(keypoints: np.ndarray, settings: ModelConfig) -> np.ndarray:
    """The mask of each body part in a pose: `M_h(p) = 1` inside of part h (Section 3.1).

    The generator uses those of the target pose. Those of the source pose show where the parts are taken from.

    Args:
        keypoints: `(joints, 2)`, (y, x) in pixels, −1 where missing.
        settings: the generator's settings.
    Returns: bool `(parts, H, W)`, whatever `warp_skip` is.
    """
    return _graphs(settings).masks(_batch(keypoints)).numpy() > 0


def part_transforms(source_keypoints: np.ndarray, target_keypoints: np.ndarray, settings: ModelConfig) -> np.ndarray:
    """The affine transform of each part from the target to the source: `f_h = argmin Σ ‖f(p_b) − p_a‖²` (Eq. 2).

    Args:
        source_keypoints, target_keypoints: `(joints, 2)`, (y, x) in pixels, −1 where missing.
        settings: the generator's settings.
    Returns: float32 `(parts, 2, 3)`: `f_h(x, y) = matrix · (x, y, 1)`, in (x, y) pixels. A part without a transform is
        moved out of the image.
    Raises: InputError: as `part_names`.
    """
    part_names(settings)
    flat = _graphs(settings).transforms(_batch(source_keypoints), _batch(target_keypoints)).numpy()
    return flat[:, :6].reshape(-1, 2, 3)


def deformed_source_by_part(
    source: np.ndarray, source_keypoints: np.ndarray, target_keypoints: np.ndarray, settings: ModelConfig
) -> np.ndarray:
    """The source image moved by each part's transform, and cut out: `x_h(p) = x_a(f_h(p)) · M_h(p)` (Eq. 3).

    Args:
        source: uint8 `(H, W, 3)`, RGB, of the generator's size.
        source_keypoints, target_keypoints: `(joints, 2)`, (y, x) in pixels, −1 where missing.
        settings: the generator's settings.
    Returns: uint8 `(parts, H, W, 3)`, black outside of the part.
    Raises: InputError: as `part_names`.
    Deviation: M_h lies in the target pose, as in `DeformableSkip`; in Eq. 3, it lies in the source pose.
    """
    return _deformed(source, source_keypoints, target_keypoints, settings, "by_part")


def deformed_source(
    source: np.ndarray, source_keypoints: np.ndarray, target_keypoints: np.ndarray, settings: ModelConfig
) -> np.ndarray:
    """The source image as a skip connection hands it on: `d(x_a) = max_h x_h` (Eq. 4), or the mean with `warp_agg` avg.

    A skip connection does this to every channel of its feature maps; here the channels are red, green and blue. The
    brightest part wins at each pixel, and black takes the place of the features' zeros.

    Args:
        source: uint8 `(H, W, 3)`, RGB, of the generator's size.
        source_keypoints, target_keypoints: `(joints, 2)`, (y, x) in pixels, −1 where missing.
        settings: the generator's settings.
    Returns: uint8 `(H, W, 3)`.
    Raises: InputError: as `part_names`.
    """
    return _deformed(source, source_keypoints, target_keypoints, settings, "merged")


def heat_picture(maps: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Heat maps as a picture: each joint glows in its own hue over a dark image, and the strongest joint wins.

    Args:
        maps: `(joints, H, W)` in [0, 1], from `heat_maps`.
        image: uint8 `(H, W, 3)`, shown at a quarter of its brightness.
    Returns: uint8 `(H, W, 3)`.
    """
    colours = hues(len(maps)).astype(np.float32)
    strongest = maps.argmax(axis=0)
    height = np.take_along_axis(maps, strongest[np.newaxis], axis=0)[0][..., np.newaxis]
    return np.rint(image * 0.25 * (1 - height) + colours[strongest] * height).astype(np.uint8)


def _deformed(
    source: np.ndarray, source_keypoints: np.ndarray, target_keypoints: np.ndarray, settings: ModelConfig, form: str
) -> np.ndarray:
    part_names(settings)
    if source.dtype != np.uint8 or source.shape != (*settings.image_size, 3):
        raise InputError(
            f"source: expected uint8 {(*settings.image_size, 3)} (height, width, RGB), "
            f"got {source.dtype} {source.shape}"
        )
    image = tf.constant(source[np.newaxis], tf.float32) / 255.0  # 0 is black, as 0 is "nothing" in the features
    moved = getattr(_graphs(settings), form)(image, _batch(source_keypoints), _batch(target_keypoints)).numpy()
    return to_uint8(2.0 * moved - 1.0)


def _batch(keypoints: np.ndarray) -> tf.Tensor:
    return tf.constant(np.asarray(keypoints)[np.newaxis], tf.float32)


class _Graphs:
    """The functions of this module as graphs, for one generator's settings."""

    def __init__(self, settings: ModelConfig) -> None:
        self._settings = settings
        size, skeleton = settings.image_size, settings.skeleton
        pose, image = (tf.TensorSpec((1, *shape), tf.float32) for shape in ((skeleton.num_joints, 2), (*size, 3)))

        def graph(function: Callable[..., Any], *signature: tf.TensorSpec) -> Callable[..., Any]:
            return tf.function(function, input_signature=signature)

        self.heat_maps = graph(self._heat_maps, pose)
        self.masks = graph(lambda keypoints: geometry.part_masks(keypoints, size, skeleton, settings.compat)[0], pose)
        self.transforms = graph(lambda source, target: self._transforms(source, target)[0], pose, pose)
        self.by_part = graph(self._by_part, image, pose, pose)
        self.merged = graph(self._merged, image, pose, pose)

    def _heat_maps(self, keypoints: tf.Tensor) -> tf.Tensor:
        s = self._settings
        maps = geometry.heatmaps(keypoints, s.image_size, s.sigma, s.skeleton, s.compat)
        return tf.transpose(maps[0], [2, 0, 1])  # HWJ => JHW

    def _transforms(self, source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        s = self._settings
        fit = geometry.uniform_transform if s.warp_skip == "full" else geometry.part_transforms
        return fit(source, target, s.skeleton, s.compat, image_size=s.image_size)

    def _inputs(self, image: tf.Tensor, source: tf.Tensor, target: tf.Tensor) -> list[tf.Tensor]:
        """The inputs of a skip connection; without masks, the one part is the whole image."""
        s = self._settings
        masks = [geometry.part_masks(target, s.image_size, s.skeleton, s.compat)] if s.warp_skip == "mask" else []
        return [image, self._transforms(source, target), *masks]

    def _skip(self) -> DeformableSkip:
        s = self._settings
        return DeformableSkip(s.warp_agg, s.warp_interpolation, s.image_size)

    def _merged(self, image: tf.Tensor, source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        return self._skip()(self._inputs(image, source, target))[0]

    def _by_part(self, image: tf.Tensor, source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        image, *rest = self._inputs(image, source, target)
        parts = rest[0].shape[1]
        # Every part becomes a sample of its own: (1, P, …) => (P, 1, …)
        return self._skip()(
            [tf.repeat(image, parts, axis=0), *(tf.transpose(x, [1, 0, *range(2, x.shape.rank)]) for x in rest)]
        )


@functools.lru_cache(maxsize=4)
def _graphs(settings: ModelConfig) -> _Graphs:
    return _Graphs(settings)
