"""Layers whose random numbers depend on a seed alone, and change nothing of the caller's."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Layers that are made inside of the block begin with the weights and dropout states of this seed.

    Keras draws the seeds of initializers and of dropout from Python's `random`, and from nothing else. Its state is
    put back at the end of the block.
    """
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
