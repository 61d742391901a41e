"""Simulated scans of whole-head label maps, or of the MNI152 template: a separate, small workflow.

snakemake --snakefile rules/simulate.smk --directory OUT --cores 2 --config anatomies=DIR scans=6 sequences=swi,t1

OUT/swi and OUT/T1w are then BIDS directories, with the reference brain mask and lesions beside each scan.
"""

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.append(str(Path(workflow.basedir, "../scripts")))

from lesionflow.base.digests import code_digest as digest
from lesionflow.base.errors import LesionflowError
from lesionflow.simulation.bids_files import REFERENCE_FILES, SUFFIX, simulation_jobs

try:
    JOBS = simulation_jobs(config)
except LesionflowError as error:
    raise WorkflowError(str(error))


def code_digest(step):
    """Digest of a step's script and of the modules that it imports; as a param, it triggers reruns."""
    return digest(Path(workflow.basedir) / f"../scripts/{step}.py")


wildcard_constraints:
    suffix="|".join(SUFFIX.values()),


localrules:
    simulated,


rule simulated:
    default_target: True
    input:
        [
            f"{suffix}/sub-{subject}/anat/sub-{subject}_{ending}"
            for suffix, subject in JOBS
            for ending in (f"{suffix}.nii.gz", *REFERENCE_FILES.values())
        ],


rule simulate:
    """Simulate a scan with its reference brain mask and lesions."""
    input:
        anatomy=lambda wildcards: JOBS[wildcards.suffix, wildcards.subject]["anatomy"],
    output:
        **{
            kind: "{suffix}/sub-{subject}/anat/sub-{subject}_" + ending
            for kind, ending in REFERENCE_FILES.items()
        },
        image="{suffix}/sub-{subject}/anat/sub-{subject}_{suffix}.nii.gz",
    log:
        "logs/simulate/{suffix}/sub-{subject}.log",
    benchmark:
        "benchmarks/simulate/{suffix}/sub-{subject}.tsv"
    conda:
        "../envs/simulation.yaml"
    params:
        code=code_digest("simulate"),
        job=lambda wildcards: JOBS[wildcards.suffix, wildcards.subject],
    script:
        "../scripts/simulate.py"
