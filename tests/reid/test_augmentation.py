"""The augmentation of a training set: its files are right, and do not depend on shards, kills and the order of rows."""

from __future__ import annotations

import csv
import dataclasses
import errno
import os
import shutil
from collections import namedtuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from crashes import Killed, Mortal
from PIL import Image

from pose_gan.config import ModelConfig
from pose_gan.data.shards import Shard
from pose_gan.errors import InputError
from pose_gan.files.images import read_image
from pose_gan.files.lock import LOCK, only_program
from pose_gan.model_files.saving import save_model
from pose_gan.networks import build_generator
from pose_gan.poses.drawing import to_uint8
from pose_gan.poses.keypoints import read_annotations, write_annotations
from pose_gan.poses.skeleton import COCO18
from pose_gan.programs import reid_augment
from pose_gan.reid.augmentation import augment, merge, needs_of
from pose_gan.reid.augmentation_plan import plan_augmentation
from pose_gan.reid.images import generated_name, read_images

GAIN = -0.5


@pytest.fixture(scope="module")
def generator() -> keras.Model:
    """The source image times `GAIN`, brighter the lower the target's first joint stands."""
    image = keras.Input((96, 64, 3), name="source_image")
    poses = [keras.Input((COCO18.num_joints, 2), name=f"{side}_keypoints") for side in ("source", "target")]
    offset = keras.layers.Lambda(lambda pose: pose[:, :1, :1, None] / 200, output_shape=(1, 1, 1))(poses[1])
    output = keras.layers.Add()([keras.layers.Rescaling(GAIN)(image), offset])
    return keras.Model([image, *poses], output)


@pytest.fixture
def plan_of(tiny_data):
    return lambda **changes: plan_augmentation(
        **{
            "images": tiny_data.root / "train",
            "annotations": tiny_data.annotations(),
            "image_size": tiny_data.image_size,
            "per_image": 3,
            **changes,
        }
    )


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix == ".jpg"}


def rows_of(folder) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "augmentation.csv").open()))


def test_each_image_is_its_source_in_the_pose_of_another_image(tiny_data, plan_of, generator, tmp_path):
    out = tmp_path / "out"
    assert augment(generator, plan_of(), out, quality=100) == 27
    rows, real = rows_of(out), {path.name for path in tiny_data.images()}
    assert contents(out).keys() == real | {row["file"] for row in rows}
    assert [row["file"] for row in rows] == [generated_name(name, k) for name in sorted(real) for k in range(3)]
    keypoints = read_annotations(tiny_data.annotations())
    for row in rows:
        assert row["source"] != row["target"]
        assert row["person"] == row["source"][:4]
        source = read_image(tiny_data.root / "train" / row["source"]) / 127.5 - 1
        y = keypoints.keypoints[keypoints.rows[row["target"]], 0, 0]
        expected = to_uint8(GAIN * source + y / 200).astype(int)
        error = np.abs(read_image(out / row["file"]) - expected)  # of a JPEG of quality 100
        assert error.mean() < 1
        assert error.max() < 8
    assert len({(row["source"], row["target"]) for row in rows}) == len(rows)  # no pose twice
    images = read_images(out)
    assert images.generated.sum() == 27
    assert dict(zip(images.names, images.people.tolist(), strict=True)) | {
        row["file"]: int(row["person"]) for row in rows
    } == dict(zip(images.names, images.people.tolist(), strict=True))


def test_targets_are_of_any_person_and_follow_the_seed(plan_of):
    pairs = plan_of(per_image=8).data.pairs
    for source, targets in pairs.groupby("from")["to"]:
        assert sorted([source, *targets]) == sorted(set(pairs["from"]))  # all others, each once
    first, again, other = plan_of(), plan_of(), plan_of(seed=1)
    assert first.data.pairs.equals(again.data.pairs)
    assert not first.data.pairs.equals(other.data.pairs)
    assert len(plan_of(per_image=50).files) == 9 * 8  # there are no more


def test_the_order_of_the_annotations_does_not_matter(tiny_data, plan_of):
    before = plan_of().data.pairs
    known = read_annotations(tiny_data.annotations())
    write_annotations(tiny_data.annotations(), known.names[::-1], known.keypoints[::-1])
    assert plan_of().data.pairs.equals(before)


def test_shards_make_the_files_of_the_whole(plan_of, generator, tmp_path):
    plan = plan_of()
    augment(generator, plan, tmp_path / "whole", batch_size=4)
    whole = contents(tmp_path / "whole")
    made = [augment(generator, plan, tmp_path / "shards", Shard(k, 3), 4) for k in (3, 1, 2)]
    assert sum(made) == 27
    assert min(made) > 0
    assert contents(tmp_path / "shards") == whole
    apart = [
        contents(tmp_path / f"apart{k}")
        for k in (1, 2, 3)
        if augment(generator, plan, tmp_path / f"apart{k}", Shard(k, 3), 4)
    ]
    assert sum(map(len, apart)) == len(whole)
    assert apart[0] | apart[1] | apart[2] == whole
    merge(generator, plan, tmp_path / "shards", 3, 4)
    for k in (1, 2, 3):
        shutil.copytree(tmp_path / f"apart{k}", tmp_path / "copied", dirs_exist_ok=True)
    merge(generator, plan, tmp_path / "copied", 3, 4)
    for place in ("shards", "copied"):
        assert {path.name for path in (tmp_path / place).iterdir()} == {
            path.name for path in (tmp_path / "whole").iterdir()
        }


def test_a_merge_tells_what_is_missing_and_of_which_shard(plan_of, generator, tmp_path):
    plan, out = plan_of(), tmp_path / "out"
    with pytest.raises(InputError, match="out: no such folder; run the command with --shard 1/3"):
        merge(generator, plan, out, 3, 4)
    for k in (1, 3):
        augment(generator, plan, out, Shard(k, 3), 4)
    with pytest.raises(InputError, match=r"1 of 3 shards are missing: 2/3 \(no augmentation.2-of-3.json\)"):
        merge(generator, plan, out, 3, 4)
    augment(generator, plan, out, Shard(2, 3), 4)
    (out / plan.files[-1]).unlink()
    cut = out / plan.files[0]
    cut.write_bytes(cut.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"2 of 27 generated images are missing \(1 of shard 1/3, 1 of shard 3/3\)"):
        merge(generator, plan, out, 3, 4)
    augment(generator, plan, out, Shard(1, 3), 4)
    augment(generator, plan, out, Shard(3, 3), 4)
    (out / plan.real[1]).unlink()
    with pytest.raises(InputError, match=rf"{plan.real[1]}: no such file \(1 real images of shard 2/3 are missing\)"):
        merge(generator, plan, out, 3, 4)
    with Shard(3, 3).alone(out), pytest.raises(InputError, match=r"shard 3/3 of .*: in use by process"):
        merge(generator, plan, out, 3, 4, real="none")
    merge(generator, plan, out, 3, 4, real="none")
    assert [path.name for path in out.glob("*.json")] == ["augmentation.json"]


def test_a_shard_of_other_settings_that_was_copied_in_is_refused(plan_of, generator, tmp_path):
    """The record of the last folder that was copied lies over those of the others."""
    for k, seed in ((2, 1), (1, 0)):
        augment(generator, plan_of(seed=seed), tmp_path / f"out{k}", Shard(k, 2), 4)
        shutil.copytree(tmp_path / f"out{k}", tmp_path / "out", dirs_exist_ok=True)
    with pytest.raises(
        InputError, match=r"made with another seed; give the same settings, which augmentation.2-of-2.json"
    ):
        merge(generator, plan_of(), tmp_path / "out", 2, 4)


def test_after_a_kill_it_goes_on_and_ends_with_the_same_files(plan_of, generator, tmp_path):
    plan, out = plan_of(), tmp_path / "out"
    augment(generator, plan, tmp_path / "whole", batch_size=4)
    mortal, kept = Mortal(out), []
    for moment in (5, 60, 50):
        with mortal.killed_at(moment), pytest.raises((Killed, Exception)):
            augment(generator, plan, out, batch_size=4)
        kept.append({path: path.stat().st_mtime_ns for path in out.glob("*g?.jpg")})
    assert 0 < len(kept[1]) < len(kept[2]) < 27
    assert augment(generator, plan, out, batch_size=4) == 27 - len(kept[2])
    assert contents(out) == contents(tmp_path / "whole")
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in kept[2].items())  # not made again
    assert not list(out.glob("*.part")) + list(out.glob(".*.part"))
    assert augment(generator, plan, out, batch_size=4) == 0


def test_a_file_without_its_end_is_made_again(plan_of, generator, tmp_path):
    plan, out = plan_of(), tmp_path / "out"
    augment(generator, plan, out)
    before = contents(out)
    cut, empty = out / plan.files[0], out / plan.files[9]
    cut.write_bytes(cut.read_bytes()[:-20])
    empty.write_bytes(b"")
    assert augment(generator, plan, out) == 2
    assert contents(out) == before


def test_images_without_person_or_pose_are_neither_source_nor_target(tiny_data, plan_of, generator, tmp_path):
    train = tiny_data.root / "train"
    for name in ("-1_c1_1.jpg", "0000_c1_1.jpg", "0003_c2_9.jpg"):
        shutil.copy(tiny_data.images()[0], train / name)
    known = read_annotations(tiny_data.annotations())
    keypoints = np.concatenate([known.keypoints, known.keypoints[:2]])
    keypoints[3, COCO18.index("Rhip")] = -1
    write_annotations(tiny_data.annotations(), [*known.names, "-1_c1_1.jpg", "0000_c1_1.jpg"], keypoints)
    plan = plan_of()
    used = set(plan.data.pairs.to_numpy().ravel())
    assert used == set(known.names) - {known.names[3]}
    assert list(plan.left_out.values()) == [1, 1, 1, 1]
    for reason in ("person is -1", "person is 0 ", "has no keypoints of them", "a joint of .*Rhip"):
        assert any(reason.split(".*")[0] in rule for rule in plan.left_out), reason
    augment(generator, plan, tmp_path / "out")
    assert set(plan.real) <= contents(tmp_path / "out").keys()  # the real images are all there
    assert not any(name.startswith(("-1", "0000")) and "g" in name[:-4] for name in contents(tmp_path / "out"))


def test_people_of_the_test_stay_out(plan_of):
    plan = plan_of(test_share=0)
    assert len(set(plan.people)) == 3
    with pytest.raises(InputError, match="no person of the test is seen by two cameras"):
        plan_of(test_share=0.4)


def test_people_of_the_test_stay_out_of_poses_too(tiny_data, plan_of):
    train = tiny_data.root / "train"
    for path in tiny_data.images()[::3]:  # another camera for each person
        path.rename(path.with_name(path.name.replace("_c1_", "_c2_")))
        tiny_data.edit(tiny_data.annotations(), path.name, path.name.replace("_c1_", "_c2_"))
    plan = plan_of(test_share=0.34)
    assert len(set(plan.people)) == 2
    assert len(plan.files) == 2 * 3 * 3
    assert {name[:4] for name in plan.data.names} == set(plan.people)
    assert plan.left_out == {"their people are of the test": 3}
    assert plan.data.images_dir == train


def test_markets_folder_of_folders(tiny_data, plan_of, generator, tmp_path):
    market = tmp_path / "Market"
    for part in ("bounding_box_train", "query", "bounding_box_test"):
        shutil.copytree(tiny_data.root / "train", market / part)
    out = tmp_path / "out"
    assert augment(generator, plan_of(images=market), out) == 27
    assert len(contents(out / "bounding_box_train")) == 36
    assert (out / "query" / "0001_c1_1.jpg").stat().st_nlink == 2
    assert len(list((out / "bounding_box_test").glob("*.jpg"))) == len(list((market / "query").glob("*.jpg")))
    assert (out / "augmentation.csv").exists()


@pytest.mark.parametrize(("real", "links", "count"), [("link", 2, 36), ("copy", 1, 36), ("none", 0, 27)])
def test_real_images_are_linked_or_copied_or_left_out(tiny_data, plan_of, generator, tmp_path, real, links, count):
    augment(generator, plan_of(), tmp_path / "out", real=real)
    assert len(contents(tmp_path / "out")) == count
    first = tmp_path / "out" / tiny_data.images()[0].name
    assert (first.stat().st_nlink if first.exists() else 0) == links


def test_where_links_cannot_be_made_real_images_are_copied(tiny_data, plan_of, generator, tmp_path, monkeypatch):
    def no_link(*_):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", no_link)
    augment(generator, plan_of(), tmp_path / "out")
    first = tiny_data.images()[0]
    assert (tmp_path / "out" / first.name).read_bytes() == first.read_bytes()


# ------------------------------------------------------------------------------------- refusals


def test_a_folder_of_other_settings_is_refused(tiny_data, plan_of, generator, tmp_path):
    out = tmp_path / "out"
    augment(generator, plan_of(), out)
    before = contents(out)
    other = keras.Model(generator.inputs, keras.layers.Rescaling(0.5)(generator.output))
    for model, plan, quality, named in (
        (other, plan_of(), 95, "generator"),
        (generator, plan_of(seed=1), 95, "seed"),
        (generator, plan_of(per_image=2), 95, "per_image"),
        (generator, plan_of(), 80, "quality"),
    ):
        with pytest.raises(InputError, match=f"made with another {named}; give the same settings"):
            augment(model, plan, out, quality=quality)
    Image.new("RGB", (64, 96), "red").save(tiny_data.images()[0], quality=30)
    with pytest.raises(InputError, match=r"made with another images; give"):
        augment(generator, plan_of(), out)
    before.pop(tiny_data.images()[0].name)
    assert before.items() <= contents(out).items()


def test_strange_folders_are_not_touched(tiny_data, plan_of, generator, tmp_path):
    with pytest.raises(InputError, match=r"train: is the folder of the real images; give another one"):
        augment(generator, plan_of(), tiny_data.root / "train")
    with pytest.raises(InputError, match=r"holds images that were not made here \(0001_c1_1.jpg\)"):
        augment(generator, plan_of(), tiny_data.root / "test")
    out = tmp_path / "out"
    out.mkdir()
    (out / "augmentation.json").write_text("{")
    with pytest.raises(InputError, match=r"augmentation.json: cannot be read: .*; give another folder"):
        augment(generator, plan_of(), out)


def test_a_shard_that_another_program_holds_is_refused(plan_of, generator, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with only_program(out / f".1-of-2{LOCK}"):
        with pytest.raises(InputError, match=r"shard 1/2 of .*out"):
            augment(generator, plan_of(), out, Shard(1, 2))
        assert augment(generator, plan_of(), out, Shard(2, 2)) > 0


def test_a_disk_that_is_too_small_is_found_beforehand(plan_of, generator, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 27 * 4096 - 1))
    with pytest.raises(InputError, match=r"27 images need about [1-9].* MiB, and .* are free; make room"):
        augment(generator, plan_of(), tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.jpg"))


@pytest.mark.parametrize("name", ["0001_c1_1g0.jpg", "0001_c1_1.png"])
def test_two_images_of_one_name_are_refused(tiny_data, plan_of, name):
    first = tiny_data.images()[0]
    if name.endswith("png"):
        Image.open(first).save(first.with_name(name))
        known = read_annotations(tiny_data.annotations())
        write_annotations(tiny_data.annotations(), [*known.names, name], [*known.keypoints, known.keypoints[0]])
    else:
        shutil.copy(first, first.with_name(name))
    with pytest.raises(InputError, match=r"two images would have the name 0001_c1_1g0.jpg: .*rename the images"):
        plan_of()


def test_too_few_images_and_impossible_numbers_are_refused(tiny_data, plan_of):
    for path in tiny_data.images()[1:]:
        path.unlink()
    with pytest.raises(InputError, match="train: 1 valid images; an augmentation needs two or more"):
        plan_of()
    with pytest.raises(InputError, match="per_image must be 1 or more"):
        plan_of(per_image=0)
    with pytest.raises(InputError, match="shard 3/2: it must be K/N"):
        Shard(3, 2)


def test_a_generator_that_diverged_is_named(plan_of, generator, tmp_path):
    broken = keras.Model(generator.inputs, keras.layers.Rescaling(float("nan"))(generator.output))
    with pytest.raises(InputError, match=r"g\d.jpg: the generator's output is not an image: .*earlier checkpoint"):
        augment(broken, plan_of(), tmp_path / "out")


# ------------------------------------------------------------------------------------- the verb


def test_a_batch_that_does_not_fit_into_memory(generator, plan_of, tmp_path, monkeypatch):
    def exhausted(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    monkeypatch.setattr("pose_gan.reid.augmentation.generate_missing", exhausted)
    with pytest.raises(InputError, match="--batch_size 9: does not fit into memory; give a smaller one"):
        augment(generator, plan_of(), tmp_path / "out", batch_size=9)


def test_the_verb(tiny_data, tmp_path, capsys):
    model = build_generator(ModelConfig(image_size=tiny_data.image_size, width=0.02))
    save_model(model, tmp_path / "generator.keras")
    assert needs_of(model).image_size == tiny_data.image_size
    with pytest.raises(InputError, match=r"--skeleton: the generator was trained with the skeleton"):
        needs_of(model, dataclasses.replace(COCO18, name="other"))
    words = f"--images {tiny_data.root}/train --annotations {tiny_data.annotations()} --per_image 2 --batch_size 4"
    words += f" --generator {tmp_path}/generator.keras --output_dir {tmp_path}/out"
    assert reid_augment.main([*words.split(), "--shard", "2/2"]) == 0
    shown = capsys.readouterr().out
    assert "9 images in" in shown
    assert "9 sources of 3 persons, 2 target poses each: 18 images" in shown
    assert "shard 2/2: 10 images generated in " in shown
    assert len(rows_of(tmp_path / "out")) == 18
    with pytest.raises(InputError, match=r"1 of 2 shards are missing: 1/2"):
        reid_augment.main([*words.split(), "--merge", "2"])
    reid_augment.main([*words.split(), "--shard", "1/2"])
    assert reid_augment.main([*words.split(), "--merge", "2"]) == 0
    assert "all 2 shards are there and whole" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"none.csv: no such file; pose-gan data annotate"):
        reid_augment.main([*words.split(), "--annotations", "none.csv"])
