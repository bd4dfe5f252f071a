"""What cannot be compiled is refused in one line that names operator, tensor and what to do."""

import sys
import time

import numpy as np
import pytest
from tests.support.edge_models import RELU, Maker, convolve, dense, depthwise, pool
from tests.support.edge_oracle import on_this_machine

from medlab.edge.compiler.compile import translate
from medlab.edge.compiler.tflite import read_model
from medlab.errors import BadInput


def refusal(model) -> str:
    with pytest.raises(BadInput) as caught:
        translate(read_model(model))
    text = str(caught.value)
    assert "\n" not in text
    return text


def small_model() -> Maker:
    maker, rng = Maker([1, 9, 8, 3]), np.random.default_rng(0)
    one = convolve(maker, rng, maker.input, 4, activation=RELU)
    two = depthwise(maker, rng, one)
    both = maker.add("ADD", [one, two], [1, 9, 8, 4], 0.2, 3)
    flat = pool(maker, both)
    flat = maker.add("RESHAPE", [flat, maker.whole([1, 80])], [1, 80], 0.2, 3)
    last = dense(maker, rng, flat, 5)
    maker.add("SOFTMAX", [last], [1, 5], 1 / 256, -128, beta=1.0)
    return maker


def moving_model() -> Maker:
    maker = Maker([1, 6, 6, 4])
    paddings = maker.whole([[0, 0], [1, 1], [2, 0], [0, 0]])
    wide = maker.add("PAD", [maker.input, paddings], [1, 8, 8, 4], 0.05, -5)
    twice = maker.add("CONCATENATION", [wide, wide], [1, 8, 8, 8], 0.05, -5, axis=3)
    soft = maker.add("LOGISTIC", [twice], [1, 8, 8, 8], 1 / 256, -128)
    maker.add("MEAN", [soft, maker.whole([1, 2])], [1, 8], 0.004, -128, keepDims=False)
    return maker


def test_a_float_model_is_refused():
    maker = Maker([1, 4])
    dense(maker, np.random.default_rng(0), maker.input, 3)
    for tensor in (maker.input, maker.output):
        maker.graph.tensors[tensor].type = 0
    text = refusal(maker.finish())
    assert "tensor 0 't0' is float32" in text
    assert "full-integer quantisation" in text


def test_an_int8_model_with_float_ends_is_told_how_to_convert_it():
    maker = Maker([1, 4])
    maker.add("QUANTIZE", [maker.input], [1, 4])
    dense(maker, np.random.default_rng(0), maker.output, 3)
    maker.graph.tensors[maker.input].type = 0
    text = refusal(maker.finish())
    assert "operator 0 QUANTIZE: only the model's inside is int8" in text
    assert "inference_input_type and inference_output_type int8" in text


def test_a_quantize_between_int8_tensors_is_an_operator_without_a_kernel():
    maker = Maker([1, 4])
    maker.add("QUANTIZE", [maker.input], [1, 4])
    assert "operator 0 QUANTIZE (tensor 1 't1') is not supported" in refusal(maker.finish())


def test_a_dynamic_shape_is_refused():
    maker = Maker([1, 4, 4, 1])
    pool(maker, maker.input)
    maker.graph.tensors[maker.input].shapeSignature = [1, -1, 4, 1]
    text = refusal(maker.finish())
    assert "tensor 0 't0' has a dynamic shape [1, -1, 4, 1]" in text
    assert "fix every dimension" in text


def test_a_free_batch_of_one_is_accepted():
    maker = Maker([1, 4, 4, 1])
    pool(maker, maker.input)
    maker.graph.tensors[maker.input].shapeSignature = [-1, 4, 4, 1]
    assert translate(read_model(maker.finish())).input[0] == (1, 4, 4, 1)


def test_an_unsupported_operator_is_named_with_its_tensor():
    maker = Maker([1, 4])
    maker.add("TANH", [maker.input], [1, 4])
    text = refusal(maker.finish())
    assert "operator 0 TANH (tensor 1 't1') is not supported" in text
    assert "CONV_2D" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: setattr(m.graph.tensors[1], "type", 3), "tensor 1 't1' are not constant int8"),
        (lambda m: setattr(m.graph.tensors[2], "buffer", 0), "reads tensor 2 't2', which nothing"),
        (lambda m: setattr(m.graph.tensors[3], "shape", [1, 9, 8, 5]), "has shape [1, 9, 8, 5]"),
        (lambda m: setattr(m.graph.tensors[3].quantization, "scale", None), "has 0 scales"),
        (lambda m: setattr(m.graph.operators[0], "builtinOptions", None), "Padding is missing"),
        (lambda m: setattr(m.graph.operators[0], "inputs", [0]), "not constant int8 weights"),
        (lambda m: setattr(m.graph.operators[0], "inputs", [0, 99, 2]), "tensor 99"),
        (lambda m: setattr(m.graph.operators[0].builtinOptions, "strideW", 0), "stride 0"),
        (
            lambda m: setattr(m.graph.operators[0].builtinOptions, "fusedActivationFunction", 4),
            "TANH",
        ),
        (lambda m: setattr(m.graph, "operators", []), "no operators"),
    ],
)
def test_what_is_wrong_inside_is_named(change, said):
    maker = Maker([1, 9, 8, 3])
    convolve(maker, np.random.default_rng(0), maker.input, 4)
    change(maker)
    assert said in refusal(maker.finish())


def test_weights_with_a_zero_point_are_refused():
    maker = Maker([1, 4])
    dense(maker, np.random.default_rng(0), maker.input, 3)
    maker.graph.tensors[1].quantization.zeroPoint[:] = 1
    assert "symmetric" in refusal(maker.finish())


def test_a_layer_of_constants_is_refused():
    maker = Maker([1, 4, 4, 1])
    constant = maker.tensor([1, 4, 4, 1], data=np.zeros((1, 4, 4, 1)))
    pool(maker, constant)
    assert "is constant" in refusal(maker.finish())


def test_a_concatenation_of_other_scales_is_refused():
    maker = Maker([1, 4])
    maker.add("CONCATENATION", [maker.input, maker.input], [1, 8], 0.07, -5, axis=1)
    assert "tensor 0 't0' has a different scale from the output" in refusal(maker.finish())


def test_two_outputs_are_refused():
    maker = moving_model()
    model = maker.finish()
    assert read_model(model).output.shape == (1, 8)
    maker.graph.outputs = [maker.output, maker.input]
    finish = Maker.finish.__globals__["flatbuffers"].Builder(64)
    finish.Finish(maker.model.Pack(finish), b"TFL3")
    assert "2 outputs" in refusal(bytes(finish.Output()))


@pytest.mark.parametrize("content", [b"", b"no model at all, only text", bytes(64)])
def test_another_file_is_refused(content):
    assert "not a .tflite file" in refusal(content)


def test_without_the_schema_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    assert "pip install ai-edge-litert" in refusal(small_model().finish())


def test_a_missing_file_is_refused(tmp_path):
    assert "No such file" in refusal(tmp_path / "nothing.tflite")


def test_a_refusal_names_the_file(tmp_path):
    file = tmp_path / "notes.tflite"
    file.write_text("no model at all, only text")
    assert refusal(file).startswith(f"{file}: not a .tflite file")


def damaged(model: bytes, rng: np.random.Generator) -> bytes:
    """Cut a file short, flip up to eight bits, or put an extreme number over four bytes."""
    content, kind = bytearray(model), rng.integers(0, 3)
    if kind == 0:
        return model[: rng.integers(0, len(model))]
    if kind == 1:
        for _ in range(rng.integers(1, 9)):
            content[rng.integers(0, len(content))] ^= 1 << rng.integers(0, 8)
    else:
        at = rng.integers(0, len(content) - 4)
        content[at : at + 4] = int(rng.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1])).to_bytes(
            4, "little"
        )
    return bytes(content)


def test_500_damaged_files_give_a_line_or_a_model_never_a_crash_or_a_hang():
    rng, models = np.random.default_rng(0), [small_model().finish(), moving_model().finish()]
    refused, lines = 0, 0
    for i in range(500):
        start = time.monotonic()
        try:
            translate(read_model(damaged(models[i % 2], rng)))
        except BadInput as problem:
            refused += 1
            lines = str(problem).count("\n")
        assert not lines
        assert time.monotonic() - start < 5
    assert refused > 250


def test_damage_that_is_not_noticed_gives_c_that_stays_in_its_memory(tmp_path):
    rng, model, found = np.random.default_rng(1), small_model().finish(), 0
    checks = ("-g", "-fsanitize=undefined,bounds", "-fno-sanitize-recover=all")
    for i in range(200):
        changed = damaged(model, rng)
        try:
            compiled = translate(read_model(changed))
        except BadInput:
            continue
        found += 1
        if found <= 4:
            (tmp_path / str(i)).mkdir()
            host = on_this_machine(changed, tmp_path / str(i), checks)
            size = int(np.prod(compiled.input[0]))
            host.run(rng.integers(-128, 128, (2, size)).astype(np.int8))
    assert found
