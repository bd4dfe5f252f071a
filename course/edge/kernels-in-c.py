# %% [markdown]
# # Kernels in C
#
# A patch on the chest looks at every heartbeat. Its battery lasts four days, and the study needs
# seven. Most of the time that its processor is awake goes into multiplying bytes and adding them
# up. The network was approved as it is: whoever makes it faster may not change one answer.
#
# **One new idea: integers have one right answer.** A sum of products of bytes is the same in any
# order and with any instruction, or it is wrong. So a fast kernel can be held against a slow one to
# the last bit, and "nearly the same" is a fault.
#
# You will write three kernels of an int8 network in C, first plainly, then with instructions that
# work on two values at once; find out why a colleague's kernel, which passed every test, is wrong;
# and count what each step saves, on an emulated Cortex-M4.
#
# What this unit does not cover: where int8 numbers come from (`quantisation`), whole networks
# (`ecg-on-a-microcontroller`), and compilers that write such kernels (`medlab edge compile`).

# %% tags=["parameters"]
SEED = 0

# %% [markdown]
# ## 1. A core that counts
#
# | published, not from this notebook | result |
# |---|---|
# | Lai, Suda and Chandra, 2018 (CMSIS-NN): kernels written for the Cortex-M against plain ones | 4.6 times the throughput, 4.9 times the energy efficiency |
# | TensorFlow Lite for Microcontrollers, 8-bit specification | which rounding is right, to the last bit |
#
# The numbers below are **random numbers**: no patient stands behind them. The layer has the size of
# one in a network for single heartbeats, as they are cut from the MIT-BIH arrhythmia database
# (48 records of half an hour, two leads, 360 values a second; Open Data Commons Attribution
# licence), which the unit `ecg-on-a-microcontroller` reads.
#
# A kernel is C text. `built` compiles texts for the board, `run` runs them there with a feed of
# numbers and counts instructions exactly. Counts depend on the compiler: here it is always the
# clang of the package ziglang. **Instructions are not time**: a load can take two cycles, and flash
# memory makes a core wait. The emulator knows nothing of that, and nothing here was measured on a
# chip.

# %%
import matplotlib.pyplot as plt
import numpy as np

from medlab.edge import boards
from medlab.edge.boards import toolchain
from medlab.edge.boards.firmware import Firmware

BOARD, ZIG = boards.load("stm32f405"), toolchain.find("zig")
FOLDER = boards.find_hardware_labs() / "kernels"
HARNESS = {name: (FOLDER / name).read_text() for name in ("kernels.h", "main.c")}
rng = np.random.default_rng(SEED)
plt.rcParams.update({"figure.dpi": 70, "font.size": 10})


def built(files):
    """Return the ELF file, as bytes, of C texts {name: text}."""
    return BOARD.build_text(files, compiler=ZIG)


def run(files, feed):
    """Run kernels, {"dot.c": text}, on the emulated board; count the calls of each (dot)."""
    firmware = Firmware.from_bytes(built(HARNESS | files), BOARD.name)
    kernels = [name.removesuffix(".c") for name in files]
    return BOARD.run(firmware, feed, budget=10_000_000, watch=kernels).check()


def results(seen):
    """Return what the harness printed: a list of numbers for each case."""
    return [[int(word) for word in line.split()] for line in seen.text.splitlines()]


print("board:", BOARD.title)
print(HARNESS["kernels.h"])

# %% [markdown]
# The harness reads cases from the sensor, calls a kernel, and prints what came. These functions
# write cases. `place` moves values away from a multiple of 4: in real firmware a window can begin
# anywhere.


# %%
def words(values):
    """Return 32-bit numbers as samples of 16 bits, the low half first."""
    bits = np.asarray(values, np.int64).ravel() & 0xFFFFFFFF
    return np.stack([bits & 0xFFFF, bits >> 16], axis=1).ravel().tolist()


def requantise_case(total, multiplier, shift, zero):
    """Return the feed of one call of requantise."""
    return [1, *words([total, multiplier]), shift, zero]


def dot_case(a, b, zero, places=(0, 0)):
    """Return the feed of one call of dot."""
    return [2, len(a), zero, places[0], *a, places[1], *b]


def depthwise_case(layer, places=(0, 0, 0)):
    """Return the feed of one call of depthwise."""
    sizes = [*layer["input"].shape, layer["input_zero"], layer["output_zero"]]
    values = [places[0], *layer["input"].ravel(), places[1], *layer["weights"].ravel()]
    channels = [*words(layer["bias"]), *words(layer["multiplier"]), *words(layer["shift"])]
    return [3, *sizes, *values, *channels, places[2]]


# %% [markdown]
# ## 2. The right answer
#
# A layer adds products of bytes into a sum of 32 bits. The sum must become a byte again: times a
# factor, plus a zero point, and no further than -128 and 127. This core, a Cortex-M4F, has a unit for
# floating-point numbers of single precision. The arithmetic stays in whole numbers all the same: the
# 24 significant bits of such a number do not hold every sum of 32 bits, many microcontrollers have no
# such unit, and whole numbers give the same bytes on all of them. So the factor is written as `multiplier / 2^31 * 2^shift`, with a multiplier from 2^30 to 2^31 - 1.
#
# TensorFlow's kernels for microcontrollers do it in this order:
#
# 1. a positive shift first: the sum times 2^shift;
# 2. times the multiplier, over 2^31, rounded to the nearest whole number; **a half goes up**, so
#    -1.5 becomes -1;
# 3. a negative shift last: over 2^-shift, rounded again; **a half goes away from zero**, so -1.5
#    becomes -2;
# 4. plus the zero point, then cut off at -128 and 127.
#
# Two roundings, and they do not even agree on halves. The reference below is slow and says just
# that, with NumPy's 64-bit integers.


# %%
def reference_requantise(total, multiplier, shift, zero):
    """Scale sums to int8 by the four steps; arrays or numbers."""
    total, multiplier, shift = (np.asarray(v, np.int64) for v in (total, multiplier, shift))
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    high = ((total << left) * multiplier + 2**30) >> 31
    half = (1 << right) >> 1
    scaled = np.where(high < 0, -((half - high) >> right), (half + high) >> right)
    return np.clip(scaled + zero, -128, 127)


def reference_dot(a, b, zero):
    """Return the sum of (a - zero) * b."""
    return int(((np.asarray(a, np.int64) - zero) * np.asarray(b, np.int64)).sum())


def reference_sums(layer):
    """Return the 32-bit sums of a depthwise layer, before they are scaled."""
    height, width, channels = layer["input"].shape
    padded = np.full((height + 2, width + 2, channels), layer["input_zero"], np.int64)
    padded[1:-1, 1:-1] = layer["input"]
    total = np.zeros((height, width, channels), np.int64) + layer["bias"]
    for dy in range(3):
        for dx in range(3):
            tap = padded[dy : dy + height, dx : dx + width] - layer["input_zero"]
            total += tap * layer["weights"][dy, dx]
    return total


def reference_depthwise(layer):
    """Return the int8 output of a depthwise layer."""
    total = reference_sums(layer)
    return reference_requantise(total, layer["multiplier"], layer["shift"], layer["output_zero"])


# %% [markdown]
# Here is the smallest factor that shows it: one quarter, written as multiplier 2^30 and shift -1.
# So each sum is halved twice, and rounded each time.
#
# **Predict before you run:** what do the sums 1, -1, -2 and -6 become?

# %%
sums = np.arange(-8, 9)
spec = reference_requantise(sums, 2**30, -1, 0)
for total in (1, -1, -2, -6):
    print(f"{total:3} -> {int(reference_requantise(total, 2**30, -1, 0)):2}")

fig, ax = plt.subplots(figsize=(7, 3.2))
ax.plot(sums, sums / 4, color="0.6", label="exact quarter")
ax.step(sums, np.floor(sums / 4 + 0.5), where="mid", color="0.6", ls=":", label="rounded once")
ax.plot(sums, spec, "ks", label="as specified")
ax.plot(sums, sums >> 2, "k_", ms=14, label="shifted right by 2")
ax.set(xlabel="sum", ylabel="result", xticks=sums[::2])
ax.grid(color="0.9")
ax.legend()
plt.show()

# %% [markdown]
# *In words:* a line for an exact quarter of each sum, with steps around it. The squares, as
# specified, lie near the line, but not always on the step of one rounding: 1 becomes 1, since a
# half goes up twice, and -2 becomes -1. The dashes of a bare shift lie on or below all others.
#
# None of these is more right than another. But the network was trained, tested and approved with
# one of them.
#
# ### Exercise 1: requantise_c
#
# Return C text with the function `requantise` of `kernels.h`. 64-bit integers (`int64_t`) are
# allowed. Begin with `#include "kernels.h"`. Any sum from -2^31 to 2^31 - 1 may come, shifts from
# -30 to 8; a left shift never makes the sum too large for 32 bits.


# %% exercise="requantise_c" points=4
def requantise_c():
    """Return C text that defines requantise: scale a 32-bit sum to int8, as specified."""
    ### BEGIN SOLUTION
    return r"""
#include "kernels.h"

int8_t requantise(int32_t sum, int32_t multiplier, int shift, int32_t zero) {
  const int left = shift > 0 ? shift : 0, right = shift < 0 ? -shift : 0;
  const int64_t product = (int64_t)sum * (1 << left) * multiplier;
  int64_t scaled = (product + (1ll << 30)) >> 31;
  if (right) scaled = (scaled + (1ll << (right - 1)) - (scaled < 0)) >> right;
  scaled += zero;
  if (scaled > 127) return 127;
  if (scaled < -128) return -128;
  return (int8_t)scaled;
}
"""
    ### END SOLUTION


# %% check="requantise_c"
cases = [(1000, 2**30, -3, 5), (-1000, 2**30, -3, 5), (900, 2**30, 2, 0), (6, 2**30, -1, 0)]
cases += [
    (-6, 2**30, -1, 0),
    (-3, 2**30, 0, 0),
    (100_000, 2**31 - 1, -4, -7),
    (-100_000, 2**31 - 1, -4, -7),
]
feed = [number for case in cases for number in requantise_case(*case)]
for case, got in zip(cases, results(run({"requantise.c": requantise_c()}, feed))):
    want = int(reference_requantise(*case))
    assert got == [want], (
        f"requantise{case} is {want}, {got[0]} came: go through the four steps by hand for this one"
    )

# %% hidden="setup"
import numpy as np

from medlab.edge import boards
from medlab.edge.boards import apart
from medlab.errors import BadInput

FOLDER = boards.find_hardware_labs() / "kernels"
HARNESS = {name: (FOLDER / name).read_text() for name in ("kernels.h", "main.c")}
FIRMWARE = {}
DOT_BAR, DEPTHWISE_BAR = 3.5, 8.0  # instructions for each multiplication
BUDGET = 8_000_000  # instructions; the longest run takes about 2,000,000
ROOM, MARGIN = 4096 + 2 * 16, 16  # of the harness: where rows lie in its variable `rooms`
# In place of the learner's requantise, so that its faults count once: mixes up all it is given.
MIXER = r"""
#include "kernels.h"
int8_t requantise(int32_t sum, int32_t multiplier, int shift, int32_t zero) {
  uint32_t mixed = (uint32_t)sum * 2654435761u + (uint32_t)multiplier * 40503u;
  mixed ^= (uint32_t)shift * 97u + (uint32_t)zero * 31u;
  return (int8_t)(mixed >> 11);
}
"""


def mixed(total, multiplier, shift, zero):
    """What MIXER returns."""
    bits = total * 2654435761 + multiplier * 40503
    bits = (bits ^ (shift * 97 + zero * 31)) & 0xFFFFFFFF
    return (bits >> 11 & 0xFF).astype(np.uint8).astype(np.int8)


def words(values):
    bits = np.asarray(values, np.int64).ravel() & 0xFFFFFFFF
    return np.stack([bits & 0xFFFF, bits >> 16], axis=1).ravel().tolist()


def text_of(learner, name):
    text = getattr(learner, name)()
    kind = type(text).__name__
    assert isinstance(text, str), f"{name} must return C text, {kind} came: is a `return` missing?"
    return text


def ran(learner, texts, feed, follow=""):
    """Let the learner's kernel compile texts; run the result here. Return its RunResult and its lines."""
    key = tuple(sorted(texts.items()))
    if key not in FIRMWARE:
        FIRMWARE[key] = learner.built(HARNESS | texts)
    kernels = [name.removesuffix(".c") for name in texts]
    try:
        seen = apart.run(
            "stm32f405", FIRMWARE[key], feed, budget=BUDGET, watch=kernels, follow_reads=follow
        )
    except BadInput as problem:
        raise AssertionError(str(problem)) from None
    assert seen.fault is None, f"the kernel crashed the core: {seen.fault}"
    assert not seen.out_of_budget, "the kernel does not return: look at the conditions of its loops"
    return seen, [[int(word) for word in line.split()] for line in seen.text.splitlines()]


def reference_requantise(total, multiplier, shift, zero):
    total, multiplier, shift = (np.asarray(v, np.int64) for v in (total, multiplier, shift))
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    high = ((total << left) * multiplier + 2**30) >> 31
    half = (1 << right) >> 1
    scaled = np.where(high < 0, -((half - high) >> right), (half + high) >> right)
    return np.clip(scaled + zero, -128, 127)


def reference_sums(layer):
    height, width, channels = layer["input"].shape
    padded = np.full((height + 2, width + 2, channels), layer["input_zero"], np.int64)
    padded[1:-1, 1:-1] = layer["input"]
    total = np.zeros((height, width, channels), np.int64) + layer["bias"]
    for dy in range(3):
        for dx in range(3):
            tap = padded[dy : dy + height, dx : dx + width] - layer["input_zero"]
            total += tap * layer["weights"][dy, dx]
    return total


def judge_requantise(learner, cases, says):
    feed = [
        n for total, mult, shift, zero in cases for n in (1, *words([total, mult]), shift, zero)
    ]
    _, lines = ran(learner, {"requantise.c": text_of(learner, "requantise_c")}, feed)
    want = [int(reference_requantise(*case)) for case in cases]
    wrong = [k for k, line in enumerate(lines) if line != [want[k]]]
    assert len(lines) == len(cases), "a result is missing: requantise must return a value each time"
    assert not wrong, (
        f"{says}: {len(wrong)} of {len(cases)} differ, e.g. requantise{cases[wrong[0]]} is "
        f"{want[wrong[0]]}, {lines[wrong[0]][0]} came"
    )


def judge_dot(learner, name, cases, says, follow=""):
    """cases: (a, b, zero, places)."""
    feed = []
    for a, b, zero, places in cases:
        feed += [2, len(a), zero, places[0], *a, places[1], *b]
    seen, lines = ran(learner, {"dot.c": text_of(learner, name)}, feed, follow)
    want = [[int(((a - zero) * b).sum())] for a, b, zero, _ in cases]
    assert len(lines) == len(cases), "a result is missing: dot must return a value each time"
    for (a, _, zero, _), sum_wanted, got in zip(cases, want, lines):
        assert got == sum_wanted, (
            f"{says}. Count {len(a)}, zero {zero}: the sum is {sum_wanted[0]}, {got[0]} came"
        )
    return seen


def judge_reads(learner, name, a, b, places):
    """Look at which bytes a dot product reads, by the place of its rows in the harness's rooms."""
    says = f"{len(a)} values at any address"
    seen = judge_dot(learner, name, [(a, b, 3, places)], says, follow="rooms")
    starts = [MARGIN + places[0], ROOM + MARGIN + places[1]]
    own = {start + k for start in starts for k in range(len(a))}
    strays = len(set(seen.reads) - own)
    assert not strays, (
        f"of two rows with {len(a)} values each, bytes read outside the rows: {strays}. The sum is "
        "right, but what lies there is not yours to read, even if it is masked afterwards"
    )


def rows_of(learner):
    """Return the learner's two lists as arrays of one length."""
    answer = learner.counterexample()
    assert isinstance(answer, tuple | list) and len(answer) == 2, "return two lists: a and b"
    a, b = (np.array(part, float) for part in answer)
    assert a.shape == b.shape and a.ndim == 1 and a.size, "two lists of the same length expected"
    return a, b


def some_layer(rng, height, width, channels):
    return {
        "input": rng.integers(-128, 128, (height, width, channels)),
        "weights": rng.integers(-127, 128, (3, 3, channels)),
        "bias": rng.integers(-30000, 30000, channels),
        "multiplier": rng.integers(2**30, 2**31, channels),
        "shift": rng.integers(-12, -6, channels),
        "input_zero": int(rng.integers(-128, 128)),
        "output_zero": int(rng.integers(-128, 128)),
    }


def wanted(layer):
    return mixed(reference_sums(layer), layer["multiplier"], layer["shift"], layer["output_zero"])


def depthwise_output(learner, name, layer, places=(0, 0, 0)):
    """Return the RunResult, the bytes changed beside the output, the output, and the right output."""
    sizes = [*layer["input"].shape, layer["input_zero"], layer["output_zero"]]
    feed = [3, *sizes, places[0], *layer["input"].ravel(), places[1], *layer["weights"].ravel()]
    feed += [*words(layer["bias"]), *words(layer["multiplier"]), *words(layer["shift"]), places[2]]
    texts = {"depthwise.c": text_of(learner, name), "requantise.c": MIXER}
    seen, lines = ran(learner, texts, feed)
    got = np.array(lines[0][1:], np.int64).reshape(layer["input"].shape)
    return seen, lines[0][0], got, wanted(layer)


# %% hidden="requantise_c" points=1 about="sums above zero, both roundings"
cases = []
while len(cases) < 300:
    shift, total = int(rng.integers(-10, 1)), int(rng.integers(0, 2**13))
    if total * 2.0**shift < 120:
        cases.append((total, int(rng.integers(2**30, 2**31)), shift, 0))
cases += [(4 * k + 1, 2**30, -1, 0) for k in range(60)]  # 1/4, 5/4 ...: rounded twice, one more
says = "sums above zero: are both roundings done, each to the nearest, and nothing just cut off?"
judge_requantise(learner, cases, says)

# %% hidden="requantise_c" points=1 about="sums below zero, and halves of both signs"
cases = [
    (int(n), 2**30, -int(s), 0) for s in (1, 2, 3, 5) for n in rng.integers(-200, 200, 40) if n
]
cases += [
    (sign * (2 * k + 1) * 2**s, 2**30, -s, 0) for s in (2, 4) for k in range(6) for sign in (1, -1)
]
says = "halves: the first rounding takes them up, the second one away from zero, also for negative sums"
judge_requantise(learner, cases, says)

# %% hidden="requantise_c" points=1 about="cut off at -128 and 127, up to the largest sums"
cases = [
    (128 * int(n), 2**31 - 1, -int(rng.integers(1, 8)), int(zero))
    for n, zero in zip(rng.integers(-40, 41, 60), rng.integers(-128, 128, 60))
]
says = (
    "results beyond int8 must be cut off (saturate) at -128 and 127, after the zero point was added"
)
judge_requantise(learner, cases, says)
cases = [
    (total, mult, -s, zero)
    for total in (2**31 - 1, -(2**31), 2**31 - 7)
    for mult in (2**31 - 1, 2**30)
    for s in (0, 1, 8, 30)
    for zero in (-128, 0, 127)
]
says = "the largest sums: adding the half for rounding needs more than 32 bits"
judge_requantise(learner, cases, says)

# %% hidden="requantise_c" points=1 about="shifts to the left"
cases = []
for shift in rng.integers(0, 6, 60):
    total = int(rng.integers(-100, 101)) >> int(shift)
    cases.append((total, int(rng.integers(2**30, 2**31)), int(shift), 3))
says = "a positive shift goes to the left, and before the multiplication"
judge_requantise(learner, cases, says)


# %% mistake="requantise_c" because="rounds halves up in the second rounding too" keeps=3 says="away from zero, also for negative sums"
def requantise_c():
    return r"""
#include "kernels.h"
int8_t requantise(int32_t sum, int32_t multiplier, int shift, int32_t zero) {
  int64_t product = (int64_t)sum * multiplier * (shift > 0 ? 1 << shift : 1);
  int64_t scaled = (product + (1ll << 30)) >> 31;
  if (shift < 0) scaled = (scaled + (1ll << (-shift - 1))) >> -shift;
  scaled += zero;
  return (int8_t)(scaled > 127 ? 127 : scaled < -128 ? -128 : scaled);
}
"""


# %% mistake="requantise_c" because="takes the low byte of what is too large" keeps=3 says="cut off (saturate)"
def requantise_c():
    return r"""
#include "kernels.h"
int8_t requantise(int32_t sum, int32_t multiplier, int shift, int32_t zero) {
  int64_t product = (int64_t)sum * multiplier * (shift > 0 ? 1 << shift : 1);
  int64_t scaled = (product + (1ll << 30)) >> 31;
  if (shift < 0) scaled = (scaled + (1ll << (-shift - 1)) - (scaled < 0)) >> -shift;
  return (int8_t)(scaled + zero);
}
"""


# %% mistake="requantise_c" because="rounds once, at the end" keeps=2 says="are both roundings done"
def requantise_c():
    return r"""
#include "kernels.h"
int8_t requantise(int32_t sum, int32_t multiplier, int shift, int32_t zero) {
  int64_t product = (int64_t)sum * multiplier;
  int bits = 31 - shift;
  int64_t scaled = ((product >> (bits - 1)) + 1) >> 1;
  scaled += zero;
  return (int8_t)(scaled > 127 ? 127 : scaled < -128 ? -128 : scaled);
}
"""


# %% mistake="requantise_c" because="shifts to the right whatever the sign" keeps=3 says="a positive shift goes to the left"
def requantise_c():
    return r"""
#include "kernels.h"
int8_t requantise(int32_t sum, int32_t multiplier, int shift, int32_t zero) {
  int right = shift < 0 ? -shift : shift;
  int64_t scaled = ((int64_t)sum * multiplier + (1ll << 30)) >> 31;
  if (right) scaled = (scaled + (1ll << (right - 1)) - (scaled < 0)) >> right;
  scaled += zero;
  return (int8_t)(scaled > 127 ? 127 : scaled < -128 ? -128 : scaled);
}
"""


# %% [markdown] hint="requantise_c"
# Four steps, four statements. Keep everything in `int64_t` until the last one. Which of the two
# roundings does `(x + half) >> n` do: halves up, or away from zero?
#
# ---
#
# `(x + half) >> n` takes halves up. For halves away from zero, a negative x needs one less:
# `(x + half - (x < 0)) >> n`. With n = 0 there is no half, and nothing to do.
#
# ---
#
# ```c
# #include "kernels.h"
#
# int8_t requantise(int32_t sum, int32_t multiplier, int shift, int32_t zero) {
#   int64_t value = sum;
#   if (shift > 0) value = value * (1 << shift);
#   value = (value * multiplier + (1ll << 30)) >> 31;
#   if (shift < 0) value = ...;
#   value += zero;
#   ...
# }
# ```

# %% [markdown]
# ## 3. The plain kernel
#
# The dot product is all of a fully connected layer, of a 1 x 1 convolution, and of comparing a beat
# with the patient's usual one. The input's zero point is subtracted from each value of `a`; weights
# have none.
#
# ### Exercise 2: dot_c
#
# Return C text with the function `dot`, as plainly as you can: it is the measure for the next one.
# Up to 4,096 values may come.


# %% exercise="dot_c" points=3
def dot_c():
    """Return C text that defines dot: the sum of (a[i] - zero) * b[i], in 32 bits."""
    ### BEGIN SOLUTION
    return r"""
#include "kernels.h"

int32_t dot(const int8_t *a, const int8_t *b, int count, int32_t zero) {
  int32_t sum = 0;
  for (int i = 0; i < count; i++) sum += (a[i] - zero) * b[i];
  return sum;
}
"""
    ### END SOLUTION


# %% check="dot_c"
a, b = [1, -2, 3, 127, -128], [4, 5, -6, -128, 127]
for zero in (0, -128, 9):
    got = results(run({"dot.c": dot_c()}, dot_case(a, b, zero)))[0][0]
    assert got == reference_dot(a, b, zero), (
        f"with zero = {zero} the sum is {reference_dot(a, b, zero)}, {got} came"
    )

# %% hidden="dot_c" points=1 about="random values and zero points"
COUNTS = (1, 2, 5, 64, 300)
cases = [(*rng.integers(0, 128, (2, count)), 0, (0, 0)) for count in COUNTS]
judge_dot(learner, "dot_c", cases, "values above zero, zero point 0")
cases = [(*rng.integers(-128, 0, (2, count)), 0, (0, 0)) for count in COUNTS]
says = "negative values: plain char has no sign on Arm, it goes from 0 to 255; int8_t has one"
judge_dot(learner, "dot_c", cases, says)
cases = [
    (*rng.integers(-128, 128, (2, count)), int(rng.integers(1, 128)), (0, 0)) for count in COUNTS
]
says = "with a zero point: it is subtracted from every value of a, not from b"
judge_dot(learner, "dot_c", cases, says)

# %% hidden="dot_c" points=1 about="extremes: -128 times -128, 4,096 times over"
ends = np.array([-128, 127])
cases = [
    (np.full(4096, x), np.full(4096, y), zero, (0, 0))
    for x in ends
    for y in ends
    for zero in (-128, 127)
]
cases += [(rng.choice(ends, 1000), rng.choice(ends, 1000), 127, (0, 0))]
says = "extremes: a product fits into 16 bits, a sum of thousands needs 32"
judge_dot(learner, "dot_c", cases, says)

# %% hidden="dot_c" points=1 about="no values, odd counts, and values at any address"
cases = [
    (*rng.integers(-9, 10, (2, count)), 0, places)
    for count in (0, 1, 2, 3, 6, 7, 9)
    for places in ((0, 0), (1, 0), (0, 3), (2, 1))
]
says = "short rows at any address: does the loop begin at 0 and end at count - 1?"
judge_dot(learner, "dot_c", cases, says)


# %% mistake="dot_c" because="adds up in 16 bits" keeps=1 says="a sum of thousands needs 32"
def dot_c():
    return r"""
#include "kernels.h"
int32_t dot(const int8_t *a, const int8_t *b, int count, int32_t zero) {
  int16_t sum = 0;
  for (int i = 0; i < count; i++) sum += (a[i] - zero) * b[i];
  return sum;
}
"""


# %% mistake="dot_c" because="reads plain chars, which have no sign on Arm" keeps=0 says="plain char has no sign on Arm"
def dot_c():
    return r"""
#include "kernels.h"
int32_t dot(const int8_t *a, const int8_t *b, int count, int32_t zero) {
  const char *x = (const char *)a, *y = (const char *)b;
  int32_t sum = 0;
  for (int i = 0; i < count; i++) sum += (x[i] - zero) * y[i];
  return sum;
}
"""


# %% mistake="dot_c" because="names its function otherwise" keeps=0 says="no function dot"
def dot_c():
    return r"""
#include "kernels.h"
int32_t dot_product(const int8_t *a, const int8_t *b, int count, int32_t zero) {
  int32_t sum = 0;
  for (int i = 0; i < count; i++) sum += (a[i] - zero) * b[i];
  return sum;
}
"""


# %% mistake="dot_c" because="subtracts the zero point from both" keeps=1 says="not from b"
def dot_c():
    return r"""
#include "kernels.h"
int32_t dot(const int8_t *a, const int8_t *b, int count, int32_t zero) {
  int32_t sum = 0;
  for (int i = 0; i < count; i++) sum += (a[i] - zero) * (b[i] - zero);
  return sum;
}
"""


# %% [markdown] hint="dot_c"
# One loop. What type must the sum have, if 4,096 products of up to 255 times 128 may come?
#
# ---
#
# 4,096 * 255 * 128 is about 134 million: `int32_t` holds it, `int16_t` does not. `a[i] - zero` is
# computed in `int32_t` of its own accord, since C widens small types before it subtracts.
#
# ---
#
# ```c
# #include "kernels.h"
#
# int32_t dot(const int8_t *a, const int8_t *b, int count, int32_t zero) {
#   int32_t sum = 0;
#   for (int i = 0; ...; i++) sum += ...;
#   return sum;
# }
# ```

# %% [markdown]
# **Predict before you run:** how many instructions does the compiler need for one value? Count them
# in your head: two loads, one subtraction, one multiplication, one addition, and the loop.

# %% needs="dot_c"
count = 1000
a, b = rng.integers(-128, 128, (2, count))
seen = run({"dot.c": dot_c()}, dot_case(a, b, 5))
print(f"exact: {results(seen) == [[reference_dot(a, b, 5)]]}")
print(f"instructions for each value: {seen.calls['dot'][0] / count:.1f}")

# %% [markdown]
# Multiplication and addition are one instruction (MLA), and the loop costs little more. There is
# not much left to shave as long as each value takes its own trip.
#
# ## 4. A kernel that passed every test
#
# A colleague brings a kernel from another processor, whose vector instruction adds two products at
# a time into 16 bits. "A product of two bytes fits into 16 bits, and I have tried it on random
# rows."

# %%
COLLEAGUE = r"""
#include "kernels.h"

int32_t dot(const int8_t *x, const int8_t *y, int n, int32_t zero) {
  int32_t total = 0, weights = 0;
  int k = 0;
  for (; k + 2 <= n; k += 2) {
    int16_t pair = (int16_t)(x[k] * y[k] + x[k + 1] * y[k + 1]);
    total += pair;
    weights += y[k] + y[k + 1];
  }
  for (; k < n; k++) {
    total += x[k] * y[k];
    weights += y[k];
  }
  return total - zero * weights;
}
"""
rows = rng.integers(-128, 128, (200, 2, 64))
zeros = rng.integers(-128, 128, 200)
feed = [n for (a, b), zero in zip(rows, zeros) for n in dot_case(a, b, zero)]
got = [line[0] for line in results(run({"dot.c": COLLEAGUE}, feed))]
want = [reference_dot(a, b, zero) for (a, b), zero in zip(rows, zeros)]
print(f"random rows of 64 values: {sum(g != w for g, w in zip(got, want))} of {len(rows)} differ")

# %% [markdown]
# None differs. The firmware uses it to compare each beat with the patient's usual one. A high sum
# means alike.
#
# ### Exercise 3: counterexample
#
# Is it right? Do not try at random: think about which numbers are the worst, then give an example.


# %% exercise="counterexample" points=2
def counterexample():
    """Return (a, b), two lists of the same length, for which the colleague's dot is wrong.

    All values are whole numbers from -128 to 127. The lists are as short as they can be.
    """
    ### BEGIN SOLUTION
    return [-128, -128], [-128, -128]
    ### END SOLUTION


# %% check="counterexample"
a, b = counterexample()
assert len(a) == len(b) and len(a) > 0, "two lists of the same length, with at least one value"
assert all(-128 <= value <= 127 for value in (*a, *b)), "bytes with a sign go from -128 to 127"
got = results(run({"dot.c": COLLEAGUE}, dot_case(a, b, 0)))[0][0]
assert got != reference_dot(a, b, 0), (
    f"here the kernel is right: {got}. Which two products have the largest sum, and does it fit?"
)

# %% hidden="counterexample" points=1 about="bytes for which the kernel is wrong"
a, b = rows_of(learner)
assert (np.abs(np.concatenate([a, b]) + 0.5) <= 127.5).all(), (
    "a byte with a sign goes from -128 to 127: the kernel will never see such values"
)
pairs = (a * b)[: a.size // 2 * 2].reshape(-1, 2).sum(axis=1)
assert pairs.size, "one value is no pair: the kernel adds two products at a time"
assert (pairs > 32767).any(), (
    f"every pair of products fits into 16 bits here, the largest sum is {pairs.max():.0f}"
)

# %% hidden="counterexample" points=1 about="as short as can be"
a, b = rows_of(learner)
assert len(a) == 2, f"one pair is enough: 2 values each, {len(a)} came"
assert list(a) == list(b) == [-128, -128], "no other pair of bytes does it: think of the worst one"


# %% mistake="counterexample" because="takes the largest value, not the largest product" keeps=0 says="every pair of products fits into 16 bits"
def counterexample():
    return [127, 127], [127, 127]


# %% mistake="counterexample" because="thinks of bytes without a sign" keeps=0 says="goes from -128 to 127"
def counterexample():
    return [255, 255], [127, 127]


# %% mistake="counterexample" because="gives a whole window" keeps=1 says="one pair is enough"
def counterexample():
    return [-128] * 64, [-128] * 64


# %% [markdown] hint="counterexample"
# 16 bits with a sign hold -32,768 to 32,767. What is the largest product of two bytes, and what is
# twice that?
#
# ---
#
# 127 * 127 = 16,129, -128 * 127 = -16,256, and -128 * -128 = 16,384. Twice each of these: which one
# does not fit?
#
# ---
#
# ```python
# return [..., ...], [..., ...]  # both products are 16,384
# ```

# %% [markdown]
# One pair in four billion: no random test will meet it. But data are not random. When the
# electrode comes off, the amplifier goes to one end of its scale and stays there: the whole window is
# the byte of your example.

# %% needs="counterexample"
flat = np.full(64, counterexample()[0][0])
got = results(run({"dot.c": COLLEAGUE}, dot_case(flat, flat, 0)))[0][0]
print(f"a window at the end of the scale, compared with itself: {reference_dot(flat, flat, 0):,}")
print(f"the colleague's kernel says:                            {got:,}")

# %% [markdown]
# Two identical windows are called opposites, just when the patch should say that it has come off.
#
# The kernel was not wrong where it came from: TensorFlow keeps **weights** between -127 and 127,
# and then a pair always fits. Here, both rows are signals. The bound was part of the kernel, and
# nobody wrote it down.
#
# ## 5. Two at a time
#
# A Cortex-M4 has instructions for pairs of 16-bit numbers in one 32-bit register:
#
# | instruction | in C, from `<arm_acle.h>` | what it does |
# |---|---|---|
# | SXTB16 | `__sxtb16(x)` | bytes 0 and 2 of x, with their signs, as two 16-bit halves |
# | SXTAB16 | `__sxtab16(s, x)` | the same, added to the halves of s |
# | SMLAD | `__smlad(x, y, sum)` | sum + low half * low half + high half * high half, in 32 bits |
# | SMLABB, SMLATT | `__smlabb(x, y, sum)` | sum + low * low; with TT, high * high |
# | ROR | `__ror(x, 8)` | turns x by 8 bits, so that bytes 1 and 3 stand where 0 and 2 did |
#
# SMLAD adds into 32 bits: what undid the colleague cannot happen here.

# %%
fig, ax = plt.subplots(figsize=(8, 3.4))
LIGHT, DARK = "0.9", "0.55"
ROWS = [
    (3, "one word from memory", 1, {"a[3]": DARK, "a[2]": LIGHT, "a[1]": DARK, "a[0]": LIGHT}),
    (2, "SXTB16", 2, {"a[2]": LIGHT, "a[0]": LIGHT}),
    (1, "SXTB16 after ROR 8", 2, {"a[3]": DARK, "a[1]": DARK}),
]
for y, title, width, parts in ROWS:
    for at, (name, grey) in enumerate(parts.items()):
        ax.add_patch(plt.Rectangle((at * width, y), width, 0.7, fc=grey, ec="black"))
        ax.text(at * width + width / 2, y + 0.35, name, ha="center", va="center")
    ax.text(-0.15, y + 0.35, title, ha="right", va="center")
ax.text(2, 0.55, "each half has 16 bits: room for a[i] - zero", ha="center")
ax.set(xlim=(-2.6, 4.1), ylim=(0.3, 3.9))
ax.axis("off")
plt.show()

# %% [markdown]
# *In words:* a word of four bytes, a[3] to a[0] from left to right. Below it, SXTB16 makes two wide
# halves of the light bytes, a[2] and a[0]. After a turn by 8 bits it makes two of the dark ones, a[3]
# and a[1]. Each half has 16 bits.
#
# So two words, one of `a` and one of `b`, give four products in two SMLAD. The zero point is
# subtracted by SXTAB16 at no cost: give it a word whose halves are both minus zero.
#
# Two cares. `four(p)` of `kernels.h` reads a word from any address; a pointer turned into
# `uint32_t *` may become an instruction (LDRD) that a real Cortex-M4 refuses there, and **this
# emulator would not tell you**. And a row need not have a multiple of four values: the rest goes
# one by one, since what lies behind the row is not yours to read.
#
# ### Exercise 4: fast_dot_c
#
# The same function, exact, with at most **3.5 instructions for each value** on 1,000 values.


# %% exercise="fast_dot_c" points=4
def fast_dot_c():
    """Return C text that defines dot with instructions that work on two values at once."""
    ### BEGIN SOLUTION
    return r"""
#include <arm_acle.h>

#include "kernels.h"

int32_t dot(const int8_t *a, const int8_t *b, int count, int32_t zero) {
  const uint32_t minus = (uint32_t)(-zero & 0xFFFF) * 0x10001u;
  int32_t sum = 0;
  int i = 0;
  for (; i + 4 <= count; i += 4) {
    const uint32_t x = four(a + i), y = four(b + i);
    sum = __smlad(__sxtab16(minus, x), __sxtb16(y), sum);
    sum = __smlad(__sxtab16(minus, __ror(x, 8)), __sxtb16(__ror(y, 8)), sum);
  }
  for (; i < count; i++) sum += (a[i] - zero) * b[i];
  return sum;
}
"""
    ### END SOLUTION


# %% check="fast_dot_c"
# With b = 1, 0, 0, 0, then 0, 1, 0, 0 and so on, the sums are the values of a, one by one.
ones = np.eye(4, dtype=int)
feed = [n for zero in (0, 3) for one in ones for n in dot_case([1, 2, 3, 4], one, zero)]
count = 1000
a, b = rng.integers(-128, 128, (2, count))
feed += dot_case(a[:7], b[:7], -3, (1, 2)) + dot_case([-128] * 4, [-128] * 4, 127)
seen = run({"dot.c": fast_dot_c()}, feed + dot_case(a, b, 5))
got = [line[0] for line in results(seen)]
assert got[:4] == [1, 2, 3, 4], (
    f"picked one by one, a = 1, 2, 3, 4 came as {got[:4]}: which byte is lost or meets a wrong one?"
)
assert got[4:8] == [-2, -1, 0, 1], (
    f"the same with zero = 3 came as {got[4:8]}: is minus zero in both halves, each with 16 bits?"
)
assert got[8] == reference_dot(a[:7], b[:7], -3), (
    "7 values: what about the three after the first word?"
)
assert got[9] == 4 * (-128 - 127) * -128, (
    "-128 - 127 is -255: it does not fit into a byte; widen first, then subtract"
)
assert got[-1] == reference_dot(a, b, 5), (
    f"{count} values: {reference_dot(a, b, 5)} expected, {got[-1]} came"
)
each = seen.calls["dot"][-1] / count
assert each <= 3.5, f"exact, with {each:.1f} instructions for each value; 3.5 are allowed"

# %% hidden="fast_dot_c" points=1 about="exact on multiples of four, extremes included"
zeros = rng.integers(-128, 128, 5)
rows = [rng.integers(-128, 128, (2, 4 * n)) for n in (1, 2, 5, 64, 250)]
cases = [(a, b, 0, (0, 0)) for a, b in rows]
says = "zero point 0, multiples of four: do both factors take the same bytes?"
judge_dot(learner, "fast_dot_c", cases, says)
cases = [(a, b, int(zero), (0, 0)) for (a, b), zero in zip(rows, zeros)]
ends = np.array([-128, 127])
cases += [
    (np.full(1024, x), np.full(1024, y), zero, (0, 0))
    for x in ends
    for y in ends
    for zero in (-128, 127)
]
says = "value and zero point differ by up to 255, which needs 16 bits; negative zero points too"
judge_dot(learner, "fast_dot_c", cases, says)

# %% hidden="fast_dot_c" points=1 about="exact on any count, at any address, and nothing read behind the row"
cases = [
    (*rng.integers(-128, 128, (2, count)), int(rng.integers(-128, 128)), places)
    for count in (0, 1, 2, 3, 5, 6, 7, 13, 66, 259)
    for places in ((0, 0), (1, 0), (0, 3), (2, 1))
]
says = "counts that are no multiple of four: the last one to three values are missing, or too many are read"
judge_dot(learner, "fast_dot_c", cases, says)
for count in (0, 1, 2, 3, 5, 7, 66):
    a, b = rng.integers(-128, 128, (2, count))
    judge_reads(learner, "fast_dot_c", a, b, (int(rng.integers(0, 4)), int(rng.integers(0, 4))))

# %% hidden="fast_dot_c" points=2 about="exact, with at most 3.5 instructions for each of 1,000 values"
count = 1000
cases = [(*rng.integers(-128, 128, (2, count)), int(rng.integers(64, 128)), (0, 0))]
says = "the count is looked at only when the sum is right"
seen = judge_dot(learner, "fast_dot_c", cases, says)
used = sum(seen.calls["dot"])
assert used <= DOT_BAR * count, (
    f"{used:,} instructions for {count} values are {used / count:.2f} each; the bar is {DOT_BAR}: "
    "two words, four SXTB16 or SXTAB16 and two SMLAD do four values"
)


# %% mistake="fast_dot_c" because="is the plain kernel again" keeps=2 says="the bar is 3.5"
def fast_dot_c():
    return r"""
#include "kernels.h"
int32_t dot(const int8_t *a, const int8_t *b, int count, int32_t zero) {
  int32_t sum = 0;
  for (int i = 0; i < count; i++) sum += (a[i] - zero) * b[i];
  return sum;
}
"""


# %% mistake="fast_dot_c" because="leaves the last values out" keeps=3 says="the last one to three values"
def fast_dot_c():
    return r"""
#include <arm_acle.h>
#include "kernels.h"
int32_t dot(const int8_t *a, const int8_t *b, int count, int32_t zero) {
  const uint32_t minus = (uint32_t)(-zero & 0xFFFF) * 0x10001u;
  int32_t sum = 0;
  for (int i = 0; i + 4 <= count; i += 4) {
    const uint32_t x = four(a + i), y = four(b + i);
    sum = __smlad(__sxtab16(minus, x), __sxtb16(y), sum);
    sum = __smlad(__sxtab16(minus, __ror(x, 8)), __sxtb16(__ror(y, 8)), sum);
  }
  return sum;
}
"""


# %% mistake="fast_dot_c" because="reads a whole word at the end and masks what is too much" keeps=3 says="not yours to read"
def fast_dot_c():
    return r"""
#include <arm_acle.h>
#include "kernels.h"
int32_t dot(const int8_t *a, const int8_t *b, int count, int32_t zero) {
  const uint32_t minus = (uint32_t)(-zero & 0xFFFF) * 0x10001u;
  int32_t sum = 0;
  int i = 0;
  for (; i + 4 <= count; i += 4) {
    const uint32_t x = four(a + i), y = four(b + i);
    sum = __smlad(__sxtab16(minus, x), __sxtb16(y), sum);
    sum = __smlad(__sxtab16(minus, __ror(x, 8)), __sxtb16(__ror(y, 8)), sum);
  }
  if (i < count) {
    const uint32_t x = four(a + i), y = four(b + i) & ((1u << 8 * (count - i)) - 1);
    sum = __smlad(__sxtab16(minus, x), __sxtb16(y), sum);
    sum = __smlad(__sxtab16(minus, __ror(x, 8)), __sxtb16(__ror(y, 8)), sum);
  }
  return sum;
}
"""


# %% mistake="fast_dot_c" because="subtracts the zero point in bytes, four at a time" keeps=0 says="which needs 16 bits"
def fast_dot_c():
    return r"""
#include <arm_acle.h>
#include "kernels.h"
int32_t dot(const int8_t *a, const int8_t *b, int count, int32_t zero) {
  const uint32_t zeros = (uint32_t)(zero & 0xFF) * 0x01010101u;
  int32_t sum = 0;
  int i = 0;
  for (; i + 4 <= count; i += 4) {
    const uint32_t x = __ssub8(four(a + i), zeros), y = four(b + i);
    sum = __smlad(__sxtb16(x), __sxtb16(y), sum);
    sum = __smlad(__sxtb16(__ror(x, 8)), __sxtb16(__ror(y, 8)), sum);
  }
  for (; i < count; i++) sum += (a[i] - zero) * b[i];
  return sum;
}
"""


# %% [markdown] hint="fast_dot_c"
# Take four values of each row as one word with `four`. Widen bytes 0 and 2, multiply; turn by 8,
# widen again, multiply. What is left over goes through your plain loop.
#
# ---
#
# Half-words of minus zero: `uint32_t minus = (uint32_t)(-zero & 0xFFFF) * 0x10001u;`. Then
# `__sxtab16(minus, x)` is the pair (x0 - zero, x2 - zero), and
# `sum = __smlad(pair_of_a, pair_of_b, sum)` adds two products.
#
# ---
#
# ```c
# #include <arm_acle.h>
# #include "kernels.h"
#
# int32_t dot(const int8_t *a, const int8_t *b, int count, int32_t zero) {
#   const uint32_t minus = ...;
#   int32_t sum = 0;
#   int i = 0;
#   for (; i + 4 <= count; i += 4) {
#     const uint32_t x = four(a + i), y = four(b + i);
#     sum = __smlad(__sxtab16(minus, x), __sxtb16(y), sum);
#     sum = __smlad(...);  // bytes 1 and 3
#   }
#   for (; i < count; i++) ...;
#   return sum;
# }
# ```

# %% [markdown]
# ## 6. Depthwise
#
# A depthwise layer keeps its channels apart: each has nine weights of its own, 3 x 3, and its own
# factor. Values lie as rows, columns, channels: the four bytes of a word belong to four channels.
# Around the picture there is a border of **the zero point**, which stands for 0; so a tap that lies
# outside adds nothing.
#
# ### Exercise 5: depthwise_c
#
# Plainly again. Call `requantise` once for each output, with the channel's multiplier and shift.
# (Hidden tests link a `requantise` of their own, so that this exercise does not depend on your
# first one.)


# %% exercise="depthwise_c" points=4
def depthwise_c():
    """Return C text that defines depthwise: 3 x 3, stride 1, same size, scaled by channel."""
    ### BEGIN SOLUTION
    return r"""
#include "kernels.h"

static int32_t one_sum(const Layer *layer, int y, int x, int c) {
  int32_t sum = layer->bias[c];
  for (int dy = 0; dy < 3; dy++) {
    for (int dx = 0; dx < 3; dx++) {
      const int row = y + dy - 1, column = x + dx - 1;
      if (row < 0 || row >= layer->height || column < 0 || column >= layer->width) continue;
      const int at = (row * layer->width + column) * layer->channels + c;
      const int8_t weight = layer->weights[(3 * dy + dx) * layer->channels + c];
      sum += (layer->input[at] - layer->input_zero) * weight;
    }
  }
  return sum;
}

void depthwise(const Layer *layer, int8_t *output) {
  for (int y = 0; y < layer->height; y++) {
    for (int x = 0; x < layer->width; x++) {
      for (int c = 0; c < layer->channels; c++) {
        const int32_t sum = one_sum(layer, y, x, c);
        *output++ = requantise(sum, layer->multiplier[c], layer->shift[c], layer->output_zero);
      }
    }
  }
}
"""
    ### END SOLUTION


# %%
def some_layer(rng, height, width, channels):
    """Return a layer with random numbers."""
    return {
        "input": rng.integers(-128, 128, (height, width, channels)),
        "weights": rng.integers(-127, 128, (3, 3, channels)),
        "bias": rng.integers(-30000, 30000, channels),
        "multiplier": rng.integers(2**30, 2**31, channels),
        "shift": rng.integers(-12, -6, channels),
        "input_zero": int(rng.integers(-128, 128)),
        "output_zero": int(rng.integers(-20, 20)),
    }


def output_of(text, layer, places=(0, 0, 0)):
    """Run a depthwise kernel; return its output, the bytes it changed beside it, and the run."""
    texts = {"depthwise.c": text, "requantise.c": requantise_c()}
    seen = run(texts, depthwise_case(layer, places))
    changed, *output = results(seen)[0]
    return np.array(output).reshape(layer["input"].shape), changed, seen


def instructions_each(seen, layer):
    """Return instructions of depthwise, without those of requantise, for each multiplication."""
    own = seen.calls["depthwise"][0] - seen.by_function.get("requantise", 0)
    return own / (9 * layer["input"].size)


# %% check="depthwise_c"
layer = some_layer(rng, 4, 5, 3)
got, changed, _ = output_of(depthwise_c(), layer)
want = reference_depthwise(layer)
assert (got[1:-1, 1:-1] == want[1:-1, 1:-1]).all(), (
    "pixels away from the border differ: does the sum begin with the bias, is input_zero subtracted, "
    "has each channel its own factor, and in which order do rows, columns and channels lie?"
)
assert (got == want).all(), "pixels at the border differ: a tap outside stands for the zero point"
assert changed == 0, f"bytes beside the output that were written to: {changed}"

# %% hidden="depthwise_c" points=2 about="away from the border: order of values, and every channel's own factor"
layer = some_layer(rng, 6, 5, 4)
layer["multiplier"][:], layer["shift"][:] = layer["multiplier"][0], layer["shift"][0]
_, _, got, want = depthwise_output(learner, "depthwise_c", layer)
turned = wanted(layer | {"weights": layer["weights"].transpose(1, 0, 2)})
assert not (got[1:-1, 1:-1] == turned[1:-1, 1:-1]).all(), (
    "weights lie as row, column, channel: row and column are swapped"
)
assert (got[1:-1, 1:-1] == want[1:-1, 1:-1]).all(), (
    "sums away from the border differ although all channels have one factor: look at the places of input, weights and bias"
)
layer = some_layer(rng, 6, 5, 4)
_, _, got, want = depthwise_output(learner, "depthwise_c", layer)
assert (got[1:-1, 1:-1] == want[1:-1, 1:-1]).all(), (
    "every channel has its own multiplier and shift: only the first one's was used, or in the wrong order"
)

# %% hidden="depthwise_c" points=1 about="the border stands for the zero point"
layer = some_layer(rng, 5, 7, 2)
_, _, got, want = depthwise_output(learner, "depthwise_c", layer)
assert (got[1:-1, 1:-1] == want[1:-1, 1:-1]).all(), "pixels away from the border already differ"
assert (got == want).all(), (
    "pixels at the border differ: a tap outside the picture has the value of input_zero, which adds nothing, not the byte 0"
)

# %% hidden="depthwise_c" points=1 about="pictures of one row, column or pixel, any address, nothing written beside"
for height, width, channels in ((1, 1, 1), (1, 6, 3), (7, 1, 5), (2, 2, 2), (3, 3, 7)):
    layer = some_layer(rng, height, width, channels)
    places = tuple(int(n) for n in rng.integers(0, 4, 3))
    _, changed, got, want = depthwise_output(learner, "depthwise_c", layer, places)
    size = f"{height} x {width} pixels, channels={channels},"
    assert not changed, f"bytes beside the output of {size} that were written to: {changed}"
    assert (got == want).all(), f"a picture of {size} differs"


# %% mistake="depthwise_c" because="takes the byte 0 for the border" keeps=2 says="not the byte 0"
def depthwise_c():
    return r"""
#include "kernels.h"
void depthwise(const Layer *layer, int8_t *output) {
  const int h = layer->height, w = layer->width, n = layer->channels;
  for (int y = 0; y < h; y++) for (int x = 0; x < w; x++) for (int c = 0; c < n; c++) {
    int32_t sum = layer->bias[c];
    for (int dy = 0; dy < 3; dy++) for (int dx = 0; dx < 3; dx++) {
      const int row = y + dy - 1, column = x + dx - 1;
      const int inside = row >= 0 && row < h && column >= 0 && column < w;
      const int32_t value = inside ? layer->input[(row * w + column) * n + c] : 0;
      sum += (value - layer->input_zero) * layer->weights[(3 * dy + dx) * n + c];
    }
    *output++ = requantise(sum, layer->multiplier[c], layer->shift[c], layer->output_zero);
  }
}
"""


# %% mistake="depthwise_c" because="scales every channel by the first one's factor" keeps=0 says="every channel has its own multiplier"
def depthwise_c():
    return r"""
#include "kernels.h"
void depthwise(const Layer *layer, int8_t *output) {
  const int h = layer->height, w = layer->width, n = layer->channels;
  for (int y = 0; y < h; y++) for (int x = 0; x < w; x++) for (int c = 0; c < n; c++) {
    int32_t sum = layer->bias[c];
    for (int dy = 0; dy < 3; dy++) for (int dx = 0; dx < 3; dx++) {
      const int row = y + dy - 1, column = x + dx - 1;
      if (row < 0 || row >= h || column < 0 || column >= w) continue;
      const int32_t value = layer->input[(row * w + column) * n + c] - layer->input_zero;
      sum += value * layer->weights[(3 * dy + dx) * n + c];
    }
    *output++ = requantise(sum, layer->multiplier[0], layer->shift[0], layer->output_zero);
  }
}
"""


# %% mistake="depthwise_c" because="swaps the weights' rows and columns" keeps=0 says="row and column are swapped"
def depthwise_c():
    return r"""
#include "kernels.h"
void depthwise(const Layer *layer, int8_t *output) {
  const int h = layer->height, w = layer->width, n = layer->channels;
  for (int y = 0; y < h; y++) for (int x = 0; x < w; x++) for (int c = 0; c < n; c++) {
    int32_t sum = layer->bias[c];
    for (int dy = 0; dy < 3; dy++) for (int dx = 0; dx < 3; dx++) {
      const int row = y + dy - 1, column = x + dx - 1;
      if (row < 0 || row >= h || column < 0 || column >= w) continue;
      const int32_t value = layer->input[(row * w + column) * n + c] - layer->input_zero;
      sum += value * layer->weights[(3 * dx + dy) * n + c];
    }
    *output++ = requantise(sum, layer->multiplier[c], layer->shift[c], layer->output_zero);
  }
}
"""


# %% [markdown] hint="depthwise_c"
# Three loops over the output (row, column, channel), two over the nine taps. A tap outside the
# picture adds nothing: skip it.
#
# ---
#
# The value at a row, column and channel is `input[(row * width + column) * channels + c]`, the
# weight of tap dy, dx is `weights[(3 * dy + dx) * channels + c]`. The tap reads row `y + dy - 1` and
# column `x + dx - 1`. The sum begins with `bias[c]`.
#
# ---
#
# ```c
# #include "kernels.h"
#
# void depthwise(const Layer *layer, int8_t *output) {
#   for (int y = 0; y < layer->height; y++)
#     for (int x = 0; x < layer->width; x++)
#       for (int c = 0; c < layer->channels; c++) {
#         int32_t sum = layer->bias[c];
#         for (int dy = 0; dy < 3; dy++)
#           for (int dx = 0; dx < 3; dx++) {
#             const int row = y + dy - 1, column = x + dx - 1;
#             if (...) continue;
#             sum += ...;
#           }
#         *output++ = requantise(sum, ...);
#       }
# }
# ```

# %% [markdown]
# **Predict before you run:** you have seen what the plain dot product takes for each value. How many
# instructions does the plain depthwise layer take for each multiplication, without `requantise`?

# %% needs="requantise_c depthwise_c"
layer = some_layer(rng, 8, 8, 32)
got, _, seen = output_of(depthwise_c(), layer)
print(f"exact: {(got == reference_depthwise(layer)).all()}")
print(f"instructions for each multiplication: {instructions_each(seen, layer):.0f}")

# %% [markdown]
# Most of it is finding the way: is the tap inside, where does it lie. This is asked for every
# channel anew, though the answer is the same for all channels of a pixel.
#
# ### Exercise 6: fast_depthwise_c
#
# The same function, exact, with at most **8 instructions for each multiplication**, those of
# `requantise` not counted, on a layer of 8 x 8 pixels and 32 channels. Two things pay: find the way
# once for each pixel, and take four channels at a time. The halves of a word belong to different
# channels here, so SMLAD, which adds them up, is the wrong instruction: SMLABB and SMLATT keep
# low and high halves apart.


# %% exercise="fast_depthwise_c" points=4
def fast_depthwise_c():
    """Return C text that defines depthwise, four channels at a time."""
    ### BEGIN SOLUTION
    return r"""
#include <arm_acle.h>

#include "kernels.h"

typedef struct {
  const int8_t *value, *weight; /* of channel 0 */
} Tap;

/* Find the taps of a pixel that lie in the picture; return how many. */
static int find_taps(const Layer *layer, int y, int x, Tap *taps) {
  int count = 0;
  for (int dy = 0; dy < 3; dy++) {
    for (int dx = 0; dx < 3; dx++) {
      const int row = y + dy - 1, column = x + dx - 1;
      if (row < 0 || row >= layer->height || column < 0 || column >= layer->width) continue;
      taps[count].value = layer->input + (row * layer->width + column) * layer->channels;
      taps[count++].weight = layer->weights + (3 * dy + dx) * layer->channels;
    }
  }
  return count;
}

/* The sums of channels c to c + 3. */
static void four_sums(const Tap *taps, int count, int c, uint32_t minus, int32_t *sums) {
  int32_t sum0 = sums[0], sum1 = sums[1], sum2 = sums[2], sum3 = sums[3];
  for (int t = 0; t < count; t++) {
    const uint32_t v = four(taps[t].value + c), w = four(taps[t].weight + c);
    const uint32_t even = __sxtab16(minus, v), odd = __sxtab16(minus, __ror(v, 8));
    const uint32_t even_w = __sxtb16(w), odd_w = __sxtb16(__ror(w, 8));
    sum0 = __smlabb(even, even_w, sum0);
    sum1 = __smlabb(odd, odd_w, sum1);
    sum2 = __smlatt(even, even_w, sum2);
    sum3 = __smlatt(odd, odd_w, sum3);
  }
  sums[0] = sum0, sums[1] = sum1, sums[2] = sum2, sums[3] = sum3;
}

static int32_t one_sum(const Layer *layer, const Tap *taps, int count, int c) {
  int32_t sum = layer->bias[c];
  for (int t = 0; t < count; t++) sum += (taps[t].value[c] - layer->input_zero) * taps[t].weight[c];
  return sum;
}

void depthwise(const Layer *layer, int8_t *output) {
  const uint32_t minus = (uint32_t)(-layer->input_zero & 0xFFFF) * 0x10001u;
  for (int y = 0; y < layer->height; y++) {
    for (int x = 0; x < layer->width; x++) {
      Tap taps[9];
      const int count = find_taps(layer, y, x, taps);
      int32_t sums[4];
      for (int c = 0; c < layer->channels; c++) {
        const int inside = c & 3;
        if (!inside && c + 4 <= layer->channels) {
          for (int k = 0; k < 4; k++) sums[k] = layer->bias[c + k];
          four_sums(taps, count, c, minus, sums);
        } else if (c >= (layer->channels & ~3)) {
          sums[inside] = one_sum(layer, taps, count, c);
        }
        *output++ = requantise(sums[inside], layer->multiplier[c], layer->shift[c], layer->output_zero);
      }
    }
  }
}
"""
    ### END SOLUTION


# %% check="fast_depthwise_c"
layer = some_layer(rng, 4, 5, 7)
got, changed, _ = output_of(fast_depthwise_c(), layer, (1, 2, 3))
want = reference_depthwise(layer)
assert (got[..., :4] == want[..., :4]).all(), "the first four channels differ: which byte is whose?"
assert (got == want).all(), "channels 4 to 6 differ: 7 is no multiple of four"
assert changed == 0, f"bytes beside the output that were written to: {changed}"
layer = some_layer(rng, 8, 8, 32)
got, _, seen = output_of(fast_depthwise_c(), layer)
assert (got == reference_depthwise(layer)).all(), "a layer of 8 x 8 pixels and 32 channels differs"
assert instructions_each(seen, layer) <= 8, (
    f"exact, with {instructions_each(seen, layer):.1f} instructions for each multiplication; 8 are allowed"
)

# %% hidden="fast_depthwise_c" points=1 about="exact with 4 to 32 channels, extremes and border included"
for height, width, channels in ((1, 1, 4), (3, 4, 8), (5, 2, 32)):
    layer = some_layer(rng, height, width, channels)
    _, changed, got, want = depthwise_output(learner, "fast_depthwise_c", layer)
    assert (got == want).all(), (
        f"{(got != want).any(axis=(0, 1)).sum()} of {channels} channels differ: bytes 0 and 2 of a word are channels c and c + 2, and a tap outside adds nothing"
    )
for value, weight, zero in ((-128, -128, 127), (127, -128, -128), (-128, 127, 127)):
    layer = some_layer(rng, 4, 4, 8) | {"input_zero": zero}
    layer["input"][:], layer["weights"][:] = value, weight
    _, _, got, want = depthwise_output(learner, "fast_depthwise_c", layer)
    assert (got == want).all(), (
        f"values {value}, weights {weight}, zero point {zero}: the difference of value and zero needs 16 bits"
    )

# %% hidden="fast_depthwise_c" points=1 about="exact with any number of channels, at any address, nothing written beside"
for height, width, channels in ((1, 1, 1), (2, 3, 2), (3, 2, 3), (2, 2, 5), (3, 3, 6), (4, 1, 11)):
    layer = some_layer(rng, height, width, channels)
    places = tuple(int(n) for n in rng.integers(0, 4, 3))
    _, changed, got, want = depthwise_output(learner, "fast_depthwise_c", layer, places)
    assert not changed, (
        f"bytes beside the output that were written to, with channels={channels}: {changed}"
    )
    assert (got == want).all(), f"channels={channels}, no multiple of four: the last ones differ"

# %% hidden="fast_depthwise_c" points=2 about="exact, with at most 8 instructions for each multiplication"
layer = some_layer(rng, 8, 8, 32)
seen, _, got, want = depthwise_output(learner, "fast_depthwise_c", layer)
assert (got == want).all(), "the count is looked at only when the output is right"
each = (sum(seen.calls["depthwise"]) - seen.by_function.get("requantise", 0)) / (9 * got.size)
assert each <= DEPTHWISE_BAR, (
    f"{each:.1f} instructions for each multiplication, without requantise; the bar is {DEPTHWISE_BAR:g}: "
    "find the taps once for a pixel, then take four channels at a time"
)


# %% mistake="fast_depthwise_c" because="finds the way once for a pixel, but goes channel by channel" keeps=2 says="the bar is 8"
def fast_depthwise_c():
    return r"""
#include "kernels.h"
void depthwise(const Layer *layer, int8_t *output) {
  const int h = layer->height, w = layer->width, n = layer->channels;
  for (int y = 0; y < h; y++) for (int x = 0; x < w; x++) {
    const int8_t *values[9], *weights[9];
    int taps = 0;
    for (int dy = 0; dy < 3; dy++) for (int dx = 0; dx < 3; dx++) {
      const int row = y + dy - 1, column = x + dx - 1;
      if (row < 0 || row >= h || column < 0 || column >= w) continue;
      values[taps] = layer->input + (row * w + column) * n;
      weights[taps++] = layer->weights + (3 * dy + dx) * n;
    }
    for (int c = 0; c < n; c++) {
      int32_t sum = layer->bias[c];
      for (int t = 0; t < taps; t++) sum += (values[t][c] - layer->input_zero) * weights[t][c];
      *output++ = requantise(sum, layer->multiplier[c], layer->shift[c], layer->output_zero);
    }
  }
}
"""


# %% mistake="fast_depthwise_c" because="takes a word's halves for neighbouring channels" keeps=0 says="channels c and c + 2"
def fast_depthwise_c():
    return r"""
#include <arm_acle.h>
#include "kernels.h"
void depthwise(const Layer *layer, int8_t *output) {
  const int h = layer->height, w = layer->width, n = layer->channels;
  const uint32_t minus = (uint32_t)(-layer->input_zero & 0xFFFF) * 0x10001u;
  for (int y = 0; y < h; y++) for (int x = 0; x < w; x++) {
    const int8_t *values[9], *weights[9];
    int taps = 0;
    for (int dy = 0; dy < 3; dy++) for (int dx = 0; dx < 3; dx++) {
      const int row = y + dy - 1, column = x + dx - 1;
      if (row < 0 || row >= h || column < 0 || column >= w) continue;
      values[taps] = layer->input + (row * w + column) * n;
      weights[taps++] = layer->weights + (3 * dy + dx) * n;
    }
    int c = 0;
    for (; c + 4 <= n; c += 4) {
      const int32_t *bias = layer->bias + c;
      int32_t sums[4] = {bias[0], bias[2], bias[1], bias[3]};
      for (int t = 0; t < taps; t++) {
        const uint32_t v = four(values[t] + c), k = four(weights[t] + c);
        const uint32_t even = __sxtab16(minus, v), odd = __sxtab16(minus, __ror(v, 8));
        sums[0] = __smlabb(even, __sxtb16(k), sums[0]);
        sums[1] = __smlatt(even, __sxtb16(k), sums[1]);
        sums[2] = __smlabb(odd, __sxtb16(__ror(k, 8)), sums[2]);
        sums[3] = __smlatt(odd, __sxtb16(__ror(k, 8)), sums[3]);
      }
      for (int k = 0; k < 4; k++)
        *output++ = requantise(sums[k], layer->multiplier[c + k], layer->shift[c + k], layer->output_zero);
    }
    for (; c < n; c++) {
      int32_t sum = layer->bias[c];
      for (int t = 0; t < taps; t++) sum += (values[t][c] - layer->input_zero) * weights[t][c];
      *output++ = requantise(sum, layer->multiplier[c], layer->shift[c], layer->output_zero);
    }
  }
}
"""


# %% mistake="fast_depthwise_c" because="leaves out the channels behind the last four" keeps=3 says="the last ones differ"
def fast_depthwise_c():
    return r"""
#include <arm_acle.h>
#include "kernels.h"
void depthwise(const Layer *layer, int8_t *output) {
  const int h = layer->height, w = layer->width, n = layer->channels;
  const uint32_t minus = (uint32_t)(-layer->input_zero & 0xFFFF) * 0x10001u;
  for (int y = 0; y < h; y++) for (int x = 0; x < w; x++, output += n) {
    const int8_t *values[9], *weights[9];
    int taps = 0;
    for (int dy = 0; dy < 3; dy++) for (int dx = 0; dx < 3; dx++) {
      const int row = y + dy - 1, column = x + dx - 1;
      if (row < 0 || row >= h || column < 0 || column >= w) continue;
      values[taps] = layer->input + (row * w + column) * n;
      weights[taps++] = layer->weights + (3 * dy + dx) * n;
    }
    for (int c = 0; c + 4 <= n; c += 4) {
      const int32_t *bias = layer->bias + c;
      int32_t sums[4] = {bias[0], bias[1], bias[2], bias[3]};
      for (int t = 0; t < taps; t++) {
        const uint32_t v = four(values[t] + c), k = four(weights[t] + c);
        const uint32_t even = __sxtab16(minus, v), odd = __sxtab16(minus, __ror(v, 8));
        sums[0] = __smlabb(even, __sxtb16(k), sums[0]);
        sums[2] = __smlatt(even, __sxtb16(k), sums[2]);
        sums[1] = __smlabb(odd, __sxtb16(__ror(k, 8)), sums[1]);
        sums[3] = __smlatt(odd, __sxtb16(__ror(k, 8)), sums[3]);
      }
      for (int k = 0; k < 4; k++)
        output[c + k] = requantise(sums[k], layer->multiplier[c + k], layer->shift[c + k], layer->output_zero);
    }
  }
}
"""


# %% [markdown] hint="fast_depthwise_c"
# First collect, for a pixel, where its taps begin: up to nine pairs of pointers, to channel 0 of the
# value and of the weight. Then go through the channels in fours, and through the taps inside.
#
# ---
#
# For channels c to c + 3: `v = four(value + c)`, `w = four(weight + c)`;
# `even = __sxtab16(minus, v)` holds channels c and c + 2, `odd = __sxtab16(minus, __ror(v, 8))` holds
# c + 1 and c + 3. Then `sum0 = __smlabb(even, even_w, sum0)`, `sum2 = __smlatt(even, even_w, sum2)`.
#
# ---
#
# ```c
# #include <arm_acle.h>
# #include "kernels.h"
#
# void depthwise(const Layer *layer, int8_t *output) {
#   const uint32_t minus = ...;
#   for (int y = 0; y < layer->height; y++)
#     for (int x = 0; x < layer->width; x++) {
#       const int8_t *values[9], *weights[9];
#       int taps = 0;
#       ...                                     // the taps that lie inside
#       int c = 0;
#       for (; c + 4 <= layer->channels; c += 4) {
#         int32_t sum0 = layer->bias[c], sum1 = ..., sum2 = ..., sum3 = ...;
#         for (int t = 0; t < taps; t++) {
#           ...
#         }
#         *output++ = requantise(sum0, layer->multiplier[c], layer->shift[c], layer->output_zero);
#         ...
#       }
#       for (; c < layer->channels; c++) ...    // what is left over, plainly
#     }
# }
# ```

# %% [markdown]
# ## 7. What it is worth
#
# **Predict before you run:** in the fast depthwise layer, which share of all instructions does
# `requantise` take now?

# %% needs="requantise_c dot_c fast_dot_c depthwise_c fast_depthwise_c"
count = 1000
a, b = rng.integers(-128, 128, (2, count))
runs = [run({"dot.c": text}, dot_case(a, b, 5)) for text in (dot_c(), fast_dot_c())]
plain_dot, fast_dot = (seen.calls["dot"][0] / count for seen in runs)
layer = some_layer(rng, 8, 8, 32)
plain_seen = output_of(depthwise_c(), layer)[2]
got, _, seen = output_of(fast_depthwise_c(), layer)
plain_depthwise, fast_depthwise = (instructions_each(s, layer) for s in (plain_seen, seen))
exact = results(runs[1]) == [[reference_dot(a, b, 5)]] and (got == reference_depthwise(layer)).all()
share = seen.by_function.get("requantise", 0) / seen.calls["depthwise"][0]
whole = plain_seen.calls["depthwise"][0] / seen.calls["depthwise"][0]
print(f"fast kernels exact: {exact}")
print(f"dot product:        {plain_dot / fast_dot:.1f} times fewer instructions")
print(f"depthwise sums:     {plain_depthwise / fast_depthwise:.1f} times fewer")
print(f"the whole layer:    {whole:.1f} times fewer")
print(f"requantise is       {share:.0%} of what is left of it")

fig, ax = plt.subplots(figsize=(7, 2.6))
bars = [plain_dot, fast_dot, plain_depthwise, fast_depthwise]
labels = ["dot, plain", "dot, fast", "depthwise, plain", "depthwise, fast"]
ax.barh(labels, bars, color=["0.75", "0.35"] * 2, edgecolor="black")
for y, value in enumerate(bars):
    ax.text(value + 0.1, y, f"{value:.1f}", va="center")
ax.invert_yaxis()
ax.set(xlabel="instructions for each multiplication, exact count", xlim=(0, max(bars) * 1.15))
plt.show()

# %% [markdown]
# *In words:* four bars, two for the dot product and two for the depthwise layer. In each pair the
# fast kernel, dark, has the shorter bar.
#
# The sums fell a lot, and the layer as a whole fell less: what was small before, such as
# `requantise` with its 64-bit numbers, is large now, and would be next. Measure the whole layer
# before you promise anything.
#
# The count says nothing of cycles, of waiting for flash, or of the battery. It does say, exactly,
# that the answers are the same.
#
# ## 8. In your own words
#
# The cardiologist who leads the study writes: *"You rewrote the arithmetic of the patch after it
# was approved. You say it needs less power and nothing else changed. How can you know? And an
# engineer tells me that another version gave the same results on hundreds of random tests, yet you
# refuse it. Is that not proof enough? How long will the battery last now?"*
#
# Answer in at most 150 words, without the words int8, bit, overflow or instruction.

# %% [markdown] written="explain_same_answers" points=2 rubric="clinician-answer"
# The patch calculates with whole numbers only. For every input there is exactly one right result,
# and we compared old and new arithmetic digit by digit: on random signals and, on purpose, on the
# most extreme ones, such as a signal at the end of its scale. No result differed. We know of no
# patient result that would have changed, and the comparison goes into the software record.
#
# The other version was tried on random signals only. It fails in one case that chance practically
# never produces, but a loose electrode does: it then takes two identical signals for opposites. It
# was not used on patients. Please ask any supplier what was tried besides random signals.
#
# About the battery I promise nothing yet. In these steps the processor has clearly less to do,
# counted in a simulation. The device itself must be measured, radio and sensor included, before the
# study relies on seven days.

# %% [markdown]
# ## What you have now
#
# - `requantise_c`: the rounding that decides whether two implementations are the same network.
# - `counterexample`: the habit of asking for the worst numbers instead of more random ones.
# - `dot_c` and `depthwise_c`: plain kernels, against which every fast one is held.
# - `fast_dot_c` and `fast_depthwise_c`: fewer instructions, counted, and the same answers.
#
# Where real life is harder: a 1 x 1 convolution shares one widened input among all its outputs, and
# gains more than a single dot product can; on a chip with caches and wait states the fastest code is
# not always the shortest; and the compiler of next year may undo your work: keep the count as a
# test.
