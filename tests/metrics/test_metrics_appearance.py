"""The descriptor of colours and textures: a slow twin, and whom it finds among drawn people."""

from __future__ import annotations

import colorsys
import math

import numpy as np
import pytest
from PIL import Image

from data_prep.people.dataset import PersonTask, draw_images
from pose_gan.metrics import METRICS, ImageBatch, MetricOptions
from pose_gan.metrics.appearance import BINS, ORIENTATIONS, STRIPES, TEXTURE, describe
from pose_gan.poses.skeleton import COCO18


@pytest.fixture(scope="module")
def people() -> tuple[list[str], np.ndarray]:
    """Eight people of the studio, four images each."""
    drawn = [row for index in range(8) for row in draw_images(PersonTask(0, 1, index, index + 1, 4, (128, 64), True))]
    return [name for name, _, _ in drawn], np.stack([image for _, image, _ in drawn])


def twin(image: np.ndarray) -> np.ndarray:
    """Pixel by pixel, for images of 128x64."""
    grey = np.asarray(Image.fromarray(image).convert("L"), float)
    down, right = np.gradient(grey)
    parts, step = [], 128 // (STRIPES + 1)
    for stripe in range(STRIPES):
        colours, edges, strengths = np.zeros(BINS), np.zeros(ORIENTATIONS), []
        for y in range(stripe * step, stripe * step + 2 * step):
            for x in range(64):
                weight = math.exp(-0.5 * ((x - 31.5) / 12.8) ** 2)
                hue, saturation, value = (int(255 * part) for part in colorsys.rgb_to_hsv(*(image[y, x] / 255.0)))
                place = [part * count // 256 for part, count in zip((hue, saturation, value), BINS, strict=True)]
                colours[place[0] if place[1] else 0, place[1], place[2]] += weight
                strength = math.hypot(down[y, x], right[y, x])
                angle = math.atan2(down[y, x], right[y, x]) % math.pi
                edges[min(int(angle / math.pi * ORIENTATIONS), ORIENTATIONS - 1)] += weight * strength
                strengths.append(strength)
        parts.append(np.sqrt(colours.ravel() / colours.sum()))
        parts.append(TEXTURE * math.sqrt(np.mean(strengths) / 255) * np.sqrt(edges / max(edges.sum(), 1e-12)))
    found = np.concatenate(parts)
    return found / np.linalg.norm(found)


def test_it_equals_its_slow_twin(people):
    _, images = people
    for image in images[::11]:
        ours = describe(image[None])[0]
        assert float(ours @ twin(image)) > 0.995  # Pillow rounds hues in another way than colorsys
        assert float(ours @ ours) == pytest.approx(1, abs=1e-5)


def test_it_finds_people_by_their_clothes_and_no_others(people):
    """Copies of the sources find the person in all images; images of other people hardly ever do."""
    names, images = people
    pairs = [(a, b) for a in names for b in names if a != b and a[:4] == b[:4]]
    place = {name: number for number, name in enumerate(names)}
    source, target = ([place[pair[side]] for pair in pairs] for side in (0, 1))
    nobody = np.full((len(pairs), COCO18.num_joints, 2), -1)

    def score(generated: np.ndarray) -> float:
        metric = METRICS["identity"].create(MetricOptions(identity_network="colours"))
        metric.update(ImageBatch(generated, images[target], nobody, COCO18, tuple(pairs), images[source]))
        return metric.result().mean

    assert score(images[source]) == 1.0
    assert score(images[np.roll(source, len(pairs) // 2)]) < 0.1


def test_colours_and_textures_both_count():
    rng = np.random.default_rng(0)
    red, blue = np.zeros((2, 128, 64, 3), np.uint8)
    red[..., 0], blue[..., 2] = 200, 200
    across, upright = np.full((2, 128, 64, 3), 66, np.uint8)
    across[::4], upright[:, ::4] = 126, 126  # in the same bin of values
    features = describe(np.stack([red, blue, across, upright, rng.permutation(red)]))
    assert features[0] @ features[1] < 0.01
    assert features[2] @ features[3] < 0.95
    np.testing.assert_allclose(features[0], features[4], atol=1e-6)


def test_a_flat_image_has_a_descriptor():
    assert np.isfinite(describe(np.zeros((1, 40, 30, 3), np.uint8))).all()
