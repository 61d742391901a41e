"""Documents of the repository and the site that is made of them."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config

from support.paths import REPOSITORY

DOCUMENTS = [
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "config/README.md"),
    *sorted(f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md")),
]
# attributes from which a browser loads something; links (href of a) load nothing
LOADED = r"""(?:<(?:script|img|iframe|source)[^>]*\ssrc=|<link[^>]*\shref=)["']?([^"'\s>]+)"""


@pytest.mark.parametrize("page", DOCUMENTS)
def test_links_between_documents_exist(page):
    path = REPOSITORY / page
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text())
    for link in links:
        assert (path.parent / link).exists(), link


def test_the_navigation_names_every_document_once():
    class Loader(yaml.SafeLoader):
        """Reads mkdocs.yml, whose tags name Python objects."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
    site = yaml.load((REPOSITORY / "mkdocs.yml").read_text(), Loader)

    def pages(part) -> Iterator[str]:
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            part = [*part.values()]
        if isinstance(part, list):
            for inner in part:
                yield from pages(inner)

    # config/README.md is for the catalog of Snakemake workflows, and leads to the pages
    assert sorted(pages(site["nav"])) == sorted({*DOCUMENTS} - {"config/README.md"})


def test_every_document_is_linked_from_another_one():
    linked = set()
    for page in DOCUMENTS:
        folder = (REPOSITORY / page).parent
        for link in re.findall(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)", (REPOSITORY / page).read_text()):
            linked |= {(folder / link).resolve()} - {(REPOSITORY / page).resolve()}
    unlinked = {page for page in DOCUMENTS if (REPOSITORY / page).resolve() not in linked}
    assert unlinked == {"README.md", "config/README.md"}


def test_the_site_has_no_broken_link_and_loads_nothing_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    config = load_config(str(REPOSITORY / "mkdocs.yml"), strict=True, site_dir=str(tmp_path))
    build(config)
    pages = [*tmp_path.rglob("*.html")]
    assert {"index.html", "install.html", "changelog.html"} <= {page.name for page in pages}
    for page in pages:
        for address in re.findall(LOADED, page.read_text()):
            assert not urlsplit(address).netloc, (page.name, address)
    for style in tmp_path.rglob("*.css"):
        for address in re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')]+)", style.read_text()):
            assert not urlsplit(address).netloc, (style.name, address)
