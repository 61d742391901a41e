"""A job runs again if the content of a file has changed, and not if only a path or a time has.

Snakemake compares the paths of a job's inputs with those of its last run, and the content of an input only if its
time is later than that of the outputs. A scan that was edited and put back with an earlier time would be taken for the
old one, and a cohort or a folder of models that was moved for a new one. ``apply`` makes Snakemake compare, in the
record that it keeps of each output:

- for a file of the cohort, the SHA-256 of its content; the rules mark these files as ``ancient``;
- for an imported fold, its path below the folder of models, which has a digest of what it was imported from;
- for an output, its SHA-256 when it was written: a file that is missing, damaged or without a record is made again.

An import that runs triggers no prediction: the digest in the path of the fold says that it is the same network.

The tests in ``tests/workflow/test_rerun_by_content.py`` fail with a release of Snakemake that lacks what is replaced.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any

import snakemake.api  # before dag: they import each other
import snakemake.io
from snakemake.dag import DAG
from snakemake.exceptions import WorkflowError
from snakemake.persistence import PersistenceBase
from snakemake.persistence.db import DbPersistence
from snakemake.persistence.file import FilePersistence
from snakemake.settings.enums import RerunTrigger

from lesionflow.base.digests import sha256_files
from lesionflow.base.file_digests import FileDigests, State, file_state
from lesionflow.workflow import run_record
from lesionflow.workflow.module_use import Steps

NEEDED_TRIGGERS = {RerunTrigger.MTIME, RerunTrigger.PARAMS, RerunTrigger.INPUT}
OTHER_RELEASE = "this release of Snakemake keeps its records otherwise: install 9.27"
MAX_MESSAGES = 5  # on files that are made again


class Contents:
    """The content of the files of a run.

    Parameters
    ----------
    digests
        Digests of files.
    planned
        State of each file of the cohort when the run was planned, by path.
    models_dir
        Folder of models.
    imports
        Paths of the ``fold.json`` of the folds that the run imports, whether they exist or not.
    parts
        All files of an image that has several, by the path that is the input of jobs.
    """

    def __init__(
        self,
        digests: FileDigests,
        planned: Mapping[str, State | None],
        models_dir: str,
        imports: set[str],
        parts: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ):
        self.digests, self.planned = digests, planned
        self.models, self.imports, self.parts = f"{models_dir.rstrip('/')}/", imports, parts
        self.made_again: dict[str, str] = {}  # why, by path
        self.named: set[RerunTrigger] = set()  # triggers that the user has left out

    def of_input(self, path: str) -> str:
        """What identifies an input of a job, in the record of its outputs."""
        if path not in self.planned:
            is_model = path.startswith(self.models)
            return f"models_dir: {path.removeprefix(self.models)}" if is_model else path
        files = self.parts.get(path, [path])
        try:
            digest = sha256_files(files, self.digests.sha256)
        except OSError:
            digest = ""
        if not digest or any(file_state(file) != self.planned[file] for file in files):
            # a job may have read it before or after
            return f"changed while the run was on: {path}"
        return f"sha256:{digest}"

    def of_inputs(self, files: Iterable[Any]) -> list[str]:
        """``of_input`` of the inputs of a job, in their order: two files that change places are a change."""
        return [self.of_input(str(file)) for file in files]

    def problem(self, path: str, recorded: str | None) -> str:
        """Why an output has to be made again; empty if it is as it was written.

        Parameters
        ----------
        path
            The output.
        recorded
            Its digest when it was written; None if there is no record.
        """
        if not Path(path).exists():
            return "is missing"
        if recorded is None:
            return "has no record of the run that wrote it"
        try:
            same = recorded == f"sha256:{self.digests.sha256(path)}"
        except OSError:
            same = False
        return "" if same else "is not as it was written"


def ignore_dates(steps: Steps) -> None:
    """Let Snakemake accept an output of a step that is older than an input, in each process of a run.

    It takes such an output for a sign of wrong clocks, and lets the job fail: a scan dated in the future could never be
    computed. Dates decide nothing here.
    """
    original = getattr(DAG, "check_output_mtime", None)
    if original is None:
        raise WorkflowError(OTHER_RELEASE)

    async def check_output_mtime(self: Any, job: Any, expanded_output: Any) -> None:
        if not steps[job.rule.name]:
            await original(self, job, expanded_output)

    DAG.check_output_mtime = check_output_mtime  # type: ignore[method-assign]


def decide_nothing() -> None:
    """Let the Snakemake of a cluster job compare no inputs: the process that submitted the job has done so.

    The job could not: the records hold contents, and it has neither the digests nor the states of the plan.
    """
    PersistenceBase._input_changed = lambda self, job, file=None: False  # type: ignore[method-assign]


def apply(contents: Contents, steps: Steps, report: Callable[[str], None]) -> None:
    """Make the Snakemake of this process compare contents.

    Parameters
    ----------
    contents
        The content of the files of the run.
    steps
        The steps by the names of their rules; the jobs of other rules are left to Snakemake.
    report
        Called with a message for the first files that are made again.

    Raises
    ------
    WorkflowError
        If this release of Snakemake does not have what is replaced.
    """
    replaced = ("_input", "_input_changed", "has_metadata", "metadata")
    stores = (FilePersistence, DbPersistence)
    exist = [hasattr(PersistenceBase, name) for name in replaced]
    exist += ["_write_record" in vars(s) and "_read_record" in vars(s) for s in stores]
    if not all([*exist, hasattr(DAG, "bfs"), hasattr(snakemake.io._IOFile, "checksum")]):
        raise WorkflowError(OTHER_RELEASE)

    has_metadata = PersistenceBase.has_metadata
    inputs_of_others = PersistenceBase._input
    input_of_others_changed = PersistenceBase._input_changed

    def has_record(self: Any, job: Any) -> bool:
        if not steps[job.rule.name]:
            return bool(has_metadata(self, job))
        if left_out := NEEDED_TRIGGERS - contents.named - self.dag.workflow.rerun_triggers:
            names = ", ".join(sorted(trigger.name.lower() for trigger in left_out))
            report(f"rerun-triggers is without {names}: some changes will go unnoticed")
            contents.named |= left_out
        settings = self.dag.workflow.execution_settings  # None if only the graph is printed
        return settings is None or settings.keep_metadata or has_metadata(self, job)

    def inputs(self: Any, job: Any) -> list[str]:
        if not steps[job.rule.name]:
            return list(inputs_of_others(self, job))
        return contents.of_inputs(job.input)

    def input_changed(self: Any, job: Any, file: Any) -> bool:
        path, step = str(file), steps[job.rule.name]
        if not step:
            return bool(input_of_others_changed(self, job, file=file))
        if step == "import_fold":
            return path in contents.imports
        if snakemake.io.is_flagged(file, "temp") and not Path(path).exists():
            return False  # it was removed after its last use
        if step == "report" and (problem := run_record.problem()):
            report(f"{problem}: it is made again")
            return True
        record = self.metadata(file)
        recorded = record and (record.input_checksums or {}).get(path)
        if problem := contents.problem(path, recorded):
            is_new = record and path not in contents.made_again
            if is_new and len(contents.made_again) < MAX_MESSAGES:
                report(f"{path} {problem}: it is made again")
            contents.made_again[path] = problem
            return True
        return bool(record.input != self._input(job))

    PersistenceBase._input = inputs  # type: ignore[method-assign]
    PersistenceBase._input_changed = input_changed  # type: ignore[method-assign]
    # Without a record nothing is known of an output, and Snakemake would keep it.
    PersistenceBase.has_metadata = has_record  # type: ignore[method-assign]
    DAG.bfs = _along_triggers(DAG.bfs)  # type: ignore[method-assign]
    FilePersistence._io_read = _or_nothing(FilePersistence._io_read, {})  # type: ignore[method-assign]
    for store in stores:
        store._read_record = _or_nothing(store._read_record, None)  # type: ignore[method-assign]
        store._write_record = _with_digest(store._write_record, contents.digests)  # type: ignore[method-assign]
    snakemake.io._IOFile.checksum = _with_digests(snakemake.io._IOFile.checksum, contents.digests)


def _along_triggers(bfs: Callable[..., Any]) -> Callable[..., Any]:
    """The method that visits the jobs that depend on a job, without those that it does not trigger.

    Snakemake looks at no job downstream of one that has to run, since it would run as well. It does not if all files
    between the two are ``ancient``, and its own changes would go unnoticed.
    """

    @wraps(bfs)
    def along_triggers(self: Any, direction: Any, *jobs: Any, stop: Any = lambda job: False) -> Any:
        if direction is self.depending:
            direction = _Triggered(direction)
        return bfs(self, direction, *jobs, stop=stop)

    return along_triggers


class _Triggered:
    """The jobs that run if a job runs, and the files between them, by job."""

    def __init__(self, depending: Mapping[Any, Mapping[Any, Any]]):
        self.depending = depending

    def __getitem__(self, job: Any) -> dict[Any, Any]:
        return {
            dependent: files
            for dependent, files in self.depending[job].items()
            if not all(file.is_ancient and file_state(file) for file in files)
        }


def _or_nothing(read: Callable[..., Any], nothing: Any) -> Callable[..., Any]:
    """The method that reads a record, which takes a damaged one for none. Snakemake stops the run at some of them."""

    @wraps(read)
    def read_or_nothing(self: Any, *args: Any) -> Any:
        try:
            return read(self, *args)
        except (
            ValueError,
            TypeError,
            AttributeError,
        ):  # of the text, of JSON, and of the types of its values
            return nothing

    return read_or_nothing


def _with_digest(write_record: Callable[..., None], digests: FileDigests) -> Callable[..., None]:
    """The method that writes the record of an output, which adds the digest of the output."""

    @wraps(write_record)
    def write(self: Any, key: str, record: Any) -> None:
        if Path(key).is_file():
            digest = f"sha256:{digests.sha256(key)}"
            record.input_checksums = {**(record.input_checksums or {}), key: digest}
        write_record(self, key, record)

    return write


def _with_digests(checksum: Callable[..., Any], digests: FileDigests) -> Callable[..., Any]:
    """The method that returns the checksum of a file, which hashes an unchanged file once."""

    @wraps(checksum)
    async def cached(
        self: Any, threshold: int | None = None, force: bool = False, algorithm: Any = None
    ) -> str | None:
        local = not self.is_storage and algorithm is None and threshold is not None
        if not (local and await self.is_checksum_eligible(threshold)):
            return await checksum(self, threshold, force, algorithm)
        return f"sha256:{digests.sha256(str(self))}"

    return cached
