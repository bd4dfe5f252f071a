"""The same facts of a gradebook in SQLite and on a PostgreSQL server that the tests start."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from medlab.classroom.gradebook.database import Gradebook
from medlab.classroom.gradebook.scores import Level
from medlab.classroom.results import ExerciseResult, Grade, Status, TestResult
from medlab.errors import BadInput


def program(name: str) -> str | None:
    """Return where a program of PostgreSQL's is; Debian keeps them off the PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(versions[0]) if versions else shutil.which(name)


def somebody_else() -> str | None:
    """Return a user to run the server as: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@pytest.fixture(scope="module")
def server():
    """The URL of a PostgreSQL server on a Unix socket in a folder of its own."""
    pytest.importorskip("psycopg", reason="no psycopg: pip install 'psycopg[binary]'")
    initdb, pg_ctl = program("initdb"), program("pg_ctl")
    if not initdb or not pg_ctl:
        pytest.skip("no PostgreSQL server: apt-get install postgresql")
    # Not in pytest's folder: only its owner may enter that, and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="medlab-pg-", dir="/tmp"))
    user = somebody_else()
    if user:
        shutil.chown(folder, user)
    data = folder / "data"

    def run(*command):
        where = {"cwd": folder, "user": user, "check": True, "timeout": 60}
        # To a file: a pipe would stay open as long as the server runs.
        with (folder / "log").open("ab") as log:
            subprocess.run(command, stdout=log, stderr=log, **where)

    try:
        run(initdb, "-D", data, "-U", "medlab", "--auth=trust", "--no-sync", "-E", "UTF8")
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        run(pg_ctl, "-D", data, "-w", "-o", options, "start")
        yield f"postgresql+psycopg://medlab@/postgres?host={folder}"
        run(pg_ctl, "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """The URL of an empty gradebook."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'grades.db'}"
        return
    import sqlalchemy

    made = request.getfixturevalue("server")
    yield made
    engine = sqlalchemy.create_engine(made, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("DROP SCHEMA public CASCADE"))
        connection.execute(sqlalchemy.text("CREATE SCHEMA public"))
    engine.dispose()


@pytest.fixture
def book(url):
    opened = Gradebook(url)
    yield opened
    opened.close()


def grade(student="ada", *, score=3, sha="a" * 64, **changed) -> Grade:
    tests = [TestResult("both signs", 1, 2, Status.FAILED, "minus counts")]
    exercises = [
        ExerciseResult("add", "exercise", score, 5, Status.FAILED, "minus counts", tests),
        ExerciseResult(
            "why", "written", None, 2, Status.NEEDS_GRADING, "your instructor grades this answer"
        ),
    ]
    plain = {"unit": "add-two", "unit_version": "0" * 12, "seed": 0, "file": "a.ipynb"}
    numbers = {"score": score, "max": 5, "seconds": 0.71}
    lists = {"exercises": exercises, "notes": ["put back"]}
    return Grade(student, submission_sha256=sha, **plain | numbers | lists | changed)


def broken(student="ada", **changed) -> Grade:
    status = {"status": Status.NOT_A_NOTEBOOK, "message": "not JSON"}
    return grade(student, score=0, sha="", exercises=[], notes=[], **status | changed)


def test_a_grade_comes_back_as_it_was_stored(book):
    stored = grade("Ada Müller 李", message="½ <b>")
    book.add(stored)
    [found] = book.history("Ada Müller 李", "add-two")
    assert found == stored
    assert found.as_json() == stored.as_json()


def test_a_grading_is_found_by_student_unit_version_file_and_seed(book):
    book.add(grade())
    assert book.find(grade()) == grade()
    for other in ({"seed": 1}, {"unit_version": "1" * 12}, {"sha": "b" * 64}, {"unit": "x"}):
        assert book.find(grade(**other)) is None
    assert book.find(grade("bob")) is None


def test_a_grading_that_failed_is_not_found_so_that_it_is_done_again(book):
    book.add(grade(status=Status.NOT_GRADED))
    assert book.find(grade()) is None


def test_nothing_is_ever_written_over(book):
    for score in (1, 2, 2):
        book.add(grade(score=score))
    assert [g.score for g in book.history("ada", "add-two")] == [1, 2, 2]


def test_the_newest_score_counts_also_when_it_is_lower(book):
    book.add(grade(score=5))
    book.add(grade(score=2, sha="b" * 64))
    book.add(grade("bob", score=4))
    assert {g.student: g.score for g in book.newest()} == {"ada": 2, "bob": 4}


def test_a_broken_resubmission_takes_no_points_away_and_is_named(book):
    book.add(grade(score=5))
    book.add(broken())
    [counts] = book.newest()
    assert (counts.score, counts.outcome) == (5, "graded, then not a notebook")
    assert book.standing("ada", "add-two").status == "graded"
    assert [g.status for g in book.history("ada", "add-two")] == ["graded", "not a notebook"]


def test_a_broken_first_submission_counts_nothing(book):
    book.add(broken())
    assert [(g.score, g.status) for g in book.newest()] == [(0, "not a notebook")]
    assert book.standing("ada", "add-two") is None


def test_a_file_of_no_unit_is_kept_but_counts_for_none(book):
    book.add(broken(unit="", unit_version=""))
    assert book.newest() == []
    assert len(book.history("ada", "")) == 1


def test_a_gradebook_can_be_opened_again_and_by_two_at_once(url):
    first, second = Gradebook(url), Gradebook(url)
    first.add(grade())
    second.add(grade("bob"))
    assert {g.student for g in first.newest()} == {"ada", "bob"}
    first.close()
    second.close()


def test_a_gradebook_of_another_version_is_refused_and_left_alone(url):
    from sqlalchemy import create_engine, text

    Gradebook(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE medlab SET version = 99"))
    with pytest.raises(BadInput, match="has version 99, this medlab writes version 1"):
        Gradebook(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version FROM medlab")).scalar() == 99
    engine.dispose()


@pytest.mark.parametrize(
    "url",
    ["grades.db", "", "nosuch://x", "postgresql://host:port/x", "sqlite:///x.db?timeout=soon"],
)
def test_what_is_no_gradebook_url_is_one_line(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput) as refused:
        Gradebook(url)
    assert "\n" not in str(refused.value)


def test_a_server_that_is_not_there_is_one_line_without_the_password():
    pytest.importorskip("psycopg", reason="no psycopg: pip install 'psycopg[binary]'")
    with pytest.raises(BadInput) as refused:
        Gradebook("postgresql+psycopg://ada:geheim@localhost:1/x")
    assert "cannot be opened" in str(refused.value)
    assert "geheim" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file" / "x.db", tmp_path / "nosuch" / "x.db", tmp_path):
        with pytest.raises(BadInput, match="cannot be opened"):
            Gradebook(f"sqlite:///{path}")


def test_a_file_that_is_no_database_is_one_line_and_left_alone(tmp_path):
    path = tmp_path / "grades.db"
    path.write_text("my notes, not a database " * 100)
    with pytest.raises(BadInput, match="not a database"):
        Gradebook(f"sqlite:///{path}")
    assert path.read_text().startswith("my notes")


def test_a_gradebook_that_is_read_only_is_refused_before_anything_is_graded(tmp_path):
    path = tmp_path / "grades.db"
    Gradebook(f"sqlite:///{path}").close()
    with pytest.raises(BadInput, match="readonly"):
        Gradebook(f"sqlite:///file:{path}?mode=ro&uri=true")


def test_words_that_earlier_versions_wrote_are_read_as_those_of_today(book, url):
    from sqlalchemy import create_engine, text

    scored = ExerciseResult("how", "written", 2, 2, Status.SCORED_MANUALLY, "clear")
    stored = grade(exercises=[*grade().exercises, scored])
    book.add(stored)
    old = {"needs manual grading": "awaits a person", "scored manually": "scored by a person"}
    change = text("UPDATE exercise SET status = :old WHERE status = :new")
    engine = create_engine(url)
    with engine.begin() as connection:
        changed = [
            connection.execute(change, {"old": word, "new": new}).rowcount
            for new, word in old.items()
        ]
    engine.dispose()
    assert changed == [1, 1]
    assert book.history("ada", "add-two") == [stored]


def test_a_status_that_nobody_knows_is_one_line(book, url):
    from sqlalchemy import create_engine, text

    book.add(grade())
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE grade SET status = 'abducted'"))
    engine.dispose()
    with pytest.raises(BadInput, match="the status 'abducted', which this medlab does not know"):
        book.history("ada", "add-two")


def test_levels_of_earlier_versions_are_read(book, url):
    from sqlalchemy import create_engine, text

    levels = '[{"criterion": "c", "question": "q", "level": 1, "top": 2, "says": "plain"}]'
    row = "INSERT INTO score VALUES ('ada', 'add-two', 'why', :sha, :levels, '')"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(row), {"sha": "a" * 64, "levels": levels})
    engine.dispose()
    [score] = book.scores().values()
    assert score.levels == (Level("c", "q", 1, 2, "plain"),)
