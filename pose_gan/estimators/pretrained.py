"""Files of networks that others trained: frozen TensorFlow graphs, and Keras' ImageNet weights."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pose_gan.errors import InputError, reason
from pose_gan.estimators import foreign


def read_graph(path: str | os.PathLike[str], flag: str) -> Any:
    """Reads a frozen graph, and refuses one that does more than compute.

    Args:
        path: the `.pb` file.
        flag: the flag with which the user gave the file, for messages.
    Returns: a `tf.compat.v1.GraphDef`.
    Raises: InputError: the file does not exist, is not a frozen graph, or holds an operator that is not in
        `foreign.COMPUTING`.
    """
    import tensorflow as tf

    if not Path(path).is_file():
        raise InputError(f"{flag}: {path}: no such file; give a frozen TensorFlow graph (.pb)")
    definition = tf.compat.v1.GraphDef()
    try:
        definition.ParseFromString(Path(path).read_bytes())
    except Exception as error:  # protobuf's DecodeError
        raise InputError(f"{flag}: {path}: not a frozen TensorFlow graph ({reason(error)})") from None
    foreign.check_graph(definition, f"{flag}: {path}")
    return definition


def graph_function(definition: Any, inputs: Sequence[str], outputs: Sequence[str], where: str) -> Any:
    """A frozen graph as a function of tensors. It can be differentiated, and called in other graphs.

    Args:
        definition: from `read_graph`.
        inputs, outputs: names of tensors, including `:0`.
        where: flag and file, for messages.
    Returns: a `ConcreteFunction`.
    Raises: InputError: TensorFlow cannot import the graph.
    """
    import tensorflow as tf

    try:
        wrapped = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(definition, name=""), [])
        element = wrapped.graph.as_graph_element
        return wrapped.prune([element(name) for name in inputs], [element(name) for name in outputs])
    except Exception as error:  # a hostile graph may raise any error
        raise InputError(f"{where}: TensorFlow cannot import the graph ({reason(error)})") from None


def imagenet_weights(file: str, fetch: Callable[[], Any], flag: str, megabytes: int) -> Path:
    """The path of ImageNet weights of keras-applications. They are downloaded if they are not there yet.

    Args:
        file: the file's name in `~/.keras/models`.
        fetch: a function that makes Keras download the file.
        flag: the flag that takes a path of the file.
        megabytes: size of the download.
    Raises: InputError: the weights could not be fetched; the message says how to get them.
    """
    target = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models" / file
    if not target.is_file():
        print(f"fetching {file} ({megabytes} MB) to {target}", flush=True)
        try:
            fetch()
        except Exception as error:
            raise InputError(
                f"{flag} imagenet: the weights are not at {target} and could not be fetched ({error}). "
                f"Get {file} from the keras-applications releases on a machine with internet access and put it "
                f"there, or give its path with {flag} PATH"
            ) from None
    return target
