"""Generated data, made once and kept: one folder for each data set, settings and maker."""

import contextlib
import hashlib
import inspect
import json
import os
import tempfile
from pathlib import Path

import platformdirs

from medlab.datasets.registry import DataSet, find
from medlab.errors import BadInput
from medlab.files import check_new, write_text

LABEL = "generated.json"  # in every made folder: that it is generated, and with which settings
READERS = ("__init__.py", "reading.py", "verifying.py")  # files that do not change what is made
MEDLAB = Path(__file__).parents[1]
COMMON = ("datasets/masks.py", "datasets/tables.py", "imaging/hounsfield.py")  # makers share them


def root() -> Path:
    """Return the folder that keeps made data: MEDLAB_DATA, else one in the user's cache."""
    chosen = os.environ.get("MEDLAB_DATA", "").strip()
    return Path(chosen) if chosen else platformdirs.user_cache_path("medlab") / "data"


def folder(name: str, **settings) -> Path:
    """Return the folder of a generated data set; make it if it does not exist.

    The same name, settings and maker give the same folder. Without write access to the cache, the
    data are made in a temporary folder. Raises BadInput for an unknown name or setting.
    """
    data_set = find(name)
    check_settings(data_set, settings)
    at = f"{name}-{key(data_set, settings)}"
    for base in (root(), _spare()):
        if (base / at / LABEL).is_file():
            return base / at
    return make(data_set, (root() if _can_write(root()) else _spare()) / at, settings)


def make_in(target: Path, name: str, settings: dict) -> Path:
    """Make a data set in a folder that is new or empty; raise BadInput if it is neither."""
    check_new(target, "remove it, or name another folder")
    return make(find(name), target, settings)


def key(data_set: DataSet, settings: dict) -> str:
    """Return 12 hex digits that change with the settings and with the maker's source."""
    text = json.dumps([data_set.name, settings, _source(data_set)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _source(data_set: DataSet) -> list[str]:
    """Return the text of a maker's files, of those that makers share, and of its sources.

    Of a data set that it is made from, all files count: the maker reads it with its reader.
    """
    files = [MEDLAB / name for name in COMMON]
    files += [path for path in _files(data_set) if path.name not in READERS]
    files += [path for name in data_set.made_from for path in _files(find(name))]
    return [path.read_text(encoding="utf-8") for path in files]


def _files(data_set: DataSet) -> list[Path]:
    module = data_set.load()
    file = Path(module.__file__)
    return sorted(file.parent.rglob("*.py")) if hasattr(module, "__path__") else [file]


def make(data_set: DataSet, target: Path, settings: dict) -> Path:
    """Make a data set beside its target and move it there when it is complete, with its label.

    Raises BadInput if it cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=target.parent) as unfinished:
            made = Path(unfinished, target.name)
            made.mkdir()
            data_set.load().make(made, **settings)
            label = {"generated": True, "data set": data_set.name, "settings": settings}
            write_text(made / LABEL, json.dumps(label, indent=2) + "\n")
            # Another process may have been faster; its data are the same.
            with contextlib.suppress(OSError):
                os.replace(made, target)
    except OSError as error:
        fix = "free disk space or fix permissions on its folder, or choose another"
        raise BadInput(f"{target} cannot be written ({error.strerror}): {fix}") from error
    return target


def check_settings(data_set: DataSet, settings: dict) -> None:
    """Raise BadInput for a setting that the maker does not have."""
    known = inspect.signature(data_set.load().make).parameters
    allowed = [name for name in known if name != "out"]
    for name in settings:
        if name not in allowed:
            raise BadInput(
                f"data set '{data_set.name}' has no setting '{name}': choose from "
                f"{', '.join(allowed)}"
            )


def _spare() -> Path:
    return Path(tempfile.gettempdir(), f"medlab-data-{os.getuid() if hasattr(os, 'getuid') else 0}")


def _can_write(path: Path) -> bool:
    while not path.exists():
        path = path.parent
    return os.access(path, os.W_OK)
