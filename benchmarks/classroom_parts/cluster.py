"""Be a Dask cluster on this machine until standard input ends; print its address.

Run as `python cluster.py WORKERS`.
"""

import sys

from distributed import LocalCluster


def main():
    workers = int(sys.argv[1])
    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
