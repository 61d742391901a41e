"""BIDS URIs of the files from which results are made: what the metadata Sources and SpatialReference name.

A URI is relative to a dataset: to that of the model's results, to the cohort, or to the folder of imported networks. So it is
the same wherever these lie; only ``DatasetLinks`` of dataset_description.json says where they lay.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True)
class Datasets:
    """The folders that BIDS URIs are relative to.

    Attributes
    ----------
    results
        The dataset of the model.
    models
        Folder of imported networks, ``models`` in a URI.
    cohort
        The directory of the cohort, or the folder of the scan table, ``raw`` in a URI.
    """

    results: Path
    models: Path
    cohort: Path

    @cached_property
    def _roots(self) -> list[tuple[str, str]]:
        """Names of the folders in URIs, and the beginnings of paths in them."""
        folders = {"": self.results, "models": self.models, "raw": self.cohort}
        return [(name, _absolute(path) + os.sep) for name, path in folders.items()]

    def uri(self, path: str | Path) -> str | None:
        """BIDS URI of a file, with percent-encoded characters; None if it lies in none of the folders."""
        absolute = _absolute(path)
        for name, root in self._roots:
            if absolute.startswith(root):
                return f"bids:{name}:{_quoted(absolute.removeprefix(root))}"
        return None

    def uris(self, paths: Iterable[str | Path]) -> list[str]:
        """BIDS URIs of files, each once; files that lie in none of the folders are left out."""
        uris = map(self.uri, paths)
        return list(dict.fromkeys(uri for uri in uris if uri))

    def links(self) -> dict[str, str]:
        """``DatasetLinks`` of dataset_description.json: where the other two folders lie, relative to the dataset."""
        dataset = self.results.resolve()
        return {
            name: _quoted(os.path.relpath(folder.resolve(), dataset))
            for name, folder in (("raw", self.cohort), ("models", self.models))
        }

    def metadata(self, sources: Iterable[str | Path], reference: str | Path) -> dict[str, Any]:
        """Metadata of an image that is aligned with a scan.

        Parameters
        ----------
        sources
            Paths of the files of which the image was made.
        reference
            Path of the scan: positions in world space are the same in both.

        Returns
        -------
        dict
            ``Sources``, and ``SpatialReference``: ``orig``, the scan's own space, if the scan has no URI.
        """
        return {
            "SpatialReference": self.uri(reference) or "orig",
            "Sources": self.uris(sources),
        }


def cohort_folder(settings: Mapping[str, Any]) -> Path:
    """The folder that paths of a cohort are relative to: its directory (of DICOM or not), or that of the scan table."""
    cohort = settings["dicom"] or settings["cohort"]
    return Path(cohort) if Path(cohort).is_dir() else Path(cohort).parent


def label_map(labels: Mapping[int, str], background: int) -> dict[str, Any]:
    """``LabelMap``: the names of the channels of probabilities, of which the first ``background`` are no label."""
    return {"LabelMap": ["background"] * background + list(labels.values())}


def _absolute(path: str | Path) -> str:
    """Absolute path, with symbolic links as they are: a link in the cohort may point to another disk."""
    return os.path.normpath(Path(path).absolute())


def _quoted(path: str) -> str:
    return quote(os.fsencode(path))
