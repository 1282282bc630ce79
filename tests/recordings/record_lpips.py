"""Records what the package lpips 0.1.4 computes, for `tests/metrics/test_metrics_lpips.py`.

All weights are drawn by NumPy, so that only the distances need be kept. Two small files that PyTorch wrote are kept
besides, one of each kind. See README.md beside it for the environment that it needs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import lpips  # pyright: ignore[reportMissingImports]
import numpy as np
import torch  # pyright: ignore[reportMissingImports]

SIZES = ((128, 64), (67, 95))


def fill(module: torch.nn.Module, rng: np.random.Generator) -> None:
    """Kernels as by He et al. 2015, biases small; heads positive, as the fitted ones are."""
    for weight in module.parameters():
        shape = tuple(weight.shape)
        deviation = np.sqrt(2 / np.prod(shape[1:])) if len(shape) == 4 else 0.1
        weight.data = torch.from_numpy(rng.normal(0, deviation, shape).astype(np.float32))


def images(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    first = rng.integers(0, 256, (2, *size, 3), dtype=np.uint8)
    noise = rng.integers(-40, 41, first.shape)
    return first, np.clip(first.astype(int) + noise, 0, 255).astype(np.uint8)


def tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2).contiguous()


def main(folder: Path) -> None:
    recorded = {}
    for network in ("alex", "vgg", "squeeze"):
        model = lpips.LPIPS(net=network, version="0.1", pnet_rand=True, verbose=False)
        rng = np.random.default_rng(7)
        fill(model.net, rng)
        for head in model.lins:
            shape = tuple(head.model[1].weight.shape)
            head.model[1].weight.data = torch.from_numpy(rng.random(shape).astype(np.float32))
        for size in SIZES:
            with torch.no_grad():
                distance = model(*map(tensor, images(np.random.default_rng(8), size)))
            recorded[f"{network}_{size[0]}x{size[1]}"] = distance.numpy().reshape(-1)
    np.savez(folder / "lpips.npz", **recorded)
    state = {"a.weight": torch.arange(24.0).reshape(2, 3, 4), "a.turned": torch.arange(6.0).reshape(2, 3).T}
    state |= {"b.half": torch.arange(3).half() / 4, "b.count": torch.tensor(5)}
    torch.save(state, folder / "state.pth")
    torch.save(state, folder / "state_older.pth", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
