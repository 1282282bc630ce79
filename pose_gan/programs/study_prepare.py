"""`pose-gan study prepare`: chooses the images of a user study, and writes its folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pose_gan.errors import InputError, reason
from pose_gan.files.text import read_text
from pose_gan.programs.flags import image_size
from pose_gan.programs.score_flags import seed
from pose_gan.programs.verbs import command_line, verb_parser
from pose_gan.study.plan import PROTOCOLS

if TYPE_CHECKING:
    from pose_gan.study.sources import Picture, System

PRACTICE = {"paper": 10, "pg2": 0}
EPILOG = """examples:
  pose-gan study prepare --strips output/generated_images --output_dir study
  pose-gan study prepare --strips ours=runs/a/strips --strips baseline=runs/b/strips --comparisons 20 --output_dir study
  pose-gan study prepare --generated ours=generated --real photos --count_real 40 --output_dir study

Strips are what pose-gan test writes: the generated images are cut from them, and the real targets of other pairs. All
images get one size and neutral names. pose-gan study run shows them, and pose-gan study score reads the answers."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("study prepare", "Chooses real and generated images for raters, under neutral names.", EPILOG)
    images = parser.add_argument_group("images")
    images.add_argument(
        "--strips",
        action="append",
        default=[],
        metavar="[NAME=]DIR",
        help="folder of strips of a system, source | target | generated; once per system (default name: the folder's)",
    )
    images.add_argument(
        "--generated",
        action="append",
        default=[],
        metavar="[NAME=]DIR",
        help="folder of generated images of a system; once per system",
    )
    images.add_argument(
        "--real",
        metavar="DIR",
        help="folder of real images (needed for --generated alone; default: those of the strips)",
    )
    images.add_argument(
        "--image_size", type=image_size, metavar="HxW", help="of all images (default: that of the generated ones)"
    )
    design = parser.add_argument_group("design")
    for flag, default, text in (
        ("--count_real", 55, "real images in the main part"),
        ("--count_generated", 55, "generated images in the main part, per system"),
        ("--practice", None, "images before the main part, that never count (default: 10; 0 with pg2 or no main part)"),
        ("--comparisons", 0, "questions which of two generated images is more like the target, per pair of systems"),
    ):
        text += "" if default is None else f" (default: {default})"
        design.add_argument(flag, type=_count, default=default, metavar="N", help=text)
    design.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default=PROTOCOLS[0],
        help="paper: every answer of the main part counts; pg2: each rater's first ten do not (default: paper)",
    )
    design.add_argument(
        "--systems_per_rater",
        type=_count,
        default=1,
        metavar="N",
        help="number of systems that one rater judges, in turn; with 1, a rater sees as many real as generated images "
        "(default: 1)",
    )
    design.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="of the choice and of all orders (default: 0)"
    )
    shown = parser.add_argument_group("how images are shown")
    shown.add_argument("--display_ms", type=_count, default=1000, metavar="MS", help="time per image (default: 1000)")
    shown.add_argument(
        "--scale", type=_count, metavar="N", help="CSS pixels per image pixel (default: so that it is about 400 high)"
    )
    shown.add_argument(
        "--answer_limit", type=float, metavar="S", help="seconds for an answer (default: there is no limit)"
    )
    shown.add_argument(
        "--introduction", metavar="FILE", help="text that raters read first, UTF-8; empty lines separate paragraphs"
    )
    output = parser.add_argument_group("output")
    output.add_argument("--output_dir", required=True, metavar="DIR", help="folder of the study, which must be new")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    args = build_parser().parse_args(argv)
    if not args.strips and not args.generated:
        raise InputError("give --strips DIR, or --generated DIR with --real DIR")
    if args.generated and not args.strips and not args.real:
        raise InputError("--generated needs --real DIR, the folder of the real images")
    if not (args.count_real or args.count_generated or args.comparisons):
        raise InputError("--count_real, --count_generated and --comparisons are all 0, so there is nothing to judge")
    text = _introduction(args.introduction)
    from pose_gan.study.plan import Study
    from pose_gan.study.prepare import INTRODUCTION, check_free, default_scale, prepare

    check_free(args.output_dir)
    systems, real = sources(args)
    judged = args.count_real or args.count_generated
    practice = args.practice if args.practice is not None else PRACTICE[args.protocol] if judged else 0
    size = args.image_size or next(iter(systems[0].generated.values())).read().shape[:2]
    study = Study(
        seed=args.seed,
        protocol=args.protocol,
        systems=tuple(system.name for system in systems),
        systems_per_rater=args.systems_per_rater,
        count_real=args.count_real,
        count_generated=args.count_generated,
        practice=practice,
        comparisons=args.comparisons,
        image_size=size,
        display_ms=args.display_ms,
        scale=default_scale(size) if args.scale is None else args.scale,
        answer_limit_s=args.answer_limit,
        introduction=INTRODUCTION if text is None else text,
    )
    made = prepare(args.output_dir, study, systems, real, command_line("study prepare", argv))
    parts = [f"{_number(study.practice, 'image')} for practice"] if study.practice else []
    generated = study.count_generated * study.systems_per_rater
    parts += [f"{study.count_real} real and {generated} generated images"] if judged else []
    parts += [_number(len(made.comparisons), "comparison")] if made.comparisons else []
    print(f"{args.output_dir}: {len(made.images)} images; a rater judges {', then '.join(parts)}")
    for remark in made.study.remarks:
        print(f"note: {remark}")
    print(f"show them to raters: pose-gan study run {args.output_dir}")
    return 0


def sources(args: argparse.Namespace) -> tuple[list[System], dict[str, Picture]]:
    """The systems in the order of the flags, strips first, and the real images by name.

    Raises: InputError: two systems have one name, or as `system_of_strips` and `system_of_images`.
    """
    from pose_gan.study.sources import named, real_images, system_of_images, system_of_strips

    folders = [named(text) for text in (*args.strips, *args.generated)]
    for name, folder in folders:
        others = [other for other_name, other in folders if other_name == name and other is not folder]
        if others:
            raise InputError(f"{folder} and {others[0]} are both named {name}; give NAME=DIR")
        if args.real and folder.resolve() == Path(args.real).resolve():
            raise InputError(f"{folder}: is given as generated and as real")
    strips = [system_of_strips(*one) for one in folders[: len(args.strips)]]
    real: dict[str, Picture] = {}
    for system in reversed(strips):
        real.update(system.real)
    if args.real:
        real = real_images(Path(args.real))
    return [*strips, *(system_of_images(*one, real) for one in folders[len(strips) :])], real


def _introduction(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        text = read_text(path, "utf-8-sig", 100_000).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--introduction {path}: cannot be read as a text: {reason(error)}") from None
    if not text:
        raise InputError(f"--introduction {path}: is empty")
    return text


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _count(text: str) -> int:
    """Type of flags that take a whole number."""
    if not text.isdecimal() or int(text) > 1_000_000:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 1000000, got {text!r}")
    return int(text)
