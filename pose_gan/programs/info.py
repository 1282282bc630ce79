"""`pose-gan info`: prints the metadata of a model file of any format."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_gan import runtime
from pose_gan.model_files.run_folder import MODEL_SUFFIXES, model_file
from pose_gan.programs.verbs import verb_parser

if TYPE_CHECKING:
    from pose_gan.model_files.metadata import ModelInfo

EPILOG = """examples:
  pose-gan info runs/00000-market-full
  pose-gan info generator.tflite --json
  pose-gan info generator-warp-mask-nn3-cl12.h5"""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "info", "Prints the metadata of a model file: settings, skeleton, training run and version.", EPILOG
    )
    parser.add_argument(
        "file",
        metavar="RUN_OR_FILE",
        help="folder of a training run (its newest checkpoint), .h5, .keras, .tflite or .onnx file, SavedModel, or a "
        "checkpoint of the authors' release",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON, including the whole skeleton")
    return parser


def lines(info: ModelInfo) -> list[tuple[str, str]]:
    """The names and values of all metadata, in words."""
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
    if info.training and info.training.dataset == "demo":
        shown["knows"] = "drawn people only (pose-gan data demo)"
    if info.converted_from:
        shown["converted from"] = info.converted_from
    shown["written by"] = f"pose_gan {info.pose_gan}" if info.pose_gan else "the authors' release"
    return [(name, str(value)) for name, value in shown.items()]


def _seen(model: Any) -> list[str]:
    return ["source image", *["source pose"] * model.use_input_pose, "target pose", *["background"] * model.use_bg]


def _worked_out(path: Path) -> ModelInfo:
    """The metadata of a file that holds none, such as a checkpoint of the release. TensorFlow is imported for these."""
    runtime.start()
    from pose_gan.model_files.saving import read_info

    return read_info(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    args = build_parser().parse_args(argv)
    path = model_file(args.file)
    from pose_gan.files.keras_files import keras_version
    from pose_gan.model_files import metadata

    info = metadata.read(path) or _worked_out(path)
    wrote = keras_version(path) if path.suffix in MODEL_SUFFIXES else None  # others are read without Keras
    if args.json:
        versions = {"keras": {"wrote": wrote, "installed": version("keras")}} if wrote else {}
        print(json.dumps(json.loads(info.to_json()) | versions, indent=2))
        return 0
    size = sum(item.stat().st_size for item in ([path] if path.is_file() else Path(path).rglob("*")))
    keras_versions = [("keras", f"{wrote} wrote the file, {version('keras')} is installed")] if wrote else []
    for name, value in [("file", f"{path} ({size / 1e6:.1f} MB)"), *lines(info), *keras_versions]:
        print(f"{name:<15} {value}")
    return 0
