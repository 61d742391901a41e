"""What a wheel of the project has (hatchling calls this): the workflow in one folder, and a file that puts its command on the path."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = "lesionflow_workflow"
FILES = ("Snakefile", "config", "envs", "profiles", "report", "resources", "rules", "scripts")


class WholeWorkflow(BuildHookInterface):
    """Adds the files; an editable installation uses those of the repository."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files of a wheel.

        Parameters
        ----------
        version
            ``editable`` or ``standard``.
        build_data
            Its ``force_include`` is changed: paths in the wheel by paths in the repository.
        """
        if version != "editable":
            build_data["force_include"] |= {name: f"{FOLDER}/{name}" for name in FILES}
            build_data["force_include"]["scripts/tools/wheel.pth"] = "lesionflow.pth"
