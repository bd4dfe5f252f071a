"""Windows that slide over height and width: sizes, strides and padding of the specification."""

from dataclasses import dataclass, replace

from medlab.edge.compiler.graph import Operator
from medlab.edge.compiler.operators.step import option, refuse, same_shape

LARGEST = 1 << 14  # of any axis, so that sizes and strides fit 16 bits


@dataclass(frozen=True)
class Axis:
    """One axis: how many inputs and outputs, and where windows lie on it."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    dilation: int
    before: int  # padding before the first input

    @property
    def span(self) -> int:
        """Count the inputs from a window's first to its last."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def padded(self) -> int:
        """Count the inputs with the padding that windows see."""
        return max(self.before + self.inputs, (self.outputs - 1) * self.stride + self.span)

    @property
    def sees_padding(self) -> bool:
        """Return whether any window reaches outside."""
        return self.before > 0 or self.padded > self.before + self.inputs


def axis(inputs: int, kernel: int, stride: int, dilation: int, same: bool) -> Axis:
    """Place windows with SAME or VALID padding."""
    span = (kernel - 1) * dilation + 1
    outputs = -(-inputs // stride) if same else -(-(inputs - span + 1) // stride)
    total = max((outputs - 1) * stride + span - inputs, 0) if same else 0
    return Axis(inputs, outputs, kernel, stride, dilation, total // 2)


def axes(operator: Operator, kernel: tuple[int, int], channels: int) -> tuple[Axis, Axis]:
    """Return height and width of an operator, checked against its output's shape."""
    source = operator.inputs[0]
    if len(source.shape) != 4 or source.shape[0] != 1 or max(source.shape) > LARGEST:
        what, do = f"has shape {list(source.shape)}", "give it batch 1, height, width, channels"
        raise refuse(operator, source, what, do)
    same = option(operator, "Padding") == "SAME"
    found = []
    for size, window, letter in zip(source.shape[1:3], kernel, "HW", strict=True):
        stride = option(operator, f"Stride{letter}")
        dilation = operator.options.get(f"Dilation{letter}Factor", 1)
        span = (window - 1) * dilation + 1
        if min(stride, dilation, window) < 1 or max(stride, dilation, window, span) > LARGEST:
            what = f"has window {window}, stride {stride}, dilation {dilation}"
            raise refuse(operator, operator.output, what, "export the model again")
        if not same and span > size:
            raise refuse(operator, source, "is smaller than the window", "export the model again")
        found.append(axis(size, window, stride, dilation, same))
    same_shape(operator, (1, found[0].outputs, found[1].outputs, channels))
    return found[0], found[1]


def flattened(height: Axis, width: Axis) -> tuple[Axis, Axis]:
    """Lay all pixels in one row where each output sees only its own input."""
    count, alone = height.inputs * width.inputs, Axis(1, 1, 1, 1, 1, 0)
    plain = all(a == Axis(a.inputs, a.inputs, 1, 1, a.dilation, 0) for a in (height, width))
    if plain and count <= LARGEST:
        return alone, Axis(count, count, 1, 1, 1, 0)
    return upright(height, width)


def upright(height: Axis, width: Axis) -> tuple[Axis, Axis]:
    """Turn a signal (height 1) so that its samples are rows: the bytes lie the same."""
    flat = Axis(1, 1, 1, 1, 1, 0)
    if replace(height, stride=1, dilation=1) == flat:
        return width, flat
    return height, width


def geometry(height: Axis, width: Axis, depth: int, count: int) -> dict[str, int]:
    """Return the fields that the C structures of convolutions share; count: output channels."""
    return {
        "in_height": height.inputs,
        "in_width": width.inputs,
        "in_channels": depth,
        "out_height": height.outputs,
        "out_width": width.outputs,
        "out_channels": count,
        "kernel_height": height.kernel,
        "kernel_width": width.kernel,
        "stride_y": height.stride,
        "stride_x": width.stride,
        "dilation_y": height.dilation,
        "dilation_x": width.dilation,
        "pad_top": height.before,
        "pad_left": width.before,
    }
