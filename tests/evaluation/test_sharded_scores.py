"""Shards of `pose-gan evaluate` and `pose-gan test`: together they write what one program writes, or are refused."""

from __future__ import annotations

import json
import shutil
from typing import Any

import imageio.v3 as iio
import keras
import numpy as np
import pytest

from pose_gan.config import ModelConfig
from pose_gan.data.pair_data import open_pairs
from pose_gan.data.shards import Shard
from pose_gan.errors import InputError
from pose_gan.evaluation import generation, scoring
from pose_gan.evaluation.generation import check_generated, generate
from pose_gan.evaluation.strip_names import strip_name
from pose_gan.metrics import METRICS, CannotCompute, MetricSpec, PerImage
from pose_gan.model_files.saving import save_model
from pose_gan.networks import build_generator
from pose_gan.poses.drawing import strip
from pose_gan.poses.keypoints import write_annotations
from pose_gan.poses.skeleton import COCO18
from pose_gan.programs import evaluate, test

SIZE = (56, 52)
NAMES = [f"{person:04d}_{side}.jpg" for person in range(7) for side in "ab"]
PAIRS = list(zip(NAMES[::2], NAMES[1::2], strict=True))
SCORES = ("metrics.json", "metrics.csv", "metrics_per_pair.csv")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """`strips/` of seven pairs, `own-annotation-test.csv`, and batches of two."""
    monkeypatch.setattr(scoring, "BATCH", 2)
    monkeypatch.setattr(generation, "BATCH", 2)
    random = np.random.default_rng(0)
    (tmp_path / "strips").mkdir()
    for pair in PAIRS:
        images = random.integers(0, 256, (3, *SIZE, 3), dtype=np.uint8)
        iio.imwrite(tmp_path / "strips" / strip_name(*pair), strip(*images))
    poses = random.integers(0, SIZE, (len(NAMES), COCO18.num_joints, 2))
    write_annotations(tmp_path / "own-annotation-test.csv", NAMES, poses)
    return tmp_path


def run(folder, *more, to="scores"):
    words = [folder / "strips", "--annotations", folder / "own-annotation-test.csv", "--output_dir", folder / to, *more]
    evaluate.main([*map(str, words)])


def files(folder) -> dict[str, Any]:
    """The files of scores; the command, which names its flags, is left out."""
    found: dict[str, Any] = {
        path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".json", ".csv")
    }
    values = json.loads(found["metrics.json"])
    values["run"].pop("command")
    return found | {"metrics.json": values}


def test_shards_write_the_files_of_one_program(folder, capsys):
    flags = ["--real", 1, "--metrics", "all", "--identity_network", "colours", "--append_to", folder / "t.csv"]
    run(folder, *flags)
    whole = files(folder / "scores")
    assert set(whole) == set(SCORES)
    shutil.rmtree(folder / "scores")
    for number in (3, 1, 2):
        run(folder, *flags, "--shard", f"{number}/3")
    shown = capsys.readouterr().out
    assert "shard 2/3: 2 of 7 pairs scored -> " in shown
    assert "the same command with --merge 3 in place of --shard 2/3" in shown
    assert not (folder / "scores/metrics.json").exists()
    run(folder, *flags, "--merge", 3)
    assert files(folder / "scores") == whole
    first, second = (folder / "t.csv").read_text().splitlines()[1:]
    assert first == second
    with pytest.raises(InputError, match=r"3 of 3 shards are missing: .*a merge that succeeded deletes these files"):
        run(folder, *flags, "--merge", 3)


def test_more_shards_than_batches(folder):
    run(folder)
    whole = files(folder / "scores")
    for number in range(1, 8):
        run(folder, "--shard", f"{number}/7")
    run(folder, "--merge", 7)
    assert files(folder / "scores") == whole


def test_pairs_of_two_persons_are_known_from_the_whole_list(folder):
    """A shard of such pairs alone has no scores against targets; it does not spoil those of the others."""
    for pair in ((NAMES[0], NAMES[3]), (NAMES[0], NAMES[5])):  # the second and third strip
        shutil.copy(folder / "strips" / strip_name(*PAIRS[0]), folder / "strips" / strip_name(*pair))
    flags = ["--person", "^....", "--metrics", "ssim,checkerboard"]
    run(folder, *flags)
    whole = files(folder / "scores")
    assert whole["metrics.json"]["pairs_of_two_persons"] == 2
    for number in range(1, 6):
        run(folder, *flags, "--shard", f"{number}/5")
    run(folder, *flags, "--merge", 5)
    assert files(folder / "scores") == whole


def test_a_metric_that_gives_up_in_one_shard_gives_up(folder, monkeypatch):
    def score(batch):
        if batch.pairs[0] == PAIRS[4]:
            raise CannotCompute("this pair is too odd")
        return np.ones(len(batch))

    spec = MetricSpec("odd", "Odd", True, lambda options: PerImage(score), {"kind": ("odd", 1)}, "none")
    monkeypatch.setitem(METRICS, "odd", spec)
    flags = ["--metrics", "odd,l1"]
    run(folder, *flags)
    whole = files(folder / "scores")
    assert "this pair is too odd" in whole["metrics.csv"].decode()
    for number in (1, 2, 3):
        run(folder, *flags, "--shard", f"{number}/3")
    run(folder, *flags, "--merge", 3)
    assert files(folder / "scores") == whole


@pytest.fixture
def shards(folder):
    """The files of three shards."""
    for number in (1, 2, 3):
        run(folder, "--metrics", "l1", "--shard", f"{number}/3")
    return folder / "scores"


def lose(folder):
    (folder / "scores/metrics.2-of-3.npz").unlink()


def double(folder):
    shutil.copy(folder / "scores/metrics.1-of-3.npz", folder / "scores/metrics.2-of-3.npz")


def divide_again(folder):
    run(folder, "--metrics", "l1", "--shard", "1/2")


def more_pairs(folder):
    shutil.copy(folder / "strips" / strip_name(*PAIRS[0]), folder / "strips" / strip_name(NAMES[1], NAMES[0]))


def other_pairs(folder):
    (folder / "strips" / strip_name(*PAIRS[0])).rename(folder / "strips" / strip_name(*PAIRS[0][::-1]))


def other_persons(folder):
    run(folder, "--metrics", "l1", "--shard", "2/3", "--person", "^....")


def other_metrics(folder):
    run(folder, "--metrics", "psnr", "--shard", "2/3")


def other_rows(folder):
    run(folder, "--metrics", "l1", "--shard", "2/3", "--real", "1")


def other_poses(folder):
    path = folder / "own-annotation-test.csv"
    write_annotations(path, NAMES, np.ones((len(NAMES), COCO18.num_joints, 2), int))


def other_images(folder):
    (folder / "strips/generation.json").write_text('{"generator": "abc"}')


def damage(folder):
    path = folder / "scores/metrics.2-of-3.npz"
    path.write_bytes(path.read_bytes()[:-30])


def forge(folder):
    path = folder / "scores/metrics.2-of-3.npz"
    arrays = dict(np.load(path))
    del arrays["generated/l1/values"]
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lose, r"1 of 3 shards are missing: 2/3 \(no metrics.2-of-3.npz\); run the command with --shard 2/3, or copy"),
        (double, r"metrics.2-of-3.npz: holds shard 1/3, which would count twice; run the command with --shard 2/3"),
        (divide_again, r"metrics.1-of-2.npz: is of another number of shards than the 3 to be merged; delete it"),
        (
            more_pairs,
            r"metrics.1-of-3.npz: shard 1/3 was made with another number of pairs .* \(7, here 8\) and \d more",
        ),
        (other_pairs, r"metrics.1-of-3.npz: shard 1/3 was made with another list of pairs than this command has"),
        (other_persons, r"metrics.2-of-3.npz: shard 2/3 was made with another rule for persons than this command has"),
        (
            other_metrics,
            r"metrics.2-of-3.npz: shard 2/3 was made with another metric generated/l1 than this command has",
        ),
        (other_rows, r"metrics.2-of-3.npz: shard 2/3 was made with another metric real/l1 .* here None"),
        (other_poses, r"metrics.1-of-3.npz: shard 1/3 was made with another keypoints than"),
        (other_images, r"shard 1/3 was made with another generator of the generation than .* \(None, here abc\)"),
        (damage, r"metrics.2-of-3.npz: damaged, or no .npz file of arrays"),
        (forge, r"metrics.2-of-3.npz: damaged \('values'\); run the command with --shard 2/3 again"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_shards_that_do_not_belong_together_are_refused(folder, shards, spoil, message):
    spoil(folder)
    before = {path.name: path.read_bytes() for path in shards.iterdir()}
    with pytest.raises(InputError, match=message):
        run(folder, "--metrics", "l1", "--merge", 3)
    assert {path.name: path.read_bytes() for path in shards.iterdir()} == before


def test_versions_and_shards_at_work_are_told(folder, shards, monkeypatch):
    with Shard(3, 3).alone(shards), pytest.raises(InputError, match=rf"shard 3/3 of {shards}: in use by process"):
        run(folder, "--metrics", "l1", "--merge", 3)
    monkeypatch.setattr("pose_gan.evaluation.sharded_scores.versions", lambda: {"keras": "9"})
    with pytest.raises(InputError, match=r"another version of keras than this command has \(3.*, here 9\) and \d more"):
        run(folder, "--metrics", "l1", "--merge", 3)


def test_files_of_metrics_are_compared_by_what_is_in_them(folder, shards, monkeypatch):
    """They may lie elsewhere on another machine."""
    monkeypatch.setattr("pose_gan.metrics.fid.folder_moments", lambda *_: None)
    for name, size in (("here", 9), ("there", 9), ("other", 8)):
        (folder / name).mkdir()
        (folder / name / "a.jpg").write_bytes(bytes(size))
    for number, place in ((1, "here"), (2, "there"), (3, "here")):
        run(folder, "--metrics", "l1", "--fid_reference", folder / place, "--shard", f"{number}/3")
    with pytest.raises(InputError, match="another file of --fid_reference than"):
        run(folder, "--metrics", "l1", "--fid_reference", folder / "other", "--merge", 3)
    run(folder, "--metrics", "l1", "--fid_reference", folder / "there", "--merge", 3)


@pytest.mark.parametrize("words", [["--shard", "0/2"], ["--shard", "3/2"], ["--shard", "1"], ["--merge", "0"]])
def test_bad_flags(folder, words, capsys):
    for more in (words, ["--shard", "1/2", "--merge", "2"]):
        with pytest.raises(SystemExit, match="2"):
            run(folder, *more)
    assert "not allowed with argument" in capsys.readouterr().err


# ---------------------------------------------------------------------------------- generation


def blended_generator(size=(96, 64), gain=-0.5):
    """The image of a pair depends on the others in its batch, as the last bits of a network's may."""
    image = keras.Input((*size, 3), name="source_image")
    poses = [keras.Input((COCO18.num_joints, 2), name=f"{side}_keypoints") for side in ("source", "target")]
    layer = keras.layers.Dense(3, use_bias=False, kernel_initializer=keras.initializers.Identity(gain))
    offset = keras.layers.Lambda(lambda pose: pose[:, :1, :1, None] / 1000, output_shape=(1, 1, 1))(poses[1])
    blend = keras.layers.Lambda(lambda x: 0.7 * x + 0.3 * keras.ops.mean(x, 0, keepdims=True), output_shape=(*size, 3))
    return keras.Model([image, *poses], blend(keras.layers.Add()([layer(image), offset])))


def contents(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("shared", [True, False])
def test_shards_generate_the_strips_of_one_program(tiny_data, tmp_path, monkeypatch, shared):
    """In one folder, or in three that are copied together; 18 pairs in batches of 4."""
    monkeypatch.setattr(generation, "BATCH", 2)
    data, generator = open_pairs(tiny_data.config, "test", tiny_data.image_size), blended_generator()
    assert generate(generator, data, tmp_path / "whole", 4) == 18
    places = [tmp_path / ("out" if shared else f"out{number}") for number in (1, 2, 3)]
    made = [generate(generator, data, place, 4, shard=Shard(k, 3)) for k, place in enumerate(places, start=1)]
    assert made == [4, 8, 6]
    if not shared:
        for place in places:
            shutil.copytree(place, tmp_path / "out", dirs_exist_ok=True)
    check_generated(generator, data, tmp_path / "out", 3, 4)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert generate(generator, data, tmp_path / "out", 4) == 0


def test_strips_that_are_missing_or_of_another_generator_are_told(tiny_data, tmp_path, monkeypatch):
    monkeypatch.setattr(generation, "BATCH", 2)
    data, generator = open_pairs(tiny_data.config, "test", tiny_data.image_size), blended_generator()
    out = tmp_path / "out"
    with pytest.raises(InputError, match=r"18 of 18 strips are missing \(4 of shard 1/3, 8 of .*, 6 of shard 3/3\)"):
        check_generated(generator, data, out, 3, 4)
    for number in (1, 3):
        generate(generator, data, out, 4, shard=Shard(number, 3))
    with pytest.raises(
        InputError, match=r"8 of 18 strips are missing \(8 of shard 2/3\); run the .* --shard 2/3, or copy"
    ):
        check_generated(generator, data, out, 3, 4)
    other = blended_generator(gain=0.5)
    with pytest.raises(InputError, match="its strips were generated with another generator; give the same flags"):
        check_generated(other, data, out, 3, 4)
    with pytest.raises(InputError, match="holds images that were generated with another generator;"):
        generate(other, data, out, 4, shard=Shard(2, 3))
    with pytest.raises(InputError, match="dropout makes other images in shards"):
        generate(generator, data, out, 4, dropout=True, shard=Shard(2, 3))
    with Shard(1, 3).alone(out):
        for call in (
            lambda: generate(other, data, out, 4, overwrite=True, shard=Shard(2, 3)),
            lambda: generate(generator, data, out, 4),
            lambda: check_generated(generator, data, out, 3, 4),
        ):
            with pytest.raises(InputError, match=rf"shard 1/3 of {out}: in use by process"):
                call()
        assert generate(generator, data, out, 4, shard=Shard(2, 3)) == 8
    assert generate(other, data, out, 4, overwrite=True, shard=Shard(1, 3)) == 4
    assert len(list(out.glob("*.png"))) == 4


def test_the_verb_test_in_shards(tiny_data, tmp_path, monkeypatch, capsys):
    """A real generator: strips and scores of three shards in folders of their own are those of one program."""
    monkeypatch.setattr(scoring, "BATCH", 2)
    monkeypatch.setattr(generation, "BATCH", 2)
    save_model(
        build_generator(ModelConfig(image_size=tiny_data.image_size, width=0.02, warp_skip="none")),
        tmp_path / "g.keras",
    )
    words = ["--dataset", "tiny", "--images_dir", tiny_data.root, "--annotations_dir", tiny_data.root]
    words += ["--generator_checkpoint", tmp_path / "g.keras", "--batch_size", 4, "--metrics", "ssim,l1,identity"]
    words += ["--identity_network", "colours"]

    def call(place, *more):
        test.main([*map(str, [*words, "--generated_images_dir", place, *more])])

    call(tmp_path / "out")
    whole, strips = files(tmp_path / "out"), contents(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    for number in (1, 2, 3):
        call(tmp_path / f"out{number}", "--shard", f"{number}/3")
    assert "shard 3/3: 6 of 18 pairs scored" in capsys.readouterr().out
    for number in (1, 2, 3):
        shutil.copytree(tmp_path / f"out{number}", tmp_path / "out", dirs_exist_ok=True)
    call(tmp_path / "out", "--merge", 3)
    assert files(tmp_path / "out") == whole
    merged = contents(tmp_path / "out")
    assert {name for name in merged if merged[name] != strips.get(name)} == {"metrics.json"}  # its command and folder
    assert merged.keys() == strips.keys()
    with pytest.raises(
        InputError, match=r"--use_dropout_test 1: its noise follows the order .* leave --shard and --merge"
    ):
        call(tmp_path / "out", "--shard", "1/2", "--use_dropout_test", 1)
