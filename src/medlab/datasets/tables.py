"""Tables of data sets: CSV files with a header."""

import csv
from pathlib import Path

import pandas as pd

from medlab.errors import BadInput


def write_rows(path: Path, rows: list[dict]) -> None:
    """Write rows as CSV, UTF-8, with the first row's keys as header; the folder must exist."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_table(path: Path, key: str, columns: tuple[str, ...]) -> pd.DataFrame:
    """Read a CSV file whose key column is text; all its columns are kept.

    Raises BadInput for a missing file, a file that is not a table, and a missing column.
    """
    try:
        table = pd.read_csv(path, dtype={key: str})
    except FileNotFoundError:
        raise BadInput(f"{path} not found: point to the folder that holds it") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        why = str(error).splitlines()[0]
        raise BadInput(f"{path} is not a table ({why}): fetch or make it again") from None
    missing = [name for name in (key, *columns) if name not in table.columns]
    if missing:
        raise BadInput(
            f"{path} has no column {', '.join(missing)}: it has {', '.join(table.columns)}; add "
            "it, or name it in the first line"
        )
    return table
