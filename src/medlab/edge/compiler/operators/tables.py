"""LOGISTIC and SOFTMAX: what depends on one int8 value is a table made here."""

import numpy as np

from medlab.edge.compiler import fixed_point
from medlab.edge.compiler.fixed_point import INT8_MAX, INT8_MIN
from medlab.edge.compiler.graph import Operator
from medlab.edge.compiler.operators.step import (
    Overlap,
    Step,
    array,
    need,
    option,
    refuse,
    same_shape,
)

LOGISTIC_BITS = 4  # integer bits of the argument
SOFTMAX_BITS = 5
DEEPEST = 4000  # exponentials whose sum fits 32 bits


def lower(operator: Operator) -> Step:
    """Choose the function."""
    (source,) = need(operator, 1)
    out = operator.output
    same_shape(operator, source.shape)
    if out.zero_point != INT8_MIN or abs(out.scale - 1 / 256) > 1e-6:
        do = "convert it again, with output scale 1/256 and zero point -128"
        raise refuse(operator, out, f"has scale {out.scale:.6g}", do)
    return _softmax(operator) if operator.kind == "SOFTMAX" else _logistic(operator)


def _logistic(operator: Operator) -> Step:
    (source,), name = operator.inputs, f"layer_{operator.index}"
    table = [_logistic_of(v - source.zero_point, source.scale) for v in range(-128, 128)]
    return Step(
        operator,
        f"look_up({name}, {{0}}, {{out}}, {source.size});",
        ("table.c",),
        [array("int8_t", name, table)],
        overlaps={source.index: Overlap(0)},
        weight_bytes=256,
    )


def _logistic_of(value: int, scale: float) -> int:
    multiplier, shift = fixed_point.quantise_multiplier(scale * (1 << (31 - LOGISTIC_BITS)))
    if abs(value) >= _radius(LOGISTIC_BITS, shift):
        return INT8_MAX if value > 0 else INT8_MIN
    argument = fixed_point.multiply(value, multiplier, shift)
    result = fixed_point.shift_right(fixed_point.logistic(argument, LOGISTIC_BITS), 31 - 8)
    return min(max(result + INT8_MIN, INT8_MIN), INT8_MAX)


def _radius(integer_bits: int, shift: int) -> int:
    """Return the greatest input that stays within the argument's integer bits."""
    return int(((1 << integer_bits) - 1) * (1 << (31 - integer_bits)) / 2.0**shift)


def _softmax(operator: Operator) -> Step:
    (source,), name = operator.inputs, f"layer_{operator.index}"
    depth = source.shape[-1] if source.shape else 1
    if depth > DEEPEST:
        raise refuse(operator, source, f"has {depth} classes", f"use at most {DEEPEST}")
    real = option(operator, "Beta") * source.scale * (1 << (31 - SOFTMAX_BITS))
    multiplier, shift = fixed_point.quantise_multiplier(min(real, 2.0**31 - 1))
    if real <= 1:
        raise refuse(operator, source, "has too small a scale for softmax", "convert it again")
    size = min(_radius(SOFTMAX_BITS, shift), 255) + 1
    table = [_exponential(d, multiplier, shift) for d in range(size)]
    rows = source.size // depth
    return Step(
        operator,
        f"softmax({name}, {depth}, {size}, {{0}}, {{out}}, {rows});",
        ("softmax.c",),
        [array("int32_t", name, np.array(table))],
        overlaps={source.index: Overlap(0)},
        weight_bytes=4 * size,
    )


def _exponential(difference: int, multiplier: int, shift: int) -> int:
    argument = fixed_point.high_multiply(fixed_point.wrap(-difference << shift), multiplier)
    return fixed_point.exp_of_negative(argument, SOFTMAX_BITS)
