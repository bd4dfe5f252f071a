"""Write model.h and model.c: kernels, constants, the arena, and one call per operator."""

from medlab.edge.compiler.arena_plan import Plan
from medlab.edge.compiler.graph import Graph, Tensor
from medlab.edge.compiler.kernel_files import kernel, template
from medlab.edge.compiler.operators.step import Step

ORDER = (
    "exact.c",
    "rescale.c",
    "pairs.c",
    "convolution.c",
    "fully_connected.c",
    "depthwise.c",
    "convolution_exact.c",
    "pool.c",
    "mean.c",
    "elementwise.c",
    "add.c",
    "table.c",
    "softmax.c",
    "move.c",
)


def header(graph: Graph, plan: Plan) -> str:
    """Write model.h."""
    return template("model.h.jinja").render(
        input=graph.input,
        output=graph.output,
        number=_number,
        arena=plan.size + SLACK,
        input_shape=_shape(graph.input),
        output_shape=_shape(graph.output),
    )


SLACK = 4  # kernels read words, up to three bytes behind a tensor


def source(graph: Graph, steps: list[Step], plan: Plan, roots: dict[int, int]) -> str:
    """Write model.c."""
    names, functions = _functions(steps)
    wanted = {name for step in steps for name in step.kernels}
    place = _places(plan, roots)
    return template("model.c.jinja").render(
        defines=_defines(steps, wanted),
        kernels=[kernel("common.c"), *(kernel(name) for name in ORDER if name in wanted)],
        functions=functions,
        constants=[text for step in steps for text in step.constants],
        calls=[_call(step, i, place, plan, names) for i, step in enumerate(steps)],
        arena=plan.size + SLACK,
        input=place(graph.input),
        output=place(graph.output),
    )


def _defines(steps: list[Step], kernels: set[str]) -> list[tuple[str, int]]:
    """Return which variants of the convolution's assembly are wanted."""
    if "convolution.c" not in kernels:
        return []
    found = {name for step in steps for name in step.defines}
    names = ("CONVOLUTION_RELU", "CONVOLUTION_SIGNED")
    return [(name, int(name in found)) for name in names]


def _functions(steps: list[Step]) -> tuple[dict[str, str], list[str]]:
    """Name each distinct function once; layers with the same text share it."""
    names: dict[str, str] = {}
    for step in steps:
        for text, name in step.functions.items():
            names.setdefault(text, name)
    return names, [text.replace("@NAME@", name) for text, name in names.items()]


def _places(plan: Plan, roots: dict[int, int]):
    def place(tensor: Tensor) -> str:
        return f"arena.bytes + {plan.offset_of(roots.get(tensor.index, tensor.index))}"

    return place


def _call(step: Step, number: int, place, plan: Plan, names: dict[str, str]) -> str:
    inputs = [place(t) if t is not None and t.data is None else "" for t in step.operator.inputs]
    scratch = [f"arena.bytes + {offset}" for offset in plan.scratch_of(number)]
    function = next((names[text] for text in step.functions), "")
    call = step.call.format(
        *inputs, out=place(step.operator.output), scratch=scratch, function=function
    )
    return f"/* {step.operator}: {_shape(step.operator.output)} */\n    {call}"


def _shape(tensor: Tensor) -> str:
    return "x".join(str(n) for n in tensor.shape)


def _number(value: float) -> str:
    """Write a float32 so that C reads the same number."""
    return f"{value:.9g}f" if "." in f"{value:.9g}" or "e" in f"{value:.9g}" else f"{value:.9g}.0f"
