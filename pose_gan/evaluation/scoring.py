"""Scores of images on disk: generated images, copied source images (the trivial answer), and the real images.

Images are read when they are needed, in threads beside the computation. Only the data of the metrics are
kept in memory, at most a few numbers per image.
"""

from __future__ import annotations

import dataclasses
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from pose_gan.data.pair_data import PairData
from pose_gan.data.pairs import person_of
from pose_gan.evaluation.scores import ROWS, Scores
from pose_gan.evaluation.strips import JudgedImages, strips_of
from pose_gan.metrics import (
    BY_DEFAULT,
    METRICS,
    CannotCompute,
    ImageBatch,
    Metric,
    MetricOptions,
    NotComputed,
    Outcome,
    Result,
    create_metrics,
)

BATCH = 16  # pairs
READERS, AHEAD = 2, 3  # number of threads; number of batches that are read ahead
NO_KEYPOINTS = "needs the keypoints of the target images: --dataset NAME, or --annotations FILE.csv"
CROSSED = "each pair shows two persons, and scores against another person's picture mean nothing"

Metrics = dict[str, Metric | NotComputed]


def score(
    strips_dir: str | os.PathLike[str],
    data: PairData,
    metrics: Iterable[str] = BY_DEFAULT,
    options: MetricOptions = MetricOptions(),  # noqa: B008
    real: bool = False,
) -> Scores:
    """Scores the strips of all pairs in `data`, against the targets in the strips.

    Args:
        strips_dir: folder with a strip for every pair; other files in it have no effect.
        data: the pairs, and the target keypoints for the masked metrics.
        metrics: names in `pose_gan.metrics.METRICS`.
        options: files that some metrics need.
        real: whether the target images are scored too, as in the last row of the paper's Table 1.
    Raises: InputError: a strip is missing, unreadable or of another size (the message names the first
        such strip), or a metric is unknown.
    """
    scorer = Scorer(metrics, options, real)
    return scorer(strips_of(strips_dir, data))


class Scorer:
    """Scores images. It opens the files of the metrics at once, so that their faults show before any slow step.

    Args: as for `score`.
    Call arguments: the images. A scorer is used once.
    Returns: the scores; a metric that cannot be computed is there with the reason.
    Raises: InputError: an unknown metric, or a bad file in `options`; when called, an image that cannot be read.

    A call is `prepare`, `update` and `result`. `pose_gan.evaluation.sharded_scores` takes the steps apart, to score
    runs of the images in several programs.
    """

    def __init__(
        self,
        metrics: Iterable[str] = BY_DEFAULT,
        options: MetricOptions = MetricOptions(),  # noqa: B008
        real: bool = False,
    ) -> None:
        names = tuple(metrics)
        rows = [row for row in ROWS if real or row != "real"]
        self.options = options
        self.rows: dict[str, Metrics] = {row: create_metrics(names, options) for row in rows}

    @property
    def computed(self) -> list[str]:
        """Names of the metrics that can be computed, as far as is known before the images are."""
        return [name for name, metric in self.rows["generated"].items() if not isinstance(metric, NotComputed)]

    @property
    def not_computed(self) -> dict[str, str]:
        """The names of the other metrics, with reasons."""
        metrics = self.rows["generated"].items()
        return {name: metric.reason for name, metric in metrics if isinstance(metric, NotComputed)}

    def __call__(self, images: JudgedImages) -> Scores:
        self.prepare(images)
        self.update(images, range(len(images)))
        return self.result(images)

    def prepare(self, images: JudgedImages) -> None:
        """Leaves out what cannot be computed of such images."""
        if not images.has_sources:
            self.rows.pop("copy_source")
        for metrics in self.rows.values():
            for name in metrics:
                if METRICS[name].needs_keypoints and images.annotations is None:
                    metrics[name] = NotComputed(NO_KEYPOINTS)
                elif METRICS[name].needs_target and images.crossed.all():
                    metrics[name] = NotComputed(CROSSED)

    def update(self, images: JudgedImages, rows: range) -> None:
        """Scores a run of the images, which begins with a whole batch."""
        done = rows.start
        with tqdm(total=len(rows), unit="pair", desc="Scoring") as progress:
            for batch, sources in self._batches(images, rows):
                judged = {"generated": batch.generated, "copy_source": sources, "real": batch.reference}
                same = ~images.crossed[done : done + len(batch)]
                done += len(batch)
                of_one_person = batch if same.all() else batch.select(same)
                for row, metrics in self.rows.items():
                    judge = batch if row == "generated" else batch.instead(judged[row])
                    with_target = of_one_person if row == "generated" else of_one_person.instead(judged[row][same])
                    _update(metrics, judge, with_target)
                progress.update(len(batch))

    def result(self, images: JudgedImages) -> Scores:
        """The scores of the images that the metrics were given, which are all of `images`."""
        whole = not images.crossed.any()
        return Scores({row: _outcomes(metrics, whole) for row, metrics in self.rows.items()}, images)

    def _batches(self, images: JudgedImages, run: range) -> Iterator[tuple[ImageBatch, np.ndarray]]:
        """Batches and their source images `(N, H, W, 3)`. Threads read them ahead, and draw masks if needed."""
        masked = any(METRICS[name].needs_keypoints for name in self.computed)

        def prepare(start: int) -> tuple[ImageBatch, np.ndarray]:
            rows = range(start, min(start + BATCH, run.stop))
            sources, targets, generated = (np.stack(column) for column in zip(*map(images.read, rows), strict=True))
            keypoints, pairs = images.target_keypoints[start : rows.stop], images.pairs[start : rows.stop]
            names = tuple((str(a), str(b)) for a, b in pairs.to_numpy())
            known = sources if images.has_sources else None
            person = images.person or person_of
            batch = ImageBatch(generated, targets, keypoints, images.skeleton, names, known, person)
            if masked:
                _ = batch.masked_generated, batch.masked_reference  # computed while another batch is scored
            return batch, sources

        reading: deque[Future[tuple[ImageBatch, np.ndarray]]] = deque()
        with ThreadPoolExecutor(READERS) as threads:
            for start in run[::BATCH]:
                reading.append(threads.submit(prepare, start))
                if len(reading) > AHEAD:
                    yield reading.popleft().result()
            while reading:
                yield reading.popleft().result()


def _update(metrics: Metrics, batch: ImageBatch, with_target: ImageBatch) -> None:
    """Gives metrics a batch; those that compare with the target image get `with_target`, the pairs of one person."""
    for name, metric in metrics.items():
        judged = with_target if METRICS[name].needs_target else batch
        if isinstance(metric, NotComputed) or not len(judged):
            continue
        try:
            metric.update(judged)
        except CannotCompute as error:
            metrics[name] = NotComputed(str(error))


def _outcomes(metrics: Metrics, whole: bool) -> dict[str, Outcome]:
    """The results. Unless `whole`, metrics that compare with the target image lack pairs, and give no single scores."""
    outcomes: dict[str, Outcome] = {}
    for name, metric in metrics.items():
        try:
            outcome = metric if isinstance(metric, NotComputed) else metric.result()
        except CannotCompute as error:
            outcome = NotComputed(str(error))
        if METRICS[name].needs_target and not whole and isinstance(outcome, Result):
            outcome = dataclasses.replace(outcome, values=None)
        outcomes[name] = outcome
    return outcomes
