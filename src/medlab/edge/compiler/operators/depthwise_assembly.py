"""The inner loops of a depthwise convolution, as C statements and as assembly.

Inputs lie as 16-bit numbers, so that a word holds two neighbours; pairs of weights meet such
words. Two neighbouring outputs share the words that both see.
"""

from dataclasses import dataclass

REGISTERS = 6  # for pairs of weights
FARTHEST = 1020  # bytes that a load of two words reaches
INSTRUCTIONS = {
    "both": "smlad",
    "low_low": "smlabb",
    "low_high": "smlabt",
    "high_low": "smlatb",
    "high_high": "smlatt",
}


@dataclass(frozen=True)
class Shape:
    """What the kernel's text depends on: layers that agree in it share one function."""

    channels: int
    multiplier: int
    kernel_rows: int
    kernel_columns: int
    stride_rows: int
    stride_columns: int
    in_rows: int
    in_columns: int
    in_row_step: int
    in_column_step: int
    out_rows: int
    out_columns: int
    out_row_step: int
    out_column_step: int
    pad_rows: int
    pad_columns: int
    plane_rows: int
    plane_columns: int
    relu: int


class Taps:
    """Writes the multiplications of one output ('one') or of two neighbours ('one' and 'two')."""

    def __init__(self, shape: Shape):
        self.shape = shape
        self.pairs: dict[tuple[int, int], str] = {}

    def written(self) -> dict:
        """Return the statements, and the pairs of weights that they use."""
        two, one = self.statements(2), self.statements(1)
        return {"two": two, "one": one, "weights": self.weights()}

    def statements(self, outputs: int) -> list[str]:
        """Go down the kernel's rows: load words of two, multiply each where it is seen."""
        lines = []
        for row in range(self.shape.kernel_rows):
            used = self.row(row, outputs)
            words = sorted({word for word, *_ in used})
            lines += [f"uint32_t r{row}_{i} = load_pair(row + {self.at(row, i)});" for i in words]
            lines += [f"{t} = multiply_{n}(r{row}_{w}, {p}, {t});" for w, n, p, t in used]
        return lines

    def row(self, row: int, outputs: int) -> list[tuple[int, str, str, str]]:
        """List a row's multiplications: word, which halves, pair of weights, sum."""
        used = self.taps(row, "one", 0)
        if outputs == 2:
            used += self.taps(row, "two", self.shape.stride_columns)
        return used

    def at(self, row: int, word: int) -> int:
        """Return a word's place in the plane, from the window's first number."""
        return row * self.shape.plane_columns + 2 * word

    def taps(self, row: int, target: str, offset: int) -> list[tuple[int, str, str, str]]:
        """Pair up a row's taps by the words in which their inputs lie."""
        count, found, tap = self.shape.kernel_columns, [], 0
        while tap < count:
            word, half = divmod(tap + offset, 2)
            if half == 0 and tap + 1 < count:
                found.append((word, "both", self.pair(row, tap), target))
                tap += 2
            else:
                side, pair = self.single(row, tap)
                found.append((word, f"{'high' if half else 'low'}_{side}", pair, target))
                tap += 1
        return found

    def pair(self, row: int, tap: int) -> str:
        """Name the pair of weights that begins at a tap."""
        return self.pairs.setdefault((row, tap), f"w{row}_{tap}")

    def single(self, row: int, tap: int) -> tuple[str, str]:
        """Find one weight in a pair that is there anyway: first taps low, last taps high."""
        if tap == 0:
            return "low", self.pair(row, 0)
        return "high", self.pair(row, tap - 1)

    def weights(self) -> list[dict[str, str]]:
        """List the pairs of weights that the statements name."""
        columns = self.shape.kernel_columns
        return [
            {
                "name": name,
                "low": f"w[{row * columns + tap}]",
                "high": f"w[{row * columns + tap + 1}]" if tap + 1 < columns else "0",
            }
            for (row, tap), name in sorted(self.pairs.items())
        ]


def assembly(shape: Shape, taps: Taps) -> list[str]:
    """Write the loop over rows of outputs for a Cortex-M with DSP instructions.

    Returns nothing where the weights do not fit the registers or a word lies too far.
    """
    taps.written()
    far = 2 * taps.at(shape.kernel_rows - 1, shape.kernel_columns // 2 + 2)
    if len(taps.pairs) > REGISTERS or far > FARTHEST or shape.out_columns < 2:
        return []
    return _Writer(shape, taps).lines()


class _Writer:
    """Writes the instructions of one function; registers and stack as in depthwise.c.jinja."""

    def __init__(self, shape: Shape, taps: Taps):
        self.shape, self.taps_ = shape, taps
        names = [weight["name"] for weight in taps.weights()]
        self.register = {name: f"r{2 + i}" for i, name in enumerate(names)}
        self.sums = {"one": "r10", "two": "r11"}

    def lines(self) -> list[str]:
        """Return the whole function."""
        pairs, odd = divmod(self.shape.out_columns, 2)
        read, wrote = 4 * self.shape.stride_columns * pairs, 2 * pairs * self.shape.out_column_step
        single = ["ldr r10, [sp, #0]", *self.sum_up(1), *self.rescaled("one"), "strb r10, [r1]"]
        return [
            *self.prologue(),
            "1:",
            *self.advance("r8", read, "r0"),
            "str r8, [sp, #12]",
            "2:",
            "ldrd r10, r11, [sp, #0]",
            *self.sum_up(2),
            *self.rescaled("one", "two"),
            *self.stores(),
            "ldr r8, [sp, #12]",
            "cmp r0, r8",
            "bne.w 2b",
            *(single if odd else []),
            *self.advance("r0", 2 * self.shape.stride_rows * self.shape.plane_columns - read),
            *self.advance("r1", self.shape.out_row_step - wrote),
            "ldr r8, [sp, #16]",
            "subs r8, r8, #1",
            "str r8, [sp, #16]",
            "bne.w 1b",
            "add sp, sp, #24",
            "pop {r4-r11, pc}",
        ]

    def prologue(self) -> list[str]:
        """Move what the channel gives into its registers and places."""
        at = 4 * REGISTERS
        return [
            ".syntax unified",
            "push {r4-r11, lr}",
            "sub sp, sp, #24",
            f"ldrd r8, r9, [r2, #{at}]",
            "strd r8, r9, [sp, #0]",
            f"ldr r8, [r2, #{at + 8}]",
            "str r8, [sp, #8]",
            f"ldr lr, [r2, #{at + 12}]",
            f"ldr r12, [r2, #{at + 16}]",
            f"mov r8, #{self.shape.out_rows}",
            "str r8, [sp, #16]",
            f"ldmia.w r2, {{{', '.join(['r2', 'r3', *list(self.register.values())[2:]])}}}",
        ]

    def sum_up(self, outputs: int) -> list[str]:
        """Multiply what one output sees, or two; with two, the plane's pointer moves on."""
        moved, lines = 0, []
        for row in range(self.shape.kernel_rows):
            used = self.taps_.row(row, outputs)
            last = max(word for word, *_ in used)
            for word in range(0, last + 1, 2):
                at = 2 * self.taps_.at(row, word) - moved
                move = f", #{4 * self.shape.stride_columns}" if outputs == 2 and not moved else ""
                place = f"[r0]{move}" if move else f"[r0, #{at}]"
                moved = moved or (4 * self.shape.stride_columns if outputs == 2 else 0)
                both = word < last
                lines.append(f"ldrd r8, r9, {place}" if both else f"ldr r8, {place}")
                here = [tap for tap in used if word <= tap[0] <= word + 1]
                lines += [self.multiply(tap, word) for tap in here]
        return lines

    def multiply(self, tap: tuple[int, str, str, str], first: int) -> str:
        """Write one multiplication."""
        word, halves, pair, target = tap
        source, total = f"r{8 + word - first}", self.sums[target]
        return f"{INSTRUCTIONS[halves]} {total}, {source}, {self.register[pair]}, {total}"

    def rescaled(self, *targets: str) -> list[str]:
        """Turn sums into int8 (see rescale.c)."""
        lines = ["ldr r8, [sp, #8]"]
        for total in (self.sums[target] for target in targets):
            if self.shape.relu:
                lines.append(f"smmlar {total}, {total}, r8, r12")
            else:
                lines.append(f"smmulr {total}, {total}, r8")
                lines.append(f"add.w r9, r12, {total}, asr #31")
                lines.append(f"add.w {total}, {total}, r9")
            lines.append(f"asr.w {total}, {total}, lr")
            lines.append(f"ssat {total}, #8, {total}, asr #1")
        return lines

    def stores(self) -> list[str]:
        """Store two outputs and move on."""
        step = self.shape.out_column_step
        if step <= 255:
            return [f"strb r10, [r1], #{step}", f"strb r11, [r1], #{step}"]
        if step <= 4095:
            return ["strb r10, [r1]", f"strb r11, [r1, #{step}]", *self.advance("r1", 2 * step)]
        more = self.advance("r1", step)
        return ["strb r10, [r1]", *more, "strb r11, [r1]", *more]

    def advance(self, register: str, by: int, source: str = "") -> list[str]:
        """Add a constant; r9 is free for a large one."""
        source = source or register
        if by == 0 and source == register:
            return []
        if abs(by) < 4096:
            return [f"{'addw' if by >= 0 else 'subw'} {register}, {source}, #{abs(by)}"]
        bits = by % 2**32
        load = [f"movw r9, #{bits & 65535}", f"movt r9, #{bits >> 16}"]
        return [*load, f"add.w {register}, {source}, r9"]
