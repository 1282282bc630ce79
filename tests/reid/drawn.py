"""Drawn people for tests of re-identification: each wears two colours, which every camera sees a little differently."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def draw_people(
    folder: Path, people: int = 4, cameras: int = 2, each: int = 2, size: tuple[int, int] = (40, 20), first: int = 1
) -> list[str]:
    """Draws `each` images of every person by every camera. Returns their names, which are Market-1501's."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for person in range(first, first + people):
        clothes = np.random.default_rng(person).integers(40, 216, (2, 3))
        for camera in range(1, cameras + 1):
            for number in range(each):
                random = np.random.default_rng([person, camera, number])
                pixels = np.full((*size, 3), random.integers(90, 160))
                half = size[0] // 2
                pixels[4:half, 4:-4], pixels[half:-4, 6:-6] = clothes + random.integers(-15, 16, 3)
                pixels += random.integers(-20, 21, pixels.shape)
                names.append(f"{person:04d}_c{camera}s1_{number:06d}_01.png")
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / names[-1])
    return names
