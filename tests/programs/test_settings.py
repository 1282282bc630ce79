"""Flags: the release's commands, presets, and values that do not go together."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from typing import Any

import pytest

from pose_gan.config import DataConfig, LossConfig, ModelConfig, RunConfig, TrainConfig
from pose_gan.errors import InputError
from pose_gan.model_files.saving import save_model
from pose_gan.networks import build_generator
from pose_gan.poses.skeleton import COCO18
from pose_gan.programs import settings, train
from pose_gan.programs.flags import CHOICES, field_descriptions
from pose_gan.programs.settings import resumed_config, run_config

COMMON = "--dataset {dataset} --batch_size {batch} --number_of_epochs 90 "
RELEASE = {
    "baseline": COMMON + "--warp_skip none --l1_penalty_weight 100",
    "dsc": COMMON + "--warp_skip mask --l1_penalty_weight 100",
    "full": COMMON
    + "--warp_skip mask --l1_penalty_weight 0.01 --nn_loss_area_size {window} --content_loss_layer block1_conv2",
    "fm": COMMON + "--warp_skip mask --l1_penalty_weight 0.5 --content_loss_layer block2_conv1",
}


def parse(command: str) -> RunConfig:
    return run_config(train.build_parser().parse_args(shlex.split(command)))


@pytest.mark.parametrize("name", RELEASE)
@pytest.mark.parametrize(("dataset", "batch", "window"), [("market", 4, 3), ("fasion", 2, 5)])
def test_the_release_commands_equal_the_presets(name, dataset, batch, window):
    spelled = parse(RELEASE[name].format(dataset=dataset, batch=batch, window=window))
    assert spelled == parse(f"--preset {name} --dataset {dataset}")
    assert spelled.model.image_size == ((128, 64) if dataset == "market" else (256, 256))
    assert spelled.loss.nn_loss_reduction == "mean"
    assert spelled.train.total_steps == 90_000


def test_flags_win_over_the_preset_and_the_data_set():
    config = parse("--preset full --dataset market --l1_penalty_weight 7 --batch_size 9 --image_size 128x128")
    assert (config.loss.l1_penalty_weight, config.train.batch_size, config.model.image_size) == (7.0, 9, (128, 128))
    assert config.loss.nn_loss_area_size == 3


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> str:
    """A generator whose every setting differs from the defaults and from all presets."""
    skeleton = dataclasses.replace(COCO18, name="other")
    model = ModelConfig(
        (64, 64), "full", "avg", "nearest", "call", "stickman", False, False, "release", "release", 0.02, 5.0, skeleton
    )
    path = tmp_path_factory.mktemp("given") / "generator.h5"
    save_model(build_generator(model), path)
    return str(path)


def test_a_given_generator_wins_over_the_defaults(given):
    ours, default = parse(f"--dataset market --generator_checkpoint {given}").model, ModelConfig()
    same = {name for name, value in vars(ours).items() if value == vars(default)[name]}
    assert same == {"image_size", "disc_type", "use_bg"}  # the first is the data set's, the others have no other value
    assert (ours.warp_skip, ours.sigma, ours.skeleton.name) == ("full", 5.0, "other")


def test_the_data_set_wins_over_a_given_generator(given):
    for dataset, size in (("market", (128, 64)), ("fashion", (256, 256))):
        assert parse(f"--dataset {dataset} --generator_checkpoint {given}").model.image_size == size


@pytest.mark.parametrize("name", RELEASE)
def test_the_preset_wins_over_a_given_generator(given, name):
    config = parse(f"--dataset market --preset {name} --generator_checkpoint {given}")
    assert config.model.warp_skip == ("none" if name == "baseline" else "mask")
    assert config.model.warp_agg == "avg"  # of which the preset says nothing
    assert config.loss == parse(f"--dataset market --preset {name}").loss


def test_the_preset_wins_over_the_data_set(monkeypatch):
    """No preset says anything of what a data set says; if one did, it would count."""
    monkeypatch.setattr(settings, "preset", lambda name, window: {"batch_size": 7, "image_size": (192, 64)})
    config = parse("--preset full --dataset market")
    assert (config.train.batch_size, config.model.image_size) == (7, (192, 64))


def test_flags_win_over_all(given, monkeypatch):
    monkeypatch.setattr(settings, "preset", lambda name, window: {"warp_skip": "none", "l1_penalty_weight": 5.0})
    flags = "--warp_skip stn --warp_agg max --image_size 64x64 --batch_size 3 --l1_penalty_weight 2 --sigma 6"
    config = parse(f"--dataset fashion --preset full --generator_checkpoint {given} {flags}")
    assert (config.model.warp_skip, config.model.warp_agg, config.model.sigma) == ("stn", "max", 6.0)
    assert (config.model.image_size, config.train.batch_size, config.loss.l1_penalty_weight) == ((64, 64), 3, 2.0)


# -------------------------------------------------------------------------------- of a resumed run

MAY_CHANGE = (
    *("dataset", "images_dir", "annotations_dir", "pairs_dir"),  # the content is compared
    *("number_of_epochs", "checkpoint_ratio", "display_ratio", "keep_checkpoints", "use_validation", "log_interval"),
)
OTHER = {  # field → another value that goes with the defaults; other fields get one from their type
    "image_size": (192, 64),
    "nn_loss_area_size": 3,
    "content_loss_layer": "block1_conv2",
    "pose_estimator": "other.h5",
    "skeleton": dataclasses.replace(COCO18, name="other"),
}
SAVED = RunConfig(model=ModelConfig(skeleton=COCO18), loss=LossConfig(pose_estimator="estimator.h5"))
FIELDS = [
    (section, field.name)
    for section in ("data", "model", "loss", "train")
    for field in dataclasses.fields(getattr(SAVED, section))
]


def another(section: str, name: str) -> Any:
    old = getattr(getattr(SAVED, section), name)
    if name in OTHER:
        return OTHER[name]
    if name in CHOICES:
        return next(choice for choice in CHOICES[name] if choice not in (old, "auto"))
    if isinstance(old, bool):
        return not old
    return old + 1 if isinstance(old, int) else old / 2 + 0.01 if isinstance(old, float) else f"{old}-other"


@pytest.mark.parametrize(("section", "name"), FIELDS, ids=lambda value: value)
def test_a_resumed_run_keeps_all_settings_but_a_few(section, name):
    """Of all fields there are: a new field is one that must not change, until it is listed here."""
    value = another(section, name)
    changed = argparse.Namespace(**{name: value})
    if name in MAY_CHANGE:
        config = resumed_config(changed, SAVED)
        assert getattr(getattr(config, section), name) == value
        assert config == dataclasses.replace(
            SAVED, **{section: dataclasses.replace(getattr(SAVED, section), **{name: value})}
        )
        return
    message = rf"^--{name}: a resumed run keeps its {section} settings: it has .*, got .*; .*--generator_checkpoint"
    with pytest.raises(InputError, match=message):
        resumed_config(changed, SAVED)


def test_a_resumed_run_may_be_given_its_own_settings():
    """As `--resume auto` in a script does."""
    fields = {name: getattr(getattr(SAVED, section), name) for section, name in FIELDS}
    assert resumed_config(argparse.Namespace(**fields), SAVED) == SAVED
    assert resumed_config(argparse.Namespace(), SAVED) == SAVED


def test_a_preset_is_a_change_of_settings_too():
    with pytest.raises(InputError, match="--warp_skip: a resumed run keeps its model settings: it has mask, got none"):
        resumed_config(argparse.Namespace(preset="baseline"), SAVED)


def test_every_flag_of_the_release_is_known():
    names = (
        "output_dir checkpoints_dir batch_size training_ratio l1_penalty_weight gan_penalty_weight tv_penalty_weight "
        "lstruct_penalty_weight number_of_epochs content_loss_layer checkpoint_ratio generator_checkpoint "
        "discriminator_checkpoint nn_loss_area_size use_validation dataset display_ratio start_epoch pose_estimator "
        "use_input_pose warp_skip warp_agg disc_type use_bg pose_rep_type"
    )
    known = {action.dest for action in train.build_parser()._actions}
    assert set(names.split()) <= known


@pytest.mark.parametrize("kind", [DataConfig, ModelConfig, LossConfig, TrainConfig])
def test_every_flag_has_a_description(kind):
    assert set(field_descriptions(kind)) == {field.name for field in dataclasses.fields(kind)}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("--dataset nowhere", "dataset 'nowhere' is not one of market, .*--image_size"),
        ("--nn_loss_area_size 4", "nn_loss_area_size must be odd, from 1 to 15, got 4"),
        ("--image_size 60x64", "image_size 60x64: both sides"),
        ("--use_bg 1 --disc_type warp", "use_bg goes with disc_type call only"),
        ("--batch_size 0", "batch_size must be above 0"),
        ("--lstruct_penalty_weight 1", "lstruct_penalty_weight above 0 needs pose_estimator"),
        ("--start_epoch 90", "start_epoch 90 leaves nothing"),
        ("--disc_type sim --use_input_pose 0", "disc_type sim .* needs use_input_pose 1"),
    ],
)
def test_values_that_do_not_fit_are_refused(command, message):
    with pytest.raises(InputError, match=message):
        parse(command)


@pytest.mark.parametrize(
    "command", ["--warp_skip masks", "--use_bg yes", "--image_size 64", "--batch_size many", "--batch 4"]
)
def test_unknown_flags_and_values_end_with_usage(command, capsys):
    with pytest.raises(SystemExit) as error:
        parse(command)
    assert error.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_what_is_wrong_with_a_skeleton_file_is_said(tmp_path, capsys):
    path = tmp_path / "bird.json"
    for content, message in ((None, "no such skeleton file"), ("[]", "expected a table of keys"), ("[" * 10**5, "")):
        if content is not None:
            path.write_text(content)
        with pytest.raises(SystemExit):
            parse(f"--skeleton {path}")
        assert f"error: argument --skeleton: {path}: {message}" in capsys.readouterr().err
