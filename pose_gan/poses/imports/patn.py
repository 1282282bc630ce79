"""PATN's keypoints of DeepFashion (Zhu et al. 2019): they belong to images cut to columns 40 to 215.

The files have the form of the release's, so they are told by what they hold: names of the In-shop images in PATN's
spelling (`fashionMEN…`, `fashionWOMEN…`), no joint beyond column 175, and people whose middle lies nearer to that of
the cut images (column 88) than to that of whole ones (column 128).
"""

from __future__ import annotations

import re

import numpy as np

from pose_gan.poses.keypoints import Annotations, found

WIDTH = 176  # pixels of an image that is cut
LEFT = 40  # columns that are cut off on the left of an image of 256x256
WHOLE = (256, 256)
_NAME = re.compile(r"fashion(WO)?MEN")


def is_patn(annotations: Annotations) -> bool:
    """Whether annotations are PATN's (or those of a later paper that took them over)."""
    columns = annotations.keypoints[..., 1][found(annotations.keypoints)]
    if not len(columns) or not all(_NAME.match(name) for name in annotations.names):
        return False
    return bool(columns.max() < WIDTH and np.median(columns) < (WIDTH + WHOLE[1]) / 4)


def lies_left(annotations: Annotations, image_size: tuple[int, int]) -> bool:
    """Whether annotations are PATN's, but their images are whole, so that each joint lies 40 pixels left of its place.

    Args: image_size: (height, width) in pixels of the images.
    """
    return image_size == WHOLE and is_patn(annotations)
