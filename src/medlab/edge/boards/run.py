"""A run on an emulated board: what it is given, and the record of what it found."""

import dataclasses
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

from medlab.edge.boards.cycles import Estimate, estimate
from medlab.edge.boards.emulator.blocks import Block
from medlab.edge.boards.emulator.faults import Fault
from medlab.errors import BadInput

BUDGET = 1_000_000_000  # instructions: some ten seconds of emulation


@dataclass(frozen=True)
class RunRequest:
    """What a run is given, and what it records besides counts.

    feed: the sensor's samples, whole numbers from -32768 to 65535; after them the sensor has
    stopped. budget: instructions after which a firmware that goes on is stopped. watch: names of
    functions whose calls are counted one by one. rises: the cycles at which the board's line rises,
    which asks for an interrupt. lead_off: numbers of samples, from 0, at which the sensor's front
    end reports an electrode that is off. follow_arena: record how much main writes of `arena`, a
    compiled model's memory; the run takes twice as long. follow_reads: the name of a variable;
    record which of its bytes are read.
    """

    feed: Sequence[int] = ()
    budget: int = BUDGET
    watch: Sequence[str] = ()
    rises: Sequence[int] = ()
    lead_off: Sequence[range] = ()
    follow_arena: bool = False
    follow_reads: str = ""

    def __post_init__(self):
        for name, kind in (("feed", int), ("rises", int), ("watch", str)):
            object.__setattr__(self, name, tuple(map(kind, getattr(self, name))))
        object.__setattr__(self, "lead_off", tuple(self.lead_off))

    def as_json(self) -> dict:
        """Return what from_json needs to make an equal request."""
        return vars(self) | {"lead_off": [[off.start, off.stop] for off in self.lead_off]}

    @classmethod
    def from_json(cls, fields: dict) -> "RunRequest":
        """Return the request of which as_json made these fields."""
        return cls(**fields | {"lead_off": tuple(range(*ends) for ends in fields["lead_off"])})


@dataclass(frozen=True)
class RunResult:
    """What one run of a firmware found, from reset to its end; instructions are counted exactly."""

    firmware: str  # the name of its file
    board: str
    core: str
    budget: int
    exit_status: int | None  # what main returned; None where the firmware did not come to its end
    fault: Fault | None  # what stopped the core, if something did
    out_of_budget: bool
    instructions: int
    slept: int  # cycles in WFI
    uart: bytes  # all that was sent to the serial port
    uart_at: tuple[int, ...]  # the cycle of each byte: instructions run and cycles slept until then
    samples_used: int  # how many samples of the feed the firmware has read
    flash_bytes: int
    ram_bytes: int  # without the stack
    stack_bytes: int  # the most that the stack held, by painting it before the run
    arena_bytes: int | None  # of the arena, up to the last that main wrote; None: not followed
    reads: list[int] | None  # which bytes of the followed variable were read; None: not followed
    calls: dict[str, list[int]]  # instructions of each call of a watched function, and its calls
    by_function: dict[str, int]  # instructions in each function itself, the most first
    blocks: list[Block]

    @property
    def text(self) -> str:
        """What was sent to the serial port, as text."""
        return self.uart.decode("utf-8", errors="replace")

    @property
    def trace(self) -> list[tuple[int, str]]:
        """What was sent to the serial port, a character for each byte, each with its cycle."""
        return list(zip(self.uart_at, self.uart.decode("latin-1"), strict=True))

    @cached_property
    def cycles(self) -> Estimate:
        """An estimate of the clock cycles of the instructions, without sleep."""
        return estimate(self.core, self.blocks)

    def check(self) -> "RunResult":
        """Return this result; raise BadInput with the reason if the firmware did not end."""
        if self.fault:
            raise BadInput(f"{self.firmware} on {self.board}: {self.fault}")
        if self.out_of_budget:
            raise BadInput(
                f"{self.firmware} on {self.board} did not return within {self.budget:,} "
                "instructions: find its endless loop, or give it a larger budget"
            )
        return self

    def as_json(self) -> dict:
        """Return what from_json needs to make an equal result."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return plain | {
            "fault": self.fault and asdict(self.fault),
            "uart": self.uart.decode("latin-1"),
            "blocks": [block.as_json() for block in self.blocks],
        }

    @classmethod
    def from_json(cls, fields: dict) -> "RunResult":
        """Return the result of which as_json made these fields."""
        read = {
            "fault": fields["fault"] and Fault(**fields["fault"]),
            "uart": fields["uart"].encode("latin-1"),
            "uart_at": tuple(fields["uart_at"]),
            "blocks": [Block.from_json(block) for block in fields["blocks"]],
        }
        return cls(**fields | read)
