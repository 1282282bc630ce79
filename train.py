"""Trains a generator. `python train.py --help` lists all settings."""

from __future__ import annotations

import argparse
from pathlib import Path

from pose_gan import checkpoint, config, options
from pose_gan.config import RunConfig
from pose_gan.errors import InputError, run_program
from pose_gan.trainer import NonFiniteLossError, Trainer, dry_run, new_run_dir

EXAMPLE = """
python train.py --dataset market --preset full
python train.py --output_dir output/full --checkpoints_dir output/full --dataset market --warp_skip mask \\
    --l1_penalty_weight 0.01 --nn_loss_area_size 3 --content_loss_layer block1_conv2
python train.py --resume output/full
"""


def parser() -> argparse.ArgumentParser:
    parser = options.program_parser("Train a generator of persons in new poses.", EXAMPLE)
    group = parser.add_argument_group("run")
    group.add_argument(
        "--preset",
        choices=config.PRESETS,
        help="the losses and skips of a row of the paper's Table 3 (fm is PercLoss); flags given beside it win "
        "(default: none, that is dsc)",
    )
    group.add_argument("--output_dir", metavar="DIR", help="the run's folder (default: the next runs/NNNNN-NAME)")
    group.add_argument("--checkpoints_dir", metavar="DIR", help="its checkpoints (default: OUTPUT_DIR/checkpoints)")
    group.add_argument(
        "--resume",
        metavar="RUN|auto",
        help="continue the run in this folder; auto: the one in --output_dir, or start it (default: start a new run)",
    )
    group.add_argument("--dry_run", action="store_true", help="print the settings, check the data, and stop")
    options.add_data_arguments(parser)
    options.add_config_arguments(parser, config.ModelConfig, "model")
    options.add_config_arguments(parser, config.LossConfig, "losses")
    options.add_config_arguments(parser, config.TrainConfig, "training")
    return parser


def main(argv: list[str] | None = None) -> int | None:
    args = parser().parse_args(argv)
    resume = args.resume is not None
    run: str | Path | None = args.output_dir if args.resume in (None, "auto") else args.resume
    if args.resume == "auto" and run is None:
        raise InputError("--resume auto needs --output_dir, the folder of the run")
    if args.resume and args.resume != "auto" and args.output_dir and Path(args.output_dir) != Path(args.resume):
        raise InputError(f"--output_dir {args.output_dir}: a resumed run stays in its folder, {args.resume}")
    if run and resume and (args.resume != "auto" or (Path(run) / checkpoint.OPTIONS).exists()):
        saved = checkpoint.read_options(run)
        settings = options.resumed_config(args, RunConfig.from_dict(saved["config"], f"{run}/{checkpoint.OPTIONS}"))
        checkpoints_dir = Path(args.checkpoints_dir or checkpoint.checkpoints_of_run(run))
    else:
        settings = options.run_config(args)
        name = f"{settings.data.dataset}-{args.preset or settings.model.warp_skip}"
        run = run or new_run_dir("runs", name)
        checkpoints_dir = Path(args.checkpoints_dir or Path(run) / "checkpoints")
    if args.dry_run:
        dry_run(settings, Path(run))
        return 0
    try:
        Trainer(settings, Path(run), checkpoints_dir, resume).run()
    except NonFiniteLossError as error:
        raise SystemExit(f"error: {error}") from None
    return 0


if __name__ == "__main__":
    run_program(main)
