"""Jobs of ``support.shared_step`` as Snakemake calls them."""

import functools
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import snakemake.script
from snakemake.iocontainers import InputFiles, Log, OutputFiles, Params, ResourceList, Wildcards
from snakemake.sourcecache import LocalSourceFile

from lesionflow.workflow.processes import script_hook
from support import processes

SUPPORT = Path(__file__).parent


def call(path, action="work", seconds=0.0, name="shared_step.py", log=(), **changes):
    """The arguments of a call of ``script`` for a job."""
    arguments = {
        **dict.fromkeys(inspect.signature(snakemake.script.script).parameters),
        **{"path": name, "basedir": LocalSourceFile(str(SUPPORT)), "threads": 1, "config": {}},
        **{"rulename": "shared_step", "resources": ResourceList(), "wildcards": Wildcards()},
        **{"input": InputFiles(), "output": OutputFiles(), "log": Log(map(str, log))},
        "params": Params(fromdict={"action": action, "path": str(path), "seconds": seconds}),
        **changes,
    }
    return arguments.values()


def run_job(path, *action, network=False, **changes):
    """Run a job.

    Returns its outcome (``done`` in a shared process, ``failed``, or ``own process``), its process id and the number
    of jobs that this process has run.
    """
    own_process = []

    @functools.wraps(snakemake.script.script)
    def run_in_own_process(*call):
        own_process.append(call)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snakemake.script, "script", run_in_own_process)
        patch.setattr(script_hook, "SCRIPTS", SUPPORT)
        patch.setattr(script_hook, "NETWORK_STEPS", ("shared_step",) if network else ())
        try:
            script_hook.script(*call(path, *action, **changes))
            outcome = "own process" if own_process else "done"
        except subprocess.CalledProcessError:
            outcome = "failed"
    return outcome, *map(int, path.read_text().split() if path.exists() else ())


def client(path, temporary, **changes):
    """Start a process that runs a job as Snakemake does."""
    code = (
        "import sys; from support.shared_jobs import run_job; from pathlib import Path\n"
        f"sys.exit(run_job(Path({str(path)!r}), **{changes!r})[0] != 'done')"
    )
    return processes.client(code, temporary, executable=sys.executable)
