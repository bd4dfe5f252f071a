"""The emulated core: counts that are exact, and ends that are told."""

import random

import pytest
import unicorn

from medlab.edge import boards
from medlab.edge.boards.emulation import build_machine
from medlab.edge.boards.emulator.blocks import instruction_offsets
from medlab.edge.boards.run import RunRequest
from medlab.errors import BadInput

HEAD = '#include "hal.h"\n#include "print.h"\n'
WORK = """
static volatile unsigned sink;
static __attribute__((noinline)) unsigned collatz(unsigned n) {
  unsigned steps = 0;
  while (n != 1) { n = n & 1 ? 3 * n + 1 : n / 2; steps++; }
  return steps;
}
int main(void) {
  int16_t sample;
  while (hal_sense(&sample)) sink += collatz((unsigned)sample);
  print_float((float)sink / 3, 3);
  return 0;
}
"""


def counted_singly(board, firmware, feed):
    """Instructions of a run, counted one at a time: slower, and by other means.

    unicorn does not report a conditional instruction whose condition fails: the IT instruction
    before it says how many there are.
    """
    machine = build_machine(board, firmware, RunRequest(feed))
    count, conditional = [0], [set()]

    def one_more(_uc, address, _size, _data):
        if address in conditional[0]:
            return
        conditional[0] = under_condition(machine, address)
        count[0] += 1 + len(conditional[0])

    machine.uc.hook_add(unicorn.UC_HOOK_CODE, one_more)
    machine.run(10_000_000)
    return count[0]


def under_condition(machine, address):
    """The addresses of the instructions that an IT instruction governs."""
    code = machine.read_memory(address, 18)
    mask = code[0] & 0xF
    if code[1] != 0xBF or not mask:
        return set()
    governed = 4 - (mask & -mask).bit_length() + 1
    return {address + offset for offset in list(instruction_offsets(code))[1 : governed + 1]}


@pytest.mark.parametrize("name", ["stm32f405", "nrf52840", "stm32h7"])
def test_instructions_are_counted_exactly(build, name):
    board, firmware = build(WORK, name)
    run = board.run(firmware, [27, 97, 871])
    assert run.exit_status == 0
    assert run.instructions == counted_singly(board, firmware, [27, 97, 871])


def test_two_runs_are_equal_to_the_instruction(build):
    board, firmware = build(WORK)
    first, second = (board.run(firmware, [27, 97]) for _ in range(2))
    assert first.by_function == second.by_function
    assert first.uart == second.uart


def test_functions_sum_to_all_instructions(on_board):
    run = on_board(WORK, feed=[27])
    assert sum(run.by_function.values()) == run.instructions
    assert "?" not in run.by_function


def test_a_loop_of_known_length_counts_as_written(on_board):
    code = """
__attribute__((naked, noinline)) void loop(int n) {
  __asm volatile("1: subs r0, #1\\n nop.w\\n nop\\n bne 1b\\n bx lr");
}
int main(void) { loop(1000); loop(10); return 0; }"""
    run = on_board(code, watch=["loop"])
    assert run.calls["loop"] == [4001, 41]
    assert run.by_function["loop"] == 4042


def test_calls_of_a_watched_function_count_what_it_calls(on_board):
    run = on_board(WORK, feed=[1, 3], watch=["collatz", "main"])
    inner, outer = run.calls["collatz"], run.calls["main"]
    assert len(inner) == 2
    assert inner[0] < inner[1]
    assert len(outer) == 1
    assert sum(inner) < outer[0] < run.instructions


def test_watching_a_function_that_is_not_there_is_one_line(on_board):
    with pytest.raises(BadInput, match="has no function nix"):
        on_board(WORK, watch=["nix"])


def test_watching_a_weak_function_that_nobody_defined_is_one_line(on_board):
    code = "__attribute__((weak)) int nix(int); int main(void) { return nix ? nix(1) : 0; }"
    with pytest.raises(BadInput, match=r"has no function nix: define it under this name"):
        on_board(code, watch=["nix"])


def test_lengths_of_instructions_agree_with_a_disassembler():
    capstone = pytest.importorskip("capstone")
    engine = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    code = bytes.fromhex("80b5 0120 4ff00010 40f20001 fee7 e8bf 10fb02f3 00bf f8d00010 7047")
    assert list(instruction_offsets(code)) == [i.address for i in engine.disasm(code, 0)]


# --- memory ---


def test_the_stack_is_measured_to_the_word(on_board):
    code = """
static __attribute__((noinline)) int deep(int n) {
  volatile char room[256];
  for (int i = 0; i < 256; i++) room[i] = (char)n;
  return n ? deep(n - 1) + room[n] : room[0];
}
int main(void) { return deep(DEPTH) & 0; }"""
    shallow = on_board(code, defines={"DEPTH": 2}).stack_bytes
    deep = on_board(code, defines={"DEPTH": 6}).stack_bytes
    frame, rest = divmod(deep - shallow, 4)
    assert rest == 0
    assert 256 < frame < 300


def test_variables_get_their_first_values_and_the_rest_is_zero(on_board):
    code = """
static int set[4] = {1, 2, 3, 4};
static int clear[100];
int main(void) {
  int sum = 0;
  for (int i = 0; i < 100; i++) sum += clear[i] != 0;
  print_int(set[0] + set[3]); print(" "); print_int(sum); clear[set[1]++] = 1;
  return 0;
}"""
    assert on_board(code).text == "5 0"


def test_memory_functions_do_what_their_names_say(on_board):
    code = """
static unsigned char a[64], b[64];
static unsigned sum(const unsigned char *p) {
  unsigned s = 0;
  for (int i = 0; i < 64; i++) s = s * 31 + p[i];
  return s;
}
int main(void) {
  int wrong = 0;
  for (int shift = 0; shift < 4; shift++)
    for (int n = 0; n < 40; n++) {
      for (int i = 0; i < 64; i++) { a[i] = (unsigned char)(i * 7 + 1); b[i] = 0; }
      memcpy(b + shift, a + (n & 3), n);
      for (int i = 0; i < 64; i++) {
        int in = i >= shift && i < shift + n;
        wrong += b[i] != (in ? a[i - shift + (n & 3)] : 0);
      }
      memset(b + shift, 0x5A, n);
      for (int i = 0; i < 64; i++) wrong += b[i] != (i >= shift && i < shift + n ? 0x5A : 0);
      memmove(a + 2, a, n);
      for (int i = 0; i < n; i++) wrong += a[i + 2] != (unsigned char)(i * 7 + 1);
      memmove(a, a + 2, n);
      for (int i = 0; i < n; i++) wrong += a[i] != (unsigned char)(i * 7 + 1);
    }
  print_int(wrong); print_int(memcmp("abc", "abd", 3) < 0); print_int(memcmp(a, a, 64));
  return (int)sum(a) & 0;
}"""
    assert on_board(code).text == "010"


# --- ends ---


FAULTS = [
    ("*(volatile int *)0x60000000 = 1;", r"write of 4 bytes at 0x60000000, where there is nothing"),
    ("sink = *(volatile char *)0x60000003;", "read of 1 bytes at 0x60000003"),
    ("sink = *(volatile int *)0;", "read of 4 bytes at 0x00000000"),
    ("*(volatile int *)0x40000FF0 = 1;", "write of 4 bytes at 0x40000ff0"),
    ("((void (*)(void))0x60000001)();", "fetch of an instruction.* at 0x60000000"),
    ('__asm volatile("udf #0");', "an undefined instruction"),
    ('__asm volatile("svc #0");', "supervisor call"),
    ('__asm volatile("bkpt #1");', "a breakpoint"),
    ('__asm volatile("wfi");', "sleeps forever"),
    ("*(volatile int *)0x08001000 = 1;", "to flash at 0x08001000: the flash is locked"),
    ("*(volatile int *)0x20020000 = 1;", "write of 4 bytes at 0x20020000"),
]


@pytest.fixture(scope="module")
def culprits(tmp_path_factory, zig):
    """A firmware whose first sample says in which function it goes wrong."""
    code = HEAD + "static volatile int sink;\n"
    for number, (wrong, _) in enumerate(FAULTS):
        code += f"__attribute__((noinline)) void culprit{number}(void) {{ {wrong} }}\n"
    cases = "".join(f"case {number}: culprit{number}(); break;" for number in range(len(FAULTS)))
    code += f"""int main(void) {{
  int16_t which; print("so far"); hal_sense(&which); switch (which) {{ {cases} }}
  return sink + 1; }}"""
    source = tmp_path_factory.mktemp("culprits") / "main.c"
    source.write_text(code)
    board = boards.load("stm32f405")
    return board, board.build([source], source.with_suffix(".elf"), compiler=zig)


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=[says for _, says in FAULTS])
def test_a_fault_says_what_and_in_which_function(culprits, number):
    board, firmware = culprits
    run = board.run(firmware, [number], budget=100_000)
    assert (run.text, run.exit_status) == ("so far", None)
    assert run.fault.function == f"culprit{number}"
    with pytest.raises(BadInput, match=FAULTS[number][1]) as told:
        run.check()
    assert f"at pc 0x{run.fault.pc:08x} in culprit{number}" in str(told.value)


def test_a_fault_names_the_very_instruction_and_counts_up_to_it(build):
    code = """
__attribute__((naked, noinline)) void culprit(void) {
  __asm volatile("mov.w r0, #0x60000000\\n nop\\n ldr r1, [r0]\\n nop\\n nop\\n bx lr");
}
int main(void) { culprit(); return 0; }"""
    board, firmware = build(code)
    run = board.run(firmware)
    assert run.fault.pc == firmware.symbols["culprit"] + 6
    assert run.by_function["culprit"] == 3
    assert sum(run.by_function.values()) == run.instructions


def test_a_fault_after_millions_of_instructions_is_found_as_fast(on_board):
    code = """
int main(void) {
  volatile unsigned *at = (unsigned *)0x20000400;
  for (unsigned i = 0;; i++) { at[i & 7] = i; if (i == 1000000) at = 0; }
}"""
    run = on_board(code, budget=50_000_000)
    assert run.instructions > 3_000_000
    assert run.fault.function == "main"
    assert "write of 4 bytes at 0x00000004" in run.fault.what


@pytest.mark.parametrize(
    "wrong",
    [
        'register int r0 __asm("r0") = 0x20; register int r1 __asm("r1") = 0x70000000;'
        '__asm volatile("bkpt 0xab" :: "r"(r0), "r"(r1));',
        "*(volatile unsigned *)0xE000ED04 = 1u << 28;"
        '__asm volatile("mov sp, %0\\n isb" :: "r"(16));',
        '__asm volatile("bx %0" :: "r"(0xFFFFFFF9));',
    ],
)
def test_a_core_that_has_lost_its_way_is_a_fault_not_a_crash(on_board, wrong):
    with pytest.raises(BadInput, match="at pc 0x"):
        on_board(f"int main(void) {{ {wrong} return 0; }}").check()


def test_firmware_that_never_returns_is_stopped_by_its_budget(on_board):
    run = on_board("int main(void) { print(\"in\"); for (;;) hal_put('.'); }", budget=50_000)
    assert 50_000 <= run.instructions < 50_100
    assert run.text.startswith("in..")
    with pytest.raises(BadInput, match="did not return within 50,000 instructions"):
        run.check()


def test_the_exit_status_is_what_main_returned(build):
    board, firmware = build("int main(void) { int16_t s = 0; hal_sense(&s); return s; }")
    found = [board.run(firmware, [status]).exit_status for status in (0, 1, 255, -1)]
    assert found == [0, 1, 255, -1]


def test_exit_with_ends_at_once(on_board):
    run = on_board('int main(void) { exit_with(4); print("not reached"); return 0; }')
    assert (run.exit_status, run.text) == (4, "")


# --- printing ---


def test_numbers_print_as_python_writes_them(on_board):
    numbers = [0, 1, -1, 10, 99, -2147483648, 2147483647]
    calls = "".join(
        f'print_int({n if n > -2147483648 else "-2147483647 - 1"}); print(" ");' for n in numbers
    )
    run = on_board(f"int main(void) {{ {calls} print_hex(0xBEEF); return 0; }}")
    assert run.text.split() == [*map(str, numbers), "0x0000beef"]


def test_floats_print_rounded_to_their_decimals(on_board):
    rng = random.Random(1)
    numbers = [rng.uniform(-1000, 1000) for _ in range(20)] + [0.0, 0.999, -0.0004, 1.5, 99.995]
    calls = "".join(f'print_float({n!r}f, 2); print(" ");' for n in numbers)
    run = on_board(f"int main(void) {{ {calls} return 0; }}")
    got = [float(word) for word in run.text.split()]
    assert all(abs(a - b) < 0.00506 for a, b in zip(got, numbers, strict=True))
    assert all(len(word.partition(".")[2]) == 2 for word in run.text.split())


def test_floats_that_are_no_numbers_print_as_words(on_board):
    code = """
int main(void) {
  volatile float zero = 0;
  print_float(zero / zero, 1); print(" "); print_float(-1 / zero, 1); print(" ");
  print_float(1e20f, 1); print(" "); print_float(4e9f, 0);
  return 0;
}"""
    assert on_board(code).text == "nan -inf big 4000000000"


ARENA = """
static char arena[64];
static volatile char *const at = arena;
int main(void) { at[3] = 1; at[WRITTEN] = 0; return at[50]; }
"""


@pytest.mark.parametrize("written", [2, 40, 63])
def test_the_arena_is_followed_up_to_the_last_byte_that_main_writes(build, written):
    board, firmware = build(ARENA, defines={"WRITTEN": written})
    assert board.run(firmware, follow_arena=True).arena_bytes == max(written, 3) + 1
    assert board.run(firmware).arena_bytes is None


READS = """
#include <stdint.h>
static volatile int8_t row[8] __attribute__((aligned(4)));
int main(void) { row[7] = 1; return row[0] + (int)*(volatile uint32_t *)(row + READ_AT); }
"""


@pytest.mark.parametrize(("at", "read"), [(0, [0, 1, 2, 3]), (4, [0, 4, 5, 6, 7]), (6, [0, 6, 7])])
def test_of_a_followed_variable_every_byte_that_is_read_is_noted(build, at, read):
    board, firmware = build(READS, defines={"READ_AT": at})
    assert board.run(firmware, follow_reads="row").reads == read
    assert board.run(firmware).reads is None


def test_following_a_variable_that_is_not_there_is_one_line(build):
    board, firmware = build(READS, defines={"READ_AT": 0})
    with pytest.raises(BadInput, match="has 0 variables column"):
        board.run(firmware, follow_reads="column")


def test_firmware_without_an_arena_has_no_mark_of_one(build):
    board, firmware = build("int main(void) { return 0; }")
    assert board.run(firmware, follow_arena=True).arena_bytes is None
