"""Settings of TensorFlow's runtime that our programs make. The library itself makes none."""

from __future__ import annotations

import tensorflow as tf


def configure() -> None:
    """Switches off the graph remapper (the fusion of convolutions with what follows them).

    It fails on convolutions whose output also goes to a skip connection, after an error message on
    the console, and then does nothing; what it could fuse in these networks was not measurable.
    """
    tf.config.optimizer.set_experimental_options({"remapping": False})
