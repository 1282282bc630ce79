"""`pose-gan test`: generates the images of a split with a trained generator, and scores them."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_gan import runtime
from pose_gan.config import DataConfig, ModelConfig, RunConfig
from pose_gan.data.pairs import person_by
from pose_gan.data.places import places_of
from pose_gan.errors import InputError
from pose_gan.model_files.run_folder import DEMO, OPTIONS, model_file, read_options
from pose_gan.presets import dataset_defaults
from pose_gan.programs.flags import (
    add_config_arguments,
    add_data_arguments,
    add_person_argument,
    add_shard_arguments,
    boolean,
    count,
    data_config,
    pick,
)
from pose_gan.programs.score_flags import (
    add_metric_arguments,
    add_output_arguments,
    check_outputs,
    make_scorer,
    score_share,
    seed,
    write_outputs,
)
from pose_gan.programs.settings import release_settings
from pose_gan.programs.verbs import command_line, verb_parser

if TYPE_CHECKING:
    import keras

EPILOG = """examples:
  pose-gan test --dataset market --generator_checkpoint runs/00000-market-mask --report output/report.html
  pose-gan test --dataset market --load_generated_images 1 --generated_images_dir output/generated_images

in four programs, on as many machines as you have, and then:
  pose-gan test --dataset market --generator_checkpoint runs/00000-market-mask --shard 1/4   (2/4, 3/4, 4/4)
  pose-gan test --dataset market --generator_checkpoint runs/00000-market-mask --merge 4"""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("test", "Generates the images of a split with a trained generator, and scores them.", EPILOG)
    model = parser.add_argument_group("generator")
    model.add_argument(
        "--generator_checkpoint",
        metavar="RUN_OR_FILE",
        help="folder of a training run (its newest checkpoint, with the run's data settings), or a model file",
    )
    model.add_argument("--batch_size", type=count, default=16, metavar="N", help="pairs per batch (default: 16)")
    model.add_argument(
        "--use_dropout_test", type=boolean, default=False, metavar="0|1", help="keep dropout on (default: 0)"
    )
    add_config_arguments(parser, ModelConfig, "model (the generator's own; flags given here are compared with it)")
    add_data_arguments(parser)
    add_person_argument(add_pair_arguments(parser))
    add_metric_arguments(parser)
    add_shard_arguments(
        parser.add_argument_group("several programs"),
        "pairs",
        "check that all strips are there, and write the scores of all pairs",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--generated_images_dir",
        default="output/generated_images",
        metavar="DIR",
        help="folder of the strips, metrics.json, metrics.csv and metrics_per_pair.csv (default: %(default)s)",
    )
    output.add_argument(
        "--load_generated_images",
        type=boolean,
        default=False,
        metavar="0|1",
        help="generate nothing, and score the strips in the folder (default: 0)",
    )
    output.add_argument(
        "--overwrite",
        type=boolean,
        default=False,
        metavar="0|1",
        help="replace strips that another generator made in this folder; strips of the same one stay (default: 0)",
    )
    add_output_arguments(output)
    output.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="seed of example pairs and dropout (default: 0)"
    )
    output.add_argument(
        "--dry_run", action="store_true", help="check the flags, the data and the files of the metrics, and stop"
    )
    return parser


def add_pair_arguments(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Adds `--split` and `--images_for_test`, and returns their group."""
    group = parser.add_argument_group("pairs")
    group.add_argument("--split", choices=["train", "test"], default="test", help="split to test on (default: test)")
    group.add_argument(
        "--images_for_test", type=count, metavar="N", help="use the first N pairs (default: all in the pair file)"
    )
    return group


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    args = build_parser().parse_args(argv)
    _check(args)
    run_dir, run = _run(args.generator_checkpoint)
    data_settings = data_config(args, run.data if run else None)
    places_of(data_settings, args.split).check()

    runtime.start()
    from pose_gan.data.pair_data import open_pairs
    from pose_gan.evaluation.generation import check_generated, division, generate
    from pose_gan.evaluation.strips import strips_of
    from pose_gan.model_files.saving import settings_of

    scorer = make_scorer(args)
    generator = None if args.load_generated_images else _load(args, data_settings.dataset)
    if generator is not None:
        model = settings_of(generator)
        _compare(args, model)
    else:
        known = dataset_defaults(data_settings.dataset, getattr(args, "image_size", None))
        model = pick(ModelConfig, args, run.model if run else ModelConfig(image_size=known.image_size))
    use_bg = model.use_bg and generator is not None
    pairs = open_pairs(data_settings, args.split, model.image_size, model.skeleton, use_bg, args.images_for_test)
    person = person_by(args.person)
    for name in pairs.names:
        person(name)  # raises InputError if the name has none
    if args.dry_run:
        print(
            f"{len(pairs)} {args.split} pairs of {len(pairs.names)} images are in order; "
            f"metrics: {', '.join(scorer.computed)}"
        )
        for name, reason in scorer.not_computed.items():
            print(f"not computed: {name}: {reason}")
        return 0

    batches = division(args.batch_size)
    rows = args.shard.rows(len(pairs), batches)
    if generator is not None and args.merge:
        check_generated(generator, pairs, args.generated_images_dir, args.merge, args.batch_size)
    elif generator is not None:
        made = generate(
            generator,
            pairs,
            args.generated_images_dir,
            args.batch_size,
            args.use_dropout_test,
            args.overwrite,
            model.compat == "release",
            args.shard,
        )
        print(f"{made} images generated, {len(rows) - made} were there already: {args.generated_images_dir}")
    images = strips_of(args.generated_images_dir, pairs, person, rows)
    scores = score_share(args, scorer, images, Path(args.generated_images_dir), batches)
    if scores is None:
        return 0
    history = run_dir / "metrics.jsonl" if run_dir else None
    history = history if history and history.exists() else None
    folder, options = Path(args.generated_images_dir), _options(args, data_settings, run)
    write_outputs(args, scores, folder, command_line("test", argv), options, history)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Raises InputError for faults that can be found before any slow step."""
    if not args.generator_checkpoint and not args.load_generated_images:
        raise InputError(
            "--generator_checkpoint is missing: a run folder or a model file; "
            "--load_generated_images 1 scores strips that are there already"
        )
    if args.use_dropout_test and (args.merge or args.shard.count > 1):
        raise InputError(
            "--use_dropout_test 1: its noise follows the order in which all images are made, which shards do not have; "
            "leave --shard and --merge out"
        )
    if args.generator_checkpoint and not args.load_generated_images:
        model_file(args.generator_checkpoint)
    check_outputs(args)


def _run(checkpoint: str | None) -> tuple[Path | None, RunConfig | None]:
    """Folder and settings of the run, if `checkpoint` is the folder of a run."""
    if not checkpoint or checkpoint == DEMO or not Path(checkpoint).is_dir():
        return None, None
    run_dir = Path(checkpoint)
    return run_dir, RunConfig.from_dict(read_options(run_dir).get("config", {}), f"{run_dir / OPTIONS}: config")


def _load(args: argparse.Namespace, dataset: str) -> keras.Model:
    """The generator, with a seed for its dropout."""
    import keras

    from pose_gan.model_files.saving import load_generator

    keras.utils.set_random_seed(args.seed)
    return load_generator(args.generator_checkpoint, **release_settings(args, dataset))


def _compare(args: argparse.Namespace, model: ModelConfig) -> None:
    """Raises InputError if a given model flag differs from the setting with which the generator was built."""
    asked = pick(ModelConfig, args, model)
    for name, value in vars(asked).items():
        same = value == getattr(model, name) or name == "disc_type"
        if not same and not (name == "width" and asked.channels(64) == model.channels(64)):
            raise InputError(
                f"--{name}: {args.generator_checkpoint} was built with {getattr(model, name)}, got {value}; "
                "leave the flag out, or give another checkpoint"
            )


def _options(args: argparse.Namespace, data: DataConfig, run: RunConfig | None) -> dict[str, Any]:
    """All relevant settings as a flat table for the records. The run's settings have the prefix `training: `."""
    options = {
        name: value for name, value in vars(args).items() if name not in ("skeleton", "metrics", "shard", "merge")
    }
    options |= dataclasses.asdict(data)
    if run:
        sections = run.to_dict()
        sections["model"]["skeleton"] = run.model.skeleton.name
        for section in ("model", "loss", "train"):
            options |= {f"training: {name}": value for name, value in sections[section].items()}
    return options
