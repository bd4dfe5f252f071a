"""PAD and CONCATENATION: bytes that only change place."""

import numpy as np

from medlab.edge.compiler.graph import Operator, Tensor
from medlab.edge.compiler.operators.step import (
    Step,
    activation,
    array,
    four_axes,
    need,
    option,
    refuse,
    same_scale,
    same_shape,
    strides,
)


def lower(operator: Operator) -> Step:
    """Choose the operator."""
    return _pad(operator) if operator.kind == "PAD" else _concatenation(operator)


def _move(name: str, place: str, start: int, shape, into) -> tuple[str, str]:
    """Write a copy of a block into a larger one, and its constants."""
    steps = strides(into)
    constants = array("int32_t", f"{name}_counts", shape) + array("int32_t", f"{name}_steps", steps)
    return constants, f"move({place}, {{out}} + {start}, {name}_counts, {name}_steps);"


def _pad(operator: Operator) -> Step:
    source, paddings = need(operator, 2)
    same_scale(operator, source)
    rank, out = len(source.shape), operator.output
    constant = paddings is not None and paddings.data is not None and paddings.type == "int32"
    if not constant or paddings.shape != (rank, 2):
        shown = paddings or source
        raise refuse(operator, shown, "gives no constant paddings", "pad by constant amounts")
    before, after = paddings.data[:, 0].tolist(), paddings.data[:, 1].tolist()
    if min(before + after) < 0:
        raise refuse(operator, paddings, "is negative", "crop in another layer")
    sides = zip(before, source.shape, after, strict=True)
    same_shape(operator, tuple(b + n + a for b, n, a in sides))
    shape, into = four_axes(operator, source), four_axes(operator, out)
    steps = strides(into)
    start = int(np.dot([0] * (4 - rank) + before, steps))
    constants, call = _move(f"layer_{operator.index}", "{0}", start, shape, into)
    fill = f"fill_bytes({{out}}, {out.zero_point}, {out.size});"
    return Step(operator, f"{fill}\n    {call}", ("move.c",), [constants])


def _concatenation(operator: Operator) -> Step:
    out, rank = operator.output, len(operator.output.shape)
    axis = option(operator, "Axis")
    axis += rank * (axis < 0)
    if not 0 <= axis < rank or activation(operator) != "NONE" or not operator.inputs:
        raise refuse(operator, out, "is joined in a way that has no kernel", "export it again")
    constants, calls, done = [], [], 0
    into = four_axes(operator, out)
    step = int(np.prod(out.shape[axis + 1 :], dtype=np.int64))
    for i, tensor in enumerate(operator.inputs):
        name = f"layer_{operator.index}_{i}"
        done = _part(operator, tensor, axis, done)
        place = f"{{{i}}}"
        if tensor.data is not None:
            constants.append(array("int8_t", name, tensor.data))
            place = name
        start = (done - tensor.shape[axis]) * step
        text, call = _move(name, place, start, four_axes(operator, tensor), into)
        constants.append(text)
        calls.append(call)
    if done != out.shape[axis]:
        raise refuse(operator, out, f"has {out.shape[axis]}, not {done}", "export the model again")
    return Step(operator, "\n    ".join(calls), ("move.c",), constants)


def _part(operator: Operator, tensor: Tensor | None, axis: int, done: int) -> int:
    if tensor is None or tensor.type != "int8" or len(tensor.scales) != 1:
        raise refuse(operator, tensor or operator.output, "is not an int8 tensor", "quantise it")
    same_scale(operator, tensor)
    expected = list(operator.output.shape)
    if len(tensor.shape) != len(expected):
        raise refuse(operator, tensor, "has a different number of axes", "export the model again")
    expected[axis] = tensor.shape[axis]
    if list(tensor.shape) != expected:
        raise refuse(operator, tensor, f"has shape {list(tensor.shape)}", "export the model again")
    return done + tensor.shape[axis]
