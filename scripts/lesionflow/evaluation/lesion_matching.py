"""Overlap of predicted and reference lesions, at every threshold and minimum size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine

from lesionflow.base.label_channels import background_channels, decides_by_argmax
from lesionflow.evaluation.reference_lesions import (
    ReferenceLesions,
    VoxelCorrespondence,
    nearest_reference_voxels,
    voxel_correspondence,
)
from lesionflow.imaging.connected_components import bounding_boxes, label_lesions
from lesionflow.imaging.grids import Grid, bounding_box
from lesionflow.results.lesion_filters import apply_filters
from lesionflow.results.lesions import label_map, peak

THRESHOLDS = tuple(round(0.05 * n, 2) for n in range(1, 20))
SIZES_MM3 = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0)
DETECTION_COUNTS = ["lesions", "found", "count", "true_detections"]
COUNT_COLUMNS = [
    "label",
    *DETECTION_COUNTS,
    "outside_truth",
    "volume_mm3",
    "truth_volume_mm3",
    "voxels",
    "truth_voxels",
    "voxels_both",
]


@dataclass(frozen=True)
class Match:
    """Predicted lesions of a label map, and their overlap with the reference lesions.

    Attributes
    ----------
    lesion_map : array (x, y, z)
        Lesion numbers, from 1 across all labels.
    affine : array (4, 4)
        Of ``lesion_map``, to RAS+ mm.
    table
        One row per predicted lesion, in the order of their numbers: ``label`` (index among the card's
        labels, from 1), ``volume_mm3``, ``outside_brain`` (share of its voxels), ``probability`` (sum over
        its voxels), ``voxels`` (on the reference grid; a lesion to which no reference voxel corresponds
        has the voxel at its peak), ``outside_truth`` (whether it lies entirely outside of the
        reference's field of view), ``lesion`` (its number).
    pairs
        One row per predicted and reference lesion of one label that share voxels: ``predicted`` and
        ``reference`` (lesion numbers), ``voxels`` (shared, on the reference grid).
    """

    lesion_map: np.ndarray
    affine: np.ndarray
    table: pd.DataFrame
    pairs: pd.DataFrame


def match(
    labels: np.ndarray,
    probability: np.ndarray,
    brain: np.ndarray,
    grid: Grid,
    box: tuple[slice, ...],
    connectivity: int,
    reference: ReferenceLesions,
    correspondence: VoxelCorrespondence,
) -> Match:
    """Label the lesions of a label map as the segmentation does, and match them with the reference lesions.

    Parameters
    ----------
    labels : array (x, y, z), int
        Within ``box`` of ``grid``, as from ``lesions.label_map``.
    probability : array (x, y, z, label)
        Within the box; channel n - 1 belongs to label n.
    brain : array (x, y, z), bool
        Within the box.
    grid, box
        The model grid, and a box in it that contains every labelled voxel.
    connectivity
        The card's connectivity: 6, 18 or 26.
    reference, correspondence
        See the module ``reference_lesions``.
    """
    start = np.array([axis.start for axis in box])
    affine = grid.affine.copy()
    affine[:3, 3] = apply_affine(grid.affine, start)
    lesion_map = label_lesions(labels, connectivity, affine)
    indices = np.nonzero(lesion_map)
    lesion = lesion_map[indices]
    count = int(lesion.max()) if len(lesion) else 0
    size = np.bincount(lesion, minlength=count + 1)[1:]
    label = np.zeros(count + 1, np.int64)
    label[lesion] = labels[indices]
    outside_brain = np.bincount(lesion, ~brain[indices], count + 1)[1:] / np.maximum(size, 1)
    voxel_probability = probability[(*indices, label[lesion] - 1)]
    table = pd.DataFrame(
        {
            "label": label[1:],
            "volume_mm3": size * grid.voxel_mm3,
            "outside_brain": outside_brain,
            "probability": np.bincount(lesion, voxel_probability, count + 1)[1:],
        }
    )
    predicted = np.zeros(len(correspondence.model_index), np.int32)
    on_grid = np.flatnonzero(correspondence.model_index >= 0)
    model_index = np.stack(np.unravel_index(correspondence.model_index[on_grid], grid.shape))
    box_index = model_index - start[:, None]
    in_box = ((box_index >= 0) & (box_index < np.array(lesion_map.shape)[:, None])).all(axis=0)
    predicted[on_grid[in_box]] = lesion_map[tuple(box_index[:, in_box])]

    voxels = np.bincount(predicted, minlength=count + 1)[1:]
    # lesions to which no reference voxel corresponds get the one at their peak
    unmapped = np.flatnonzero(voxels == 0) + 1
    boxes = bounding_boxes(lesion_map)
    peaks = np.array(
        [_peak_mm(int(n), boxes[int(n)], lesion_map, label, probability, affine) for n in unmapped]
    )
    at_peak = nearest_reference_voxels(reference, peaks)
    with_voxel, peak_voxel = unmapped[at_peak >= 0], at_peak[at_peak >= 0]
    # such a voxel counts towards Dice only if no other lesion has it
    unshared = (
        ~np.isin(peak_voxel, correspondence.reference_index[predicted > 0])
        & ~pd.Series(peak_voxel).duplicated().to_numpy()
    )
    voxels[with_voxel - 1] = unshared
    table["voxels"] = voxels
    table["outside_truth"] = np.isin(np.arange(1, count + 1), unmapped[at_peak < 0])
    overlap = (predicted > 0) & (correspondence.lesion > 0)
    reference_at_peak = reference.lesion_map.ravel()[peak_voxel]
    pairs = pd.DataFrame(
        {
            "predicted": np.concatenate([predicted[overlap], with_voxel]),
            "reference": np.concatenate([correspondence.lesion[overlap], reference_at_peak]),
            "voxels": np.concatenate([np.ones(int(overlap.sum()), np.int64), unshared]),
        }
    )
    pairs = pairs[label[pairs.predicted] == reference.label[pairs.reference]]
    pairs = pairs.groupby(["predicted", "reference"], as_index=False).voxels.sum()
    table["lesion"] = np.arange(1, len(table) + 1)  # the filters need it
    return Match(lesion_map, affine, table, pairs)


def _peak_mm(
    number: int,
    box: tuple[slice, ...],
    lesion_map: np.ndarray,
    label: np.ndarray,
    probability: np.ndarray,
    affine: np.ndarray,
) -> np.ndarray:
    """World position (3,) in mm of the voxel with the highest probability of a lesion."""
    indices = np.argwhere(lesion_map[box] == number) + [axis.start for axis in box]
    xyz_mm = apply_affine(affine, indices)
    values = probability[(*indices.T, label[number] - 1)]
    return xyz_mm[peak(values, xyz_mm, xyz_mm.mean(axis=0))]


def label_counts(
    lesion_match: Match, reference: ReferenceLesions, rules: Mapping[str, Any], n_labels: int
) -> pd.DataFrame:
    """Counts of reference and predicted lesions after the filters of ``rules``, one row per label.

    Returns
    -------
    DataFrame
        ``label`` (from 1), ``lesions`` (reference lesions) and how many were ``found`` (detected), ``count``
        (predicted lesions), how many are ``true_detections`` or ``outside_truth``, ``volume_mm3`` and
        ``truth_volume_mm3``, and voxels on the reference grid: ``voxels``, ``truth_voxels``, ``voxels_both``.
    """
    table = lesion_match.table
    kept = apply_filters(table, dict(rules)).kept.to_numpy(bool)
    pairs = lesion_match.pairs[kept[lesion_match.pairs.predicted - 1]]
    rows = []
    for label in range(1, n_labels + 1):
        predicted, is_reference = kept & (table.label == label).to_numpy(), reference.label == label
        label_pairs = pairs[is_reference[pairs.reference]]
        rows.append(
            {
                "label": label,
                "lesions": int(is_reference.sum()),
                "found": label_pairs.reference.nunique(),
                "count": int(predicted.sum()),
                "true_detections": label_pairs.predicted.nunique(),
                "outside_truth": int(table.outside_truth[predicted].sum()),
                "volume_mm3": float(table.volume_mm3[predicted].sum()),
                "truth_volume_mm3": float(reference.volume_mm3[is_reference].sum()),
                "voxels": int(table.voxels[predicted].sum()),
                "truth_voxels": int(reference.voxels[is_reference].sum()),
                "voxels_both": int(label_pairs.voxels.sum()),
            }
        )
    return pd.DataFrame(rows, columns=COUNT_COLUMNS)


def sweep(
    probability: np.ndarray,
    brain: np.ndarray,
    grid: Grid,
    reference: ReferenceLesions,
    output: Mapping[str, Any],
    rules: Mapping[str, Any],
    thresholds: Sequence[float] = THRESHOLDS,
    sizes_mm3: Sequence[float] = SIZES_MM3,
    name: str = "the reference",
) -> tuple[pd.DataFrame, Match]:
    """Counts at every threshold and minimum size, and the match at the card's threshold.

    Softmax with several labels uses the argmax instead of a threshold; ``threshold`` is then NaN.

    Parameters
    ----------
    probability : array (x, y, z, channel)
        Mean over the folds, as ``average_folds`` writes it.
    brain : array (x, y, z), bool
    grid
        The model grid.
    reference
        From ``reference_lesions.reference_lesions``.
    output, rules
        The card's ``output`` and ``postprocess``.
    thresholds, sizes_mm3
        Thresholds and minimum sizes; the card's are added.
    name
        Name of the reference image in error messages.

    Returns
    -------
    DataFrame
        The columns of ``label_counts``, and ``threshold``, ``min_volume_mm3`` and ``card`` (whether both
        are the card's).
    Match
        At the card's threshold, all sizes.

    Raises
    ------
    ScanError
        See ``reference_lesions.voxel_correspondence``.
    """
    activation, card_threshold = output["activation"], rules["threshold"]
    first = background_channels(activation)
    argmax = decides_by_argmax(activation, probability.shape[3] - first)
    thresholds = [card_threshold] if argmax else sorted({*thresholds, card_threshold})
    sizes = sorted({*sizes_mm3, float(rules["min_volume_mm3"])})
    largest_map = label_map(probability, activation, thresholds[0])
    box = bounding_box(largest_map > 0)
    correspondence = voxel_correspondence(reference, grid, largest_map > 0, name)
    cropped, tables = probability[box], []
    n_labelled, counts, current, at_card = -1, pd.DataFrame(), None, None
    for threshold in thresholds:
        labels = label_map(cropped, activation, threshold)
        if n_labelled != (n_labelled := int(np.count_nonzero(labels))):
            # a higher threshold only removes voxels, so an equal count means an equal map
            current = match(
                labels,
                cropped[..., first:],
                brain[box],
                grid,
                box,
                rules["connectivity"],
                reference,
                correspondence,
            )
            counts = pd.concat(
                [
                    label_counts(
                        current, reference, {**rules, "min_volume_mm3": size}, len(output["labels"])
                    ).assign(min_volume_mm3=size)
                    for size in sizes
                ],
                ignore_index=True,
            )
        at_card = current if threshold == card_threshold else at_card
        card = (counts.min_volume_mm3 == rules["min_volume_mm3"]) & (threshold == card_threshold)
        tables.append(counts.assign(threshold=np.nan if argmax else threshold, card=card))
    assert at_card is not None
    return pd.concat(tables, ignore_index=True), at_card
