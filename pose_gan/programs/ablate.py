"""`pose-gan ablate`: trains, tests and compares several presets, like the paper's Table 3 and Fig. 4."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_gan import presets
from pose_gan.config import RunConfig
from pose_gan.data.places import places_of
from pose_gan.errors import InputError
from pose_gan.files.folders import make_folder
from pose_gan.files.lock import LOCK, only_program
from pose_gan.files.text import write_text
from pose_gan.metrics import METRICS, MetricOptions
from pose_gan.model_files.run_folder import OPTIONS, read_options
from pose_gan.poses.skeleton import COCO18
from pose_gan.programs import test, train
from pose_gan.programs.flags import add_person_argument
from pose_gan.programs.score_flags import add_metric_arguments, seed
from pose_gan.programs.settings import run_config
from pose_gan.programs.verbs import command_line, verb_parser
from pose_gan.training.devices import Devices, cluster_of

if TYPE_CHECKING:
    from pose_gan.evaluation.ablation import Member

OWN = ("--presets", "--seeds", "--output_dir", "--rescore", "--figure_pairs", "--figure_seed", "--choice_seed")
DATA = ("--dataset", "--images_dir", "--annotations_dir", "--pairs_dir")
SIZE = ("--image_size", "--skeleton")  # which a test without a generator must know
NAME = "ablation"
EPILOG = """examples:
  pose-gan ablate --dataset market --presets baseline dsc fm full --seeds 0 1 --output_dir ablation
  pose-gan ablate --dataset demo --presets baseline dsc --seeds 0 1 2 --output_dir ablation --width 0.25 \\
      --number_of_epochs 5 --metrics ssim,mask_ssim,l1 --real 1

Given again, the command goes on where it was stopped or killed, and skips what is done. With more presets or seeds it
trains those that are missing. DIR/runs and DIR/strips hold the trainings and their images, DIR the tables and the
figure."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "ablate", "Trains, tests and compares presets with several seeds and the same budget, as one table.", EPILOG
    )
    own = parser.add_argument_group("ablation")
    own.add_argument(
        "--presets",
        nargs="+",
        choices=presets.PRESETS,
        default=list(presets.PRESETS),
        help=f"rows of the table, in this order (default: {' '.join(presets.PRESETS)})",
    )
    own.add_argument(
        "--seeds", nargs="+", type=seed, default=[0], metavar="N", help="seeds of the trainings (default: 0)"
    )
    own.add_argument("--output_dir", required=True, metavar="DIR", help="folder of the ablation")
    own.add_argument(
        "--rescore",
        action="store_true",
        help="score the images again with other metric flags than before (default: refuse other flags)",
    )
    figure = parser.add_argument_group("figure")
    for flag, default, text in (
        ("--figure_pairs", 6, "number of test pairs that the figure shows"),
        ("--figure_seed", None, "seed of the trainings whose images it shows (default: the first of --seeds)"),
        ("--choice_seed", 0, "seed of the random choice of its pairs, and of the bootstrap"),
    ):
        shown = text if default is None else f"{text} (default: {default})"
        figure.add_argument(flag, type=seed, default=default, metavar="N", help=shown)
    # The estimator of PCKh takes the place of the one for the structure loss, which has the same name
    train.add_settings_arguments(parser, left_out=("seed", "pose_estimator"))
    add_person_argument(test.add_pair_arguments(parser))
    add_metric_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    given = list(sys.argv[1:] if argv is None else argv)
    args = build_parser().parse_args(given)
    _check(args)
    from pose_gan.evaluation.ablation import MemberFailed, Record, Stopped, carry_out

    members, training = _members(args, given)
    _check_files(args, training)
    folder = make_folder(args.output_dir)
    with only_program(folder / LOCK):
        record = Record(folder, training, _testing(args), members, command_line("ablate", given), args.rescore)
        try:
            carry_out(members, record, [_check_of_metrics(folder, given)], say=lambda line: print(line, flush=True))
        except MemberFailed as error:
            raise SystemExit(f"error: {error}") from None
        except Stopped as stopped:
            print(f"{stopped}: stopped; the same command goes on from there", flush=True)
            return 128 + stopped.number
        _write(args, members, training, command_line("ablate", given))
    return 0


def _check(args: argparse.Namespace) -> None:
    """Raises InputError for faults of this program's own flags, and of the flags that `test` would check late."""
    if getattr(args, "devices", Devices()).slurm or cluster_of(os.environ):
        raise InputError(
            "ablate trains in one process at a time, and not with other workers; unset TF_CONFIG, and "
            "give --devices all to train on all GPUs of this machine"
        )
    for flag, values in (("--presets", args.presets), ("--seeds", args.seeds)):
        if len(set(values)) < len(values):
            raise InputError(f"{flag} {' '.join(map(str, values))}: one is given twice")
    if not args.figure_pairs:
        raise InputError("--figure_pairs 0: the figure needs at least one pair")
    if args.figure_seed is not None and args.figure_seed not in args.seeds:
        raise InputError(f"--figure_seed {args.figure_seed}: not one of --seeds {' '.join(map(str, args.seeds))}")
    if unknown := [name for name in args.metrics or () if name not in METRICS]:
        raise InputError(f"--metrics: metric {unknown[0]!r} is not known; allowed: {', '.join(METRICS)}")


def _members(args: argparse.Namespace, given: Sequence[str]) -> tuple[list[Member], dict[str, RunConfig]]:
    """The presets with all seeds, and the settings of each preset. All flags are checked as `train` checks them.

    Seeds come first: when each preset has its first seed, the next one begins.
    """
    members, training = [], {}
    for number in args.seeds:
        for preset in args.presets:
            member, training[preset] = _member(args, given, preset, number)
            members.append(member)
    return members, training


def _member(args: argparse.Namespace, given: Sequence[str], preset: str, number: int) -> tuple[Member, RunConfig]:
    """A preset with a seed, and its settings. Raises InputError if its run was begun with other ones."""
    from pose_gan.evaluation.ablation import RUNS, STRIPS, Member, check_run, member_key

    folder = Path(args.output_dir)
    run, strips = (folder / part / member_key(preset, number) for part in (RUNS, STRIPS))
    trained = f"--resume auto --preset {preset} --seed {number}".split()
    trained = ["--output_dir", str(run), *trained, *_train_words(given)]
    config = run_config(train.build_parser().parse_args(trained))
    if not hasattr(args, "number_of_epochs"):  # a run that was begun by hand with another number gets this one
        trained += ["--number_of_epochs", str(config.train.number_of_epochs)]
    tested = ["--generator_checkpoint", str(run), "--generated_images_dir", str(strips), "--overwrite", "1"]
    tested += select(given, _test_flags())
    member = Member(preset, number, folder, ("train", *trained), ("test", *tested), config.train.total_steps)
    if (run / OPTIONS).exists():
        check_run(member, config, RunConfig.from_dict(read_options(run)["config"], f"{run / OPTIONS}: config"))
    return member, config


def _check_files(args: argparse.Namespace, training: dict[str, RunConfig]) -> None:
    """Raises InputError if data or weights that the trainings and tests need are absent or wrong."""
    from pose_gan.data.pair_data import open_pairs, open_training

    for config in training.values():
        weights = config.loss.vgg_weights
        if config.loss.content_layers and weights not in ("imagenet", "random") and not Path(weights).exists():
            raise InputError(f"--vgg_weights {weights}: no such file")
    config = next(iter(training.values()))
    model = config.model
    for split in ("train", args.split):
        places_of(config.data, split).check()
    open_training(config)
    open_pairs(config.data, args.split, model.image_size, model.skeleton, model.use_bg, args.images_for_test)


def _check_of_metrics(folder: Path, given: Sequence[str]) -> list[str]:
    """The words of a `test` that opens the files of the metrics and makes nothing; it needs no generator."""
    words = ["--load_generated_images", "1", "--generated_images_dir", str(folder), "--dry_run"]
    return ["test", *words, *select(given, {*_test_flags(), *SIZE})]


def select(words: Sequence[str], flags: Collection[str]) -> list[str]:
    """The words of a command line that are one of these flags (`--flag …` or `--flag=…`), or its values."""
    selected, taken = [], False
    for word in words:
        if word.startswith("--"):
            taken = word.split("=")[0] in flags
        if taken:
            selected.append(word)
    return selected


def _test_flags() -> set[str]:
    return {
        *DATA,
        "--split",
        "--images_for_test",
        "--person",
        "--metrics",
        "--real",
        *(f"--{field.name}" for field in fields(MetricOptions)),
    }


def _train_words(given: Sequence[str]) -> list[str]:
    """The words for `train`. The pose estimator is for PCKh, and for the structure loss if that has a weight."""
    flags = {*OWN, *_test_flags()} - set(DATA)
    if select(given, ("--lstruct_penalty_weight",)):
        flags.discard("--pose_estimator")
    return select(given, {word.split("=")[0] for word in given if word.startswith("--")} - flags)


def _testing(args: argparse.Namespace) -> dict[str, Any]:
    """Everything that the scores depend on beside the generator, as values that JSON can hold."""
    names = ("split", "images_for_test", "person", "real", *(field.name for field in fields(MetricOptions)))
    given = {name: getattr(args, name, None) for name in names}
    return {"metrics": list(args.metrics) if args.metrics else None, **given}


def _write(args: argparse.Namespace, members: Sequence[Member], training: dict[str, RunConfig], command: str) -> None:
    """Writes the tables and the figure, and prints the table."""
    from pose_gan.evaluation import score_tables
    from pose_gan.evaluation.ablation_table import ablation_table, write_page
    from pose_gan.evaluation.figures import choose_pairs, draw, open_runs, write_figure
    from pose_gan.evaluation.published import PRESET_TITLES
    from pose_gan.evaluation.saved_scores import read_scores

    rows = {
        PRESET_TITLES[preset]: [read_scores(member.strips) for member in members if member.preset == preset]
        for preset in args.presets
    }
    table = ablation_table(rows, args.choice_seed)
    shown_seed = args.seeds[0] if args.figure_seed is None else args.figure_seed
    shown = [member.strips for member in members if member.seed == shown_seed]
    runs = open_runs(shown, list(rows), (), getattr(args, "skeleton", COCO18))
    picture = draw(runs, choose_pairs(runs, args.figure_pairs, seed=args.choice_seed))
    folder = Path(args.output_dir)
    write_figure(folder / f"{NAME}.png", picture)
    texts = {
        "md": score_tables.to_markdown(table, std=True),
        "tex": score_tables.to_latex(table, std=True),
        "csv": score_tables.to_csv(table),
    }
    for suffix, text in texts.items():
        write_text(folder / f"{NAME}.{suffix}", text)
    config = training[args.presets[0]]
    about = f"generated by the trainings with seed {shown_seed}; pairs drawn with seed {args.choice_seed}"
    settings = {"command": command, "data set": config.data.dataset, "seeds": ", ".join(map(str, args.seeds))}
    settings |= {"iterations": f"{config.train.total_steps:,}", "batch size": config.train.batch_size}
    settings |= {"width": config.model.width}
    write_page(folder / f"{NAME}.html", table, picture, f"Ablation on {config.data.dataset}", about, settings)
    print(texts["md"], end="")
    print("written:", ", ".join(str(folder / f"{NAME}.{suffix}") for suffix in (*texts, "html", "png")))
