"""An application as an Arduino sketch: its C files, the sketch, and the model as a byte array.

The byte array is made from the .tflite file whenever it is wanted, so that the two never differ.
Not tried: arduino-cli and the library TensorFlowLite are absent where this was written; the
commands are tested against a stand-in, the C files and the byte array for what they hold.
"""

import shutil
from pathlib import Path

from medlab.edge.boards import programs
from medlab.edge.boards.board import Board
from medlab.edge.boards.hardware_labs import find_hardware_labs
from medlab.edge.compiler.compile import CompiledModel, translate
from medlab.edge.compiler.tflite import read_model
from medlab.errors import BadInput
from medlab.files import write_bytes, write_text

FROM_LIBRARY = ("hal.h", "print.h", "print.c")  # what does not depend on the board
OWN_MAIN = "main.c"  # of the boards without Arduino's core
PER_LINE = 16
PATIENCE_S = 600
HEAD = """/* Written by medlab from {name}, {size} bytes; write it anew rather than change it. */
#ifndef MODEL_DATA_H
#define MODEL_DATA_H

#if defined(__cplusplus)
alignas(16)
#else
_Alignas(16)
#endif
static const unsigned char model_data[] = {{
{rows}
}};
static const unsigned int model_data_size = sizeof model_data;

#endif
"""


def array(model: Path) -> str:
    """Return a C and C++ header with an int8 .tflite file as the bytes `model_data`.

    Raises BadInput for a file that is no int8 model.
    """
    read_model(model)
    content = model.read_bytes()
    rows = [content[at : at + PER_LINE] for at in range(0, len(content), PER_LINE)]
    lines = ["    " + ", ".join(f"0x{byte:02x}" for byte in row) + "," for row in rows]
    return HEAD.format(name=model.name, size=len(content), rows="\n".join(lines))


def sketch(application: Path, model: Path, out: Path) -> Path:
    """Put an application's sketch and all that it includes into a folder in out; return that.

    An application has a sketch where it has arduino/<its name>.ino. Raises BadInput if it has none.
    """
    source = application / "arduino" / f"{application.name}.ino"
    if not source.is_file():
        raise BadInput(
            f"{application.name} has no Arduino sketch: write {source}, or name ecg_monitor"
        )
    folder = out / application.name
    library = find_hardware_labs() / "lib"
    files = [source, *(library / name for name in FROM_LIBRARY)]
    files += [f for f in sorted(application.glob("*.[ch]")) if f.name != OWN_MAIN]
    compiled, bytes_of_model = translate(read_model(model)), array(model)
    for file in files:
        write_bytes(folder / file.name, file.read_bytes())
    write_text(folder / "model.h", declarations(compiled))
    write_text(folder / "model_data.h", bytes_of_model)
    return folder


def declarations(compiled: CompiledModel) -> str:
    """Return model.h for an interpreter: the compiler's, less the size of the compiler's arena."""
    lines = compiled.header.splitlines(keepends=True)
    return "".join(line for line in lines if "MODEL_ARENA_SIZE" not in line)


def commands(folder: Path, board: Board, port: str = "") -> list[list[str]]:
    """Return what arduino-cli is told: to compile a sketch and, with a port, to upload it."""
    name = board.tools.get("arduino-cli")
    if not name:
        raise BadInput(f"{board.name} is no Arduino board: --board nrf52840 is one")
    made = [["arduino-cli", "compile", "--fqbn", name, str(folder)]]
    if port:
        made.append(["arduino-cli", "upload", "--fqbn", name, "--port", port, str(folder)])
    return made


def build(folder: Path, board: Board, port: str = "") -> None:
    """Compile a sketch and, with a port, upload it. Raises BadInput with the reason if not."""
    told = commands(folder, board, port)
    if shutil.which("arduino-cli") is None:
        raise BadInput(
            f"arduino-cli is not installed: install it, or open {folder} in Arduino's own editor"
        )
    for command in told:
        _run(command)


def _run(command: list[str]) -> None:
    late = f"arduino-cli {command[1]} gave no answer in {PATIENCE_S} s"
    done = programs.run(command, PATIENCE_S, "arduino-cli is not installed", late)
    if done.returncode:
        said = programs.first_error(done.stderr + done.stdout)
        raise BadInput(f"arduino-cli cannot {command[1]} the sketch: {said}")
