"""The log of a job, and the outcome of the job in it."""

from types import SimpleNamespace

import numpy as np
import pytest

from lesionflow.base.errors import ScanError
from lesionflow.base.job_log import logged, outcome


def test_a_job_that_succeeded_or_did_not_start_has_no_reason(tmp_path):
    with logged(SimpleNamespace(log=[tmp_path / "a.log"])):
        pass
    assert outcome(tmp_path / "a.log") is None
    assert outcome(tmp_path / "none.log") is None


def test_an_error_is_logged_with_its_traceback_and_its_reason_in_one_line(tmp_path):
    log = tmp_path / "a.log"
    with pytest.raises(ScanError, match="broken"), logged(SimpleNamespace(log=[log])):
        raise ScanError("broken\n  in two lines")
    assert outcome(log) == "broken in two lines"
    assert "Traceback" in log.read_text()


def test_the_reason_of_a_bug_names_its_class(tmp_path):
    log = tmp_path / "a.log"
    with pytest.raises(ValueError, match="shapes"), logged(SimpleNamespace(log=[log])):
        np.zeros(2) + np.zeros(3)
    reason = outcome(log)
    assert reason.startswith("ValueError: operands could not be broadcast together with shapes")


def test_a_job_that_was_killed_has_a_reason(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("2026-01-01 INFO half a")
    assert "killed" in outcome(log)
