"""Pages of `pose-gan serve` on a real port, with a folder of images."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from makers import SIZE, config, people
from PIL import Image
from websites import Estimator, Generator, Open, Site

from pose_gan.poses.keypoints import write_annotations
from pose_gan.web.images import Images
from pose_gan.web.server import Guard, bind, listen
from pose_gan.web.serving import LARGEST, page
from pose_gan.web.studio import Studio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images of the generator's size, two of which are annotated, and one that is a larger photo."""
    random = np.random.default_rng(0)
    images = tmp_path / "images"
    images.mkdir()
    for name, size in (("a.png", SIZE), ("b.png", SIZE), ("c.png", SIZE), ("large.png", (300, 400))):
        coarse = Image.fromarray(random.integers(40, 200, (8, 8, 3), dtype=np.uint8))
        coarse.resize((size[1], size[0]), Image.Resampling.BICUBIC).save(images / name)
    poses = people(2, SIZE, seed=7, missing=0.0).clip(0, np.array(SIZE) - 1)
    write_annotations(tmp_path / "images.csv", ["a.png", "b.png"], poses)
    return images


@pytest.fixture
def open_site(tmp_path: Path, folder: Path) -> Open:
    @contextlib.asynccontextmanager
    async def opened(estimator: bool = True, rows: bool = True, token: str | None = None) -> AsyncIterator[Site]:
        generator, settings, guard = Generator(), config(), Guard(token=token)
        images = Images.of(folder, folder.with_suffix(".csv"), settings.skeleton)
        path = tmp_path / "rows.csv"
        studio = Studio(generator, settings, Estimator() if estimator else None, images, path if rows else None, "test")
        sockets = bind(0)
        server = listen(page(studio, guard), sockets, LARGEST)
        try:
            yield Site(sockets[0].getsockname()[1], guard.key, generator, path)
        finally:
            generator.may_end.set()
            server.stop()
            await server.close_all_connections()
            await asyncio.sleep(0)

    return opened
