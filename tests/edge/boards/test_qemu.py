"""qemu as a second opinion: the same ELF file prints and counts the same as here."""

import re
import shutil
import subprocess

import pytest

QEMU = "qemu-system-arm"
pytestmark = pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed")

WORK = """
static unsigned char table[256];
static __attribute__((noinline)) unsigned mixed(unsigned n) {
  unsigned steps = 0;
  while (n != 1) { n = n & 1 ? 3 * n + 1 : n / 2; table[steps++ & 255] ^= (unsigned char)n; }
  return steps;
}
int main(void) {
  static const float numbers[3] = {1.5f, -0.25f, 100.125f};
  memset(table, 7, sizeof table);
  print_unsigned(mixed(27) + mixed(97)); print("\\n");
  for (int i = 0; i < 3; i++) { print_float(numbers[i] / 3, 3); print(" "); }
  print_unsigned(table[3] % 10);
  return STATUS;
}"""


def in_qemu(firmware, log):
    """Run the file on qemu's STM32F405 board; give output, status, addresses of instructions."""
    command = [QEMU, "-M", "netduinoplus2", "-kernel", firmware.elf, "-display", "none"]
    command += ["-monitor", "none", "-serial", "null", "-serial", "stdio"]
    command += ["-semihosting-config", "enable=on,target=native"]
    command += [*one_at_a_time(), "-d", "exec,nochain", "-D", log]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    trace = re.findall(r"^Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/", log.read_text(), re.M)
    return done.stdout, done.returncode, [int(address, 16) for address in trace]


def one_at_a_time():
    """The option for blocks of one instruction; it changed its name."""
    said = subprocess.run([QEMU, "--help"], capture_output=True, text=True, check=True).stdout
    new = "-one-insn-per-tb" in said or "one-insn-per-tb" in said
    return ["-accel", "tcg,one-insn-per-tb=on"] if new else ["-singlestep"]


@pytest.mark.parametrize("status", [0, 3])
def test_qemu_prints_and_counts_the_same(build, tmp_path, status):
    # qemu's board has no clock controller, so both stay at the clock of reset.
    board, firmware = build(WORK, defines={"HAL_CLOCK_OF_RESET": 1, "STATUS": status})
    run = board.run(firmware)
    text, code, addresses = in_qemu(firmware, tmp_path / "log")
    assert (run.text, run.exit_status) == (text, code)
    assert code == status
    assert run.instructions == len(addresses)
    for name, count in run.by_function.items():
        assert count == sum(firmware.function_at(address) == name for address in addresses), name


HANDLERS = """
#define W(address) (*(volatile uint32_t *)(address))
#define PEND(bit) (W(0xE000ED04) = 1u << (bit))
static volatile int ticks, pends;
static volatile float kept = 1.5f;
void SysTick_Handler(void) {
  print("[");
  kept = kept * 2;
  if (!pends++) PEND(28);
  print("]");
}
void PendSV_Handler(void) {
  print("(");
  if (ticks++ < 1) PEND(26);
  __asm volatile("isb");
  print(")");
}
int main(void) {
  float mine = kept * 3;
  W(0xE000ED20) = 0xF0u << 16 | 0x10u << 24;
  PEND(28);
  __asm volatile("isb");
  __asm volatile("cpsid i");
  PEND(26);
  print(".");
  __asm volatile("cpsie i\\n isb");
  print_float(mine + kept, 2);
  return 0;
}"""


def test_qemu_enters_the_same_handlers_in_the_same_order(build, tmp_path):
    board, firmware = build(HANDLERS, defines={"HAL_CLOCK_OF_RESET": 1})
    run = board.run(firmware)
    text, status, addresses = in_qemu(firmware, tmp_path / "log")
    assert run.text == text == "([])().[]10.50"
    assert (run.exit_status, status) == (0, 0)
    assert run.instructions == len(addresses)
