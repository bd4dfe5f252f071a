"""Weigh kernels of one warm parent that live at the same time; print MB of PSS by their number.

Run as `python kernels.py COURSE NOTEBOOK`. PSS is of the parent, the keepers and the kernels, once
after the kernels' imports and once after the whole notebook.
"""

import json
import sys
import tempfile
from pathlib import Path

from learner_work import sources
from meter import tree_pss_mb

from medlab.course import load_syllabus
from medlab.sandbox.isolation import NAMESPACES, isolate
from medlab.sandbox.kernel import Kernel

NUMBERS = (1, 2, 4)


def main():
    course, path = Path(sys.argv[1]), Path(sys.argv[2])
    isolation = isolate(NAMESPACES, load_syllabus(course).units[0].libraries)
    cells = list(sources(path))
    imports = next(i for i, source in enumerate(cells) if "import torch" in source) + 1
    print(json.dumps([weights(isolation, cells[:imports]), weights(isolation, cells)]))


def weights(isolation, cells):
    """Return the MB for each number of kernels that have run these cells."""
    kernels, found = [], {}
    with tempfile.TemporaryDirectory(prefix="medlab-") as folder:
        for number in range(1, max(NUMBERS) + 1):
            kernels.append(Kernel(Path(folder, str(number)), isolation=isolation))
            for source in cells:
                kernels[-1].run(source)
            if number in NUMBERS:
                found[number] = tree_pss_mb()
        for kernel in kernels:
            kernel.stop()
    return found


if __name__ == "__main__":
    main()
