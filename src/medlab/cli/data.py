"""`medlab data`: list, make, fetch and verify data sets."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from medlab.cli.groups import new_group
from medlab.errors import BadInput

app = new_group(name="data", help="Make a stand-in data set, fetch the real one, verify either.")

Out = Annotated[Path | None, typer.Option(help="A new folder; default: the cache.")]


@app.command("list")
def list_() -> None:
    """List the data sets and which of them are on this machine."""
    from medlab.datasets import cache, registry
    from medlab.datasets.fetching import real_folder
    from medlab.datasets.verifying import stand_ins
    from medlab.files import is_filled

    for data_set in registry.DATA_SETS:
        made = len(stand_ins(data_set))
        real = "fetched" if is_filled(real_folder(data_set)) else "not fetched"
        print(f"{data_set.name}: {data_set.title}")
        print(f"  stand-in: {_count_of_stand_ins(made)}")
        print(f"  real: {data_set.real.title}, {real}")
        print(f"  card: {data_set.card}")
    print(f"Data folder: {cache.root()} (set MEDLAB_DATA to change it)")


def _count_of_stand_ins(made: int) -> str:
    return "not made" if not made else "made" if made == 1 else f"made with {made} settings"


@app.command()
def make(
    name: str,
    out: Out = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A maker's setting; an unknown one lists them all."
        ),
    ] = None,
) -> None:
    """Generate a stand-in in the real data set's folders and formats."""
    from medlab.datasets import cache, find
    from medlab.datasets.settings import parse

    settings = parse(find(name), set_ or [])
    print(cache.make_in(out, name, settings) if out else cache.folder(name, **settings))


@app.command()
def fetch(
    name: str,
    out: Out = None,
    agree: Annotated[bool, typer.Option("--agree", help="I have read the terms.")] = False,
) -> None:
    """Show a data set's licence and terms, and download it if you agree."""
    from medlab.datasets import fetching, find
    from medlab.files import is_filled

    data_set = find(name)
    target = out or fetching.real_folder(data_set)
    print(fetching.notice(data_set, target))
    if out is None and is_filled(target):
        print(f"Already downloaded: 'medlab data verify {name}' checks it")
        return
    if not data_set.real.files:
        print(fetching.by_hand(data_set))
        raise typer.Exit(1)
    fetching.check_place(data_set, target)
    if not agree:
        _ask_to_agree()
    for remark in fetching.fetch(data_set, target, progress=sys.stderr.isatty()):
        print(remark)
    _print_faults([target], data_set)


def _ask_to_agree() -> None:
    if not sys.stdin.isatty():
        raise BadInput("no terminal to confirm on: read the terms, then pass --agree")
    if not typer.confirm("Do you agree to the licence and the terms?"):
        raise BadInput("not agreed, nothing was downloaded")


@app.command()
def verify(
    what: Annotated[str, typer.Argument(metavar="NAME|DIR")],
    as_: Annotated[str, typer.Option("--as", help="Which data set an unlabelled DIR holds.")] = "",
) -> None:
    """List what is wrong with a data set's folders.

    Exit status 1 if anything is.
    """
    from medlab.datasets.verifying import folders

    data_set, found = folders(what, as_)
    _print_faults(found, data_set)


def _print_faults(folders: list[Path], data_set) -> None:
    faults = 0
    for folder in folders:
        found = data_set.load().verify(folder)
        faults += len(found)
        count = f"{len(found)} fault{'s' if len(found) > 1 else ''}"
        print(f"{folder}: {count if found else 'nothing wrong found'}")
        for fault in found:
            print(f"  {fault}")
    if faults:
        raise typer.Exit(1)
