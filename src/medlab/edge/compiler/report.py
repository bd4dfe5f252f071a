"""What a compiled model costs, in words and as a figure of its memory plan."""

from pathlib import Path

from medlab.edge.compiler.arena_plan import Block
from medlab.edge.compiler.compile import CompiledModel
from medlab.errors import BadInput

FORMATS = (".png", ".svg", ".pdf")


def summary(compiled: CompiledModel) -> list[str]:
    """Describe in a few lines what an inference costs; sizes are bytes."""
    return [
        f"input: {_end(compiled.input)}",
        f"output: {_end(compiled.output)}",
        f"operators: {len(compiled.operators)}, {compiled.macs:,} multiplications with weights",
        f"weights and tables: {compiled.weight_bytes:,} bytes of flash, without code",
        f"arena: {compiled.arena_bytes:,} bytes of RAM, without stack",
    ]


def _end(end: tuple[tuple[int, ...], float, int]) -> str:
    shape, scale, zero_point = end
    return f"int8 {_shape(shape)}, scale {scale:.6g}, zero point {zero_point}"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape)


def operator_rows(compiled: CompiledModel) -> list[tuple[str, str, str, str]]:
    """List operators: name, output shape, multiplications, weight bytes."""
    return [
        (line.operator, _shape(line.shape), f"{line.macs:,}", f"{line.weight_bytes:,}")
        for line in compiled.operators
    ]


def block_rows(compiled: CompiledModel) -> list[tuple[str, str, str]]:
    """List what lies in the arena: name, bytes from-to, steps from-to."""
    return [
        (b.name, f"{b.offset:,} to {b.end:,}", f"{b.first} to {min(b.last, compiled.steps - 1)}")
        for b in sorted(compiled.lifetimes, key=lambda b: (b.first, b.offset))
        if b.size
    ]


def draw_plan(compiled: CompiledModel, out: Path) -> None:
    """Draw which bytes of the arena hold what, step by step; BadInput for an unknown format."""
    if out.suffix not in FORMATS:
        raise BadInput(f"{out}: not a figure's format: name a {', '.join(FORMATS)} file")
    figure = plan_figure(compiled)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out, dpi=120, metadata={"Date": None} if out.suffix == ".svg" else {})
    except OSError as problem:
        raise BadInput(f"{out}: {problem.strerror}: name another file") from None


def plan_figure(compiled: CompiledModel):
    """Return a figure: steps to the right, bytes upwards; tensors plain, working memory hatched.

    Where an output takes its input's place while it is written, both are seen, one through the
    other. Grey levels and hatching only, so that every reader sees the same.
    """
    from matplotlib.figure import Figure

    steps = max(compiled.steps, 1)
    figure = Figure(figsize=(min(4 + 0.7 * steps, 16), 5), layout="constrained")
    axes = figure.subplots()
    tensors = [b for b in compiled.lifetimes if b.tensor >= 0 and b.size]
    for i, block in enumerate(sorted(tensors, key=lambda b: (b.first, b.offset))):
        _draw(axes, block, steps, colour=str(0.45 + 0.4 * (i % 2)), hatch="")
        _label(axes, block, steps, compiled.arena_bytes)
    for block in compiled.lifetimes:
        if block.tensor < 0 and block.size:
            _draw(axes, block, steps, colour="white", hatch="////")
    axes.axhline(compiled.arena_bytes, color="black", linestyle="--", linewidth=1)
    axes.set(xlim=(0, steps), ylim=(0, compiled.arena_bytes * 1.08), xlabel="step")
    axes.set_ylabel("byte of the arena")
    axes.set_xticks(
        [i + 0.5 for i in range(steps)], [_step_name(o.operator) for o in compiled.operators]
    )
    axes.tick_params(axis="x", rotation=90, labelsize=7)
    axes.set_title(
        f"arena of {compiled.arena_bytes:,} bytes: tensors (grey), working memory (hatched)"
    )
    return figure


def _step_name(operator: str) -> str:
    return operator.removeprefix("operator ").lower()


def _draw(axes, block: Block, steps: int, colour: str, hatch: str) -> None:
    from matplotlib.patches import Rectangle

    width = min(block.last + 1, steps) - block.first
    place = (block.first, block.offset)
    axes.add_patch(
        Rectangle(
            place, width, block.size, facecolor=colour, edgecolor="black", hatch=hatch, alpha=0.7
        )
    )


def _label(axes, block: Block, steps: int, arena: int) -> None:
    if block.size < arena / 25:
        return
    middle = (block.first + min(block.last + 1, steps)) / 2
    axes.text(middle, block.offset + block.size / 2, f"{block.size:,}", ha="center", fontsize=7)
