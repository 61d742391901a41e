"""The setup of a run, before its first job: settings, model cards and the plan of the cohort.

The Snakemake process that the user starts makes all three. Once it has locked the working directory, it writes the plan
there, under a name of its own, for the processes of cluster jobs and for the tables.
"""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lesionflow.base import layout
from lesionflow.base.errors import CardError, CohortError, ReviewError
from lesionflow.base.file_digests import FileDigests, State, file_state
from lesionflow.cards.brain_mask_card import load_brain_mask_card
from lesionflow.cards.config import check_config
from lesionflow.cards.fold_spec import fold_specs
from lesionflow.cards.load_card import load_cards
from lesionflow.cohort.header_check import HeaderCache
from lesionflow.cohort.names import path_problem
from lesionflow.cohort.plan import Record, plan_run
from lesionflow.networks.weights.import_plan import PlannedImport, plan_imports
from lesionflow.results.columns import cohort_columns, model_summary, names
from lesionflow.results.reviews.current_lesions import check_with_results
from lesionflow.results.reviews.review_columns import OF_LABEL, OF_MODEL
from lesionflow.results.reviews.review_file import read_reviews

Card = dict[str, Any]
ADDED = OF_LABEL, OF_MODEL  # columns of cohort.csv with reviews


def settings_and_cards(
    config: Mapping[str, Any], repository: Path
) -> tuple[dict[str, Any], dict[str, Card], Card | None]:
    """Check the config and load the model cards, with the card of the brain mask if one is computed.

    Returns
    -------
    settings
        The config with its defaults.
    cards
        The card of each model by name.
    brain_card
        None if no brain mask is computed.

    Raises
    ------
    ConfigError, CardError
        If a setting or a card is invalid; the message names it and what is allowed.
    """
    settings = check_config(config)
    cards = load_cards(settings, repository / "config/models")
    check_column_names(cards, bool(settings["review"]))
    return settings, cards, load_brain_mask_card(settings, cards, repository / "config/models")


def check_column_names(cards: Mapping[str, Card], reviewed: bool) -> None:
    """Check that the labels of each card give unique column names in cohort.csv, ``reviewed`` or not.

    Raises
    ------
    CardError
        If two columns would have the same name.
    """
    for model, card in cards.items():
        columns = names(cohort_columns({model: model_summary(card)}, *(ADDED if reviewed else ())))
        if repeated := [column for column in columns if columns.count(column) > 1]:
            raise CardError(
                f"card {model}: output.labels: two columns of the table would be called {repeated[0]}: "
                "rename a label"
            )


@dataclass(frozen=True)
class Plan:
    """What a run does, and the files that it was planned from.

    Attributes
    ----------
    records
        One per scan (``plan.plan_run``); empty if the cohort cannot be listed.
    imports
        The planned import of each fold, by the name of its card.
    error
        Why the cohort cannot be listed, or a review not be used; empty if they can.
    command
        The command that the user has given.
    notes
        For the user (``plan.plan_run``).
    states
        State of each file of the cohort, and of each review, by path.
    """

    records: list[Record]
    imports: dict[str, list[PlannedImport]]
    error: str = ""
    command: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    states: dict[str, State | None] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The plan as the jobs read it: without notes and states."""
        imports = {name: [asdict(fold) for fold in folds] for name, folds in self.imports.items()}
        content = {"records": self.records, "imports": imports}
        return json.dumps(content | {"error": self.error, "command": self.command}, indent=0)

    @property
    def path(self) -> Path:
        """Where a run writes its plan; plans that differ have different paths."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()[:16]
        return layout.path(layout.PLAN, digest=digest)


def make_plan(
    settings: Mapping[str, Any],
    cards: Mapping[str, Card],
    brain: Card | None,
    code: str,
    digests: FileDigests,
) -> Plan:
    """Plan the imports and the scans of a run. Nothing is written but caches.

    Parameters
    ----------
    settings, cards, brain
        See ``settings_and_cards``.
    code
        Digest of the code that imports folds.
    digests
        Digests of files.

    Raises
    ------
    WeightsError
        If weights are missing.
    """
    models_dir = Path(settings["models_dir"])
    imports = {
        card["name"]: plan_imports(fold_specs(card), models_dir, code, digests)
        for card in [*cards.values(), *([brain] if brain else [])]
    }
    headers = HeaderCache(layout.path(layout.HEADERS))
    try:
        records, notes = plan_run(settings, cards, headers, brain)
        review_states = check_reviews(review_files(settings), records, cards)
    except (CohortError, ReviewError) as error:
        return Plan([], imports, str(error), sys.argv)
    headers.save()
    for record in records:
        if finder := record["finder"]:
            finder["imports"] = [fold.digest for fold in imports[finder["name"]]]
    return Plan(records, imports, "", sys.argv, notes, headers.states | review_states)


def review_files(settings: Mapping[str, Any]) -> list[str]:
    """Paths of the reviews of the config, as Snakemake names them."""
    return [str(Path(path)) for path in settings["review"]]


def check_reviews(
    paths: Sequence[str], records: list[Record], cards: Mapping[str, Card]
) -> dict[str, State | None]:
    """Check the reviews of the config before a run; returns the state of each file by path.

    Raises
    ------
    ReviewError
        If a review cannot be used; the message names its line.
    """
    states = {path: file_state(path) for path in paths}
    for path in paths:
        if problem := path_problem(path):
            raise ReviewError(f"review: {problem}")
    decisions = read_reviews(paths, [record["scan"] for record in records])
    labels = {name: list(card["output"]["labels"].values()) for name, card in cards.items()}
    check_with_results(decisions, records, labels, layout.FOLDERS.results)
    return states


def read_plan(path: Path) -> Plan:
    """Read the plan that a run has written for its jobs.

    Raises
    ------
    CohortError
        If it is not there.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CohortError(
            f"{path.absolute()}: the plan of the run of this job is missing or damaged: run the same command again"
        ) from error
    imports = {
        name: [PlannedImport(**fold) for fold in folds]
        for name, folds in content["imports"].items()
    }
    return Plan(content["records"], imports, content["error"], content["command"])
