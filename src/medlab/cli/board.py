"""`medlab board`: build, run, profile and flash firmware."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from medlab.cli.groups import new_group

app = new_group(name="board", help="Build firmware, run it on an emulated board, flash a real one.")

App = Annotated[str, typer.Argument(help="A folder with C files, or a name in hardware_labs/.")]
Board = Annotated[str, typer.Option("--board", help="A board; see 'medlab board list'.")]
Compiler = Annotated[str, typer.Option(help="gcc or zig; default: whichever is installed.")]
FeedFile = Annotated[
    Path | None, typer.Option(help="Samples for the sensor: .npy, .bin (16 bits) or text.")
]
Budget = Annotated[int | None, typer.Option(min=1, help="Stop after this many instructions.")]
ModelFile = Annotated[
    Path | None,
    typer.Option(help="An int8 .tflite file to compile in; default: the application's own."),
]
DEFAULT = "stm32f405"


@app.command("list")
def list_() -> None:
    """List the boards, and the compiler that would build for them."""
    from medlab.edge import boards
    from medlab.edge.boards import toolchain

    for name in boards.names():
        found = boards.load(name)
        print(f"{name}: {found.title}")
        print(f"  core: {found.core} at {found.clock_hz / 1e6:g} MHz")
        print(f"  memory: {found.flash['size'] >> 10} KiB flash, {found.ram['size'] >> 10} KiB RAM")
        print(f"  serial: {found.serial}")
    print(f"compiler: {toolchain.find().name}")


@app.command()
def build(
    application: App,
    board: Board = DEFAULT,
    out: Annotated[Path | None, typer.Option(help="The ELF file to write.")] = None,
    model: ModelFile = None,
    toolchain: Compiler = "",
) -> None:
    """Build an application for a board."""
    _, firmware = _build(application, board, out, toolchain, model)
    print(f"{firmware.elf}")
    print(f"  {firmware.flash_bytes:,} bytes flash, {firmware.ram_bytes:,} bytes RAM and the stack")
    print(f"  compiler: {firmware.compiler}")


@app.command()
def run(
    application: App,
    board: Board = DEFAULT,
    feed: FeedFile = None,
    budget: Budget = None,
    model: ModelFile = None,
    lead_off: Annotated[
        str, typer.Option(help="Samples while an electrode is off, such as 3600:7200.")
    ] = "",
    toolchain: Compiler = "",
) -> None:
    """Build an application, run it on the emulated board, and print its serial output."""
    from medlab.edge.boards.feeds import read_stretch

    off = [read_stretch(lead_off)] if lead_off else []
    found, firmware = _build(application, board, None, toolchain, model)
    done = found.emulate(firmware, _request(feed, budget, lead_off=off))
    sys.stdout.write(done.text)
    sys.stdout.flush()
    done.check()
    if not (done.text or feed):
        print("medlab: no output; give the sensor samples with --feed", file=sys.stderr)
    if done.exit_status:
        print(f"medlab: the firmware ended with status {done.exit_status}", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def profile(
    application: App,
    board: Board = DEFAULT,
    feed: FeedFile = None,
    budget: Budget = None,
    watch: Annotated[list[str] | None, typer.Option(help="Count this function's calls.")] = None,
    model: ModelFile = None,
    toolchain: Compiler = "",
) -> None:
    """Run an application on the emulated board and show instructions, memory and estimated time."""
    from rich.console import Console
    from rich.table import Table

    from medlab.edge.boards import profile as profiling

    found, firmware = _build(application, board, None, toolchain, model)
    request = _request(feed, budget, watch=watch or (), follow_arena=True)
    done = found.emulate(firmware, request).check()
    table = Table("what", "value", "unit", "kind", "how")
    table.columns[1].justify = "right"
    for row in profiling.rows(found, firmware, done):
        table.add_row(row.what, row.value, row.unit, row.kind, row.how)
    Console().print(table)


@app.command()
def flash(
    application: App,
    board: Board = DEFAULT,
    tool: Annotated[str, typer.Option(help="pyocd, st-flash or arduino-cli.")] = "",
    port: Annotated[str, typer.Option(help="Serial port, such as /dev/ttyACM0.")] = "",
    seconds: Annotated[float, typer.Option(min=0, help="Seconds to read the port.")] = 5,
    model: ModelFile = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print commands.")] = False,
    toolchain: Compiler = "",
) -> None:
    """Build an application, write it to the real board, and show its serial output."""
    from medlab.edge.boards import flashing, serial_port

    found, firmware = _build(application, board, None, toolchain, model)
    chosen = flashing.plan(found, firmware, tool, must_be_there=not dry_run)
    if dry_run:
        print(*flashing.commands(chosen), sep="\n")
        return
    with serial_port.open_port(port) as read:
        flashing.flash(chosen)
        print(f"written with {chosen.program}: {firmware.elf.stem} on {board}", flush=True)
        for text in read(seconds):
            print(text, end="", flush=True)


@app.command()
def sketch(
    application: App,
    out: Annotated[Path, typer.Option(help="Folder in which to create the sketch's folder.")],
    board: Board = "nrf52840",
    model: ModelFile = None,
    compile_: Annotated[
        bool, typer.Option("--compile", help="Compile it with arduino-cli.")
    ] = False,
    port: Annotated[str, typer.Option(help="Compile and upload it to this serial port.")] = "",
) -> None:
    """Write an application as an Arduino sketch that runs its model in TensorFlow Lite Micro."""
    from medlab.edge import boards
    from medlab.edge.boards import arduino
    from medlab.edge.boards.build import OWN_MODEL

    source, found = boards.application(application), boards.load(board)
    commands = arduino.commands(out / source.name, found, port or "PORT")
    folder = arduino.sketch(source, model or source / OWN_MODEL, out)
    print(f"written: {folder}", flush=True)
    if compile_ or port:
        arduino.build(folder, found, port)
        print("uploaded" if port else "compiled")
        return
    for command in commands:
        print(shlex.join(command))


def _build(application: str, board: str, out: Path | None, compiler: str, model: Path | None):
    from medlab.edge import boards
    from medlab.edge.boards import toolchain
    from medlab.edge.boards.build import build_application

    found, folder = boards.load(board), boards.application(application)
    return found, build_application(folder, found, toolchain.find(compiler), model, out)


def _request(feed: Path | None, budget: int | None, **fields):
    from medlab.edge.boards import BUDGET, RunRequest
    from medlab.edge.boards.feeds import read_feed

    return RunRequest(read_feed(feed) if feed else (), budget or BUDGET, **fields)
