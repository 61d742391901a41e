"""The one file with functions: config, cards, the list of scans, paths, and what reruns a step."""

import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

HOUSE = Path(workflow.basedir)
# Behind all else, as Snakemake does it for scripts: no step may stand for a package of its name.
sys.path.append(str(HOUSE / "scripts"))

import lesionflow
from lesionflow.base import layout
from lesionflow.base.digests import code_digests
from lesionflow.base.errors import CohortError, LesionflowError
from lesionflow.cards.fold_spec import fold_spec, prediction_part
from lesionflow.cards.model_card import ANY
from lesionflow.cards.model_card import reference as reference_channel
from lesionflow.cohort.plan import paths_of_runs, paths_with_truth
from lesionflow.imaging import cropping, resampling
from lesionflow.imaging.file_types import MATLAB
from lesionflow.networks.inference.backends import nvidia_device
from lesionflow.networks.weights.locate import fold_files
from lesionflow.results import columns
from lesionflow.workflow import partial_tables, run_setup, snakemake_patches

if Path(lesionflow.__file__).parents[1] != HOUSE.resolve() / "scripts":
    raise WorkflowError(
        f"{lesionflow.__file__} is another copy of lesionflow than {HOUSE}: take it from PYTHONPATH or uninstall it"
    )

DIGESTS = code_digests(HOUSE / "scripts", layout.CODE_DIGESTS)


def code_digest(step):
    """Digest of a step's script and of all that it imports (a rerun trigger as a param)."""
    return DIGESTS[step]


def cluster_steps():
    """Rules that this cluster job runs."""
    return {word.split(":")[0] for word in sys.argv}


def plan_or_reason():
    """The plan of the cohort; or why there is none, where that may be: a model is checked without one."""
    first = workflow.is_main_process
    try:
        if first:
            code = code_digest("import_fold")
            run_setup.make_plan(SETTINGS, CARDS, MASK_CARD, code)
        return run_setup.read_plan()
    except CohortError as error:
        if first and "check_model" not in sys.argv:
            raise
        return error


snakemake_patches.apply()
# Optional: without the package every job is a Python process of its own.
if find_spec("lesionflow.workflow.processes"):
    from lesionflow.workflow.processes import script_hook

    script_hook.enter_run(DIGESTS, () if workflow.is_main_process else cluster_steps())
    script = (
        script_hook.script
    )  # Snakemake looks it up here for the `script:` of each rule
try:
    SETTINGS, CARDS, MASK_CARD = run_setup.settings_and_cards(config, HOUSE)
    PLANNED = plan_or_reason()
except LesionflowError as error:
    raise WorkflowError(str(error))
SCANS = [] if isinstance(PLANNED, CohortError) else PLANNED
SCAN = {record["scan"]: record for record in SCANS}
MODELS = {model: columns.about(card) for model, card in CARDS.items()}
GPUS = int(
    SETTINGS["device"] == "gpu" or (SETTINGS["device"] == "auto" and nvidia_device())
)


def planned(wildcards):
    """The plan of the cohort, if it could be listed."""
    if isinstance(PLANNED, CohortError):
        raise WorkflowError(str(PLANNED))
    return str(layout.PLAN)


def card(wildcards):
    """The card of a job's model, or of the brain mask."""
    return CARDS.get(wildcards.model, MASK_CARD)


def about(model):
    """What a reader is told of a model."""
    return {
        key: CARDS[model][key] for key in ("name", "version", "description", "source")
    }


def channels(wildcards):
    """The channels of a job's model, in the network's order."""
    return card(wildcards)["input"]["channels"]


def first_channel(wildcards):
    """The channel of a job's model whose grid all go by."""
    return reference_channel(card(wildcards)["input"])


def reference_first(wildcards):
    """The channels of a job's model, the one whose grid all go by before the others."""
    first = first_channel(wildcards)
    return sorted(channels(wildcards), key=lambda channel: channel != first)


def channel_and_reference(wildcards):
    """The channel of a job, and the one whose grid it goes by."""
    return [wildcards.channel, first_channel(wildcards)]


def folds(wildcards):
    """The folds of a job's model, from 1."""
    return range(1, len(card(wildcards)["folds"]) + 1)


def own_weights(wildcards):
    """The files of a fold that lies beside its card; new ones are imported anew."""
    return fold_files(fold_spec(card(wildcards), int(wildcards.fold)))


def collected(pattern, **values):
    """Input function: ``pattern`` with all values that these functions give for a model, found once a model."""
    known = {}

    def paths(wildcards):
        if wildcards.model not in known:
            given = {name: value(wildcards) for name, value in values.items()}
            known[wildcards.model] = collect(pattern, allow_missing=True, **given)
        return known[wildcards.model]

    return paths


def of_card(*keys, some=None):
    """Params function: the entry of a job's card that these keys lead to; of a section, all or ``some`` keys."""

    def entry(wildcards):
        found = card(wildcards)
        for key in keys:
            found = found[key]
        return found if some is None else {key: found[key] for key in some}

    return entry


def filled(wildcards):
    """Whether another channel stands in for the one of a job, which the scan lacks."""
    return wildcards.channel not in SCAN[wildcards.scan]["files"]


def there(wildcards, kind):
    """A channel, mask or regions if the scan has it, or the channel that stands in."""
    has = kind in SCAN[wildcards.scan]["files"]
    return kind if has else card(wildcards)["input"]["fill_missing"]


def own_file(wildcards, kind=None):
    """A scan's own file for a channel (that of a job without another word), or the one that stands in."""
    kind = wildcards.channel if kind is None else kind
    return SCAN[wildcards.scan]["files"][there(wildcards, kind)]


def readable(wildcards, kind):
    """A scan's file for a channel, mask or regions as a NIfTI file: itself, or what it is converted to."""
    path = own_file(wildcards, kind)
    if not path.endswith(MATLAB):
        return path
    names = {**dict(wildcards), "kind": there(wildcards, kind)}
    return rules.convert.output.image.format(**names)


def source(wildcards):
    """The image of a job's channel."""
    return readable(wildcards, wildcards.channel)


def reference(wildcards):
    """The image of a model's reference channel: the grid to which all results go back."""
    return readable(wildcards, first_channel(wildcards))


def all_sources(wildcards):
    """The images of all channels of a model, the reference first."""
    return [readable(wildcards, channel) for channel in reference_first(wildcards)]


def filters(wildcards):
    """What of a job's card tells lesions from each other, and which of them count."""
    after = card(wildcards)["postprocess"]
    return {key: after[key] for key in after if key != "components"}


def final_probability(wildcards):
    """The ensemble's probabilities, cleaned where the card asks for it."""
    cleaned = card(wildcards)["postprocess"]["components"] is not None
    return (rules.clean if cleaned else rules.average_folds).output.probability


def beside(kind):
    """Input function: the mask or regions that a scan brings, if it does and they are wanted."""

    def path(wildcards):
        wanted = kind != "mask" or SETTINGS["brain_mask"] in ("auto", "provided")
        has = kind in SCAN[wildcards.scan]["files"]
        return readable(wildcards, kind) if wanted and has else []

    return path


def brain_channel(wildcards):
    """The channel in which a scan's brain is looked for."""
    (channel,) = MASK_CARD["input"]["channels"]
    return [first_channel(wildcards) if channel == ANY else channel]


def brain_source(wildcards):
    """The file in which a scan's brain is looked for."""
    return readable(wildcards, brain_channel(wildcards)[0])


def brain_folds(wildcards):
    """The imported folds of the brain mask's card."""
    return [
        rules.import_fold.output.facts.format(model=MASK_CARD["name"], fold=fold)
        for fold in range(1, len(MASK_CARD["folds"]) + 1)
    ]


def found_brain(wildcards):
    """What find_brain computes for a scan, unless the scan brings its mask or none is wanted."""
    return rules.find_brain.output.probability if finder(wildcards) else []


def finder(wildcards):
    """What the plan says of the card that finds a scan's brain, if one does."""
    return SCAN[wildcards.scan]["finder"]


def content(*beside, of=channels):
    """Params function: marks of what is in a scan's channels and in the files beside it that a job reads.

    New content under an old time is seen as well. By wildcards only: Snakemake compares no params that
    are made from the input.
    """

    def marks(wildcards):
        known = SCAN[wildcards.scan]["content"]
        return {
            kind: known[kind] for kind in [*of(wildcards), *beside] if kind in known
        }

    return marks


def kept_if(name, path):
    """An intermediate under work/ that goes when it is used, or under results/ if the user keeps it."""
    kept = name in SETTINGS["keep"]
    pattern = layout.intermediate(path, kept)
    return pattern if kept else temp(pattern)


def every_run(pattern):
    """Input function: paths of ``pattern`` for every scan and model that can be run.

    A function, so that only the jobs that read all scans make the list, and no cluster job of one scan.
    """
    return lambda wildcards: paths_of_runs(pattern, SCANS, CARDS)


def every_truth(pattern):
    """Input function: paths of ``pattern`` for every scan and model that can be held against a truth."""

    def paths(wildcards):
        try:
            return paths_with_truth(pattern, SCANS, CARDS)
        except CohortError as error:
            raise WorkflowError(str(error))

    return paths


def of_cohort():
    """Whether this run was of the cohort, and not of a model by itself."""
    return set(workflow.dag_settings.targets) != {"check_model"} and not isinstance(
        PLANNED, CohortError
    )


def write_partial_table():
    """A row for every scan of a run that failed, with the step and the reason."""
    for line in partial_tables.write(workflow.dag_settings.targets, SCANS, MODELS):
        logger.error(line)
