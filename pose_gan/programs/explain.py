"""`pose-gan explain`: what the generator is told about a pair of poses, as one picture."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pose_gan import runtime
from pose_gan.programs.generate import add_inputs, opened
from pose_gan.programs.verbs import verb_parser

OUTPUT = "explained.png"
EPILOG = """examples:
  pose-gan explain --generator demo --source demo --pose demo
  pose-gan explain --source anna.jpg --pose dancer.jpg --output anna-explained.png \\
      --generator runs/00000-market-full --pose_estimator pose_landmarker_full.task

The picture shows the source with its pose and its body parts, the target pose with its parts, the source as the
skip connections see it (each part moved by its affine transform; the paper's Figures 2 and 3), and the generated
image; below, each part alone. The generator demo knows drawn people only."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("explain", "Shows how a generator moves the parts of a person into another pose.", EPILOG)
    add_inputs(parser, OUTPUT, several=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program. Raises InputError for bad input; see `run_program`."""
    args = build_parser().parse_args(argv)
    from pose_gan.errors import InputError
    from pose_gan.poses.drawing import write_image

    generator, scene = opened(args, tensorflow=True)
    if len(scene.targets) != 1:
        raise InputError(f"--pose {args.pose[0]}: holds {len(scene.targets)} poses; choose one with --rows")
    from pose_gan.evaluation.explanation_picture import draw_rows, explanation_rows

    image, target = scene.generate(generator.run)[0], scene.targets[0]
    with runtime.untraced():
        rows = explanation_rows(scene.source, scene.pose, target.pose, image, scene.settings)
    write_image(args.output, draw_rows(rows))
    print(f"{args.output}: {sum(len(row.panels) for row in rows)} pictures, from {args.source} to {target.name}")
    return 0
