"""The verbs of `pose-gan reid`."""

from __future__ import annotations

from pose_gan.programs.verbs import Verbs

VERBS = Verbs(
    "pose-gan reid",
    "Finds persons again in the images of other cameras, and measures what generated images add (paper, Appendix C).",
    "pose_gan.programs",
    {
        "augment": "generate further poses of each training image, beside the real ones",
        "train": "train a network that tells persons apart",
        "evaluate": "score how well persons are found again: CMC and mAP",
        "table": "train and score with and without generated images, as the paper's Table 4",
    },
    prefix="reid_",
)
