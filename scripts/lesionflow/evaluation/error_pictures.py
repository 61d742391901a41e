"""Pictures of a scan's missed and false lesions, as a script that the evaluation page loads when it shows them.

A page that is opened from disk may not read other files, but it may load scripts: so the pictures of a scan are data in a
script of its own, and the page stays small whatever the number of scans.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from PIL import Image

from lesionflow.base.atomic_write import write_atomically
from lesionflow.evaluation.lesion_errors import MISSED
from lesionflow.evaluation.reference_lesions import ReferenceLesions
from lesionflow.imaging.connected_components import map_numbers
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.resampling import resample
from lesionflow.results.pages.html_page import script_json
from lesionflow.results.pictures.figure_panels import Line
from lesionflow.results.pictures.lesion_views import (
    LINES,
    OTHER_LINE,
    SIZE,
    Views,
    as_data_url,
    lesion_views,
)
from lesionflow.results.pictures.viewed_scan import PLANES, ViewedScan, grey_window, in_ras

REFERENCE_LINE = Line("#56b4e9", dashed=True)
BETWEEN = 4  # pixels between the three planes
MOST = 300  # pictures of one scan
FUNCTION = "showErrors"  # of the page


def error_pictures(
    errors: pd.DataFrame,
    scan: nib.Nifti1Image,
    brain: np.ndarray,
    lesion_map: np.ndarray,
    lesions: pd.DataFrame,
    reference: ReferenceLesions,
) -> list[str]:
    """A picture of each error in three planes: reference lesions dashed, predicted ones solid, dropped ones thin.

    Parameters
    ----------
    errors
        From ``lesion_errors.error_table``.
    scan
        The scan as it is stored, on whose voxels the pictures are drawn.
    brain, lesion_map : arrays (x, y, z)
        Brain mask, bool, and numbers of the predicted lesions, on the grid of the scan.
    lesions
        Table of the predicted lesions (``tables_io.read_lesions``).
    reference
        The reference lesions. Their voxels are the nearest on the grid of the scan; a missed lesion has at least the one
        of the table.

    Returns
    -------
    list of str
        One ``data:`` URL per error; empty for an error outside of the scan and for those after the first ``MOST``.
    """
    image, affine = np.asanyarray(scan.dataobj), scan.affine
    numbers = resample(
        reference.lesion_map, reference.grid.affine, Grid(affine, image.shape), "nearest"
    )
    inside = errors[errors.i.notna()]
    missed = inside[inside.error == MISSED]
    numbers[tuple(missed[axis].astype(int) for axis in "ijk")] = missed.number.astype(int)
    window = grey_window(image, brain)
    predicted = ViewedScan.from_stored(image, lesion_map, affine, window)
    references = ViewedScan.from_stored(image, numbers, affine, window)
    is_kept = np.zeros(int(lesion_map.max()) + 1, bool)
    is_kept[lesions.lesion[lesions.kept]] = True
    kept = in_ras(map_numbers(lesion_map, is_kept), affine), LINES[True]
    of_predicted = (predicted.lesions, OTHER_LINE), kept
    of_references = (references.lesions, REFERENCE_LINE)
    urls = [""] * len(errors)
    for count, row in enumerate(errors.head(MOST).to_dict("records")):
        if pd.isna(row["i"]):
            continue
        lesion, voxel = int(row["number"]), [int(row[axis]) for axis in "ijk"]
        if row["error"] == MISSED:
            line = REFERENCE_LINE
            views = lesion_views(
                references, lesion, voxel, line, other_line=line, layers=of_predicted
            )
        else:
            views = lesion_views(
                predicted, lesion, voxel, LINES[True], layers=(kept, of_references)
            )
        urls[count] = as_data_url(side_by_side(views))
    return urls


def side_by_side(views: Views) -> Image.Image:
    """The three planes in one picture."""
    picture = Image.new("RGB", (3 * SIZE + 2 * BETWEEN, SIZE))
    for number, view in enumerate(views):
        picture.paste(view, (number * (SIZE + BETWEEN), 0))
    return picture


def description(row: Mapping[Any, Any]) -> str:
    """What the picture of an error shows, for its caption and for those who cannot see it."""
    what = (
        f"Missed {row['label']}"
        if row["error"] == MISSED
        else "False positive {label} {number}".format(**row)
    )
    text = f"{what}, {row['side']}, at x {row['x_mm']:.1f}, y {row['y_mm']:.1f}, z {row['z_mm']:.1f} mm"
    if pd.notna(row["i"]):
        slices = (f"{plane} slice {row[f'{plane}_slice']}" for plane in PLANES)
        text += ", " + ", ".join(slices)
    text += f"; {row['volume_mm3']:.1f} mm³"
    if pd.notna(row["max_probability"]):
        text += f", highest probability {row['max_probability']:.2f}"
    return text


def write_pictures(path: str | Path, key: str, errors: pd.DataFrame, urls: Sequence[str]) -> None:
    """Write the script of a scan atomically: a call of the page's function with the texts and the pictures.

    Parameters
    ----------
    path
        Of the script.
    key
        Of the scan on the page.
    errors
        From ``lesion_errors.error_table``.
    urls
        From ``error_pictures``.
    """
    texts = [description(row) for row in errors.to_dict("records")]
    pictures = [{"text": text, "picture": url} for text, url in zip(texts, urls, strict=True)]
    call = f"{FUNCTION}({script_json(key)}, {script_json(pictures)});\n"
    with write_atomically(path) as partial:
        partial.write_text(call, encoding="utf-8")
