"""The networks of the authors' release in NumPy, and the files that Keras 2.0.8 wrote of them.

Written from the release's behaviour, one sample at a time; nothing of `pose_gan` is used. Layers stand in a graph like
the release's own, so that the order of a file's layers follows from Keras 2.0.8's rule and not from a list. Only tests
import it.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from release_geometry import heat_maps, masks, stick_man, transforms, uniform_transform

# A graph of layers, as Keras 2.0.8 saw it -----------------------------------------------------------


class Layer:
    """One layer: its inputs, its arrays, and what it does to the values of its inputs."""

    def __init__(
        self,
        kind: str,
        inputs: Sequence[Layer],
        function: Callable[..., np.ndarray] | None = None,
        arrays: dict[str, np.ndarray] | None = None,
        channels: int | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.kind, self.inputs, self.function = kind, list(inputs), function
        self.arrays, self.settings = arrays or {}, settings or {}
        self.channels = channels if channels is not None else sum(layer.channels for layer in inputs)
        self.name = ""

    def value(self, known: dict[Layer, np.ndarray]) -> np.ndarray:
        if self not in known:
            assert self.function is not None, f"no value for the input {self.name}"
            values = [layer.value(known) for layer in self.inputs]
            known[self] = self.function(*values, *self.arrays.values())
        return known[self]


def in_order(outputs: Sequence[Layer]) -> list[Layer]:
    """The layers as Keras 2.0.8 sorts them: deepest first, then as the walk from the outputs comes by."""
    index: dict[Layer, int] = {}
    finished: list[Layer] = []

    def walk(layer: Layer) -> None:
        if layer in finished:
            return
        index.setdefault(layer, len(index))
        for below in layer.inputs:
            walk(below)
        finished.append(layer)

    for output in outputs:
        walk(output)
    depth: dict[Layer, int] = {}
    for layer in reversed(finished):
        depth.setdefault(layer, 0)
        for below in layer.inputs:
            depth[below] = max(depth[layer] + 1, depth.get(below, 0))
    return sorted(index, key=lambda layer: (-depth[layer], index[layer]))


class Weights:
    """Seeded arrays that keep values of a reasonable size, and Keras' running names."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def kernel(self, *shape: int, fan_in: int) -> np.ndarray:
        return (self.random.standard_normal(shape, np.float32) / np.float32(math.sqrt(fan_in))).astype(np.float32)

    def vector(self, count: int, around: float = 0.0) -> np.ndarray:
        return (around + 0.1 * self.random.standard_normal(count)).astype(np.float32)


def convolve(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    side = kernel.shape[0]
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(0, 1))[::stride, ::stride]
    return np.tensordot(windows, kernel.astype(x.dtype), axes=([2, 3, 4], [2, 0, 1]))


def conv(w: Weights, x: Layer, count: int, side: int, stride: int, pad: int, bias: bool) -> Layer:
    """Padding is part of it here; Keras has a layer without arrays for it."""
    arrays = {"kernel": w.kernel(side, side, x.channels, count, fan_in=side * side * x.channels)}
    if bias:
        arrays["bias"] = w.vector(count)

    def run(value: np.ndarray, kernel: np.ndarray, b: np.ndarray | float = 0.0) -> np.ndarray:
        return convolve(np.pad(value, ((pad, pad), (pad, pad), (0, 0))), kernel, stride) + b

    return Layer("conv2d", [x], run, arrays, count)


def conv_transpose(w: Weights, x: Layer, count: int) -> Layer:
    def run(value: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        h, width, _ = value.shape
        out = np.zeros((2 * h + 2, 2 * width + 2, count))
        for i in range(4):
            for j in range(4):
                out[i : i + 2 * h : 2, j : j + 2 * width : 2] += value @ kernel[i, j].T.astype(value.dtype)
        return out

    arrays = {"kernel": w.kernel(4, 4, count, x.channels, fan_in=4 * x.channels)}
    return Layer("conv2d_transpose", [x], run, arrays, count)


def simple(kind: str, x: Layer, function: Callable[[np.ndarray], np.ndarray]) -> Layer:
    return Layer(kind, [x], function)


def concatenate(inputs: Sequence[Layer]) -> Layer:
    return Layer("concatenate", inputs, lambda *values: np.concatenate(values, axis=-1))


def norm(w: Weights, x: Layer) -> Layer:
    def run(value: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
        return (value - value.mean()) / (value.std() + 1e-3) * gamma + beta

    return Layer("instance_normalization", [x], run, {"gamma": w.vector(1, 1.0), "beta": w.vector(1)})


def block(w: Weights, x: Layer, count: int, down: bool, bn: bool = True, dropout: bool = False) -> Layer:
    if down:
        x = simple("leaky_re_lu", x, lambda v: np.where(v > 0, v, 0.2 * v))
        x = simple("zero_padding2d", x, lambda v: v)
        x = conv(w, x, count, 4, 2, 1, bias=False)
    else:
        x = conv_transpose(w, simple("activation", x, lambda v: np.maximum(v, 0)), count)
        x = simple("cropping2d", x, lambda v: v[1:-1, 1:-1])
    if bn:
        x = norm(w, x)
    return simple("dropout", x, lambda v: v) if dropout else x


def moved(x: Layer, warp: Sequence[Layer], agg: str, size: tuple[int, int]) -> Layer:
    """The release's skip: nearest neighbours, ties away from zero, all in float32 as its op computes."""

    def run(features: np.ndarray, transform: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        h, width, channels = features.shape
        ratio = np.array([1, 1, size[0] // h, 1, 1, size[1] // width, 1, 1], np.float32)
        column, row = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(h, dtype=np.float32))
        parts = []
        for numbers in transform.astype(np.float32) / ratio:
            x_in = numbers[0] * column + numbers[1] * row + numbers[2]
            y_in = numbers[3] * column + numbers[4] * row + numbers[5]
            i, j = (np.trunc(v + np.copysign(np.float32(0.5), v)).astype(int) for v in (y_in, x_in))
            good = (i >= 0) & (i < h) & (j >= 0) & (j < width)
            parts.append(np.where(good[..., None], features[np.clip(i, 0, h - 1), np.clip(j, 0, width - 1)], 0))
        parts = np.array(parts)
        if mask is not None:
            rows, columns = np.arange(h) * mask.shape[1] // h, np.arange(width) * mask.shape[2] // width
            mask = mask[:, rows][:, :, columns][..., None]
            parts = parts * mask
        if agg == "max":
            return parts.max(axis=0)
        assert mask is not None
        count = np.broadcast_to(mask, parts.shape).sum(axis=0)
        return np.divide(parts.sum(axis=0), count, out=np.zeros((h, width, channels)), where=count > 0)

    settings = {"number_of_transforms": 10 if len(warp) == 2 else 1, "aggregation_fn": agg}
    return Layer("affine_transform_layer", [x, *warp], run, channels=x.channels, settings=settings)


def localisation_net(w: Weights) -> dict[str, np.ndarray]:
    """Near the identity, and within the image for most pixels."""
    sizes, arrays = [72, 64, 32, 6], {}
    for number, (i, o) in enumerate(itertools.pairwise(sizes), start=1):
        arrays[f"dense_{number}/kernel"] = w.kernel(i, o, fan_in=i * 400 if number == 1 else i)
        arrays[f"dense_{number}/bias"] = w.vector(o)
    arrays["dense_3/bias"] += np.array([1, 0, 0, 0, 1, 0], np.float32)
    return arrays


def spatial_transformer(x: Layer, numbers: Layer, net: dict[str, np.ndarray]) -> Layer:
    def run(numbers: np.ndarray, features: np.ndarray, *arrays: np.ndarray) -> np.ndarray:
        v = numbers
        for k, b in zip(arrays[::2], arrays[1::2], strict=True):
            v = v @ k.astype(float) + b
            v = np.where(v > 0, v, 0.2 * v) if len(v) > 6 else v
        h, width, _ = features.shape
        i, j = np.mgrid[:h, :width]
        grid = np.stack([2 * j / (width - 1) - 1, 2 * i / (h - 1) - 1, np.ones((h, width))])
        x_n, y_n = np.einsum("ab,bij->aij", v.reshape(2, 3), grid)
        px, py = 0.5 * (x_n + 1) * width, 0.5 * (y_n + 1) * h
        x0, x1 = (np.clip(np.floor(px).astype(int) + d, 0, width - 1) for d in (0, 1))
        y0, y1 = (np.clip(np.floor(py).astype(int) + d, 0, h - 1) for d in (0, 1))
        corners = (y0, x0, x1 - px, y1 - py), (y1, x0, x1 - px, py - y0), (y0, x1, px - x0, y1 - py)
        corners += ((y1, x1, px - x0, py - y0),)
        return np.sum([features[a, b] * (wx * wy)[..., None] for a, b, wx, wy in corners], axis=0)

    return Layer("spatial_transformer", [numbers, x], run, net, x.channels)


# The networks --------------------------------------------------------------------------------------


class Network:
    """A network of the release.

    Args:
        seed: of the arrays.
        size: (height, width) in pixels.
        width: multiplies the number of filters of hidden layers.
        the others: the release's flags.
    """

    def __init__(
        self,
        seed: int,
        size: tuple[int, int] = (128, 64),
        width: float = 0.125,
        warp_skip: str = "mask",
        warp_agg: str = "max",
        disc_type: str = "call",
        pose_rep_type: str = "hm",
        use_input_pose: bool = True,
        use_bg: bool = False,
        levels: int = 6,
    ) -> None:
        self.w, self.size, self.levels, self.filters = Weights(seed), size, levels, lambda n: round(n * width)
        self.warp_skip, self.warp_agg, self.disc_type = warp_skip, warp_agg, disc_type
        self.pose_rep_type, self.use_input_pose, self.use_bg = pose_rep_type, use_input_pose, use_bg
        maps = 18 if pose_rep_type == "hm" else 3
        self.source, self.target, self.background = (Layer("input", [], channels=3) for _ in range(3))
        self.source_pose, self.target_pose = (Layer("input", [], channels=maps) for _ in range(2))
        count = {"none": 0, "stn": 1, "full": 1, "mask": 2}[warp_skip]
        self.warp = [Layer("input", [], channels=0) for _ in range(count)]

    @property
    def _input_pose(self) -> list[Layer]:
        return [self.source_pose] if self.use_input_pose else []

    @property
    def _bg(self) -> list[Layer]:
        return [self.background] if self.use_bg else []

    def generator(self) -> Model:
        encoder = [64, 128, 256, 512, 512, 512, 512][: self.levels]
        decoder = [512, 512, 512, 512, 256, 128][6 - (self.levels - 1) :]
        app_in = [self.source, *self._input_pose]
        if self.warp_skip == "none":
            skips = self._encode([*app_in, self.target_pose], encoder)
        else:
            app, pose = self._encode(app_in, encoder), self._encode([self.target_pose, *self._bg], encoder)
            skips = [concatenate([self._move(a, i), p]) for i, (a, p) in enumerate(zip(app, pose, strict=True))]
        skips = skips[::-1]
        out = None
        for i, (skip, count) in enumerate(zip(skips, decoder, strict=False)):
            x = skip if out is None else concatenate([out, skip])
            out = block(self.w, x, self.filters(count), down=False, dropout=i < 3)
        assert out is not None
        x = simple("activation", concatenate([out, skips[-1]]), lambda v: np.maximum(v, 0))
        image = simple("activation", conv(self.w, x, 3, 3, 1, 1, bias=True), np.tanh)
        inputs = [self.source, *self._input_pose, self.target, self.target_pose, *self._bg, *self.warp]
        return Model(self, inputs, [self.source, *self._input_pose, image, self.target_pose], image)

    def _encode(self, inputs: list[Layer], counts: list[int]) -> list[Layer]:
        x = inputs[0] if len(inputs) == 1 else concatenate(inputs)
        maps = []
        for i, count in enumerate(counts):
            if i == 0:
                x = conv(self.w, x, self.filters(count), 3, 1, 1, bias=True)
            else:
                x = block(self.w, x, self.filters(count), down=True, bn=i < len(counts) - 1)
            maps.append(x)
        return maps

    def _move(self, x: Layer, level: int) -> Layer:
        if level >= 4:
            return x
        if self.warp_skip != "stn":
            return moved(x, self.warp, self.warp_agg, self.size)
        if not hasattr(self, "_net"):
            self._net = localisation_net(self.w)
        return spatial_transformer(x, self.warp[0], self._net)

    def discriminator(self) -> Model:
        source, target = [self.source, *self._input_pose], [self.target, self.target_pose]
        if self.disc_type == "sim":
            return self._similarity(source, target)
        if self.disc_type == "call":
            x = self._first([*source, *target, *self._bg])
        else:
            seen = moved(self._first(source), self.warp, self.warp_agg, self.size)
            x = concatenate([self._first(target), seen])
        for count in (128, 256, 512):
            x = block(self.w, x, self.filters(count), down=True)
        x = block(self.w, x, 1, down=True, bn=False)
        x = simple("flatten", simple("activation", x, lambda v: 1 / (1 + np.exp(-v))), np.ravel)
        warp = self.warp if self.disc_type == "warp" else []
        return Model(self, [*source, *target, *self._bg, *warp], [x], x)

    def _first(self, inputs: list[Layer]) -> Layer:
        return conv(self.w, concatenate(inputs), self.filters(64), 4, 2, 0, bias=True)

    def _similarity(self, source: list[Layer], target: list[Layer]) -> Model:
        x = self._first(target)
        for count in (128, 256, 512):
            x = block(self.w, x, self.filters(count), down=True)
        tower = in_order([x])
        arrays = {f"{n}/{key}": a for n, layer in enumerate(tower) for key, a in layer.arrays.items()}

        def shared(*values: np.ndarray) -> np.ndarray:
            return x.value(dict(zip(target, values[:2], strict=True)))

        towers = [Layer("model", pair, lambda a, b, *_: shared(a, b), arrays, x.channels) for pair in (target, source)]
        towers[1].arrays = {}  # one layer, used twice
        both = simple("leaky_re_lu", concatenate(towers), lambda v: np.where(v > 0, v, 0.2 * v))
        flat = simple("flatten", both, np.ravel)
        h, width = ((side - 2) // 2 for side in self.size)
        for _ in range(3):
            h, width = h // 2, width // 2
        count = 2 * x.channels * h * width
        arrays = {"kernel": self.w.kernel(count, 1, fan_in=count), "bias": self.w.vector(1)}
        logit = Layer("dense", [flat], lambda v, k, b: v @ k + b, arrays, 1)
        score = simple("activation", logit, lambda v: 1 / (1 + np.exp(-v)))
        return Model(self, [*source, *target], [score], score)


class Model:
    """A network with its inputs and outputs; the layers named as Keras names them, with running numbers."""

    def __init__(self, net: Network, inputs: list[Layer], outputs: list[Layer], result: Layer) -> None:
        self.net, self.inputs, self.result = net, inputs, result
        self.layers = in_order(outputs)
        counts: dict[str, int] = {}
        for layer in sorted(self.layers, key=lambda layer: layer.kind == "input"):
            counts[layer.kind] = counts.get(layer.kind, 7) + 1  # as after other models in the same process
            layer.name = f"{layer.kind}_{counts[layer.kind]}"

    def __call__(self, source: np.ndarray, source_kp: np.ndarray, target_kp: np.ndarray, **images: Any) -> np.ndarray:
        """The image (or scores) for one sample: images `(H, W, 3)` in [-1, 1], keypoints `(18, 2)`."""
        net = self.net
        draw = heat_maps if net.pose_rep_type == "hm" else stick_man
        known = {net.source: source.astype(float)}
        known[net.source_pose], known[net.target_pose] = draw(source_kp, net.size), draw(target_kp, net.size)
        known |= {getattr(net, name): value.astype(float) for name, value in images.items()}
        if net.warp_skip == "mask":
            warp = [transforms(source_kp, target_kp), masks(target_kp, net.size)]
        elif net.warp_skip == "full":
            warp = [uniform_transform(source_kp, target_kp)]
        else:
            warp = [np.concatenate([source_kp.ravel(), target_kp.ravel()]).astype(float)]
        known |= dict(zip(net.warp, warp, strict=False))
        return self.result.value(known)

    def save(self, path: Path, whole: bool = False) -> None:
        """HDF5 as Keras 2.0.8 writes it: weights only, or the whole model."""
        with h5py.File(path, "w") as file:
            root = file.create_group("model_weights") if whole else file
            root.attrs["layer_names"] = np.array([layer.name.encode() for layer in self.layers])
            for group in {root, file}:
                group.attrs["backend"], group.attrs["keras_version"] = np.bytes_("tensorflow"), np.bytes_("2.0.8")
            for layer in self.layers:
                group = root.create_group(layer.name)
                names = [key if "/" in key else f"{layer.name}/{key}" for key in layer.arrays]
                group.attrs["weight_names"] = np.array([f"{name}:0".encode() for name in names], "S")
                for name, array in zip(names, layer.arrays.values(), strict=True):
                    group.create_dataset(f"{name}:0", data=array)
            if whole:
                described = [self._describe(layer) for layer in self.layers]
                text = json.dumps({"class_name": "Model", "config": {"name": "model_1", "layers": described}})
                file.attrs["model_config"] = np.bytes_(text)

    def _describe(self, layer: Layer) -> dict[str, Any]:
        if layer.kind == "input" and layer.channels:
            shape = [None, *self.net.size, layer.channels]
            return {"class_name": "InputLayer", "config": {"name": layer.name, "batch_input_shape": shape}}
        if layer.kind == "affine_transform_layer":
            return {"class_name": "AffineTransformLayer", "config": {"name": layer.name, **layer.settings}}
        return {"class_name": layer.kind, "config": {"name": layer.name}}
