import subprocess
import sys

import pytest

from medlab.classroom.claims import Claims
from medlab.errors import BadInput

TAKE = """
import pathlib, sys
from medlab.classroom.claims import Claims
print(Claims(pathlib.Path(sys.argv[1])).take(sys.argv[2]), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Let another process claim a name and tell whether it could; it keeps what it has."""
    started = []

    def take(name: str) -> str:
        command = [sys.executable, "-c", TAKE, tmp_path / "lock", name]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        started.append(subprocess.Popen(command, text=True, **pipes))
        return started[-1].stdout.readline().strip()

    take.started = started
    yield take
    for process in started:
        process.kill()
        process.communicate()


def test_what_one_process_has_claimed_another_cannot(tmp_path, other):
    with Claims(tmp_path / "lock") as claims:
        assert claims.take("ada")
        assert other("ada") == "False"
        assert other("bob \udcff") == "True"
        assert not claims.take("bob \udcff")


def test_a_claim_ends_when_it_is_released_or_its_process_is_killed(tmp_path, other):
    with Claims(tmp_path / "lock") as claims:
        assert claims.take("ada")
        claims.release("ada")
        assert other("ada") == "True"
        assert not claims.take("ada")
        other.started[-1].kill()
        other.started[-1].wait()
        assert claims.take("ada")


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(BadInput, match="choose another --out"):
        Claims(tmp_path / "no" / "lock")
