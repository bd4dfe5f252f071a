"""Start a unit: a learner's own copy in work/, which git ignores; notebooks/ stays as released."""

from pathlib import Path

from medlab.course import load_syllabus
from medlab.errors import BadInput
from medlab.files import free_name, write_bytes
from medlab.notebook import progress

WORK = Path("work")


def start(root: Path, slug: str, fresh: bool = False) -> Path:
    """Return the learner's copy of a unit's notebook, root/work/<slug>.ipynb; make it if missing.

    An existing copy is kept as it is. fresh=True moves it aside to <slug>.1.ipynb (or the next
    free number) and starts over. Raises BadInput for an unknown slug, a notebook that is not
    built, or a folder that cannot be written.
    """
    entry = load_syllabus(root).find(slug)
    copy = root / WORK / f"{slug}.ipynb"
    if copy.exists() and not fresh:
        return copy
    released = _released(entry)
    try:
        if copy.exists():
            copy.rename(free_name(copy))
    except OSError as error:
        raise BadInput(f"{copy} cannot be moved aside: {error.strerror}") from None
    # Whole or not at all: a half-written copy would be taken for the learner's own.
    write_bytes(copy, released)
    return copy


def next_unit(root: Path) -> str:
    """Return the slug of the first unit whose visible checks do not all pass, else of the last."""
    rows = progress.ladder(root)
    if not rows:
        raise BadInput(f"{root / 'course/syllabus.yaml'} lists no units: add one")
    return next((row.slug for row in rows if row.state != progress.PASSED), rows[-1].slug)


def _released(entry) -> bytes:
    try:
        return entry.notebook.read_bytes()
    except OSError:
        build = f"run `medlab build {entry.slug}` first"
        fix = "restore the released notebook" if entry.released else build
        raise BadInput(f"{entry.notebook} does not exist: {fix}") from None
