"""Plan the arena: which bytes each tensor takes, from its writer to its last reader.

Two blocks may share bytes if they do not live at the same time, or if one is an operator's output
and the other an input that dies there, laid so that what is overwritten has been read (Overlap).
"""

from dataclasses import dataclass, replace

from medlab.edge.compiler.operators.step import Overlap, Step

ALIGNMENT = 4
ROUNDS = 60


@dataclass(frozen=True)
class Block:
    """A tensor or working memory of one step: size in bytes, first and last step, place."""

    name: str
    size: int
    first: int
    last: int
    tensor: int = -1  # index in the model; -1: working memory
    offset: int = -1

    @property
    def end(self) -> int:
        """Return the first byte behind."""
        return self.offset + self.size


@dataclass(frozen=True)
class Plan:
    """Where every block lies; steps are numbered in order of execution."""

    blocks: tuple[Block, ...]
    size: int
    steps: int

    def offset_of(self, tensor: int) -> int:
        """Return a tensor's place."""
        return next(b.offset for b in self.blocks if b.tensor == tensor)

    def scratch_of(self, step: int) -> list[int]:
        """Return the places of a step's working memory, in order."""
        return [b.offset for b in self.blocks if b.tensor < 0 and b.first == step]


def aliases(operators, renames) -> dict[int, int]:
    """Map each tensor that is another under a new shape to the one that holds the bytes."""
    roots: dict[int, int] = {}
    for operator in operators:
        if operator.kind in renames:
            source = operator.inputs[0].index
            roots[operator.output.index] = roots.get(source, source)
    return roots


def plan(graph, steps: list[Step], roots: dict[int, int]) -> Plan:
    """Find small places for all blocks, always the same for the same model."""
    blocks = _blocks(graph, steps, roots)
    allowed = _allowed(steps, roots, blocks)
    order = sorted(range(len(blocks)), key=lambda i: (-blocks[i].size, i))
    best = None
    for _ in range(ROUNDS):
        placed = _place(blocks, order, allowed)
        if best is None or _top(placed) < _top(best):
            best = placed
        highest = max(order, key=lambda i: placed[i].end)
        if order[0] == highest:
            break
        order = [highest, *(i for i in order if i != highest)]
    return Plan(tuple(best), -(-_top(best) // ALIGNMENT) * ALIGNMENT, len(steps))


def _top(blocks: list[Block]) -> int:
    return max(block.end for block in blocks)


def _blocks(graph, steps: list[Step], roots: dict[int, int]) -> list[Block]:
    spans = {graph.input.index: [graph.input, 0, 0]}
    for i, step in enumerate(steps):
        for tensor in step.operator.inputs:
            root = tensor and roots.get(tensor.index, tensor.index)
            if root in spans:
                spans[root][2] = i
        spans[step.operator.output.index] = [step.operator.output, i, i]
    out = roots.get(graph.output.index, graph.output.index)
    spans[out][2] = len(steps)
    blocks = [Block(t.name, t.size, first, last, i) for i, (t, first, last) in spans.items()]
    for i, step in enumerate(steps):
        blocks += [Block(f"working memory of {step.operator}", n, i, i) for n in step.scratch]
    return blocks


def _allowed(steps, roots, blocks: list[Block]) -> dict[tuple[int, int], Overlap]:
    """Map (input block, output block) to how they may overlap, for inputs that die there."""
    number = {b.tensor: i for i, b in enumerate(blocks) if b.tensor >= 0}
    found = {}
    for i, step in enumerate(steps):
        out = number[step.operator.output.index]
        for index, overlap in step.overlaps.items():
            source = number.get(roots.get(index, index))
            if source is not None and blocks[source].last == i:
                found[source, out] = overlap
    return found


def _place(blocks, order, allowed) -> list[Block]:
    placed: dict[int, Block] = {}
    for i in order:
        forbidden = [_forbidden(blocks[i], i, placed[j], j, allowed) for j in placed]
        forbidden = sorted(gap for gaps in forbidden for gap in gaps)
        placed[i] = replace(blocks[i], offset=_first_free(forbidden))
    return [placed[i] for i in range(len(blocks))]


def _forbidden(block: Block, i: int, other: Block, j: int, allowed) -> list[tuple[int, int]]:
    """Return the ranges in which `block` must not begin, because of `other`."""
    if block.last < other.first or other.last < block.first or not block.size or not other.size:
        return []
    below, above = other.offset - block.size, other.end  # both may be taken
    if (i, j) in allowed:  # the block is read, the other written
        low, high = other.offset - allowed[i, j].lead, above
    elif (j, i) in allowed:
        low, high = below, other.offset + allowed[j, i].lead
    else:
        return [(below + 1, above - 1)]
    if allowed.get((i, j), allowed.get((j, i))).exact:
        low = high = other.offset
    low, high = max(low, below), min(high, above)
    if low > high:
        return [(below + 1, above - 1)]
    return [(below + 1, low - 1), (high + 1, above - 1)]


def _first_free(forbidden: list[tuple[int, int]]) -> int:
    place = 0
    for low, high in forbidden:
        if low <= place <= high:
            place = -(-(high + 1) // ALIGNMENT) * ALIGNMENT
    return place
