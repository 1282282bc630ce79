"""The command `pose-gan VERB`; `python -m pose_gan VERB` is the same."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from data_prep.__main__ import VERBS as DATA_VERBS
from pose_gan.errors import InputError, run_program
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
        "animate": "make the person of a photo move like the person in other frames",
        "evaluate": "score images that any program generated",
        "compare": "put the scores of several runs into one table",
        "ablate": "train, test and compare presets with several seeds, as one table",
        "figure": "draw what several runs generate for the same pairs, side by side",
        "export": "write a generator in formats that other programs load",
        "convert": "convert a checkpoint of the authors' release to our format",
        "vgg-weights": "make a small weights file of VGG-19 for losses on features",
        "info": "print the settings and the training run of a model file",
        "completion": "print a script that completes verbs and flags in a shell",
    },
)
EPILOG = """examples:
  pose-gan completion bash > ~/.local/share/bash-completion/completions/pose-gan
  pose-gan completion zsh > ~/.zfunc/_pose-gan"""
SHELLS = ("bash", "zsh", "tcsh")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a verb. Returns: its exit status. Raises: whatever the verb raises; see `run_program`."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["data"]:
        return DATA_VERBS.run(arguments[1:])
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
        elif verb == "data":
            data_verbs = verbs.add_parser(verb, help=about).add_subparsers()
            for data_verb, data_about in DATA_VERBS.about.items():
                of_verb = DATA_VERBS.module(data_verb).build_parser()
                data_verbs.add_parser(data_verb, help=data_about, parents=[of_verb], add_help=False)
        else:
            verbs.add_parser(verb, help=about, parents=[VERBS.module(verb).build_parser()], add_help=False)
    return whole


def command() -> None:
    """The console script."""
    run_program(main)


if __name__ == "__main__":
    command()
