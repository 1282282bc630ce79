"""Inception score (IS) of whole images and of bodies only.

It is high if the class probabilities are sure for each image and varied over the set.

Reference: T. Salimans et al., Improved techniques for training GANs, NIPS 2016. mask-IS: L. Ma et al., Pose guided
person image generation, NIPS 2017.
"""

from __future__ import annotations

import numpy as np

from pose_gan.errors import InputError
from pose_gan.metrics.base import CannotCompute, ImageBatch, MetricOptions, MetricSpec, Result, State
from pose_gan.metrics.inception import SCALES, Inception, Scale
from pose_gan.metrics.ssim import MASK_SETTING

SPLITS = 10


def inception_score(probabilities: np.ndarray, splits: int = SPLITS) -> tuple[float, float]:
    """exp(mean over images of KL(p(y|x) ‖ p(y))), for each of `splits` parts of the set.

    Args:
        probabilities: `(N, classes)`, p(y|x) in the order of the images; rows sum to 1.
        splits: number of parts, each a run of successive images; p(y) is the mean over a part.
    Returns: mean and standard deviation (N in the denominator) over the parts. The score lies between 1 and the number
        of classes, and is not above the number of images in a part. So scores of sets of different sizes are not
        comparable.
    Raises: InputError: the array has another shape, or there are fewer images than splits.
    Matches: `get_inception_score` of openai/improved-gan, the authors' code.
    Deviation: a probability that is exactly 0 adds nothing here; in the authors' code it makes the score NaN.
    """
    from scipy.special import rel_entr

    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 2:
        raise InputError(f"probabilities: expected (N, classes), got {probabilities.shape}")
    count = len(probabilities)
    if not 1 <= splits <= count:
        raise InputError(f"inception score: {count} images cannot be split into {splits} parts")
    scores = []
    for part in range(splits):
        rows = probabilities[part * count // splits : (part + 1) * count // splits].astype(np.float64)
        divergences = rel_entr(rows, rows.mean(axis=0)).sum(axis=1)
        scores.append(np.exp(divergences.mean()))
    return float(np.mean(scores)), float(np.std(scores))


class InceptionScore:
    """IS of the generated images.

    The metric keeps the class probabilities of each image as float32, since the parts are known only at the end. This
    takes 4 kB per image, 48 MB for 12,000 images.

    Args:
        network: the network that gives the class probabilities.
        masked: whether pixels outside of the body mask of the target pose are set to 0 first.
    """

    def __init__(self, network: Inception, masked: bool = False) -> None:
        self._network = network
        self._masked = masked
        self._probabilities: list[np.ndarray] = []

    def update(self, batch: ImageBatch) -> None:
        if self._masked:
            activations = self._network(batch.masked_generated)
        elif self._network.resizes:
            activations = self._network(batch.generated)
        else:  # FID uses the same resized images
            activations = self._network.of_resized(batch)
        self._probabilities.append(activations.probabilities)

    def state(self) -> State:
        return {"probabilities": np.concatenate(self._probabilities) if self._probabilities else np.empty((0, 0))}

    def merge(self, state: State) -> None:
        if len(state["probabilities"]):
            self._probabilities.append(state["probabilities"])

    def result(self) -> Result:
        """Mean and standard deviation over the splits.

        Raises: InputError: there were no images; CannotCompute: there were fewer images than splits.
        """
        if not self._probabilities:
            raise InputError("no images to score")
        probabilities = np.concatenate(self._probabilities)
        if len(probabilities) < SPLITS:
            raise CannotCompute(f"needs at least {SPLITS} images, one for each split; got {len(probabilities)}")
        return Result(*inception_score(probabilities), count=len(probabilities))


def _spec(scale: Scale, masked: bool) -> MetricSpec:
    def create(options: MetricOptions) -> InceptionScore:
        return InceptionScore(scale.open(options), masked)

    resizing = "Pillow bicubic, to 299x299" if scale.suffix else "the graph's own (bilinear, no smoothing), to 299x299"
    settings = {
        **scale.settings,
        "resizing": resizing,
        "probabilities": scale.classes,
        "splits": SPLITS,
        "score": "mean and standard deviation over splits of exp(mean KL), splits in the order of the pairs",
    }
    if masked:
        settings["mask"] = MASK_SETTING + "; 0 outside"
    return MetricSpec(
        name=("mask_" if masked else "") + "is" + scale.suffix,
        title=("mask-" if masked else "") + "IS" + scale.title,
        higher_is_better=True,
        settings=settings,
        create=create,
        protocol=(
            "a scale of its own: no published numbers"
            if scale.suffix
            else f"the paper's {'mask-IS' if masked else 'IS'}, Table 1; rises with the number of images"
        ),
        by_default=False,
        needs_keypoints=masked,
    )


SPECS: tuple[MetricSpec, ...] = tuple(_spec(scale, masked) for scale in SCALES for masked in (False, True))
