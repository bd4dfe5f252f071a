"""The compiler: an int8 .tflite file becomes plain C, equal to tflite-micro bit for bit.

It neither builds nor runs that C (boards/ does), and it trains and quantises no network.
"""

import importlib
from typing import Any

_LATE = {
    "compile_model": "compile",
    "translate": "compile",
    "CompiledModel": "compile",
    "read_model": "tflite",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
