"""AVERAGE_POOL_2D, MAX_POOL_2D and MEAN."""

from medlab.edge.compiler import fixed_point
from medlab.edge.compiler.graph import Operator
from medlab.edge.compiler.operators.step import (
    Overlap,
    Step,
    activation,
    need,
    option,
    refuse,
    same_scale,
    strides,
    structure,
)
from medlab.edge.compiler.operators.window import axes


def lower(operator: Operator) -> Step:
    """Choose between windows and axes."""
    return _mean(operator) if operator.kind == "MEAN" else _pool(operator)


def _pool(operator: Operator) -> Step:
    (source,) = need(operator, 1)
    same_scale(operator, source)
    window = option(operator, "FilterHeight"), option(operator, "FilterWidth")
    height, width = axes(operator, window, source.shape[-1])
    name, out = f"layer_{operator.index}", operator.output
    low, high = fixed_point.activation_range(activation(operator), out.scale, out.zero_point)
    constants = structure(
        "pool",
        name,
        in_height=height.inputs,
        in_width=width.inputs,
        channels=source.shape[3],
        out_height=height.outputs,
        out_width=width.outputs,
        height=height.kernel,
        width=width.kernel,
        stride_y=height.stride,
        stride_x=width.stride,
        pad_top=height.before,
        pad_left=width.before,
        low=low,
        high=high,
    )
    reduce = "average_of" if operator.kind == "AVERAGE_POOL_2D" else "maximum_of"
    aligned = height.before == width.before == 0
    return Step(
        operator,
        f"pool(&{name}, {{0}}, {{out}}, {reduce});",
        ("pool.c",),
        [constants],
        overlaps={source.index: Overlap(0)} if aligned else {},
    )


def _mean(operator: Operator) -> Step:
    source, axis = need(operator, 2)
    out, rank = operator.output, len(source.shape)
    if axis is None or axis.data is None or axis.type != "int32" or rank > 4:
        do = "average over constant axes of at most four"
        raise refuse(operator, axis or source, "gives no constant axes", do)
    wanted = {int(a) + rank * (a < 0) for a in axis.data.ravel()}
    if not wanted <= set(range(rank)) or not wanted:
        raise refuse(operator, axis, f"names axes {sorted(wanted)} of {rank}", "export it again")
    kept = [n for i, n in enumerate(source.shape) if i not in wanted]
    if [n for n in out.shape if n != 1] != [n for n in kept if n != 1]:
        raise refuse(operator, out, f"has shape {list(out.shape)}", "export the model again")
    count = source.size // out.size
    multiplier, shift = _mean_factor(source.scale / out.scale, count)
    steps = strides(source.shape)
    tables = [
        _axes(f"layer_{operator.index}_{word}", [(source.shape[i], steps[i]) for i in chosen])
        for word, chosen in (
            ("kept", [i for i in range(rank) if i not in wanted]),
            ("summed", sorted(wanted)),
        )
    ]
    name = f"layer_{operator.index}"
    tables.append(f"static const struct factor {name}_factor = {{{multiplier}, {shift}}};\n")
    offset = -source.zero_point * count
    return Step(
        operator,
        f"mean({{0}}, {{out}}, {name}_kept, {name}_summed, {offset}, {name}_factor, "
        f"{out.zero_point});",
        ("exact.c", "mean.c"),
        tables,
    )


def _mean_factor(real: float, count: int) -> tuple[int, int]:
    """Divide a quantised factor by the count, as the interpreter does: truncating."""
    multiplier, shift = fixed_point.quantise_multiplier(real)
    bits = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << bits) // count, shift - bits


def _axes(name: str, pairs: list[tuple[int, int]]) -> str:
    padded = [(1, 0)] * (4 - len(pairs)) + pairs
    body = ", ".join(f"{{{count}, {step}}}" for count, step in padded)
    return f"static const struct axis {name}[4] = {{{body}}};\n"
