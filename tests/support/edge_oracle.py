"""Run a model compiled on this machine, in tflite-micro, and in LiteRT's reference kernels."""

import ctypes
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from medlab.edge.compiler.compile import CompiledModel, compile_model

WORKER = """
import pickle, struct, sys
import tflite_micro
while head := sys.stdin.buffer.read(8):
    model, inputs = pickle.loads(sys.stdin.buffer.read(struct.unpack("<q", head)[0]))
    found = tflite_micro.runtime.Interpreter.from_bytes(model, arena_size=1 << 21)
    shape, outputs = found.get_input_details(0)["shape"], []
    for values in inputs:
        found.set_input(values.reshape(shape), 0)
        found.invoke()
        outputs.append(found.get_output(0).ravel().copy())
    answer = pickle.dumps(outputs)
    sys.stdout.buffer.write(struct.pack("<q", len(answer)) + answer)
    sys.stdout.buffer.flush()
"""


class TfliteMicro:
    """tflite-micro's interpreter, in a process of its own since it may crash."""

    def __init__(self):
        self.start()

    def start(self) -> None:
        """Start the process."""
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def run(self, model: bytes, inputs: np.ndarray) -> np.ndarray:
        """Return the outputs, one row for each row of inputs."""
        message = pickle.dumps((model, inputs))
        self.process.stdin.write(struct.pack("<q", len(message)) + message)
        self.process.stdin.flush()
        head = self.process.stdout.read(8)
        if not head:
            self.close()
            self.start()
            raise AssertionError("tflite-micro crashed or refused the model")
        return np.stack(pickle.loads(self.process.stdout.read(struct.unpack("<q", head)[0])))

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def litert(model: bytes, inputs: np.ndarray) -> np.ndarray:
    """Run LiteRT's reference kernels; in fully connected layers they round once, not twice."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    found = Interpreter(
        model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    found.allocate_tensors()
    source, out = found.get_input_details()[0], found.get_output_details()[0]
    rows = []
    for values in inputs:
        found.set_tensor(source["index"], values.reshape(source["shape"]))
        found.invoke()
        rows.append(found.get_tensor(out["index"]).ravel().copy())
    return np.stack(rows)


def c_compiler() -> list[str]:
    """Return this machine's C compiler, or the one that pip brings."""
    found = shutil.which("gcc") or shutil.which("cc")
    return [found] if found else [sys.executable, "-m", "ziglang", "cc"]


FLAGS = [
    "-std=c99",
    "-O0",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-unused-function",
    "-fPIC",
    "-shared",
]


class Host:
    """A compiled model as a library of this machine."""

    def __init__(self, folder: Path, compiled: CompiledModel, flags: tuple[str, ...] = ()):
        self.compiled = compiled
        library = folder / "model.so"
        command = [*c_compiler(), *FLAGS, *flags, "-o", str(library), str(folder / "model.c")]
        subprocess.run(command, check=True)
        self.library = ctypes.CDLL(str(library))
        self.library.model_input.restype = ctypes.c_void_p
        self.library.model_output.restype = ctypes.c_void_p

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Return the outputs, one row for each row of inputs."""
        size, rows = int(np.prod(self.compiled.output[0])), []
        for values in inputs:
            values = np.ascontiguousarray(values, np.int8)
            ctypes.memmove(self.library.model_input(), values.ctypes.data, values.size)
            self.library.model_invoke()
            rows.append(np.frombuffer(ctypes.string_at(self.library.model_output(), size), np.int8))
        return np.stack(rows)


def on_this_machine(model: bytes, folder: Path | None = None, flags: tuple[str, ...] = ()) -> Host:
    """Compile a model into a new folder and load it."""
    if folder is not None:
        return Host(folder, compile_model(model, folder), flags)
    with tempfile.TemporaryDirectory() as made:
        return Host(Path(made), compile_model(model, Path(made)), flags)


def random_inputs(size: int, count: int = 20, seed: int = 0) -> np.ndarray:
    """Draw int8 inputs; the first rows hold the extremes."""
    inputs = np.random.default_rng(seed).integers(-128, 128, (count, size)).astype(np.int8)
    inputs[0], inputs[1] = -128, 127
    return inputs
