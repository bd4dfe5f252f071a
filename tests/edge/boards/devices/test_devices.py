"""Devices as firmware meets them: the timer, and flash with the rules of NOR memory."""

import pytest

from medlab.edge import boards
from medlab.edge.boards.emulation import build_machine
from medlab.edge.boards.run import RunRequest
from medlab.errors import BadInput

FREE = {"stm32f405": 0x080E0000, "nrf52840": 0x000FF000, "stm32h7": 0x081E0000}  # last sectors
SECTOR = {"stm32f405": 0x20000, "nrf52840": 0x1000, "stm32h7": 0x20000}
STORE = """
static uint32_t words[8] = {0x12345678, 0, 0xFFFFFFFF, 1, 2, 3, 4, 5};
static void tell(uint32_t address) {
  for (int i = 0; i < 8; i++) { print_hex(*(volatile uint32_t *)(address + 4 * i)); print(" "); }
  print("\\n");
}
int main(void) {
  print_int(hal_flash_write(AT, words, sizeof words)); print("\\n");
  tell(AT);
  print_int(hal_flash_erase(AT)); print("\\n");
  tell(AT);
  print_int(hal_flash_write(AT + 4, words, sizeof words)); print("\\n");
  return 0;
}"""


@pytest.mark.parametrize("name", boards.names())
def test_flash_is_written_read_and_erased(on_board, name):
    run = on_board(STORE, name, defines={"AT": f"{FREE[name]}u"}).check()
    lines = run.text.splitlines()
    assert lines[0] == lines[2] == "0"
    assert lines[1].split() == [
        f"0x{word:08x}" for word in (0x12345678, 0, 0xFFFFFFFF, 1, 2, 3, 4, 5)
    ]
    assert lines[3].split() == ["0xffffffff"] * 8
    assert lines[4] == "-1", "an address that is no multiple of the unit is refused"


@pytest.mark.parametrize("name", boards.names())
def test_an_erase_ends_where_its_sector_ends(build, name):
    code = "int main(void) { return hal_flash_erase(AT + 64); }"
    board, firmware = build(code, name, defines={"AT": f"{FREE[name]}u"})
    machine = build_machine(board, firmware, RunRequest())
    end = FREE[name] + SECTOR[name]
    machine.uc.mem_write(FREE[name] - 4, bytes(8))
    machine.uc.mem_write(end - 4, bytes(4))
    machine.run(1_000_000)
    assert machine.core.exit_status == 0
    assert machine.read_memory(FREE[name] - 4, 8) == bytes(4) + b"\xff" * 4
    assert machine.read_memory(end - 4, 4) == b"\xff" * 4


AGAIN = """
static uint32_t first[8] = {0xFF00FF00}, second[8] = {0x0F0F0F0F};
int main(void) {
  print_int(hal_flash_write(AT, first, sizeof first));
  print_int(hal_flash_write(AT, second, sizeof second));
  print_hex(*(volatile uint32_t *)AT);
  return 0;
}"""


@pytest.mark.parametrize("name", ["stm32f405", "nrf52840"])
def test_writing_can_only_clear_bits(on_board, name):
    run = on_board(AGAIN, name, defines={"AT": f"{FREE[name]}u"}).check()
    assert run.text == "0-10x0f000f00"


def test_a_flash_with_error_correction_is_written_once_after_each_erase(on_board):
    run = on_board(AGAIN, "stm32h7", defines={"AT": f"{FREE['stm32h7']}u"})
    with pytest.raises(BadInput, match="written twice without an erase"):
        run.check()


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("stm32f405", "W(0x40023C10) = 1;", "locked: write its two keys first"),
        (
            "stm32f405",
            "W(0x40023C04) = 0x45670123; W(0x40023C04) = 1; W(0x40023C10) = 1;",
            "locked",
        ),
        (
            "stm32f405",
            "W(0x40023C04) = 0x45670123; W(0x40023C04) = 0xCDEF89AB; W(0x40023C10) = 0x201;"
            "*(volatile char *)0x080E0000 = 1;",
            "1 bytes at a time, but the controller's PSIZE",
        ),
        (
            "stm32f405",
            "W(0x40023C04) = 0x45670123; W(0x40023C04) = 0xCDEF89AB; W(0x40023C10) = 0x1007A;",
            "no flash sector 15",
        ),
        ("nrf52840", "W(0x4001E508) = 0xFF000;", "not set to be erased"),
        ("nrf52840", "W(0x4001E504) = 2; W(0x4001E508) = 0xFF004;", "no flash page begins at"),
        ("nrf52840", "W(0xFF000) = 1;", "not set to be written"),
        ("nrf52840", "W(0x4001E504) = 1; *(volatile short *)0xFF000 = 1;", "takes words of 4"),
        ("stm32h7", "W(0x5200200C) = 2;", "locked: write its two keys first"),
        (
            "stm32h7",
            "W(0x52002104) = 0x45670123; W(0x52002104) = 0xCDEF89AB; W(0x5200210C) = 2;"
            "W(0x08100020) = 1; W(0x08100028) = 1;",
            "32 bytes in a row",
        ),
        (
            "stm32h7",
            "W(0x52002104) = 0x45670123; W(0x52002104) = 0xCDEF89AB; W(0x5200210C) = 2;"
            "W(0x080E0000) = 1;",
            "the flash is locked",
        ),
    ],
)
def test_flash_that_is_used_against_its_rules_is_a_fault(on_board, name, code, says):
    head = "#define W(address) (*(volatile uint32_t *)(address))\n"
    run = on_board(f"{head}int main(void) {{ {code} return 0; }}", name)
    with pytest.raises(BadInput, match=says) as told:
        run.check()
    assert "in main" in str(told.value)


def test_code_that_was_rewritten_is_counted_as_it_runs(on_board):
    code = """
static uint16_t code[2] __attribute__((aligned(4))) = {0x4770, 0x4770}; /* bx lr */
int main(void) {
  void (*call)(void) = (void (*)(void))((uintptr_t)code | 1);
  volatile uint16_t *text = code;
  call();
  text[0] = 0xBF00; /* nop; bx lr */
  __asm volatile("dsb\\n\\tisb");
  call();
  return 0;
}"""
    run = on_board(code).check()
    assert run.by_function["?"] == 1 + 2


# --- SysTick ---

HEAD = '#include "systick.h"\n'


def test_systick_counts_instructions(on_board):
    code = f"""{HEAD}
__attribute__((naked, noinline)) void loop(int n) {{
  __asm volatile("1: subs r0, #1\\n bne 1b\\n bx lr");
}}
int main(void) {{
  systick_start(SYSTICK_LONGEST);
  uint32_t a = systick_left(); loop(1000); uint32_t b = systick_left();
  print_unsigned(systick_between(a, b));
  return 0;
}}"""
    assert abs(int(on_board(code).text) - 2001) <= 12


def test_systick_wraps_where_it_was_told_to(on_board):
    code = f"""{HEAD}
int main(void) {{
  uint32_t most = 0, least = 1000;
  systick_start(100);
  for (int i = 0; i < 1000; i++) {{
    uint32_t left = systick_left();
    if (left > most) most = left;
    if (left < least) least = left;
  }}
  print_unsigned(least); print(" "); print_unsigned(most);
  return 0;
}}"""
    least, most = map(int, on_board(code).text.split())
    assert least < 10
    assert 90 < most < 100


def test_sleep_skips_to_the_next_wrap_and_runs_no_instructions(on_board):
    code = f"""{HEAD}
int main(void) {{
  systick_start(1000000);
  for (int i = 0; i < 20; i++) systick_sleep();
  return 0;
}}"""
    run = on_board(code).check()
    assert run.instructions < 2000
    assert 19_990_000 < run.slept <= 20_000_000


def test_a_sleep_without_a_timer_that_wakes_is_a_fault(on_board):
    code = f'{HEAD}int main(void) {{ systick_start(1000); __asm volatile("wfi"); return 0; }}'
    with pytest.raises(BadInput, match="sleeps forever"):
        on_board(code).check()


@pytest.mark.parametrize("name", boards.names())
def test_the_front_end_says_at_which_samples_an_electrode_is_off(build, name):
    code = """
    int main(void) {
      int16_t sample;
      while (hal_sense(&sample)) print_int(hal_lead_off());
      return 0;
    }
    """
    board, firmware = build(code, name)
    run = board.run(firmware, [7] * 8, lead_off=[range(2, 4), range(7, 9)])
    assert run.check().text == "00110001"
    assert run.samples_used == 8
    assert board.run(firmware, [7] * 3).text == "000"


def test_systick_calls_its_handler_at_every_wrap(on_board):
    run = on_board("""
    #include "systick.h"
    static volatile int calls;
    void SysTick_Handler(void);
    void SysTick_Handler(void) { calls++; }
    int main(void) {
      systick_start(5000);
      systick_interrupt();
      while (calls < 3) __asm volatile("wfi");
      print_int(calls);
      return 0;
    }
    """)
    assert run.text == "3"
    assert 15_000 <= run.instructions + run.slept <= 16_000
