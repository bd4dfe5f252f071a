"""A measured figure with its kind: where its number comes from, and how to measure it again."""

import math
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Where a figure's number comes from."""

    EXACT = "exact"  # counted, the same on every machine: bytes, instructions of a fixed binary
    HOST = "host"  # measured on the computer that the record names
    EMULATED = "emulated"  # counted or timed in an emulator of the target
    ESTIMATED = "estimated"  # computed by a model of the target
    BOARD = "board"  # measured on the physical device


@dataclass(frozen=True)
class Figure:
    """One figure; raises ValueError unless it is complete, finite and of a known kind.

    unit: s, bytes, 1 for a ratio or a count, ... how: repeats, statistic and input, enough to
    measure it again.
    """

    name: str
    value: float
    unit: str
    kind: Kind
    how: str

    def __post_init__(self):
        if faults := [*_empty(self), *_of_value(self.name, self.value), *_of_kind(self)]:
            raise ValueError("; ".join(faults))
        object.__setattr__(self, "kind", Kind(self.kind))


def _empty(figure: Figure) -> list[str]:
    keys = ("name", "unit", "how")
    return [f"{figure.name}: {key} is empty" for key in keys if not getattr(figure, key)]


def _of_value(name: str, value) -> list[str]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return [] if is_number and math.isfinite(value) else [f"{name}: {value!r} is not finite"]


def _of_kind(figure: Figure) -> list[str]:
    if figure.kind in list(Kind):
        return []
    return [f"{figure.name}: kind {figure.kind!r} is not one of {', '.join(Kind)}"]
