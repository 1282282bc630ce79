"""COCO's keypoint files: annotations (`images`, `annotations`, `categories`), and lists of results.

A result is `{"image_id": …, "keypoints": [x, y, score, …]}`. AlphaPose writes such a list, with the file name as
`image_id`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pose_gan.errors import InputError
from pose_gan.poses.imports.joints import order_of
from pose_gan.poses.imports.table import Key, Person, Table, person_of_triples, triples
from pose_gan.poses.skeleton import Skeleton


def is_annotations(value: Any) -> bool:
    """Whether JSON is a file of annotations."""
    return isinstance(value, dict) and isinstance(value.get("annotations"), list) and "images" in value


def is_results(value: Any) -> bool:
    """Whether JSON is a list of results."""
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) and "image_id" in v for v in value)


def read_annotations(value: dict[str, Any], path: str, skeleton: Skeleton) -> Table:
    """The people of annotations: `v` 0 is missing, 1 (hidden) and 2 (visible) are found. Crowds are left out.

    Raises: InputError: an entry is damaged, or is of no image of the file.
    """
    try:
        names = {entry["id"]: str(entry["file_name"]) for entry in value["images"]}
    except (TypeError, KeyError):
        raise InputError(f"{path}: images: each entry needs an id and a file_name") from None
    if len(names) < len(value["images"]):
        twice = next(id for id, count in Counter(entry["id"] for entry in value["images"]).items() if count > 1)
        raise InputError(
            f"{path}: images: the id {twice} stands there twice, so it is not known whose keypoints it has"
        )
    named: dict[Any, tuple[str, ...]] = {}
    for category in value.get("categories") or []:
        if isinstance(category, dict) and isinstance(category.get("keypoints"), list):
            named[category.get("id")] = tuple(map(str, category["keypoints"]))
    people: dict[Key, list[Person]] = {name: [] for name in names.values()}
    joints: tuple[str, ...] = ()
    for number, entry in enumerate(value["annotations"], start=1):
        where = f"{path}, annotation {number}"
        if not isinstance(entry, dict) or entry.get("image_id") not in names:
            raise InputError(f"{where}: image_id is not the id of an image of the file")
        if entry.get("iscrowd") or "keypoints" not in entry:
            continue
        points = triples(entry["keypoints"], where, "keypoints")
        points[:, 2] = points[:, 2] > 0
        order = named.get(entry.get("category_id")) or order_of(len(points), skeleton, where)
        joints = _same(joints, order, len(points), where)
        people[names[entry["image_id"]]].append(person_of_triples(points, len(joints)))
    return Table("COCO annotations", joints, people, path)


def read_results(value: list[dict[str, Any]], path: str, skeleton: Skeleton) -> Table:
    """The people of a list of results. Raises InputError if an entry is damaged."""
    people: dict[Key, list[Person]] = {}
    joints: tuple[str, ...] = ()
    for number, entry in enumerate(value, start=1):
        where = f"{path}, entry {number}"
        points = triples(entry.get("keypoints"), where, "keypoints")
        joints = _same(joints, order_of(len(points), skeleton, where), len(points), where)
        # The id of a COCO image is a number that stands in the name of its file; it is not the number of a frame.
        people.setdefault(str(entry["image_id"]), []).append(person_of_triples(points, len(joints)))
    kind = "AlphaPose" if any(isinstance(entry["image_id"], str) for entry in value) else "COCO results"
    return Table(f"{kind}, {len(joints)} joints", joints, people, path)


def read_by_name(value: Mapping[str, Any], path: str, skeleton: Skeleton) -> Table:
    """Results in a table of images: `{"a.jpg": [{"keypoints": …}]}`. Raises InputError if an entry is damaged."""
    flat = [{**entry, "image_id": name} for name, entries in value.items() for entry in entries]
    table = read_results(flat, path, skeleton)
    return Table(table.kind, table.joints, {name: table.people.get(name, []) for name in value}, path)


def _same(before: tuple[str, ...], joints: tuple[str, ...], count: int, where: str) -> tuple[str, ...]:
    if before not in ((), joints) or len(joints) > count:
        raise InputError(f"{where}: {count} joints, expected {len(before or joints)}; one file holds one kind of body")
    return joints
