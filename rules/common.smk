"""The only file with functions: config, model cards, plan of the cohort, input and params functions of the rules."""

import sys
from dataclasses import asdict
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import flag
from snakemake.path_modifier import PATH_MODIFIER_FLAG
from snakemake.sourcecache import LocalSourceFile

if not isinstance(workflow.current_basedir, LocalSourceFile):
    raise WorkflowError(
        'lesionflow is used from a folder, or from git with path="workflow/Snakefile"'
    )
REPOSITORY = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent

# Appended, as Snakemake does for scripts, so that no step shadows an installed package of the same name.
sys.path.append(str(REPOSITORY / "scripts"))

import lesionflow

if Path(lesionflow.__file__).parents[1] != REPOSITORY.resolve() / "scripts":
    raise WorkflowError(
        f"{lesionflow.__file__} is not the lesionflow of {REPOSITORY}: remove it from PYTHONPATH, or uninstall it"
    )

from lesionflow.base import layout
from lesionflow.base.errors import CohortError
from lesionflow.base.label_channels import background_channels
from lesionflow.cards.fold_spec import fold_spec, prediction_part
from lesionflow.cards.model_card import ANY, reference_channel as reference_of
from lesionflow.cohort.plan import paths_of_runs, paths_with_reference, plan_digest
from lesionflow.imaging import cropping, resampling
from lesionflow.imaging.file_types import MATLAB, conversion
from lesionflow.networks.inference.backends import nvidia_device
from lesionflow.results.bids_uris import Datasets, cohort_folder, label_map
from lesionflow.results.pages.page_scripts import SHARED_FILES
from lesionflow.workflow.run import Run
from lesionflow.workflow.run_errors import RunError

RUN = Run(workflow, config, REPOSITORY)
SETTINGS, CARDS, MASK_CARD, MODELS = RUN.settings, RUN.cards, RUN.mask_card, RUN.models
SCANS = RUN.plan.records
SCAN_BY_NAME = {record["scan"]: record for record in SCANS}
GPUS = int(
    SETTINGS["device"] == "gpu" or (SETTINGS["device"] == "auto" and nvidia_device())
)
# Optional: without this package, each job is a separate Python process.
if find_spec("lesionflow.workflow.processes"):
    from lesionflow.workflow.processes import script_hook

    script_hook.enter_run(RUN.code, () if workflow.is_main_process else RUN.job_steps())
    # Snakemake calls the `script` of this namespace for the `script:` directive of a rule.
    script = script_hook.script


def code_digest(step):
    """Digest of a step's script and of the modules that it imports; as a param, it triggers reruns."""
    return RUN.code[step]


def plan_file(wildcards, input):
    """Path of the plan; Snakemake does not compare params that depend on the input."""
    return str(RUN.plan.path)


def card(wildcards):
    """The card of a job's model, or that of the brain mask."""
    return CARDS.get(wildcards.model, MASK_CARD)


def model_description(model):
    """Description of a model for the report and dataset_description.json."""
    return {
        key: CARDS[model][key] for key in ("name", "version", "description", "source")
    }


def channels(wildcards):
    """The channels of a job's model, in the order that the network expects."""
    return card(wildcards)["input"]["channels"]


def reference_channel(wildcards):
    """The reference channel of a job's model, which defines the original grid."""
    return reference_of(card(wildcards)["input"])


def channels_reference_first(wildcards):
    """The channels of a job's model, the reference channel first."""
    reference = reference_channel(wildcards)
    return sorted(channels(wildcards), key=lambda channel: channel != reference)


def suffixes(wildcards):
    """The suffixes of the images of a job's channels, in the order that the network expects."""
    return [layout.suffix(channel) for channel in channels(wildcards)]


def reference_suffix(wildcards):
    """The suffix of the images of the reference channel."""
    return layout.suffix(reference_channel(wildcards))


def suffixes_reference_first(wildcards):
    """The suffixes of the images of a job's channels, the reference channel first."""
    return [layout.suffix(channel) for channel in channels_reference_first(wildcards)]


def channel_of(wildcards):
    """The channel of a job, whose files have its suffix."""
    (channel,) = [
        c for c in channels(wildcards) if layout.suffix(c) == wildcards.suffix
    ]
    return channel


def folds(wildcards):
    """The folds of a job's model, from 1."""
    return range(1, len(card(wildcards)["folds"]) + 1)


def as_given(paths):
    """Paths of the config and of the cohort, which a module's ``prefix`` does not move."""
    return flag(paths, PATH_MODIFIER_FLAG)


def imported_folds(model):
    """The imported folds of a model."""
    return as_given(
        RUN.imported_fold.format(model=model, fold=fold, digest=planned.digest)
        for fold, planned in enumerate(RUN.plan.imports[model], start=1)
    )


def model_folds(wildcards):
    """The imported folds of a job's model. Their paths tell what they were imported from, so that times do not matter."""
    return ancient(imported_folds(wildcards.model))


def imported_fold(wildcards):
    """The imported fold of a job."""
    return ancient(imported_folds(wildcards.model)[int(wildcards.fold) - 1])


def weight_file(wildcards):
    """The file, folder or archive from which a fold is imported; none if it is imported already."""
    planned = RUN.plan.imports[wildcards.model][int(wildcards.fold) - 1]
    is_current = planned.weights and planned.digest == wildcards.digest
    return ancient(as_given(planned.weights)) if is_current else []


def import_spec(wildcards):
    """What a card says of a fold, without the folder of the card."""
    spec = asdict(fold_spec(card(wildcards), int(wildcards.fold)))
    return {**spec, "folder": None}


def collect_for_model(pattern, **functions):
    """Input function: ``pattern`` for all values that the functions return for a model, computed once per model."""
    patterns = {}

    def paths(wildcards):
        model = wildcards.model
        if model not in patterns:
            values = {name: function(wildcards) for name, function in functions.items()}
            patterns[model] = collect(pattern, allow_missing=True, **values)
        return patterns[model]

    return paths


def card_entry(*keys, only=None):
    """Params function: the entry of a job's card at a path of keys; of a section all keys, or ``only`` some."""

    def entry(wildcards):
        value = card(wildcards)
        for key in keys:
            value = value[key]
        return value if only is None else {key: value[key] for key in only}

    return entry


def is_filled(wildcards):
    """Whether the scan lacks the channel of a job, so that another channel takes its place."""
    return channel_of(wildcards) not in SCAN_BY_NAME[wildcards.scan]["files"]


def available_kind(wildcards, kind):
    """``kind`` (a channel, mask or regions) if the scan has it, else the channel that takes its place."""
    available = kind in SCAN_BY_NAME[wildcards.scan]["files"]
    return kind if available else card(wildcards)["input"]["fill_missing"]


def source_file(wildcards, kind=None):
    """The file of the cohort for ``kind``, by default for the channel of a job: its content is compared, not its time."""
    kind = channel_of(wildcards) if kind is None else kind
    files = SCAN_BY_NAME[wildcards.scan]["files"]
    return ancient(as_given(files[available_kind(wildcards, kind)]))


def nifti_file(wildcards, kind):
    """The file for ``kind`` as NIfTI; a file of another format is converted."""
    path = source_file(wildcards, kind)
    step = conversion(path)
    if not step:
        return path
    names = {**dict(wildcards), "kind": available_kind(wildcards, kind)}
    return getattr(rules, step).output.image.format(**names)


def source_parts(wildcards, input):
    """All files of the image of a job; Snakemake does not compare params that depend on the input."""
    path = str(input.source)
    return SCAN_BY_NAME[wildcards.scan]["parts"].get(path, [path])


def dicom_volume(wildcards, kind=None):
    """Which volume of its DICOM series the image of a job is."""
    return SCAN_BY_NAME[wildcards.scan]["dicom"][kind or wildcards.kind]


def dicom_segmentations(wildcards):
    """The DICOM segmentations of the scans that came from DICOM, if the config asks for them."""
    if not SETTINGS["dicom_seg"]:
        return []
    return [
        path
        for name, card in CARDS.items()
        for path in paths_of_runs(
            rules.export_dicom.output.sidecar,
            [r for r in RUN.scans() if reference_of(card["input"]) in r["dicom"]],
            [name],
        )
    ]


def matlab_reference(wildcards):
    """The reference channel, whose shape the MATLAB image of a job must have; nothing for other formats."""
    path = source_file(wildcards, wildcards.kind)
    is_matlab = path.endswith(MATLAB)
    return source_file(wildcards, reference_channel(wildcards)) if is_matlab else []


def source_image(wildcards):
    """The image of a job's channel."""
    return nifti_file(wildcards, channel_of(wildcards))


def reference_image(wildcards):
    """The image of the reference channel, to whose grid the results are restored."""
    return nifti_file(wildcards, reference_channel(wildcards))


def source_images(wildcards):
    """The images of all channels of a model, the reference channel first."""
    return [
        nifti_file(wildcards, channel)
        for channel in channels_reference_first(wildcards)
    ]


def filter_params(wildcards):
    """The keys of a card's ``postprocess`` that define lesions and their filters."""
    postprocess = card(wildcards)["postprocess"]
    return {key: postprocess[key] for key in postprocess if key != "components"}


def final_probability(wildcards):
    """The probabilities of the ensemble, cleaned if the card has ``postprocess.components``."""
    cleaned = card(wildcards)["postprocess"]["components"] is not None
    return (rules.clean if cleaned else rules.average_folds).output.probability


def optional_file(kind):
    """Input function: the mask or the regions of a scan, if it has them and the config uses them."""

    def path(wildcards):
        used = kind != "mask" or SETTINGS["brain_mask"] in ("auto", "provided")
        available = kind in SCAN_BY_NAME[wildcards.scan]["files"]
        return nifti_file(wildcards, kind) if used and available else []

    return path


def brain_channel(wildcards):
    """The channel from which the brain mask of a scan is computed."""
    (channel,) = MASK_CARD["input"]["channels"]
    return [reference_channel(wildcards) if channel == ANY else channel]


def brain_source(wildcards):
    """The image from which the brain mask of a scan is computed."""
    return nifti_file(wildcards, brain_channel(wildcards)[0])


def brain_folds(wildcards):
    """The imported folds of the brain mask's card."""
    return ancient(imported_folds(MASK_CARD["name"]))


def brain_probability(wildcards):
    """The output of find_brain for a scan, if its brain mask is computed."""
    return rules.find_brain.output.probability if brain_finder(wildcards) else []


def brain_finder(wildcards):
    """The plan's entry for the card that computes the brain mask of a scan; None if no card does."""
    return SCAN_BY_NAME[wildcards.scan]["finder"]


def intermediate(name, path):
    """An intermediate image: temporary under work/, or among the results if ``keep`` names it."""
    kept = name in SETTINGS["keep"]
    pattern = layout.intermediate(path, kept)
    return pattern if kept else temp(pattern)


def kept_sidecar(name, pattern):
    """The sidecar of an intermediate image, as an output of its rule, if ``keep`` names the image."""
    return {"image_sidecar": pattern} if name in SETTINGS["keep"] else {}


@cache
def datasets(model):
    """The folders that BIDS URIs of a model's results are relative to."""
    return Datasets(
        results=layout.FOLDERS.results / model,
        models=Path(SETTINGS["models_dir"]),
        cohort=cohort_folder(SETTINGS),
    )


def dataset_links(wildcards, input):
    """Where the cohort and the networks lie. It depends on the input, so that Snakemake does not compare it: a place is no change."""
    return datasets(wildcards.model).links()


def image_metadata(**images):
    """Params function: the BIDS metadata of each image that a rule writes, by output.

    The sources of an image are names of inputs, or input functions. As the metadata depend on the input, Snakemake does not
    compare them: a scan with another name is no other scan.
    """

    def paths(source, wildcards, input):
        found = source(wildcards) if callable(source) else input.get(source)
        return [found] if isinstance(found, str) else found

    def metadata(wildcards, input):
        scan, output = reference_image(wildcards), card(wildcards)["output"]
        found = {}
        for name, sources in images.items():
            files = [
                path for source in sources for path in paths(source, wildcards, input)
            ]
            found[name] = datasets(wildcards.model).metadata(files, scan)
            if name == "probability":
                background = background_channels(output["activation"])
                found[name] |= label_map(output["labels"], background)
        return found

    return metadata


def mask_sources(wildcards):
    """The files of which the brain mask of a scan is made; its image is temporary."""
    if brain_finder(wildcards):
        return [brain_source(wildcards), *brain_folds(wildcards)]
    return optional_file("mask")(wildcards) or reference_image(wildcards)


def picture_in_report(pattern, shows):
    """A file of pictures of each scan, marked for Snakemake's report if that holds the pictures."""
    if not RUN.report.pictures:
        return pattern
    labels = {"scan": "{scan}", "model": "{model}", "shows": shows}
    caption, subcategory = "../report/picture.rst", "{model}"
    return report(pattern, caption, "Pictures", subcategory, labels)


def evaluation_in_report(wildcards):
    """The evaluation, if it was computed and Snakemake writes a report."""
    return rules.evaluate.output if RUN.report.evaluation else []


def all_scans(pattern):
    """Input function: ``pattern`` for every scan and model that can be run, only for jobs that read all scans."""
    return lambda wildcards: paths_of_runs(pattern, RUN.scans(), CARDS)


def review_files(wildcards):
    """The reviews of the config: their content is compared, not their times."""
    return ancient(as_given(RUN.review_files))


def reviewed_maps(wildcards):
    """The lesion maps on which the decisions of reviews are placed; none without a review."""
    if not RUN.review_files:
        return []
    return all_scans(rules.restore.output.sidecar)(wildcards)


def review_tables():
    """The tables that rule aggregate writes only with reviews, by name."""
    if not RUN.review_files:
        return {}
    tables = {
        "unmatched": (layout.REVIEW_UNMATCHED, layout.REVIEW_UNMATCHED_COLUMNS),
        "conflicts": (layout.REVIEW_CONFLICTS, layout.REVIEW_CONFLICT_COLUMNS),
        "agreement": (layout.REVIEW_AGREEMENT, layout.REVIEW_AGREEMENT_COLUMNS),
    }
    outputs = {
        "review": layout.REVIEW_CURRENT,
        "review_dictionary": layout.REVIEW_CURRENT_COLUMNS,
    }
    for name, (table, dictionary) in tables.items():
        outputs[name] = report(
            table,
            caption=f"../report/review_{name}.rst",
            category="Review",
            labels={"file": f"review_{name}.csv", "content": name},
        )
        outputs[f"{name}_dictionary"] = dictionary
    return outputs


def all_references(pattern):
    """Input function: ``pattern`` for every scan and model that can be compared with a reference segmentation."""

    def paths(wildcards):
        try:
            return paths_with_reference(pattern, RUN.scans(), CARDS)
        except CohortError as error:
            raise RunError(str(error))

    return paths


def reference_segmentation(wildcards):
    """The reference segmentation of a scan."""
    return ancient(as_given(SCAN_BY_NAME[wildcards.scan]["files"]["truth"]))
