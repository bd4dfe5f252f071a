"""A model as tensors and operators, in order of execution."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor: shape with batch 1 first, and how int8 values map to real ones."""

    index: int
    name: str
    shape: tuple[int, ...]
    type: str
    scales: np.ndarray  # float32; one, or one per channel; empty if not quantised
    zero_points: np.ndarray  # int64, as many as scales
    data: np.ndarray | None  # None if it is computed

    @property
    def size(self) -> int:
        """Count the elements; int8 tensors have as many bytes."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def scale(self) -> float:
        """Return the one scale of an activation."""
        return float(self.scales[0])

    @property
    def zero_point(self) -> int:
        """Return the one zero point of an activation."""
        return int(self.zero_points[0])

    def __str__(self) -> str:
        return f"tensor {self.index} '{self.name}'"


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator in order of execution; an input that is left out is None."""

    index: int
    kind: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> Tensor:
        """Return the first output."""
        return self.outputs[0]

    def __str__(self) -> str:
        return f"operator {self.index} {self.kind}"


@dataclass(frozen=True, eq=False)
class Graph:
    """A model: one int8 input, one int8 output, operators in order."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    input: Tensor
    output: Tensor
