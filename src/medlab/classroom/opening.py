"""Open a classroom: check options and folders, make the secret, open the gradebook."""

import contextlib
import math
import os
import secrets
from pathlib import Path

from medlab.classroom.classroom import Classroom
from medlab.classroom.gradebook.database import Gradebook
from medlab.classroom.submissions.reading import find_submissions
from medlab.course import Syllabus
from medlab.errors import BadInput
from medlab.files import clear_abandoned
from medlab.sandbox.limits import Limits

SECRET = "sitting.secret"  # without it nobody can foresee a student's random numbers


def open_classroom(
    syllabus: Syllabus, out: Path, submissions: Path, gradebook: str = "", unit: str = "", **options
) -> Classroom:
    """Prepare to grade a folder into out; raise BadInput before anything is graded.

    unit is the slug of the only unit to grade, which must exist.
    gradebook is a database URL, by default SQLite at out/gradebook.db; options are Classroom's.
    """
    if unit:
        syllabus.find(unit)
    limits = options.get("limits", Limits())
    _check_seconds("--cell-seconds", limits.cell_seconds)
    _check_seconds("--sitting-seconds", limits.sitting_seconds)
    _check_folders(out, submissions)
    clear_abandoned()  # by an earlier run that was killed
    _make_folder(out)
    secret = os.environ.get("MEDLAB_SECRET") or _secret(out / SECRET)
    book = Gradebook(gradebook or f"sqlite:///{(out / 'gradebook.db').resolve()}")
    return Classroom(syllabus, out, book, secret, **options)


def _check_seconds(option: str, seconds: float) -> None:
    if not math.isfinite(seconds) or seconds <= 0:
        raise BadInput(f"{option} is {seconds:g}: give a number above 0")


def _check_folders(out: Path, submissions: Path) -> None:
    """Refuse folders that cannot be read or written, before anything is made."""
    next(find_submissions(submissions))
    if out.resolve().is_relative_to(submissions.resolve()):
        raise BadInput(
            f"--out {out} is inside the submissions folder, where it would look like a student: "
            "choose a folder elsewhere"
        )
    if out.exists() and not out.is_dir():
        raise BadInput(f"--out {out} is a file: choose a folder")


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"{out} cannot be created ({error.strerror}): choose another --out"
        ) from None


def _secret(path: Path) -> str:
    """Return the instructor's secret, making one that only they can read."""
    try:
        with contextlib.suppress(FileExistsError):
            _write_secret(path)
        secret = path.read_bytes().hex()
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written ({error.strerror}): choose another --out"
        ) from None
    if not secret:
        raise BadInput(f"{path} is empty: delete it, and a new one is created")
    return secret


def _write_secret(path: Path) -> None:
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32))
