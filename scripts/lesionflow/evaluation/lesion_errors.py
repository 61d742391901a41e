"""The missed and the false lesions of a scan, and where they are."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine

from lesionflow.evaluation.reference_lesions import ReferenceLesions
from lesionflow.imaging.connected_components import bounding_boxes
from lesionflow.imaging.grids import Grid
from lesionflow.results import evaluation_columns
from lesionflow.results.columns import names
from lesionflow.results.pictures.viewed_scan import place, side_of

MISSED, FALSE_POSITIVE = "missed", "false positive"
MM = ("x_mm", "y_mm", "z_mm")
NO_ERRORS = pd.DataFrame(
    columns=[
        *names(evaluation_columns.ERRORS)[2:],
        "number",
        "i",
        "j",
        "k",
    ]  # without scan and model
)


def error_table(
    comparison: Mapping[str, Any],
    reference: ReferenceLesions,
    lesions: pd.DataFrame,
    scan: Grid,
) -> pd.DataFrame:
    """The errors of a scan: missed reference lesions, the largest first, then false positives, the most probable first.

    Parameters
    ----------
    comparison
        From ``scan_comparison.comparison_summary``.
    reference
        The same reference lesions.
    lesions
        Table of the predicted lesions (``tables_io.read_lesions``).
    scan
        Grid of the scan.

    Returns
    -------
    DataFrame
        The columns of ``evaluation_columns.ERRORS`` without scan and model, then ``number`` (of the reference lesion or of
        the predicted lesion) and its voxel ``i, j, k`` in the scan, which is missing outside of the scan.
    """
    boxes, rows = bounding_boxes(reference.lesion_map), []
    for number, lesion in enumerate(comparison["lesions"], start=1):
        if not lesion["found"]:
            xyz = _central_mm(number, boxes[number], reference)
            measures = {key: lesion[key] for key in ("label", "volume_mm3", "max_probability")}
            rows.append({"error": MISSED, "number": number, **measures, **_position(xyz, scan)})
    rows.sort(key=lambda row: -row["volume_mm3"])
    predicted = lesions.set_index("lesion").loc[comparison["false_positives"]].reset_index()
    for row in predicted.sort_values(
        "max_probability", ascending=False, kind="stable"
    ).itertuples():
        xyz = apply_affine(scan.affine, (row.i, row.j, row.k))
        rows.append(
            {
                "error": FALSE_POSITIVE,
                "number": row.lesion,
                "lesion": row.lesion,
                "label": row.label,
                "volume_mm3": row.volume_mm3,
                "max_probability": row.max_probability,
                **_position(xyz, scan),
            }
        )
    integers = ("lesion", "axial_slice", "coronal_slice", "sagittal_slice", "number", "i", "j", "k")
    table = pd.DataFrame(rows, columns=NO_ERRORS.columns)
    return table.astype({**dict.fromkeys(integers, "Int64"), "max_probability": float})


def _central_mm(number: int, box: tuple[slice, ...], reference: ReferenceLesions) -> np.ndarray:
    """World position (3,) in mm of the voxel of a reference lesion that is nearest to its centroid."""
    voxels = np.argwhere(reference.lesion_map[box] == number) + [axis.start for axis in box]
    xyz = apply_affine(reference.grid.affine, voxels)
    distance = np.linalg.norm(xyz - xyz.mean(axis=0), axis=1)
    return xyz[np.round(distance, 3).argmin()]


def _position(xyz_mm: np.ndarray, scan: Grid) -> dict[str, Any]:
    """Voxel of the scan at a world position, with side, slices and world coordinates; without a voxel outside of it."""
    voxel = np.rint(apply_affine(np.linalg.inv(scan.affine), xyz_mm)).astype(int)
    if (voxel < 0).any() or (voxel >= scan.shape).any():
        return {"side": side_of(float(xyz_mm[0])), **dict(zip(MM, xyz_mm.tolist(), strict=True))}
    where = place(scan.affine, voxel)
    return {
        "side": where.side,
        **dict(zip(MM, where.xyz_mm, strict=True)),
        **dict(zip("ijk", voxel.tolist(), strict=True)),
        "axial_slice": where.axial,
        "coronal_slice": where.coronal,
        "sagittal_slice": where.sagittal,
    }
