"""Fixtures of runs that train a `FakeGAN`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_gan import FakeGAN, flags

from pose_gan.programs import train
from pose_gan.training import trainer, validation


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeGAN]:
    """Runs train a `FakeGAN`. The test may replace its `loss_of` and `before_step`.

    They are quick: there are few samples and validation pairs. There is no TensorBoard, whose files always differ.
    """

    class Fake(FakeGAN):
        pass

    monkeypatch.setattr(trainer, "GAN", Fake)
    monkeypatch.setattr(validation, "SAMPLE_PAIRS", 1)
    monkeypatch.setattr(validation, "VALIDATION_PAIRS", 5)
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "tensorboard" else real(name, *a))
    return Fake


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run, which is not there yet."""
    return tmp_path / "run"


@pytest.fixture
def begin(tiny_data, run: Path, fake: type[FakeGAN]) -> Callable[..., None]:
    """A function that starts a run of four steps of a `FakeGAN` in `run`; later flags override."""

    def start(*more: str) -> None:
        train.main(flags(tiny_data, "--number_of_epochs", "2", "--output_dir", str(run), *more))

    return start
