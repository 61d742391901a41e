"""The page of a scan: its lesions, their pictures, and the images for the volume viewer, as data for scripts."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pandas as pd

from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.label_channels import background_channels
from lesionflow.imaging.grids import Grid
from lesionflow.imaging.nifti import channels_last
from lesionflow.imaging.resampling import resample
from lesionflow.results.pages.html_page import render, script_json
from lesionflow.results.pages.image_data import as_bytes, crop_around, encode
from lesionflow.results.pages.page_scripts import FOLDER, SCAN_SCRIPTS, STYLES
from lesionflow.results.pictures.figure_panels import Window
from lesionflow.results.pictures.lesion_views import LINES, as_data_url, lesion_views
from lesionflow.results.pictures.viewed_scan import PLANES, ViewedScan, grey_window, place
from lesionflow.results.reviews.priority import prioritize

TEMPLATES = Path(__file__).parent / "templates"
HALF_MM = 16.0  # half the side of a crop, as of the pictures of a lesion


class ScanImages(NamedTuple):
    """The images of a scan on its own grid.

    Parameters
    ----------
    scan : array (x, y, z)
        Intensities.
    lesions : array (x, y, z), int
        Lesion numbers.
    probability : array (x, y, z, label)
        Of each label; the highest one is shown.
    affine : array (4, 4)
        Of all three.
    window
        The intensities that are shown black and white.
    """

    scan: np.ndarray
    lesions: np.ndarray
    probability: np.ndarray
    affine: np.ndarray
    window: Window


def scan_images(
    scan: nib.Nifti1Image,
    lesions: nib.Nifti1Image,
    probability: nib.Nifti1Image,
    brain: nib.Nifti1Image,
    activation: str,
) -> ScanImages:
    """The images of a scan for its page.

    Parameters
    ----------
    scan
        Of ``nifti.read_scan``.
    lesions, probability
        Lesion numbers and probabilities on the grid of the scan.
    brain
        Brain mask on the model's grid.
    activation
        Of the model: with softmax the first channel is the background.
    """
    intensities = np.asanyarray(scan.dataobj)
    grid = Grid(scan.affine, intensities.shape)
    inside = resample(np.asanyarray(brain.dataobj), brain.affine, grid, "nearest") > 0
    window = grey_window(intensities, inside)
    labels = channels_last(probability)[..., background_channels(activation) :]
    return ScanImages(intensities, np.asanyarray(lesions.dataobj), labels, scan.affine, window)


def viewer_images(
    images: ScanImages, voxels: Iterable[Sequence[int] | np.ndarray], whole: bool
) -> tuple[dict[str, str] | None, list[dict[str, str]]]:
    """The images that the page of a scan embeds: the whole volume, or a crop around each lesion.

    Parameters
    ----------
    voxels
        The voxel at the peak of each lesion.
    whole
        Whether the whole volume is asked for. It is also taken if the crops together are larger.

    Returns
    -------
    volume : dict or None
        ``scan``, ``lesions`` and ``probability`` as of ``image_data.encode``, or None.
    crops : list of dict
        The same for each lesion; empty with a volume.
    """
    shape = images.scan.shape
    boxes = [crop_around(np.array(v), images.affine, shape, HALF_MM) for v in voxels]
    sizes = [np.prod([axis.stop - axis.start for axis in box]) for box in boxes]
    if whole or sum(sizes) > np.prod(shape):
        return _encoded(images, tuple(slice(0, n) for n in shape)), []
    return None, [_encoded(images, box) for box in boxes]


def _encoded(images: ScanImages, box: tuple[slice, ...]) -> dict[str, str]:
    numbers = images.lesions[box]
    kind = np.int16 if numbers.max(initial=0) < 2**15 else np.int32
    black, white = images.window
    intensities = as_bytes(images.scan[box], black, white)
    probability = as_bytes(images.probability[box].max(axis=3), 0, 1)
    return {
        # a header cannot have the slope 0 of a window without a width: all its voxels are 0, which stand for black
        "scan": encode(intensities, images.affine, box, ((white - black) / 255 or 1, black)),
        "lesions": encode(numbers.astype(kind), images.affine, box),
        "probability": encode(probability, images.affine, box, (1 / 255, 0)),
    }


def scan_data(
    about: Mapping[str, Any],
    images: ScanImages,
    lesions: pd.DataFrame,
    sidecar: Mapping[str, Any],
    threshold: float | None,
    structures: bool,
    whole: bool,
) -> dict[str, Any]:
    """What the page of a scan shows, as JSON has it.

    Parameters
    ----------
    about
        What is said of the scan, whatever its lesions are: ``scan``, ``model``, ``labels``, ``flags``, ...
    images
        The scan on its own grid.
    lesions
        All lesions of the scan (``tables_io.read_lesions``).
    sidecar
        Of the lesion map (``lesion_voxels.lesion_sidecar``).
    threshold
        Of the model; None if the most probable label is taken.
    structures
        Whether the model finds structures (``qc_figure.shows_structures``): they have neither pictures of their own nor
        reasons to look at them.
    whole
        Whether the whole volume is embedded; else a crop around each lesion.

    Returns
    -------
    dict
        ``about``, ``structures``, ``centre_mm`` (of the scan), ``window``, ``lesion_map_sha256``, ``volume`` (of ``viewer_images``)
        and ``lesions``: the columns of the table, and ``side``, ``slices``, ``peak_mm``, ``reasons``, ``order``,
        ``voxels``, ``pictures`` (by plane) and ``crop``.
    """
    voxels = lesions[["i", "j", "k"]].to_numpy(int)
    volume, crops = viewer_images(images, [] if structures else voxels, whole)
    if structures and not whole:
        volume = None
    viewed = ViewedScan.from_stored(images.scan, images.lesions, images.affine, images.window)
    priority = prioritize(lesions, threshold)
    rows = []
    for number, row in enumerate(lesions.drop(columns=["scan", "model"]).to_dict("records")):
        where = place(images.affine, voxels[number])
        slices = {plane: getattr(where, plane) for plane in PLANES}
        row |= {"side": where.side, "peak_mm": where.xyz_mm, "slices": slices}
        if not structures:
            views = lesion_views(viewed, row["lesion"], voxels[number], LINES[row["kept"]])
            row |= {
                "reasons": priority.reasons.iloc[number],
                "order": int(priority.order.iloc[number]),
                "voxels": sidecar["voxels"][str(row["lesion"])],
                "pictures": {plane: as_data_url(getattr(views, plane)) for plane in PLANES},
                "crop": crops[number] if crops else None,
            }
        rows.append({str(name): _json_value(value) for name, value in row.items()})
    centre = images.affine @ [*((n - 1) / 2 for n in images.scan.shape), 1]
    return {
        **about,
        "structures": structures,
        "centre_mm": centre[:3].tolist(),
        "window": images.window,
        "lesion_map_sha256": sidecar["lesion_map_sha256"],
        "volume": volume,
        "lesions": rows,
    }


def _json_value(value: Any) -> Any:
    """A value of a table as JSON has it: None for a missing number."""
    if isinstance(value, float) and np.isnan(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def write_scan_page(data: Mapping[str, Any], script: Path, page: Path, root: str) -> None:
    """Write the page of a scan and the script with its data, which report.html loads too.

    Parameters
    ----------
    data
        Of ``scan_data``.
    script, page
        The files.
    root
        Path from the folder of the page to that of report.html.
    """
    with write_atomically(script) as partial:
        partial.write_text(f"lesionflow.receive({script_json(data)});\n", "utf-8")
    html = render(
        TEMPLATES,
        "scan_page.html",
        data=data,
        script=script.name,
        root=root,
        files=f"{root}/{FOLDER}",
        scripts=SCAN_SCRIPTS,
        styles=STYLES,
    )
    with write_atomically(page) as partial:
        partial.write_text(html, "utf-8")
