"""Tracing, signalling and watching other processes."""

from tests.support.hostile import Attack

TRY = """
import ctypes, os, resource, signal

libc = ctypes.CDLL(None, use_errno=True)
done = []
def attempt(what, *args):
    try:
        what(*args)
        done.append((what.__name__, args))
    except (OSError, ValueError):
        pass

for pid in range(2, 3000):
    if not os.path.exists(f"/proc/{pid}"):
        attempt(os.kill, pid, 0)
        attempt(os.kill, pid, signal.SIGKILL)
if os.fork() == 0:
    os._exit(0 if libc.ptrace(16, os.getppid(), 0, 0) == 0 else 1)
done += ["ptrace"] if os.waitstatus_to_exitcode(os.wait()[1]) == 0 else []
attempt(os.setpriority, os.PRIO_PROCESS, 0, -10)
attempt(resource.setrlimit, resource.RLIMIT_NPROC, (9999, 9999))
attempt(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1))

def mean(values): return 0

print("DID", done, os.getpid())
"""
ATTACKS = {"signals": Attack({"mean": TRY})}


def test_no_other_process_is_reached(graded):
    graded.holds("signals", 2)
    assert "DID [] 1" in graded.said("signals")
