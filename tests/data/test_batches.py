"""The pairs of a split: every wrong input has its message; batches equal a slow twin with Pillow."""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
import warnings

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data_prep.pairs import main as make_pair_lists
from pose_gan.config import DataConfig, ModelConfig, RunConfig
from pose_gan.data.batches import _read, iterate, ordered_batches, training_batches
from pose_gan.data.pair_data import DECODED, PairData, open_pairs, open_training
from pose_gan.data.pairs import read_pairs
from pose_gan.errors import InputError, InputWarning
from pose_gan.files.images import read_header, read_image
from pose_gan.poses.keypoints import HEADER, read_annotations


def open_tiny(tiny, **options) -> PairData:
    return open_pairs(tiny.config, "train", tiny.image_size, **options)


def twin(data: PairData, row: int) -> dict[str, np.ndarray]:
    """One sample, by Pillow."""
    source, target = data.pairs.iloc[row]
    values = {}
    for side, name in (("source", source), ("target", target)):
        values[f"{side}_image"] = read_image(data.images_dir / name).astype(np.float32) / 127.5 - 1
        values[f"{side}_keypoints"] = data.annotations.keypoints[data.annotations.names.index(name)]
    if data.use_bg:
        path = data.images_dir / target.replace(".jpg", "_BG.jpg")
        values["background"] = read_image(path).astype(np.float32) / 127.5 - 1
    return values


def flat(batches, count=None):
    """The samples of the first `count` batches, as dicts of arrays."""
    for batch in itertools.islice(batches, count):
        arrays = {key: value.numpy() for key, value in batch.items()}
        for i in range(len(arrays["source_image"])):
            yield {key: value[i] for key, value in arrays.items()}


def fingerprints(samples):
    return [(sample["source_image"].tobytes(), sample["target_image"].tobytes()) for sample in samples]


# Batches


@pytest.mark.parametrize("use_bg", [False, True])
def test_ordered_batches_equal_the_twin(tiny_data, use_bg):
    data = open_tiny(tiny_data, use_bg=use_bg)
    batches = list(iterate(ordered_batches(data, 4), data))
    assert [len(batch["source_image"]) for batch in batches] == [4, 4, 4, 4, 2]
    height, width = tiny_data.image_size
    shapes = {"source_image": (4, height, width, 3), "source_keypoints": (4, 18, 2)}
    assert {key: tuple(batches[0][key].shape) for key in shapes} == shapes
    assert all(value.dtype == tf.float32 for value in batches[0].values())
    samples = list(flat(batches))
    assert len(samples) == len(data) == 18
    for row, sample in enumerate(samples):
        expected = twin(data, row)
        assert sample.keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_allclose(sample[key], value, atol=1e-6, err_msg=f"{key} of row {row}")


def test_real_images_equal_the_twin(shared_data, tmp_path):
    folder = shared_data / "market-sample"
    make_pair_lists(["--dataset", "market", "--annotations_dir", str(folder), "--output_dir", str(tmp_path)])
    config = DataConfig("market", str(folder), str(folder), str(tmp_path))
    data = open_pairs(config, "test", (128, 64))
    assert len(data) == 152
    for row, sample in enumerate(flat(ordered_batches(data, 8), 2)):
        for key, value in twin(data, row).items():
            np.testing.assert_allclose(sample[key], value, atol=1e-6)


def test_limit_keeps_the_first_pairs(tiny_data):
    data = open_tiny(tiny_data, limit=5)
    assert data.pairs.equals(read_pairs(tiny_data.pairs()).head(5))
    assert sum(1 for _ in flat(ordered_batches(data, 2))) == 5
    with pytest.raises(InputError, match="1 or more, got 0"):
        open_tiny(tiny_data, limit=0)


def test_a_pass_holds_every_pair_once_and_passes_differ(tiny_data):
    data = open_tiny(tiny_data)
    batches = list(itertools.islice(iterate(training_batches(data, 4, seed=3), data), 9))  # two passes
    assert {len(batch["source_image"]) for batch in batches} == {4}
    seen = fingerprints(flat(batches))
    everything = fingerprints(flat(ordered_batches(data, 4)))
    assert sorted(seen[:18]) == sorted(seen[18:]) == sorted(everything)
    assert seen[:18] != seen[18:]


def test_order_is_the_documented_permutation(tiny_data):
    data = open_tiny(tiny_data)
    everything = fingerprints(flat(ordered_batches(data, 4)))
    order = np.concatenate([np.random.default_rng([7, number]).permutation(18) for number in (0, 1)])
    assert fingerprints(flat(training_batches(data, 4, seed=7), 9)) == [everything[row] for row in order]


def test_order_depends_on_the_seed_only(tiny_data):
    data = open_tiny(tiny_data)
    first, again, other = (fingerprints(flat(training_batches(data, 4, seed), 4)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("position", [4, 12, 16, 18, 20, 36, 40])
def test_resuming_continues_the_order(tiny_data, position):
    data = open_tiny(tiny_data)
    whole = fingerprints(flat(training_batches(data, 4, seed=5), 13))
    resumed = fingerprints(flat(training_batches(data, 4, seed=5, position=position), 3))
    assert resumed == whole[position : position + 12]


def test_nothing_left_to_do(tiny_data):
    data = open_tiny(tiny_data)
    rest = dataclasses.replace(data, pairs=data.pairs.iloc[18:])
    assert list(iterate(ordered_batches(rest, 4), rest)) == []


def test_batches_larger_than_the_list(tiny_data):
    data = open_tiny(tiny_data, limit=3)
    (batch,) = itertools.islice(iterate(training_batches(data, 8, seed=0), data), 1)
    assert batch["target_image"].shape[0] == 8


# Kinds of files


def kinds():
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 256, (8, 4, 3), dtype=np.uint8)).resize((32, 64))
    alpha = Image.fromarray(random.integers(0, 256, (64, 32), dtype=np.uint8))
    for mode in ("1", "L", "P", "RGB", "RGBA", "LA"):
        converted = image.convert(mode)
        if mode.endswith("A"):
            converted.putalpha(alpha)
        yield f"{mode}.png", converted, {}
    yield "transparent.png", image, {"transparency": image.getpixel((3, 3))}
    yield "transparent_grey.png", image.convert("L"), {"transparency": image.convert("L").getpixel((3, 3))}
    for colours, bits in ((3, 2), (13, 4), (200, 8)):
        few = image.quantize(colours)
        yield f"P{bits}.png", few, {"bits": bits}
        yield f"transparent_P{bits}.png", few, {"bits": bits, "transparency": bytes(range(0, 255, 255 // colours))}
    yield "16bit.png", Image.fromarray(random.integers(0, 65536, (64, 32), dtype=np.uint16)), {}
    yield "grey.jpg", image.convert("L"), {}
    for subsampling in (0, 1, 2):
        yield f"subsampling{subsampling}.jpg", image, {"subsampling": subsampling, "quality": 80}
    yield "progressive.jpg", image, {"progressive": True}


@pytest.mark.parametrize(
    ("name", "image", "options"), list(kinds()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_pipeline_decodes_what_read_image_decodes(tmp_path, name, image, options):
    image.save(tmp_path / name, **options)
    header = read_header(tmp_path / name)
    assert header.mode in DECODED[header.format]
    assert header.alpha == (name.startswith("transparent") or name in ("RGBA.png", "LA.png"))
    decoded = _read(tf.constant(str(tmp_path / name)), (64, 32), header.alpha).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(np.rint((decoded + 1) * 127.5), read_image(tmp_path / name))


def test_transparent_images_of_a_data_set_lie_on_white(tiny_data):
    """A source, a target and a background, each in batches as `read_image` reads it."""
    first, second, *_ = tiny_data.images()
    for path in (first, second, second.with_name(f"{second.stem}_BG.jpg")):
        image = Image.open(path).convert("RGB")
        image.putalpha(Image.linear_gradient("L").resize(image.size))
        image.save(path, format="PNG")
    with pytest.warns(InputWarning, match=r"train: 3 of 18 images have an alpha channel; .* they lie on white"):
        data = open_tiny(tiny_data, use_bg=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [twin(data, row) for row in range(3)]
    for sample, values in zip(flat(iterate(ordered_batches(data, 3), data), 1), expected, strict=True):
        for key, value in values.items():
            np.testing.assert_allclose(sample[key], value, atol=1e-6)
    assert expected[0]["background"][0].min() > 0.98  # the top of the picture is white


def test_16_bit_rgb_png(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (64, 32, 3), dtype=np.uint16)
    content = tf.io.encode_png(values).numpy()
    (tmp_path / "a.png").write_bytes(content)
    header = read_header(tmp_path / "a.png")
    assert header.mode in DECODED[header.format]
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), values >> 8)
    decoded = _read(tf.constant(str(tmp_path / "a.png")), (64, 32)).numpy()
    np.testing.assert_array_equal(np.rint((decoded + 1) * 127.5), values >> 8)


@pytest.mark.parametrize(
    ("mode", "format", "got"),
    [
        ("CMYK", "JPEG", "JPEG with pixels CMYK"),
        ("RGB", "BMP", "BMP with pixels RGB"),
        ("P", "GIF", "GIF with pixels P"),
    ],
)
def test_other_kinds_are_refused(tiny_data, mode, format, got):
    height, width = tiny_data.image_size
    Image.new(mode, (width, height)).save(tiny_data.images()[0], format=format)
    with pytest.raises(InputError, match=rf"0001_c1_1\.jpg: {got}; save it as 8-bit RGB or grey JPEG or PNG"):
        open_tiny(tiny_data)


def test_turned_images_are_refused(tiny_data):
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.open(tiny_data.images()[4]).save(tiny_data.images()[4], exif=exif)
    with pytest.raises(InputError, match=r"0002_c1_2\.jpg: turned by EXIF \(orientation 3\); save it upright"):
        open_tiny(tiny_data)


# Wrong inputs


def test_absent_images_folder(tiny_data):
    shutil.rmtree(tiny_data.root / "train")
    with pytest.raises(InputError, match="train: no such folder of images; put them there, or set images_dir"):
        open_tiny(tiny_data)


def test_absent_annotations(tiny_data):
    tiny_data.annotations().unlink()
    make = f"pose-gan data annotate --dataset tiny --annotations_dir {tiny_data.root} --pose_estimator FILE"
    message = rf"tiny-annotation-train\.csv: no such annotation file; make it with: {make}"
    with pytest.raises(InputError, match=message):
        open_tiny(tiny_data)


def test_absent_pairs(tiny_data, tmp_path):
    tiny_data.pairs().unlink()
    command = f"pose-gan data pairs --dataset tiny --annotations_dir {tiny_data.root}"
    with pytest.raises(InputError, match=rf"tiny-pairs-train\.csv: no such pair list; make it with: {command}$"):
        open_tiny(tiny_data)
    config = dataclasses.replace(tiny_data.config, pairs_dir=str(tmp_path / "lists"))
    with pytest.raises(InputError, match=rf"{command} --output_dir {tmp_path / 'lists'}"):
        open_pairs(config, "train", tiny_data.image_size)


def test_absent_demo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"data/demo-dataset/train: no such folder .* pose-gan data demo"):
        open_pairs(DataConfig("demo"), "train", (128, 64))
    (tmp_path / "data/demo-dataset/train").mkdir(parents=True)
    with pytest.raises(InputError, match="pose-gan data annotate --dataset demo --pose_estimator demo"):
        open_pairs(DataConfig("demo"), "train", (128, 64))
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/demo-annotation-train.csv").touch()
    with pytest.raises(InputError, match=r"no such pair list; make it with: pose-gan data pairs --dataset demo$"):
        open_pairs(DataConfig("demo"), "train", (128, 64))


def test_empty_pair_list(tiny_data):
    tiny_data.pairs().write_text("from,to\n")
    with pytest.raises(InputError, match=r"tiny-pairs-train\.csv: no pairs; make them again with: pose-gan data pairs"):
        open_tiny(tiny_data)


def test_pair_without_annotation(tiny_data):
    shutil.copy(tiny_data.images()[0], tiny_data.root / "train" / "0009_new.jpg")
    tiny_data.edit(tiny_data.pairs(), "0001_c1_1.jpg,0001_c1_3.jpg", "0001_c1_1.jpg,0009_new.jpg")
    message = r"tiny-pairs-train\.csv, row 3, column to: 0009_new\.jpg has no keypoints in .*tiny-annotation-train\.csv"
    with pytest.raises(InputError, match=message):
        open_tiny(tiny_data)


def test_pair_without_image(tiny_data):
    tiny_data.images()[1].unlink()
    message = r"tiny-pairs-train\.csv, row 2, column to: 0001_c1_2\.jpg is not in .*train; add the image"
    with pytest.raises(InputError, match=message):
        open_tiny(tiny_data)


def test_pair_without_background(tiny_data):
    background = tiny_data.root / "train" / "0001_c1_1_BG.jpg"
    background.unlink()
    assert len(open_tiny(tiny_data)) == 18
    message = r"row 4, column to: 0001_c1_1\.jpg needs its background, .*0001_c1_1_BG\.jpg; add it, or leave use_bg off"
    with pytest.raises(InputError, match=message):
        open_tiny(tiny_data, use_bg=True)


def test_background_of_the_wrong_size(tiny_data):
    Image.new("RGB", (5, 5)).save(tiny_data.root / "train" / "0003_c1_3_BG.jpg")
    with pytest.raises(InputError, match=r"0003_c1_3_BG\.jpg: 5x5 pixels"):
        open_tiny(tiny_data, use_bg=True)


def test_damaged_header(tiny_data):
    tiny_data.images()[2].write_bytes(b"not an image")
    with pytest.raises(InputError, match=r"0001_c1_3\.jpg: not an image, or its header is damaged"):
        open_tiny(tiny_data)


def test_wrong_size(tiny_data):
    Image.new("RGB", (64, 32)).save(tiny_data.images()[8])
    message = r"0003_c1_3\.jpg: 32x64 pixels \(height x width\), the networks take 96x64; resize"
    with pytest.raises(InputError, match=message):
        open_tiny(tiny_data)


@pytest.mark.parametrize(("y", "x"), [(96, 5), (5, 64)])
def test_keypoint_outside(tiny_data, y, x):
    annotations = read_annotations(tiny_data.annotations())
    pose = annotations.keypoints[3].copy()
    pose[2] = (y, x)
    lines = tiny_data.annotations().read_text().splitlines()
    lines[4] = f"0002_c1_1.jpg: {pose[:, 0].tolist()}: {pose[:, 1].tolist()}"
    tiny_data.annotations().write_text("\n".join(lines) + "\n")
    message = (
        rf"tiny-annotation-train\.csv, row 5 \(0002_c1_1\.jpg\): joint Rsho at y={y}, x={x} "
        r"is outside the image of 96x64"
    )
    with pytest.raises(InputError, match=message):
        open_tiny(tiny_data)


@pytest.mark.parametrize("make", ["cross", "pairs", "video"])
def test_training_on_pairs_of_two_persons_is_told(tiny_data, make):
    """A list of `--cross`, but not that of a video, whose names do not tell persons."""
    config, root = RunConfig(tiny_data.config, ModelConfig(image_size=tiny_data.image_size)), str(tiny_data.root)
    if make == "video":
        for path in tiny_data.images():
            path.rename(path.with_name(path.name.replace("_", "-")))
        text = tiny_data.annotations().read_text()
        tiny_data.annotations().write_text(f"{HEADER}{text.removeprefix(HEADER).replace('_', '-')}")
    flags = {"cross": ["--cross", "2", "--output_dir", root], "video": ["--person", ""], "pairs": []}[make]
    make_pair_lists(["--dataset", "tiny", "--split", "train", "--annotations_dir", root, *flags])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert len(open_training(config)) == {"cross": 18, "pairs": 18, "video": 72}[make]
    said = [str(warning.message) for warning in caught if issubclass(warning.category, InputWarning)]
    expected = [f"{tiny_data.pairs()}: 18 of 18 pairs show two persons, by their names"] if make == "cross" else []
    assert [text.partition(". Such a pair")[0] for text in said] == expected


def test_only_images_of_pairs_are_checked(tiny_data):
    tiny_data.pairs().write_text("from,to\n0001_c1_1.jpg,0001_c1_2.jpg\n")
    for path in tiny_data.images()[2:]:
        path.unlink()
    assert len(open_tiny(tiny_data)) == 1


def test_required_joints_may_be_missing(tiny_data):
    annotations = read_annotations(tiny_data.annotations())
    hip = annotations.keypoints[0, 8]
    assert (hip != -1).all()
    cells = tiny_data.annotations().read_text().splitlines()
    ys, xs = annotations.keypoints[0].T.tolist()
    ys[8] = -1
    cells[1] = f"0001_c1_1.jpg: {ys}: {xs}"
    tiny_data.annotations().write_text("\n".join(cells) + "\n")
    assert len(open_tiny(tiny_data)) == 18


# Damage that only decoding shows


@pytest.mark.parametrize("make", [ordered_batches, lambda data, size: training_batches(data, size, seed=0)])
def test_truncated_image_is_named(tiny_data, make):
    path = tiny_data.images()[5]
    path.write_bytes(path.read_bytes()[:-100])
    data = open_tiny(tiny_data)  # its header is fine
    with pytest.raises(InputError, match=r"0002_c1_3\.jpg: damaged or changed while in use; replace it \(.+\)$"):
        for _ in itertools.islice(iterate(make(data, 4), data), 10):
            pass


def test_image_that_vanishes_is_named(tiny_data):
    data = open_tiny(tiny_data, use_bg=True)
    (tiny_data.root / "train" / "0002_c1_3_BG.jpg").unlink()
    with pytest.raises(InputError, match=r"0002_c1_3_BG\.jpg: damaged or changed while in use"):
        list(iterate(ordered_batches(data, 4), data))


def test_errors_that_no_image_explains_pass_through(tiny_data):
    data = open_tiny(tiny_data)
    zeros = tf.zeros(3)
    broken = ordered_batches(data, 4).map(lambda _: tf.debugging.check_numerics(1 / zeros, "x"))
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(iterate(broken, data))


# Names


@pytest.mark.parametrize(("flag", "on_disk"), [("fashion", "fasion"), ("fasion", "fashion")])
def test_both_spellings_of_fashion(tiny_data, tmp_path, monkeypatch, flag, on_disk):
    monkeypatch.chdir(tmp_path)
    os.mkdir("data")
    shutil.copytree(tiny_data.root, f"data/{on_disk}-dataset")
    for kind in ("annotation", "pairs"):
        (tmp_path / "annotations").mkdir(exist_ok=True)
        shutil.copy(tiny_data.root / f"tiny-{kind}-train.csv", f"annotations/{on_disk}-{kind}-train.csv")
    data = open_pairs(DataConfig(flag), "train", tiny_data.image_size)
    assert str(data.images_dir) == f"data/{on_disk}-dataset/train"
    assert len(data) == 18
