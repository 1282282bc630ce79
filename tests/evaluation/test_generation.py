"""Generation, strips and scores, with a generator so simple that its images are known."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil

import imageio.v3 as iio
import keras
import numpy as np
import pandas as pd
import pytest
from crashes import Killed, Mortal

from pose_gan.config import DataConfig, ModelConfig, RunConfig
from pose_gan.data.pair_data import open_pairs
from pose_gan.data.pairs import write_pairs
from pose_gan.errors import InputError
from pose_gan.evaluation.generation import generate
from pose_gan.evaluation.scoring import score
from pose_gan.evaluation.strip_names import strip_name
from pose_gan.evaluation.strips import read_strip
from pose_gan.files.lock import LOCK, only_program
from pose_gan.metrics import BY_DEFAULT, METRICS, MetricSpec, PerImage, l1, mask_ssim, psnr, ssim
from pose_gan.model_files import formats
from pose_gan.model_files.saving import ExportedGenerator, describe, load_generator, save_model
from pose_gan.networks import build_generator
from pose_gan.poses.drawing import to_uint8
from pose_gan.poses.keypoints import write_annotations
from pose_gan.poses.skeleton import COCO18
from pose_gan.programs import test as program

SIZE = (64, 64)
NAMES = [f"{person:04d}_c1s1_{number}.png" for person in (1, 2) for number in range(3)]
PAIRS = [(a, b) for a in NAMES for b in NAMES if a != b and a[:4] == b[:4]][:7]


@pytest.fixture
def folder(tmp_path):
    """A data set of six random pictures and seven pairs: `images/test`, `annotations`."""
    rng = np.random.default_rng(0)
    (tmp_path / "images/test").mkdir(parents=True)
    for name in NAMES:
        iio.imwrite(tmp_path / "images/test" / name, rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8))
    keypoints = rng.integers(0, 64, (len(NAMES), COCO18.num_joints, 2))
    write_annotations(tmp_path / "annotations/own-annotation-test.csv", NAMES, keypoints)
    write_pairs(tmp_path / "annotations/own-pairs-test.csv", pd.DataFrame(PAIRS, columns=["from", "to"]))
    return tmp_path


def data_of(folder):
    return DataConfig("own", str(folder / "images"), str(folder / "annotations"))


@pytest.fixture
def data(folder):
    return open_pairs(data_of(folder), "test", SIZE)


def fake_generator(gain=-0.5, dropout=0.0):
    """The source image times `gain`, with a weight so that it can be told from another one."""
    image = keras.Input((*SIZE, 3), name="source_image")
    poses = [keras.Input((COCO18.num_joints, 2), name=f"{side}_keypoints") for side in ("source", "target")]
    layer = keras.layers.Dense(3, use_bias=False, kernel_initializer=keras.initializers.Identity(gain), name="gain")
    # The target pose takes part too: a constant offset that shows whether pairs are mixed up
    offset = keras.layers.Lambda(lambda pose: pose[:, :1, :1, None] / 1000, output_shape=(1, 1, 1), name="offset")
    hidden = keras.layers.Dropout(dropout, name="dropout")(layer(image))
    output = keras.layers.Add(name="add")([hidden, offset(poses[1])])
    return keras.Model([image, *poses], output, name="generator")


def expected_image(data, source, target, gain=-0.5):
    image = iio.imread(data.image_path(source)).astype(np.float32) / 127.5 - 1
    y = data.annotations.keypoints[data.annotations.rows[target]][0, 0]
    return to_uint8(gain * image + y / 1000)


def stamps(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}


def test_strip_names_are_the_releases():
    name = strip_name("0007_c2s3_070952_01.jpg", "0007_c3s3_077419_03.jpg")
    assert name == "0007_c2s3_070952_01.jpg_0007_c3s3_077419_03.jpg.png"


def test_generate_writes_the_right_image_for_every_pair(data, tmp_path):
    output = tmp_path / "out"
    assert generate(fake_generator(), data, output, batch_size=3) == 7
    assert {path.name for path in output.glob("*.png")} == {strip_name(a, b) for a, b in PAIRS}
    for a, b in PAIRS:
        source, target, generated = read_strip(output / strip_name(a, b), SIZE)
        np.testing.assert_array_equal(source, iio.imread(data.image_path(a)))
        np.testing.assert_array_equal(target, iio.imread(data.image_path(b)))
        difference = generated.astype(int) - expected_image(data, a, b)
        assert np.abs(difference).max() <= 1  # rounding of half grey levels
        assert (difference != 0).mean() < 0.01
        np.testing.assert_array_equal(iio.imread(output / "generated" / strip_name(a, b)), generated)


def test_generate_goes_on_where_it_stopped(data, tmp_path):
    output = tmp_path / "out"
    generate(fake_generator(), data, output)
    before = stamps(output)
    (output / strip_name(*PAIRS[2])).unlink()
    assert generate(fake_generator(), data, output) == 1
    assert generate(fake_generator(), data, output) == 0
    changed = {path.name for path, stamp in stamps(output).items() if before.get(path) != stamp}
    assert changed == {strip_name(*PAIRS[2])}


def test_generate_never_mixes_two_generators(data, tmp_path):
    output = tmp_path / "out"
    generate(fake_generator(), data, output)
    with pytest.raises(InputError, match=r"generated with another generator; .* or replace them with overwrite"):
        generate(fake_generator(gain=0.25), data, output)
    with pytest.raises(InputError, match="generated with another generator, dropout"):
        generate(fake_generator(gain=0.25), data, output, dropout=True)
    (output / "an-old_strip.png").write_bytes(b"of another pair list")
    assert generate(fake_generator(gain=0.25), data, output, overwrite=True) == 7
    assert not (output / "an-old_strip.png").exists()
    generated = read_strip(output / strip_name(*PAIRS[0]), SIZE)[2].astype(int)
    assert np.abs(generated - expected_image(data, *PAIRS[0], gain=0.25)).max() <= 1


def test_a_generator_is_known_by_its_settings_and_weights(data, tmp_path):
    """And not by the names that Keras gives to layers, which count on from network to network."""
    model = ModelConfig(image_size=SIZE, width=0.02)
    first, twin, merged = (build_generator(each) for each in (model, model, dataclasses.replace(model, warp_agg="avg")))
    assert [layer.name for layer in first.layers] != [layer.name for layer in twin.layers]
    assert generate(first, data, tmp_path / "out") == 7
    for other in (twin, merged):
        other.set_weights(first.get_weights())
    assert generate(twin, data, tmp_path / "out") == 0
    with pytest.raises(InputError, match="generated with another generator;"):
        generate(merged, data, tmp_path / "out")
    for weight in (twin.weights[0], twin.weights[-1]):
        before = weight.numpy()
        weight.assign(before + (np.arange(before.size) == 0).reshape(before.shape) * 1e-3)
        with pytest.raises(InputError, match="generated with another generator;"):
            generate(twin, data, tmp_path / "out")
        weight.assign(before)
    assert generate(twin, data, tmp_path / "out") == 0


def test_an_exported_generator_is_known_by_its_weights_too(data, tmp_path):
    generator = build_generator(ModelConfig(image_size=SIZE, width=0.02, warp_skip="none"))
    formats.write(generator, tmp_path / "model", "savedmodel", describe(generator))
    first, twin = load_generator(tmp_path / "model"), load_generator(tmp_path / "model")
    assert generate(first, data, tmp_path / "out") == 7
    assert generate(twin, data, tmp_path / "out") == 0
    (layer,) = (layer for layer in twin.layers if isinstance(layer, ExportedGenerator))
    weight = layer.exported_variables[0]
    weight.assign(weight + 1e-3)
    with pytest.raises(InputError, match="generated with another generator;"):
        generate(twin, data, tmp_path / "out")


def blended_generator():
    """Its images depend on the others in the batch, as the last bits of a network's may."""
    model = fake_generator()
    blend = keras.layers.Lambda(
        lambda image: 0.7 * image + 0.3 * keras.ops.mean(image, 0, keepdims=True), output_shape=(*SIZE, 3), name="blend"
    )
    return keras.Model(model.inputs, blend(model.output), name="generator")


def strips(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("present", [(0,), (2, 3), (1, 3, 4, 5), (0, 1, 2), (6,), range(7)])
def test_what_is_there_does_not_change_the_rest(data, tmp_path, present):
    """Batches are those of a run without a break, whatever is done already: here of 3, 3 and 1."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert generate(blended_generator(), data, whole, batch_size=3) == 7
    shutil.copytree(whole, parts)
    for row in set(range(7)) - set(present):
        (parts / strip_name(*PAIRS[row])).unlink()
    before = stamps(parts)
    assert generate(blended_generator(), data, parts, batch_size=3) == 7 - len(present)
    assert strips(parts) == strips(whole)
    for row in present:
        assert stamps(parts)[parts / strip_name(*PAIRS[row])] == before[parts / strip_name(*PAIRS[row])]


def test_a_kill_at_any_operation_on_files_changes_nothing(data, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    generator = blended_generator()
    generate(generator, data, whole, batch_size=3)
    mortal, kills = Mortal(parts), 0
    for number in range(0, 1000, 3):
        try:
            with mortal.killed_at(number):
                generate(generator, data, parts, batch_size=3)
        except Killed:
            kills += 1
        else:
            break
    assert kills > 5
    assert strips(parts) == strips(whole)
    assert sorted(path.name for path in parts.iterdir()) == sorted(path.name for path in whole.iterdir())
    assert not list(parts.rglob("*.part"))


def test_two_programs_do_not_share_a_folder(data, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    taken = rf"^{output}: in use by process {os.getpid()} on .* since .*; wait until"
    with only_program(output / LOCK), pytest.raises(InputError, match=taken):
        generate(fake_generator(), data, output)
    assert list(output.iterdir()) == []
    assert generate(fake_generator(), data, output) == 7
    assert not (output / LOCK).exists()


def test_generate_leaves_folders_of_others_alone(data, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/holiday.png").write_bytes(b"precious")
    with pytest.raises(InputError, match=r"holds images that were not made here \(holiday.png\)"):
        generate(fake_generator(), data, tmp_path / "mine", overwrite=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()} == {"holiday.png": b"precious"}


def test_dropout_is_off_unless_asked_for(data, tmp_path):
    generator = fake_generator(dropout=0.5)
    generate(generator, data, tmp_path / "off")
    generate(generator, data, tmp_path / "on", dropout=True)
    name = strip_name(*PAIRS[0])
    off, on = (read_strip(tmp_path / folder / name, SIZE)[2].astype(int) for folder in ("off", "on"))
    assert np.abs(off - expected_image(data, *PAIRS[0])).max() <= 1
    assert (off != on).mean() > 0.3


def test_output_that_is_not_finite_names_the_pair(data, tmp_path):
    with pytest.raises(InputError, match=r"0001_c1s1_\d.png: the generator's output is not an image"):
        generate(fake_generator(gain=float("nan")), data, tmp_path / "out")


def test_scores_are_those_of_the_strips(data, tmp_path):
    generate(fake_generator(), data, tmp_path / "out")
    scores = score(tmp_path / "out", data)
    strips = [read_strip(tmp_path / "out" / strip_name(*pair), SIZE) for pair in PAIRS]
    sources, targets, generated = (np.stack(images) for images in zip(*strips, strict=True))
    keypoints = data.annotations.keypoints[[data.annotations.rows[b] for _, b in PAIRS]]
    for results, images in ((scores.generated, generated), (scores.copy_source, sources)):
        np.testing.assert_array_equal(results["ssim"].values, ssim(images, targets))
        np.testing.assert_array_equal(results["ssim_standard"].values, ssim(images, targets, "standard"))
        np.testing.assert_array_equal(results["mask_ssim"].values, mask_ssim(images, targets, keypoints))
        np.testing.assert_array_equal(results["ssim_gfla"].values, ssim(images, targets, "gfla"))
        np.testing.assert_array_equal(results["l1"].values, l1(images, targets))
        np.testing.assert_array_equal(results["psnr"].values, psnr(images, targets))
        assert results["l1"].mean == pytest.approx(l1(images, targets).mean())


def test_saved_scores_can_be_read_back(data, tmp_path):
    generate(fake_generator(), data, tmp_path / "out")
    scores = score(tmp_path / "out", data, ["ssim", "l1"])
    scores.save(tmp_path / "out", {"command": "python test.py"})
    values = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))
    assert values["count"] == 7
    assert values["run"] == {"command": "python test.py"}
    assert {"python", "numpy", "keras"} <= set(values["versions"])
    assert values["images"] == str(tmp_path / "out")
    assert values["image_size"] == list(SIZE)
    entry = values["metrics"]["ssim"]
    assert entry["settings"]["protocol"] == "release"
    assert "the paper's SSIM" in entry["protocol"]
    low, high = entry["generated"]["interval_95"]
    assert low < entry["generated"]["mean"] < high
    assert values["metrics"]["l1"]["generated"]["mean"] == scores.generated["l1"].mean
    table = pd.read_csv(tmp_path / "out/metrics_per_pair.csv")
    assert list(table.columns) == ["from", "to", "ssim", "l1", "copy_source_ssim", "copy_source_l1"]
    assert list(zip(table["from"], table["to"], strict=True)) == PAIRS
    assert table["l1"].tolist() == pytest.approx(scores.per_pair()["l1"].tolist())
    assert f"{scores.copy_source['ssim'].mean:.4f}" in scores.table()
    line = pd.read_csv(tmp_path / "out/metrics.csv")
    assert list(line.columns) == ["images", "pairs", "ssim", "ssim_std", "l1", "l1_std"]
    assert line["l1"].item() == pytest.approx(scores.generated["l1"].mean, rel=1e-5)


def test_scoring_names_bad_strips(data, tmp_path):
    output = tmp_path / "out"
    generate(fake_generator(), data, output)
    path = output / strip_name(*PAIRS[3])
    picture = iio.imread(path)
    iio.imwrite(path, picture[:, :64])
    with pytest.raises(InputError, match=rf"{path.name}: 64x64 pixels \(height x width\), expected 64x192"):
        score(output, data)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=path.name):
        score(output, data)
    path.unlink()
    with pytest.raises(InputError, match=rf"{path.name}: no such strip \(1 of 7 are missing\)"):
        score(output, data)
    with pytest.raises(InputError, match="no such folder of images"):
        score(tmp_path / "nowhere", data)
    with pytest.raises(InputError, match="metric 'fame' is not known"):
        score(output, data, ["fame"])


def flags(folder, *more):
    own = ["--dataset", "own", "--images_dir", folder / "images", "--annotations_dir", folder / "annotations"]
    return [str(value) for value in (*own, "--image_size", "64x64", "--generated_images_dir", folder / "out", *more)]


def test_program_scores_a_folder_of_strips(data, folder, capsys):
    generate(fake_generator(), data, folder / "out")
    program.main(flags(folder, "--load_generated_images", 1, "--report", folder / "r.html", "--grid", folder / "g.png"))
    shown = capsys.readouterr().out
    assert "7 pairs" in shown
    assert "mask-SSIM (standard), higher is better" in shown
    values = json.loads((folder / "out/metrics.json").read_text(encoding="utf-8"))
    assert tuple(values["metrics"]) == BY_DEFAULT
    assert values["run"]["options"]["metrics"] == ",".join(BY_DEFAULT)
    assert values["run"]["command"].startswith("pose-gan test --dataset own")
    assert (folder / "r.html").stat().st_size > 10_000
    assert iio.imread(folder / "g.png").ndim == 3


def test_program_generates_from_a_run(folder, capsys):
    """A run's folder gives the data settings and the generator; flags override."""
    model = ModelConfig(image_size=SIZE, width=0.125, norm="release")
    run = RunConfig(DataConfig("own", str(folder / "images"), str(folder / "annotations")), model)
    (folder / "run").mkdir()
    (folder / "run/options.json").write_text(json.dumps({"config": run.to_dict()}), encoding="utf-8")
    save_model(build_generator(model), folder / "run/checkpoints/step-00000001/generator.h5")
    out = ["--generator_checkpoint", str(folder / "run"), "--generated_images_dir", str(folder / "out")]
    program.main([*out, "--images_for_test", "2", "--metrics", "ssim,l1"])
    assert "2 images generated, 0 were there already" in capsys.readouterr().out
    program.main(out)
    assert "5 images generated, 2 were there already" in capsys.readouterr().out
    values = json.loads((folder / "out/metrics.json").read_text(encoding="utf-8"))
    assert values["run"]["options"]["training: l1_penalty_weight"] == 100
    program.main([*out, "--norm", "release", "--warp_skip", "mask", "--width", "0.12"])
    with pytest.raises(InputError, match=r"--warp_skip: .*run was built with mask, got stn; leave the flag out"):
        program.main([*out, "--warp_skip", "stn"])
    with pytest.raises(InputError, match="no such folder of images"):
        program.main([*out, "--images_dir", str(folder / "elsewhere")])


def test_program_scores_real_images_and_says_what_it_cannot(data, folder, capsys):
    generate(fake_generator(), data, folder / "out")
    table = folder / "table.csv"
    more = ["--load_generated_images", 1, "--real", 1, "--metrics", "ssim,is", "--append_to", table]
    program.main(flags(folder, *more))
    shown = capsys.readouterr().out
    assert "real images" in shown
    assert "IS: needs the Inception network of 2015" in shown.split("not computed")[1]
    values = json.loads((folder / "out/metrics.json").read_text(encoding="utf-8"))["metrics"]
    assert values["ssim"]["real"]["mean"] == pytest.approx(1)
    for row in ("generated", "copy_source", "real"):
        assert values["is"][row]["not_computed"].startswith("needs the Inception network of 2015")
    program.main(flags(folder, *more))
    lines = pd.read_csv(table)
    assert lines["ssim"].tolist() == [pytest.approx(values["ssim"]["generated"]["mean"], rel=1e-5)] * 2
    assert lines["is"].str.startswith("not computed: needs").all()


CROSSED = [(a, b) for a in NAMES[:3] for b in NAMES[3:]]


def brightness(batch):
    """The scores of a metric that needs no target image."""
    return batch.generated.mean(axis=(1, 2, 3))


def test_scores_against_another_person_are_left_out(data, folder, monkeypatch, capsys):
    """`test` says so; a metric that needs no target stays, with all pairs, and a pair of one person keeps its score."""
    spec = MetricSpec("bright", "brightness", True, lambda options: PerImage(brightness))
    monkeypatch.setitem(METRICS, "bright", spec)
    write_pairs(folder / "annotations/own-pairs-test.csv", pd.DataFrame(CROSSED, columns=["from", "to"]))
    crossed = dataclasses.replace(data, pairs=pd.DataFrame(CROSSED, columns=["from", "to"]))
    generate(fake_generator(), crossed, folder / "out")
    page = folder / "r.html"
    more = ["--load_generated_images", 1, "--metrics", "ssim,l1,bright", "--report", page, "--grid", folder / "g.png"]
    program.main(flags(folder, *more))
    shown = capsys.readouterr().out
    assert "9 of 9 pairs show two persons, by their names" in shown
    assert "SSIM, L1: each pair shows two persons, and scores against another person's picture mean nothing" in shown
    values = json.loads((folder / "out/metrics.json").read_text(encoding="utf-8"))["metrics"]
    strips = [read_strip(folder / "out" / strip_name(*pair), SIZE) for pair in CROSSED]
    assert values["bright"]["generated"]["mean"] == pytest.approx(np.mean([strip[2] for strip in strips]))
    assert values["bright"]["generated"]["count"] == 9
    for row in ("generated", "copy_source"):
        assert values["l1"][row]["not_computed"].startswith("each pair shows two persons")
    with pytest.raises(InputError, match=r"--person 'c2': finds no person in the name 0001_c1s1_0\.png"):
        program.main(flags(folder, "--load_generated_images", 1, "--person", "c2", "--dry_run"))
    program.main(flags(folder, *more, "--person", "c1"))  # by this rule all are one person
    assert "two persons" not in capsys.readouterr().out
    values = json.loads((folder / "out/metrics.json").read_text(encoding="utf-8"))["metrics"]
    assert values["l1"]["generated"]["count"] == 9


def test_program_takes_the_training_split(data, folder, capsys):
    for kind in ("annotation", "pairs"):
        test = folder / f"annotations/own-{kind}-test.csv"
        test.rename(test.with_name(f"own-{kind}-train.csv"))
    (folder / "images/test").rename(folder / "images/train")
    trained = open_pairs(data_of(folder), "train", SIZE)
    generate(fake_generator(), trained, folder / "out")
    more = ["--load_generated_images", 1, "--metrics", "l1"]
    program.main(flags(folder, "--split", "train", *more))
    assert "7 pairs" in capsys.readouterr().out
    values = json.loads((folder / "out/metrics.json").read_text(encoding="utf-8"))
    assert values["run"]["options"]["split"] == "train"
    with pytest.raises(InputError, match="no such folder of images"):
        program.main(flags(folder, *more))


def test_names_that_no_strip_can_have_are_refused_before_the_first_image(data, tmp_path):
    longest = f"0001_{'x' * 122}.png"
    names = [*data.pairs.itertuples(index=False, name=None), (NAMES[0], longest), (longest, longest.replace("x", "y"))]
    pairs = dataclasses.replace(data, pairs=pd.DataFrame(names, columns=["from", "to"]))
    message = r"would have a name of 267 bytes, and a file system takes at most 255; shorten the names of the images"
    with pytest.raises(InputError, match=message):
        generate(fake_generator(), pairs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_program_refuses_what_cannot_work_at_once(folder):
    with pytest.raises(InputError, match="--generator_checkpoint is missing"):
        program.main(flags(folder))
    with pytest.raises(InputError, match="metric 'fame' is not known"):
        program.main(flags(folder, "--load_generated_images", 1, "--metrics", "ssim,fame"))
    with pytest.raises(InputError, match=r"--inception_graph: absent.pb: no such file"):
        program.main(flags(folder, "--load_generated_images", 1, "--inception_graph", "absent.pb"))
    (folder / "notes.csv").write_text("a,b\n")
    with pytest.raises(InputError, match=r"notes.csv: not a table of scores \(images,pairs,…\); give another file"):
        program.main(flags(folder, "--load_generated_images", 1, "--append_to", folder / "notes.csv"))
    with pytest.raises(InputError, match=r"--report r.pdf: the name must end in .html"):
        program.main(flags(folder, "--load_generated_images", 1, "--report", "r.pdf"))
    with pytest.raises(SystemExit, match="2"):
        program.main(flags(folder, "--images_for_test", 0))
