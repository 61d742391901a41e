"""One call of Snakemake: its setup when the Snakefile is read, its beginning and its end."""

import sys
from dataclasses import astuple
from functools import cached_property
from pathlib import Path
from typing import Any

from snakemake.logging import logger

from lesionflow.base import layout
from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.digests import code_digests
from lesionflow.base.errors import CohortError
from lesionflow.base.file_digests import FileDigests, file_state
from lesionflow.networks.imported_fold import FOLD_JSON
from lesionflow.networks.inference.backends import nvidia_device
from lesionflow.results.columns import model_summary
from lesionflow.results.scan_status import States
from lesionflow.workflow import (
    failed_run,
    module_use,
    rerun_by_content,
    run_record,
    snakemake_patches,
    terminal,
    working_directory_lock,
)
from lesionflow.workflow.hashing_progress import HashingProgress
from lesionflow.workflow.run_errors import RunError, check_rights, errors_in_one_line
from lesionflow.workflow.run_setup import make_plan, read_plan, review_files, settings_and_cards
from lesionflow.workflow.snakemake_report import ReportContents, plan_report

PLAN_KEY = "lesionflow_plan"  # of the config that a run hands on to its cluster jobs
CHECK = "check_model"  # the step that needs no cohort
LISTING = {"--list", "--list-rules", "-l", "--list-target-rules", "--lt"}  # need no cohort either
TABLES = "tables"  # the target that computes no scan
MAX_NAMES = 10  # of scans in a message


class Run:
    """The settings and the plan of a run, for the rules.

    Parameters
    ----------
    workflow
        Snakemake's object of this name.
    config
        The config that Snakemake has read.
    repository
        Folder of the workflow.

    Attributes
    ----------
    steps : Steps
        The steps by the names of their rules.
    settings, cards, mask_card
        See ``run_setup.settings_and_cards``.
    code : dict
        Digest of the code of each step.
    plan
        The plan of the run: made by the process that the user starts, read by the processes of cluster jobs.
    models : dict
        What the tables need of each card, by name.
    report : ReportContents
        What Snakemake's own report holds.
    states : dict or None
        Status and reason by scan and model, once the tables of a failed run are written.

    Raises
    ------
    RunError
        If the run cannot begin; the message says why.
    """

    report = ReportContents()
    states: States | None = None

    def __init__(self, workflow: Any, config: dict[str, Any], repository: Path):
        self.workflow, self.repository = workflow, repository
        config.pop(PLAN_KEY, None)
        with errors_in_one_line():
            module_use.check(workflow)
        self.steps = module_use.Steps(workflow)
        layout.use(module_use.folders(workflow))
        self.code = code_digests(repository / "scripts", layout.path(layout.CODE_DIGESTS))
        snakemake_patches.apply()
        rerun_by_content.ignore_dates(self.steps)
        if workflow.is_main_process:
            terminal.install(self)
        with errors_in_one_line():
            if workflow.is_main_process:
                self._set_up(config, repository)
                module_use.call_handlers(workflow, self.begin, self.end, lambda: bool(self.jobs()))
            else:
                path = workflow.config_settings.overwrite_config.get(PLAN_KEY)
                if path is None:
                    raise CohortError("the run of this job has handed on no plan")
                self._read_settings(config, repository)
                self.plan = read_plan(Path(path))
                rerun_by_content.decide_nothing()
        self.models = {
            name: {
                **model_summary(card),
                "imports": [fold.digest for fold in self.plan.imports[name]],
            }
            for name, card in self.cards.items()
        }

    def job_steps(self) -> set[str]:
        """The steps of this process of a cluster job, whose command line names its jobs as ``RULE:WILDCARDS``."""
        return self.steps.among(argument.split(":")[0] for argument in sys.argv)

    def jobs(self) -> set[str]:
        """The steps of which the graph of this run has jobs, whether they have to run or not."""
        dag = self.workflow.dag
        # the length of a graph is the number of jobs that have to run
        return set() if dag is None else self.steps.among(job.rule.name for job in dag.jobs)

    def _read_settings(self, config: dict[str, Any], repository: Path) -> None:
        self.settings, self.cards, self.mask_card = settings_and_cards(config, repository)

    def _set_up(self, config: dict[str, Any], repository: Path) -> None:
        self._read_settings(config, repository)
        check_rights(Path(".snakemake"))
        if killed := run_record.interrupted():
            logger.warning(killed)
        progress = HashingProgress()
        work = f"{layout.FOLDERS.work}/"
        self.digests = FileDigests(layout.path(layout.FILE_DIGESTS), work, progress)
        code = self.code["import_fold"]
        self.plan = make_plan(self.settings, self.cards, self.mask_card, code, self.digests)
        needs_cohort = CHECK not in self.steps.among(sys.argv) and not LISTING & set(sys.argv)
        if self.plan.error and needs_cohort:
            raise CohortError(self.plan.error)
        if self.plan.records:
            self.report = plan_report(self.plan.records, list(self.cards), logger.warning)
        self.show_notes()
        progress.cohort = self.plan.states
        self.workflow.config_settings.config_args += [f"{PLAN_KEY}='{self.plan.path}'"]
        imports = {
            self.imported_fold.format(model=name, fold=number, digest=fold.digest)
            for name, folds in self.plan.imports.items()
            for number, fold in enumerate(folds, 1)
            if fold.weights
        }
        self.contents = rerun_by_content.Contents(
            self.digests,
            self.plan.states,
            str(Path(self.settings["models_dir"])),
            imports,
            {path: files for r in self.plan.records for path, files in r["parts"].items()},
        )
        rerun_by_content.apply(self.contents, self.steps, logger.warning)
        working_directory_lock.apply(logger.warning)

    @property
    def imported_fold(self) -> str:
        """Pattern of the paths of imported folds."""
        return str(Path(self.settings["models_dir"], layout.IMPORTED_FOLD, FOLD_JSON))

    @property
    def review_files(self) -> list[str]:
        """Paths of the reviews of the config."""
        return review_files(self.settings)

    def show_notes(self) -> None:
        """Name what looks like a scan in the cohort and is not listed."""
        for note in self.plan.notes:
            logger.warning(f"cohort: {note}")

    def scans(self) -> list[dict[str, Any]]:
        """The records of the plan.

        Raises
        ------
        RunError
            If the cohort could not be listed.
        """
        if self.plan.error:
            raise RunError(self.plan.error)
        return self.plan.records

    @cached_property
    def description(self) -> dict[str, Any]:
        """What the run is: see ``run_record.describe``."""
        return run_record.describe(self.plan.command, self.settings, self.cards, self.repository)

    def begin(self) -> None:
        """Begin the run, before its first job: Snakemake has locked the working directory.

        Raises
        ------
        RunError
            If the config asks for a GPU and the jobs run on this machine, which has none. If a run that is to write
            the tables alone would have to compute a scan.
        """
        if not self.workflow.is_main_process:
            return
        if self.settings["device"] == "gpu" and self.workflow.local_exec and not nvidia_device():
            raise RunError(
                "config: device: gpu: this machine has no NVIDIA GPU (device: auto uses the CPU then)"
            )
        self.digests.report = lambda path, size: None
        with errors_in_one_line():
            for folder in astuple(layout.FOLDERS):
                check_rights(folder)
            # first the record, without which another run would remove the plan when it ends
            run_record.begin(self.plan.path, self.workflow.local_exec, self.has_cohort())
            with write_atomically(self.plan.path) as partial:
                partial.write_text(self.plan.text, encoding="utf-8")
        if self.computes_no_scan():
            self._check_results()

    def computes_no_scan(self) -> bool:
        """Whether the tables are written from results that exist."""
        return TABLES in self.steps.among(self.workflow.dag_settings.targets)

    def _check_results(self) -> None:
        """Check that no scan has to be computed; if one has, write the tables with its status.

        Raises
        ------
        RunError
            If a scan has to be computed.
        """
        unfinished = failed_run.unfinished_steps(self.workflow.dag, self.steps)
        if unfinished:
            self.end(succeeded=False)
            scans = sorted({scan for scan, _ in unfinished})
            raise RunError(
                f"{TABLES}: {len(scans)} of {len(self.plan.records)} scans have no results of these settings, and none is "
                f"computed for this target: {', '.join(scans[:MAX_NAMES])}{' ...' if len(scans) > MAX_NAMES else ''}"
            )

    def end(self, succeeded: bool) -> None:
        """Write the record of the run and, if it failed, the tables and the page with the status of each scan."""
        if not self.workflow.is_main_process:
            return
        self.show_notes()
        with errors_in_one_line():
            changed = self._scans_that_changed()
            if self.has_cohort():
                if changed or not succeeded:
                    self._write_tables()
                run_record.write(succeeded and not changed, self.description)
            run_record.end(self.has_cohort())
        if changed and succeeded:
            raise RunError(
                f"{', '.join(changed)} changed while the run was on: run the same command again"
            )

    def _scans_that_changed(self) -> list[str]:
        """Scans with a file that was written since the plan: their row in the tables says so.

        The jobs of the run may have read it before, after or meanwhile.
        """
        changed = []
        evaluates = "evaluate" in self.jobs()
        for record in self.plan.records:
            models = set(self.models) - set(record["problems"])  # that were run
            paths = [
                path
                for kind, image in record["files"].items()
                for path in record["parts"].get(image, [image])
                if (kind != "truth" or evaluates) and file_state(path) != self.plan.states[path]
            ]
            if models and paths:
                reason = f"{paths[0]} changed while the run was on: run the same command again"
                record["problems"] |= dict.fromkeys(models, ["changed", reason])
                changed.append(record["scan"])
        return changed

    def _write_tables(self) -> None:
        unfinished = failed_run.unfinished_steps(self.workflow.dag, self.steps)
        jobs = self.jobs()
        evaluates_only = "evaluate" in jobs and "aggregate" not in jobs
        self.states, problems = failed_run.write_tables(
            evaluates_only, self.plan.records, self.models, self.description, unfinished
        )
        for problem in problems:
            logger.error(problem)

    def has_cohort(self) -> bool:
        """Whether this run processes a cohort, and does not only check a model."""
        targets = set(self.workflow.dag_settings.targets)
        only_checks = bool(targets) and self.steps.among(targets) == {CHECK}
        return not only_checks and not self.plan.error
