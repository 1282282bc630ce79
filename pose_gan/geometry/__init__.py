"""From keypoints to heat maps, part masks and part transforms (paper, Section 3.1), in the graph.

All functions are batched TensorFlow, run inside `tf.function` and inside a saved model, and take
keypoints of any numeric dtype, `(batch, joints, 2)`, (y, x) in pixels; a joint is missing where
either coordinate is −1. Other coordinates may lie outside of the image. Least squares and polygon edges are
computed in float64 (`dtype` float32 is for exporters that lack float64), and heat maps in float32.

The paper and the authors' release differ in some details. `compat` says which of them a function follows: `paper`
(the default) or `release`, which the release's checkpoints need.
"""

from pose_gan.geometry.heat_maps import heatmaps
from pose_gan.geometry.masks import part_masks
from pose_gan.geometry.stick_man import stickman
from pose_gan.geometry.transforms import part_transforms, uniform_transform

__all__ = ["heatmaps", "part_masks", "part_transforms", "stickman", "uniform_transform"]
