"""The house: which room may import which, and how large a file and a function may be."""

import ast
import subprocess
from pathlib import Path

import pytest
from tests.support.house import (
    circles,
    forbidden,
    imports_of,
    long_functions,
    modules_of,
    read_table,
)

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "medlab"
LONGEST_FILE, LONGEST_FUNCTION = 300, 45
TABLE = read_table((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))


def test_every_room_of_the_table_exists_and_every_module_has_a_room():
    modules = modules_of(PACKAGE)
    assert len(TABLE) > 15
    assert set(TABLE) <= set(modules)
    top = {name.split(".")[0] for name in modules if name} - {"__init__"}
    assert top == {room.split(".")[0] for room in TABLE}


def test_no_import_goes_against_the_table():
    assert forbidden(imports_of(PACKAGE), TABLE) == []


def test_no_two_modules_import_each_other():
    assert circles(imports_of(PACKAGE)) == []


def test_no_file_is_too_long():
    lengths = {path: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {p.name: n for p, n in lengths.items() if n > LONGEST_FILE} == {}


def test_no_function_is_too_long():
    paths = sorted(PACKAGE.rglob("*.py"))
    assert [line for path in paths for line in long_functions(path, LONGEST_FUNCTION)] == []


@pytest.mark.parametrize("room", sorted(TABLE))
def test_a_rooms_first_page_says_what_it_is_and_what_it_is_not(room):
    path = modules_of(PACKAGE)[room]
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert text
    if path.name == "__init__.py":
        assert len([line for line in text.splitlines() if line.strip()]) >= 2, path


def test_nothing_changes_the_path_of_modules():
    listing = subprocess.run(
        ["git", "grep", "-lE", r"sys\.path\.(insert|append)\(", "--", "*.py", "Makefile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listing.returncode > 1:
        pytest.skip("not a git checkout")
    assert [name for name in listing.stdout.split() if name != "tests/test_rooms.py"] == []


# --- the checks find what they are for ---

PAGE = """
| `errors` | one-line errors | nothing of medlab |
| `data`, `models` | data | `errors` |
| `edge.boards` | boards | `errors`, `edge.compiler` |
| `edge.compiler` | compiler | `errors` |
| `cli` | commands | any room |
"""


@pytest.fixture
def house(tmp_path):
    """Make a package of files, given by their dotted names."""

    def make(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path.joinpath("made", *name.split("__")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "made"

    return make


def found_in(package: Path) -> list[str]:
    return forbidden(imports_of(package), read_table(PAGE))


@pytest.mark.parametrize(
    "text",
    [
        "from made.models import x",
        "import made.models",
        "from made import models",
        "def f():\n    from made.models.net import y",
    ],
)
def test_an_import_against_the_table_is_found(house, text):
    [line] = found_in(house(data=text, models="", models__net="y = 1"))
    assert line.startswith("data:")
    assert "imports models" in line


def test_what_the_table_allows_is_no_finding(house):
    made = house(
        errors="",
        data="from made.errors import E\nfrom made.data import other",
        edge__compiler__graph="",
        edge__boards__run="from made.edge.compiler.graph import G",
        cli="from made.edge.boards import run\nimport made.data",
    )
    assert found_in(made) == []


def test_the_compiler_may_not_import_boards(house):
    made = house(edge__boards__run="", edge__compiler__graph="from made.edge.boards import run")
    assert found_in(made) == ["edge.compiler.graph:1 imports edge.boards.run"]


def test_a_module_without_a_room_is_found(house):
    made = house(attic="from made.errors import E", errors="")
    assert found_in(made) == ["attic is in no room of the table"]


def test_a_circle_is_found_also_through_a_function(house):
    made = house(
        data="from made.models import x",
        models="def f():\n    from made.errors import E",
        errors="import made.data",
    )
    assert circles(imports_of(made)) == [["data", "models", "errors", "data"]]


def test_a_long_function_is_found(house):
    made = house(data="def f():\n" + "    x = 1\n" * 45 + "\n\ndef g():\n    return 1\n")
    assert long_functions(made / "data.py", 45) == ["data.py:1 f has 46 lines"]
