"""Item analysis: difficulty and discrimination of each exercise, from the gradebook.

Counted is the newest grade of every student in every unit; a submission that could not be graded
does not count. Formulas are beside the functions that use them, and in words on the page.
"""

import base64
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from medlab.classroom.pages.template import page
from medlab.classroom.results import ExerciseResult, Grade, Status

FEWEST = 10  # students, below which a correlation means next to nothing
MOST_MESSAGES = 5  # shown of each exercise
NUMBER = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Item:
    """One exercise in one unit, over a class."""

    name: str
    students: int
    attempted: int
    difficulty: float  # mean share of the points, 0 to 1: a high figure is an easy exercise
    discrimination: float | None  # -1 to 1
    why_not: str  # the reason if there is no discrimination
    messages: tuple[tuple[str, int], ...]  # a message and how many students met it
    seconds: float  # median time of its hidden tests, where it was attempted


@dataclass(frozen=True)
class UnitReport:
    """One unit over a class."""

    slug: str
    grades: tuple[Grade, ...]
    items: tuple[Item, ...]
    median_seconds: float
    slowest_seconds: float

    @property
    def shares(self) -> list[float]:
        """Score over most, of every student; 0 to 1."""
        return [grade.score / grade.max for grade in self.grades if grade.max]


def unit_reports(grades: Iterable[Grade]) -> list[UnitReport]:
    """Return a report on every unit of which anything was graded."""
    by_unit: dict[str, list[Grade]] = {}
    for grade in grades:
        if grade.exercises:
            by_unit.setdefault(grade.unit, []).append(grade)
    return [_unit(slug, found) for slug, found in sorted(by_unit.items())]


def discrimination(item: Sequence[float], rest: Sequence[float]) -> tuple[float | None, str]:
    """Return Pearson's r of an exercise with the rest of the unit, or None and why.

    r = mean((x - mean x)(y - mean y)) / (sd x * sd y), where x is the share of the exercise's
    points (item) and y the points in all other exercises (rest), one each a student, in the same
    order; students without either figure are left out. The rest leaves the exercise out, since it
    would correlate with itself; where an exercise is all or nothing this is the point-biserial
    correlation.
    Source: S. Henrysson, Correction of item-total correlations in item analysis, Psychometrika 28
    (1963), 211-218.
    """
    x, y = np.asarray(item, dtype=float), np.asarray(rest, dtype=float)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < FEWEST:
        return None, f"too few students ({len(x)} of at least {FEWEST})"
    spread = np.std(x) * np.std(y)
    if spread < 1e-9:
        return None, "all the same"
    both = np.mean((x - x.mean()) * (y - y.mean()))
    return float(np.clip(both / spread, -1, 1)), ""


def report_page(grades: Iterable[Grade]) -> str:
    """Return the report as one HTML page that loads nothing and runs nothing."""
    units = unit_reports(grades)
    return page(
        "report.html",
        units=[(unit, _scores_plot(unit), _items_plot(unit)) for unit in units],
        fewest=FEWEST,
    )


def _unit(slug: str, grades: list[Grade]) -> UnitReport:
    names = list(dict.fromkeys(r.name for grade in grades for r in _by_machine(grade)))
    seconds = [grade.seconds for grade in grades if math.isfinite(grade.seconds)] or [0.0]
    return UnitReport(
        slug,
        tuple(grades),
        tuple(_item(name, grades) for name in names),
        float(np.median(seconds)),
        max(seconds),
    )


def _by_machine(grade: Grade) -> list[ExerciseResult]:
    return [result for result in grade.exercises if result.kind == "exercise" and result.max]


def _item(name: str, grades: list[Grade]) -> Item:
    pairs = [(grade, r) for grade in grades for r in _by_machine(grade) if r.name == name]
    results = [result for _, result in pairs]
    shares = [result.points / result.max for result in results]
    rest = [sum(o.points for o in _by_machine(grade) if o.name != name) for grade, _ in pairs]
    figure, why_not = discrimination(shares, rest)
    return Item(
        name=name,
        students=len(results),
        attempted=sum(result.status != Status.NOT_ATTEMPTED for result in results),
        difficulty=float(np.mean(shares)),
        discrimination=figure,
        why_not=why_not,
        messages=tuple(_messages(results)),
        seconds=float(np.median(_seconds(results) or [0.0])),
    )


def _seconds(results: list[ExerciseResult]) -> list[float]:
    """Return how long the hidden tests of each attempt ran: mostly the learner's own code."""
    attempts = [result for result in results if result.status != Status.NOT_ATTEMPTED]
    return [sum(test.seconds for test in result.tests) for result in attempts]


def _messages(results: list[ExerciseResult]) -> list[tuple[str, int]]:
    """Return the commonest messages with the number of students who met each.

    Messages that differ only in their numbers count as one, shown in its commonest wording.
    """
    wordings: dict[str, Counter] = {}
    for result in results:
        lost = {
            t.message for t in result.tests if t.status not in (Status.PASSED, Status.NOT_ATTEMPTED)
        }
        first = {NUMBER.sub("#", message): message for message in sorted(lost) if message}
        for shape, message in first.items():
            wordings.setdefault(shape, Counter())[message] += 1
    counted = [(_wording(seen), seen.total()) for seen in wordings.values()]
    return sorted(counted, key=lambda entry: (-entry[1], entry[0]))[:MOST_MESSAGES]


def _wording(seen: Counter) -> str:
    commonest = seen.most_common(1)[0][0]
    return commonest if len(seen) == 1 else f"{commonest} (or with other numbers)"


def _scores_plot(unit: UnitReport) -> Markup:
    figure, axes = _figure(2.6)
    counts, _, _ = axes.hist(unit.shares, bins=np.linspace(0, 1, 11), color="0.45", edgecolor="w")
    axes.set(xlabel="share of the points", ylabel="students", xlim=(0, 1))
    axes.yaxis.get_major_locator().set_params(integer=True)
    bars = ", ".join(
        f"{count:.0f} between {at * 10} and {at * 10 + 10} %"
        for at, count in enumerate(counts)
        if count
    )
    return _image(figure, f"Histogram of scores in {unit.slug}: {bars or 'no scores'}")


def _items_plot(unit: UnitReport) -> Markup:
    """Draw difficulty and discrimination as bars, which differ in shade and in hatching."""
    figure, axes = _figure(1 + 0.55 * len(unit.items))
    places = np.arange(len(unit.items))[::-1]
    easy = [item.difficulty for item in unit.items]
    splits = [item.discrimination or 0 for item in unit.items]
    axes.barh(places + 0.2, easy, 0.36, color="#00204d", label="difficulty (mean share)")
    axes.barh(
        places - 0.2, splits, 0.36, color="#d8c25f", hatch="//", label="discrimination", ec="k"
    )
    axes.set_yticks(places, [item.name for item in unit.items])
    axes.set(xlim=(min(0, *splits, 0) - 0.02, 1.02))
    axes.axvline(0, color="k", linewidth=0.8)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12 - 0.3 / len(easy)), ncols=2)
    bars = "; ".join(f"{item.name}: {_in_words(item)}" for item in unit.items)
    return _image(figure, f"Bars for each exercise of {unit.slug}: {bars}")


def _in_words(item: Item) -> str:
    split = item.why_not if item.discrimination is None else f"{item.discrimination:.2f}"
    return f"difficulty {item.difficulty:.2f}, discrimination {split}"


def _figure(height: float):
    from matplotlib.figure import Figure  # needs no display and no global state

    figure = Figure(figsize=(7, height), layout="constrained")
    return figure, figure.subplots()


def _image(figure, words: str) -> Markup:
    """Return a figure as an inline SVG image with an alternative text."""
    import matplotlib

    drawn = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "medlab"}):  # the same figure, the same bytes
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    source = base64.b64encode(drawn.getvalue()).decode()
    return Markup('<img alt="{}" src="data:image/svg+xml;base64,{}">').format(words, source)
