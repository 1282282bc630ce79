"""Networks of others: what only computes opens, and everything else is refused before it is opened or run."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from test_estimators_networks import write_frozen_graph, write_keras

from pose_gan.errors import InputError
from pose_gan.estimators import foreign, load_estimator
from pose_gan.estimators.heatmap import build_network, load_network
from pose_gan.estimators.networks import open_network
from pose_gan.estimators.pretrained import graph_function, read_graph
from pose_gan.files import graphs
from pose_gan.metrics.detection import graph_detector
from pose_gan.metrics.inception import open_graph
from pose_gan.training.features import VGGFeatures

HOSTILE = (
    *("WriteFile", "ReadFile", "MatchingFiles", "DatasetToTFRecord", "TextLineDataset", "TFRecordDataset", "PyFunc"),
    *("EagerPyFunc", "PrintV2", "SaveV2", "RestoreV2", "Restore", "VariableV2", "VarHandleOp", "LoadAndRemapMatrix"),
    *("InitializeTableFromTextFileV2", "WholeFileReaderV2", "ImmutableConst", "_Send", "RpcCall", "XlaCompile"),
)


@pytest.fixture
def not_opened(monkeypatch):
    """Nothing may be imported, loaded or run."""
    for owner, name in ((tf, "import_graph_def"), (tf.saved_model, "load"), (keras.saving, "load_model")):
        monkeypatch.setattr(owner, name, lambda *args, **values: pytest.fail("it was opened"))
    monkeypatch.setattr(keras.Model, "load_weights", lambda *args, **values: pytest.fail("it was opened"))


def test_no_operator_on_the_list_has_effects():
    """TensorFlow marks operators with state; those on the list only keep what one run of the graph needs."""
    from tensorflow.python.framework import op_def_registry

    stateful = {name for name in foreign.COMPUTING if (op := op_def_registry.get(name)) is not None and op.is_stateful}
    of_a_run = {name for name in stateful if name.startswith("TensorArray")}
    calls = {"Assert", "Case", "If", "While", "StatefulPartitionedCall", "RandomUniform"}
    assert stateful - of_a_run - calls <= {"Placeholder"}
    assert not [name for name in foreign.COMPUTING if op_def_registry.get(name) is None]
    words = (
        "File",
        "Print",
        "Py",
        "Dataset",
        "Iterator",
        "Reader",
        "Save",
        "Restore",
        "Table",
        "Summary",
        "Send",
        "Recv",
    )
    assert not [name for name in foreign.COMPUTING if any(word in name for word in words)]


def real_graphs(shared_data: Path) -> list[Path]:
    return [shared_data / "pose-estimator/mobilenet_v2_small_graph_opt.pb"]


def test_real_graphs_pass(shared_data):
    for path in real_graphs(shared_data):
        assert len(read_graph(path, "pose_estimator").node) > 100


@pytest.mark.parametrize("op", HOSTILE)
@pytest.mark.parametrize("place", ["graph", "function"])
def test_frozen_graphs_that_do_more_than_compute_are_refused(tmp_path, not_opened, op, place):
    """Whoever opens them: the estimators, the Inception network, the detectors."""
    path = tmp_path / "g.pb"
    write_frozen_graph(path)
    definition = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    function = definition.library.function.add()
    function.signature.name = "inner"
    (definition.node if place == "graph" else function.node_def).add(name="added", op=op)
    path.write_bytes(definition.SerializeToString())
    for read in (load_estimator, open_graph, graph_detector):
        with pytest.raises(InputError, match=rf"g\.pb: its graph holds {op}, which no network that only computes has"):
            read(path)


def test_a_real_attack_by_a_frozen_graph(tmp_path):
    """TensorFlow alone writes the file; here it is refused, and nothing is written."""
    target = tmp_path / "written"
    with tf.Graph().as_default() as graph:
        pixels = tf.compat.v1.placeholder(tf.float32, (None, None, None, 3), "image")
        with tf.control_dependencies([tf.io.write_file(str(target), "owned")]):
            tf.nn.conv2d(pixels, tf.zeros((3, 3, 3, 57)), 8, "SAME", name="Openpose/concat_stage7")
    (tmp_path / "g.pb").write_bytes(graph.as_graph_def().SerializeToString())
    with pytest.raises(InputError, match=r"pose_estimator: .*g\.pb: its graph holds WriteFile"):
        load_estimator(tmp_path / "g.pb")
    assert not target.exists()
    run: Any = graph_function(graph.as_graph_def(), ["image:0"], ["Openpose/concat_stage7:0"], "")
    run(tf.zeros((1, 16, 16, 3)))
    assert target.read_text() == "owned"


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    write_keras(folder / "m.keras")
    keras.saving.load_model(folder / "m.keras").export(folder / "saved", verbose=False)  # pyright: ignore
    return folder / "saved"


@pytest.mark.parametrize("op", ["WriteFile", "TextLineDataset", "SaveV2", "RestoreV2", "PyFunc"])
def test_saved_models_that_do_more_than_compute_are_refused(exported, tmp_path, not_opened, op):
    shutil.copytree(exported, tmp_path / "saved")
    saved = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    serving = next(
        f for f in saved.meta_graphs[0].graph_def.library.function if "signature_wrapper" in f.signature.name
    )
    serving.node_def.add(name="added", op=op)
    (tmp_path / "saved/saved_model.pb").write_bytes(saved.SerializeToString())
    with pytest.raises(InputError, match=rf"pose_estimator: .*saved: its graph holds {op}, which no network"):
        open_network(tmp_path / "saved")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_keras_models_with_code_are_refused(tmp_path, not_opened, suffix):
    path = tmp_path / f"m{suffix}"
    pixels = keras.Input((None, None, 3))
    keras.Model(pixels, keras.layers.Lambda(lambda x: x * 2)(pixels)).save(path)
    with pytest.raises(InputError, match=rf"pose_estimator: .*m\{suffix}: holds a part 'Lambda', which no network"):
        open_network(path)


def test_the_usual_layers_pass(tmp_path):
    """Normalised, pooled, padded, resized, added, cut, and a model within a model."""
    pixels = keras.Input((32, 32, 3))
    x: Any = keras.layers.Rescaling(1 / 255)(pixels)
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2")(x))
    x = keras.layers.PReLU()(keras.layers.DepthwiseConv2D(3, padding="same")(keras.layers.ZeroPadding2D()(x)))
    x = keras.layers.UpSampling2D(interpolation="bilinear")(keras.layers.MaxPooling2D()(x))
    x = keras.Sequential([keras.layers.SeparableConv2D(57, 3, 4), keras.layers.ReLU(6.0), keras.layers.Dropout(0.1)])(x)
    for suffix, end in ((".keras", (x * 2.0 + 1.0)[..., :57]), (".h5", x)):  # Keras reads no arithmetic from HDF5 files
        keras.Model(pixels, end).save(tmp_path / f"m{suffix}")
        assert open_network(tmp_path / f"m{suffix}").count_maps((32, 32)) == 57


def linked(path: Path) -> Path:
    with h5py.File(path, "a") as file:
        file["more"] = h5py.ExternalLink("/etc/passwd", "x")
    return path


def bomb(path: Path) -> Path:
    with h5py.File(path, "a") as file:
        file.create_dataset("more", (1 << 20, 1 << 20), "f4", chunks=(512, 512), compression="gzip")
    return path


@pytest.mark.parametrize(("spoil", "message"), [(linked, "leads to another file"), (bomb, "its arrays unpack to")])
def test_arrays_are_looked_at_wherever_weights_are_opened(tmp_path, not_opened, spoil, message):
    """Estimators, also those of Keras 1 and 2, weights alone, those of VGG among them, and archives."""
    write_keras(tmp_path / "m.h5")
    build_network(width=4).save_weights(tmp_path / "w.weights.h5")
    with h5py.File(tmp_path / "cmu.h5", "w") as file:
        for name in ("conv1_1", "Mconv7_stage6_L2"):
            file.create_group(name)
    for name in ("m.h5", "cmu.h5"):
        with pytest.raises(InputError, match=rf"pose_estimator: .*{name}: hostile: .*{message}"):
            open_network(spoil(tmp_path / name))
    with pytest.raises(InputError, match=rf"w\.weights\.h5: .*hostile: .*{message}"):
        load_network(spoil(tmp_path / "w.weights.h5"), width=4)
    with pytest.raises(InputError, match=rf"vgg_weights: .*w\.weights\.h5: .*hostile: .*{message}"):
        VGGFeatures(["block1_conv2"], str(tmp_path / "w.weights.h5"))
    write_keras(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (tmp_path / "inner.h5").write_bytes(members["model.weights.h5"])
    members["model.weights.h5"] = spoil(tmp_path / "inner.h5").read_bytes()
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match=rf"pose_estimator: .*m\.keras: hostile: .*{message}"):
        open_network(tmp_path / "m.keras")


def test_weights_of_another_kind_of_file_are_refused(tmp_path, not_opened):
    (tmp_path / "w.keras").write_bytes(b"x")
    with pytest.raises(InputError, match=r"w\.keras: not the weights of .*: a file of weights ends in \.h5"):
        load_network(tmp_path / "w.keras")


def test_errors_without_a_text_are_named(tmp_path, monkeypatch):
    """TensorFlow raises such ones."""
    write_keras(tmp_path / "m.keras")

    def fail(*args: Any, **values: Any) -> None:
        raise tf.errors.UnknownError(None, None, "")

    monkeypatch.setattr(keras.saving, "load_model", fail)
    with pytest.raises(InputError, match=r"m\.keras: not a Keras model that loads \(UnknownError\)"):
        open_network(tmp_path / "m.keras")


def test_operators_of_both_forms_of_graphs():
    """The parts of a graph, and the names of functions that are called as operators are."""
    definition = tf.compat.v1.GraphDef()
    definition.node.add(name="a", op="some_function")
    assert graphs.of_graph(definition) == {graphs.RUN: {"some_function"}}
    with pytest.raises(InputError, match=r"where: its graph holds some_function, which no network"):
        foreign.check_graph(definition, "where")
    many = tf.compat.v1.GraphDef()
    for number in range(11):
        many.node.add(name=str(number), op=f"Op{number:02d}")
    with pytest.raises(InputError, match=r"Op00, .*, Op07 and 3 more, which no network"):
        foreign.check_graph(many, "where")
