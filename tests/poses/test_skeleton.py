"""Skeletons as data: the paper's person, another animal, files, and errors that name the key."""

from __future__ import annotations

import dataclasses
import json

import pytest

from pose_gan.errors import InputError
from pose_gan.poses.skeleton import COCO18, Part, Skeleton, Stroke, load_skeleton

FISH_TOML = """
name = "fish"
joints = ["mouth", "Rfin", "Lfin", "back", "tail"]
edges = [["mouth", "back"], ["back", "tail"], ["back", "Rfin"], ["back", "Lfin"]]
required = ["mouth", "tail"]
mirror_pairs = [["Rfin", "Lfin"]]
scale_sides = [["mouth", "tail"]]

[[parts]]
name = "body"
kind = "whole"
joints = ["mouth", "back", "tail"]

[[parts]]
name = "face"
kind = "square"
joints = ["mouth"]
anchors = ["back"]
size = 0.2

[[parts]]
name = "R_fin"
kind = "limb"
joints = ["back", "Rfin"]
size = 1

[[strokes]]
kind = "line"
points = [["mouth"], ["Rfin", "Lfin"]]
colour = [1, 0, 0.5]
"""


def fish() -> Skeleton:
    return Skeleton(
        name="fish",
        joints=("mouth", "Rfin", "Lfin", "back", "tail"),
        edges=(("mouth", "back"), ("back", "tail"), ("back", "Rfin"), ("back", "Lfin")),
        required=("mouth", "tail"),
        mirror_pairs=(("Rfin", "Lfin"),),
        scale_sides=(("mouth", "tail"),),
        parts=(
            Part("body", "whole", ("mouth", "back", "tail")),
            Part("face", "square", ("mouth",), anchors=("back",), size=0.2),
            Part("R_fin", "limb", ("back", "Rfin"), size=1.0),
        ),
        strokes=(Stroke("line", (("mouth",), ("Rfin", "Lfin")), (1.0, 0.0, 0.5)),),
    )


def test_the_papers_person():
    expected = "nose neck Rsho Relb Rwri Lsho Lelb Lwri Rhip Rkne Rank Lhip Lkne Lank Leye Reye Lear Rear"
    assert " ".join(COCO18.joints) == expected
    assert [part.name for part in COCO18.parts] == [
        *("torso", "head", "R_upper_leg", "L_upper_leg", "R_lower_leg", "L_lower_leg"),
        *("R_upper_arm", "L_upper_arm", "R_lower_arm", "L_lower_arm"),
    ]
    parts = {part.name: part for part in COCO18.parts}
    assert parts["L_lower_leg"].joints == ("Lkne", "Lank")
    assert (parts["L_lower_leg"].mask_far, parts["L_lower_leg"].transform_far) == (0.5, 0.3)
    assert (parts["R_upper_arm"].mask_far, parts["R_upper_arm"].transform_far) == (0.1, 0.1)
    assert {part.size for part in COCO18.parts} == {0.0, 0.2, 0.4}
    assert (COCO18.num_joints, COCO18.num_parts) == (18, 10)
    assert len(COCO18.strokes) == 10 + 1 + 1 + 2


def test_mirror_is_an_involution():
    assert COCO18.mirror("Rwri") == "Lwri"
    assert COCO18.mirror("nose") == "nose"
    for skeleton in (COCO18, fish()):
        order = skeleton.flip_order
        assert [order[i] for i in order] == list(range(skeleton.num_joints))
        assert all(skeleton.mirror(skeleton.mirror(joint)) == joint for joint in skeleton.joints)


def test_index():
    assert COCO18.indices(("nose", "Rear")) == [0, 17]
    with pytest.raises(KeyError, match="elbow"):
        COCO18.index("elbow")


@pytest.mark.parametrize("skeleton", [COCO18, fish()], ids=["coco18", "fish"])
def test_json_round_trip(tmp_path, skeleton):
    (tmp_path / "s.json").write_text(json.dumps(skeleton.to_dict()))
    loaded = load_skeleton(tmp_path / "s.json")
    assert loaded == skeleton
    assert hash(loaded) == hash(skeleton)
    assert Skeleton.from_dict(skeleton.to_dict()) == skeleton


def test_toml(tmp_path):
    (tmp_path / "fish.toml").write_text(FISH_TOML)
    assert load_skeleton(tmp_path / "fish.toml") == fish()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"jonts": []}, r"s\.json: unknown key 'jonts'; allowed: name, joints, edges"),
        ({"name": 3}, r"s\.json: name: expected a text, got 3"),
        ({"joints": "nose"}, r"s\.json: joints: expected a list, got 'nose'"),
        ({"joints": ["mouth", 3]}, r"s\.json: joints\[1\]: expected a text, got 3"),
        ({"joints": ["mouth", "mouth"]}, r"s\.json: joint names must be unique and at least one"),
        ({"joints": []}, r"s\.json: joint names must be unique and at least one"),
        (
            {"edges": [["mouth", "hand"]]},
            r"s\.json: edges: 'hand' is not a joint; joints: mouth, Rfin, Lfin, back, tail",
        ),
        ({"edges": [["mouth"]]}, r"s\.json: edges\[0\]: expected 2 values, got 1"),
        ({"edges": ["ab"]}, r"s\.json: edges\[0\]: expected a list, got 'ab'"),
        ({"required": ["hand"]}, r"s\.json: required: 'hand' is not a joint"),
        ({"mirror_pairs": [["Rfin", "Lfin"], ["Rfin", "back"]]}, r"s\.json: mirror_pairs: a joint stands in one pair"),
        ({"mirror_pairs": [["back", "back"]]}, r"s\.json: mirror_pairs: a joint stands in one pair only"),
        ({"parts": []}, r"s\.json: part names must be unique and at least one"),
        ({"parts": 5}, r"s\.json: parts: expected a list, got 5"),
        ({"parts": ["body"]}, r"s\.json: parts\[0\]: expected a table of keys, got 'body'"),
        ({"strokes": [{"kind": "line", "points": [[], ["mouth"]], "colour": [1, 0, 0]}]}, r"each point is one joint"),
        ({"strokes": [{"kind": "line", "points": [["mouth"], ["tail"]], "colour": [9, 0, 0]}]}, r"colour value 0 to 1"),
        ({"strokes": [{"kind": "line", "points": [["mouth"]], "colour": [1, 0, 0]}]}, r"strokes: kind is line or fill"),
        (
            {"strokes": [{"kind": "line", "points": [["a"]], "colour": [1, 0]}]},
            r"strokes\[0\]\.colour: expected 3 values",
        ),
    ],
)
def test_bad_keys(tmp_path, change, message):
    path = tmp_path / "s.json"
    path.write_text(json.dumps({**fish().to_dict(), **change}))
    with pytest.raises(InputError, match=message):
        load_skeleton(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sise": 1}, r"s\.json: parts\[2\]: unknown key 'sise'; allowed: name, kind, joints"),
        ({"kind": "arm"}, r"s\.json: parts\[2\]\.kind: 'arm' is not known; allowed: whole, square, limb"),
        ({"size": "big"}, r"s\.json: parts\[2\]\.size: expected a finite number, got 'big'"),
        ({"size": True}, r"s\.json: parts\[2\]\.size: expected a finite number, got True"),
        ({"size": float("nan")}, r"s\.json: parts\[2\]\.size: expected a finite number, got nan"),
        ({"size": 0}, r"s\.json: part 'R_fin': needs a size above 0 and the skeleton's scale_sides"),
        ({"joints": ["back"]}, r"s\.json: part 'R_fin': a limb has two joints"),
        ({"joints": ["back", "hand"]}, r"s\.json: part 'R_fin': 'hand' is not a joint"),
        (
            {"kind": "whole", "joints": ["back", "tail"]},
            r"part 'R_fin': an affine transform needs three joints or more",
        ),
        ({"name": "body"}, r"s\.json: part names must be unique"),
    ],
)
def test_bad_parts(tmp_path, change, message):
    values = fish().to_dict()
    values["parts"][2].update(change)
    (tmp_path / "s.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=message):
        load_skeleton(tmp_path / "s.json")


def test_missing_keys(tmp_path):
    for key in ("name", "joints", "edges", "required", "mirror_pairs", "scale_sides", "parts"):
        values = fish().to_dict()
        del values[key]
        with pytest.raises(InputError, match=f"^skeleton: key '{key}' is missing$"):
            Skeleton.from_dict(values)
    values = fish().to_dict()
    del values["parts"][1]["joints"]
    with pytest.raises(InputError, match=r"^skeleton: parts\[1\]: key 'joints' is missing$"):
        Skeleton.from_dict(values)


def test_bad_files(tmp_path):
    with pytest.raises(InputError, match=r"x\.yaml: a skeleton file ends in \.json or \.toml"):
        load_skeleton(tmp_path / "x.yaml")
    with pytest.raises(InputError, match=r"x\.json: no such skeleton file"):
        load_skeleton(tmp_path / "x.json")
    for name, text, message in (
        ("x.json", "{", r"x\.json: .*line 1"),
        ("x.toml", "a = \n", r"x\.toml: .*line 1"),
        ("y.json", "[1]", r"y\.json: expected a table of keys, got \[1\]"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=message):
            load_skeleton(tmp_path / name)
    (tmp_path / "z.json").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"z\.json: 'utf-8' codec"):
        load_skeleton(tmp_path / "z.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(InputError, match=r"folder\.json: cannot be read"):
        load_skeleton(tmp_path / "folder.json")


def test_checks_hold_without_a_file():
    with pytest.raises(InputError, match="required: 'hand' is not a joint"):
        dataclasses.replace(fish(), required=("hand",))
    with pytest.raises(InputError, match="kind 'arm'; allowed: whole, square, limb"):
        dataclasses.replace(fish(), parts=(Part("a", "arm", ("mouth",)),))  # pyright: ignore[reportArgumentType]
    line = Stroke("line", (("mouth",), ("back",), ("tail",)), (1.0, 0.0, 0.0))
    with pytest.raises(InputError, match="a line has two points"):
        dataclasses.replace(fish(), strokes=(line,))
