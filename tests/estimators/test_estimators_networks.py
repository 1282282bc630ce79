"""Files of pose networks: each kind gives the maps of the network that was written."""

from __future__ import annotations

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from pose_gan.errors import InputError
from pose_gan.estimators import EstimatorConfig, load_estimator
from pose_gan.estimators.cmu import layer_names, stage_layers
from pose_gan.estimators.networks import open_network

NAMES = ("Openpose/concat_stage7", "image")


def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3)).astype(np.float32)


def weights(channels: int = 57) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 0.05, (3, 3, 3, channels)).astype(np.float32)


def convolved(pixels: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return tf.nn.conv2d(pixels, kernel, 8, "SAME").numpy()


def write_frozen_graph(path: Path, image: str = NAMES[1], output: str = NAMES[0]) -> None:
    with tf.Graph().as_default() as graph:
        pixels = tf.compat.v1.placeholder(tf.float32, (None, None, None, 3), image)
        tf.nn.conv2d(pixels, weights(), 8, "SAME", name=output)
    path.write_bytes(graph.as_graph_def().SerializeToString())


def write_keras(path: Path, scaled: bool = False) -> None:
    pixels = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(pixels) if scaled else pixels
    parts = [keras.layers.Conv2D(n, 3, 8, "same", use_bias=False)(x) for n in (38, 19)]
    model = keras.Model(pixels, parts)
    kernel = weights()
    model.set_weights([kernel[..., 19:], kernel[..., :19]])  # affinities first, as in the CMU network
    model.save(path)


def test_frozen_graph(tmp_path):
    write_frozen_graph(tmp_path / "g.pb")
    np.testing.assert_allclose(open_network(tmp_path / "g.pb")(images()), convolved(images(), weights()), atol=1e-4)
    write_frozen_graph(tmp_path / "other.pb", "picture", "maps/out")
    with pytest.raises(InputError, match=r"other\.pb: no tensor has a common name; give it with --estimator_output"):
        open_network(tmp_path / "other.pb")
    config = EstimatorConfig(estimator_input="picture:0", estimator_output="maps/out")
    np.testing.assert_allclose(open_network(tmp_path / "other.pb", config)(images()), convolved(images(), weights()))
    with pytest.raises(InputError, match=r"--estimator_input: .*other\.pb has no tensor 'nothing'"):
        open_network(tmp_path / "other.pb", EstimatorConfig(estimator_input="nothing", estimator_output="maps/out"))


def test_saved_model(tmp_path):
    write_keras(tmp_path / "m.keras")
    model = keras.saving.load_model(tmp_path / "m.keras")
    model.export(tmp_path / "saved", verbose=False)  # pyright: ignore
    np.testing.assert_allclose(
        open_network(tmp_path / "saved")(images()), convolved(images(), weights()), rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_keras_model_takes_what_the_release_gives(tmp_path, suffix):
    path = tmp_path / f"m{suffix}"
    write_keras(path)
    prepared = images()[..., ::-1] / 255 - 0.5
    np.testing.assert_allclose(open_network(path)(images()), convolved(prepared, weights()), atol=1e-4)
    for order, pixels in (("rgb", images()), ("bgr", images()[..., ::-1])):
        for name, values in (("bytes", pixels), ("unit", pixels / 255), ("signed", pixels / 127.5 - 1)):
            got = open_network(path, EstimatorConfig(colour_order=order, input_range=name))(images())
            np.testing.assert_allclose(got, convolved(values, weights()), rtol=1e-4, atol=1e-3)
    write_keras(path, scaled=True)
    np.testing.assert_allclose(open_network(path)(images()), convolved(images()[..., ::-1] / 255, weights()), atol=1e-4)


def cmu_weights(width: int = 2) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """A narrow CMU network: layer → kernel and bias."""
    rng = np.random.default_rng(2)
    sizes = dict.fromkeys(layer_names(), 3)
    inputs, outputs, last = {}, {}, 3
    for name in layer_names()[:12]:
        inputs[name], outputs[name], last = last, width, width
    for stage in range(1, 7):
        for branch, count in (("L1", 38), ("L2", 19)):
            channels = width + (57 if stage > 1 else 0)
            for name in stage_layers(stage, branch):
                sizes[name] = 1 if name[:6] in ("conv5_", "Mconv6", "Mconv7") else 7
                inputs[name], outputs[name], channels = channels, width, width
            outputs[name] = count
    return {
        name: (
            rng.normal(0, 0.2, (sizes[name], sizes[name], inputs[name], outputs[name])).astype(np.float32),
            rng.normal(0, 0.2, outputs[name]).astype(np.float32),
        )
        for name in layer_names()
    }


def write_cmu(path: Path, arrays: dict[str, tuple[np.ndarray, np.ndarray]], keras_1: bool) -> None:
    """The layout of Keras 1 (`layer/layer_W`) or of a whole model of Keras 2 (`model_weights/layer/layer/kernel:0`)."""
    with h5py.File(path, "w") as file:
        root = file if keras_1 else file.create_group("model_weights")
        for name in ("input_1", "relu1_1", *arrays):
            group = root.create_group(name)
            if name in arrays:
                inner = (f"{name}_W", f"{name}_b") if keras_1 else (f"{name}/kernel:0", f"{name}/bias:0")
                for key, value in zip(inner, arrays[name], strict=True):
                    group[key] = value


def cmu_forward(pixels: np.ndarray, arrays: dict[str, tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The network, layer by layer: heat maps, then affinities."""

    def run(x, names, last_relu=True):
        for name in names:
            x = tf.nn.conv2d(x, arrays[name][0], 1, "SAME") + arrays[name][1]
            x = tf.nn.relu(x) if last_relu or name != names[-1] else x
        return x

    x = pixels
    for block in (["conv1_1", "conv1_2"], ["conv2_1", "conv2_2"], ["conv3_1", "conv3_2", "conv3_3", "conv3_4"]):
        x = tf.nn.max_pool2d(run(x, block), 2, 2, "VALID")
    features = run(x, ["conv4_1", "conv4_2", "conv4_3_CPM", "conv4_4_CPM"])
    affinities, heatmaps = (run(features, stage_layers(1, branch), False) for branch in ("L1", "L2"))
    for stage in range(2, 7):
        x = tf.concat([affinities, heatmaps, features], -1)
        affinities, heatmaps = (run(x, stage_layers(stage, branch), False) for branch in ("L1", "L2"))
    return tf.concat([heatmaps, affinities], -1).numpy()


@pytest.mark.parametrize("keras_1", [True, False])
def test_cmu_network_of_old_keras(tmp_path, keras_1):
    path, arrays = tmp_path / "pose_estimator.h5", cmu_weights()
    write_cmu(path, arrays, keras_1)
    expected = cmu_forward(images()[..., ::-1] / 255 - 0.5, arrays)
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(open_network(path)(images()), expected, rtol=1e-4, atol=1e-5)
    assert load_estimator(path).name == "CMU network pose_estimator.h5"


def test_cmu_network_that_is_not_whole(tmp_path):
    arrays = cmu_weights()
    lost = {name: value for name, value in arrays.items() if name != "Mconv3_stage4_L1"}
    write_cmu(tmp_path / "lost.h5", lost, True)
    with pytest.raises(InputError, match=r"lost\.h5: layer Mconv3_stage4_L1: expected a kernel and a bias, got 0"):
        open_network(tmp_path / "lost.h5")
    kernel, bias = arrays["conv2_1"]
    write_cmu(tmp_path / "other.h5", {**arrays, "conv2_1": (kernel[:, :, :1], bias)}, True)
    with pytest.raises(InputError, match=r"other\.h5: layer conv2_1 has weights .* the network needs"):
        open_network(tmp_path / "other.h5")


def test_cmu_network_with_arrays_where_groups_should_be(tmp_path):
    arrays = cmu_weights()
    for name in ("conv1_1", "model_weights"):
        write_cmu(tmp_path / "g.h5", arrays, keras_1=name == "conv1_1")
        with h5py.File(tmp_path / "g.h5", "a") as file:
            del file[name]
            file[name] = np.zeros(3)
        with pytest.raises(InputError, match=r"g\.h5: "):
            open_network(tmp_path / "g.h5")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.pb", "no such file"),
        ("bad.pb", "not a frozen TensorFlow graph"),
        ("bad.h5", "damaged, or not an HDF5 file"),
        ("bad.keras", "damaged, or not a network that only computes"),
        ("bad.txt", "not a pose estimator; give a frozen graph"),
    ],
)
def test_other_files_are_refused(tmp_path, name, message):
    if name.startswith("bad"):
        (tmp_path / name).write_bytes(b"no network")
    with pytest.raises(InputError, match=f"{name}: {message}"):
        open_network(tmp_path / name)


def test_other_maps_are_refused(tmp_path):
    pixels = keras.Input((None, None, 3))
    keras.Model(pixels, keras.layers.Conv2D(19, 3)(pixels)).save(tmp_path / "few.keras")
    with pytest.raises(InputError, match=r"few\.keras: gives 19 maps; OpenPose's networks give 19 heat maps and 38"):
        load_estimator(tmp_path / "few.keras")
    write_frozen_graph(tmp_path / "g.pb")
    for scales in ("", "1,a", "0", "-1", "99"):
        with pytest.raises(InputError, match=r"--scales: got .*; give numbers above 0"):
            load_estimator(tmp_path / "g.pb", EstimatorConfig(scales=scales))
