"""Run the tests that a change can touch: `python tools/changed_tests.py [--list] [REVISION]`.

Changed is what differs from where this branch left REVISION (default: main), and what is not
committed. A changed unit runs its own tests and its solution. A changed module runs the tests
that import it, directly or through others, and the units that import it; where it is a part of
grading, which every unit uses, one unit runs for all. CI runs everything.
"""

import ast
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
EVERY_UNIT = "tests/course/test_every_unit.py"
ONE_FOR_ALL = "dicom-to-hounsfield"

# They import any room, late: through them, every change would touch every test.
HUBS = re.compile(r"src/medlab/(__init__|doctor|cli(/\w+)?)\.py$")

# What no import shows: files that tests read, and rooms whose tests start the program.
READERS = {
    r"^src/medlab/(classroom|sandbox)/": ["tests/attacks"],
    r"^src/medlab/cli": ["tests/test_cli.py", "tests/test_frame.py"],
    r"^[^/]+$|^tools/|^\.ci/|^LICENSES/": ["tests/test_frame.py"],
    r"^benchmarks/": ["tests/test_frame.py"],
    r"^course/[^/]+$|^course/interview/": [
        "tests/course/test_syllabus.py",
        "tests/course/test_rubrics.py",
    ],
    r"^datasets/": ["tests/datasets"],
    r"^hardware_labs/": ["tests/edge"],
    r"^tests/tiny/": [
        "tests/course/test_unit.py",
        "tests/course/test_release.py",
        "tests/notebook",
    ],
}


@dataclass
class Selection:
    """What is to run: test files or folders, and units by slug."""

    tests: set[str] = field(default_factory=set)
    units: set[str] = field(default_factory=set)
    built: set[str] = field(default_factory=set)  # units whose own source or notebooks changed


def select(changed: list[str]) -> Selection:
    """Return what changed files can touch; paths are relative to the repository."""
    found = Selection()
    for path in changed:
        if slug := _unit_of(path):
            found.built.add(slug)
        for pattern, tests in READERS.items():
            if re.search(pattern, path):
                found.tests |= set(tests)
    reached = _reached({path for path in changed if path.endswith(".py") and "/" in path})
    found.tests |= {path for path in reached if re.search(r"^tests/.*/?test_\w+\.py$", path)}
    found.units = found.built | {slug for path in reached if (slug := _unit_of(path))}
    _choose_units(found)
    return found


def _choose_units(found: Selection) -> None:
    """Run the tests of all units for the units that were found, or for one."""
    for slug in found.units:
        own = f"tests/course/test_{slug.replace('-', '_')}.py"
        if (ROOT / own).exists():
            found.tests.add(own)
    if EVERY_UNIT in found.tests and not found.units:
        found.units.add(ONE_FOR_ALL)
    if found.units:
        found.tests.add(EVERY_UNIT)


def _unit_of(path: str) -> str:
    source = re.match(r"course/[\w-]+/([\w-]+)\.py$", path)
    made = re.match(r"(?:notebooks|solutions)/[\w-]+/\d+-([\w-]+)\.ipynb$", path)
    return next((match[1] for match in (source, made) if match), "")


def _reached(changed: set[str]) -> set[str]:
    """Return the changed files and all that import one of them, directly or not."""
    users: dict[str, set[str]] = {}
    for path in _sources():
        for used in _used_by(path):
            users.setdefault(used, set()).add(path)
    reached, new = set(), set(changed)
    while new:
        reached |= new
        new = {user for path in new for user in users.get(path, ())} - reached
    return reached


@cache
def _sources() -> frozenset[str]:
    folders = ("src", "tests", "course")
    paths = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return frozenset(path.relative_to(ROOT).as_posix() for path in paths)


@cache
def _used_by(path: str) -> set[str]:
    """Return the files that a file imports or, as `python -m` does, names."""
    if HUBS.match(path):
        return set()
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and re.fullmatch(r"[\w.]+", str(node.value)):
            names.add(str(node.value))
    files = {file for name in names for file in _files_of(name, path)}
    return files | _conftests(path)


def _files_of(name: str, user: str) -> set[str]:
    here = Path(user).parent.as_posix()
    inner = name.replace(".", "/")
    places = (f"src/{inner}", inner, f"{here}/{inner}")
    return {f"{p}{end}" for p in places for end in (".py", "/__init__.py")} & _sources()


def _conftests(path: str) -> set[str]:
    if not path.startswith("tests/"):
        return set()
    return {f"{folder.as_posix()}/conftest.py" for folder in Path(path).parents} & _sources() - {
        path
    }


def changed_files(revision: str) -> list[str]:
    """Return what differs from where this branch left a revision, and what git does not know."""
    base = _git("merge-base", "HEAD", revision)[0]
    return _git("diff", "--name-only", base) + _git("ls-files", "--others", "--exclude-standard")


def _git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"medlab: git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.splitlines()


def commands(found: Selection) -> list[list[str]]:
    """Return what to run; without groups, so that the tests of one unit share the cores."""
    run = []
    cores = ["-n", str(os.cpu_count() or 1)]
    if found.built:
        run.append(["medlab", "build", "--check", *sorted(found.built)])
    if found.tests:
        units = [f"--unit={slug}" for slug in sorted(found.units)]
        run.append(["pytest", *cores, "--dist", "load", *units, *sorted(found.tests)])
    solutions = [
        p for slug in sorted(found.units) for p in (ROOT / "solutions").glob(f"*/*-{slug}.ipynb")
    ]
    if solutions:
        names = [path.relative_to(ROOT).as_posix() for path in solutions]
        run.append(["pytest", *cores, "--dist", "loadfile", "--nbval", *names])
    return run


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if argument != "--list"]
    run = commands(select(changed_files(*(arguments or ["main"]))))
    if not run:
        print("medlab: nothing changed that a test looks at")
    for command in run:
        print(" ".join(command), flush=True)
        if "--list" not in sys.argv and subprocess.run(command, cwd=ROOT).returncode:
            sys.exit(1)


if __name__ == "__main__":
    main()
