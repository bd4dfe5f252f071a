"""Set limits on this process, then become another program.

Run as `python -m medlab.classroom.limited ALLOWANCE COMMAND...`, ALLOWANCE in JSON. It limits
memory, processes, file size and processor time of each process; it hides nothing.
"""

import json
import os
import sys

from medlab.classroom.jail import Allowance, limit


def main() -> None:
    allowance, command = Allowance(**json.loads(sys.argv[1])), sys.argv[2:]
    limit(allowance)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
