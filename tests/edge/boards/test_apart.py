"""Firmware that nobody vouches for: it is run in a process of its own, and can end that alone."""

import os
import struct
import subprocess
import sys

import numpy as np
import pytest

from medlab.edge import boards
from medlab.edge.boards import apart
from medlab.edge.boards.firmware import Firmware
from medlab.errors import BadInput

BOARD = "stm32f405"
ADDS = """
#include "hal.h"
#include "print.h"
__attribute__((noinline)) int add(int a, int b) { return a + b; }
int main(void) {
  int16_t sample;
  int sum = 0;
  while (hal_sense(&sample)) sum = add(sum, sample);
  print_int(sum);
  return 7;
}
"""
STEPS_BEYOND = "int main(void) { return *(volatile int *)0x60000000; }"
NEVER_ENDS = 'int main(void) { for (;;) __asm volatile("nop"); }'


@pytest.fixture(scope="module")
def elf(zig):
    return boards.load(BOARD).build_text({"main.c": ADDS}, compiler=zig)


@pytest.fixture
def made(zig):
    return lambda text: boards.load(BOARD).build_text({"main.c": text}, compiler=zig)


def test_a_run_apart_shows_what_a_run_here_does(elf):
    firmware = Firmware.from_bytes(elf, BOARD)
    here = boards.load(BOARD).run(firmware, [5, -7, 40], watch=["add"], budget=apart.BUDGET)
    seen = apart.run(BOARD, elf, [5, -7, 40], watch=["add"])
    assert (seen.text, seen.exit_status, seen.fault) == ("38", 7, None)
    assert seen.samples_used == 3
    assert (seen.flash_bytes, seen.ram_bytes) == (firmware.flash_bytes, firmware.ram_bytes)
    assert seen == here
    assert seen.cycles == here.cycles


WAITS = """
#include "hal.h"
#include "print.h"
#define W(address) (*(volatile uint32_t *)(address))
static volatile int rises;
void EXTI0_Handler(void) { W(0x40013C14) = 1; rises++; print("!"); }
int main(void) {
  W(0x40013C00) = 1;
  W(0x40013C08) = 1;
  W(0xE000E100) = 1u << 6;
  while (rises < 2) __asm volatile("wfi");
  return 0;
}
"""


def test_what_is_read_of_a_variable_is_told_apart_as_here(made):
    text = "static volatile char row[4]; int main(void) { return row[1] + row[3]; }"
    assert apart.run(BOARD, made(text), follow_reads="row").reads == [1, 3]


def test_a_line_rises_apart_at_the_cycles_at_which_it_rises_here(made):
    elf = made(WAITS)
    here = boards.load(BOARD).run(Firmware.from_bytes(elf, BOARD), rises=[5_000, 70_000])
    seen = apart.run(BOARD, elf, rises=np.array([5_000, 70_000]))
    assert seen.trace == here.trace
    assert [character for _, character in seen.trace] == ["!", "!"]
    assert 70_000 < seen.trace[1][0] < 70_100


def test_samples_may_be_numbers_of_numpy(elf):
    assert apart.run(BOARD, elf, np.array([1, 2], np.int16)).text == "3"


def test_a_fault_is_told_with_its_place(made):
    seen = apart.run(BOARD, made(STEPS_BEYOND))
    assert seen.exit_status is None
    assert "0x60000000, where there is nothing" in str(seen.fault)
    assert "in main" in str(seen.fault)


def test_a_firmware_that_never_returns_ends_with_its_budget(made):
    seen = apart.run(BOARD, made(NEVER_ENDS), budget=10_000)
    assert seen.out_of_budget
    assert 10_000 <= seen.instructions < 10_100


def test_one_that_takes_too_long_is_stopped_by_the_clock_and_the_next_one_runs(made, elf):
    with pytest.raises(BadInput, match=r"timed out after 0\.5 s: look for an endless loop"):
        apart.run(BOARD, made(NEVER_ENDS), budget=10**12, seconds=0.5)
    assert apart.run(BOARD, elf, [1]).text == "1"


def test_an_emulator_that_dies_is_one_line_and_the_next_one_runs(elf, monkeypatch):
    apart.run(BOARD, elf)
    apart._child._process.kill()
    with pytest.raises(BadInput, match="the emulator crashed"):
        apart.run(BOARD, elf)
    assert apart.run(BOARD, elf, [1]).text == "1"


def test_a_function_that_is_missing_is_one_line(elf):
    with pytest.raises(BadInput, match="no function multiply"):
        apart.run(BOARD, elf, watch=["multiply"])


@pytest.mark.parametrize("what", [b"", b"\x7fELF" + bytes(100), "text", None, bytes(9_000_000)])
def test_what_is_no_firmware_is_one_line(what):
    with pytest.raises(BadInput) as told:
        apart.run(BOARD, what)
    assert "\n" not in str(told.value)


def problem_with(elf):
    try:
        apart.run(BOARD, elf, [1], budget=100_000, seconds=5)
    except BadInput as problem:
        return str(problem)
    return ""


def test_damaged_firmware_ends_in_a_result_or_in_one_line(elf):
    rng = np.random.default_rng(0)
    tables = struct.unpack_from("<I", elf, 0x20)[0]  # section headers
    for number in range(60):
        spoilt = bytearray(elf)
        places = rng.integers(0, 52, 3) if number % 2 else rng.integers(tables, len(elf), 6)
        for place in places:
            spoilt[place] = rng.integers(256)
        assert "\n" not in problem_with(bytes(spoilt))


SECTION_HEADERS, PROGRAM_HEADERS = 0x2E, 0x1C


def test_a_table_of_sections_without_end_is_stopped_by_the_clock_or_refused(elf):
    spoilt = bytearray(elf)
    struct.pack_into("<H", spoilt, SECTION_HEADERS, 0)  # each entry is 0 bytes further on
    with pytest.raises(BadInput):
        apart.run(BOARD, bytes(spoilt), seconds=5)


def test_a_program_for_another_boards_flash_is_refused(zig):
    other = boards.load("nrf52840").build_text({"main.c": ADDS}, compiler=zig)
    with pytest.raises(BadInput, match="outside the memory of stm32f405"):
        apart.run(BOARD, other)


def test_a_program_without_the_boards_stack_is_refused(elf):
    spoilt = elf.replace(b"__stack_limit", b"__stack_limbo")
    with pytest.raises(BadInput, match="no stack"):
        apart.run(BOARD, spoilt)


MANY = """
import resource, sys
from medlab.edge import boards
from medlab.edge.boards.firmware import Firmware
resource.setrlimit(resource.RLIMIT_DATA, (600_000_000, 600_000_000))
firmware = Firmware.from_bytes(open(sys.argv[1], "rb").read(), "stm32f405")
board = boards.load("stm32f405")
print(sum(board.run(firmware, [n]).exit_status for n in range(60)))
"""


@pytest.mark.skipif(os.name != "posix", reason="no limits of memory here")
def test_sixty_runs_in_a_row_fit_into_the_memory_of_one(elf, tmp_path):
    (tmp_path / "a.elf").write_bytes(elf)
    command = [sys.executable, "-c", MANY, str(tmp_path / "a.elf")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "420", done.stderr
