"""A release gives learners all they need and nothing that only instructors may see."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbclient
import nbformat
import pytest

from medlab.course import Unit, exercise_names, load_syllabus, load_unit
from medlab.course.cells import BEGIN, END
from medlab.course.release import release_to_learners, release_to_nbgrader
from medlab.errors import BadInput
from medlab.notebook import progress

ROOT = Path(__file__).parents[2]
MEDLAB = Path(sys.executable).with_name("medlab")
BOTH = pytest.mark.parametrize("release", [release_to_learners, release_to_nbgrader])
SECRET_WORDS = ("learner.", "BEGIN SOLUTION", "BEGIN HIDDEN")
SHORTEST = 12  # characters: a shorter line, such as `return out`, gives nothing away


@pytest.fixture(scope="module")
def units() -> list[Unit]:
    return [load_unit(entry) for entry in load_syllabus(ROOT).units]


@pytest.fixture(scope="module")
def secrets(units) -> set[str]:
    return {*secrets_of(units), *SECRET_WORDS}


@pytest.fixture(scope="module")
def learners(tmp_path_factory) -> Path:
    """The real course's release."""
    out = tmp_path_factory.mktemp("learners")
    release_to_learners(load_syllabus(ROOT), out)
    return out


@pytest.fixture
def released(tiny_syllabus, tmp_path, monkeypatch) -> Path:
    """The tiny course's release, on a machine that no longer has the course."""
    out = tmp_path / "released"
    release_to_learners(tiny_syllabus, out)
    shutil.rmtree(tiny_syllabus.root)
    monkeypatch.delenv("MEDLAB_COURSE")
    monkeypatch.chdir(out)
    return out


# --- what is in it ---


def test_a_learners_release_holds_these_files_and_no_others(tiny_syllabus, tmp_path):
    root, out = tiny_syllabus.root, tmp_path / "out"
    for name in ("LICENSE", "LICENSES/CC0-1.0.txt", "datasets/card.md", "datasets/scan.dcm"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("text", encoding="utf-8")
    release_to_learners(tiny_syllabus, out)
    assert set(files_of(out)) == {
        "LICENSE",
        "LICENSES/CC0-1.0.txt",
        "README.md",
        "course/syllabus.yaml",
        "datasets/card.md",
        "notebooks/1-first/01-add-two.ipynb",
        "notebooks/README.md",
    }


def test_a_release_has_a_card_for_every_data_set_and_the_licences(learners):
    for pattern in ("datasets/*.md", "LICENSE", "LICENSES/*"):
        names = {path.name for path in ROOT.glob(pattern)}
        assert names
        assert {path.name for path in learners.glob(pattern)} == names


def test_no_file_of_a_release_holds_what_only_instructors_may_see(learners, secrets):
    assert leaks(learners, secrets) == set()


@pytest.mark.parametrize("role", ["exercise", "hidden", "mistake", "hint", "written"])
def test_a_cell_of_an_instructor_would_be_found_in_a_release(
    role, learners, units, secrets, tmp_path
):
    for unit in units:
        cell = next(cell for cell in unit.cells if cell.role == role)
        made = nbformat.read(learners / unit.entry.notebook.relative_to(ROOT), as_version=4)
        made.cells[0].metadata["medlab"] = {"left": cell.source}
        nbformat.write(made, tmp_path / f"{unit.slug}.ipynb")
    found = {name for name, _ in leaks(tmp_path, secrets)}
    assert found == {f"{unit.slug}.ipynb" for unit in units}


def test_a_released_syllabus_has_no_comment_and_nothing_that_learners_do_not_need(
    tiny_course, tmp_path
):
    path = tiny_course / "course" / "syllabus.yaml"
    text = path.read_text(encoding="utf-8").replace("hours: 1", "hours: 1, remark: exam in May")
    path.write_text(f"# the exam is add-two\n{text}", encoding="utf-8")
    release_to_learners(load_syllabus(tiny_course), tmp_path / "out")
    assert "exam" not in (tmp_path / "out/course/syllabus.yaml").read_text(encoding="utf-8")
    [unit] = load_syllabus(tmp_path / "out").units
    assert (unit.title, unit.points, unit.outcomes) == ("Add two", 7, ("Add numbers",))


def test_the_first_page_links_to_every_unit(learners, units):
    page = (learners / "README.md").read_text(encoding="utf-8")
    for unit in units:
        path = unit.entry.notebook.relative_to(ROOT)
        assert f"[{unit.entry.title}]({path})" in page
        assert (learners / path).is_file()


# --- what learners do with it ---


def test_learners_start_check_and_follow_a_unit_from_the_release_alone(released):
    assert medlab("start", "--next") == (0, f"{released / 'work/add-two.ipynb'}\n")
    copy = nbformat.read("work/add-two.ipynb", as_version=4)
    next(
        c for c in copy.cells if c.id == "exercise-add"
    ).source = "def add(a, b):\n    return a + b"
    nbformat.write(copy, "work/add-two.ipynb")
    status, said = medlab("check", "work/add-two.ipynb")
    assert status == 1
    assert "add: passed\n" in said
    assert "mean: not attempted yet\n" in said
    resources = {"metadata": {"path": str(released / "work")}}
    nbclient.NotebookClient(copy, timeout=60, resources=resources).execute()
    assert progress.read(released) == {"add-two": {"add": True}}
    status, said = medlab("progress")
    assert status == 0
    assert "1 of 2" in said


def test_a_check_of_a_released_notebook_knows_the_exercises(released):
    made = nbformat.v4.new_notebook()
    for source in ("%load_ext medlab\n%unit add-two", "%%check ad\nassert True, 'always'"):
        made.cells.append(nbformat.v4.new_code_cell(source))
    resources = {"metadata": {"path": str(released)}}
    nbclient.NotebookClient(made, timeout=60, resources=resources).execute()
    assert [out.text for out in made.cells[1].outputs] == [
        "ad: this unit has no such exercise. There are add, mean.\n"
    ]


def test_names_of_exercises_are_the_same_from_source_and_from_release(learners, units):
    for unit in units:
        names = [exercise.name for exercise in unit.exercises]
        assert exercise_names(unit.entry) == names
        assert exercise_names(load_syllabus(learners).find(unit.slug)) == names


@pytest.mark.parametrize(
    "command", [["hint", "add-two", "add"], ["build"], ["release", "--out", "again"]]
)
def test_what_a_release_cannot_do_is_one_line(released, command):
    status, said = medlab(*command)
    assert status == 2
    assert said == (
        "medlab: hints, solutions and hidden tests are not part of this learners' release: "
        "ask your instructor\n"
    )


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"cells": [1]}', "[" * 100_000])
def test_a_damaged_released_notebook_is_one_line(released, content):
    path = released / "notebooks/1-first/01-add-two.ipynb"
    path.unlink() if content is None else path.write_text(content, encoding="utf-8")
    status, said = medlab("progress")
    assert status == 2
    assert said.startswith("medlab: ")
    assert "01-add-two.ipynb" in said
    assert said.count("\n") == 1


# --- the folder it is written to ---


@BOTH
def test_a_release_made_twice_is_the_same_bytes_and_needs_no_build(
    release, tiny_syllabus, tmp_path
):
    first, second = tmp_path / "first", tmp_path / "second"
    release(tiny_syllabus, first)
    once = files_of(first)
    release(tiny_syllabus, first)
    release(tiny_syllabus, second)
    assert files_of(first) == files_of(second) == once
    assert not tiny_syllabus.units[0].notebook.exists()


def test_a_new_release_replaces_the_old_one_and_keeps_a_learners_work(tiny_course, tmp_path):
    out = tmp_path / "out"
    release_to_learners(load_syllabus(tiny_course), out)
    (out / "work").mkdir()
    (out / "work" / "add-two.ipynb").write_text("mine", encoding="utf-8")
    syllabus = tiny_course / "course" / "syllabus.yaml"
    syllabus.write_text(syllabus.read_text().replace("slug: first", "slug: second"))
    (tiny_course / "course" / "first").rename(tiny_course / "course" / "second")
    release_to_learners(load_syllabus(tiny_course), out)
    assert [path.parent.name for path in out.glob("notebooks/*/*.ipynb")] == ["1-second"]
    assert (out / "work" / "add-two.ipynb").read_text(encoding="utf-8") == "mine"


def test_a_new_nbgrader_course_keeps_what_the_instructor_and_nbgrader_added(
    tiny_syllabus, tmp_path
):
    release_to_nbgrader(tiny_syllabus, tmp_path / "out")
    config, book = tmp_path / "out/nbgrader_config.py", tmp_path / "out/gradebook.db"
    config.write_text(config.read_text() + "c.Exchange.root = '/srv'\n", encoding="utf-8")
    book.write_bytes(b"grades")
    source = tmp_path / "out/source/add-two/add-two.ipynb"
    source.unlink()
    release_to_nbgrader(tiny_syllabus, tmp_path / "out")
    assert config.read_text(encoding="utf-8").endswith("c.Exchange.root = '/srv'\n")
    assert book.read_bytes() == b"grades"
    assert source.is_file()


@BOTH
def test_a_release_that_was_interrupted_is_made_again(
    release, tiny_syllabus, tmp_path, monkeypatch
):
    from medlab.course import release as module

    done, write = [], module.write_bytes

    def power_cut(path, content):
        if done:
            raise KeyboardInterrupt
        done.append(write(path, content))

    monkeypatch.setattr(module, "write_bytes", power_cut)
    with pytest.raises(KeyboardInterrupt):
        release(tiny_syllabus, tmp_path / "out")
    monkeypatch.undo()
    release(tiny_syllabus, tmp_path / "out")
    release(tiny_syllabus, tmp_path / "whole")
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


@BOTH
def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(
    release, tiny_syllabus, tmp_path
):
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(BadInput, match="is neither empty nor"):
        release(tiny_syllabus, out)
    with pytest.raises(BadInput, match="is neither empty nor"):
        release(tiny_syllabus, tiny_syllabus.root)
    assert list(files_of(out)) == ["thesis.tex"]


@pytest.mark.parametrize("below", ["", "nbgrader", "a/b"])
def test_solutions_are_never_written_into_a_learners_release(tiny_syllabus, tmp_path, below):
    release_to_learners(tiny_syllabus, tmp_path / "out")
    with pytest.raises(BadInput, match="out holds a learners' release: name a folder outside"):
        release_to_nbgrader(tiny_syllabus, tmp_path / "out" / below)
    assert not list(tmp_path.glob("out/**/nbgrader_config.py"))


@pytest.mark.parametrize("below", ["", "learners"])
def test_a_learners_release_is_never_written_into_an_nbgrader_course(
    tiny_syllabus, tmp_path, below
):
    release_to_nbgrader(tiny_syllabus, tmp_path / "out")
    with pytest.raises(BadInput, match="out holds an nbgrader course with solutions"):
        release_to_learners(tiny_syllabus, tmp_path / "out" / below)
    assert not list(tmp_path.glob("out/**/README.md"))


def test_a_fresh_clone_of_an_empty_repository_counts_as_empty(tiny_syllabus, tmp_path):
    (tmp_path / "clone" / ".git").mkdir(parents=True)
    release_to_learners(tiny_syllabus, tmp_path / "clone")
    assert (tmp_path / "clone" / "README.md").is_file()


@BOTH
def test_a_folder_that_cannot_be_written_is_one_line(release, tiny_syllabus, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(BadInput, match=r"cannot be read \(Not a directory\): name a folder"):
        release(tiny_syllabus, tmp_path / "file")
    with pytest.raises(BadInput, match="cannot be written"):
        release(tiny_syllabus, tmp_path / "file" / "below")


@BOTH
def test_a_course_with_a_broken_unit_releases_nothing(release, tiny_syllabus, tmp_path):
    source = tiny_syllabus.units[0].source
    source.write_text(source.read_text().replace("points=2", "points=9"), encoding="utf-8")
    with pytest.raises(BadInput, match=r"add-two\.py"):
        release(tiny_syllabus, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- the command ---


def test_the_command_says_what_it_wrote_and_who_may_have_it(tiny_course, tmp_path):
    learners, course = tmp_path / "learners", tmp_path / "course"
    assert medlab("release", "--out", str(learners)) == (
        0,
        f"1 units for learners in {learners}: no solutions, hidden tests or hints\n",
    )
    assert medlab("release", "--nbgrader", "--out", str(course)) == (
        0,
        f"1 assignments for nbgrader in {course}\n"
        "They contain solutions and hidden tests: do not share this folder with learners\n",
    )
    assert medlab("release", "--out", str(course)) == (
        2,
        f"medlab: {course} holds an nbgrader course with solutions and hidden tests: "
        "name a folder outside of it\n",
    )


def test_a_course_for_nbgrader_is_made_without_nbgrader():
    code = "import sys; import medlab.course.release; print('nbgrader' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


# --- helpers ---


def medlab(*command: str) -> tuple[int, str]:
    """Run the real command; return its exit status and what it printed."""
    ran = subprocess.run([MEDLAB, *command], capture_output=True, text=True, timeout=120)
    return ran.returncode, ran.stdout + ran.stderr


def files_of(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def texts_of(path: Path) -> str:
    """Return a file's text; of a notebook every text in it, as a reader sees it."""
    text = path.read_text(encoding="utf-8")
    return "\n".join(strings_in(json.loads(text))) if path.suffix == ".ipynb" else text


def strings_in(made: object) -> Iterator[str]:
    if isinstance(made, dict):
        yield from (text for item in made.items() for part in item for text in strings_in(part))
    elif isinstance(made, list):
        yield from (text for part in made for text in strings_in(part))
    else:
        yield str(made)


def leaks(folder: Path, secrets: set[str]) -> set[tuple[str, str]]:
    """Return each file of a folder with each secret in it."""
    texts = {name: texts_of(folder / name) for name in files_of(folder)}
    return {(name, secret) for name in texts for secret in secrets if secret in texts[name]}


def secrets_of(units: list[Unit]) -> set[str]:
    """Return the lines that learners must not see, but for those that some unit shows."""
    secret, seen = set(), set()
    for cell in (cell for unit in units for cell in unit.cells):
        if cell.role in ("hidden", "mistake", "hint", "written"):
            secret |= lines_of(cell.source) | lines_of(cell.options.get("because", ""))
        elif cell.role == "exercise":
            before, solution = split(cell.source)
            seen |= before
            secret |= solution
        else:
            seen |= lines_of(cell.source)
    shown = "\n".join(seen)
    return {line for line in secret if line not in shown}


def split(exercise: str) -> tuple[set[str], set[str]]:
    """Return the lines outside and inside an exercise's solution regions."""
    lines: tuple[set[str], set[str]] = (set(), set())
    inside = False
    for line in exercise.splitlines():
        inside = (inside or BEGIN in line) and END not in line
        lines[inside].update(lines_of(line))
    return lines[0], lines[1]


def lines_of(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines() if len(line.strip()) >= SHORTEST}
