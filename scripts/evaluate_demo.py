"""Measure the demo ensemble on simulated scans that it never saw; part of ``make demo-weights``."""

import argparse
import json
import os
from pathlib import Path

import numpy as np

import lesionflow.demo_network  # noqa: F401  (sets TensorFlow's environment before it is imported)
from lesionflow.demo_data import simulated_examples, unseen_jobs
from lesionflow.demo_scores import scores
from lesionflow.whole import whole


def main() -> None:
    """Simulate scans from unused seeds, predict with the mean of the folds, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ensemble", type=Path, default=Path("resources/demo-cmb"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scans", type=int, default=16)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    args = parser.parse_args()
    examples = simulated_examples(unseen_jobs(args.seed, args.scans), args.workers)

    import keras

    folds = [keras.models.load_model(path) for path in sorted(args.ensemble.glob("fold-*.keras"))]
    if not folds:
        parser.error(f"no fold-*.keras in {args.ensemble}: train them with make demo-weights")
    probabilities = []
    for example in examples:
        image = example.image.astype(np.float32)[None, ..., None]
        maps = [fold.predict_on_batch(image)[0, ..., 0] for fold in folds]
        probabilities.append(np.mean(maps, axis=0))
    about = (
        "Simulated scans, other seeds than the training's: lesions of 2 mm and more, ensemble mean "
        "above 0.5 within the brain mask, 26-connected, found when any voxel overlaps"
    )
    figures = {
        "about": about,
        "folds": len(folds),
        "seed": args.seed,
        **scores(probabilities, examples),
    }
    with whole(args.ensemble / "figures.json") as partial:
        partial.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
