"""DEPTHWISE_CONV_2D: one plane of 16-bit numbers per channel, two outputs at a time."""

from dataclasses import asdict

import numpy as np

from medlab.edge.compiler.graph import Operator
from medlab.edge.compiler.kernel_files import template
from medlab.edge.compiler.operators import exact
from medlab.edge.compiler.operators.depthwise_assembly import Shape, Taps, assembly
from medlab.edge.compiler.operators.step import (
    Overlap,
    Step,
    array,
    need,
    option,
    refuse,
    structure,
)
from medlab.edge.compiler.operators.weights import Channels, channels_of, constant_weights, proven
from medlab.edge.compiler.operators.window import Axis, axes

LARGEST_KERNEL = 25  # taps that are written out; more go to the exact kernel
LARGEST_PLANE = 1 << 15


def lower(operator: Operator) -> Step:
    """Choose the plane kernel where it applies and its proof holds, else the exact one."""
    source, kernel, _ = need(operator, 3)
    data = constant_weights(operator, kernel, 4)
    _, rows, columns, count = data.shape
    height, width = axes(operator, (rows, columns), count)
    depth = source.shape[3]
    if data.shape[0] != 1 or count % depth or option(operator, "DepthMultiplier") < 0:
        what = f"makes {count} channels of {depth}"
        raise refuse(operator, kernel, what, "export the model again")
    ordered = np.moveaxis(data[0], 2, 0)
    channels = channels_of(operator, ordered.reshape(count, -1), 3)
    macs = data.size * height.outputs * width.outputs
    safe = proven(channels)
    if not safe or not _fits(height, width):
        return exact.step(operator, channels, (height, width), 1, count // depth, macs)
    return _planes(operator, safe, (height, width), macs)


def _fits(height: Axis, width: Axis) -> bool:
    plain = height.dilation == width.dilation == 1 and max(height.stride, width.stride) <= 2
    small = height.kernel * width.kernel <= LARGEST_KERNEL
    return plain and small and height.padded * (width.padded + 1) <= LARGEST_PLANE


def _planes(operator: Operator, channels: Channels, sides: tuple[Axis, Axis], macs: int) -> Step:
    name, number = f"layer_{operator.index}", operator.index
    depth, count = operator.inputs[0].shape[3], len(channels.bias)
    steps = (sides[1].inputs * depth, depth), (sides[1].outputs * count, count)
    weights = channels.weights.reshape(count, sides[0].kernel, sides[1].kernel)
    turned = sides[0].outputs > sides[1].outputs  # the longer side makes the rows
    if turned:
        sides, steps = sides[::-1], tuple(step[::-1] for step in steps)
        weights = weights.transpose(0, 2, 1)
    shape = _shape(depth, count // depth, sides, steps, channels.relu)
    rows = ",\n    ".join(
        f"{{{2 * b}, {m}, {-s - 1}}}"
        for b, m, s in zip(channels.bias, channels.multiplier, channels.shift, strict=True)
    )
    constants = [
        array("int8_t", f"{name}_weights", weights),
        f"static const struct depthwise_channel {name}_channels[{count}] = {{\n    {rows}}};\n",
        structure(
            "depthwise",
            name,
            weights=f"{name}_weights",
            channels=f"{name}_channels",
            rounding=channels.rounding,
            padding=operator.inputs[0].zero_point,
        ),
    ]
    call = f"{{function}}(&{name}, {{0}}, {{out}}, (int16_t *)(void *)({{scratch[0]}}));"
    if channels.low > -128 or channels.high < 127:
        call += f"\n    clamp({{out}}, {operator.output.size}, {channels.low}, {channels.high});"
    function, text = f"depthwise_{number}", _text(shape)
    overlaps = {operator.inputs[0].index: Overlap(0, exact=True)} if count == depth else {}
    return Step(
        operator,
        call,
        ("rescale.c", "depthwise.c"),
        constants,
        functions={text: function},
        scratch=(2 * shape.plane_rows * shape.plane_columns,),
        overlaps=overlaps,
        macs=macs,
        weight_bytes=weights.size + 12 * count,
    )


def _shape(depth: int, multiplier: int, sides: tuple[Axis, Axis], steps, relu: bool) -> Shape:
    down, along = sides
    return Shape(
        channels=depth,
        multiplier=multiplier,
        kernel_rows=down.kernel,
        kernel_columns=along.kernel,
        stride_rows=down.stride,
        stride_columns=along.stride,
        in_rows=down.inputs,
        in_columns=along.inputs,
        in_row_step=steps[0][0],
        in_column_step=steps[0][1],
        out_rows=down.outputs,
        out_columns=along.outputs,
        out_row_step=steps[1][0],
        out_column_step=steps[1][1],
        pad_rows=down.before,
        pad_columns=along.before,
        plane_rows=down.padded,
        plane_columns=along.padded + along.padded % 2,  # words of two are read
        relu=int(relu),
    )


def _text(shape: Shape) -> str:
    """Write the C function, with @NAME@ for its name."""
    fields = {**asdict(shape), "name": "@NAME@", "unroll": _unroll(shape.in_columns)}
    taps = Taps(shape)
    return template("depthwise.c.jinja").render(
        s={**fields, **taps.written(), "assembly": assembly(shape, taps)}
    )


def _unroll(count: int) -> int:
    """Choose how many copies a loop holds: a divisor if there is one from 8 down to 4."""
    return next((n for n in (8, 7, 6, 5, 4) if count % n == 0), 4)
