"""Locate, hash and unpack the published weights of a fold."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lesionflow.base.digests import sha256_file
from lesionflow.base.errors import WeightsError
from lesionflow.base.leftovers import temporary_folder
from lesionflow.cards.fold_spec import FoldSpec
from lesionflow.networks.imported_fold import FOLD_JSON
from lesionflow.networks.weights.archives import checked_members, extract, members

FOLDER_FORMATS = ("savedmodel", "livianet-npy")  # a fold of these formats is a folder


@dataclass(frozen=True)
class Weights:
    """Location of a fold's weights: a file or folder, on disk or in a zip file."""

    path: Path
    archive: Path | None = None  # then ``path`` is inside it

    @classmethod
    def at(cls, location: str, spec: Mapping[str, Any]) -> "Weights":
        """The weights of a fold in a file, folder or zip file; ``spec`` has the fields of a ``FoldSpec``."""
        path = Path(location)
        if spec["source"]["archive"] and path.suffix == ".zip":
            return cls(Path(spec["weights"]["path"]), path)
        return cls(path)

    def __str__(self) -> str:
        return f"{self.archive}: {self.path}" if self.archive else str(self.path)


def content_digest(path: Path, algorithm: str) -> str:
    """Hash of a file, or of a folder's contents.

    The hash of a folder is one hash over the contents of all its files, at any depth, in the order of their
    paths (compared part by part); names are not hashed. SHiVAi's ``model_info.json`` has the MD5 of a
    SavedModel computed in this way.

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


def find_weights(
    spec: FoldSpec, models_dir: Path, sha256: Callable[[Path], str] = sha256_file
) -> Weights:
    """Locate the weights of a fold.

    Without an archive they lie beside the card. With one, they may be unpacked, under the card's path or its
    last part, in ``MODELS_DIR/CARD``, in ``MODELS_DIR`` or beside a ``model_info.json``; or in a zip file in
    ``MODELS_DIR``: the one of the card's name or hash, or any that holds the fold if the card has no hash of the
    archive.

    Parameters
    ----------
    spec
        The fold.
    models_dir
        Folder of weights.
    sha256
        Returns the SHA-256 of a zip file, which is compared with the card's.

    Raises
    ------
    WeightsError
        If they are nowhere, or the zip file is not the one that the card describes.
    """
    path_in_source, source = PurePosixPath(spec.weights["path"]), spec.source
    if not source["archive"]:
        path = Path(spec.folder or "", path_in_source)
        if not path.exists():
            raise WeightsError(
                f"model {spec.name}: fold {spec.fold} is missing: {path} does not exist"
            )
        return Weights(path)
    # Without an MD5, only the hash of the zip file can identify the weights.
    if spec.weights["md5"] or not source["sha256"]:
        roots = [models_dir / spec.name, models_dir]
        roots += [Path(spec.folder), Path(spec.folder).parent] if spec.folder else []
        for path in (
            root / name for root in roots for name in (path_in_source, path_in_source.name)
        ):
            imported = path.is_dir() and (path / FOLD_JSON).exists()
            if path.exists() and not imported:  # the folder of an import is not a source
                return Weights(path)
    zips = sorted(models_dir.glob("*.zip"), key=lambda p: (p.name != source["archive"], p.name))
    wrong = ""
    for archive in zips:
        holds = archive.name == source["archive"] or bool(members(archive, path_in_source))
        if source["sha256"] and (digest := sha256(archive)) != source["sha256"]:
            if holds and not wrong:
                wrong = (
                    f"{archive}: its SHA-256 is {digest}, but the card expects {source['sha256']}"
                )
            continue
        if holds or source["sha256"]:
            return Weights(Path(path_in_source), archive)
    if wrong:
        raise WeightsError(f"model {spec.name}: {wrong}; download it again from {source['url']}")
    alternative = "" if source["sha256"] else f", or {path_in_source.name} itself,"
    raise WeightsError(
        f"model {spec.name}: the weights of fold {spec.fold} are missing: download the zip file from "
        f"{source['url'] or 'where its authors publish it'} and put it as {source['archive']}{alternative} into "
        f"{models_dir.absolute()} (lesionflow looked for {path_in_source})"
    )


@contextmanager
def unpacked(weights: Weights, folder: Path) -> Iterator[Path]:
    """The weights as a file or folder on disk; those in a zip file are unpacked for the duration of the block.

    Parameters
    ----------
    weights
        From ``find_weights``.
    folder
        Where to create the temporary folder; its disk needs room for the weights.

    Raises
    ------
    WeightsError
        If the zip file does not hold them, is damaged or encrypted, or has an entry that is a link or
        whose path points outside the folder.
    """
    if weights.archive is None:
        yield weights.path
        return
    entries = checked_members(weights.archive, PurePosixPath(weights.path.as_posix()))
    with temporary_folder(folder, "unpacked") as temporary:
        extract(weights.archive, entries, temporary)
        paths = [p for p in temporary.rglob("*") if p.name == weights.path.name]
        yield min(paths, key=lambda p: len(p.parts))


def checked_digests(spec: FoldSpec, weights: Weights, path: Path) -> dict[str, str]:
    """MD5 and SHA-256 of a fold's weights, after comparing the MD5 with the card's.

    Parameters
    ----------
    spec
        The fold.
    weights
        Their location, for messages.
    path
        Where they are on disk (see ``unpacked``).

    Raises
    ------
    WeightsError
        If the card has another MD5, or there is a folder instead of a file or a file instead of a folder.
    """
    if path.is_dir() != (spec.format in FOLDER_FORMATS):
        kind = "folder" if spec.format in FOLDER_FORMATS else "file"
        raise WeightsError(f"model {spec.name}: {weights} is not a {kind}, as {spec.format} needs")
    md5, expected = content_digest(path, "md5"), spec.weights["md5"]
    if expected is not None and md5 != expected:
        raise WeightsError(
            f"model {spec.name}: fold {spec.fold} is not the published one: {weights} has the MD5 {md5}, "
            f"but the card expects {expected}"
        )
    return {"md5": md5, "sha256": content_digest(path, "sha256")}
