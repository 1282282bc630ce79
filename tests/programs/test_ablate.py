"""`pose-gan ablate`: every combination is trained and tested once, whatever stops it; other settings are refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest
from checkout import ROOT

from pose_gan.errors import InputError
from pose_gan.evaluation import ablation, processes
from pose_gan.evaluation.scores import Scores
from pose_gan.evaluation.strip_names import strip_name
from pose_gan.evaluation.strips import JudgedImages
from pose_gan.files.lock import LOCK, only_program
from pose_gan.metrics import Outcome, Result
from pose_gan.poses.drawing import strip, write_image
from pose_gan.programs import test, train
from pose_gan.programs.ablate import main
from pose_gan.programs.settings import run_config

SIZE = (96, 64)
PRESETS = ("baseline", "dsc", "fm", "full")
TABLES = [f"ablation.{suffix}" for suffix in ("md", "tex", "csv", "html", "png")]


class Stub:
    """Stands for the processes: `train` leaves a checkpoint, `test` strips and scores that depend on its training.

    `die_at` is the number of the call in which it is killed, before it did anything or (`halfway`) in the middle.
    """

    def __init__(self, pairs):
        self.pairs, self.calls = pairs, []
        self.die_at, self.halfway = None, False
        self.status, self.epochs_missing = 0, 0

    def __call__(self, words):
        dry = "--dry_run" in words
        self.calls.append(list(words))
        dies = not dry and self.die_at is not None and len(self.done) - 1 == self.die_at
        if dies and not self.halfway:
            raise KeyboardInterrupt
        if not dry:
            {"train": self.train, "test": self.test}[words[0]](words[1:], dies)
        return self.status

    @property
    def done(self):
        """What was called, without checks: `train dsc/seed-0` and so on."""
        folders = {"train": "--output_dir", "test": "--generated_images_dir"}
        calls = [words for words in self.calls if "--dry_run" not in words]
        return [f"{words[0]} {'/'.join(value(words, folders[words[0]]).split('/')[-2:])}" for words in calls]

    def train(self, words, dies):
        config = run_config(train.build_parser().parse_args(words))
        steps = config.train.total_steps
        begin(Path(value(words, "--output_dir")), config, steps // 2 if dies else steps - self.epochs_missing)
        if dies:
            raise KeyboardInterrupt

    def test(self, words, dies):
        args = test.build_parser().parse_args(words)
        folder, options = (
            Path(args.generated_images_dir),
            json.loads(Path(args.generator_checkpoint, "options.json").read_text()),
        )
        number = PRESETS.index(folder.parent.name) * 10 + options["config"]["train"]["seed"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "generation.json").write_text("{}")
        for a, b in self.pairs:
            shades = (10, 20, 100 + number)
            write_image(folder / strip_name(a, b), strip(*(np.full((*SIZE, 3), shade, np.uint8) for shade in shades)))
            if dies:
                raise KeyboardInterrupt
        values = np.random.default_rng(number).random(len(self.pairs))
        result = Result(float(values.mean()), 0.1, len(values), values)
        outcomes: dict[str, Outcome] = dict.fromkeys(args.metrics or ("ssim",), result)
        table = pd.DataFrame(self.pairs, columns=["from", "to"])
        images = JudgedImages(table, [(folder / "x",)] * len(values), SIZE, folder)
        run = {"options": {"dataset": "tiny"}}
        Scores({"generated": outcomes, "copy_source": outcomes}, images).save(folder, run)


def value(words, flag):
    return words[words.index(flag) + 1]


def begin(run, config, step):
    """A training that stands at a step."""
    (run / f"checkpoints/step-{step:08d}").mkdir(parents=True, exist_ok=True)
    (run / "options.json").write_text(json.dumps({"config": config.to_dict(), "checkpoints_dir": "checkpoints"}))
    (run / "checkpoints/LAST").write_text(f"step-{step:08d}")


@pytest.fixture
def stub(tiny_data, tmp_path, monkeypatch):
    pairs = list(pd.read_csv(tiny_data.pairs("test")).itertuples(index=False, name=None))
    stub = Stub(pairs)
    monkeypatch.setattr(ablation, "run_process", stub)
    monkeypatch.chdir(tmp_path)
    return stub


def ablate(*more, presets=("baseline", "dsc"), seeds=(0, 1), folder="ab", budget=("--number_of_epochs", "2")):
    data = ["--dataset", "tiny", "--images_dir", "tiny", "--annotations_dir", "tiny", "--image_size", "96x64"]
    data += ["--figure_pairs", "1"]
    budget = [*budget, "--iterations_per_epoch", "4"]
    return main(["--output_dir", folder, *data, *budget, "--presets", *presets, "--seeds", *map(str, seeds), *more])


def tables(folder="ab"):
    return {name: Path(folder, name).read_bytes() for name in TABLES}


def test_every_combination_is_trained_and_tested_once(stub, capsys):
    assert ablate() == 0
    keys = ["baseline/seed-0", "dsc/seed-0", "baseline/seed-1", "dsc/seed-1"]
    assert stub.done == [f"{verb} {key}" for key in keys for verb in ("train", "test")]
    assert ["--dry_run" in words for words in stub.calls] == [True] + 8 * [False]  # the check comes first
    shown = capsys.readouterr().out
    assert "[3/4] baseline, seed 1: training to step 8\n" in shown
    assert "[4/4] dsc, seed 1: testing -> ab/strips/dsc/seed-1\n" in shown
    assert "DSC − Baseline" in shown
    assert set(tables()) == set(TABLES)


def test_what_is_done_is_skipped_and_the_tables_are_made_again(stub, capsys):
    ablate()
    before, calls = tables(), len(stub.calls)
    for name in TABLES:
        Path("ab", name).unlink()
    capsys.readouterr()
    ablate()
    assert len(stub.calls) == calls
    assert capsys.readouterr().out.count("trained and scored already, skipped") == 4
    assert tables() == before


@pytest.mark.parametrize("halfway", [False, True])
@pytest.mark.parametrize("call", range(4))
def test_after_a_kill_at_any_step_the_same_command_ends_alike(stub, call, halfway):
    ablate(seeds=[3])
    unbroken, whole = tables(), stub.done
    shutil.rmtree("ab")
    stub.calls.clear()
    stub.die_at, stub.halfway = call, halfway
    with pytest.raises(KeyboardInterrupt):
        ablate(seeds=[3])
    stub.die_at = None
    ablate(seeds=[3])
    assert tables() == unbroken
    again = call - (whole[call].startswith("test") and not halfway)  # the training may have had something left to do
    assert stub.done == whole[: call + 1] + whole[again:]  # only what was broken is called again


def test_a_kill_between_a_test_and_its_note_ends_alike(stub):
    ablate(seeds=[0])
    unbroken = tables()
    record = json.loads(Path("ab/ablation.json").read_text())
    del record["scored"]["dsc/seed-0"]
    Path("ab/ablation.json").write_text(json.dumps(record))
    ablate(seeds=[0])
    assert stub.done[4:] == ["test dsc/seed-0"]
    assert tables() == unbroken


def test_presets_and_seeds_may_join(stub):
    ablate(seeds=[0])
    ablate(presets=("baseline", "dsc", "full"), seeds=[0, 5])
    assert stub.done[4:] == [
        *("train full/seed-0", "test full/seed-0", "train baseline/seed-5", "test baseline/seed-5"),
        *("train dsc/seed-5", "test dsc/seed-5", "train full/seed-5", "test full/seed-5"),
    ]
    ablate(presets=["dsc"], seeds=[0])  # a part of it is a smaller table
    assert "Baseline" not in Path("ab/ablation.md").read_text()


def test_the_users_flags_are_passed_on_as_they_were_given(stub):
    ablate(
        "--width=0.250", "--real", "1", "--metrics", "ssim,l1", "--images_for_test", "5", "--batch_size", "2", seeds=[7]
    )
    trained, tested = (
        next(w for w in stub.calls if w[0] == verb and "--dry_run" not in w) for verb in ("train", "test")
    )
    data = ["--dataset", "tiny", "--images_dir", "tiny", "--annotations_dir", "tiny"]
    assert trained == [
        *(
            "train",
            "--output_dir",
            "ab/runs/baseline/seed-7",
            "--resume",
            "auto",
            "--preset",
            "baseline",
            "--seed",
            "7",
        ),
        *data,
        *("--image_size", "96x64", "--number_of_epochs", "2", "--iterations_per_epoch", "4"),
        *("--width=0.250", "--batch_size", "2"),
    ]
    assert tested == [
        *("test", "--generator_checkpoint", "ab/runs/baseline/seed-7"),
        *("--generated_images_dir", "ab/strips/baseline/seed-7", "--overwrite", "1"),
        *data,
        *("--real", "1", "--metrics", "ssim,l1", "--images_for_test", "5"),
    ]


def test_it_tests_on_the_split_that_is_asked_for(stub, tiny_data):
    tiny_data.pairs("test").unlink()
    flags = ("--split", "train", "--use_validation", "0")
    ablate(*flags, seeds=[0], presets=["dsc"])
    assert [value(words, "--split") for words in stub.calls if words[0] == "test"] == ["train", "train"]
    with pytest.raises(InputError, match=r"tiny-pairs-test\.csv: no such pair list"):
        ablate(seeds=[0], presets=["dsc"], folder="other")


def test_a_pose_estimator_is_for_the_test_and_for_the_structure_loss(stub):
    ablate("--pose_estimator", "p.task", seeds=[0], presets=["dsc"])
    assert ["--pose_estimator" in words for words in stub.calls] == [True, False, True]
    stub.calls.clear()
    ablate("--pose_estimator", "p.pb", "--lstruct_penalty_weight", "1", seeds=[0], presets=["dsc"], folder="other")
    assert ["--pose_estimator" in words for words in stub.calls] == [True, True, True]


def test_a_training_that_was_begun_by_hand_goes_on(stub, tiny_data, capsys):
    words = ["--dataset", "tiny", "--images_dir", "tiny", "--annotations_dir", "tiny", "--image_size", "96x64"]
    words += ["--preset", "dsc", "--iterations_per_epoch", "4", "--seed", "0"]  # and another number of epochs
    begin(Path("ab/runs/dsc/seed-0"), run_config(train.build_parser().parse_args(words)), 4)
    ablate(seeds=[0])
    assert "dsc, seed 0: training from step 4 to step 8" in capsys.readouterr().out


def test_the_budget_is_always_passed_on(stub):
    """A training that was begun by hand would else keep its own."""
    ablate(seeds=[0], presets=["dsc"], budget=["--number_of_epochs=2"])
    assert sum(word.startswith("--number_of_epochs") for word in stub.calls[1]) == 1
    ablate(seeds=[0], presets=["dsc"], budget=[], folder="other")
    assert value(stub.calls[4], "--number_of_epochs") == "90"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--width", "0.5"], r"ab/runs/baseline/seed-0: --width: .* it has 1\.0, got 0\.5"),
        (["--learning_rate", "0.1"], r"--learning_rate: .* it has 0\.0002, got 0\.1"),
        (
            ["--number_of_epochs", "3"],
            r"ab: the ablation that stands there had other settings; baseline: --number_of_ep",
        ),
        (["--number_of_epochs", "1"], r"trained to step 8 already, beyond the 4 steps of this ablation"),
        (
            ["--metrics", "ssim,l1"],
            r"other settings: --metrics: then not given, now ssim,l1\. Give the same ones, or --res",
        ),
        (["--real", "1"], r"--real: then False, now True"),
        (["--person", "^[^_]+"], r"--person: then not given, now \^\[\^_\]\+"),
        (["--images_for_test", "4"], r"--images_for_test: then not given, now 4"),
        (["--split", "train"], r"--split: then test, now train"),
    ],
    ids=lambda more: more[0] if isinstance(more, list) else "",
)
def test_a_folder_with_other_settings_is_refused(stub, more, message):
    ablate()
    before, calls = {path: path.read_bytes() for path in Path("ab").rglob("*") if path.is_file()}, len(stub.calls)
    with pytest.raises(InputError, match=message):
        ablate(*more)
    assert len(stub.calls) == calls
    assert {path: path.read_bytes() for path in Path("ab").rglob("*") if path.is_file()} == before


def test_other_settings_are_refused_where_no_member_is_left_to_show_them(stub):
    """The record alone knows the settings of a preset whose runs were deleted, or of one with another seed."""
    ablate(seeds=[0])
    with pytest.raises(InputError, match=r"ab: the ablation that stands there had other settings; baseline: --width"):
        ablate("--width", "0.5", seeds=[1])


def test_rescore_scores_again_and_trains_nothing(stub):
    ablate(seeds=[0])
    ablate("--metrics", "ssim,l1", "--rescore", seeds=[0])
    assert stub.done[4:] == ["test baseline/seed-0", "test dsc/seed-0"]
    assert "L1" in Path("ab/ablation.md").read_text()
    ablate("--metrics", "ssim,l1", seeds=[0])
    assert len(stub.done) == 6


def test_what_shows_and_what_is_kept_may_differ(stub):
    ablate(seeds=[0])
    assert ablate("--log_interval", "7", "--keep_checkpoints", "1", seeds=[0]) == 0


def test_it_is_no_worker_of_a_cluster(stub, monkeypatch):
    """Its trainings would each wait for other workers."""
    cluster = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    with pytest.raises(InputError, match="not with other workers; unset TF_CONFIG"):
        ablate()
    assert stub.calls == []


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--metrics", "ssim,nothing"], "--metrics: metric 'nothing' is not known"),
        (["--width", "9"], "width must be above 0 and at most 8"),
        (["--seeds", "1", "1"], "--seeds 1 1: one is given twice"),
        (["--presets", "dsc", "dsc"], "--presets dsc dsc: one is given twice"),
        (["--figure_pairs", "0"], "--figure_pairs 0"),
        (["--figure_seed", "4"], "--figure_seed 4: not one of --seeds 0 1"),
        (["--images_dir", "none"], "none/train: no such folder of images"),
        (["--presets", "fm", "--vgg_weights", "none.npz"], "--vgg_weights none.npz: no such file"),
    ],
    ids=lambda more: " ".join(more) if isinstance(more, list) else "",
)
def test_bad_flags_are_refused_before_anything_is_made(stub, more, message):
    with pytest.raises(InputError, match=message):
        ablate(*more)
    assert stub.calls == []
    assert not Path("ab").exists()


@pytest.mark.parametrize("flag", ["--preset", "--seed", "--resume", "--checkpoints_dir", "--generated_images_dir"])
def test_what_it_sets_itself_is_not_offered(stub, flag, capsys):
    with pytest.raises(SystemExit):
        ablate(flag, "1")
    assert f"unrecognized arguments: {flag}" in capsys.readouterr().err


def test_a_failed_check_trains_nothing(stub):
    stub.status = 2
    with pytest.raises(SystemExit, match=r"the check ended with status 2; .* Nothing was trained"):
        ablate()
    assert stub.done == []


def test_a_training_that_ends_early_is_not_tested(stub):
    stub.epochs_missing = 3  # steps, in fact: another process told it to stop
    with pytest.raises(
        SystemExit, match=r"training of baseline, seed 0, ended at step 5, not 8\. The same command goes on"
    ):
        ablate()
    assert stub.done == ["train baseline/seed-0"]
    stub.epochs_missing = 0
    ablate()
    assert stub.done[1] == "train baseline/seed-0"


def test_pairs_that_one_test_lacks_are_named(stub):
    ablate(seeds=[0])
    path = Path("ab/strips/dsc/seed-0/metrics_per_pair.csv")
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    a, b = stub.pairs[-1]
    with pytest.raises(
        InputError, match=re.escape(f"lacks pairs that ab/strips/baseline/seed-0 has: {a} -> {b} (1 of 18)")
    ):
        ablate(seeds=[0])


def test_the_figure_shows_the_images_of_one_seed_in_a_column_per_preset(stub):
    ablate("--figure_seed", "1", "--figure_pairs", "2")
    picture = iio.imread("ab/ablation.png")
    shades = [int(shade) for shade in picture[picture.shape[0] - 60, :, 0]]
    last = [shade for shade in dict.fromkeys(shades) if shade in range(100, 150)]
    assert last == [101, 111]  # baseline and dsc, with seed 1
    ablate("--figure_pairs", "5")
    taller = iio.imread("ab/ablation.png")
    assert taller.shape[0] == pytest.approx(picture.shape[0] * 5 / 2, rel=0.05)
    assert {100, 110} <= {int(shade) for shade in taller[taller.shape[0] - 60, :, 0]}


def test_two_ablations_never_share_a_folder(stub):
    Path("ab").mkdir()
    with only_program(Path("ab") / LOCK), pytest.raises(InputError, match="ab: in use by process"):
        ablate()
    assert stub.calls == []


def test_a_training_that_another_program_holds_is_awaited(stub, monkeypatch, capsys):
    run = Path("ab/runs/baseline/seed-0")
    run.mkdir(parents=True)
    held, release, gone = threading.Event(), threading.Event(), threading.Event()

    def hold():
        with only_program(run / LOCK):
            held.set()
            release.wait()
        gone.set()

    def look_again(seconds):  # the other program ends while this one waits
        release.set()
        gone.wait()

    monkeypatch.setattr(processes.time, "sleep", look_again)
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    ablate(seeds=[0])
    thread.join()
    assert capsys.readouterr().out.count(f"waiting: {run}: in use by process") == 1
    assert len(stub.done) == 4


def test_a_dry_run_of_test_needs_no_generator_and_makes_nothing(tiny_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--load_generated_images", "1", "--generated_images_dir", "none", "--dry_run", "--dataset", "tiny"]
    words += ["--images_dir", "tiny", "--annotations_dir", "tiny", "--image_size", "96x64"]
    assert test.main([*words, "--metrics", "ssim,pckh", "--images_for_test", "5"]) == 0
    shown = capsys.readouterr().out
    assert "5 test pairs of " in shown
    assert "are in order; metrics: ssim\n" in shown
    assert "not computed: pckh: " in shown
    with pytest.raises(InputError, match=r"none\.pb"):
        test.main([*words, "--pose_estimator", "none.pb"])
    assert not Path("none").exists()


# ------------------------------------------------------------------------------------------ processes

CHILD = """#!{python}
import os, pathlib, signal, sys, time
stopped = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: stopped.append(number))
pathlib.Path("begun").write_text(" ".join(sys.argv[1:]))
while not stopped:
    time.sleep(0.01)
time.sleep(0.3)  # saves
pathlib.Path("saved").write_text(str(len(stopped)) + " " + str(int(stopped[0])) + " " + str(os.getpgrp()))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("group", [False, True], ids=["", "group"])
def test_a_signal_is_passed_on_once_and_the_end_is_awaited(tmp_path, number, group):
    """As from a terminal, where Ctrl-C reaches every process of the group."""
    child = tmp_path / "python"
    child.write_text(CHILD.format(python=sys.executable))
    child.chmod(0o755)
    script = (
        "import sys\n"
        "from pose_gan.evaluation.processes import Stopped, run_process\n"
        f"sys.executable = {str(child)!r}\n"
        "try: run_process(['train', '--seed', '1'])\n"
        "except Stopped as stopped: sys.exit(100 + stopped.number)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, env=environment, start_new_session=True)
    while not (tmp_path / "begun").exists() or not (tmp_path / "begun").read_text():
        assert process.poll() is None
        time.sleep(0.01)
    (os.killpg if group else os.kill)(process.pid, number)
    assert process.wait() == 100 + number
    count, first, its_group = (tmp_path / "saved").read_text().split()
    assert (count, first) == ("1", str(int(number)))
    assert int(its_group) != process.pid  # two signals may melt into one, so the count alone does not tell
    assert (tmp_path / "begun").read_text() == "-m pose_gan train --seed 1"


def test_a_stop_ends_the_ablation_with_the_status_of_the_signal(stub, monkeypatch, capsys):
    def stopped(words):
        raise processes.Stopped(signal.SIGTERM)

    monkeypatch.setattr(ablation, "run_process", stopped)
    assert ablate() == 128 + signal.SIGTERM
    assert "SIGTERM: stopped; the same command goes on from there" in capsys.readouterr().out


def test_the_status_of_the_process_is_returned(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert processes.run_process(["compare", "none"]) == 2
    assert "error: none: no such folder" in capfd.readouterr().err


@pytest.mark.slow
def test_an_ablation_of_drawn_people(tmp_path, monkeypatch):
    """The programs themselves: trains, is stopped, goes on, and a second call makes the same tables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def pose_gan(*words):
        return subprocess.run(
            [sys.executable, "-m", "pose_gan", *words], check=True, capture_output=True, text=True
        ).stdout

    small = ["--train_persons", "4", "--test_persons", "2", "--images_per_person", "3", "--workers", "1"]
    pose_gan("data", "demo", *small, "--images_dir", "d", "--annotations_dir", "d")
    pose_gan("data", "pairs", "--dataset", "demo", "--annotations_dir", "d")
    words = ["ablate", "--dataset", "demo", "--images_dir", "d", "--annotations_dir", "d", "--output_dir", "ab"]
    words += ["--presets", "baseline", "full", "--vgg_weights", "random", "--seeds", "0", "--width", "0.125"]
    words += ["--number_of_epochs", "2", "--iterations_per_epoch", "2", "--batch_size", "2", "--real", "1"]
    process = subprocess.Popen([sys.executable, "-m", "pose_gan", *words])
    while not Path("ab/runs/baseline/seed-0/checkpoints/LAST").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    assert "Full − Baseline" in pose_gan(*words)
    before = tables()
    assert pose_gan(*words).count("skipped") == 2
    assert tables() == before
