"""Records what tensorflow-addons 0.23 computes, for `tests/layers/test_recordings.py`.

tensorflow-addons cannot be installed beside Keras 3: this script runs in an environment of its own
(see README.md in this folder) and imports nothing of this project.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

EPSILON = 1e-5


def affine_transforms(height: int, width: int, random: np.random.Generator) -> np.ndarray:
    """Maps from output (x, y) to input (x, y), 8 numbers each, about an image of this size."""
    rows = [
        [1, 0, 0, 0, 1, 0],  # identity
        [1, 0, 3, 0, 1, -2],  # whole pixels
        [1, 0, 0.25, 0, 1, -1.75],  # fractions
        [1, 0, width / 2, 0, 1, height - 1.5],  # half beyond the border
        [1, 0, 1000, 0, 1, 1000],  # wholly beyond the border
        [1, 0, -0.4, 0, 1, -0.4],  # just outside at the top left
        [1, 0, -0.5, 0, 1, 1.5],  # ties, of both signs
        [0.61, 0, 2.13, 0, 0.73, 1.37],  # enlarges
        [1.71, 0, -3.37, 0, 2.23, -4.13],  # shrinks
        [-1, 0, width - 1, 0, 1, 0],  # mirror
        [0, 1, 0, 1, 0, 0],  # transposition
        [1, 0.31, -1.23, -0.21, 1, 2.44],  # shear
    ]
    for degrees in (13, 77, 190):
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        x, y = (width - 1) / 2, (height - 1) / 2
        rows.append([cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y])
    for _ in range(4):
        rows.append(
            [*random.normal(1, 0.5, 1), *random.normal(0, 0.5, 1), random.normal(0, 4), *random.normal(0, 1, 3)]
        )
    return np.array([[*row, 0, 0] for row in rows], np.float32)


def record(path: Path) -> None:
    """Writes inputs and outputs of both operations to one `.npz`."""
    import tensorflow as tf
    import tensorflow_addons as tfa  # pyright: ignore[reportMissingImports]

    random = np.random.default_rng(20240501)
    arrays: dict[str, np.ndarray] = {
        "versions": np.array([f"tensorflow {tf.__version__}", f"tensorflow-addons {tfa.__version__}"])
    }
    for name, (height, width, channels) in {"tall": (12, 7, 3), "wide": (6, 10, 2), "square": (8, 8, 1)}.items():
        transforms = affine_transforms(height, width, random)
        images = random.normal(size=(len(transforms), height, width, channels)).astype(np.float32)
        arrays[f"warp_{name}_images"] = images
        arrays[f"warp_{name}_transforms"] = transforms
        for interpolation in ("bilinear", "nearest"):
            arrays[f"warp_{name}_{interpolation}"] = tfa.image.transform(
                images, transforms, interpolation=interpolation.upper(), fill_mode="CONSTANT", fill_value=0.0
            ).numpy()
    for name, shape in {"plain": (2, 6, 5, 4), "large": (3, 9, 4, 8)}.items():
        images = random.normal(random.normal(size=shape[-1]) * 3, 2, size=shape).astype(np.float32)
        gamma, beta = random.normal(1, 0.5, shape[-1]), random.normal(0, 1, shape[-1])
        for epsilon in (EPSILON, None):  # None: the layer's default
            options = {} if epsilon is None else {"epsilon": epsilon}
            layer = tfa.layers.InstanceNormalization(**options)
            layer.build(shape)
            layer.gamma.assign(gamma)
            layer.beta.assign(beta)
            key = f"norm_{name}_{'default' if epsilon is None else 'small'}"
            arrays[f"{key}_outputs"] = layer(images).numpy()
            arrays[f"{key}_epsilon"] = np.array(layer.epsilon)
        arrays[f"norm_{name}_images"] = images
        arrays[f"norm_{name}_gamma"] = gamma.astype(np.float32)
        arrays[f"norm_{name}_beta"] = beta.astype(np.float32)
    np.savez_compressed(path, **arrays)  # pyright: ignore[reportArgumentType]
    print(f"{path}: {path.stat().st_size} bytes, {', '.join(arrays['versions'])}")


if __name__ == "__main__":
    record(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("tensorflow_addons.npz"))
