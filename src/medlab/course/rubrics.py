"""Rubrics for manual scoring of written answers, read from course/rubrics.yaml."""

import re
from dataclasses import dataclass
from pathlib import Path

from medlab.errors import BadInput
from medlab.files import read_yaml
from medlab.text import did_you_mean

RUBRICS = Path("course/rubrics.yaml")
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Criterion:
    """One question about an answer, and what each level of the reply means."""

    name: str
    question: str
    levels: tuple[str, ...]  # what level 0, 1, ... means

    @property
    def top(self) -> int:
        """The highest level."""
        return len(self.levels) - 1


@dataclass(frozen=True)
class Rubric:
    """Criteria under a name that units refer to."""

    name: str
    title: str
    criteria: tuple[Criterion, ...]

    @property
    def top(self) -> int:
        """The sum of the highest levels, at least 1."""
        return sum(criterion.top for criterion in self.criteria)


def load_rubrics(root: Path) -> dict[str, Rubric]:
    """Read root/course/rubrics.yaml; a course without that file has no rubrics.

    Raises BadInput, one line with file and rubric, for anything that is not a rubric.
    """
    path = root / RUBRICS
    if not path.is_file():
        return {}
    return {name: _rubric(name, raw, path) for name, raw in _read(path).items()}


def near(name: str, rubrics: dict[str, Rubric]) -> str:
    """Return words that help someone who named a rubric that is not there."""
    others = f"there are {', '.join(rubrics)}" if rubrics else "write it there"
    return did_you_mean(name, rubrics, others)


def _read(path: Path) -> dict:
    raw = read_yaml(path)
    if not isinstance(raw, dict):
        raise BadInput(f"{path}: expected a mapping from names to rubrics")
    return raw


def _rubric(name: object, raw: object, path: Path) -> Rubric:
    where = f"{path}: rubric '{name}'"
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise BadInput(f"{where}: name it with a-z, 0-9 and single hyphens")
    if not isinstance(raw, dict) or not isinstance(raw.get("criteria"), list):
        raise BadInput(f"{where} needs a 'title' and a list 'criteria'")
    criteria = tuple(
        _criterion(one, f"{where}, criterion {number}")
        for number, one in enumerate(raw["criteria"], start=1)
    )
    if not criteria:
        raise BadInput(f"{where} has no criterion: add one")
    names = [criterion.name for criterion in criteria]
    duplicate = next((one for one in names if names.count(one) > 1), None)
    if duplicate:
        raise BadInput(f"{where}: duplicate criterion '{duplicate}': rename one")
    return Rubric(name, _text(raw, "title", where), criteria)


def _criterion(raw: object, where: str) -> Criterion:
    if not isinstance(raw, dict):
        raise BadInput(f"{where} needs 'name', 'question' and 'levels'")
    name = _text(raw, "name", where)
    if not NAME.fullmatch(name):
        raise BadInput(f"{where}: name it with a-z, 0-9 and single hyphens, not '{name}'")
    return Criterion(name, _text(raw, "question", where), _levels(raw.get("levels"), where))


def _levels(raw: object, where: str) -> tuple[str, ...]:
    """Return what the levels mean; they are numbered 0, 1, ... without a gap."""
    numbered = isinstance(raw, dict) and len(raw) > 1 and list(raw) == list(range(len(raw)))
    if not numbered or not all(isinstance(text, str) and text.strip() for text in raw.values()):
        raise BadInput(f"{where}: number the levels 0, 1, ... and describe each in words")
    return tuple(text.strip() for text in raw.values())


def _text(raw: dict, key: str, where: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f"{where} needs a '{key}' in words")
    return value.strip()
