"""Operator by operator: the compiled C gives what tflite-micro gives, byte for byte."""

import numpy as np
import pytest
from tests.support.edge_models import (
    RELU,
    RELU6,
    SAME,
    VALID,
    Maker,
    convolve,
    dense,
    depthwise,
    pool,
)
from tests.support.edge_oracle import TfliteMicro, on_this_machine, random_inputs

pytest.importorskip("tflite_micro")


@pytest.fixture(scope="module")
def micro():
    oracle = TfliteMicro()
    yield oracle
    oracle.close()


def assert_equal_to_tflite_micro(micro, maker: Maker, count: int = 20):
    model = maker.finish()
    host = on_this_machine(model)
    inputs = random_inputs(int(np.prod(maker.shape_of(maker.input))), count)
    expected = micro.run(model, inputs)
    assert len(np.unique(expected)) > 1, "the model's outputs are all alike: a weak test"
    np.testing.assert_array_equal(host.run(inputs), expected)


RNG = np.random.default_rng
CONVOLUTIONS = [
    ((1, 9, 7, 4), 6, {}),
    ((1, 9, 7, 4), 8, {"activation": RELU, "zero_point": -128}),
    ((1, 9, 7, 3), 5, {"strides": (2, 2), "activation": RELU}),
    ((1, 9, 7, 3), 5, {"padding": VALID, "activation": RELU6}),
    ((1, 10, 9, 8), 7, {"kernel": (1, 1), "padding": VALID}),
    ((1, 10, 9, 5), 12, {"kernel": (1, 1), "strides": (2, 3)}),
    ((1, 49, 10, 1), 8, {"kernel": (10, 4), "strides": (2, 2)}),
    ((1, 1, 40, 3), 4, {"kernel": (1, 5), "strides": (1, 2)}),
    ((1, 40, 1, 2), 4, {"kernel": (7, 1)}),
    ((1, 12, 12, 4), 4, {"dilation": (2, 3)}),
    ((1, 12, 12, 3), 4, {"dilation": (3, 2), "padding": VALID}),
    ((1, 3, 3, 2), 3, {"kernel": (5, 5)}),
    ((1, 8, 8, 2), 3, {"kernel": (2, 2), "strides": (3, 3)}),
    ((1, 1, 1, 9), 4, {"kernel": (1, 1)}),
    ((1, 6, 6, 4), 4, {"zero_point": 20, "activation": RELU}),
]


@pytest.mark.parametrize(("shape", "channels", "options"), CONVOLUTIONS)
def test_a_convolution(micro, shape, channels, options):
    maker = Maker(shape)
    convolve(maker, RNG(1), maker.input, channels, **options)
    assert_equal_to_tflite_micro(micro, maker)


DEPTHWISE = [
    ((1, 9, 7, 4), {}),
    ((1, 7, 9, 4), {"activation": RELU, "zero_point": -128}),
    ((1, 8, 8, 5), {"strides": (2, 2)}),
    ((1, 9, 9, 3), {"strides": (2, 2), "padding": VALID}),
    ((1, 1, 40, 6), {"kernel": (1, 5)}),
    ((1, 40, 1, 6), {"kernel": (4, 1), "strides": (2, 1)}),
    ((1, 10, 10, 2), {"kernel": (2, 2)}),
    ((1, 10, 10, 2), {"kernel": (1, 1)}),
    ((1, 10, 10, 2), {"kernel": (5, 5), "activation": RELU6}),
    ((1, 10, 10, 2), {"kernel": (4, 3), "strides": (1, 2)}),
    ((1, 10, 10, 2), {"multiplier": 3}),
    ((1, 30, 20, 1), {"multiplier": 8, "kernel": (10, 8), "strides": (2, 2)}),
    ((1, 12, 12, 3), {"dilation": (2, 2)}),
    ((1, 12, 12, 3), {"strides": (3, 3)}),
    ((1, 3, 3, 40), {"padding": VALID}),
]


@pytest.mark.parametrize(("shape", "options"), DEPTHWISE)
def test_a_depthwise_convolution(micro, shape, options):
    maker = Maker(shape)
    depthwise(maker, RNG(2), maker.input, **options)
    assert_equal_to_tflite_micro(micro, maker)


@pytest.mark.parametrize(("inputs", "channels"), [(64, 12), (7, 5), (1, 1), (600, 3), (3, 2)])
@pytest.mark.parametrize("activation", [0, RELU, RELU6])
def test_a_fully_connected_layer(micro, inputs, channels, activation):
    maker = Maker([1, inputs])
    dense(maker, RNG(inputs), maker.input, channels, activation=activation)
    assert_equal_to_tflite_micro(micro, maker, 40)


def test_a_fully_connected_layer_takes_several_vectors(micro):
    maker = Maker([1, 5, 9])
    dense(maker, RNG(3), maker.input, 6)
    assert_equal_to_tflite_micro(micro, maker)


@pytest.mark.parametrize("kind", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
@pytest.mark.parametrize(
    ("kernel", "strides", "padding"),
    [
        ((2, 2), (2, 2), SAME),
        ((3, 3), (1, 1), SAME),
        ((3, 2), (2, 1), VALID),
        ((9, 7), (9, 7), VALID),
    ],
)
@pytest.mark.parametrize("activation", [0, RELU])
def test_a_pooling(micro, kind, kernel, strides, padding, activation):
    maker = Maker([1, 9, 7, 5])
    pool(maker, maker.input, kind, kernel, strides, padding, activation)
    assert_equal_to_tflite_micro(micro, maker)


@pytest.mark.parametrize(
    ("axes", "keep", "out"),
    [
        ([1, 2], True, [1, 1, 1, 5]),
        ([1, 2], False, [1, 5]),
        ([3], False, [1, 6, 7]),
        ([2], True, [1, 6, 1, 5]),
    ],
)
@pytest.mark.parametrize("scale", [0.05, 0.021])
def test_a_mean(micro, axes, keep, out, scale):
    maker = Maker([1, 6, 7, 5], 0.05, 3)
    maker.add("MEAN", [maker.input, maker.whole(axes)], out, scale, -9, keepDims=keep)
    assert_equal_to_tflite_micro(micro, maker, 60)


@pytest.mark.parametrize("kind", ["ADD", "MUL"])
@pytest.mark.parametrize("activation", [0, RELU, RELU6])
@pytest.mark.parametrize("other", ["branch", [5], [1, 6, 1, 5], [1]])
def test_a_sum_and_a_product(micro, kind, activation, other):
    maker = Maker([1, 6, 7, 5], 0.05, 3)
    if other == "branch":
        second = pool(maker, maker.input, "MAX_POOL_2D", (3, 3), (1, 1))
    else:
        data = RNG(4).integers(-128, 128, other)
        second = maker.tensor(other, 0.013, -20, data)
    options = {"fusedActivationFunction": activation}
    maker.add(kind, [maker.input, second], [1, 6, 7, 5], 0.11, -7, **options)
    assert_equal_to_tflite_micro(micro, maker, 60)


@pytest.mark.parametrize("scales", [(0.05, 0.05, 0.05), (0.02, 0.4, 0.3), (0.4, 0.02, 0.9)])
@pytest.mark.parametrize("zero_point", [-128, 4])
@pytest.mark.parametrize("activation", [0, RELU])
def test_a_sum_of_branches_with_scales_of_their_own(micro, scales, zero_point, activation):
    maker = Maker([1, 8, 8, 4], 0.05, -128)
    one = convolve(maker, RNG(5), maker.input, 6, factor=0.002, zero_point=7)
    two = convolve(maker, RNG(6), maker.input, 6, factor=0.002, zero_point=-60)
    quantised = maker.graph.tensors[one].quantization, maker.graph.tensors[two].quantization
    quantised[0].scale[:], quantised[1].scale[:] = scales[:2]
    options = {"fusedActivationFunction": activation}
    maker.add("ADD", [one, two], [1, 8, 8, 6], scales[2], zero_point, **options)
    assert_equal_to_tflite_micro(micro, maker, 60)


@pytest.mark.parametrize("kind", ["MUL", "FULLY_CONNECTED", "CONV_2D"])
def test_halves_fall_as_in_tflite_micro(micro, kind):
    """The factor is 1/128 but for the last bit of a float: which way halves go depends on it."""
    scale, weight = np.float32(0.05), np.float32(0.0137)
    out = float(np.float32(scale * weight) * 128)
    if kind == "MUL":
        maker = Maker([1, 256], scale, 0)
        other = maker.tensor([1, 256], weight, 0, np.repeat([64, -64, 32, 16], 64))
        maker.add("MUL", [maker.input, other], [1, 256], out, 3)
    else:
        shape = [1, 1] if kind == "FULLY_CONNECTED" else [1, 1, 1, 1]
        maker = Maker(shape, scale, 0)
        make = dense if kind == "FULLY_CONNECTED" else convolve
        options = {} if kind == "FULLY_CONNECTED" else {"kernel": (1, 1)}
        make(maker, RNG(0), maker.input, 4, **options)
        graph = maker.graph
        graph.tensors[1].quantization.scale[:] = weight
        graph.tensors[2].quantization.scale[:] = weight * scale
        graph.tensors[maker.output].quantization.scale[:] = out
        for tensor, values in ((1, np.int8([64, -64, 32, 16])), (2, np.zeros(4, np.int32))):
            maker.model.buffers[graph.tensors[tensor].buffer].data = values.view(np.uint8)
    assert_equal_to_tflite_micro(micro, maker, 256)


def test_a_padding(micro):
    maker = Maker([1, 4, 5, 3], 0.05, 3)
    paddings = maker.whole([[0, 0], [1, 2], [0, 3], [0, 1]])
    maker.add("PAD", [maker.input, paddings], [1, 7, 8, 4], 0.05, 3)
    assert_equal_to_tflite_micro(micro, maker)


@pytest.mark.parametrize(
    ("axis", "shape"), [(1, [1, 12, 4, 3]), (2, [1, 6, 8, 3]), (-1, [1, 6, 4, 6])]
)
def test_a_concatenation(micro, axis, shape):
    maker = Maker([1, 6, 4, 3], 0.05, 3)
    second = pool(maker, maker.input, "MAX_POOL_2D", (3, 3), (1, 1))
    maker.add("CONCATENATION", [second, maker.input], shape, 0.05, 3, axis=axis)
    assert_equal_to_tflite_micro(micro, maker)


@pytest.mark.parametrize("kind", ["RESHAPE", "EXPAND_DIMS"])
def test_a_new_shape_costs_nothing(micro, kind):
    maker = Maker([1, 6, 4, 3], 0.05, 3)
    flat = maker.add("RESHAPE", [maker.input, maker.whole([1, 72])], [1, 72], 0.05, 3)
    out = dense(maker, RNG(7), flat, 10)
    if kind == "EXPAND_DIMS":
        maker.add("EXPAND_DIMS", [out, maker.whole([1])], [1, 1, 10], maker.scale_of(out), -3)
    assert_equal_to_tflite_micro(micro, maker)


@pytest.mark.parametrize("scale", [0.003, 0.02, 0.15, 0.7, 3.0])
@pytest.mark.parametrize("shape", [[1, 10], [1, 1], [1, 5, 8]])
def test_a_softmax(micro, scale, shape):
    maker = Maker(shape, scale, 11)
    maker.add("SOFTMAX", [maker.input], shape, 1 / 256, -128, beta=1.0)
    model = maker.finish()
    inputs = random_inputs(int(np.prod(shape)), 100)
    np.testing.assert_array_equal(on_this_machine(model).run(inputs), micro.run(model, inputs))


@pytest.mark.parametrize("scale", [0.001, 0.02, 0.047, 0.15, 0.7])
@pytest.mark.parametrize("zero_point", [-128, -1, 0, 90])
def test_a_logistic_at_all_256_inputs(micro, scale, zero_point):
    maker = Maker([1, 256], scale, zero_point)
    maker.add("LOGISTIC", [maker.input], [1, 256], 1 / 256, -128)
    model, inputs = maker.finish(), np.arange(-128, 128, dtype=np.int8)[None]
    np.testing.assert_array_equal(on_this_machine(model).run(inputs), micro.run(model, inputs))
