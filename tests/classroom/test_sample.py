import json

import pytest

from medlab.classroom.sample import SIZE, spread_mistakes, write_sample_class
from medlab.errors import BadInput


def sources(path):
    return "\n".join("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"])


def test_a_class_has_12_submissions_for_each_unit(tiny_syllabus, tmp_path):
    paths = list(write_sample_class(tiny_syllabus, tmp_path / "class"))
    assert len(paths) == len(set(paths)) == SIZE == 12
    assert sorted((tmp_path / "class").glob("*/*.ipynb")) == sorted(paths)


def test_a_class_of_named_units_has_no_others(tiny_syllabus, tmp_path):
    assert len(list(write_sample_class(tiny_syllabus, tmp_path / "class", ["add-two"]))) == SIZE
    with pytest.raises(BadInput, match="no unit 'add-three'"):
        list(write_sample_class(tiny_syllabus, tmp_path / "class", ["add-two", "add-three"]))


def test_every_shipped_mistake_is_in_the_class_and_so_is_the_solution(
    tiny_syllabus, tiny_unit, tmp_path
):
    paths = list(write_sample_class(tiny_syllabus, tmp_path / "class"))
    texts = [sources(path) for path in paths[:-1]]
    for exercise in tiny_unit.exercises:
        for mistake in exercise.mistakes:
            assert any(mistake.source in text for text in texts), mistake.because
    assert all(exercise.solution in texts[0] for exercise in tiny_unit.exercises)


def test_the_last_three_are_untouched_raise_half_way_and_are_no_notebook(
    tiny_syllabus, tiny_unit, tmp_path
):
    untouched, raising, other = list(write_sample_class(tiny_syllabus, tmp_path / "class"))[-3:]
    assert all(exercise.stub in sources(untouched) for exercise in tiny_unit.exercises)
    assert "raise RuntimeError('half-way')" in sources(raising)
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(other.read_text())


def test_mistakes_are_dealt_out_so_that_none_hides_another(tiny_unit):
    for seats in (2, 3, 8):
        dealt = [source for seat in spread_mistakes(tiny_unit, seats) for source in seat.values()]
        assert sorted(dealt) == sorted(m.source for e in tiny_unit.exercises for m in e.mistakes)


def test_the_same_class_is_written_again_over_itself(tiny_syllabus, tmp_path):
    first = [p.read_bytes() for p in write_sample_class(tiny_syllabus, tmp_path / "class")]
    assert [p.read_bytes() for p in write_sample_class(tiny_syllabus, tmp_path / "class")] == first


def test_a_folder_with_real_students_is_left_alone(tiny_syllabus, tmp_path):
    (tmp_path / "class" / "ada").mkdir(parents=True)
    with pytest.raises(BadInput, match="holds 'ada'"):
        list(write_sample_class(tiny_syllabus, tmp_path / "class"))
