"""Which operators have a kernel, and the translation of each to C constants and a call."""

from medlab.edge.compiler.graph import Graph, Operator
from medlab.edge.compiler.operators import (
    convolution,
    depthwise,
    elementwise,
    fully_connected,
    moving,
    pooling,
    tables,
)
from medlab.edge.compiler.operators.step import Step
from medlab.errors import BadInput

LOWERINGS = {
    "CONV_2D": convolution.lower,
    "DEPTHWISE_CONV_2D": depthwise.lower,
    "FULLY_CONNECTED": fully_connected.lower,
    "AVERAGE_POOL_2D": pooling.lower,
    "MAX_POOL_2D": pooling.lower,
    "MEAN": pooling.lower,
    "ADD": elementwise.lower,
    "MUL": elementwise.lower,
    "LOGISTIC": tables.lower,
    "SOFTMAX": tables.lower,
    "PAD": moving.lower,
    "CONCATENATION": moving.lower,
}
RENAMES = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")  # the same bytes under another shape


def check_supported(graph: Graph) -> None:
    """Raise BadInput for the first operator that has no kernel here."""
    for operator in graph.operators:
        if operator.kind not in LOWERINGS and operator.kind not in RENAMES:
            _refuse_float_ends(operator)
            raise BadInput(
                f"{operator} ({operator.output}) is not supported: replace it in the model by "
                f"{', '.join((*LOWERINGS, *RENAMES))}"
            )


def _refuse_float_ends(operator: Operator) -> None:
    """Raise BadInput for what the converter puts around an int8 model whose ends stay float."""
    ends = [tensor for tensor in (*operator.inputs, *operator.outputs) if tensor]
    if operator.kind in ("QUANTIZE", "DEQUANTIZE") and any(t.type == "float32" for t in ends):
        raise BadInput(
            f"{operator}: only the model's inside is int8, it takes or gives float32: "
            "convert with inference_input_type and inference_output_type int8"
        )


def lower(operator: Operator) -> Step:
    """Translate one operator; raises BadInput if its form has no kernel."""
    return LOWERINGS[operator.kind](operator)
