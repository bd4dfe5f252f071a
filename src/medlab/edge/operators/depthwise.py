"""DEPTHWISE_CONV_2D: one plane of 16-bit numbers per channel, two outputs at a time."""

from dataclasses import asdict, dataclass

import numpy as np

from medlab.edge.graph import Operator
from medlab.edge.operators import exact
from medlab.edge.operators.step import Overlap, Step, array, need, option, refuse, structure
from medlab.edge.operators.weights import Channels, channels_of, constant_weights, proven
from medlab.edge.operators.window import Axis, axes

LARGEST_KERNEL = 25  # taps that are written out; more go to the exact kernel
LARGEST_PLANE = 1 << 15


@dataclass(frozen=True)
class Shape:
    """What the kernel's text depends on: layers that agree in it share one function."""

    channels: int
    multiplier: int
    kernel_rows: int
    kernel_columns: int
    stride_rows: int
    stride_columns: int
    in_rows: int
    in_columns: int
    in_row_step: int
    in_column_step: int
    out_rows: int
    out_columns: int
    out_row_step: int
    out_column_step: int
    pad_rows: int
    pad_columns: int
    plane_rows: int
    plane_columns: int
    relu: int


def lower(operator: Operator) -> Step:
    """Choose the plane kernel where it applies and its proof holds, else the exact one."""
    source, kernel, _ = need(operator, 3)
    data = constant_weights(operator, kernel, 4)
    _, rows, columns, count = data.shape
    height, width = axes(operator, (rows, columns), count)
    depth = source.shape[3]
    if data.shape[0] != 1 or count % depth or option(operator, "DepthMultiplier") < 0:
        what = f"makes {count} channels of {depth}"
        raise refuse(operator, kernel, what, "export the model anew")
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
    from medlab.edge.emit import template

    writer = _Taps(shape)
    return template("depthwise.c.jinja").render(
        s={**asdict(shape), "name": "@NAME@", **writer.written()}
    )


class _Taps:
    """Writes the multiplications of one output ('one') or of two neighbours ('one' and 'two')."""

    def __init__(self, shape: Shape):
        self.shape = shape
        self.pairs: dict[tuple[int, int], str] = {}

    def written(self) -> dict:
        """Return the statements, and the pairs of weights that they use."""
        two, one = self.statements(2), self.statements(1)
        return {"two": two, "one": one, "weights": self.weights()}

    def statements(self, outputs: int) -> list[str]:
        """Go down the kernel's rows: load words of two, multiply each where it is seen."""
        lines = []
        for row in range(self.shape.kernel_rows):
            used = self.taps(row, "one", 0)
            if outputs == 2:
                used += self.taps(row, "two", self.shape.stride_columns)
            words = sorted({word for word, _ in used})
            lines += [f"uint32_t r{row}_{i} = load_pair(row + {self.at(row, i)});" for i in words]
            lines += [text for _, text in used]
        return lines

    def at(self, row: int, word: int) -> int:
        """Return a word's place in the plane, from the window's first number."""
        return row * self.shape.plane_columns + 2 * word

    def taps(self, row: int, target: str, offset: int) -> list[tuple[int, str]]:
        """Pair up a row's taps by the words in which their inputs lie."""
        count, found, tap = self.shape.kernel_columns, [], 0
        while tap < count:
            word, half = divmod(tap + offset, 2)
            if half == 0 and tap + 1 < count:
                found.append((word, "multiply_both", self.pair(row, tap), target))
                tap += 2
            else:
                side, pair = self.single(row, tap)
                name = f"multiply_{'high' if half else 'low'}_{side}"
                found.append((word, name, pair, target))
                tap += 1
        return [(w, f"{t} = {n}(r{row}_{w}, {p}, {t});") for w, n, p, t in found]

    def pair(self, row: int, tap: int) -> str:
        """Name the pair of weights that begins at a tap."""
        return self.pairs.setdefault((row, tap), f"w{row}_{tap}")

    def single(self, row: int, tap: int) -> tuple[str, str]:
        """Find one weight in a pair that is there anyway: first taps low, last taps high."""
        if tap == 0:
            return "low", self.pair(row, 0)
        return "high", self.pair(row, tap - 1)

    def weights(self) -> list[dict[str, str]]:
        """List the pairs of weights that the statements name."""
        columns = self.shape.kernel_columns
        return [
            {
                "name": name,
                "low": f"w[{row * columns + tap}]",
                "high": f"w[{row * columns + tap + 1}]" if tap + 1 < columns else "0",
            }
            for (row, tap), name in sorted(self.pairs.items())
        ]
