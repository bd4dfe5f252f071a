"""What a model must fulfil to be compiled, beyond operators that have a kernel."""

from medlab.edge.compiler.graph import Graph, Operator, Tensor
from medlab.edge.compiler.operators.lowering import RENAMES
from medlab.errors import BadInput


def damaged(what: str) -> BadInput:
    """Return the one-line error for a file that contradicts itself."""
    return BadInput(f"the .tflite file is damaged ({what}): copy or export it again")


def check_graph(graph: Graph) -> None:
    """Raise BadInput unless the model is int8 throughout and each tensor is written before use."""
    if not graph.operators:
        raise BadInput("the model has no operators: there is nothing to compile")
    for tensor, end in ((graph.input, "input"), (graph.output, "output")):
        _check_int8(tensor, f"the model's {end}")
    computed = {graph.input.index}
    for operator in graph.operators:
        _check_operator(operator, computed)
        computed |= {tensor.index for tensor in operator.outputs}
        if operator.kind in RENAMES:
            _check_rename(operator)
    if graph.output.index not in computed:
        raise damaged(f"nothing computes the output, {graph.output}")


def _check_operator(operator: Operator, computed: set[int]) -> None:
    if len(operator.outputs) != 1:
        raise damaged(f"{operator} has {len(operator.outputs)} outputs")
    for tensor in operator.outputs:
        if tensor.data is not None or tensor.index in computed:
            raise damaged(f"{operator} writes {tensor} a second time")
        _check_int8(tensor, str(operator))
    for tensor in operator.inputs:
        if tensor is not None and tensor.data is None and tensor.index not in computed:
            raise damaged(f"{operator} reads {tensor}, which nothing computes")
        if tensor is not None and tensor.data is None:
            _check_int8(tensor, str(operator))


def _check_int8(tensor: Tensor, where: str) -> None:
    if tensor.type != "int8":
        raise BadInput(
            f"{where}: {tensor} is {tensor.type}, and only int8 can be compiled: convert with "
            "full-integer quantisation, inference_input_type and inference_output_type int8"
        )
    if len(tensor.scales) != 1:
        raise BadInput(f"{where}: {tensor} has {len(tensor.scales)} scales, not one: quantise it")
    if not -128 <= tensor.zero_point <= 127:
        raise damaged(f"{tensor} has zero point {tensor.zero_point}")


def _check_rename(operator: Operator) -> None:
    source, out = operator.inputs[0] if operator.inputs else None, operator.output
    if source is None or source.data is not None or source.size != out.size:
        raise damaged(f"{operator} does not give {out} the bytes of its input")
    if source.scale != out.scale or source.zero_point != out.zero_point:
        raise BadInput(
            f"{operator}: {out} has a different scale from its input: convert the model again"
        )
