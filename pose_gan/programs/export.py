"""`pose-gan export`: writes a trained generator as files for other programs, and tries out each file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pose_gan import runtime
from pose_gan.errors import InputError
from pose_gan.model_files.run_folder import DEMO_FILE, EXPORTS, SAVED_MODEL, model_file
from pose_gan.programs.flags import boolean
from pose_gan.programs.verbs import verb_parser

EPILOG = """examples:
  pose-gan export runs/00000-market-full --format savedmodel tflite onnx
  pose-gan export generator.h5 --format onnx --output phone/
  pose-gan export runs/00000-market-full --format h5 --half_precision 1"""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "export",
        "Writes a trained generator in formats that other programs load. Each file is loaded back and compared.",
        EPILOG,
    )
    parser.add_argument(
        "generator",
        metavar="RUN_OR_FILE",
        help="folder of a training run (its newest checkpoint), a model file, or demo, which knows drawn people only",
    )
    parser.add_argument(
        "--format",
        nargs="+",
        required=True,
        choices=tuple(EXPORTS),
        help="formats to write: this package loads h5 and keras, TensorFlow loads savedmodel, LiteRT loads tflite, "
        "ONNX Runtime loads onnx",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="folder of the files (default: export/ in the run's folder, or beside the file; for demo, here)",
    )
    parser.add_argument(
        "--half_precision",
        type=boolean,
        default=False,
        metavar="0|1",
        help="round the weights to half precision; h5 files then take less than half the space (default: 0)",
    )
    parser.add_argument(
        "--check",
        type=boolean,
        default=True,
        metavar="0|1",
        help="load each file back, compare its images and measure milliseconds per image (default: 1)",
    )
    parser.add_argument(
        "--overwrite", type=boolean, default=False, metavar="0|1", help="replace existing files (default: 0)"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    args = build_parser().parse_args(argv)
    source = model_file(args.generator)
    if (source / SAVED_MODEL).exists():
        raise InputError(f"{source}: an exported model cannot be exported again; give the .h5 or .keras of it")
    beside = Path() if source == DEMO_FILE else Path(args.generator) if Path(args.generator).is_dir() else source.parent
    folder = Path(args.output or beside / "export")
    targets = {name: folder / EXPORTS[name] for name in dict.fromkeys(args.format)}
    for path in targets.values():
        if path.exists() and not args.overwrite:
            raise InputError(f"{path}: is there already; --overwrite 1 replaces it")
        if path.exists() and path.samefile(source):
            raise InputError(f"{path}: would be written over itself; give another --output")

    runtime.start()
    from pose_gan.model_files import formats, half
    from pose_gan.model_files.saving import load_generator, read_info
    from pose_gan.model_files.trial import samples, try_out
    from pose_gan.networks import compiled

    info = read_info(source)
    for name in targets:
        formats.check(name, info)
    generator, values = load_generator(source), samples(info)
    if args.half_precision:
        half.round_weights(generator)
    expected = compiled(generator)(values).numpy() if args.check else None
    rows = []
    for name, path in targets.items():
        print(f"writing {path}", flush=True)
        formats.write(generator, path, name, info)
        if args.half_precision and name == "h5":
            half.pack(path)
        checked = ("not compared", "-")
        if expected is not None:
            difference, seconds = try_out(name, path, values, expected)
            checked = (f"{difference:.1e}", f"{1000 * seconds:.0f} ms")
        rows.append((name, str(path), f"{_size(path) / 1e6:.1f} MB", *checked))
    print(_table(("format", "file", "size", "largest difference", "time per image"), rows))
    return 0


def _size(path: Path) -> int:
    return sum(item.stat().st_size for item in ([path] if path.is_file() else path.rglob("*")) if item.is_file())


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    )
