"""Scores of generated images against real ones. Each metric has its own file; `METRICS` is the table of all.

Other code uses the functions on arrays (`ssim`, `mask_ssim`, `l1`, `body_mask` and so on). The programs use
`METRICS`, which maps a name to a `MetricSpec`. Its `create()` returns an object that takes batches of images
and then gives its `Result`. So a metric may score one image at a time (SSIM) or the whole set (a distance
between distributions), and images need not be kept in memory.
"""

from __future__ import annotations

from collections.abc import Iterable

from pose_gan.errors import InputError
from pose_gan.metrics.base import (
    CannotCompute,
    ImageBatch,
    Metric,
    MetricOptions,
    MetricSpec,
    NotComputed,
    Outcome,
    PerImage,
    Result,
)
from pose_gan.metrics.body_mask import body_mask
from pose_gan.metrics.checkerboard import SPECS as _CHECKERBOARD
from pose_gan.metrics.checkerboard import checkerboard
from pose_gan.metrics.detection import SPECS as _DETECTION
from pose_gan.metrics.detection import detection_score
from pose_gan.metrics.fid import SPECS as _FID
from pose_gan.metrics.fid import frechet_distance
from pose_gan.metrics.identity import SPECS as _IDENTITY
from pose_gan.metrics.inception_score import SPECS as _INCEPTION
from pose_gan.metrics.inception_score import inception_score
from pose_gan.metrics.l1 import SPECS as _L1
from pose_gan.metrics.l1 import l1
from pose_gan.metrics.lpips import SPECS as _LPIPS
from pose_gan.metrics.lpips import lpips
from pose_gan.metrics.pose import SPECS as _POSE
from pose_gan.metrics.psnr import SPECS as _PSNR
from pose_gan.metrics.psnr import psnr
from pose_gan.metrics.ssim import PROTOCOLS, mask_ssim, ssim
from pose_gan.metrics.ssim import SPECS as _SSIM

__all__ = [
    "BY_DEFAULT",
    "METRICS",
    "PROTOCOLS",
    "RANKING",
    "CannotCompute",
    "ImageBatch",
    "Metric",
    "MetricOptions",
    "MetricSpec",
    "NotComputed",
    "Outcome",
    "PerImage",
    "Result",
    "body_mask",
    "checkerboard",
    "create_metrics",
    "default_metrics",
    "detection_score",
    "frechet_distance",
    "inception_score",
    "l1",
    "lpips",
    "mask_ssim",
    "psnr",
    "ssim",
]

# The order of tables. Variants of a metric that use another network, and so have their own scale, come last.
_ORDER = (
    *("ssim", "mask_ssim", "ssim_standard", "mask_ssim_standard", "ssim_gfla"),
    *(
        "l1",
        "psnr",
        "checkerboard",
        "is",
        "mask_is",
        "ds",
        "fid",
        "lpips",
        "pckh",
        "identity",
        "identity_5",
        "identity_map",
    ),
)
_SPECS = {
    spec.name: spec
    for spec in (*_SSIM, *_L1, *_PSNR, *_CHECKERBOARD, *_INCEPTION, *_DETECTION, *_FID, *_LPIPS, *_POSE, *_IDENTITY)
}

METRICS: dict[str, MetricSpec] = {name: _SPECS[name] for name in dict.fromkeys((*_ORDER, *_SPECS))}
RANKING = "mask_ssim"  # the metric that puts examples in order
BY_DEFAULT = tuple(name for name, spec in METRICS.items() if spec.by_default)


def create_metrics(
    names: Iterable[str],
    options: MetricOptions = MetricOptions(),  # noqa: B008
) -> dict[str, Metric | NotComputed]:
    """Creates one metric per name, or `NotComputed` with the reason if an optional file or package is absent.

    Raises: InputError: a name is not in `METRICS`, or a file in `options` is bad.
    """
    names = tuple(dict.fromkeys(names))
    for name in names:  # all names are checked before the first metric opens a network
        if name not in METRICS:
            raise InputError(f"metric {name!r} is not known; allowed: {', '.join(METRICS)}")
    metrics: dict[str, Metric | NotComputed] = {}
    for name in names:
        try:
            metrics[name] = METRICS[name].create(options)
        except CannotCompute as error:
            metrics[name] = NotComputed(str(error))
    return metrics


def default_metrics(options: MetricOptions) -> tuple[str, ...]:
    """The metrics to compute if the user names none: those that need no file, and those whose files are given.

    Raises: InputError: a file is bad.
    """
    if options == MetricOptions():
        return BY_DEFAULT
    others = [name for name, spec in METRICS.items() if not spec.by_default]
    waiting = [name for name, metric in create_metrics(others).items() if isinstance(metric, NotComputed)]
    opened = {name for name, metric in create_metrics(waiting, options).items() if not isinstance(metric, NotComputed)}
    return tuple(name for name in METRICS if name in BY_DEFAULT or name in opened)
