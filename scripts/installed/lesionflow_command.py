"""The command ``lesionflow``: the workflow as a BIDS App, for those who know no Snakemake.

It translates its arguments into a call of Snakemake, which takes the place of this process. An installation puts the
folder of this file on Python's path, and not the library of the workflow, which another copy of the workflow would find.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

DESCRIPTION = """\
From a directory of brain MRI scans to tables of lesions. For research only, not for diagnosis.

participant  computes the results of the scans, and the tables and the report of the cohort
group        writes the tables and the report again from results that exist, and computes no scan
"""
OWN = {  # options of Snakemake that this command gives, and what gives them
    "--config": "--config before it",
    "--configfile": "--config-file before it",
    "--configfiles": "--config-file before it",
    "--directory": "another OUTPUT_DIR",
    "--snakefile": "no Snakefile: that is ours",
    "--workflow-profile": "--profile before it",
}
SHORT = {"-C": "--config", "-d": "--directory", "-s": "--snakefile"}
EPILOG = """\
OUTPUT_DIR/results has the tables and report.html. The same command again computes what changed. All options of Snakemake
can follow two hyphens: lesionflow BIDS_DIR OUTPUT_DIR participant --models shiva-cmb-v2 -- --keep-incomplete
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Replace this process by the Snakemake that the arguments ask for."""
    command = snakemake_command(sys.argv[1:] if arguments is None else arguments)
    os.execv(command[0], command)


def snakemake_command(arguments: Sequence[str]) -> list[str]:
    """The call of Snakemake for the arguments of the command ``lesionflow``.

    Parameters
    ----------
    arguments
        As on the command line, without the name of the program.

    Returns
    -------
    list of str
        The Python interpreter and its arguments. Paths are absolute.

    Raises
    ------
    SystemExit
        If the arguments are wrong, or ask for help or the version; the message has been printed.
    """
    arguments = list(arguments)
    end = arguments.index("--") if "--" in arguments else len(arguments)
    parser = _parser()
    given, others = parser.parse_args(arguments[:end]), arguments[end + 1 :]
    cohort = "dicom" if given.dicom else "cohort"
    settings: dict[str, str | list[str]] = {cohort: str(given.bids_dir.absolute())}
    if given.participant_label or given.session_label:
        settings["include"] = _scans(given.participant_label, given.session_label)
    if given.models:
        settings["models"] = [_model(name) for name in given.models]
    if given.models_dir:
        settings["models_dir"] = str(given.models_dir.absolute())
    _check_once(parser, settings, given.config, others)
    command = [sys.executable, "-m", "snakemake"]
    command += ["--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--directory", str(given.output_dir.absolute())]
    if given.profile:
        command += ["--workflow-profile", str(_profile(parser, given.profile))]
    if given.cores:
        command += ["--cores", given.cores]
    if given.config_file:
        command += ["--configfile", str(given.config_file.absolute())]
    # Snakemake reads YAML, of which JSON is a part. It strips quotes, unless a space is before and behind them.
    command += ["--config", *(f"{key}= {_yaml(value)} " for key, value in settings.items())]
    command += given.config
    if given.dry_run:
        command.append("--dry-run")
    return [*command, *others, *(["--", "tables"] if given.level == "group" else [])]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lesionflow",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"lesionflow {_version()}")
    add(
        "bids_dir",
        metavar="BIDS_DIR",
        type=_path,
        help="the scans: a BIDS directory, folders SUBJECT/swi/, or a scan table (.tsv, .csv)",
    )
    add(
        "output_dir",
        metavar="OUTPUT_DIR",
        type=_path,
        help="working directory of this cohort: results/, logs/, and models/ with the downloaded weights",
    )
    add("level", metavar="LEVEL", choices=("participant", "group"), help="participant or group")
    add(
        "--dicom",
        action="store_true",
        help="BIDS_DIR is a directory of DICOM files (docs/dicom.md)",
    )
    add(
        "--participant-label",
        "--participant_label",
        nargs="+",
        action="extend",
        type=_label("sub"),
        metavar="LABEL",
        help="participants to compute, e.g. 01 02; the tables of such a run list the others as excluded",
    )
    add(
        "--session-label",
        "--session_label",
        nargs="+",
        action="extend",
        type=_label("ses"),
        metavar="LABEL",
        help="sessions to compute",
    )
    add(
        "--models",
        nargs="+",
        action="extend",
        metavar="MODEL",
        help="names of model cards, or paths to cards (.yaml); without it, the demo ensemble, for a trial only",
    )
    add("--models-dir", type=_path, metavar="DIR", help="folder of the weights (OUTPUT_DIR/models)")
    add(
        "--config-file",
        type=_path,
        metavar="FILE",
        help="a file with more settings (config/README.md)",
    )
    add(
        "--config",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="more settings, e.g. threshold=0.3 (config/README.md)",
    )
    add("--cores", metavar="N", help="CPU cores to use (all)")
    add("--profile", metavar="NAME", help="a profile of Snakemake: slurm, or a folder")
    add(
        "-n",
        "--dry-run",
        action="store_true",
        help="print what would be computed, and compute nothing",
    )
    return parser


def _path(text: str) -> Path:
    """Type of a path, which is not empty as that of a shell variable that was not set."""
    if not text:
        raise argparse.ArgumentTypeError("a path is empty")
    return Path(text)


def _label(entity: str) -> Callable[[str], str]:
    """Type of a label of BIDS, given with its entity or without."""

    def label(text: str) -> str:
        value = text.removeprefix(f"{entity}-")
        if not re.fullmatch("[A-Za-z0-9]+", value):
            raise argparse.ArgumentTypeError(f"{text!r} is not a label of letters and digits")
        return value

    return label


def _check_once(
    parser: argparse.ArgumentParser,
    settings: Mapping[str, object],
    config: Sequence[str],
    others: Sequence[str],
) -> None:
    """Refuse what would replace an argument of this command: Snakemake takes the last value, without a word."""
    for pair in config:
        key = pair.split("=", 1)[0].strip()
        if key in {*settings, "cohort", "dicom"}:
            parser.error(f"--config {key}: another argument gives it")
    for word in others:
        name = word.split("=", 1)[0]
        if replaced := [option for option in OWN if len(name) > 3 and option.startswith(name)]:
            parser.error(f"{word} behind --: give {OWN[replaced[0]]}")
        if name[:2] in SHORT:
            parser.error(f"{word} behind --: give {OWN[SHORT[name[:2]]]}")


def _yaml(value: str | list[str]) -> str:
    """A value as YAML, in ASCII: JSON, but that writes a character beyond U+FFFF as two."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if " " <= c <= "~" else f"\\U{ord(c):08x}" for c in text)


def _scans(participants: Sequence[str] | None, sessions: Sequence[str] | None) -> list[str]:
    """Patterns of the names of scans."""
    subjects = [f"sub-{label}" for label in participants or ["*"]]
    if not sessions:
        return subjects
    return [f"{subject}_ses-{label}" for subject in subjects for label in sessions]


def _model(name: str) -> str:
    """The name of a card, or the absolute path of one: Snakemake works in another directory."""
    is_path = os.sep in name or name.endswith((".yaml", ".json"))
    return str(Path(name).absolute()) if is_path else name


def _profile(parser: argparse.ArgumentParser, name: str) -> Path:
    """Path of a profile of this repository, or of another one: Snakemake says nothing of one that does not exist."""
    ours = REPOSITORY / "profiles" / name
    folder = ours if ours.is_dir() and os.sep not in name else Path(name).absolute()
    if not any(folder.glob("config*.y*ml")) and not any(folder.glob("profile*.y*ml")):
        parser.error(f"--profile {name}: {folder} has no file config.yaml")
    return folder


def _version() -> str:
    try:
        return version("lesionflow")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    main()
