"""`pose-gan data VERB`: everything between raw images and training. `python -m data_prep VERB` is the same."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pose_gan.errors import run_program
from pose_gan.programs.verbs import Verbs

VERBS = Verbs(
    "pose-gan data",
    "Makes data sets ready for training.",
    "data_prep",
    {
        "demo": "draw a data set of people in clothes, with exact keypoints",
        "import-market": "lay out the unpacked Market-1501 as images of train and test",
        "import-deepfashion": "lay out DeepFashion's In-shop images as images of train and test",
        "import-keypoints": "take over keypoints that OpenPose, MMPose, DeepLabCut and others found",
        "annotate": "find the keypoints of the person in each image, with a pose estimator",
        "resize": "bring images and their keypoints to another size, by cropping or letterboxing",
        "flip": "add mirrored images, with left and right joints exchanged",
        "interpolate": "fill missing joints of a sequence from its other frames",
        "pairs": "list the pairs of images of one person, for training and for testing",
        "check": "look for everything that would stop or harm training",
        "show-skeleton": "draw the joints, edges and parts of a skeleton file, of people or of another object",
        "stats": "count images, persons, pairs and joints",
        "train-estimator": "train the demo's pose estimator",
    },
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the verb `argv[0]` with the other arguments, and returns its exit status. Errors are passed on."""
    return VERBS.run(sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    run_program(main)
