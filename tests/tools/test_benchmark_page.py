"""Figures that the benchmark reads from the files of a run, ratios, and the page of results."""

import time

import nibabel as nib
import numpy as np
import pytest

import benchmark_page


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_step_time_is_the_sum_over_jobs_and_peak_memory_the_maximum(tmp_path):
    for n, (seconds, peak) in enumerate([("1.5", "100.2"), ("2.5", "90"), ("0.2", "NA")]):
        write(tmp_path / f"benchmarks/crop/m/{n}.tsv", f"s\tmax_rss\n{seconds}\t{peak}\n")
    write(tmp_path / "benchmarks/predict_fold/m/1.tsv", "s\tmax_rss\n1\t20\n")
    write(
        tmp_path / "logs/predict_fold/m/1.log",
        "2026-01-01 INFO process 7, peak memory 950 MB, 1.00 s of CPU time\nDONE",
    )
    steps = benchmark_page.steps(tmp_path, 2)
    assert steps["crop"] == {
        "jobs": 3,
        "seconds": pytest.approx(4.2),
        "peak_mb": 100.2,
        "seconds_per_scan": pytest.approx(2.1),
    }
    assert steps["predict_fold"]["peak_mb"] == 950


def test_largest_size_of_a_scan_is_recorded_while_files_change(tmp_path):
    work = tmp_path / "sub-02" / "work"  # a parent folder with the name of a scan does not count
    with benchmark_page.largest_sizes(work, ["sub-01", "sub-02"], interval_s=0.01) as largest:
        write(work / "m/sub-01/anat/a.nii", "x" * 3000)
        write(work / "m/sub-01/anat/b.nii", "x" * 2000)
        write(work / "m/sub-02/ses-1/anat/a.nii", "x" * 1000)
        write(work / "cohort.json", "x" * 9000)
        time.sleep(0.5)
        (work / "m/sub-01/anat/a.nii").unlink()
        time.sleep(0.1)
    assert largest == pytest.approx({"sub-01": 0.005, "sub-02": 0.001})
    assert benchmark_page.sizes(work, ["sub-01"]) == pytest.approx({"sub-01": 0.002})


def test_difference_counts_rows_that_differ_between_two_runs(tmp_path):
    for folder, value, x in (("first", 0.5, "1.0"), ("second", 0.25, "2.0")):
        path = tmp_path / folder / "results/m/a_probseg.nii.gz"
        path.parent.mkdir(parents=True)
        nib.save(nib.Nifti1Image(np.full((2, 2, 2), value, np.float32), np.eye(4)), path)
        rows = "scan,x_mm,max_probability\nsub-1,0.0,0.9\n" + f"sub-1,{x},{value}\n"
        write(tmp_path / folder / "results/lesions.csv", rows)
    difference = benchmark_page.difference(tmp_path / "first", tmp_path / "second")
    assert difference == {"probability": 0.25, "lesions": 2, "rows": 2}
    assert benchmark_page.difference(tmp_path / "first", tmp_path / "first")["rows"] == 0


def figures(gpu=False):
    backends = ("OpenVINO", "TensorFlow", "GPU") if gpu else ("OpenVINO", "TensorFlow")

    def measured_round(baseline_1, baseline_2, workflow, lower_bound, predict):
        steps = {
            "predict_fold": {"jobs": 6, "seconds": 0, "peak_mb": 900, "seconds_per_scan": predict},
            "import_fold": {"jobs": 3, "seconds": 0, "peak_mb": 1, "seconds_per_scan": 1},
        }
        return {
            "baseline": {"cpu": {"1": baseline_1, "2": baseline_2}, "gpu": {"1": 3}},
            "workflow": dict.fromkeys(backends, workflow),
            "lower_bound": dict.fromkeys(backends, lower_bound),
            "steps": dict.fromkeys(backends, steps),
            "disk": dict.fromkeys(backends, {"temporary": 10 * lower_bound, "kept": 24.4}),
        }

    rounds = [(20, 12, 6, 2, 2.4), (22, 14, 6, 3, 3), (24, 10, 6, 2, 3)]
    return {
        "cpu": "a CPU",
        "cores": 2,
        "scans": 2,
        "folds": 3,
        "import_s": 60.0,
        "rounds": [measured_round(*values) for values in rounds],
        "graphs": [
            {"scans": 10, "jobs": 134, "seconds": 2.04, "cpu_seconds": 1.96, "peak_mb": 99.7}
        ],
        "difference": {"probability": 1e-6, "lesions": 5, "rows": 0},
    }


def test_ratios_are_medians_of_ratios_within_a_round():
    ratios = benchmark_page.ratios(figures(), "OpenVINO")
    assert (ratios["baseline"], ratios["processes"]) == (12, 2)
    assert ratios["workflow_to_baseline"] == 0.5  # of 6/12, 6/14, 6/10
    assert ratios["workflow_to_lower_bound"] == 3  # of 3, 2, 3
    assert ratios["predict_to_lower_bound"] == pytest.approx(0.6)  # of 1.2, 1, 1.5, on two cores
    ratios = benchmark_page.ratios(figures(gpu=True), "GPU")
    assert (ratios["baseline"], ratios["workflow_to_baseline"]) == (3, 2)
    assert ratios["predict_to_lower_bound"] == pytest.approx(1.2)  # one at a time


def test_page_has_each_ratio_with_its_goal_and_one_row_per_step():
    page = benchmark_page.page(figures())
    goal = "| whole workflow (b) to the inference alone of the baseline (a) | 0.5 | 0.50 | 0.50 |"
    assert goal in page
    assert "| (c) lower bound | 2.0 | 2.0 |" in page
    assert "| predict_fold | 6 | 3.00 | 900 |" in page
    assert "import_fold |" not in page
    assert "differ by at most 1.0e-06; of 5 lesions, 0 rows" in page
    assert "| temporaries | 30 | 30 |" in page  # the largest of all rounds
    assert "| kept results | 24 | 24 |" in page
    assert "| 10 | 134 | 2.0 | 2.0 | 100 |" in page
    assert "No GPU was available" in page
    page = benchmark_page.page(figures(gpu=True))
    assert "| ratio | goal | OpenVINO | TensorFlow | GPU |" in page
    assert "No GPU" not in page
