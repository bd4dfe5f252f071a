"""Find the folders of a data set, and which data set a folder holds."""

import json
from pathlib import Path

from medlab.datasets import cache, fetching, registry
from medlab.datasets.registry import DataSet, find
from medlab.errors import BadInput
from medlab.files import is_filled


def stand_ins(data_set: DataSet) -> list[Path]:
    """Return the folders of a data set's stand-ins that the cache holds, by name."""
    labels = sorted(cache.root().glob(f"{data_set.name}-*/{cache.LABEL}"))
    return [label.parent for label in labels if _name_in(label) == data_set.name]


def folders(what: str, as_name: str = "") -> tuple[DataSet, list[Path]]:
    """Return the data set and the folders that a name or a path refers to.

    A name means all its folders, real or made. What a path holds is in its label, or else in
    as_name. Raises BadInput if there is no data, or if it is unknown which data set it is.
    """
    path = Path(what)
    names = [data_set.name for data_set in registry.DATA_SETS]
    if not as_name and (what in names or (path.name == what and not path.exists())):
        return _by_name(find(what))
    if not path.is_dir():
        raise BadInput(
            f"{what} is not a folder: give the name of a data set, or a folder that holds one"
        )
    name = as_name or _name_in(path / cache.LABEL) or _name_in(path / fetching.LABEL)
    if not name:
        known = ", ".join(names)
        raise BadInput(f"{what} has no label with its data set: add --as NAME ({known})")
    return find(name), [path]


def _by_name(data_set: DataSet) -> tuple[DataSet, list[Path]]:
    real = fetching.real_folder(data_set)
    found = [real] if is_filled(real) else []
    found += stand_ins(data_set)
    if not found:
        raise BadInput(
            f"no data of '{data_set.name}' yet: 'medlab data make {data_set.name}' makes its "
            f"stand-in, 'medlab data fetch {data_set.name}' shows how to get the real one"
        )
    return data_set, found


def _name_in(label: Path) -> str:
    """Return the data set in a label, '' if there is no readable label."""
    try:
        content = json.loads(label.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return content.get("data set", "") if isinstance(content, dict) else ""
