"""Layers whose random numbers depend on a seed alone, and change nothing of the caller's."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import keras
import tensorflow as tf

APART = 1_000_000_007
"""Distance between the seeds of replicas: above all seeds that Keras draws, so that no two layers meet."""


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


class _ReplicaSeeds(keras.random.SeedGenerator):
    """Random states that count alike on all replicas, and give each replica random numbers of its own."""

    def next(self, ordered: bool = True) -> tf.Tensor:
        state = super().next(ordered)
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return state
        replica = tf.cast(context.replica_id_in_sync_group, state.dtype)
        return state + tf.stack([replica * APART, tf.zeros_like(replica)])


def masks_by_replica(model: keras.Model) -> None:
    """Lets the dropout layers of a model draw other masks on every replica; on the first they are those of one device.

    The variables of the layers stay the same ones, so checkpoints do not depend on the number of replicas.
    """
    for layer in model.layers:
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            generator.__class__ = _ReplicaSeeds  # Keras has noted the object, so another one cannot take its place
