"""Processes and threads that try to outlive grading."""

import pytest
from tests.support.hostile import FULL, Attack

TWICE = """
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", "@MARK@"])
    os._exit(0)
"""
SESSION = """
import subprocess, sys
for _ in range(9):
    subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)", "@MARK@"],
        start_new_session=True, close_fds=True,
    )
"""
SHELL = "import os\nos.system('(trap \"\" HUP TERM INT; sleep 600; : @MARK@) &')"
THREAD = """
import threading, time
def later():
    while True:
        time.sleep(0.1)
        open("/tmp/@MARK@", "a").write("x")
threading.Thread(target=later).start()
"""
WAYS = {"twice": TWICE, "session": SESSION, "shell": SHELL, "thread": THREAD}
ATTACKS = {
    f"detached-{name}": Attack(added=(("exercise-mean", way),)) for name, way in WAYS.items()
}


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_outlives_its_submission(graded, name):
    graded.holds(name, FULL)
