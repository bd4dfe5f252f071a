import json
import re

import nbformat
import pytest

from medlab.course import build as builder
from medlab.course import load_syllabus, load_unit
from medlab.course.audience import INSTRUCTOR, LEARNER, answered, notebook
from medlab.course.build import text_of
from medlab.errors import BadInput


def built(syllabus):
    return list(builder.build(syllabus))


def edit(syllabus, old, new):
    source = syllabus.find("add-two").source
    source.write_text(source.read_text().replace(old, new))


def test_the_same_unit_gives_the_same_bytes(tiny_syllabus):
    entry = tiny_syllabus.find("add-two")
    texts = {text_of(notebook(load_unit(entry), LEARNER)) for _ in range(3)}
    assert len(texts) == 1


def test_a_release_holds_no_answer_and_no_hidden_test(tiny_unit):
    text = text_of(notebook(tiny_unit, LEARNER))
    for secret in ("return a + b", "nanmean", "Because a missing", "rng", "learner.", "abs(a)"):
        assert secret not in text
    assert text.count("raise NotImplementedError") == 2


def test_a_solutions_notebook_holds_the_answers_but_no_hidden_test(tiny_unit):
    text = text_of(notebook(tiny_unit, INSTRUCTOR))
    assert "return a + b" in text
    assert "learner." not in text


def test_a_built_course_is_in_step_and_is_not_built_again(tiny_syllabus):
    changes = built(tiny_syllabus)
    assert [change.what for change in changes] == ["written", "written", "written"]
    assert builder.check(tiny_syllabus) == []
    assert built(tiny_syllabus) == []


def test_built_notebooks_are_valid_and_solutions_have_outputs(tiny_syllabus):
    built(tiny_syllabus)
    entry = tiny_syllabus.find("add-two")
    for path in (entry.notebook, entry.solution):
        nbformat.validate(nbformat.read(path, as_version=4))
    assert "add: passed" in entry.solution.read_text()
    assert '"42\\n"' in entry.solution.read_text()
    assert not any(
        cell["outputs"]
        for cell in json.loads(entry.notebook.read_text())["cells"]
        if cell["cell_type"] == "code"
    )


def test_the_contents_name_every_unit_with_its_outcomes_and_links_that_lead_to_it(tiny_syllabus):
    built(tiny_syllabus)
    page = tiny_syllabus.root / "notebooks" / "README.md"
    text = page.read_text(encoding="utf-8")
    for unit in tiny_syllabus.units:
        assert f"`{unit.slug}`" in text
        assert all(outcome in text for outcome in unit.outcomes)
    links = re.findall(r"\]\((\S+)\)", text)
    assert len(links) == len(tiny_syllabus.units)
    assert all((page.parent / link).is_file() for link in links)


def test_edited_contents_are_out_of_step_and_are_put_right(tiny_syllabus):
    built(tiny_syllabus)
    page = tiny_syllabus.root / "notebooks" / "README.md"
    page.write_text(page.read_text(encoding="utf-8") + "more", encoding="utf-8")
    assert [change.path for change in builder.check(tiny_syllabus)] == [page]
    assert [change.path for change in built(tiny_syllabus)] == [page]


@pytest.mark.parametrize("folder", ["notebook", "solution"])
def test_an_edited_generated_file_is_out_of_step_and_is_put_right(tiny_syllabus, folder):
    built(tiny_syllabus)
    path = getattr(tiny_syllabus.find("add-two"), folder)
    text = path.read_text()
    path.write_text(text.replace("Add two", "Add three"))
    assert [change.path for change in builder.check(tiny_syllabus)] == [path]
    built(tiny_syllabus)
    assert path.read_text() == text


def test_an_edited_source_is_out_of_step(tiny_syllabus):
    built(tiny_syllabus)
    edit(tiny_syllabus, "# # Add two", "# # Add them")
    assert len(builder.check(tiny_syllabus)) == 2


def test_a_solution_is_executed_again_only_when_its_source_changed(tiny_syllabus, monkeypatch):
    built(tiny_syllabus)
    executed = []
    monkeypatch.setattr(builder, "execute", lambda made, slug: executed.append(slug) or made)
    tiny_syllabus.find("add-two").notebook.unlink()
    built(tiny_syllabus)
    assert executed == []
    edit(tiny_syllabus, "20, 22", "20, 23")
    built(tiny_syllabus)
    assert executed == ["add-two"]


def test_a_new_number_moves_a_notebook_without_executing_it(tiny_course, monkeypatch):
    built(load_syllabus(tiny_course))
    path = tiny_course / "course" / "syllabus.yaml"
    path.write_text(path.read_text().replace("slug: first", "slug: first-steps"))
    (tiny_course / "course" / "first").rename(tiny_course / "course" / "first-steps")
    monkeypatch.setattr(builder, "execute", lambda made, slug: pytest.fail("executed again"))
    changes = built(load_syllabus(tiny_course))
    assert sorted(change.what for change in changes) == [*["removed"] * 2, *["written"] * 3]
    assert builder.check(load_syllabus(tiny_course)) == []


def test_a_solution_that_fails_is_refused_with_its_error(tiny_syllabus):
    edit(tiny_syllabus, "print(add(20, 22))", "1 / 0")
    with pytest.raises(BadInput, match="the solution of 'add-two' fails: ZeroDivisionError"):
        built(tiny_syllabus)


def test_answers_fill_the_exercise_cells_and_nothing_else(tiny_unit):
    filled = answered(tiny_unit, {"add": "def add(a, b): return 0"})
    plain = notebook(tiny_unit, LEARNER)
    changed = [a.id for a, b in zip(filled.cells, plain.cells, strict=True) if a != b]
    assert changed == ["exercise-add"]


def test_a_cell_id_stays_when_another_cell_is_put_before_it(tiny_syllabus):
    before = notebook(load_unit(tiny_syllabus.find("add-two")), LEARNER)
    edit(tiny_syllabus, '# %% exercise="add"', '# %%\nprint("new")\n\n# %% exercise="add"')
    after = notebook(load_unit(tiny_syllabus.find("add-two")), LEARNER)
    assert len(after.cells) == len(before.cells) + 1
    assert {cell.id for cell in before.cells} < {cell.id for cell in after.cells}
