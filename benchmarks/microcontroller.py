"""Models on emulated microcontrollers: instructions, flash, RAM and stack, counted exactly.

    python benchmarks/microcontroller.py                # recorded
    python benchmarks/microcontroller.py --inputs 2     # to develop; recorded nowhere

Every output is compared with LiteRT's reference kernels first; one that differs stops the run.
kws and ic are the keyword and image reference models of MLPerf Tiny, from MEDLAB_REALDATA/models;
ecg is made here with random weights: it says what a heart-beat model of that size costs, nothing
about hearts.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np
from record import record

from medlab.edge import boards, compile_model, toolchain

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "edge"))
import edge_models as making

BOARDS = {"m4": "stm32f405", "m7": "stm32h7"}
REFERENCE = {"kws": "kws_ref_model.tflite", "ic": "pretrainedResnet_quant.tflite"}
INPUTS = 20
PACKAGES = ("unicorn", "ziglang", "ai-edge-litert")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=INPUTS)
    count = parser.parse_args().inputs
    found = []
    for name, model in models().items():
        inputs = random_inputs(model, count)
        wanted = reference(model, inputs)
        for core in BOARDS:
            found += figures(name, core, model, inputs, wanted)
            print(f"{name} on {core}: {count} outputs equal", flush=True)
    if count == INPUTS:
        compilers = {kind: found.name for kind, found in installed().items()}
        record(__file__, found, {n: metadata.version(n) for n in PACKAGES} | compilers)
    else:
        print(json.dumps({f["name"]: f["value"] for f in found}, indent=2))


def models() -> dict[str, bytes]:
    """Return the .tflite files; a reference model that is not there is left out, with a line."""
    folder = Path(os.environ.get("MEDLAB_REALDATA", "")) / "models" / "mlperf_tiny"
    found = {}
    for name, file in REFERENCE.items():
        if os.environ.get("MEDLAB_REALDATA") and (folder / file).is_file():
            found[name] = (folder / file).read_bytes()
        else:
            print(f"{name} is left out: MEDLAB_REALDATA names no folder with models/mlperf_tiny")
    return found | {"ecg": ecg_model()}


def ecg_model() -> bytes:
    """Make a separable network over 187 samples, 5 classes, as wide as heart-beat models are."""
    rng = np.random.default_rng(0)
    maker = making.Maker((1, 1, 187, 1))
    last = making.convolve(maker, rng, maker.input, 16, (1, 7), (1, 2), activation=making.RELU)
    for channels, stride in ((32, 2), (64, 2), (96, 1), (128, 2)):
        last = making.depthwise(maker, rng, last, (1, 5), (1, stride), activation=making.RELU)
        last = making.convolve(maker, rng, last, channels, (1, 1), activation=making.RELU)
    shape = maker.shape_of(last)
    last = making.pool(maker, last, kernel=shape[1:3], strides=shape[1:3], padding=making.VALID)
    last = making.dense(maker, rng, last, 5)
    maker.add("SOFTMAX", [last], maker.shape_of(last), 1 / 256, -128, beta=1.0)
    return maker.finish()


def interpreter(model: bytes):
    """Return LiteRT with its reference kernels."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_REF
    made = Interpreter(model_content=model, experimental_op_resolver_type=plain)
    made.allocate_tensors()
    return made


def random_inputs(model: bytes, count: int) -> np.ndarray:
    """Return count inputs of int8 noise, one a row."""
    shape = interpreter(model).get_input_details()[0]["shape"]
    rng = np.random.default_rng(0)
    return rng.integers(-128, 128, (count, int(np.prod(shape))), dtype=np.int8)


def reference(model: bytes, inputs: np.ndarray) -> list[list[int]]:
    """Return LiteRT's output for each input."""
    made = interpreter(model)
    into, out = made.get_input_details()[0], made.get_output_details()[0]
    outputs = []
    for values in inputs:
        made.set_tensor(into["index"], values.reshape(into["shape"]))
        made.invoke()
        outputs.append(made.get_tensor(out["index"]).ravel().tolist())
    return outputs


def installed() -> dict[str, toolchain.Toolchain]:
    """Return the compilers that are there: gcc, zig or both."""
    kinds = ["zig"] + (["gcc"] if toolchain.find().kind == "gcc" else [])
    return {kind: toolchain.find(kind) for kind in sorted(kinds)}


def figures(name, core, model, inputs, wanted) -> list[dict]:
    """Return the figures of a model on a core: by gcc where it is there, and zig's instructions."""
    compilers = installed()
    first = compilers.get("gcc", compilers["zig"])
    made = _of_compiler(f"{name}/{core}", core, model, inputs, wanted, first)
    if first.kind == "gcc":
        zig = _of_compiler(f"{name}/{core}", core, model, inputs, wanted, compilers["zig"])
        made.append(zig[0] | {"name": f"{name}/{core}/instructions_zig"})
    return made


def _of_compiler(prefix, core, model, inputs, wanted, compiler) -> list[dict]:
    board = boards.load(BOARDS[core])
    main_c = boards.find_hardware_labs() / "bench" / "main.c"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        compiled = compile_model(model, out / "model")
        sources = [main_c, out / "model" / "model.c"]
        firmware = board.build(sources, out / "bench.elf", compiler=compiler)
        without = board.build([main_c], out / "no.elf", {"WITHOUT_MODEL": 1}, compiler)
        run = board.run(firmware, inputs.ravel().tolist(), 10**10, ["model_invoke"]).check()
        return _figures(prefix, run, without, wanted, compiled, compiler)


def _figures(prefix, run, without, wanted, compiled, compiler) -> list[dict]:
    got = [[int(value) for value in line.split()] for line in run.text.splitlines()]
    assert got == wanted, f"{prefix}: outputs differ from LiteRT's"
    calls = run.calls["model_invoke"]
    size = f"{compiled.macs:,} MACs, {compiler.name} -O2, {run.board.name} emulated"
    over = f"bench firmware less the same one without a model; {size}"
    how = f"median of {len(calls)} inferences on int8 noise, {min(calls)} to {max(calls)}; {size}"
    stack = f"painted; bench firmware with its printing; {size}"
    values = {
        "instructions": (statistics.median_low(calls), "1", how),
        "flash_bytes": (run.firmware.flash_bytes - without.flash_bytes, "bytes", over),
        "ram_bytes": (run.firmware.ram_bytes - without.ram_bytes, "bytes", over),
        "stack_bytes": (run.stack_bytes, "bytes", stack),
    }
    return [
        {"name": f"{prefix}/{what}", "value": value, "unit": unit, "kind": "exact", "how": how}
        for what, (value, unit, how) in values.items()
    ]


if __name__ == "__main__":
    main()
