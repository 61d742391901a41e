"""Train the demo ensemble on simulated scans; see ``make demo-weights``."""

import argparse
import hashlib
import logging
import os
import re
import time
from pathlib import Path

from lesionflow.demo_data import simulated_examples, training_jobs
from lesionflow.whole import whole


def with_digests(card: str, digests: dict[str, str]) -> str:
    """A card's text with the MD5 of each fold's file (by its name) on the line after its path."""
    for name, digest in digests.items():
        card, found = re.subn(rf"({re.escape(name)}\n\s+md5:) .*", rf"\1 {digest}", card)
        if found != 1:
            raise ValueError(
                f"{name} stands {found} times in the card, not once with an md5 below it"
            )
    return card


def main() -> None:
    """Simulate a cohort, train one network a fold with another third left out, and save them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("resources/demo-cmb"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scans", type=int, default=24, help="simulated scans to train on")
    parser.add_argument("--steps", type=int, default=500, help="training steps a fold")
    parser.add_argument("--again", type=int, default=400, help="steps more, on its false alarms")
    parser.add_argument("--card", type=Path, default=Path("config/models/demo-cmb.yaml"))
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    started = time.monotonic()
    examples = simulated_examples(training_jobs(args.seed, args.scans), args.workers)
    logging.info("%s scans simulated in %.0f s", len(examples), time.monotonic() - started)
    from lesionflow.demo_training import thirds, train_fold

    digests = {}
    for fold in (1, 2, 3):
        learn, left_out = thirds(examples, fold)
        seed = 100 * args.seed + fold
        model, threshold = train_fold(learn, left_out, seed, args.steps, args.again)
        path = args.out / f"fold-{fold}.keras"
        with whole(path) as partial:
            model.save(partial)
        digests[path.name] = hashlib.md5(path.read_bytes()).hexdigest()
        logging.info("%s from threshold %.2f, %.0f s", path, threshold, time.monotonic() - started)
    with whole(args.card) as partial:
        partial.write_text(with_digests(args.card.read_text(), digests))


if __name__ == "__main__":
    main()
