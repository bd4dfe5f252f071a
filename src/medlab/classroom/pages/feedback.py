"""The page a learner gets back: what each exercise scored and why, beside their own code.

Outputs come from untrusted code, so HTML is sanitised, images are only PNG or JPEG, and
the page loads nothing and allows no script. Hidden tests are not on it.
"""

import re

import nh3
from markupsafe import Markup
from nbformat import NotebookNode

from medlab.classroom.gradebook.lateness import Lateness
from medlab.classroom.pages.template import page
from medlab.classroom.results import Grade, Status
from medlab.course.audience import EMPTY_ANSWER
from medlab.course.cells import DEMONSTRATION
from medlab.course.unit import Unit
from medlab.text import cut

MARKS = {
    Status.PASSED: "✓",
    Status.SCORED_MANUALLY: "✓",
    Status.PARTLY: "◐",
    Status.NOT_ATTEMPTED: "○",
    Status.NEEDS_GRADING: "…",
}
LOST = "✗"
IMAGES = ("image/png", "image/jpeg")
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
LONGEST_OUTPUT = 20_000  # characters of one answer or one text output that are shown
INLINE_IMAGE = re.compile(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]*")
COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # of terminals, in tracebacks


def feedback_page(
    grade: Grade,
    unit: Unit | None,
    notebook: NotebookNode | None,
    late: Lateness | None = None,
) -> str:
    """Return a self-contained HTML page about one submission; notebook is the executed one."""
    shown = bool(unit) and any(DEMONSTRATION in cell.options for cell in unit.cells)
    cells = _cells_by_exercise(unit, notebook) if unit and notebook else {}
    return page(
        "feedback.html",
        grade=grade,
        title=unit.entry.title if unit else grade.unit or grade.file,
        cells=cells,
        demonstrations=shown and bool(grade.exercises),
        late=late,
        mark=lambda status: MARKS.get(status, LOST),
    )


def _cells_by_exercise(unit: Unit, notebook: NotebookNode) -> dict[str, dict]:
    """Return each answer's source and outputs, by the exercise's name."""
    ids = {e.cell_id: e.name for e in unit.exercises} | {w.cell_id: w.name for w in unit.written}
    shown = {}
    for cell in notebook.cells:
        name = ids.get(cell.id)
        if name and cell.cell_type == "code":
            shown[name] = {
                "code": _highlighted(cut(cell.source, LONGEST_OUTPUT)),
                "outputs": _outputs(cell),
            }
        elif name and cell.source.strip() != EMPTY_ANSWER:
            shown[name] = {"text": _clean(_markdown(cut(cell.source, LONGEST_OUTPUT)))}
    return shown


def _highlighted(source: str) -> Markup:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return Markup(highlight(source, PythonLexer(), HtmlFormatter(nobackground=True)))


def _markdown(source: str) -> str:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).render(source)


def _outputs(cell: NotebookNode) -> list[Markup]:
    return [made for output in cell.get("outputs", []) if (made := _output(output))]


def _output(output: NotebookNode) -> Markup | None:
    if output.output_type == "stream":
        return _text(output.get("text"))
    if output.output_type == "error":
        traceback = output.get("traceback")
        lines = traceback if isinstance(traceback, list) else [traceback]
        return _text("\n".join(map(str, lines)))
    data = output.get("data")
    if not isinstance(data, dict):
        return None
    for kind in IMAGES:
        if isinstance(data.get(kind), str) and BASE64.fullmatch(data[kind]):
            source = f"data:{kind};base64,{''.join(data[kind].split())}"
            return Markup('<img alt="output of the cell" src="{}">').format(source)
    if isinstance(data.get("text/html"), str):
        return _clean(data["text/html"][:LONGEST_OUTPUT])
    return _text(data.get("text/plain", ""))


def _text(text: object) -> Markup:
    """Show text; a kernel that was tampered with may have sent anything."""
    return Markup("<pre>{}</pre>").format(cut(COLOURS.sub("", str(text)), LONGEST_OUTPUT))


def _clean(html: str) -> Markup:
    """Return HTML without scripts and styles, and without anything that loads by itself."""
    schemes = {"http", "https", "data"}
    return Markup(nh3.clean(html, attribute_filter=_filter, url_schemes=schemes))


def _filter(tag: str, attribute: str, value: str) -> str | None:
    """Return an attribute's value, or None to drop it: images are inline, links are not loaded."""
    if attribute == "src":
        return value if INLINE_IMAGE.fullmatch(value) else None
    if attribute in ("href", "cite"):
        return value if value.startswith(("https://", "http://")) else None
    return value
