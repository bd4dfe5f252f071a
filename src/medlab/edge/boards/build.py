"""Build an application, a folder with C files, together with the model that it runs."""

from pathlib import Path
from typing import TYPE_CHECKING

from medlab.edge.boards.board import Board
from medlab.edge.boards.hardware_labs import build_folder, sources, wants_model
from medlab.edge.boards.toolchain import Toolchain
from medlab.edge.compiler.compile import compile_model
from medlab.errors import BadInput

if TYPE_CHECKING:  # it imports elftools
    from medlab.edge.boards.firmware import Firmware

OWN_MODEL = "model.tflite"


def build_application(
    folder: Path,
    board: Board,
    compiler: Toolchain,
    model: Path | None = None,
    out: Path | None = None,
) -> "Firmware":
    """Build an application for a board, into the ELF file out or below build/ in the checkout.

    model: an int8 .tflite file; by default the application's own model.tflite, if it has one.
    Raises BadInput for what cannot be compiled, and where a model is missing.
    """
    if model is None and (folder / OWN_MODEL).is_file():
        model = folder / OWN_MODEL
    files = sources(folder)
    if model is None and wants_model(files):
        raise BadInput(f"{folder.name} needs a model: name its .tflite file with --model")
    place = build_folder(folder, model) / board.name
    if model:
        made = place / f"{folder.name}-model"
        compile_model(model, made)
        files.append(made / "model.c")
    return board.build(files, out or place / f"{folder.name}.elf", compiler=compiler)
