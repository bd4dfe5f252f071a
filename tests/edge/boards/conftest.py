"""Firmware from a few lines of C, built by the compiler that pip installs, on an emulated board."""

import pytest

from medlab.edge import boards
from medlab.edge.boards import toolchain

HEAD = '#include "hal.h"\n#include "print.h"\n#include "string.h"\n#include "exit.h"\n'


@pytest.fixture(scope="session")
def zig():
    return toolchain.find("zig")


@pytest.fixture
def build(tmp_path, zig):
    """Build C text for a board; give (board, firmware)."""

    def building(code, board="stm32f405", compiler=zig, defines=None):
        source = tmp_path / "main.c"
        source.write_text(HEAD + code)
        found = boards.load(board)
        elf = tmp_path / f"{board}-{compiler.kind}.elf"
        return found, found.build([source], elf, defines, compiler)

    return building


@pytest.fixture
def on_board(build):
    """Build C text and run it; give the RunResult."""

    def running(code, board="stm32f405", feed=(), budget=2_000_000, watch=(), rises=(), **how):
        found, firmware = build(code, board, **how)
        return found.run(firmware, feed, budget=budget, watch=watch, rises=rises)

    return running
