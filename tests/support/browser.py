"""Pages in a real browser: the system's Chromium, driven by Playwright, without a network.

The module is a pytest plugin. Its fixtures last for one module of tests: while Playwright runs, no other test of the
process can start an event loop.
"""

import os
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
REMEDY = "install Chromium (Debian: apt-get install chromium) to test pages in a browser"
NEEDED = "LESIONFLOW_NEEDS_BROWSER"  # if it is 1, as in .ci/run, tests fail without a browser
WEBGL_IN_SOFTWARE = [
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
NO_WEBGL = ["--disable-gpu", "--disable-3d-apis", "--disable-software-rasterizer"]
LOCAL = re.compile(
    r"(file|data|blob|about|chrome|chrome-extension):"
)  # its PDF viewer is an extension
WCAG_2_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@cache
def chromium() -> str | None:
    """Path of a Chromium that starts; root installs it with ``apt-get`` if there is none. None if it cannot be had."""
    found = _find()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        warnings.warn("installing chromium with apt-get, for the tests of the pages", stacklevel=1)
        _install()
        found = _find()
    return found


def _find() -> str | None:
    for path in filter(None, map(shutil.which, NAMES)):
        # a command of this name may be there only to say that a snap is missing
        if subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    return None


def _install() -> None:
    """Install the package of Debian; without a network, or on another system, nothing happens."""
    apt = ["apt-get", "-y", "-q", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=1"]
    apt += ["-o", "DPkg::Lock::Timeout=120"]
    install = [*apt, "install", "--no-install-recommends", "chromium"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # downloads are cut off, the installation is not: that would leave packages half configured
    steps = [
        ([*apt, "update"], 120),
        ([*install, "--download-only"], 300),
        ([*install, "--no-download"], None),
    ]
    for command, seconds in steps:
        try:
            subprocess.run(
                command, env=environment, timeout=seconds, check=True, capture_output=True
            )
        except (subprocess.SubprocessError, OSError) as error:
            warnings.warn(f"installing chromium: {error}", stacklevel=1)


@contextmanager
def launched(playwright, webgl=True):
    """A headless Chromium; with ``webgl``, WebGL 2 is computed on the CPU, otherwise pages get none."""
    browser = playwright.chromium.launch(
        executable_path=chromium(),
        args=WEBGL_IN_SOFTWARE if webgl else NO_WEBGL,
        chromium_sandbox=os.geteuid() != 0,  # which does not work for root
    )
    yield browser
    browser.close()


@contextmanager
def offline_page(browser, **options):
    """A page without a network, in a context of its own, with its own storage.

    Parameters
    ----------
    browser
        From ``launched``.
    options
        Of the context (``browser.new_context``).

    Raises
    ------
    AssertionError
        At the end, if the page, or another one that it opened, had an error, printed one to its console, or asked for
        anything but local files.
    """
    options = {"viewport": {"width": 1280, "height": 900}, "accept_downloads": True, **options}
    context = browser.new_context(**options, offline=True)
    problems = []
    context.on("weberror", lambda error: problems.append(f"error: {error.error}"))
    context.on("console", lambda message: _note_error(problems, message))
    context.on("request", lambda request: _note_request(problems, request.url))
    context.on("page", lambda page: page.on("websocket", lambda s: _note_request(problems, s.url)))
    yield context.new_page()
    context.close()
    assert not problems, "\n".join(problems)


def _note_error(problems, message):
    if message.type == "error":
        problems.append(f"console: {message.text} ({message.location.get('url')})")


def _note_request(problems, url):
    if not LOCAL.match(url):
        problems.append(f"request: {url}")


def need_chromium() -> None:
    """Skip the test if there is no Chromium, or let it fail if ``NEEDED`` says so."""
    if chromium() is None:
        (pytest.fail if os.environ.get(NEEDED) == "1" else pytest.skip)(REMEDY)


@pytest.fixture(scope="module")
def playwright() -> Iterator:
    """Playwright, where a Chromium can be had."""
    need_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(playwright):
    """A Chromium in which pages have WebGL 2."""
    with launched(playwright) as browser:
        yield browser


@pytest.fixture(scope="module")
def browser_without_webgl(playwright):
    """A Chromium in which pages have no WebGL."""
    with launched(playwright, webgl=False) as browser:
        yield browser


@pytest.fixture
def page(browser):
    """A page without a network; the test fails if it has an error or asks for more than local files."""
    with offline_page(browser) as page:
        yield page


@pytest.fixture
def page_without_webgl(browser_without_webgl):
    """As ``page``, without WebGL."""
    with offline_page(browser_without_webgl) as page:
        yield page


def axe_violations(page, within=None) -> list[str]:
    """What axe-core finds against WCAG 2.2, levels A and AA: one line for each element.

    Parameters
    ----------
    page
        A page that is open.
    within : str
        CSS selector of the part to check; by default the whole page.
    """
    from axe_playwright_python.sync_playwright import Axe

    options = {"runOnly": {"type": "tag", "values": WCAG_2_AA}, "resultTypes": ["violations"]}
    options["preload"] = False  # of styles and media, by requests that a page from disk cannot make
    found = Axe().run(page, context=within, options=options).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: {node['target']} {node['html'][:200]}: "
        + "; ".join(check["message"] for check in (*node["any"], *node["all"], *node["none"]))
        for rule in found
        for node in rule["nodes"]
    ]
