"""Images per second of an OpenPose network in `pose-gan data annotate`, split into network and decoding."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.harness import Options, Table, time_in_turns
from pose_gan.errors import InputError
from pose_gan.estimators.openpose import OpenPoseEstimator
from pose_gan.files.folders import list_images
from pose_gan.files.images import read_image

IMAGES, QUICK_IMAGES = 100, 4
NOTE = "Needs a network and photographs: --pose_estimator FILE --images_dir DIR (images of one size)."


def run(options: Options) -> list[Table]:
    columns = {
        "images": "images",
        "size": "image",
        "rate": "images/s",
        "network": "network s",
        "decoding": "decoding s",
    }
    columns["share"] = "decoding's share"
    title = "Annotation with an OpenPose network, all scales"
    if options.pose_estimator is None or options.images_dir is None:
        return [Table(title, columns, [], [NOTE])]
    estimator = OpenPoseEstimator(options.pose_estimator)
    images = _images(Path(options.images_dir), QUICK_IMAGES if options.quick else IMAGES)
    size = (images.shape[1], images.shape[2])
    batches = np.array_split(images, -(-len(images) // estimator.preferred_batch))
    maps = estimator.maps(batches[0])
    times = time_in_turns(
        {
            "network": lambda: [estimator.maps(batch) for batch in batches],
            "decoding": lambda: [estimator.decode(maps, size) for _ in batches],
        },
        options.few_repeats,
        warm_up=0,
    )
    network, decoding = times["network"].median, times["decoding"].median
    row = {
        "images": len(images),
        "size": f"{size[0]}x{size[1]}",
        "rate": len(images) / (network + decoding),
        "network": network,
        "decoding": decoding,
        "share": decoding / (network + decoding),
    }
    return [Table(title, columns, [row], [f"{estimator.name}, batches of {estimator.preferred_batch}."])]


def _images(folder: Path, count: int) -> np.ndarray:
    """`count` images of one size, uint8 `(count, H, W, 3)`, from the folder; they are repeated if it holds fewer."""
    names = list_images(folder)
    if not names:
        raise InputError(f"--images_dir: {folder}: no images")
    images = [read_image(folder / name) for name in names[:count]]
    if len({image.shape for image in images}) > 1:
        raise InputError(f"--images_dir: {folder}: images of several sizes; give a folder with one")
    return np.stack([images[number % len(images)] for number in range(count)])
