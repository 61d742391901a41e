"""Import of published weights: check their hashes, and only then open them."""

from pathlib import Path

from lesionflow.base.digests import sha256_file
from lesionflow.base.errors import WeightsError
from lesionflow.cards.fold_spec import FoldSpec, fold_specs
from lesionflow.cards.model_card import Card
from lesionflow.networks.importing.fold_folder import write_fold
from lesionflow.networks.weights.import_digest import file_digests, import_digest, listed_content
from lesionflow.networks.weights.locate import Weights, checked_digests, find_weights, unpacked


def import_fold(
    spec: FoldSpec,
    weights: Weights,
    folder: Path,
    digest: str,
    threads: int = 0,
    code: str = "",
) -> None:
    """Import one fold into ``folder``, unless another run has imported it meanwhile.

    Parameters
    ----------
    spec
        The fold.
    weights
        Location of its weights.
    folder
        Folder of the imported fold.
    digest
        ``import_digest`` of the fold when the run was planned.
    threads, code
        See ``fold_folder.write_fold``.

    Raises
    ------
    WeightsError
        If the weights are not those of the card, have changed since the run was planned, or cannot be loaded.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    archive_sha256 = spec.source["sha256"]
    if weights.archive and archive_sha256 and sha256_file(weights.archive) != archive_sha256:
        raise WeightsError(
            f"model {spec.name}: {weights.archive} is not the archive that the card describes: its SHA-256 differs"
        )
    with unpacked(weights, folder.parent) as path:
        digests = checked_digests(spec, weights, path)
        if import_digest(spec, listed_content(spec) or file_digests(path), code) != digest:
            raise WeightsError(
                f"model {spec.name}: {weights} has changed since the run began: run the same command again"
            )
        write_fold(spec, path, digests, folder, threads, code)


def import_card(card: Card, models_dir: Path, threads: int = 0) -> list[Path]:
    """Import all folds of a card outside a workflow, and return their folders."""
    folders = []
    for spec in fold_specs(card):
        weights = find_weights(spec, models_dir)
        with unpacked(weights, models_dir) as path:
            digest = import_digest(spec, listed_content(spec) or file_digests(path), "")
        folders.append(models_dir / spec.name / f"fold-{spec.fold}-{digest}")
        import_fold(spec, weights, folders[-1], digest, threads)
    return folders
