"""`python -m data_prep VERB …`: one program for everything between raw images and training."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from pose_gan.errors import InputError, run_program

# Verb → what it does. The verb `import-market` is `main(argv)` of the module data_prep.import_market.
VERBS = {
    "demo": "draw a data set of people in clothes, with exact keypoints",
    "import-market": "the unpacked Market-1501 → images of train and test",
    "import-deepfashion": "DeepFashion's In-shop images → images of train and test, by the release's or PATN's split",
    "annotate": "find the keypoints of the person in each image, with a pose estimator",
    "resize": "bring images and their keypoints to another size, by cropping or letterboxing",
    "flip": "add mirrored images, with left and right joints exchanged",
    "interpolate": "fill missing joints of a sequence from its other frames",
    "pairs": "list the pairs of images of one person, for training and for testing",
    "check": "look for everything that training would stumble over",
    "stats": "count images, persons, pairs and joints",
    "train-estimator": "train the demo's pose estimator",
}


def usage() -> str:
    """The text of `--help`."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {text}" for verb, text in VERBS.items())
    return (
        "usage: python -m data_prep VERB [options]\n\n"
        f"Makes data sets ready for training.\n\nverbs:\n{verbs}\n\n"
        "python -m data_prep VERB --help lists the options of a verb."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the verb `argv[0]` with the other arguments. Returns: its exit status.

    Raises: InputError: there is no such verb; whatever the verb raises.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage(), file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    verb, *rest = arguments
    if verb not in VERBS:
        raise InputError(f"data_prep: no verb {verb!r}; allowed: {', '.join(VERBS)} (python -m data_prep --help)")
    # Imported here: one verb's needs (a pose estimator, say) are not the others'.
    module = importlib.import_module(f"data_prep.{verb.replace('-', '_')}")
    return module.main(rest) or 0


if __name__ == "__main__":
    run_program(main)
