"""The plain kernel: for layers whose sums may pass 2**30, and for forms that others do not take."""

import numpy as np

from medlab.edge.compiler.fixed_point import wrap
from medlab.edge.compiler.graph import Operator
from medlab.edge.compiler.operators.step import Step, array, structure
from medlab.edge.compiler.operators.weights import Channels
from medlab.edge.compiler.operators.window import Axis, geometry


def step(
    operator: Operator,
    channels: Channels,
    sides: tuple[Axis, Axis],
    group_inputs: int,
    group_outputs: int,
    macs: int,
) -> Step:
    """Lower a layer to convolution_exact.c; weights are (channels, rows, columns, group inputs)."""
    name = f"layer_{operator.index}"
    height, width = sides
    depth = operator.inputs[0].size // (height.inputs * width.inputs)
    factors = ", ".join(
        f"{{{m}, {s}}}" for m, s in zip(channels.multiplier, channels.shift, strict=True)
    )
    count = len(channels.bias)
    constants = [
        array("int8_t", f"{name}_weights", channels.weights),
        array("int32_t", f"{name}_bias", np.array([wrap(b) for b in channels.bias])),
        f"static const struct factor {name}_factors[{count}] = {{{factors}}};\n",
        structure(
            "convolution_exact",
            name,
            weights=f"{name}_weights",
            bias=f"{name}_bias",
            factors=f"{name}_factors",
            **geometry(height, width, depth, count),
            group_inputs=group_inputs,
            group_outputs=group_outputs,
            zero_point=channels.zero_point,
            padding=operator.inputs[0].zero_point,
            low=channels.low,
            high=channels.high,
        ),
    ]
    return Step(
        operator,
        f"convolution_exact(&{name}, {{0}}, {{out}});",
        ("exact.c", "convolution_exact.c"),
        constants,
        macs=macs,
        weight_bytes=channels.weights.size + 12 * count,
    )
