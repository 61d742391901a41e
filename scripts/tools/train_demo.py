"""Train the demo ensemble on simulated scans; see ``make demo-weights``."""

import library_path  # noqa: F401  # isort: skip

import argparse
import logging
import os
import time
from pathlib import Path

from lesionflow.simulation.label_maps import split_for_training
from lesionflow.training.brain_mask_model import brain_mask_model
from lesionflow.training.export_weights import export_weights
from lesionflow.training.microbleed_examples import simulated_examples, training_jobs


def main() -> None:
    """Simulate scans, train one network per fold on two thirds of them, and export the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("resources/demo-cmb"))
    parser.add_argument("--anatomies", type=Path, help="folder of whole-head label maps")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scans", type=int, default=36, help="number of simulated scans")
    parser.add_argument("--steps", type=int, default=900, help="training steps per fold")
    parser.add_argument(
        "--again", type=int, default=700, help="more steps, with patches at false positives"
    )
    parser.add_argument("--card", type=Path, default=Path("config/models/demo-cmb.yaml"))
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    started = time.monotonic()
    label_maps = split_for_training(args.anatomies)[0] if args.anatomies else None
    jobs = training_jobs(args.seed, args.scans, label_maps)
    with brain_mask_model(args.anatomies is not None) as mask_model:
        examples = simulated_examples(jobs, args.workers, mask_model)
    logging.info("%s scans simulated in %.0f s", len(examples), time.monotonic() - started)
    from lesionflow.training.train_microbleeds import split_fold, train_fold

    for fold in (1, 2, 3):
        training, held_out = split_fold(examples, fold)
        logging.info("fold %d of 3", fold)
        seed = 100 * args.seed + fold
        model, threshold = train_fold(training, held_out, seed, args.steps, args.again)
        path = args.out / f"fold-{fold}.keras"
        export_weights(model, path, args.card)
        logging.info("%s: best threshold %.2f, %.0f s", path, threshold, time.monotonic() - started)


if __name__ == "__main__":
    main()
