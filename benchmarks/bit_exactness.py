"""Compiled models give what tflite-micro gives, here and on two cores in two emulators.

    python -m benchmarks.bit_exactness                         # recorded; three quarters of an hour
    python -m benchmarks.bit_exactness --only ecg              # one model; the others' figures stay
    python -m benchmarks.bit_exactness --inputs 20 --only ecg  # to develop; recorded nowhere

The inputs are int8 noise, which the firmware makes for itself, so that the same file runs in qemu,
which has no sensor. The models are those of microcontroller.py, ecg and vww as far as their last
feature map. A model whose outputs are too alike to prove anything stops the run.
"""

import argparse
from importlib import metadata

from benchmarks.microcontroller_parts import equality, networks
from benchmarks.record import record, recorded
from medlab.edge.boards import toolchain
from medlab.figures import Figure

INPUTS = 1000
WHERE = {
    "host": "this computer's C compiler, -O2",
    "m4": "stm32f405, emulated by unicorn",
    "m7": "stm32h7, emulated by unicorn",
    "qemu_m4": "netduinoplus2, emulated by qemu",
    "qemu_m7": "mps2-an500, emulated by qemu",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=INPUTS)
    parser.add_argument("--only", help="one model")
    options = parser.parse_args()
    figures = []
    for name, model in networks.models(whole=False).items():
        if options.only in (None, name):
            found = equality.equal(model, options.inputs)
            print(f"{name}: of {options.inputs} equal {found}", flush=True)
            figures += [_figure(name, where, same, options.inputs) for where, same in found.items()]
    if options.inputs == INPUTS:
        compiler = toolchain.find()
        versions = {n: metadata.version(n) for n in ("unicorn", "tflite-micro")}
        record(__file__, figures + _others(figures), versions | {compiler.kind: compiler.name})


def _others(figures) -> list[Figure]:
    """Return the recorded figures of models that were not run now."""
    now = {figure.name for figure in figures}
    return [figure for figure in recorded(__file__) if figure.name not in now]


def _figure(name, where, same, count) -> Figure:
    how = f"outputs of {count} compared with tflite-micro's by a hash of each; {WHERE[where]}"
    return Figure(f"{name}/{where}/unequal", count - same, "1", "exact", how)


if __name__ == "__main__":
    main()
