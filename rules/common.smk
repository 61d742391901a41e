"""The one file with functions: config, cards, the list of scans, paths, and what reruns a step."""

import json
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

sys.path.insert(0, str(Path(workflow.basedir, "scripts")))

from lesionflow import forks, large_graphs, provenance, sockets, warm
from lesionflow import boxes, resampling
from lesionflow.cards import ANY, import_part, load_cards
from lesionflow.cards import reference as reference_channel
from lesionflow.cohort import MATLAB, CohortError
from lesionflow.frameworks import nvidia_device
from lesionflow.headers import Memory
from lesionflow.plan import join_truth, paths_of_runs, plan_run, split_truth
from lesionflow.settings import checked
from lesionflow.mask_cards import mask_card
from lesionflow.columns import soft_names
from lesionflow.weights import check_available, fold_files, is_imported
from lesionflow.whole import whole

HOUSE = Path(workflow.basedir)
PLAN = Path("work/cohort.json")
TRUTHS = Path(
    "work/truth.json"
)  # apart: what the main road reads does not change with a truth
MARKS = provenance.code_digests(HOUSE / "scripts", Path("work/code.json"))


def code_digest(step):
    """Content of a step's script and of all that it imports (a rerun trigger as a param)."""
    return MARKS[step]


def enter_run():
    """Have the jobs of this Snakemake share processes; a cluster job's are there before its steps."""
    forks.stop_with_snakemake()
    if sockets.enter_run(MARKS) and not workflow.is_main_process:
        targets = {word.split(":")[0] for word in sys.argv}
        for step in {"find_brain", "predict_fold"} & targets:
            warm.start(step, code_digest(step))
        forks.start()


def prepare_run():
    """The settings, the cards (models' and mask's) and the plan; a mistake of the user's in one line."""
    try:
        settings = checked(config, HOUSE / "config/schemas/config.schema.yaml")
        cards = load_cards(settings, HOUSE / "config/models")
        brain = mask_card(settings, cards, HOUSE / "config/models")
        if workflow.is_main_process:
            for card in [*cards.values(), *([brain] if brain else [])]:
                check_available(
                    card, Path(settings["models_dir"]), code_digest("import_fold")
                )
                keep_wishes(card, Path(settings["models_dir"]))
            memory = Memory(Path("work/headers.json"))
            try:
                plan = plan_run(settings, cards, memory, brain)
            except CohortError as error:
                if "check_model" not in sys.argv:  # which needs no cohort
                    raise
                return settings, cards, brain, error
            memory.save()
            for path, part in zip((PLAN, TRUTHS), split_truth(plan)):
                keep_plan(path, part)
        if not PLAN.is_file():
            return settings, cards, brain, CohortError("there is no plan of a cohort")
        plain, truths = (
            json.loads(path.read_text(encoding="utf-8")) for path in (PLAN, TRUTHS)
        )
        return settings, cards, brain, join_truth(plain, truths)
    except ValueError as error:
        raise WorkflowError(str(error))


def keep_wishes(card, models_dir):
    """Write what each import of a card should be; newer than a fold that is not that.

    Other working directories may share the models' folder, and Snakemake remembers params by directory.
    """
    code = code_digest("import_fold")
    for fold in range(1, len(card["folds"]) + 1):
        path = Path("work/imports", card["name"], f"fold-{fold}.json")
        there = models_dir / card["name"] / f"fold-{fold}" / "fold.json"
        wish = {**import_part(card, fold), "code": code}
        if is_imported(card, fold, models_dir, code):
            keep_plan(path, wish)
            os.utime(path, (there.stat().st_mtime,) * 2)
        else:  # content that is new as well: Snakemake compares it where the time is
            other = provenance.sha256_file(there) if there.is_file() else None
            keep_plan(path, {**wish, "instead_of": other})


def keep_plan(path, plan):
    """Write a plan for the jobs, which do not list the cohort again, if it is not there yet."""
    text = json.dumps(plan, indent=0)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        with whole(path) as partial:
            partial.write_text(text, encoding="utf-8")


large_graphs.prepare()
enter_run()
# In the place of Snakemake's own function, which it calls for the ``script:`` of each rule.
script = forks.script
SETTINGS, CARDS, MASK_CARD, PLANNED = prepare_run()
SCANS = [] if isinstance(PLANNED, CohortError) else PLANNED
SCAN = {record["scan"]: record for record in SCANS}
MODELS = {
    model: {
        "labels": list(card["output"]["labels"].values()),
        "channels": card["input"]["channels"],
        "folds": len(card["folds"]),
        "cleaned": card["postprocess"]["components"] is not None,
        "soft": soft_names(card["output"]),
    }
    for model, card in CARDS.items()
}
GPUS = int(
    SETTINGS["device"] == "gpu" or (SETTINGS["device"] == "auto" and nvidia_device())
)


def planned(wildcards):
    """The plan of the cohort, if it could be listed."""
    if isinstance(PLANNED, CohortError):
        raise WorkflowError(str(PLANNED))
    return str(PLAN)


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
    return fold_files(card(wildcards), int(wildcards.fold))


def collected(pattern, **values):
    """Input function: ``pattern`` with all values that these functions give for a model, found once a model."""
    known = {}

    def paths(wildcards):
        if wildcards.model not in known:
            given = {name: value(wildcards) for name, value in values.items()}
            known[wildcards.model] = collect(pattern, allow_missing=True, **given)
        return known[wildcards.model]

    return paths


def of_card(*keys):
    """Params function: the entry of a job's card that these keys lead to."""

    def entry(wildcards):
        found = card(wildcards)
        for key in keys:
            found = found[key]
        return found

    return entry


def of_output(*keys):
    """Params function: these keys of the output of a job's card."""

    def part(wildcards):
        output = card(wildcards)["output"]
        return {key: output[key] for key in keys}

    return part


def of_input(*keys):
    """Params function: these keys of the input of a job's card."""

    def part(wildcards):
        wanted = card(wildcards)["input"]
        return {key: wanted[key] for key in keys}

    return part


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


def seen_by_network(wildcards):
    """What of a job's card says how the network sees an image, and what becomes of its probabilities."""
    wanted, output = card(wildcards)["input"], card(wildcards)["output"]
    return {
        "input": {key: wanted[key] for key in ("view", "tiles")},
        "output": {
            "labels": list(output["labels"]),
            **{
                key: output[key]
                for key in ("activation", "flip", "blur", "floor", "mask")
            },
        },
    }


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
    if name in SETTINGS["keep"]:
        return f"<results>/{path}.nii.gz"
    return temp(f"work/{path}.nii")


def every_run(pattern):
    """Input function: paths of ``pattern`` for every scan and model that can be run.

    A function, so that only the jobs that read all scans make the list, and no cluster job of one scan.
    """
    return lambda wildcards: paths_of_runs(pattern, SCANS, CARDS)


def every_truth(pattern):
    """Input function: paths of ``pattern`` for every scan and model that can be held against a truth."""

    def paths(wildcards):
        known = [record for record in SCANS if record["truth"][0] == "ok"]
        found = paths_of_runs(pattern, known, CARDS)
        if not found:
            told = next((why for _, why in (r["truth"] for r in SCANS) if why), "")
            raise WorkflowError(
                "evaluate: no scan that can be run has a truth image: give each a label image of its "
                "true lesions in the scan table's column truth, or beside it by the pattern truth"
                + (f" ({told})" if told else "")
            )
        return found

    return paths


def of_cohort():
    """Whether this run was of the cohort, and not of a model by itself."""
    return set(workflow.dag_settings.targets) != {"check_model"} and not isinstance(
        PLANNED, CohortError
    )


def write_partial_table():
    """A row for every scan of a run that failed, with the step and the reason."""
    from lesionflow.tables import cohort_table, write_table

    targets = workflow.dag_settings.targets
    if targets and all("evaluat" in str(target) for target in targets):
        from lesionflow.evaluation import gathered

        name, table = (
            "evaluation",
            gathered(SCANS, MODELS, Path("results"), Path("logs"))[0],
        )
    else:
        name, table = "cohort", cohort_table(
            SCANS, MODELS, Path("results"), Path("logs")
        )
    write_table(Path(f"results/{name}.partial.csv"), table)
    failed = table[table.status.str.startswith("failed")]
    for row in failed.drop_duplicates(["scan", "status"]).itertuples():
        logger.error(f"{row.scan}: {row.status}: {row.reason}")
    logger.error(
        f"{failed.scan.nunique()} of {table.scan.nunique()} scans failed; results/{name}.partial.csv has a "
        "row for every scan. The same command takes up what is missing; exclude a scan to go on without it."
    )


def forget_partial_table():
    """What a whole run leaves behind is cohort.csv, and evaluation.csv where it was asked for."""
    for name in ("cohort", "evaluation"):
        Path(f"results/{name}.partial.csv").unlink(missing_ok=True)
