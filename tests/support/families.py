"""Published cards with small weights, and a head for them."""

import numpy as np
import yaml

from lesionflow.networks.inference.random_volume import random_volume
from support.paths import REPOSITORY

SIDES = (29, 34, 26)


def published_card(folder, name, weights, **changes):
    """A published card in ``folder``, its weights beside it, with parts of its keys changed."""
    card = yaml.safe_load((REPOSITORY / f"config/models/{name}.yaml").read_text())
    card["source"]["archive"] = None
    card["folds"] = [{"path": weights}]
    for key, value in changes.items():
        card[key] = {**card.get(key, {}), **value} if isinstance(value, dict) else value
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(card, sort_keys=False))
    return path


def head(seed):
    """A volume with structure of every size in a dark surrounding."""
    data = random_volume((*SIDES, 1), seed)[..., 0] * 200
    data[:3], data[:, -4:] = 0, 0
    return np.round(data).astype(np.float32)
