"""Evaluate the brain mask on simulated scans of heads not used in training; part of ``make brainmask-weights``."""

import library_path  # noqa: F401  # isort: skip

import argparse
import json
import logging
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from lesionflow.base.atomic_write import write_atomically
from lesionflow.cards.load_card import load_card
from lesionflow.cards.model_card import Card
from lesionflow.imaging.brain_mask import brain_from_probability
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.resampling import resample
from lesionflow.networks.importing.import_fold import import_card
from lesionflow.networks.inference.find_brain import brain_probability
from lesionflow.simulation.label_maps import split_for_training
from lesionflow.simulation.scan import Head, Scan, simulated_head, simulated_scan
from lesionflow.simulation.tissue_contrast import SEQUENCES
from lesionflow.training.brain_mask_scores import RESOLUTIONS_MM, mask_dice, summary

CARD = Path("config/models/brainmask.yaml")
ABOUT = "Dice coefficients on the grids of simulated scans of heads not used in training"


def mask_metrics(scan: Scan, head: Head, card: Card, folds: list[Path]) -> dict[str, Any]:
    """Compute a brain mask: its Dice with the brain's outline and tissue, volumes (ml) and computing time (s)."""
    start = time.monotonic()
    probability, grid = brain_probability(scan.image, card, folds)
    scan_grid = Grid(scan.image.affine, scan.brain.shape)
    image = nib.Nifti1Image(probability, grid.affine)
    brain = brain_from_probability(image, scan.image, scan_grid)
    seconds = time.monotonic() - start
    tissue = resample(head.anatomy.brain, head.anatomy.affine, scan_grid, "linear") > 0.5
    return {
        "dice": round(mask_dice(brain, scan.brain), 4),
        "tissue_dice": round(mask_dice(brain, tissue), 4),
        "volume_ml": round(float(brain.sum() * scan_grid.voxel_mm3 / 1000), 1),
        "true_ml": round(float(scan.brain.sum() * scan_grid.voxel_mm3 / 1000), 1),
        "seconds": round(seconds, 2),
    }


def evaluate_head(
    job: tuple[Path, int, list[str]], card: Card, folds: list[Path], keep_dir: Path | None
) -> list[dict[str, Any]]:
    """Metrics of the scans of one head, one row per sequence and resolution.

    Scans and their reference masks are written to ``keep_dir``, if there is one.
    """
    path, seed, sequences = job
    head = simulated_head(seed, 6, label_map=path)
    rows = []
    for sequence in sequences:
        for number, spacing in enumerate(RESOLUTIONS_MM):
            scan = simulated_scan(head, number, sequence, spacing, whole_head=number == 1)
            name = f"{path.name.split('.')[0]}_{sequence}_{number}"
            row = {"head": path.name.split(".")[0], "sequence": sequence}
            row["spacing_mm"] = " x ".join(f"{s:g}" for s in spacing)
            rows.append(row | mask_metrics(scan, head, card, folds))
            if keep_dir:
                nib.save(scan.image, keep_dir / f"{name}.nii.gz")
                brain = nib.Nifti1Image(scan.brain.astype(np.uint8), scan.image.affine)
                nib.save(brain, keep_dir / f"{name}_brain.nii.gz")
    return rows


def main() -> None:
    """Simulate scans of the held-out heads, compute their brain masks, and write the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "anatomies",
        type=Path,
        help="folder of all label maps; those not used in training are evaluated",
    )
    parser.add_argument("--out", type=Path, default=Path("resources/brainmask/figures.json"))
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder to write the simulated scans to")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    _, held_out = split_for_training(args.anatomies)
    card = load_card(CARD, CARD.parent)
    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
    sequence_groups = [list(SEQUENCES)[::2], list(SEQUENCES)[1::2]]
    jobs = [
        (path, 100 * args.seed + n, sequences)
        for n, path in enumerate(held_out)
        for sequences in sequence_groups
    ]
    with tempfile.TemporaryDirectory() as folder:
        folds = import_card(card, Path(folder), args.workers)
        rows_of_head = partial(evaluate_head, card=card, folds=folds, keep_dir=args.keep)
        with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
            rows = [row for head in pool.map(rows_of_head, jobs) for row in head]
    scans = pd.DataFrame(rows)
    tissue = scans.assign(dice=scans.tissue_dice)
    figures = {
        "about": ABOUT,
        "seed": args.seed,
        "outline": summary(scans),
        "tissue": summary(tissue),
    }
    with write_atomically(args.out) as target:
        target.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(scans.sort_values("dice").to_string(index=False))
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
