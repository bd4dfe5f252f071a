"""Every data set has the same four files, satisfies the protocol, and reads without its maker."""

import ast
import importlib
import importlib.util
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from medlab.datasets import cache
from medlab.datasets.protocol import DataSetModule
from medlab.datasets.registry import DATA_SETS

ROOT = Path(__file__).parents[2]
SHARED = ("layout.py", "reading.py", "verifying.py", "__init__.py")
LOADED = "import json, sys; import {0}; print(json.dumps(sorted(sys.modules)))"

each = pytest.mark.parametrize("data_set", DATA_SETS, ids=lambda data_set: data_set.name)


def makers(data_set) -> set[str]:
    """Return the modules of a package that only its maker needs."""
    folder = Path(importlib.import_module(data_set.module).__file__).parent
    return {f"{data_set.module}.{p.stem}" for p in folder.glob("*.py") if p.name not in SHARED}


@each
def test_a_data_set_satisfies_the_protocol(data_set):
    module = data_set.load()
    assert isinstance(module, DataSetModule)
    out, *settings = inspect.signature(module.make).parameters.values()
    assert out.name == "out"
    assert settings[0].name == "seed"
    assert all(s.kind is s.KEYWORD_ONLY and s.default is not s.empty for s in settings)
    assert list(inspect.signature(module.verify).parameters) == ["folder"]


@each
def test_a_data_set_has_the_four_files(data_set):
    folder = Path(data_set.load().__file__).parent
    assert {"layout.py", "making.py", "reading.py", "verifying.py"} <= {
        path.name for path in folder.iterdir()
    }


@each
def test_reading_imports_no_maker(data_set):
    code = LOADED.format(f"{data_set.module}.reading")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    every_maker = set().union(*(makers(one) for one in DATA_SETS))
    assert f"{data_set.module}.making" in every_maker
    assert not loaded & every_maker


@each
def test_the_cache_key_covers_every_shared_file_that_a_maker_imports(data_set):
    packages = {one.module for one in DATA_SETS}
    for name in makers(data_set) | {f"{data_set.module}.layout"}:
        for module in imports_of(cache.MEDLAB / file_of(name)):
            if not any(module.startswith(package) for package in packages):
                assert file_of(module) in cache.COMMON


def file_of(module: str) -> str:
    """Return a module's file, relative to the package medlab."""
    return f"{module.removeprefix('medlab.').replace('.', '/')}.py"


def imports_of(file: Path) -> set[str]:
    """Return the modules of datasets and imaging that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            inner = [f"{node.module}.{name.name}" for name in node.names]
            files = [n for n in inner if find_spec(n)]
            found |= set(files or [node.module])
    return {name for name in found if name.startswith(("medlab.datasets.", "medlab.imaging."))}


def find_spec(name: str):
    """Return the spec of a module, None where the name is not one."""
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None


@each
def test_names_of_a_package_exist(data_set):
    module = data_set.load()
    for name in module.__all__:
        assert hasattr(module, name), name
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        _ = module.nosuch


def test_every_data_set_has_a_card_and_the_readme_lists_all_cards():
    cards = {path.name for path in (ROOT / "datasets").glob("*.md")} - {"README.md"}
    assert {Path(data_set.card).name for data_set in DATA_SETS} <= cards
    readme = (ROOT / "datasets" / "README.md").read_text(encoding="utf-8")
    assert all(f"]({card})" in readme for card in cards)
    assert readme.count("\n| [") == len(cards)
    assert f"{len(cards)} cards: {len(DATA_SETS)} " in readme
