"""Time the learners' own work: all cells of each notebook, in one Python that is already warm.

Run as `python learner_work.py FOLDER`; prints the seconds of each notebook as JSON.
"""

import contextlib
import io
import json
import sys
import time
from pathlib import Path


def main():
    paths = sorted(Path(sys.argv[1]).rglob("*.ipynb"))
    import_libraries()
    work(paths[0])  # what is done once only: caches, lazy imports
    print(json.dumps([work(path) for path in paths]))


def import_libraries():
    """Import what the notebooks do, and what the first step of an optimiser does."""
    import torch
    import torch._dynamo

    torch.set_num_threads(1)


def work(path):
    """Run a notebook's cells and return the seconds that this took."""
    codes = [compile(source, path.name, "exec") for source in sources(path)]
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        started = time.perf_counter()
        for code in codes:
            with contextlib.suppress(Exception):  # a check that fails
                exec(code, names)
    return time.perf_counter() - started


def sources(path):
    """Return the sources of a notebook's code cells without magics."""
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            lines = "".join(cell["source"]).splitlines()
            yield "\n".join(line for line in lines if not line.startswith("%"))


if __name__ == "__main__":
    main()
