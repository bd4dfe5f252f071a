"""Read an int8 .tflite file into a graph; reject in one line what the compiler cannot translate.

A damaged file may contain anything, so every count is checked against a limit before it is used.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np

from medlab.edge.compiler.checks import check_graph, damaged
from medlab.edge.compiler.graph import Graph, Operator, Tensor
from medlab.edge.compiler.operators.lowering import check_supported
from medlab.errors import BadInput

MAX_TENSORS = 4096
MAX_OPERATORS = 2048
MAX_DIMENSIONS = 6
MAX_ELEMENTS = 1 << 24  # of one tensor: far more than a microcontroller holds
TYPES = {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16"}
TYPES |= {9: "int8", 17: "int4"}
DTYPES = {"float32": np.float32, "float16": np.float16, "int32": np.int32, "uint8": np.uint8}
DTYPES |= {"int64": np.int64, "bool": np.bool_, "int16": np.int16, "int8": np.int8}
SCHEMA_FAULTS = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError)


def read_model(model: bytes | Path | str) -> Graph:
    """Read and check a model.

    Raises BadInput, one line that names operator and tensor, for a damaged file, a float model, a
    dynamic shape or anything else that the compiler cannot translate exactly.
    """
    if isinstance(model, bytes):
        return _checked(model)
    content = _file_bytes(Path(model))
    try:
        return _checked(content)
    except BadInput as problem:
        raise BadInput(f"{model}: {problem}") from None


def _checked(content: bytes) -> Graph:
    graph = parse(content)
    check_supported(graph)
    check_graph(graph)
    return graph


def _file_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise BadInput(f"{path}: {problem.strerror}: name a .tflite file") from None


def parse(content: bytes) -> Graph:
    """Read the flatbuffer of a .tflite file; raises BadInput if it is damaged."""
    if len(content) < 16 or content[4:8] != b"TFL3":
        raise BadInput("not a .tflite file: it has no TFL3 mark; export it again")
    try:
        return _parse(content)
    except SCHEMA_FAULTS as problem:
        kind = type(problem).__name__
        raise BadInput(
            f"the .tflite file is damaged ({kind} while reading): copy it again"
        ) from None


def _bounded(count: int, limit: int, what: str) -> range:
    if not 0 <= count <= limit:
        raise damaged(f"{count} {what}")
    return range(count)


def _parse(content: bytes) -> Graph:
    schema = _schema()
    model = schema.Model.GetRootAs(content, 0)
    if model.SubgraphsLength() != 1:
        raise BadInput(
            f"the model has {model.SubgraphsLength()} subgraphs: only one can be compiled; "
            "export a model without loops and branches"
        )
    graph = model.Subgraphs(0)
    count = _bounded(graph.TensorsLength(), MAX_TENSORS, "tensors")
    tensors = tuple(_tensor(model, graph.Tensors(i), i, len(content)) for i in count)
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if not k.startswith("_")}
    count = _bounded(graph.OperatorsLength(), MAX_OPERATORS, "operators")
    operators = tuple(
        _operator(schema, model, graph.Operators(i), i, tensors, names) for i in count
    )
    ends = [_ends(graph, "Inputs", tensors), _ends(graph, "Outputs", tensors)]
    return Graph(tensors, operators, *ends)


def _schema():
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError:
        raise BadInput("ai-edge-litert is not installed: pip install ai-edge-litert") from None
    return schema_py_generated


def _ends(graph, which: str, tensors: tuple[Tensor, ...]) -> Tensor:
    count = getattr(graph, f"{which}Length")()
    if count != 1:
        raise BadInput(
            f"the model has {count} {which.lower()}: only one can be compiled; "
            f"export a model with one {which.lower()[:-1]} tensor"
        )
    return _pick(tensors, getattr(graph, which)(0))


def _pick(tensors: tuple[Tensor, ...], index: int) -> Tensor:
    if not 0 <= index < len(tensors):
        raise damaged(f"tensor {index} of {len(tensors)}")
    return tensors[index]


def _tensor(model, raw, index: int, file_size: int) -> Tensor:
    name = (raw.Name() or b"").decode("utf-8", "replace")[:200]
    name = "".join(c if c.isprintable() else "?" for c in name)
    rank = _bounded(raw.ShapeLength(), MAX_DIMENSIONS, f"dimensions of tensor {index}")
    shape = [int(raw.Shape(i)) for i in rank]
    if raw.ShapeSignatureLength() == len(shape):
        shape = _static(shape, [int(raw.ShapeSignature(i)) for i in rank], index, name)
    if min(shape, default=1) < 1 or np.prod([float(n) for n in shape]) > MAX_ELEMENTS:
        raise damaged(f"tensor {index} '{name}' has shape {shape}")
    type_ = TYPES.get(raw.Type(), f"type {raw.Type()}")
    scales, zeros = _quantisation(raw.Quantization(), index, file_size)
    data = _data(model, raw, type_, tuple(shape))
    return Tensor(index, name, tuple(shape), type_, scales, zeros, data)


def _static(shape: list[int], signature: list[int], index: int, name: str) -> list[int]:
    if -1 in signature[1:] or any(
        n == -1 and m != 1 for n, m in zip(signature, shape, strict=True)
    ):
        raise BadInput(
            f"tensor {index} '{name}' has a dynamic shape {signature}: "
            "fix every dimension, batch 1, before converting"
        )
    return shape


def _quantisation(raw, index: int, file_size: int) -> tuple[np.ndarray, np.ndarray]:
    if raw is None or not raw.ScaleLength():
        return np.zeros(0, np.float32), np.zeros(0, np.int64)
    count = _bounded(raw.ScaleLength(), file_size // 4, f"scales of tensor {index}")
    if raw.ZeroPointLength() not in (0, len(count)):
        raise damaged(f"tensor {index} has {len(count)} scales, {raw.ZeroPointLength()} zeros")
    scales = np.array(raw.ScaleAsNumpy(), np.float32)
    zeros = raw.ZeroPointAsNumpy() if raw.ZeroPointLength() else 0 * scales
    if not (np.isfinite(scales) & (scales > 0)).all():
        raise damaged(f"tensor {index} has a scale that is not a positive number")
    return scales, np.array(zeros, np.int64)


def _data(model, raw, type_: str, shape: tuple[int, ...]) -> np.ndarray | None:
    if not 0 <= raw.Buffer() < model.BuffersLength():
        raise damaged(f"buffer {raw.Buffer()} of {model.BuffersLength()}")
    buffer = model.Buffers(raw.Buffer())
    if raw.Buffer() == 0 or buffer is None or not buffer.DataLength():
        return None
    content = np.array(buffer.DataAsNumpy(), np.uint8).tobytes()
    if type_ not in DTYPES:
        return np.frombuffer(content, np.uint8)
    dtype = np.dtype(DTYPES[type_]).newbyteorder("<")
    if len(content) != dtype.itemsize * int(np.prod(shape, dtype=np.int64)):
        raise damaged(f"{len(content)} bytes for shape {list(shape)} of {type_}")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _operator(schema, model, raw, index: int, tensors, names: dict[int, str]) -> Operator:
    if not 0 <= raw.OpcodeIndex() < model.OperatorCodesLength():
        raise damaged(f"operator {index} has no code")
    code = model.OperatorCodes(raw.OpcodeIndex())
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    count = _bounded(raw.InputsLength(), MAX_TENSORS, f"inputs of operator {index}")
    inputs = [raw.Inputs(i) for i in count]
    count = _bounded(raw.OutputsLength(), MAX_TENSORS, f"outputs of operator {index}")
    return Operator(
        index,
        names.get(number, f"number {number}"),
        tuple(None if i == -1 else _pick(tensors, i) for i in inputs),
        tuple(_pick(tensors, raw.Outputs(i)) for i in count),
        _options(schema, raw),
    )


ACTIVATION = "FusedActivationFunction"
STRIDES = ("Padding", "StrideW", "StrideH", ACTIVATION)
DILATIONS = ("DilationWFactor", "DilationHFactor")
OPTIONS = {
    "Conv2DOptions": (*STRIDES, *DILATIONS),
    "DepthwiseConv2DOptions": (*STRIDES, *DILATIONS, "DepthMultiplier"),
    "FullyConnectedOptions": (ACTIVATION, "WeightsFormat"),
    "Pool2DOptions": (*STRIDES, "FilterWidth", "FilterHeight"),
    "AddOptions": (ACTIVATION,),
    "MulOptions": (ACTIVATION,),
    "ConcatenationOptions": ("Axis", ACTIVATION),
    "SoftmaxOptions": ("Beta",),
    "ReducerOptions": ("KeepDims",),
}
NUMBERS = {"Padding": "Padding", ACTIVATION: "ActivationFunctionType"}


def _options(schema, raw) -> dict[str, Any]:
    union = raw.BuiltinOptions()
    for name, fields in OPTIONS.items():
        if union is not None and raw.BuiltinOptionsType() == getattr(schema.BuiltinOptions, name):
            table = getattr(schema, name)()
            table.Init(union.Bytes, union.Pos)
            return {f: _named(schema, f, getattr(table, f)()) for f in fields}
    return {}


def _named(schema, field_: str, value):
    if field_ not in NUMBERS:
        return value
    names = vars(getattr(schema, NUMBERS[field_]))
    return next((k for k, v in names.items() if v == value), f"number {value}")
