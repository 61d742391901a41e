"""Results of a small cohort with pages, without a run: simulated images, real pages."""

import nibabel as nib
import numpy as np
import pandas as pd
from PIL import Image

from lesionflow.base import json_sidecar, layout
from lesionflow.results import columns
from lesionflow.results.pages.cohort_page import write_report
from lesionflow.results.pages.scan_page import ScanImages, scan_data, write_scan_page
from lesionflow.results.pictures.viewed_scan import place
from lesionflow.results.reviews.lesion_voxels import lesion_sidecar
from lesionflow.results.tables_io import read_lesions, write_table

MODEL = "net"
CARD = {
    "name": MODEL,
    "version": "v1",
    "description": "A network.",
    "source": {"citation": "10.1000/182"},
    "folds": [{}, {}],
    "input": {"channels": ["swi"], "spacing_mm": [1, 1, 1]},
    "output": {"activation": "sigmoid", "labels": {"1": "cmb"}},
    "postprocess": {
        **{"threshold": 0.5, "connectivity": 26, "min_volume_mm3": 0},
        **{"outside_brain": 0.25, "keep_largest": False, "components": None},
    },
}
RUN = {
    "command": ["snakemake", "--config", "cohort=my scans"],
    "settings": {
        "threshold": None,
        "affine": "strict",
        "include": [],
        "brain_mask": "auto",
        "review": [],
    },
    "models": {MODEL: CARD},
    "packages": {"numpy": "2.4.1", "openvino": None},
    "lesionflow_version": "0.1.0",
    "commit": "abc123",
    "modified": True,
}
AFFINE = np.array([[-0.8, 0.1, 0, 20], [0.1, 0.8, 0, -18], [0, 0, 2, -30], [0, 0, 0, 1.0]])
SHAPE = (48, 52, 30)


def scan_images(voxels, seed=0):
    """A noisy scan of ``SHAPE`` with a dark lesion of 2 x 2 x 1 voxels at each of ``voxels``."""
    random = np.random.default_rng(seed)
    scan = random.normal(100, 5, SHAPE).astype(np.float32)
    lesions = np.zeros(SHAPE, np.int32)
    for number, (i, j, k) in enumerate(voxels, start=1):
        box = (slice(i, i + 2), slice(j, j + 2), k)
        scan[box], lesions[box] = 10, number
    probability = (lesions[..., None] > 0) * np.float32(0.9)
    return ScanImages(scan, lesions, probability, AFFINE, (0.0, 120.0))


def lesion_table(scan, voxels, probability, dropped):
    """Rows of a lesion table, for lesions at ``voxels`` with these probabilities; some numbers are dropped."""
    rows = []
    for number, (voxel, p) in enumerate(zip(voxels, probability, strict=True), start=1):
        centre = place(AFFINE, (voxel[0] + 0.5, voxel[1] + 0.5, voxel[2])).xyz_mm
        rows.append(
            {
                **{"scan": scan, "model": MODEL, "label": "cmb", "lesion": number},
                **dict(zip(("x_mm", "y_mm", "z_mm"), np.round(centre, 4).tolist(), strict=True)),
                **dict(zip("ijk", voxel, strict=True)),
                **{"volume_mm3": 5.12, "equivalent_diameter_mm": 2.14, "elongation": 1.5},
                **{"max_probability": p, "mean_probability": p, "fold_agreement": 1.0},
                **{"edge_distance_mm": 12.5, "region": "", "kept": number not in dropped},
                "dropped_because": "volume under 6 mm3" if number in dropped else "",
            }
        )
    return pd.DataFrame(rows, columns=columns.names(columns.LESION))


def voxels_of(count):
    """``count`` voxels that are far enough from each other."""
    grid = [(i, j, k) for k in range(4, 28, 6) for j in range(6, 48, 10) for i in range(6, 44, 10)]
    return grid[:count]


def write_results(folder, scans, failed=(), volumes=False, hostile=""):
    """Results of ``scans`` (number of lesions by name; the last one of each is dropped if there are several), with pages.

    Parameters
    ----------
    failed
        Names of scans without results.
    hostile
        Text that stands in the columns ``subject`` and ``reason``.

    Returns
    -------
    Path
        report.html.
    """
    results, rows, tables, scripts = folder / "results", [], [], []
    for number, (scan, count) in enumerate(scans.items()):
        voxels = voxels_of(count)
        probability = [0.55 + 0.4 * n / max(count, 1) for n in range(count)]
        dropped = {count} if count > 1 else set()
        table = lesion_table(scan, voxels, probability, dropped)
        wildcards = {"model": MODEL, "folder": f"{scan}/anat", "scan": scan}
        path = {
            name: layout.path(getattr(layout, name), results, **wildcards)
            for name in ("SCAN_LESIONS", "SCAN_PAGE", "SCAN_PAGE_DATA", "ORIG_LESIONS_SIDECAR")
        }
        write_table(path["SCAN_LESIONS"], table)
        about = {
            "scan": scan,
            "model": MODEL,
            "labels": ["cmb"],
            "flags": "",
            "scan_sha256": f"{number:064x}",
        }
        about |= {"figure": f"{scan}_qc.png", "pages": f"{scan}_qc.pdf"}
        images = scan_images(voxels, number)
        sidecar = lesion_sidecar(images.lesions, AFFINE)
        lesions = read_lesions(path["SCAN_LESIONS"])
        data = scan_data(about, images, lesions, sidecar, 0.5, False, volumes)
        write_scan_page(data, path["SCAN_PAGE_DATA"], path["SCAN_PAGE"], "../../..")
        json_sidecar.write(path["ORIG_LESIONS_SIDECAR"], sidecar)
        for name, size in (("QC_FIGURE", (400, 300)), ("THUMBNAIL", (240, 100))):
            picture = layout.path(getattr(layout, name), results, **wildcards)
            Image.new("RGB", size, "grey").save(picture)
        scripts.append(path["SCAN_PAGE_DATA"])
        tables.append(table)
        kept = count - len(dropped)
        rows.append(
            {
                **{"scan": scan, "subject": hostile or scan, "status": "ok", "cmb_count": kept},
                **{"cmb_volume_mm3": 5.12 * kept, "brain_volume_ml": 1200.0 + 10 * number},
                **{"lesions_dropped": len(dropped), "input_sha256": f"{number:064x}"},
                "flags": "brain-at-edge" if number == 1 else "",
            }
        )
    for scan in failed:
        rows.append(
            {
                "scan": scan,
                "subject": scan,
                "status": "failed:crop",
                "reason": hostile or "too small",
            }
        )
    table_columns = columns.cohort_columns({MODEL: {"labels": ["cmb"], "soft": []}})
    cohort = pd.DataFrame(rows, columns=columns.names(table_columns))
    cohort = cohort.astype({"cmb_count": "Int64", "lesions_dropped": "Int64"})
    write_table(layout.path(layout.COHORT, results), cohort)
    write_table(layout.path(layout.LESIONS, results), pd.concat(tables, ignore_index=True))
    dictionary = columns.dictionary(table_columns)
    json_sidecar.write(layout.path(layout.COHORT_COLUMNS, results), dictionary)
    write_report(results, scripts, RUN, has_references=False)
    return layout.path(layout.REPORT, results)


def decoded(text):
    """The image in the base64 text of a page."""
    import base64
    import gzip

    return nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(text)))
