"""Run as `python firmware_probe.py JAIL`: a jailed kernel, started elsewhere, builds firmware.

Prints what the kernel says, and the ELF file that came back through the grader's own channel.
"""

import base64
import json
import os
import sys
import tempfile
from pathlib import Path

from medlab.classroom.referee.proxy import LearnerProxy
from medlab.classroom.surroundings import surroundings
from medlab.sandbox.isolation import choose, isolate
from medlab.sandbox.kernel import Kernel
from medlab.sandbox.limits import Limits

BUILD = """
import os, resource
from medlab.edge import boards
from medlab.edge.boards import toolchain
def built(text):
    compiler = toolchain.find("zig")
    return boards.load("stm32f405").build_text({"main.c": text}, compiler=compiler)
def emulated(elf):
    from medlab.edge.boards.firmware import Firmware
    run = boards.load("stm32f405").run(Firmware.from_bytes(elf, "stm32f405"), budget=100_000)
    return [run.text, run.exit_status, run.instructions]
def can_write():
    try:
        (boards.find_hardware_labs() / "lib" / "x.c").write_text("")
        return True
    except OSError:
        return False
about = {
    "labs": os.environ["MEDLAB_HARDWARE_LABS"],
    "beside": sorted(p.name for p in boards.find_hardware_labs().parent.iterdir()),
    "can write": can_write(),
}
"""
HELLO = '#include "print.h"\nint main(void) { print("built in the jail\\n"); return 0; }'


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        isolation = isolate(choose(sys.argv[1]), (), surroundings())
        kernel = Kernel(Path(folder, "k"), Limits(cell_seconds=60), isolation)
        ran = kernel.run(BUILD)
        assert ran.status == "ok", ran.error
        learner = LearnerProxy(kernel)
        elf = learner.built(HELLO)
        again = learner.built(HELLO)
        told = dict(learner["about"]) | {"same twice": again == elf}
        told["in the jail"] = learner.emulated(elf)
        told["elf"] = base64.b64encode(elf).decode()
        kernel.stop()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
