"""The files, the command line, the memory plan and its picture."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from tests.support.edge_models import RELU, Maker, convolve, dense, depthwise, pool
from tests.support.edge_oracle import c_compiler, litert, on_this_machine, random_inputs
from typer.testing import CliRunner

from medlab.cli import edge as cli
from medlab.edge.compiler import report
from medlab.edge.compiler.compile import compile_model, translate
from medlab.edge.compiler.tflite import read_model
from medlab.errors import BadInput


def residual_model() -> bytes:
    maker, rng = Maker([1, 12, 12, 3], 0.05, -128), np.random.default_rng(0)
    relu = {"activation": RELU, "zero_point": -128}
    one = convolve(maker, rng, maker.input, 8, **relu)
    two = convolve(maker, rng, one, 8, **relu)
    both = maker.add("ADD", [one, two], [1, 12, 12, 8], 0.1, -4)
    deep = depthwise(maker, rng, both, **relu)
    convolve(maker, rng, deep, 16, kernel=(1, 1), **relu)
    small = pool(maker, maker.output, kernel=(12, 12), strides=(12, 12))
    flat = maker.add("RESHAPE", [small, maker.whole([1, 16])], [1, 16], maker.scale_of(small), -128)
    last = dense(maker, rng, flat, 4)
    maker.add("SOFTMAX", [last], [1, 4], 1 / 256, -128, beta=1.0)
    return maker.finish()


def test_the_same_model_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        compile_model(residual_model(), tmp_path / name)
    for file in ("model.c", "model.h"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_header_says_sizes_scales_and_zero_points(tmp_path):
    compiled = compile_model(residual_model(), tmp_path)
    header = (tmp_path / "model.h").read_text()
    assert "#define MODEL_INPUT_SIZE 432\n" in header
    assert "#define MODEL_INPUT_ZERO_POINT (-128)\n" in header
    assert "#define MODEL_OUTPUT_SCALE 0.00390625f\n" in header
    assert f"#define MODEL_ARENA_SIZE {compiled.arena_bytes}\n" in header
    (tmp_path / "use.c").write_text(
        '#include "model.h"\nfloat scale = MODEL_INPUT_SCALE; int main(void) { return 0; }\n'
    )
    command = [*c_compiler(), "-std=c99", "-c", str(tmp_path / "use.c"), "-o", str(tmp_path / "u")]
    subprocess.run(command, check=True)


def test_model_c_is_standard_c_that_calls_nothing(tmp_path):
    compile_model(residual_model(), tmp_path)
    strict = ["-std=c99", "-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]
    strict += ["-Wno-unused-parameter", "-ffreestanding", "-O2"]
    source, made = str(tmp_path / "model.c"), str(tmp_path / "model.o")
    subprocess.run([*c_compiler(), *strict, "-c", source, "-o", made], check=True)
    if shutil.which("nm"):
        listed = subprocess.run(["nm", "-u", made], capture_output=True, text=True, check=True)
        assert not listed.stdout.strip()


def test_model_c_runs_without_undefined_behaviour(tmp_path):
    checks = ("-fsanitize=undefined", "-fno-sanitize-recover=all", "-g")
    host = on_this_machine(residual_model(), tmp_path, checks)
    host.run(random_inputs(432, 3))


def test_a_second_inference_does_not_depend_on_the_first():
    host, inputs = on_this_machine(residual_model()), random_inputs(432, 6)
    once = host.run(inputs)
    np.testing.assert_array_equal(host.run(inputs[::-1])[::-1], once)


def test_operators_without_fully_connected_layers_equal_litert_too():
    maker, rng = Maker([1, 12, 12, 3]), np.random.default_rng(0)
    one = convolve(maker, rng, maker.input, 8, activation=RELU)
    two = depthwise(maker, rng, one)
    maker.add("ADD", [one, two], [1, 12, 12, 8], 0.2, 3)
    model, inputs = maker.finish(), random_inputs(432)
    np.testing.assert_array_equal(on_this_machine(model).run(inputs), litert(model, inputs))


def may_share(one, other) -> bool:
    together = one.first <= other.last and other.first <= one.last
    apart = one.end <= other.offset or other.end <= one.offset
    return apart or not together


def test_blocks_that_live_at_the_same_time_lie_apart_but_for_inputs_that_die():
    compiled = translate(read_model(residual_model()))
    blocks = [b for b in compiled.lifetimes if b.size]
    for i, one in enumerate(blocks):
        assert 0 <= one.offset <= one.end <= compiled.arena_bytes
        for other in blocks[i + 1 :]:
            dies = {one.first, other.first} & {one.last, other.last}
            tensors = one.tensor >= 0 and other.tensor >= 0
            assert may_share(one, other) or (tensors and dies)


def test_a_chain_of_layers_takes_little_more_than_its_largest_tensor():
    maker, rng = Maker([1, 16, 16, 8]), np.random.default_rng(0)
    for _ in range(4):
        depthwise(maker, rng, maker.output)
        convolve(maker, rng, maker.output, 8, kernel=(1, 1))
    largest = 16 * 16 * 8
    assert translate(read_model(maker.finish())).arena_bytes < 1.5 * largest


def test_a_residual_takes_two_tensors_not_three():
    maker, rng = Maker([1, 16, 16, 8]), np.random.default_rng(0)
    one = convolve(maker, rng, maker.input, 8)
    two = convolve(maker, rng, convolve(maker, rng, one, 8), 8)
    maker.add("ADD", [one, two], [1, 16, 16, 8], 0.1, 0)
    assert translate(read_model(maker.finish())).arena_bytes < 2.8 * 16 * 16 * 8


def test_the_command_compiles_a_file(tmp_path):
    (tmp_path / "m.tflite").write_bytes(residual_model())
    arguments = ["compile", str(tmp_path / "m.tflite"), "--out", str(tmp_path / "out")]
    ran = CliRunner().invoke(cli.app, arguments)
    assert ran.exit_code == 0
    assert "input: int8 1x12x12x3, scale 0.05, zero point -128" in ran.output
    assert (tmp_path / "out" / "model.c").is_file()


def test_the_command_inspects_a_file_and_draws_its_plan(tmp_path):
    (tmp_path / "m.tflite").write_bytes(residual_model())
    picture = tmp_path / "plan.svg"
    arguments = ["inspect", str(tmp_path / "m.tflite"), "--picture", str(picture)]
    ran = CliRunner().invoke(cli.app, arguments)
    assert ran.exit_code == 0
    assert "DEPTHWISE_CONV_2D" in ran.output
    assert "bytes of RAM" in ran.output
    assert picture.read_text().count("<path") > 10


def test_a_picture_of_another_kind_is_refused(tmp_path):
    compiled = translate(read_model(residual_model()))
    with pytest.raises(BadInput, match="not a figure's format"):
        report.draw_plan(compiled, tmp_path / "plan.gif")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="name another folder"):
        compile_model(residual_model(), tmp_path / "file" / "out")


def test_the_room_loads_nothing_heavy():
    heavy = "{'ai_edge_litert', 'tensorflow', 'matplotlib', 'jinja2', 'unicorn', 'numpy'}"
    code = f"import sys, medlab.edge, medlab.cli.edge; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
