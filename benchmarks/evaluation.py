"""Scoring a folder of strips (SSIM, mask-SSIM, L1), compared with a loop that takes one image after the other.

The loop is the usual program with scikit-image: it reads a strip, draws the mask limb by limb and calls
`structural_similarity`. Both forms score the generated image and the copy of the source.
"""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from PIL import Image
from skimage.draw import disk, polygon
from skimage.metrics import structural_similarity
from skimage.morphology import dilation, erosion

from benchmarks.harness import Options, Table, ratio, time_in_turns
from benchmarks.inputs import SIZE, pose_pairs, size_text
from benchmarks.memory import Case, peaks
from pose_gan.evaluation.scoring import Scorer
from pose_gan.evaluation.strips import JudgedImages, find_strips, strip_name
from pose_gan.metrics.body_mask import CLOSING, RADIUS
from pose_gan.poses.drawing import strip
from pose_gan.poses.keypoints import found, read_annotations, write_annotations
from pose_gan.poses.skeleton import COCO18

METRICS = ("ssim", "mask_ssim", "l1")
CASES, QUICK_CASES = (((128, 64), 1000), ((256, 256), 100)), (((128, 64), 6),)  # image size, pairs
WHOLE, QUICK_WHOLE = 12000, 12  # pairs of a test set
DIFFERENT = 500  # different strips; the others are the same files under other names
POSES = 32  # different poses
BORDER = np.array([1e-12, 1e-9])  # pixels, (y, x): half-open polygons; see `draw_mask`


def run(options: Options) -> list[Table]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        cases = QUICK_CASES if options.quick else CASES
        rows = [_measure(root / size_text(size), size, pairs, options) for size, pairs in cases]
        whole = _measure_whole(root / "whole", QUICK_WHOLE if options.quick else WHOLE, options)
    columns = {
        "size": "image",
        "pairs": "pairs",
        "ours_s": "ours, s",
        "loop_s": "loop, s",
        "ratio": "× faster",
        "difference": "largest difference of a score",
    }
    notes = [
        "SSIM (release), mask-SSIM and L1 of generated images and of copies of the source, PNG files included.",
        "loop: one strip after the other, masks and SSIM by scikit-image.",
    ]
    return [
        Table("Scoring strips", columns, rows, notes),
        Table(
            "A test set",
            {"size": "image", "pairs": "pairs", "seconds": "s", "process_mb": "memory of the process, MB"},
            [whole],
            ["Once, in a process of its own; memory at its highest, TensorFlow's own included."],
        ),
    ]


def _measure(root: Path, size: SIZE, pairs: int, options: Options) -> dict:
    images = write_strips(root, size, pairs)
    forms = {form: make_calls(form, str(root))["score"] for form in ("ours", "loop")}
    times = time_in_turns(forms, min(options.few_repeats, 3), warm_up=0)
    ours, loop = (np.array(score()) for score in (forms["ours"], forms["loop"]))
    return {
        "size": size_text(size),
        "pairs": len(images),
        **{f"{form}_s": timing.median for form, timing in times.items()},
        "ratio": ratio(times["loop"].median, times["ours"].median),
        "difference": float(np.abs(ours - loop).max()),
    }


def _measure_whole(root: Path, pairs: int, options: Options) -> dict:
    size = CASES[0][0]
    write_strips(root, size, pairs)
    score = make_calls("ours", str(root))["score"]
    seconds = time_in_turns({"ours": score}, 1, warm_up=0)["ours"].median
    case = Case("benchmarks.evaluation:make_calls", {"form": "ours", "root": str(root)}, as_it_is=True)
    (peak,) = peaks([case], options.memory)
    process = peak["score"].process if peak else None
    return {"size": size_text(size), "pairs": pairs, "seconds": seconds, "process_mb": process}


def make_calls(form: str, root: str) -> dict[str, Callable[[], list[np.ndarray]]]:
    """`score`: the scores of `METRICS`, first of the generated images, then of the copies, each `(pairs,)`."""
    annotations = read_annotations(Path(root) / "annotations.csv")
    find = functools.partial(find_strips, root, annotations)

    def ours() -> list[np.ndarray]:
        scores = Scorer(METRICS)(find())
        results = [row[name].values for row in (scores.generated, scores.copy_source) for name in METRICS]
        return [values for values in results if values is not None]

    return {"score": ours if form == "ours" else lambda: loop(find())}


def loop(images: JudgedImages) -> list[np.ndarray]:
    """The same scores, computed one pair and one metric after the other."""
    scores = []
    for (path,), pose in zip(images.files, images.target_keypoints, strict=True):
        source, target, generated = np.split(iio.imread(path), 3, axis=1)
        mask = draw_mask(pose, images.image_size)[..., None]
        row = []
        for judged in (generated, source):
            row += [_ssim(judged, target), _ssim(judged * mask, target * mask)]
            row.append(np.abs(2 * (judged / 255 - 0.5) - 2 * (target / 255 - 0.5)).mean())
        scores.append(row)
    return list(np.array(scores).T)


def _ssim(judged: np.ndarray, target: np.ndarray) -> float:
    data_range = max(1, int(judged.max()) - int(judged.min()))
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": data_range}
    return float(structural_similarity(target, judged, channel_axis=-1, **settings))  # pyright: ignore[reportArgumentType]


def draw_mask(pose: np.ndarray, size: SIZE) -> np.ndarray:
    """The body mask, drawn by scikit-image: bool `(H, W)`.

    scikit-image fills polygons including their whole border. A polygon that is moved left and up by a tiny distance
    loses its right and its lower border, as in the version that the release used.
    """
    mask = np.zeros(size, dtype=bool)
    seen = found(pose)
    for names in COCO18.evaluation_edges:
        a, b = (pose[joint].astype(float) for joint in COCO18.indices(names))
        if not all(seen[list(COCO18.indices(names))]) or (a == b).all():
            continue
        across = np.array([-(a - b)[1], (a - b)[0]]) * RADIUS / np.linalg.norm(a - b)
        corners = np.array([a + across, a - across, b - across, b + across]) - BORDER
        mask[polygon(corners[:, 0], corners[:, 1], size)] = True
    for joint in pose[seen]:
        mask[disk(tuple(joint), RADIUS, shape=size)] = True
    square = np.ones((2 * CLOSING + 1, 2 * CLOSING + 1), dtype=bool)
    return erosion(dilation(mask, square), square)


def write_strips(root: Path, size: SIZE, pairs: int) -> JudgedImages:
    """Writes strips of random pictures, with a noisy target as generated image, and `annotations.csv` with poses."""
    root.mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [(f"{number:05d}_a.png", f"{number:05d}_b.png") for number in range(pairs)]
    for number, pair in enumerate(names):
        path = root / strip_name(*pair)
        if number >= DIFFERENT:
            os.link(root / strip_name(*names[number % DIFFERENT]), path)
            continue
        source, target = (_picture(rng, size) for _ in range(2))
        noisy = target + rng.normal(0, 10, target.shape)
        iio.imwrite(path, strip(source, target, np.clip(noisy, 0, 255).astype(np.uint8)))
    poses = pose_pairs(POSES, size)[1].numpy().astype(int)
    flat = [name for pair in names for name in pair]
    write_annotations(root / "annotations.csv", flat, poses[np.arange(len(flat)) // 2 % POSES])
    return find_strips(root, read_annotations(root / "annotations.csv"))


def _picture(rng: np.random.Generator, size: SIZE) -> np.ndarray:
    """Smooth colours with some noise, so that PNG files are about as large as those of photographs."""
    coarse = Image.fromarray(rng.integers(0, 256, (size[0] // 8, size[1] // 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((size[1], size[0]), Image.Resampling.BICUBIC), np.float32)
    return np.clip(smooth + rng.normal(0, 2, smooth.shape), 0, 255).astype(np.uint8)
