"""Generated data, made once and kept: a folder for each data set, its settings and its maker."""

import contextlib
import hashlib
import inspect
import json
import os
import tempfile
from pathlib import Path
from types import ModuleType

import platformdirs

from medlab.datasets.registry import DataSet, find
from medlab.errors import BadInput
from medlab.files import write_text

LABEL = "generated.json"  # in every made folder: that it is generated, by what, with which settings


def root() -> Path:
    """Return the folder that keeps made data: MEDLAB_DATA, else one in the user's cache."""
    named = os.environ.get("MEDLAB_DATA", "").strip()
    return Path(named) if named else platformdirs.user_cache_path("medlab") / "data"


def folder(name: str, **settings) -> Path:
    """Return the folder of a generated data set, made now unless it is there.

    The same name, settings and maker give the same folder. Where the cache cannot be written, the
    data are made in a temporary folder. Raises BadInput for an unknown name or setting.
    """
    data_set = find(name)
    check_settings(data_set, settings)
    at = f"{name}-{key(data_set, settings)}"
    for base in (root(), _spare()):
        if (base / at / LABEL).is_file():
            return base / at
    return make(data_set, (root() if _can_write(root()) else _spare()) / at, settings)


def key(data_set: DataSet, settings: dict) -> str:
    """Return 12 hex digits that change with the settings and with the maker's source."""
    said = json.dumps([data_set.name, settings, _source(data_set.load())], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def _source(module: ModuleType) -> list[str]:
    """Return the text of a maker's module or package, and of the makers it is MADE_FROM."""
    file = Path(module.__file__)
    files = sorted(file.parent.rglob("*.py")) if hasattr(module, "__path__") else [file]
    others = [text for other in getattr(module, "MADE_FROM", ()) for text in _source(other)]
    return [path.read_text(encoding="utf-8") for path in files] + others


def make(data_set: DataSet, target: Path, settings: dict) -> Path:
    """Make a data set beside its place and move it there whole, with its label.

    Raises BadInput where it cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=target.parent) as unfinished:
            made = Path(unfinished, target.name)
            made.mkdir()
            data_set.load().make(made, **settings)
            label = {"generated": True, "data set": data_set.name, "settings": settings}
            write_text(made / LABEL, json.dumps(label, indent=2) + "\n")
            # Another process may have been faster: its data are the same.
            with contextlib.suppress(OSError):
                os.replace(made, target)
    except OSError as error:
        mend = "make room and the folder writable, or name another"
        raise BadInput(f"{target} cannot be written ({error.strerror}): {mend}") from error
    return target


def check_settings(data_set: DataSet, settings: dict) -> None:
    """Raise BadInput for a setting that the maker does not have."""
    known = inspect.signature(data_set.load().make).parameters
    allowed = [name for name in known if name != "out"]
    for name in settings:
        if name not in allowed:
            raise BadInput(
                f"data set '{data_set.name}' has no setting '{name}': there are "
                f"{', '.join(allowed)}"
            )


def _spare() -> Path:
    return Path(tempfile.gettempdir(), f"medlab-data-{os.getuid() if hasattr(os, 'getuid') else 0}")


def _can_write(path: Path) -> bool:
    while not path.exists():
        path = path.parent
    return os.access(path, os.W_OK)
