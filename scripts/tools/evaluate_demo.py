"""Evaluate the demo ensemble on simulated scans not used in training; part of ``make demo-weights``."""

import library_path  # noqa: F401  # isort: skip

import argparse
import json
import os
from pathlib import Path

import numpy as np

import lesionflow.networks.architectures.residual_unet3d  # noqa: F401  (sets TensorFlow's environment before it is imported)
from lesionflow.base.atomic_write import write_atomically
from lesionflow.simulation.label_maps import split_for_training
from lesionflow.training.brain_mask_model import brain_mask_model
from lesionflow.training.microbleed_examples import (
    Example,
    simulated_examples,
    unseen_heads,
    unseen_jobs,
)
from lesionflow.training.microbleed_scores import scores

ABOUT = (
    "lesions of 2 mm and more, ensemble mean above 0.5 within the brain mask, 26-connected, detected if any "
    "voxel overlaps"
)


def probabilities(examples: list[Example], folder: Path) -> list[np.ndarray]:
    """Mean probability map over the folds of an ensemble, for each example."""
    import keras

    folds = [keras.models.load_model(path) for path in sorted(folder.glob("fold-*.keras"))]
    if not folds:
        raise SystemExit(f"no fold-*.keras in {folder}: train them with make demo-weights")
    means = []
    for example in examples:
        image = example.image.astype(np.float32)[None, ..., None]
        maps = [fold.predict_on_batch(image)[0, ..., 0] for fold in folds]
        means.append(np.mean(maps, axis=0))
    return means


def main() -> None:
    """Simulate scans with unused seeds, predict with the mean of the folds, and write the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ensemble", type=Path, default=Path("resources/demo-cmb"))
    parser.add_argument(
        "--anatomies",
        type=Path,
        help="folder of label maps; those not used in training are evaluated",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scans", type=int, default=16)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    args = parser.parse_args()
    test_sets = {
        "template": (
            "MNI152 heads with seeds not used in training",
            unseen_jobs(args.seed, args.scans),
        )
    }
    if args.anatomies:
        held_out = split_for_training(args.anatomies)[1]
        jobs = unseen_heads(args.seed, held_out)
        half = len(jobs) // 2
        test_sets["anatomies"] = (
            "heads of label maps not used in training, computed brain masks",
            jobs[:half],
        )
        test_sets["without"] = ("the same heads without lesions", jobs[half:])
    path = args.ensemble / "figures.json"
    figures = {}
    with brain_mask_model(args.anatomies is not None) as mask_model:
        for name, (about, jobs) in test_sets.items():
            examples = simulated_examples(jobs, args.workers, mask_model)
            results = scores(probabilities(examples, args.ensemble), examples)
            figures[name] = {"about": f"{about}: {ABOUT}", "seed": args.seed, **results}
            with write_atomically(path) as partial:
                partial.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
