"""Bus, profiler and tracer, each on its own: an engine and a few instructions by hand."""

from types import SimpleNamespace

import pytest
from unicorn import arm_const as arm

from medlab.edge.boards.devices.registers import ForbiddenWrite, Registers
from medlab.edge.boards.emulator.bus import Bus
from medlab.edge.boards.emulator.core import new_engine
from medlab.edge.boards.emulator.profiler import Profiler
from medlab.edge.boards.emulator.tracer import Tracer
from medlab.errors import BadInput

FLASH, RAM = range(0x0800_0000, 0x0801_0000), range(0x2000_0000, 0x2000_8000)
DEVICE = 0x4000_0000
LOOP = bytes.fromhex("0320 0138 fdd1 00bf")  # movs r0, #3; 1: subs r0, #1; bne 1b; nop
LOAD, STORE = bytes.fromhex("0868 00bf"), bytes.fromhex("0860 00bf")  # ldr/str r0, [r1]; nop


@pytest.fixture
def bus():
    """A bus with one device, that notes faults and rewrites."""
    made = Bus(new_engine("cortex-m4"), FLASH, RAM, [Registers(DEVICE, 8, always={4: 0x80})])
    made.faults, made.rewrites = [], []
    made.on_fault = lambda what: (made.faults.append(what), made.uc.emu_stop())
    made.on_rewrite = lambda first, last: made.rewrites.append((first, last))
    return made


@pytest.fixture
def profiler(bus):
    made = Profiler(bus.uc)
    made.at_deadline = lambda: False
    return made


def run(bus, code, r0=0, r1=0):
    bus.load([(FLASH.start, code)])
    bus.uc.reg_write(arm.UC_ARM_REG_R0, r0)
    bus.uc.reg_write(arm.UC_ARM_REG_R1, r1)
    bus.uc.emu_start(FLASH.start | 1, FLASH.start + len(code))
    return bus.uc.reg_read(arm.UC_ARM_REG_R0)


def test_the_bus_reads_and_writes_a_device_in_words(bus):
    run(bus, STORE, r0=0x1234, r1=DEVICE)
    assert bus.devices[0].words == {0: 0x1234}
    assert run(bus, LOAD, r1=DEVICE + 4) == 0x80


def test_the_bus_reports_a_read_of_an_address_without_a_device(bus):
    run(bus, LOAD, r1=DEVICE + 0x100)
    assert bus.faults == ["read of 4 bytes at 0x40000100, where there is nothing"]


def test_the_bus_rejects_flash_writes_without_a_controller(bus):
    with pytest.raises(Exception, match="write"):
        run(bus, STORE, r1=FLASH.start)
    assert "this board's flash cannot be written" in bus.faults[0]


def test_a_device_writes_to_memory_only_and_its_writes_are_reported(bus):
    bus.write(RAM.start + 4, b"abc")
    assert bus.read(RAM.start + 4, 3) == b"abc"
    assert bus.rewrites == [(RAM.start + 4, RAM.start + 6)]
    with pytest.raises(ForbiddenWrite, match="0x30000000"):
        bus.write(0x3000_0000, b"abc")


def test_the_profiler_counts_every_instruction_of_a_loop(bus, profiler):
    run(bus, LOOP)
    assert profiler.instructions == 1 + 3 * 2 + 1
    assert sum(block.count * block.hits for block in profiler.blocks()) == profiler.instructions


def test_the_profiler_asks_at_its_deadline(bus, profiler):
    asked = []
    profiler.at_deadline = lambda: asked.append(profiler.instructions) or False
    profiler.deadline = 5
    run(bus, LOOP)
    assert asked == [5, 7]


def test_a_block_that_was_rewritten_keeps_its_counts_and_is_decoded_again(bus, profiler):
    run(bus, LOOP)
    before = profiler.instructions
    profiler.forget_blocks(FLASH.start, FLASH.start + 1)
    run(bus, LOOP)
    assert profiler.instructions == 2 * before
    assert [b.hits for b in profiler.blocks() if b.address == FLASH.start] == [1, 1]


def test_the_tracer_records_which_bytes_of_a_variable_are_read(bus, profiler):
    tracer = Tracer(bus.uc, profiler)
    row = SimpleNamespace(name="row", address=RAM.start + 8, size=6)
    firmware = SimpleNamespace(objects=[row], elf=SimpleNamespace(name="a.elf"))
    tracer.follow_reads(firmware, "row")
    run(bus, LOAD, r1=RAM.start + 12)
    assert tracer.reads == {4, 5}
    with pytest.raises(BadInput, match="has 0 variables column"):
        tracer.follow_reads(firmware, "column")


def test_the_tracer_knows_the_instruction_once_it_follows_them(bus, profiler):
    tracer = Tracer(bus.uc, profiler)
    run(bus, LOOP)
    assert tracer.pc is None
    tracer.follow_instructions()
    run(bus, LOOP)
    assert tracer.pc == FLASH.start + 6
