"""The handler that shows a run by scans."""

import io
import logging
from types import SimpleNamespace

import pytest
from snakemake.common import NOTHING_TO_BE_DONE_MSG
from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter, logger
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

from lesionflow.workflow import terminal
from lesionflow.workflow.rerun_reasons import NeededJob
from lesionflow.workflow.run_summary import Ending, dry_run_summary
from lesionflow.workflow.terminal import HANDLER, Terminal


@pytest.fixture
def handlers():
    """Snakemake's logger with its own handler, which writes to a text; left as it was."""
    before, stream = list(logger.handlers), io.StringIO()
    default = ColorizingTextHandler(nocolor=True, stream=stream)
    default.name = HANDLER
    default.setFormatter(DefaultFormatter())
    default.addFilter(DefaultFilter(None, False, False, False, False))
    logger.handlers[:] = [default]
    level = logger.level
    logger.setLevel(logging.INFO)
    yield default, stream
    logger.handlers[:] = before
    logger.setLevel(level)


def run_of(folder, **options):
    """A run without a plan, as before its settings are read."""
    settings = dict.fromkeys(("printshellcmds", "verbose", "debug_dag", "dryrun", "stdout"), False)
    settings |= {"quiet": None, **options}
    workflow = SimpleNamespace(
        modifier=SimpleNamespace(is_main_snakefile=lambda: True),
        output_settings=SimpleNamespace(**settings),
        logger_manager=SimpleNamespace(get_logfile=lambda: []),
    )
    return SimpleNamespace(
        workflow=workflow, repository=folder, steps={}, jobs=lambda: {"aggregate"}
    )


def test_it_takes_the_place_of_the_handler_of_snakemake(handlers, tmp_path):
    default, _ = handlers
    terminal.install(run_of(tmp_path))
    assert default not in logger.handlers
    assert [type(handler) for handler in logger.handlers] == [Terminal]


@pytest.mark.parametrize("option", ["printshellcmds", "verbose", "debug_dag"])
def test_it_prints_beside_snakemake_if_details_are_asked_for(handlers, tmp_path, option):
    default, _ = handlers
    terminal.install(run_of(tmp_path, **{option: True}))
    assert default in logger.handlers and len(logger.handlers) == 2
    logger.info("1 of 3 steps")
    assert handlers[1].getvalue() == "1 of 3 steps\n"


def test_a_workflow_that_uses_this_one_keeps_its_terminal_and_gets_a_summary(handlers, tmp_path):
    default, stream = handlers
    run = run_of(tmp_path)
    run.workflow.modifier = SimpleNamespace(is_main_snakefile=lambda: False)
    terminal.install(run)
    assert default in logger.handlers and len(logger.handlers) == 2
    logger.info("1 of 3 steps")
    assert stream.getvalue() == "1 of 3 steps\n"


def test_another_logger_plugin_keeps_the_terminal(handlers, tmp_path):
    default, _ = handlers
    default.name = "of a plugin"
    terminal.install(run_of(tmp_path))
    assert default in logger.handlers


def test_before_and_without_a_run_snakemake_is_heard(handlers, tmp_path):
    _, stream = handlers
    terminal.install(run_of(tmp_path))
    logger.info("Unlocking working directory.")
    for handler in list(logger.handlers):
        handler.close()
    assert stream.getvalue() == "Unlocking working directory.\n"


def test_in_a_run_only_warnings_and_errors_are_shown_and_control_nothing(handlers, tmp_path):
    _, stream = handlers
    terminal.install(run_of(tmp_path))
    logger.info("Workflow has started!", extra={"event": LogEvent.WORKFLOW_STARTED})
    logger.info("Building DAG of jobs...")
    logger.info("hashing", extra=terminal.SHOWN)
    logger.warning("sub-\x1b[2J is odd")
    logger.error("LockException", extra={"event": LogEvent.ERROR, "exception": "LockException"})
    for handler in list(logger.handlers):
        handler.close()
        handler.close()  # as Python does at the end of a process
    assert stream.getvalue().splitlines() == [
        "hashing",
        "sub-\\x1b[2J is odd",
        "LockException",
        "",
        "Nothing was computed.",
    ]


def test_a_fault_of_the_display_gives_the_terminal_back(handlers, tmp_path):
    default, stream = handlers
    terminal.install(run_of(tmp_path))
    logger.info("Workflow has started!", extra={"event": LogEvent.WORKFLOW_STARTED})
    logger.info("Job stats", extra={"event": LogEvent.RUN_INFO})  # there is no graph of jobs
    assert default in logger.handlers
    logger.info("1 of 3 steps", extra={"event": LogEvent.RESOURCES_INFO})
    assert "the run cannot be shown by scans" in stream.getvalue()
    assert "1 of 3 steps" in stream.getvalue()


@pytest.mark.parametrize(
    ("quiet", "shown"),
    [
        (None, "the first line is shown"),
        ({Quietness.HOST}, "the first line is shown"),
        ({Quietness.PROGRESS, Quietness.RULES}, ""),
        ({Quietness.PROGRESS}, ""),
        ({Quietness.ALL}, ""),
    ],
)
def test_quiet_leaves_out_what_happens_in_a_run(handlers, tmp_path, monkeypatch, quiet, shown):
    _, stream = handlers
    run = run_of(tmp_path, quiet=quiet)
    run.models, run.plan = {"m": {}}, SimpleNamespace(records=[])
    run.workflow.dag = SimpleNamespace(needrun_jobs=list)
    monkeypatch.setattr(
        terminal.RunProgress, "first_lines", lambda self, left_out: ["the first line is shown"]
    )
    terminal.install(run)
    logger.info("Workflow has started!", extra={"event": LogEvent.WORKFLOW_STARTED})
    logger.info("Job stats", extra={"event": LogEvent.RUN_INFO})
    assert stream.getvalue().strip() == shown


@pytest.mark.parametrize(
    ("messages", "left", "ending"),
    [
        ([], [], "Nothing was computed."),  # interrupted while Snakemake built its graph
        ([NOTHING_TO_BE_DONE_MSG], [], "Nothing to be done: all results are up to date."),
        (["Job stats"], [], "Finished in 0 s."),
        (["Job stats"], ["a job"], "The run failed after 0 s."),  # interrupted between two jobs
    ],
)
def test_a_run_has_finished_only_if_all_its_jobs_have(handlers, tmp_path, messages, left, ending):
    _, stream = handlers
    run = run_of(tmp_path)
    run.models, run.plan = {"m": {}}, SimpleNamespace(records=[], error="")
    run.has_cohort = lambda: False
    run.workflow.dag = SimpleNamespace(needrun_jobs=list)
    terminal.install(run)
    logger.info("Workflow has started!", extra={"event": LogEvent.WORKFLOW_STARTED})
    for message in messages:
        event = {"event": LogEvent.RUN_INFO} if message == "Job stats" else {}
        logger.info(message, extra=event)
    run.workflow.dag = SimpleNamespace(needrun_jobs=lambda: left)
    for handler in list(logger.handlers):
        handler.close()
    assert ending in stream.getvalue()


def test_a_dry_run_of_the_tables_says_that_they_would_need_a_scan(tmp_path):
    plan = SimpleNamespace(records=[{"scan": "sub-1", "problems": {}}], error="")
    run = SimpleNamespace(plan=plan, models={}, has_cohort=lambda: True)
    needed = [NeededJob("count", "sub-1", "m", ()), NeededJob("report", "", "", ())]
    for tables_alone, beginning in ((True, "A run would stop"), (False, "A run would compute")):
        run.computes_no_scan = lambda alone=tables_alone: alone
        assert dry_run_summary(run, Ending.FINISHED, needed)[0].startswith(beginning)
    run.computes_no_scan = lambda: True
    assert dry_run_summary(run, Ending.FINISHED, needed[1:])[0] == "A run would compute"
