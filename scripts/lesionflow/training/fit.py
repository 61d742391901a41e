"""Optimiser and learning-rate schedule of all trained networks."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lesionflow.base.time_left import in_words

# Batches are drawn without end; an epoch is an equal part of the steps, of which a line is logged.
EPOCHS = 20


def fit(
    model: Any,
    batches: Iterator[tuple[np.ndarray, np.ndarray]],
    steps: int,
    learning_rate: float,
    loss: Callable[[Any, Any], Any],
    stage: str,
) -> None:
    """Train a Keras model in place with Adam, and a learning rate with linear warm-up and cosine decay.

    Progress is logged under the name ``stage`` (``Progress``).
    """
    import keras

    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate / 20,
        steps,
        0.01,
        warmup_target=learning_rate,
        warmup_steps=max(1, steps // 20),
    )
    model.compile(keras.optimizers.Adam(schedule, clipnorm=1.0), loss)
    log = Progress(stage, steps)
    report = keras.callbacks.LambdaCallback(on_train_batch_end=lambda step, logs: log(logs["loss"]))
    model.fit(batches, steps_per_epoch=steps, verbose=0, callbacks=[report])


class Progress:
    """Log the loss of each epoch of a training, and the time that is left.

    Parameters
    ----------
    stage
        Name of the training.
    steps
        Number of steps of the training.
    clock
        Returns the time in seconds.
    """

    def __init__(self, stage: str, steps: int, clock: Callable[[], float] = time.monotonic):
        self.stage, self.steps, self.clock = stage, steps, clock
        self.epochs = min(EPOCHS, steps)
        self.done, self.logged, self.epoch, self.mean_loss = 0, 0, 0, 0.0
        self.began = clock()

    def __call__(self, mean_loss: float) -> None:
        """A step has ended; ``mean_loss`` is the mean of the loss since the first step."""
        self.done += 1
        epoch = self.done * self.epochs // self.steps
        if epoch == self.epoch:
            return
        loss = mean_loss * self.done - self.mean_loss * self.logged  # summed over the epoch
        left = (self.clock() - self.began) / self.done * (self.steps - self.done)
        logging.info(
            "%s: epoch %d of %d: loss %.4f, %s left",
            *(self.stage, epoch, self.epochs, loss / (self.done - self.logged), in_words(left)),
        )
        self.mean_loss, self.logged, self.epoch = mean_loss, self.done, epoch
