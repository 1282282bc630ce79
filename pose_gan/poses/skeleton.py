"""The articulated object as data: joints, drawing edges and rigid body parts.

"Our body-region definition is the only human-specific part of the proposed approach" (paper,
Section 3.1). All of this definition is in this module. Another object (an animal, a face) is another
`Skeleton`, loaded from a JSON or TOML file; no other module contains a number of joints or parts.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pose_gan.errors import InputError
from pose_gan.files.records import build
from pose_gan.files.text import read_text

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - the same parser, under its earlier name
    import tomli as tomllib

PART_KINDS = ("whole", "square", "limb")


@dataclass(frozen=True)
class Part:
    """A rigid body part: the place of its mask in a pose, and the points to which its transform is fitted.

    Attributes:
        name: unique name.
        kind: `whole`: the mask covers the image; the transform is fitted on `joints`.
            `square`: the mask is an axis-aligned square around the mean of the found `joints`; the
            transform is fitted on the joints found in both poses and on `anchors`.
            `limb`: the mask is a rectangle along `joints[0]` → `joints[1]`; the transform maps
            rectangle to rectangle, and the mirror limb of the source may replace a missing one (Appendix B).
        joints: joint names.
        anchors: `square` only: joints that are used for the fit, but not for the mask.
        size: `square`: half side; `limb`: half width; in torso lengths (`scale_sides`).
        near: `limb`: how far the rectangle reaches beyond `joints[0]`, in limb lengths.
        mask_far, transform_far: `limb`: how far it reaches beyond `joints[1]`, in lengths of the limb
            after its extension at the near end; for the mask, and for fitting the transform.
    """

    name: str
    kind: Literal["whole", "square", "limb"]
    joints: tuple[str, ...]
    anchors: tuple[str, ...] = ()
    size: float = 0.0
    near: float = 0.1
    mask_far: float = 0.1
    transform_far: float = 0.1


@dataclass(frozen=True)
class Stroke:
    """One line or polygon of the stick-man drawing.

    Attributes:
        kind: `line` (two points) or `fill` (a polygon).
        points: each point is the mean of one or more joints; all of them must be found.
        requires: further joints that must be found.
        colour: intensity in [0, 1] for each of the three channels; channels with 0 stay as they are.
    """

    kind: Literal["line", "fill"]
    points: tuple[tuple[str, ...], ...]
    colour: tuple[float, float, float]
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skeleton:
    """Joints and parts of an articulated object. Immutable and hashable.

    Attributes:
        name: for messages and file metadata.
        joints: joint names, in the order of the annotation files.
        edges: pairs of joint names to draw.
        required: joints without which an image is not valid (no pairs are made from it).
        mirror_pairs: (right, left) joint names. The two joints swap under a horizontal flip, and the pairs
            determine the mirror limb of each limb.
        scale_sides: pairs of joint names; the object's scale `st` is the root of the mean squared
            length of those sides that are found.
        parts: the rigid parts, in the order of the masks' and transforms' second axis.
        uniform_optional: joints that join `required` in the single transform of `--warp_skip full`
            where they are found in both poses.
        evaluation_edges: pairs of joint names whose drawn limbs make the mask of mask-SSIM and
            mask-IS (Ma et al. 2017); empty: `edges`.
        strokes: the stick-man drawing, painted in order (`--pose_rep_type stickman`).

    Raises: InputError: a name is not a joint or is repeated, or a part has the wrong form.
    """

    name: str
    joints: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    required: tuple[str, ...]
    mirror_pairs: tuple[tuple[str, str], ...]
    scale_sides: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]
    uniform_optional: tuple[str, ...] = ()
    evaluation_edges: tuple[tuple[str, str], ...] = ()
    strokes: tuple[Stroke, ...] = ()

    def __post_init__(self) -> None:
        _check(self)

    @property
    def num_joints(self) -> int:
        """The number of joints, which is the number of rows of a keypoint array."""
        return len(self.joints)

    @property
    def num_parts(self) -> int:
        """The number of parts, which is the size of the second axis of masks and transforms."""
        return len(self.parts)

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.joints)}

    def index(self, joint: str) -> int:
        """The row of `joint` in a keypoint array. Raises KeyError for an unknown name."""
        return self._indices[joint]

    def indices(self, joints: tuple[str, ...]) -> list[int]:
        """The rows of several joints. Raises KeyError for an unknown name."""
        return [self.index(joint) for joint in joints]

    def mirror(self, joint: str) -> str:
        """The joint on the other side of the body; `joint` itself if it has no twin."""
        for right, left in self.mirror_pairs:
            if joint in (right, left):
                return left if joint == right else right
        return joint

    @property
    def flip_order(self) -> list[int]:
        """The joint order after a horizontal flip: `keypoints[..., flip_order, :]` renames the joints."""
        return [self.index(self.mirror(joint)) for joint in self.joints]

    @property
    def is_person(self) -> bool:
        """Whether the object is a person: it has the shoulders and hips of `COCO18`, by name."""
        return set(COCO18.required) <= set(self.joints)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts, as in a skeleton file. `from_dict` is the inverse."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str = "skeleton") -> Skeleton:
        """Builds a skeleton from the form of `to_dict`. Raises InputError that names `where` and the key."""
        return build(cls, values, where)


def load_skeleton(path: str | Path) -> Skeleton:
    """Reads a skeleton from a file.

    Args:
        path: a `.json` or `.toml` file; its keys are the attributes of `Skeleton`.
    Raises: InputError: the file is absent, or has another suffix, a syntax error, or an unknown or missing key.
    """
    path = Path(path)
    readers = {".json": json.loads, ".toml": tomllib.loads}
    if path.suffix not in readers:
        raise InputError(f"{path}: a skeleton file ends in .json or .toml")
    try:
        values = readers[path.suffix](read_text(path))
    except FileNotFoundError:
        raise InputError(f"{path}: no such skeleton file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except InputError:
        raise
    except (ValueError, RecursionError) as error:  # wrong JSON or TOML syntax, or not UTF-8
        raise InputError(f"{path}: {error}") from None
    return Skeleton.from_dict(values, where=str(path))


def _check(skeleton: Skeleton) -> None:
    joints = set(skeleton.joints)
    if len(joints) != len(skeleton.joints) or not joints:
        raise InputError(f"joint names must be unique and at least one, got {list(skeleton.joints)}")
    if not skeleton.parts or len({part.name for part in skeleton.parts}) != len(skeleton.parts):
        raise InputError("part names must be unique and at least one")
    groups = {
        "edges": skeleton.edges,
        "required": (skeleton.required,),
        "mirror_pairs": skeleton.mirror_pairs,
        "scale_sides": skeleton.scale_sides,
        "uniform_optional": (skeleton.uniform_optional,),
        "evaluation_edges": skeleton.evaluation_edges,
        **{f"part {part.name!r}": (part.joints + part.anchors,) for part in skeleton.parts},
        **{f"strokes[{i}]": (*stroke.points, stroke.requires) for i, stroke in enumerate(skeleton.strokes)},
    }
    for key, names in groups.items():
        for name in (name for group in names for name in group):
            if name not in joints:
                raise InputError(f"{key}: {name!r} is not a joint; joints: {', '.join(skeleton.joints)}")
    for key in ("edges", "mirror_pairs", "scale_sides", "evaluation_edges"):
        if any(len(pair) != 2 for pair in getattr(skeleton, key)):
            raise InputError(f"{key}: each entry is a pair of joints")
    mirrored = [joint for pair in skeleton.mirror_pairs for joint in pair]
    if len(set(mirrored)) != len(mirrored):
        raise InputError("mirror_pairs: a joint stands in one pair only")
    for part in skeleton.parts:
        if part.kind not in PART_KINDS:
            raise InputError(f"part {part.name!r}: kind {part.kind!r}; allowed: {', '.join(PART_KINDS)}")
        if part.kind == "limb" and len(part.joints) != 2:
            raise InputError(f"part {part.name!r}: a limb has two joints, got {list(part.joints)}")
        if part.kind != "whole" and (part.size <= 0 or not skeleton.scale_sides):
            raise InputError(f"part {part.name!r}: needs a size above 0 and the skeleton's scale_sides")
        if part.kind == "square" and not part.joints:
            raise InputError(f"part {part.name!r}: a square lies around one joint or more, got none")
        if part.kind == "whole" and len(part.joints) < 3:
            raise InputError(f"part {part.name!r}: an affine transform needs three joints or more")
    for stroke in skeleton.strokes:
        if stroke.kind not in ("line", "fill") or len(stroke.points) < 2 or len(stroke.colour) != 3:
            raise InputError("strokes: kind is line or fill, with two points or more and three colour values")
        if not all(stroke.points) or not all(0 <= value <= 1 for value in stroke.colour):
            raise InputError("strokes: each point is one joint or more, each colour value 0 to 1")
        if stroke.kind == "line" and len(stroke.points) != 2:
            raise InputError("strokes: a line has two points")


def _coco18() -> Skeleton:
    upper, lower = (0.1, 0.1), (0.5, 0.3)  # extension beyond the far joint, of the mask and of the transform

    def limb(name: str, side: str, fr: str, to: str, far: tuple[float, float]) -> Part:
        return Part(f"{side}_{name}", "limb", (side + fr, side + to), size=0.2, mask_far=far[0], transform_far=far[1])

    limbs = tuple(
        limb(name, side, fr, to, far)
        for name, fr, to, far in (
            ("upper_leg", "hip", "kne", upper),
            ("lower_leg", "kne", "ank", lower),
            ("upper_arm", "sho", "elb", upper),
            ("lower_arm", "elb", "wri", lower),
        )
        for side in "RL"
    )
    torso, head = ("Rhip", "Lhip", "Lsho", "Rsho"), ("nose", "Leye", "Reye", "Lear", "Rear")
    chains = [
        tuple(
            (side + a, side + b)
            for a, b in (("ank", "kne"), ("kne", "hip"), ("hip", "sho"), ("sho", "elb"), ("elb", "wri"))
        )
        for side in "RL"
    ]
    strokes = (
        tuple(Stroke("line", ((a,), (b,)), (1.0, 0.0, 0.0)) for a, b in chains[0])
        + tuple(Stroke("line", ((a,), (b,)), (0.0, 1.0, 0.0)) for a, b in chains[1])
        + (Stroke("fill", (("Lhip",), ("Lsho",), ("Rsho",), ("Rhip",)), (0.0, 0.0, 1.0)),)
        + (Stroke("line", (("Rsho", "Lsho"), ("nose",)), (0.5, 0.5, 0.0)),)
        + (Stroke("line", (("nose",), ("Reye",)), (0.5, 0.0, 0.0), requires=("Leye",)),)
        + (Stroke("line", (("nose",), ("Leye",)), (0.0, 0.5, 0.0), requires=("Reye",)),)
    )
    return Skeleton(
        name="coco18",
        joints=_words("nose neck Rsho Relb Rwri Lsho Lelb Lwri Rhip Rkne Rank Lhip Lkne Lank Leye Reye Lear Rear"),
        edges=_pairs(
            "neck-Rsho neck-Lsho Rsho-Relb Relb-Rwri Lsho-Lelb Lelb-Lwri neck-Rhip Rhip-Rkne Rkne-Rank "
            "neck-Lhip Lhip-Lkne Lkne-Lank neck-nose nose-Leye Leye-Lear nose-Reye Reye-Rear"
        ),
        required=torso,
        mirror_pairs=_pairs("Rsho-Lsho Relb-Lelb Rwri-Lwri Rhip-Lhip Rkne-Lkne Rank-Lank Reye-Leye Rear-Lear"),
        scale_sides=_pairs("Rhip-Rsho Lhip-Lsho"),
        parts=(Part("torso", "whole", torso), Part("head", "square", head, anchors=("Lsho", "Rsho"), size=0.4), *limbs),
        uniform_optional=("Rkne", "Lkne"),
        evaluation_edges=_pairs(
            "neck-Rsho neck-Lsho Rsho-Relb Relb-Rwri Lsho-Lelb Lelb-Lwri neck-Rhip Rhip-Rkne Rkne-Rank "
            "neck-Lhip Lhip-Lkne Lkne-Lank neck-nose nose-Leye Leye-Lear nose-Reye Reye-Rear neck-Lear "
            "neck-Rear Rhip-Lhip Lhip-Lsho Rhip-Rsho Lear-Rear"
        ),
        strokes=strokes,
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((a, b) for a, b in (pair.split("-") for pair in _words(text)))


COCO18: Skeleton = _coco18()
"""People: the 18 joints of OpenPose's COCO model, with the paper's ten parts.

`Leye`, `Reye`, `Lear`, `Rear` keep the order that they have in the released annotation files.
"""
