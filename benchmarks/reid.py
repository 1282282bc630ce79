"""Ranking a gallery: distances, CMC and mAP, against the usual programs, which hold all distances and all ranks.

`numpy` is the form of most re-identification code: one matrix of distances, one sort of the whole, a loop over queries.
`sklearn` is the same with scikit-learn's distances, where it is installed, otherwise with SciPy's `cdist`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable

import numpy as np

from benchmarks import augmentation
from benchmarks.harness import Options, Table, ratio, time_in_turns
from benchmarks.memory import Case, peaks
from pose_gan.reid import evaluate_ranking
from pose_gan.reid.distances import EUCLIDEAN
from pose_gan.reid.re_ranking import ReRanking, re_ranked

SIZE, QUICK_SIZE = (3368, 15913, 2048), (60, 300, 32)  # queries, gallery without junk, numbers of a feature
PEOPLE, CAMERAS = 750, 6
OTHER = "sklearn" if importlib.util.find_spec("sklearn") else "scipy"
FORMS = {"ours": "ours", "numpy": "NumPy", OTHER: {"sklearn": "scikit-learn", "scipy": "SciPy's cdist"}[OTHER]}
Scores = tuple[np.ndarray, float]


def run(options: Options) -> list[Table]:
    size = QUICK_SIZE if options.quick else SIZE
    forms = {form: make_calls(form, *size)["rank"] for form in FORMS}
    times = time_in_turns(forms, min(options.few_repeats, 3), warm_up=0)
    found = {form: call() for form, call in forms.items()}
    cases = [Case("benchmarks.reid:make_calls", {"form": form, **_arguments(size)}) for form in FORMS]
    memory = [peak["rank"].call if peak else None for peak in peaks(cases, options.memory)]
    rows = [
        {
            "form": title,
            "seconds": times[form].median,
            "slower": ratio(times[form].median, times["ours"].median),
            "mb": mb,
            "more": ratio(mb, memory[0]),
            "difference": float(np.abs(found[form][0][:20] - found["ours"][0][:20]).max()),
            "map_difference": abs(found[form][1] - found["ours"][1]),
        }
        for (form, title), mb in zip(FORMS.items(), memory, strict=True)
    ]
    columns = {
        "form": "distances and ranking",
        "seconds": "s",
        "slower": "× ours",
        "mb": "peak memory, MB",
        "more": "× ours",
        "difference": "largest difference of CMC, ranks 1 to 20",
        "map_difference": "difference of mAP (step)",
    }
    notes = [
        "Euclidean distances of float32. memory: at its highest during a call, less that before it (the features)."
    ]
    title = "{:,} queries, {:,} images in the gallery, {:,} numbers a feature".format(*size)
    ranking = Table(f"Ranking: {title}", columns, rows, notes)
    return [ranking, _re_ranking(size, title, options), augmentation.table(options)]


def _re_ranking(size: tuple[int, int, int], title: str, options: Options) -> Table:
    call = make_calls("re_ranked", *size)["rank"]
    seconds = time_in_turns({"ours": call}, 1, warm_up=0)["ours"].median
    (peak,) = peaks(
        [Case("benchmarks.reid:make_calls", {"form": "re_ranked", **_arguments(size)}, True)], options.memory
    )
    images = size[0] + size[1]
    row = {
        "seconds": seconds,
        "mb": peak["rank"].call if peak else None,
        "matrix_mb": 4 * images**2 / 2**20,
    }
    columns = {"seconds": "s", "mb": "peak memory, MB", "matrix_mb": "one float32 matrix of all images by all, MB"}
    return Table(f"Re-ranking, once: {title}", columns, [row], ["The usual programs hold several such matrices."])


def _arguments(size: tuple[int, int, int]) -> dict[str, int]:
    return dict(zip(("queries", "gallery", "dimensions"), size, strict=True))


def make_calls(form: str, queries: int, gallery: int, dimensions: int) -> dict[str, Callable[[], Scores]]:
    """`rank`: CMC and mAP (step) of random features in which people are alike."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((PEOPLE + 1, dimensions), dtype=np.float32)
    people = [random.integers(1, PEOPLE + 1, queries), random.integers(0, PEOPLE + 1, gallery)]
    cameras = [random.integers(1, CAMERAS + 1, count) for count in (queries, gallery)]
    x, z = (3 * random.standard_normal((len(ids), dimensions), dtype=np.float32) + centres[ids] for ids in people)

    def ours() -> Scores:
        blocks = (block for _, block in EUCLIDEAN.blocks(x, z))
        found = evaluate_ranking(blocks, *people, *cameras)
        return found.cmc, found.mean_average_precision_step

    def again() -> Scores:
        found = evaluate_ranking(re_ranked(EUCLIDEAN, x, z, ReRanking()), *people, *cameras)
        return found.cmc, found.mean_average_precision_step

    def usual() -> Scores:
        return rank(_distances(form, x, z), *people, *cameras)

    return {"rank": {"ours": ours, "re_ranked": again}.get(form, usual)}


def _distances(form: str, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    if form == "sklearn":
        return importlib.import_module("sklearn.metrics.pairwise").euclidean_distances(x, z)
    if form == "scipy":
        return importlib.import_module("scipy.spatial.distance").cdist(x, z)
    squares = (x**2).sum(axis=1)[:, None] + (z**2).sum(axis=1) - 2 * x @ z.T
    return np.sqrt(np.maximum(squares, 0))


def rank(
    distances: np.ndarray,
    query_ids: np.ndarray,
    gallery_ids: np.ndarray,
    query_cameras: np.ndarray,
    gallery_cameras: np.ndarray,
) -> Scores:
    """The usual form: all ranks, then query by query."""
    order = np.argsort(distances, axis=1)
    right = gallery_ids[order] == query_ids[:, None]
    hits, precisions = np.zeros(len(gallery_ids)), []
    for number in range(len(query_ids)):
        same = right[number] & (gallery_cameras[order[number]] == query_cameras[number])
        good = right[number][~same]
        found = good.cumsum()
        hits[: len(found)] += found > 0
        hits[len(found) :] += good.any()
        places = np.flatnonzero(good)
        precisions.append((found[places] / (places + 1)).mean() if len(places) else 0.0)
    return hits / len(query_ids), float(np.mean(precisions))
