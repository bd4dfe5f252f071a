"""How large a tensor arena TensorFlow Lite for Microcontrollers needs for a model.

tflite-micro's interpreter is tried on this computer, in a process for each size: with an arena that
is too small it raises an error, or crashes. Pointers have 8 bytes here and 4 on a microcontroller,
so that the size found is enough there.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

from medlab.edge.compiler.compile import translate
from medlab.edge.compiler.tflite import read_model
from medlab.errors import BadInput

STEP = 64
MOST = 1 << 18  # all the RAM of an nRF52840
PATIENCE_S = 60
PROBE = """
import sys
import numpy as np
import tflite_micro
model = open(sys.argv[1], "rb").read()
made = tflite_micro.runtime.Interpreter.from_bytes(model, arena_size=int(sys.argv[2]))
made.set_input(np.zeros(made.get_input_details(0)["shape"], np.int8), 0)
made.invoke()
made.get_output(0)
"""


def smallest_arena(model: Path, most: int = MOST) -> int:
    """Return the bytes of the smallest arena that runs a model, to the next multiple of 64.

    Raises BadInput for a file that is not an int8 model, and where most bytes are not enough.
    """
    if importlib.util.find_spec("tflite_micro") is None:
        raise BadInput("tflite-micro is not installed: pip install tflite-micro")
    too_small, enough = _bounds(model, most // STEP)
    while enough - too_small > 1:
        middle = (too_small + enough) // 2
        if _is_enough(model, middle * STEP):
            enough = middle
        else:
            too_small = middle
    return enough * STEP


def _bounds(model: Path, most: int) -> tuple[int, int]:
    """Return steps that are too few and steps that are enough, by doubling the compiler's arena."""
    too_small, size = 0, translate(read_model(model)).arena_bytes // STEP + 1
    while not _is_enough(model, min(size, most) * STEP):
        if size >= most:
            raise BadInput(
                f"{model}: tflite-micro does not run it in an arena of {most * STEP:,} bytes"
            )
        too_small, size = size, 2 * size
    return too_small, min(size, most)


def _is_enough(model: Path, size: int) -> bool:
    command = [sys.executable, "-c", PROBE, str(model), str(size)]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
