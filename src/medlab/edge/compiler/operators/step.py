"""What an operator becomes: a call of a C kernel, its constants, and the memory it may share."""

from dataclasses import dataclass, field

import numpy as np

from medlab.edge.compiler.graph import Operator, Tensor
from medlab.errors import BadInput

ANYWHERE = 1 << 30  # the input is read before the first output is written


@dataclass(frozen=True)
class Overlap:
    """How the output may lie over an input that no later step reads.

    The output may begin up to `lead` bytes after the input begins; if `exact`, it must begin where
    the input does.
    """

    lead: int
    exact: bool = False


@dataclass
class Step:
    """A call of a kernel; {0}, {1}, {out} and {scratch[0]} in it are replaced by addresses."""

    operator: Operator
    call: str
    kernels: tuple[str, ...]  # files of kernels/, in order
    constants: list[str] = field(default_factory=list)
    functions: dict[str, str] = field(default_factory=dict)  # written for this model, by name
    defines: set[str] = field(default_factory=set)
    scratch: tuple[int, ...] = ()  # bytes of working memory
    overlaps: dict[int, Overlap] = field(default_factory=dict)  # by the input tensor's index
    macs: int = 0
    weight_bytes: int = 0


def refuse(operator: Operator, tensor: Tensor, what: str, do: str) -> BadInput:
    """Make the one line about an operator whose form has no kernel."""
    return BadInput(f"{operator}: {tensor} {what}: {do}")


def array(ctype: str, name: str, values) -> str:
    """Write a constant array, 20 numbers a line."""
    numbers = [str(int(v)) for v in np.asarray(values).ravel()]
    numbers = ["(-2147483647 - 1)" if n == "-2147483648" else n for n in numbers]
    lines = [", ".join(numbers[i : i + 20]) for i in range(0, len(numbers), 20)]
    body = ",\n    ".join(lines)
    return f"static const {ctype} {name}[{len(numbers)}] ALIGNED = {{\n    {body}}};\n"


def structure(ctype: str, name: str, **fields) -> str:
    """Write a constant structure with its fields by name."""
    body = "".join(f"    .{key} = {value},\n" for key, value in fields.items())
    return f"static const struct {ctype} {name} = {{\n{body}}};\n"


def strides(shape: tuple[int, ...]) -> np.ndarray:
    """Return the elements from one index to the next along each axis, row-major order."""
    return np.cumprod((1, *shape[:0:-1]))[::-1]


def four_axes(operator: Operator, tensor: Tensor) -> tuple[int, ...]:
    """Return a tensor's shape with axes of size 1 in front; more than four are refused."""
    if len(tensor.shape) > 4:
        raise refuse(operator, tensor, f"has {len(tensor.shape)} axes", "use at most four")
    return (1,) * (4 - len(tensor.shape)) + tensor.shape


def need(operator: Operator, inputs: int) -> tuple[Tensor | None, ...]:
    """Return the operator's inputs, filled up with None; too few or too many are refused."""
    found = operator.inputs + (None,) * (inputs - len(operator.inputs))
    if len(found) != inputs or found[0] is None:
        raise BadInput(f"{operator}: {len(operator.inputs)} inputs, not {inputs}: export it again")
    if found[0].data is not None and operator.kind not in ("ADD", "MUL"):
        raise refuse(operator, found[0], "is constant", "let the converter fold constants")
    return found


def option(operator: Operator, name: str):
    """Return an option; raise BadInput for an operator that lacks it."""
    if name not in operator.options:
        raise BadInput(f"{operator}: option {name} is missing: export the model again")
    return operator.options[name]


def same_shape(operator: Operator, expected: tuple[int, ...]) -> None:
    """Refuse an output whose shape is not what the operator computes."""
    if operator.output.shape != tuple(expected):
        found = list(operator.output.shape)
        do = "the file is damaged, export it again"
        raise refuse(operator, operator.output, f"has shape {found}, not {list(expected)}", do)


def same_scale(operator: Operator, tensor: Tensor) -> None:
    """Refuse an input whose scale differs from the output's, where the operator cannot rescale."""
    out = operator.output
    if tensor.scale != out.scale or tensor.zero_point != out.zero_point:
        raise refuse(
            operator, tensor, "has a different scale from the output", "convert the model again"
        )


def activation(operator: Operator) -> str:
    """Return the fused activation's name, if it is one that can be compiled."""
    name = operator.options.get("FusedActivationFunction", "NONE")
    if name not in ("NONE", "RELU", "RELU6", "RELU_N1_TO_1"):
        do = "use RELU or RELU6, or a layer of its own"
        raise refuse(operator, operator.output, f"has the fused activation {name}", do)
    return name
