"""The folder of this workflow. A module from git has none: Snakemake reads its files one by one, so its commit is copied."""

import tarfile
import tempfile
from pathlib import Path


def copied_commit(folder):
    """The folder, with ``..`` resolved, of a copy of a commit, and the commit; copied once into Snakemake's cache."""
    from git import Repo
    from snakemake.sourcecache import LocalGitFile

    is_local = isinstance(folder, LocalGitFile)
    repository = Repo(folder.repo_path) if is_local else folder.hosted_repo.repo
    commit = repository.commit(folder.ref).hexsha
    copy = Path(workflow.sourcecache.cache_path, "lesionflow", commit)
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=copy.parent) as partial:
            archive = Path(partial, "commit.tar")
            with archive.open("wb") as stream:
                repository.archive(stream, commit)
            with tarfile.open(archive) as files:
                files.extractall(Path(partial, "files"), filter="data")
            try:
                Path(partial, "files").rename(copy)
            except OSError:
                if not copy.exists():  # another process was not faster
                    raise
    return copy, commit


_folder = workflow.current_basedir  # of this file
if hasattr(_folder, "ref"):
    REPOSITORY, COMMIT = copied_commit(_folder)
else:
    REPOSITORY, COMMIT = Path(_folder.get_path_or_uri(secret_free=True)).parent, ""
