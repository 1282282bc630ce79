"""Names of strips, and finding strips and folders of images."""

from __future__ import annotations

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest

from pose_gan.data.pairs import write_pairs
from pose_gan.errors import InputError
from pose_gan.evaluation.strip_names import spellings, split_name, strip_name
from pose_gan.evaluation.strips import find_folders, find_strips, read_strip
from pose_gan.poses.drawing import strip
from pose_gan.poses.keypoints import Annotations, read_annotations
from pose_gan.poses.skeleton import COCO18

SIZE = (24, 16)
NAMES = [f"{person:04d}_c1_{number}.jpg" for person in (1, 2) for number in (1, 2)]
PAIRS = [(NAMES[0], NAMES[1]), (NAMES[1], NAMES[0]), (NAMES[2], NAMES[3])]


def picture(seed, size=SIZE):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Strips of `PAIRS`; source, target and generated image of pair n come of the seeds 3n, 3n+1, 3n+2."""
    for number, pair in enumerate(PAIRS):
        iio.imwrite(tmp_path / strip_name(*pair), strip(*(picture(3 * number + k) for k in range(3))))
    return tmp_path


@pytest.fixture
def known():
    return Annotations(tuple(NAMES), np.random.default_rng(0).integers(0, SIZE, (4, COCO18.num_joints, 2)), "a.csv")


def check(images, pairs=PAIRS):
    assert list(images.pairs.itertuples(index=False, name=None)) == list(pairs)
    assert images.image_size == SIZE
    for row, pair in enumerate(pairs):
        seed = 3 * PAIRS.index(pair)
        for image, expected in zip(images.read(row), (picture(seed + k) for k in range(3)), strict=True):
            np.testing.assert_array_equal(image, expected)


# --------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name",
    [
        "0001_c1_1.jpg_0001_c1_2.jpg.png",  # the release, and ours
        "0001_c1_1.jpg_0001_c1_2.jpg.jpg",
        "0001_c1_1.jpg___0001_c1_2.jpg_vis.jpg",  # PATN
        "0001_c1_1_2_0001_c1_2_vis.png",  # GFLA
        "0001_c1_1_0001_c1_2.png",
    ],
)
def test_names_are_split_where_images_are_known(name):
    assert split_name(name, spellings(NAMES)) == (NAMES[0], NAMES[1])


def test_names_are_split_by_their_suffixes_where_images_are_not_known():
    assert split_name("a_1.jpg_a_2.jpg.png") == ("a_1.jpg", "a_2.jpg")
    assert split_name("a_1.JPG___a_2.png_vis.jpg") == ("a_1.JPG", "a_2.png")
    assert split_name("1_x.jpg_2_x.jpg.png") == ("1_x.jpg", "2_x.jpg")  # of person 2
    for name in ("0001.png", "a_2_b_vis.png", "a.jpg_b.png", "_.png"):
        assert split_name(name) is None


def test_names_of_later_papers(shared_data):
    folder = shared_data / "deepfashion-sample/released-model-output"
    names = read_annotations(shared_data / "deepfashion-sample/fasion-annotation-test.csv").names
    for path in folder.iterdir():
        pair = split_name(path.name, spellings(names))
        assert pair == split_name(path.name)
        assert pair is not None
        assert strip_name(*pair) == path.name
        assert split_name(f"{pair[0]}___{pair[1]}_vis.jpg", spellings(names)) == pair


def test_names_that_may_be_read_in_two_ways():
    known = spellings(["a.jpg", "a_b.jpg", "b_c.jpg", "c.jpg"])
    with pytest.raises(InputError, match=r"a_b_c.png: this name may mean a.jpg -> b_c.jpg or a_b.jpg -> c.jpg; rename"):
        split_name("a_b_c.png", known)
    assert split_name("a.jpg_b_c.jpg.png", known) == ("a.jpg", "b_c.jpg")
    assert "a" not in spellings(["a.jpg", "a.png"])


# -------------------------------------------------------------------------------------- strips


def test_strips_with_and_without_annotations(folder, known):
    (folder / "metrics.json").write_text("{}")  # what is no image does not disturb
    check(find_strips(folder))
    images = find_strips(folder, known)
    check(images)
    np.testing.assert_array_equal(images.target_keypoints, known.keypoints[[1, 0, 3]])
    assert (find_strips(folder).target_keypoints == -1).all()


def test_strips_of_a_pair_list(folder, known):
    wanted = [PAIRS[2], PAIRS[0]]
    write_pairs(folder / "pairs.csv", pd.DataFrame(wanted, columns=["from", "to"]))
    iio.imwrite(folder / "other.png", picture(9))
    check(find_strips(folder, pair_list=folder / "pairs.csv"), wanted)
    check(find_strips(folder, known, folder / "pairs.csv"), wanted)
    (folder / strip_name(*PAIRS[2])).unlink()
    with pytest.raises(InputError, match=r"no file of the pair 0002_c1_1.jpg -> 0002_c1_2.jpg \(1 of 2 pairs are miss"):
        find_strips(folder, pair_list=folder / "pairs.csv")


def test_strips_of_five_pictures(tmp_path, known):
    """As PATN writes them: the pose of each real image beside it."""
    for number, (a, b) in enumerate(PAIRS):
        source, target, generated = (picture(3 * number + k) for k in range(3))
        wide = np.concatenate([source, picture(99), target, picture(98), generated], axis=1)
        iio.imwrite(tmp_path / f"{a}___{b}_vis.png", wide)
    check(find_strips(tmp_path, known))
    check(find_strips(tmp_path))


def test_width_leaves_a_choice_that_the_name_decides(tmp_path):
    wide = picture(0, (24, 15 * 8))
    iio.imwrite(tmp_path / "a.jpg_b.jpg.png", wide)
    assert find_strips(tmp_path).image_size == (24, 40)
    (tmp_path / "a.jpg_b.jpg.png").rename(tmp_path / "a.jpg___b.jpg_vis.png")
    assert find_strips(tmp_path).image_size == (24, 24)


def test_strips_with_names_of_their_own(folder):
    (folder / strip_name(*PAIRS[0])).rename(folder / "0.png")
    images = find_strips(folder)
    assert list(images.pairs.iloc[0]) == ["0.png", "0.png"]
    np.testing.assert_array_equal(images.read(0)[2], picture(2))


def test_strips_that_do_not_fit(folder, known):
    iio.imwrite(folder / "z.png", picture(0, (24, 49)))
    with pytest.raises(InputError, match=r"z.png: 24x49 pixels \(height x width\), 0001.*png has 24x48 pixels"):
        find_strips(folder)
    with pytest.raises(InputError, match=r"z.png: its name is not made of the names of two .* \(1 of 4 files\); add"):
        find_strips(folder, known)
    for path in folder.glob("0*.png"):
        path.unlink()
    with pytest.raises(InputError, match=r"z.png: 49 pixels wide, so it holds neither three pictures"):
        find_strips(folder)
    (folder / "z.png").unlink()
    with pytest.raises(InputError, match="holds no images"):
        find_strips(folder)
    with pytest.raises(InputError, match="no such folder of images"):
        find_strips(folder / "nowhere")


def test_keypoints_are_there_and_inside(folder, known):
    poses = known.keypoints.copy()
    poses[3, 2] = 24, 3
    with pytest.raises(InputError, match=r"a.csv, row 5 \(0002_c1_2.jpg\): joint Rsho at y=24, x=3 is outside of the"):
        find_strips(folder, Annotations(known.names, poses, "a.csv"))
    poses[3, 2] = -1, 30  # missing
    check(find_strips(folder, Annotations(known.names, poses, "a.csv")))
    write_pairs(folder / "pairs.csv", pd.DataFrame(PAIRS, columns=["from", "to"]))
    few = Annotations(known.names[:2], known.keypoints[:2], "a.csv")
    with pytest.raises(InputError, match=r"a.csv: has no keypoints of 0002_c1_2.jpg, a target image \(1 of 3 targets"):
        find_strips(folder, few, folder / "pairs.csv")


def test_a_strip_of_another_size_than_before(folder):
    images = find_strips(folder)
    iio.imwrite(folder / strip_name(*PAIRS[1]), picture(0, (24, 64)))
    with pytest.raises(InputError, match=r"24x64 pixels \(height x width\), expected 24x48: source, target and gen"):
        images.read(1)
    with pytest.raises(InputError, match=r"expected 12x24: source"):
        read_strip(folder / strip_name(*PAIRS[0]), (12, 8))


# ------------------------------------------------------------------------------------- folders


def write_folders(root, names):
    for number, parts in enumerate(names):
        for k, (kind, name) in enumerate(zip(("source", "target", "generated"), parts, strict=True)):
            (root / kind).mkdir(exist_ok=True)
            iio.imwrite(root / kind / name, picture(3 * number + k))
    return [root / kind for kind in ("source", "target", "generated")]


def test_folders_of_equal_names(tmp_path):
    folders = write_folders(tmp_path, [(f"{n}.png", f"{n}.bmp", f"{n}.png") for n in range(3)])
    images = find_folders(*folders)
    assert images.pairs.to_numpy().tolist() == [[f"{n}.png", f"{n}.bmp"] for n in range(3)]
    assert images.folder == folders[2]
    for row in range(3):
        for k, image in enumerate(images.read(row)):
            np.testing.assert_array_equal(image, picture(3 * row + k))
    iio.imwrite(folders[1] / "1.bmp", picture(0, (24, 17)))
    with pytest.raises(InputError, match=r"target/1.bmp: 24x17 pixels \(height x width\), 0.png has 24x16 pixels"):
        find_folders(*folders)
    with pytest.raises(InputError, match=r"1.bmp: 24x17 pixels \(height x width\), expected 24x16 pixels"):
        images.read(1)
    (folders[0] / "2.png").unlink()
    with pytest.raises(InputError, match=r"generated/2.png: its name is not made of .* \(1 of 3 files\)"):
        find_folders(*folders)


def two_folders(tmp_path, names):
    """`target/` with a.png, a_b.png and c.jpg, and `generated/` with the given names."""
    for number, name in enumerate(
        ["target/a.png", "target/a_b.png", "target/c.png", *(f"generated/{n}" for n in names)]
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        iio.imwrite(tmp_path / name, picture(number))
    return tmp_path / "target", tmp_path / "generated"


def test_folders_without_sources(tmp_path):
    """Generated images of equal names, or with the target at the end of theirs."""
    target, generated = two_folders(tmp_path, ["a.png", "a_b.png", "x_2_c_vis.png", "y.jpg___c.png_vis.png"])
    images = find_folders(None, target, generated)
    pairs = [("a.png", "a.png"), ("a_b.png", "a_b.png"), ("x", "c.png"), ("y.jpg", "c.png")]
    assert list(images.pairs.itertuples(index=False, name=None)) == pairs
    assert not images.has_sources
    for row, seed in enumerate((0, 1, 2, 2)):
        source, real, made = images.read(row)
        assert (source == 255).all()
        np.testing.assert_array_equal(real, picture(seed))
        np.testing.assert_array_equal(made, picture(3 + row))
    write_pairs(tmp_path / "pairs.csv", pd.DataFrame([("x.jpg", "c.png")], columns=["from", "to"]))
    chosen = find_folders(None, target, generated, pair_list=tmp_path / "pairs.csv")
    assert [file[-1].name for file in chosen.files] == ["x_2_c_vis.png"]
    assert chosen.pairs.to_numpy().tolist() == [["x.jpg", "c.png"]]


def test_folders_without_sources_whose_names_say_too_little(tmp_path):
    target, generated = two_folders(tmp_path, ["x_d.png"])
    with pytest.raises(InputError, match=r"x_d\.png: its name is not made of"):
        find_folders(None, target, generated)
    (generated / "x_d.png").rename(generated / "x_a_b.png")
    iio.imwrite(target / "b.png", picture(9))
    with pytest.raises(InputError, match=r"x_a_b\.png: this name may end with a_b\.png or b\.png; rename it, or give"):
        find_folders(None, target, generated)


def test_folders_of_a_data_set(tmp_path, known):
    """Generated images named as strips, beside one folder with the real ones."""
    (tmp_path / "real").mkdir()
    (tmp_path / "generated").mkdir()
    for number, name in enumerate(NAMES):
        iio.imwrite(tmp_path / "real" / name.replace(".jpg", ".png"), picture(number))
    names = [name.replace(".jpg", ".png") for name in NAMES]
    pairs = [(names[0], names[1]), (names[3], names[2])]
    for number, pair in enumerate(pairs):
        iio.imwrite(tmp_path / "generated" / strip_name(*pair), picture(10 + number))
    renamed = Annotations(tuple(names), known.keypoints, "a.csv")
    images = find_folders(tmp_path / "real", tmp_path / "real", tmp_path / "generated", renamed)
    assert list(images.pairs.itertuples(index=False, name=None)) == pairs
    np.testing.assert_array_equal(images.target_keypoints, known.keypoints[[1, 2]])
    for row, seeds in enumerate(((0, 1, 10), (3, 2, 11))):
        for image, seed in zip(images.read(row), seeds, strict=True):
            np.testing.assert_array_equal(image, picture(seed))
    write_pairs(tmp_path / "pairs.csv", pd.DataFrame(pairs[1:], columns=["from", "to"]))
    real = tmp_path / "real"
    images = find_folders(real, real, tmp_path / "generated", pair_list=tmp_path / "pairs.csv")
    assert list(images.pairs.itertuples(index=False, name=None)) == pairs[1:]
