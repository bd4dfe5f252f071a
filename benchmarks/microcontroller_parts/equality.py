"""Many inputs through one model: tflite-micro, this computer, two cores in two emulators."""

import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from tests.support.edge_boards import qemu_board
from tests.support.edge_oracle import TfliteMicro, on_this_machine

from medlab.edge import boards, compile_model
from medlab.edge.boards import toolchain

NOISE = Path(__file__).with_name("noise.c")
QEMU = "qemu-system-arm"
OURS = {"m4": "stm32f405", "m7": "stm32h7"}
QEMUS = {
    "m4": ("stm32f405", ["-M", "netduinoplus2", "-serial", "null", "-serial", "stdio"]),
    "m7": ("mps2-an500", ["-M", "mps2-an500", "-serial", "stdio"]),
}
AT_ONCE = 50  # inputs in one run of an emulator


def noise(size: int, count: int) -> np.ndarray:
    """Return the inputs of noise.c, shape (count, size), int8."""
    x = np.arange(count * size, dtype=np.uint32) * np.uint32(0x9E3779B1)
    x ^= x >> 15
    x *= np.uint32(0x85EBCA77)
    x ^= x >> 13
    inputs = (x >> 24).astype(np.uint8).view(np.int8).reshape(count, size)
    inputs[0], inputs[1:2] = -128, 127
    return inputs


def hashes(outputs: np.ndarray) -> list[str]:
    """Return what noise.c prints for outputs, shape (count, size), int8."""
    sums = np.full(len(outputs), 2166136261, np.uint32)
    for column in outputs.astype(np.int8).view(np.uint8).T:
        sums = (sums ^ column) * np.uint32(16777619)
    return [f"0x{value:08x}" for value in sums]


def equal(model: bytes, count: int) -> dict[str, int]:
    """Return for host, m4, m7 and qemu's two how many of count outputs are tflite-micro's."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        compiled = compile_model(model, folder)
        inputs = noise(int(np.prod(compiled.input[0])), count)
        oracle = TfliteMicro()
        wanted = hashes(oracle.run(model, inputs))
        oracle.close()
        different = len(set(wanted))
        assert different > count / 10, f"only {different} different outputs: they prove nothing"
        host = folder / "host"
        host.mkdir()
        found = {"host": hashes(on_this_machine(model, host, ("-O2",)).run(inputs))}
        for core, name in OURS.items():
            found[core] = _printed(boards.load(name), folder, count, _emulate)
        if shutil.which(QEMU):
            for core, (name, machine) in QEMUS.items():
                running = partial(_in_qemu, machine)
                found[f"qemu_{core}"] = _printed(qemu_board(name), folder, count, running)
    return {where: sum(map(str.__eq__, got, wanted)) for where, got in found.items()}


def _printed(board, folder: Path, count: int, running) -> list[str]:
    lines = []
    for first in range(0, count, AT_ONCE):
        # qemu's STM32F405 has no clock controller.
        defines = {"FIRST": first, "LAST": min(first + AT_ONCE, count), "HAL_CLOCK_OF_RESET": 1}
        sources = [NOISE, folder / "model.c"]
        firmware = board.build(sources, folder / "noise.elf", defines, toolchain.find())
        lines += running(board, firmware).split()
    return lines


def _emulate(board, firmware) -> str:
    return board.run(firmware, budget=10**11).check().text


def _in_qemu(machine: list[str], _board, firmware) -> str:
    command = [QEMU, *machine, "-kernel", str(firmware.elf), "-display", "none"]
    command += ["-monitor", "none", "-semihosting-config", "enable=on,target=native"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=1800)
    return done.stdout
