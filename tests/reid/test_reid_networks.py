"""The networks: their sizes as published, what they expect of images, their files, and weights of others."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from PIL import Image

from pose_gan.errors import InputError
from pose_gan.estimators.foreign import check_keras
from pose_gan.reid.networks import DEVIATION, MEAN, build_network, build_trunk, freeze_batch_norm
from pose_gan.reid.settings import PRESETS, ReidConfig
from pose_gan.reid.weights import put_given_weights
from pose_gan.training.seeding import seeded

SIZE = (64, 32)


def photographs(count: int, size: tuple[int, int], seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 8, 4, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(image).resize((size[1], size[0]))) for image in coarse])


@pytest.fixture(scope="module")
def osnet() -> keras.Model:
    with seeded(0):
        return build_trunk("osnet_x0_25", SIZE)


@pytest.fixture(scope="module")
def small() -> keras.Model:
    with seeded(0):
        return build_trunk("small", SIZE)


def trained_weights(model: keras.Model) -> int:
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def test_osnet_has_the_weights_of_the_paper(osnet):
    """Counted by hand from the paper's Table 1 and Figure 4, with a quarter of the channels."""
    normalised = 2  # gain and bias per channel

    def block(inputs: int, outputs: int) -> int:
        middle, squeezed = outputs // 4, max(1, outputs // 64)
        lite = middle * middle + 9 * middle + normalised * middle
        gate = middle * squeezed + squeezed + squeezed * middle + middle
        ends = inputs * middle + normalised * middle + middle * outputs + normalised * outputs
        skip = (inputs * outputs + normalised * outputs) if inputs != outputs else 0
        return ends + (1 + 2 + 3 + 4) * lite + gate + skip

    def pointwise(inputs: int, outputs: int) -> int:
        return inputs * outputs + normalised * outputs

    total = 7 * 7 * 3 * 16 + normalised * 16
    total += block(16, 64) + block(64, 64) + pointwise(64, 64)
    total += block(64, 96) + block(96, 96) + pointwise(96, 96)
    total += block(96, 128) + block(128, 128) + pointwise(128, 128)
    total += 128 * 512 + 512 + normalised * 512
    assert trained_weights(osnet) == total
    assert round(total / 1e6, 1) == 0.2
    assert osnet.output_shape == (None, 512)


@pytest.mark.slow
def test_resnet50_is_that_of_keras(tmp_path):
    """Its size, its input, and a file of its weights."""
    trunk = build_trunk("resnet50", (224, 224))
    assert trunk.count_params() - 12 == 23_587_712  # as Keras' page says, without the top
    assert trunk.output_shape == (None, 2048)
    image = photographs(1, (224, 224)).astype(np.float32)
    bare = keras.applications.ResNet50(include_top=False, weights=None, pooling="avg")
    bare.set_weights([w for layer in trunk.layers if layer.name != "preprocess" for w in layer.get_weights()])
    expected = bare(keras.applications.resnet50.preprocess_input(image.copy()))
    np.testing.assert_allclose(trunk(image), expected, rtol=1e-4, atol=1e-5)
    bare.save_weights(tmp_path / "notop.weights.h5")
    given = build_trunk("resnet50", (224, 224))
    put_given_weights(given, ReidConfig.of("resnet50", backbone_weights=str(tmp_path / "notop.weights.h5")))
    np.testing.assert_allclose(given(image), expected, rtol=1e-4, atol=1e-5)


def test_colours_are_those_of_imagenet(small):
    seen = keras.Model(small.inputs, small.get_layer("preprocess").output)
    image = photographs(2, SIZE).astype(np.float32)
    np.testing.assert_allclose(seen(image), (image - np.array(MEAN)) / np.array(DEVIATION), atol=1e-5)


def test_the_network_takes_any_size_and_gives_length_1(small):
    network = build_network(small)
    image = photographs(2, SIZE)
    features = network.predict(image, verbose=0)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    bare = np.asarray(small(image.astype(np.float32)))
    np.testing.assert_allclose(features, bare / np.linalg.norm(bare, axis=1, keepdims=True), atol=1e-5)
    large = photographs(2, (150, 90))
    pillow = np.stack([np.asarray(Image.fromarray(i).resize((32, 64), Image.Resampling.BILINEAR)) for i in large])
    seen = keras.Model(network.inputs, network.get_layer("resize").output)
    assert np.abs(np.asarray(seen(large)) - pillow).max() < 1  # Pillow rounds to whole numbers
    np.testing.assert_allclose(network.predict(large, verbose=0), network.predict(pillow, verbose=0), atol=0.02)


def test_its_file_needs_no_code_of_ours(small, tmp_path):
    network, image = build_network(small), photographs(2, SIZE)
    network.save(tmp_path / "network.keras")
    check_keras(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", custom_objects={}, safe_mode=True)
    np.testing.assert_array_equal(loaded.predict(image, verbose=0), network.predict(image, verbose=0))


def test_a_run_begins_with_the_network_of_another(small, osnet, tmp_path):
    path = tmp_path / "network.keras"
    build_network(small).save(path)
    other, image = build_trunk("small", (96, 48)), photographs(2, SIZE).astype(np.float32)
    put_given_weights(other, ReidConfig(backbone_weights=str(path), image_size=(96, 48)))
    for ours, theirs in zip(other.get_weights(), small.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(InputError, match="not the network of a run with --backbone osnet_x0_25"):
        put_given_weights(osnet, ReidConfig("osnet_x0_25", str(path)))
    assert np.isfinite(osnet(image)).all()


def test_torchreids_weights_give_torchreids_features(shared_data):
    """The real network, by ONNX Runtime, against ours."""
    path = shared_data / "reid" / "osnet_x0_25_msmt17.onnx"
    if not path.is_file():
        pytest.skip(f"no such file: {path}")
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    trunk = build_trunk("osnet_x0_25", (256, 128))
    put_given_weights(trunk, ReidConfig.of("osnet_x0_25", backbone_weights=str(path)))
    images = photographs(2, (256, 128))
    values = np.moveaxis((images - np.array(MEAN)) / np.array(DEVIATION), -1, 1).astype(np.float32)
    theirs = runtime.InferenceSession(path).run(None, {"images": values})[0]
    np.testing.assert_allclose(trunk(images.astype(np.float32)), theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())


def test_frozen_normalisations_stay(small):
    trunk = keras.models.clone_model(small)
    trunk.set_weights(small.get_weights())
    before = len(trunk.trainable_variables)
    freeze_batch_norm(trunk)
    assert len(trunk.trainable_variables) == before - 2 * sum("norm" in layer.name for layer in trunk.layers)
    image = photographs(4, SIZE).astype(np.float32)
    np.testing.assert_allclose(trunk(image, training=True), small(image, training=False), atol=1e-6)


@pytest.mark.parametrize(
    ("backbone", "weights", "message"),
    [
        ("small", "none.h5", "no such file; give random, imagenet"),
        ("small", "a.h5", "not a file of weights of small"),
        ("small", "a.onnx", "not a file of weights of small"),
        ("osnet_x0_25", "a.onnx", "damaged, or not OSNet x0.25 of torchreid"),
        ("small", "a.keras", r"a\.keras"),
    ],
)
def test_other_weights_are_refused(small, osnet, tmp_path, monkeypatch, backbone, weights, message):
    monkeypatch.chdir(tmp_path)
    for name in ("a.h5", "a.onnx", "a.keras"):
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(InputError, match=message):
        put_given_weights({"small": small, "osnet_x0_25": osnet}[backbone], ReidConfig(backbone, weights))


def test_settings_are_those_published():
    for (backbone, method), values in PRESETS.items():
        config = ReidConfig.of(backbone, method)
        assert {name: getattr(config, name) for name in values} == values
        assert config.batch_norm == "frozen"
        assert ReidConfig.from_dict(config.to_dict()) == config
    assert ReidConfig.of("resnet50", iterations=7).iterations == 7
    assert ReidConfig.of().batch_norm == "trained"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"backbone": "vgg"}, "backbone 'vgg' is not known; allowed: small"),
        ({"backbone_weights": "imagenet"}, "there are none of small"),
        ({"image_size": (16, 64)}, "32 pixels or more"),
        ({"method": "embedding", "batch_size": 5}, "even with method embedding"),
        ({"iterations": 0}, "iterations must be above 0"),
        ({"random_erasing": 1.5}, "random_erasing must be from 0 to 1"),
        ({"dropout": 1.0}, "dropout must be 0 or more and below 1"),
        ({"weight_decay": -1.0}, "weight_decay must be 0 or more"),
    ],
)
def test_settings_that_are_none(values, message):
    with pytest.raises(InputError, match=message):
        ReidConfig(**values)
