"""Identity: whether the person of a generated image is found among real images.

A person re-identification network looks, or, for drawn people, a descriptor of colours and textures.

The gallery is all real images of the test pairs, sources and targets. A generated image is a query; the source and the
target image of its own pair are left out of the answers, so that copying the source does not find itself. A good answer
shows the same person in another real image. The same is done with copies of the sources and with the real targets as
queries, so that a score has its scale beside it.

Reference: L. Zheng et al., Scalable person re-identification: a benchmark, ICCV 2015 (rank-k and mAP).
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image

from pose_gan.errors import InputError
from pose_gan.metrics.appearance import describe as describe_colours
from pose_gan.metrics.base import CannotCompute, ImageBatch, MetricOptions, MetricSpec, Result, State
from pose_gan.metrics.ranking import average_precision, order
from pose_gan.versions import install

Describe = Callable[[np.ndarray], np.ndarray]
"""Images, uint8 `(N, H, W, 3)`, RGB → features, float32 `(N, D)`, each of length 1."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which re-identification networks expect
BATCH = 32
COLOURS = "colours"  # in place of a network; see `pose_gan.metrics.appearance`


class Identity:
    """One of the scores over a set of generated images; see the module.

    Args:
        describe: images to features.
        score: the ranking of one query, bool from the nearest answer to the farthest → its score.
    """

    def __init__(self, describe: Describe, score: Callable[[np.ndarray], float]) -> None:
        self._describe, self._score = describe, score
        self._queries: list[np.ndarray] = []
        self._pairs: list[tuple[str, str]] = []
        self._gallery: dict[str, np.ndarray] = {}
        self._persons: dict[str, str] = {}

    def update(self, batch: ImageBatch) -> None:
        """Adds a batch. Raises CannotCompute: the names of the images are not known."""
        if batch.pairs is None or batch.sources is None:
            raise CannotCompute("needs the names of the images, which tell who is who, and the source images")
        self._queries.append(batch.once("identity", lambda: self._describe(batch.generated)))
        real = batch.once_for_targets("identity", lambda: self._describe_real(batch, batch.sources))
        self._gallery |= real
        self._persons |= {name: batch.person(name) for name in real}
        self._pairs += batch.pairs

    def state(self) -> State:
        if not self._pairs:
            return {"pairs": np.empty((0, 2), str)}
        return {
            "pairs": np.array(self._pairs),
            "queries": np.concatenate(self._queries),
            "names": np.array(list(self._gallery)),
            "persons": np.array(list(self._persons.values())),
            "gallery": np.stack(list(self._gallery.values())),
        }

    def merge(self, state: State) -> None:
        if len(state["pairs"]):
            names = state["names"].tolist()
            self._pairs += map(tuple, state["pairs"].tolist())
            self._queries.append(state["queries"])
            self._gallery |= dict(zip(names, state["gallery"], strict=True))
            self._persons |= dict(zip(names, state["persons"].tolist(), strict=True))

    def _describe_real(self, batch: ImageBatch, sources: np.ndarray | None) -> dict[str, np.ndarray]:
        assert batch.pairs is not None
        assert sources is not None
        images = {name: image for (name, _), image in zip(batch.pairs, sources, strict=True)}
        images |= {name: image for (_, name), image in zip(batch.pairs, batch.reference, strict=True)}
        return dict(zip(images, self._describe(np.stack(list(images.values()))), strict=True))

    def result(self) -> Result:
        """Mean over queries. Raises CannotCompute: no person has another image in the gallery."""
        names = list(self._gallery)
        persons = np.array([self._persons[name] for name in names])
        if len(set(persons)) < 2:
            raise CannotCompute("all images are of one person, so there is nobody to tell apart")
        gallery = np.stack([self._gallery[name] for name in names])
        place = {name: number for number, name in enumerate(names)}
        scores = []
        for query, pair in zip(np.concatenate(self._queries), self._pairs, strict=True):
            left_out = np.zeros(len(names), bool)
            left_out[[place[name] for name in pair]] = True
            good = persons[order(-(gallery @ query), left_out)] == self._persons[pair[0]]
            scores.append(self._score(good) if good.any() else np.nan)
        values = np.array(scores)
        if np.isnan(values).all():
            raise CannotCompute("no person has a third image among the test pairs, so there is nobody to find")
        mean, std = float(np.nanmean(values)), float(np.nanstd(values))
        return Result(mean, std, len(values), None if np.isnan(values).any() else values)


@cache
def open_network(path: str | os.PathLike[str]) -> Describe:
    """A re-identification network; opened once for the same file.

    Args:
        path: an ONNX file; see `open_features`.
    Raises: as `open_features`.
    """
    describe = open_features(path, "--identity_network")

    def of_length_one(images: np.ndarray) -> np.ndarray:
        found = np.concatenate([describe(images[start : start + BATCH]) for start in range(0, len(images), BATCH)])
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)

    return of_length_one


def open_features(path: str | os.PathLike[str], flag: str) -> Callable[[Iterable[np.ndarray]], np.ndarray]:
    """A re-identification network whose features are as it gives them, of any length.

    Args:
        path: an ONNX file with one input `(N, 3, H, W)`, RGB normalised as for ImageNet, and features `(N, D)`; N may
            be fixed.
        flag: the flag with which the user gave it, for messages.
    Returns: a function that takes images, uint8 `(H, W, 3)` each, of any sizes, and computes all of them at once.
    Raises: InputError: no such file, or another network; CannotCompute: ONNX Runtime is not installed. The function
        itself: InputError: the network gives no features.
    """
    flag = f"{flag}: {path}"
    if not Path(path).is_file():
        raise InputError(f"{flag}: no such file; give the .onnx file of a re-identification network")
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise CannotCompute(f"needs ONNX Runtime ({error}): {install('onnx')}") from None
    try:
        session = runtime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has many kinds
        raise InputError(
            f"{flag}: not a network that ONNX Runtime opens ({' '.join(str(error).split())[:200]})"
        ) from None
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shape = inputs[0].shape if len(inputs) == 1 else []
    if len(shape) != 4 or shape[1] != 3 or not all(isinstance(side, int) for side in shape[2:]):
        raise InputError(
            f"{flag}: its inputs are {[item.shape for item in inputs]}, expected one (N, 3, height, width)"
        )
    height, width = shape[2:]
    fixed = shape[0] if isinstance(shape[0], int) else None  # exported for this many images alone

    def run(batch: np.ndarray) -> np.ndarray:
        try:
            found = session.run([outputs[0].name], {inputs[0].name: batch})[0]
            return found.reshape(len(batch), -1)
        except Exception as error:  # ONNX Runtime has many kinds
            raise InputError(f"{flag}: does not give features ({' '.join(str(error).split())[:200]})") from None

    def describe(images: Iterable[np.ndarray]) -> np.ndarray:
        resized = [
            np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)) for image in images
        ]
        values = (np.stack(resized) / 255.0 - MEAN) / DEVIATION
        batch = np.moveaxis(values, -1, 1).astype(np.float32)  # NHWC => NCHW
        if fixed is None:
            return run(batch)
        missing = -len(batch) % fixed
        padded = np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), np.float32)])
        return np.concatenate([run(part) for part in np.split(padded, len(padded) // fixed)])[: len(batch)]

    return describe


def rank(count: int, good: np.ndarray) -> float:
    """1 if one of the first `count` answers is good, else 0."""
    return float(good[:count].any())


def _create(score: Callable[[np.ndarray], float], options: MetricOptions) -> Identity:
    if options.identity_network is None:
        raise CannotCompute(
            "needs a person re-identification network: --identity_network FILE.onnx, or the descriptor for drawn "
            f"people: --identity_network {COLOURS}"
        )
    colours = options.identity_network == COLOURS
    return Identity(describe_colours if colours else open_network(options.identity_network), score)


def _spec(name: str, title: str, score: Callable[[np.ndarray], float]) -> MetricSpec:
    return MetricSpec(
        name=name,
        title=title,
        higher_is_better=True,
        settings={
            "network": "identity_network",
            "gallery": "all real images of the test pairs, but those of the query's own pair",
            "distance": "cosine",
        },
        create=partial(_create, score),
        protocol="another image of the same person among the real test images; not in the paper",
        by_default=False,
    )


SPECS: tuple[MetricSpec, ...] = (
    _spec("identity", "identity rank-1", partial(rank, 1)),
    _spec("identity_5", "identity rank-5", partial(rank, 5)),
    _spec("identity_map", "identity mAP", average_precision),
)
