"""Models on emulated microcontrollers: instructions, flash, RAM and stack, counted exactly.

    python -m benchmarks.microcontroller                # recorded
    python -m benchmarks.microcontroller --inputs 2     # to develop; recorded nowhere

Every output is compared with tflite-micro's first; one that differs stops the run. kws and ic are
the keyword and image reference models of MLPerf Tiny, from MEDLAB_REALDATA/models; vww and ad have
the shapes of its other two with random weights, and so has ecg: they say what a model of that size
costs, nothing about images or hearts.
"""

import argparse
import json
import statistics
import tempfile
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
from tests.support.edge_oracle import TfliteMicro

from benchmarks.microcontroller_parts import equality, networks
from benchmarks.record import record
from medlab.edge import boards, compile_model
from medlab.edge.boards import toolchain
from medlab.edge.compiler.tflite import read_model
from medlab.figures import Figure

BOARDS = {"m4": "stm32f405", "m7": "stm32h7"}
INPUTS = 20
PACKAGES = ("unicorn", "ziglang", "tflite-micro")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=INPUTS)
    count = parser.parse_args().inputs
    found, oracle = [], TfliteMicro()
    for name, model in networks.models().items():
        inputs = equality.noise(int(np.prod(read_model(model).input.shape)), count)
        wanted = oracle.run(model, inputs).tolist()
        for core in BOARDS:
            found += figures(name, core, model, inputs, wanted)
            print(f"{name} on {core}: {count} outputs equal", flush=True)
    if count == INPUTS:
        compilers = {kind: found.name for kind, found in installed().items()}
        record(__file__, found, {n: metadata.version(n) for n in PACKAGES} | compilers)
    else:
        print(json.dumps({f.name: f.value for f in found}, indent=2))


def installed() -> dict[str, toolchain.Toolchain]:
    """Return the compilers that are there: gcc, zig or both."""
    kinds = ["zig"] + (["gcc"] if toolchain.find().kind == "gcc" else [])
    return {kind: toolchain.find(kind) for kind in sorted(kinds)}


def figures(name, core, model, inputs, wanted) -> list[Figure]:
    """Return the figures of a model on a core: by gcc where it is there, and zig's instructions."""
    compilers = installed()
    first = compilers.get("gcc", compilers["zig"])
    made = _of_compiler(f"{name}/{core}", core, model, inputs, wanted, first)
    if first.kind == "gcc":
        zig = _of_compiler(f"{name}/{core}", core, model, inputs, wanted, compilers["zig"])
        made.append(replace(zig[0], name=f"{name}/{core}/instructions_zig"))
    return made


def _of_compiler(prefix, core, model, inputs, wanted, compiler) -> list[Figure]:
    board = boards.load(BOARDS[core])
    main_c = boards.find_hardware_labs() / "bench" / "main.c"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        compiled = compile_model(model, out / "model")
        sources = [main_c, out / "model" / "model.c"]
        firmware = board.build(sources, out / "bench.elf", compiler=compiler)
        without = board.build([main_c], out / "no.elf", {"WITHOUT_MODEL": 1}, compiler)
        run = board.run(firmware, inputs.ravel(), budget=10**10, watch=["model_invoke"]).check()
        return _figures(prefix, run, without, wanted, compiled, compiler)


def _figures(prefix, run, without, wanted, compiled, compiler) -> list[Figure]:
    got = [[int(value) for value in line.split()] for line in run.text.splitlines()]
    assert got == wanted, f"{prefix}: outputs differ from tflite-micro's"
    calls = run.calls["model_invoke"]
    size = f"{compiled.macs:,} MACs, {compiler.name} -O2, {run.board} emulated"
    over = f"bench firmware less the same one without a model; {size}"
    how = f"median of {len(calls)} inferences on int8 noise, {min(calls)} to {max(calls)}; {size}"
    stack = f"painted; bench firmware with its printing; {size}"
    values = {
        "instructions": (statistics.median_low(calls), "1", how),
        "flash_bytes": (run.flash_bytes - without.flash_bytes, "bytes", over),
        "ram_bytes": (run.ram_bytes - without.ram_bytes, "bytes", over),
        "stack_bytes": (run.stack_bytes, "bytes", stack),
    }
    return [
        Figure(f"{prefix}/{what}", value, unit, "exact", how)
        for what, (value, unit, how) in values.items()
    ]


if __name__ == "__main__":
    main()
