"""The referee as a papermill engine: `papermill --engine medlab in.ipynb out.ipynb -p SEED 7`.

papermill loads this module by its entry point while it is itself being imported, so it is imported
here only when a notebook runs.
"""

import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import nbformat
from nbformat import NotebookNode

from medlab.classroom.referee.hidden_tests import Referee, sitting_key
from medlab.classroom.referee.sitting import Sitting, seat
from medlab.classroom.results import ExerciseResult
from medlab.classroom.submissions.submission import RestoredNotebook, read_cell, restore, slug_of
from medlab.classroom.surroundings import surroundings
from medlab.course import Unit, find_course, load_syllabus, load_unit
from medlab.errors import BadInput
from medlab.sandbox.isolation import AUTO, Isolation, choose, isolate
from medlab.sandbox.kernel import CellResult, Limits


@dataclass
class SittingResult:
    """What a sitting came to."""

    exercises: list[ExerciseResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what had to be put back
    notebook: NotebookNode | None = None  # as it ran, with outputs


class MedlabEngine:
    """Run a learner's notebook in the course's frame and judge it with hidden tests.

    The grade is stored in the output notebook's metadata, `medlab.grade`. Callers in Python may
    pass `unit`, `notes`, `key` (bytes, from sitting_key), `limits`, `isolation` and `deliver`,
    which is called with the SittingResult.
    """

    @classmethod
    def nb_kernel_name(cls, nb: NotebookNode, name: str | None = None) -> str:
        """Return the one kernel there is; what the notebook names is not believed."""
        return "medlab"

    @classmethod
    def nb_language(cls, nb: NotebookNode, language: str | None = None) -> str:
        return "python"

    @classmethod
    def execute_notebook(
        cls,
        nb: NotebookNode,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        **options,
    ) -> NotebookNode:
        """Put the notebook back into the course's frame, run and judge it, and return it.

        Raises BadInput, which papermill's command prints as one line, for one of no unit.
        """
        try:
            return cls._execute(
                nb, output_path, progress_bar, log_output, autosave_cell_every, **options
            )
        except BadInput as problem:
            raise _printable(problem) from None

    @staticmethod
    def _execute(
        nb: NotebookNode,
        output_path: str | None,
        progress_bar: bool,
        log_output: bool,
        autosave: int,
        **options,
    ) -> NotebookNode:
        from papermill.engines import NotebookExecutionManager

        unit = options.pop("unit", None) or unit_named_in(nb)
        restored = _restored(unit, nb)
        notes = [*options.pop("notes", ()), *restored.notes]
        manager = NotebookExecutionManager(
            restored.notebook, output_path, log_output, progress_bar, autosave
        )
        manager.notebook_start()
        try:
            _sit(manager, unit, notes, **options)
        finally:
            manager.notebook_complete()
        return manager.nb


def _sit(
    manager,
    unit: Unit,
    notes: list[str],
    *,
    key: bytes = b"",
    limits: Limits | None = None,
    isolation: Isolation | None = None,
    deliver: Callable[[SittingResult], None] | None = None,
    **_,
) -> None:
    """Run all cells, judging hidden tests in between; a failing cell does not stop the rest."""
    notebook = manager.nb
    with seat(limits or Limits(), isolation or _isolation(unit)) as taken:
        sitting = Sitting(unit, Referee(unit, key or _key(unit, notebook)), taken)
        sitting.run(notebook, _watch(manager))
    judged = SittingResult(sitting.results(notebook), notes, notebook)
    notebook.metadata.medlab["grade"] = nbformat.from_dict(
        {"exercises": [asdict(result) for result in judged.exercises], "notes": notes}
    )
    if deliver:
        deliver(judged)


def _printable(problem: BadInput) -> BadInput:
    """Return a problem that a command made with click, as papermill's is, prints as one line."""
    from click import ClickException

    class OneLine(BadInput, ClickException):
        exit_code = 2

        def show(self, file=None) -> None:
            print(f"medlab: {self}", file=file or sys.stderr)

    return OneLine(str(problem))


def unit_named_in(nb: NotebookNode) -> Unit:
    """Return the unit that a notebook says it is of; raise BadInput if it names none."""
    slug = slug_of(nb)
    if not slug:
        raise BadInput("the notebook names no unit: its metadata has no medlab.slug")
    return load_unit(load_syllabus(find_course()).find(slug))


def _restored(unit: Unit, nb: NotebookNode) -> RestoredNotebook:
    """Restore, and inject the parameters anew where the course has its parameters cell."""
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    cells = [c for c in nb.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    restored = restore(unit, tuple(read_cell(cell) for cell in cells))
    made = load_notebook_node(restored.notebook)
    made.metadata["papermill"] = nb.metadata.papermill
    if nb.metadata.papermill.get("parameters"):
        parameters = nb.metadata.papermill.parameters
        made = parameterize_notebook(made, parameters, engine_name="medlab")
    restored.notebook = made
    return restored


def _key(unit: Unit, notebook: NotebookNode) -> bytes:
    """Return a key nobody can foresee, unless SEED asks for a repeatable one."""
    parameters = notebook.metadata.papermill.get("parameters") or {}
    if "SEED" in parameters:
        return sitting_key("", unit.slug, "", parameters["SEED"])
    return secrets.token_bytes(32)


def _isolation(unit: Unit) -> Isolation:
    """Return the jail that MEDLAB_JAIL names, else the strongest there is."""
    kind = choose(os.environ.get("MEDLAB_JAIL", AUTO))
    return isolate(kind, unit.entry.libraries, surroundings())


def _watch(manager) -> Callable[[NotebookNode, CellResult | None], None]:
    """Tell papermill's execution manager what happens to each cell."""

    def watch(cell: NotebookNode, ran: CellResult | None) -> None:
        if ran is None:
            manager.cell_start(cell)
            return
        if ran.status != "ok":
            manager.cell_exception(cell)
        manager.cell_complete(cell)

    return watch
