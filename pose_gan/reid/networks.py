"""Networks from an image to a feature vector that is near to those of the same person's other images.

| backbone | architecture | features | parameters |
| --- | --- | --- | --- |
| `resnet50` | ResNet-50 (He et al., CVPR 2016) to its last pooling, which Caffe calls pool5 | 2048 | 23.6 M |
| `osnet_x0_25` | OSNet (Zhou et al., ICCV 2019) with a quarter of the channels | 512 | 0.2 M |
| `small` | five convolutions, for quick experiments on a processor | 256 | 0.4 M |

They consist of Keras' own layers alone, so that their files load in any program that has Keras.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import layers

MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of ImageNet, RGB, range [0, 255]
CAFFE_MEAN = (103.939, 116.779, 123.68)  # of ImageNet, BGR, range [0, 255], which Keras' ResNet-50 expects
NORM_EPSILON = 1e-5
MOMENTUM = 0.9  # of the moving statistics, as in PyTorch; Keras' 0.99 is slow for some thousand iterations


def build_trunk(backbone: str, image_size: tuple[int, int]) -> keras.Model:
    """A backbone with random weights and what it expects of its input.

    Args:
        backbone: `small`, `osnet_x0_25` or `resnet50`.
        image_size: (height, width) in pixels, 32 or more.
    Returns: a model from images, float32 `(n, height, width, 3)`, RGB, range [0, 255], to features, float32 `(n, d)`.
    """
    inputs = keras.Input((*image_size, 3), name="image")
    body: dict[str, Callable[[keras.KerasTensor], keras.KerasTensor]]
    body = {"small": _small, "osnet_x0_25": _osnet, "resnet50": _resnet50}
    return keras.Model(inputs, body[backbone](inputs), name=backbone)


def build_network(trunk: keras.Model) -> keras.Model:
    """The network to save: a trunk that takes images of any size and gives features of length 1.

    Features of length 1 rank in the same way by Euclidean and by cosine distance.

    Returns: a model from images, `(n, h, w, 3)`, RGB, range [0, 255], uint8 or float32, which it resizes to the trunk's
        size (bilinear, with antialiasing, as Pillow does), to features, float32 `(n, d)`.
    """
    height, width = trunk.input_shape[1:3]
    inputs = keras.Input((None, None, 3), name="image")
    resized = layers.Resizing(height, width, antialias=True, name="resize")(inputs)
    return keras.Model(inputs, layers.UnitNormalization(name="length_1")(trunk(resized)), name=f"reid_{trunk.name}")


def freeze_batch_norm(model: keras.Model) -> None:
    """Keeps statistics, gains and biases of all batch normalisations of a trunk as they are while it is trained."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False


def _preprocess(x: keras.KerasTensor, kernel: list[list[float]], bias: list[float]) -> keras.KerasTensor:
    """A fixed linear map of the colours; a convolution, since a file of it needs no code of ours."""
    layer = layers.Conv2D(3, 1, trainable=False, name="preprocess")
    layer.build(x.shape)
    layer.set_weights([np.reshape(kernel, (1, 1, 3, 3)), np.array(bias)])
    return layer(x)


def _standardise(x: keras.KerasTensor) -> keras.KerasTensor:
    kernel = [[1 / DEVIATION[i] if i == j else 0.0 for j in range(3)] for i in range(3)]
    return _preprocess(x, kernel, [-mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)])


def _convolution(x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str) -> keras.KerasTensor:
    """Convolution, batch normalisation, ReLU; padded with zeros on all sides alike, as in PyTorch."""
    if kernel > 1:
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
    x = layers.Conv2D(filters, kernel, stride, use_bias=False, kernel_initializer="he_normal", name=name)(x)
    return layers.ReLU(name=f"{name}_relu")(_normalised(x, name))


def _normalised(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(momentum=MOMENTUM, epsilon=NORM_EPSILON, name=f"{name}_norm")(x)


# ------------------------------------------------------------------------------------------ small


def _small(x: keras.KerasTensor) -> keras.KerasTensor:
    x = _standardise(x)
    for number, (filters, kernel) in enumerate([(16, 5), (32, 3), (64, 3), (128, 3), (256, 3)], start=1):
        x = _convolution(x, filters, kernel, 2 if number < 5 else 1, f"conv{number}")
    return layers.GlobalAveragePooling2D(name="pool")(x)


# ------------------------------------------------------------------------------------------ resnet50


def _resnet50(x: keras.KerasTensor) -> keras.KerasTensor:
    to_bgr = [[float(i + j == 2) for j in range(3)] for i in range(3)]
    x = _preprocess(x, to_bgr, [-mean for mean in CAFFE_MEAN])
    model = keras.applications.ResNet50(include_top=False, weights=None, input_tensor=x, pooling="avg")
    return model.output


# ------------------------------------------------------------------------------------------ OSNet


def _osnet(x: keras.KerasTensor) -> keras.KerasTensor:
    """OSNet (Zhou et al., Table 1), channels × 0.25: 16, 64, 96, 128, and features of 512."""
    x = _convolution(_standardise(x), 16, 7, 2, "conv1")
    x = layers.ZeroPadding2D(1, name="maxpool_pad")(x)  # zeros, since nothing behind a ReLU is less
    x = layers.MaxPooling2D(3, 2, name="maxpool")(x)
    for stage, filters in ((2, 64), (3, 96), (4, 128)):
        x = _omni_scale_block(x, filters, f"conv{stage}_1")
        x = _omni_scale_block(x, filters, f"conv{stage}_2")
        if stage < 4:
            x = _convolution(x, filters, 1, 1, f"conv{stage}_3")
            x = layers.AveragePooling2D(2, name=f"conv{stage}_pool")(x)
    x = _convolution(x, 128, 1, 1, "conv5")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(512, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01), name="fc")(x)
    return layers.ReLU(name="fc_relu")(_normalised(x, "fc"))


def _omni_scale_block(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """The residual block of four streams (Section 3.2): stream t sees 2t + 1 pixels, and one gate weighs all four."""
    middle = filters // 4
    reduced = _convolution(x, middle, 1, 1, f"{name}_in")
    squeeze = layers.Conv2D(max(1, middle // 16), 1, activation="relu", name=f"{name}_gate_in")
    excite = layers.Conv2D(middle, 1, activation="sigmoid", name=f"{name}_gate_out")
    gated = []
    for stream in range(1, 5):
        y = reduced
        for depth in range(1, stream + 1):
            y = _lite_convolution(y, middle, f"{name}_{stream}_{depth}")
        pooled = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_{stream}_pool")(y)
        gated.append(layers.Multiply(name=f"{name}_{stream}_gated")([y, excite(squeeze(pooled))]))
    y = layers.Add(name=f"{name}_sum")(gated)
    y = _normalised(_linear(y, filters, f"{name}_out"), f"{name}_out")
    if x.shape[-1] != filters:
        x = _normalised(_linear(x, filters, f"{name}_skip"), f"{name}_skip")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


def _lite_convolution(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """Lite 3×3 (Section 3.1): a pointwise convolution, then a depthwise one, normalisation and ReLU."""
    x = _linear(x, filters, f"{name}_point")
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, depthwise_initializer="he_normal", name=name)(x)
    return layers.ReLU(name=f"{name}_relu")(_normalised(x, name))


def _linear(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    return layers.Conv2D(filters, 1, use_bias=False, kernel_initializer="he_normal", name=name)(x)
