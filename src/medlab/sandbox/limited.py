"""Set limits on this process, then become another program.

Run as `python -m medlab.sandbox.limited ALLOWANCE KIND COMMAND...`, ALLOWANCE in JSON, KIND the
jail's. It limits memory, processes, file size and processor time of each process; inside
bubblewrap it also puts the filter of system calls on. It hides nothing.
"""

import contextlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from medlab.sandbox import linux, seccomp
from medlab.sandbox.allowance import Allowance, limit


def main() -> None:
    allowance, kind, command = Allowance(**json.loads(sys.argv[1])), sys.argv[2], sys.argv[3:]
    if kind == "bubblewrap":
        limit(allowance)
        linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
        seccomp.apply()
    else:
        # The user's other processes count, too.
        limit(replace(allowance, processes=allowance.processes + threads_of(os.getuid())))
    os.execvp(command[0], command)


def threads_of(uid: int) -> int:
    """Return how many threads a user's processes have; 0 where there is no /proc."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError, KeyError):
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
            total += int(fields["Threads"]) if int(fields["Uid"].split()[0]) == uid else 0
    return total


if __name__ == "__main__":
    main()
