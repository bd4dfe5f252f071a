"""A window's class on the boards is the host's: the same normalisation, the same model."""

import numpy as np
import pytest
from tests.support import edge_oracle
from tests.support import monitor_runs as runs

from medlab.datasets import ecg
from medlab.edge import boards
from medlab.edge.compiler.tflite import read_model

COUNT, EMULATED = 1000, 150  # `make bench NAME=ecg_monitor` emulates a thousand
WINDOWS_C = [runs.MONITOR / "window.c", runs.WINDOWS_C]


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    """Cut windows of generated patients, raw, some at another gain and offset."""
    folder = tmp_path_factory.mktemp("patients")
    ecg.make(folder, seed=41, patients=16, seconds=60, ectopy=2)
    rng, rows = np.random.default_rng(0), []
    for name in ecg.record_names(folder):
        record = ecg.read_record(folder, name)
        signal = record.digital[:, 0].astype(int)
        starts = record.beats()[0] - runs.BEFORE
        rows += [signal[s : s + 256] for s in starts if 0 <= s <= len(signal) - 256]
    rows = rng.permutation(np.stack(rows))[:COUNT]
    rows[::7] = 4 * rows[::7] - 900
    return rows


@pytest.fixture(scope="module")
def wanted(windows):
    """What tflite-micro answers to the windows, normalised here."""
    oracle = edge_oracle.TfliteMicro()
    yield oracle.run(runs.MODEL.read_bytes(), runs.normalised(windows))
    oracle.close()


def answers(name, windows, folder, compiler):
    firmware = runs.build(name, folder, compiler, sources=WINDOWS_C)
    run = boards.load(name).run(firmware, windows.ravel().tolist(), budget=10**10).check()
    return [
        line if line == "flat" else list(map(int, line.split()))
        for line in run.text.split("\n")[:-1]
    ]


def test_an_emulated_stm32f405_answers_every_window_as_tflite_micro_does(
    windows, wanted, tmp_path, zig
):
    assert len(windows) == COUNT
    got = answers("stm32f405", windows[:EMULATED], tmp_path, zig)
    assert got == wanted[:EMULATED].tolist()
    classes = {int(row.argmax()) for row in wanted[:EMULATED]}
    assert len(classes) == 4, "every class should be among them"


@pytest.mark.parametrize("name", ["nrf52840", "stm32h7"])
def test_the_other_boards_answer_the_same(name, windows, wanted, tmp_path, zig):
    few = slice(0, 20)
    assert answers(name, windows[few], tmp_path, zig) == wanted[few].tolist()


def test_the_compiled_model_on_this_machine_answers_the_same(windows, wanted):
    host = edge_oracle.on_this_machine(runs.MODEL.read_bytes())
    assert (host.run(runs.normalised(windows)) == wanted).all()


def test_the_model_takes_the_windows_numbers_as_they_are():
    graph = read_model(runs.MODEL)
    assert (graph.input.size, graph.input.scale, graph.input.zero_point) == (256, 0.125, 0)
    assert graph.output.size == len(runs.CLASSES)


def test_a_window_without_a_heart_is_refused(tmp_path, zig):
    flat = np.full((4, 256), 1024)
    flat[1] = 0
    flat[2, ::2] += 5  # mean absolute deviation 2.5 units
    flat[3, 100:116] += 60  # 7 units
    got = answers("stm32f405", flat, tmp_path, zig)
    assert [line == "flat" for line in got] == [True, True, True, False]


def test_the_largest_samples_are_normalised_without_overflow(tmp_path, zig):
    rng = np.random.default_rng(1)
    wide = rng.choice([-32768, 32767], (3, 256))
    wide[1] = -32768
    wide[1, 128] = 32767
    oracle = edge_oracle.TfliteMicro()
    expected = oracle.run(runs.MODEL.read_bytes(), runs.normalised(wide)).tolist()
    oracle.close()
    assert answers("stm32f405", wide, tmp_path, zig) == expected


def test_a_window_of_the_wrong_length_is_refused(tmp_path, zig):
    sources = [WINDOWS_C[0], runs.Path(__file__).with_name("cuts.c")]
    firmware = runs.build("stm32f405", tmp_path, zig, sources=sources)
    assert boards.load("stm32f405").run(firmware).check().text == "11011011"
