"""A run as a table: every figure with its unit and its kind."""

from dataclasses import dataclass

from medlab.edge.boards.description import BoardDescription
from medlab.edge.boards.firmware import Firmware
from medlab.edge.boards.run import RunResult

LARGEST = 3  # how many of the largest variables are named


@dataclass(frozen=True)
class Row:
    """One line of the table. kind: exact (counted, the same everywhere) or estimated."""

    what: str
    value: str
    unit: str
    kind: str
    how: str = ""


def rows(board: BoardDescription, firmware: Firmware, run: RunResult) -> list[Row]:
    """Return memory, instructions, functions and time of a run, in this order."""
    return [*memory(board, firmware, run), *instructions(firmware, run), *time(board, run)]


def memory(board: BoardDescription, firmware: Firmware, run: RunResult) -> list[Row]:
    """Return flash and RAM by section, the largest variables, and high-water marks."""
    made = [_bytes("flash", firmware.flash_bytes)]
    made += [_bytes(f"  {s.name}", s.size) for s in firmware.sections if s.in_flash]
    made += [_bytes("RAM, without the stack", firmware.ram_bytes)]
    made += [_bytes(f"  {s.name}", s.size) for s in firmware.sections if s.in_ram]
    in_ram = [o for o in firmware.objects if o.address in board.ram_range and o.size]
    for found in sorted(in_ram, key=lambda o: -o.size)[:LARGEST]:
        made.append(_bytes(f"  variable {found.name}", found.size))
    if run.arena_bytes is not None:
        made.append(
            _bytes("arena, at most", run.arena_bytes, "up to the last byte that was written")
        )
    return [*made, _bytes("stack, at most", run.stack_bytes, "painted before the run")]


def instructions(firmware: Firmware, run: RunResult) -> list[Row]:
    """Return the instructions of the run and of each function."""
    made = [_count("instructions", run.instructions, f"compiler: {firmware.compiler}")]
    for name, count in run.by_function.items():
        made.append(_count(f"  {name}", count, f"{100 * count / run.instructions:.1f} %"))
    for name, calls in run.calls.items():
        each = f"{len(calls)} calls, {min(calls)} to {max(calls)}" if calls else "never called"
        made.append(_count(f"{name} with all it calls", sum(calls), each))
    return made


def time(board: BoardDescription, run: RunResult) -> list[Row]:
    """Return an estimate of the run's time at the board's clock, with its range."""
    low, likely, high = run.cycles.milliseconds(board.clock_hz)
    how = f"{low:.3g} to {high:.3g} ms at {board.clock_hz / 1e6:g} MHz: {run.cycles.how}"
    return [Row("time, without sleep", f"{likely:.3g}", "ms", "estimated", how)]


def _bytes(what: str, value: int, how: str = "") -> Row:
    return Row(what, f"{value:,}", "bytes", "exact", how)


def _count(what: str, value: int, how: str = "") -> Row:
    return Row(what, f"{value:,}", "1", "exact", how)
