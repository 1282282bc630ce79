"""`pose-gan study prepare`: which images a study shows, and in what form."""

from __future__ import annotations

import csv
import errno
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import studies
from PIL import Image

from pose_gan.errors import InputError
from pose_gan.programs import study_prepare
from pose_gan.study import prepare as prepare_module
from pose_gan.study.plan import read_study, trials_of
from pose_gan.study.sources import named

FEW = ["--count_real", "4", "--count_generated", "4", "--practice", "2"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_paper_is_the_default(tmp_path):
    study = studies.prepare(tmp_path, count=120)
    kinds = Counter((image.part, image.kind) for image in study.images.values())
    assert kinds == {
        ("main", "real"): 55,
        ("main", "generated"): 55,
        ("practice", "real"): 5,
        ("practice", "generated"): 5,
    }
    assert (study.study.display_ms, study.study.protocol, study.study.remarks) == (1000, "paper", ())
    shown = [trial.part for trial in trials_of(study, 1)]
    assert shown == ["practice"] * 10 + ["main"] * 110


def test_pixels_are_those_of_the_strips(tmp_path):
    """Each number shows what the key says: the target of a strip, or what was generated."""
    study = studies.prepare(tmp_path, *FEW, "--comparisons", "2", systems=2)
    for number, image in study.images.items():
        pixels = np.asarray(Image.open(study.image_path(number)))
        part = 100 if not image.system else 200 + int(image.system[-1])
        np.testing.assert_array_equal(pixels, studies.picture([int(image.target[1:3]), part]))
        assert image.source == ("" if not image.system else image.target.replace("b", "a"))


def test_comparisons_show_two_systems_and_their_target(tmp_path):
    study = studies.prepare(tmp_path, "--comparisons", "3", *FEW, systems=3, count=40)
    pairs = Counter((one.first_system, one.second_system) for one in study.comparisons.values())
    assert pairs == {("system1", "system2"): 3, ("system1", "system3"): 3, ("system2", "system3"): 3}
    for one in study.comparisons.values():
        images = [study.images[number] for number in (one.target, one.first, one.second)]
        assert len({image.target for image in images}) == 1
    assert study.study.remarks == ()


def test_nobody_sees_a_generated_image_and_its_target(tmp_path):
    """With 4 + 1 real targets, 4 + 1 generated and 2 compared, 12 strips just suffice, whatever the seed."""
    for seed in range(10):
        study = studies.prepare(tmp_path / str(seed), *FEW, "--seed", str(seed), "--comparisons", "2", systems=2)
        assert study.study.remarks == ()
        for rater in (1, 2):
            targets = [study.images[t.image].target for t in trials_of(study, rater) if t.image is not None]
            targets += [study.images[one.target].target for one in study.comparisons.values()]
            assert len(targets) == len(set(targets)) == 12


def test_systems_show_the_same_pairs_if_a_rater_sees_one(tmp_path):
    study = studies.prepare(tmp_path, *FEW, systems=2)
    first, second = ({image.target for image in study.of("main", "generated", f"system{n}")} for n in (1, 2))
    assert first == second


def test_systems_show_other_pairs_if_a_rater_sees_both(tmp_path):
    study = studies.prepare(tmp_path, *FEW, "--systems_per_rater", "2", systems=2, count=20)
    targets = [study.images[t.image].target for t in trials_of(study, 1) if t.image is not None]
    assert len(targets) == len(set(targets)) == 14


def test_too_few_targets_are_told(tmp_path, capsys):
    """Generated images share targets with each other before they share them with real images."""
    folder = tmp_path / "strips"
    studies.draw_strips(folder, 5)
    for number in range(5, 8):  # three more images of target 4
        pixels = np.hstack([studies.picture([number]), studies.picture([4, 100]), studies.picture([number, 200])])
        Image.fromarray(pixels).save(folder / f"a{number:02}.png_b04.png.png")
    words = ["--count_real", "3", "--count_generated", "3", "--practice", "0", "--seed", "2"]
    assert study_prepare.main([*words, "--strips", str(folder), "--output_dir", str(tmp_path / "study")]) == 0
    told = capsys.readouterr().out
    key = list(csv.DictReader((tmp_path / "study/key.csv").open()))
    real = {row["to"] for row in key if row["kind"] == "real"}
    beside = [row for row in key if row["kind"] == "generated" and row["to"] in real]
    if beside:
        assert f"whose targets are shown as real images: {len(beside)}." in told
    assert len(beside) == (1 if "b04.png" in real else 0)


def test_a_seed_repeats_every_byte(tmp_path, monkeypatch):
    folders = []
    for name, seed in (("one", "5"), ("two", "5"), ("three", "6")):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        studies.draw_strips(Path("strips"))
        study_prepare.main(["--strips", "strips", "--output_dir", "study", "--seed", seed, *FEW])
        folders.append(contents(Path("study").resolve()))
    assert folders[0] == folders[1]
    assert folders[0]["key.csv"] != folders[2]["key.csv"]


def test_files_tell_nothing(tmp_path):
    """Neither names nor metadata nor sizes differ between the classes, and numbers are mixed."""
    study = studies.prepare(tmp_path, count=120)
    names = sorted(path.name for path in (study.folder / "images").iterdir())
    assert names == [f"{number:04}.png" for number in range(1, 121)]
    for path in (study.folder / "images").iterdir():
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size, image.info) == ("PNG", "RGB", (8, 16), {})
    generated = [number for number, image in study.images.items() if image.system]
    assert 45 < np.mean(generated) < 76
    assert {path.name for path in study.folder.iterdir()} == {"images", "key.csv", "study.json"}


def test_sizes_are_made_alike_and_told(tmp_path, capsys):
    generated = tmp_path / "made"
    generated.mkdir()
    for number in range(4):
        Image.fromarray(studies.picture([number, 1])).save(generated / f"m{number}.png")
    real = tmp_path / "photos"
    real.mkdir()
    for number in range(5):
        Image.fromarray(studies.picture([number, 2], (32, 16))).save(real / f"p{number}.jpg", quality=95)
    words = ["--generated", str(generated), "--real", str(real), "--count_real", "4", "--count_generated", "4"]
    assert study_prepare.main([*words, "--practice", "0", "--output_dir", str(tmp_path / "study")]) == 0
    told = capsys.readouterr().out
    assert "resampled (Lanczos) to 16x8 pixels (height x width)" in told
    assert "real images, 4 images of 32x16." in told
    assert "Some images were JPEG files before, and raters might see its traces: 4 of 4 real images, 0 of 4" in told
    assert "names do not tell their targets, which may be among the real images: 4." in told
    record = json.loads((tmp_path / "study/study.json").read_text())["study"]
    assert record["image_size"] == [16, 8]
    assert len(record["remarks"]) == 3
    for path in (tmp_path / "study/images").iterdir():
        assert Image.open(path).size == (8, 16)


def test_names_of_generated_images_tell_their_targets(tmp_path):
    made, photos = tmp_path / "made", tmp_path / "photos"
    made.mkdir()
    photos.mkdir()
    for number in range(6):
        Image.fromarray(studies.picture([number, 2])).save(photos / f"p{number}.png")
        Image.fromarray(np.zeros((16, 8, 3), np.uint8)).save(photos / f"p{number}_BG.png")
    for number, name in enumerate(["p0.png", "p1.jpg.png", "x_p2.png", "s.jpg_p3.jpg.png"]):
        Image.fromarray(studies.picture([number, 1])).save(made / name)
    words = ["--generated", f"ours={made}", "--real", str(photos), "--count_real", "1", "--count_generated", "4"]
    study_prepare.main([*words, "--practice", "0", "--output_dir", str(tmp_path / "study")])
    rows = [row for row in csv.DictReader((tmp_path / "study/key.csv").open()) if row["system"] == "ours"]
    assert {(row["from"], row["to"]) for row in rows} == {
        ("p0.png", "p0.png"),
        ("p1.jpg.png", "p1.png"),
        ("x", "p2.png"),
        ("s.jpg", "p3.png"),
    }


def test_names_that_are_no_text(tmp_path):
    strips = studies.draw_strips(tmp_path / "s", 2)
    for path, name in zip(
        sorted(strips.iterdir()), (b"\xff.png_b.png.png", "ä\u2028,\n.png_c.png.png".encode()), strict=True
    ):
        path.rename(strips / os.fsdecode(name))
    words = ["--count_real", "0", "--count_generated", "2", "--practice", "0", "--strips", str(strips)]
    study_prepare.main([*words, "--output_dir", str(tmp_path / "study")])
    sources = {image.source for image in read_study(tmp_path / "study").images.values()}
    assert sources == {r"\udcff.png", "ä , .png"}


def test_flags_reach_the_study(tmp_path):
    (tmp_path / "words.txt").write_text("\ufeffLook at it.\n\nThen say.\n", encoding="utf-8")
    words = f"--display_ms 500 --scale 7 --answer_limit 2.5 --image_size 20x10 --introduction {tmp_path}/words.txt"
    study = studies.prepare(
        tmp_path, *words.split(), "--protocol", "pg2", "--count_real", "4", "--count_generated", "3"
    )
    settings = study.study
    assert (settings.display_ms, settings.scale, settings.answer_limit_s) == (500, 7, 2.5)
    assert settings.introduction == "Look at it.\n\nThen say."
    assert (settings.practice, settings.protocol, settings.image_size) == (0, "pg2", (20, 10))
    assert Image.open(study.image_path(1)).size == (10, 20)


# ------------------------------------------------------------------------------------- what is refused


def refused(tmp_path, message, *words):
    before = contents(tmp_path)
    with pytest.raises(InputError, match=message):
        study_prepare.main([*words, "--output_dir", str(tmp_path / "study")])
    assert contents(tmp_path) == before


def test_too_few_images(tmp_path):
    strips = str(studies.draw_strips(tmp_path / "s", 5))
    refused(tmp_path, "55 real images and 5 for practice are asked for, and there are 5; give more", "--strips", strips)
    words = ["--count_real", "2", "--practice", "0", "--strips", strips]
    refused(tmp_path, "55 generated images and 0 for practice are asked for, and s has 5", *words)
    assert not (tmp_path / "study").exists()


def test_comparisons_need_pairs_in_common(tmp_path):
    one = str(studies.draw_strips(tmp_path / "one", 12))
    two = studies.draw_strips(tmp_path / "two", 12, 2)
    for path in sorted(two.iterdir())[2:]:
        path.rename(path.with_name(f"x{path.name}"))
    words = [*FEW, "--comparisons", "3", "--strips", one, "--strips", str(two)]
    refused(tmp_path, "--comparisons 3: one and two have 2 pairs in common", *words)


def test_systems_of_other_pairs_are_told(tmp_path):
    one, two = studies.draw_strips(tmp_path / "one", 20), studies.draw_strips(tmp_path / "two", 20, 2)
    for path in two.iterdir():
        path.rename(path.with_name(f"x{path.name}"))
    words = [*FEW, "--strips", str(one), "--strips", str(two), "--output_dir", str(tmp_path / "study")]
    study_prepare.main(words)
    remarks = json.loads((tmp_path / "study/study.json").read_text())["study"]["remarks"]
    assert remarks == ["The systems show different pairs: all have 0 pairs in common, and 5 are needed."]


def test_doubled_names(tmp_path):
    one, two = studies.draw_strips(tmp_path / "a/s", 12), studies.draw_strips(tmp_path / "b/s", 12, 2)
    refused(tmp_path, "are both named s; give NAME=DIR", "--strips", str(one), "--strips", str(two))
    (one / "a00.png___b00.png.png").write_bytes((one / "a00.png_b00.png.png").read_bytes())
    refused(tmp_path, r"are both of the pair a00\.png -> b00\.png; move one away", "--strips", str(one))


def test_unreadable_images(tmp_path):
    strips = studies.draw_strips(tmp_path / "s", 5)
    path = next(strips.iterdir())
    path.write_bytes(path.read_bytes()[:700])
    words = ["--count_real", "5", "--count_generated", "5", "--practice", "0"]
    refused(tmp_path, f"{path.name}: cannot be read as an image", *words, "--strips", str(strips))


def test_a_real_image_among_the_generated(tmp_path):
    strips = studies.draw_strips(tmp_path / "s", 8)
    for number in range(8):
        parts = [studies.picture([number, part]) for part in (0, 100, 0)]
        parts[2] = studies.picture([(number + 1) % 8, 100])  # somebody else's target
        Image.fromarray(np.hstack(parts)).save(strips / f"a{number:02}.png_b{number:02}.png.png")
    words = ["--count_real", "4", "--count_generated", "4", "--practice", "0", "--strips"]
    refused(tmp_path, "a generated image of s has the pixels of the real image b0", *words, str(strips))


def test_a_study_is_never_replaced(tmp_path):
    study = studies.prepare(tmp_path, *FEW)
    studies.rate(study, {"real": 0.2, "system1": 0.5}, 2)
    strips = str(tmp_path / "system1")
    refused(tmp_path, "holds a study already, with the answers of 2 raters; give another folder", "--strips", strips)
    (study.folder / "study.json").unlink()
    refused(tmp_path, "study: is not empty; give the name of a new folder", "--strips", strips)


def test_an_empty_folder_is_taken_and_a_file_is_not(tmp_path):
    (tmp_path / "study").write_text("mine")
    strips = str(studies.draw_strips(tmp_path / "s"))
    refused(tmp_path, "study: is a file", "--strips", strips)
    (tmp_path / "study").unlink()
    (tmp_path / "study").mkdir()
    assert study_prepare.main([*FEW, "--strips", strips, "--output_dir", str(tmp_path / "study")]) == 0


def test_a_study_is_complete_or_absent(tmp_path, monkeypatch):
    strips = str(studies.draw_strips(tmp_path / "s"))
    before = contents(tmp_path)

    def fail(path, image):
        if path.name == "0007.png":
            raise OSError(errno.ENOSPC, "the disk is full")
        Image.fromarray(image).save(path)

    monkeypatch.setattr(prepare_module, "save_image", fail)
    with pytest.raises(OSError, match="full"):
        study_prepare.main([*FEW, "--strips", strips, "--output_dir", str(tmp_path / "study")])
    assert contents(tmp_path) == before
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give --strips DIR, or --generated DIR with --real DIR"),
        (["--generated", "{s}"], "--generated needs --real DIR"),
        (["--generated", "{s}", "--real", "{s}"], "is given as generated and as real"),
        (["--strips", "none"], "none: no such folder of images"),
        (["--strips", "a=none"], "none: no such folder of images"),
        (["--strips", "={s}"], "a name has 1 to 40 characters"),
        (["--strips", "{s}", "--real", "none"], "none: no such folder of images"),
        (["--strips", "{s}", "--introduction", "none"], "--introduction none: cannot be read as a text"),
        (["--strips", "{s}", "--systems_per_rater", "2"], "systems_per_rater is 2, but there are 1"),
        (["--strips", "{s}", "--count_real", "0", "--count_generated", "0"], "so there is nothing to judge"),
        (["--generated", "{e}", "--real", "{s}"], "holds no images"),
    ],
)
def test_flags_that_do_not_fit(tmp_path, words, message):
    studies.draw_strips(tmp_path / "s", 3)
    (tmp_path / "e").mkdir()
    refused(tmp_path, message, *(word.format(s=tmp_path / "s", e=tmp_path / "e") for word in words))


def test_a_folder_with_an_equals_sign(tmp_path):
    (tmp_path / "lr=0.1").mkdir()
    assert named(f"ours={tmp_path / 'lr=0.1'}") == ("ours", tmp_path / "lr=0.1")
    (tmp_path / "made").mkdir()
    assert named(str(tmp_path / "made")) == ("made", tmp_path / "made")
