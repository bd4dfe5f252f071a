"""How many clock cycles instructions may take: an estimate, never called measured.

Cortex-M4: a cost for each instruction (Arm's Cortex-M4 Technical Reference Manual, 3.3), with the
branches that were really taken. The range around it is for what the table does not know: a
pipeline that refills in 1 to 3 cycles and a division of 2 to 12 (both in the table's source), and
flash that lets the core wait, which adds up to a third.
Cortex-M7: it can run two instructions at once, and waits for caches and flash; Arm publishes no
table. 0.7 to 1.2 cycles for an instruction is a rule of thumb, from one board's published figures.
Nothing here was calibrated against a chip.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

M7_CYCLES = (0.7, 1.2)
BRANCH, DIVIDE = (1, 2, 3), (2, 7, 12)  # least, likely, most
FLASH_WAITS = 1.33
HOW = {
    "cortex-m4": "cost of each instruction by Arm's table; flash may wait a third longer",
    "cortex-m7": "0.7 to 1.2 cycles for an instruction",
}


@dataclass(frozen=True)
class Estimate:
    """Clock cycles: a likely number and the range that it may lie in."""

    low: float
    likely: float
    high: float
    how: str

    def milliseconds(self, clock_hz: int) -> tuple[float, float, float]:
        """Return low, likely and high in milliseconds at a clock frequency."""
        return tuple(1000 * each / clock_hz for each in (self.low, self.likely, self.high))


def estimate(core: str, blocks: Iterable) -> Estimate:
    """Estimate the cycles of blocks that ran on a core (emulator/blocks.py)."""
    blocks = list(blocks)
    if core == "cortex-m7":
        count = sum(block.hits * block.count for block in blocks)
        low, high = (count * each for each in M7_CYCLES)
        return Estimate(low, (low + high) / 2, high, HOW[core])
    low, likely, high = (sum(_of_block(block, level) for block in blocks) for level in range(3))
    return Estimate(low, likely, high * FLASH_WAITS, HOW[core])


def _of_block(block, level: int) -> int:
    taken = block.hits - block.fell
    return block.hits * _straight(block.address, block.code, level) + taken * BRANCH[level]


@cache
def _straight(address: int, code: bytes, level: int) -> int:
    """Return the cycles of a block whose last branch is not taken."""
    import capstone

    engine = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    engine.skipdata = True
    cycles, after_load = 0, False
    for _, _, mnemonic, operands in engine.disasm_lite(code, address):
        cycles += cost(mnemonic, operands, after_load, level)
        after_load = _is_load(mnemonic)
    return cycles


def _is_load(mnemonic: str) -> bool:
    return mnemonic.startswith(("ldr", "vldr")) and not mnemonic.startswith("ldrd")


def cost(mnemonic: str, operands: str, after_load: bool = False, level: int = 1) -> int:
    """Return the cycles of one instruction on a Cortex-M4, without the refill of a taken branch.

    after_load: the instruction before was a load too, so that the two overlap. level: 0 for the
    least, 1 for the likely, 2 for the most.
    """
    name = mnemonic.split(".")[0]
    if name.startswith(("udiv", "sdiv")):
        return DIVIDE[level]
    if name.startswith(("vdiv", "vsqrt")):
        return 14
    if name.startswith(("vmla", "vmls", "vfma", "vfms", "vnmla", "vnmls", "vfnma", "vfnms")):
        return 3
    if name.startswith(("ldrd", "strd")) or (name.startswith("vldr") and "d" in operands[:1]):
        return 3
    if name.startswith(("ldm", "stm", "push", "pop", "vldm", "vstm", "vpush", "vpop")):
        return 1 + _registers(operands)
    if _is_load(name):
        return 1 if after_load else 2
    return 0 if re.fullmatch(r"it[te]{0,3}", name) else 1


def _registers(operands: str) -> int:
    """Count the registers of a list such as {r4-r7, lr}."""
    listed = re.search(r"\{(.*)\}", operands)
    parts = listed[1].split(",") if listed else []
    return sum(_span(part.strip()) for part in parts)


def _span(part: str) -> int:
    ends = [int(number) for number in re.findall(r"\d+", part)]
    return ends[1] - ends[0] + 1 if len(ends) == 2 else 1
