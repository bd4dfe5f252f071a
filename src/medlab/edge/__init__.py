"""Int8 models on microcontrollers: compiler/ turns .tflite files into C, boards/ runs it.

It trains no networks, and runs none on phones or graphics cards.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "compile_model":  # loaded when asked for: it imports numpy
        from medlab.edge.compiler.compile import compile_model

        return compile_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
