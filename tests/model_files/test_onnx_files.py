"""ONNX files: what our exports never hold is refused before ONNX Runtime gets it, and faults are told in words."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from makers import config
from test_safety import ALL, TELLING

from pose_gan.config import ModelConfig
from pose_gan.errors import InputError
from pose_gan.model_files import formats, metadata, onnx_files
from pose_gan.model_files.metadata import ModelInfo
from pose_gan.model_files.opening import needs_tensorflow, open_generator
from pose_gan.model_files.saving import describe
from pose_gan.networks import build_generator

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
FLOAT = onnx.TensorProto.FLOAT
CONFIG = config()
POSES = ("source_keypoints", "target_keypoints")


def model(*more: Any, weights: Any = None, **values: Any) -> Any:
    """A generator by hand, whose image is tanh of the source plus `b`, and of which these nodes are a part too."""
    shape, joints = (*CONFIG.image_size, 3), CONFIG.skeleton.num_joints
    info = onnx.helper.make_tensor_value_info
    inputs = [info("source_image", FLOAT, [None, *shape]), *(info(name, FLOAT, [None, joints, 2]) for name in POSES)]
    nodes = [
        onnx.helper.make_node("Tanh", ["source_image"], ["t"]),
        onnx.helper.make_node("Add", ["t", "b"], ["image"]),
    ]
    graph = onnx.helper.make_graph(
        [*nodes, *more],
        "g",
        inputs,
        [info("image", FLOAT, [None, *shape])],
        [onnx.numpy_helper.from_array(np.full(3, 0.25, np.float32), "b") if weights is None else weights],
    )
    opsets = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("my", 1)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8, **values)


def saved(model: Any, folder: Path) -> Path:
    path = folder / "g.onnx"
    path.write_bytes(model.SerializeToString())
    metadata.attach(path, ModelInfo("generator", CONFIG))
    return path


def batch(count: int = 2) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    poses = {name: np.zeros((count, CONFIG.skeleton.num_joints, 2), np.float32) for name in POSES}
    return {"source_image": random.uniform(-1, 1, (count, *CONFIG.image_size, 3)).astype(np.float32), **poses}


@pytest.fixture
def not_loaded(monkeypatch):
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *words, **values: pytest.fail("it was loaded"))


def test_a_file_is_run_with_its_settings(tmp_path):
    path = saved(model(), tmp_path)
    assert not needs_tensorflow(path)
    run, settings = open_generator(path)
    assert settings == CONFIG
    np.testing.assert_allclose(run(batch()), np.tanh(batch()["source_image"]) + 0.25, atol=1e-6)
    np.testing.assert_array_equal(onnx_files.open_onnx(path, optimised=True)(batch()), run(batch()))


def node(operator: str, domain: str = "", **values: Any) -> Any:
    return onnx.helper.make_node(operator, ["t"], ["unused"], domain=domain, **values)


def branch(*nodes: Any) -> Any:
    """Nodes two graphs deep, in branches that are never taken."""
    output = [onnx.helper.make_tensor_value_info("unused", FLOAT, None)]
    inner = onnx.helper.make_graph(list(nodes), "inner", [], output)
    return onnx.helper.make_node("Where", ["t"], ["other"], then_branch=inner)


@pytest.mark.parametrize("place", [lambda node: node, branch, lambda node: branch(branch(node))])
@pytest.mark.parametrize(
    ("operator", "domain"), [("Loop", ""), ("ImageDecoder", ""), ("Tanh", "my"), ("FusedConv", "com.microsoft")]
)
def test_other_operators_are_refused_wherever_they_stand(tmp_path, not_loaded, operator, domain, place):
    path = saved(model(place(node(operator, domain))), tmp_path)
    shown = f"{domain}::{operator}" if domain else operator
    with pytest.raises(InputError, match=rf"g\.onnx: its graph holds {shown}, which no model of this project has"):
        open_generator(path)


def elsewhere(name: str = "b") -> Any:
    """An array that stands in a file beside the model."""
    tensor = onnx.TensorProto(name=name, data_type=FLOAT, dims=[3], data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="secret.bin")
    return tensor


def test_arrays_in_other_files_are_refused(tmp_path, not_loaded):
    (tmp_path / "secret.bin").write_bytes(bytes(12))
    unmarked = elsewhere()
    unmarked.data_location = onnx.TensorProto.DEFAULT
    inside = onnx.helper.make_node("Where", ["t"], ["other"], value=elsewhere("c"))
    several = onnx.helper.make_node("Where", ["t"], ["other"], value=[elsewhere("c")])
    for spoiled in (
        model(weights=elsewhere()),
        model(weights=unmarked),
        model(inside),
        model(several),
        model(branch(inside)),
    ):
        path = tmp_path / "g.onnx"
        spoiled.metadata_props.add(key="pose_gan", value=ModelInfo("generator", CONFIG).to_json())
        path.write_bytes(spoiled.SerializeToString())
        with pytest.raises(InputError, match=r"g\.onnx: its array '[bc]' stands in another file"):
            open_generator(path)


def test_functions_are_refused(tmp_path, not_loaded):
    function = onnx.helper.make_function("my", "F", ["x"], ["y"], [], [onnx.helper.make_opsetid("", 18)])
    with pytest.raises(InputError, match=r"g\.onnx: has functions of its own"):
        open_generator(saved(model(functions=[function]), tmp_path))


def test_damaged_files_and_batches_are_told(tmp_path):
    path = saved(model(), tmp_path)
    run = open_generator(path).run
    for wrong in ({"source_image": batch()["source_image"]}, {**batch(), "background": np.zeros(3)}):
        with pytest.raises(InputError, match=r"g\.onnx: cannot be run: "):
            run(wrong)
    with pytest.raises(InputError, match=r"g\.onnx: cannot be run: "):
        run({**batch(), "source_image": np.zeros((1, 4, 4, 3))})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"g\.onnx: damaged, or not an ONNX model: "):
        open_generator(path)
    path.unlink()
    with pytest.raises(InputError, match=r"g\.onnx: no such model file"):
        open_generator(path)
    with pytest.raises(InputError, match=r"g\.onnx: damaged: "):
        open_generator(saved(model(onnx.helper.make_node("Add", ["nothing", "t"], ["u"])), tmp_path))
    (tmp_path / "bare.onnx").write_bytes(model().SerializeToString())
    with pytest.raises(InputError, match=r"bare\.onnx: has no metadata"):
        open_generator(tmp_path / "bare.onnx")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_an_absent_package_is_named_with_what_installs_it(tmp_path, monkeypatch, package):
    path = saved(model(), tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"g\.onnx: ONNX files need the package {package}; pip install .*\[onnx\]"):
        open_generator(path)


@pytest.mark.slow
def test_the_list_is_what_our_exports_use_and_no_more(tmp_path):
    pytest.importorskip("tf2onnx")
    used: set[str] = set()
    for values in ({}, *TELLING, *ALL):
        generator = build_generator(ModelConfig(**{"image_size": (64, 64), "width": 0.02, **values}))
        formats.write(generator, tmp_path / "g.onnx", "onnx", describe(generator))
        onnx_files.check(tmp_path / "g.onnx")
        used |= {node.op_type for node in onnx.load(tmp_path / "g.onnx").graph.node}
    assert used == onnx_files.OPERATORS
