"""`python -m pose_gan.export`: a trained generator as files for other programs, each tried out."""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from pose_gan import formats, runtime
from pose_gan.errors import InputError, run_program
from pose_gan.evaluation import compiled
from pose_gan.metadata import ModelInfo
from pose_gan.options import boolean, program_parser
from pose_gan.safety import SAVED_MODEL
from pose_gan.saving import generator_file, load_generator, read_info

TOLERANCE = 1e-4  # of images in [-1, 1]
TRIED = 4  # samples
TIMED = 5  # calls
EXAMPLE = """
python -m pose_gan.export runs/00000-market-full --format savedmodel tflite onnx
python -m pose_gan.export generator.h5 --format onnx --output phone/
"""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = program_parser(
        "Writes a trained generator in formats that other programs load; each file is loaded back and compared.",
        EXAMPLE,
    )
    parser.prog = "python -m pose_gan.export"
    parser.add_argument(
        "generator", metavar="RUN_OR_FILE", help="folder of a training run (its newest checkpoint), or a model file"
    )
    parser.add_argument(
        "--format",
        nargs="+",
        required=True,
        choices=tuple(formats.FORMATS),
        help="what to write: h5 and keras load with this package, savedmodel with TensorFlow, tflite with LiteRT, onnx "
        "with ONNX Runtime",
    )
    parser.add_argument(
        "--output", metavar="DIR", help="folder of the files (default: export/ in the run's folder, or beside the file)"
    )
    parser.add_argument(
        "--check",
        type=boolean,
        default=True,
        metavar="0|1",
        help="load each file back, compare its images and measure milliseconds an image (default: 1)",
    )
    parser.add_argument(
        "--overwrite", type=boolean, default=False, metavar="0|1", help="replace files that are there (default: 0)"
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int | None:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    args = parse(argv)
    source = generator_file(args.generator)
    if (source / SAVED_MODEL).exists():
        raise InputError(f"{source}: an exported model cannot be exported again; give the .h5 or .keras of it")
    beside = Path(args.generator) if Path(args.generator).is_dir() else source.parent
    folder = Path(args.output or beside / "export")
    targets = {name: folder / formats.FORMATS[name].file for name in dict.fromkeys(args.format)}
    for path in targets.values():
        if path.exists() and not args.overwrite:
            raise InputError(f"{path}: is there already; --overwrite 1 replaces it")
        if path.exists() and path.samefile(source):
            raise InputError(f"{path}: would be written over itself; give another --output")
    runtime.configure()
    info = read_info(source)
    for name in targets:
        formats.check(name, info)
    generator, values = load_generator(source), samples(info)
    expected = np.asarray(compiled(generator)(values)) if args.check else None
    rows = []
    for name, path in targets.items():
        print(f"writing {path}", flush=True)
        formats.write(generator, path, name, info)
        checked = ("not compared", "-") if expected is None else _check(name, path, values, expected)
        rows.append((name, str(path), f"{_size(path) / 1e6:.1f} MB", *checked))
    print(_table(("format", "file", "size", "largest difference", "an image"), rows))
    return None


def _check(name: str, path: Path, values: formats.Values, expected: np.ndarray) -> tuple[str, str]:
    """The largest difference of an image, and how long one takes. Raises InputError: they differ too much."""
    run = formats.FORMATS[name].open(path)
    difference = float(np.abs(run(values) - expected).max())
    if not difference <= TOLERANCE:  # NaN too
        raise InputError(
            f"{path}: gives images that differ by {difference:.2g} from the generator's, more than {TOLERANCE:g}; the "
            "file stays for a closer look, do not use it"
        )
    one = {key: value[:1] for key, value in values.items()}
    run(one)
    times = []
    for _ in range(TIMED):
        start = time.perf_counter()
        run(one)
        times.append(time.perf_counter() - start)
    return f"{difference:.1e}", f"{1000 * statistics.median(times):.0f} ms"


def samples(info: ModelInfo, count: int = TRIED, seed: int = 0) -> dict[str, Any]:
    """Random images, and poses whose joints lie anywhere in them, some missing: float32 arrays by name of input."""
    random, (height, width) = np.random.default_rng(seed), info.model.image_size
    joints = info.model.skeleton.num_joints
    values: dict[str, Any] = {"source_image": random.uniform(-1, 1, (count, height, width, 3))}
    for name in ("source_keypoints", "target_keypoints"):
        pose = random.uniform(0, (height - 1, width - 1), (count, joints, 2))
        pose[random.random((count, joints)) < 0.1] = -1
        values[name] = pose
    if info.model.use_bg:
        values["background"] = random.uniform(-1, 1, (count, height, width, 3))
    return {name: value.astype(np.float32) for name, value in values.items()}


def _size(path: Path) -> int:
    return sum(item.stat().st_size for item in ([path] if path.is_file() else path.rglob("*")) if item.is_file())


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    )


if __name__ == "__main__":
    run_program(main)
