"""Train the brain-mask network on whole-head label maps; see ``make brainmask-weights``."""

import library_path  # noqa: F401  # isort: skip

import argparse
import logging
import os
import time
from pathlib import Path

from lesionflow.simulation.label_maps import split_for_training
from lesionflow.training.export_weights import export_weights
from lesionflow.training.train_brain_mask import random_examples, train_mask


def main() -> None:
    """Generate images of random contrast from the label maps, train on them, and export the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("anatomies", type=Path, help="folder of whole-head label maps (NIfTI)")
    parser.add_argument("--out", type=Path, default=Path("resources/brainmask"))
    parser.add_argument("--card", type=Path, default=Path("config/models/brainmask.yaml"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, default=700, help="number of training images")
    parser.add_argument(
        "--steps", type=int, default=1200, help="training steps on whole images, after --near"
    )
    parser.add_argument(
        "--near", type=int, default=4000, help="training steps on boxes around the brain"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    started = time.monotonic()
    training, held_out = split_for_training(args.anatomies)
    names = ([path.name for path in paths] for paths in (training, held_out))
    logging.info("train on %s, hold out %s", *names)
    images, brains = random_examples(training, args.seed, args.examples, args.workers)
    logging.info("%s images in %.0f s", len(images), time.monotonic() - started)
    model = train_mask(images, brains, args.seed, args.near, args.steps)
    export_weights(model, args.out / "fold-1.keras", args.card)
    logging.info("trained in %.0f s", time.monotonic() - started)


if __name__ == "__main__":
    main()
