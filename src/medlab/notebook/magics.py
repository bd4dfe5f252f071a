"""`%unit`, `%%check` and `%%needs`: what a learner's notebook runs besides the learner's own code.

A check never raises: Run All goes on to the next cell. It is feedback for the learner and no more;
a grade comes from hidden tests that run outside this process.
"""

import sys
from pathlib import Path

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.display import display

from medlab.errors import BadInput
from medlab.notebook.body import Body
from medlab.notebook.panels import Hint, Note, Panel, shortened_line
from medlab.notebook.stubs import is_stub


def register(shell) -> None:
    """Give an IPython shell the magics of a unit's notebook, once."""
    if UnitMagics.__name__ not in shell.magics_manager.registry:
        shell.register_magics(UnitMagics(shell))


@magics_class
class UnitMagics(Magics):
    """The magics of one notebook, and what they remember between its cells."""

    def __init__(self, shell):
        super().__init__(shell)
        self._entry = None  # the unit in the syllabus, where the course can be found
        self._root = None  # the course's folder, if this notebook lies in its work/
        self._failures = {}  # exercise -> failed checks in a row
        self._waiting = {}  # name that a skipped cell would have defined -> exercises to solve

    @no_var_expand
    @line_magic
    def unit(self, line):
        """Set the unit of this notebook: `%unit SLUG`."""
        self._entry = self._root = None
        # Else IPython tells those who run the first cell again to reload an extension.
        self.shell.extension_manager.loaded.discard("medlab")
        slug = line.strip()
        if not slug:
            print("write the unit's name after %unit, such as %unit dicom-to-hounsfield")
            return
        try:
            self._find(slug)
        except BadInput as error:
            print(shortened_line(str(error)))
        except Exception:  # a jailed grader may not read the course; checks work without it
            self._entry = self._root = None

    @no_var_expand
    @cell_magic
    def check(self, line, cell):
        """Run an exercise's visible check and show a panel: `%%check NAME`."""
        name = line.strip()
        unknown = self._unknown(name)
        if unknown:
            print(unknown)
            return None
        figures, value = _figures(), None
        body = Body(self.shell, cell)
        try:
            value = body.run()
            panel = Panel(name, "passed")
        except BaseException as error:  # also SystemExit and KeyboardInterrupt: Run All goes on
            panel = _verdict(name, body, error)
        if panel.state == "not attempted yet":
            _close_figures(figures)
        display(panel)
        self._remember(panel)
        return value

    @no_var_expand
    @cell_magic
    def needs(self, line, cell):
        """Run a cell that calls the named exercises once they are solved: `%%needs A B`."""
        names, body = line.split(), Body(self.shell, cell)
        before = set(self.shell.user_ns)
        # Asked before anything runs: what comes in front of the call may take a minute.
        stubs = [name for name in names if is_stub(self.shell.user_ns.get(name))]
        if stubs:
            return self._wait(stubs, body, before)
        figures = _figures()
        try:
            return body.run()
        except BaseException as error:
            blocking = self._blocking(names, body, error)
            if not blocking:
                body.show_plainly(error)
                raise
        _close_figures(figures)  # or an empty one would be shown
        return self._wait(blocking, body, before)

    def _wait(self, blocking: list[str], body: Body, before: set[str]) -> None:
        """Say what to solve first; forget the names that the cell would have defined."""
        for name in body.assigned_names() - before:  # half made, they would mislead later cells
            self.shell.user_ns.pop(name, None)
        self._waiting |= dict.fromkeys(body.assigned_names(), blocking)
        display(Note(f"Solve {_listed(blocking)} first, then run this cell again."))

    def _find(self, slug: str) -> None:
        from medlab.course import find_course, load_syllabus

        try:
            root = find_course()
        except BadInput:  # a notebook on its own: no hints and no progress; checks work as usual
            return
        self._entry = load_syllabus(root).find(slug)
        here, work = Path.cwd().resolve(), (root / "work").resolve()
        self._root = root if here == work or work in here.parents else None

    def _unknown(self, name: str) -> str:
        """Return one line on what is wrong with an exercise's name, or ''."""
        if not name:
            return "write the exercise's name after %%check, such as %%check to_hounsfield"
        names = self._names()
        if not names or name in names:
            return ""
        return shortened_line(
            f"{name}: this unit has no such exercise. There are {', '.join(names)}."
        )

    def _names(self) -> list[str]:
        """Return the unit's exercises; none where no course is found."""
        if self._entry is None:
            return []
        from medlab.course import exercise_names

        try:
            return exercise_names(self._entry)
        except BadInput:
            return []

    def _remember(self, panel: Panel) -> None:
        if panel.state not in ("passed", "not yet"):
            return
        passed = panel.state == "passed"
        failures = 0 if passed else self._failures.get(panel.name, 0) + 1
        self._failures[panel.name] = failures
        if failures >= 2 and self._entry:
            self._show_hint(panel.name, failures - 1)
        self._record(panel.name, passed)

    def _show_hint(self, name: str, level: int) -> None:
        try:
            from medlab.course import load_unit
            from medlab.notebook.hints import hint

            unit = load_unit(self._entry)
            levels = len(unit.exercise(name).hints)
            display(Hint(min(level, levels), levels, hint(unit, name, min(level, levels))))
        except Exception:  # a course that is being edited, or may not be read, breaks no check
            return

    def _record(self, name: str, passed: bool) -> None:
        if self._root is None:
            return
        from medlab.notebook import progress

        try:
            progress.record(self._root, self._entry.slug, name, passed)
        except BadInput as error:
            print(shortened_line(str(error)))

    def _blocking(self, names: list[str], body: Body, error: BaseException) -> list[str]:
        """Return the unsolved exercises that stopped a `%%needs` cell; none for another error."""
        stub = body.stub(error)
        if stub:
            return [stub] if stub in names or not names else names
        if isinstance(error, NameError) and body.failed_itself(error):
            return [error.name] if error.name in names else self._waiting.get(error.name, [])
        return []


def _verdict(name: str, body: Body, error: BaseException) -> Panel:
    """Return the panel for a check that did not run to its end."""
    stub = body.stub(error)
    if stub:
        elsewhere = (
            "" if stub == name else f"The check stopped in `{stub}`, which is not written yet."
        )
        return Panel(name, "not attempted yet", elsewhere)
    if isinstance(error, NameError) and error.name == name and body.failed_itself(error):
        return Panel(name, "not attempted yet", f"Run the cell that defines `{name}` first.")
    if isinstance(error, KeyboardInterrupt):
        return Panel(name, "stopped", "The check was interrupted. Run it again.")
    if isinstance(error, NameError) and error.name and body.failed_itself(error):
        missing = f"`{error.name}` is not defined"
        fix = "run the cells above, or define it under this name"
        return Panel(name, "stopped", f"{missing}: {fix}.")
    return Panel(name, "not yet", _reason(body, error))


def _reason(body: Body, error: BaseException) -> str:
    message = _message(error)
    if isinstance(error, AssertionError) and body.failed_itself(error):
        return message or f"This assertion failed: `{body.failing_line(error)}`"
    if isinstance(error, BadInput):
        return shortened_line(message)  # complete by itself, such as a line of C
    kind = type(error).__name__
    if isinstance(error, TypeError | AttributeError) and body.failed_itself(error):
        message += "; is a `return` missing?" if "NoneType" in message else ""
    return shortened_line(
        f"{kind}{body.place(error)}: {message}" if message else kind + body.place(error)
    )


def _message(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return error.msg or ""  # without the file name, which says nothing here
    try:
        return str(error)
    except Exception:  # a learner's exception class with a broken __str__
        return ""


def _listed(names: list[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)


def _figures() -> set[int]:
    pyplot = sys.modules.get("matplotlib.pyplot")
    return set(pyplot.get_fignums()) if pyplot else set()


def _close_figures(keep: set[int]) -> None:
    for number in _figures() - keep:
        sys.modules["matplotlib.pyplot"].close(number)
