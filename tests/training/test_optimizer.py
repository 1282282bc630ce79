"""The fused optimizer makes the same steps as Keras' Adam, and refuses what it does not do."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from pose_gan.training.optimizer import FusedAdam


@pytest.mark.parametrize("size", [1.0, 1e-8])
@pytest.mark.parametrize("options", [{}, {"epsilon": 1e-8}, {"weight_decay": 0.1, "clipnorm": 0.5}], ids=str)
def test_it_steps_as_keras_does(options, size):
    """With gradients so small that ε counts, too."""
    random = np.random.default_rng(0)
    start = [random.normal(size=shape).astype("float32") for shape in ((3, 4), (5,), ())]
    gradients = [[(size * random.normal(size=value.shape)).astype("float32") for value in start] for _ in range(5)]
    results = []
    for kind in (FusedAdam, keras.optimizers.Adam):
        variables = [keras.Variable(value) for value in start]
        optimizer = kind(learning_rate=2e-3, beta_1=0.5, beta_2=0.999, **options)
        optimizer.build(variables)

        @tf.function
        def step(values, optimizer=optimizer):
            optimizer.apply(values)

        for gradient in gradients:
            step([tf.constant(g) for g in gradient])
        assert int(optimizer.iterations) == 5
        results.append([np.array(v) for v in (*variables, *optimizer.variables)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


def test_it_refuses_amsgrad_and_what_keras_does_not_know():
    with pytest.raises(ValueError, match=r"FusedAdam\(amsgrad=True\).*Use keras\.optimizers\.Adam\(amsgrad=True\)"):
        FusedAdam(2e-4, amsgrad=True)
    with pytest.raises(ValueError, match="learning_rat"):
        FusedAdam(learning_rat=2e-4)


def test_it_is_read_back_with_its_settings():
    ours = FusedAdam(2e-3, beta_1=0.4, beta_2=0.9, epsilon=1e-5, clipnorm=2.0)
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(ours))
    assert type(copy) is FusedAdam
    assert copy.get_config() == ours.get_config()
