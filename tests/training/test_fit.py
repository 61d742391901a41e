"""What a training says while it is on."""

import logging

import numpy as np
import pytest

from lesionflow.training.fit import Progress, fit


def test_each_epoch_has_its_own_loss_and_the_time_that_is_left(caplog):
    caplog.set_level(logging.INFO)
    times = iter([0.0, 10.0, 20.0])
    progress = Progress("patches", 40, lambda: next(times))
    progress.epochs = 2
    for step in range(1, 41):
        # 4 in the first twenty steps and 1 in the others: Keras reports the mean of all until now
        progress(4.0 if step <= 20 else (20 * 4.0 + (step - 20) * 1.0) / step)
    assert [record.getMessage() for record in caplog.records] == [
        "patches: epoch 1 of 2: loss 4.0000, 10 s left",
        "patches: epoch 2 of 2: loss 1.0000, 0 s left",
    ]


def test_a_training_of_few_steps_has_an_epoch_per_step(caplog):
    caplog.set_level(logging.INFO)
    progress = Progress("boxes", 3, lambda: 0.0)
    for _ in range(3):
        progress(1.0)
    assert [record.getMessage().split(": ")[1] for record in caplog.records] == [
        "epoch 1 of 3",
        "epoch 2 of 3",
        "epoch 3 of 3",
    ]


@pytest.mark.slow
def test_the_losses_that_keras_reports_reach_the_log(caplog, capfd):
    import keras

    caplog.set_level(logging.INFO)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.layers[-1].set_weights([np.zeros((1, 1), np.float32)])
    images, zero = np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32)

    def batches():
        while True:
            yield images, zero + 2

    fit(model, batches(), 2, 1e-9, "mean_squared_error", "line")
    messages = [record.getMessage() for record in caplog.records if record.name == "root"]
    assert [message.rsplit(", ")[0] for message in messages] == [
        "line: epoch 1 of 2: loss 4.0000",
        "line: epoch 2 of 2: loss 4.0000",
    ]
    assert "step" not in capfd.readouterr().out
