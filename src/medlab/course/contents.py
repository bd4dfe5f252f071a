"""The page of contents beside the notebooks: every unit, in order, with its outcomes."""

from itertools import groupby

from medlab.course.syllabus import Syllabus, UnitEntry

HEAD = """\
# Units of {title}

Made from `course/syllabus.yaml`; hours are estimates.
"""


def contents(syllabus: Syllabus) -> str:
    """Return notebooks/README.md of a course, in Markdown."""
    parts = [HEAD.format(title=syllabus.title)]
    for _, track in groupby(syllabus.units, key=lambda unit: unit.track):
        units = list(track)
        parts.append(f"## {units[0].track_title}\n")
        parts += [_section(unit, syllabus) for unit in units]
    return "\n".join(parts)


def _section(unit: UnitEntry, syllabus: Syllabus) -> str:
    after = ", ".join(f"`{slug}`" for slug in unit.prerequisites) or "Python and NumPy"
    link = unit.notebook.relative_to(syllabus.root / "notebooks").as_posix()
    outcomes = "\n".join(f"- {outcome}" for outcome in unit.outcomes)
    return f"""\
### {unit.number}. [{unit.title}]({link})

`{unit.slug}`, about {unit.hours:g} hours, {unit.points} points, after {after}

{outcomes}
"""
