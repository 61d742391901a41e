"""The benchmark's page: what it reads from a run and the ratios that it makes of it."""

import time

import nibabel as nib
import numpy as np
import pytest

import benchmark_page


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_seconds_of_a_step_are_those_of_all_its_jobs_and_memory_the_largest(tmp_path):
    for n, (seconds, peak) in enumerate([("1.5", "100.2"), ("2.5", "90"), ("0.2", "NA")]):
        write(tmp_path / f"benchmarks/crop/m/{n}.tsv", f"s\tmax_rss\n{seconds}\t{peak}\n")
    write(tmp_path / "benchmarks/predict_fold/m/1.tsv", "s\tmax_rss\n1\t20\n")
    write(
        tmp_path / "logs/predict_fold/m/1.log",
        "2026-01-01 INFO by the worker, process 7, peak 950 MB\nDONE",
    )
    found = benchmark_page.steps(tmp_path, 2)
    assert found["crop"] == {
        "jobs": 3,
        "seconds": pytest.approx(4.2),
        "peak_mb": 100.2,
        "seconds_a_scan": pytest.approx(2.1),
    }
    assert found["predict_fold"]["peak_mb"] == 950


def test_the_most_that_a_scan_had_at_one_time_is_seen_though_files_come_and_go(tmp_path):
    work = tmp_path / "sub-02" / "work"  # a folder that is called like a scan is not the scan's
    with benchmark_page.watched(work, ["sub-01", "sub-02"], every_s=0.01) as most:
        write(work / "m/sub-01/anat/a.nii", "x" * 3000)
        write(work / "m/sub-01/anat/b.nii", "x" * 2000)
        write(work / "m/sub-02/ses-1/anat/a.nii", "x" * 1000)
        write(work / "cohort.json", "x" * 9000)
        time.sleep(0.5)
        (work / "m/sub-01/anat/a.nii").unlink()
        time.sleep(0.1)
    assert most == pytest.approx({"sub-01": 0.005, "sub-02": 0.001})
    assert benchmark_page.sizes(work, ["sub-01"]) == pytest.approx({"sub-01": 0.002})


def test_two_runs_are_held_against_each_other(tmp_path):
    for folder, value, x in (("one", 0.5, "1.0"), ("other", 0.25, "2.0")):
        path = tmp_path / folder / "results/m/a_probseg.nii.gz"
        path.parent.mkdir(parents=True)
        nib.save(nib.Nifti1Image(np.full((2, 2, 2), value, np.float32), np.eye(4)), path)
        rows = "scan,x_mm,max_probability\nsub-1,0.0,0.9\n" + f"sub-1,{x},{value}\n"
        write(tmp_path / folder / "results/lesions.csv", rows)
    found = benchmark_page.compared(tmp_path / "one", tmp_path / "other")
    assert found == {"probability": 0.25, "lesions": 2, "apart": 2}
    assert benchmark_page.compared(tmp_path / "one", tmp_path / "one")["apart"] == 0


def figures(gpu=False):
    def a_round(plain_1, plain_2, road, floor, predict):
        steps = {
            "predict_fold": {"jobs": 6, "seconds": 0, "peak_mb": 900, "seconds_a_scan": predict},
            "import_fold": {"jobs": 3, "seconds": 0, "peak_mb": 1, "seconds_a_scan": 1},
        }
        ways = ("OpenVINO", "TensorFlow", "GPU") if gpu else ("OpenVINO", "TensorFlow")
        return {
            "plain": {"cpu": {"1": plain_1, "2": plain_2}, "gpu": {"1": 3}},
            "road": dict.fromkeys(ways, road),
            "floor": dict.fromkeys(ways, floor),
            "steps": dict.fromkeys(ways, steps),
            "disk": dict.fromkeys(ways, {"temporary": 10 * floor, "kept": 24.4}),
        }

    return {
        "cpu": "a CPU",
        "cores": 2,
        "scans": 2,
        "folds": 3,
        "import_s": 60.0,
        "rounds": [a_round(20, 12, 6, 2, 2.4), a_round(22, 14, 6, 3, 3), a_round(24, 10, 6, 2, 3)],
        "graphs": [
            {"scans": 10, "jobs": 134, "seconds": 2.04, "cpu_seconds": 1.96, "peak_mb": 99.7}
        ],
        "same": {"probability": 1e-6, "lesions": 5, "apart": 0},
    }


def test_ratios_are_medians_of_what_was_measured_in_one_round():
    found = benchmark_page.ratios(figures(), "OpenVINO")
    assert (found["plain"], found["processes"]) == (12, 2)
    assert found["road_to_plain"] == 0.5  # of 6/12, 6/14, 6/10
    assert found["road_to_floor"] == 3  # of 3, 2, 3
    assert found["predict_to_floor"] == pytest.approx(0.6)  # of 1.2, 1, 1.5, on two cores
    found = benchmark_page.ratios(figures(gpu=True), "GPU")
    assert (found["plain"], found["road_to_plain"]) == (3, 2)
    assert found["predict_to_floor"] == pytest.approx(1.2)  # one at a time


def test_the_page_has_the_ratios_beside_their_goals_and_a_row_a_step():
    page = benchmark_page.page(figures())
    assert (
        "| the whole road (b) by the plain way's inference alone (a) | 0.5 | 0.50 | 0.50 |" in page
    )
    assert "| (c) floor | 2.0 | 2.0 |" in page
    assert "| predict_fold | 6 | 3.00 | 900 |" in page
    assert "import_fold |" not in page
    assert "differ by at most 1.0e-06; of 5 lesions, 0 rows" in page
    assert "| temporaries | 30 | 30 |" in page  # the most of all rounds
    assert "| kept results | 24 | 24 |" in page
    assert "| 10 | 134 | 2.0 | 2.0 | 100 |" in page
    assert "No GPU was at hand" in page
    page = benchmark_page.page(figures(gpu=True))
    assert "| ratio | goal | OpenVINO | TensorFlow | GPU |" in page
    assert "No GPU" not in page
