"""From the jobs of a run to lines on its scans."""

from lesionflow.workflow.run_progress import Job, RunProgress

JOBS = {
    0: Job("all"),
    1: Job("import_fold", "", "m", "1"),
    2: Job("crop", "sub-1", "m"),
    3: Job("show", "sub-1", "m"),
    4: Job("crop", "sub-02", "m"),
    5: Job("show", "sub-02", "m"),
    6: Job("aggregate"),
}


def progress(jobs=JOBS, models=("m",)):
    return RunProgress(jobs, list(models), lambda scan, model: f"result of {scan}", 100.0)


def test_the_first_lines_say_what_is_left_out_and_what_is_to_do():
    assert progress().first_lines(
        [("sub-\x1b3", "unreadable", "empty"), ("sub-4", "excluded", "")]
    ) == [
        "sub-\\x1b3  left out: unreadable: empty",
        "sub-4  left out: excluded",
        "2 scans to compute, 1 fold of m to import",
    ]


def test_of_many_scans_that_are_left_out_ten_are_named():
    lines = progress().first_lines([(f"sub-{n}", "unreadable", "empty") for n in range(13)])
    assert lines[9:11] == ["sub-9  left out: unreadable: empty", "and 3 more scans left out"]


def test_a_run_without_scans_says_so():
    tables = {0: Job("all"), 1: Job("aggregate"), 2: Job("report")}
    assert progress(tables).first_lines([]) == [
        "no scan to compute, only what is made of all scans"
    ]


def test_a_scan_has_its_line_when_its_last_job_has_finished():
    run = progress()
    run.start(1, 100)
    assert run.finish(1, 112) == ["m  fold 1 imported in 12 s  (1 of 1 done)"]
    run.start(2, 112)
    assert run.finish(2, 116) == []
    run.start(3, 116)
    # crop took 4 s, show 6 s, the import 12 s: 22 s of work in 22 s; one crop and one show are left
    assert run.finish(3, 122) == [
        "sub-1   result of sub-1  (1 of 2 scans done, 0 failed, 1 left, about 10 s)"
    ]
    assert run.finish(6, 123) == []


def test_jobs_that_ran_side_by_side_take_less_time():
    run = progress({n: Job("crop", f"sub-{n}", "m") for n in range(6)})
    for number in (0, 1):
        run.start(number, 100)
    assert run.seconds_left(105) is None
    for number in (0, 1):
        run.finish(number, 110)
    assert run.seconds_left(110) == 4 * 10 / 2


def test_a_scan_that_failed_has_one_line_with_step_and_reason():
    run = progress()
    assert run.fail(4, "no \x07space", "logs/crop/a.log", 101, again=False) == [
        "sub-02  failed at crop: no \\x07space  (0 of 2 scans done, 1 failed, 1 left)"
    ]
    assert run.fail(5, "also", "b.log", 102, again=False) == []
    assert run.finish(5, 103) == []


def test_a_job_that_is_tried_again_is_no_failed_scan():
    run = progress()
    assert run.fail(4, "no space", "a.log", 101, again=True) == [
        "sub-02  crop failed and is tried again: no space"
    ]
    assert run.failed == []


def test_a_failure_without_a_reason_names_the_log():
    run = progress()
    assert "failed at crop: see logs/a.log" in run.fail(4, "", "logs/a.log", 101, again=False)[0]


def test_an_import_that_failed_tells_what_that_means():
    run = progress()
    assert run.fail(1, "damaged", "logs/i.log", 101, again=False) == [
        "import of fold 1 of m  failed: damaged (log: logs/i.log); no scan that needs it can be computed"
    ]
    assert run.fail(6, "full", "logs/a.log", 101, again=False) == [
        "aggregate  failed: full (log: logs/a.log)"
    ]


def test_with_several_models_a_line_names_the_model():
    jobs = {1: Job("show", "sub-1", "m"), 2: Job("show", "sub-1", "other")}
    run = progress(jobs, ("m", "other"))
    assert run.finish(2, 101) == [
        "sub-1 other  result of sub-1  (1 of 2 results done, 0 failed, 1 left)"
    ]


def test_the_line_that_is_drawn_again_says_what_runs():
    run = progress()
    run.start(2, 100)
    run.start(4, 100)
    assert run.state(101) == "0 of 2 done, step 0 of 7: crop (2)"
