"""Damage to files."""

import os
import re

DAMAGES = ("deleted", "halved", "emptied", "overwritten", "flipped")
SCAN_NAME = re.compile(r"^sub-[A-Za-z0-9]+(_ses-[A-Za-z0-9]+)?")


def kind(name):
    """A kept file's kind: its name without that of its scan, or its path if it belongs to no scan."""
    *_, last = name.split("/")
    return SCAN_NAME.sub("SCAN", last) if SCAN_NAME.match(last) else name


def scan_of(name):
    """The scan of a kept file, or None."""
    match = SCAN_NAME.match(name.split("/")[-1])
    return match[0] if match else None


def damage(path, how, rng, keep_mtime):
    """Damage a file in one of the ways ``DAMAGES``; its new content has the old mtime if ``keep_mtime``."""
    before, old = path.stat(), path.read_bytes()
    if how == "deleted":
        path.unlink()
        return
    new = {
        "halved": lambda: old[: len(old) // 2],
        "emptied": lambda: b"",
        "overwritten": lambda: other_bytes(old, rng),
        "flipped": lambda: flipped(old, rng),
    }[how]()
    path.write_bytes(new)
    if keep_mtime:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def other_bytes(old, rng):
    """Random bytes of the same number."""
    return rng.randbytes(len(old))


def flipped(old, rng):
    """The same bytes, one bit of which is flipped; an empty file gets a byte."""
    if not old:
        return b"\1"
    place = rng.randrange(len(old))
    return old[:place] + bytes([old[place] ^ 1 << rng.randrange(8)]) + old[place + 1 :]
