"""Floating-point operations of a network, from the shapes of its layers (a product and a sum are two operations)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import keras

from pose_gan.networks import logits_model


@dataclass(frozen=True)
class Work:
    """Operations of one sample through the convolutions and dense layers of a network.

    forward: for the output.
    weights: for the gradients of all weights.
    inputs: for the gradients of every layer's input, but not of the network's inputs.
    image: in addition, for the gradient of the network's input image (its three channels).
    """

    forward: float
    weights: float
    inputs: float
    image: float

    @property
    def backward(self) -> float:
        """The operations that an update of the weights needs after the forward pass."""
        return self.weights + self.inputs


def network_work(model: keras.Model, image_channels: int = 3) -> Work:
    """The work of a functional model of plain layers.

    Each of the three products of a layer (output, gradient of weights, gradient of input) costs
    the same. First layers, which have no weights before them, need no gradient of their input
    except for the share of the image's channels.
    """
    forward = inputs = image = 0.0
    for layer in model.layers:
        cost = layer_flops(layer)
        if not cost:
            continue
        forward += cost
        before = keras.Model(model.inputs, layer.input).weights
        if before:
            inputs += cost
        else:
            image += cost * image_channels / layer.input.shape[-1]
    return Work(forward, forward, inputs, image)


def layer_flops(layer: keras.layers.Layer) -> float:
    """2·k²·Cin·Cout per output pixel of a convolution, or per input pixel of a transposed one; 2·Cin·Cout if dense."""
    if isinstance(layer, keras.layers.Conv2DTranspose):  # before Conv2D, as its places are those of its input
        places = layer.input.shape[1:3]
    elif isinstance(layer, keras.layers.Conv2D):
        places = layer.output.shape[1:3]
    elif isinstance(layer, keras.layers.Dense):
        places = ()
    else:
        return 0.0
    return 2.0 * math.prod(layer.kernel.shape) * math.prod(places)


def iteration_work(
    generator: keras.Model, discriminator: keras.Model, features: keras.Model | None, batch: int
) -> dict[str, float]:
    """Operations of each part of one training iteration with a shared forward pass.

    Args:
        generator, discriminator: both are updated. The generator's update also needs the
            discriminator's forward pass on the generated images and the gradient of these images.
        features: the frozen network of the reconstruction loss, which needs a forward pass on generated and
            target image and the gradient of the generated image. None: the loss compares pixels.
        batch: number of samples.
    """
    g, d = network_work(generator), network_work(logits_model(discriminator))
    parts = {
        "generator forward": g.forward,
        "generator backward": g.backward,
        "discriminator update": 2 * (d.forward + d.backward),  # on real and on generated images
        "discriminator for the generator": d.forward + d.inputs + d.image,
    }
    if features is not None:
        f = network_work(features)
        parts["VGG features"] = 2 * f.forward + f.inputs + f.image
    return {name: batch * flops for name, flops in parts.items()}
