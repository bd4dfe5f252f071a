"""The syllabus: one YAML list of tracks and units, from which every number and path follows."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from medlab.errors import BadInput
from medlab.files import find_above, read_yaml
from medlab.text import did_you_mean

SYLLABUS = Path("course/syllabus.yaml")
RELEASE = "learners"  # what a release's syllabus says under `release`: notebooks, no sources
PACKAGE = Path(__file__).resolve().parents[1]  # medlab's own modules
MODULE = re.compile(r"medlab(\.[A-Za-z_]\w*)+")
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
REQUIRED = {"slug", "title", "hours", "points", "prerequisites", "outcomes"}


@dataclass(frozen=True)
class UnitEntry:
    """One unit as the syllabus lists it, with the paths that follow from its place."""

    slug: str
    title: str
    hours: float  # learner's hours, an estimate
    points: int  # exercises and written answers together
    prerequisites: tuple[str, ...]  # slugs
    outcomes: tuple[str, ...]
    libraries: tuple[str, ...]  # modules worth importing once for a whole class
    hides: tuple[str, ...]  # modules of medlab that the unit's kernel must not be able to read
    track: str  # slug of the track
    track_title: str
    number: int  # place in its track, from 1
    source: Path  # course/<track>/<slug>.py
    notebook: Path  # notebooks/<n-track>/<nn-slug>.ipynb
    solution: Path  # solutions/<n-track>/<nn-slug>.ipynb
    released: bool = False  # in a learners' release: its notebook is there, its source is not


@dataclass(frozen=True)
class Syllabus:
    """All units in the order in which they are taught."""

    root: Path
    title: str
    units: tuple[UnitEntry, ...]

    def find(self, slug: str) -> UnitEntry:
        """Return the unit with this slug; raise BadInput naming near matches."""
        for unit in self.units:
            if unit.slug == slug:
                return unit
        raise BadInput(f"there is no unit '{slug}' in {SYLLABUS}: {_near(slug, self._slugs())}")

    def _slugs(self) -> list[str]:
        return [unit.slug for unit in self.units]


def find_course(start: Path | None = None) -> Path:
    """Return the folder that holds course/.

    Looks at the environment variable MEDLAB_COURSE, then upwards from start (default: the working
    folder), then at the checkout from which medlab is installed. Raises BadInput if none has it.
    """
    named = os.environ.get("MEDLAB_COURSE")
    if named:
        return _named_course(Path(named))
    here = start or Path.cwd()
    if found := find_above(here, SYLLABUS, [Path(__file__).resolve().parents[3]]):
        return found
    raise BadInput(
        f"no {SYLLABUS} in {here.resolve()} or above it: run inside a medlab checkout, "
        "or set MEDLAB_COURSE to one"
    )


def _named_course(folder: Path) -> Path:
    if not (folder / SYLLABUS).is_file():
        raise BadInput(f"MEDLAB_COURSE names {folder}, which has no {SYLLABUS}: correct it")
    return folder.resolve()


def load_syllabus(root: Path) -> Syllabus:
    """Read root/course/syllabus.yaml; raise BadInput for anything that is not a course."""
    path = root / SYLLABUS
    raw = read_syllabus(path)
    units = tuple(_entries(root, raw, path))
    _check_slugs(units, path)
    _check_prerequisites(units, path)
    return Syllabus(root=root, title=str(raw.get("title", "")), units=units)


def read_syllabus(path: Path) -> dict:
    """Return a syllabus file as it is; raise BadInput if it holds no list of tracks."""
    raw = read_yaml(path)
    if not isinstance(raw, dict) or not isinstance(raw.get("tracks"), list):
        raise BadInput(f"{path}: expected a mapping with a list 'tracks'")
    return raw


def _entries(root: Path, raw: dict, path: Path) -> Iterator[UnitEntry]:
    released = raw.get("release") == RELEASE
    for track_number, track in enumerate(raw["tracks"], start=1):
        if not isinstance(track, dict) or not isinstance(track.get("units"), list):
            raise BadInput(f"{path}: track {track_number} needs a 'slug' and a list 'units'")
        for number, unit in enumerate(track["units"], start=1):
            entry = _entry(root, track, track_number, unit, number, path)
            yield replace(entry, released=released)


def _entry(
    root: Path, track: dict, track_number: int, unit: dict, number: int, path: Path
) -> UnitEntry:
    where = f"{path}: unit {number} of track {track_number}"
    if not isinstance(unit, dict):
        raise BadInput(f"{where} is not a mapping")
    missing = sorted(REQUIRED - unit.keys())
    if missing:
        raise BadInput(f"{where} lacks {', '.join(missing)}")
    name = f"{track_number}-{track['slug']}/{number:02}-{unit['slug']}.ipynb"
    return UnitEntry(
        slug=str(unit["slug"]),
        title=str(unit["title"]),
        hours=unit["hours"],
        points=unit["points"],
        prerequisites=tuple(unit["prerequisites"] or ()),
        outcomes=tuple(unit["outcomes"] or ()),
        libraries=tuple(unit.get("libraries") or ()),
        hides=_hidden_modules(unit.get("hides") or [], where),
        track=str(track["slug"]),
        track_title=str(track.get("title") or track["slug"]),
        number=number,
        source=root / "course" / track["slug"] / f"{unit['slug']}.py",
        notebook=root / "notebooks" / name,
        solution=root / "solutions" / name,
    )


def _hidden_modules(raw: object, where: str) -> tuple[str, ...]:
    """Return the modules of `hides`; raise BadInput for one that medlab does not have."""
    if not isinstance(raw, list):
        raise BadInput(f"{where}: 'hides' is a list of modules: write [medlab.NAME]")
    for name in raw:
        if not isinstance(name, str) or not MODULE.fullmatch(name) or not _exists(name):
            raise BadInput(f"{where}: 'hides' lists {name!r}, which is not a module of medlab")
    return tuple(raw)


def _exists(module: str) -> bool:
    """Tell whether medlab has a module or package of this name, without importing it."""
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _check_slugs(units: tuple[UnitEntry, ...], path: Path) -> None:
    seen = set()
    for unit in units:
        if not SLUG.fullmatch(unit.slug):
            raise BadInput(f"{path}: '{unit.slug}' is not a slug: use a-z, 0-9 and single hyphens")
        if unit.slug in seen:
            raise BadInput(f"{path}: unit '{unit.slug}' is listed twice: rename one")
        seen.add(unit.slug)


def _check_prerequisites(units: tuple[UnitEntry, ...], path: Path) -> None:
    needs = {unit.slug: unit.prerequisites for unit in units}
    for unit in units:
        for slug in unit.prerequisites:
            if slug not in needs:
                raise BadInput(
                    f"{path}: unit '{unit.slug}' requires '{slug}', which is not a unit: "
                    f"{_near(slug, list(needs))}"
                )
    cycle = _cycle(needs)
    if cycle:
        raise BadInput(f"{path}: prerequisites run in a circle: {' -> '.join(cycle)}")


def _cycle(needs: dict[str, tuple[str, ...]]) -> list[str]:
    """Return one circle of slugs, or an empty list."""
    done: set[str] = set()

    def visit(slug: str, trail: list[str]) -> list[str]:
        if slug in trail:
            return [*trail[trail.index(slug) :], slug]
        if slug in done:
            return []
        for other in needs[slug]:
            found = visit(other, [*trail, slug])
            if found:
                return found
        done.add(slug)
        return []

    for slug in needs:
        found = visit(slug, [])
        if found:
            return found
    return []


def _near(slug: str, slugs: list[str]) -> str:
    return did_you_mean(slug, slugs, f"there are {', '.join(slugs)}", most=3)
