"""Random valid models compile and give what tflite-micro gives.

MEDLAB_RANDOM_MODELS sets how many; 500 take 40 seconds of processor time where gcc is installed.
"""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
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

COUNT = int(os.environ.get("MEDLAB_RANDOM_MODELS", "500"))
LARGEST = 4000  # of a tensor


@pytest.fixture(scope="module")
def micro():
    oracle = TfliteMicro()
    yield oracle
    oracle.close()


def sides(high: int):
    """Draw a height and a width."""
    return st.tuples(st.integers(1, high), st.integers(1, high))


@st.composite
def models(draw) -> bytes:
    """Draw a graph: each operator reads any earlier tensor, so that tensors fan out."""
    height, width = draw(sides(14))
    zero_points = st.sampled_from([-128, -5, 0, 40, 127])
    maker = Maker([1, height, width, draw(st.integers(1, 9))], 0.05, draw(zero_points))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    tensors = [maker.input]
    for _ in range(draw(st.integers(1, 6))):
        source = draw(st.sampled_from(tensors))
        make = draw(
            st.sampled_from([convolution, depth, pooling, sum_or_product, join, pad, sigmoid])
        )
        tensors.append(make(draw, maker, rng, source, tensors))
    finish(draw, maker, rng)
    return maker.finish()


def window(draw, maker, source) -> dict:
    """Draw a kernel, strides, padding, dilation that fit."""
    _, height, width, _ = maker.shape_of(source)
    kernel, padding = draw(sides(4)), draw(st.sampled_from([SAME, VALID]))
    if padding == VALID:
        kernel = min(kernel[0], height), min(kernel[1], width)
    return {"kernel": kernel, "strides": draw(sides(3)), "padding": padding}


def dilated(draw, maker, source, chosen: dict) -> dict:
    """Dilate it now and then; tflite-micro wants no strides then."""
    if draw(st.integers(0, 4)) or chosen["padding"] == VALID:
        return chosen
    return {**chosen, "strides": (1, 1), "dilation": draw(sides(3))}


def layer_options(draw) -> dict:
    """Draw a fused activation and an output zero point."""
    activation = draw(st.sampled_from([0, RELU, RELU6]))
    return {"activation": activation, "zero_point": draw(st.sampled_from([-128, -128, -3, 30]))}


def convolution(draw, maker, rng, source, _tensors):
    """Add a CONV_2D."""
    chosen = dilated(draw, maker, source, window(draw, maker, source))
    channels = draw(st.integers(1, 10))
    return convolve(maker, rng, source, channels, **chosen, **layer_options(draw))


def depth(draw, maker, rng, source, _tensors):
    """Add a DEPTHWISE_CONV_2D."""
    chosen = dilated(draw, maker, source, window(draw, maker, source))
    chosen["strides"] = (chosen["strides"][0],) * 2
    multiplier = draw(st.sampled_from([1, 1, 1, 2, 3])) if size(maker, source) < LARGEST else 1
    more = layer_options(draw)
    return depthwise(maker, rng, source, **chosen, multiplier=multiplier, **more)


def pooling(draw, maker, _rng, source, _tensors):
    """Add a pooling."""
    kind = draw(st.sampled_from(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
    return pool(maker, source, kind, **window(draw, maker, source))


def sum_or_product(draw, maker, rng, source, tensors):
    """Add an ADD or MUL of two tensors of one shape, or with a constant per channel."""
    shape = maker.shape_of(source)
    alike = [t for t in tensors if maker.shape_of(t) == shape]
    other = draw(st.sampled_from(alike))
    if draw(st.integers(0, 3)) == 0:
        data = rng.integers(-128, 128, shape[-1:])
        other = maker.tensor(shape[-1:], 0.03, 12, data)
    kind, zero = draw(st.sampled_from(["ADD", "ADD", "MUL"])), draw(st.sampled_from([-128, 0]))
    scales = maker.scale_of(source), maker.scale_of(other)
    scale = 1.3 * max(scales) if kind == "ADD" else 128 * scales[0] * scales[1]
    activation = draw(st.sampled_from([0, RELU]))
    options = {"fusedActivationFunction": activation}
    return maker.add(kind, [source, other], shape, scale, zero, **options)


def join(draw, maker, _rng, source, tensors):
    """Add a CONCATENATION of tensors of one shape and scale."""
    if size(maker, source) > LARGEST:
        return source
    shape, alike = maker.shape_of(source), [t for t in tensors if same(maker, source, t)]
    other, axis = draw(st.sampled_from(alike)), draw(st.integers(1, 3))
    out = [n * 2 if i == axis else n for i, n in enumerate(shape)]
    return maker.add(
        "CONCATENATION",
        [source, other],
        out,
        maker.scale_of(source),
        zero(maker, source),
        axis=axis,
    )


def pad(draw, maker, _rng, source, _tensors):
    """Add a PAD."""
    if size(maker, source) > LARGEST:
        return source
    amounts = [(0, 0), *((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(3))]
    shape = [n + sum(a) for n, a in zip(maker.shape_of(source), amounts, strict=True)]
    inputs = [source, maker.whole(amounts)]
    return maker.add("PAD", inputs, shape, maker.scale_of(source), zero(maker, source))


def sigmoid(_draw, maker, _rng, source, _tensors):
    """Add a LOGISTIC."""
    return maker.add("LOGISTIC", [source], maker.shape_of(source), 1 / 256, -128)


def finish(draw, maker, rng) -> None:
    """End as a map, or as a classifier."""
    if draw(st.booleans()) or maker.output == maker.input:
        count = size(maker, maker.output)
        shape, scale = [1, count], maker.scale_of(maker.output)
        inputs = [maker.output, maker.whole(shape)]
        flat = maker.add("RESHAPE", inputs, shape, scale, zero(maker, maker.output))
        last = dense(maker, rng, flat, draw(st.integers(1, 7)))
        shape = maker.shape_of(last)
        maker.add("SOFTMAX", [last], shape, 1 / 256, -128, beta=1.0)


def size(maker, tensor) -> int:
    """Count a tensor's elements."""
    return int(np.prod(maker.shape_of(tensor)))


def zero(maker, tensor) -> int:
    """Return an activation's zero point."""
    return int(maker.graph.tensors[tensor].quantization.zeroPoint[0])


def same(maker, one, other) -> bool:
    """Tell whether two tensors agree in shape, scale and zero point."""
    alike = maker.shape_of(one) == maker.shape_of(other)
    return alike and (maker.scale_of(one), zero(maker, one)) == (
        maker.scale_of(other),
        zero(maker, other),
    )


@settings(
    max_examples=COUNT,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(model=models())
def test_a_random_model_equals_tflite_micro(micro, model):
    host = on_this_machine(model)
    inputs = random_inputs(int(np.prod(host.compiled.input[0])), 12)
    np.testing.assert_array_equal(host.run(inputs), micro.run(model, inputs))
