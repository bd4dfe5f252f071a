"""Boards: a folder each under hardware_labs/boards/, built for and emulated here.

board.yaml names the core, clock and memory, what identifies the chip, and the devices of its
emulation (devices/models.py, with the addresses at which the chip has them).
"""

import importlib.util
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from medlab.edge.boards import toolchain
from medlab.edge.boards.description import BoardDescription, read_description
from medlab.edge.boards.hardware_labs import find_hardware_labs, names, sources
from medlab.edge.boards.run import RunRequest, RunResult
from medlab.errors import BadInput

if TYPE_CHECKING:  # it imports elftools
    from medlab.edge.boards.firmware import Firmware

OUT = "firmware.elf"
MOST_BUILT = 100  # ELF files that are kept, of a few ten kB each
_built: dict[tuple, bytes] = {}  # by board, compiler, texts and defines


def load(name: str) -> "Board":
    """Read a board's folder; raise BadInput for an unknown name or a bad board.yaml."""
    if name not in names():
        raise BadInput(f"there is no board {name}: there are {', '.join(names())}")
    folder = find_hardware_labs() / "boards" / name
    return Board(name, folder, **read_description(folder / "board.yaml"))


class Board(BoardDescription):
    """A board, and what can be done with it."""

    def build(
        self,
        sources: Sequence[Path],
        out: Path,
        defines: Mapping[str, object] | None = None,
        compiler: toolchain.Toolchain | None = None,
    ) -> "Firmware":
        """Compile C files with the board's start-up and lib/ into the ELF file out.

        Folders of the sources are searched for headers. Raises BadInput for what does not compile.
        """
        _need("elftools", "pyelftools")
        from medlab.edge.boards.firmware import Firmware
        from medlab.edge.boards.placement import check_sections

        compiler = compiler or toolchain.find()
        library = find_hardware_labs() / "lib"
        own = [*sorted(library.glob("*.c")), *sorted(self.folder.glob("*.c"))]
        folders = dict.fromkeys([*(source.parent for source in sources), library, self.folder])
        _make_folder(out.parent)
        script = self.folder / "linker.ld"
        # Another process may be reading the last build of this file: it is replaced in one step.
        with (
            _written(out),
            tempfile.TemporaryDirectory(dir=out.parent, prefix=".building-") as unfinished,
        ):
            made = Path(unfinished) / out.name
            compiler.link(self.core, [*sources, *own], made, script, library, folders, defines)
            made.replace(out)
        firmware = Firmware(out, self.name, compiler.name)
        check_sections(self, firmware)
        return firmware

    def build_text(
        self,
        files: Mapping[str, str],
        defines: Mapping[str, object] | None = None,
        compiler: toolchain.Toolchain | None = None,
    ) -> bytes:
        """Compile C given as text, {name of a file: its text}, and return the ELF file's content.

        The same text is compiled once in a process. Raises BadInput for what does not compile, with
        the place as NAME:LINE:COLUMN.
        """
        _check_names(files)
        compiler = compiler or toolchain.find()
        named = sorted((name, str(value)) for name, value in (defines or {}).items())
        key = (self.folder, compiler.name, tuple(sorted(files.items())), tuple(named))
        if key not in _built:
            if len(_built) >= MOST_BUILT:
                _built.pop(next(iter(_built)))  # the oldest
            _built[key] = self._build_text(files, defines, compiler)
        return _built[key]

    def _build_text(
        self,
        files: Mapping[str, str],
        defines: Mapping[str, object] | None,
        compiler: toolchain.Toolchain,
    ) -> bytes:
        with tempfile.TemporaryDirectory(prefix="firmware-") as made:
            folder = Path(made).resolve()
            for name, text in files.items():
                (folder / name).write_text(text, encoding="utf-8")
            try:
                return self.build(sources(folder), folder / OUT, defines, compiler).elf.read_bytes()
            except BadInput as problem:
                raise BadInput(str(problem).replace(f"{folder}{os.sep}", "")) from None

    def run(self, firmware: "Firmware", feed: Sequence[int] = (), **options) -> RunResult:
        """Emulate firmware; feed and options are the fields of RunRequest."""
        return self.emulate(firmware, RunRequest(feed, **options))

    def emulate(self, firmware: "Firmware", request: RunRequest) -> RunResult:
        """Run firmware on the emulated board, from reset to its end.

        Raises BadInput for a firmware that does not fit the board, or has no function or variable
        of a name in the request.
        """
        _need("unicorn", "unicorn")
        _need("capstone", "capstone")
        from medlab.edge.boards import emulation

        return emulation.emulate(self, firmware, request)


def _check_names(files: Mapping[str, str]) -> None:
    for name, text in files.items():
        if Path(name).name != name or Path(name).suffix not in (".c", ".h"):
            raise BadInput(f"{name!r} is not a C file's name: one like kernel.c or kernel.h")
        if not isinstance(text, str):
            raise BadInput(f"{name} must be text, not {type(text).__name__}")
    if not any(name.endswith(".c") for name in files):
        raise BadInput("no C files: give at least one, such as {'main.c': '...'}")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        what = f"cannot make the folder {folder} ({problem.strerror})"
        raise BadInput(f"{what}: name another with --out") from None
    if not os.access(folder, os.W_OK):
        raise BadInput(
            f"cannot write into {folder}: fix its permissions, or name another with --out"
        )


@contextmanager
def _written(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        do = f"free disk space, fix permissions on {out.parent}, or name another file"
        raise BadInput(f"{out} cannot be written ({problem.strerror}): {do}") from None


def _need(module: str, package: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise BadInput(f"{package} is not installed: pip install {package}")
