"""Blocks of instructions: what the emulator counts, and what cycles are estimated from."""

from collections.abc import Iterable
from dataclasses import dataclass, field


def instruction_offsets(code: bytes) -> Iterable[int]:
    """Yield where the instructions of Thumb code begin.

    A halfword whose five highest bits are 11101, 11110 or 11111 begins one of 32 bits.
    Source: Armv7-M Architecture Reference Manual, A5.1.
    """
    at = 0
    while at < len(code):
        yield at
        at += 4 if code[at + 1] >> 3 in (0b11101, 0b11110, 0b11111) else 2


@dataclass(slots=True)
class Block:
    """Instructions that run one after the other, and how often they did."""

    address: int
    code: bytes
    hits: int = 0
    fell: int = 0  # times that the next block was simply the next address: no branch was taken
    end: int = field(init=False)
    offsets: tuple[int, ...] = field(init=False)
    count: int = field(init=False)  # of instructions

    def __post_init__(self):
        self.end = self.address + len(self.code)
        self.offsets = tuple(instruction_offsets(self.code))
        self.count = len(self.offsets)

    def as_json(self) -> list:
        """Return what from_json needs to make an equal block."""
        return [self.address, self.code.hex(), self.hits, self.fell]

    @classmethod
    def from_json(cls, fields: list) -> "Block":
        """Return the block of which as_json made these fields."""
        address, code, hits, fell = fields
        return cls(address, bytes.fromhex(code), hits, fell)
