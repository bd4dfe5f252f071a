"""Build an alarm beside a network against a FreeRTOS kernel, and run it on the emulated board.

    FREERTOS_PATH=~/FreeRTOS-Kernel python hardware_labs/rtos/build.py [--locked]

FREERTOS_PATH is a checkout of FreeRTOS-Kernel: the folder that contains tasks.c. Prints how many
instructions alarms took. Exits with status 2 and one line where something is missing.
"""

import os
import sys
from pathlib import Path

from medlab.edge import boards
from medlab.edge.boards import toolchain
from medlab.edge.boards.firmware import Firmware
from medlab.errors import BadInput

HERE = Path(__file__).resolve().parent
PORT = "portable/GCC/ARM_CM4F"
KERNEL = ("tasks.c", "list.c", f"{PORT}/port.c", f"{PORT}/portmacro.h")
SHARED = ("network.c", "network.h", "alarm_line.c", "alarm_line.h")
BUDGET = 100_000_000
PERIOD, FIRST = 160_000, 160_000  # of the network, and its first release, in cycles


def find_kernel() -> Path:
    """Return the folder that FREERTOS_PATH names; raise BadInput if it contains no kernel."""
    named = os.environ.get("FREERTOS_PATH", "").strip()
    if not named:
        raise BadInput("FREERTOS_PATH is not set: set it to the folder of FreeRTOS's tasks.c")
    missing = [name for name in KERNEL if not Path(named, name).is_file()]
    if missing:
        raise BadInput(f"FREERTOS_PATH names {named}, which has no {missing[0]}: correct it")
    return Path(named).resolve()


def files_of(kernel: Path) -> dict[str, str]:
    """Return all that is compiled, by name: ours, and of the kernel what this board needs."""
    ours = [path for path in HERE.iterdir() if path.suffix in (".c", ".h")]
    ours += [HERE.parent / "scheduler" / name for name in SHARED]
    theirs = [kernel / name for name in KERNEL] + sorted((kernel / "include").glob("*.h"))
    return {path.name: path.read_text(encoding="utf-8") for path in [*theirs, *ours]}


def delays(locked: bool, alarms: int = 30) -> list[int]:
    """Return the time from the rise of the line to each alarm, at so many phases of the network."""
    board, compiler = boards.load("stm32f405"), toolchain.find()
    elf = board.build_text(files_of(find_kernel()), {"LOCKED": 1} if locked else {}, compiler)
    firmware = Firmware.from_bytes(elf, board.name, compiler.name)
    rises = [FIRST + PERIOD * k + (PERIOD - 50_000) * k // alarms for k in range(alarms)]
    run = board.run(firmware, rises=rises, budget=BUDGET).check()
    answers = [at for at, character in run.trace if character == "!"]
    if run.exit_status or len(answers) != alarms:
        raise BadInput(f"status {run.exit_status}, {len(answers)} of {alarms} alarms were answered")
    return [answer - rise for rise, answer in zip(rises, answers, strict=True)]


def main() -> int:
    """Build, run and print the delays."""
    locked = "--locked" in sys.argv[1:]
    try:
        took = delays(locked)
    except BadInput as problem:
        print(f"rtos: {problem}", file=sys.stderr)
        return 2
    print(f"{len(took)} alarms: mean {sum(took) // len(took):,}, worst {max(took):,} instructions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
