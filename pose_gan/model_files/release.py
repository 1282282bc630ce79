"""The checkpoints of the authors' release: HDF5 files by Keras 2.0.8 that hold weights or whole models.

Such a file holds the arrays of each layer that has weights. Their order is the layers' depth in the release's graph,
which interleaves the two encoders. The layers' names carry running numbers, so they do not identify the layers. A file
is therefore recognised by the shapes of its arrays: they are compared with the layout of every variant of the
release's networks.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import h5py
import keras
import numpy as np

from pose_gan.config import TELLING, ModelConfig, in_words, value_in_words
from pose_gan.errors import InputError
from pose_gan.files import hdf5
from pose_gan.model_files.release_layout import SIZES, Entry, Shape, layout_of
from pose_gan.networks import build_discriminator, build_generator

WHAT = "a checkpoint of the release's networks (generator or discriminator, written by Keras 2)"

_OF_OTHERS = {"generator": "disc_type", "discriminator": "warp_skip"}  # settings without effect on the network


class Layer(NamedTuple):
    """A layer of a file: its name in the file, and its arrays, which have not been read yet."""

    name: str
    arrays: list[h5py.Dataset]

    @property
    def shapes(self) -> list[Shape]:
        return [array.shape for array in self.arrays]


def is_release(path: str | os.PathLike[str]) -> bool:
    """Whether a file is HDF5 in the layout of Keras 1 or 2. Keras 3 differs by writing its version into its files."""
    try:
        with hdf5.opened(path) as file:
            version = hdf5.text(_weights_group(file).attrs.get("keras_version", b"1"))
            return _has_layers(_weights_group(file)) and not version.startswith("3")
    except InputError:
        return False


def load(
    path: str | os.PathLike[str],
    *,
    image_size: tuple[int, int] | None = None,
    warp_skip: str | None = None,
    warp_agg: str | None = None,
    pose_rep_type: str | None = None,
    use_input_pose: bool | None = None,
    use_bg: bool | None = None,
    disc_type: str | None = None,
) -> keras.Model:
    """Loads the network of a checkpoint of the release, with `compat="release"`.

    Args:
        path: the file.
        image_size, warp_skip, warp_agg, pose_rep_type, use_input_pose, use_bg, disc_type: settings of `ModelConfig`
            that the user knows (None: not known); only variants that agree with them are considered.
    Returns: a model as `build_generator` or `build_discriminator` makes it.
    Raises: InputError: the file is damaged, or it holds no network of the release with these settings.
    """
    known = known_settings(locals())
    with hdf5.opened(path) as file:
        layers = _layers(file, path)
        kind, config = _recognise(layers, _told(file), known, path)
        model = build_generator(config) if kind == "generator" else build_discriminator(config)
        _assign(model, layers, layout_of(kind, config), path)
    return model


def settings(
    path: str | os.PathLike[str],
    *,
    image_size: tuple[int, int] | None = None,
    warp_skip: str | None = None,
    warp_agg: str | None = None,
    pose_rep_type: str | None = None,
    use_input_pose: bool | None = None,
    use_bg: bool | None = None,
    disc_type: str | None = None,
) -> tuple[str, ModelConfig]:
    """Returns `generator` or `discriminator`, and its settings, without loading weights.

    The arguments and the errors are those of `load`.
    """
    known = known_settings(locals())
    with hdf5.opened(path) as file:
        return _recognise(_layers(file, path), _told(file), known, path)


def known_settings(arguments: dict[str, Any]) -> dict[str, Any]:
    """The settings of `config.TELLING` among the arguments of a call, without those that are None."""
    return {name: arguments[name] for name in TELLING if arguments[name] is not None}


# ---------------------------------------------------------------------------------- recognising


def _recognise(
    layers: list[Layer], told: dict[str, Any], known: dict[str, Any], path: str | os.PathLike[str]
) -> tuple[str, ModelConfig]:
    """Kind and settings of the variant whose layout the layers have.

    The weights leave some settings open. Such a setting is taken from the user (`known`), else from the file (`told`),
    else it is the release's usual one, which comes first in each list in `_variants`.
    """
    shapes = [layer.shapes for layer in layers]
    first = shapes[0][0] if shapes and shapes[0] else ()
    if len(first) != 4 or first[:2] not in ((3, 3), (4, 4)):
        raise InputError(f"{path}: not {WHAT}: its first array has the shape {first}")
    kind, width = ("generator" if first[0] == 3 else "discriminator"), first[3] / 64
    # a network also works at another image size that needs the same number of levels
    decided = [name for name in told if name not in (_OF_OTHERS[kind], "image_size")]
    if otherwise := [name for name in decided if known.get(name, told[name]) != told[name]]:
        raise InputError(_conflict(path, kind, told, known, otherwise))
    nearest: tuple[int, ModelConfig, list[Entry]] | None = None
    for config in _variants(width, told | known, kind):
        layout = layout_of(kind, config)
        agreeing = next(
            (i for i, (a, b) in enumerate(zip(shapes, layout, strict=False)) if a != b.shapes),
            min(len(shapes), len(layout)),
        )
        if agreeing == len(shapes) == len(layout):
            return kind, config
        if nearest is None or agreeing > nearest[0]:
            nearest = agreeing, config, layout
    if known:  # without these settings a variant fits, or the next call raises
        _, config = _recognise(layers, told, {}, path)
        differing = [name for name, value in known.items() if _shows(kind, config, name, value)]
        raise InputError(_conflict(path, kind, vars(config), known, differing))
    raise InputError(_difference(kind, layers, nearest, path))


def _variants(width: float, known: dict[str, Any], kind: str) -> Iterator[ModelConfig]:
    """Settings of all networks of the release that have this width and agree with the known settings."""
    choices: dict[str, Iterable[Any]] = {
        "image_size": SIZES.values(),
        "warp_skip": ("mask", "none", "stn", "full"),
        "pose_rep_type": ("hm", "stickman"),
        "use_input_pose": (True, False),
        "use_bg": (False, True),
        "disc_type": ("call", "sim", "warp"),
    }
    fixed = {name: value for name, value in known.items() if name != _OF_OTHERS[kind]}
    free = {name: values for name, values in choices.items() if name not in fixed and name != _OF_OTHERS[kind]}
    for values in itertools.product(*free.values()):
        try:
            yield ModelConfig(compat="release", **{"width": width, **fixed, **dict(zip(free, values, strict=True))})
        except InputError:
            continue  # these settings do not go together


def _conflict(
    path: str | os.PathLike[str], kind: str, own: dict[str, Any], asked: dict[str, Any], names: list[str]
) -> str:
    """The message for a file whose settings differ from the user's. It names the settings of both."""
    of, got = (in_words({name: values[name] for name in names}) for values in (own, asked))
    return f"{path}: is of a {kind} with {of}, got {got}; leave out the flag that says so, or take another file"


def _shows(kind: str, config: ModelConfig, name: str, value: Any) -> bool:
    """Whether the weights would have another layout if the setting had this value."""
    if getattr(config, name) == value:
        return False
    try:
        return layout_of(kind, dataclasses.replace(config, **{name: value})) != layout_of(kind, config)
    except InputError:
        return True


def _difference(
    kind: str,
    layers: list[Layer],
    nearest: tuple[int, ModelConfig, list[Entry]] | None,
    path: str | os.PathLike[str],
) -> str:
    """The reason why no variant fits, for the variant that agrees with the most layers from the start."""
    if nearest is None:
        return f"{path}: the release has no {kind} of this width"
    row, config, layout = nearest
    like = " ".join(
        f"--{name} {value_in_words(getattr(config, name))}" for name in ("warp_skip", "image_size", "disc_type")
    )
    got = f"{layers[row].name} with arrays {layers[row].shapes}" if row < len(layers) else "no more layers"
    wanted = f"arrays {layout[row].shapes}" if row < len(layout) else "no more layers"
    return (
        f"{path}: not a {kind} of the release. It has {len(layers)} layers with weights; nearest is {like} with "
        f"{len(layout)}, where layer {row + 1} differs: the file has {got}, expected {wanted}"
    )


def _told(file: h5py.File) -> dict[str, Any]:
    """The settings that the weights do not show, read from the description of a whole model.

    These are the image size, the kind of skip connections and the aggregation.
    """
    try:
        described = json.loads(hdf5.text(file.attrs["model_config"]))["config"]["layers"]
        sizes = [layer["config"]["batch_input_shape"] for layer in described if layer["class_name"] == "InputLayer"]
        height, width, _ = next(shape[1:] for shape in sizes if len(shape) == 4 and shape[-1] == 3)
        told: dict[str, Any] = {"image_size": (int(height), int(width))}
        for layer in described:
            if layer["class_name"] == "AffineTransformLayer":
                told["warp_skip"] = "full" if layer["config"]["number_of_transforms"] == 1 else "mask"
                told["warp_agg"] = str(layer["config"]["aggregation_fn"])
        ModelConfig(**told)
        return told
    except (KeyError, TypeError, ValueError, StopIteration):
        return {}  # the file has only weights, or another description; the weights decide


# ------------------------------------------------------------------------------------- reading


def _layers(file: h5py.File, path: str | os.PathLike[str]) -> list[Layer]:
    """The layers that have weights, in the order of the file."""
    root, layers = _weights_group(file), []
    if not _has_layers(root):
        raise InputError(f"{path}: not {WHAT}: it lists no layers")
    for name in _names(root, "layer_names"):
        group: Any = root[name]
        if not isinstance(group, h5py.Group):
            raise InputError(f"{path}: damaged: layer {name} is no group of arrays")
        arrays: list[Any] = [group[weight] for weight in _names(group, "weight_names")]
        for array in arrays:
            if not isinstance(array, h5py.Dataset) or array.dtype.kind != "f":
                raise InputError(f"{path}: damaged: layer {name} holds something else than arrays of numbers")
        if arrays:
            layers.append(Layer(name, arrays))
    return layers


def _weights_group(file: h5py.File) -> Any:
    """The group that holds the weights. In the file of a whole model it is `model_weights`."""
    inner = file.get("model_weights")
    return inner if isinstance(inner, h5py.Group) else file


def _has_layers(group: Any) -> bool:
    return "layer_names" in group.attrs or "layer_names0" in group.attrs


def _names(group: Any, key: str) -> list[str]:
    """A list of names. Later versions of Keras 2 split a long list into `key0`, `key1` and so on."""
    parts = [group.attrs[key]] if key in group.attrs else []
    while (split := f"{key}{len(parts)}") in group.attrs:
        parts.append(group.attrs[split])
    return [hdf5.text(name) for part in parts for name in np.atleast_1d(part)]


def _assign(model: keras.Model, layers: list[Layer], layout: list[Entry], path: str | os.PathLike[str]) -> None:
    """Reads the arrays one at a time, and assigns each to the layer that takes it."""
    first_net: list[h5py.Dataset] = []
    for layer, entry in zip(layers, layout, strict=True):
        targets = [weight for name in entry.layers for weight in model.get_layer(name).weights]
        if not entry.layers:
            if any(not np.array_equal(a[()], b[()]) for a, b in zip(layer.arrays, first_net, strict=True)):
                raise InputError(f"{path}: layer {layer.name}: its localisation net is not that of the first skip")
            continue
        if "stn_transform" in entry.layers:
            first_net = layer.arrays
        for array, target in zip(layer.arrays, targets, strict=True):
            values = np.asarray(array[()], np.float32)
            if not np.isfinite(values).all():
                raise InputError(f"{path}: layer {layer.name}: holds numbers that are not finite")
            target.assign(values.reshape(target.shape))
