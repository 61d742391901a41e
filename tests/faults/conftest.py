"""Fixtures of the injected faults, the selection of plain ``pytest``, and the table at the end."""

import random
from contextlib import contextmanager

import pytest

from faults.calls import end_all
from faults.worlds import World

FAULTS = []  # every fault that was injected


class Fault:
    """A number of faults of one kind; ``lost`` of them were not survived."""

    def __init__(self, kind, number):
        self.kind, self.number, self.lost = kind, number, None


def pytest_addoption(parser):
    parser.addoption("--all-faults", action="store_true", help="inject all faults")


def pytest_collection_modifyitems(config, items):
    """Without ``--all-faults``, only the tests marked ``selected`` run."""
    if config.getoption("all_faults", default=False):
        return
    ours = [item for item in items if "faults" in item.path.parts]
    left_out = [item for item in ours if not item.get_closest_marker("selected")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def pytest_terminal_summary(terminalreporter, config):
    """A table of the faults, in Markdown."""
    if not config.getoption("all_faults", default=False) or not FAULTS:
        return
    terminalreporter.section("injected faults")
    terminalreporter.write_line("| fault | injected | survived |\n|---|---|---|")
    for kind in dict.fromkeys(fault.kind for fault in FAULTS):
        injected = sum(fault.number for fault in FAULTS if fault.kind == kind)
        lost = sum(fault.lost for fault in FAULTS if fault.kind == kind)
        terminalreporter.write_line(f"| {kind} | {injected} | {injected - lost} |")
    total, lost = sum(fault.number for fault in FAULTS), sum(fault.lost for fault in FAULTS)
    terminalreporter.write_line(f"| all | {total} | {total - lost} |")


@pytest.fixture
def inject():
    """A context in which faults of one kind are injected; an error in it means that they were not survived."""

    @contextmanager
    def inject(kind, number=1):
        fault = Fault(kind, number)
        FAULTS.append(fault)
        try:
            yield fault
        except BaseException:
            fault.lost = number if fault.lost is None else fault.lost
            raise
        fault.lost = fault.lost or 0

    return inject


@pytest.fixture
def rng(request):
    """Random numbers that depend on nothing but the name of the test."""
    return random.Random(request.node.name)


@pytest.fixture(scope="session")
def world(tmp_path_factory, tiny, models_dir):
    """The small card, and undisturbed runs with it."""
    return World(tmp_path_factory.mktemp("faults"), tiny, models_dir)


@pytest.fixture(autouse=True)
def no_process_is_left():
    """The processes of a test end with it."""
    yield
    end_all()
