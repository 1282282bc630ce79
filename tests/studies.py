"""Small studies of drawn strips, and raters whose rates are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pose_gan.programs import study_prepare
from pose_gan.study.answers import RaterFile
from pose_gan.study.plan import StudyFolder, read_study, trials_of
from pose_gan.study.statistics import Estimate

SIZE = (16, 8)


def picture(seed: Sequence[int], size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def numbers(estimate: Estimate) -> tuple[float, float, float]:
    """Value, lower and upper end of an estimate that has all of them."""
    value, low, high = estimate
    assert value is not None
    assert low is not None
    assert high is not None
    return value, low, high


def draw_strips(folder: Path, count: int = 12, system: int = 1, size: tuple[int, int] = SIZE) -> Path:
    """Strips `a<n>.png` → `b<n>.png`. The targets are the same for all systems; the generated images are not."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        parts = [picture([number, part], size) for part in (0, 100, 200 + system)]
        Image.fromarray(np.hstack(parts)).save(folder / f"a{number:02}.png_b{number:02}.png.png")
    return folder


def prepare(folder: Path, *words: str, systems: int = 1, count: int = 12) -> StudyFolder:
    """A study in `folder/study`, by the command."""
    for number in range(1, systems + 1):
        strips = draw_strips(folder / f"system{number}", count, number)
        words = (*words, "--strips", str(strips))
    assert study_prepare.main([*words, "--output_dir", str(folder / "study")]) == 0
    return read_study(folder / "study")


def rate(
    study: StudyFolder,
    wrong: Mapping[str, float],
    count: int = 1,
    seed: int = 0,
    simulated: bool = False,
    prefer_first: float = 0.5,
) -> None:
    """Lets raters judge all images. `wrong`: the class `real`, or a system → the share of wrong answers."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        file = RaterFile.create(study, {"agent": "test"}, simulated)
        for trial in trials_of(study, file.rater.number):
            judged = {"trial": trial.trial, "part": trial.part, "reaction_ms": 600.0 + trial.trial, "hidden": False}
            if trial.comparison is not None:
                answer = "first" if random.random() < prefer_first else "second"
                more = {"comparison": trial.comparison, "answer": answer, "swapped": trial.swapped}
            else:
                is_wrong = random.random() < wrong[trial.system or "real"]
                answer = "real" if (trial.system is None) != is_wrong else "generated"
                more = {"image": trial.image, "answer": answer, "shown_ms": 1000.0, "late_frames": 0, "by": "key"}
                file.append({"event": "begun", "trial": trial.trial, "image": trial.image})
            file.append({"event": "answer", **judged, **more})
        file.append({"event": "finished"})
