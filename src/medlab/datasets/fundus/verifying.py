"""Say what is wrong with a folder of fundus photographs."""

from pathlib import Path

import pandas as pd

from medlab.datasets.fundus.reading import IMAGES, field_of_view, read_photograph, read_table
from medlab.errors import BadInput


def verify(folder: Path) -> list[str]:
    """Return what is wrong, one line for each fault with file and mend; empty if nothing is."""
    folder = Path(folder)
    try:
        table = read_table(folder)
    except BadInput as error:
        return [str(error)]
    return [*_strays(folder, table), *_pictures(folder, table)]


def _strays(folder: Path, table: pd.DataFrame) -> list[str]:
    known = set(table["path"])
    names = sorted(f"{IMAGES}/{path.name}" for path in (folder / IMAGES).glob("*.png"))
    return [
        f"{folder / name} has no row in train.csv: add its grade, or take the file out"
        for name in names
        if name not in known
    ]


def _pictures(folder: Path, table: pd.DataFrame) -> list[str]:
    faults = []
    for path in table["path"]:
        try:
            field_of_view(read_photograph(folder / path))
        except BadInput as error:
            faults.append(str(error))
        except ValueError as error:
            faults.append(f"{folder / path}: {error}; take its row out of train.csv")
    return faults
