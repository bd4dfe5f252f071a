"""Weights, biases and factors of a layer, and the proofs that let a kernel take the short way."""

from dataclasses import dataclass

import numpy as np

from medlab.edge.compiler import fixed_point
from medlab.edge.compiler.graph import Operator, Tensor
from medlab.edge.compiler.operators.step import activation, refuse

LONGEST_SHIFT = 22  # 2z + 1 shifted left by one less stays below 2**30


@dataclass(frozen=True)
class Channels:
    """What each output channel computes: sum(weights * input) + bias, then a factor.

    weights: (channels, inputs) int64; bias, multiplier, shift: (channels,) Python integers.
    """

    weights: np.ndarray
    bias: list[int]  # with the input's zero point folded in
    multiplier: list[int]
    shift: list[int]
    zero_point: int
    low: int
    high: int

    @property
    def relu(self) -> bool:
        """Return whether the activation cuts off everything below zero."""
        return self.low >= self.zero_point

    @property
    def rounding(self) -> int:
        """Return 2z + 1 (see kernels/rescale.c)."""
        return 2 * self.zero_point + 1

    def bounds(self) -> list[tuple[int, int]]:
        """Return the least and the greatest sum of each channel, over all int8 inputs."""
        positive = np.maximum(self.weights, 0).sum(1)
        negative = np.minimum(self.weights, 0).sum(1)
        low = -128 * positive + 127 * negative
        high = 127 * positive - 128 * negative
        triples = zip(self.bias, low.tolist(), high.tolist(), strict=True)
        return [(bias + least, bias + most) for bias, least, most in triples]

    def output_of(self, channel: int, total: int) -> int:
        """Return the int8 output for a sum, as the specification rounds it."""
        scaled = fixed_point.multiply(total, self.multiplier[channel], self.shift[channel])
        return min(max(scaled + self.zero_point, self.low), self.high)


def channels_of(operator: Operator, weights: np.ndarray, axis: int) -> Channels:
    """Read an operator's weights as (channels, inputs), and fold the input's zero point away."""
    source, kernel, bias, out = *operator.inputs[:2], operator.inputs[2:], operator.output
    biases = _bias(operator, bias[0] if bias else None, len(weights))
    folded = biases - source.zero_point * weights.sum(1)
    factors = [fixed_point.quantise_multiplier(f) for f in _factors(operator, len(weights), axis)]
    for _, shift in factors:
        if shift > 30:
            raise refuse(operator, kernel, "has a scale out of proportion", "convert it again")
    low, high = fixed_point.activation_range(activation(operator), out.scale, out.zero_point)
    multiplier, shift = [m for m, _ in factors], [s for _, s in factors]
    return Channels(weights, folded.tolist(), multiplier, shift, out.zero_point, low, high)


def constant_weights(operator: Operator, kernel: Tensor | None, rank: int) -> np.ndarray:
    """Return an operator's int8 weights; refuse any others."""
    if kernel is None or kernel.data is None or kernel.type != "int8":
        shown = kernel or operator.output
        raise refuse(operator, shown, "are not constant int8 weights", "quantise with int8 weights")
    if len(kernel.shape) != rank or not len(kernel.scales) or kernel.zero_points.any():
        do = "convert with symmetric int8 weights"
        raise refuse(operator, kernel, f"are not symmetric weights of {rank} axes", do)
    return kernel.data.astype(np.int64)


def _bias(operator: Operator, bias: Tensor | None, channels: int) -> np.ndarray:
    if bias is None:
        return np.zeros(channels, np.int64)
    if bias.data is None or bias.type != "int32" or bias.size != channels:
        do = "convert with int8 weights and int32 biases"
        raise refuse(operator, bias, "is not a constant int32 bias, one per channel", do)
    return bias.data.astype(np.int64).ravel()


def _factors(operator: Operator, channels: int, axis: int) -> list[float]:
    source, kernel, out = operator.inputs[0], operator.inputs[1], operator.output
    if len(kernel.scales) not in (1, channels):
        what = f"has {len(kernel.scales)} scales for {channels} channels"
        raise refuse(operator, kernel, what, "convert it again")
    if operator.kind == "FULLY_CONNECTED" and len(kernel.scales) == 1:
        product = np.float32(source.scale) * kernel.scales[0]  # in float32, as the interpreter does
        return [float(product) / out.scale] * channels
    scales = np.broadcast_to(kernel.scales, channels)
    return [source.scale * float(scale) / out.scale for scale in scales]


def proven(channels: Channels) -> Channels | None:
    """Return channels for which rescale.c is exact, or None if that cannot be shown.

    A channel whose output is the same for its least and its greatest sum is constant, since
    rounding keeps order: it gets zero weights and a bias that gives this constant. All others must
    keep their sums within 2**30 and must shift right, by 1 to 22 bits.
    """
    weights, bias = channels.weights.copy(), list(channels.bias)
    multiplier, shift = list(channels.multiplier), list(channels.shift)
    for i, (least, most) in enumerate(channels.bounds()):
        if least >= -(2**30) and most < 2**30 and 1 <= -shift[i] <= LONGEST_SHIFT:
            continue
        value = _constant(channels, i, least, most)
        if value is None:
            return None
        weights[i], multiplier[i], shift[i] = 0, 2**30, -1
        bias[i] = 4 * (value - channels.zero_point)  # times 1/2, then halved, is the difference
    return Channels(weights, bias, multiplier, shift, *_limits(channels))


def _limits(channels: Channels) -> tuple[int, int, int]:
    return channels.zero_point, channels.low, channels.high


def _constant(channels: Channels, channel: int, least: int, most: int) -> int | None:
    left = max(channels.shift[channel], 0)
    if least << left < fixed_point.INT32_MIN or most << left > fixed_point.INT32_MAX:
        return None  # a sum may wrap, and then order is not kept
    value = channels.output_of(channel, least)
    return value if value == channels.output_of(channel, most) else None


def pack_pairs(channels: Channels) -> tuple[np.ndarray, np.ndarray] | None:
    """Interleave weights of two channels (see kernels/pairs.c).

    Returns int8 weights (pairs, groups, 8) and a table of int32 (pairs, 5): X, Y, two multipliers,
    shifts. Returns None if a second channel's sum may pass 2**23, or a weight is -128.
    """
    count, inputs = channels.weights.shape
    pairs, groups = -(-count // 2), -(-inputs // 4)
    if any(low < -(2**23) or high >= 2**23 for low, high in channels.bounds()[1::2]):
        return None
    if (channels.weights < -127).any():
        return None
    padded = np.zeros((2 * pairs, 4 * groups), np.int64)
    padded[:count, :inputs] = channels.weights
    table = [_pair(channels, i) for i in range(0, count, 2)]
    lanes = padded.reshape(pairs, 2, groups, 4)[..., [0, 2, 1, 3]]
    both = np.ascontiguousarray(lanes[:, 0] + 256 * lanes[:, 1], "<i2")
    packed = both.view(np.int8)
    return packed, np.array(table, np.int64)


def _pair(channels: Channels, i: int) -> list[int]:
    a, b = channels.bias[i], channels.bias[i + 1] if i + 1 < len(channels.bias) else 0
    multipliers = [*channels.multiplier[i : i + 2], 0][:2]
    shifts = [-s - 1 for s in [*channels.shift[i : i + 2], -1][:2]]
    return [fixed_point.wrap(a + 256 * b), a, *multipliers, shifts[0] | shifts[1] << 8]
