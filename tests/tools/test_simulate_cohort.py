"""The simulated demo cohort."""

import gzip

import pytest

import simulate_cohort
from lesionflow.simulation import scan
from lesionflow.simulation.scan import simulated_head
from support.bids_validator import bids_errors


class SerialPool:
    """Runs the jobs of a pool in this process."""

    def __init__(self, *args, **kwargs):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    map = staticmethod(map)


def test_demo_cohort_has_its_files_and_one_broken_scan(tmp_path, monkeypatch):
    jobs = simulate_cohort.cohort_jobs(2026, 6)
    names = [job.name for job in jobs]
    assert names == ["sub-01_ses-1", "sub-01_ses-2", "sub-02", "sub-03", "sub-04", "sub-05"]
    assert jobs[0].head_seed == jobs[1].head_seed
    assert jobs[3].microbleeds == 0 and jobs[4].broken

    monkeypatch.setattr(
        simulate_cohort, "simulated_head", lambda seed, n: simulated_head(seed, n, 4.0)
    )
    monkeypatch.setattr(
        simulate_cohort,
        "simulated_scan",
        lambda h, s: scan.simulated_scan(h, s, "swi", (2.0, 2.0, 3.0)),
    )
    monkeypatch.setattr(simulate_cohort, "cohort_jobs", lambda seed, scans: jobs[4:5])
    monkeypatch.setattr(simulate_cohort, "ProcessPoolExecutor", SerialPool)
    monkeypatch.setattr("sys.argv", ["simulate_cohort.py", str(tmp_path)])
    simulate_cohort.main()
    assert bids_errors(tmp_path) == []
    folder = tmp_path / "sub-04" / "anat"
    assert sorted(path.name for path in folder.iterdir()) == [
        "sub-04_desc-brain_mask.nii.gz",
        "sub-04_desc-truth_dseg.nii.gz",
        "sub-04_desc-truth_lesions.tsv",
        "sub-04_swi.nii.gz",
    ]
    with pytest.raises(EOFError):
        gzip.decompress((folder / "sub-04_swi.nii.gz").read_bytes())
    assert "SIMULATED" in (tmp_path / "README").read_text()
    assert "sub-04 is broken" in (tmp_path / "README").read_text()
