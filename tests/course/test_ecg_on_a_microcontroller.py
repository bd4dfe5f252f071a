"""The unit's own functions on a real record, and the monitor's model on it."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from medlab.course import find_course, load_syllabus, load_unit

ROOT = find_course(Path(__file__).parent)
REAL = os.environ.get("MEDLAB_REALDATA", "")
MODEL = ROOT / "hardware_labs" / "ecg_monitor" / "model.tflite"


def names_of_the_unit():
    """Return the names that the unit's exercises define."""
    names = {"np": np}
    for exercise in load_unit(load_syllabus(ROOT).find("ecg-on-a-microcontroller")).exercises:
        exec(exercise.solution, names)
    return names


def ask(steps):
    """Return the class that the monitor's model gives to int8 windows (n, 256)."""
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    lite = litert.Interpreter(
        str(MODEL), experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF
    )
    lite.allocate_tensors()
    found = []
    for row in steps:
        lite.set_tensor(lite.get_input_details()[0]["index"], row.reshape(1, 1, 256, 1))
        lite.invoke()
        found.append(lite.get_tensor(lite.get_output_details()[0]["index"])[0].argmax())
    return np.array(found)


def test_the_monitors_model_takes_eighths_of_a_deviation_and_fits():
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    lite = litert.Interpreter(str(MODEL))
    asked, answered = lite.get_input_details()[0], lite.get_output_details()[0]
    assert asked["shape"].tolist() == [1, 1, 256, 1]
    assert (asked["dtype"], asked["quantization"]) == (np.int8, (0.125, 0))
    assert answered["shape"].tolist() == [1, 4]
    assert (answered["dtype"], answered["quantization"]) == (np.int8, (1 / 256, -128))
    assert MODEL.stat().st_size < 40_000


@pytest.mark.real
@pytest.mark.skipif(not REAL, reason="MEDLAB_REALDATA is not set")
def test_the_monitors_model_calls_most_real_normal_beats_normal(record_property, capsys):
    """Record 100 of MIT-BIH: one person, 33 S, 1 V. No claim about any class but N."""
    ecg = pytest.importorskip("medlab.datasets.ecg")
    unit = names_of_the_unit()
    record = ecg.read_record(Path(REAL, "ecg", "mitdb"), "100")
    lead = record.digital[:, record.lead("MLII")].astype(int)
    windows, classes = unit["labelled_windows"](lead, record.samples, record.symbols)
    # The first and the last beat may have no whole window.
    assert (np.abs(np.bincount(classes, minlength=4) - [2239, 33, 1, 0]) <= [2, 0, 0, 0]).all()
    found = ask(unit["to_int8"](unit["normalise"](windows), 1 / 8, 0))
    normal = float(np.mean(found[classes == 0] == 0))
    called = {name: Counter("NSVF"[k] for k in found[classes == n]) for n, name in enumerate("NSV")}
    record_property("normal_called_normal", normal)
    with capsys.disabled():
        print(f"\nrecord 100, beats as annotated: {normal:.3f} of N called N; ", end="")
        print(", ".join(f"{name}: {dict(count)}" for name, count in called.items()))
    assert normal > 0.5
