"""Models on microcontrollers: int8 .tflite files compiled to C, and boards that run it.

Nothing heavy is imported here; `compile_model` and `Compiled` are loaded when they are asked for.
"""

import importlib
from typing import Any

_LATE = {"compile_model": "compile", "Compiled": "compile", "read_model": "graph"}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(f"medlab.edge.{_LATE[name]}"), name)
    raise AttributeError(f"module 'medlab.edge' has no attribute '{name}'")
