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
from medlab.classroom.referee.pace import Pace
from medlab.classroom.referee.session import open_session
from medlab.classroom.referee.sitting import Sitting, beginning
from medlab.classroom.results import ExerciseResult
from medlab.classroom.submissions.reading import read_cell, slug_of
from medlab.classroom.submissions.restoring import RestoredNotebook, restore
from medlab.classroom.surroundings import surroundings
from medlab.course import Unit, audience, find_course, load_syllabus, load_unit
from medlab.errors import BadInput
from medlab.sandbox.isolation import AUTO, Isolation, choose, isolate
from medlab.sandbox.limits import CellResult, Limits


@dataclass
class SittingResult:
    """The outcome of a sitting."""

    exercises: list[ExerciseResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what had to be put back
    notebook: NotebookNode | None = None  # as it ran, with outputs
    pace: Pace = field(default_factory=Pace)  # what its cells and tests took


class MedlabEngine:
    """Run a learner's notebook in the course's frame and judge it with hidden tests.

    The grade is stored in the output notebook's metadata, `medlab.grade`.
    """

    @classmethod
    def nb_kernel_name(cls, nb: NotebookNode, name: str | None = None) -> str:
        """Return the only kernel there is; the one that the notebook names is ignored."""
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
        *,
        unit: Unit | None = None,
        key: bytes = b"",
        limits: Limits | None = None,
        isolation: Isolation | None = None,
        # papermill's own options for other engines: there is no file of output here, and the
        # limits of a sitting are in `limits`.
        input_path: object = None,
        start_timeout: object = None,
        execution_timeout: object = None,
        stdout_file: object = None,
        stderr_file: object = None,
    ) -> NotebookNode:
        """Put the notebook back into the course's frame, run and judge it, and return it.

        unit: default the one that the notebook names. key: from sitting_key; default one made of
        the parameter SEED, else a random one. Raises BadInput, which papermill's command prints
        as one line, for a notebook of no unit.
        """
        from papermill.engines import NotebookExecutionManager

        try:
            unit = unit or unit_named_in(nb)
            restored = _restored(unit, nb)
            manager = NotebookExecutionManager(
                restored.notebook, output_path, log_output, progress_bar, autosave_cell_every
            )
            manager.notebook_start()
            try:
                judge_notebook(unit, restored, key or _key(unit, nb), limits, isolation, manager)
            finally:
                manager.notebook_complete()
            return manager.nb
        except BadInput as problem:
            raise _printable(problem) from None


def judge_notebook(
    unit: Unit,
    restored: RestoredNotebook,
    key: bytes,
    limits: Limits | None = None,
    isolation: Isolation | None = None,
    manager=None,
    pace: Pace | None = None,
) -> SittingResult:
    """Run all cells, judging hidden tests in between; a failing cell does not stop the rest.

    key: from sitting_key. isolation: default what MEDLAB_JAIL names, else the strongest there is.
    manager: papermill's, to which each cell is reported. pace: of the solution, from which limits
    of time are made. The notebook gets the outputs and, as metadata `medlab.grade`, the results.
    """
    notebook = restored.notebook
    with open_session(limits or Limits(), isolation or _isolation(unit)) as session:
        sitting = Sitting(unit, Referee(unit, key), session, pace)
        sitting.run(notebook, _watch(manager) if manager else _ignore)
    result = SittingResult(sitting.results(notebook), restored.notes, notebook, sitting.pace)
    exercises = [asdict(exercise) for exercise in result.exercises]
    notebook.metadata.medlab["grade"] = nbformat.from_dict(
        {"exercises": exercises, "notes": restored.notes}
    )
    return result


def with_parameters(notebook: NotebookNode, parameters: dict | None) -> NotebookNode:
    """Return a copy of a notebook with a cell of parameters behind the one they override."""
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    copy = load_notebook_node(notebook)
    if not parameters:
        return copy
    return parameterize_notebook(copy, parameters, kernel_name="medlab", language="python")


def course_beginning(unit: Unit, seed: int) -> tuple[str, ...]:
    """Return the sources of the course's own cells before a unit's first exercise."""
    return beginning(
        unit, with_parameters(audience.notebook(unit, audience.LEARNER), {"SEED": seed})
    )


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
    """Restore, and inject the parameters again where the course has its parameters cell."""
    cells = [c for c in nb.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    restored = restore(unit, tuple(read_cell(cell) for cell in cells))
    restored.notebook = with_parameters(restored.notebook, nb.metadata.papermill.get("parameters"))
    restored.notebook.metadata["papermill"] = nb.metadata.papermill
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
    return isolate(kind, unit.entry.libraries, surroundings(unit.entry.hides))


def _watch(manager) -> Callable[[NotebookNode, CellResult | None], None]:
    """Report what happens to each cell to papermill's execution manager."""

    def watch(cell: NotebookNode, ran: CellResult | None) -> None:
        if ran is None:
            manager.cell_start(cell)
            return
        if ran.status != "ok":
            manager.cell_exception(cell)
        manager.cell_complete(cell)

    return watch


def _ignore(cell: NotebookNode, ran: CellResult | None) -> None:
    """Watch nothing."""
