"""The benchmarks run, compare things that are equal, and count what they say they count."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from benchmarks import balance, flops, geometry, inputs, memory, nn_loss, pipeline, skip, step
from benchmarks.__main__ import BENCHMARKS, build_parser, main
from benchmarks.harness import Options, Table, show, time_in_turns
from pose_gan.errors import InputError
from pose_gan.poses.keypoints import found, has_required_joints
from pose_gan.training.gan import GAN

FAST = ("geometry", "nn_loss", "pipeline", "keypoints", "study")  # under two seconds each with --quick


def test_quick_run_writes_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "speed.json"
    names = list(FAST)
    assert main([*names, "--quick", "--repeats", "1", "--no_memory", "--markdown", "--json", str(file)]) == 0
    printed, result = capsys.readouterr().out, json.loads(file.read_text())
    assert list(result["benchmarks"]) == names
    assert result["options"] == {"quick": True, "repeats": 1, "memory": False}
    assert {"cpu", "cores", "memory_gb", "gpus", "onednn", "threads", "versions"} <= set(result["machine"])
    for when in ("before", "after"):
        rate = result["matrix_product_gflops"][when]
        assert rate["best"] >= rate["median"] > 0
    for benchmark in result["benchmarks"].values():
        assert benchmark["seconds"] > 0
        for table in benchmark["tables"]:
            assert f"**{table['title']}**" in printed
            for row in table["rows"]:
                assert set(row) == set(table["columns"])
                assert all(value > 0 for key, value in row.items() if key.endswith("_ms"))
    (pairs,) = result["benchmarks"]["geometry"]["tables"]
    for row in pairs["rows"]:
        assert row["heatmap_difference"] < 1e-5
        assert row["mask_difference"] < 1e-3
        assert row["limb_difference"] < 1e-2
    (losses,) = result["benchmarks"]["nn_loss"]["tables"]
    for row in losses["rows"]:
        assert row["value_difference"] < 1e-5
        assert row["gradient_difference"] < 1e-5
    (imports,) = result["benchmarks"]["keypoints"]["tables"]
    assert [row["different"] for row in imports["rows"]] == [0] * 4
    (scores,) = result["benchmarks"]["study"]["tables"]
    assert scores["rows"][1]["difference"] < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BENCHMARKS if name not in FAST])
def test_every_benchmark_runs(name: str, tmp_path: Path) -> None:
    if name == "page":
        pytest.importorskip("tornado")
    file = tmp_path / "speed.json"
    assert main([name, "--quick", "--repeats", "1", "--json", str(file)]) == 0
    tables = json.loads(file.read_text())["benchmarks"][name]["tables"]
    assert tables
    for table in tables:
        assert table["rows"] or name == "annotation"  # which needs a network of others
        assert all(set(row) == set(table["columns"]) for row in table["rows"])


def test_unknown_benchmark_and_bad_rounds() -> None:
    with pytest.raises(InputError, match="'skips' is not known; allowed: skip, nn_loss, geometry"):
        main(["skips"])
    with pytest.raises(InputError, match="--repeats: got 0; give 1 or more"):
        main(["skip", "--repeats", "0"])


def test_help_lists_benchmarks_and_defaults() -> None:
    text = build_parser().format_help()
    for name, meaning in BENCHMARKS.items():
        assert name in text
        assert meaning in text
    assert "default: 15; quick: 2" in text


def test_skip_forms_agree() -> None:
    calls = {form: skip.make_calls(form, [(32, 16, 4), (16, 8, 3)], (64, 32), batch=2) for form in skip.FORMS}
    moved = {form: pair["forward"]() for form, pair in calls.items()}
    results = {form: pair["both"]() for form, pair in calls.items()}
    for level in range(2):
        for form in ("dense", "plain"):
            np.testing.assert_allclose(moved["sparse"][level], moved[form][level], atol=5e-5)
        np.testing.assert_allclose(results["sparse"][0][level], moved["sparse"][level])
        np.testing.assert_allclose(results["sparse"][1][level], results["dense"][1][level], atol=5e-5)


def test_skip_table_has_a_sum() -> None:
    rows = [{f"{form}_{what}_ms": 2.0 for form in skip.FORMS for what in ("forward", "both")} for _ in range(3)]
    total = skip._sum(rows)
    assert total["sparse_both_ms"] == 6
    assert total["ratio_both_ms"] == 1


@pytest.mark.parametrize("axis", [-1, 1])
def test_stacked_loss_by_hand(axis: int) -> None:
    generated = tf.constant([5.0, 0.0, 9.0])[None, None, :, None]
    target = tf.constant([1.0, 4.0, 2.0])[None, None, :, None]
    # nearest of {1, 4} to 5, of {1, 4, 2} to 0, of {4, 2} to 9: 1, 1, 5
    assert float(nn_loss.stacked_loss(generated, target, 3, axis)) == pytest.approx(7 / 3)


def test_geometry_of_missing_joints_agrees() -> None:
    source, target = (value.numpy().copy() for value in inputs.pose_pairs(2, (128, 64)))
    source[0, 3] = target[1, 9] = -1  # an elbow: the other arm stands in; a knee: no leg
    difference = geometry.agreement(tf.constant(source), tf.constant(target), (128, 64))
    assert difference["heatmap_difference"] < 1e-5
    assert difference["mask_difference"] < 1e-3


def test_poses_are_whole_and_inside() -> None:
    for size in ((128, 64), (256, 256), (64, 64)):
        for poses in inputs.pose_pairs(4, size):
            values = poses.numpy()
            assert has_required_joints(values).all()
            seen = values[found(values)]
            assert (seen >= 0).all()
            assert (seen < size).all()
    _, masks = inputs.part_geometry(4, (128, 64))
    assert 1.2 < inputs.active_parts(masks) < 1.7


def test_work_of_a_small_network() -> None:
    image, pose = keras.Input((8, 8, 3)), keras.Input((8, 8, 2))
    out = layers.Concatenate()([image, pose])
    out = layers.Conv2D(4, 3, padding="same")(out)
    out = layers.Conv2D(6, 4, strides=2, padding="same")(layers.ReLU()(out))
    out = layers.Conv2DTranspose(7, 4, strides=2, padding="same")(out)
    first, second, third = 2 * 9 * 5 * 4 * 64, 2 * 16 * 4 * 6 * 16, 2 * 16 * 6 * 7 * 16
    work = flops.network_work(keras.Model([image, pose], out))
    assert work.forward == work.weights == first + second + third
    assert work.inputs == second + third
    assert work.image == first * 3 / 5
    assert work.backward == work.weights + work.inputs


@pytest.mark.skipif(not memory.CLEAR.exists(), reason="this system tells no peak memory")
def test_memory_of_stacked_copies() -> None:
    shape, copies = [1, 128, 64, 64], 25
    case = memory.Case("benchmarks.nn_loss:make_calls", {"form": "stacked", "shape": shape, "window": 5})
    (found_peaks,) = memory.peaks([case])
    megabytes = copies * np.prod(shape) * 4 / 2**20
    assert megabytes < found_peaks["both"].call < 5 * megabytes
    assert memory.peaks([case], enabled=False) == [{}]


@pytest.mark.skipif(not memory.CLEAR.exists(), reason="this system tells no peak memory")
def test_memory_of_a_form_that_fails() -> None:
    with pytest.raises(RuntimeError, match=r"measuring the memory of .*no_such"):
        memory.peaks([memory.Case("benchmarks.inputs:no_such", {})])


def test_plain_step_moves_nothing() -> None:
    settings = ((64, 64), 2, 3, 0.125)
    plain = step.make_gan("plain", step.make_config("plain", *settings))
    full = step.make_gan("full", step.make_config("full", *settings))
    names = [[layer.name for layer in gan.generator.layers] for gan in (plain, full)]
    assert not any("deformable" in name for name in names[0])
    assert sum("deformable" in name for name in names[1]) == 4
    shapes = [[weight.shape for weight in gan.generator.weights] for gan in (plain, full)]
    assert shapes[0] == shapes[1]
    assert plain.config.loss.content_layers == ()
    assert full.config.loss.nn_loss_area_size == 3
    work = [flops.iteration_work(gan.generator, gan.discriminator, None, 2) for gan in (plain, full)]
    assert work[0] == work[1]


def test_the_release_s_operators_give_the_same_losses() -> None:
    """Its generator has operators of its own, and both trainings compute the same numbers for one iteration."""
    config = step.make_config("release", (64, 64), 2, 3, 0.125)
    assert not config.train.shared_forward
    data = [inputs.random_batch(2, (64, 64))] * 3
    found = []
    for form in ("release", "full"):
        gan = step.make_gan(form, config)
        kinds = {type(layer).__name__ for layer in gan.generator.layers}
        assert ("UpConv2D" in kinds, "DeformableSkip" in kinds) == (form == "full",) * 2
        losses = gan.train_step(data[: gan.batches_per_iteration])
        found.append({name: float(value) for name, value in losses.items()})
    for name, value in found[1].items():
        assert found[0][name] == pytest.approx(value, rel=1e-3), name


def test_pipeline_says_what_training_takes() -> None:
    options = Options(quick=True, repeats=1, step_seconds={((64, 64), 2): 0.5})
    (table,) = pipeline.run(options)
    assert table.rows[0]["needed"] == 8
    assert table.rows[0]["ratio"] == pytest.approx(table.rows[0]["images"] / 8)  # pyright: ignore[reportOperatorIssue]


def test_forms_take_turns() -> None:
    order: list[str] = []
    forms = {name: lambda name=name: order.append(name) for name in "ab"}
    times = time_in_turns(forms, repeats=2, warm_up=1)
    assert "".join(order) == "ab" + "ab" * 2  # warm-up, then the rounds
    assert len(times["a"].samples) == 2
    assert times["a"].best <= times["a"].median


def test_table_text() -> None:
    table = Table("Title", {"name": "name", "ms": "ms"}, [{"name": "x", "ms": 1.234}, {"name": "long"}], ["a note"])
    assert table.to_text(markdown=True).splitlines()[2:6] == [
        "| name |   ms |",
        "| ---- | ---: |",
        "| x    | 1.23 |",
        "| long |    - |",
    ]
    assert table.to_dict()["rows"][1] == {"name": "long", "ms": None}
    assert [show(value) for value in (0.0, 2e-7, 123.4, 12.34, 7, "x")] == [
        "0.0000",
        "2.0e-07",
        "123",
        "12.3",
        "7",
        "x",
    ]


def test_the_share_of_a_checkerboard() -> None:
    y, x = np.mgrid[:8, :6]
    board = tf.constant((-1.0) ** (y + x), tf.float32)[None, :, :, None]
    ramp = tf.constant(1.0 * y + 2.0 * x, tf.float32)[None, :, :, None]
    assert balance.checkerboard_share(board) == pytest.approx(1)
    assert balance.checkerboard_share(ramp) == pytest.approx(0, abs=1e-6)
    assert balance.checkerboard_share(tf.random.normal((1, 256, 256, 3), seed=1)) == pytest.approx(0.5, abs=0.01)


def test_the_pull_of_losses_is_their_gradient() -> None:
    """The mean of pixels pulls at each of n pixels with 1/n; twice the weight pulls twice."""
    config = step.make_config("plain", (64, 64), 2, 3, 0.125)
    gan, batch = GAN(config), inputs.random_batch(2, (64, 64))
    rows: dict[str, tuple[float, balance.Loss]] = {
        name: (weight, lambda images, target: tf.reduce_mean(images)) for name, weight in (("one", 1.0), ("two", 2.0))
    }
    adversarial, one, two = balance.measure(gan, [batch], rows).rows
    assert adversarial["ratio"] == 1
    assert one["norm"] == pytest.approx((2 * 64 * 64 * 3) ** -0.5, rel=1e-5)
    assert two["ratio"] == pytest.approx(2 * one["ratio"], rel=1e-5)  # type: ignore[operator]
