"""Cohorts whose scans have two versions, undisturbed runs on them, and copies to disturb."""

import shutil
import time

from faults.calls import Call
from faults.outcomes import differences, results
from support.cohorts import AFFINE, add_scan, blobs
from support.volumes import save_scan

VERSIONS = {  # lesions of each scan in its versions a and b
    "sub-01_ses-1": {"a": [(8, 9, 5), (20, 22, 9)], "b": [(10, 12, 6)]},
    "sub-01_ses-2": {"a": [(8, 9, 5)], "b": [(9, 20, 5), (20, 10, 8)]},
    "sub-02": {"a": [], "b": [(15, 15, 7)]},
}
SCANS = tuple(VERSIONS)
UNCOMPRESSED = "sub-02"  # its file has the same size in both versions


def scan_path(cohort, scan):
    """The image file of a scan."""
    suffix = "nii" if scan == UNCOMPRESSED else "nii.gz"
    return cohort.joinpath(*scan.split("_"), "anat", f"{scan}_swi.{suffix}")


def write_scan(cohort, scan, version="a"):
    """Write a scan in one of its versions; returns its path."""
    places = VERSIONS[scan][version]
    data = blobs(places, seed=SCANS.index(scan) + 1)
    path = add_scan(cohort, scan, data)
    if scan == UNCOMPRESSED:
        path.unlink()
        path = save_scan(path.with_suffix(""), data, AFFINE)
    return path


def write_cohort(cohort, changed=(), scans=SCANS):
    """Write a cohort; the scans ``changed`` are in version b."""
    for scan in scans:
        write_scan(cohort, scan, "b" if scan in changed else "a")
    return cohort


class World:
    """A card, a folder of imported folds, and the undisturbed runs with them."""

    def __init__(self, root, card, models_dir):
        self.root, self.card, self.models_dir = root, card, models_dir
        self.runs = {}  # directory, results and seconds of each undisturbed run

    def call(self, directory, *args, before=(), env=None, **config):
        """Start the workflow in ``directory``."""
        config = {"models": self.card, "models_dir": self.models_dir, **config}
        return Call(directory, *args, before=before, env=env, **config)

    def run(self, directory, *args, **options):
        """Run the workflow in ``directory`` to its end."""
        return self.call(directory, *args, **options).wait()

    def undisturbed(self, key="", write=None, **config):
        """Directory, results and seconds of an undisturbed run, made once for each ``key``.

        ``write(folder)`` writes its cohort; by default, the scans named in ``key`` are in version b.
        """
        if key not in self.runs:
            directory = self.root / f"undisturbed-{len(self.runs)}"
            if write is None:
                write_cohort(directory / "bids", key)
            else:
                write(directory / "bids")
            start = time.monotonic()
            outcome = self.run(directory, **config)
            assert outcome.status == 0, outcome.tail
            self.runs[key] = directory, results(directory), time.monotonic() - start
        return self.runs[key]

    def seconds(self):
        """How long an undisturbed run with imported folds takes."""
        self.undisturbed()  # imports the folds, if no test has done so
        return self.undisturbed(SCANS)[2]

    def recovered(self, directory, disturbed, key="", **config):
        """Check that one more call gives the results of the undisturbed run; returns that call's outcome.

        ``disturbed`` is the outcome of the disturbed call, None if the fault happened between calls.
        A call that ends well must have left these results already.
        """
        expected = self.undisturbed(key)[1] if isinstance(key, (str, tuple)) else key
        if disturbed is not None and disturbed.status == 0:
            wrong = differences(directory, expected)
            assert not wrong, f"the disturbed call ended well, but {wrong}\n{disturbed.tail}"
        again = self.run(directory, **config)
        print(f"one more call ended with {again.status}")
        wrong = differences(directory, expected)
        assert again.status == 0, f"one more call failed; {again.tail}\nwrong: {wrong}"
        assert not wrong, f"{wrong}\n{again.tail}"
        return again


def copied(directory, target):
    """A copy of a working directory with its times."""
    return shutil.copytree(directory, target, symlinks=True)
