import json
import os
import subprocess
import sys

import pytest

from medlab.sandbox.allowance import Allowance
from medlab.sandbox.limited import threads_of

pytest.importorskip("resource")
SMALL = Allowance(memory_bytes=200_000_000, file_bytes=1_000_000, processes=20)


def run(source: str) -> subprocess.CompletedProcess:
    limited = [sys.executable, "-m", "medlab.sandbox.limited", json.dumps(SMALL.as_dict())]
    command = [*limited, "limits", sys.executable, "-c", source]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_program_takes_the_place_of_the_limiter():
    assert run("print('there')").stdout == "there\n"


def test_memory_has_an_end():
    assert "MemoryError" in run("bytearray(10**9)").stderr


def test_a_file_has_an_end(tmp_path):
    wrote = run(f"open({str(tmp_path / 'x')!r}, 'wb').write(bytes(10**7))")
    assert "File too large" in wrote.stderr
    assert (tmp_path / "x").stat().st_size <= 1_000_000


def test_processes_are_counted_beside_those_the_user_has():
    source = "import resource; print(resource.getrlimit(resource.RLIMIT_NPROC)[0])"
    most = int(run(source).stdout)
    assert 20 < most <= 20 + threads_of(os.getuid()) + 200
