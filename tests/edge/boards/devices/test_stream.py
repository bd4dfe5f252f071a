"""A DMA stream: it fills its ring at its own pace, whether the program looks or not."""

import pytest

from medlab.edge.boards.devices.interrupts import Stream
from medlab.edge.boards.devices.registers import ForbiddenWrite

LISR, LIFCR, CR, NDTR, M0AR = 0x00, 0x08, 0x10, 0x14, 0x1C
ON, HALF_ASKS, ERROR, HALF, FULL = 1, 1 << 3, 1 << 3, 1 << 4, 1 << 5
RING = """
#define DMA 0x40026400u
#define WORD(offset) (*(volatile uint32_t *)(DMA + (offset)))
static volatile int16_t ring[8];
static void start(void) { WORD(0x1C) = (uint32_t)ring; WORD(0x14) = 8; WORD(0x10) = 1; }
static void show(void) { for (int i = 0; i < 8; i++) { print_int(ring[i]); print(" "); } }
"""


class Memory:
    """Stands in for a machine: a clock that the test sets, and bytes."""

    def __init__(self):
        self.now, self.content, self.looks = 0, {}, 0

    def cycles(self):
        return self.now

    def write_memory(self, address, content):
        if address >= 0x1000:
            raise ForbiddenWrite("no memory")
        self.content[address] = int.from_bytes(content, "little")

    def look_at_interrupts(self):
        self.looks += 1


@pytest.fixture
def memory():
    return Memory()


@pytest.fixture
def stream(memory):
    found = Stream(0x40026400, interrupt=56, every=10)
    found.connect(memory)
    found.feed.samples = list(range(1, 8))
    found.write(M0AR, 0x100)
    found.write(NDTR, 4)
    found.write(CR, ON | HALF_ASKS)
    return found


def test_one_sample_moves_each_period_and_the_register_counts_what_is_left(stream, memory):
    memory.now = 25
    assert stream.read(NDTR) == 2
    assert memory.content == {0x100: 1, 0x102: 2}
    assert stream.next_rise() == 30


def test_half_and_whole_are_told_until_they_are_cleared(stream, memory):
    memory.now = 20
    assert stream.read(LISR) == HALF
    memory.now = 40
    assert stream.read(LISR) == HALF | FULL
    stream.write(LIFCR, HALF)
    assert stream.read(LISR) == FULL


def test_the_ring_begins_anew_and_overwrites_what_nobody_has_read(stream, memory):
    memory.now = 60
    stream.rise(60)
    assert memory.content == {0x100: 5, 0x102: 6, 0x104: 3, 0x106: 4}


def test_it_asks_for_its_interrupt_once_for_a_flag_that_is_let_through(stream):
    assert stream.number == 16 + 56
    assert not stream.rise(10)
    assert stream.rise(20)
    assert not stream.rise(40), "the whole ring is full, but its bit lets nothing through"
    assert stream.asks()
    stream.write(LIFCR, HALF)
    assert not stream.asks()


def test_at_the_end_of_the_feed_it_stops(stream, memory):
    memory.now = 1000
    stream.rise(1000)
    assert stream.feed.used == 7
    assert stream.next_rise() is None


def test_switched_off_and_on_it_begins_at_the_start_of_the_ring(stream, memory):
    memory.now = 15
    stream.write(CR, 0)
    assert stream.next_rise() is None
    stream.write(NDTR, 4)
    stream.write(CR, ON)
    memory.now = 25
    stream.rise(25)
    assert memory.content[0x100] == 2


def test_on_the_board_it_fills_memory_while_the_program_does_something_else(on_board):
    wait = "for (volatile int i = 0; i < 600; i++) {}"
    run = on_board(RING + f"int main(void) {{ start(); {wait} show(); return 0; }}", feed=range(5))
    assert run.text == "0 1 2 3 4 0 0 0 "
    assert run.samples_used == 5


def test_an_address_without_memory_is_an_error_of_the_stream_which_stops(on_board):
    code = RING + "int main(void) { WORD(0x1C) = 0x60000000u; WORD(0x14) = 8; WORD(0x10) = 1;"
    code += " while (!WORD(0)) {} print_unsigned(WORD(0)); print_unsigned(WORD(0x10)); return 0; }"
    assert on_board(code, feed=range(5)).text == f"{ERROR}0"
