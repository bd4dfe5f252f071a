"""Boards: build firmware, emulate it with exact counts, profile it, write it to a real board.

They do not compile models (compiler/ does), and an emulated run measures no time or power.
"""

import importlib
from typing import Any

_LATE = {
    "BUDGET": "run",
    "RunRequest": "run",
    "RunResult": "run",
    "Board": "board",
    "load": "board",
    "application": "hardware_labs",
    "build_folder": "hardware_labs",
    "find_hardware_labs": "hardware_labs",
    "names": "hardware_labs",
    "sources": "hardware_labs",
    "wants_model": "hardware_labs",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
