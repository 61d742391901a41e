"""Records of a plan, and the files of a scan that was processed without finding a lesion."""

import json

from lesionflow.base import layout
from lesionflow.results import columns
from lesionflow.results.scan_status import FINAL_RESULTS

MODELS = {
    "m": {
        "labels": ["cmb"],
        "channels": ["swi"],
        "folds": 3,
        "imports": ["d1", "d2", "d3"],
        "cleaned": False,
        "soft": [],
    }
}


def record(scan, problems=None, finder=None):
    """A scan in the plan of a run."""
    return {
        "scan": scan,
        "subject": "1",
        "session": "",
        "run": "",
        "folder": "sub-1/anat",
        "files": {"swi": "scan.nii.gz"},
        "problems": problems or {},
        "finder": finder,
    }


def finish(directory, scan="sub-1"):
    """Write the final results of a scan without a lesion."""
    folder = directory / "results/m/sub-1/anat"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{scan}_lesions.tsv").write_text("\t".join(columns.names(columns.LESION)) + "\n")
    (folder / f"{scan}_volumes.tsv").write_text(
        "index\tname\tcount\tvolume_mm3\tmean_volume_mm3\tmedian_volume_mm3\tmax_volume_mm3\t"
        "max_probability\n1\tcmb\t0\t0.0\t\t\t\t0.2\n"
    )
    sidecar = {name: 1 for name in columns.names(columns.QUALITY + columns.PROVENANCE)}
    (folder / f"{scan}_space-model_dseg.json").write_text(json.dumps(sidecar))
    wildcards = {"model": "m", "folder": "sub-1/anat", "scan": scan}
    for pattern in FINAL_RESULTS:
        layout.path(pattern, directory / "results", **wildcards).touch()
