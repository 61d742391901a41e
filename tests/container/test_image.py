"""The container image, built by buildah and run read-only, without a network, by a user that it does not know.

``make test-container`` runs this (a quarter of an hour). The image that Containerfile names as its base needs a registry;
``LESIONFLOW_BASE_IMAGE`` names another one, and without a registry debootstrap makes one of Debian.
``LESIONFLOW_IMAGE`` names an image that has been built already.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from support.cohorts import add_scan, blobs
from support.paths import REPOSITORY
from support.runs import snakemake

BUILDAH = ["buildah", "--storage-driver", "vfs"]
ENTRYPOINT = "/opt/lesionflow/scripts/tools/container_entrypoint.sh"
TOOLS = ("buildah", "unshare", "chroot")
CAN_BUILD = all(map(shutil.which, TOOLS)) and os.geteuid() == 0

pytestmark = [
    pytest.mark.skipif(
        "LESIONFLOW_TEST_CONTAINER" not in os.environ, reason="make test-container builds the image"
    ),
    pytest.mark.skipif(not CAN_BUILD, reason=f"needs root and {', '.join(TOOLS)}"),
]


def buildah(*arguments):
    """Run buildah; returns what it prints."""
    done = subprocess.run([*BUILDAH, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def debian(folder):
    """A base image of Debian's Python, as the official image of Python is otherwise."""
    packages = "--include=python3,python3-venv,ca-certificates"
    subprocess.run(["debootstrap", "--variant=minbase", packages, "bookworm", folder], check=True)
    container = buildah("from", "scratch")
    buildah("add", container, str(folder), "/")
    buildah("commit", container, "localhost/lesionflow-test-base")
    buildah("rm", container)
    return "localhost/lesionflow-test-base"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The files of the image."""
    image = os.environ.get("LESIONFLOW_IMAGE")
    if not image:
        image = "localhost/lesionflow-test"
        base = os.environ.get("LESIONFLOW_BASE_IMAGE") or debian(tmp_path_factory.mktemp("debian"))
        certificates = "/etc/ssl/certs:/etc/ssl/certs:ro"  # with those of a proxy
        options = ["--isolation", "chroot", "--layers=false", "--volume", certificates]
        arguments = {"BASE": base, "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}
        for name, value in arguments.items():
            options += ["--build-arg", f"{name}={value}"]
        buildah("bud", *options, "--tag", image, str(REPOSITORY))
    container = buildah("from", image)
    yield Path(buildah("mount", container))
    buildah("rm", container)


def run_in(root, work, *command):
    """Run the entry point; returns the status and the output."""
    namespaces = ["unshare", "--mount", "--net", "--pid", "--fork"]
    script = ["sh", str(Path(__file__).with_name("run_read_only.sh")), str(root), str(work)]
    done = subprocess.run(
        [*namespaces, *script, ENTRYPOINT, *command], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_the_image_computes_a_cohort_read_only_offline_for_an_unknown_user(root, tmp_path):
    """The results are those of an installation."""
    add_scan(tmp_path / "in/bids", "sub-01", blobs([(8, 9, 5)], seed=1))
    for name in ("in", "here"):
        (tmp_path / name / "out").mkdir(parents=True)
    for path in (tmp_path, *tmp_path.parents):
        if path.name.startswith("pytest-"):
            path.chmod(0o755)
    for path in [tmp_path / "in", *(tmp_path / "in").rglob("*")]:
        os.chown(path, 1234, 1234)
    status, text = run_in(root, tmp_path / "in", "/mnt/bids", "/mnt/out", "participant")
    assert status == 0, text
    assert "process of its own" not in text
    options = ["--directory", "/mnt/out", "--cores", "2", "--config", "cohort=/mnt/bids"]
    status, text = run_in(root, tmp_path / "in", "snakemake", *options)
    assert "Nothing to be done" in text, text
    status, text = snakemake(tmp_path / "here/out", cohort=tmp_path / "in/bids")
    assert status == 0, text
    tables = [pd.read_csv(tmp_path / name / "out/results/lesions.csv") for name in ("in", "here")]
    pd.testing.assert_frame_equal(*tables, rtol=0, atol=1e-5)
    assert not list((tmp_path / "in").glob("**/~"))  # a home that was not found


def test_the_image_holds_neither_git_nor_tests_nor_development_tools(root):
    repository = root / "opt/lesionflow"
    assert {"Snakefile", "scripts", "uv.lock"} < {path.name for path in repository.iterdir()}
    for name in (".git", "tests", "demo", ".venv/bin/pytest", ".venv/bin/ruff"):
        assert not (repository / name).exists()
