"""`pose-gan train`: trains a generator, or continues a run."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from pose_gan import presets, runtime
from pose_gan.config import LossConfig, ModelConfig, RunConfig, TrainConfig
from pose_gan.data.places import places_of
from pose_gan.errors import InputError
from pose_gan.model_files.run_folder import (
    OPTIONS,
    check_place,
    checkpoints_of_run,
    latest_checkpoint,
    new_run_dir,
    read_options,
)
from pose_gan.programs.flags import add_config_arguments, add_data_arguments, count
from pose_gan.programs.settings import resumed_config, run_config
from pose_gan.programs.verbs import command_line, verb_parser
from pose_gan.training.devices import Devices, devices

EPILOG = """examples:
  pose-gan train --dataset market --preset full
  pose-gan train --output_dir output/full --checkpoints_dir output/full --dataset market --warp_skip mask \\
      --l1_penalty_weight 0.01 --nn_loss_area_size 3 --content_loss_layer block1_conv2
  pose-gan train --resume output/full"""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("train", "Trains a generator of persons in new poses.", EPILOG)
    group = parser.add_argument_group("run")
    group.add_argument(
        "--preset",
        choices=presets.PRESETS,
        help="the losses and skips of a row of the paper's Table 3 (fm is PercLoss); other flags override it "
        "(default: none, which is the same as dsc)",
    )
    group.add_argument("--output_dir", metavar="DIR", help="the run's folder (default: the next runs/NNNNN-NAME)")
    group.add_argument(
        "--checkpoints_dir", metavar="DIR", help="folder of checkpoints (default: OUTPUT_DIR/checkpoints)"
    )
    group.add_argument(
        "--resume",
        metavar="RUN|auto",
        help="continue the run in this folder from its last checkpoint; auto: continue the run in --output_dir, or "
        "start it if there is none, or none with a checkpoint (default: start a new run)",
    )
    group.add_argument(
        "--devices",
        type=_devices,
        default="auto",
        metavar="DEVICES",
        help="the devices of this machine that share every batch: auto (one GPU if there is one, else the CPU), cpu, "
        "all (all GPUs), a number of GPUs, or a list such as 0,2 or CPU:0,CPU:1; slurm: the tasks of srun train "
        "together, each on one GPU. It is no setting of the run, which may go on with others (default: auto)",
    )
    group.add_argument(
        "--profile",
        type=count,
        nargs="?",
        const=5,
        default=0,
        metavar="STEPS",
        help="write a trace of some iterations after the compilation into the run's folder profile, for TensorBoard; "
        "it changes no result (default: none; without a number: 5)",
    )
    group.add_argument("--dry_run", action="store_true", help="print the settings, check the data, and stop")
    add_settings_arguments(parser)
    return parser


def add_settings_arguments(parser: argparse.ArgumentParser, left_out: Collection[str] = ()) -> None:
    """Adds the flags for the settings of a run, without those of the fields `left_out`."""
    add_data_arguments(parser)
    for kind, title in ((ModelConfig, "model"), (LossConfig, "losses"), (TrainConfig, "training")):
        add_config_arguments(parser, kind, title, left_out=left_out)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    args = build_parser().parse_args(argv)
    alone = args.dry_run or not (args.devices.slurm or os.environ.get("TF_CONFIG"))
    checked = _checked_run(args) if alone else None  # mistakes are found before TensorFlow starts, which takes seconds
    if checked and args.dry_run:
        return _dry_run(*checked[:2])

    runtime.start()
    from pose_gan.training.distribution import find_cluster, open_distribution
    from pose_gan.training.progress import NonFiniteLossError
    from pose_gan.training.team import LostWorkerError, Team
    from pose_gan.training.trainer import Trainer

    cluster = None if alone else find_cluster(args.devices)
    team = Team(cluster.addresses, cluster.index) if cluster else Team()
    try:
        with team.joined():
            settings, run, checkpoints = checked or team.agree(lambda: _checked_run(args, team.size))
            distribution = open_distribution(args.devices, team, cluster.on_machine if cluster else 0)
            command = command_line("train", argv)
            Trainer(settings, run, checkpoints, args.resume is not None, command, distribution, args.profile).run()
    except (NonFiniteLossError, LostWorkerError) as error:
        raise SystemExit(f"error: {error}") from None
    return 0


def _devices(text: str) -> Devices:
    try:
        return devices(text)
    except InputError as error:  # argparse drops the message of a ValueError such as InputError
        raise argparse.ArgumentTypeError(str(error)) from None


def _checked_run(args: argparse.Namespace, workers: int = 1) -> tuple[RunConfig, Path, Path]:
    """Settings, folder and folder of checkpoints of the requested run, if it can begin."""
    if workers > 1 and not (args.output_dir or args.resume):
        raise InputError("--output_dir is needed with several workers, so that all of them mean the same folder")
    settings, run, checkpoints = _run(args)
    check_place(run, checkpoints, args.resume is not None)
    if args.resume not in (None, "auto") and latest_checkpoint(checkpoints) is None:
        raise InputError(
            f"--resume {run}: no checkpoint in {checkpoints}, so there is nothing to continue; "
            f"--output_dir {run} --resume auto begins the run again"
        )
    places_of(settings.data, "train").check()
    return settings, run, checkpoints


def _run(args: argparse.Namespace) -> tuple[RunConfig, Path, Path]:
    """Settings, folder and folder of checkpoints of the requested run."""
    run = args.output_dir if args.resume in (None, "auto") else args.resume
    if args.resume == "auto" and run is None:
        raise InputError("--resume auto needs --output_dir, the folder of the run")
    if args.resume and args.resume != "auto" and args.output_dir and Path(args.output_dir) != Path(args.resume):
        raise InputError(f"--output_dir {args.output_dir}: a resumed run stays in its folder, {args.resume}")
    if run and (args.resume not in (None, "auto") or (args.resume == "auto" and (Path(run) / OPTIONS).exists())):
        saved = read_options(run)
        settings = resumed_config(args, RunConfig.from_dict(saved["config"], f"{run}/{OPTIONS}"))
        return settings, Path(run), Path(args.checkpoints_dir or checkpoints_of_run(run))
    settings = run_config(args)
    name = f"{settings.data.dataset}-{args.preset or settings.model.warp_skip}"
    folder = Path(run or new_run_dir("runs", name))
    return settings, folder, Path(args.checkpoints_dir or folder / "checkpoints")


def _dry_run(config: RunConfig, output_dir: Path) -> int:
    """Prints the settings of the run and checks its data. Raises InputError in the same cases as the run."""
    from pose_gan.data.pair_data import open_training

    print(json.dumps(config.to_dict() | {"output_dir": str(output_dir)}, indent=2))
    data = open_training(config)
    print(f"{len(data)} training pairs of {len(data.names)} images are in order")
    return 0
