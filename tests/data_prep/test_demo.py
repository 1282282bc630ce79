"""The demo data set on disk: layout, repeatability, messages."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from data_prep import demo
from data_prep.people.dataset import PersonTask, draw_images
from pose_gan.data.pairs import make_pairs, person_of
from pose_gan.errors import InputError
from pose_gan.files.folders import list_images
from pose_gan.poses.keypoints import MISSING, found, has_required_joints, read_annotations


def flags(folder, **changes):
    values = {
        "images_dir": folder / "images",
        "train_persons": 2,
        "test_persons": 1,
        "images_per_person": 3,
        "workers": 1,
    } | changes
    return [text for name, value in values.items() for text in (f"--{name}", str(value))]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    demo.main([*flags(folder), "--preview", str(folder / "sheet.png")])
    return folder


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*")) if path.is_file()}


def test_layout_and_names_are_those_of_market(dataset):
    names = list_images(dataset / "images/train")
    assert len(names) == 6
    assert len(list_images(dataset / "images/test")) == 3
    assert names[0] == "0001_c1s1_000001_00.jpg"
    assert {person_of(name) for name in names} == {"0001", "0002"}
    assert {person_of(name) for name in list_images(dataset / "images/test")} == {"0003"}
    assert Image.open(dataset / "images/train" / names[0]).size == (64, 128)
    assert Image.open(dataset / "sheet.png").size[1] > 256


@pytest.mark.parametrize("split", demo.SPLITS)
def test_annotations_belong_to_the_images(dataset, split):
    annotations = read_annotations(dataset / f"images/exact/demo-annotation-{split}.csv")
    assert list(annotations.names) == list_images(dataset / "images" / split)
    keypoints = annotations.keypoints
    seen = found(keypoints)
    assert np.all(keypoints[~seen] == MISSING)
    assert np.all((keypoints[seen] >= 0) & (keypoints[seen] < [128, 64]))
    assert len(make_pairs(annotations)) >= 2


def test_same_flags_give_the_same_bytes_with_any_number_of_workers(dataset, tmp_path):
    demo.main(flags(tmp_path, workers=2))
    again = contents(tmp_path)
    expected = contents(dataset)
    expected.pop("sheet.png")
    assert again == expected


def test_images_depend_on_seed_split_person_and_image_only():
    person = PersonTask(seed=3, split=0, index=1, number=2, images=2, size=(64, 64))
    (_, first, _), (_, second, _) = draw_images(person)
    other_number = PersonTask(seed=3, split=0, index=1, number=77, images=1, size=(64, 64))
    np.testing.assert_array_equal(first, next(draw_images(other_number))[1])
    assert not np.array_equal(first, second)
    for change in ({"seed": 4}, {"split": 1}, {"index": 0}):
        other = dataclasses.replace(person, **change)
        assert not np.array_equal(first, next(draw_images(other))[1])


def test_nine_of_ten_images_are_valid():
    people = [PersonTask(0, 0, index, index + 1, 4, (64, 64)) for index in range(20)]
    keypoints = np.stack([row[2] for person in people for row in draw_images(person)])
    assert has_required_joints(keypoints).mean() >= 0.9


def test_refuses_to_overwrite_and_overwrites_on_demand(tmp_path):
    old = tmp_path / "images/train/old.jpg"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old")
    with pytest.raises(InputError, match=r"train: already there; choose another --images_dir or pass --overwrite"):
        demo.main(flags(tmp_path))
    assert old.exists()
    demo.main([*flags(tmp_path, train_persons=1, images_per_person=1), "--overwrite"])
    assert list_images(tmp_path / "images/train") == ["0001_c1s1_000001_00.jpg"]


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("train_persons", "0", "--train_persons: got '0'; give a whole number from 1 to 9999"),
        ("images_per_person", "many", "--images_per_person: got 'many'; give a whole number"),
        ("test_persons", "9999", "--train_persons . --test_persons: got 10001; at most 9999"),
        ("size", "128", "--size: got '128'; give HEIGHTxWIDTH in pixels, 64 to 512 each"),
        ("size", "32x32", "--size: got '32x32'"),
        ("seed", "-1", "--seed: got '-1'"),
        ("workers", "0", "--workers: got '0'"),
    ],
)
def test_bad_flags_are_named(tmp_path, flag, value, message):
    with pytest.raises(InputError, match=message):
        demo.main([*flags(tmp_path), f"--{flag}={value}"])
    assert not (tmp_path / "images").exists()


def test_help_tells_defaults_and_units(capsys):
    with pytest.raises(SystemExit):
        demo.main(["--help"])
    text = "".join(capsys.readouterr().out.split())  # without line breaks, which split words
    for part in ("(default: 150)", "(default: 128x64)", "in pixels", "(default: data/demo-dataset)", "(default: 8)"):
        assert part.replace(" ", "") in text
