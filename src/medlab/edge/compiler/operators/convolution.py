"""CONV_2D: weights in pairs of channels, inputs through a ring of rows."""

import numpy as np

from medlab.edge.compiler.graph import Operator
from medlab.edge.compiler.operators import exact
from medlab.edge.compiler.operators.step import (
    ANYWHERE,
    Overlap,
    Step,
    array,
    need,
    refuse,
    structure,
)
from medlab.edge.compiler.operators.weights import (
    Channels,
    channels_of,
    constant_weights,
    pack_pairs,
    proven,
)
from medlab.edge.compiler.operators.window import Axis, axes, flattened, geometry

KERNELS = ("rescale.c", "pairs.c", "convolution.c")


def lower(operator: Operator) -> Step:
    """Choose the paired kernel where its proofs hold, else the exact one."""
    source, kernel, _ = need(operator, 3)
    data = constant_weights(operator, kernel, 4)
    count, rows, columns, inputs = data.shape
    height, width = axes(operator, (rows, columns), count)
    if source.shape[3] != inputs:
        what = f"wants {inputs} channels of {source.shape[3]}"
        raise refuse(operator, kernel, what, "use a convolution without groups")
    channels = channels_of(operator, data.reshape(count, -1), 0)
    macs = data.size * height.outputs * width.outputs
    safe = proven(channels)
    packed = safe and pack_pairs(safe)
    if not packed:
        return exact.step(operator, channels, (height, width), inputs, count, macs)
    return _paired(operator, safe, packed, flattened(height, width), macs)


def block(name: str, channels: Channels, packed: tuple[np.ndarray, np.ndarray], stride: int):
    """Write the constants that conv and fully connected share, and the block that names them."""
    weights, table = packed
    pairs = ",\n    ".join(
        "{{{}, {}, {{{}, {}}}, {}}}".format(*("INT32_MIN" if v == -(2**31) else v for v in row))
        for row in table
    )
    constants = [
        array("int8_t", f"{name}_weights", weights),
        f"static const struct channel_pair {name}_pairs[{len(table)}] = {{\n    {pairs}}};\n",
    ]
    values = (f"{name}_weights", f"{name}_pairs", *weights.shape[:2], stride, channels.rounding)
    return constants, "{" + ", ".join(str(v) for v in (*values, int(channels.relu))) + "}"


def _paired(operator: Operator, channels: Channels, packed, sides: tuple[Axis, Axis], macs: int):
    name = f"layer_{operator.index}"
    height, width = sides
    depth = operator.inputs[0].shape[3]
    ring = 0 if _pointwise(height, width) else height.span
    row = -(-width.padded * depth // 4) * 4
    dense = width.dilation == 1 or width.kernel == 1
    segment = width.kernel * depth if dense else depth
    constants, text = block(name, channels, packed, len(channels.bias))
    ring_bytes = (ring + height.sees_padding) * row if ring else 0
    constants.append(
        structure(
            "convolution",
            name,
            block=text,
            **geometry(height, width, depth, len(channels.bias)),
            ring_rows=ring,
            row_bytes=row,
            segment=segment,
            segments=1 if dense else width.kernel,
            padding=operator.inputs[0].zero_point,
            low=channels.low,
            high=channels.high,
            ring_bytes=ring_bytes,
        )
    )
    groups = packed[0].shape[1]
    spare = _spare(channels, packed, height.outputs * width.outputs)
    spare = max(spare, 12 * groups if ring and segment % 4 else 0)
    return Step(
        operator,
        f"convolution(&{name}, {{0}}, {{out}}, (int16_t *)(void *)({{scratch[0]}}), "
        "{scratch[1]}, {scratch[2]});",
        KERNELS,
        constants,
        defines={"CONVOLUTION_RELU" if channels.relu else "CONVOLUTION_SIGNED"},
        scratch=(24 * groups, spare, ring_bytes),
        overlaps={operator.inputs[0].index: Overlap(_lead(height, width, depth, channels, ring))},
        macs=macs,
        weight_bytes=packed[0].size + 4 * packed[1].size,
    )


def _pointwise(height: Axis, width: Axis) -> bool:
    return height.kernel == width.kernel == 1 and not (height.sees_padding or width.sees_padding)


def _spare(channels: Channels, packed, pixels: int) -> int:
    whole = pixels % 3 == 0 and len(channels.bias) % 2 == 0
    return 0 if whole else 6 * packed[0].shape[0]


def _lead(height: Axis, width: Axis, depth: int, channels: Channels, ring: int) -> int:
    """How far after the input's start the output may begin: what is written has been read.

    After every third output pixel a block is written. By then the ring holds all rows up to the
    last that this pixel sees; without a ring the next pixel read is the next output's.
    """
    written = np.arange(3, height.outputs * width.outputs, 3)
    if ring:
        y = (written - 1) // width.outputs
        rows = np.minimum(y * height.stride - height.before + height.span, height.inputs)
        rows = np.maximum(rows, 0)
        read = np.where(rows == height.inputs, ANYWHERE, rows * width.inputs * depth)
    else:
        y, x = written // width.outputs, written % width.outputs
        read = (y * height.stride * width.inputs + x * width.stride) * depth
    ahead = read - written * len(channels.bias)
    return int(ahead.min()) if len(ahead) else ANYWHERE
