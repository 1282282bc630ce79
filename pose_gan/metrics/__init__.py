"""Scores of generated images against real ones: a file per metric, one table of all.

Functions on arrays (`ssim`, `mask_ssim`, `l1`, `body_mask`) are for other code; `METRICS` is what the
programs go through: name → `MetricSpec`, whose `create()` gives an object that is fed batches of
images and then asked for its `Result`. So a metric may look at one image at a time (SSIM), or at the
whole set (a distance between distributions); nothing keeps images in memory.
"""

from __future__ import annotations

from collections.abc import Iterable

from pose_gan.errors import InputError
from pose_gan.metrics.base import ImageBatch, Metric, MetricOptions, MetricSpec, PerImage, Result
from pose_gan.metrics.body_mask import body_mask
from pose_gan.metrics.l1 import l1
from pose_gan.metrics.ssim import PROTOCOLS, mask_ssim, ssim

__all__ = [
    "METRICS",
    "PROTOCOLS",
    "ImageBatch",
    "Metric",
    "MetricOptions",
    "MetricSpec",
    "PerImage",
    "Result",
    "body_mask",
    "create_metrics",
    "l1",
    "mask_ssim",
    "ssim",
]


def _ssim_spec(protocol: str, masked: bool) -> MetricSpec:
    def score(batch: ImageBatch):
        if not masked:
            return ssim(batch.generated, batch.reference, protocol)
        return mask_ssim(batch.generated, batch.reference, batch.target_keypoints, protocol, batch.skeleton)

    settings = {"protocol": protocol, **PROTOCOLS[protocol].to_dict()}
    if masked:
        settings["mask"] = "body mask of the target pose, half width 4 px, closed by a 5x5 square"
    return MetricSpec(
        name=("mask_" if masked else "") + "ssim" + ("" if protocol == "release" else f"_{protocol}"),
        title=("mask-" if masked else "") + "SSIM" + ("" if protocol == "release" else f" ({protocol})"),
        higher_is_better=True,
        settings=settings,
        create=lambda options: PerImage(score),
    )


_SPECS = (
    *(_ssim_spec(protocol, masked) for protocol in ("release", "standard") for masked in (False, True)),
    MetricSpec(
        name="l1",
        title="L1",
        higher_is_better=False,
        settings={"scale": "pixels in [-1, 1]"},
        create=lambda options: PerImage(lambda batch: l1(batch.generated, batch.reference)),
    ),
)

METRICS: dict[str, MetricSpec] = {spec.name: spec for spec in _SPECS}


def create_metrics(names: Iterable[str], options: MetricOptions = MetricOptions()) -> dict[str, Metric]:  # noqa: B008
    """A fresh metric a name. Raises InputError for a name that is not in `METRICS`."""
    metrics: dict[str, Metric] = {}
    for name in names:
        if name not in METRICS:
            raise InputError(f"metric {name!r} is not known; allowed: {', '.join(METRICS)}")
        metrics[name] = METRICS[name].create(options)
    return metrics
