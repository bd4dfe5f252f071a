from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlab.classroom.gradebook.lateness import Lateness, LatePolicy, read_times
from medlab.errors import BadInput

HEAD = "student,unit,handed_in,due,excused\n"
PERCENT = st.floats(0, 100)
LATE = st.timedeltas(timedelta(days=-5), timedelta(days=400))


def read(tmp_path, rows, policy=None, head=HEAD):
    path = tmp_path / "times.csv"
    path.write_text(head + rows)
    return read_times(path, policy or LatePolicy(10, 15, 50), {"ada", "bob"}, {"add-two", "other"})


def one(tmp_path, handed_in, due="2026-03-01 12:00", excused="", **options):
    [found] = read(tmp_path, f"ada,add-two,{handed_in},{due},{excused}\n", **options)
    return found


@pytest.mark.parametrize(
    ("handed_in", "keeps", "reason"),
    [
        ("2026-03-01 11:59", 100, "in time"),
        ("2026-03-01 12:00", 100, "in time"),
        ("2026-03-01 12:15", 100, "15 min late, within the grace period of 15 min"),
        ("2026-03-01 12:16", 90, "16 min late: 1 day at 10 % each"),
        ("2026-03-02 12:00", 90, "1 d late: 1 day at 10 % each"),
        ("2026-03-02 12:00:01", 80, "1 d 1 min late: 2 days at 10 % each"),
        ("2026-04-01", 50, "30 d 12 h late: 31 days at 10 % each, but at least 50 % are kept"),
    ],
)
def test_each_day_begun_costs_and_the_reason_says_how_much(tmp_path, handed_in, keeps, reason):
    found = one(tmp_path, handed_in)
    assert (found.keeps, found.reason) == (keeps, reason)


def test_who_is_excused_loses_nothing(tmp_path):
    found = one(tmp_path, "2026-04-01", excused="Yes")
    assert (found.keeps, found.reason) == (100, "excused")


def test_the_column_excused_may_be_missing(tmp_path):
    head = "student,unit,handed_in,due\n"
    [found] = read(tmp_path, "ada,add-two,2026-03-02,2026-03-01\n", head=head)
    assert found.keeps == 90


def test_times_with_offsets_are_compared_as_instants(tmp_path):
    found = one(tmp_path, "2026-03-01T12:00+01:00", "2026-03-01T11:00Z")
    assert found.reason == "in time"


@given(PERCENT, st.floats(0, 1e5), PERCENT, LATE, LATE)
def test_later_never_keeps_more_and_never_less_than_the_floor(percent, grace, floor, one, other):
    policy = LatePolicy(percent, grace, floor)
    early, late = sorted((one, other))
    assert 100 >= policy.keeps(early) >= policy.keeps(late) >= floor


@given(st.floats(0, 100), PERCENT)
def test_a_reduced_score_lies_between_nothing_and_the_score(score, keeps):
    assert -0.005 <= Lateness("a", "u", keeps, "").reduced(score) <= score + 0.005


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("eve,add-two,2026-03-02,2026-03-01,\n", "row 2: no student 'eve'"),
        ("ada,add-tow,2026-03-02,2026-03-01,\n", "row 2: no unit 'add-tow'"),
        ("ada,add-two,yesterday,2026-03-01,\n", "row 2: handed_in is 'yesterday'"),
        ("ada,add-two,2026-03-02,,\n", "row 2: due is ''"),
        ("ada,add-two,2026-03-02T10:00Z,2026-03-01,\n", "row 2: give both times an offset"),
        ("ada,add-two,2026-03-02,2026-03-01,maybe\n", "row 2: excused is 'maybe'"),
        ("ada,add-two,2026-03-02,2026-03-01,\n" * 2, "row 3: ada and add-two are a duplicate"),
    ],
)
def test_a_row_at_fault_is_named_by_its_number(tmp_path, rows, said):
    with pytest.raises(BadInput, match=said) as error:
        read(tmp_path, rows)
    assert "\n" not in str(error.value)


def test_a_table_without_due_times_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no column 'due'"):
        read(tmp_path, "", head="student,unit,handed_in\n")


@pytest.mark.parametrize("policy", [(101, 0, 0), (-1, 0, 0), (10, -1, 0), (10, 0, 101)])
def test_a_policy_beyond_reason_is_refused(policy):
    with pytest.raises(BadInput):
        LatePolicy(*policy)


@pytest.mark.parametrize("at", range(3))
def test_a_policy_that_is_no_number_is_refused(at):
    values = [10.0, 0.0, 0.0]
    values[at] = float("nan")
    with pytest.raises(BadInput):
        LatePolicy(*values)
