"""The picture that explains a transfer shows every layer once, whole, and says truly how parts were moved."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from pose_gan import runtime
from pose_gan.config import ModelConfig
from pose_gan.evaluation import explanation
from pose_gan.evaluation.drawn import drawn_person
from pose_gan.evaluation.explanation_picture import (
    NO_TRANSFORM,
    Panel,
    Row,
    draw_rows,
    explanation_rows,
    transform_in_words,
)
from pose_gan.poses.drawing import hues
from pose_gan.poses.skeleton import COCO18

SIZE = (128, 64)
SETTINGS = ModelConfig(image_size=SIZE, width=0.125, warp_skip="mask")


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with runtime.untraced():
        yield


@pytest.fixture(scope="module")
def inputs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    source, pose = drawn_person("demo", 4, SIZE)
    pose[COCO18.indices(("Rank", "Lank"))] = -1  # neither lower leg can be taken from the other
    target = drawn_person("demo", 3, SIZE)[1].copy()
    target[COCO18.index("Rwri")] = -1
    return source, pose, target


def test_every_layer_has_its_panel(inputs):
    source, pose, target = inputs
    generated = 255 - source
    top, taken, moved = explanation_rows(source, pose, target, generated, SETTINGS)
    labels = ["source and its pose", "parts in the source", "target pose", "parts in the target pose"]
    assert [panel.label for panel in top.panels] == [*labels, "source, moved by parts", "generated"]
    np.testing.assert_array_equal(top.panels[-1].picture, generated)
    pieces = explanation.deformed_source_by_part(source, pose, target, SETTINGS)
    np.testing.assert_array_equal([panel.picture for panel in moved.panels], pieces)
    np.testing.assert_array_equal(top.panels[4].picture, pieces.max(axis=0))  # d(x) = max over the parts
    assert [panel.label for panel in taken.panels][:3] == ["torso", "head", "R upper leg"]
    words = {of.label: panel.label for panel, of in zip(moved.panels, taken.panels, strict=True)}
    missing = [part for part, label in words.items() if label == NO_TRANSFORM]
    assert missing == ["R lower leg", "L lower leg", "R lower arm"]


@pytest.mark.parametrize(("warp_skip", "rows"), [("none", 1), ("stn", 1), ("full", 3)])
def test_generators_that_move_no_parts_have_no_parts_to_show(inputs, warp_skip, rows):
    source, pose, target = inputs
    settings = ModelConfig(image_size=SIZE, width=0.125, warp_skip=warp_skip)
    shown = explanation_rows(source, pose, target, source, settings)
    assert len(shown) == rows
    assert [panel.label for row in shown[1:2] for panel in row.panels] == ["whole body"] * (rows > 1)


def test_panels_are_drawn_whole_and_do_not_overlap():
    colours = hues(7)
    panels = [Panel(f"{n}", np.full((16, 8, 3), colours[n], np.uint8), "note" * (n > 3)) for n in range(7)]
    picture = draw_rows([Row("above", panels[:4], 48), Row("below", panels[4:], 20)])
    for number, colour in enumerate(colours):
        rows, columns = np.nonzero((picture == colour).all(axis=-1))
        scale = 3 if number < 4 else 2
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (16 * scale, 8 * scale)
        assert len(rows) == 16 * 8 * scale**2


def test_the_words_are_those_of_a_known_transform():
    """A part is turned by 30° clockwise (y points down), shrunk to the half, and goes 7 right and 4 up."""
    mask = np.zeros(SIZE, bool)
    mask[40:61, 30:41] = True
    middle, angle = np.array([35.0, 50.0]), np.deg2rad(30)
    forward = 0.5 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inverse = np.linalg.inv(forward)
    origin = middle - (7, -4)  # where the middle of the part was
    matrix = np.column_stack([inverse, origin - inverse @ middle])
    assert transform_in_words(matrix, mask) == ("turn 30°, size 0.50", "shift 7, -4 px")
    mirrored = np.diag([-1.0, 1.0]) @ inverse
    matrix = np.column_stack([mirrored, origin - mirrored @ middle])
    assert transform_in_words(matrix, mask)[0].endswith("size 0.50, mirrored")
    assert transform_in_words(matrix, np.zeros(SIZE, bool))[0] == NO_TRANSFORM
