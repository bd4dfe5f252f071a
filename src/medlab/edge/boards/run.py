"""What a run on an emulated board showed: output, exact counts, and an estimate of time."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from medlab.edge.boards import cycles
from medlab.edge.boards.board import Board
from medlab.edge.boards.emulator.machine import Fault, Outcome
from medlab.edge.boards.firmware import Firmware
from medlab.errors import BadInput


@dataclass(frozen=True)
class Run:
    """One run of a firmware, from reset to its end."""

    board: Board
    firmware: Firmware
    uart: bytes  # all that was sent to the serial port
    uart_at: tuple[int, ...]  # the cycle of each byte: instructions run and cycles slept until then
    samples_used: int  # how many samples of the feed the firmware has read
    budget: int
    outcome: Outcome

    @property
    def instructions(self) -> int:
        """Instructions run, exactly."""
        return self.outcome.instructions

    @property
    def exit_status(self) -> int | None:
        """What main returned; None where the firmware did not come to its end."""
        return self.outcome.status

    @property
    def fault(self) -> Fault | None:
        """What stopped the core, if something did."""
        return self.outcome.fault

    @property
    def stack_bytes(self) -> int:
        """The most that the stack held, by painting it before the run."""
        return self.outcome.stack_bytes

    @property
    def arena_bytes(self) -> int | None:
        """The arena's bytes up to the last that main wrote; None if not followed or not there."""
        return self.outcome.arena_bytes

    @property
    def reads(self) -> list[int] | None:
        """Which bytes of the followed variable were read, from 0; None if none was followed."""
        return None if self.outcome.reads is None else sorted(self.outcome.reads)

    @property
    def calls(self) -> dict[str, list[int]]:
        """Instructions of each call of a watched function, with all that it called.

        Handlers that broke in count too; tasks that a scheduler switches have no single count.
        """
        return self.outcome.calls

    @property
    def text(self) -> str:
        """What was sent to the serial port, as text."""
        return self.uart.decode("utf-8", errors="replace")

    @cached_property
    def by_function(self) -> dict[str, int]:
        """Instructions run in each function itself, the most first; they sum to all of a run."""
        counts = Counter()
        for block in self.outcome.blocks:
            for offset in block.offsets:
                counts[self.firmware.function_at(block.address + offset)] += block.hits
        return dict(counts.most_common())

    @cached_property
    def cycles(self) -> cycles.Estimate:
        """An estimate of the clock cycles of the instructions, without sleep."""
        return cycles.estimate(self.board.core, self.outcome.blocks)

    @property
    def trace(self) -> list[tuple[int, str]]:
        """What was sent to the serial port, a character for each byte, each with its cycle."""
        return list(zip(self.uart_at, self.uart.decode("latin-1"), strict=True))

    def check(self) -> "Run":
        """Return this run; raise BadInput with the reason if the firmware did not end."""
        if self.outcome.fault:
            raise BadInput(f"{self._who()}: {self.outcome.fault}")
        if self.outcome.out_of_budget:
            raise BadInput(
                f"{self._who()} did not return within {self.budget:,} instructions: "
                "find its endless loop, or give it a larger budget"
            )
        return self

    def _who(self) -> str:
        return f"{self.firmware.elf.name} on {self.board.name}"
