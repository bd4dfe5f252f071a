"""The proofs behind the short way, and the plain kernel where they do not hold."""

import numpy as np
import pytest
from tests.support.edge_models import RELU, Maker, convolve, dense, depthwise
from tests.support.edge_oracle import TfliteMicro, on_this_machine, random_inputs

from medlab.edge.compiler import fixed_point
from medlab.edge.compiler.operators.lowering import lower
from medlab.edge.compiler.operators.weights import channels_of, constant_weights, proven
from medlab.edge.compiler.tflite import read_model

pytest.importorskip("tflite_micro")


@pytest.fixture(scope="module")
def micro():
    oracle = TfliteMicro()
    yield oracle
    oracle.close()


def one_layer(kind: str, biases: list[int], scale: float | None = None, **options) -> Maker:
    """A layer of four channels with these biases; scale is that of the sums over the output's."""
    maker, rng = Maker([1, 5, 5, 4] if kind != "dense" else [1, 40]), np.random.default_rng(3)
    make = {"convolution": convolve, "depthwise": depthwise, "dense": dense}[kind]
    count = () if kind == "depthwise" else (4,)
    make(maker, rng, maker.input, *count, **options)
    buffer = maker.model.buffers[maker.graph.tensors[2].buffer]
    buffer.data = np.array(biases, np.int32).view(np.uint8)
    if scale is not None:
        weights = maker.graph.tensors[1].quantization
        weights.scale[:] = np.float32(scale) * maker.scale_of(maker.output) / maker.scale_of(0)
        maker.graph.tensors[2].quantization.scale[:] = weights.scale * maker.scale_of(0)
    return maker


def kernel_of(maker: Maker) -> str:
    graph = read_model(maker.finish())
    return lower(graph.operators[0]).kernels[-1]


KINDS = ["convolution", "depthwise", "dense"]


def assert_equal(micro, maker: Maker) -> np.ndarray:
    model = maker.finish()
    inputs = random_inputs(int(np.prod(maker.shape_of(maker.input))), 60)
    expected = micro.run(model, inputs)
    np.testing.assert_array_equal(on_this_machine(model).run(inputs), expected)
    return expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [2**30 + 2**20, -(2**30) - 2**20, 2**31 - 2**20, -(2**31) + 2**20])
def test_a_dead_channel_is_proven_constant_and_takes_the_short_way(micro, kind, bias):
    maker = one_layer(kind, [100, bias, bias, -50])
    assert kernel_of(maker) != "convolution_exact.c"
    assert_equal(micro, maker)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_live_channel_past_two_to_the_thirty_falls_back(micro, kind, sign):
    bias = sign * int(64.5 * 2**24)  # times 2**-24: half way between two outputs
    assert abs(bias) > 2**30
    maker = one_layer(kind, [100, bias, bias, -50], 2.0**-24)
    assert kernel_of(maker) == "convolution_exact.c"
    seen = assert_equal(micro, maker)
    assert len(np.unique(seen)) >= 3  # the channel is live: a constant would not do


@pytest.mark.parametrize("kind", ["convolution", "dense"])
def test_a_second_channel_past_24_bits_falls_back(micro, kind):
    maker = one_layer(kind, [0, int(64.5 * 2**18), 0, 0], 2.0**-18)
    assert kernel_of(maker) == "convolution_exact.c"
    assert_equal(micro, maker)


def test_a_first_channel_past_24_bits_does_not(micro):
    maker = one_layer("convolution", [int(64.5 * 2**18), 0, int(-64.5 * 2**18), 0], 2.0**-18)
    assert kernel_of(maker) == "convolution.c"
    assert_equal(micro, maker)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [0.7, 3.3, 2.0**-23, 1e-12])
def test_a_factor_of_any_size(micro, kind, scale):
    assert_equal(micro, one_layer(kind, [100, -7, 3, -50], scale))


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_minus_128(micro, kind):
    maker = one_layer(kind, [1, 2, 3, 4], activation=RELU)
    buffer = maker.model.buffers[maker.graph.tensors[1].buffer]
    buffer.data[::3] = 128
    assert_equal(micro, maker)


def test_the_short_way_gives_the_specification_for_every_kind_of_sum():
    rng = np.random.default_rng(0)
    for _ in range(3000):
        multiplier, shift = int(rng.integers(2**30, 2**31)), -int(rng.integers(1, 23))
        total = int(rng.integers(-(2**30), 2**30) >> rng.integers(0, 30))
        zero, step = int(rng.integers(-128, 128)), -shift - 1
        scaled = (2 * total * multiplier + 2**31) >> 32
        for value in (scaled, ((scaled >> -shift) << -shift) + (1 << step)):  # and exact halves
            short = ((value + ((2 * zero + 1) << step) + (value >> 63)) >> step) >> 1
            assert short == fixed_point.shift_right(value, -shift) + zero
    assert scaled == fixed_point.high_multiply(total, multiplier)


def test_bounds_hold_and_are_reached():
    maker = one_layer("dense", [5, -5, 0, 9])
    operator = read_model(maker.finish()).operators[0]
    channels = channels_of(operator, constant_weights(operator, operator.inputs[1], 2), 0)
    least, most = channels.bounds()[0]
    row = channels.weights[0]
    assert int(np.where(row > 0, -128, 127) @ row) + channels.bias[0] == least
    assert int(np.where(row > 0, 127, -128) @ row) + channels.bias[0] == most
    assert proven(channels) is not None
