"""Optimiser and learning-rate schedule of all trained networks."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


def fit(
    model: Any,
    batches: Iterator[tuple[np.ndarray, np.ndarray]],
    steps: int,
    learning_rate: float,
    loss: Callable[[Any, Any], Any],
) -> None:
    """Train a Keras model in place with Adam, and a learning rate with linear warm-up and cosine decay."""
    import keras

    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate / 20,
        steps,
        0.01,
        warmup_target=learning_rate,
        warmup_steps=max(1, steps // 20),
    )
    model.compile(keras.optimizers.Adam(schedule, clipnorm=1.0), loss)
    model.fit(batches, steps_per_epoch=steps)
