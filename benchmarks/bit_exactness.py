"""Compiled models give what tflite-micro gives, here and on two cores in two emulators.

    python benchmarks/bit_exactness.py                         # recorded; three quarters of an hour
    python benchmarks/bit_exactness.py --only ecg              # one model; the others' figures stay
    python benchmarks/bit_exactness.py --inputs 20 --only ecg  # to develop; recorded nowhere

The inputs are int8 noise, which the firmware makes for itself, so that the same file runs in qemu,
which has no sensor. The models are those of microcontroller.py, ecg and vww as far as their last
feature map. A model whose outputs are too alike to prove anything stops the run.
"""

import argparse
import json
from importlib import metadata
from pathlib import Path

from microcontroller_parts import equality, networks
from record import RESULTS, record

from medlab.edge.boards import toolchain

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
    said = parser.parse_args()
    figures = []
    for name, model in networks.models(whole=False).items():
        if said.only in (None, name):
            found = equality.equal(model, said.inputs)
            print(f"{name}: of {said.inputs} equal {found}", flush=True)
            figures += [_figure(name, where, same, said.inputs) for where, same in found.items()]
    if said.inputs == INPUTS:
        compiler = toolchain.find()
        versions = {n: metadata.version(n) for n in ("unicorn", "tflite-micro")}
        record(__file__, figures + _others(figures), versions | {compiler.kind: compiler.name})


def _others(figures) -> list[dict]:
    """Return the recorded figures of models that were not run now."""
    path, now = RESULTS / f"{Path(__file__).stem}.json", {figure["name"] for figure in figures}
    before = json.loads(path.read_text())["figures"] if path.is_file() else []
    return [figure for figure in before if figure["name"] not in now]


def _figure(name, where, same, count) -> dict:
    how = f"outputs of {count} compared with tflite-micro's by a hash of each; {WHERE[where]}"
    unequal = {"name": f"{name}/{where}/unequal", "value": count - same, "unit": "1"}
    return unequal | {"kind": "exact", "how": how}


if __name__ == "__main__":
    main()
