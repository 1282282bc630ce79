"""Opens files of networks that give OpenPose's maps. All become the same kind of function.

`open_network` recognises the kind of the file: a frozen TensorFlow graph, a SavedModel, a Keras model, or
the HDF5 file of the CMU network that the release calls `pose_estimator.h5`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from pose_gan.errors import InputError, reason
from pose_gan.estimators import cmu, foreign
from pose_gan.estimators.base import EstimatorConfig
from pose_gan.estimators.pretrained import graph_function, read_graph
from pose_gan.files import graphs, hdf5

# Names that published graphs use for the image, and for the maps (one tensor, or two)
INPUTS = ("image", "input", "input_1", "inputs", "Placeholder", "x")
OUTPUTS = (
    ("Openpose/concat_stage7",),
    ("Mconv7_stage6_L2/BiasAdd", "Mconv7_stage6_L1/BiasAdd"),
    ("Openpose/MConv_Stage6_L2_5/BiasAdd", "Openpose/MConv_Stage6_L1_5/BiasAdd"),
)
_SCALING = {"bytes": (1.0, 0.0), "unit": (1 / 255, 0.0), "centred": (1 / 255, -0.5), "signed": (1 / 127.5, -1.0)}

Function = Callable[[tf.Tensor], list[tf.Tensor]]


@dataclass(frozen=True)
class MapNetwork:
    """A frozen network from images to maps.

    Attributes:
        kind: kind of the file, for messages.
        function: prepared pixels `(B, H, W, 3)` → maps, one tensor or several.
        colour_order: colour order of the prepared pixels, `rgb` or `bgr`.
        input_range: range of the prepared pixels, a name in `INPUT_RANGES`.

    Call arguments: images `(B, H, W, 3)`, RGB in [0, 255].
    Returns: float32 `(B, h, w, channels)`: 19 heat maps, then 38 part affinity maps if the network gives
        them.
    """

    kind: str
    function: Function
    colour_order: str
    input_range: str

    def count_maps(self, image_size: tuple[int, int]) -> int:
        """The number of maps. Raises InputError if the network does not run on images of this (height, width)."""
        try:
            return int(self(tf.zeros((1, *image_size, 3))).shape[-1])
        except Exception as error:  # TensorFlow and Keras have no common class for this error
            raise InputError(
                f"pose_estimator: {self.kind}: does not run on images of {image_size[0]}x{image_size[1]} pixels "
                f"(height x width) ({reason(error)})"
            ) from None

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        factor, offset = _SCALING[self.input_range]
        pixels = tf.cast(images, tf.float32) * factor + offset
        outputs = self.function(pixels[..., ::-1] if self.colour_order == "bgr" else pixels)
        # Two outputs come in either order; the one with fewer channels has the heat maps
        outputs = sorted(outputs, key=lambda maps: maps.shape[-1])
        return tf.cast(tf.concat(outputs, axis=-1), tf.float32)


def open_network(path: str | os.PathLike[str], config: EstimatorConfig | None = None) -> MapNetwork:
    """Opens a network's file.

    If `config` leaves colour order and range to the file, a frozen graph and a SavedModel take RGB in 0..255.
    A Keras model takes BGR in -0.5..0.5, as the release's model does, or in 0..255 if it scales its input
    itself (its first layer is a Rescaling or Normalization).

    What the file holds is looked at first: a network that does more than compute is refused.

    Raises: InputError: the file is of another kind, damaged or hostile, the graph lacks a tensor, or the network gives
        other maps.
    """
    config = config or EstimatorConfig()
    path = Path(path)
    if not path.exists():
        raise InputError(f"pose_estimator: {path}: no such file")
    try:
        kind, function, order, pixels = _opened(path, config)
    except InputError as error:  # the checks of files know nothing of flags
        known = str(error).startswith(("pose_estimator: ", "--"))
        raise InputError(f"{'' if known else 'pose_estimator: '}{error}") from None
    order = order if config.colour_order == "auto" else config.colour_order
    pixels = pixels if config.input_range == "auto" else config.input_range
    return MapNetwork(f"{kind} {path.name}", function, order, pixels)


def _opened(path: Path, config: EstimatorConfig) -> tuple[str, Function, str, str]:
    """Kind of the file, its function, and the order and range of the pixels that it takes."""
    if path.is_dir() and (path / graphs.SAVED_MODEL).is_file():
        return "SavedModel", _saved_model(path, config), "rgb", "bytes"
    if path.suffix == ".pb":
        return "frozen graph", _frozen_graph(path, config), "rgb", "bytes"
    if path.suffix in (".h5", ".hdf5") and _is_cmu(path):
        return "CMU network", _keras_function(cmu.load(path)), "bgr", "centred"
    if path.suffix in (".h5", ".hdf5", ".keras") and path.is_file():
        model = _keras_model(path)
        first = model.layers[1] if len(model.layers) > 1 else None
        scaled = isinstance(first, (keras.layers.Rescaling, keras.layers.Normalization))
        return "Keras model", _keras_function(model), "bgr", "bytes" if scaled else "centred"
    raise InputError(
        f"{path}: not a pose estimator; give a frozen graph (.pb), the folder of a SavedModel, a Keras model (.keras, "
        ".h5) or a MediaPipe Pose Landmarker (.task)"
    )


def _frozen_graph(path: Path, config: EstimatorConfig) -> Function:
    graph_def = read_graph(path, "pose_estimator")
    names = {node.name for node in graph_def.node}
    placeholders = [node.name for node in graph_def.node if node.op == "Placeholder"]
    if config.estimator_input:
        image = _tensors(path, "estimator_input", [config.estimator_input], names)
    else:
        known = [name for name in INPUTS if name in names] or (placeholders if len(placeholders) == 1 else [])
        if not known:
            raise InputError(_unnamed(path, "estimator_input", "placeholders", placeholders))
        image = [f"{known[0]}:0"]
    if config.estimator_output:
        maps = _tensors(path, "estimator_output", config.estimator_output.split(","), names)
    else:
        sets = [group for group in OUTPUTS if all(name in names for name in group)]
        if not sets:
            raise InputError(_unnamed(path, "estimator_output", "last nodes", [n.name for n in graph_def.node][-5:]))
        maps = [f"{name}:0" for name in sets[0]]
    function = graph_function(graph_def, image, maps, f"pose_estimator: {path}")
    return lambda pixels: list(function(pixels))


def _tensors(path: Path, flag: str, given: Iterable[str], names: set[str]) -> list[str]:
    """Names of tensors. The suffix `:0` is added to names that lack it."""
    tensors = [name.strip() for name in given]
    for name in tensors:
        if name.partition(":")[0] not in names:
            raise InputError(f"--{flag}: {path} has no tensor {name!r}")
    return [name if ":" in name else f"{name}:0" for name in tensors]


def _unnamed(path: Path, flag: str, what: str, names: list[str]) -> str:
    return f"pose_estimator: {path}: no tensor has a common name; give it with --{flag} ({what}: {', '.join(names)})"


def _saved_model(path: Path, config: EstimatorConfig) -> Function:
    foreign.check_saved_model(path, f"pose_estimator: {path}")
    try:
        loaded = tf.saved_model.load(os.fspath(path))
        signature = loaded.signatures["serving_default"]  # pyright: ignore
    except Exception as error:  # TensorFlow has no common class for this error
        raise InputError(
            f"pose_estimator: {path}: not a SavedModel with a serving signature ({reason(error)})"
        ) from None
    _, arguments = signature.structured_input_signature
    if len(arguments) != 1:
        raise InputError(f"pose_estimator: {path}: takes {len(arguments)} inputs ({', '.join(arguments)}), not 1 image")
    (argument,) = arguments
    outputs = sorted(signature.structured_outputs)
    if config.estimator_output:
        outputs = [name.strip() for name in config.estimator_output.split(",")]
        for name in outputs:
            if name not in signature.structured_outputs:
                raise InputError(f"--estimator_output: {path} has no output {name!r}; outputs: "
                                 f"{', '.join(sorted(signature.structured_outputs))}")  # fmt: skip

    def function(pixels: tf.Tensor) -> list[tf.Tensor]:
        made = signature(**{argument: tf.cast(pixels, arguments[argument].dtype)})
        return [made[name] for name in outputs]

    function.owner = loaded  # keeps the variables alive
    return function


def _is_cmu(path: Path) -> bool:
    with hdf5.opened(path) as file:
        return cmu.is_cmu(file)


def _keras_model(path: Path) -> keras.Model:
    foreign.check_keras(path)
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras and h5py raise many kinds for a damaged file
        raise InputError(f"pose_estimator: {path}: not a Keras model that loads ({reason(error)})") from None
    model.trainable = False
    return model


def _keras_function(model: keras.Model) -> Function:
    def function(pixels: tf.Tensor) -> list[tf.Tensor]:
        out = model(pixels, training=False)
        return list(out) if isinstance(out, (list, tuple)) else [out]

    return function
