"""Skeletons that are not people, for tests."""

from __future__ import annotations

from pose_gan.poses.skeleton import Part, Skeleton

STICK = Skeleton(
    name="stick",
    joints=("top", "middle", "bottom"),
    edges=(("top", "bottom"),),
    required=(),
    mirror_pairs=(),
    scale_sides=(("top", "bottom"),),
    parts=(Part("all", "whole", ("top", "middle", "bottom")),),
)
