"""FULLY_CONNECTED: every output sees every input of its vector."""

from medlab.edge.compiler.graph import Operator
from medlab.edge.compiler.operators import convolution, exact
from medlab.edge.compiler.operators.step import Step, need, refuse
from medlab.edge.compiler.operators.weights import (
    Channels,
    channels_of,
    constant_weights,
    pack_pairs,
    proven,
)
from medlab.edge.compiler.operators.window import Axis


def lower(operator: Operator) -> Step:
    """Multiply each vector of the input, one after another."""
    source, kernel, _ = need(operator, 3)
    data = constant_weights(operator, kernel, 2)
    count, inputs = data.shape
    if operator.options.get("WeightsFormat", 0):
        raise refuse(operator, kernel, "have a shuffled format", "export the model again")
    if source.size % inputs or operator.output.size != source.size // inputs * count:
        what = f"has {source.size} values for {inputs} inputs"
        raise refuse(operator, source, what, "export the model again")
    vectors = source.size // inputs
    channels = channels_of(operator, data, 0)
    safe = proven(channels)
    packed = safe and pack_pairs(safe)
    if not packed:
        sides = (Axis(vectors, vectors, 1, 1, 1, 0), Axis(1, 1, 1, 1, 1, 0))
        return exact.step(operator, channels, sides, inputs, count, data.size * vectors)
    return _paired(operator, safe, packed, vectors)


def _paired(operator: Operator, channels: Channels, packed, vectors: int) -> Step:
    name = f"layer_{operator.index}"
    count, inputs = channels.weights.shape
    constants, text = convolution.block(name, channels, packed, count)
    constants.append(f"static const struct block {name} = {text};\n")
    call = f"fully_connected(&{name}, {{0}}, {{out}});"
    if vectors > 1:
        each = f"fully_connected(&{name}, {{0}} + i * {inputs}, {{out}} + i * {count});"
        call = f"for (int32_t i = 0; i < {vectors}; i++)\n        {each}"
    if channels.low > -128 or channels.high < 127:
        call += f"\n    clamp({{out}}, {vectors * count}, {channels.low}, {channels.high});"
    return Step(
        operator,
        call,
        ("rescale.c", "pairs.c", "fully_connected.c"),
        constants,
        macs=channels.weights.size * vectors,
        weight_bytes=packed[0].size + 4 * packed[1].size,
    )
