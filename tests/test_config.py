"""Settings: presets, every refused value, and the round trip through options.json."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from pose_gan.config import DataConfig, LossConfig, ModelConfig, RunConfig, TrainConfig
from pose_gan.errors import InputError
from pose_gan.files.records import build
from pose_gan.poses.skeleton import COCO18
from pose_gan.presets import DATASETS, PRESET_LOSS, PRESET_MODEL, PRESETS, preset, preset_of

NO_STROKES = dataclasses.replace(COCO18, strokes=())


def json_copy(values):
    return json.loads(json.dumps(values, allow_nan=False))


def test_round_trip():
    config = RunConfig(
        DataConfig("fashion", images_dir="images", pairs_dir="lists"),
        ModelConfig(image_size=(256, 256), warp_skip="full", norm="release", width=0.5, skeleton=NO_STROKES),
        LossConfig(l1_penalty_weight=0.01, nn_loss_area_size=5, content_loss_layer="block1_conv2"),
        TrainConfig(batch_size=2, seed=7, generator_checkpoint="g.weights.h5"),
    )
    for value in (config, RunConfig()):
        assert RunConfig.from_dict(json_copy(value.to_dict())) == value
    assert RunConfig.from_dict({}) == RunConfig()


def test_whole_numbers_may_stand_for_floats_and_lists_for_tuples():
    config = RunConfig.from_dict({"model": {"image_size": [96, 64]}, "loss": {"l1_penalty_weight": 5}})
    assert config.model.image_size == (96, 64)
    assert isinstance(config.loss.l1_penalty_weight, float)
    assert ModelConfig(image_size=[96, 64]).image_size == (96, 64)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], r"^o\.json: expected a table of keys, got \[\]"),
        ({"modle": {}}, r"^o\.json: unknown key 'modle'; allowed: data, model, loss, train"),
        ({"train": {"batchsize": 4}}, r"^o\.json: train: unknown key 'batchsize'; allowed: number_of_epochs"),
        ({"train": {"batch_size": "4"}}, r"^o\.json: train\.batch_size: expected a whole number, got '4'"),
        ({"train": {"batch_size": 4.5}}, r"^o\.json: train\.batch_size: expected a whole number, got 4\.5"),
        ({"train": {"batch_size": True}}, r"^o\.json: train\.batch_size: expected a whole number, got True"),
        ({"train": {"use_validation": 1}}, r"^o\.json: train\.use_validation: expected true or false, got 1"),
        ({"train": {"learning_rate": math.nan}}, r"^o\.json: train\.learning_rate: expected a finite number, got nan"),
        ({"train": {"batch_size": 0}}, r"^o\.json: train: batch_size must be above 0, got 0"),
        ({"model": []}, r"^o\.json: model: expected a table of keys, got \[\]"),
        ({"model": {"image_size": 128}}, r"^o\.json: model\.image_size: expected a list, got 128"),
        ({"model": {"image_size": [128]}}, r"^o\.json: model\.image_size: expected 2 values, got 1"),
        ({"model": {"skeleton": {"name": "x"}}}, r"^o\.json: model\.skeleton: key 'joints' is missing"),
        ({"data": {"images_dir": 3}}, r"^o\.json: data\.images_dir: expected a text, got 3"),
    ],
)
def test_bad_options_files(values, message):
    with pytest.raises(InputError, match=message):
        RunConfig.from_dict(values, "o.json")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"warp_skip": "dsc"}, "warp_skip 'dsc' is not known; allowed: none, full, mask, stn"),
        ({"warp_agg": "sum"}, "warp_agg 'sum' is not known; allowed: max, avg"),
        ({"warp_interpolation": "cubic"}, "warp_interpolation 'cubic' is not known; allowed: bilinear, nearest"),
        ({"disc_type": "patch"}, "disc_type 'patch' is not known; allowed: call, sim, warp"),
        ({"pose_rep_type": "lines"}, "pose_rep_type 'lines' is not known; allowed: hm, stickman"),
        ({"norm": "batch"}, "norm 'batch' is not known; allowed: instance, release"),
        ({"image_size": (128,)}, r"image_size is \(height, width\), got \(128,\)"),
        ({"image_size": (100, 63)}, "image_size 100x63: both sides must have 64 pixels or more"),
        ({"image_size": (0, 64)}, "image_size 0x64"),
        (
            {"image_size": (1024, 64), "compat": "release"},
            "image_size 1024x64: .* 64 to 960 pixels with compat release",
        ),
        ({"use_bg": True, "disc_type": "sim"}, "use_bg goes with disc_type call only, got sim"),
        ({"disc_type": "sim", "use_input_pose": False}, "disc_type sim .* needs use_input_pose 1"),
        ({"pose_rep_type": "stickman", "skeleton": NO_STROKES}, "skeleton 'coco18' defines no strokes"),
        *(({"width": width}, "width must be above 0 and at most 8") for width in (0, -1, 9, math.nan)),
        *(({"sigma": sigma}, "sigma above 0; got 1.0, ") for sigma in (0, math.nan, math.inf)),
    ],
)
def test_bad_models(values, message):
    with pytest.raises(InputError, match=message):
        ModelConfig(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nn_loss_reduction": "max"}, "nn_loss_reduction 'max' is not known; allowed: mean, sum"),
        *(({"nn_loss_area_size": size}, "odd, from 1 to 15, got") for size in (0, 2, -1)),
        *(
            ({f"{name}_penalty_weight": weight}, f"{name}_penalty_weight must be 0 or more, got")
            for name in ("gan", "l1", "tv", "lstruct")
            for weight in (-1.0, math.nan, math.inf)
        ),
        ({"lstruct_penalty_weight": 1.0}, "lstruct_penalty_weight above 0 needs pose_estimator"),
    ],
)
def test_bad_losses(values, message):
    with pytest.raises(InputError, match=message):
        LossConfig(**values)


@pytest.mark.parametrize(
    "name",
    [
        *("number_of_epochs", "iterations_per_epoch", "batch_size", "training_ratio", "checkpoint_ratio"),
        *("display_ratio", "log_interval", "learning_rate"),
    ],
)
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_positive_training_settings(name, value):
    with pytest.raises(InputError, match=f"{name} must be above 0, got {value}"):
        dataclasses.replace(TrainConfig(), **{name: value})


def test_other_bad_training_settings():
    for name in ("seed", "keep_checkpoints", "start_epoch"):
        with pytest.raises(InputError, match=f"{name}.* must not be negative"):
            dataclasses.replace(TrainConfig(), **{name: -1})
    with pytest.raises(InputError, match="start_epoch 90 leaves nothing of 90 epochs"):
        TrainConfig(start_epoch=90)
    with pytest.raises(InputError, match=r"seed must be below 2\*\*32, got 4294967296"):
        TrainConfig(seed=2**32)
    for beta in (-0.1, 1.0, math.nan):
        with pytest.raises(InputError, match="beta_1 and beta_2 must be 0 or more and below 1"):
            TrainConfig(beta_1=beta)


def test_steps():
    config = TrainConfig(number_of_epochs=5, iterations_per_epoch=10, start_epoch=2)
    assert (config.first_step, config.total_steps) == (20, 50)


@pytest.mark.parametrize(
    ("text", "layers"),
    [("none", ()), ("", ()), ("block1_conv2", ("block1_conv2",)), ("a, b", ("a", "b"))],
)
def test_content_layers(text, layers):
    assert LossConfig(content_loss_layer=text).content_layers == layers


def test_channels():
    assert [ModelConfig().channels(count) for count in (64, 512, 3)] == [64, 512, 3]
    assert [ModelConfig(width=0.25).channels(count) for count in (64, 512, 8)] == [16, 128, 8]
    assert ModelConfig().pose_channels == 18
    assert ModelConfig(pose_rep_type="stickman").pose_channels == 3


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("name", ["baseline", "dsc", "fm", "full"])
def test_presets_are_valid_settings(dataset, name):
    window = DATASETS[dataset].nn_window
    values = preset(name, window)
    model = ModelConfig(image_size=DATASETS[dataset].image_size, warp_skip=values.pop("warp_skip"))
    assert model.warp_skip == ("none" if name == "baseline" else "mask")
    loss = LossConfig(**values)
    assert loss.nn_loss_area_size == (window if name == "full" else 1)
    assert loss.l1_penalty_weight == {"baseline": 100, "dsc": 100, "fm": 0.5, "full": 0.01}[name]
    assert loss.content_layers == {"fm": ("block2_conv1",), "full": ("block1_conv2",)}.get(name, ())


# For each setting that makes a preset, a value that no row of the paper has.
OTHER_MODEL = {
    **{"warp_skip": "stn", "warp_agg": "avg", "disc_type": "warp", "pose_rep_type": "stickman"},
    **{"use_input_pose": False, "use_bg": True},
}
OTHER_LOSS = {
    **{"gan_penalty_weight": 0.5, "l1_penalty_weight": 0.02, "content_loss_layer": "block3_conv1"},
    **{"nn_loss_area_size": 7, "tv_penalty_weight": 0.1},
}


def configs(name: str, **changed) -> tuple[ModelConfig, LossConfig]:
    """The settings of a preset on a data set with the window 3, some of them changed."""
    values = {**preset(name, 3), **changed}
    of_model = {key: values.pop(key) for key in list(values) if key in vars(ModelConfig())}
    return ModelConfig(**of_model), LossConfig(**values)


@pytest.mark.parametrize("name", PRESETS)
def test_settings_know_their_preset(name):
    assert preset_of(*configs(name), nn_window=3) == name
    width = {"width": 0.25, "norm": "release", "warp_interpolation": "nearest", "sigma": 4.0, "image_size": (96, 64)}
    assert preset_of(*configs(name, **width, nn_loss_reduction="sum", vgg_weights="vgg.h5"), nn_window=3) == name
    for changed in (*OTHER_MODEL.items(), *OTHER_LOSS.items()):
        assert preset_of(*configs(name, **dict([changed])), nn_window=3) is None, changed
    structure = {"lstruct_penalty_weight": 1.0, "pose_estimator": "a.pb"}
    assert preset_of(*configs(name, **structure), nn_window=3) is None
    random = preset_of(*configs(name, vgg_weights="random"), nn_window=3)
    assert random == (name if name in ("baseline", "dsc") else None)  # these have no use for VGG-19
    assert preset_of(*configs(name), nn_window=5) == (None if name == "full" else name)


def test_every_setting_that_makes_a_preset_is_tried():
    assert OTHER_MODEL.keys() == set(PRESET_MODEL)
    assert OTHER_LOSS.keys() | {"lstruct_penalty_weight"} == set(PRESET_LOSS)
    rows = [{**vars(ModelConfig()), **vars(LossConfig()), **preset(name, 3)} for name in PRESETS]
    for key, value in {**OTHER_MODEL, **OTHER_LOSS}.items():
        assert value not in [row[key] for row in rows]


def test_unknown_preset():
    with pytest.raises(InputError, match="preset 'best' is not known; allowed: baseline, dsc, fm, full"):
        preset("best", 3)


def test_the_two_spellings_of_fashion_are_one_data_set():
    for name in ("fashion", "fashion128", "fashion176"):
        assert DATASETS[name] == DATASETS[name.replace("fashion", "fasion")]


def test_build_returns_what_is_built_already():
    config = TrainConfig()
    assert build(TrainConfig, config, "options") is config
