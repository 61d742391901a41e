"""What changes if another workflow uses this one as a module: names of rules, folders, beginning and end of a run.

Snakemake gives the rules of a module other names (``use rule * from lesionflow as lesionflow_*``), puts its files below
a prefix (``prefix:``), and calls ``onstart``, ``onsuccess`` and ``onerror`` of the main Snakefile only.
"""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from lesionflow.base import layout
from lesionflow.base.errors import LesionflowError

TARGETS = ("all", "tables")  # rules without a job of their own
_workflows: list[Any] = []  # that have read the Snakefile in this process


class Steps:
    """The steps of the workflow by the names of their rules; rules of other workflows are no steps.

    Parameters
    ----------
    workflow
        Snakemake's object of this name, while it reads the Snakefile of this workflow.
    """

    def __init__(self, workflow: Any):
        name_of = workflow.modifier.modify_rulename
        self._by_rule = {name_of(step): step for step in (*layout.JOBS, *TARGETS)}

    def __getitem__(self, rule: str) -> str:
        """The step of a rule; empty if it is none."""
        return self._by_rule.get(rule, "")

    def among(self, rules: Iterable[str]) -> set[str]:
        """The steps among the names of rules."""
        return {self[rule] for rule in rules} - {""}


def check(workflow: Any) -> None:
    """Check that the Snakefile is used as a whole, and once.

    Raises
    ------
    LesionflowError
        If only some of its rules are used, or changed: Snakemake cannot do that with rules that refer to each other
        (https://github.com/snakemake/snakemake/issues/2838). If a second module is lesionflow.
    """
    if workflow.modifier.rule_whitelist is not None:
        raise LesionflowError(
            "a module of lesionflow is used as a whole (use rule * from lesionflow as lesionflow_*): Snakemake cannot "
            "change single rules of it. Set threads, memory and other resources in a profile (set-threads, set-resources)"
        )
    if any(workflow is other for other in _workflows):
        raise LesionflowError(
            "two modules are lesionflow: one run processes one cohort. Name several models in one config, or call "
            "Snakemake once for each cohort"
        )
    _workflows.append(workflow)


def folders(workflow: Any) -> layout.Folders:
    """The folders of the run, as path variables and the prefix of a module make them."""

    def folder(pattern: str) -> Path:
        return Path(workflow.pathvars.apply(str(workflow.modifier.modify_path(pattern))))

    return layout.Folders(
        results=folder("<results>"),
        logs=folder("<logs>"),
        benchmarks=folder("<benchmarks>"),
        work=folder("work"),
    )


def is_module(workflow: Any) -> bool:
    """Whether another workflow uses this one as a module, while Snakemake reads the Snakefile."""
    return not workflow.modifier.is_main_snakefile()


def call_handlers(
    workflow: Any,
    begin: Callable[[], None],
    end: Callable[[bool], None],
    is_used: Callable[[], bool],
) -> None:
    """Begin and end the run of a module, before what the main Snakefile does then.

    Parameters
    ----------
    workflow
        Snakemake's object of this name. Nothing changes if no other workflow uses this one.
    begin
        Called before the first job.
    end
        Called when the run has ended, with whether it succeeded.
    is_used
        Whether the graph of this call has jobs of the module.
    """
    if not is_module(workflow):
        return
    ours: dict[str, Callable[[], None]] = {
        "onstart": begin,
        "onsuccess": partial(end, True),
        "onerror": partial(end, False),
    }
    for handler, function in ours.items():
        _call_beside(workflow, handler, function, is_used)


def _call_beside(
    workflow: Any, handler: str, function: Callable[[], None], is_used: Callable[[], bool]
) -> None:
    register = getattr(workflow, handler)

    def both(other: Callable[..., None]) -> Callable[..., None]:
        def call(log: Any) -> None:
            if is_used():
                function()
            other(log)

        return call

    def register_both(other: Callable[..., None]) -> None:
        register(both(other) if workflow.modifier.is_main_snakefile() else other)

    setattr(workflow, f"_{handler}", both(getattr(workflow, f"_{handler}")))
    setattr(
        workflow, handler, register_both
    )  # the main Snakefile may have its handler further down
