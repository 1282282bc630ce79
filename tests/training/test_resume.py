"""Runs that cannot be lost: what is refused, what is passed over, and that a kill at any moment changes nothing.

The runs train a `FakeGAN`, whose weights tell which data it has seen, in which order.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from crashes import Killed, Mortal
from fake_gan import same, variables

from pose_gan import load_generator
from pose_gan.config import RunConfig, TrainConfig
from pose_gan.data.pairs import read_pairs, write_pairs
from pose_gan.errors import InputError, run_program
from pose_gan.files.lock import LOCK, only_program
from pose_gan.model_files.run_folder import OPTIONS, latest_checkpoint, read_options
from pose_gan.poses.keypoints import read_annotations, write_annotations
from pose_gan.programs import train
from pose_gan.training import trainer
from pose_gan.training.run_log import read_history
from pose_gan.training.trainer import Trainer


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ------------------------------------------------------------------------------------------ refused


@pytest.mark.parametrize("place", ["checkpoints", "elsewhere", ""])
def test_a_run_is_never_overwritten(tiny_data, begin, run, tmp_path, place):
    """Wherever its checkpoints are, and wherever those of the new run would be."""
    held = {"": run, "checkpoints": run / "checkpoints", "elsewhere": tmp_path / "elsewhere"}[place]
    begin("--checkpoints_dir", str(held))
    before = files(tmp_path)
    for more in ([], ["--checkpoints_dir", str(tmp_path / "new")], ["--checkpoints_dir", str(run)]):
        with pytest.raises(
            InputError, match=rf"holds the run of step-00000004 already; continue it with --resume {run}"
        ):
            begin(*more)
    with pytest.raises(InputError, match=f"{held} holds the run of step-00000004 already"):
        begin("--output_dir", str(tmp_path / "new"), "--checkpoints_dir", str(held))
    assert files(tmp_path) == before
    (run / OPTIONS).unlink()
    if place != "elsewhere":  # then nothing says where they are
        with pytest.raises(InputError, match="holds the run of step-00000004 already"):
            begin("--checkpoints_dir", str(tmp_path / "new"))
    config = RunConfig()
    with pytest.raises(InputError, match="holds the run of step-00000004 already"):
        Trainer(config, run, held)


def test_a_run_without_a_checkpoint_is_a_run_too(tiny_data, begin, run, fake, tmp_path):
    """It was killed before its first checkpoint."""

    def kill(step: int) -> None:
        if step == 2:
            raise Killed

    fake.before_step = kill
    with pytest.raises(Killed):
        begin("--seed", "5")
    before = files(run)
    with pytest.raises(
        InputError, match=f"{run} holds a run already, which has no checkpoint yet; --resume auto begins"
    ):
        begin()
    message = f"--resume {run}: no checkpoint in {run}/checkpoints, so there is nothing to continue; --output_dir {run}"
    with pytest.raises(InputError, match=message):
        train.main(["--resume", str(run)])
    assert files(run) == before
    fake.before_step = lambda step: None
    train.main(["--resume", "auto", "--output_dir", str(run)])  # it has the settings that it had
    assert read_options(run)["config"]["train"]["seed"] == 5
    begin("--seed", "5", "--output_dir", str(tmp_path / "whole"))
    assert same(variables(run), variables(tmp_path / "whole"))


def test_auto_starts_where_there_is_nothing(begin, run):
    begin("--resume", "auto")
    assert latest_checkpoint(run / "checkpoints") == run / "checkpoints" / "step-00000004"
    before = variables(run)
    begin("--resume", "auto")
    assert same(variables(run), before)


@pytest.mark.parametrize("resume", [["--resume", "auto", "--output_dir"], ["--resume"]])
def test_another_folder_of_checkpoints_is_not_a_fresh_start(begin, run, tmp_path, resume):
    begin()
    before = files(run)
    elsewhere = tmp_path / "elsewhere"
    message = f"{elsewhere}: holds no checkpoint, but the run {run} has some in {run}/checkpoints; leave"
    with pytest.raises(InputError, match=message):
        train.main([*resume, str(run), "--checkpoints_dir", str(elsewhere)])
    with pytest.raises(InputError, match=message):
        Trainer(RunConfig(), run, elsewhere, resume=True)
    assert files(run) == before
    (run / "checkpoints").rename(elsewhere)  # moved there, they are found
    train.main([*resume, str(run), "--checkpoints_dir", str(elsewhere), "--number_of_epochs", "3"])
    assert latest_checkpoint(elsewhere) == elsewhere / "step-00000006"


def test_resume_needs_a_run(tmp_path):
    with pytest.raises(InputError, match="not the folder of a training run"):
        train.main(["--resume", str(tmp_path)])
    with pytest.raises(InputError, match="--resume auto needs --output_dir"):
        train.main(["--resume", "auto"])
    (tmp_path / OPTIONS).write_text("{")
    with pytest.raises(InputError, match=r"options\.json: damaged"):
        train.main(["--resume", str(tmp_path)])


def test_a_finished_run_says_so_and_stays(begin, run, capsys):
    begin()
    before = files(run / "checkpoints")
    train.main(["--resume", str(run)])
    assert "is trained to step 4 already; --number_of_epochs above 2 trains on" in capsys.readouterr().out
    assert files(run / "checkpoints") == before
    with pytest.raises(InputError, match=r"--output_dir other: a resumed run stays in its folder"):
        train.main(["--resume", str(run), "--output_dir", "other"])


def test_a_run_may_be_moved(begin, run, tmp_path):
    """As in the release's commands, its folder may be the one of the checkpoints."""
    begin("--checkpoints_dir", str(run))
    run.rename(tmp_path / "moved")
    train.main(["--resume", str(tmp_path / "moved"), "--number_of_epochs", "3"])
    assert load_generator(tmp_path / "moved")
    assert latest_checkpoint(tmp_path / "moved") == tmp_path / "moved" / "step-00000006"


def test_a_trainer_refuses_other_settings_as_the_program_does(begin, run):
    begin()
    saved = RunConfig.from_dict(read_options(run)["config"])
    other = RunConfig(saved.data, saved.model, saved.loss, TrainConfig(**{**vars(saved.train), "seed": 7}))
    with pytest.raises(InputError, match=r"--seed: a resumed run keeps its train settings: it has 0, got 7"):
        Trainer(other, run, run / "checkpoints", resume=True)


def test_two_programs_do_not_share_a_run(begin, run, fake, tmp_path):
    begin()
    before = files(run)
    for folder in (run, run / "checkpoints"):
        with only_program(folder / LOCK):
            for more in (["--resume", str(run)], ["--resume", str(run), "--number_of_epochs", "3"]):
                with pytest.raises(
                    InputError, match=rf"^{folder}: in use by process {os.getpid()} on .* since .*; wait"
                ):
                    train.main(more)
        config = RunConfig.from_dict(read_options(run)["config"])
        with only_program(folder / LOCK), pytest.raises(InputError, match=rf"^{folder}: in use by process"):
            Trainer(config, run, run / "checkpoints", resume=True)  # not only `run`, which comes minutes later
    assert files(run) == before
    caught = []

    def another(step: int) -> None:
        if step == 5:
            with pytest.raises(InputError, match=f"in use by process {os.getpid()}") as error:
                train.main(["--resume", str(run)])
            caught.append(error)

    fake.before_step = another
    train.main(["--resume", str(run), "--number_of_epochs", "3"])
    assert len(caught) == 1
    assert not list(run.rglob(LOCK))


# ------------------------------------------------------------------------------------------ the data


def swap_pairs(data) -> None:
    """The last two, so that the images come in the order of before."""
    pairs = read_pairs(data.pairs())
    write_pairs(data.pairs(), pairs.iloc[[*range(len(pairs) - 2), len(pairs) - 1, len(pairs) - 2]])


def drop_pair(data) -> None:
    write_pairs(data.pairs(), read_pairs(data.pairs()).iloc[1:])


def move_joint(data) -> None:
    annotations = read_annotations(data.annotations())
    keypoints = annotations.keypoints.copy()
    keypoints[8, 17] = (1, 2)
    write_annotations(data.annotations(), annotations.names, keypoints)


def rename_image(data) -> None:
    image = data.images()[4]
    image.rename(image.with_name("0002_c1_9.jpg"))
    for path in (data.pairs(), data.annotations()):
        path.write_text(path.read_text().replace(image.name, "0002_c1_9.jpg"))


@pytest.mark.parametrize("change", [swap_pairs, drop_pair, move_joint, rename_image])
def test_other_data_are_refused(tiny_data, begin, run, change):
    begin()
    before = files(run)
    change(tiny_data)
    count = 17 if change is drop_pair else 18
    message = rf"{run}: the run was trained on other data: then 18 pairs of 9 images, now {count} pairs of 9 images .*"
    with pytest.raises(
        InputError, match=rf"{message}start a new run from its weights with --generator_checkpoint {run}"
    ):
        train.main(["--resume", str(run), "--number_of_epochs", "3"])
    assert files(run) == before


def test_the_same_data_in_another_place_are_the_same(tiny_data, begin, run, tmp_path):
    begin()
    moved = shutil.move(tiny_data.root, tmp_path / "moved")
    places = ["--images_dir", str(moved), "--annotations_dir", str(moved)]
    train.main(["--resume", str(run), "--number_of_epochs", "3", *places])
    assert latest_checkpoint(run / "checkpoints") == run / "checkpoints" / "step-00000006"


def test_images_that_no_pair_uses_may_come_and_go(tiny_data, begin, run):
    begin()
    annotations = read_annotations(tiny_data.annotations())
    write_annotations(tiny_data.annotations(), annotations.names[::-1], annotations.keypoints[::-1])
    with tiny_data.annotations().open("a") as file:
        file.write("0009_c1_1.jpg: " + ": ".join([str([5] * 18)] * 2) + "\n")
    train.main(["--resume", str(run), "--number_of_epochs", "3"])


def test_checkpoints_of_version_0_1_note_no_data_and_go_on(tiny_data, begin, run):
    begin()
    path = run / "checkpoints" / "step-00000004" / "state.json"
    state = json.loads(path.read_text())
    assert {"pairs": 18, "images": 9}.items() < state.pop("data").items()
    path.write_text(json.dumps(state))
    drop_pair(tiny_data)
    train.main(["--resume", str(run), "--number_of_epochs", "3"])
    path = run / "checkpoints" / "step-00000006" / "state.json"
    assert json.loads(path.read_text())["data"]["pairs"] == 17


# ------------------------------------------------------------------------------- damage, kills, disks


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(begin, run, tmp_path, capsys):
    begin("--output_dir", str(tmp_path / "whole"), "--number_of_epochs", "3")
    begin()
    damaged = run / "checkpoints" / "step-00000004" / "variables.npz"
    damaged.write_bytes(damaged.read_bytes()[:100])
    capsys.readouterr()
    train.main(["--resume", str(run), "--number_of_epochs", "3"])
    said = "step-00000004: a damaged checkpoint (File is not a zip file); it is kept as damaged-step-00000004, and the "
    out = capsys.readouterr().out
    assert f"{said}run goes on from step-00000002\n" in out
    assert said in (run / "log.txt").read_text()
    assert same(variables(run), variables(tmp_path / "whole"))
    assert "damaged-step-00000004" in names(run / "checkpoints")
    for path in (run / "checkpoints").glob("step-*/state.json"):
        path.unlink()
    with pytest.raises(InputError, match=r"no checkpoint is whole: .*step-00000006.*step-00000004.*step-00000002"):
        train.main(["--resume", str(run)])


def curves(run: Path) -> dict[str, tuple[list[float], list[float]]]:
    """All records, but the times."""
    history = read_history(run / "metrics.jsonl")
    return {name: curve for name, curve in history.items() if "seconds" not in name}


def check_as_unbroken(run: Path, whole: Path) -> None:
    assert names(run) == names(whole)
    assert names(run / "checkpoints") == names(whole / "checkpoints")
    assert same(variables(run), variables(whole))
    assert curves(run) == curves(whole)
    ours, theirs = (load_generator(folder / "generator.h5").get_weights() for folder in (run, whole))
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert {path.name: path.read_bytes() for path in (run / "samples").iterdir()} == {
        path.name: path.read_bytes() for path in (whole / "samples").iterdir()
    }
    assert not list(run.rglob("*.part"))


def test_a_kill_at_any_operation_on_files_changes_nothing(begin, run, tmp_path):
    """The run is killed again and again, each time five operations later, until it reaches its end."""
    more = ["--log_interval", "1", "--keep_checkpoints", "2", "--number_of_epochs", "3"]
    begin(*more, "--output_dir", str(tmp_path / "whole"))
    mortal, kills = Mortal(run), 0
    for number in range(0, 1000, 5):
        try:
            with mortal.killed_at(number):
                begin(*more, "--resume", "auto")
        except Killed:
            kills += 1
        else:
            break
    assert kills > 5
    check_as_unbroken(run, tmp_path / "whole")


@pytest.mark.parametrize(
    ("module", "name"),
    [(os, "link"), (trainer, "sample_grid"), (trainer, "validate")],
    ids=lambda value: str(value)[:11],
)
def test_what_a_kill_after_saving_left_undone_is_done_on_resume(begin, run, tmp_path, monkeypatch, module, name):
    """The copy of the generator, the sample grid and the validation of the last checkpoint."""
    begin("--output_dir", str(tmp_path / "whole"))
    real, calls = getattr(module, name), []

    def die(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:  # at step 4
            raise Killed
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, die)
        with pytest.raises(Killed):
            begin()
    assert latest_checkpoint(run / "checkpoints") == run / "checkpoints" / "step-00000004"
    train.main(["--resume", str(run)])
    check_as_unbroken(run, tmp_path / "whole")


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_the_generator_is_copied_where_it_cannot_be_linked(begin, run, monkeypatch, number):
    def refuse(*arguments: object) -> None:
        raise OSError(number, os.strerror(number), "generator.h5")

    monkeypatch.setattr(os, "link", refuse)
    begin()
    assert (run / "generator.h5").read_bytes() == (run / "checkpoints/step-00000004/generator.h5").read_bytes()
    assert (run / "generator.h5").stat().st_nlink == 1


FAILING = {  # what cannot be done any more
    "make a file": (tempfile, "mkdtemp"),
    "write a file": (np, "savez"),
    "reserve the room of a model": (os, "posix_fallocate"),
    "move a file": (os, "replace"),
    "add to a file": (Path, "open"),
}


@pytest.mark.parametrize(
    ("number", "what"),
    [*((errno.ENOSPC, what) for what in FAILING), (errno.EROFS, "make a file"), (errno.EACCES, "make a file")],
)
def test_a_disk_that_fails_ends_the_run_with_one_line_and_status_1(
    begin, run, tmp_path, monkeypatch, capsys, fake, number, what
):
    """It is full, or became read-only, before the second of three savings. The first checkpoint is intact."""
    (module, name), on = FAILING[what], []
    real = getattr(module, name, None) or pytest.skip("the system cannot reserve room")

    def failing(*arguments: object, **options: object) -> object:
        if on:
            raise OSError(number, os.strerror(number))
        return real(*arguments, **options)

    fake.before_step = lambda step: on.append(1) if step == 3 else None
    monkeypatch.setattr(module, name, failing)
    with pytest.raises(SystemExit) as ended:
        run_program(lambda: begin("--number_of_epochs", "3"))
    on.clear()
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: [Errno {number}] {os.strerror(number)}")
    assert what == "add to a file" or f"'{run}/" in line
    fake.before_step = lambda step: None
    assert latest_checkpoint(run / "checkpoints") == run / "checkpoints" / "step-00000002"
    begin("--output_dir", str(tmp_path / "whole"), "--number_of_epochs", "3")
    train.main(["--resume", str(run)])
    assert same(variables(run), variables(tmp_path / "whole"))


def test_a_folder_that_vanishes_ends_the_run_with_one_line(begin, run, fake, capsys):
    fake.before_step = lambda step: shutil.rmtree(run) if step == 3 else None
    with pytest.raises(SystemExit) as ended:
        run_program(begin)
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "No such file or directory" in line
    assert str(run) in line
    assert not run.exists()


def test_a_folder_of_checkpoints_that_vanishes_is_made_again(begin, run, fake):
    fake.before_step = lambda step: shutil.rmtree(run / "checkpoints") if step == 3 else None
    begin()
    assert names(run / "checkpoints") == ["LAST", "step-00000004"]
