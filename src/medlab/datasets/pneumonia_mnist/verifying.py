"""Check an archive of PneumoniaMNIST, generated or real."""

from pathlib import Path

from medlab.datasets.pneumonia_mnist.reading import read
from medlab.errors import BadInput


def verify(folder: Path) -> list[str]:
    """Return one line for each fault, naming the file and the fix; [] if there is none."""
    try:
        read(folder)
    except BadInput as error:
        return [str(error)]
    return []
