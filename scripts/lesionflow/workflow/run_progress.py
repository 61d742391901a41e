"""The progress of a run in terms of scans: from the jobs that start, finish and fail to lines of text."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from lesionflow.base.time_left import in_words
from lesionflow.workflow.terminal_text import plural, printable, shortened

MAX_LEFT_OUT = 10  # scans that are named before the first job
IMPORT = "import_fold"


class Job(NamedTuple):
    """A job of a run: its rule, and the scan, the model and the fold that it is for, if any."""

    rule: str
    scan: str = ""
    model: str = ""
    fold: str = ""


class RunProgress:
    """What a run has to do and has done.

    Parameters
    ----------
    jobs
        The jobs that the run has to do, by number.
    models
        Names of the models; with several, lines name theirs.
    result
        Called with a scan and a model that are finished; returns the result in words.
    now
        Time at which the run starts, in seconds.
    """

    def __init__(
        self, jobs: dict[int, Job], models: list[str], result: Callable[[str, str], str], now: float
    ):
        self.jobs, self.several, self.result = jobs, len(models) > 1, result
        self.began = now
        self.pending: dict[tuple[str, str], set[int]] = defaultdict(set)
        for number, job in jobs.items():
            if job.scan:
                self.pending[job.scan, job.model].add(number)
        self.total = len(self.pending)
        self.done: list[tuple[str, str]] = []
        self.failed: list[tuple[str, str]] = []
        self.finished_jobs: set[int] = set()
        self.running: dict[int, float] = {}  # when each job started
        # of the finished jobs of each rule: seconds, and how many; of the others of scans: how many
        self.seconds: dict[str, float] = defaultdict(float)
        self.finished: Counter[str] = Counter()
        self.left = Counter(job.rule for job in jobs.values() if job.scan)
        self.imports = Counter(job.model for job in jobs.values() if job.rule == IMPORT)
        self.imported: Counter[str] = Counter()
        names = [self._name(*pair) for pair in self.pending]
        self.width = min(max(map(len, names), default=0), 40)

    def first_lines(self, left_out: Iterable[tuple[str, str, str]]) -> list[str]:
        """What the run is going to do, and the scans that it leaves out: (scan, status, reason)."""
        left_out = list(left_out)
        lines = [
            f"{printable(scan)}  left out: {status}{f': {shortened(reason)}' if reason else ''}"
            for scan, status, reason in left_out[:MAX_LEFT_OUT]
        ]
        if len(left_out) > MAX_LEFT_OUT:
            lines.append(f"and {plural(len(left_out) - MAX_LEFT_OUT, 'more scan')} left out")
        todo = [f"{plural(self.total, self._unit)} to compute"] if self.total else []
        todo += [
            f"{plural(count, 'fold')} of {printable(model)} to import"
            for model, count in self.imports.items()
        ]
        if not todo and any(job.rule != "all" for job in self.jobs.values()):
            todo = ["no scan to compute, only what is made of all scans"]
        return [*lines, *([", ".join(todo)] if todo else [])]

    def start(self, number: int, now: float) -> None:
        """A job starts."""
        self.running.setdefault(number, now)

    def finish(self, number: int, now: float) -> list[str]:
        """A job has finished: the line of its scan if that was its last one, or of the fold that it has imported."""
        job = self.jobs.get(number)
        if job is None or number in self.finished_jobs:
            return []
        self.finished_jobs.add(number)
        seconds = now - self.running.pop(number, now)
        self.seconds[job.rule] += seconds
        self.finished[job.rule] += 1
        if job.rule == IMPORT:
            self.imported[job.model] += 1
            count = f"{self.imported[job.model]} of {self.imports[job.model]} done"
            return [
                f"{printable(job.model)}  fold {job.fold} imported in {in_words(seconds)}  ({count})"
            ]
        pair = job.scan, job.model
        if pair not in self.pending:
            return []
        if pair in self.failed:
            return []
        self.pending[pair].discard(number)
        self.left[job.rule] -= 1
        if self.pending[pair]:
            return []
        self.done.append(pair)
        return [self._line(*pair, self.result(*pair), now)]

    def fail(self, number: int, reason: str, log: str, now: float, again: bool) -> list[str]:
        """A job has failed: one line per scan, with the step and the reason.

        Parameters
        ----------
        number
            Of the job.
        reason
            Why it failed; empty if that is not known.
        log
            Path of its log.
        now
            Time in seconds.
        again
            Whether Snakemake tries it once more.
        """
        job = self.jobs.get(number, Job("a job"))
        self.running.pop(number, None)
        why = f": {shortened(reason)}" if reason else f": see {printable(log)}" if log else ""
        if again:
            return [f"{self._subject(job)}  {job.rule} failed and is tried again{why}"]
        pair = job.scan, job.model
        if not job.scan:
            needed = "; no scan that needs it can be computed" if job.rule == IMPORT else ""
            seen = f" (log: {printable(log)})" if log and reason else ""
            return [f"{self._subject(job)}  failed{why}{seen}{needed}"]
        if pair in self.failed:
            return []
        self.failed.append(pair)
        self.left.subtract(self.jobs[other].rule for other in self.pending[pair])
        return [self._line(*pair, f"failed at {job.rule}{why}", now)]

    def state(self, now: float) -> str:
        """One line on what is going on, which is drawn again and again."""
        rules = Counter(self.jobs[number].rule for number in self.running if number in self.jobs)
        running = ", ".join(
            f"{rule} ({count})" if count > 1 else rule for rule, count in rules.items()
        )
        parts = [f"{len(self.done)} of {self.total} done", *self._failed()] if self.total else []
        parts += [*self._time_left(now), f"step {len(self.finished_jobs)} of {len(self.jobs)}"]
        return ", ".join(parts) + (f": {running}" if running else "")

    def seconds_left(self, now: float) -> float | None:
        """Estimate of the time that the jobs of scans still take; None before each of their rules has run once.

        The mean time of a job of each rule, for the jobs that are left, divided by how many have run at the same time.
        """
        left = +self.left
        spent, elapsed = sum(self.seconds.values()), now - self.began
        if not left or spent <= 0 or elapsed <= 0 or any(not self.finished[rule] for rule in left):
            return None
        work = sum(count * self.seconds[rule] / self.finished[rule] for rule, count in left.items())
        return work / max(1.0, spent / elapsed)

    @property
    def _unit(self) -> str:
        return "result" if self.several else "scan"

    def _line(self, scan: str, model: str, text: str, now: float) -> str:
        left = self.total - len(self.done) - len(self.failed)
        counts = [f"{len(self.done)} of {plural(self.total, self._unit)} done"]
        counts += [f"{len(self.failed)} failed", f"{left} left", *self._time_left(now)]
        return f"{self._name(scan, model):{self.width}}  {text}  ({', '.join(counts)})"

    def _failed(self) -> list[str]:
        return [f"{len(self.failed)} failed"] if self.failed else []

    def _time_left(self, now: float) -> list[str]:
        seconds = self.seconds_left(now)
        return [] if seconds is None else [f"about {in_words(seconds)}"]

    def _name(self, scan: str, model: str) -> str:
        return printable(f"{scan} {model}" if self.several else scan)

    def _subject(self, job: Job) -> str:
        if job.scan:
            return f"{self._name(job.scan, job.model):{self.width}}"
        if job.rule == IMPORT:
            return f"import of fold {job.fold} of {printable(job.model)}"
        return job.rule
