"""The root command `medlab`: it loads the module of the command that is called, and no other."""

import importlib
import sys
from typing import Annotated

import typer
from typer.core import TyperGroup

import medlab as package
from medlab.cli.groups import new_group
from medlab.errors import BadInput

# Command or group -> the module of medlab.cli that holds it, in the order of `medlab --help`.
MODULES = {
    "build": "authoring",
    "release": "authoring",
    "start": "learning",
    "check": "learning",
    "hint": "learning",
    "progress": "learning",
    "sample": "classroom",
    "grade": "classroom",
    "report": "classroom",
    "similar": "classroom",
    "export": "classroom",
    "data": "data",
    "edge": "edge",
    "board": "board",
    "doctor": "machine",
}
INTERRUPTED = 130  # typer's exit status for Ctrl-C


class LazyGroup(TyperGroup):
    """The commands of MODULES, each imported when it is called or listed."""

    def list_commands(self, ctx) -> list[str]:
        """Return the names of all commands; nothing is imported."""
        return list(MODULES)

    def get_command(self, ctx, cmd_name: str):
        """Import a command's module and return the command, or None for an unknown name."""
        if cmd_name not in MODULES:
            for name in MODULES:  # typer suggests near ones of these
                self.get_command(ctx, name)
            return None
        if cmd_name not in self.commands:
            self.commands[cmd_name] = _load(cmd_name)
        return self.commands[cmd_name]


def _load(name: str):
    module = importlib.import_module(f"medlab.cli.{MODULES[name]}")
    group = typer.main.get_group(module.app)
    return group if group.name == name else group.commands[name]


app = new_group(
    name="medlab",
    help="Build, solve and grade the units of medlab.",
    cls=LazyGroup,
    completion=True,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"medlab {package.__version__}")
        raise typer.Exit


@app.callback()
def medlab(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-v", is_eager=True, callback=_print_version, help="Show the version."
        ),
    ] = False,
) -> None:
    """Build, solve and grade the units of medlab."""


def main() -> None:
    """Run a command; an error that a user caused is one line and exit status 2."""
    try:
        app()
    except BadInput as problem:
        print(f"medlab: {problem}", file=sys.stderr)
        sys.exit(2)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            print("medlab: interrupted; finished results are kept", file=sys.stderr)
        raise
