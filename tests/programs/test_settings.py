"""Flags: the release's commands, presets, and values that do not go together."""

from __future__ import annotations

import dataclasses
import shlex

import pytest

from pose_gan.config import DataConfig, LossConfig, ModelConfig, RunConfig, TrainConfig
from pose_gan.errors import InputError
from pose_gan.programs import train
from pose_gan.programs.flags import field_descriptions
from pose_gan.programs.settings import run_config

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
        ("--image_size 100x64", "image_size 100x64: both sides"),
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
