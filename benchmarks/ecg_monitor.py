"""The ECG monitor: what its firmware costs on an emulated STM32F405, and what its model says.

    python -m benchmarks.ecg_monitor              # recorded
    python -m benchmarks.ecg_monitor --quick      # fewer windows, no training; recorded nowhere

The float network is trained again by tools/train_ecg_monitor.py, as that made the committed int8
model. Record 100 of MIT-BIH is run whole where MEDLAB_REALDATA names a folder with ecg/mitdb.
"""

import argparse
import json
import os
import statistics
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np
from tests.support import edge_oracle
from tests.support import monitor_runs as runs

from benchmarks.record import record
from medlab.datasets import ecg
from medlab.edge import boards
from medlab.edge.boards import toolchain
from medlab.figures import Figure

BOARD, COUNT = "stm32f405", 1000
NORMAL = frozenset("NLRej")
PACKAGES = ("unicorn", "ziglang", "tflite-micro", "tensorflow", "wfdb")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    compiler = toolchain.find()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        found = firmware_figures(folder, compiler)
        found += [equal_classes(folder, toolchain.find(), 50 if quick else COUNT)]
        found += [] if quick else f1_figures()
        found += record_100(folder, compiler, 60 * runs.RATE if quick else None)
    if quick:
        print(json.dumps({f.name: f.value for f in found}, indent=2))
    else:
        record(__file__, found, versions() | {compiler.kind: compiler.name})


def versions() -> dict[str, str]:
    """Return what the packages are; TensorFlow goes by one of two names."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = metadata.version(f"{name}-cpu")
    return found


def generated(folder: Path, **settings) -> list[ecg.Record]:
    """Return the records of generated patients."""
    folder.mkdir()
    ecg.make(folder, **settings)
    return [ecg.read_record(folder, name) for name in ecg.record_names(folder)]


def heard(folder: Path, compiler, feed, name: str = "monitor"):
    """Run the monitor on samples; return the run and what it said."""
    firmware = runs.build(BOARD, folder / name, compiler)
    watched = ["model_invoke", "monitor_add"]
    run = boards.load(BOARD).run(firmware, feed, budget=10**12, watch=watched).check()
    return run, runs.read_output(run)


def firmware_figures(folder: Path, compiler) -> list[Figure]:
    """Return flash, RAM, stack and instructions on a minute of one generated patient."""
    feed = generated(folder / "patient", seed=11, patients=1, seconds=60)[0].digital[:, 0]
    run, said = heard(folder, compiler, feed)
    count = len(said.judged)
    how = f"one minute of a generated patient, {count} beats; {compiler.name} -O2, {BOARD} emulated"
    whole = f"the whole firmware with model and start-up; {compiler.name} -O2"
    inference = statistics.median_low(run.calls["model_invoke"])
    sample = statistics.median_low(run.calls["monitor_add"])
    return [
        Figure("flash_bytes", run.flash_bytes, "bytes", "exact", whole),
        Figure("ram_bytes", run.ram_bytes, "bytes", "exact", f"{whole}; no stack"),
        Figure("stack_bytes", run.stack_bytes, "bytes", "exact", f"painted; {how}"),
        Figure("instructions_per_inference", inference, "1", "exact", f"median; {how}"),
        Figure("instructions_per_sample", sample, "1", "exact", f"median, no beat due; {how}"),
        Figure(
            "instructions_per_beat",
            round(run.instructions / count),
            "1",
            "exact",
            f"all of the run by its beats: sampling, finding, normalising, model, printing; {how}",
        ),
    ]


def equal_classes(folder: Path, compiler, count: int) -> Figure:
    """Return how many windows get the same class from the board as from tflite-micro."""
    rows = []
    for got in generated(folder / "windows", seed=41, patients=12, seconds=120, ectopy=2):
        signal = got.digital[:, 0].astype(int)
        starts = got.beats()[0] - runs.BEFORE
        rows += [signal[s : s + runs.LENGTH] for s in starts if 0 <= s <= len(signal) - runs.LENGTH]
    rows = np.random.default_rng(0).permutation(np.stack(rows))[:count]
    oracle = edge_oracle.TfliteMicro()
    wanted = oracle.run(runs.MODEL.read_bytes(), runs.normalised(rows)).argmax(axis=1)
    oracle.close()
    sources = [runs.MONITOR / "window.c", runs.WINDOWS_C]
    firmware = runs.build(BOARD, folder / "equal", compiler, sources=sources)
    run = boards.load(BOARD).run(firmware, rows.ravel(), budget=10**12).check()
    got = [np.argmax([int(value) for value in line.split()]) for line in run.text.splitlines()]
    equal = sum(int(a == b) for a, b in zip(got, wanted, strict=True))
    how = f"{count} windows of 12 generated patients; {BOARD} emulated against tflite-micro"
    return Figure(f"equal_classes_of_{count}", equal, "1", "exact", how)


def f1_figures() -> list[Figure]:
    """Return macro-F1 of the committed int8 model and of the float network it was made from."""
    from tools import train_ecg_monitor as training

    # One thread, as there: with more the same seed trains another network.
    training.tf.config.threading.set_intra_op_parallelism_threads(1)
    training.tf.config.threading.set_inter_op_parallelism_threads(1)
    training.keras.utils.set_random_seed(training.SEED)
    steps, classes = training.read_windows(training.SEED, training.PATIENTS, training.SHIFTS)
    network = training.train(steps, classes)
    some = np.random.default_rng(training.SEED).choice(len(steps), 500, replace=False)
    again = training.to_int8(network, steps[some]) == runs.MODEL.read_bytes()
    tested, truth = training.read_windows(training.SEED + 1000, training.TEST_PATIENTS, 0)
    as_float = network.predict(training.to_input(tested), 256, 0).argmax(1)
    as_int8 = training.ask_int8(runs.MODEL.read_bytes(), tested)
    scores = [macro_f1(truth, found) for found in (as_float, as_int8)]
    how = f"{len(truth)} windows of {training.TEST_PATIENTS} generated patients, none trained on"
    same = "gives the committed file" if again else "does NOT give the committed file"
    trained = f"{how}; trained again, and its conversion {same}"
    committed = f"{how}; the committed model.tflite, reference kernels"
    return [
        Figure("macro_f1_float", round(scores[0], 4), "1", "host", trained),
        Figure("macro_f1_int8", round(scores[1], 4), "1", "host", committed),
        Figure("macro_f1_lost", round(100 * (scores[0] - scores[1]), 2), "points", "host", how),
    ]


def macro_f1(truth: np.ndarray, found: np.ndarray) -> float:
    pairs = [(truth == i, found == i) for i in range(len(runs.CLASSES))]
    return float(np.mean([2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in pairs]))


def record_100(folder: Path, compiler, last: int | None) -> list[Figure]:
    """Return how MIT-BIH's record 100 is heard; nothing where it is not there."""
    place = Path(os.environ.get("MEDLAB_REALDATA", "")) / "ecg" / "mitdb"
    if not os.environ.get("MEDLAB_REALDATA") or not (place / "100.dat").is_file():
        print("record 100 is left out: MEDLAB_REALDATA names no folder with ecg/mitdb/100.dat")
        return []
    real = ecg.read_record(place, "100")
    _, said = heard(folder, compiler, real.digital[:last, 0], "record-100")
    beats, symbols = real.beats()
    end = len(real.signal[:last]) - runs.RATE
    first = 4 * runs.RATE
    found = [beat.sample for beat in said.beats]
    sensitivity, predictivity = runs.score(found, beats, first, end)
    how = f"MIT-BIH record 100, MLII, {end / runs.RATE / 60:.0f} min, {BOARD} emulated; the .atr"
    names = {beat.sample: beat.name for beat in said.judged}
    pairs = runs.matched(list(names), [b for b in beats if first <= b <= end])
    symbol_at = dict(zip(beats.tolist(), symbols, strict=True))
    called = [(names[got] == "N", symbol_at[true]) for got, true in pairs]
    normal = [is_normal for is_normal, symbol in called if symbol in NORMAL]
    early = [not is_normal for is_normal, symbol in called if symbol == "A"]
    figures = [
        Figure("record_100/sensitivity", round(sensitivity, 4), "1", "emulated", f"{how}, 150 ms"),
        Figure(
            "record_100/predictivity", round(predictivity, 4), "1", "emulated", f"{how}, 150 ms"
        ),
        Figure(
            "record_100/called_normal",
            round(float(np.mean([is_normal for is_normal, _ in called])), 4),
            "1",
            "emulated",
            f"share of {len(called)} judged beats; {how}",
        ),
        Figure(
            "record_100/normal_called_normal",
            round(float(np.mean(normal)), 4),
            "1",
            "emulated",
            f"share of {len(normal)} beats that the cardiologists call normal; {how}",
        ),
        Figure(
            "record_100/refused",
            len(said.refused),
            "1",
            "emulated",
            f"beats without a prediction; alarms: {len(said.alarms)}; {how}",
        ),
    ]
    if early:
        share = round(float(np.mean(early)), 4)
        how = f"share of {len(early)} atrial premature beats not called normal; {how}"
        figures.append(Figure("record_100/premature_not_normal", share, "1", "emulated", how))
    return figures


if __name__ == "__main__":
    main()
