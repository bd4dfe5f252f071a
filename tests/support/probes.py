"""Run a probe, a script that starts a kernel, as root or as an ordinary user."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ORDINARY = 61_000  # a user id that nobody has
JAILS = [("namespaces", "root"), ("namespaces", "ordinary"), ("bubblewrap", "ordinary")]
every_jail = pytest.mark.parametrize(("kind", "user"), JAILS)


@functools.cache
def report_of(probe: Path, kind: str, user: str) -> dict:
    """Return what a probe's kernel reports; skip, with the reason, without such an isolation."""
    command = [sys.executable, str(probe), kind]
    if user == "ordinary" and os.geteuid() == 0:
        as_user = Path(__file__).with_name("ordinary_user.py")
        command = [sys.executable, str(as_user), str(ORDINARY), *command]
    elif user == "root" and os.geteuid() != 0:
        pytest.skip("this is not root")
    own = {"HOME": "/tmp", "MEDLAB_SECRET": "s", "PATH": os.environ["PATH"], "TMPDIR": "/tmp"}
    done = subprocess.run(command, capture_output=True, text=True, env=own, timeout=120)
    if done.returncode and any(word in done.stderr for word in ("no jail can be built", "unshare")):
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
