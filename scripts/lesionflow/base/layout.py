"""Paths of all files of a run: results, logs, and intermediate files under ``work/``.

Patterns contain Snakemake's path variables (``<results>``, ``<logs>``, ``<benchmarks>``, ``<scan>``) and the
wildcards of the rules (``{model}``, ``{folder}``, ``{scan}``, ``{suffix}``, ``{fold}``, ``{kind}``). The rules use
the patterns directly; other code fills them in with ``path``.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Folders:
    """Folders of a run, relative to its working directory.

    Attributes
    ----------
    results, logs, benchmarks
        As Snakemake's path variables of these names say.
    work
        Intermediate files, caches, and what a run and its jobs share.
    """

    results: Path = Path("results")
    logs: Path = Path("logs")
    benchmarks: Path = Path("benchmarks")
    work: Path = Path("work")


FOLDERS = Folders()  # of the run of this process; see use
SCAN = "{model}/{folder}/{scan}"  # the path variable <scan> of the Snakefile

# One scan under one model, in the order of the pipeline.
CONVERTED_IMAGE = "<results>/<scan>_space-orig_desc-source_{kind}.nii.gz"
DICOM_IMAGE = "<results>/<scan>_space-orig_desc-dicom_{kind}.nii.gz"
DICOM_SIDECAR = "<results>/<scan>_space-orig_desc-dicom_{kind}.json"
SOURCE_SIDECAR = "<results>/<scan>_desc-source_{suffix}.json"
RESAMPLED_IMAGE = "<scan>_space-model_desc-resampled_{suffix}"  # see intermediate
RESAMPLED_SIDECAR = "<results>/<scan>_space-model_desc-resampled_{suffix}.json"  # only if kept
BRAIN_PROBABILITY = "work/<scan>_brain.nii"
BRAIN_MASK = "work/<scan>_mask.nii"
BRAIN_MEASURES = "<results>/<scan>_brain.json"
CROPPED_IMAGE = "<scan>_space-model_desc-cropped"  # see intermediate
CROPPED_MASK = "<results>/<scan>_space-model_desc-brain_mask.nii.gz"
CROPPED_MASK_SIDECAR = "<results>/<scan>_space-model_desc-brain_mask.json"
NORMALIZED_IMAGE = "<results>/<scan>_space-model_desc-preproc_{suffix}.nii.gz"
NORMALIZED_SIDECAR = "<results>/<scan>_space-model_desc-preproc_{suffix}.json"
FOLD_PROBABILITY = "<results>/<scan>_space-model_desc-fold{fold}_probseg.nii.gz"
FOLD_SIDECAR = "<results>/<scan>_space-model_desc-fold{fold}_probseg.json"
MODEL_PROBABILITY = "<results>/<scan>_space-model_probseg.nii.gz"
MODEL_PROBABILITY_SIDECAR = "<results>/<scan>_space-model_probseg.json"
FOLD_SPREAD = "<results>/<scan>_space-model_desc-folds_std.nii.gz"
CLEANED_PROBABILITY = "<results>/<scan>_space-model_desc-clean_probseg.nii.gz"
CLEANED_PROBABILITY_SIDECAR = "<results>/<scan>_space-model_desc-clean_probseg.json"
THRESHOLDED_LABELS = "<results>/<scan>_space-model_desc-threshold_dseg.nii.gz"
THRESHOLDED_LABELS_SIDECAR = "<results>/<scan>_space-model_desc-threshold_dseg.json"
MODEL_LESIONS = "<results>/<scan>_space-model_desc-lesions_dseg.nii.gz"
MODEL_LESIONS_SIDECAR = "<results>/<scan>_space-model_desc-lesions_dseg.json"
LESION_NAMES = "<results>/<scan>_desc-lesions_dseg.tsv"  # values of the lesion maps on both grids
MODEL_LABELS = "<results>/<scan>_space-model_dseg.nii.gz"
MODEL_LABELS_SIDECAR = "<results>/<scan>_space-model_dseg.json"
SCAN_LESIONS = "<results>/<scan>_lesions.tsv"
SCAN_VOLUMES = "<results>/<scan>_volumes.tsv"
ORIG_PROBABILITY = "<results>/<scan>_space-orig_probseg.nii.gz"
ORIG_PROBABILITY_SIDECAR = "<results>/<scan>_space-orig_probseg.json"
ORIG_LESIONS = "<results>/<scan>_space-orig_desc-lesions_dseg.nii.gz"
ORIG_LESIONS_SIDECAR = "<results>/<scan>_space-orig_desc-lesions_dseg.json"
ORIG_LABELS = "<results>/<scan>_space-orig_dseg.nii.gz"
ORIG_LABELS_SIDECAR = "<results>/<scan>_space-orig_dseg.json"
DICOM_SEG_SIDECAR = "<results>/<scan>_seg.json"  # beside it the .dcm, if there is a lesion
QC_FIGURE = "<results>/<scan>_qc.png"
SCAN_PAGE = "<results>/<scan>_lesions.html"
SCAN_PAGE_DATA = "<results>/<scan>_lesions.js"
QC_PAGES = "<results>/<scan>_qc.pdf"
THUMBNAIL = "<results>/<scan>_thumbnail.webp"
COMPARISON = "<results>/<scan>_desc-truth_comparison.tsv"
COMPARISON_SIDECAR = "<results>/<scan>_desc-truth_comparison.json"
SCAN_ERRORS = "<results>/<scan>_desc-truth_errors.tsv"
ERROR_PICTURES = "<results>/<scan>_desc-truth_errors.js"

# One model.
DATASET_DESCRIPTION = "<results>/{model}/dataset_description.json"
DATASET_README = "<results>/{model}/README.md"
DATASET_IGNORED = "<results>/{model}/.bidsignore"
DESCRIPTION_LABELS = "<results>/{model}/descriptions.tsv"  # the meaning of each desc- label
LABEL_NAMES = "<results>/{model}/dseg.tsv"
IMPORTED_FOLD = "{model}/fold-{fold}-{digest}"  # folder below the config's models_dir

# The cohort.
COHORT_DESCRIPTION = "<results>/dataset_description.json"
COHORT_README = "<results>/README.md"
COHORT_IGNORED = "<results>/.bidsignore"
COHORT = "<results>/cohort.csv"
COHORT_COLUMNS = "<results>/cohort.json"
LESIONS = "<results>/lesions.csv"
LESION_COLUMNS = "<results>/lesions.json"
REVIEW_UNMATCHED = "<results>/review_unmatched.csv"  # these eight only with reviews
REVIEW_UNMATCHED_COLUMNS = "<results>/review_unmatched.json"
REVIEW_CONFLICTS = "<results>/review_conflicts.csv"
REVIEW_CONFLICT_COLUMNS = "<results>/review_conflicts.json"
REVIEW_AGREEMENT = "<results>/review_agreement.csv"
REVIEW_AGREEMENT_COLUMNS = "<results>/review_agreement.json"
REVIEW_CURRENT = "<results>/review_current.tsv"  # all decisions, on the current lesions
REVIEW_CURRENT_COLUMNS = "<results>/review_current.json"
REPORT = "<results>/report.html"
PAGE_FILES = "<results>/report_files/{file}"  # scripts and styles that all pages share
RUN = "<results>/run.json"
EVALUATION = "<results>/evaluation.csv"
EVALUATION_COLUMNS = "<results>/evaluation.json"
THRESHOLDS = "<results>/evaluation_thresholds.csv"
THRESHOLD_COLUMNS = "<results>/evaluation_thresholds.json"
ERRORS = "<results>/evaluation_errors.csv"
ERROR_COLUMNS = "<results>/evaluation_errors.json"
EVALUATION_PAGE = "<results>/evaluation.html"

# Files for which BIDS has no name, in the dataset of a model and beside these datasets (.bidsignore).
NOT_BIDS = (
    *(CONVERTED_IMAGE, DICOM_IMAGE, DICOM_SIDECAR, DICOM_SEG_SIDECAR, "<results>/<scan>_seg.dcm"),
    *(SOURCE_SIDECAR, BRAIN_MEASURES, f"{CROPPED_IMAGE}.nii.gz", FOLD_SPREAD),
    *(SCAN_LESIONS, SCAN_VOLUMES, QC_FIGURE, QC_PAGES, THUMBNAIL, SCAN_PAGE, SCAN_PAGE_DATA),
    *(COMPARISON, COMPARISON_SIDECAR, SCAN_ERRORS, ERROR_PICTURES),
)
COHORT_NOT_BIDS = (
    *("cohort.*", "lesions.*", "review_*", "evaluation*", "run.json"),
    *("report.html", "report_files"),
)
# Suffix of a channel in file names: that of BIDS, if it has one.
BIDS_SUFFIXES = {"t1": "T1w", "t2": "T2w", "t2star": "T2starw", "pd": "PDw", "flair": "FLAIR"}

# A run and its jobs.
PLAN = "work/plans/{digest}.json"  # a run reads its own
RUNNING = "work/running/{process}.json"  # of a run that has not ended
# Caches: nothing but time is lost with them.
HEADERS = "work/headers.json"
FILE_DIGESTS = "work/digests.jsonl"
CODE_DIGESTS = "work/code.json"

JOBS = {  # name of a job's log and benchmark, by step in the order of the pipeline
    "import_fold": "import_fold/{model}/fold-{fold}-{digest}",
    "convert": "convert/<scan>_{kind}",
    "convert_dicom": "convert_dicom/<scan>_{kind}",
    "resample": "resample/<scan>_channel-{suffix}",
    "find_brain": "find_brain/<scan>",
    "mask": "mask/<scan>",
    "crop": "crop/<scan>",
    "normalize": "normalize/<scan>_channel-{suffix}",
    "predict_fold": "predict_fold/<scan>_fold-{fold}",
    "average_folds": "average_folds/<scan>",
    "clean": "clean/<scan>",
    "threshold": "threshold/<scan>",
    "count": "count/<scan>",
    "restore": "restore/<scan>",
    "draw": "draw/<scan>",
    "show": "show/<scan>",
    "export_dicom": "export_dicom/<scan>",
    "compare": "compare/<scan>",
    "show_errors": "show_errors/<scan>",
    "describe": "describe/{model}",
    "describe_cohort": "describe_cohort",
    "aggregate": "aggregate",
    "report": "report",
    "evaluate": "evaluate",
    "check_model": "check_model",
}


def use(folders: Folders) -> None:
    """Use other folders in this process: those of a module with a prefix, or of other path variables."""
    global FOLDERS
    FOLDERS = folders


def log(step: str) -> str:
    """Pattern of the logs of a step."""
    return f"<logs>/{JOBS[step]}.log"


def benchmark(step: str) -> str:
    """Pattern of the benchmarks of a step."""
    return f"<benchmarks>/{JOBS[step]}.tsv"


def intermediate(name: str, kept: bool) -> str:
    """Pattern of an intermediate image: compressed among the results if the user keeps it, else under ``work/``."""
    return f"<results>/{name}.nii.gz" if kept else f"work/{name}.nii"


def suffix(channel: str) -> str:
    """Suffix of the images of a channel: that of BIDS, or the name of the channel."""
    return BIDS_SUFFIXES.get(channel, channel)


def path(
    pattern: str, results: Path | None = None, logs: Path | None = None, **wildcards: str | int
) -> Path:
    """Fill in a pattern.

    Parameters
    ----------
    pattern
        A pattern of this module.
    results, logs
        Folders of the run; by default those of ``FOLDERS``.
    wildcards
        A value for each wildcard of the pattern; others are ignored.

    Raises
    ------
    KeyError
        If a wildcard has no value.
    """
    folders = {
        "<results>": results or FOLDERS.results,
        "<logs>": logs or FOLDERS.logs,
        "<benchmarks>": FOLDERS.benchmarks,
        "work": FOLDERS.work,
    }
    first, _, rest = pattern.partition("/")
    name = (rest if first in folders else pattern).replace("<scan>", SCAN)
    return folders.get(first, Path()) / name.format(**wildcards)
