"""Hook of MkDocs: the pages of the site are files of the repository, wherever they lie.

MkDocs takes pages from one folder. Here each file keeps its path in the repository as its name, so that a link
between two documents is the same in the repository and on the site; only the address of a page is shorter.
"""

from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
LINKED = (  # copied as they are
    *("LICENSE", "CITATION.cff", "config/config.yaml"),
    "profiles/default/profile.v9+.yaml",
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """All files of the site, in place of those that MkDocs found in docs/.

    Parameters
    ----------
    files
        Of ``docs_dir``, with paths relative to it, and of the theme.
    config
        Of ``mkdocs.yml``.
    """
    docs = Path(config.docs_dir).name
    ours = [file for file in files if file.src_dir == config.docs_dir]
    theme = [file for file in files if file.src_dir != config.docs_dir]
    paths = [*PAGES, *LINKED, *(f"{docs}/{file.src_uri}" for file in ours)]
    return Files([*(_file(path, docs, config) for path in paths), *theme])


def _file(path: str, docs: str, config: MkDocsConfig) -> File:
    place = PurePosixPath(path)
    if place.parts[0] == docs:
        place = place.relative_to(docs)
    if place.suffix == ".md":
        name = "index" if place.stem == "README" else place.stem.lower()
        place = place.with_name(f"{name}.html")
    return File(
        path,
        src_dir=str(REPOSITORY),
        dest_dir=config.site_dir,
        use_directory_urls=False,
        dest_uri=str(place),
    )
