"""Generates strips for all pairs of a list, which `pose_gan.evaluation.scoring` then scores.

A *strip* is source | target | generated side by side, in `<from>_<to>.png` (the names keep their
suffixes), as the release writes and reads it. Scoring reads strips back from disk, so it works on
images made by any program. Neither step keeps images in memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import math
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from pose_gan.data.batches import iterate, ordered_batches
from pose_gan.data.pair_data import PairData
from pose_gan.data.shards import Shard, check_complete, check_none_works
from pose_gan.errors import InputError
from pose_gan.evaluation.processes import in_turn
from pose_gan.evaluation.saved_scores import GENERATION_FILE
from pose_gan.evaluation.scoring import BATCH, score
from pose_gan.evaluation.strip_names import strip_name, strip_name_problem
from pose_gan.evaluation.strips import read_strip
from pose_gan.files.atomic import remove_parts
from pose_gan.files.folders import list_images, make_folder
from pose_gan.files.lock import LOCK, only_program
from pose_gan.files.text import write_json
from pose_gan.model_files.saving import ExportedGenerator, settings_of
from pose_gan.networks import compiled
from pose_gan.poses.drawing import strip, to_uint8, write_image

__all__ = ["generate", "generate_missing", "generator_hash", "read_strip", "score", "strip_name"]

GENERATED_FOLDER = "generated"
BATCH_SIZE = 16  # the fastest on a CPU; on a GPU a larger batch may be faster
WRITERS = 2  # threads; compressing a PNG takes less than generating its image


def generate(
    generator: keras.Model,
    data: PairData,
    output_dir: str | os.PathLike[str],
    batch_size: int = BATCH_SIZE,
    dropout: bool = False,
    overwrite: bool = False,
    truncate: bool = False,
    shard: Shard = Shard(),  # noqa: B008
) -> int:
    """Generates the target image of every pair, and writes strips.

    The function writes `output_dir/<from>_<to>.png` (the strip), `output_dir/generated/<from>_<to>.png`
    (the generated image alone) and `output_dir/generation.json`, which records the generator and the data.
    A second call with the same generator, data and dropout makes only the missing strips; without dropout,
    they are the ones that the first call would have made. A call with another generator is refused, unless
    `overwrite` is set; then the PNG files of the earlier generation are deleted first. A folder that holds
    images but no `generation.json` is not changed. Two programs never write into one folder, unless they do different
    shards.

    Args:
        generator: a model with the inputs `source_image`, `source_keypoints`, `target_keypoints` and
            perhaps `background`, and the output `(B, H, W, 3)` in [-1, 1].
        data: the pairs, from `open_pairs`.
        output_dir: folder of the images; it is made if it does not exist.
        batch_size: number of pairs that go through the network together.
        dropout: whether dropout stays on (`--use_dropout_test`); it is random unless the caller sets a seed.
        overwrite: whether images of another generator may be replaced.
        truncate: whether generated images are cut to 8 bits, as in the authors' release, and not rounded.
        shard: the share of the pairs to generate. Their strips are those of a program that generates all pairs.
    Returns: the number of pairs that this call generated.
    Raises: InputError: `output_dir` holds images of something else, or another program writes into it; the names of
        a pair are too long for a strip; an image cannot be read; the generator's output is not finite; dropout is on,
        and there are several shards (its noise follows the order in which all images are made).
    """
    output_dir = Path(output_dir)
    if dropout and shard.count > 1:
        raise InputError("dropout makes other images in shards than in one program; leave it off, or make no shards")
    for pair in data.pairs.to_numpy():
        if problem := strip_name_problem(*pair):
            raise InputError(problem)
    fingerprint, rows = _fingerprint(generator, data, dropout), shard.rows(len(data), division(batch_size))
    make_folder(output_dir)
    with contextlib.ExitStack() as held:
        if shard.count == 1:
            held.enter_context(only_program(output_dir / LOCK))
            check_none_works(output_dir)
            _remove_unfinished(output_dir)
            there = _claim(output_dir, fingerprint, overwrite)
        else:
            with in_turn(output_dir, print):
                there = _claim(output_dir, fingerprint, overwrite)
                held.enter_context(shard.alone(output_dir))
        done = [row not in rows or strip_name(*pair) in there for row, pair in enumerate(data.pairs.to_numpy())]
        return _write_missing(compiled(generator, dropout), data, output_dir, done, batch_size, truncate)


def division(batch_size: int) -> int:
    """The number of pairs by which shards are divided: whole batches of the generation and of the scoring."""
    return math.lcm(batch_size, BATCH)


def check_generated(
    generator: keras.Model,
    data: PairData,
    output_dir: str | os.PathLike[str],
    count: int,
    batch_size: int = BATCH_SIZE,
) -> None:
    """Checks that shards have generated all pairs, and removes what killed ones left unfinished.

    Args: as of `generate`; `count` is the number of shards.
    Raises: InputError: strips are missing (the message says of which shards), are of another generator or other data,
        or a shard is still in work.
    """
    output_dir = Path(output_dir)
    record, there = output_dir / GENERATION_FILE, set[str]()
    if record.is_file():
        earlier, fingerprint = _read_record(record), _fingerprint(generator, data, dropout=False)
        fingerprint["images_dir"] = earlier.get("images_dir")  # a place, which may differ from machine to machine
        if changed := _changed(earlier, fingerprint):
            raise InputError(f"{output_dir}: its strips were generated with another {changed}; give the same flags")
        with only_program(output_dir / LOCK):
            check_none_works(output_dir)
            _remove_unfinished(output_dir)
        there = set(list_images(output_dir))
    missing = [row for row, pair in enumerate(data.pairs.to_numpy()) if strip_name(*pair) not in there]
    check_complete(output_dir, "strips", missing, len(data), division(batch_size), count)


def _write_missing(
    run: Callable[[dict[str, Any]], Any],
    data: PairData,
    output_dir: Path,
    done: Sequence[bool],
    batch_size: int,
    truncate: bool,
) -> int:
    """Writes the strips of the pairs that are not `done`, and returns their number."""
    pairs = [tuple(pair) for pair in data.pairs.to_numpy()]

    def write(row: int, source: np.ndarray, target: np.ndarray, image: np.ndarray) -> None:
        _write_pair(output_dir, pairs[row], source, target, image, truncate)

    return generate_missing(run, data, done, write, batch_size)


def generate_missing(
    run: Callable[[dict[str, Any]], Any],
    data: PairData,
    done: Sequence[bool],
    write: Callable[[int, np.ndarray, np.ndarray, np.ndarray], None],
    batch_size: int = BATCH_SIZE,
    unit: str = "pair",
) -> int:
    """Generates the images of pairs that are not done, and writes them in threads meanwhile.

    The division into batches depends on the list of pairs alone, because the last bits of an image may depend on the
    size of its batch. Batches of which everything is done are left out; other batches go through the network whole.
    A batch begins before the images of the one before are fetched, so that a GPU does not wait for them.

    Args:
        run: a generator as `compiled` makes it.
        data: the pairs.
        done: for each pair, whether its image is there already, or is not wanted.
        write: writes the image of the pair of a row; its arguments are the row, and the source image, the target image
            and the generated image, float32 `(H, W, 3)`, range [-1, 1]. It is called in several threads at a time.
        batch_size: number of pairs that go through the network together.
        unit: what the progress bar counts.
    Returns: the number of pairs that were not done.
    Raises: InputError: an image cannot be read. What `write` raises ends the work.
    """
    batches = [range(start, min(start + batch_size, len(done))) for start in range(0, len(done), batch_size)]
    rows = [row for batch in batches if not all(done[row] for row in batch) for row in batch]
    if not rows:
        return 0
    todo = dataclasses.replace(data, pairs=data.pairs.iloc[rows].reset_index(drop=True))
    left = iter(rows)
    writing: deque[Future[None]] = deque()
    with ThreadPoolExecutor(WRITERS) as pool, tqdm(total=len(rows), unit=unit, desc="Generating") as progress:
        begun = ((batch, run(batch)) for batch in iterate(ordered_batches(todo, batch_size), todo))
        for (batch, generated), _ in itertools.pairwise(itertools.chain(begun, [({}, None)])):
            images = batch["source_image"].numpy(), batch["target_image"].numpy(), np.asarray(generated)
            for row, *of_pair in zip(itertools.islice(left, len(generated)), *images, strict=True):
                if not done[row]:
                    writing.append(pool.submit(write, row, *of_pair))
            while len(writing) > 4 * batch_size:  # this bounds the memory where writing is slower than generating
                writing.popleft().result()
            progress.update(len(generated))
        for future in writing:
            future.result()
    return sum(not done[row] for row in rows)


def _write_pair(
    output_dir: Path,
    names: tuple[str, str],
    source: np.ndarray,
    target: np.ndarray,
    image: np.ndarray,
    truncate: bool,
) -> None:
    try:
        generated = to_uint8(image, truncate)
    except InputError as error:
        raise InputError(
            f"pair {names[0]} → {names[1]}: the generator's output is not an image: {error}; "
            "its training may have diverged, try an earlier checkpoint"
        ) from None
    name = strip_name(*names)
    write_image(output_dir / GENERATED_FOLDER / name, generated)
    picture = strip(to_uint8(source), to_uint8(target), generated)
    write_image(output_dir / name, picture)  # written last: the strip marks a finished pair


def _remove_unfinished(output_dir: Path) -> None:
    """Deletes what killed programs left of files that they were writing. No program may be at work."""
    for folder, pattern in (
        (output_dir, "*.png"),
        (output_dir, GENERATION_FILE),
        (output_dir / GENERATED_FOLDER, "*.png"),
    ):
        remove_parts(folder, pattern)


def _claim(output_dir: Path, fingerprint: dict[str, Any], overwrite: bool) -> set[str]:
    """Claims the folder for this generation and returns the strips that are done.

    Raises: InputError: the folder belongs to something else.
    """
    record = output_dir / GENERATION_FILE
    strips = list_images(output_dir)
    if not record.exists():
        if strips:
            raise InputError(
                f"{output_dir}: holds images that were not made here ({strips[0]}); "
                "give another folder, or score what is there with load_generated_images"
            )
        write_json(record, fingerprint)
        return set()
    changed = _changed(_read_record(record), fingerprint)
    if not changed:
        return set(strips)
    if not overwrite:
        raise InputError(
            f"{output_dir}: holds images that were generated with another {changed}; give another folder, "
            "or replace them with overwrite"
        )
    check_none_works(output_dir)
    for folder in (output_dir, output_dir / GENERATED_FOLDER):
        for path in folder.glob("*.png"):
            path.unlink()
    write_json(record, fingerprint)
    return set()


def _read_record(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}; give another folder") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a table of keys; give another folder")
    return values


def _changed(earlier: dict[str, Any], fingerprint: dict[str, Any]) -> str:
    """What differs, in words; empty: nothing."""
    return ", ".join(key for key, value in fingerprint.items() if earlier.get(key) != value)


def _fingerprint(generator: keras.Model, data: PairData, dropout: bool) -> dict[str, Any]:
    """Everything that decides the pixels of a strip, except the list of pairs."""
    images = hashlib.sha256("\n".join(data.annotations.names).encode())
    images.update(np.ascontiguousarray(data.annotations.keypoints).data)
    return {
        "generator": generator_hash(generator),
        "dropout": dropout,
        "images_dir": str(Path(data.images_dir).resolve()),
        "annotations": images.hexdigest()[:16],
        "image_size": list(data.image_size),
    }


def generator_hash(generator: keras.Model) -> str:
    """A hash of a generator's settings and weights.

    A model of another program has no settings that can be read; its layers count in their place, with their names.
    """
    try:
        settings = json.dumps(settings_of(generator).to_dict(), sort_keys=True)
    except ValueError:
        settings = generator.to_json()
    content = hashlib.sha256(settings.encode())
    exported = [layer.exported_variables for layer in generator.layers if isinstance(layer, ExportedGenerator)]
    for variable in itertools.chain(generator.weights, *exported):
        content.update(np.ascontiguousarray(variable.numpy()).data)
    return content.hexdigest()[:16]
