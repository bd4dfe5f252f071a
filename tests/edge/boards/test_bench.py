"""The bench firmware: a compiled model on a board gives what LiteRT's reference kernels give."""

import os
from pathlib import Path

import numpy as np
import pytest
from tests.support import edge_models as making

from medlab.edge import boards, compile_model
from medlab.edge.boards import profile
from medlab.edge.compiler.emitter import SLACK


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(3)
    maker = making.Maker((1, 1, 40, 1))
    last = making.convolve(maker, rng, maker.input, 8, (1, 5), (1, 2), activation=making.RELU)
    last = making.depthwise(maker, rng, last, (1, 3), activation=making.RELU)
    last = making.convolve(maker, rng, last, 12, (1, 1), activation=making.RELU)
    last = making.pool(maker, last, kernel=(1, 20), strides=(1, 20), padding=making.VALID)
    making.dense(maker, rng, last, 4)
    return maker.finish()


def outputs_of(model, inputs):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_REF
    made = Interpreter(model_content=model, experimental_op_resolver_type=plain)
    made.allocate_tensors()
    into, out = made.get_input_details()[0], made.get_output_details()[0]
    for values in inputs:
        made.set_tensor(into["index"], values.reshape(into["shape"]))
        made.invoke()
        yield made.get_tensor(out["index"]).ravel().tolist()


def bench(model, name, folder, compiler):
    compile_model(model, folder / "model")
    sources = [boards.find_hardware_labs() / "bench" / "main.c", folder / "model" / "model.c"]
    board = boards.load(name)
    return board, board.build(sources, folder / "a.elf", compiler=compiler)


def lines(run):
    return [[int(word) for word in line.split()] for line in run.check().text.splitlines()]


@pytest.mark.parametrize("name", boards.names())
def test_a_model_on_a_board_equals_litert(model, name, tmp_path, zig):
    inputs = np.random.default_rng(4).integers(-128, 128, (5, 40), dtype=np.int8)
    board, firmware = bench(model, name, tmp_path, zig)
    run = board.run(firmware, inputs.ravel().tolist(), watch=["model_invoke"])
    assert lines(run) == list(outputs_of(model, inputs))
    assert len(run.calls["model_invoke"]) == 5
    assert run.exit_status == 0


def test_the_arena_is_written_to_its_end_and_not_behind(model, tmp_path, zig):
    planned = compile_model(model, tmp_path / "plan").arena_bytes
    board, firmware = bench(model, "stm32f405", tmp_path, zig)
    run = board.run(firmware, [1] * 40, follow_arena=True)
    assert planned - 8 < run.arena_bytes <= planned - SLACK
    marks = {row.what: row.value for row in profile.memory(board, firmware, run)}
    assert marks["arena, at most"] == f"{run.arena_bytes:,}"


def test_a_sensor_that_stops_within_a_window_gives_no_prediction(model, tmp_path, zig):
    board, firmware = bench(model, "stm32f405", tmp_path, zig)
    run = board.run(firmware, [1] * 39)
    assert (run.text, run.exit_status) == ("the sensor stopped within a window\n", 1)
    assert board.run(firmware, []).text == ""


@pytest.mark.real
@pytest.mark.skipif(not os.environ.get("MEDLAB_REALDATA"), reason="MEDLAB_REALDATA is not set")
@pytest.mark.parametrize("name", ["stm32f405", "stm32h7"])
def test_the_keyword_model_on_a_board_gives_its_golden_outputs(name, tmp_path, zig):
    folder = Path(os.environ["MEDLAB_REALDATA"]) / "models"
    golden = np.load(folder / "golden" / "kws_ref_model.npz")
    model = (folder / "mlperf_tiny" / "kws_ref_model.tflite").read_bytes()
    board, firmware = bench(model, name, tmp_path, zig)
    run = board.run(firmware, golden["inputs"].ravel().tolist())
    assert lines(run) == golden["outputs_ref"].reshape(6, 12).tolist()
