"""An ablation: presets that are trained with several seeds and the same budget, tested and compared.

It lives in one folder. `runs/PRESET/seed-N` is the folder of a training run, `strips/PRESET/seed-N` that of its images
and scores. `ablation.json` holds the settings, and for each member the settings with which it was scored; the tables
and the figure stand beside it. Each training and each test is a process of its own, so its memory is freed at its end.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pose_gan.config import RunConfig
from pose_gan.errors import InputError
from pose_gan.evaluation.processes import Stopped, run_process, wait_for
from pose_gan.evaluation.saved_scores import GENERATION_FILE, PER_PAIR_FILE, SCORES_FILE
from pose_gan.files.text import read_text, write_json
from pose_gan.model_files.run_folder import OPTIONS, checkpoints_of_run, latest_checkpoint, step_of
from pose_gan.training.identity import check_settings
from pose_gan.versions import versions

__all__ = ["Member", "MemberFailed", "Record", "Stopped", "carry_out", "check_run", "member_key"]

RECORD = "ablation.json"
RUNS, STRIPS = "runs", "strips"

RunVerb = Callable[[Sequence[str]], int]
"""Runs `pose-gan WORDS` and returns its exit status."""


@dataclass(frozen=True)
class Member:
    """A preset with a seed.

    Attributes:
        preset, seed: the two.
        folder: the folder of the ablation.
        train, test: the words after `pose-gan` that train it (or continue its training), and that test it.
        steps: the step at which its training ends.
    """

    preset: str
    seed: int
    folder: Path
    train: tuple[str, ...]
    test: tuple[str, ...]
    steps: int

    @property
    def key(self) -> str:
        return member_key(self.preset, self.seed)

    @property
    def run(self) -> Path:
        """The folder of its training run."""
        return self.folder / RUNS / self.key

    @property
    def strips(self) -> Path:
        """The folder of its images and scores."""
        return self.folder / STRIPS / self.key

    def trained_to(self) -> int | None:
        """The step of its newest checkpoint; None if there is none."""
        if not (self.run / OPTIONS).is_file():
            return None
        newest = latest_checkpoint(checkpoints_of_run(self.run))
        return None if newest is None else step_of(newest)

    def trained(self) -> bool:
        """Whether its training is over. What `train` does after its last checkpoint is done once the test began."""
        return self.trained_to() == self.steps and (self.strips / GENERATION_FILE).is_file()


def member_key(preset: str, seed: int) -> str:
    """`PRESET/seed-N`: its place among the runs and the strips."""
    return f"{preset}/seed-{seed}"


class MemberFailed(Exception):
    """A training or a test ended without its result; the text says which, and what to do."""


class Record:
    """The `ablation.json` of a folder: it holds the ablation to its settings, and notes what was scored.

    Args:
        folder: the folder of the ablation, which exists.
        training: preset → settings of its training; seeds are of no account.
        testing: flag → value: the settings of the tests, as values that JSON can hold.
        members: what belongs to the ablation now; presets and seeds may join it later.
        command: the command line.
        rescore: whether the settings of the tests may differ from before; then members are scored again.
    Raises: InputError: the folder's ablation had other settings, or its record is damaged. Nothing was written then.
    """

    def __init__(
        self,
        folder: Path,
        training: Mapping[str, RunConfig],
        testing: Mapping[str, Any],
        members: Sequence[Member],
        command: str = "",
        rescore: bool = False,
    ) -> None:
        self._path, self._testing = folder / RECORD, dict(testing)
        before = _read(self._path)
        held = before.get("training", {})
        for preset, config in training.items():
            if preset in held:
                saved = RunConfig.from_dict(held[preset], f"{self._path}: {preset}")
                _check_training(self._path, preset, saved, _seedless(config))
        asked_before = before.get("testing", self._testing)
        changed = [name for name, value in self._testing.items() if asked_before.get(name, value) != value]
        if changed and not rescore:
            shown = "; ".join(
                f"--{name}: then {_shown(asked_before.get(name))}, now {_shown(self._testing[name])}"
                for name in changed
            )
            raise InputError(
                f"{folder}: the images of this ablation were scored with other settings: {shown}. Give the same ones, "
                "or --rescore, which scores the images again and leaves the trainings as they are"
            )
        self._scored: dict[str, Any] = dict(before.get("scored", {}))
        self._values = {
            "presets": list(dict.fromkeys(member.preset for member in members)),
            "seeds": list(dict.fromkeys(member.seed for member in members)),
            "command": command,
            "training": {**held, **{preset: _seedless(config).to_dict() for preset, config in training.items()}},
            "testing": self._testing,
            "versions": versions(),
        }
        self._save()

    def scored(self, member: Member) -> bool:
        """Whether a member was trained, tested and scored with the settings of now, and its scores are there."""
        files = (member.strips / SCORES_FILE, member.strips / PER_PAIR_FILE)
        return self._scored.get(member.key) == self._testing and all(path.is_file() for path in files)

    def note_scored(self, member: Member) -> None:
        self._scored[member.key] = self._testing
        self._save()

    def _save(self) -> None:
        write_json(self._path, {**self._values, "scored": self._scored})


def carry_out(
    members: Sequence[Member],
    record: Record,
    checks: Sequence[Sequence[str]] = (),
    run_verb: RunVerb | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Trains, tests and scores the members one after the other; what is done is skipped.

    Args:
        members: the members, in their order.
        record: of the ablation's folder.
        checks: words after `pose-gan` of commands that check the files of the metrics. They run first, if there is
            work.
        run_verb: runs a command; None: `run_process`.
        say: shows a line.
    Raises: MemberFailed: a command failed, or ended early. Stopped: from `run_verb`.
    """
    run_verb = run_verb or run_process
    waiting = [member for member in members if not record.scored(member)]
    for words in checks if waiting else ():
        say("checking the files of the metrics")
        if status := run_verb(words):
            raise MemberFailed(f"the check ended with status {status}; its message stands above. Nothing was trained")
    for number, member in enumerate(members, start=1):
        head = f"[{number}/{len(members)}] {member.preset}, seed {member.seed}"
        if record.scored(member):
            say(f"{head}: trained and scored already, skipped")
            continue
        if member.trained():
            say(f"{head}: trained already, skipped")
        else:
            wait_for(member.run, say)
            begun = member.trained_to()
            start = "" if begun is None else f"from step {begun:,} "
            say(f"{head}: training {start}to step {member.steps:,}")
            status = run_verb(member.train)
            if status or member.trained_to() != member.steps:
                raise _failed(member, "training", status)
        wait_for(member.strips, say)
        say(f"{head}: testing -> {member.strips}")
        if status := run_verb(member.test):
            raise _failed(member, "test", status)
        record.note_scored(member)


def check_run(member: Member, config: RunConfig, saved: RunConfig) -> None:
    """Checks that a training that was begun in a member's folder goes on as the ablation asks.

    Args:
        member: the member.
        config: its settings in the ablation.
        saved: the settings in its run's `options.json`.
    Raises: InputError: they differ, or it is trained beyond the ablation's budget.
    """
    _check_same(str(member.run), saved, config)
    if (step := member.trained_to() or 0) > member.steps:
        raise InputError(
            f"{member.run}: trained to step {step:,} already, beyond the {member.steps:,} steps of this ablation; "
            "raise --number_of_epochs, or give another --output_dir"
        )


# ----------------------------------------------------------------------------------- the parts


def _read(path: Path) -> dict[str, Any]:
    """The record of an ablation; empty if there is none."""
    try:
        values = json.loads(read_text(path))
    except FileNotFoundError:
        return {}
    except InputError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read: {error}; give another folder, or delete the file") from None
    tables = ("training", "testing", "scored")
    if not isinstance(values, dict) or not all(isinstance(values.get(name), dict) for name in tables):
        raise InputError(f"{path}: not the record of an ablation; give another folder, or delete the file")
    return values


def _check_training(path: Path, preset: str, held: RunConfig, config: RunConfig) -> None:
    """Raises InputError if the ablation in the folder trained the preset in another way, or for another time."""
    where = f"{path.parent}: the ablation that stands there had other settings; {preset}"
    _check_same(where, held, config)
    if held.train.number_of_epochs != config.train.number_of_epochs:
        raise InputError(
            f"{where}: --number_of_epochs: it has {held.train.number_of_epochs}, got {config.train.number_of_epochs}; "
            "give the same number, or another --output_dir"
        )


def _check_same(where: str, held: RunConfig, config: RunConfig) -> None:
    """Raises InputError if two trainings differ in more than their seed, their length and what they leave on disk."""
    if held.data.dataset != config.data.dataset:
        raise InputError(
            f"{where}: --dataset: it has {held.data.dataset}, got {config.data.dataset}; give another --output_dir"
        )
    try:
        check_settings(held, config)
    except InputError as error:
        raise InputError(f"{where}: {error}; or give another --output_dir") from None


def _shown(value: Any) -> str:
    """The value of a flag in a message."""
    return "not given" if value is None else ",".join(value) if isinstance(value, list) else str(value)


def _seedless(config: RunConfig) -> RunConfig:
    return dataclasses.replace(config, train=dataclasses.replace(config.train, seed=0))


def _failed(member: Member, what: str, status: int) -> MemberFailed:
    how = (
        f"ended with status {status}; its message stands above"
        if status
        else f"ended at step {member.trained_to() or 0:,}, not {member.steps:,}"
    )
    return MemberFailed(
        f"the {what} of {member.preset}, seed {member.seed}, {how}. The same command goes on from there"
    )
