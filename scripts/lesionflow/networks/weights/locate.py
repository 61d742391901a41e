"""Where a fold's weights are, and whether they are the right ones: found, hashed, unpacked."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from lesionflow.base.digests import sha256_file
from lesionflow.base.errors import WeightsError
from lesionflow.cards.fold_spec import SAID, import_part
from lesionflow.networks.weights.archives import checked_members, extract, members

FOLDERS = ("savedmodel", "livianet-npy")  # formats of which a fold is a folder


@dataclass(frozen=True)
class Weights:
    """Where a fold's weights are: a file or folder, or so many members of a zip."""

    path: Path
    archive: Path | None = None  # then ``path`` is inside of it

    def __str__(self) -> str:
        return f"{self.archive}: {self.path}" if self.archive else str(self.path)


def content_digest(path: Path, algorithm: str) -> str:
    """Hash of a file, or of a folder's contents.

    A folder's is one hash over the contents of all its files, at any depth, in the order of their
    paths (compared part by part); names are not hashed. With MD5 that is how SHiVAi's
    ``model_info.json`` describes a SavedModel.

    Parameters
    ----------
    path
        File or folder.
    algorithm
        ``md5`` or ``sha256``.
    """
    digest = hashlib.new(algorithm, usedforsecurity=False)
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def check_available(card: Mapping[str, Any], models_dir: Path, code: str = "") -> None:
    """Look, before any job, whether every fold is imported or its weights are there.

    Cheap: names and the listings of zips only. Hashes are for the import. ``code`` is the mark of
    the import's code: a fold that other code imported will be imported again, from its weights.

    Raises
    ------
    WeightsError
        If a fold is missing; the message says where to get it and where to put it.
    """
    for fold in range(1, len(card["folds"]) + 1):
        if not (card["source"]["archive"] and is_imported(card, fold, models_dir, code)):
            find_weights(card, fold, models_dir, hashing=False)


def is_imported(card: Mapping[str, Any], fold: int, models_dir: Path, code: str = "") -> bool:
    """Whether the fold's folder holds an import of just these weights, as its ``fold.json`` says."""
    part = import_part(card, fold)
    try:
        text = (models_dir / part["name"] / f"fold-{fold}" / "fold.json").read_text(
            encoding="utf-8"
        )
        facts = json.loads(text)
        md5 = part["weights"]["md5"] or mark(part, fold, models_dir)
        return (
            facts["weights"] == part["weights"]["path"]
            and md5 in (None, facts["md5"])
            and all(facts[key] == part[key] for key in SAID)
            and code in ("", facts["code"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def fold_files(card: Mapping[str, Any], fold: int) -> list[Path]:
    """Files beside the card that make up a fold: the inputs of its import.

    Weights from an archive give none: their hash in the card stands for them, and the archive may
    go once they are imported.
    """
    part = import_part(card, fold)
    if part["source"]["archive"]:
        return []
    path = Path(part["folder"], part["weights"]["path"])
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def find_weights(
    card: Mapping[str, Any], fold: int, models_dir: Path, hashing: bool = True
) -> Weights:
    """Where a fold's weights are.

    Without an archive they lie beside the card. With one: unpacked, under the card's path or its
    last part, in ``MODELS_DIR/CARD``, in ``MODELS_DIR`` or beside a ``model_info.json``; or in a zip in
    ``MODELS_DIR``: the one of the card's name or hash, or any that holds the fold where the card has
    no hash of the archive.

    Parameters
    ----------
    card
        A card, or its ``model_card.import_part``.
    fold
        From 1.
    models_dir
        Folder of weights.
    hashing
        Whether to hold a zip against the card's SHA-256.

    Raises
    ------
    WeightsError
        If they are nowhere, or the zip is not the one that the card describes.
    """
    part = import_part(card, fold)
    wanted, source = PurePosixPath(part["weights"]["path"]), part["source"]
    if not source["archive"]:
        path = Path(part["folder"], wanted)
        if not path.exists():
            raise WeightsError(
                f"model {part['name']}: fold {fold} is missing: {path} does not exist"
            )
        return Weights(path)
    if (
        part["weights"]["md5"] or not source["sha256"]
    ):  # else only the zip's hash can vouch for them
        roots = [models_dir / part["name"], models_dir]
        roots += [Path(part["folder"]), Path(part["folder"]).parent] if part["folder"] else []
        for path in (root / name for root in roots for name in (wanted, wanted.name)):
            imported = path.parent == roots[0] and re.fullmatch(r"fold-[0-9]+", path.name)
            if path.exists() and not imported:  # an import's own folder is no source
                return Weights(path)
    zips = sorted(models_dir.glob("*.zip"), key=lambda p: (p.name != source["archive"], p.name))
    wrong = ""
    for archive in zips:
        holds = archive.name == source["archive"] or bool(members(archive, wanted))
        if hashing and source["sha256"] and (found := sha256_file(archive)) != source["sha256"]:
            if holds and not wrong:
                wrong = (
                    f"{archive}: its SHA-256 is {found}, but the card expects {source['sha256']}"
                )
            continue
        if holds or (hashing and source["sha256"]):
            return Weights(Path(wanted), archive)
    if wrong:
        raise WeightsError(f"model {part['name']}: {wrong}; download it again from {source['url']}")
    itself = "" if source["sha256"] else f", or {wanted.name} itself,"
    raise WeightsError(
        f"model {part['name']}: the weights of fold {fold} are missing: download the zip from "
        f"{source['url'] or 'where its authors publish it'} and put it as {source['archive']}{itself} into "
        f"{models_dir.absolute()} ({wanted} was looked for)"
    )


def mark(card: Mapping[str, Any], fold: int, models_dir: Path) -> str | None:
    """MD5 of a fold's weights in ``models_dir`` where the card has none, so that other ones are imported.

    That of the import where the weights are gone; None where the card's own hash, or Snakemake's eye on
    the files beside the card, does the same.
    """
    part = import_part(card, fold)
    if part["weights"]["md5"] or part["source"]["sha256"] or not part["source"]["archive"]:
        return None
    try:
        weights = find_weights(part, fold, models_dir, hashing=False)
        if weights.archive is None:
            return content_digest(weights.path, "md5")
        with unpacked(weights, models_dir) as path:
            return content_digest(path, "md5")
    except WeightsError:  # none, or damaged: then the import will say so, if there is to be one
        folder = models_dir / part["name"] / f"fold-{fold}"
        try:
            return json.loads((folder / "fold.json").read_text(encoding="utf-8"))["md5"]
        except (OSError, ValueError, KeyError):
            return None


@contextmanager
def unpacked(weights: Weights, folder: Path) -> Iterator[Path]:
    """The weights as a file or folder on disk; from a zip, unpacked for as long as the block lasts.

    Parameters
    ----------
    weights
        Of ``find_weights``.
    folder
        Where to make the temporary folder, on a disk with room for it.

    Raises
    ------
    WeightsError
        If the zip does not hold them, is damaged or encrypted, or has an entry whose path leaves
        the folder or which is a link.
    """
    if weights.archive is None:
        yield weights.path
        return
    entries = checked_members(weights.archive, PurePosixPath(weights.path.as_posix()))
    with TemporaryDirectory(prefix=".unpacked-", dir=folder) as temporary:
        extract(weights.archive, entries, Path(temporary))
        found = [p for p in Path(temporary).rglob("*") if p.name == weights.path.name]
        yield min(found, key=lambda p: len(p.parts))


def checked_digests(
    card: Mapping[str, Any], fold: int, weights: Weights, path: Path
) -> dict[str, str]:
    """MD5 and SHA-256 of a fold's weights, the MD5 held against the card's.

    Parameters
    ----------
    card, fold
        As for ``find_weights``.
    weights
        What they are called in messages.
    path
        Where they are on disk (see ``unpacked``).

    Raises
    ------
    WeightsError
        If the card's MD5 is another one, or there is a folder where the format has a file.
    """
    part = import_part(card, fold)
    if path.is_dir() != (part["format"] in FOLDERS):
        wanted = "folder" if part["format"] in FOLDERS else "file"
        raise WeightsError(
            f"model {part['name']}: {weights} is no {wanted}, as {part['format']} needs"
        )
    found, expected = content_digest(path, "md5"), part["weights"]["md5"]
    if expected is not None and found != expected:
        raise WeightsError(
            f"model {part['name']}: fold {fold} is not the published one: {weights} has the MD5 {found}, "
            f"but the card expects {expected}"
        )
    return {"md5": found, "sha256": content_digest(path, "sha256")}
