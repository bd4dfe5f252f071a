"""Read the table of rooms and find what goes against it, from the text of the code alone."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

ROW = re.compile(r"^\| `(?P<rooms>[^|]+)` \| [^|]+ \| (?P<imports>[^|]+) \|$")


@dataclass(frozen=True)
class Import:
    """One import of a module of the package by another, both as dotted names without it."""

    importer: str
    imported: str
    line: int


def read_table(page: str) -> dict[str, set[str] | None]:
    """Return what each room may import, by the room's dotted name; None for any room.

    A row is `room` or `room`, `room` | what is in it | rooms, 'nothing of medlab' or 'any room'.
    """
    table: dict[str, set[str] | None] = {}
    for line in page.splitlines():
        if row := ROW.match(line):
            allowed = set(re.findall(r"`([\w.]+)`", row["imports"]))
            anything = "any room" in row["imports"]
            for room in re.findall(r"[\w.]+", row["rooms"]):
                table[room] = None if anything else allowed
    return table


def modules_of(package: Path) -> dict[str, Path]:
    """Return the files of a package by their dotted names below it; its own `__init__` is ''."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(package: Path) -> list[Import]:
    """Return every import of the package's own modules, those inside functions too."""
    modules = modules_of(package)
    found = []
    for name, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for imported in _named(node, package.name, modules):
                if imported != name:
                    found.append(Import(name, imported, node.lineno))
    return found


def _named(node: ast.AST, package: str, modules: dict[str, Path]) -> list[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        both = [(node.module, f"{node.module}.{alias.name}") for alias in node.names]
        names = [inner if _below(inner, package) in modules else outer for outer, inner in both]
    else:
        return []
    below = [_below(name, package) for name in names]
    return [name for name in below if name]


def _below(name: str, package: str) -> str:
    return name.removeprefix(f"{package}.") if name.startswith(f"{package}.") else ""


def room_of(module: str, table: dict[str, set[str] | None]) -> str:
    """Return the room that a module belongs to, the innermost one of the table; '' for none."""
    parts = module.split(".")
    names = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return next((name for name in names if name in table), "")


def forbidden(imports: list[Import], table: dict[str, set[str] | None]) -> list[str]:
    """Return the imports that the table does not allow, and modules that are in no room."""
    found = []
    for one in imports:
        importer, imported = room_of(one.importer, table), room_of(one.imported, table)
        if not importer and one.importer:
            found.append(f"{one.importer} is in no room of the table")
            continue
        allowed = table.get(importer) if importer else None
        own = imported == importer or imported.startswith(f"{importer}.")
        if allowed is None or own or _allows(allowed, imported):
            continue
        found.append(f"{one.importer}:{one.line} imports {one.imported}")
    return found


def _allows(allowed: set[str], room: str) -> bool:
    """Tell whether a room, or one that it is in, is named."""
    parts = room.split(".")
    return any(".".join(parts[:count]) in allowed for count in range(1, len(parts) + 1))


def circles(imports: list[Import]) -> list[list[str]]:
    """Return the import cycles between modules, each once, as the modules on the way."""
    graph: dict[str, set[str]] = {}
    for one in imports:
        graph.setdefault(one.importer, set()).add(one.imported)
    found, done = [], set()

    def visit(module: str, way: list[str]) -> None:
        if module in way:
            found.append([*way[way.index(module) :], module])
        elif module not in done:
            for following in sorted(graph.get(module, ())):
                visit(following, [*way, module])
            done.add(module)

    for module in sorted(graph):
        visit(module, [])
    return found


def long_functions(path: Path, most: int) -> list[str]:
    """Return the functions of a file with more lines than most."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [
        f"{path.name}:{node.lineno} {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > most
    ]
