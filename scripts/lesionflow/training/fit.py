"""The loop in which the shipped networks are trained."""

import logging
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np


def fit(
    model: Any,
    batches: Iterator[tuple[np.ndarray, np.ndarray]],
    steps: int,
    rate: float,
    loss: Callable[[Any, Any], Any],
) -> float:
    """Train in place: Adam with a linear warm-up and a cosine decay. The loss of the last 50 steps."""
    import keras

    schedule = keras.optimizers.schedules.CosineDecay(
        rate / 20, steps, 0.01, warmup_target=rate, warmup_steps=max(1, steps // 20)
    )
    model.compile(keras.optimizers.Adam(schedule, clipnorm=1.0), loss)
    losses: list[float] = []
    started = time.monotonic()
    for step, (images, masks) in enumerate(islice(batches, steps), 1):
        losses.append(float(model.train_on_batch(images, masks)))
        model.reset_metrics()
        if step % 50 == 0:
            pace = (time.monotonic() - started) / step
            logging.info("step %s loss %.4f, %.2f s a step", step, np.mean(losses[-50:]), pace)
    return float(np.mean(losses[-50:]))
