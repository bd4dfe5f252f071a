"""The kernels for Cortex-M with DSP instructions, on emulated cores: equal to tflite-micro."""

import numpy as np
import pytest
from tests.support.edge_models import RELU, SAME, VALID, Maker, convolve, dense, depthwise, pool
from tests.support.edge_oracle import TfliteMicro, random_inputs

pytest.importorskip("tflite_micro")
pytest.importorskip("unicorn")

from medlab.edge import boards
from medlab.edge.compiler.compile import compile_model

MAIN = boards.find_hardware_labs() / "bench" / "main.c"
SHORT = {"activation": RELU, "zero_point": -128}


@pytest.fixture(scope="module")
def micro():
    oracle = TfliteMicro()
    yield oracle
    oracle.close()


def separable() -> Maker:
    """A keyword model in small: ring, pairs, depthwise 3x3, pooling by words, softmax."""
    maker, rng = Maker([1, 13, 10, 1]), np.random.default_rng(0)
    convolve(maker, rng, maker.input, 8, kernel=(5, 4), strides=(2, 2), **SHORT)
    for channels in (8, 12):
        depthwise(maker, rng, maker.output, **SHORT)
        convolve(maker, rng, maker.output, channels, kernel=(1, 1), **SHORT)
    small = pool(maker, maker.output, kernel=(7, 5), strides=(7, 5), padding=VALID)
    flat = maker.add("RESHAPE", [small, maker.whole([1, 12])], [1, 12], maker.scale_of(small), -128)
    last = dense(maker, rng, flat, 5)
    maker.add("SOFTMAX", [last], [1, 5], 1 / 256, -128, beta=1.0)
    return maker


def residual() -> Maker:
    """Odd channels, signed outputs, a sum of two scales, strides, three-byte segments."""
    maker, rng = Maker([1, 11, 10, 3], 0.05, -128), np.random.default_rng(1)
    one = convolve(maker, rng, maker.input, 7, **SHORT)
    two = convolve(maker, rng, one, 7, zero_point=9)
    both = maker.add("ADD", [one, two], [1, 11, 10, 7], maker.scale_of(two) * 1.2, -20)
    convolve(maker, rng, both, 4, kernel=(3, 2), strides=(2, 2), dilation=(1, 1))
    depthwise(maker, rng, maker.output, kernel=(2, 3), strides=(2, 2), zero_point=4)
    return maker


def signal() -> Maker:
    """One axis: depthwise 1x5 and 1x7, a multiplier, a convolution along the signal."""
    maker, rng = Maker([1, 1, 61, 2]), np.random.default_rng(2)
    convolve(maker, rng, maker.input, 4, kernel=(1, 7), strides=(1, 2), **SHORT)
    depthwise(maker, rng, maker.output, kernel=(1, 5), zero_point=-7)
    depthwise(maker, rng, maker.output, kernel=(1, 7), **SHORT)
    depthwise(maker, rng, maker.output, kernel=(1, 3), multiplier=3, zero_point=3)
    pool(maker, maker.output, "MAX_POOL_2D", (1, 3), (1, 2), SAME)
    return maker


def wide() -> Maker:
    """What the assembly leaves to C: a kernel of 5x5, one of two columns, steps past 255 bytes."""
    maker, rng = Maker([1, 7, 6, 300]), np.random.default_rng(3)
    depthwise(maker, rng, maker.input, kernel=(3, 3), **SHORT)
    convolve(maker, rng, maker.output, 3, kernel=(1, 1), zero_point=2)
    depthwise(maker, rng, maker.output, kernel=(5, 5), zero_point=1)
    depthwise(maker, rng, maker.output, kernel=(2, 2), padding=VALID)
    return maker


@pytest.mark.parametrize("make", [separable, residual, signal, wide])
def test_a_model_on_emulated_cores_equals_tflite_micro(micro, make, tmp_path):
    model = make().finish()
    compiled = compile_model(model, tmp_path)
    inputs = random_inputs(int(np.prod(compiled.input[0])), 4)
    expected = micro.run(model, inputs)
    assert len(np.unique(expected)) > 2
    for name in ("stm32f405", "stm32h7"):
        board = boards.load(name)
        firmware = board.build([MAIN, tmp_path / "model.c"], tmp_path / f"{name}.elf")
        ran = board.run(firmware, feed=inputs.ravel().tolist()).check()
        found = np.array([[int(v) for v in line.split()] for line in ran.text.splitlines()])
        np.testing.assert_array_equal(found, expected)
        assert "block_relu" in ran.by_function or "block_signed" in ran.by_function
