"""VGG-19's weights from files of every kind: against keras.applications' own network."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from pose_gan.errors import InputError
from pose_gan.estimators import vgg19
from pose_gan.programs import vgg_weights as verb
from pose_gan.training.features import VGGFeatures

TAPS = ["block1_conv2", "block2_conv1"]


@pytest.fixture(scope="module")
def whole():
    keras.utils.set_random_seed(3)
    model = keras.applications.VGG19(include_top=False, weights=None)
    for weight in model.weights[1::2]:
        weight.assign(np.random.default_rng(weight.shape[0]).normal(0, 0.1, weight.shape))
    return model


@pytest.fixture(scope="module")
def images():
    return tf.random.uniform((2, 20, 12, 3), -1, 1, seed=4)


def expected(whole: keras.Model, images: tf.Tensor, names: list[str]) -> list[np.ndarray]:
    network = keras.Model(whole.input, [whole.get_layer(name).output for name in names])
    return [value.numpy() for value in network(keras.applications.vgg19.preprocess_input((images.numpy() + 1) * 127.5))]


def arrays(whole: keras.Model, names: list[str]) -> dict[str, np.ndarray]:
    return {
        f"{name}_{part}": value
        for name in names
        for part, value in zip(("kernel", "bias"), whole.get_layer(name).get_weights(), strict=True)
    }


def test_every_kind_of_file_gives_keras_features(whole, images, tmp_path):
    """Keras 3's weights, a whole model as Keras 2 wrote it, a network cut after the last layer, and .npz."""
    cut = keras.Model(whole.input, whole.get_layer("block2_conv1").output)
    whole.save_weights(tmp_path / "three.weights.h5")
    whole.save(tmp_path / "two.h5")
    cut.save_weights(tmp_path / "cut.weights.h5")
    cut.save(tmp_path / "cut.h5")
    names = vgg19.convolutions("block2_conv1")
    np.savez(tmp_path / "plain.npz", allow_pickle=False, feature_scale=1.0, **arrays(whole, names))
    want = expected(whole, images, TAPS)
    for name in ("three.weights.h5", "two.h5", "cut.weights.h5", "cut.h5", "plain.npz"):
        for found, value in zip(VGGFeatures(TAPS, str(tmp_path / name))(images), want, strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-3 * np.abs(value).max(), err_msg=name)


def test_pools_and_deep_layers_too(whole, images, tmp_path):
    whole.save_weights(tmp_path / "whole.weights.h5")
    names = ["block3_pool", "block1_conv1", "block4_conv2"]
    found = VGGFeatures(names, str(tmp_path / "whole.weights.h5"))(images)
    for ours, theirs in zip(found, expected(whole, images, names), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())


def test_the_scale_of_a_file_is_that_of_all_features(whole, images, tmp_path):
    names = vgg19.convolutions("block2_conv1")
    np.savez(tmp_path / "scaled.npz", allow_pickle=False, feature_scale=7.0, **arrays(whole, names))
    for found, value in zip(
        VGGFeatures(TAPS, str(tmp_path / "scaled.npz"))(images), expected(whole, images, TAPS), strict=True
    ):
        np.testing.assert_allclose(found, 7 * value, rtol=1e-4, atol=1e-3 * np.abs(value).max())


def test_normalised_features_are_recognised_and_large_ones_left_alone(images, tmp_path):
    """Filters are divided by their mean activation on pictures, layer after layer, as the public files' are."""
    weights = vgg19.random_weights("block2_conv1")  # features of some tens
    assert vgg19.measured(weights._replace(scale=None), "block2_conv1").scale == 1.0
    pixels = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32) - vgg19.BGR_MEANS
    normal, below = {}, np.ones(3)
    for name in vgg19.convolutions("block2_conv1"):
        kernel, bias = weights.arrays[name]
        found = vgg19.build([name], vgg19.Weights({**weights.arrays, name: (kernel, bias)}))(pixels.astype(np.float32))
        mean = np.maximum(np.mean(found, axis=(0, 1, 2)), 1e-3)
        normal[name] = (kernel * below[:, None] / mean, bias / mean)
        below = mean
    both = {f"{name}_{part}": array for name, pair in normal.items() for part, array in zip(("kernel", "bias"), pair)}  # noqa: B905
    kernel = 255 * np.eye(3)[::-1].reshape(1, 1, 3, 3)
    np.savez(
        tmp_path / "normal.npz",
        allow_pickle=False,
        preprocess_kernel=kernel,
        preprocess_bias=np.negative(vgg19.BGR_MEANS),
        **both,
    )
    features = VGGFeatures(["block2_conv1"], str(tmp_path / "normal.npz"))
    network = features.model(pixels.astype(np.float32))
    np.testing.assert_allclose(np.mean(network), vgg19.IMAGENET_MEAN_ACTIVATION, rtol=0.05)


def test_random_weights_do_not_depend_on_how_many_are_drawn():
    few, many = vgg19.random_weights("block1_conv2"), vgg19.random_weights("block4_conv1")
    for name in few.arrays:
        np.testing.assert_array_equal(few.arrays[name][0], many.arrays[name][0])
    kernel = many.arrays["block4_conv1"][0]
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (9 * 256)), rtol=0.01)


def test_the_verb_writes_the_first_layers_once(whole, images, tmp_path, capsys):
    whole.save_weights(tmp_path / "whole.weights.h5")
    out = tmp_path / "small.npz"
    assert verb.main([str(tmp_path / "whole.weights.h5"), str(out), "--feature_scale", "2"]) == 0
    assert "3 layers up to block2_conv1: mean of the features" in capsys.readouterr().out
    for found, value in zip(VGGFeatures(TAPS, str(out))(images), expected(whole, images, TAPS), strict=True):
        np.testing.assert_allclose(found, 2 * value, rtol=1e-4, atol=1e-3 * np.abs(value).max())
    with pytest.raises(InputError, match=r"small\.npz: is there already; --overwrite 1"):
        verb.main(["random", str(out)])
    with pytest.raises(InputError, match=r"VGG-19 has no layer 'x'"):
        verb.main(["random", str(tmp_path / "b.npz"), "--upto", "x"])
    with pytest.raises(InputError, match=r"--feature_scale 0.0: must be a positive number"):
        verb.main(["random", str(tmp_path / "b.npz"), "--feature_scale", "0"])


def without(name: str):
    return lambda values: values.pop(name)


def replaced(name: str, value):
    return lambda values: values.update({name: value})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without("block1_conv2_bias"), "holds no block1_conv2; the loss needs block1_conv1, block1_conv2"),
        (replaced("block1_conv1_kernel", np.zeros((3, 3, 3, 32))), r"block1_conv1 has a kernel \(3, 3, 3, 32\)"),
        (replaced("block1_conv2_bias", np.full(64, np.nan)), "numbers that are not finite"),
        (replaced("feature_scale", -1.0), r"feature_scale is -1\.0; it must be a positive number"),
        (replaced("preprocess_kernel", np.eye(3)), "it was made for another input"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(whole, tmp_path, spoil, message):
    values = arrays(whole, ["block1_conv1", "block1_conv2"]) | {"preprocess_bias": np.negative(vgg19.BGR_MEANS)}
    spoil(values)
    np.savez(tmp_path / "a.npz", allow_pickle=False, **values)
    with pytest.raises(InputError, match=rf"^vgg_weights: .*a\.npz: .*{message}"):
        VGGFeatures(["block1_conv2"], str(tmp_path / "a.npz"))


def test_a_file_that_unpacks_to_far_more_than_it_weighs_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "bomb.npz", block1_conv1_kernel=np.zeros(80 << 18))  # 160 MiB
    with pytest.raises(InputError, match=r"bomb\.npz: hostile: unpacks to 167,772,[0-9]+ bytes, but has"):
        VGGFeatures(["block1_conv2"], str(tmp_path / "bomb.npz"))


def test_damaged_files_are_told(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(9))
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[:40])
    (tmp_path / "pickle.npz").write_bytes(b"\x80\x04K\x01.")
    (tmp_path / "text.h5").write_text("x")
    (tmp_path / "other.pth").write_bytes(content)
    for name in ("cut.npz", "pickle.npz", "text.h5", "other.pth", "absent.npz"):
        with pytest.raises(InputError, match=f"vgg_weights: .*{name}: (not a weights file of VGG-19|no such file)"):
            VGGFeatures(["block1_conv2"], str(tmp_path / name))
