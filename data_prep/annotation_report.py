"""What `pose-gan data annotate` tells of its work: what was found, what was left out, and pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data_prep.journal import Entry
from pose_gan.estimators import Estimator
from pose_gan.files.folders import IMAGE_SUFFIXES, is_background, list_images
from pose_gan.files.images import read_image
from pose_gan.poses.drawing import WHITE, draw_skeleton, grid, write_image
from pose_gan.poses.framing import Frame
from pose_gan.poses.keypoints import Annotations, found, has_required_joints
from pose_gan.poses.skeleton import Skeleton

FEW = 0.05  # if people are found in a smaller share of the images, something is wrong
SHEET_SIDE, SHEET_HEIGHT = 10, 256  # contact sheet: pictures per row and per column; height of a picture in pixels
PICTURE_SIDE = 1024  # pixels; pictures of larger images are made smaller


def other_files(folder: Path) -> dict[str, str]:
    """The files of a folder that are not annotated, with the reason. Hidden files are not named."""
    images = set(list_images(folder))
    reasons = {}
    for path in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
        if path.is_dir():
            reasons[path.name] = "a folder; move its images up"
        elif path.name not in images:
            reasons[path.name] = f"not an image; images end in {' '.join(IMAGE_SUFFIXES)}"
        elif is_background(path.name):
            reasons[path.name] = "a background"
    return reasons


def people_seen(entries: Sequence[Entry], choice: str) -> str:
    """How many people were seen in the images, and who was taken where there were several; each such image is named."""
    counts = {entry.name: entry.people for entry in entries if entry.people is not None}
    if not counts:
        return "people per image: not counted; this estimator looks for one person"
    shares = ", ".join(f"{people} in {number} images" for people, number in sorted(Counter(counts.values()).items()))
    several = {name: people for name, people in counts.items() if people > 1}
    if not several:
        return f"people per image: {shares}"
    chosen = choice or "one of them was taken"
    lines = [f"  {name}: {people} people" for name, people in several.items()]
    return "\n".join([f"people per image: {shares}; where there were several, {chosen}:", *lines])


def summary(annotated: Annotations, estimator: Estimator) -> str:
    """A summary of the found keypoints as text, with a warning if almost nothing was found."""
    is_found = found(annotated.keypoints)
    people = int(is_found.any(axis=1).sum())
    valid = int(has_required_joints(annotated.keypoints, estimator.skeleton).sum())
    count = len(annotated)
    lines = [f"{annotated.path}: {count} images, {people} with a person, {valid} valid (all required joints found)"]
    if count:
        shares = zip(estimator.skeleton.joints, is_found.mean(axis=0), strict=True)
        lines.append("joints found: " + ", ".join(f"{joint} {share:.0%}" for joint, share in shares))
    if people < FEW * count or not count:
        lines.append(
            f"warning: a person was found in {people} of {count} images. The usual reasons: the network takes "
            "another order of colours (--colour_order rgb or bgr) or range (--input_range bytes, unit, centred "
            "or signed); the people are too small for it (OpenPose's networks want 200 pixels of height: try "
            "--scales, or a MediaPipe .task file); 'demo' knows the people of the demo only. Look at --preview"
        )
    return "\n".join(lines)


def draw_preview(annotated: Annotations, folder: Path, output: Path, estimator: Estimator) -> None:
    """Writes each image with its skeleton into `output`, and up to 100 of them as one sheet, `<output>.png`.

    Skeletons are drawn at the size that is written, so a photo of many pixels takes little more memory than to read it.
    """
    present = [row for row, name in enumerate(annotated.names) if (folder / name).is_file()]
    every = -(-len(present) // SHEET_SIDE**2)
    thumbnails = []
    for number, row in enumerate(tqdm(present, f"{folder.name} pictures", unit="image")):
        image, keypoints = read_image(folder / annotated.names[row]), annotated.keypoints[row]
        height, width = image.shape[:2]
        scale = min(1, PICTURE_SIDE / max(height, width))
        frame = Frame.stretch((height, width), (max(1, round(height * scale)), max(1, round(width * scale))))
        write_image(output / f"{annotated.names[row]}.png", _drawn(image, keypoints, frame, estimator.skeleton))
        if number % every == 0:
            frame = Frame.letterbox((height, width), (SHEET_HEIGHT, SHEET_HEIGHT), WHITE)
            thumbnails.append(_drawn(image, keypoints, frame, estimator.skeleton))
    columns = min(SHEET_SIDE, len(thumbnails))
    while columns and len(thumbnails) % columns:
        thumbnails.append(np.full_like(thumbnails[0], 255))
    rows = [thumbnails[start : start + columns] for start in range(0, len(thumbnails), columns or 1)]
    if rows:
        write_image(output.with_name(f"{output.name}.png"), grid(rows))


def _drawn(image: np.ndarray, keypoints: np.ndarray, frame: Frame, skeleton: Skeleton) -> np.ndarray:
    """What a frame shows of an image and its pose."""
    return draw_skeleton(frame.keypoints(keypoints), frame.size, skeleton, frame.image(image))
