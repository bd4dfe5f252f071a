"""Boards that qemu has too."""

from pathlib import Path

from medlab.edge import boards
from medlab.edge.boards.description import read_description

TEST_BOARDS = Path(__file__).parents[1] / "edge" / "boards"


def qemu_board(name: str) -> boards.Board:
    """Return one of medlab's boards, or the Cortex-M7 that exists for comparison with qemu only."""
    if name in boards.names():
        return boards.load(name)
    folder = TEST_BOARDS / name
    return boards.Board(name, folder, **read_description(folder / "board.yaml"))
