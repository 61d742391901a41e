"""What a run shows on the terminal: one line per scan, and a summary at the end.

``install`` takes the place of the handler with which Snakemake prints its log. The log itself, with all jobs, is written to
``.snakemake/log`` as before. A logger plugin of Snakemake would have to be installed beside Snakemake, and Snakemake would
not start with a profile that names it where it is not; this handler needs the Snakefile only. It leaves the terminal to
Snakemake, and adds the summary, if the user asks for the details of Snakemake (``--printshellcmds``, ``--verbose``,
``--debug-dag``) or for another logger plugin (``--logger``), if another workflow uses this one as a module, and in calls that compute
nothing, such as ``--list``.
"""

import csv
import logging
import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from snakemake.common import NOTHING_TO_BE_DONE_MSG
from snakemake.logging import logger
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

from lesionflow.base import layout
from lesionflow.base.job_log import outcome
from lesionflow.results.scan_status import scan_wildcards
from lesionflow.workflow.kept_stderr import KeptStderr
from lesionflow.workflow.module_use import is_module
from lesionflow.workflow.needed_jobs import described, kinds_of_files, needed_job
from lesionflow.workflow.rerun_reasons import NeededJob
from lesionflow.workflow.run_progress import RunProgress
from lesionflow.workflow.run_summary import Ending, dry_run_summary, left_out, summary
from lesionflow.workflow.terminal_text import printable, scan_result, width

SHOWN = {"lesionflow": True}  # ``extra`` of a message that a user should see
HANDLER = "DefaultStreamHandler"  # Snakemake's name of the handler that prints its log
# of Snakemake, which the summary says better
LEFT_OUT = (
    *("Exiting because a job execution failed", "At least one job did not complete"),
    "CalledProcessError in file",  # of the script of a job, whose log has the reason
)
JOB_EVENTS = (
    *(LogEvent.JOB_INFO, LogEvent.JOB_FINISHED, LogEvent.JOB_ERROR),
    *(LogEvent.GROUP_INFO, LogEvent.GROUP_ERROR, LogEvent.PROGRESS),
)
INTERRUPTED = ("Will exit after", "Shutting down", "Terminating processes")


def install(run: Any) -> None:
    """Show the run of this process by scans."""
    workflow = run.workflow
    settings = workflow.output_settings
    default = next((handler for handler in logger.handlers if handler.name == HANDLER), None)
    detailed = settings.printshellcmds or settings.verbose or settings.debug_dag
    is_part = is_module(workflow)
    terminal = Terminal(run, None if detailed or is_part else default, is_part)
    if terminal.replaced:
        logger.removeHandler(terminal.replaced)
    # first, since Snakemake closes its handlers in their order: the summary is to reach the log file
    logger.handlers.insert(0, terminal)


class Terminal(logging.Handler):
    """Handler of Snakemake's log that prints lines on scans, and a summary when Snakemake closes it.

    Parameters
    ----------
    run
        The run (``run.Run``), of which the handler reads the plan and the graph of jobs once they exist.
    replaced
        Snakemake's handler, if it does not print itself: it prints what comes before the run, and its filter decides what
        ``--quiet`` leaves out. None if only a summary is printed.
    is_part
        Whether another workflow uses this one: then there is a summary only if it has jobs of this one.
    """

    def __init__(self, run: Any, replaced: logging.Handler | None, is_part: bool = False):
        super().__init__()
        self.run, self.replaced, self.is_part = run, replaced, is_part
        settings = run.workflow.output_settings
        self.dryrun, quiet = settings.dryrun, set(settings.quiet or ())
        self.silent = Quietness.ALL in quiet
        self.quiet = bool(quiet & {Quietness.ALL, Quietness.PROGRESS, Quietness.RULES})
        self.stream: TextIO = getattr(replaced, "stream", None) or (
            sys.stdout if settings.stdout else sys.stderr
        )
        self.redrawn = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        self.drawn = False  # whether the last line is to be drawn again
        self.began: float | None = None
        self.progress: RunProgress | None = None
        self.needed: list[NeededJob] | None = None
        self.jobs: dict[int, Any] = {}
        self.failed = self.nothing_to_do = self.closed = False
        self.kept: KeptStderr | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Print what a user should see of a record of Snakemake's log."""
        try:
            self._receive(record)
        except BrokenPipeError:
            raise
        except Exception:  # of this module: the run goes on, and Snakemake shows it
            self._give_back()
            logger.exception("the run cannot be shown by scans")

    def _give_back(self) -> None:
        """Let Snakemake's handler print again."""
        self._return_stderr()
        if self.replaced:
            logger.addHandler(self.replaced)
            self.replaced = None

    def _return_stderr(self) -> None:
        self._erase()
        if self.kept:
            self.stream = self.kept.give_back()
            self.kept = None

    def _receive(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        if event == LogEvent.WORKFLOW_STARTED:
            self.began = time.monotonic()
            files = self.run.workflow.logger_manager.get_logfile()
            if self.replaced and files and not self.dryrun:
                self.kept = KeptStderr(self.stream, Path(files[0]))
                self.stream = self.kept.terminal
        elif event == LogEvent.RUN_INFO and self.needed is None:
            self._plan_jobs()
        if event in JOB_EVENTS:
            self.failed = False  # until now: an error that ends a run comes after its jobs
        elif event == LogEvent.ERROR:
            self.failed = True
        elif record.msg == NOTHING_TO_BE_DONE_MSG:
            self.nothing_to_do = True
        if self.replaced is None:
            return
        if self.began is None:
            self._as_snakemake(record)
        elif event in (LogEvent.JOB_INFO, LogEvent.JOB_FINISHED):
            self._follow(event, record)
        elif event == LogEvent.JOB_ERROR:
            self._fail([record.__dict__["jobid"]])
        elif event == LogEvent.GROUP_ERROR:
            self._fail([info["jobid"] for info in record.__dict__["job_error_info"]])
        elif self._is_shown(record, event):
            self._as_snakemake(record)

    def _is_shown(self, record: logging.LogRecord, event: Any) -> bool:
        text = str(record.msg)
        if record.levelno >= logging.WARNING:
            return not any(words in text for words in LEFT_OUT)
        return event is None and (
            getattr(record, "lesionflow", False) or text.startswith(INTERRUPTED)
        )

    def _as_snakemake(self, record: logging.LogRecord) -> None:
        """Print a record as Snakemake prints it, but no character that controls the terminal."""
        if self.replaced is None or not self.replaced.filter(record):
            return
        text = self.replaced.format(record)
        if text and text != "None":
            lines = [printable(line) for line in text.split("\n")]
            self._print(["\n".join(lines)], self._decoration(record))

    def _decoration(self, record: logging.LogRecord) -> Any:
        decorate = getattr(self.replaced, "decorate", None)
        return (lambda text: decorate(record, text)) if decorate else str

    def _follow(self, event: Any, record: logging.LogRecord) -> None:
        """A job has started or finished."""
        if self.progress is None or self.dryrun:
            return
        now = time.monotonic()
        if event == LogEvent.JOB_INFO:
            self.progress.start(record.__dict__["jobid"], now)
            lines = []
        else:
            lines = self.progress.finish(record.__dict__["job_id"], now)
        self._print([] if self.quiet else lines)
        self._draw(now)

    def _fail(self, numbers: list[int]) -> None:
        """Jobs have failed: one, or one of a group, of which the others have not started."""
        if self.progress is None or self.silent:
            return
        logs = {
            number: str(next(iter(self.jobs[number].log), ""))
            for number in numbers
            if number in self.jobs
        }
        reasons = {
            number: (outcome(Path(log)) if log else None) or "" for number, log in logs.items()
        }
        named = [number for number, reason in reasons.items() if reason] or list(reasons)[:1]
        now = time.monotonic()
        for number in named:
            job = self.jobs[number]
            again = job.attempt <= job.restart_times
            self._print(self.progress.fail(number, reasons[number], logs[number], now, again))
        self._draw(now)

    def _plan_jobs(self) -> None:
        """Learn which jobs there are, from Snakemake's graph."""
        dag = self.run.workflow.dag
        steps = self.run.steps
        jobs = [job for job in dag.needrun_jobs() if steps[job.rule.name]]
        self.jobs = {dag.jobid(job): job for job in jobs}
        if self.dryrun:
            contents = getattr(self.run, "contents", None)
            kinds = kinds_of_files(self.run.plan.records)
            self.needed = [
                needed_job(job, steps[job.rule.name], dag, contents, kinds) for job in jobs
            ]
            return
        self.needed = []
        known = {n: described(job, steps[job.rule.name]) for n, job in self.jobs.items()}
        models = list(self.run.models)
        self.records = {record["scan"]: record for record in self.run.plan.records}
        self.progress = RunProgress(known, models, self._result, time.monotonic())
        if self.replaced and not self.quiet:
            self._print(self.progress.first_lines(left_out(self.run)))
            self._draw(time.monotonic())

    def _result(self, scan: str, model: str) -> str:
        """The result of a scan from its table of volumes."""
        path = layout.path(layout.SCAN_VOLUMES, **scan_wildcards(self.records[scan], model))
        try:
            with path.open(encoding="utf-8", newline="") as file:
                return scan_result(list(csv.DictReader(file, delimiter="\t")))
        except (OSError, ValueError, KeyError):
            return "done"

    def _summary(self) -> list[str]:
        if self.is_part and not self.run.jobs():
            return []
        if self.dryrun:
            return dry_run_summary(self.run, self._ending(), self.needed or [])
        return summary(self.run, self._ending(), self.began or time.monotonic())

    def _ending(self) -> Ending:
        """How this call ends; that it has finished needs more evidence than that no error was named."""
        if self.nothing_to_do and not self.failed:
            return Ending.NOTHING_TO_DO
        if self.needed is None:
            return Ending.REFUSED
        unfinished = not self.dryrun and any(True for _ in self.run.workflow.dag.needrun_jobs())
        return Ending.FAILED if self.failed or unfinished else Ending.FINISHED

    def close(self) -> None:
        """Print the summary; Snakemake closes its handlers when it ends, whatever happened before."""
        if self.closed:  # Python closes every handler again at the end of the process
            return
        self.closed = True
        self._return_stderr()
        lines: list[str] = []
        if self.began is not None or self.failed:
            try:
                lines = self._summary()
            except Exception:  # the end of a run must not fail for its summary
                logger.exception("the summary of the run could not be written")
        if lines:
            others = [handler.name for handler in logger.handlers]
            if HANDLER not in others and (self.dryrun or not self.silent):
                with suppress(BrokenPipeError):
                    self._print(["", *lines])
            logger.info(
                "\n".join(lines)
            )  # this handler is closed: to the log file, and to Snakemake's own handler
        super().close()

    def _print(self, lines: Iterable[str], decorate: Any = str) -> None:
        """Print lines above the one that is drawn again."""
        lines = list(lines)
        if not lines:
            return
        self._erase()
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        for line in lines:
            text = line.encode(encoding, "backslashreplace").decode(encoding)
            self.stream.write(f"{decorate(text)}\n")
        self.stream.flush()

    def _draw(self, now: float) -> None:
        """Draw the state of the run in the last line of a terminal."""
        if not self.redrawn or self.quiet or self.progress is None or self.replaced is None:
            return
        self._erase()
        columns, state = width(self.stream) - 1, self.progress.state(now)
        self.stream.write(state if len(state) <= columns else f"{state[: columns - 3]}...")
        self.stream.flush()
        self.drawn = True

    def _erase(self) -> None:
        if self.drawn:
            self.stream.write("\r\x1b[K")
            self.drawn = False
