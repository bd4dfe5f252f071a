"""ADD and MUL, with inputs that repeat along axes of size 1."""

import numpy as np

from medlab.edge.compiler import fixed_point
from medlab.edge.compiler.graph import Operator, Tensor
from medlab.edge.compiler.operators.step import (
    Overlap,
    Step,
    activation,
    array,
    four_axes,
    need,
    refuse,
    same_shape,
    strides,
    structure,
)
from medlab.edge.compiler.operators.weights import LONGEST_SHIFT

EXTRA_BITS = 20  # of the sum, before it is rescaled


def lower(operator: Operator) -> Step:
    """Rescale, combine, rescale."""
    inputs = need(operator, 2)
    for tensor in inputs:
        _check(operator, tensor)
    shapes = [four_axes(operator, t) for t in (*inputs, operator.output)]
    same_shape(operator, _broadcast(operator, inputs))
    name = f"layer_{operator.index}"
    constants = [_constant(name, i, t) for i, t in enumerate(inputs) if t.data is not None]
    places = [f"{name}_{i}" if t.data is not None else f"{{{i}}}" for i, t in enumerate(inputs)]
    found = _add(operator, name, inputs, places) if operator.kind == "ADD" else None
    parameters, call, kernels = found or _any(operator, name, inputs, places, shapes)
    return Step(
        operator,
        call,
        kernels,
        [*constants, parameters],
        overlaps={t.index: Overlap(0) for t in inputs if t.shape == operator.output.shape},
        weight_bytes=sum(t.size for t in inputs if t.data is not None),
    )


def _check(operator: Operator, tensor: Tensor | None) -> None:
    shown = tensor or operator.output
    if tensor is None or tensor.type != "int8" or len(tensor.scales) != 1:
        raise refuse(operator, shown, "is not an int8 tensor with one scale", "quantise it to int8")


def _constant(name: str, i: int, tensor: Tensor) -> str:
    return array("int8_t", f"{name}_{i}", tensor.data)


def _broadcast(operator: Operator, inputs: tuple[Tensor, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*(t.shape for t in inputs))
    except ValueError:
        what = f"with shape {list(inputs[1].shape)} does not go with {list(inputs[0].shape)}"
        raise refuse(operator, inputs[1], what, "export the model again") from None


def _add(operator: Operator, name: str, inputs, places) -> tuple[str, str, tuple] | None:
    """Write the sum of two tensors of one shape, if its factors allow the short way."""
    out, (factors, last) = operator.output, _factors(operator, inputs)
    low, high = fixed_point.activation_range(activation(operator), out.scale, out.zero_point)
    order = (0, 1) if inputs[0].scale >= inputs[1].scale else (1, 0)
    large, small = (inputs[i] for i in order)
    alike = large.shape == small.shape == out.shape
    if not alike or not 1 <= -last[1] <= LONGEST_SHIFT or factors[order[0]] != (2**30, 0):
        return None
    multiplier, shift = factors[order[1]]
    constants = structure(
        "add",
        name,
        large_offset=-large.zero_point * 2**20,
        small_offset=-small.zero_point * 2**21,
        multiplier=multiplier,
        right=-shift,
        out_multiplier=last[0],
        shift=-last[1] - 1,
        rounding=2 * out.zero_point + 1,
        relu=int(low >= out.zero_point),
        low=low,
        high=high,
    )
    call = f"add(&{name}, {places[order[0]]}, {places[order[1]]}, {{out}}, {out.size});"
    return constants, call, ("rescale.c", "add.c")


def _any(operator: Operator, name: str, inputs, places, shapes) -> tuple[str, str, tuple]:
    """Write any sum or product, inputs repeated along axes where needed."""
    of = "sum_of" if operator.kind == "ADD" else "product_of"
    call = f"elementwise(&{name}, {places[0]}, {places[1]}, {{out}}, {of});"
    return _parameters(operator, name, inputs, shapes), call, ("exact.c", "elementwise.c")


def _parameters(operator: Operator, name: str, inputs, shapes) -> str:
    out = operator.output
    factors, last = _factors(operator, inputs)
    low, high = fixed_point.activation_range(activation(operator), out.scale, out.zero_point)
    steps = ", ".join(f"{{{', '.join(map(str, _steps(s)))}}}" for s in shapes[:2])
    return structure(
        "elementwise",
        name,
        counts="{" + ", ".join(map(str, shapes[2])) + "}",
        steps=f"{{{steps}}}",
        offsets=f"{{{-inputs[0].zero_point}, {-inputs[1].zero_point}}}",
        factors="{" + ", ".join(f"{{{m}, {s}}}" for m, s in factors) + "}",
        out=f"{{{last[0]}, {last[1]}}}",
        zero_point=out.zero_point,
        low=low,
        high=high,
    )


def _steps(shape: tuple[int, ...]) -> list[int]:
    pairs = zip(shape, strides(shape), strict=True)
    return [0 if n == 1 else int(step) for n, step in pairs]


def _factors(operator: Operator, inputs) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    scales, out = [t.scale for t in inputs], operator.output.scale
    if operator.kind == "ADD":
        twice = 2 * max(scales)
        reals, last = [s / twice for s in scales], twice / ((1 << EXTRA_BITS) * out)
    else:
        reals, last = [0, 0], scales[0] * scales[1] / out
    if last >= 1:
        raise refuse(operator, operator.output, "has too small a scale", "convert the model again")
    factors = [fixed_point.quantise_multiplier(r) for r in reals]
    return factors, fixed_point.quantise_multiplier(last)
