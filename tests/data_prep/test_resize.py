"""The verb `resize`: images and keypoints go together, whole data sets appear at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep import resize
from pose_gan.errors import InputError
from pose_gan.files.folders import list_images
from pose_gan.files.images import image_size, read_header, read_image, save_image
from pose_gan.poses.framing import Frame
from pose_gan.poses.keypoints import found, read_annotations, write_annotations
from pose_gan.poses.skeleton import COCO18

SIZE = (128, 64)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mark(image, pose):
    """Paints the pixels around each joint white."""
    for y, x in pose[found(pose)]:
        image[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4] = 255
    return image


def make(names, split="test", sizes=((300, 200), (150, 260)), annotate=True, dataset="mine"):
    """Dark images with white joints, in turns of several sizes, and their annotations. Returns: the poses."""
    random = np.random.default_rng(len(names))
    folder = Path("data") / f"{dataset}-dataset" / split
    folder.mkdir(parents=True)
    poses = []
    for number, name in enumerate(names):
        size = sizes[number % len(sizes)]
        pose = random.integers(np.array(size) // 4, 3 * np.array(size) // 4, (COCO18.num_joints, 2))
        pose[5:] = -1
        save_image(folder / name, mark(np.zeros((*size, 3), np.uint8), pose))
        poses.append(pose)
    if annotate:
        write_annotations(f"annotations/{dataset}-annotation-{split}.csv", names, poses)
    return np.array(poses)


def run(*flags, dataset="mine", output="new"):
    return resize.main(["--dataset", dataset, "--output_dataset", output, "--image_size", "128x64", *flags])


@pytest.mark.parametrize("fit", resize.FITS)
def test_joints_stay_on_what_they_mark(here, fit, capsys):
    names = ["2_a.jpg", "1_a.png", "1_b.jpg"]
    poses = make(names)
    assert run("--fit", fit) == 0
    table = read_annotations("annotations/new-annotation-test.csv")
    assert table.names == tuple(names)  # in the order of the file
    assert list_images("data/new-dataset/test") == sorted(names)
    for name, pose in zip(table.names, table.keypoints, strict=True):
        image = read_image(here / "data/new-dataset/test" / name)
        assert image.shape == (*SIZE, 3)
        joints = pose[found(pose)]
        assert len(joints) >= 2
        assert (image[joints[:, 0], joints[:, 1]] > 100).all()
        assert np.median(image) < 50
    if fit != "cover":
        np.testing.assert_array_equal(found(table.keypoints), found(poses))
    out = capsys.readouterr().out
    assert "test: 3 images, 3 annotated -> data/new-dataset/test, annotations/new-annotation-test.csv" in out
    assert ("joints lie outside of the new images, and are -1 there" in out) == (fit == "cover")


def test_fashion128_is_the_release_s(here, shared_data):
    (here / "data").mkdir()
    (here / "data/fasion-dataset").symlink_to(shared_data / "deepfashion-sample")
    old = read_annotations(shared_data / "deepfashion-sample/fasion-annotation-test.csv")
    write_annotations("annotations/fasion-annotation-test.csv", old.names, old.keypoints)
    run("--crop", "40,40,0,0", dataset="fashion", output="fashion128")  # the other spelling is found
    new = read_annotations("annotations/fashion128-annotation-test.csv")
    assert new.names == old.names
    release = ((old.keypoints - (0, 40)) * np.array([128 / 256, 64 / 176])).astype(int)
    both = found(new.keypoints)
    assert both.sum() > 900
    assert set(np.unique((new.keypoints - release)[both])) <= {0, 1}
    name = old.names[0]
    expected = Frame.crop((256, 256), (40, 40, 0, 0), SIZE).image(read_image(here / "data/fasion-dataset/test" / name))
    written = read_image(here / "data/fashion128-dataset/test" / name)
    assert abs(written.astype(int) - expected).mean() < 2  # JPEG


def test_images_of_nobody_are_left_out(here, capsys):
    names = ["1_a.png", "1_b.png", "2_a.png"]
    poses = make(names)
    poses[1] = -1
    write_annotations("annotations/mine-annotation-test.csv", names[:2], poses[:2])
    run("--fit", "person", "--margin", "0.2")
    assert list_images("data/new-dataset/test") == ["1_a.png"]
    assert "data/mine-dataset/test: 2 of 3 images left out, nobody was found in them" in capsys.readouterr().out
    pose = read_annotations("annotations/new-annotation-test.csv").keypoints[0]
    np.testing.assert_array_equal(pose, Frame.around(poses[0], (300, 200), SIZE, 0.2).keypoints(poses[0]))
    write_annotations("annotations/mine-annotation-test.csv", names[1:2], poses[1:2])
    with pytest.raises(InputError, match=r"mine-annotation-test\.csv: nobody was found in any of the 3 images"):
        run("--fit", "person", "--overwrite")
    assert list_images("data/new-dataset/test") == ["1_a.png"]


def test_without_annotations_only_images(here, capsys):
    make(["1_a.png", "1_b.png"], annotate=False)
    make(["3_a.png"], split="train")
    run("--fit", "letterbox")
    out = capsys.readouterr().out
    assert "annotations/mine-annotation-test.csv: no such file, so only the images are made" in out
    assert "test: 2 images, 0 annotated -> data/new-dataset/test\n" in out
    assert "train: 1 images, 1 annotated -> data/new-dataset/train, annotations/new-annotation-train.csv" in out
    assert not (here / "annotations/new-annotation-test.csv").exists()
    with pytest.raises(
        InputError, match=r"mine-annotation-test\.csv: no such file, and --fit person needs it; make it"
    ):
        run("--fit", "person", output="other")
    assert not (here / "data/other-dataset").exists()


def test_replaced_images_take_old_annotations_with_them(here):
    make(["1_a.png"], annotate=False)
    make(["9_a.png"], dataset="new")
    with pytest.raises(InputError, match=r"data/new-dataset/test: already there; .* pass --overwrite"):
        run()
    run("--overwrite")
    assert list_images("data/new-dataset/test") == ["1_a.png"]
    assert not (here / "annotations/new-annotation-test.csv").exists()


def test_backgrounds_go_through_the_same_frame(here):
    make(["1_a.png", "1_b.png"], sizes=[(300, 200)])
    folder = here / "data/mine-dataset/test"
    (folder / "1_a_BG.jpg").write_bytes(b"")
    Image.open(folder / "1_a.png").save(folder / "1_a_BG.jpg", quality=95)
    run("--fit", "person")
    new = here / "data/new-dataset/test"
    assert list_images(new) == ["1_a.png", "1_a_BG.jpg", "1_b.png"]
    difference = read_image(new / "1_a.png").astype(int) - read_image(new / "1_a_BG.jpg")
    assert abs(difference).mean() < 2
    assert read_annotations("annotations/new-annotation-test.csv").names == ("1_a.png", "1_b.png")


def test_a_background_of_another_size(here, capsys):
    make(["1_a.png", "1_b.png"], sizes=[(300, 200)])
    Image.new("RGB", (9, 9)).save(here / "data/mine-dataset/test/1_a_BG.jpg")
    run()
    assert "1_a_BG.jpg: must have the 300x200 pixels of its image" in capsys.readouterr().out
    assert list_images("data/new-dataset/test") == ["1_b.png"]


def test_every_format_becomes_one_that_training_reads(here):
    folder = here / "data/mine-dataset/test"
    folder.mkdir(parents=True)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8))
    picture.save(folder / "1_b.bmp")
    picture.convert("CMYK").save(folder / "1_c.jpg")
    picture.convert("LA").save(folder / "1_d.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(folder / "1_e.JPG", exif=exif)
    picture.save(folder / "1: e, f.jpeg")
    names = list_images(folder)
    pose = np.full((len(names), COCO18.num_joints, 2), -1)
    pose[:, 0] = (39, 0)
    pose[names.index("1_e.JPG"), 0] = (29, 39)  # upright it is 30x40
    write_annotations("annotations/mine-annotation-test.csv", names, pose)
    run()
    written = {"1: e, f.jpeg": "JPEG", "1_b.png": "PNG", "1_c.jpg": "JPEG", "1_d.png": "PNG", "1_e.JPG": "JPEG"}
    assert list_images("data/new-dataset/test") == sorted(written)
    for name, kind in written.items():
        header = read_header(here / "data/new-dataset/test" / name)
        assert (header.format, header.mode, header.orientation, header.size) == (kind, "RGB", 1, SIZE)
    table = read_annotations("annotations/new-annotation-test.csv")
    assert sorted(table.names) == sorted(written)
    assert tuple(table.keypoints[table.rows["1_b.png"], 0]) == (126, 1)
    assert tuple(table.keypoints[table.rows["1_e.JPG"], 0]) == (125, 63)


def test_an_unreadable_image_is_left_out_and_listed(here, capsys):
    make(["1_a.png", "1_b.png", "1_c.jpg"])
    path = here / "data/mine-dataset/test/1_b.png"
    path.write_bytes(path.read_bytes()[:200])
    run()
    out = capsys.readouterr().out
    assert "1 of 3 images could not be used and are left out:\n  data/mine-dataset/test/1_b.png: cannot be read" in out
    assert list_images("data/new-dataset/test") == ["1_a.png", "1_c.jpg"]
    assert read_annotations("annotations/new-annotation-test.csv").names == ("1_a.png", "1_c.jpg")


def test_annotations_of_another_size(here):
    names = ["1_a.png", "1_b.png"]
    poses = make(names)
    poses[:, 2] = (500, 10)
    write_annotations("annotations/mine-annotation-test.csv", names, poses)
    message = r"none of 2 images can be used: .*1_a\.png: joint Rsho at y=500, x=10 is outside of the image of 300x200"
    with pytest.raises(InputError, match=message):
        run()
    assert not (here / "data/new-dataset/test").exists()
    assert not (here / "annotations/new-annotation-test.csv").exists()


def test_rows_of_no_image_are_left_out(here, capsys):
    """Only what lies in the folder is read and written."""
    names = ["1_a.png", "1_b.png"]
    poses = make(names)
    write_annotations("annotations/mine-annotation-test.csv", ["x.png", "1_a.png"], poses)
    run()
    text = "mine-annotation-test.csv: left out 1 rows of images that are not there: x.png"
    assert text in capsys.readouterr().out
    assert list_images("data/new-dataset/test") == names  # the second one without keypoints
    assert read_annotations("annotations/new-annotation-test.csv").names == ("1_a.png",)
    write_annotations("annotations/mine-annotation-test.csv", ["x.png"], poses[:1])
    with pytest.raises(InputError, match=r"mine-annotation-test\.csv: has no row of any image in data/mine-dataset"):
        run("--overwrite")


def test_names_in_folders_are_refused_at_the_start(here):
    make(["1_a.png"])
    csv = here / "annotations/mine-annotation-test.csv"
    csv.write_text(csv.read_text().replace("1_a.png", "../../x.png"))
    with pytest.raises(
        InputError, match=r"'\.\./\.\./x\.png': an image name that is a path; the images of a split lie in"
    ):
        run()
    assert not (here / "data/new-dataset").exists()


def test_two_images_of_one_stem(here):
    make(["1_a.jpg", "1_a.png"])
    with pytest.raises(InputError, match=r"1_a\.png: only its suffix tells it from 1_a\.jpg; rename or remove one"):
        run()


def test_one_split_and_other_folders(here):
    make(["1_a.png"])
    make(["2_a.png"], split="train")
    run("--split", "train", "--images_dir", "data/mine-dataset", "--output_images_dir", "there")
    assert list_images("there/train") == ["2_a.png"]
    assert not (here / "there/test").exists()
    assert image_size("there/train/2_a.png") == SIZE


def test_nothing_is_half_made(here, monkeypatch):
    make(["1_a.png", "1_b.png"])
    run()
    before = (here / "data/new-dataset/test/1_a.png").read_bytes()

    def fail(path, image):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(resize, "save_image", fail)
    with pytest.raises(OSError, match="No space left"):
        run("--overwrite")
    assert (here / "data/new-dataset/test/1_a.png").read_bytes() == before
    assert [path.name for path in (here / "data/new-dataset").iterdir()] == ["test"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--crop", "40,40"], r"--crop: got '40,40'; give LEFT,RIGHT,TOP,BOTTOM in pixels, such as 40,40,0,0"),
        (["--crop", "1,1,1,1", "--fit", "cover"], r"--crop goes with --fit stretch, got cover"),
        (
            ["--crop", "200,0,0,0"],
            r"none of 1 images can be used: .*1_a\.png: borders of 200, 0, 0, 0 .* leave nothing",
        ),
        (["--scale", "0.1"], r"--scale goes with --fit person, got stretch"),
        (["--scale", "-1", "--fit", "person"], r"--scale must be above 0 and at most 8, got -1"),
        (["--scale", "1", "--margin", "0.1", "--fit", "person"], r"--margin and --scale exclude each other"),
        (["--margin", "0.1"], r"--margin goes with --fit person, got stretch"),
        (["--margin", "0.6", "--fit", "person"], r"--margin must be 0 to 0\.4, got 0\.6"),
        (["--split", "train"], r"data/mine-dataset: no folder train/; put images there"),
        (["--image_size", "100x63"], r"image_size 100x63: both sides must have 64 pixels or more"),
        (["--output_dataset", "mine"], r"--output_dataset mine: would replace the data set that is read"),
        (["--images_dir", "nowhere"], r"nowhere: no folder train/ or test/; put images there"),
        (["--output_images_dir", "data"], r"data/test: already there"),
    ],
)
def test_bad_flags(here, flags, message):
    make(["1_a.png"])
    (here / "data/test/x").mkdir(parents=True)
    with pytest.raises(InputError, match=message):
        run(*flags)
    assert not (here / "data/new-dataset/test").exists()


def test_an_empty_folder(here):
    (here / "data/mine-dataset/test").mkdir(parents=True)
    with pytest.raises(InputError, match=r"data/mine-dataset/test: no images; put them there"):
        run()


def test_a_broken_annotation_file(here):
    make(["1_a.png"])
    (here / "annotations/mine-annotation-test.csv").write_text("name,y,x\n")
    with pytest.raises(InputError, match=r"mine-annotation-test\.csv, row 1: the header must be"):
        run()
