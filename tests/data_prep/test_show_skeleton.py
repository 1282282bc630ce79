"""`data show-skeleton`, and the skeletons of `examples/`: what is drawn, and that the files describe what they say."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
from checkout import ROOT
from PIL import Image
from skeletons import STICK

from data_prep import show_skeleton as verb
from pose_gan.errors import InputError
from pose_gan.files.images import read_image
from pose_gan.geometry import part_transforms
from pose_gan.poses.design import draw_names, lay_out
from pose_gan.poses.keypoints import found, read_annotations, write_annotations
from pose_gan.poses.skeleton import COCO18, load_skeleton

FOLDER = ROOT / "examples" / "skeletons"
NAMES = ["mouse", "face68", "quadruped"]


def example(name):
    """The skeleton of an example, and its drawn pose."""
    skeleton = load_skeleton(FOLDER / f"{name}.toml")
    return skeleton, read_annotations(FOLDER / f"{name}.csv", skeleton).keypoints[0]


@pytest.mark.parametrize("name", NAMES)
def test_every_part_of_the_examples_follows_the_object(name):
    """A turn, a growth and a shift of the whole object is the transform of every part."""
    skeleton, pose = example(name)
    assert found(pose).all()
    assert not skeleton.is_person
    turn, shift = 1.3 * np.array([[np.cos(0.4), np.sin(0.4)], [-np.sin(0.4), np.cos(0.4)]]), np.array([200.0, 150.0])
    source = pose[:, ::-1] @ turn.T + shift  # (x, y)
    fits = np.array(part_transforms(source[None, :, ::-1], pose[None].astype(float), skeleton))[0]
    expected = [turn[0, 0], turn[0, 1], shift[0], turn[1, 0], turn[1, 1], shift[1], 0, 0]
    np.testing.assert_allclose(fits, np.tile(expected, (skeleton.num_parts, 1)), atol=1e-3)


@pytest.mark.parametrize(("name", "axis"), [("mouse", 0), ("face68", 1)])
def test_mirror_pairs_of_the_examples(name, axis):
    """The drawn poses are symmetric: mirrored, with left and right exchanged, they are the same."""
    skeleton, pose = example(name)
    mirrored = pose[skeleton.flip_order].astype(float)
    middle = (pose[:, axis].min() + pose[:, axis].max()) / 2
    mirrored[:, axis] = 2 * middle - mirrored[:, axis]
    np.testing.assert_allclose(mirrored, pose, atol=1)


def test_the_quadruped_has_a_twin_of_each_leg():
    skeleton, _ = example("quadruped")
    legs = {part.joints for part in skeleton.parts if part.name.endswith("leg")}
    assert len(legs) == 8
    for joints in legs:
        assert tuple(map(skeleton.mirror, joints)) in legs - {joints}


@pytest.mark.parametrize("name", NAMES)
def test_shows_each_part_of_the_examples(name, tmp_path, capsys):
    skeleton, _ = example(name)
    out = tmp_path / "picture.png"
    files = [str(FOLDER / f"{name}.toml"), "--annotations", str(FOLDER / f"{name}.csv")]
    assert verb.main([*files, "--output", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"{skeleton.num_joints} joints, {len(skeleton.edges)} edges, {skeleton.num_parts} parts" in printed
    picture = read_image(out)
    tinted = (picture == np.rint([0.4 * 255 + 0.6 * 255, 0.4 * 255 + 0.6 * 38, 0.4 * 255 + 0.6 * 38])).all(axis=-1)
    assert tinted.sum() > 500  # masks of parts, over white


def test_people_need_no_file(tmp_path, capsys):
    assert verb.main(["--output", str(tmp_path / "p.png")]) == 0
    printed = capsys.readouterr().out
    assert "coco18: no pose was given, so the joints are laid out by their edges" in printed
    assert "in no part: neck; they are in the heat maps only" in printed


def test_over_an_image(tmp_path):
    """The pose lies on the image: a black cross of joints on white comes out black under the names' picture."""
    image = np.full((60, 80, 3), 255, np.uint8)
    image[:, 30:32] = 0
    Image.fromarray(image).save(tmp_path / "a.png")
    pose = np.array([[10, 30], [30, 31], [50, 31]])
    write_annotations(tmp_path / "a.csv", ["b.png", "a.png"], np.stack([pose - 5, pose]))
    (tmp_path / "stick.json").write_text(json.dumps(STICK.to_dict()))
    flags = [str(tmp_path / "stick.json"), "--annotations", str(tmp_path / "a.csv"), "--output"]
    assert verb.main([*flags, str(tmp_path / "o.png"), "--image", str(tmp_path / "a.png")]) == 0
    drawn = read_image(tmp_path / "o.png")
    assert (drawn.max(axis=-1) < 120).sum() > 2000  # the black line, paled
    with pytest.raises(InputError, match=r"--image needs --annotations CSV"):
        verb.main([str(tmp_path / "stick.json"), "--image", "a.png", "--output", "o.png"])
    Image.fromarray(image[:40]).save(tmp_path / "b.png")
    Image.fromarray(image).save(tmp_path / "c.png")
    with pytest.raises(InputError, match=r"row 2 \(b\.png\): joints lie outside of .*b\.png, which has 40x80 pixels"):
        verb.main([*flags, str(tmp_path / "x.png"), "--image", str(tmp_path / "b.png")])
    with pytest.raises(InputError, match=r"a\.csv: has no row of c\.png"):
        verb.main([*flags, str(tmp_path / "x.png"), "--image", str(tmp_path / "c.png")])
    assert not (tmp_path / "x.png").exists()


def test_large_photos_and_large_poses_are_drawn_small(tmp_path, monkeypatch, capsys):
    """A photo of three times the size gives the same picture, but for the body mask, whose size is in pixels."""
    monkeypatch.setattr(verb, "LARGEST", 400)
    pose = np.array([[10, 30], [30, 31], [50, 31]])
    (tmp_path / "stick.json").write_text(json.dumps(STICK.to_dict()))
    drawn = {}
    for name, times in (("small", 4), ("large", 12)):
        image = np.zeros((60, 80, 3), np.uint8)
        image[20:40, 40:] = 200
        Image.fromarray(image.repeat(times, 0).repeat(times, 1)).save(tmp_path / f"{name}.png")
        write_annotations(tmp_path / "a.csv", [f"{name}.png"], [pose * times + times // 2])
        flags = [str(tmp_path / "stick.json"), "--annotations", str(tmp_path / "a.csv"), "--output"]
        verb.main([*flags, str(tmp_path / "o.png"), "--image", str(tmp_path / f"{name}.png")])
        drawn[name] = read_image(tmp_path / "o.png")[:760, :760].astype(int)
        assert ("drawn at 300x400 pixels (height x width), so without the body mask" in capsys.readouterr().out) == (
            name == "large"
        )
    assert np.abs(drawn["small"] - drawn["large"]).mean() < 8
    write_annotations(tmp_path / "a.csv", ["a.png"], [pose * 1000])
    assert verb.main([*flags, str(tmp_path / "huge.png")]) == 0


def test_layout():
    """Mirrored joints lie at one height, the right one at the left; neighbours of a chain are equally far apart."""
    places = lay_out(COCO18)
    assert places.min() >= 0
    assert places.max() < 512
    for right, left in COCO18.mirror_pairs:
        (y, x), (other_y, other_x) = places[COCO18.index(right)], places[COCO18.index(left)]
        assert abs(y - other_y) <= 1
        assert x < other_x
        assert abs(x + other_x - 2 * places[COCO18.index("neck"), 1]) <= 2
    assert places[COCO18.index("nose"), 0] < places[COCO18.index("Rhip"), 0]
    chain = dataclasses.replace(STICK, edges=(("top", "middle"), ("middle", "bottom")))
    top, middle, bottom = lay_out(chain).astype(float)
    np.testing.assert_allclose(middle - top, bottom - middle, atol=1.5)
    lonely = dataclasses.replace(STICK, edges=())
    assert np.isfinite(lay_out(lonely)).all()


def test_every_found_joint_gets_a_name():
    """Beside a lonely joint there is dark text; a missing joint has none."""
    white = np.full((100, 200, 3), 255, np.uint8)
    pose = np.array([[20, 100], [80, 100], [-1, -1]])
    drawn = draw_names(pose, white, dataclasses.replace(STICK, edges=()))
    dark = drawn.max(axis=-1) < 128
    assert dark[10:30, 108:].any()
    assert dark[70:90, 108:].any()
    assert not dark[35:65].any()
    none = draw_names(np.full((3, 2), -1), white, STICK)
    assert (none == 255).all()


def test_remarks():
    bare = dataclasses.replace(STICK, scale_sides=())
    said = " ".join(verb.remarks(bare, np.array([[1, 1], [2, 2], [-1, -1]])))
    for text in ("not found in this pose: bottom", "no mirror_pairs", "no scale_sides: PCKh does not apply"):
        assert re.search(text, said)
