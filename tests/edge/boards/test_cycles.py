"""The estimate of cycles: the table, branches that were taken, and a range."""

import pytest

from medlab.edge import boards
from medlab.edge.boards.cycles import cost


@pytest.mark.parametrize(
    ("mnemonic", "operands", "cycles"),
    [
        ("adds", "r0, r0, #1", 1),
        ("smlad", "r0, r1, r2, r0", 1),
        ("ldr.w", "r0, [r1]", 2),
        ("str", "r0, [r1]", 1),
        ("ldrd", "r0, r1, [r2]", 3),
        ("push", "{r4, r5, r6, lr}", 5),
        ("ldm.w", "r0!, {r1-r4, r8}", 6),
        ("udiv", "r0, r0, r1", 7),
        ("vmul.f32", "s0, s1, s2", 1),
        ("vdiv.f32", "s0, s1, s2", 14),
        ("ite", "eq", 0),
    ],
)
def test_an_instruction_costs_what_the_table_says(mnemonic, operands, cycles):
    assert cost(mnemonic, operands) == cycles


def test_a_load_after_a_load_overlaps():
    assert cost("ldr", "r0, [r1]", after_load=True) == 1


LOOP = """
__attribute__((naked, noinline)) void loop(int n) {
  __asm volatile("1: subs r0, #1\\n bne 1b\\n bx lr");
}
int main(void) { loop(100000); return 0; }"""


def test_a_loop_on_a_cortex_m4_costs_its_branches(on_board):
    cycles = on_board(LOOP).check().cycles
    assert cycles.likely == pytest.approx(100_000 * (1 + 1 + 2), rel=0.01)
    assert cycles.low == pytest.approx(100_000 * (1 + 1 + 1), rel=0.01)
    assert cycles.low < cycles.likely < cycles.high


def test_a_cortex_m7_has_a_range_and_no_table(on_board):
    run = on_board(LOOP, "stm32h7").check()
    assert run.cycles.low == pytest.approx(0.7 * run.instructions)
    assert run.cycles.high == pytest.approx(1.2 * run.instructions)
    low, _, high = run.cycles.milliseconds(boards.load("stm32h7").clock_hz)
    assert high / low == pytest.approx(1.2 / 0.7)
