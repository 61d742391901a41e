"""Where stderr leads while a run is shown."""

import io
import os
import subprocess
import sys

from lesionflow.workflow.kept_stderr import KeptStderr


def test_jobs_write_to_the_log_and_the_run_to_the_terminal(tmp_path, capfd):
    log = tmp_path / "a.log"
    log.write_text("first\n")
    with os.fdopen(2, "w", closefd=False) as stream:
        kept = KeptStderr(stream, log)
        subprocess.run([sys.executable, "-c", "import sys; sys.exit('of a job')"], check=False)
        print("of the run", file=kept.terminal, flush=True)
        assert kept.give_back() is stream
        assert kept.give_back() is stream
        print("afterwards", file=stream, flush=True)
    assert log.read_text() == "first\nof a job\n"
    assert capfd.readouterr().err == "of the run\nafterwards\n"


def test_another_stream_and_a_log_that_is_missing_change_nothing(tmp_path, capfd):
    stream = io.StringIO()
    kept = KeptStderr(stream, tmp_path / "a.log")
    assert kept.terminal is stream and kept.give_back() is stream
    with os.fdopen(2, "w", closefd=False) as stream:
        kept = KeptStderr(stream, tmp_path / "none/a.log")
        os.write(2, b"shown\n")
        assert kept.give_back() is stream
    assert capfd.readouterr().err == "shown\n"
