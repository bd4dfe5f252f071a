"""Cells of a unit's source file: what a marker says, and on which line it is."""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from medlab.errors import BadInput
from medlab.text import did_you_mean

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
STUB = "raise NotImplementedError"
SETUP = "setup"  # name of the hidden cell that other hidden cells share

MARKER = re.compile(r"# %%(?=\s|$)")

# What each role's marker must and may say besides the role itself.
REQUIRED_OPTIONS = {
    "exercise": {"points"},
    "check": set(),
    "hidden": set(),
    "mistake": {"because", "keeps", "says"},
    "hint": set(),
    "written": {"points", "rubric"},
}
ALLOWED_OPTIONS = REQUIRED_OPTIONS | {"hidden": {"points", "about"}}
PLAIN_OPTIONS = {"needs"}
DEMONSTRATION = "demonstration"  # tag of a cell that only shows: long training, its figures
TAGS = {"parameters", DEMONSTRATION}
MARKDOWN_ROLES = {"hint", "written", "text"}
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Cell:
    """One cell of a unit's source."""

    role: str  # text, code, parameters, exercise, check, hidden, mistake, hint or written
    name: str  # of the exercise or written answer that it belongs to, else ""
    source: str
    line: int  # of its marker in the source file, from 1
    id: str  # stable: from the name, else from slug and content
    options: dict = field(
        default_factory=dict
    )  # points, about, because, keeps, says, needs, rubric

    @property
    def cell_type(self) -> str:
        return "markdown" if self.role in MARKDOWN_ROLES else "code"


def read_cells(path: Path, slug: str) -> list[Cell]:
    """Parse a Jupytext percent file into cells; raise BadInput with file and line."""
    import jupytext

    text = _read_text(path)
    lines = [n for n, line in enumerate(text.splitlines(), start=1) if MARKER.match(line)]
    if not lines or text.split("\n", 1)[0].strip() == "# ---" or text[: text.find("# %%")].strip():
        raise BadInput(f"{path}:1: a unit starts with a cell marker '# %%': put one first")
    notebook = jupytext.reads(text, fmt="py:percent")
    if len(notebook.cells) != len(lines):
        raise BadInput(f"{path}:1: '# %%' inside a string or a cell: remove it")
    cells = [_cell(raw, line, path, slug) for raw, line in zip(notebook.cells, lines, strict=True)]
    return _with_unique_ids(cells)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist: write it, or take it off the syllabus") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8 text: save it as UTF-8") from None


def _cell(raw, line: int, path: Path, slug: str) -> Cell:
    where = f"{path}:{line}"
    metadata = {k: v for k, v in raw.metadata.items() if k != "lines_to_next_cell"}
    role, name = _role(raw.cell_type, metadata, where)
    options = {k: v for k, v in metadata.items() if k not in (role, "tags")}
    _check_options(role, options, where)
    if _is_demonstration(raw, role, where):
        options[DEMONSTRATION] = True
    if (role in MARKDOWN_ROLES) != (raw.cell_type == "markdown"):
        wanted = "a markdown" if role in MARKDOWN_ROLES else "a code"
        raise BadInput(f"{where}: {role} must be {wanted} cell: fix the marker")
    return Cell(role, name, raw.source, line, _id(role, name, raw.source, slug), options)


def _role(cell_type: str, metadata: dict, where: str) -> tuple[str, str]:
    roles = [role for role in REQUIRED_OPTIONS if role in metadata]
    if len(roles) > 1:
        raise BadInput(f"{where}: a cell has one role, this one says {' and '.join(roles)}")
    if roles:
        name = metadata[roles[0]]
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise BadInput(f'{where}: write {roles[0]}="name" with a Python name, not {name!r}')
        return roles[0], name
    if "parameters" in metadata.get("tags", []):
        return "parameters", ""
    return ("text" if cell_type == "markdown" else "code"), ""


def _is_demonstration(raw, role: str, where: str) -> bool:
    """Tell whether a cell has the tag; raise BadInput for an unknown tag, or one out of place."""
    tags = raw.metadata.get("tags", [])
    for tag in tags:
        if tag not in TAGS:
            raise BadInput(f"{where}: unknown tag '{tag}': there are {', '.join(sorted(TAGS))}")
    if DEMONSTRATION in tags and role != "code":
        raise BadInput(f"{where}: only a plain code cell can be a {DEMONSTRATION}, not {role}")
    return DEMONSTRATION in tags


def _check_options(role: str, options: dict, where: str) -> None:
    allowed = ALLOWED_OPTIONS.get(role, PLAIN_OPTIONS)
    for option in options:
        if option not in allowed:
            fix = did_you_mean(option, [*allowed, *REQUIRED_OPTIONS], "remove it")
            raise BadInput(f"{where}: unknown marker '{option}' on a {role} cell: {fix}")
    for option in sorted(REQUIRED_OPTIONS.get(role, set()) - options.keys()):
        raise BadInput(f"{where}: a {role} cell needs {option}=...: add it to the marker")
    for option in ("points", "keeps"):
        if option in options and not _is_count(options[option]):
            raise BadInput(f"{where}: {option} is a whole number from 0, not {options[option]!r}")
    for option in ("about", "because", "says", "needs", "rubric"):
        if option in options and not isinstance(options[option], str):
            raise BadInput(f'{where}: write {option}="..." in double quotes')


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _id(role: str, name: str, source: str, slug: str) -> str:
    """Derive an nbformat cell id that only changes when the cell becomes another one."""
    if role in ("exercise", "check", "written"):
        return f"{role}-{name}"[:64]
    if role == "parameters":
        return role
    return f"{role}-{hashlib.sha256(f'{slug}/{source}'.encode()).hexdigest()[:10]}"


def _with_unique_ids(cells: list[Cell]) -> list[Cell]:
    """Number the second and later cells that would share an id."""
    seen: dict[str, int] = {}
    unique = []
    for cell in cells:
        seen[cell.id] = count = seen.get(cell.id, 0) + 1
        unique.append(cell if count == 1 else _renamed(cell, f"{cell.id[:60]}-{count}"))
    return unique


def _renamed(cell: Cell, cell_id: str) -> Cell:
    return Cell(cell.role, cell.name, cell.source, cell.line, cell_id, cell.options)


def stub(solution: str) -> str:
    """Replace each solution region by `raise NotImplementedError` at the region's indent."""
    kept, inside = [], False
    for line in solution.splitlines():
        if BEGIN in line:
            inside = True
            kept.append(re.match(r"\s*", line).group() + STUB)
        elif END in line:
            inside = False
        elif not inside:
            kept.append(line)
    return "\n".join(kept)
