"""The fused optimizer makes the same steps as Keras' Adam."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from pose_gan.training.optimizer import FusedAdam


def test_it_steps_as_keras_does():
    random = np.random.default_rng(0)
    start = [random.normal(size=shape).astype("float32") for shape in ((3, 4), (5,), ())]
    gradients = [[random.normal(size=value.shape).astype("float32") for value in start] for _ in range(5)]
    results = []
    for kind in (FusedAdam, keras.optimizers.Adam):
        variables = [keras.Variable(value) for value in start]
        optimizer = kind(learning_rate=2e-3, beta_1=0.5, beta_2=0.999)
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
