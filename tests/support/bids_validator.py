"""The official BIDS validator. Its package brings the schema, so that it needs no network."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

VALIDATOR = Path(sys.executable).with_name("bids-validator-deno")


def bids_issues(dataset):
    """What the validator finds in a dataset: severity, code, key of the metadata, and file, sorted."""
    with tempfile.TemporaryDirectory() as cache:  # instead of a folder in the user's home
        done = subprocess.run(
            [VALIDATOR, "--format", "json", "--max-rows", "-1", dataset],
            capture_output=True,
            check=False,
            env={**os.environ, "DENO_DIR": cache, "DENO_NO_UPDATE_CHECK": "1"},
        )
    report = json.loads(done.stdout)
    assert report["summary"]["totalFiles"] > 0
    return sorted(
        (issue["severity"], issue["code"], issue.get("subCode", ""), issue.get("location", ""))
        for issue in report["issues"]["issues"]
    )


def bids_errors(dataset):
    """The errors among ``bids_issues``."""
    return [issue for issue in bids_issues(dataset) if issue[0] == "error"]
