"""Find the folders of a data set, and which data set a folder holds."""

import json
from pathlib import Path

from medlab.datasets import cache, fetching, registry
from medlab.datasets.registry import DataSet, find
from medlab.errors import BadInput


def stand_ins(data_set: DataSet) -> list[Path]:
    """Return the folders of a data set's stand-ins that the cache holds, by name."""
    labels = sorted(cache.root().glob(f"{data_set.name}-*/{cache.LABEL}"))
    return [label.parent for label in labels if _named_in(label) == data_set.name]


def folders(what: str, as_name: str = "") -> tuple[DataSet, list[Path]]:
    """Return the data set and the folders that a person means by a name or a path.

    A name means all there is of it, real or made; a path says by its label what it holds, or
    as_name does. Raises BadInput where there is nothing, or where nothing says what it is.
    """
    path = Path(what)
    names = [data_set.name for data_set in registry.DATA_SETS]
    if not as_name and (what in names or (path.name == what and not path.exists())):
        return _by_name(find(what))
    if not path.is_dir():
        raise BadInput(f"{what} is no folder: name a data set, or the folder that holds one")
    name = as_name or _named_in(path / cache.LABEL) or _named_in(path / fetching.LABEL)
    if not name:
        known = ", ".join(names)
        raise BadInput(f"nothing in {what} says which data set it is: add --as NAME ({known})")
    return find(name), [path]


def _by_name(data_set: DataSet) -> tuple[DataSet, list[Path]]:
    real = fetching.real_folder(data_set)
    found = [real] if fetching.is_there(real) else []
    found += stand_ins(data_set)
    if not found:
        raise BadInput(
            f"nothing of '{data_set.name}' is here yet: 'medlab data make {data_set.name}' makes "
            f"its stand-in, 'medlab data fetch {data_set.name}' says how to get the real one"
        )
    return data_set, found


def _named_in(label: Path) -> str:
    """Return the data set that a label names, '' where there is no label to read."""
    try:
        said = json.loads(label.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return said.get("data set", "") if isinstance(said, dict) else ""
