"""`python -m pose_gan.convert`: a checkpoint of the authors' release in our format, once and for all."""

from __future__ import annotations

import argparse
from pathlib import Path

from pose_gan import release
from pose_gan.config import ModelConfig
from pose_gan.errors import InputError, run_program
from pose_gan.options import add_config_arguments, boolean, program_parser
from pose_gan.saving import MODEL_SUFFIXES, load_model, read_info, save_model

EXAMPLE = """
python -m pose_gan.convert generator-warp-mask-nn3-cl12.h5 generator.keras
python -m pose_gan.convert epoch_089_generator.h5 generator.h5 --warp_skip full
"""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = program_parser(
        "Writes a checkpoint of the authors' release (generator or discriminator) in our format; also turns .h5 into "
        ".keras and back.",
        EXAMPLE,
    )
    parser.prog = "python -m pose_gan.convert"
    parser.add_argument("input", metavar="IN", help=".h5 of the release, or .h5 or .keras of ours")
    parser.add_argument("output", metavar="OUT", help="file to write; its suffix, .h5 or .keras, chooses the format")
    parser.add_argument(
        "--overwrite", type=boolean, default=False, metavar="0|1", help="replace OUT if it is there (default: 0)"
    )
    title = "what the weights do not tell (default: as the file says, else the first of the release's that fits)"
    add_config_arguments(parser, ModelConfig, title, release.TELLING)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int | None:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    args = parse(argv)
    source, target = Path(args.input), Path(args.output)
    if target.suffix not in MODEL_SUFFIXES:
        raise InputError(f"{target}: a model file ends in {' or '.join(MODEL_SUFFIXES)}")
    if target.exists() and not args.overwrite:
        raise InputError(f"{target}: is there already; --overwrite 1 replaces it")
    known = {name: getattr(args, name) for name in release.TELLING if hasattr(args, name)}
    info = read_info(source, **known)
    model = load_model(source, **known)
    save_model(model, target, info)
    settings = release.shown({name: getattr(info.model, name) for name in (*release.TELLING, "norm", "compat")})
    print(f"{info.kind} of {model.count_params() / 1e6:.1f} M parameters ({settings}) -> {target}")


if __name__ == "__main__":
    run_program(main)
