"""Scores of one list of pairs by several programs: each saves what its metrics know of its share, and a merge adds up.

A shard's file `metrics.K-of-N.npz` holds the states of the metrics, and what must be the same in all shards: the pairs,
the persons and keypoints, the kind of images and their generator, the metrics with their settings and files, and the
versions of the software. Nothing in it is pickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pose_gan.data.pairs import person_of
from pose_gan.data.shards import Shard, check_none_works, files_of_shards, shards_of
from pose_gan.errors import InputError, reason
from pose_gan.evaluation.saved_scores import GENERATION_FILE
from pose_gan.evaluation.scores import Scores
from pose_gan.evaluation.scoring import BATCH, Scorer
from pose_gan.evaluation.strips import JudgedImages
from pose_gan.files.atomic import atomic_path
from pose_gan.files.npz import read_arrays
from pose_gan.files.text import read_text
from pose_gan.metrics import METRICS, Metric, MetricOptions, NotComputed
from pose_gan.versions import versions

FILE = "metrics.npz"
_SHOWN = 60  # characters of a value in a message


def score_shard(scorer: Scorer, images: JudgedImages, folder: Path, shard: Shard, batch: int = BATCH) -> Path:
    """Scores the pairs of a shard, and writes its file.

    Args:
        scorer: an unused scorer.
        images: all images of the list; those of the other shards need not exist.
        folder: the folder of the scores.
        shard: the share.
        batch: pairs in a batch of the division, a multiple of `scoring.BATCH`.
    Returns: the path of the file, `folder/metrics.K-of-N.npz`.
    Raises: InputError: an image cannot be read; another program does this shard.
    """
    path, rows = shard.path(folder / FILE), shard.rows(len(images), batch)
    with shard.alone(folder):
        scorer.prepare(images)
        belongs = _belongs(scorer, images, batch)
        scorer.update(images, rows)
        refused: dict[str, str] = {}
        arrays: dict[str, np.ndarray] = {}
        for key, metric in _metrics(scorer):
            if not isinstance(metric, NotComputed):
                arrays |= {f"{key}/{name}": array for name, array in metric.state().items()}
            elif belongs[f"metric {key}"] != _NOT_COMPUTED:
                refused[key] = metric.reason
        header = {"shard": str(shard), "refused": refused, "belongs": belongs}
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        with atomic_path(path) as temporary:
            np.savez(temporary, **arrays)  # pyright: ignore[reportArgumentType] - no array is called allow_pickle
    return path


def merge_scores(scorer: Scorer, images: JudgedImages, folder: Path, count: int, batch: int = BATCH) -> Scores:
    """The scores of all pairs, from the files of the shards.

    Scores of single images, and all that is made of them, are those of a program that scores all pairs, to the last
    bit. The moments of FID are sums in another order, which is equal to rounding.

    Args: as of `score_shard`; `count` is the number of shards.
    Raises: InputError: a shard is missing, is of another list, other images or other metrics, is damaged, or is still
        in work.
    """
    check_none_works(folder)
    scorer.prepare(images)
    belongs = _belongs(scorer, images, batch)
    for shard, path in zip(shards_of(count), files_of_shards(folder / FILE, count), strict=True):
        arrays = read_arrays(path)
        try:
            header = json.loads(arrays["header"].tobytes())
            _check(path, shard, header["shard"], header["belongs"], belongs)
            for key, metric in _metrics(scorer):
                if key in header["refused"]:
                    row, name = key.split("/")
                    scorer.rows[row][name] = NotComputed(str(header["refused"][key]))
                elif not isinstance(metric, NotComputed):
                    prefix = f"{key}/"
                    state = {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}
                    metric.merge(state)
        except InputError:
            raise
        except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise InputError(f"{path}: damaged ({reason(error)}); run the command with --shard {shard} again") from None
    return scorer.result(images)


def remove_shards(folder: Path, count: int) -> None:
    """Deletes the files of the shards, after their merge was written."""
    for path in files_of_shards(folder / FILE, count):
        path.unlink()


_NOT_COMPUTED = "not computed"


def _metrics(scorer: Scorer) -> Iterator[tuple[str, Metric | NotComputed]]:
    """`ROW/NAME` and each metric."""
    for row, metrics in scorer.rows.items():
        for name in tuple(metrics):
            yield f"{row}/{name}", metrics[name]


def _belongs(scorer: Scorer, images: JudgedImages, batch: int) -> dict[str, Any]:
    """What must be the same in all shards of a list: texts and numbers."""
    pairs, person = images.pairs.to_numpy(), images.person or person_of
    persons = [images.person is not None, *([person(a), person(b)] for a, b in pairs)]
    height, width = images.image_size
    settings = {
        key: _NOT_COMPUTED if isinstance(metric, NotComputed) else METRICS[key.split("/")[1]].settings
        for key, metric in _metrics(scorer)
    }
    values = {
        "number of pairs": len(images),
        "list of pairs": _hash(json.dumps(pairs.tolist()).encode()),
        "rule for persons": _hash(json.dumps(persons).encode()),
        "skeleton": images.skeleton.name,
        "keypoints": _hash(np.ascontiguousarray(images.target_keypoints, np.int64).tobytes()),
        "kind of images": f"{len(images.files[0])} per pair of {height}x{width}",
        "division into batches": batch,
        **{f"metric {key}": value for key, value in settings.items()},
        **{f"file of --{name}": value for name, value in _contents(scorer.options).items()},
        **{f"{name} of the generation": value for name, value in _generation(images.folder).items()},
        **{f"version of {name}": value for name, value in versions().items()},
    }
    return json.loads(json.dumps(values))  # as a shard's file gives them back


def _generation(folder: Path) -> dict[str, Any]:
    """What `pose-gan test` noted of the images; empty: they are of another program."""
    try:
        record = json.loads(read_text(folder / GENERATION_FILE))
        return {name: value for name, value in record.items() if name != "images_dir"}  # a place, which may differ
    except (OSError, ValueError, AttributeError):
        return {}


def _contents(options: MetricOptions) -> dict[str, str]:
    """Hashes of the files that metrics need; of the files in a folder, names and sizes count."""
    contents = {}
    for name, value in asdict(options).items():
        path = Path(value or "")
        if value is None:
            continue
        if path.is_file():
            contents[name] = _hash(path.read_bytes())
        elif path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file())
            listed = [[file.relative_to(path).as_posix(), file.stat().st_size] for file in files]
            contents[name] = _hash(json.dumps(listed).encode())
        else:
            contents[name] = value
    return contents


def _check(path: Path, shard: Shard, of: str, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """Raises InputError unless a file is of this shard, and of this list, these images and these metrics."""
    if of != str(shard):
        raise InputError(
            f"{path}: holds shard {of}, which would count twice; run the command with --shard {shard} again"
        )
    keys = dict.fromkeys((*ours, *theirs))
    if differing := [key for key in keys if theirs.get(key) != ours.get(key)]:
        values = [str(values.get(differing[0]))[:_SHOWN] for values in (theirs, ours)]
        others = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
        raise InputError(
            f"{path}: shard {shard} was made with another {differing[0]} than this command has ({values[0]}, here "
            f"{values[1]}){others}; give the flags that all shards had, or make this shard anew"
        )


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
