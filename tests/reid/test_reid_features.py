"""Features: networks of all kinds against their definition, the file of features, its reuse, and hostile input."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from pose_gan.errors import InputError
from pose_gan.metrics import appearance
from pose_gan.reid import features as module
from pose_gan.reid.features import (
    Features,
    extract,
    extract_cached,
    images_digest,
    network_digest,
    open_network,
    read_features,
    save_features,
)
from pose_gan.reid.images import read_images


@pytest.fixture
def folder(tmp_path):
    """Seven images of two sizes, of three people."""
    random = np.random.default_rng(0)
    path = tmp_path / "images"
    path.mkdir()
    for number in range(7):
        size = (24, 12) if number % 2 else (32, 16)
        image = Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8))
        image.save(path / f"{number % 3 + 1:04d}_c{number % 2 + 1}s1_{number}.png")
    return path


def pixels(path):
    return np.asarray(Image.open(path), np.float32)


@pytest.fixture(scope="module")
def means(tmp_path_factory):
    """Keras networks that give the mean colour: of images of any size, and of 24×12."""
    import keras

    path = tmp_path_factory.mktemp("networks")
    for name, size in (("any", (None, None)), ("fixed", (24, 12))):
        inputs = keras.Input((*size, 3))
        keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs)).save(path / f"{name}.keras")
    inputs = keras.Input((None, None, 3))
    keras.Model(inputs, keras.layers.Conv2D(2, 1)(inputs)).save(path / "maps.keras")
    keras.Model(inputs, keras.layers.Lambda(lambda x: x)(inputs)).save(path / "lambda.keras")
    return path


def test_a_keras_network_gets_images_in_their_own_size(folder, means, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 3)
    images, counts = read_images(folder), []
    found = extract(images, means / "any.keras", counts.append)
    np.testing.assert_allclose(found.values, [pixels(path).mean(axis=(0, 1)) for path in images.paths()], rtol=1e-5)
    assert found.names == images.names
    assert counts == [3, 3, 1]
    np.testing.assert_array_equal(found.people, images.people)
    np.testing.assert_array_equal(found.cameras, images.cameras)


def test_a_keras_network_of_a_fixed_size_gets_resized_images(folder, means):
    images = read_images(folder)
    resized = [Image.open(path).resize((12, 24), Image.Resampling.BILINEAR) for path in images.paths()]
    expected = [np.asarray(image, np.float32).mean(axis=(0, 1)) for image in resized]
    np.testing.assert_allclose(extract(images, means / "fixed.keras").values, expected, rtol=1e-5)


def test_a_run_folder_has_its_network(folder, means, tmp_path):
    (tmp_path / "run").mkdir()
    os.link(means / "any.keras", tmp_path / "run/network.keras")
    found, other = (extract(read_images(folder), network) for network in (tmp_path / "run", means / "any.keras"))
    np.testing.assert_array_equal(found.values, other.values)
    assert found.network == other.network == network_digest(means / "any.keras")


@pytest.mark.parametrize("batch", ["n", 1, 5])
def test_an_onnx_network_gets_normalised_images(folder, tmp_path, batch):
    """Also one that was exported for a fixed number of images."""
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    info = onnx.helper.make_tensor_value_info
    ends = info("x", onnx.TensorProto.FLOAT, [batch, 3, 24, 12]), info("y", onnx.TensorProto.FLOAT, [batch, 3, 1, 1])
    node = onnx.helper.make_node("GlobalAveragePool", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "means", [ends[0]], [ends[1]])
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9), tmp_path / "means.onnx")
    images = read_images(folder)
    resized = [Image.open(path).resize((12, 24), Image.Resampling.BILINEAR) for path in images.paths()]
    colours = np.array([np.asarray(image, np.float64).mean(axis=(0, 1)) for image in resized]) / 255
    expected = (colours - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(extract(images, tmp_path / "means.onnx").values, expected, rtol=1e-4, atol=1e-5)


def test_the_descriptor_of_colours_needs_no_file(folder):
    images = read_images(folder)
    expected = [appearance.describe(np.asarray(Image.open(path))[None])[0] for path in images.paths()]
    np.testing.assert_allclose(extract(images, "colours").values, expected)


def test_networks_that_are_none(folder, means, tmp_path):
    images = read_images(folder)
    (tmp_path / "other.txt").write_text("x")
    (tmp_path / "broken.keras").write_text("x")
    for network, message in (
        (tmp_path / "absent.onnx", "absent.onnx: no such network; give the folder of a run"),
        (tmp_path, "no such network"),
        (tmp_path / "other.txt", "other.txt: not a network"),
        (tmp_path / "broken.keras", "broken.keras: damaged"),
        (means / "maps.keras", r"maps\.keras: has the inputs .* and the outputs \[\(None, None, None, 2\)\], expected"),
        (means / "lambda.keras", "holds a part 'Lambda'"),
    ):
        with pytest.raises(InputError, match=message):
            extract(images, network)


def test_an_image_that_cannot_be_read_is_named(folder):
    (folder / "0009_c1.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"0009_c1\.png: not an image"):
        extract(read_images(folder), "colours")


# ------------------------------------------------------------------------------------------ the file


def some(count: int = 4, **more) -> Features:
    random = np.random.default_rng(count)
    names = tuple(f"ä{number}.jpg" for number in range(count))
    values = random.normal(size=(count, 3)).astype(np.float32)
    return Features(values, np.arange(count) - 1, np.ones(count, np.int64), names, **more)


def same(a: Features, b: Features) -> bool:
    fields = ("values", "people", "cameras")
    others = (a.names, a.network, a.images) == (b.names, b.network, b.images)
    return others and all(np.array_equal(getattr(a, field), getattr(b, field)) for field in fields)


def test_features_survive_their_file(tmp_path):
    one, other = some(network="n", images="i"), some(2)
    one.save(tmp_path / "one.npz")
    assert same(Features.load(tmp_path / "one.npz"), one)
    save_features(tmp_path / "two.npz", {"query": one, "my_gallery": other})
    found = read_features(tmp_path / "two.npz")
    assert list(found) == ["query", "my_gallery"]
    assert same(found["query"], one)
    assert same(found["my_gallery"], other)
    assert one.select(np.array([2, 0])).names == (one.names[2], one.names[0])
    with pytest.raises(InputError, match="holds the features of query, my_gallery, not of one"):
        Features.load(tmp_path / "two.npz")


def test_features_of_other_programs_need_no_names(tmp_path):
    arrays = {"query_values": np.eye(2), "query_people": np.array([1, 2], np.int32), "query_cameras": np.array([1, 1])}
    np.savez(tmp_path / "f.npz", **arrays)
    found = read_features(tmp_path / "f.npz")["query"]
    assert found.values.dtype == np.float32
    assert found.names == ("", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"people": None}, r"has no array 'people'; expected values, people and cameras"),
        ({"people": np.ones(3, int)}, r"2 features need as many people, cameras and names, got \(3,\)"),
        ({"people": np.ones(2)}, "expected values .* of integers"),
        ({"values": np.ones(2)}, r"expected values \(n, d\)"),
        ({"values": np.full((2, 2), np.nan)}, "values: 4 values are not finite"),
        ({"values": np.full((2, 2), 1e300)}, "values: 4 values are not finite"),
        ({"people": np.array(3)}, r"2 features need as many people, cameras and names, got \(\)"),
        ({"names": np.array([1, 2])}, r"expected values \(n, d\)"),
    ],
)
def test_files_of_features_that_are_none(tmp_path, change, message):
    arrays = {"values": np.eye(2), "people": np.ones(2, int), "cameras": np.ones(2, int), **change}
    np.savez(tmp_path / "f.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(InputError, match=message):
        read_features(tmp_path / "f.npz")


def test_other_files_that_are_no_features(tmp_path):
    np.savez(tmp_path / "f.npz", a=np.ones(2))
    with pytest.raises(InputError, match=r"holds no features; .* got a"):
        read_features(tmp_path / "f.npz")
    with pytest.raises(InputError, match=r"none\.npz: no such file of features"):
        read_features(tmp_path / "none.npz")
    np.savez(tmp_path / "p.npz", values=np.array([object()]))
    with pytest.raises(InputError, match=r"p\.npz: damaged"):
        read_features(tmp_path / "p.npz")


# ------------------------------------------------------------------------------------------ reuse


def test_features_are_computed_again_only_if_something_changed(folder, tmp_path, monkeypatch):
    file, opened = tmp_path / "out/features.npz", []
    monkeypatch.setattr(module, "open_network", lambda network: opened.append(network) or open_network(network))
    images = read_images(folder)
    query, gallery = images.select(images.cameras == 1), images.select(images.cameras == 2)

    def run(**sets):
        opened.clear()
        counts: list[int] = []
        found = extract_cached(file, sets, "colours", counts.append)
        assert sum(counts) == sum(map(len, sets.values()))
        return found, len(opened)

    first, computed = run(query=query, gallery=gallery)
    assert computed == 2
    again, computed = run(query=query, gallery=gallery)
    assert computed == 0
    assert all(same(first[name], again[name]) for name in first)
    assert run(train=images)[1] == 1
    assert list(read_features(file)) == ["query", "gallery", "train"]
    assert run(query=query, train=images)[1] == 0
    assert run(query=gallery)[1] == 1  # other images under the same name
    path = gallery.paths()[0]
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    changed, computed = run(query=gallery)
    assert computed == 1
    assert not np.allclose(changed["query"].values[0], first["gallery"].values[0])


def test_another_network_gives_other_features(folder, means, tmp_path):
    images = read_images(folder)
    sets = [extract_cached(tmp_path / "f.npz", {"a": images}, network) for network in (means / "any.keras", "colours")]
    assert sets[0]["a"].values.shape != sets[1]["a"].values.shape
    assert [one.network for one in read_features(tmp_path / "f.npz").values()] == ["colours"]


def test_features_of_another_program_are_not_overwritten(folder, tmp_path):
    some().save(tmp_path / "mine.npz")
    before = (tmp_path / "mine.npz").read_bytes()
    with pytest.raises(InputError, match=r"mine\.npz: holds features of another program .* give another file"):
        extract_cached(tmp_path / "mine.npz", {"query": read_images(folder)}, "colours")
    assert (tmp_path / "mine.npz").read_bytes() == before


def test_the_digest_of_images_knows_names_people_and_content(folder):
    images = read_images(folder)
    digests = {images_digest(images), images_digest(read_images(folder, r"(?P<person>\d+)"))}
    digests.add(images_digest(images.select(np.arange(6))))
    images.paths()[0].rename(folder / "0001_c1s1_9.png")
    digests.add(images_digest(read_images(folder)))
    assert len(digests) == 4
