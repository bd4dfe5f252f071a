"""The unit kernels-in-c teaches tflite-micro's arithmetic: references and solution equal it."""

from pathlib import Path

import numpy as np
import pytest

from medlab.course import find_course, load_syllabus, load_unit
from medlab.edge.compiler.fixed_point import quantise_multiplier

pytest.importorskip("tflite_micro")
SIZES = [(1, 1, 1), (3, 4, 8), (7, 2, 5), (6, 6, 32)]


@pytest.fixture(scope="module")
def unit():
    return load_unit(load_syllabus(find_course(Path(__file__).parent)).find("kernels-in-c"))


@pytest.fixture(scope="module")
def given(unit):
    """What the unit's plain cells and its solution define."""
    names = {"SEED": 0}
    wanted = ("import matplotlib", "COLLEAGUE = ", "def ")
    for cell in unit.cells:
        if cell.role in ("code", "exercise") and any(word in cell.source for word in wanted):
            exec(cell.source, names)
    return names


@pytest.fixture(scope="module")
def micro():
    from tests.support.edge_oracle import TfliteMicro

    running = TfliteMicro()
    yield running
    running.close()


def numbers_of(maker, tensor, kind):
    data = maker.model.buffers[maker.graph.tensors[tensor].buffer].data
    return np.frombuffer(bytes(data), kind).astype(np.int64)


def layer_and_model(rng, height, width, channels):
    """A model of one depthwise layer, and the same layer as the unit writes it."""
    from tests.support.edge_models import Maker, depthwise

    maker = Maker((1, height, width, channels), 0.04, int(rng.integers(-128, 128)))
    depthwise(maker, rng, maker.input)
    scales = [maker.graph.tensors[n].quantization.scale.astype(float) for n in (0, 1, 3)]
    real = np.broadcast_to(scales[0] * scales[1] / scales[2], channels)
    multiplier, shift = np.array([quantise_multiplier(factor) for factor in real]).T
    layer = {
        "weights": numbers_of(maker, 1, np.int8).reshape(3, 3, channels),
        "bias": numbers_of(maker, 2, np.int32),
        "multiplier": multiplier,
        "shift": shift,
        "input_zero": int(maker.graph.tensors[0].quantization.zeroPoint[0]),
        "output_zero": int(maker.graph.tensors[3].quantization.zeroPoint[0]),
    }
    return layer, maker.finish()


@pytest.mark.parametrize("size", SIZES)
def test_the_reference_is_tflite_micros_depthwise_layer_to_the_last_bit(given, micro, size):
    rng = np.random.default_rng(size)
    layer, model = layer_and_model(rng, *size)
    inputs = rng.integers(-128, 128, (20, *size)).astype(np.int8)
    want = micro.run(model, inputs.reshape(20, -1)).reshape(inputs.shape)
    got = [given["reference_depthwise"](layer | {"input": one}) for one in inputs]
    assert (np.array(got) == want).all()


@pytest.mark.parametrize("name", ["depthwise_c", "fast_depthwise_c"])
def test_the_solutions_kernels_on_the_emulated_core_equal_tflite_micro(given, micro, name):
    for size in SIZES:
        rng = np.random.default_rng(size)
        layer, model = layer_and_model(rng, *size)
        layer["input"] = rng.integers(-128, 128, size).astype(np.int8)
        want = micro.run(model, layer["input"].reshape(1, -1)).reshape(size)
        got, changed, _ = given["output_of"](given[name](), layer)
        assert (got == want).all(), size
        assert changed == 0


def test_the_reference_of_the_hidden_tests_is_the_one_that_learners_see(unit, given):
    hidden = {}
    exec(unit.hidden_setup, hidden)
    rng = np.random.default_rng(0)
    totals = rng.integers(-(2**31), 2**31, 5000)
    multipliers, shifts = rng.integers(2**30, 2**31, 5000), rng.integers(-30, 1, 5000)
    both = [n["reference_requantise"](totals, multipliers, shifts, 3) for n in (given, hidden)]
    assert (both[0] == both[1]).all()
    layer = hidden["some_layer"](rng, 4, 5, 3)
    assert (given["reference_sums"](layer) == hidden["reference_sums"](layer)).all()


def test_the_colleagues_kernel_is_wrong_for_the_one_pair_alone(given):
    ends = [-128, -127, -1, 0, 126, 127]
    pairs = [(x, y, v, w) for x in ends for y in ends for v in ends for w in ends]
    got = []
    for part in np.array_split(pairs, 4):  # a run's budget is that of the unit's own cases
        feed = [n for x, y, v, w in part for n in given["dot_case"]([x, v], [y, w], 0)]
        seen = given["run"]({"dot.c": given["COLLEAGUE"]}, feed)
        got += [line[0] for line in given["results"](seen)]
    wrong = [p for p, g in zip(pairs, got, strict=True) if g != p[0] * p[1] + p[2] * p[3]]
    assert wrong == [(-128, -128, -128, -128)]
