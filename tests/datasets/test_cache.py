"""Generated data are made once, whole, and labelled."""

import json
import sys
import types

import pytest

from medlab.datasets import cache, registry
from medlab.errors import BadInput

MAKER = """
def make(out, *, seed=0, patients=3):
    (out / "table.csv").write_text(f"{seed},{patients}")
    if patients < 0:
        raise ValueError("no such class")
"""


@pytest.fixture
def stars(tmp_path, monkeypatch):
    """A data set 'stars' whose maker is a file, and an empty cache."""
    source = tmp_path / "stars_maker.py"
    source.write_text(MAKER)
    module = types.ModuleType("stars_maker")
    module.__file__ = str(source)
    exec(MAKER, module.__dict__)
    monkeypatch.setitem(sys.modules, "stars_maker", module)
    real = registry.Real("Real stars", "CC0", "none", "a page", "look up")
    data_set = registry.DataSet("stars", "Stars", "stars_maker", real)
    monkeypatch.setattr(registry, "DATA_SETS", (data_set,))
    monkeypatch.setenv("MEDLAB_DATA", str(tmp_path / "data"))
    return source


def test_data_are_made_once_and_found_again(stars):
    first = cache.folder("stars", patients=2)
    (first / "table.csv").write_text("touched")
    assert cache.folder("stars", patients=2) == first
    assert (first / "table.csv").read_text() == "touched"


def test_other_settings_are_another_folder(stars):
    assert cache.folder("stars", patients=2) != cache.folder("stars", patients=4)


def test_another_maker_makes_the_data_again(stars):
    before = cache.folder("stars")
    stars.write_text(MAKER + "# changed\n")
    assert cache.folder("stars") != before


def test_a_made_folder_says_that_it_is_generated(stars):
    label = json.loads((cache.folder("stars", seed=7) / cache.LABEL).read_text())
    assert label == {"generated": True, "data set": "stars", "settings": {"seed": 7}}


def test_a_maker_that_fails_leaves_nothing_behind(stars):
    with pytest.raises(ValueError, match="no such class"):
        cache.folder("stars", patients=-1)
    assert list(cache.root().iterdir()) == []


def test_an_unknown_setting_is_refused(stars):
    with pytest.raises(BadInput, match="no setting 'size': choose from seed, patients"):
        cache.folder("stars", size=3)


def test_an_unknown_data_set_is_refused_with_the_nearest_name(stars):
    with pytest.raises(BadInput, match="no data set 'star': did you mean stars"):
        cache.folder("star")


def test_a_cache_that_cannot_be_written_does_not_stop_a_notebook(stars, monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "_can_write", lambda path: False)
    monkeypatch.setattr(cache, "_spare", lambda: tmp_path / "spare")
    assert cache.folder("stars").parent == tmp_path / "spare"
    assert cache.folder("stars").parent == tmp_path / "spare"


@pytest.fixture
def moons(tmp_path, monkeypatch):
    """A data set 'moons' whose package has a maker and a reader."""
    package = tmp_path / "moons_set"
    package.mkdir()
    (package / "__init__.py").write_text("from moons_set.making import make\n")
    (package / "making.py").write_text(MAKER)
    (package / "reading.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    real = registry.Real("Real moons", "CC0", "none", "a page", "look up")
    yield registry.DataSet("moons", "Moons", "moons_set", real), package
    for name in ("moons_set", "moons_set.making"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(("file", "changes"), [("making.py", True), ("reading.py", False)])
def test_the_key_changes_with_the_maker_and_not_with_the_reader(moons, file, changes):
    data_set, package = moons
    before = cache.key(data_set, {})
    (package / file).write_text(MAKER + "# changed\n")
    assert (cache.key(data_set, {}) != before) == changes
