"""Interrupt handlers on the emulated core: entered, left, nested, masked; and a scheduler."""

import pytest

from medlab.errors import BadInput

HEAD = """
#include "systick.h"
#define W(address) (*(volatile uint32_t *)(address))
#define TICK_ON() (W(0xE000E010) |= 2u)
#define PEND(bit) (W(0xE000ED04) = 1u << (bit))
#define PRIORITIES(pendsv, systick) (W(0xE000ED20) = (pendsv) << 16 | (uint32_t)(systick) << 24)
static volatile int ticks, pends;
static int quiet;
"""
COUNTING = HEAD + "void SysTick_Handler(void) { ticks++; }\n"


def test_systick_enters_its_handler_at_every_wrap(on_board):
    code = """
int main(void) {
  systick_start(1000);
  TICK_ON();
  while (ticks < 100) {}
  return 0;
}"""
    run = on_board(COUNTING + code, watch=["main"]).check()
    assert run.calls["main"][0] == pytest.approx(100_000, rel=0.001)
    assert run.by_function["SysTick_Handler"] % 100 == 0


def test_a_handler_leaves_what_it_interrupts_as_it_was(on_board):
    code = """
static __attribute__((noinline)) unsigned work(void) {
  unsigned hash = 1;
  pends++; /* so that no compiler thinks that a second call can be left out */
  float sum = 0.5f;
  for (unsigned i = 0; i < 20000; i++) {
    hash = (hash << 5 | hash >> 27) ^ i * 2654435761u;
    if (hash & 4) hash += 7;
    sum = sum * 0.5f + (float)(hash & 255);
  }
  return hash ^ (unsigned)sum;
}
int main(void) {
  volatile unsigned undisturbed = work();
  systick_start(PERIOD);
  TICK_ON();
  volatile unsigned disturbed = work();
  print_int(undisturbed == disturbed);
  return ticks < 1000;
}"""
    busy = """
void SysTick_Handler(void) {
  volatile float f = (float)ticks;
  ticks++;
  f = f * 3 + 1;
}
"""
    run = on_board(HEAD + busy + code, defines={"PERIOD": 97}).check()
    assert (run.text, run.exit_status) == ("1", 0)


def test_a_masked_interrupt_waits_until_it_is_let_in(on_board):
    code = """
int main(void) {
  systick_start(100);
  TICK_ON();
  __asm volatile("cpsid i");
  for (volatile int i = 0; i < 1000; i++) {}
  print_int(ticks);
  __asm volatile("cpsie i");
  __asm volatile("isb");
  print_int(ticks);
  return 0;
}"""
    assert on_board(COUNTING + code).check().text == "01"


def test_basepri_holds_back_what_is_not_more_urgent(on_board):
    code = """
int main(void) {
  PRIORITIES(0x80, 0);
  __asm volatile("msr basepri, %0" :: "r"(0x80));
  PEND(28);
  __asm volatile("isb");
  print_int(pends);
  __asm volatile("msr basepri, %0" :: "r"(0x90));
  __asm volatile("isb");
  print_int(pends);
  return 0;
}"""
    handler = "void PendSV_Handler(void) { pends++; }\n"
    assert on_board(HEAD + handler + code).check().text == "01"


NEST = """
void SysTick_Handler(void) { print("["); if (!pends++) PEND(28); print("]"); }
void PendSV_Handler(void) {
  print("(");
  if (ticks++ < 1) PEND(26);
  __asm volatile("isb");
  print(")");
}
int main(void) {
  PRIORITIES(LOW, HIGH);
  PEND(FIRST);
  __asm volatile("isb");
  print(".");
  return 0;
}"""


@pytest.mark.parametrize(
    ("low", "high", "first", "said"),
    [
        # PendSV is less urgent: SysTick breaks into it, and it waits for SysTick.
        (0xF0, 0x10, 28, "([])()."),
        (0xF0, 0x10, 26, "[]([])."),
        # Equally urgent: one after the other.
        (0x40, 0x40, 28, "()[]()."),
    ],
)
def test_the_more_urgent_handler_goes_first(on_board, low, high, first, said):
    run = on_board(HEAD + NEST, defines={"LOW": low, "HIGH": high, "FIRST": first}).check()
    assert run.text == said


TASKS = """
static uint32_t stacks[2][256] __attribute__((aligned(8)));
static uint32_t *tops[2];
static volatile int current, switches, finished;

__attribute__((used)) uint32_t *next_stack(uint32_t *top) {
  tops[current] = top;
  current ^= 1;
  switches++;
  return tops[current];
}
__attribute__((naked)) void PendSV_Handler(void) {
  __asm volatile(
      "mrs r0, psp\\n tst lr, #16\\n it eq\\n vstmdbeq r0!, {s16-s31}\\n stmdb r0!, {r4-r11, lr}\\n"
      "bl next_stack\\n"
      "ldmia r0!, {r4-r11, lr}\\n tst lr, #16\\n it eq\\n vldmiaeq r0!, {s16-s31}\\n msr psp, r0\\n"
      "bx lr");
}
static unsigned results[2], expected[2];
static void task(int number) {
  float kept[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  unsigned hash = (unsigned)number + 1;
  for (unsigned i = 0; i < 600; i++) {
    hash = hash * 1664525u + 1013904223u;
    for (int k = 0; k < 8; k++) kept[k] = kept[k] * 0.75f + (float)(hash >> 24);
    YIELD;
  }
  for (int k = 0; k < 8; k++) hash ^= (unsigned)kept[k] << k;
  results[number] = hash;
  finished++;
}
static void expect(int number) {
  quiet = 1;
  task(number);
  expected[number] = results[number];
  results[number] = 0;
  quiet = finished = 0;
}
__attribute__((noinline)) void first(void) {
  task(0);
  while (finished < 2) { YIELD; }
  print_int(results[0] == expected[0]);
  print_int(results[1] == expected[1]);
  print(switches > 20 ? " switched" : " too few");
  exit_with(finished - 2);
}
__attribute__((noinline)) void second(void) {
  task(1);
  for (;;) { YIELD; }
}
"""
START = """
int main(void) {
  uint32_t *top = stacks[1] + 256 - 8;
  expect(0);
  expect(1);
  for (int i = 0; i < 8; i++) top[i] = 0;
  top[6] = (uint32_t)second;
  top[7] = 1u << 24;
  *--top = 0xFFFFFFFDu;
  tops[1] = top - 8;
  PRIORITIES(0xF0, 0x10);
  BEGIN;
  __asm volatile("msr psp, %0\\n msr control, %1\\n isb\\n b first"
                 :: "r"(stacks[0] + 256), "r"(2));
  return 9;
}"""
BY_TIMER = """
#define YIELD (void)0
#define BEGIN systick_start(500); TICK_ON()
void SysTick_Handler(void) { PEND(28); }
"""
BY_YIELD = """
#define YIELD if (!quiet) { PEND(28); __asm volatile("isb"); }
#define BEGIN (void)0
"""


@pytest.mark.parametrize("how", [BY_TIMER, BY_YIELD], ids=["by the timer", "when they yield"])
@pytest.mark.parametrize("board", ["stm32f405", "stm32h7"])
def test_a_scheduler_switches_tasks_and_none_notices(on_board, how, board):
    # Each task keeps integers and floats, and must come to what it comes to alone.
    run = on_board(HEAD + how + TASKS + START, board).check()
    assert (run.text, run.exit_status) == ("11 switched", 0)


def test_sleeping_until_the_handler_has_run(on_board):
    code = """
int main(void) {
  systick_start(1000000);
  TICK_ON();
  while (ticks < 10) __asm volatile("wfi");
  return 0;
}"""
    run = on_board(COUNTING + code).check()
    assert run.instructions < 2000
    assert run.slept == pytest.approx(10_000_000, rel=0.01)


def test_a_vector_table_that_was_moved_is_used(on_board):
    code = """
static uint32_t table[32] __attribute__((aligned(256)));
static void moved(void) { print("moved"); }
void PendSV_Handler(void) { print("first "); }
int main(void) {
  PEND(28);
  __asm volatile("isb");
  table[14] = (uint32_t)moved;
  W(0xE000ED08) = (uint32_t)table;
  PEND(28);
  __asm volatile("isb");
  return 0;
}"""
    assert on_board(HEAD + code).check().text == "first moved"


def test_an_interrupt_that_nobody_handles_ends_where_a_debugger_finds_it(on_board):
    code = HEAD + 'int main(void) { PEND(28); __asm volatile("isb"); return 0; }'
    with pytest.raises(BadInput, match=r"sleeps forever.*in Default_Handler"):
        on_board(code).check()


def test_a_fault_in_a_handler_is_told(on_board):
    handler = "void PendSV_Handler(void) { W(0x60000000) = 1; }\n"
    run = on_board(HEAD + handler + 'int main(void) { PEND(28); __asm volatile("isb"); return 0; }')
    assert run.fault.function == "PendSV_Handler"
    assert "0x60000000" in run.fault.what


# --- a line: an interrupt from outside ---

LINE = (
    HEAD
    + """
#define EXTI(offset) W(0x40013C00 + (offset))
#define CLEAR_LINE() (EXTI(0x14) = 1u)
#define LINE_ON(priority) \\
  (EXTI(0x00) = 1u, EXTI(0x08) = 1u, W(0xE000E404) = (uint32_t)(priority) << 16, \\
   W(0xE000E100) = 1u << 6)
"""
)
COUNTING_LINE = LINE + 'void EXTI0_Handler(void) { CLEAR_LINE(); pends++; print("!"); }\n'
SLEEPING = """
int main(void) {
  LINE_ON(0);
  while (pends < 3) __asm volatile("wfi");
  return 0;
}"""
BUSY = """
int main(void) {
  LINE_ON(0);
  while (pends < 3) { }
  return 0;
}"""


@pytest.mark.parametrize("code", [SLEEPING, BUSY], ids=["asleep", "busy"])
def test_a_rising_line_enters_its_handler_at_once(on_board, code):
    rises = [5_000, 9_001, 20_000]
    run = on_board(COUNTING_LINE + code, rises=rises).check()
    assert run.text == "!!!"
    late = [answer - rise for rise, answer in zip(rises, run.uart_at, strict=True)]
    assert all(0 < cycles < 60 for cycles in late), late


def test_a_line_that_rises_twice_while_masked_is_answered_once(on_board):
    code = """
int main(void) {
  LINE_ON(0);
  __asm volatile("cpsid i");
  for (volatile int i = 0; i < 1000; i++) {}
  __asm volatile("cpsie i\\n isb");
  print(".");
  return pends;
}"""
    run = on_board(COUNTING_LINE + code, rises=[2_000, 3_000]).check()
    assert (run.text, run.exit_status) == ("!.", 1)


def test_a_line_that_nobody_let_in_is_silent(on_board):
    code = """
int main(void) {
  if (STEPS > 0) EXTI(0x08) = 1u;
  if (STEPS > 1) EXTI(0x00) = 1u;
  if (STEPS > 2) W(0xE000E100) = 1u << 6;
  for (volatile int i = 0; i < 2000; i++) {}
  return pends + (int)EXTI(0x14) * 10;
}"""
    status = [
        on_board(COUNTING_LINE + code, rises=[2_000], defines={"STEPS": n}).check().exit_status
        for n in range(4)
    ]
    assert status == [0, 10, 10, 1]


def test_a_line_that_is_not_cleared_comes_back(on_board):
    code = """
void EXTI0_Handler(void) { if (++pends == 3) CLEAR_LINE(); }
int main(void) {
  LINE_ON(0);
  for (volatile int i = 0; i < 2000; i++) {}
  return pends;
}"""
    assert on_board(LINE + code, rises=[2_000]).check().exit_status == 3


@pytest.mark.parametrize(("line", "tick", "said"), [(0x20, 0x10, "[]!"), (0x10, 0x20, "[!]")])
def test_a_line_breaks_into_what_is_less_urgent(on_board, line, tick, said):
    code = """
void SysTick_Handler(void) {
  W(0xE000E010) = 0;
  print("[");
  W(0xE000E200) = 1u << 6; /* as if the line had risen */
  __asm volatile("isb");
  print("]");
}
int main(void) {
  PRIORITIES(0xF0, TICK);
  LINE_ON(LINE);
  PEND(26);
  __asm volatile("isb");
  return 0;
}"""
    run = on_board(COUNTING_LINE + code, defines={"LINE": line, "TICK": tick}).check()
    assert run.text == said


def test_a_board_without_a_line_says_so(on_board):
    with pytest.raises(BadInput, match="nrf52840 has no line"):
        on_board("int main(void) { return 0; }", "nrf52840", rises=[1])


def test_a_core_that_waits_for_a_line_that_never_rises_is_told(on_board):
    with pytest.raises(BadInput, match="sleeps forever"):
        on_board(COUNTING_LINE + SLEEPING, rises=[5_000]).check()


# --- SVC: a program asks for a handler ---

CALLING = """
void SVC_Handler(void) { print("call"); pends++; }
void SysTick_Handler(void) {
  print("[");
  __asm volatile("svc #0");
  print("]");
}
int main(void) {
  W(0xE000ED1C) = (uint32_t)(CALL) << 24;
  PRIORITIES(0xF0, 0x40);
  print("<");
  __asm volatile("svc #3");
  print(">");
  PEND(26);
  __asm volatile("isb");
  return pends;
}"""


def test_a_supervisor_call_enters_its_handler_at_once(on_board):
    run = on_board(HEAD + CALLING, defines={"CALL": "0x20"}).check()
    assert (run.text, run.exit_status) == ("<call>[call]", 2)


def test_a_supervisor_call_that_may_not_interrupt_is_a_fault(on_board):
    run = on_board(HEAD + CALLING, defines={"CALL": "0x40"})
    assert run.text == "<call>["
    assert "supervisor call" in run.fault.what
    assert run.fault.function == "SysTick_Handler"
