"""List and unpack the weights in a zip file, which is not trusted."""

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from lesionflow.base.errors import WeightsError
from lesionflow.base.safe_path import is_inside


def members(archive: Path, path: PurePosixPath) -> list[zipfile.ZipInfo]:
    """Entries of a zip file at or under ``path``; if there are none, under the only path that ends with its name.

    The list is empty if the zip file cannot be read.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            entries = [e for e in file.infolist() if not e.is_dir()]
    except (zipfile.BadZipFile, OSError):
        return []
    paths = [PurePosixPath(e.filename) for e in entries]
    if PurePosixPath("__MACOSX") in {p for entry_path in paths for p in entry_path.parents}:
        kept = [(e, p) for e, p in zip(entries, paths, strict=True) if p.parts[0] != "__MACOSX"]
        entries, paths = [e for e, _ in kept], [p for _, p in kept]
    roots = {
        p for entry_path in paths for p in (entry_path, *entry_path.parents) if p.name == path.name
    }
    root = path if path in roots else next(iter(roots)) if len(roots) == 1 else None
    return [e for e, p in zip(entries, paths, strict=True) if root in (p, *p.parents)]


def checked_members(archive: Path, path: PurePosixPath) -> list[zipfile.ZipInfo]:
    """``members`` of a zip file, after checking that none of its entries is unsafe.

    Raises
    ------
    WeightsError
        If the zip file does not hold them or is damaged, or has an entry that is a link or whose path
        points outside the folder.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            entries = file.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise WeightsError(
            f"{archive}: is not a complete zip file ({error}); download it again"
        ) from error
    for entry in entries:
        name = entry.orig_filename  # check the stored name: zipfile sanitizes ``filename``
        if not is_inside(name):
            raise WeightsError(
                f"{archive}: entry {name!r} leaves the folder that it is unpacked to: refused"
            )
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise WeightsError(f"{archive}: entry {name!r} is a link: refused")
    selected = members(archive, path)
    if not selected:
        names = sorted({e.filename for e in entries})
        raise WeightsError(
            f"{archive}: {path} is not in it; it holds {len(names)} entries, the first {names[:3]}"
        )
    return selected


def extract(archive: Path, entries: list[zipfile.ZipInfo], folder: Path) -> None:
    """Unpack entries from ``checked_members`` into ``folder``, under their own paths.

    Raises
    ------
    WeightsError
        If an entry is encrypted or damaged, or the disk does not have enough space.
    """
    needed, free = sum(e.file_size for e in entries), shutil.disk_usage(folder).free
    if needed > free:
        raise WeightsError(f"{archive}: unpacking takes {needed} bytes, {folder} has {free} free")
    with zipfile.ZipFile(archive) as file:
        for entry in entries:
            if entry.flag_bits & 1:
                raise WeightsError(
                    f"{archive}: {entry.filename} is encrypted; unpack it into {folder.parent}"
                )
            target = folder.joinpath(*PurePosixPath(entry.filename).parts)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with file.open(entry) as packed, target.open("wb") as plain:
                    shutil.copyfileobj(packed, plain, 1 << 20)
            except (
                zipfile.BadZipFile,
                zlib.error,
                EOFError,
                OSError,
                NotImplementedError,
            ) as error:
                raise WeightsError(
                    f"{archive}: {entry.filename} cannot be unpacked ({error}); download it again"
                ) from error
