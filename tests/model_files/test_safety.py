"""Model files from strangers: what our models never hold is refused, before any of it is made or run."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from checkout import ROOT
from makers import config
from tensorflow.core.protobuf import saved_model_pb2

import pose_gan
from pose_gan.config import COMPATS, INTERPOLATIONS, WARP_SKIPS, ModelConfig
from pose_gan.errors import InputError
from pose_gan.files import graphs
from pose_gan.model_files import formats, safety
from pose_gan.model_files.saving import describe, save_model
from pose_gan.networks import build_discriminator, build_generator

# Together they have every operator that any of our exports has
TELLING = ({"warp_interpolation": "nearest"}, {"pose_rep_type": "stickman"})
ALL = (
    *({"warp_skip": skip, "compat": compat} for skip in WARP_SKIPS for compat in COMPATS),
    *({"warp_skip": "mask", "warp_agg": "avg", "warp_interpolation": way} for way in INTERPOLATIONS),
    *({"warp_skip": "full", "warp_agg": "avg", "warp_interpolation": way} for way in INTERPOLATIONS),
    *({"pose_rep_type": "stickman", "compat": compat} for compat in COMPATS),
    {"warp_skip": "full", "compat": "release", "warp_interpolation": "bilinear"},
    *({"use_bg": True}, {"use_input_pose": False}, {"norm": "release"}, {"image_size": (256, 256)}),
    *({"image_size": (101, 70), "use_bg": True, "warp_skip": skip} for skip in ("mask", "none")),
)  # fmt: skip


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> Path:
    """The SavedModel that version 0.1.0 wrote."""
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(ROOT / "tests/model_files/version_0.1.0.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "export/saved_model"


@pytest.fixture
def copy(old, tmp_path) -> Path:
    """A copy of it, to spoil."""
    shutil.copytree(old, tmp_path / "saved_model")
    return tmp_path / "saved_model"


def parsed(path: Path) -> Any:
    return saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())


def function(saved: Any, part: str) -> Any:
    """The first function of a SavedModel with this in its name."""
    return next(f for f in saved.meta_graphs[0].graph_def.library.function if part in f.signature.name)


@pytest.fixture
def not_loaded(monkeypatch):
    """Nothing may be loaded."""
    monkeypatch.setattr(tf.saved_model, "load", lambda *args, **values: pytest.fail("it was loaded"))
    monkeypatch.setattr(keras.saving, "load_model", lambda *args, **values: pytest.fail("it was loaded"))


# ---------------------------------------------------------------------------------- SavedModels


def exported_operators(values: dict[str, Any], folder: Path) -> set[str]:
    """The operators of an export, found without the code that is tested."""
    generator = build_generator(ModelConfig(**{"image_size": (64, 64), "width": 0.02, **values}))
    path = folder / f"{len(list(folder.iterdir()))}"
    formats.write(generator, path, "savedmodel", describe(generator))
    safety.check_operators(path)
    return operators(path)


def operators(path: Path) -> set[str]:
    graph = parsed(path).meta_graphs[0].graph_def
    return {n.op for n in graph.node} | {n.op for f in graph.library.function for n in f.node_def}


def test_the_list_is_what_our_exports_use_and_no_more(old, tmp_path):
    """An operator that a change of the networks brings in makes this fail, and so does one that is used no longer."""
    safety.check_operators(old)
    used = operators(old).union(*(exported_operators(values, tmp_path) for values in TELLING))
    listed = set().union(*safety.OPERATORS.values())
    assert used == listed
    parts: dict[str, set[str]] = {part: set() for part in safety.OPERATORS}
    for path in (old, *tmp_path.iterdir()):
        for part, found in graphs.of_saved_model(parsed(path)).items():
            parts[part] |= found
    assert parts == safety.OPERATORS


@pytest.mark.slow
def test_no_variant_uses_another_operator(tmp_path):
    listed = set().union(*safety.OPERATORS.values())
    for values in ALL:
        assert exported_operators(values, tmp_path) <= listed, values


HOSTILE = (
    *("WriteFile", "ReadFile", "MatchingFiles", "DatasetToTFRecord", "TextLineDataset", "TFRecordDataset", "PyFunc"),
    *("EagerPyFunc", "PrintV2", "SaveV2", "RestoreV2", "Save", "Restore", "MergeV2Checkpoints", "ShardedFilename"),
    *(
        "InitializeTableFromTextFileV2",
        "WholeFileReaderV2",
        "FixedLengthRecordDatasetV2",
        "LoadDataset",
        "WriteSummary",
    ),
    *("RpcCall", "XlaLaunch", "ImmutableConst", "LookupTableExportV2", "AssignVariableOp", "While", "ListDataset"),
    *("AnonymousIterator", "Batch", "LoadAndRemapMatrix", "DebugIdentityV2", "CollectiveGather", "_Send"),
)


@pytest.mark.parametrize("op", HOSTILE)
@pytest.mark.parametrize("place", ["signature_wrapper", "cond_true", "internal_grad_fn", "main graph"])
def test_other_operators_are_refused_wherever_they_stand(copy, not_loaded, op, place):
    """In what a signature calls, in a branch further down, in a gradient that nothing calls, outside of functions."""
    saved = parsed(copy)
    graph = saved.meta_graphs[0].graph_def
    nodes = graph.node if place == "main graph" else function(saved, place).node_def
    nodes.add(name="added", op=op)
    (copy / "saved_model.pb").write_bytes(saved.SerializeToString())
    with pytest.raises(InputError, match=rf"saved_model: its graph holds {op}, which no model of this project has"):
        pose_gan.load_generator(copy)


def test_the_saver_may_do_only_what_it_needs(old, copy, not_loaded):
    for part, op in (("traced_save", "RestoreV2"), ("traced_restore", "SaveV2"), ("traced_save", "WriteFile")):
        saved = parsed(old)
        function(saved, part).node_def.add(name="added", op=op)
        (copy / "saved_model.pb").write_bytes(saved.SerializeToString())
        with pytest.raises(InputError, match=rf"its graph holds {op} where it (saves|restores) variables"):
            pose_gan.load_generator(copy)


def called_by_a_branch(saved: Any, saver: str) -> None:
    node = function(saved, "cond_true").node_def.add(name="added", op="StatefulPartitionedCall")
    node.attr["f"].func.name = saver


def in_a_list_of_branches(saved: Any, saver: str) -> None:
    node = function(saved, "signature_wrapper").node_def.add(name="added", op="StatelessIf")
    node.attr["branches"].list.func.add(name=saver)


def two_functions_deep(saved: Any, saver: str) -> None:
    library = saved.meta_graphs[0].graph_def.library
    between = library.function.add()
    between.signature.name = "between"
    between.node_def.add(name="a", op="StatefulPartitionedCall").attr["f"].func.name = saver
    node = function(saved, "signature_wrapper").node_def.add(name="added", op="StatelessIf")
    node.attr["then_branch"].func.name = "between"


def inside_of_an_attribute(saved: Any, saver: str) -> None:
    node = function(saved, "cond_true").node_def.add(name="added", op="StatefulPartitionedCall")
    node.attr["f"].func.attr["g"].func.name = saver


def exported(saved: Any, saver: str) -> None:
    item = saved.meta_graphs[0].object_graph_def.nodes.add()
    item.bare_concrete_function.concrete_function_name = saver


def exported_with_others(saved: Any, saver: str) -> None:
    saved.meta_graphs[0].object_graph_def.nodes.add().function.concrete_functions.append(saver)


def named_in_the_object_graph(saved: Any, saver: str) -> None:
    saved.meta_graphs[0].object_graph_def.concrete_functions[saver].bound_inputs.append(0)


def output_of_a_signature(saved: Any, saver: str) -> None:
    meta = saved.meta_graphs[0]
    meta.signature_def["serving_default"].outputs["image"].name = meta.saver_def.save_tensor_name


def input_of_a_node(saved: Any, saver: str) -> None:
    meta = saved.meta_graphs[0]
    saver_node = meta.saver_def.save_tensor_name.partition(":")[0]
    meta.graph_def.node.add(name="added", op="NoOp").input.append(f"^{saver_node}")


def format_of_tensorflow_1(saved: Any, saver: str) -> None:
    """It is restored by running what the file says."""
    saved.meta_graphs[0].ClearField("object_graph_def")


def second_graph(saved: Any, saver: str) -> None:
    """Then TensorFlow reads the file as one of TensorFlow 1."""
    saved.meta_graphs.add().CopyFrom(saved.meta_graphs[0])


@pytest.mark.parametrize(
    "spoil",
    [
        called_by_a_branch, in_a_list_of_branches, two_functions_deep, inside_of_an_attribute, exported,
        exported_with_others, named_in_the_object_graph, output_of_a_signature, input_of_a_node,
        format_of_tensorflow_1, second_graph,
    ],
)  # fmt: skip
def test_only_the_saver_may_save(copy, not_loaded, spoil):
    """A function that writes checkpoints is harmless only as long as nothing else can call it."""
    saved = parsed(copy)
    spoil(saved, function(saved, "traced_save").signature.name)
    (copy / "saved_model.pb").write_bytes(saved.SerializeToString())
    with pytest.raises(InputError, match=r"its graph holds .*SaveV2"):
        pose_gan.load_generator(copy)


def writes_records(path: str, source: str) -> tf.Tensor:
    dataset = tf.data.Dataset.from_tensors("stolen")._variant_tensor  # pyright: ignore[reportAttributeAccessIssue]
    tf.raw_ops.DatasetToTFRecord(input_dataset=dataset, filename=path, compression_type="")
    return tf.constant(1.0)


def copies_lines(path: str, source: str) -> tf.Tensor:
    for line in tf.data.TextLineDataset(source):
        tf.io.write_file(path, line)
    return tf.constant(1.0)


@pytest.mark.parametrize("attack", [writes_records, copies_lines])
def test_real_attacks(copy, attack):
    """TensorFlow alone carries out what the file wants; here it is refused, and nothing is written."""
    secret, target = copy.parent / "secret", copy.parent / "written"
    secret.write_text("secret\n")

    class Hostile(tf.Module):
        @tf.function(input_signature=[])
        def serve(self):
            return {"image": attack(str(target), str(secret))}

    module, hostile = Hostile(), copy.parent / "hostile"
    tf.saved_model.save(module, str(hostile), {"serving_default": module.serve})  # pyright: ignore[reportArgumentType]
    target.unlink(missing_ok=True)
    shutil.copytree(copy / "assets.extra", hostile / "assets.extra")
    with pytest.raises(InputError, match=r"its graph holds .*Dataset.*, which no model of this project has"):
        pose_gan.load_generator(hostile)
    assert not target.exists()
    tf.saved_model.load(str(hostile)).signatures["serving_default"]()  # pyright: ignore[reportAttributeAccessIssue]
    assert target.stat().st_size


def test_the_folder_holds_one_graph_and_plain_files(copy, not_loaded):
    (copy / "saved_model.cpb").write_bytes(b"")
    with pytest.raises(InputError, match=r"saved_model\.cpb: a SavedModel of saved_model\.pb has no second graph"):
        pose_gan.load_generator(copy)
    (copy / "saved_model.cpb").unlink()
    os.mkfifo(copy / "variables/more")  # reading it would never end
    with pytest.raises(InputError, match=r"variables/more: not a plain file"):
        pose_gan.load_generator(copy)


# ------------------------------------------------------------------------- what a model consists of


def spoiled(path: Path, change) -> Path:
    """A small generator as a model file whose description `change` was given."""
    save_model(build_generator(config(warp_skip="none")), path)
    if path.suffix == ".h5":
        with h5py.File(path, "a") as file:
            description = json.loads(file.attrs["model_config"])  # pyright: ignore[reportArgumentType]
            change(description)
            file.attrs["model_config"] = json.dumps(description)
        return path
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    description = json.loads(members["config.json"])
    change(description)
    rewrite(path, members | {"config.json": json.dumps(description).encode()})
    return path


def rewrite(path: Path, members: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


OPTIMIZER = {"optimizer": {"module": "keras.optimizers", "class_name": "Adam", "config": {}, "registered_name": None}}


@pytest.fixture
def optimizers(monkeypatch) -> list[Any]:
    """The optimizers that are made."""
    made: list[Any] = []
    begin = keras.optimizers.Adam.__init__
    monkeypatch.setattr(
        keras.optimizers.Adam, "__init__", lambda self, *a, **v: (made.append(self), begin(self, *a, **v))[1]
    )
    return made


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_no_part_brings_an_optimizer(tmp_path, optimizers, suffix):
    """Keras makes the optimizer of a part, whatever `compile` says."""

    def inner(description):
        tower = build_discriminator(config(disc_type="sim")).get_layer("tower")
        part = keras.saving.serialize_keras_object(tower) | {"compile_config": OPTIMIZER}
        description["config"]["layers"].append({**part, "name": "tower", "inbound_nodes": []})

    path = spoiled(tmp_path / f"g{suffix}", inner)
    with pytest.raises(InputError, match=r"holds a part 'compile_config', which no model of this project has"):
        pose_gan.load_generator(path)
    assert not optimizers
    part = json.loads(
        json.dumps(keras.saving.serialize_keras_object(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])))
    )
    keras.saving.deserialize_keras_object(part | {"compile_config": OPTIMIZER})
    assert optimizers  # Keras alone


def test_the_optimizer_of_the_whole_model_is_not_made(tmp_path, optimizers):
    path = spoiled(tmp_path / "g.keras", lambda description: description.update(compile_config=OPTIMIZER))
    assert pose_gan.load_generator(path).count_params()
    assert not optimizers
    path = spoiled(tmp_path / "g.h5", lambda description: description.update(compile_config=OPTIMIZER))
    with pytest.raises(InputError, match=r"holds a part 'compile_config'"):
        pose_gan.load_generator(path)


def test_a_part_is_what_its_registered_name_says(tmp_path, not_loaded):
    """Keras prefers that name to the others."""
    path = spoiled(
        tmp_path / "g.keras", lambda d: d["config"]["layers"][3].update(registered_name="other_package>Anything")
    )
    with pytest.raises(InputError, match=r"holds a part 'other_package>Anything'"):
        pose_gan.load_generator(path)


# ------------------------------------------------------------------------------ archives and arrays


@pytest.fixture(scope="module")
def members(tmp_path_factory) -> dict[str, bytes]:
    """The members of a small `.keras` archive."""
    path = tmp_path_factory.mktemp("whole") / "g.keras"
    save_model(build_generator(config(warp_skip="none")), path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("name", ["../x", "/etc/x", "assets/x", "model.weights.npz", "CONFIG.JSON"])
def test_archives_with_other_members_are_refused(tmp_path, not_loaded, members, name):
    rewrite(tmp_path / "g.keras", members | {name: b"x"})
    with pytest.raises(InputError, match=rf"g\.keras: hostile: holds '{name}', which no model has"):
        pose_gan.load_generator(tmp_path / "g.keras")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(tmp_path, not_loaded, members):
    """Which of the two is read is for every reader to decide."""
    rewrite(tmp_path / "g.keras", members)
    with zipfile.ZipFile(tmp_path / "g.keras", "a") as archive:
        archive.writestr("config.json", b"{}")
    with pytest.raises(InputError, match=r"hostile: holds 'config\.json', which no model has, or has only once"):
        pose_gan.load_generator(tmp_path / "g.keras")


def test_archives_that_unpack_to_far_more_than_they_weigh_are_refused(tmp_path, not_loaded, members):
    zeros = b"\0" * (70 << 20)
    for name in ("metadata.json", "model.weights.h5"):
        rewrite(tmp_path / "g.keras", members | {name: zeros}, zipfile.ZIP_DEFLATED)
        with pytest.raises(InputError, match=r"g\.keras: hostile: unpacks to 7\d,\d+,\d+ bytes, but has"):
            pose_gan.load_generator(tmp_path / "g.keras")


def test_a_packed_archive_of_real_weights_loads(tmp_path, members):
    rewrite(tmp_path / "g.keras", members, zipfile.ZIP_DEFLATED)
    assert pose_gan.load_generator(tmp_path / "g.keras").count_params()
    rewrite(tmp_path / "g.keras", members, zipfile.ZIP_LZMA)
    with pytest.raises(InputError, match=r"is packed in a way that no model is"):
        pose_gan.load_generator(tmp_path / "g.keras")


def an_external_link(file: Any, name: str, array: np.ndarray) -> None:
    file[name] = h5py.ExternalLink("/etc/passwd", "x")


def a_soft_link(file: Any, name: str, array: np.ndarray) -> None:
    file[name] = h5py.SoftLink("/")


def an_external_array(file: Any, name: str, array: np.ndarray) -> None:
    file.create_dataset(name, array.shape, "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def a_virtual_array(file: Any, name: str, array: np.ndarray) -> None:
    layout = h5py.VirtualLayout(array.shape, "f4")
    layout[...] = h5py.VirtualSource("/etc/other.h5", "x", array.shape)
    file.create_virtual_dataset(name, layout)


def a_packed_array(file: Any, name: str, array: np.ndarray) -> None:
    file.create_dataset(name, (1 << 20, 1 << 20), "f4", chunks=(512, 512), compression="gzip")


def a_huge_piece(file: Any, name: str, array: np.ndarray) -> None:
    """HDF5 unpacks a whole piece for one number."""
    file.create_dataset(name, array.shape, "f4", chunks=(1 << 14, 1 << 14), maxshape=(None, None), compression="gzip")


def a_huge_attribute(file: Any, name: str, array: np.ndarray) -> None:
    """Each of the texts may be as long as the file."""
    group = file.create_group(name, track_order=True)  # the order needs the newer, larger kind of attributes
    group.attrs["texts"] = np.full(5000, "x", h5py.string_dtype())


SPOILS = {
    an_external_link: "leads to another file",
    a_soft_link: "leads to another file",
    an_external_array: "leads to another file",
    a_virtual_array: "leads to another file",
    a_packed_array: r"its arrays unpack to \d+(,\d+)+ bytes",
    a_huge_piece: r"its arrays unpack to \d+(,\d+)+ bytes",
    a_huge_attribute: "has an attribute of more than 4096 texts",
}


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize(("spoil", "message"), SPOILS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_arrays_are_looked_at_in_files_of_both_kinds(tmp_path, not_loaded, members, suffix, spoil, message):
    held = io.BytesIO(members["model.weights.h5"])
    if suffix == ".h5":
        save_model(build_generator(config(warp_skip="none")), tmp_path / "g.h5")
        held = io.BytesIO((tmp_path / "g.h5").read_bytes())
    with h5py.File(held, "r+", libver="latest") as file:
        spoil(file, "more", np.zeros((4, 4), "f4"))
    if suffix == ".h5":
        (tmp_path / "g.h5").write_bytes(held.getvalue())
    else:
        rewrite(tmp_path / "g.keras", members | {"model.weights.h5": held.getvalue()})
    with pytest.raises(InputError, match=rf"g\{suffix}: hostile: .*{message}"):
        pose_gan.load_generator(tmp_path / f"g{suffix}")


@pytest.mark.slow
def test_our_largest_models_pass_the_limits(tmp_path):
    """Full width at 256×256: 330 MB, in both forms, and as the zeros that a reset network would have."""
    generator = build_generator(ModelConfig((256, 256)))
    generator.set_weights([np.zeros_like(array) for array in generator.get_weights()])
    for suffix in (".h5", ".keras"):
        save_model(generator, tmp_path / f"g{suffix}")
        assert (tmp_path / f"g{suffix}").stat().st_size > 300e6
        assert pose_gan.load_generator(tmp_path / f"g{suffix}").count_params() == generator.count_params()
