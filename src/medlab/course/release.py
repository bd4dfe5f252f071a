"""Releases: the folder that learners get, and the course folder of instructors who use nbgrader.

A learners' release holds notebooks without answers, the syllabus, the cards of the data sets, the
licences and a page to start from. It is made from the units' sources, so it needs no build.
An nbgrader course holds solutions and hidden tests: it must never reach learners, and so the two
never share a folder.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml

from medlab.course import nbgrader_export
from medlab.course.audience import LEARNER, notebook
from medlab.course.build import text_of
from medlab.course.contents import contents
from medlab.course.loading import load_unit
from medlab.course.syllabus import RELEASE, REQUIRED, SYLLABUS, Syllabus, UnitEntry, read_syllabus
from medlab.course.unit import Unit
from medlab.errors import BadInput
from medlab.files import write_bytes

Files = dict[str, bytes]  # by path in the release


@dataclass(frozen=True)
class Kind:
    """One kind of release, and the file by which its folder is known."""

    name: str
    file: str  # written first, so that an interrupted release can be made again
    first_line: str


LEARNERS = Kind("a learners' release", str(SYLLABUS), f"release: {RELEASE}")
NBGRADER = Kind(
    "an nbgrader course with solutions and hidden tests",
    "nbgrader_config.py",
    "# Made by `medlab release --nbgrader`. The course here holds solutions: not for learners.",
)


def release_to_learners(syllabus: Syllabus, out: Path) -> list[UnitEntry]:
    """Write the learners' tree into a folder and return the units in it.

    The folder is new, empty or an earlier release, from which what is no longer in the course is
    removed; a learner's own files stay. Raises BadInput for another folder or a broken unit, with
    nothing written.
    """
    files = learners_files(syllabus)
    _check_folder(out, LEARNERS)
    for path, content in files.items():
        write_bytes(out / path, content)
    for pattern in ("notebooks/*/*.ipynb", "datasets/*.md"):
        for path in sorted(out.glob(pattern)):
            if path.relative_to(out).as_posix() not in files:
                _remove(path)
    return list(syllabus.units)


def release_to_nbgrader(syllabus: Syllabus, out: Path) -> list[UnitEntry]:
    """Write a course folder for nbgrader's commands and return the units in it.

    The folder is new, empty or an earlier one: there, the configuration and all that nbgrader has
    made stay as they are. Raises BadInput as release_to_learners does.
    """
    files = nbgrader_files(syllabus)
    _check_folder(out, NBGRADER)
    for path, content in files.items():
        if path != NBGRADER.file or not (out / path).exists():
            write_bytes(out / path, content)
    return list(syllabus.units)


def learners_files(syllabus: Syllabus) -> Files:
    """Return every file of the learners' tree: the same course gives the same bytes."""
    units = _units(syllabus)
    files = {LEARNERS.file: _released_syllabus(syllabus.root).encode()}
    for unit in units:
        path = unit.entry.notebook.relative_to(syllabus.root)
        files[path.as_posix()] = text_of(notebook(unit, LEARNER)).encode()
    for pattern in ("LICENSE", "LICENSES/*", "datasets/*.md"):
        for path in sorted(syllabus.root.glob(pattern)):
            files[path.relative_to(syllabus.root).as_posix()] = path.read_bytes()
    files["notebooks/README.md"] = contents(syllabus).encode()
    return files | {"README.md": _readme(syllabus, "LICENSE" in files).encode()}


def nbgrader_files(syllabus: Syllabus) -> Files:
    """Return every file of the course folder for nbgrader."""
    files = {NBGRADER.file: f"{NBGRADER.first_line}\n{nbgrader_export.CONFIG}".encode()}
    for unit in _units(syllabus):
        made = text_of(nbgrader_export.source_notebook(unit))
        files[f"source/{unit.slug}/{unit.slug}.ipynb"] = made.encode()
    return files


def _units(syllabus: Syllabus) -> list[Unit]:
    return [load_unit(entry) for entry in syllabus.units]


def _released_syllabus(root: Path) -> str:
    """Return the syllabus with what the learner's side reads, without its authors' comments."""
    raw = read_syllabus(root / SYLLABUS)
    tracks = [_only(track, {"slug", "title", "units"}) for track in raw["tracks"]]
    for track in tracks:
        track["units"] = [_only(unit, REQUIRED) for unit in track["units"]]
    made = {"release": RELEASE, "title": raw.get("title", ""), "tracks": tracks}
    return yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=100)


def _only(mapping: dict, keys: set[str]) -> dict:
    return {key: value for key, value in mapping.items() if key in keys}


def _readme(syllabus: Syllabus, licensed: bool) -> str:
    rows = [
        f"| [{unit.title}]({unit.notebook.relative_to(syllabus.root).as_posix()}) "
        f"| `{unit.slug}` | {unit.hours:g} | {unit.points} |"
        for unit in syllabus.units
    ]
    licence = LICENCE if licensed else ""
    return README.format(title=syllabus.title, rows="\n".join(rows), licence=licence)


def _check_folder(out: Path, kind: Kind) -> None:
    """Refuse a folder that is in use, and one inside a release of another kind."""
    try:
        # Solutions in a folder of a learners' release would be handed out with it.
        for folder in (out.resolve(), *out.resolve().parents):
            for other in (LEARNERS, NBGRADER):
                if other is not kind and _is_a(folder, other):
                    raise BadInput(f"{folder} holds {other.name}: name a folder outside of it")
        # A folder that git publishes is as good as empty.
        taken = out.exists() and any(path.name != ".git" for path in out.iterdir())
        if taken and not _is_a(out, kind):
            raise BadInput(f"{out} is neither empty nor {kind.name}: name a new folder")
    except OSError as error:
        raise BadInput(f"{out} cannot be read ({error.strerror}): name a folder") from None


def _is_a(folder: Path, kind: Kind) -> bool:
    path = folder / kind.file
    if not path.is_file():
        return False
    first_line = path.read_bytes().split(b"\n", 1)[0]
    return first_line.rstrip() == kind.first_line.encode()  # git may have ended it with a return


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise BadInput(f"{path} cannot be removed ({error.strerror}): remove it") from None


README = """\
# {title}: notebooks to solve

You write code and short answers; checks in the notebook tell you how far you are.

You need Python 3.11 or later and medlab, installed as your instructor tells you.
Run these commands in this folder:

| command | what it does |
|---|---|
| `medlab doctor` | shows what your computer has and what is missing |
| `medlab start --next` | copies the next unit into `work/` and prints the copy's path |
| `jupyter lab work` | opens your copies in JupyterLab |
| `medlab check work/SLUG.ipynb` | runs a notebook from top to bottom and lists its checks |
| `medlab progress` | shows which checks pass |

Solve the copies in `work/` and hand in the notebook from there. `notebooks/` stays as it is.
The checks that you see are not all: grading adds tests of its own. Hints, solutions and those tests
are not part of this release.

| unit | slug | hours | points |
|---|---|---|---|
{rows}

[notebooks/](notebooks/README.md) says what each unit teaches.

`datasets/` has one card per data set: what it is, where it comes from, what it does not represent.
This is course material. It is not a medical device, and nothing in it may guide a patient's care.
{licence}"""
LICENCE = "\nLicences: [LICENSE](LICENSE) and [LICENSES/](LICENSES/README.md).\n"
