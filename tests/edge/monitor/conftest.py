"""The monitor's firmware, built once for each board, and run on what a sensor would give."""

import pytest
from tests.support import monitor_runs as runs

from medlab.edge import boards
from medlab.edge.boards import toolchain


@pytest.fixture(scope="session")
def zig():
    return toolchain.find("zig")


@pytest.fixture(scope="session")
def firmware(tmp_path_factory, zig):
    """Build the monitor with its model for a board, once; give (board, firmware)."""
    built = {}

    def building(name="stm32f405"):
        if name not in built:
            built[name] = runs.build(name, tmp_path_factory.mktemp(name), zig)
        return boards.load(name), built[name]

    return building


@pytest.fixture(scope="session")
def listen(firmware):
    """Run the monitor on samples; give what it said."""

    def listening(feed, name="stm32f405", **how):
        board, built = firmware(name)
        return runs.read_output(board.run(built, [int(sample) for sample in feed], **how).check())

    return listening
