"""Small imported folds."""

import numpy as np

from lesionflow.networks.importing.fold_folder import write_fold
from support.stand_ins import save_function, toy_spec

SHAPE = (5, 8, 11)  # no two axes alike, so that a swap shows
BACKENDS = ("tensorflow", "openvino")


def ramp(channels=1):
    """A volume that every flip, swap or shift of axes changes."""
    return (np.arange(np.prod(SHAPE) * channels).reshape(*SHAPE, channels) / 2000).astype(
        np.float32
    )


def make_fold(folder, function, channels=1, outputs=1, activation="sigmoid"):
    source = save_function(folder / "net", function, SHAPE, channels)
    about = {"channels": channels, "outputs": outputs, "activation": activation}
    digests = {"md5": "m", "sha256": "s"}
    write_fold(toy_spec(source, SHAPE, **about), source, digests, folder / "fold-1", 1)
    return folder / "fold-1"
