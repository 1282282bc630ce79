"""The plan of an augmentation: which images are sources, and whose poses they get (paper, Appendix C)."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pose_gan.data.pair_data import PairData, checked
from pose_gan.errors import InputError
from pose_gan.poses.keypoints import Annotations, has_required_joints, read_annotations
from pose_gan.poses.skeleton import COCO18, Skeleton
from pose_gan.reid.images import DISTRACTOR, JUNK, MARKET, PARTS, Images, generated_name, read_images, read_splits


@dataclass(frozen=True, eq=False)
class Plan:
    """The images of an augmentation.

    Attributes:
        root: the folder that was given.
        part: the folder in it that holds the training images: `bounding_box_train`, or empty for `root` itself.
        real: names of all images in that folder, without backgrounds.
        data: sources and target poses, as pairs; a pair gives one image.
        files: the names of the images to generate, one per pair.
        people: the person of each of them, as the name of its source has it.
        left_out: reason in words → number of images that are neither source nor target.
        per_image, seed: the arguments of `plan_augmentation`.
    """

    root: Path
    part: str
    real: tuple[str, ...]
    data: PairData
    files: tuple[str, ...]
    people: tuple[str, ...]
    left_out: Mapping[str, int]
    per_image: int
    seed: int


def plan_augmentation(
    images: str | os.PathLike[str],
    annotations: str | os.PathLike[str],
    image_size: tuple[int, int],
    skeleton: Skeleton = COCO18,
    use_bg: bool = False,
    per_image: int = 10,
    seed: int = 0,
    pattern: str | None = None,
    test_share: float = 0,
    split_seed: int = 0,
) -> Plan:
    """Chooses the sources and their target poses, and checks their files. Nothing is written.

    The poses of a source depend on the seed, on its name and on the names of all valid images, and on nothing else.

    Args:
        images: folder of the training images, or Market-1501's folder of folders.
        annotations: the keypoints of at least some of the images; images without a usable pose are left out.
        image_size: (height, width) in pixels that every image must have: the generator's.
        skeleton: joints of the annotations.
        use_bg: whether each target must have a background image.
        per_image: target poses of each source, drawn without replacement, and never the source's own; fewer if there
            are fewer other images.
        seed: seed of the choice, 0 or more.
        pattern, test_share, split_seed: as `pattern`, `test_share` and `seed` of `read_splits`; with a share, the
            images of the people of the test are neither sources nor targets.
    Raises: InputError: a folder or a file cannot be used; there are fewer than two valid images; two images would get
        the same name.
    Source: paper, Appendix C.
    Deviation: the authors' script may draw a source's own pose, and counts the generated images of all sources on.
    """
    if per_image < 1 or seed < 0:
        raise InputError(f"per_image must be 1 or more and the seed 0 or more, got {per_image} and {seed}")
    root = Path(images)
    part = PARTS[0] if (root / PARTS[0]).is_dir() else ""
    folder = root / part
    annotated = read_annotations(annotations, skeleton)
    real = read_images(folder, pattern)
    names, left_out = _valid(real, annotated, skeleton, _of_test(root, pattern, test_share, split_seed))
    if len(names) < 2:
        reasons = "; ".join(f"{count} because {rule}" for rule, count in left_out.items())
        raise InputError(
            f"{folder}: {len(names)} valid images; an augmentation needs two or more"
            + (f": {reasons}" if reasons else "")
        )
    pairs = _draw(names, per_image, seed)
    counts = min(per_image, len(names) - 1)
    files = tuple(generated_name(source, row % counts) for row, (source, _) in enumerate(pairs))
    _check_names(folder, files, real.names)
    import pandas as pd

    table = pd.DataFrame(pairs, columns=["from", "to"], dtype=object)
    data = checked(PairData(table, annotated, folder, image_size, skeleton, use_bg), annotations)
    find = re.compile(MARKET if pattern is None else pattern)
    people = {name: match["person"] for name in names if (match := find.search(name))}
    of_files = tuple(people[source] for source, _ in pairs)
    return Plan(root, part, real.names, data, files, of_files, left_out, per_image, seed)


def _of_test(root: Path, pattern: str | None, test_share: float, seed: int) -> frozenset[str]:
    """Names of the images of the test's people, if the folder is to be split."""
    if test_share == 0 or (root / PARTS[0]).is_dir():
        return frozenset()
    splits = read_splits(root, pattern, test_share, seed)
    return frozenset(splits.query.names + splits.gallery.names)


def _valid(
    images: Images, annotated: Annotations, skeleton: Skeleton, of_test: frozenset[str]
) -> tuple[list[str], dict[str, int]]:
    """The names of the valid images, sorted, and how many images each rule leaves out."""
    complete = dict(zip(annotated.names, has_required_joints(annotated.keypoints, skeleton), strict=True))
    rules = {
        f"their person is {JUNK} (Market-1501's junk)": 0,
        f"their person is {DISTRACTOR} (Market-1501's distractors)": 0,
        "they were generated": 0,
        "their people are of the test": 0,
        f"{annotated.path} has no keypoints of them": 0,
        f"a joint of {', '.join(skeleton.required)} was not found": 0,
    }
    junk, distractor, generated, test, unknown, incomplete = rules
    names = []
    for name, person, was_generated in zip(images.names, images.people, images.generated, strict=True):
        if person in (JUNK, DISTRACTOR):
            rules[junk if person == JUNK else distractor] += 1
        elif was_generated:
            rules[generated] += 1
        elif name in of_test:
            rules[test] += 1
        elif name not in complete:
            rules[unknown] += 1
        elif not complete[name]:
            rules[incomplete] += 1
        else:
            names.append(name)
    return sorted(names), {rule: count for rule, count in rules.items() if count}


def _draw(names: Sequence[str], per_image: int, seed: int) -> list[tuple[str, str]]:
    """Each source with its target poses, in the order of the names."""
    pairs = []
    for own, name in enumerate(names):
        digest = hashlib.sha256(name.encode()).digest()
        random = np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
        chosen = random.choice(len(names) - 1, min(per_image, len(names) - 1), replace=False)
        pairs += [(name, names[row + (row >= own)]) for row in chosen]  # the source itself is skipped
    return pairs


def _check_names(folder: Path, files: Sequence[str], real: Sequence[str]) -> None:
    """Raises InputError if two of the images would have one name."""
    seen = set(real)
    for name in files:
        if name in seen:
            raise InputError(
                f"{folder}: two images would have the name {name}: a generated one is named <stem of its source>gN.jpg;"
                " rename the images, so that names differ before the suffix, or give a folder without generated ones"
            )
        seen.add(name)
