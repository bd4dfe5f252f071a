"""Integer arithmetic of TensorFlow's int8 specification, done at compile time in Python's integers.

Source: "TensorFlow Lite 8-bit quantization specification" and gemmlowp's fixed-point note: a real
factor becomes a 31-bit multiplier and a shift; a product is rounded twice, once by the doubling
high multiplication and once by the shift.
"""

import math

import numpy as np

INT8_MIN, INT8_MAX = -128, 127
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def quantise_multiplier(real: float) -> tuple[int, int]:
    """Write a positive factor as (multiplier, shift): real = multiplier / 2**31 * 2**shift."""
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(fraction * 2**31)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def round_half_away(value: float) -> int:
    """Round to the nearest integer, halves away from zero."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def wrap(value: int) -> int:
    """Keep the low 32 bits, as two's complement arithmetic does."""
    return (value + 2**31) % 2**32 - 2**31


def high_multiply(a: int, b: int) -> int:
    """Return the rounded high half of 2ab, saturated: the doubling high multiplication."""
    return min((a * b + 2**30) >> 31, INT32_MAX)


def shift_right(value: int, bits: int) -> int:
    """Divide by 2**bits, halves away from zero."""
    if bits == 0:
        return value
    return (value + (1 << (bits - 1)) - (value < 0)) >> bits


def multiply(value: int, multiplier: int, shift: int) -> int:
    """Multiply by a quantised factor, rounding twice as the specification does."""
    left = wrap(value << max(shift, 0))
    return shift_right(high_multiply(left, multiplier), max(-shift, 0))


def activation_range(activation: str, scale: float, zero_point: int) -> tuple[int, int]:
    """Return the lowest and highest int8 value that a fused activation lets through."""

    def quantised(real: float) -> int:
        return zero_point + round_half_away(float(np.float32(real) / np.float32(scale)))

    low, high = INT8_MIN, INT8_MAX
    if activation in ("RELU", "RELU6"):
        low = max(low, quantised(0))
    if activation == "RELU6":
        high = min(high, quantised(6))
    if activation == "RELU_N1_TO_1":
        low, high = max(low, quantised(-1)), min(high, quantised(1))
    return low, high


def _exp_near_zero(value: int) -> int:
    """Return exp(value), for value in [-1/4, 0), both with 31 fraction bits (Taylor at -1/8)."""
    constant, third = round(math.exp(-1 / 8) * 2**31), round(2**31 / 3)
    x = value + (1 << 28)
    x2 = high_multiply(x, x)
    x3, x4 = high_multiply(x2, x), high_multiply(x2, x2)
    series = high_multiply(shift_right(x4, 2) + x3, third) + x2
    return constant + high_multiply(constant, x + shift_right(series, 1))


def exp_of_negative(value: int, integer_bits: int) -> int:
    """Return exp(value) with 31 fraction bits, for value <= 0 with 31 - integer_bits of them."""
    if value == 0:
        return INT32_MAX
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    near = (value & (quarter - 1)) - quarter
    result = _exp_near_zero(near << integer_bits)
    rest = near - value
    for exponent in range(-2, integer_bits):
        if rest & (1 << (fraction_bits + exponent)):
            factor = round_half_away(math.exp(-(2.0**exponent)) * 2**31)
            result = high_multiply(result, factor)
    return 0 if integer_bits > 5 and value < -(32 << fraction_bits) else result


def reciprocal_of_one_plus(value: int) -> int:
    """Return 1 / (1 + value) for value in [0, 1), by three Newton steps; 31 fraction bits."""
    half_denominator = (value + INT32_MAX + 1) >> 1
    x = round(48 / 17 * 2**29) + high_multiply(half_denominator, round(-32 / 17 * 2**29))
    for _ in range(3):
        error = (1 << 29) - high_multiply(half_denominator, x)
        x = wrap(x + (high_multiply(x, error) << 2))
    return min(x << 1, INT32_MAX)


def logistic(value: int, integer_bits: int) -> int:
    """Return 1 / (1 + exp(-value)) with 31 fraction bits."""
    if value == 0:
        return 1 << 30
    positive = reciprocal_of_one_plus(exp_of_negative(-abs(value), integer_bits))
    return positive if value > 0 else INT32_MAX - positive
