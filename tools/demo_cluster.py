"""Start a Dask cluster of two workers on this machine and grade the sample class on it.

Run as `python tools/demo_cluster.py SUBMISSIONS OUT`; on a real cluster the scheduler and the
workers are already running, and only the last command is needed.
"""

import subprocess
import sys

from distributed import LocalCluster


def main():
    submissions, out = sys.argv[1:]
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        command = ["medlab", "grade", submissions, "--out", out]
        command += ["--dask", cluster.scheduler_address]
        print(" ".join(command), flush=True)
        done = subprocess.run(command)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
