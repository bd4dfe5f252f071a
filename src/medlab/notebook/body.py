"""The body of a `%%check` or `%%needs` cell: run it as a plain cell, and report where it failed."""

import ast
import linecache
import symtable
from types import TracebackType

from IPython.core.displayhook import DisplayHook


class Body:
    """A cell's body, run in the user's namespace under a file name of its own."""

    def __init__(self, shell, source: str):
        self.shell = shell
        # The magic's own line counts, so that line numbers are those the editor shows.
        self.text = "\n" + _transformed(shell, source)
        self.name = shell.compile.cache(self.text, shell.execution_count)

    def run(self) -> object:
        """Run all statements; return the value of a last expression that no `;` ends, else None."""
        tree = self.shell.transform_ast(self.shell.compile.ast_parse(self.text, self.name))
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(self._compiled(tree, "exec"), self.shell.user_ns)
        if last is None:
            return None
        value = eval(self._compiled(ast.Expression(last.value), "eval"), self.shell.user_ns)
        return None if DisplayHook.semicolon_at_end_of_expression(self.text) else value

    def _compiled(self, tree: ast.AST, mode: str):
        flags = self.shell.compile.flags  # a `from __future__` in an earlier cell
        # optimize=0: an assert must count even where Python runs with -O
        return compile(tree, self.name, mode, flags=flags, dont_inherit=True, optimize=0)

    def assigned_names(self) -> set[str]:
        """Return the names that running the body to its end binds."""
        table = symtable.symtable(self.text, self.name, "exec")
        return {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}

    def own_cells(self, error: BaseException) -> list[TracebackType]:
        """Return the steps of the error's traceback that lie in notebook cells, outermost first."""
        return [step for step in _steps(error) if step.tb_frame.f_globals is self.shell.user_ns]

    def failed_itself(self, error: BaseException) -> bool:
        """Return whether the innermost notebook line of the error is one of this body's."""
        own = self.own_cells(error)
        return not own or own[-1].tb_frame.f_code.co_filename == self.name

    def stub(self, error: BaseException) -> str | None:
        """Return the name of the unwritten function that raised the error, if one did.

        A NotImplementedError from a library (pydicom raises it for a transfer syntax without a
        decoder) is an error like any other.
        """
        steps = _steps(error)
        raised_in_cell = bool(steps) and steps[-1].tb_frame.f_globals is self.shell.user_ns
        if not isinstance(error, NotImplementedError) or not raised_in_cell:
            return None
        return None if self.failed_itself(error) else _function(steps[-1]).split(".")[0]

    def place(self, error: BaseException) -> str:
        """Return ' in to_hounsfield, line 3' for the innermost notebook line, or ''."""
        if isinstance(error, SyntaxError) and error.filename == self.name:
            return f" in this cell, line {error.lineno}"
        own = self.own_cells(error)
        if not own:
            return ""
        return f" in {self._where(own[-1])}, line {own[-1].tb_lineno}"

    def _where(self, step: TracebackType) -> str:
        at_top = step.tb_frame.f_code.co_filename == self.name and _function(step) == "<module>"
        return "this cell" if at_top else _function(step)

    def failing_line(self, error: BaseException) -> str:
        """Return the source line of the body at which the error left it, or ''."""
        own = [s for s in _steps(error) if s.tb_frame.f_code.co_filename == self.name]
        return linecache.getline(self.name, own[-1].tb_lineno).strip() if own else ""

    def show_plainly(self, error: BaseException) -> None:
        """Have IPython show the error's traceback from this body inwards, without the magic's."""
        steps = [s for s in _steps(error) if s.tb_frame.f_code.co_filename == self.name]
        if steps:
            show = self.shell.InteractiveTB.structured_traceback
            error._render_traceback_ = lambda: show(type(error), error, steps[0], tb_offset=0)


def _transformed(shell, source: str) -> str:
    """Return the source with IPython's own syntax (`!ls`, `%time`) turned into Python."""
    try:
        return shell.transform_cell(source)
    except SyntaxError:  # compiling the source says the same with a line number
        return source


def _steps(error: BaseException) -> list[TracebackType]:
    steps, step = [], error.__traceback__
    while step:
        steps.append(step)
        step = step.tb_next
    return steps


def _function(step: TracebackType) -> str:
    """Return 'f' for a line of f, also inside its comprehensions and inner functions."""
    return step.tb_frame.f_code.co_qualname.split(".<locals>")[0]
