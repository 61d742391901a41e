"""The setup of a run, before its first job: settings, model cards and the plan of the cohort.

The Snakemake process that the user starts makes all three and writes the plan to the working directory. The processes
of cluster jobs read the plan instead of listing the cohort again.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lesionflow.base import layout
from lesionflow.base.atomic_write import write_atomically
from lesionflow.base.digests import sha256_file
from lesionflow.base.errors import CardError, CohortError
from lesionflow.cards.brain_mask_card import load_brain_mask_card
from lesionflow.cards.config import check_config
from lesionflow.cards.fold_spec import FoldSpec, fold_specs
from lesionflow.cards.load_card import load_cards
from lesionflow.cohort.header_check import HeaderCache
from lesionflow.cohort.plan import Record, join_references, plan_run, split_references
from lesionflow.networks.weights.availability import check_available, fold_json, is_imported
from lesionflow.results.columns import cohort_columns, model_summary, names

Card = dict[str, Any]


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
    check_column_names(cards)
    return settings, cards, load_brain_mask_card(settings, cards, repository / "config/models")


def check_column_names(cards: Mapping[str, Card]) -> None:
    """Check that the labels of each card give unique column names in cohort.csv.

    Raises
    ------
    CardError
        If two columns would have the same name.
    """
    for model, card in cards.items():
        columns = names(cohort_columns({model: model_summary(card)}))
        if repeated := [column for column in columns if columns.count(column) > 1]:
            raise CardError(
                f"card {model}: output.labels: two columns of the table would be called {repeated[0]}: "
                "rename a label"
            )


def make_plan(
    settings: Mapping[str, Any], cards: Mapping[str, Card], brain: Card | None, code: str
) -> list[str]:
    """Write an import request for each fold, and the plan of the cohort, to the working directory.

    Parameters
    ----------
    settings, cards, brain
        See ``settings_and_cards``.
    code
        Digest of the code that imports folds.

    Returns
    -------
    list of str
        Notes for the user (``plan.plan_run``).

    Raises
    ------
    WeightsError
        If weights are missing.
    CohortError
        If the cohort cannot be listed; the import requests have been written.
    """
    models_dir = Path(settings["models_dir"])
    for card in [*cards.values(), *([brain] if brain else [])]:
        specs = fold_specs(card)
        check_available(specs, models_dir, code)
        _request_imports(specs, models_dir, code)
    headers = HeaderCache(layout.HEADERS)
    plan, notes = plan_run(settings, cards, headers, brain)
    headers.save()
    for path, records in zip((layout.PLAN, layout.REFERENCES), split_references(plan), strict=True):
        _write_if_changed(path, records)
    return notes


def read_plan() -> list[Record]:
    """Read the plan that ``make_plan`` has written.

    Raises
    ------
    CohortError
        If there is no plan.
    """
    if not layout.PLAN.is_file():
        raise CohortError(
            f"{layout.PLAN}: the plan of the cohort is missing: run the snakemake command again"
        )
    records, references = (
        json.loads(path.read_text(encoding="utf-8")) for path in (layout.PLAN, layout.REFERENCES)
    )
    return join_references(records, references)


def _request_imports(specs: Sequence[FoldSpec], models_dir: Path, code: str) -> None:
    """Write the import request of each fold, newer than the imported fold if that differs from it.

    Working directories may share the models directory, but Snakemake records the params of a job per directory.
    """
    for spec in specs:
        path = layout.path(layout.IMPORT_REQUEST, model=spec.name, fold=spec.fold)
        imported = fold_json(spec, models_dir)
        request = {**asdict(spec), "code": code}
        if is_imported(spec, models_dir, code):
            _write_if_changed(path, request)
            os.utime(path, (imported.stat().st_mtime,) * 2)
        else:  # changes the content too, since Snakemake compares content if times are equal
            digest = sha256_file(imported) if imported.is_file() else None
            _write_if_changed(path, {**request, "instead_of": digest})


def _write_if_changed(path: Path, content: Any) -> None:
    """Write JSON unless the file has this content already, so that an unchanged file keeps its mtime."""
    text = json.dumps(content, indent=0)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        with write_atomically(path) as partial:
            partial.write_text(text, encoding="utf-8")
