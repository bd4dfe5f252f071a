"""One module per family of operators: from a checked operator to C constants and a call."""

import importlib

from medlab.edge.graph import Graph, Operator
from medlab.edge.operators.step import Step
from medlab.errors import BadInput

MODULES = {
    "CONV_2D": "convolution",
    "DEPTHWISE_CONV_2D": "depthwise",
    "FULLY_CONNECTED": "fully_connected",
    "AVERAGE_POOL_2D": "pooling",
    "MAX_POOL_2D": "pooling",
    "MEAN": "pooling",
    "ADD": "elementwise",
    "MUL": "elementwise",
    "LOGISTIC": "tables",
    "SOFTMAX": "tables",
    "PAD": "moving",
    "CONCATENATION": "moving",
}
RENAMES = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")  # the same bytes under another shape


def check_supported(graph: Graph) -> None:
    """Raise BadInput for the first operator that has no kernel here."""
    for operator in graph.operators:
        if operator.kind not in MODULES and operator.kind not in RENAMES:
            _refuse_float_ends(operator)
            raise BadInput(
                f"{operator} ({operator.output}) is not supported: replace it in the model by "
                f"{', '.join((*MODULES, *RENAMES))}"
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
    module = importlib.import_module(f"medlab.edge.operators.{MODULES[operator.kind]}")
    return module.lower(operator)
