"""qemu as a second opinion: the same ELF file prints and counts the same as here."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from tests.support import edge_models as making
from tests.support.edge_boards import qemu_board

from medlab.edge import compile_model

HEAD = '#include "hal.h"\n#include "print.h"\n#include "string.h"\n'
QEMU = "qemu-system-arm"
pytestmark = pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed")

MACHINES = {
    "stm32f405": ("netduinoplus2", ["-serial", "null", "-serial", "stdio"]),
    "mps2-an500": ("mps2-an500", ["-serial", "stdio"]),
}

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
    """Run the file on qemu's board; give output, status, addresses of instructions."""
    machine, serial = MACHINES[firmware.board]
    command = [QEMU, "-M", machine, "-kernel", firmware.elf, "-display", "none", *serial]
    command += ["-monitor", "none"]
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


@pytest.fixture(params=MACHINES)
def built(request, tmp_path, zig):
    """Build C text for a board that qemu has; give (board, firmware)."""

    def building(code, others=(), **defines):
        (tmp_path / "main.c").write_text(HEAD + code)
        board = qemu_board(request.param)
        # qemu's STM32F405 has no clock controller: both stay at the clock of reset.
        defines = {"HAL_CLOCK_OF_RESET": 1} | defines
        return board, board.build([tmp_path / "main.c", *others], tmp_path / "a.elf", defines, zig)

    return building


@pytest.mark.parametrize("status", [0, 3])
def test_qemu_prints_and_counts_the_same(built, tmp_path, status):
    board, firmware = built(WORK, STATUS=status)
    run = board.run(firmware)
    text, code, addresses = in_qemu(firmware, tmp_path / "log")
    assert (run.text, run.exit_status) == (text, code)
    assert code == status
    assert run.instructions == len(addresses)
    for name, count in run.by_function.items():
        assert count == sum(firmware.function_at(address) == name for address in addresses), name


INFER = """
#include "model.h"
static const int8_t inputs[] = {INPUTS};
int main(void) {
  for (unsigned at = 0; at < sizeof inputs; at += MODEL_INPUT_SIZE) {
    memcpy(model_input(), inputs + at, MODEL_INPUT_SIZE);
    model_invoke();
    for (int i = 0; i < MODEL_OUTPUT_SIZE; i++) { print_int(model_output()[i]); print(" "); }
  }
  return 0;
}"""


def test_qemu_infers_the_same_in_as_many_instructions(built, tmp_path):
    rng = np.random.default_rng(5)
    maker = making.Maker((1, 1, 24, 1))
    last = making.convolve(maker, rng, maker.input, 8, (1, 5), (1, 2), activation=making.RELU)
    last = making.depthwise(maker, rng, last, (1, 3), activation=making.RELU)
    making.convolve(maker, rng, last, 6, (1, 1))
    compile_model(maker.finish(), tmp_path)
    inputs = ",".join(map(str, rng.integers(-128, 128, 3 * 24)))
    board, firmware = built(INFER.replace("INPUTS", inputs), [tmp_path / "model.c"])
    run = board.run(firmware)
    text, status, addresses = in_qemu(firmware, tmp_path / "log")
    assert (run.text, run.exit_status) == (text, status)
    assert len(text.split()) == 3 * 12 * 6
    assert run.instructions == len(addresses)


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


def test_qemu_enters_the_same_handlers_in_the_same_order(built, tmp_path):
    board, firmware = built(HANDLERS)
    run = board.run(firmware)
    text, status, addresses = in_qemu(firmware, tmp_path / "log")
    assert run.text == text == "([])().[]10.50"
    assert (run.exit_status, status) == (0, 0)
    assert run.instructions == len(addresses)


INTERRUPT = """
#define W(address) (*(volatile uint32_t *)(address))
#define SEND(number) (W(0xE000E200) = 1u << (number))
static int sent;
void Default_Handler(void);
static void handler(void) {
  print("{");
  if (!sent++) W(0xE000ED04) = 1u << 28;
  if (sent == 2) SEND(6);
  __asm volatile("isb");
  print("}");
}
void PendSV_Handler(void) {
  print("(");
  SEND(6);
  __asm volatile("isb");
  print(")");
}
static uint32_t table[16 + 82] __attribute__((aligned(512)));
int main(void) {
  memcpy(table, (const void *)W(0xE000ED08), sizeof table);
  table[16 + 6] = (uint32_t)handler;
  W(0xE000ED08) = (uint32_t)table;
  W(0xE000ED20) = 0xF0u << 16;
  W(0xE000E404) = 0x20u << 16;
  SEND(6);
  __asm volatile("isb");
  print(".");
  W(0xE000E100) = 1u << 6;
  __asm volatile("isb");
  print_hex(W(0xE000E100));
  print_hex(W(0xE000E200));
  return 0;
}"""


def test_qemu_sends_a_chip_s_interrupt_to_its_handler_in_the_same_order(built, tmp_path):
    board, firmware = built(INTERRUPT)
    run = board.run(firmware)
    text, status, addresses = in_qemu(firmware, tmp_path / "log")
    assert run.text == text == ".{}({}{})0x000000400x00000000"
    assert (run.exit_status, status) == (0, 0)
    assert run.instructions == len(addresses)


CALL = """
#define W(address) (*(volatile uint32_t *)(address))
static uint32_t table[16 + 82] __attribute__((aligned(512)));
static volatile int calls;
static void handler(void) { print("{"); calls++; print("}"); }
void PendSV_Handler(void) {
  print("(");
  __asm volatile("svc #7");
  print(")");
}
int main(void) {
  memcpy(table, (const void *)W(0xE000ED08), sizeof table);
  table[11] = (uint32_t)handler;
  W(0xE000ED08) = (uint32_t)table;
  W(0xE000ED20) = 0xF0u << 16;
  __asm volatile("svc #0");
  print(".");
  W(0xE000ED04) = 1u << 28;
  __asm volatile("isb");
  return calls;
}"""


def test_qemu_answers_a_supervisor_call_at_the_same_instruction(built, tmp_path):
    board, firmware = built(CALL)
    run = board.run(firmware)
    text, status, addresses = in_qemu(firmware, tmp_path / "log")
    assert run.text == text == "{}.({})"
    assert run.exit_status == status == 2
    assert run.instructions == len(addresses)
