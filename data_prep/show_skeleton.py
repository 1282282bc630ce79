"""`pose-gan data show-skeleton`: draws joints, edges and parts of a skeleton, so that one is designed by looking."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pose_gan import runtime
from pose_gan.errors import InputError
from pose_gan.files.images import read_image
from pose_gan.poses.design import CANVAS, draw_dots, draw_names, lay_out
from pose_gan.poses.drawing import draw_skeleton, grid, parts_overlay, write_image
from pose_gan.poses.framing import Frame
from pose_gan.poses.keypoints import Annotations, found, has_required_joints, read_annotations
from pose_gan.poses.skeleton import COCO18, Part, Skeleton, load_skeleton
from pose_gan.programs.verbs import verb_parser

SIDE, SMALL = 760, 232  # pixels of the large picture and of the pictures of parts
ROWS = 3  # of pictures of parts
LARGEST = 1536  # pixels; images with a longer side, which no network takes, are made smaller first
MARGIN = 0.2  # of the pictures around the joints, so that parts that reach beyond them are seen
WHITE = (255, 255, 255)
EPILOG = """examples:
  pose-gan data show-skeleton examples/skeletons/mouse.toml --output mouse.png
  pose-gan data show-skeleton mouse.toml --image data/mouse-dataset/train/img0000.jpg \\
    --annotations annotations/mouse-annotation-train.csv --output mouse.png

The picture shows the joints with their names and the edges, and beside them the mask of each part: the place
that moves with it. Dots are the joints that determine how the part moves. With --image, the last picture is the
body mask of the metrics. Without --annotations, the joints are laid out by their edges, the right side of a body
at the left; this shows what is connected, but no true proportions. With --annotations and no --image, the first
complete pose is shown."""


def build_parser() -> argparse.ArgumentParser:
    parser = verb_parser("data show-skeleton", "Draws the joints, edges and parts of a skeleton.", EPILOG)
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="skeleton file, .json or .toml (default: the 18 COCO joints)"
    )
    parser.add_argument("--image", type=Path, metavar="FILE", help="image to draw over; needs --annotations")
    parser.add_argument("--annotations", type=Path, metavar="CSV", help="annotation file with the pose to show")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="picture to write, such as a .png")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Draws one skeleton.

    Raises: InputError: the skeleton or the annotations are wrong, or have no pose of the image.
    """
    options = build_parser().parse_args(argv)
    skeleton = load_skeleton(options.file) if options.file else COCO18
    if options.image and not options.annotations:
        raise InputError("--image needs --annotations CSV, the file with its keypoints")
    pose, image, about = _pose(options, skeleton)
    frame = _frame((image.shape[0], image.shape[1]))
    pose, image, smaller = frame.keypoints(pose), frame.image(image), frame.size != frame.image_size
    runtime.start()
    write_image(options.output, picture(pose, image, skeleton, real=options.image is not None and not smaller))
    print("\n".join([f"{skeleton.name}: {about}", *remarks(skeleton, pose)]))
    if options.image and smaller:
        print(
            f"drawn at {image.shape[0]}x{image.shape[1]} pixels (height x width), so without the body mask, whose "
            "lines have 8 pixels in the image that the metrics see"
        )
    print(f"-> {options.output}")
    return 0


def picture(pose: np.ndarray, image: np.ndarray, skeleton: Skeleton, real: bool = True) -> np.ndarray:
    """The joints and edges with names, and beside them a picture per part.

    Args:
        pose: int32 `(joints, 2)`, (y, x) in pixels of the image, −1 where missing.
        image: uint8 `(H, W, 3)`.
        real: whether the image's pixels are those of a camera; then the body mask, whose size is in pixels, is shown.
    Returns: uint8 `(height, width, 3)`.
    Raises: InputError: no joint was found.
    """
    from pose_gan.geometry.masks import part_masks
    from pose_gan.metrics.body_mask import body_mask

    size = (image.shape[0], image.shape[1])
    large = Frame.around(pose, size, (SIDE, SIDE), MARGIN, WHITE)
    small = Frame.around(pose, size, (SMALL, SMALL), MARGIN, WHITE)
    names = draw_names(large.keypoints(pose), large.image(image), skeleton)
    joints, background = small.keypoints(pose), small.image(image)
    context = draw_skeleton(joints, (SMALL, SMALL), skeleton, background, thickness=0.4)
    context = np.rint(0.6 * background + 0.4 * context).astype(np.uint8)
    cells = []
    for part, mask in zip(skeleton.parts, np.array(part_masks(joints[None], (SMALL, SMALL), skeleton)[0]), strict=True):
        tinted = parts_overlay(np.stack([mask, np.zeros_like(mask)]), context)
        kind = "whole image" if part.kind == "whole" else part.kind
        cells.append((f"{part.name} ({kind})", _with_joints(tinted, joints, part, skeleton)))
    if real:
        mask = small.image(np.repeat(body_mask(pose, size, skeleton)[..., None], 3, -1).astype(np.uint8) * 255)
        cells.append(
            ("body mask", parts_overlay(np.stack([np.zeros_like(mask[..., 0]), mask[..., 0] > 127]), background))
        )
    columns = -(-len(cells) // ROWS)
    cells += [("", np.full((SMALL, SMALL, 3), 255, np.uint8))] * (-len(cells) % columns)
    lines = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    parts = np.concatenate([grid([[cell for _, cell in line]], [text for text, _ in line]) for line in lines])
    sheet = grid([[names]], [skeleton.name])
    height = max(len(sheet), len(parts))
    return np.concatenate([_taller(sheet, height), _taller(parts, height)], axis=1)


def remarks(skeleton: Skeleton, pose: np.ndarray) -> list[str]:
    """What the skeleton means for training and for the metrics, one line each."""
    lines = [
        f"{skeleton.num_joints} joints, {len(skeleton.edges)} edges, {skeleton.num_parts} parts; "
        f"required: {', '.join(skeleton.required) or 'none'}"
    ]
    missing = [joint for joint, there in zip(skeleton.joints, found(pose), strict=True) if not there]
    if missing:
        lines.append(f"not found in this pose: {', '.join(missing)}; parts that need them are empty")
    used = {joint for part in skeleton.parts for joint in part.joints + part.anchors}
    unused = [joint for joint in skeleton.joints if joint not in used]
    if unused:
        lines.append(f"in no part: {', '.join(unused)}; they are in the heat maps only")
    if all(part.kind != "whole" for part in skeleton.parts):
        lines.append("no part of the kind whole: what lies outside of all parts, such as the background, is not moved")
    if not skeleton.mirror_pairs:
        lines.append("no mirror_pairs: a flip keeps the names of all joints, and no limb has a mirror limb")
    if not skeleton.evaluation_edges:
        lines.append("no evaluation_edges: the body mask of mask-SSIM is drawn along the edges")
    if not skeleton.scale_sides:
        lines.append("no scale_sides: PCKh does not apply")
    return lines


def _pose(options: argparse.Namespace, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray, str]:
    """The pose to show, the image under it, and where they come from."""
    if not options.annotations:
        blank = np.full((CANVAS, CANVAS, 3), 255, np.uint8)
        return lay_out(skeleton), blank, "no pose was given, so the joints are laid out by their edges"
    annotations = read_annotations(options.annotations, skeleton)
    row = _row(annotations, options.image, skeleton)
    pose = annotations.keypoints[row]
    about = f"the pose of {annotations.where(row)}"
    if options.image:
        image = read_image(options.image)
        if np.any(pose.max(axis=0) >= image.shape[:2]):
            raise InputError(
                f"{annotations.where(row)}: joints lie outside of {options.image}, which has {image.shape[0]}x"
                f"{image.shape[1]} pixels (height x width); the annotations belong to an image of another size"
            )
        return pose, image, about
    height, width = np.maximum(pose.max(axis=0) + 1, 1).tolist()
    frame = _frame((height, width))
    return frame.keypoints(pose), np.full((*frame.size, 3), 255, np.uint8), about


def _frame(size: tuple[int, int]) -> Frame:
    """The whole image, (height, width) in pixels, made smaller if a side is longer than `LARGEST`."""
    scale = min(1.0, LARGEST / max(size))
    return Frame.stretch(size, (max(1, round(size[0] * scale)), max(1, round(size[1] * scale))))


def _row(annotations: Annotations, image: Path | None, skeleton: Skeleton) -> int:
    if image is not None:
        if image.name not in annotations.rows:
            raise InputError(f"{annotations.path}: has no row of {image.name}; give the annotations of this image")
        return annotations.rows[image.name]
    if not len(annotations):
        raise InputError(f"{annotations.path}: has no pose")
    complete = np.flatnonzero(has_required_joints(annotations.keypoints, skeleton))
    return int(complete[0]) if len(complete) else 0


def _with_joints(image: np.ndarray, joints: np.ndarray, part: Part, skeleton: Skeleton) -> np.ndarray:
    """Dots at the joints of the part."""
    return draw_dots(joints[skeleton.indices(part.joints + part.anchors)], image)


def _taller(sheet: np.ndarray, height: int) -> np.ndarray:
    return np.pad(sheet, ((0, height - len(sheet)), (0, 0), (0, 0)), constant_values=255)
