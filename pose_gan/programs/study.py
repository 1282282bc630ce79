"""The verbs of `pose-gan study`."""

from __future__ import annotations

from pose_gan.programs.verbs import Verbs

VERBS = Verbs(
    "pose-gan study",
    "Asks people whether images are real or generated, as the paper's user study did (Section 6.2, Table 2).",
    "pose_gan.programs",
    {
        "prepare": "choose real and generated images, and put them under neutral names into the folder of a study",
        "run": "show the images to raters on a page in the browser, and keep their answers",
        "score": "how often real images were taken for generated ones and the reverse, as the paper's Table 2",
    },
    prefix="study_",
)
