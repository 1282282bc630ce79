"""`pose-gan convert`: writes a checkpoint of the authors' release in our format."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pose_gan import runtime
from pose_gan.config import TELLING, ModelConfig, in_words
from pose_gan.errors import InputError
from pose_gan.model_files.run_folder import MODEL_SUFFIXES, model_file
from pose_gan.programs.flags import add_config_arguments, boolean
from pose_gan.programs.verbs import verb_parser

EPILOG = """examples:
  pose-gan convert generator-warp-mask-nn3-cl12.h5 generator.keras
  pose-gan convert epoch_089_generator.h5 generator.h5 --warp_skip full"""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser(
        "convert",
        "Writes a checkpoint of the authors' release (generator or discriminator) in our format. It also converts .h5 "
        "to .keras and back.",
        EPILOG,
    )
    parser.add_argument("input", metavar="IN", help=".h5 file of the release, or .h5 or .keras file of this package")
    parser.add_argument("output", metavar="OUT", help="file to write; its suffix, .h5 or .keras, chooses the format")
    parser.add_argument(
        "--overwrite", type=boolean, default=False, metavar="0|1", help="replace OUT if it exists (default: 0)"
    )
    title = "settings that the weights do not show (default: the file's, else the first of the release's that fits)"
    add_config_arguments(parser, ModelConfig, title, TELLING)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    args = build_parser().parse_args(argv)
    source, target = Path(args.input), Path(args.output)
    if target.suffix not in MODEL_SUFFIXES:
        raise InputError(f"{target}: a model file ends in {' or '.join(MODEL_SUFFIXES)}")
    if target.exists() and not args.overwrite:
        raise InputError(f"{target}: is there already; --overwrite 1 replaces it")
    model_file(source)
    runtime.start()
    from pose_gan.model_files.saving import load_model, read_info, save_model

    known = {name: getattr(args, name) for name in TELLING if hasattr(args, name)}
    info = read_info(source, **known)
    model = load_model(source, **known)
    save_model(model, target, info)
    settings = in_words({name: getattr(info.model, name) for name in (*TELLING, "norm", "compat")})
    print(f"{info.kind} of {model.count_params() / 1e6:.1f} M parameters ({settings}) -> {target}")
    return 0
