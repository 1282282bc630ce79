"""An error of TensorFlow without a text, at an image that was changed while in use, is named by its kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import tensorflow as tf

from pose_gan.data.batches import iterate
from pose_gan.data.pair_data import open_pairs
from pose_gan.errors import InputError, reason


def test_an_empty_text(tiny_data, monkeypatch):
    data = open_pairs(tiny_data.config, "train", tiny_data.image_size)

    def fail(*args: Any, **values: Any) -> None:
        raise tf.errors.InvalidArgumentError(None, None, "")

    def dataset() -> Iterator[Any]:
        yield fail()

    monkeypatch.setattr(tf.io, "decode_jpeg", fail)
    batches: Any = dataset()
    with pytest.raises(InputError, match=r"damaged or changed while in use; replace it \(InvalidArgumentError\)$"):
        next(iterate(batches, data))


def test_reasons_are_one_line():
    assert reason(ValueError("two\n  lines")) == "two lines"
    assert reason(KeyError()) == "KeyError"
    assert len(reason(ValueError("x" * 999))) == 300
