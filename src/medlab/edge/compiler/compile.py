"""From a .tflite file to model.c and model.h."""

from dataclasses import dataclass
from pathlib import Path

from medlab.edge.compiler import arena_plan, emitter
from medlab.edge.compiler.arena_plan import Block
from medlab.edge.compiler.graph import Graph, Tensor
from medlab.edge.compiler.operators.lowering import RENAMES, lower
from medlab.edge.compiler.tflite import read_model
from medlab.errors import BadInput
from medlab.files import write_text


@dataclass(frozen=True)
class OperatorCost:
    """One operator of the compiled model."""

    operator: str
    output: str
    shape: tuple[int, ...]
    macs: int
    weight_bytes: int


@dataclass(frozen=True)
class CompiledModel:
    """A model as C, and what an inference costs; sizes are bytes."""

    source: str  # model.c
    header: str  # model.h
    operators: tuple[OperatorCost, ...]
    macs: int  # multiplications with weights, of one inference
    weight_bytes: int
    arena_bytes: int
    lifetimes: tuple[Block, ...]
    steps: int
    input: tuple[tuple[int, ...], float, int]  # shape, scale, zero point
    output: tuple[tuple[int, ...], float, int]


def compile_model(model: bytes | Path | str, out: Path | str) -> CompiledModel:
    """Write model.c and model.h for an int8 model into the folder `out`.

    Raises BadInput, one line, for a model that cannot be compiled, or a folder that cannot
    be written.
    """
    compiled = translate(read_model(model))
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise BadInput(f"{folder}: {problem.strerror}: name another folder") from None
    write_text(folder / "model.c", compiled.source)
    write_text(folder / "model.h", compiled.header)
    return compiled


def translate(graph: Graph) -> CompiledModel:
    """Compile a checked graph in memory."""
    roots = arena_plan.aliases(graph.operators, RENAMES)
    steps = [lower(o) for o in graph.operators if o.kind not in RENAMES]
    plan = arena_plan.plan(graph, steps, roots)
    lines = [
        OperatorCost(
            str(s.operator), s.operator.output.name, s.operator.output.shape, s.macs, s.weight_bytes
        )
        for s in steps
    ]
    return CompiledModel(
        source=emitter.source(graph, steps, plan, roots),
        header=emitter.header(graph, plan),
        operators=tuple(lines),
        macs=sum(s.macs for s in steps),
        weight_bytes=sum(s.weight_bytes for s in steps),
        arena_bytes=plan.size + emitter.SLACK,
        lifetimes=plan.blocks,
        steps=plan.steps,
        input=_end(graph.input),
        output=_end(graph.output),
    )


def _end(tensor: Tensor) -> tuple[tuple[int, ...], float, int]:
    return tensor.shape, tensor.scale, tensor.zero_point
