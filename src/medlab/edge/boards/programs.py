"""External programs: run them, and report in one line why they failed."""

import re
import subprocess

from medlab.errors import BadInput


def run(command: list[str], seconds: float, absent: str, late: str) -> subprocess.CompletedProcess:
    """Run a program without input, for so many seconds at most; return its output as text.

    Raises BadInput with absent where there is no such program, with late where it timed out.
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


def first_error(output: str) -> str:
    """Return the first line that reports an error, with the line of code it quotes; else the first.

    Code is what gcc and clang write below an error, behind its line's number: `9 | int x = 3`.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [n for n, line in enumerate(lines) if "error" in line.lower() or "undefined" in line]
    if not errors:
        return (lines or ["it printed nothing"])[0]
    error, *below = lines[errors[0] : errors[0] + 2]
    code = re.fullmatch(r"\d+ \| *(.+)", "".join(below))
    return f"{error}: `{code[1]}`" if code else error
