"""Run this as an ordinary user: `python probes.py JAIL` prints what a kernel of that jail says."""

import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from medlab.sandbox.allowance import Allowance
from medlab.sandbox.isolation import LIMITS, Surroundings, choose, isolate
from medlab.sandbox.kernel import Kernel
from medlab.sandbox.limits import Limits

SMALL = Allowance(memory_bytes=300_000_000, disk_bytes=5_000_000, files=500, processes=40)
ABOUT = """
import json, os, sys
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
def writes(path):
    try:
        open(path + "/x", "w").close()
        return True
    except OSError:
        return False
def fill(folder, size=10**6):
    total = 0
    try:
        with open(folder + "/filler", "wb") as file:
            while total < 10**8:
                total += file.write(bytes(size))
    except OSError:
        pass
    os.unlink(folder + "/filler")
    return total
def children():
    made = []
    try:
        while len(made) < 500:
            pid = os.fork()
            if pid == 0:
                import time; time.sleep(60); os._exit(0)
            made.append(pid)
    except OSError:
        pass
    for pid in made:
        os.kill(pid, 9); os.waitpid(pid, 0)
    return len(made)
data = os.environ["MEDLAB_DATA"]
print(json.dumps({
    "made data": open(data + "/made.txt").read(),
    "pid": os.getpid(), "uid": os.getuid(), "capabilities": int(status["CapEff"], 16),
    "no_new_privileges": int(status["NoNewPrivs"]), "filter": int(status["Seccomp"]),
    "pids": sorted(int(p) for p in os.listdir("/proc") if p.isdigit())[-1] < 100,
    "root": sorted(os.listdir("/")), "interfaces": sorted(os.listdir("/sys/class/net"))
    if os.path.isdir("/sys/class/net") else [],
    "writable": [p for p in ("/tmp", "/dev/shm", "/learner/work", "/usr", "/etc",
                             os.path.dirname(os.__file__), data, sys.argv[-1]) if writes(p)],
    "filled": fill("/tmp"), "children": children(),
    "environment": sorted(os.environ), "folder": os.getcwd(), "user": os.environ["USER"],
}))
"""
BOMB = """
import ctypes, mmap, time
kept = mmap.mmap(-1, 600_000_000)
ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(kept)), 1, 600_000_000)
time.sleep(60)
"""
ENDLESS = "while True: pass"


def main() -> None:
    kind = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "data").mkdir()
        Path(folder, "data", "made.txt").write_text("generated")
        os.chmod(Path(folder, "data"), 0o755)
        data = f"{folder}/data"
        given = Surroundings(readable=(data,), environment=(("MEDLAB_DATA", data),))
        isolation = replace(isolate(choose(kind), (), given), allowance=SMALL)
        kernel = Kernel(Path(folder, "k"), Limits(cell_seconds=20), isolation)
        told = json.loads(kernel.run(ABOUT).outputs[0].text)
        kernel.limits = Limits(cell_seconds=1)
        told["endless"] = [kernel.run(ENDLESS).status, kernel.run("1").status]
        if kind != LIMITS:
            kernel.limits = Limits(cell_seconds=20)
            told["bomb"] = kernel.run(BOMB).status
        kernel.stop()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
