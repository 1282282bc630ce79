"""CMC and mAP: against a loop written from the protocol, closed forms, ties, junk, and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pose_gan.errors import InputError
from pose_gan.metrics.ranking import good_ranks, order
from pose_gan.reid import evaluate_ranking
from pose_gan.reid.distances import COSINE
from pose_gan.reid.features import extract
from pose_gan.reid.images import read_splits


def slow(distances, query_ids, gallery_ids, query_cameras, gallery_cameras):
    """The protocol of Market-1501, image by image: CMC, mAP by the trapezoid, mAP by the step."""
    hits, trapezoids, steps = [], [], []
    for row, person, camera in zip(distances, query_ids, query_cameras, strict=True):
        ranking = []
        for place in sorted(range(len(gallery_ids)), key=lambda place: (row[place], place)):
            if gallery_ids[place] == -1 or (gallery_ids[place] == person and gallery_cameras[place] == camera):
                continue
            ranking.append(person > 0 and gallery_ids[place] == person)
        good = sum(ranking)
        found, area, steps_of_query, precision, recall = 0, 0.0, [], 1.0, 0.0
        for rank, right in enumerate(ranking, start=1):  # as the MATLAB code walks along the ranking
            found += right
            if right:
                steps_of_query.append(found / rank)
                area += (found / good - recall) * (found / rank + precision) / 2
                recall = found / good
            precision = found / rank
        trapezoids.append(area)
        steps.append(sum(steps_of_query) / good if good else 0.0)
        hits.append([any(ranking[:k]) for k in range(1, len(gallery_ids) + 1)])
    return np.mean(hits, axis=0), np.mean(trapezoids), np.mean(steps)


def check(distances, *labels):
    found = evaluate_ranking(distances, *labels)
    cmc, trapezoid, step = slow(distances, *labels)
    np.testing.assert_allclose(found.cmc, cmc, atol=1e-12)
    assert found.mean_average_precision == pytest.approx(trapezoid, abs=1e-12)
    assert found.mean_average_precision_step == pytest.approx(step, abs=1e-12)
    return found


def one_query(pattern, **more):
    """Scores of one query whose answers are right (1) or wrong (0), from the nearest on."""
    people = np.where(pattern, 7, 8)
    return evaluate_ranking(np.arange(len(pattern))[None], [7], people, [1], np.full(len(pattern), 2), **more)


@pytest.mark.parametrize("seed", range(4))
def test_the_same_as_a_loop_with_junk_distractors_ties_and_queries_without_an_answer(seed):
    random = np.random.default_rng(seed)
    distances = random.integers(0, 12, (40, 90)) / 4  # many ties
    labels = [random.integers(low, 9, size) for low, size in ((1, 40), (-1, 90))]
    cameras = [random.integers(1, 4, size) for size in (40, 90)]
    labels[0][:2] = 50, 0  # a person who is not there, and a distractor
    found = check(distances, *labels, *cameras)
    assert {-1, 0} <= set(labels[1])
    assert not found.answerable[:2].any()
    assert found.answerable.sum() > 30
    kept = found.answerable
    left = found.answerable_only()
    others = slow(distances[kept], labels[0][kept], labels[1], cameras[0][kept], cameras[1])
    np.testing.assert_allclose(left.cmc, others[0], atol=1e-12)
    assert left.mean_average_precision == pytest.approx(others[1])


def test_equal_distances_keep_the_order_of_the_gallery():
    """Nothing can be told apart, so the ranks are the places."""
    found = evaluate_ranking(np.zeros((1, 5)), [1], [2, 2, 1, 2, 1], [1], [2] * 5)
    assert found.first_right[0] == 3
    assert found.mean_average_precision_step == pytest.approx((1 / 3 + 2 / 5) / 2)


@pytest.mark.parametrize(
    ("pattern", "trapezoid", "step"),
    [
        ([1, 0, 1, 0], 0.5 * (1 + (2 / 3 + 1 / 2) / 2), (1 + 2 / 3) / 2),
        ([1, 1, 1], 1, 1),
        ([1, 0, 0], 1, 1),
        ([0, 1, 0], 1 / 4, 1 / 2),
        ([0, 0, 0, 0, 1, 0], 1 / 10, 1 / 5),
    ],
)
def test_average_precision_in_closed_form(pattern, trapezoid, step):
    found = one_query(pattern)
    assert found.mean_average_precision == pytest.approx(trapezoid)
    assert found.mean_average_precision_step == pytest.approx(step)


def test_published_numbers_of_the_pattern():
    found = one_query([1, 0, 1, 0])
    assert round(found.mean_average_precision, 4) == 0.7917
    assert round(found.mean_average_precision_step, 4) == 0.8333


def test_junk_is_taken_out_and_distractors_stay():
    people, cameras = [-1, 7, 0, 7], [3, 1, 2, 2]  # junk, the same camera, a distractor, the right answer
    found = evaluate_ranking(np.arange(4.0)[None], [7], people, [1], cameras)
    assert found.first_right.tolist() == [2]
    np.testing.assert_array_equal(found.cmc, [0, 1, 1, 1])


def test_queries_without_an_answer_count_as_not_found_and_can_be_left_out():
    found = evaluate_ranking(np.zeros((2, 1)), [1, 2], [1], [1, 1], [2])
    assert found.answerable.tolist() == [True, False]
    assert (found.cmc[0], found.mean_average_precision, found.mean_average_precision_step) == (0.5, 0.5, 0.5)
    assert found.answerable_only().cmc[0] == 1
    with pytest.raises(InputError, match="no query has a good answer"):
        evaluate_ranking(np.zeros((1, 1)), [1], [2], [1], [1]).answerable_only()


def test_rows_in_blocks_give_the_same():
    random = np.random.default_rng(0)
    distances = random.random((11, 20), dtype=np.float32)
    labels = [random.integers(1, 4, size) for size in (11, 20, 11, 20)]
    whole, parts = evaluate_ranking(distances, *labels), evaluate_ranking(iter(np.split(distances, [4, 5])), *labels)
    np.testing.assert_array_equal(whole.cmc, parts.cmc)
    np.testing.assert_array_equal(whole.average_precision, parts.average_precision)


def test_ranks_of_good_answers_are_those_of_the_order():
    random = np.random.default_rng(1)
    for _ in range(50):
        distances, good, left_out = random.integers(0, 5, 30), random.random(30) < 0.3, random.random(30) < 0.3
        good &= ~left_out
        expected = np.flatnonzero(good[order(distances, left_out)]) + 1
        np.testing.assert_array_equal(good_ranks(distances, good, left_out), expected)


@pytest.mark.parametrize(
    ("distances", "message"),
    [
        (
            np.zeros((2, 4)),
            r"expected \(2, 3\), one row a query and one column an image of the gallery; got a row 0 of 4",
        ),
        (np.zeros((1, 3)), "expected 2 rows, one a query, got 1"),
        (np.zeros((3, 3)), "got a row 2 of 3 numbers"),
        (np.full((2, 3), np.nan), "row 0 has a value that is not a number"),
        (np.full((2, 3), "1"), "row 0 has a value that is not a number"),
        (np.zeros((2, 3), complex), "row 0 has a value that is not a number"),
        (None, r"expected numbers \(queries, gallery\), or their rows in blocks, got None"),
    ],
)
def test_distances_that_do_not_fit(distances, message):
    with pytest.raises(InputError, match=message):
        evaluate_ranking(distances, [1, 2], [1, 2, 3], [1, 1], [2, 2, 2])


def test_labels_that_do_not_fit():
    with pytest.raises(InputError, match=r"gallery_ids and gallery_cameras: .* got shapes \(2,\) and \(3,\)"):
        evaluate_ranking(np.zeros((1, 2)), [1], [1, 2], [1], [1, 2, 3])
    with pytest.raises(InputError, match=r"query_ids and query_cameras: .* got shapes \(0,\) and \(0,\)"):
        evaluate_ranking(np.zeros((0, 2)), [], [1, 2], [], [1, 2])


@pytest.mark.parametrize("ids", [["1"], [1.5], [np.nan], [True], [None], [[1], [2, 3]]])
def test_people_and_cameras_are_whole_numbers(ids: list[Any]):
    """Of texts, '1' would be nobody that 1 is, and '-1' no junk: all scores would be 0, or wrong."""
    with pytest.raises(InputError, match="query_ids: expected whole numbers"):
        evaluate_ranking(np.zeros((1, 2)), ids, [1, 2], [1], [2, 2])
    with pytest.raises(InputError, match="gallery_cameras: expected whole numbers"):
        evaluate_ranking(np.zeros((1, 1)), [1], [1], [1], ids)
    assert evaluate_ranking(np.zeros((1, 1)), [1.0], np.array([1], np.uint8), [1], [2]).cmc[0] == 1


def test_a_table_is_ranked_by_its_rows():
    distances = np.random.default_rng(0).random((3, 3))
    labels = [1, 2, 3], [1, 2, 3], [1] * 3, [2] * 3
    found = evaluate_ranking(pd.DataFrame(distances), *labels)  # pyright: ignore[reportArgumentType]
    np.testing.assert_array_equal(found.first_right, evaluate_ranking(distances, *labels).first_right)


@pytest.mark.parametrize("count", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_a_real_network_on_real_images_scores_as_by_the_loop(shared_data, count):
    pytest.importorskip("onnxruntime")
    network, folder = shared_data / "reid/osnet_x0_25_msmt17.onnx", shared_data / "market/data/test"
    if not network.is_file() or not folder.is_dir():
        pytest.skip(f"no {network} or no {folder}")
    splits = read_splits(folder, test_share=1)
    first = np.unique(splits.query.people)[:count]
    parts = [part.select(np.isin(part.people, first)) for part in (splits.query, splits.gallery)]
    query, gallery = (extract(part, network) for part in parts)
    distances = COSINE.between(query.values, gallery.values)
    found = check(distances, query.people, gallery.people, query.cameras, gallery.cameras)
    assert 0.70 < found.cmc[0] < 1
    assert 0.02 > found.mean_average_precision_step - found.mean_average_precision > 0.005
