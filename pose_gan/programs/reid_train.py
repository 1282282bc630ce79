"""`pose-gan reid train`: trains a network that finds persons again, or continues a run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pose_gan import runtime
from pose_gan.config import value_in_words
from pose_gan.programs.flags import add_config_arguments
from pose_gan.programs.reid_flags import add_split_arguments, splits_of
from pose_gan.programs.verbs import command_line, verb_parser
from pose_gan.reid.settings import PRESETS, ReidConfig

EPILOG = """examples:
  pose-gan reid train --images Market-1501 --backbone resnet50 --output_dir runs/ide
  pose-gan reid train --images augmented --backbone resnet50 --output_dir runs/ide-augmented
  pose-gan reid train --images data/market-dataset/train --method embedding --iterations 3000 --output_dir runs/small

The defaults suit small machines. Those of resnet50 are the published ones, where these differ from them:
"""


def build_parser() -> argparse.ArgumentParser:
    published = "\n".join(
        f"  {method} on {backbone}: {', '.join(f'{name} {value_in_words(value)}' for name, value in values.items())}"
        for (backbone, method), values in PRESETS.items()
    )
    parser = verb_parser("reid train", "Trains a network whose features tell persons apart.", EPILOG + published)
    group = parser.add_argument_group("run")
    add_split_arguments(group)
    group.add_argument(
        "--output_dir", required=True, metavar="RUN", help="the run's folder: options, log, checkpoints, network.keras"
    )
    group.add_argument(
        "--resume",
        choices=["auto"],
        help="auto: continue the run in --output_dir, or start it if there is none (default: start a new run)",
    )
    add_config_arguments(parser, ReidConfig, "network and training")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    args = build_parser().parse_args(argv)
    config = config_of(args)
    images = splits_of(args).train

    runtime.start()
    from pose_gan.reid.training import training
    from pose_gan.training.progress import NonFiniteLossError

    try:
        training(images, config, args.output_dir, args.resume is not None, command=command_line("reid train", argv))
    except NonFiniteLossError as error:
        raise SystemExit(f"error: {error}") from None
    return 0


def config_of(args: argparse.Namespace) -> ReidConfig:
    """The settings from the flags that were given, and else the published ones, or the defaults."""
    names = ReidConfig.__dataclass_fields__
    return ReidConfig.of(**{name: value for name, value in vars(args).items() if name in names})
