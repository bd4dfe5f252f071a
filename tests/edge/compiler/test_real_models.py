"""Published models: MLPerf Tiny's keyword and image models, and two of tflite-micro's examples."""

import os
from pathlib import Path

import numpy as np
import pytest
from tests.support.edge_oracle import TfliteMicro, on_this_machine, random_inputs

from medlab.edge import boards
from medlab.edge.compiler.compile import compile_model
from medlab.edge.compiler.tflite import read_model
from medlab.errors import BadInput

pytest.importorskip("tflite_micro")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not os.environ.get("MEDLAB_REALDATA"), reason="MEDLAB_REALDATA is not set"),
]
KEYWORDS, IMAGES = "mlperf_tiny/kws_ref_model", "mlperf_tiny/pretrainedResnet_quant"


def model_file(name: str) -> Path:
    return Path(os.environ["MEDLAB_REALDATA"], "models", f"{name}.tflite")


@pytest.fixture(scope="module")
def micro():
    oracle = TfliteMicro()
    yield oracle
    oracle.close()


@pytest.mark.parametrize(
    ("name", "count"),
    [
        (KEYWORDS, 300),
        (IMAGES, 60),
        ("tflm/micro_speech_quantized", 300),
        ("tflm/hello_world_int8", 256),
    ],
)
def test_a_published_model_equals_tflite_micro(micro, name, count):
    model = model_file(name).read_bytes()
    host = on_this_machine(model)
    inputs = random_inputs(int(np.prod(host.compiled.input[0])), count)
    if inputs.shape[1] == 1:
        inputs = np.arange(-128, 128, dtype=np.int8)[:, None]
    np.testing.assert_array_equal(host.run(inputs), micro.run(model, inputs))


@pytest.mark.parametrize(
    ("name", "instructions", "flash", "ram"),
    [(KEYWORDS, 3_300_000, 39_000, 8_900), (IMAGES, 13_500_000, 90_000, 36_500)],
)
def test_a_published_model_stays_within_its_bounds_on_a_cortex_m4(
    micro, tmp_path, name, instructions, flash, ram
):
    model = model_file(name).read_bytes()
    compiled = compile_model(model, tmp_path)
    inputs = random_inputs(int(np.prod(compiled.input[0])), 2)
    board, main = boards.load("stm32f405"), boards.find_hardware_labs() / "bench" / "main.c"
    firmware = board.build([main, tmp_path / "model.c"], tmp_path / "with.elf")
    empty = board.build([main], tmp_path / "without.elf", {"WITHOUT_MODEL": 1})
    ran = board.run(firmware, feed=inputs.ravel().tolist(), watch=["model_invoke"]).check()
    found = np.array([[int(v) for v in line.split()] for line in ran.text.splitlines()])
    np.testing.assert_array_equal(found, micro.run(model, inputs))
    assert max(ran.calls["model_invoke"]) <= instructions
    assert firmware.flash_bytes - empty.flash_bytes <= flash
    assert firmware.ram_bytes - empty.ram_bytes <= ram


@pytest.mark.parametrize("name", ["mlperf_tiny/kws_ref_model_float32", "tflm/hello_world_float"])
def test_a_published_float_model_is_refused(name):
    with pytest.raises(BadInput, match="is float32, and only int8 can be compiled"):
        read_model(model_file(name))


def test_a_published_model_of_signal_operators_is_refused():
    with pytest.raises(BadInput, match=r"operator 0 .* is not supported"):
        read_model(model_file("tflm/audio_preprocessor_int8"))
