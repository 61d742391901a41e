"""Small weight files, zip files of them, and a card."""

import hashlib
import zipfile

from lesionflow.cards.fold_spec import fold_spec
from lesionflow.networks.weights.locate import (
    checked_digests,
    find_weights,
    unpacked,
)
from support.card_defaults import default

FILES = {"saved_model.pb": b"graph", "variables/variables.index": b"index", "fingerprint.pb": b"f"}


def md5(*contents):
    return hashlib.md5(b"".join(contents)).hexdigest()


FOLDER_MD5 = md5(b"f", b"graph", b"index")  # in the order of the paths, no names


def make_zip(path, entries, method=zipfile.ZIP_DEFLATED):
    """A zip with these entries; returns its SHA-256."""
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_card(path="M/fold_a", md5=FOLDER_MD5, archive="M.zip", sha256=None, fmt="savedmodel"):
    return {
        "name": "toy",
        "version": "1",
        "format": fmt,
        "folder": None,
        "folds": [{"path": path, "md5": md5}],
        "source": {"url": "https://example.org/page", "archive": archive, "sha256": sha256},
        "network": {},
        "input": default("input", shape=[4, 5, 6], channels=["swi"]),
        "output": default("output", labels={1: "cmb"}),
    }


def folded(root="M/fold_a"):
    return {f"{root}/{name}": content for name, content in FILES.items()}


def unpack_first(card, models_dir):
    """Digests of the card's first fold, through the whole way of the import."""
    weights = find_weights(fold_spec(card, 1), models_dir)
    with unpacked(weights, models_dir) as path:
        return checked_digests(fold_spec(card, 1), weights, path)
