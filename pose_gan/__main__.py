"""The command `pose-gan VERB`; `python -m pose_gan VERB` is the same."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from data_prep.__main__ import VERBS as DATA_VERBS
from pose_gan.errors import InputError, run_program
from pose_gan.programs.reid import VERBS as REID_VERBS
from pose_gan.programs.study import VERBS as STUDY_VERBS
from pose_gan.programs.verbs import Verbs, verb_parser
from pose_gan.versions import install

VERBS = Verbs(
    "pose-gan",
    "Draws the person of a photo in another pose (Deformable GANs, Siarohin et al., CVPR 2018).",
    "pose_gan.programs",
    {
        "data": "make data sets ready for training; pose-gan data --help lists its own verbs",
        "train": "train a generator",
        "test": "generate the images of a test split, and score them",
        "generate": "draw the person of a photo in another pose",
        "explain": "show how the parts of a person are moved into another pose, as one picture",
        "animate": "make the person of a photo move like the person in other frames",
        "serve": "show a page on which the person of a photo takes the pose that you drag",
        "evaluate": "score images that any program generated",
        "compare": "put the scores of several runs into one table",
        "ablate": "train, test and compare presets with several seeds, as one table",
        "reid": "find persons again in other images, with generated ones for training; it has verbs of its own",
        "study": "ask people which images are real; it has verbs of its own",
        "figure": "draw what several runs generate for the same pairs, side by side",
        "export": "write a generator in formats that other programs load",
        "convert": "convert a checkpoint of the authors' release to our format",
        "vgg-weights": "make a small weights file of VGG-19 for losses on features",
        "info": "print the settings and the training run of a model file",
        "completion": "print a script that completes verbs and flags in a shell",
    },
)
GROUPS = {"data": DATA_VERBS, "reid": REID_VERBS, "study": STUDY_VERBS}
"""Verbs that have verbs of their own."""
EPILOG = """examples:
  pose-gan completion bash > ~/.local/share/bash-completion/completions/pose-gan
  pose-gan completion zsh > ~/.zfunc/_pose-gan"""
SHELLS = ("bash", "zsh", "tcsh")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a verb. Returns: its exit status. Raises: whatever the verb raises; see `run_program`."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments and arguments[0] in GROUPS:
        return GROUPS[arguments[0]].run(arguments[1:])
    if arguments[:1] == ["completion"]:
        return completion(arguments[1:])
    return VERBS.run(arguments)


def completion(argv: Sequence[str]) -> int:
    """Prints the script that completes all verbs and their flags. Raises InputError: shtab is not installed."""
    parser = verb_parser("completion", "Prints a script that completes verbs and flags in a shell.", EPILOG)
    parser.add_argument("shell", choices=SHELLS, help="which one")
    shell = parser.parse_args(argv).shell
    try:
        import shtab
    except ImportError:
        raise InputError(f"completion needs the package shtab: {install('completion')}") from None
    print(shtab.complete(whole_parser(), shell))
    return 0


def whole_parser() -> argparse.ArgumentParser:
    """One parser of all verbs and their flags."""
    whole = argparse.ArgumentParser(VERBS.command, description=VERBS.description)
    verbs = whole.add_subparsers()
    for verb, about in VERBS.about.items():
        if verb == "completion":
            verbs.add_parser(verb, help=about).add_argument("shell", choices=SHELLS)
        elif verb in GROUPS:
            inner_verbs = verbs.add_parser(verb, help=about).add_subparsers()
            for inner, inner_about in GROUPS[verb].about.items():
                of_verb = GROUPS[verb].module(inner).build_parser()
                inner_verbs.add_parser(inner, help=inner_about, parents=[of_verb], add_help=False)
        else:
            verbs.add_parser(verb, help=about, parents=[VERBS.module(verb).build_parser()], add_help=False)
    return whole


def command() -> None:
    """The console script."""
    run_program(main)


if __name__ == "__main__":
    command()
