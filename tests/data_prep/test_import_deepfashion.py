"""The In-shop tree becomes flat folders: names, splits, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import import_deepfashion
from data_prep.import_deepfashion import flat_name, key_of
from pose_gan.data.pairs import person_of
from pose_gan.errors import InputError
from pose_gan.files.folders import list_images
from pose_gan.poses.keypoints import write_annotations
from pose_gan.presets import DATASETS

TREE = {  # place in the tree → the name without prefix and underscores
    "WOMEN/Dresses/id_00005537/05_4_full.jpg": "WOMENDressesid00005537054full.jpg",
    "WOMEN/Dresses/id_00005537/05_1_front.jpg": "WOMENDressesid00005537051front.jpg",
    "WOMEN/Dresses/id_00005537/06_1_front.jpg": "WOMENDressesid00005537061front.jpg",
    "MEN/Jackets_Vests/id_00004014/03_4_full.jpg": "MENJacketsVestsid00004014034full.jpg",
    "MEN/Jackets_Vests/id_00004014/03_3_back.jpg": "MENJacketsVestsid00004014033back.jpg",
}
TRAIN = ["fasionWOMENDressesid0000553705_4full.jpg", "fashionWOMENDressesid0000553705_1front.jpg"]
TEST = ["fasionMENJacketsVestsid0000401403_4full.jpg", "fashionMENJackets_Vestsid0000401403_3back.jpg"]


@pytest.fixture
def source(tmp_path, monkeypatch):
    """The folder `img` with five images of different bytes; the working folder is its parent."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(TREE):
        path = tmp_path / "img" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((256, 256, 3), 40 * number, np.uint8)).save(path)
    (tmp_path / "img/README.txt").write_text("no image")
    return tmp_path / "img"


def annotate(train=TRAIN, test=TEST):
    for split, names in (("train", train), ("test", test)):
        write_annotations(f"annotations/fasion-annotation-{split}.csv", names, np.full((len(names), 18, 2), 9))


def lists(train=TRAIN, test=TEST, pairs="fasion-resize-pairs"):
    """PATN's files in the folder `lists`: all names, and two pairs a split."""
    Path("lists").mkdir(exist_ok=True)
    for split, names in (("train", train), ("test", test)):
        Path(f"lists/{split}.lst").write_text("\n".join(names) + "\n\n")
        Path(f"lists/{pairs}-{split}.csv").write_text(
            f"from,to\n{names[0]},{names[-1]}\n{names[-1]},{names[0]}\n" if names else "from,to\n"
        )


def assert_right_images(folder, names, source):
    """Each name is a byte-for-byte copy of the image of the tree that it means."""
    assert list_images(folder) == sorted(names)
    places = {flat: place for place, flat in TREE.items()}
    for name in names:
        flat = re.sub("^fash?ion", "", name).replace("_", "")
        assert (Path(folder) / name).read_bytes() == (source / places[flat]).read_bytes()


def test_names():
    assert flat_name(("WOMEN", "Dresses", "id_00005537"), "05_4_full.jpg") == TRAIN[0]
    assert flat_name(("MEN", "Jackets_Vests", "id_00004014"), "03_4_full.jpg") == TEST[0]
    keys = {
        key_of(f"{prefix}MENJackets{underscore}Vestsid0000401403_4full.jpg")
        for prefix in ("fasion", "fashion")
        for underscore in ("_", "")
    }
    assert keys == {"MENJacketsVestsid00004014034full.jpg"}
    assert key_of("fashionMENfashion_x.jpg") == "MENfashionx.jpg"


@pytest.mark.parametrize("given", ["img", "."])
def test_release_split(source, given, capsys):
    annotate()
    assert import_deepfashion.main([given]) == 0
    assert_right_images("data/fashion-dataset/train", TRAIN, source)
    assert_right_images("data/fashion-dataset/test", TEST, source)
    said = capsys.readouterr().out
    assert "train: 2 images, 2 persons -> data/fashion-dataset/train" in said
    assert "images in neither split, left out: 1" in said
    assert "other files, left out: 1 (README.txt)" in said
    assert "data annotate" not in said  # it is done
    assert "pose-gan data pairs --dataset fashion\n" in said


def test_release_split_without_its_files(source):
    with pytest.raises(
        InputError,
        match=r"no such annotation file: annotations/fashion-annotation-train\.csv, .*-test\.csv; put .* in "
        r"annotations, or split without them: --split random --test_ids 1000 --seed 0",
    ):
        import_deepfashion.main(["img"])


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (
            [*TRAIN, "fasionWOMENDressesid0000553799_4full.jpg", "fasionx.jpg"],
            TEST,
            r"fasion-annotation-train\.csv, row 4 \(fasionW.*99_4full\.jpg\): SOURCE has no such image \(2 of 6 names",
        ),
        (
            TRAIN,
            [*TEST, TRAIN[0]],
            r"fasion-annotation-test\.csv, row 4 \(.*\): the same image as .*-train\.csv, row 2",
        ),
        (
            [*TRAIN, TRAIN[0].replace("fasion", "fashion")],
            TEST,
            r"fasion-annotation-train\.csv, row 4 \(.*\): the same image as .*-train\.csv, row 2",
        ),
    ],
)
def test_names_that_do_not_fit(source, train, test, message):
    annotate(train, test)
    with pytest.raises(InputError, match=message):
        import_deepfashion.main(["img"])
    assert not Path("data").exists()


def test_a_name_that_two_images_have(source):
    annotate()
    twin = source / "MEN/JacketsVests/id_00004014/03_4_full.jpg"
    twin.parent.mkdir(parents=True)
    twin.write_bytes(b"")
    with pytest.raises(
        InputError, match=r"row 2 \(fasionMENJ.*\): may be .*JacketsVests/.* or .*Jackets_Vests/.*delete"
    ):
        import_deepfashion.main(["img"])


def test_high_resolution_images_are_refused(source):
    annotate()
    for name in list(TREE)[:2]:
        Image.new("RGB", (750, 1101)).save(source / name)
    with pytest.raises(
        InputError,
        match=r"05_4_full\.jpg: 1101x750 pixels \(height x width\) JPEG, expected 256x256 JPEG; "
        r"take img\.zip, not img_highres\.zip \(2 of 4 images are wrong\)",
    ):
        import_deepfashion.main(["img"])
    assert not Path("data").exists()


def test_no_tree(source):
    annotate()
    with pytest.raises(InputError, match=r"annotations: no In-shop images: expected WOMEN/Dresses"):
        import_deepfashion.main(["annotations"])
    for path in sorted(source.rglob("*.jpg")):
        path.unlink()
    with pytest.raises(InputError, match="img: no image is named like WOMEN"):
        import_deepfashion.main(["img"])


@pytest.mark.parametrize("pairs", ["fasion-resize-pairs", "fashion-resize-pairs"])
def test_patn_split_with_its_pairs(source, pairs, capsys):
    lists(pairs=pairs)
    assert import_deepfashion.main(["img", "--split", "patn", "--lists_dir", "lists"]) == 0
    assert_right_images("data/fashion-dataset/train", TRAIN, source)
    assert_right_images("data/fashion-dataset/test", TEST, source)
    for split in ("train", "test"):
        assert Path(f"annotations/fashion-pairs-{split}.csv").read_text() == (
            Path(f"lists/{pairs}-{split}.csv").read_text()
        )
    said = capsys.readouterr().out
    assert "warning: train: 2 pairs, PATN as published has 101966" in said
    assert "warning: test: 2 pairs, PATN as published has 8570" in said
    assert "data annotate" in said
    assert "data pairs" not in said  # they are there
    assert "data import-keypoints lists/fasion-resize-annotation-train.csv --dataset fashion --split train" in said


def halves(number: int) -> np.ndarray:
    """256×256 pixels: a dark half on the left of column 128, and a bright one; their greys show the number."""
    columns = np.broadcast_to(np.arange(256)[:, None], (256, 256, 3))
    return np.where(columns < 128, 20 * number, 255 - 20 * number).astype(np.uint8)


@pytest.mark.parametrize("dataset", ["fashion176", "fasion176"])
def test_narrow_images_are_cut_as_patn_cuts_them(source, dataset, capsys):
    """Columns 40 to 215 are kept."""
    for number, name in enumerate(TREE):
        Image.fromarray(halves(number)).save(source / name, quality=95, subsampling=0)
    lists()
    flags = ["img", "--split", "patn", "--lists_dir", "lists", "--dataset", dataset]
    assert import_deepfashion.main(flags) == 0
    places = {flat: number for number, flat in enumerate(TREE.values())}
    for split, names in (("train", TRAIN), ("test", TEST)):
        assert list_images(f"data/{dataset}-dataset/{split}") == sorted(names)
        assert Path(f"annotations/{dataset}-pairs-{split}.csv").exists()
        for name in names:
            pixels = np.asarray(Image.open(f"data/{dataset}-dataset/{split}/{name}")).astype(int)
            assert pixels.shape == (*DATASETS[dataset].image_size, 3)
            expected = halves(places[key_of(name)])[:, 40:216]
            assert np.abs(pixels - expected).max() <= 6  # JPEG, twice
    said = capsys.readouterr().out
    assert f"copy fasion-resize-annotation-train.csv to annotations/{dataset}-annotation-train.csv" in said
    assert "the authors' release" not in said  # their keypoints lie 40 pixels further to the right


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--split", "patn", "--lists_dir", "lists", "--link"], "--link: the images of fashion176 are cut"),
        (["--split", "release"], r"--split release: .* data resize --dataset fashion --output_dataset fashion176"),
    ],
)
def test_flags_that_do_not_go_with_narrow_images(source, flags, message):
    lists()
    with pytest.raises(InputError, match=message):
        import_deepfashion.main(["img", "--dataset", "fashion176", *flags])
    assert not Path("data").exists()


def test_patn_pair_lists_in_use_are_refused(source):
    lists()
    old = Path("annotations/fashion-pairs-test.csv")
    old.parent.mkdir()
    old.write_text("from,to\n")
    flags = ["img", "--split", "patn", "--lists_dir", "lists"]
    with pytest.raises(InputError, match=r"annotations/fashion-pairs-test\.csv: already there"):
        import_deepfashion.main(flags)
    assert not Path("data").exists()
    import_deepfashion.main([*flags, "--overwrite"])
    assert len(old.read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "test.lst",
            TEST[1],
            "",
            r"fasion-resize-pairs-test\.csv, row 2, column to: fashionMEN.* is not in .*test\.lst",
        ),
        ("train.lst", TRAIN[1], TRAIN[0], r"lists/train\.lst, row 2: .* stands there already"),
        ("train.lst", TRAIN[0], TEST[0], r"lists/test\.lst, row 1 .*: the same image as lists/train\.lst, row 1"),
        (
            "fasion-resize-pairs-train.csv",
            TRAIN[0],
            TEST[0],
            r"row 2, column from: fasionMEN.* is not in lists/train\.lst",
        ),
        (
            "fasion-resize-pairs-train.csv",
            "from,to",
            "a,b",
            "row 1: the header must have the columns from,to once each, got 'a,b'",
        ),
    ],
)
def test_patn_lists_that_do_not_fit(source, file, old, new, message):
    lists()
    path = Path("lists") / file
    path.write_text(path.read_text().replace(old, new, 1))
    if file == "train.lst" and new == TEST[0]:
        Path("lists/fasion-resize-pairs-train.csv").write_text("from,to\n")
    with pytest.raises(InputError, match=message):
        import_deepfashion.main(["img", "--split", "patn", "--lists_dir", "lists"])
    assert not Path("data").exists()


def test_patn_files_that_are_absent(source):
    with pytest.raises(InputError, match=r"--split patn: needs --lists_dir, the folder with train\.lst"):
        import_deepfashion.main(["img", "--split", "patn"])
    lists(test=[])
    with pytest.raises(InputError, match=r"lists/test\.lst: no names; expected one image name a line"):
        import_deepfashion.main(["img", "--split", "patn", "--lists_dir", "lists"])
    Path("lists/train.lst").unlink()
    with pytest.raises(InputError, match=r"lists/train\.lst: no such file"):
        import_deepfashion.main(["img", "--split", "patn", "--lists_dir", "lists"])


def test_random_split_by_persons(source, capsys):
    import_deepfashion.main(["img", "--split", "random", "--test_ids", "1"])
    folders = {split: list_images(f"data/fashion-dataset/{split}") for split in ("train", "test")}
    persons = {split: {person_of(name) for name in names} for split, names in folders.items()}
    assert len(persons["test"]) == 1
    assert len(persons["train"]) == 2
    assert not persons["train"] & persons["test"]
    assert sorted(folders["train"] + folders["test"]) == sorted(
        flat_name(name.split("/")[:3], name.split("/")[3]) for name in TREE
    )
    for split, names in folders.items():
        assert_right_images(f"data/fashion-dataset/{split}", names, source)
    assert "leave it out if you put" not in capsys.readouterr().out  # the authors' keypoints do not fit


def test_random_split_depends_on_the_seed_alone():
    tree = {f"{i}": [Path(f"WOMEN/Dresses/id_{i:08}/01_1_front.jpg")] for i in range(50)}

    def drawn(seed, tree=tree):
        return set(import_deepfashion.random_split(tree, 10, seed)["test"].names)

    assert drawn(0) == drawn(0, dict(reversed(tree.items())))
    assert len(drawn(0)) == 10
    assert drawn(0) != drawn(1)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--test_ids", "0"], "--test_ids: got 0; give 1 to 2: SOURCE shows 3 persons"),
        (["--test_ids", "1000"], "--test_ids: got 1000; give 1 to 2"),
        (["--test_ids", "1", "--seed", "-1"], "--seed: got -1; give 0 or more"),
    ],
)
def test_random_split_flags(source, flags, message):
    with pytest.raises(InputError, match=message):
        import_deepfashion.main(["img", "--split", "random", *flags])


def test_real_names_find_their_images(shared_data, tmp_path, monkeypatch):
    """The tree that the real names come from, imported under them again."""
    monkeypatch.chdir(tmp_path)
    real = shared_data / "deepfashion-sample/test"
    names = list_images(real)
    for name in names:
        sex, category, item, number, pose, rest = re.fullmatch(
            r"fashion(WOMEN|MEN)(\w+)id(\d{8})(\d\d)_(\d)(\w+\.jpg)", name
        ).groups()  # pyright: ignore[reportOptionalMemberAccess]
        path = Path("Img/img") / sex / category / f"id_{item}" / f"{number}_{pose}_{rest}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((real / name).read_bytes())
    annotate(names[:40], names[40:])
    import_deepfashion.main([str(tmp_path), "--link"])
    for split, expected in (("train", names[:40]), ("test", names[40:])):
        folder = Path("data/fashion-dataset") / split
        assert list_images(folder) == expected
        assert all((folder / name).read_bytes() == (real / name).read_bytes() for name in expected)
