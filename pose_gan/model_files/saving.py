"""Writes and reads trained networks as files. `pose_gan.model_files.formats` writes formats for other programs."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from pose_gan.config import ModelConfig
from pose_gan.errors import InputError, InputWarning, reason
from pose_gan.files.atomic import atomic_path, check_room
from pose_gan.files.keras_files import keras_version
from pose_gan.model_files import metadata, release, safety
from pose_gan.model_files.metadata import ModelInfo
from pose_gan.model_files.portable import leave_out_defaults
from pose_gan.model_files.run_folder import DEMO_FILE, DEMO_KNOWS, MODEL_SUFFIXES, model_file
from pose_gan.networks import generator_config

GENERATOR_INPUTS = ("source_image", "source_keypoints", "target_keypoints")
EXPORTED_SUFFIXES = (".tflite", ".onnx")
ROOM = 1 << 20  # bytes that a model file needs at most besides its weights
_HDF5_WARNING = "You are saving your model as an HDF5 file"


def save_model(model: keras.Model, path: str | os.PathLike[str], info: ModelInfo | None = None) -> None:
    """Writes a whole model (architecture, weights and metadata), atomically.

    Args:
        model: a network, in float32.
        path: a file name with the suffix `.h5` or `.keras`; the suffix chooses the format.
        info: the metadata; None: those that can be worked out from a generator.
    Raises: OSError: the disk is full, or fails.
    """
    if info is None and is_generator(model):
        info = describe(model)
    with atomic_path(path) as temporary:
        check_room(temporary.parent, ROOM + sum(weight.numpy().nbytes for weight in model.weights))
        with _quiet_about_hdf5():
            model.save(temporary)
        leave_out_defaults(temporary)
        if info is not None:
            metadata.attach(temporary, info.written_now())


@contextlib.contextmanager
def _quiet_about_hdf5() -> Iterator[None]:
    """Leaves out Keras' warning that the `.h5` format is legacy: the format is a documented choice here.

    No other message is left out, and none of another thread.
    """
    logger, thread = logging.getLogger("absl"), threading.get_ident()

    def passes(record: logging.LogRecord) -> bool:
        return record.thread != thread or _HDF5_WARNING not in str(record.msg)

    logger.addFilter(passes)
    try:
        yield
    finally:
        logger.removeFilter(passes)


def is_generator(model: keras.Model) -> bool:
    """Whether a model has a generator's inputs."""
    return {tensor.name for tensor in model.inputs} - {"background"} == set(GENERATOR_INPUTS)


def describe(generator: keras.Model) -> ModelInfo:
    """Metadata of a generator, worked out from the model alone."""
    return ModelInfo("generator", settings_of(generator))


def settings_of(generator: keras.Model) -> ModelConfig:
    """Settings of a generator that `load_generator` returned. Raises ValueError for another model."""
    exported = [layer for layer in generator.layers if isinstance(layer, ExportedGenerator)]
    return exported[0].config if exported else generator_config(generator)


def load_model(
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
    """Reads a network. It runs no code from the file.

    Args:
        path: a file that `save_model` wrote, or a checkpoint of the authors' release.
        image_size, warp_skip, warp_agg, pose_rep_type, use_input_pose, use_bg, disc_type: settings of `ModelConfig`
            that the weights may not show, for the release's checkpoints only (None: not known).
    Raises: InputError: the file cannot be used; the message names the file and the fault.
    """
    known = release.known_settings(locals())
    path = Path(path)
    if path.suffix in EXPORTED_SUFFIXES:
        raise InputError(
            f"{path}: is for other programs, which README.md shows; here give the .h5, .keras or SavedModel of it"
        )
    if path.suffix not in MODEL_SUFFIXES:
        absent = "" if path.exists() else "no such file or folder; "
        raise InputError(f"{path}: {absent}a model file ends in {' or '.join(MODEL_SUFFIXES)}")
    if not path.is_file():
        raise InputError(f"{path}: no such model file")
    if path.suffix == ".h5" and release.is_release(path):
        return release.load(path, **known)
    safety.check_parts(path)
    metadata.read(path)  # in a truncated archive the metadata may be the only damaged part
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras, h5py and zipfile raise many kinds for a damaged file
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> InputError:
    """The message for a file that Keras could not read. It names the versions if another one wrote the file."""
    wrote = keras_version(path)
    if wrote in (None, keras.__version__):
        return safety.damaged(path, "a model", error)
    return InputError(
        f"{path}: Keras {keras.__version__}, which is installed, cannot read what Keras {wrote} wrote: install that "
        f'(pip install "keras=={wrote}"), or let it write the file anew (pose-gan export, where it is installed); '
        f"if both fail, the file is damaged: {reason(error)}"
    )


def load_generator(
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
    """A trained generator from a model file, an exported SavedModel or a training run's folder.

    Args:
        path: a `.h5` or `.keras` file; a SavedModel of `pose-gan export` (for inference only); a run folder (its
            newest checkpoint is taken); `demo`, the generator that comes with the package, which knows drawn people
            only (an `InputWarning` says so); or a generator checkpoint of the authors' release, which is recognised and
            computed as in the release (`compat="release"`).
        image_size, warp_skip, warp_agg, pose_rep_type, use_input_pose, use_bg, disc_type: settings of `ModelConfig`,
            for the release's checkpoints only (None: not known). The weights do not show the image size (taken for
            128×64, or 256×256 for seven levels), the aggregation (taken for `max`), and whether skips are `mask` or
            `full` (taken for `mask`).
    Returns: a Keras model with the inputs `source_image` `(B, H, W, 3)` float32 in [-1, 1],
        `source_keypoints` and `target_keypoints` `(B, J, 2)`, (y, x) in pixels, −1 where missing
        (and `background` for models that have this input); it returns the image, `(B, H, W, 3)` in [-1, 1].
    Raises: InputError: the file is absent, damaged or hostile, or the model is not a generator.
    Example:
        generator = pose_gan.load_generator("runs/00000-market-mask/generator.h5")
        image = generator([photo[None] / 127.5 - 1, pose_in_photo[None], wanted_pose[None]])
    """
    known = release.known_settings(locals())
    path = model_file(path)
    if path == DEMO_FILE:
        warnings.warn(f"{DEMO_KNOWS}; its images of photos mean nothing", InputWarning, stacklevel=2)
    model = _open_saved_model(path) if path.is_dir() else load_model(path, **known)
    if not is_generator(model):
        names = [tensor.name for tensor in model.inputs]
        raise InputError(f"{path}: not a generator: its inputs are {names}, expected {list(GENERATOR_INPUTS)}")
    return model


def read_info(
    path: str | os.PathLike[str],
    *,
    image_size: tuple[int, int] | None = None,
    warp_skip: str | None = None,
    warp_agg: str | None = None,
    pose_rep_type: str | None = None,
    use_input_pose: bool | None = None,
    use_bg: bool | None = None,
    disc_type: str | None = None,
) -> ModelInfo:
    """The metadata of a model file of any format. If the file has none, they are worked out where that is possible.

    Args:
        path: as for `load_generator`; it may also be a `.tflite` or `.onnx` file, or a discriminator.
        image_size, warp_skip, warp_agg, pose_rep_type, use_input_pose, use_bg, disc_type: as for
            `load_generator`.
    Raises: InputError: the file is absent or damaged, or it is not a model of this project or of the release.
    """
    known = release.known_settings(locals())
    path = model_file(path)
    if path.suffix == ".h5" and release.is_release(path):
        kind, config = release.settings(path, **known)
        return ModelInfo(kind, config, converted_from=path.name, pose_gan="")
    info = metadata.read(path)
    if info is None and path.suffix in MODEL_SUFFIXES:  # an early version wrote no metadata
        info = describe(load_generator(path))
    if info is None:
        raise InputError(f"{path}: has no metadata: it was not written by this project")
    return info


class ExportedGenerator(keras.layers.Layer):
    """A SavedModel of `pose-gan export` as a layer, for inference.

    Args:
        path: the folder of the SavedModel.
        config: settings of the generator in it.

    Call arguments: the generator's inputs by name. The layer returns the image `(B, H, W, 3)`.
    """

    def __init__(self, path: str | os.PathLike[str], config: ModelConfig, **kwargs: Any) -> None:
        super().__init__(trainable=False, **kwargs)
        self.config = config
        self._loaded = tf.saved_model.load(str(path))
        self._serve = self._loaded.signatures["serving_default"]

    @property
    def exported_variables(self) -> Sequence[tf.Variable]:
        """The weights in the SavedModel, which Keras does not count as the layer's own."""
        return self._serve.variables

    def call(self, inputs: dict[str, Any]) -> Any:
        return self._serve(**inputs)["image"]

    def compute_output_shape(self, input_shape: dict[str, tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return tuple(input_shape["source_image"])


def _open_saved_model(path: Path) -> keras.Model:
    """A SavedModel as a Keras model. The metadata give the shapes."""
    config = read_info(path).model
    safety.check_operators(path)
    image = (*config.image_size, 3)
    shapes = {name: (config.skeleton.num_joints, 2) if "keypoints" in name else image for name in GENERATOR_INPUTS}
    shapes |= {"background": image} if config.use_bg else {}
    inputs = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    try:
        return keras.Model(list(inputs.values()), ExportedGenerator(path, config)(inputs), name="generator")
    except Exception as error:  # TensorFlow raises many kinds for a damaged folder
        raise safety.damaged(path, "a SavedModel", error) from None
