"""Run every notebook of a folder through papermill as it is, in one process or in a pool.

Run as `python papermill_pool.py FOLDER OUT PROCESSES`.
"""

import contextlib
import multiprocessing
import sys
from pathlib import Path

import papermill


def main():
    folder, out, processes = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    pairs = [(path, out / path.name) for path in sorted(folder.glob("*.ipynb"))]
    if processes == 1:
        for pair in pairs:
            run(pair)
        return
    with multiprocessing.Pool(processes) as pool:
        pool.map(run, pairs, chunksize=1)


def run(pair):
    # A wrong answer fails its tests; papermill says so at the end, when all cells have run.
    with contextlib.suppress(papermill.PapermillExecutionError):
        papermill.execute_notebook(*map(str, pair), progress_bar=False, allow_errors=True)


if __name__ == "__main__":
    main()
