"""Deformable GANs for pose-based human image generation (Siarohin et al., CVPR 2018), for Keras 3.

Importing this package registers its layers with Keras, so that `keras.saving.load_model` reads the
models that it saves.
"""

import os

# If TensorFlow is not loaded yet, leave out its start-up warnings (not its errors), unless asked for.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

__version__ = "0.1.0"

from pose_gan.saving import load_generator

__all__ = ["load_generator"]
