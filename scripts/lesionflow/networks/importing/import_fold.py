"""From weights as they were published to a fold that predicts: found, checked, and only then opened."""

from pathlib import Path

from lesionflow.cards.fold_spec import import_part
from lesionflow.cards.model_card import Card
from lesionflow.networks.importing.fold_folder import write_fold
from lesionflow.networks.weights.locate import checked_digests, find_weights, unpacked


def import_fold(card: Card, fold: int, folder: Path, threads: int = 0, code: str = "") -> None:
    """Import one fold of a card, or of its ``import_part``, into ``MODELS_DIR/NAME/fold-K``.

    Raises
    ------
    weights.WeightsError
        If the weights are missing, are others than the card says, or cannot be loaded.
    """
    models_dir = folder.parents[1]
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = import_part(card, fold)
    weights = find_weights(part, fold, models_dir)
    with unpacked(weights, folder.parent) as path:
        digests = checked_digests(part, fold, weights, path)
        write_fold(part, path, digests, folder, threads, code)


def import_card(card: Card, models_dir: Path, threads: int = 0) -> list[Path]:
    """Import all folds of a card, for a program that is no job; their folders."""
    folders = [models_dir / card["name"] / f"fold-{n}" for n in range(1, len(card["folds"]) + 1)]
    for number, folder in enumerate(folders, start=1):
        import_fold(card, number, folder, threads)
    return folders
