"""Run firmware on an emulated board: build the machine, run it, record what was found."""

from medlab.edge.boards.description import BoardDescription
from medlab.edge.boards.devices.interrupts import Line
from medlab.edge.boards.devices.models import MODELS
from medlab.edge.boards.devices.registers import Registers
from medlab.edge.boards.devices.sensor import Feed
from medlab.edge.boards.devices.serial import Serial
from medlab.edge.boards.emulator.machine import Machine
from medlab.edge.boards.firmware import Firmware
from medlab.edge.boards.placement import check_functions, check_loadable, check_sections
from medlab.edge.boards.run import RunRequest, RunResult
from medlab.errors import BadInput


def emulate(board: BoardDescription, firmware: Firmware, request: RunRequest) -> RunResult:
    """Run firmware from reset to its end; after a fault, again to learn the very instruction.

    Between instructions of a block unicorn does not keep the program counter. A run is repeatable,
    so that the second one may follow the faulty block step by step.
    """
    machine = build_machine(board, firmware, request)
    machine.run(request.budget)
    last = machine.profiler.last_block
    if machine.core.fault and last:
        before = machine.profiler.instructions - last.count
        machine.release()
        machine = build_machine(board, firmware, request)
        machine.core.trace_from = before
        machine.run(request.budget)
        if machine.core.fault:
            machine.profiler.take_back_unreached(machine.core.fault.pc)
    result = _result(board, firmware, request, machine)
    machine.release()
    return result


def build_machine(board: BoardDescription, firmware: Firmware, request: RunRequest) -> Machine:
    """Return the emulated board with firmware in its flash, ready to run once."""
    check_functions(firmware, request.watch)
    check_sections(board, firmware)
    check_loadable(board, firmware)
    machine = Machine(board.core, board.flash_range, board.ram_range, _devices(board))
    _set_rises(board, machine, request.rises)
    feed = Feed(request.feed, request.lead_off)
    for device in machine.devices:
        if hasattr(device, "feed"):
            device.feed = feed
    machine.load(firmware, request)
    return machine


def _devices(board: BoardDescription) -> list[Registers]:
    id_word = Registers(board.chip["at"], 4, always={0: board.chip["value"]})
    devices = [id_word]
    for name, fields in board.emulation.items():
        settings = dict(fields)
        try:
            devices.append(MODELS[settings.pop("model")](**settings))
        except (KeyError, TypeError) as problem:
            place = board.folder / "board.yaml"
            raise BadInput(f"{place}: emulation of {name}: {problem}") from None
    return devices


def _set_rises(board: BoardDescription, machine: Machine, rises: tuple[int, ...]) -> None:
    lines = [device for device in machine.devices if isinstance(device, Line)]
    if rises and not lines:
        raise BadInput(f"{board.name} has no line that could rise: take another board")
    for line in lines:
        line.rises = sorted(rises)


def _result(
    board: BoardDescription, firmware: Firmware, request: RunRequest, machine: Machine
) -> RunResult:
    core, profiler, tracer = machine.core, machine.profiler, machine.tracer
    ports = [device for device in machine.devices if isinstance(device, Serial)]
    feeds = [device.feed for device in machine.devices if hasattr(device, "feed")]
    return RunResult(
        firmware=firmware.elf.name,
        board=board.name,
        core=board.core,
        budget=request.budget,
        exit_status=core.exit_status,
        fault=core.fault,
        out_of_budget=core.out_of_budget,
        instructions=profiler.instructions,
        slept=core.slept,
        uart=b"".join(bytes(port.sent) for port in ports),
        uart_at=tuple(cycle for port in ports for cycle in port.sent_at),
        samples_used=feeds[0].used if feeds else 0,
        flash_bytes=firmware.flash_bytes,
        ram_bytes=firmware.ram_bytes,
        stack_bytes=profiler.stack_bytes(),
        arena_bytes=tracer.arena_bytes,
        reads=None if tracer.reads is None else sorted(tracer.reads),
        calls=profiler.calls,
        by_function=profiler.by_function(firmware),
        blocks=profiler.blocks(),
    )
