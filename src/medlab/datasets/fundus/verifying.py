"""Check a folder of fundus photographs, generated or real."""

from pathlib import Path

import pandas as pd

from medlab.datasets.fundus.layout import GRADES_FILE, IMAGES
from medlab.datasets.fundus.reading import field_of_view, read_photograph, read_table
from medlab.errors import BadInput


def verify(folder: Path) -> list[str]:
    """Return one line for each fault, naming the file and the fix; [] if there is none."""
    folder = Path(folder)
    try:
        table = read_table(folder)
    except BadInput as error:
        return [str(error)]
    return [*_strays(folder, table), *_unreadable(folder, table)]


def _strays(folder: Path, table: pd.DataFrame) -> list[str]:
    known = set(table["path"])
    names = sorted(f"{IMAGES}/{path.name}" for path in (folder / IMAGES).glob("*.png"))
    return [
        f"{folder / name} has no row in {GRADES_FILE}: add its grade, or remove the file"
        for name in names
        if name not in known
    ]


def _unreadable(folder: Path, table: pd.DataFrame) -> list[str]:
    faults = []
    for path in table["path"]:
        try:
            field_of_view(read_photograph(folder / path))
        except BadInput as error:
            faults.append(str(error))
        except ValueError as error:
            faults.append(f"{folder / path}: {error}; delete its row in {GRADES_FILE}")
    return faults
