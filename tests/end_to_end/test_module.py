"""The workflow as a module of another Snakefile, from a folder and from git, and deployed by snakedeploy."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.cohorts import add_scan, blobs
from support.paths import REPOSITORY
from support.runs import jobs

pytestmark = pytest.mark.slow

USE = "use rule * from lesionflow as lesionflow_*\n"
ALL = """
rule all:
    default_target: True
    input: rules.lesionflow_aggregate.output.cohort, rules.lesionflow_report.output.page
    output: "summary.txt"
    shell: "wc -l < {input[0]} > {output}"

onstart: print("the other workflow began")
onsuccess: print("the other workflow succeeded")
onerror: print("the other workflow failed")
"""


def call(directory, *arguments, **environment):
    """Run Snakemake on the Snakefile of a directory; returns (exit status, stdout and stderr)."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        env={**os.environ, **environment},
    )
    return done.returncode, done.stdout + done.stderr


def write_snakefile(directory, tiny, models_dir, snakefile, rest=USE + ALL, prefix="microbleeds"):
    config = {"models": str(tiny), "models_dir": str(models_dir)}
    (directory / "Snakefile").write_text(
        f"module lesionflow:\n    snakefile: {snakefile}\n    config: {config}\n"
        + (f"    prefix: {prefix!r}\n" if prefix else "")
        + f"\n{rest}"
    )


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """A git repository of the workflow as it is now, at the address of a repository on GitHub; and the environment."""
    home = tmp_path_factory.mktemp("git")
    repository = home / "lesions/lesionflow"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if not name.startswith("tests/") and (REPOSITORY / name).is_file():
            (repository / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, repository / name)
    git = ["git", "-C", repository, "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "init", "-q", "-b", "main", repository], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "now"], check=True)
    (home / "gitconfig").write_text(
        f'[url "file://{home}/"]\n    insteadOf = https://github.com/\n[safe]\n    directory = *\n'
    )
    return repository, {
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "XDG_CACHE_HOME": str(home / "cache"),
    }


def test_a_module_with_a_prefix_gives_the_same_tables(finished, tmp_path, tiny, models_dir):
    shutil.copytree(finished / "bids", tmp_path / "bids")
    write_snakefile(tmp_path, tiny, models_dir, repr(str(REPOSITORY / "Snakefile")))
    status, text = call(tmp_path, "--dry-run")
    assert status == 0, text
    assert jobs(text)["lesionflow_predict_fold"] == 9
    assert "began" not in text

    status, text = call(tmp_path)
    assert status == 0, text
    assert text.count("the other workflow began") == text.count("workflow succeeded") == 1
    assert text.count("3 of 3 scans ok") == 1
    ours = tmp_path / "microbleeds/results"
    for table in ("cohort.csv", "lesions.csv"):
        assert (ours / table).read_bytes() == (finished / "results" / table).read_bytes()
    assert json.loads((ours / "run.json").read_text())["succeeded"]
    assert (tmp_path / "summary.txt").read_text().split() == ["4"]
    assert {path.name for path in tmp_path.iterdir()} == {
        *("bids", "Snakefile", "microbleeds", "summary.txt", ".snakemake")
    }

    scan = tmp_path / "bids/sub-02/anat/sub-02_swi.nii.gz"
    os.utime(scan)
    status, text = call(tmp_path, "--dry-run")
    assert "Nothing to be done" in text, text

    scan.write_bytes(scan.read_bytes()[:1000])  # a step of the other workflow waits for the tables
    status, text = call(tmp_path)
    assert status == 0, text
    assert (ours / "cohort.csv").read_text().count("unreadable") == 1


def test_a_scan_that_fails_in_a_module_has_its_status(finished, tmp_path, tiny, models_dir):
    shutil.copytree(finished / "bids", tmp_path / "bids")
    add_scan(tmp_path / "bids", "sub-02", 0 * blobs([]))
    write_snakefile(tmp_path, tiny, models_dir, repr(str(REPOSITORY / "workflow/Snakefile")))
    status, text = call(tmp_path, "--keep-going")
    assert status != 0
    assert "the other workflow failed" in text
    table = (tmp_path / "microbleeds/results/cohort.csv").read_text()
    assert table.count(",ok,") == 2
    assert table.count("failed:resample") == 1
    assert not json.loads((tmp_path / "microbleeds/results/run.json").read_text())["succeeded"]


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (
            USE + "use rule count from lesionflow as lesionflow_count with:\n    threads: 2\n",
            "a module of lesionflow is used as a whole",
        ),
        (
            USE + "module other:\n    snakefile: {snakefile}\n    config: {{}}\n"
            "use rule * from other as other_*\n",
            "two modules are lesionflow",
        ),
    ],
)
def test_parts_and_second_modules_are_refused(tmp_path, tiny, models_dir, rest, message):
    (tmp_path / "bids/sub-01/anat").mkdir(parents=True)
    (tmp_path / "bids/sub-01/anat/sub-01_swi.nii.gz").touch()
    snakefile = repr(str(REPOSITORY / "Snakefile"))
    write_snakefile(tmp_path, tiny, models_dir, snakefile, rest.format(snakefile=snakefile))
    status, text = call(tmp_path, "--dry-run")
    assert status != 0
    assert message in text


def test_a_module_from_a_git_repository_is_a_copy_of_its_commit(
    finished, tmp_path, tiny, models_dir, origin
):
    repository, environment = origin
    shutil.copytree(finished / "bids", tmp_path / "bids")
    snakefile = f'gitfile({str(repository)!r}, path="workflow/Snakefile", ref="main")'
    write_snakefile(tmp_path, tiny, models_dir, snakefile)
    status, text = call(tmp_path, "--dry-run", **environment)
    assert status == 0, text
    assert jobs(text)["lesionflow_predict_fold"] == 9
    write_snakefile(
        tmp_path, tiny, models_dir, snakefile.replace("workflow/Snakefile", "Snakefile")
    )
    status, text = call(tmp_path, "--dry-run", **environment)
    assert status != 0  # Snakemake does not find the files beside a Snakefile at the root


def test_a_deployed_workflow_runs(finished, tmp_path, tiny, models_dir, origin):
    repository, environment = origin
    deployed = tmp_path / "deployed"
    subprocess.run(
        [
            *(sys.executable, "-m", "snakedeploy.client", "deploy-workflow"),
            *("https://github.com/lesions/lesionflow", deployed, "--branch", "main"),
        ],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
    )
    shutil.copytree(finished / "bids", deployed / "bids")
    config = ["--config", f"models={tiny}", f"models_dir={models_dir}"]
    status, text = call(deployed, *config, **environment)
    assert status == 0, text
    table = "results/cohort.csv"
    assert (deployed / table).read_bytes() == (finished / table).read_bytes()
    commit = json.loads((deployed / "results/run.json").read_text())["commit"]
    head = subprocess.run(
        ["git", "-C", repository, "rev-parse", "main"], capture_output=True, text=True, check=True
    )
    assert commit == head.stdout.strip()
    cache = Path(environment["XDG_CACHE_HOME"], "snakemake/snakemake/source-cache/lesionflow")
    assert [copy.name for copy in cache.iterdir()] == [commit]
