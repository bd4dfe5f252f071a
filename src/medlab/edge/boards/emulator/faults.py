"""What stops the core: the fault, and the words for each kind."""

from dataclasses import dataclass

SUPERVISOR_CALL, BREAKPOINT = 2, 7  # numbers that unicorn gives to traps
EXCEPTION_EXIT = 8  # what it reports when the core branches to an EXC_RETURN value
UNDEFINED = "an undefined instruction"
TRAPS = {
    1: UNDEFINED,
    SUPERVISOR_CALL: "a supervisor call (SVC) while it may not interrupt, or which nothing handles",
    3: "an instruction fetch that failed",
    4: "a memory access that failed",
    18: "a jump to Arm code: this core only runs Thumb",
    BREAKPOINT: "a breakpoint",
    EXCEPTION_EXIT: "a return from an interrupt that was never entered",
}


@dataclass(frozen=True)
class Fault:
    """Why the core stopped, and where."""

    what: str
    pc: int
    function: str

    def __str__(self) -> str:
        return f"{self.what}, at pc 0x{self.pc:08x} in {self.function}"
