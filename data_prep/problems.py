"""What `check` finds in a split, and how it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_gan.files.folders import is_background
from pose_gan.files.images import Header
from pose_gan.poses.keypoints import Annotations

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 5  # number of cases of each kind in the printed report; the JSON file has all cases
KINDS = {
    "image_unreadable": "images that cannot be read: replace them",
    "image_format": "images that training refuses: save them as 8-bit RGB or grey JPEG or PNG",
    "image_turned": "images turned by EXIF, which training refuses: save them upright",
    "image_size": "images of another size: resize them, and their keypoints",
    "network_size": "sizes that no network takes: resize the images, and their keypoints",
    "image_unannotated": "images without keypoints: annotate them, or take them away",
    "annotation_file": "keypoint files that cannot be read: mend the row, check again",
    "annotation_absent": "annotated images that are not there: add them, or delete their rows",
    "keypoints_left": "keypoint files of images cut to columns 40 to 215, as PATN's, which lie 40 pixels left of the "
    "people here: take them over with pose-gan data import-keypoints",
    "joint_outside": "joints outside of their image: annotate at the size of the images",
    "pair_file": "pair lists that cannot be read: mend the row, check again",
    "pair_unannotated": "names in pairs without keypoints: annotate the images, or make the pairs again",
    "pair_absent": "names in pairs without an image: add the images, or make the pairs again",
    "pair_invalid": "names in pairs of images that are not valid: make the pairs again",
    "strip_name": "pairs whose strips, FROM_TO.png, no file system can hold: shorten the images' names",
    "pair_same": "pairs of an image with itself: make the pairs again",
    "pair_repeated": "repeated pairs: make the pairs again",
    "background_absent": "targets without a background: add it, or leave --use_bg off",
    "image_alpha": "images with an alpha channel: where they are transparent, they lie on white",
    "joint_zero": "joints at exactly (0, 0), other programs' mark for 'not found': write -1 there",
    "nobody_found": "images without a joint: no pairs are made of them",
    "pair_persons": "pairs of two persons, by their names",
}
NOTES = ("image_alpha", "joint_zero", "nobody_found", "pair_persons")  # useful to know, but no problem for training


@dataclass(frozen=True)
class SplitFiles:
    """The places of a split's files. The list of pairs may be absent."""

    images: Path
    annotations: Path
    pairs: Path


@dataclass
class Report:
    """The content of a split, and its problems.

    Attributes:
        files: the places of the split's files.
        images: name → header, for every image in the folder and every background; None: it cannot be read.
        annotations, pairs: the tables; None: the file is absent, or cannot be read.
        left_out: rule in words → number of annotated images that it leaves out of the pairs.
        hint: what is striking about the persons; None: nothing.
        cases: kind (of `KINDS`) → the places of its cases, as one text each.
    """

    files: SplitFiles
    images: dict[str, Header | None] = field(default_factory=dict)
    annotations: Annotations | None = None
    pairs: pd.DataFrame | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    hint: str | None = None
    cases: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    @property
    def size(self) -> int:
        """Number of images in the folder, without backgrounds."""
        return sum(not is_background(name) for name in self.images)

    @property
    def problems(self) -> int:
        return sum(len(cases) for kind, cases in self.cases.items() if kind not in NOTES)


def left_out_lines(left_out: Mapping[str, int]) -> list[str]:
    """The rules that leave images out of the pairs, with their numbers of images, as lines of a report."""
    return [f"  left out     {count} {'image' if count == 1 else 'images'}: {rule}" for rule, count in left_out.items()]


def report_text(split: str, report: Report) -> str:
    """The report of a split as text for people."""
    files = report.files
    pairs = "not read" if files.pairs.exists() else "none yet: list them with pose-gan data pairs"
    if report.pairs is not None:
        pairs = f"{len(report.pairs)} in {files.pairs}"
    annotated = "not read" if report.annotations is None else len(report.annotations)
    lines = [
        split,
        f"  images       {report.size} in {files.images}",
        f"  annotated    {annotated} in {files.annotations}",
        f"  pairs        {pairs}",
        *left_out_lines(report.left_out),
        *([f"  hint         {report.hint}"] if report.hint else []),
    ]
    for kind, text in KINDS.items():
        cases = report.cases[kind]
        if cases:
            lines.append(f"  {'note' if kind in NOTES else 'PROBLEM'} ({len(cases)}): {text}")
            lines += [f"    {case}" for case in cases[:SHOWN]]
            lines += [f"    and {len(cases) - SHOWN} more"] if len(cases) > SHOWN else []
    return "\n".join(lines) + "\n"


def reports_json(dataset: str, size: tuple[int, int], reports: dict[str, Report]) -> dict[str, Any]:
    """The report of all splits for programs, with every case."""
    splits = {
        split: {
            "images": report.size,
            "annotated": None if report.annotations is None else len(report.annotations),
            "pairs": None if report.pairs is None else len(report.pairs),
            "left_out": report.left_out,
            "problems": {kind: report.cases[kind] for kind in KINDS if kind not in NOTES and report.cases[kind]},
            "notes": {kind: report.cases[kind] for kind in NOTES if report.cases[kind]},
        }
        for split, report in reports.items()
    }
    clean = not any(report.problems for report in reports.values())
    return {"dataset": dataset, "image_size": list(size), "clean": clean, "splits": splits}
