"""Other people's programs: run them, and say in one line why they failed."""

import subprocess

from medlab.errors import BadInput


def run(command: list[str], seconds: float, absent: str, late: str) -> subprocess.CompletedProcess:
    """Run a program without input, for so many seconds at most; return what it said as text.

    Raises BadInput with absent where there is no such program, with late where it gave no answer.
    """
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise BadInput(absent) from None
    except subprocess.TimeoutExpired:
        raise BadInput(late) from None


def first_error(said: str) -> str:
    """Return the first line that tells an error; else the first one."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() or "undefined" in line]
    return (errors or lines or ["it says nothing"])[0]
