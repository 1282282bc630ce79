"""`python -m pose_gan.info`: what a model file knows of itself, in any format."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from pose_gan.errors import run_program
from pose_gan.metadata import ModelInfo
from pose_gan.options import program_parser
from pose_gan.saving import generator_file, read_info

EXAMPLE = """
python -m pose_gan.info runs/00000-market-full
python -m pose_gan.info generator.tflite --json
python -m pose_gan.info generator-warp-mask-nn3-cl12.h5
"""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = program_parser(
        "Prints what a model file knows of itself: settings, skeleton, training run, version.", EXAMPLE
    )
    parser.prog = "python -m pose_gan.info"
    parser.add_argument(
        "file",
        metavar="RUN_OR_FILE",
        help="folder of a training run (its newest checkpoint), .h5, .keras, .tflite or .onnx file, SavedModel, or a "
        "checkpoint of the authors' release",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON, the whole skeleton included")
    return parser.parse_args(argv)


def lines(info: ModelInfo) -> list[tuple[str, str]]:
    """Name and value of everything, in words."""
    model = info.model
    height, width = model.image_size
    shown: dict[str, Any] = {
        "kind": info.kind,
        "image size": f"{height}x{width} (height x width, pixels)",
        "skeleton": f"{model.skeleton.name}: {model.skeleton.num_joints} joints, {model.skeleton.num_parts} parts",
        "joints": " ".join(model.skeleton.joints),
        "skips": ", ".join(
            [
                model.warp_skip,
                *([model.warp_agg, model.warp_interpolation] if model.warp_skip in ("mask", "full") else []),
            ]
        ),
        "poses": {"hm": f"heat maps, sigma {model.sigma:g} px", "stickman": "stick-man"}[model.pose_rep_type],
        "sees": ", ".join(_seen(model)),
        "normalisation": model.norm,
        "follows": model.compat,
        "width": f"{model.width:g}",
    }
    if info.kind == "discriminator":
        shown["discriminator"] = model.disc_type
    for name, value in dataclasses.asdict(info.training).items() if info.training else ():
        shown[name.replace("_", " ")] = "-" if value is None else value
    if info.converted_from:
        shown["converted from"] = info.converted_from
    shown["written by"] = f"pose_gan {info.pose_gan}" if info.pose_gan else "the authors' release"
    return [(name, str(value)) for name, value in shown.items()]


def _seen(model: Any) -> list[str]:
    return ["source image", *["source pose"] * model.use_input_pose, "target pose", *["background"] * model.use_bg]


def main(argv: list[str] | None = None) -> int | None:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    args = parse(argv)
    path = generator_file(args.file)
    info = read_info(path)
    if args.json:
        print(json.dumps(json.loads(info.to_json()), indent=2))
        return
    size = sum(item.stat().st_size for item in ([path] if path.is_file() else Path(path).rglob("*")))
    for name, value in [("file", f"{path} ({size / 1e6:.1f} MB)"), *lines(info)]:
        print(f"{name:<15} {value}")


if __name__ == "__main__":
    run_program(main)
