"""`pose-gan reid table`: the paper's Table 4 on one's own data."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_gan.config import value_in_words
from pose_gan.errors import InputError
from pose_gan.files.folders import make_folder
from pose_gan.files.lock import LOCK, only_program
from pose_gan.files.text import read_text, write_json, write_text
from pose_gan.programs import reid_evaluate, reid_train
from pose_gan.programs.flags import add_config_arguments
from pose_gan.programs.reid_flags import add_split_arguments
from pose_gan.programs.score_flags import seed
from pose_gan.programs.verbs import command_line, verb_parser
from pose_gan.reid.images import Splits
from pose_gan.reid.settings import DISTANCES, IMAGENET, METHODS, RANDOM, ReidConfig
from pose_gan.reid.trainings import AUGMENTED, CHANGES, NOT_CHANGED, REAL, Sets, Training

if TYPE_CHECKING:
    from pose_gan.reid.table import Member, Model

OF_TABLE_4 = {"ide": ("euclidean", "xqda", "kissme"), "embedding": ("cosine",)}
NAME = "reid_table"
EPILOG = f"""examples:
  pose-gan reid table --images Market-1501 --augmented augmented --backbone resnet50 --iterations 50000 \\
      --seeds 0 1 2 --paper --output_dir table4
  pose-gan reid table --images data/market-dataset/train --augmented augmented --output_dir table \\
      --flip 0 --trainings T T+flip T+erasing A A+flip+erasing A+generated_labels=smooth --iterations 2000

A training is a set of images with changes of its flags: SET[+CHANGE...]. The sets are T (--images), A (--augmented) and
those of --sets. A change is {", ".join(CHANGES)}, or any flag of pose-gan reid train as FLAG=VALUE.
All other flags are the same for all trainings, so each has the same budget. Given again, the command goes on where it
was stopped or killed, and skips what is done. OUT/runs and OUT/scores hold the trainings and their scores, OUT the
table as Markdown, LaTeX, CSV, JSON and HTML. For a page with answers: pose-gan reid evaluate --network OUT/runs/..."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("reid table", "Measures what generated images add to the training, as Table 4 does.", EPILOG)
    data = parser.add_argument_group("images")
    add_split_arguments(data)
    data.add_argument(
        "--augmented", metavar="DIR", help="the set A: what pose-gan reid augment made of the images (default: none)"
    )
    data.add_argument(
        "--sets", nargs="+", type=_set, default=[], metavar="NAME=DIR", help="further sets of training images"
    )
    data.add_argument(
        "--test_images",
        metavar="DIR",
        help="Market-1501's folder or a folder of images, all for the test; then all --images are for the training "
        "(default: the test's part of --images)",
    )
    own = parser.add_argument_group("table")
    own.add_argument(
        "--trainings",
        nargs="+",
        metavar="SET[+CHANGE]",
        help="columns of the table; all are compared with the first one (default: T, A and all other sets)",
    )
    own.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="default: ide embedding")
    own.add_argument(
        "--distances",
        nargs="+",
        choices=DISTANCES,
        help="of each method (default: those of Table 4, which are euclidean, xqda and kissme for ide, and cosine for "
        "embedding)",
    )
    own.add_argument(
        "--seeds", nargs="+", type=seed, default=[0, 1, 2], metavar="N", help="of the trainings (default: 0 1 2)"
    )
    own.add_argument("--bootstrap_seed", type=seed, default=0, metavar="N", help="of the intervals (default: 0)")
    own.add_argument("--paper", action="store_true", help="add the rows of the paper (default: only measured rows)")
    own.add_argument("--output_dir", required=True, metavar="OUT", help="folder of the table (required)")
    add_config_arguments(parser, ReidConfig, "network and training, as of pose-gan reid train", left_out=NOT_CHANGED)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    given = list(sys.argv[1:] if argv is None else argv)
    args = build_parser().parse_args(given)
    _check(args)
    sets = Sets(
        *(args.images, args.augmented, dict(args.sets), args.test_images),
        *(args.pattern, args.test_share, args.split_seed),
    )
    splits, trainings = sets.read(args.trainings)
    models = _models(args)
    members = _members(args, trainings, models)

    from pose_gan.evaluation.processes import Stopped, run_process
    from pose_gan.reid.table import MemberFailed, carry_out

    output = make_folder(args.output_dir)
    with only_program(output / LOCK):
        _check_runs(members, trainings)
        try:
            carry_out(members, run_process, _evaluator(splits), lambda line: print(line, flush=True))
        except MemberFailed as error:
            raise SystemExit(f"error: {error}") from None
        except Stopped as stopped:
            print(f"{stopped}: stopped; the same command goes on from there", flush=True)
            return 128 + stopped.number
        _write(args, output, splits, trainings, models, command_line("reid table", given))
    return 0


# ------------------------------------------------------------------------------------- flags


def _set(text: str) -> tuple[str, str]:
    name, _, folder = text.partition("=")
    if not re.fullmatch(r"[\w-]+", name) or not folder:
        raise argparse.ArgumentTypeError(f"expected NAME=DIR, with a name of letters, digits, _ and -, got {text!r}")
    return name, folder


def _check(args: argparse.Namespace) -> None:
    """Raises InputError for faults of this program's own flags; the names of sets and trainings come later."""
    for flag in ("trainings", "methods", "distances", "seeds", "sets"):
        values = getattr(args, flag) or []
        names = [value[0] for value in values] if flag == "sets" else values
        if twice := [name for name in names if names.count(name) > 1]:
            raise InputError(f"--{flag}: {twice[0]} is given twice")
    if taken := [name for name, _ in args.sets if name in (REAL, AUGMENTED)]:
        raise InputError(
            f"--sets {taken[0]}=...: {REAL} is --images, and {AUGMENTED} is --augmented; take another name"
        )


def _models(args: argparse.Namespace) -> list[Model]:
    from pose_gan.reid.table import Model

    return [Model(method, distance) for method in args.methods for distance in args.distances or OF_TABLE_4[method]]


def _members(args: argparse.Namespace, trainings: Sequence[Training], models: Sequence[Model]) -> list[Member]:
    """All trainings. Seeds come first: when everything has its first seed, the next one begins."""
    from pose_gan.reid.table import RUNS, SCORES, Member, place_of

    common = _common(args)
    members = []
    for number in args.seeds:
        for method in args.methods:
            for training in trainings:
                run, scores = (
                    place_of(Path(args.output_dir), part, method, training.name, number) for part in (RUNS, SCORES)
                )
                words = ["--output_dir", str(run), "--resume", "auto", "--method", method, "--seed", str(number)]
                words += [*common, *training.words]
                distances = [model.distance for model in models if model.method == method]
                evaluate = {distance: _evaluation(args, run, scores, distance) for distance in distances}
                members.append(Member(method, training.name, number, run, ("reid", "train", *words), evaluate))
    return members


def _common(args: argparse.Namespace) -> list[str]:
    """The flags for `reid train` that all trainings share."""
    words = []
    for field in dataclasses.fields(ReidConfig):
        if hasattr(args, field.name):
            value = getattr(args, field.name)
            words.append(f"--{field.name}={int(value) if isinstance(value, bool) else value_in_words(value)}")
    return words


def _evaluation(args: argparse.Namespace, run: Path, scores: Path, distance: str) -> tuple[str, ...]:
    """The flags for `reid evaluate`. The test and what metrics learn from are the same for all trainings."""
    test, share = (args.test_images, 1.0) if args.test_images else (args.images, args.test_share)
    words = ["--images", test, "--test_share", str(share), "--split_seed", str(args.split_seed)]
    words += ["--pattern", args.pattern] if args.pattern else []
    words += ["--train_images", args.images] if args.test_images else []
    words += ["--network", str(run), "--features", str(scores / reid_evaluate.FEATURES), "--distance", distance]
    return (*words, "--output_dir", str(scores / distance), "--queries", "0")  # a page per score would be too much


# ------------------------------------------------------------------------------------- work


def _check_runs(members: Sequence[Member], trainings: Sequence[Training]) -> None:
    """Raises InputError, before the first hour, if a run has other settings, or what is given does not fit together."""
    from pose_gan.model_files.run_folder import OPTIONS
    from pose_gan.reid.batches import check_batches

    images = {training.name: training.images for training in trainings}
    names = {member.run: member.training for member in members}
    for member in members:
        if names[member.run] != member.training:
            raise InputError(
                f"--trainings: {member.training} and {names[member.run]} would have the same folder, {member.run}; "
                "compare them in two tables"
            )
        config = reid_train.config_of(reid_train.build_parser().parse_args(member.train[2:]))
        check_batches(images[member.training], config)
        if config.backbone_weights not in (IMAGENET, RANDOM):
            from pose_gan.reid.weights import weights_file

            weights_file(config.backbone_weights)
        if (member.run / OPTIONS).exists():
            from pose_gan.reid.training import check_run

            check_run(member.run, config, images[member.training])


def _evaluator(splits: Splits) -> Callable[[Member, str], bool]:
    """What scores a member, if there are no such scores of its network and of the images yet."""
    from pose_gan.reid.features import images_digest, network_digest
    from pose_gan.reid.table import RECORD

    real = splits.train.select(~splits.train.generated)
    digests = {"query": images_digest(splits.query), "gallery": images_digest(splits.gallery)}
    digests["train"] = images_digest(real)

    def evaluate(member: Member, distance: str) -> bool:
        words = member.evaluate[distance]
        asked = vars(reid_evaluate.build_parser().parse_args(words))
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            record = json.loads(read_text(Path(asked["output_dir"]) / RECORD))
            same = all(one["sha256"] == digests[name] for name, one in record["images"].items())
            if same and record["run"]["options"] == asked and record["network"]["sha256"] == network_digest(member.run):
                return False
        with contextlib.redirect_stdout(io.StringIO()):
            reid_evaluate.main(words)
        return True

    return evaluate


def _write(
    args: argparse.Namespace,
    output: Path,
    splits: Splits,
    trainings: Sequence[Training],
    models: Sequence[Model],
    command: str,
) -> None:
    """Writes the table, and prints it."""
    from pose_gan.reid import table_files
    from pose_gan.reid.table import SCORES, place_of, read_table

    def folders(model: Model, training: Training) -> dict[int, Path]:
        return {
            number: place_of(output, SCORES, model.method, training.name, number) / model.distance
            for number in args.seeds
        }

    found = {model: {training.name: folders(model, training) for training in trainings} for model in models}
    table = read_table(found, args.bootstrap_seed)
    about = _about(args, trainings)
    texts = {
        "md": table_files.to_markdown(table, about, args.paper),
        "tex": table_files.to_latex(table, about, args.paper),
        "csv": table_files.to_csv(table),
    }
    for suffix, text in texts.items():
        write_text(output / f"{NAME}.{suffix}", text)
    settings = {name: value for name, value in sorted(vars(args).items()) if value is not None}
    record = {**table.to_dict(), "about": about, "command": command, "options": settings}
    write_json(output / f"{NAME}.json", record)
    title = f"Re-identification with {', '.join(table.trainings)}"
    shown: dict[str, Any] = {"command": command, "query": splits.query.folder, "gallery": splits.gallery.folder}
    table_files.write_page(output / f"{NAME}.html", table, title, {**shown, **_settings(args)}, about, args.paper)
    print(texts["md"], end="")
    print("written:", ", ".join(str(output / f"{NAME}.{suffix}") for suffix in (*texts, "json", "html")))


def _about(args: argparse.Namespace, trainings: Sequence[Training]) -> list[str]:
    """Remarks on the images and the budget of the trainings."""
    counts = []
    for training in trainings:
        generated = int(training.images.generated.sum())
        real = f"{len(training.images) - generated:,} real images"
        counts.append(f"{training.name}: {real}{f' and {generated:,} generated ones' if generated else ''}")
    settings = [ReidConfig.of(**{"method": method, **_given(args)}) for method in args.methods]
    budgets = dict.fromkeys(f"{one.iterations:,} iterations of {one.batch_size} images" for one in settings)
    budget = f"{settings[0].backbone}, {' or '.join(budgets)} for each training that names no other number"
    return [f"Training images: {'; '.join(counts)}. Networks: {budget}."]


def _given(args: argparse.Namespace) -> dict[str, Any]:
    names = (field.name for field in dataclasses.fields(ReidConfig))
    return {name: getattr(args, name) for name in names if hasattr(args, name)}


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    """The settings of the trainings that were given."""
    return {name: value_in_words(value) for name, value in _given(args).items()}
