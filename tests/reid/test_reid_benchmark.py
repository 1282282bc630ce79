"""The benchmark of ranking compares forms that give the same scores."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import reid


def test_all_forms_give_the_same_scores():
    scores = {form: reid.make_calls(form, 40, 200, 16)["rank"]() for form in ("ours", "numpy", "scipy")}
    for cmc, precision in scores.values():
        np.testing.assert_allclose(cmc, scores["ours"][0], atol=1e-12)
        assert precision == pytest.approx(scores["ours"][1])
    assert 0 < scores["ours"][1] < 1
