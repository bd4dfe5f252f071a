"""What a learner's code sees of the grader's machine: made data, boards and the one dial for size.

The sandbox shows it Python and medlab; everything else is named here.
"""

from pathlib import Path

from medlab.datasets import cache
from medlab.edge.boards import find_hardware_labs
from medlab.errors import BadInput
from medlab.sandbox.isolation import Surroundings
from medlab.scale import scale

PRELOADED = ("medlab.classroom.referee.answering", "medlab.notebook.magics", "medlab.course")


def surroundings() -> Surroundings:
    """Return what kernels of learners may read, the variables they get, and what is preloaded."""
    data = cache.root().absolute()
    shown, variables = [str(data)], {"MEDLAB_SCALE": scale(), "MEDLAB_DATA": str(data)}
    labs = hardware_labs()
    if labs:
        shown.append(str(labs))
        variables["MEDLAB_HARDWARE_LABS"] = str(labs)
    return Surroundings(tuple(shown), tuple(variables.items()), PRELOADED)


def hardware_labs() -> Path | None:
    """Return the folder of boards and firmware, from which kernels build; None where it is not."""
    try:
        return find_hardware_labs()
    except BadInput:
        return None
