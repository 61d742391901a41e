"""What a run is of, before its first job: its settings, its cards and the plan of its cohort.

The Snakemake that the user starts makes all three and leaves the plan in the working directory; those that it has
started elsewhere, for a cluster's jobs, read it there and do not list the cohort again.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lesionflow.base import layout
from lesionflow.base.atomic_write import whole
from lesionflow.base.digests import sha256_file
from lesionflow.base.errors import CardError, CohortError
from lesionflow.cards.brain_mask_card import load_brain_mask_card
from lesionflow.cards.config import check_config
from lesionflow.cards.fold_spec import FoldSpec, fold_specs
from lesionflow.cards.load_card import load_cards
from lesionflow.cohort.header_check import HeaderCache
from lesionflow.cohort.plan import Record, join_references, plan_run, split_references
from lesionflow.networks.weights.locate import check_available, is_imported
from lesionflow.results.columns import cohort_columns, model_summary, names

Card = dict[str, Any]


def settings_and_cards(
    config: Mapping[str, Any], house: Path
) -> tuple[dict[str, Any], dict[str, Card], Card | None]:
    """The user's settings, the models' cards by name, and the card of the brain mask if one is computed.

    Raises
    ------
    ConfigError, CardError
        If a setting or a card is wrong; the message says which, and what is allowed.
    """
    settings = check_config(config)
    cards = load_cards(settings, house / "config/models")
    check_column_names(cards)
    return settings, cards, load_brain_mask_card(settings, cards, house / "config/models")


def check_column_names(cards: Mapping[str, Card]) -> None:
    """Check that the labels of each card give the columns of cohort.csv different names.

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
) -> None:
    """Leave in the working directory what each import should be, and the plan of the cohort.

    Parameters
    ----------
    settings, cards, brain
        See ``settings_and_cards``.
    code
        Mark of what imports folds.

    Raises
    ------
    ValueError
        If weights are missing, or the cohort cannot be listed (``CohortError``: the rest is there).
    """
    models_dir = Path(settings["models_dir"])
    for card in [*cards.values(), *([brain] if brain else [])]:
        specs = fold_specs(card)
        check_available(specs, models_dir, code)
        _wish(specs, models_dir, code)
    headers = HeaderCache(layout.HEADERS)
    plan = plan_run(settings, cards, headers, brain)
    headers.save()
    for path, part in zip((layout.PLAN, layout.REFERENCES), split_references(plan), strict=True):
        _keep(path, part)


def read_plan() -> list[Record]:
    """The plan that ``make_plan`` has left in the working directory.

    Raises
    ------
    CohortError
        If there is none.
    """
    if not layout.PLAN.is_file():
        raise CohortError("there is no plan of a cohort")
    plain, truths = (
        json.loads(path.read_text(encoding="utf-8")) for path in (layout.PLAN, layout.REFERENCES)
    )
    return join_references(plain, truths)


def _wish(specs: Sequence[FoldSpec], models_dir: Path, code: str) -> None:
    """Write what each import of a card should be; newer than a fold that is not that.

    Other working directories may share the models' folder, and Snakemake remembers params by directory.
    """
    for spec in specs:
        names: dict[str, Any] = {"model": spec.name, "fold": spec.fold}
        path = layout.path(layout.IMPORT_REQUEST, **names)
        there = models_dir / layout.path(layout.IMPORTED_FOLD, **names)
        wish = {**asdict(spec), "code": code}
        if is_imported(spec, models_dir, code):
            _keep(path, wish)
            os.utime(path, (there.stat().st_mtime,) * 2)
        else:  # content that is new as well: Snakemake compares it where the time is
            other = sha256_file(there) if there.is_file() else None
            _keep(path, {**wish, "instead_of": other})


def _keep(path: Path, plan: Any) -> None:
    """Write a plan, if it is not there yet: what is the same keeps its time."""
    text = json.dumps(plan, indent=0)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        with whole(path) as partial:
            partial.write_text(text, encoding="utf-8")
