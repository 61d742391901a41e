"""Import of published weights: locate them, check their hashes, and only then open them."""

from pathlib import Path

from lesionflow.cards.fold_spec import FoldSpec, fold_specs
from lesionflow.cards.model_card import Card
from lesionflow.networks.importing.fold_folder import write_fold
from lesionflow.networks.weights.locate import checked_digests, find_weights, unpacked


def import_fold(spec: FoldSpec, folder: Path, threads: int = 0, code: str = "") -> None:
    """Import one fold into ``folder``, which is ``MODELS_DIR/NAME/fold-K``.

    Parameters
    ----------
    threads, code
        See ``fold_folder.write_fold``.

    Raises
    ------
    WeightsError
        If the weights are missing, are not those of the card, or cannot be loaded.
    """
    models_dir = folder.parents[1]
    folder.parent.mkdir(parents=True, exist_ok=True)
    weights = find_weights(spec, models_dir)
    with unpacked(weights, folder.parent) as path:
        digests = checked_digests(spec, weights, path)
        write_fold(spec, path, digests, folder, threads, code)


def import_card(card: Card, models_dir: Path, threads: int = 0) -> list[Path]:
    """Import all folds of a card outside a workflow, and return their folders."""
    folders = []
    for spec in fold_specs(card):
        folders.append(models_dir / spec.name / f"fold-{spec.fold}")
        import_fold(spec, folders[-1], threads)
    return folders
