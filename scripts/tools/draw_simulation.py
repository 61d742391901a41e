"""Draw a simulated head in every sequence with its brain mask and reference lesions, as in docs/simulated.png."""

import library_path  # noqa: F401  # isort: skip

import argparse
from pathlib import Path

import numpy as np

from lesionflow.base.atomic_write import write_atomically
from lesionflow.simulation.scan import Scan, simulated_head, simulated_scan
from lesionflow.simulation.tissue_contrast import SEQUENCES

MICROBLEEDS = 14
SPACING_MM = {"swi": (0.6, 0.6, 2.0), "flair": (0.9, 0.9, 3.0), "t2": (0.7, 0.7, 4.0)}
BRAIN, LESION = "#4fc3f7", "#ff5a36"


def slices(
    scan: Scan, centre: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, float]]:
    """Image, brain, lesions and aspect ratio of three orthogonal slices through a point (mm), oriented for display."""
    volume = np.asanyarray(scan.image.dataobj).astype(np.float32)
    voxel_sizes = scan.image.header.get_zooms()
    voxel = np.rint(np.linalg.inv(scan.image.affine) @ [*centre, 1])[:3].astype(int)
    voxel = np.clip(voxel, 0, np.array(volume.shape) - 1)
    views = []
    for axis in (2, 1, 0):
        first, second = (a for a in range(3) if a != axis)
        planes = [
            np.take(array, voxel[axis], axis).T[::-1]
            for array in (volume, scan.brain, scan.lesions)
        ]
        views.append((*planes, voxel_sizes[second] / voxel_sizes[first]))
    return views


def main() -> None:
    """Simulate the head and draw three slices per sequence."""
    from matplotlib.figure import Figure

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figure", type=Path, help="PNG file to write")
    parser.add_argument(
        "--label-map", type=Path, help="whole-head label map; default: the MNI152 template"
    )
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    head = simulated_head(args.seed, MICROBLEEDS, label_map=args.label_map)
    largest = max(head.microbleeds, key=lambda microbleed: microbleed.diameter_mm)
    figure = Figure(figsize=(21, 11), facecolor="black", layout="constrained")
    panels = figure.subplots(3, 6)
    figure.suptitle("SIMULATED: no person was scanned", color="white", fontsize=14)
    for number, sequence in enumerate(SEQUENCES):
        spacing = SPACING_MM.get(sequence, (1.0, 1.0, 1.0))
        scan = simulated_scan(head, 1, sequence, spacing, "RAS", whole_head=number % 2 == 1)
        top = np.percentile(np.asanyarray(scan.image.dataobj)[scan.brain], 99.5)
        for column, (image, brain, lesions, aspect) in enumerate(slices(scan, largest.centre)):
            panel = panels[number // 2, 3 * (number % 2) + column]
            panel.imshow(image, cmap="gray", vmin=0, vmax=1.1 * top, aspect=aspect)
            panel.contour(brain, [0.5], colors=BRAIN, linewidths=0.5)
            if lesions.any():
                panel.contour(lesions > 0, [0.5], colors=LESION, linewidths=1)
            panel.set_title(
                f"{sequence}, {' x '.join(f'{s:g}' for s in spacing)} mm", color="white"
            )
            panel.set_axis_off()
    with write_atomically(args.figure) as partial:
        figure.savefig(partial, format="png", dpi=60)


if __name__ == "__main__":
    main()
