from medlab.classroom.submissions.reading import Cell
from medlab.classroom.submissions.restoring import is_untouched, restore
from medlab.course.audience import LEARNER, notebook
from medlab.course.build import text_of


def cells_of(made):
    return [
        Cell(c.id, c.metadata.get("nbgrader", {}).get("grade_id", ""), c.cell_type, c.source)
        for c in made.cells
    ]


def test_only_answers_and_added_cells_are_the_learners(tiny_unit):
    cells = cells_of(notebook(tiny_unit, LEARNER))
    edited = []
    for cell in cells:
        source = (
            "print('cheat')" if cell.id.startswith(("check", "medlab", "code")) else cell.source
        )
        source = "def add(a, b): return 1" if cell.id == "exercise-add" else source
        edited.append(Cell(cell.id, "", cell.cell_type, source))
    restored = restore(tiny_unit, tuple(edited))
    plain = notebook(tiny_unit, LEARNER)
    differing = [a.id for a, b in zip(restored.notebook.cells, plain.cells, strict=True) if a != b]
    assert differing == ["exercise-add"]
    assert any("check-add' was edited" in note for note in restored.notes)


def test_added_cells_stay_behind_the_cell_they_followed(tiny_unit):
    cells = cells_of(notebook(tiny_unit, LEARNER))
    at = next(i for i, cell in enumerate(cells) if cell.id == "exercise-add")
    cells.insert(at + 1, Cell("mine", "", "code", "helper = 1"))
    cells.insert(0, Cell("first", "", "markdown", "hello"))
    ids = [cell.id for cell in restore(tiny_unit, tuple(cells)).notebook.cells]
    assert ids[0] == "added-0"
    assert ids[ids.index("exercise-add") + 1] == "added-1"


def test_deleted_and_repeated_cells_are_put_right(tiny_unit):
    cells = [cell for cell in cells_of(notebook(tiny_unit, LEARNER)) if cell.id != "check-add"]
    cells += [Cell("exercise-add", "", "code", "def add(a, b): return 'second'")]
    restored = restore(tiny_unit, tuple(cells))
    ids = [cell.id for cell in restored.notebook.cells]
    assert ids == [cell.id for cell in notebook(tiny_unit, LEARNER).cells]
    assert "cell 'check-add' was missing and was put back" in restored.notes
    assert "cell 'exercise-add' is a duplicate: the first one counts" in restored.notes


def test_an_editor_that_drops_ids_loses_no_answer(tiny_unit):
    cells = [
        Cell("", cell.grade_id, cell.cell_type, f"{cell.source}\n# mine" * (cell.grade_id != ""))
        for cell in cells_of(notebook(tiny_unit, LEARNER))
    ]
    restored = {c.id: c.source for c in restore(tiny_unit, tuple(cells)).notebook.cells}
    assert restored["exercise-add"].endswith("# mine")


def test_restoring_twice_changes_nothing_more(tiny_unit):
    cells = [*cells_of(notebook(tiny_unit, LEARNER))[2:], Cell("x", "", "code", "1")]
    once = restore(tiny_unit, tuple(cells)).notebook
    assert text_of(restore(tiny_unit, tuple(cells_of(once))).notebook) == text_of(once)


def test_layout_and_comments_do_not_make_an_attempt():
    stub = "def f(x):\n    raise NotImplementedError"
    assert is_untouched("def f( x ):\n\n    # todo\n    raise NotImplementedError\n", stub)
    assert not is_untouched("def f(x):\n    return 1", stub)
    assert not is_untouched("def f(x:\n", stub)
