"""The graders that are compared: each grades the same class and tells what it took."""

import contextlib
import csv
import functools
import json
import shutil
import sqlite3
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat

from benchmarks.classroom_parts import environments, the_class
from benchmarks.classroom_parts.meter import measure

HERE = Path(__file__).parent
OWN = "own"  # the environment that this program runs in, which has what the tests need


@dataclass(frozen=True)
class Class:
    """A unit, its students' answers, and a folder in which graders work."""

    folder: Path
    course: Path
    unit: object
    answers: dict
    environment: str = ""  # of all graders; empty: each has its own

    def bin(self, grader):
        """Return the folder of a grader's programs."""
        return bin_of(self.environment or grader)

    @functools.cached_property
    def submissions(self):
        """The folder of <student>/<slug>.ipynb as medlab releases notebooks."""
        folder = self.folder / "submissions"
        the_class.write_for_medlab(self.unit, self.answers, folder)
        return folder

    def room(self, name):
        """Return a new, empty folder for a grader."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / name).mkdir(parents=True)
        return self.folder / name

    def variables(self, environment):
        # One home for all in one environment: the first makes the data, the others find them.
        home = self.folder / f"home-{self.environment or environment}"
        return environments.variables(self.bin(environment).parent, home, self.course)

    def measure(self, environment, command, room, progress=lambda: 0):
        """Measure a command in an environment; what it prints goes to a file in the room."""
        log = room / "output.txt"
        return measure(command, room, self.variables(environment), log, progress)

    def tell(self, environment, command, room):
        """Run a command and return what it prints."""
        env = self.variables(environment)
        command = [str(part) for part in command]
        with (room / "errors.txt").open("w") as errors:
            return subprocess.check_output(command, cwd=room, env=env, stderr=errors, text=True)


@dataclass
class Outcome:
    """What a grader took, the students' points, and what else it has to tell."""

    measured: object
    scores: dict | None = None
    more: dict | None = None


def bin_of(environment):
    own = Path(sys.executable).parent
    return own if environment == OWN else environments.PLACE / environment / "bin"


def nbgrader(pupils):
    """Grade with `nbgrader autograde`; making the assignment is not timed."""
    room, slug = pupils.room("nbgrader"), pupils.unit.entry.slug
    python, medlab = (pupils.bin("nbgrader") / program for program in ("python", "medlab"))
    pupils.tell("nbgrader", [medlab, "release", "--nbgrader", "--out", room / "course"], room)
    generate = [python, "-m", "nbgrader", "generate_assignment", slug]
    pupils.tell("nbgrader", generate, room / "course")
    released = nbformat.read(room / "course" / "release" / slug / f"{slug}.ipynb", as_version=4)
    submitted = room / "course" / "submitted"
    the_class.write_for_nbgrader(pupils.unit, pupils.answers, submitted, released)
    command = [python, "-m", "nbgrader", "autograde", slug]
    measured = pupils.measure("nbgrader", command, room / "course")
    return Outcome(measured, nbgraders_scores(room / "course" / "gradebook.db"))


def nbgraders_scores(path):
    """Return each student's points from nbgrader's database."""
    query = (
        "select s.student_id, sum(g.auto_score) from grade g "
        "join submitted_notebook n on g.notebook_id = n.id "
        "join submitted_assignment s on n.assignment_id = s.id group by s.student_id"
    )
    with contextlib.closing(sqlite3.connect(path)) as database:
        return {student: float(score) for student, score in database.execute(query)}


def otter(pupils):
    """Grade with `otter run`, one submission after the other; it starts again for each."""
    room = pupils.room("otter")
    otter = bin_of("otter") / "otter"
    the_class.write_tests_for_otter(pupils.unit, room / "tests")
    zipped = room / "autograder.zip"
    pupils.tell("otter", [otter, "generate", "-t", "tests", "-o", zipped], room)
    loop = 'for s in "$1"/*/; do o="out/$(basename "$s")"; mkdir -p "$o"; '
    loop += '"$0" run --no-logo -a autograder.zip -o "$o" "$s"/*.ipynb || exit; done'
    measured = pupils.measure("otter", ["bash", "-c", loop, otter, pupils.submissions], room)
    return Outcome(measured, otters_scores(room / "out"))


def otters_scores(folder):
    """Return each student's points from otter's result files."""
    results = {p.parent.name: json.loads(p.read_text()) for p in folder.glob("*/results.json")}
    return {s: float(sum(t.get("score", 0) for t in r["tests"])) for s, r in results.items()}


def papermill(pupils, processes):
    """Run the notebooks, hidden tests in them, with papermill's own engine."""
    room = pupils.room(f"papermill-{processes}")
    the_class.write_for_papermill(pupils.unit, pupils.answers, room / "in")
    command = [pupils.bin("medlab") / "python", HERE / "papermill_pool.py", "in", "out", processes]
    return Outcome(pupils.measure("medlab", command, room))


def medlab(pupils, workers, dask="", room=""):
    """Grade with `medlab grade`, all in a new folder."""
    room = pupils.room(room or f"medlab-{workers}")
    command = [pupils.bin("medlab") / "medlab", "grade", pupils.submissions, "--out", "out"]
    command += ["--jail", "namespaces", *(["--dask", dask] if dask else ["--workers", workers])]
    feedback = room / "out" / "feedback"
    measured = pupils.measure(
        "medlab", command, room, progress=lambda: len(list(feedback.glob("*/*.html")))
    )
    with (room / "out" / "grades.csv").open() as file:
        rows = list(csv.DictReader(file))
    scores = {row["student"]: float(row["score"]) for row in rows}
    sitting = statistics.fmean(float(row["seconds"]) for row in rows)
    return Outcome(measured, scores, {"sitting_seconds": sitting})


def medlab_on_dask(pupils, workers):
    """Grade with `medlab grade --dask` on a cluster that is there already, cold and then warm."""
    room = pupils.room(f"cluster-{workers}")
    command = [str(bin_of("medlab") / "python"), str(HERE / "cluster.py"), str(workers)]
    with subprocess.Popen(
        command,
        cwd=room,
        env=pupils.variables("medlab"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as cluster:
        address = cluster.stdout.readline().strip()
        cold = medlab(pupils, workers, address, f"cold-{workers}")
        warm = medlab(pupils, workers, address, f"warm-{workers}")
        cluster.stdin.close()
        warm.more["cold_seconds"] = cold.measured.seconds
        return warm


def learner_work(pupils):
    """Run the learners' cells in one warm Python."""
    room = pupils.room("learner-work")
    command = [bin_of("medlab") / "python", HERE / "learner_work.py", pupils.submissions]
    seconds = json.loads(pupils.tell("medlab", command, room))
    return Outcome(None, more={"seconds": statistics.fmean(seconds)})


def kernels(pupils):
    """Weigh 1, 2 and 4 kernels of one warm parent; the slope is what a further one costs."""
    room = pupils.room("kernels")
    path = sorted(pupils.submissions.rglob("*.ipynb"))[0]
    command = [bin_of("medlab") / "python", HERE / "kernels.py", pupils.course, path]
    imported, worked = json.loads(pupils.tell("medlab", command, room))
    return Outcome(None, more={"imported": slope(imported), "worked": slope(worked)})


def slope(weights):
    """Return MB for each further kernel, by least squares."""
    return statistics.linear_regression([int(n) for n in weights], weights.values()).slope
