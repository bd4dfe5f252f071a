"""What a learner's code sees of the grader's machine: made data, boards and the one dial for size.

The sandbox shows it Python and medlab; everything else is named here.
"""

from collections.abc import Iterable
from pathlib import Path

import medlab
from medlab.datasets import cache
from medlab.edge.boards import find_hardware_labs
from medlab.errors import BadInput
from medlab.sandbox.isolation import Surroundings
from medlab.scale import scale

PRELOADED = ("medlab.classroom.referee.answering", "medlab.notebook.magics", "medlab.course")


def surroundings(hides: Iterable[str] = ()) -> Surroundings:
    """Return what kernels of learners may read, the variables they get, and what is preloaded.

    hides: modules of medlab that answer the unit's exercises (`hides` in the syllabus).
    """
    data = cache.root().absolute()
    shown, variables = [str(data)], {"MEDLAB_SCALE": scale(), "MEDLAB_DATA": str(data)}
    labs = hardware_labs()
    if labs:
        shown.append(str(labs))
        variables["MEDLAB_HARDWARE_LABS"] = str(labs)
    hidden = tuple(str(path) for name in hides for path in _files_of(name))
    return Surroundings(tuple(shown), hidden, tuple(variables.items()), PRELOADED)


def _files_of(module: str) -> list[Path]:
    """Return the files of a module, or of all that is in a package, and their bytecode."""
    place = Path(medlab.__file__).parent.joinpath(*module.split(".")[1:])
    if place.is_dir():
        return sorted(path for path in place.rglob("*") if path.is_file())
    bytecode = sorted(place.parent.glob(f"__pycache__/{place.name}.*.pyc"))
    return [place.with_suffix(".py"), *bytecode]


def hardware_labs() -> Path | None:
    """Return the folder of boards and firmware, from which kernels build; None where it is not."""
    try:
        return find_hardware_labs()
    except BadInput:
        return None
