"""Weights out of zips that came from elsewhere: looked into with distrust, unpacked with care."""

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from lesionflow.base.errors import WeightsError
from lesionflow.base.safe_path import is_inside


def members(archive: Path, wanted: PurePosixPath) -> list[zipfile.ZipInfo]:
    """Entries of a zip at or under ``wanted``, or else under the only path that ends with its name.

    A zip that cannot be read has none.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            entries = [e for e in file.infolist() if not e.is_dir()]
    except (zipfile.BadZipFile, OSError):
        return []
    paths = [PurePosixPath(e.filename) for e in entries]
    if PurePosixPath("__MACOSX") in {p for path in paths for p in path.parents}:
        kept = [(e, p) for e, p in zip(entries, paths, strict=True) if p.parts[0] != "__MACOSX"]
        entries, paths = [e for e, _ in kept], [p for _, p in kept]
    roots = {p for path in paths for p in (path, *path.parents) if p.name == wanted.name}
    root = wanted if wanted in roots else next(iter(roots)) if len(roots) == 1 else None
    return [e for e, p in zip(entries, paths, strict=True) if root in (p, *p.parents)]


def checked_members(archive: Path, wanted: PurePosixPath) -> list[zipfile.ZipInfo]:
    """Entries of a zip that make up ``wanted``, once no entry of it is found to be unsafe.

    Raises
    ------
    WeightsError
        If the zip does not hold them or is damaged, or has an entry whose path leaves the folder or
        which is a link.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            entries = file.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise WeightsError(
            f"{archive}: is not a whole zip file ({error}); download it again"
        ) from error
    for entry in entries:
        name = entry.orig_filename  # zipfile cleans ``filename``: judge what is written
        if not is_inside(name):
            raise WeightsError(
                f"{archive}: entry {name!r} leaves the folder that it is unpacked to: refused"
            )
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise WeightsError(f"{archive}: entry {name!r} is a link: refused")
    found = members(archive, wanted)
    if not found:
        names = sorted({e.filename for e in entries})
        raise WeightsError(
            f"{archive}: {wanted} is not in it; it holds {len(names)} entries, the first {names[:3]}"
        )
    return found


def extract(archive: Path, entries: list[zipfile.ZipInfo], folder: Path) -> None:
    """Unpack entries that ``checked_members`` let pass, under their own paths in ``folder``.

    Raises
    ------
    WeightsError
        If one is encrypted or damaged, or the disk has no room for them.
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
