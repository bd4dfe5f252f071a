# %% [markdown]
# # Firmware detective
#
# Four devices came back from wards and homes. One patch stopped in the night, one monitor restarts
# when an electrode falls off, one calls its most dangerous beats normal, and one shows a number that
# nobody can find again. Each of them passed every test before it was shipped.
#
# **One new idea: reproduce first, then bisect, then explain, then mend.** A fault that you cannot
# bring about on purpose you cannot mend, only hide. And the change that let it out is not always
# what is wrong.
#
# You will write an input that brings each fault about, search for the change that let it out,
# mend the C, and show that the mended firmware still does its work. What you write last is the
# report.
#
# What this unit does not cover: debuggers on real chips, faults that need two cores, and faults of
# the hardware.

# %% tags=["parameters"]
SEED = 0

# %% [markdown]
# ## 1. Four firmwares
#
# | published, not from this notebook | result |
# |---|---|
# | FDA, General Principles of Software Validation, 2002: 3,140 recalls of medical devices, 1992 to 1998 | 242 because of software; 192 of these, 79 %, by a fault that came in with a change after the first delivery |
# | Leveson and Turner, 1993: six overdoses by the Therac-25 | one of the faults needed a fast typist; it was believed when a hospital's physicist had brought it about himself |
#
# All signals here are **generated**: no patient stands behind them. With real firmware you would
# feed records such as those of the MIT-BIH arrhythmia database (48 records of half an hour, 360
# values a second; Open Data Commons Attribution licence).
#
# The sources lie in `hardware_labs/detective/`, a folder for each, with a history of five changes.
# Version 0 is before all of them, version 5 is what was shipped. They run on an emulated STM32F405.

# %%
import matplotlib.pyplot as plt
import numpy as np
import yaml

from medlab.edge import boards
from medlab.edge.boards import toolchain
from medlab.edge.boards.firmware import Firmware

BOARD, ZIG = boards.load("stm32f405"), toolchain.find("zig")
FOLDER = boards.find_hardware_labs() / "detective"
HISTORY = yaml.safe_load((FOLDER / "history.yaml").read_text())
plt.rcParams.update({"figure.dpi": 70, "font.size": 10})


def versions(case):
    """Return the texts of a firmware, version 0 first: the newest, with changes taken back."""
    found = [(FOLDER / case / "main.c").read_text()]
    for change in reversed(HISTORY[case]):
        found.insert(0, found[0].replace(change["now"], change["was"]))
    return found


def built(files):
    """Return the ELF file, as bytes, of C texts {name: text}."""
    return BOARD.build_text(files, compiler=ZIG)


def run(text, feed):
    """Run a firmware, given as C text, on a feed of whole numbers; return what is known of it."""
    firmware = Firmware.from_bytes(built({"main.c": text}), BOARD.name)
    return BOARD.run(firmware, [int(n) for n in feed], budget=20_000_000)


def ending(seen):
    """Return in words how a run ended."""
    if seen.fault:
        kind, _, where = seen.fault.what.partition(" at ")
        # Any other address than 0 would depend on the compiler.
        place = " at address 0" if where.startswith("0x00000000,") else where[10:]
        return f"crashed in {seen.fault.function}: {kind}{place}"
    if seen.exit_status:
        return f"ended with status {seen.exit_status}, not 0"
    return "did not end" if seen.exit_status is None else "ended well"


for case in HISTORY:
    lines = (FOLDER / case / "main.c").read_text().splitlines()
    print(f"{case:7} {len(lines):3} lines: {lines[0].removeprefix('/* ')}")

# %% [markdown]
# ## 2. Halving the history
#
# Five changes could be read one by one. Five thousand could not. If a fault, once in, stays in, then
# one run in the middle halves what is left.
#
# ### Exercise 1: bisect_step
#
# Write one step. It knows what has been tried, and says what to try next, or that the first bad
# version is found. The last version is known to be bad. Version 0 may be bad as well.


# %% exercise="bisect_step" points=2
def bisect_step(count, results):
    """Return ("try", version) or ("found", version), the first bad one.

    count: versions are numbered from 0 to count - 1; the last is bad, and bad stays bad.
    results: list of (version, is_bad) that were tried so far, in any order.
    From no results on, no more tries than the binary logarithm of count, rounded up.
    """
    ### BEGIN SOLUTION
    good = max((version for version, is_bad in results if not is_bad), default=-1)
    bad = min((version for version, is_bad in results if is_bad), default=count - 1)
    if bad - good == 1:
        return "found", bad
    return "try", (good + bad) // 2
    ### END SOLUTION


# %% check="bisect_step"
for first in range(6):
    tried = []
    while True:
        what, version = bisect_step(6, tried)
        if what == "found":
            break
        assert len(tried) < 3, f"3 tries are enough for 6 versions; asked for more: {tried}"
        tried.append((version, version >= first))
    assert version == first, f"version {first} was the first bad one, {version} was found: {tried}"

# %% hidden="setup"
import numpy as np
import yaml

from medlab.edge import boards
from medlab.edge.boards import apart
from medlab.errors import BadInput

FOLDER = boards.find_hardware_labs() / "detective"
HISTORY = yaml.safe_load((FOLDER / "history.yaml").read_text())
FIRMWARE = {}
RING, MOST = 64, 120


def versions(case):
    found = [(FOLDER / case / "main.c").read_text()]
    for change in reversed(HISTORY[case]):
        found.insert(0, found[0].replace(change["now"], change["was"]))
    return found


def ran(learner, text, feed):
    """Let the learner's kernel compile a firmware; run it here."""
    assert isinstance(text, str), f"return the firmware's C text, {type(text).__name__} came"
    if text not in FIRMWARE:
        try:
            FIRMWARE[text] = learner.built({"main.c": text})
        except Exception as error:  # the line is one of main.c, not of the learner's cell
            assert getattr(error, "kind", "") != "BadInput", f"it does not build: {error.message}"
            raise
    try:
        return apart.run("stm32f405", FIRMWARE[text], [int(n) for n in feed], budget=20_000_000)
    except BadInput as error:
        raise AssertionError(f"{error}; is there a loop without an end?") from None


def worked(learner, text, feed, says):
    """Run a mended firmware that must come to its end; return its words."""
    seen = ran(learner, text, feed)
    assert seen.fault is None, f"{says}: it crashed, {seen.fault}"
    assert seen.exit_status is not None, (
        f"{says}: it did not come to its end; is there a loop without one?"
    )
    assert seen.exit_status == 0, f"{says}: it ended with status {seen.exit_status}, not 0"
    return seen


def whole(values, low, high, what):
    values = np.asarray(values)
    assert values.ndim == 1 and values.dtype.kind in "iu", f"{what} must be a row of whole numbers"
    assert values.size == 0 or low <= values.min() <= values.max() <= high, (
        f"{what} must lie between {low} and {high}"
    )
    return [int(value) for value in values]


def heap_feed(commands):
    feed = []
    for what, slot, *values in commands:
        feed += [1, slot, len(values[0]), *values[0]] if what == "store" else [2, slot]
    return feed


def heap_words(commands):
    held, said, stored = {}, [], 0
    for what, slot, *values in commands:
        if what == "store":
            held[slot], stored = values[0], stored + 1
        else:
            said.append(str(sum(held.pop(slot))))
    return [*said, "stored", str(stored)]


def allowed(commands):
    """Check a learner's commands; return them with plain numbers."""
    held, made = set(), []
    for what, slot, *values in commands:
        assert what in ("store", "take") and 0 <= slot < 16, (
            "('store', slot, values) or ('take', slot)"
        )
        assert (slot in held) == (what == "take"), (
            f"slot {slot}: store into an empty slot, take from a full one; the phone does no other"
        )
        if what == "store":
            row = whole(values[0], -1000, 1000, "a record")
            assert 1 <= len(row) <= MOST, "a record has 1 to 120 samples"
            held.add(slot)
            made.append(("store", int(slot), row))
        else:
            held.remove(slot)
            made.append(("take", int(slot)))
    return made


def a_day(rng, count):
    """Ordinary commands: records of any length, taken in any order."""
    held, made = [], []
    for _ in range(count):
        if held and (len(held) == 6 or rng.random() < 0.5):
            made.append(("take", held.pop(int(rng.integers(len(held))))))
        else:
            slot = int(rng.choice([n for n in range(16) if n not in held]))
            held.append(slot)
            made.append(
                ("store", slot, rng.integers(-200, 200, int(rng.integers(20, 60))).tolist())
            )
    return made + [("take", slot) for slot in held]


def stack_words(windows, archive=59000):
    total = sum((7 * n + 2**15) % 2**16 - 2**15 for n in range(archive))
    return [*(str(sorted(w)[256]) for w in windows), "archive", str(total)]


def killer():
    """A window for which the middle value, or another fixed one, is always the largest."""
    order, window = list(range(512)), [0] * 512
    for high in range(511, -1, -1):
        middle = high // 2
        window[order[middle]] = high
        order[middle], order[high] = order[high], order[middle]
    return window


WEIGHTS = np.array(
    [
        [12, -7, 33, 5, -21, 40, 9, -3, 18, 27, -14, 6, 31, -9, 22, 11],
        [35, 14, 20, -6, 44, 51, -12, 38, 29, -5, 47, 23, 16, 33, -8, 26],
    ]
)


def layer_sums(rows):
    return np.atleast_2d(rows) @ WEIGHTS.T + [900, -700]


def quotient(total, count):
    return int(total / count)  # C cuts off towards zero


def half_mean(values):
    middle, far = quotient(sum(values), len(values)), max(values) - min(values)
    while far > 256:
        far = far * 9 // 10
        near = [value for value in values if abs(value - middle) <= far]
        middle = quotient(sum(near), len(near)) if near else middle
    return middle


def stream_words(samples):
    return [str(half_mean(samples[at : at + RING])) for at in range(0, len(samples), RING)]


def spiky(rng, halves, strong):
    """Calm halves, and every so often one with a large spread."""
    rows = rng.integers(-100, 100, (halves, RING))
    for at in strong:
        row = np.geomspace(1, int(rng.integers(9000, 32000)), RING).astype(int)
        rows[at] = row if rng.random() < 0.5 else -row[::-1]
    return rows.ravel().tolist()


def judge_steps(learner, count, first):
    """Return the tries until the first bad version is found."""
    tried = []
    while True:
        answer = learner.bisect_step(count, tried)
        assert isinstance(answer, tuple | list) and len(answer) == 2, (
            'return ("try", n) or ("found", n)'
        )
        what, version = answer
        assert what in ("try", "found") and 0 <= version < count, f"{answer!r} is no step"
        if what == "found":
            assert version == first, f"version {first} was the first bad one, {version} was found"
            return tried
        assert version not in [n for n, _ in tried], f"version {version} was tried before"
        tried.append((int(version), bool(version >= first)))


# %% hidden="bisect_step" points=1 about="finds the first bad version, wherever it is"
for count in (1, 2, 6, 7):
    for first in range(count):
        judge_steps(learner, count, first)

# %% hidden="bisect_step" points=1 about="no more tries than the binary logarithm, rounded up"
for count in (2, 6, 64, 1000):
    for first in {0, count - 1, int(rng.integers(count)), int(rng.integers(count))}:
        tried, most = judge_steps(learner, count, first), int(np.ceil(np.log2(count)))
        assert len(tried) <= most, (
            f"{len(tried)} tries for {count} versions; {most} are enough: halve what is left, and do not try the last one, which is known to be bad"
        )


# %% mistake="bisect_step" because="goes through the versions one by one" keeps=1 says="halve what is left"
def bisect_step(count, results):
    bad = [version for version, is_bad in results if is_bad]
    if bad or len(results) == count - 1:
        return "found", (bad or [count - 1])[0]
    return "try", len(results)


# %% mistake="bisect_step" because="takes it that version 0 is good" keeps=0 says="was the first bad one"
def bisect_step(count, results):
    good = max((version for version, is_bad in results if not is_bad), default=0)
    bad = min((version for version, is_bad in results if is_bad), default=count - 1)
    if bad - good <= 1:
        return "found", bad
    return "try", (good + bad) // 2


# %% [markdown] hint="bisect_step"
# What do you know after some tries? The newest version that was good, and the oldest that was bad.
# The first bad one lies between.
#
# ---
#
# good = the largest good version, or -1 if none was good yet. bad = the smallest bad one, or
# count - 1. If they are neighbours, bad is the answer. If not, try the middle, (good + bad) // 2.
#
# ---
#
# ```python
# good = max((version for version, is_bad in results if not is_bad), default=-1)
# bad = min((version for version, is_bad in results if is_bad), default=...)
# if bad - good == 1:
#     return ...
# return "try", ...
# ```


# %% needs="bisect_step"
def bisect(case, misbehaves):
    """Search a firmware's history with bisect_step; return the first bad version."""
    texts, tried = versions(case), []
    what, version = bisect_step(len(texts), tried)
    while what == "try":
        tried.append((version, misbehaves(texts[version])))
        what, version = bisect_step(len(texts), tried)
    title = HISTORY[case][version - 1]["title"] if version else "bad from the beginning"
    print(f"{case}: {len(tried)} runs, first bad version {version}")
    print(f"   {title}")
    return version


# %% [markdown]
# ## 3. The patch that stopped in the night
#
# It keeps records of beats until the phone takes them: at most 16 at a time, each of 1 to 120
# samples of 16 bits. They lie on a heap of 4,096 bytes. 16 records of 240 bytes are 3,840 bytes, so
# "it always fits". In the logbook, the patch had just handed over a night of short records.
#
# A day is a list of commands: `("store", slot, values)` and `("take", slot)`.
#
# **Predict before you read on:** what can be left of a heap after short records came and went?

# %%
print((FOLDER / "heap" / "main.c").read_text())


def heap_feed(commands):
    """Return commands as a feed; ValueError for what the phone never does."""
    feed, full = [], set()
    for what, slot, *values in commands:
        if (slot in full) == (what == "store"):
            raise ValueError(f"{what} {slot}: store into empty slots, take from full ones")
        full ^= {slot}
        feed += [1, slot, len(values[0]), *values[0]] if what == "store" else [2, slot]
    return feed


# %% [markdown]
# ### Exercise 2: heap_mended
#
# Two functions. `heap_trigger` returns commands that crash version 5, but not version 0.
# `heap_mended` returns the whole text of a mended `main.c`: start from `versions("heap")[-1]` and change
# it, say with `text.replace(old, new)`, which says nothing when it does not find `old`.
# No record may be lost, whatever the phone does: up to 16 records of up to 120 samples, stored and
# taken in any order.


# %% exercise="heap_mended" points=4
def heap_trigger():
    """Return commands, [("store", slot, values), ("take", slot), ...], that crash version 5.

    Slots 0 to 15. Store into empty slots only, take from full ones only. Values from -1000 to 1000.
    """
    ### BEGIN SOLUTION
    commands = [("store", slot, [slot] * 16) for slot in range(16)]
    commands += [("take", slot) for slot in range(16)]
    return commands + [("store", slot, [slot] * 120) for slot in range(16)]
    ### END SOLUTION


def heap_mended():
    """Return the text of main.c in which no pattern of records can crash it or lose one."""
    ### BEGIN SOLUTION
    # Sixteen places of the largest size need less than the heap: nothing is left to break up.
    text = versions("heap")[-1]
    start, end = text.index("typedef struct Block"), text.index("static int next(void)")
    places = "static int16_t records[SLOTS][MOST_SAMPLES];\nstatic int lengths[SLOTS];\n"
    text = text[:start] + places + "static uint32_t stored;\n\n" + text[end:]
    text = text.replace("  int16_t *record = allocate((uint32_t)length * sizeof *record);\n", "")
    text = text.replace(" record[i] = ", " records[slot][i] = ")
    text = text.replace("  records[slot] = record;\n", "")
    text = text.replace("  release(records[slot]);\n", "")
    return text.replace("  ((Block *)heap)->size = HEAP_BYTES - sizeof(Block);\n", "")
    ### END SOLUTION


# %% check="heap_mended"
feed = heap_feed(heap_trigger())
seen = run(versions("heap")[-1], feed)
assert seen.exit_status != 0, (
    "version 5 takes these commands and ends well: what would break up the heap?"
)
assert run(versions("heap")[0], feed).exit_status == 0, (
    "version 0 must survive: the fault came later"
)
mended = heap_mended()
assert mended != versions("heap")[-1], "heap_mended returns version 5 as it is"
seen = run(mended, feed)
assert seen.exit_status == 0, f"the mended firmware {ending(seen)}"
takes, lines = [c[0] for c in heap_trigger()].count("take"), seen.text.splitlines()
assert len(lines) == takes + 1, (
    f"a line for each of {takes} records taken and the last one, which counts them: {len(lines)} came"
)

# %% hidden="heap_mended" points=1 about="commands that crash version 5, and not version 0"
feed = heap_feed(allowed(learner.heap_trigger()))
assert ran(learner, versions("heap")[-1], feed).exit_status != 0, (
    "version 5 takes these commands and ends well: short records first, then long ones"
)
assert ran(learner, versions("heap")[0], feed).exit_status == 0, (
    "version 0 crashes as well: a fault that came later cannot be found with these commands"
)

# %% hidden="heap_mended" points=1 about="mended: an ordinary day, every record's sum right"
commands = a_day(rng, 60)
seen = worked(learner, learner.heap_mended(), heap_feed(commands), "an ordinary day")
assert seen.text.split() == heap_words(commands), (
    "an ordinary day: a record's sum is wrong or missing"
)

# %% hidden="heap_mended" points=1 about="mended: short records, then long ones, none lost"
commands = []
for length in (int(rng.integers(8, 20)), MOST, 30, MOST - 1):
    commands += [("store", slot, [slot + length] * length) for slot in range(14)]
    commands += [("take", slot) for slot in range(14)]
seen = worked(learner, learner.heap_mended(), heap_feed(commands), "short records, then long ones")
assert seen.text.split() == heap_words(commands), (
    "short records, then long ones: a record was dropped or changed. Refusing a record is no mending: it is a beat that nobody will see"
)

# %% hidden="heap_mended" points=1 about="mended: short records that stay between long ones, 16 at a time"
commands = [("store", slot, [slot] * 100) for slot in range(16)]
commands += [("take", slot) for slot in range(0, 16, 2)]
commands += [("store", slot, [9] * MOST) for slot in range(0, 16, 2)]
commands += [("take", slot) for slot in range(16)]
commands += [("store", slot, rng.integers(-99, 99, MOST).tolist()) for slot in range(16)]
commands += [("take", slot) for slot in range(16)]
seen = worked(
    learner, learner.heap_mended(), heap_feed(commands), "short records between long ones"
)
assert seen.text.split() == heap_words(commands), (
    "short records that stay break up the room between them, joined or not: give every slot room of its own"
)


# %% mistake="heap_mended" because="takes back the change that bisection found" keeps=3 says="short records between long ones"
def heap_trigger():
    commands = [("store", slot, [slot] * 16) for slot in range(16)]
    commands += [("take", slot) for slot in range(16)]
    return commands + [("store", slot, [slot] * 120) for slot in range(16)]


def heap_mended():
    change = HISTORY["heap"][3]
    return versions("heap")[-1].replace(change["now"], change["was"])


# %% mistake="heap_mended" because="drops a record for which there is no room" keeps=2 says="Refusing a record is no mending"
def heap_trigger():
    commands = [("store", slot, [slot] * 16) for slot in range(16)]
    commands += [("take", slot) for slot in range(16)]
    return commands + [("store", slot, [slot] * 120) for slot in range(16)]


def heap_mended():
    text = versions("heap")[-1]
    text = text.replace(
        "record[i] = (int16_t)next();",
        "{\n    int16_t value = (int16_t)next();\n    if (record) record[i] = value;\n  }",
    )
    text = text.replace(
        "  int32_t sum = 0;\n", "  int32_t sum = 0;\n  if (!records[slot]) return;\n"
    )
    return text.replace(
        "  release(records[slot]);\n", "  release(records[slot]);\n  records[slot] = 0;\n"
    )


# %% mistake="heap_mended" because="writes C that does not build" keeps=1 says="it does not build"
def heap_trigger():
    commands = [("store", slot, [slot] * 16) for slot in range(16)]
    commands += [("take", slot) for slot in range(16)]
    return commands + [("store", slot, [slot] * 120) for slot in range(16)]


def heap_mended():
    return versions("heap")[-1].replace("  return 0;", "  retrun 0;")


# %% mistake="heap_mended" because="fills the heap by storing over full slots" keeps=3 says="store into an empty slot"
def heap_trigger():
    return [("store", 0, [1] * 120)] * 20


def heap_mended():
    text = versions("heap")[-1]
    start, end = text.index("typedef struct Block"), text.index("static int next(void)")
    places = "static int16_t records[SLOTS][MOST_SAMPLES];\nstatic int lengths[SLOTS];\n"
    text = text[:start] + places + "static uint32_t stored;\n\n" + text[end:]
    text = text.replace("  int16_t *record = allocate((uint32_t)length * sizeof *record);\n", "")
    text = text.replace(" record[i] = ", " records[slot][i] = ")
    text = text.replace("  records[slot] = record;\n", "")
    text = text.replace("  release(records[slot]);\n", "")
    return text.replace("  ((Block *)heap)->size = HEAP_BYTES - sizeof(Block);\n", "")


# %% [markdown] hint="heap_mended"
# Free room is not the same as room in one piece. Fill the heap with short records, take them all:
# in which pieces is it free? And what does `allocate` return when no piece is large enough, and who
# asks? To mend it, ask whether this firmware needs a heap at all.
#
# ---
#
# Trigger: 16 short records, taken again, then 16 of 120 samples. Mending: joining neighbours when a
# record is taken (version 0) helps against that, but not against short records that stay. 16 slots
# of 120 samples are 3,840 bytes: an array `records[SLOTS][MOST_SAMPLES]`.
#
# ---
#
# ```python
# def heap_trigger():
#     commands = [("store", slot, [slot] * 16) for slot in range(16)]
#     ...
#
# def heap_mended():
#     text = versions("heap")[-1]
#     # out: Block, allocate, release; in: static int16_t records[SLOTS][MOST_SAMPLES];
#     text = text.replace("...", "...")
#     return text
# ```

# %% tags=["demonstration"] needs="heap_mended bisect_step"
feed = heap_feed(heap_trigger())
seen = run(versions("heap")[-1], feed)
print("version 5", ending(seen))
bisect("heap", lambda text: run(text, feed).exit_status != 0)
print("mended:  ", ending(run(heap_mended(), feed)))

# %% [markdown]
# A write at address 0: `allocate` found no piece that was large enough and returned 0, and `store`, which the
# compiler has built into `main`, wrote the record there without asking. The change that let it out took away the joining of free neighbours. But taking it
# back is not enough: with short records that stay, version 0 fails as well. It only needed a rarer
# night.
#
# ## 4. The monitor that restarts when an electrode falls off
#
# It prints the median of each window of 512 samples and keeps an archive. Its memory is nearly full
# on purpose: the archive holds a day.
#
# **Predict before you run:** how deep can `sort` call itself on 512 values, at best and at worst?

# %%
text = (FOLDER / "stack" / "main.c").read_text()
print(text[text.index("#define WINDOW") : text.index("static int fill")])

# %% [markdown]
# ### Exercise 3: stack_mended
#
# `stack_trigger` returns one window that crashes version 5 and not version 0. `stack_mended`
# returns a `main.c` that gives the right median for any window, keeps the archive as long as it is,
# and never uses more than **2,048 bytes of stack**.


# %% exercise="stack_mended" points=4
def stack_trigger():
    """Return a window of 512 whole numbers, -32768 to 32767, that crashes version 5."""
    ### BEGIN SOLUTION
    return list(range(512))
    ### END SOLUTION


def stack_mended():
    """Return the text of main.c that sorts any window within 2,048 bytes of stack."""
    ### BEGIN SOLUTION
    # Only the smaller part is sorted by a call; it has at most half of the values.
    text = versions("stack")[-1]
    start, end = text.index("static void sort("), text.index("static int16_t median")
    return (
        text[:start]
        + """static void sort(int16_t *values, int low, int high) {
  while (low < high) {
    int place = divide(values, low, high);
    if (place - low < high - place) {
      sort(values, low, place - 1);
      low = place + 1;
    } else {
      sort(values, place + 1, high);
      high = place - 1;
    }
  }
}

"""
        + text[end:]
    )
    ### END SOLUTION


# %% check="stack_mended"
window = list(stack_trigger())
assert len(window) == 512, f"a window has 512 values, {len(window)} came"
assert run(versions("stack")[-1], window).exit_status != 0, (
    "version 5 ends well: which order of values is the worst for it?"
)
assert run(versions("stack")[0], window).exit_status == 0, "version 0 must survive"
mended = stack_mended()
assert mended != versions("stack")[-1], "stack_mended returns version 5 as it is"
mixed = np.random.default_rng(SEED).permutation(window).tolist()
seen = run(mended, window + mixed)
assert seen.exit_status == 0, f"the mended firmware {ending(seen)}"
assert seen.text.split()[:2] == [str(sorted(window)[256])] * 2, (
    f"the median is {sorted(window)[256]}, also with the window's values in another order; {seen.text.split()[:2]} came"
)
assert seen.stack_bytes <= 2048, f"{seen.stack_bytes:,} bytes of stack; 2,048 are allowed"

# %% hidden="stack_mended" points=1 about="a window that crashes version 5, and not version 0"
window = whole(learner.stack_trigger(), -(2**15), 2**15 - 1, "a window")
assert len(window) == 512, f"a window has 512 values, {len(window)} came"
assert ran(learner, versions("stack")[-1], window).exit_status != 0, (
    "version 5 sorts this window and ends well: the last value divides; when does it divide worst?"
)
assert ran(learner, versions("stack")[0], window).exit_status == 0, (
    "version 0 crashes as well: look for another window"
)

# %% hidden="stack_mended" points=1 about="mended: medians of ordinary windows, and the whole archive"
windows = rng.integers(-2000, 2000, (4, 512)).tolist()
seen = worked(learner, learner.stack_mended(), np.ravel(windows), "ordinary windows")
got, want = seen.text.split()[:4], stack_words(windows)[:4]
assert got == want, f"ordinary windows: the medians {want} expected, {got} came"
assert seen.text.split() == stack_words(windows), (
    "the archive is not what it was: it must hold 59,000 values, and keep them"
)

# %% hidden="stack_mended" points=1 about="mended: a flat line, and lines up and down"
ramp = np.arange(512)
windows = [
    [int(rng.integers(-9, 9))] * 512,
    ramp.tolist(),
    ramp[::-1].tolist(),
    (ramp // 64).tolist(),
]
seen = worked(learner, learner.stack_mended(), np.ravel(windows), "a flat line, or one that rises")
assert seen.text.split() == stack_words(windows), (
    "a flat line, or one that rises: a median or the archive is wrong"
)

# %% hidden="stack_mended" points=1 about="mended: at most 2,048 bytes of stack, for the worst windows too"
ramp = np.arange(256)
windows = [killer(), [*ramp, *ramp[::-1]], [0, 1] * 256, [*range(511), 600]]
seen = worked(
    learner,
    learner.stack_mended(),
    np.ravel(windows),
    "another dividing value has other worst windows, and on these",
)
assert seen.text.split() == stack_words(windows), (
    "the worst windows: a median or the archive is wrong"
)
assert seen.stack_bytes <= 2048, (
    f"{seen.stack_bytes:,} bytes of stack, 2,048 are allowed: another dividing value has other worst windows. Sort the smaller part by a call and go on with the larger one in a loop"
)


# %% mistake="stack_mended" because="sorts nothing any more" keeps=1 says="ordinary windows: the medians"
def stack_trigger():
    return list(range(512))


def stack_mended():
    return versions("stack")[-1].replace("  sort(sorted, 0, WINDOW - 1);\n", "")


# %% mistake="stack_mended" because="lets the middle value divide" keeps=2 says="a flat line, or one that rises"
def stack_trigger():
    return list(range(512))


def stack_mended():
    text = versions("stack")[-1]
    return text.replace(
        "  int place = low;\n",
        "  int place = low;\n  swap(&values[(low + high) / 2], &values[high]);\n",
    )


# %% mistake="stack_mended" because="takes back the sorting of version 1" keeps=3 says="another dividing value has other worst windows"
def stack_trigger():
    return list(range(512))


def stack_mended():
    change = HISTORY["stack"][1]
    return versions("stack")[-1].replace(change["now"], change["was"])


# %% mistake="stack_mended" because="makes room by a shorter archive" keeps=1 says="it must hold 59,000 values"
def stack_trigger():
    return list(range(512))


def stack_mended():
    return versions("stack")[-1].replace("#define ARCHIVE 59000", "#define ARCHIVE 40000")


# %% [markdown] hint="stack_mended"
# Every call of `sort` keeps its registers and the address to return to on the stack until it returns.
# The last value divides. If it is the largest, how many values go to the left? And what lies in memory
# below the stack?
#
# ---
#
# A window that rises: each call puts away one value, and calls itself 511 deep. A flat line does the
# same here, but look what it does to version 0 first. Calls on the **smaller** part alone can never
# be deeper than the binary logarithm of 512.
#
# ---
#
# ```c
# static void sort(int16_t *values, int low, int high) {
#   while (low < high) {
#     int place = divide(values, low, high);
#     if (place - low < high - place) {
#       sort(values, low, place - 1);  // the smaller part
#       low = ...;                     // go on with the larger one
#     } else {
#       ...
#     }
#   }
# }
# ```

# %% tags=["demonstration"] needs="stack_mended bisect_step"
window = list(stack_trigger())
print("version 5", ending(run(versions("stack")[-1], window)))
found = bisect("stack", lambda text: run(text, window).exit_status != 0)
depth = {}
for title, text in (
    ("version 1", versions("stack")[1]),
    ("version 2", versions("stack")[2]),
    ("mended", stack_mended()),
):
    depth[title] = run(text, window).stack_bytes
room = BOARD.ram["size"] - 2 * (59_000 + 512 + 512)
fig, ax = plt.subplots(figsize=(7, 2))
ax.barh(list(depth), list(depth.values()), color=["0.75", "0.35", "0.75"], edgecolor="black")
ax.axvline(room, color="black", ls=":")
ax.text(room - 150, 2, "room beside a day's archive", ha="right", va="center", fontsize=9)
ax.invert_yaxis()
ax.set(xlabel="bytes of stack on this window")
plt.show()

# %% [markdown]
# *In words:* three bars. Version 1 and the mended firmware use at most a few hundred bytes of stack
# on this window, version 2 more than there is beside a day's archive, which a dotted line shows.
#
# **An instruction was fetched where there is none, and no line of the program does that.** Just below the stack
# lies `sorted`. When the stack grows into it, `sort` sorts its own return addresses, 16 bits at a time, and a
# return jumps to two of its numbers side by side. A wild pointer shows where the harm was noticed, not where it
# was done.
#
# **Bisection blames the longer archive. The archive is innocent.** Since version 2 the sorting has
# been able to eat all of the stack; there was room enough, until the archive took it. What
# bisection finds is the change after which the fault could be seen. The cause can be older.
#
# ## 5. The most dangerous beats, called normal
#
# The last layer of a network: 16 features, two sums, two scores of 8 bits. The higher score wins.
# Issue 12 had been: calm dangerous beats come out as normal.
#
# **Predict before you run:** what are the two scores when all features are large?

# %%
text = (FOLDER / "layer" / "main.c").read_text()
print(text[text.index("static const int8_t weights") :])
WEIGHTS = np.array(
    [
        [12, -7, 33, 5, -21, 40, 9, -3, 18, 27, -14, 6, 31, -9, 22, 11],
        [35, 14, 20, -6, 44, 51, -12, 38, 29, -5, 47, 23, 16, 33, -8, 26],
    ]
)


def right_classes(rows):
    """Return the class of each row of features by the exact sums."""
    sums = np.atleast_2d(rows) @ WEIGHTS.T + [900, -700]
    return (sums[:, 1] > sums[:, 0]).astype(int).tolist()


# %% [markdown]
# ### Exercise 4: layer_mended
#
# `layer_trigger` returns 16 features for which version 5 names the wrong class and version 0 the
# right one. `layer_mended` returns a `main.c` that names the right class for all features, calm or
# strong.


# %% exercise="layer_mended" points=4
def layer_trigger():
    """Return 16 features, whole numbers from -128 to 127, that version 5 gets wrong."""
    ### BEGIN SOLUTION
    return [100] * 16
    ### END SOLUTION


def layer_mended():
    """Return the text of main.c that names the class with the larger exact sum."""
    ### BEGIN SOLUTION
    text = versions("layer")[-1]
    start, end = text.index("static int8_t clamp"), text.index("int main(void)")
    text = text[:start] + text[end:]
    return text.replace("score_of(1) > score_of(0)", "sum_of(1) > sum_of(0)")
    ### END SOLUTION


# %% check="layer_mended"
row = list(layer_trigger())
assert len(row) == 16, f"16 features, {len(row)} came"
assert min(row) >= -128 and max(row) <= 127, "features lie between -128 and 127"
want = right_classes(row)[0]
assert int(run(versions("layer")[-1], row).text) != want, f"version 5 says {want}, which is right"
assert int(run(versions("layer")[0], row).text) == want, f"version 0 must say {want}"
rows = np.random.default_rng(SEED).integers(-128, 128, (60, 16))
mended = layer_mended()
assert mended != versions("layer")[-1], "layer_mended returns version 5 as it is"
seen = run(mended, rows.ravel())
assert seen.exit_status == 0, f"the mended firmware {ending(seen)}"
got = [int(word) for word in seen.text.split()]
wrong = sum(g != w for g, w in zip(got, right_classes(rows)))
assert len(got) == 60 and wrong == 0, f"mended: {wrong} of 60 random rows are still wrong"

# %% hidden="layer_mended" points=1 about="features that version 5 gets wrong, and version 0 right"
row = whole(learner.layer_trigger(), -128, 127, "a row of features")
assert len(row) == 16, f"16 features, {len(row)} came"
sums = layer_sums(row)[0]
want = str(int(sums[1] > sums[0]))
assert ran(learner, versions("layer")[-1], row).text.strip() != want, (
    f"version 5 says {want}, which is right: the sums are {sums[0]} and {sums[1]}, which sums end at the same score?"
)
assert ran(learner, versions("layer")[0], row).text.strip() == want, (
    "version 0 gets it wrong as well: take sums that lie further apart"
)

# %% hidden="layer_mended" points=1 about="mended: ordinary beats"
rows = rng.integers(-30, 31, (80, 16))
rows = rows[np.abs(np.diff(layer_sums(rows))[:, 0]) > 600]
sums = layer_sums(rows)
seen = worked(learner, learner.layer_mended(), rows.ravel(), "ordinary beats")
assert seen.text.split() == [str(int(b > a)) for a, b in sums], "ordinary beats: a class is wrong"

# %% hidden="layer_mended" points=1 about="mended: strong beats, up to the largest features"
rows = np.concatenate([rng.integers(40, 128, (40, 16)), rng.choice([-128, 127], (40, 16))])
rows = np.concatenate([rows, [[127] * 16, [-128] * 16, np.where(WEIGHTS[1] > 0, 127, -128)]])
rows = rows[np.abs(np.diff(layer_sums(rows))[:, 0]) > 600]
sums = layer_sums(rows)
seen = worked(learner, learner.layer_mended(), rows.ravel(), "strong beats")
wrong = sum(word != str(int(b > a)) for word, (a, b) in zip(seen.text.split(), sums))
assert wrong == 0 and len(seen.text.split()) == len(rows), (
    f"strong beats: {wrong} of {len(rows)} classes are wrong, since both scores end at the same limit (saturate)"
)

# %% hidden="layer_mended" points=1 about="mended: calm beats, where sums differ by little"
rows = []
while len(rows) < 60:
    row = rng.integers(-25, 26, 16)
    a, b = layer_sums(row)[0]
    if 0 < abs(b - a) < 60:
        rows.append(row)
sums = layer_sums(np.array(rows))
seen = worked(learner, learner.layer_mended(), np.ravel(rows), "calm beats")
wrong = sum(word != str(int(b > a)) for word, (a, b) in zip(seen.text.split(), sums))
assert wrong == 0, (
    f"calm beats: {wrong} of {len(rows)} classes are wrong. That is issue 12 again: a coarser score makes small differences equal"
)


# %% mistake="layer_mended" because="takes back the finer scores" keeps=3 says="That is issue 12 again"
def layer_trigger():
    return [100] * 16


def layer_mended():
    return versions("layer")[-1].replace("(sum_of(class) + 16) >> 5", "(sum_of(class) + 256) >> 9")


# %% mistake="layer_mended" because="lets the dangerous class win when scores are equal" keeps=2 says="strong beats"
def layer_trigger():
    return [100] * 16


def layer_mended():
    return versions("layer")[-1].replace("score_of(1) > score_of(0)", "score_of(1) >= score_of(0)")


# %% mistake="layer_mended" because="gives features that do not fit into a byte" keeps=3 says="must lie between -128 and 127"
def layer_trigger():
    return [1000] * 16


def layer_mended():
    text = versions("layer")[-1]
    start, end = text.index("static int8_t clamp"), text.index("int main(void)")
    text = text[:start] + text[end:]
    return text.replace("score_of(1) > score_of(0)", "sum_of(1) > sum_of(0)")


# %% [markdown] hint="layer_mended"
# A score has 8 bits. Sums over 32 * 127, about 4,064, all end at 127. Which features make both sums
# so large? And who says that the scores must be bytes before they are compared?
#
# ---
#
# Trigger: all features 100. Both sums are far beyond 4,064, both scores are 127, and a draw counts
# as normal. Mending by a coarser scale brings issue 12 back. The exact sums are there, in 32 bits:
# compare those.
#
# ---
#
# ```python
# def layer_trigger():
#     return [...] * 16
#
# def layer_mended():
#     text = versions("layer")[-1]
#     return text.replace("score_of(1) > score_of(0)", "...")  # a function left unused is a warning
# ```

# %% tags=["demonstration"] needs="layer_mended bisect_step"
row = list(layer_trigger())
want = right_classes(row)[0]
bisect("layer", lambda text: int(run(text, row).text) != want)
rows = np.random.default_rng(SEED).integers(-60, 128, (200, 16))
wanted = right_classes(rows)
for title, text in (
    ("version 0", versions("layer")[0]),
    ("version 5", versions("layer")[-1]),
    ("mended", layer_mended()),
):
    got = [int(word) for word in run(text, rows.ravel()).text.split()]
    missed = sum(g == 0 and w == 1 for g, w in zip(got, wanted))
    print(f"{title:10} {missed:3} of {sum(wanted)} dangerous beats called normal")

# %% [markdown]
# The change that mended calm beats broke strong ones: 16 times finer, and so 16 times sooner at the
# end of the scale. The strongest beats are the ones that matter most, and no test had any.
#
# ## 6. The number that nobody can find again
#
# Samples come by DMA: hardware writes them into a ring of two halves, 64 samples each, one every
# 300 cycles, while the program works on the other half. For each half the firmware prints a mean
# without outliers. A ward reported a wrong mean. The same half, fed again, gave the right one.
#
# **Predict before you run:** what must be true of a half for its mean to depend on what comes after?

# %%
text = (FOLDER / "stream" / "main.c").read_text()
print(text[text.index("#define HALF 64") :])


def depends_on_later(text, samples):
    """Tell whether the mean of the first half is another one when more samples follow."""
    alone, followed = (run(text, part).text.split() for part in (samples[:64], samples))
    return alone[:1] != followed[:1]


# %% [markdown]
# ### Exercise 5: stream_mended
#
# `stream_trigger` returns 192 samples, three halves: the first half's mean must depend on the later
# two in version 5, and not in version 0. `stream_mended` returns a `main.c` that prints the same
# means as version 5 would if nobody wrote into its half. No half on the ward spreads over more than
# 32,000, and one that takes long is followed by at least two that do not. The pace of the samples
# cannot be changed.


# %% exercise="stream_mended" points=4
def stream_trigger():
    """Return 192 samples, -32768 to 32767, whose first 64 get another mean when more follow."""
    ### BEGIN SOLUTION
    spread = [round(16_000 ** (n / 63)) for n in range(64)]
    return spread + [0] * 128
    ### END SOLUTION


def stream_mended():
    """Return the text of main.c whose means depend on their own half alone."""
    ### BEGIN SOLUTION
    # What the hardware writes into is copied out at once, and work is done on the copy.
    text = versions("stream")[-1]
    text = text.replace(
        "    print_int(mean_without_outliers(ring + half * HALF));\n",
        """    int16_t mine[HALF];
    for (int i = 0; i < HALF; i++) mine[i] = ring[half * HALF + i];
    print_int(mean_without_outliers(mine));
""",
    )
    return text.replace("const volatile int16_t *values", "const int16_t *values")
    ### END SOLUTION


# %% check="stream_mended"
samples = list(stream_trigger())
assert len(samples) == 192, f"three halves are 192 samples, {len(samples)} came"
assert depends_on_later(versions("stream")[-1], samples), (
    "version 5: the first mean stays the same. How long does the firmware read this half?"
)
assert not depends_on_later(versions("stream")[0], samples), (
    "version 0 must not depend on later samples"
)
mended, alone = stream_mended(), run(versions("stream")[-1], samples[:64]).text.split()[0]
assert mended != versions("stream")[-1], "stream_mended returns version 5 as it is"
assert not depends_on_later(mended, samples), (
    "mended: the first mean still depends on later samples"
)
means = run(mended, samples).text.split()
assert len(means) == 3, f"mended: three halves, three means; {len(means)} came"
assert means[0] == alone, (
    f"mended: version 5 makes {alone} of the first half alone, {means[0]} came: keep all passes"
)

# %% hidden="stream_mended" points=1 about="samples whose first mean depends on later ones in version 5, and not in version 0"
samples = whole(learner.stream_trigger(), -(2**15), 2**15 - 1, "the samples")
assert len(samples) == 192, f"three halves are 192 samples, {len(samples)} came"
newest, oldest = versions("stream")[-1], versions("stream")[0]
firsts = [
    ran(learner, text, part).text.split()[:1]
    for text in (newest, oldest)
    for part in (samples[:64], samples)
]
assert firsts[0] != firsts[1], (
    "version 5: the first mean stays the same. Reading must take longer than 64 samples take to come, and later samples must count"
)
assert firsts[2] == firsts[3], "version 0 depends on later samples as well"

# %% hidden="stream_mended" points=1 about="mended: calm signals, a mean for every half"
samples = spiky(rng, 12, ())
seen = worked(learner, learner.stream_mended(), samples, "calm signals")
assert seen.text.split() == stream_words(samples), "calm signals: a mean is wrong or missing"

# %% hidden="stream_mended" points=1 about="mended: one half that takes long"
for at in (1, 4):
    samples = spiky(rng, 9, (at,))
    seen = worked(learner, learner.stream_mended(), samples, "one half that takes long")
    got, want = seen.text.split(), stream_words(samples)
    assert got[at : at + 1] != [] and len(got) == len(want), (
        f"{len(want)} halves came, {len(got)} means were printed"
    )
    assert got == want, (
        "one half that takes long: its mean is not that of its own 64 samples with all passes done, or a later half was damaged"
    )

# %% hidden="stream_mended" points=1 about="mended: a long half in every three, for a long time"
samples = spiky(rng, 36, range(0, 34, 3))
seen = worked(learner, learner.stream_mended(), samples, "a long half in every three")
got, want = seen.text.split(), stream_words(samples)
wrong = sum(g != w for g, w in zip(got, want))
assert len(got) == len(want) and wrong == 0, (
    f"a long half in every three: {wrong} of {len(want)} means are wrong, {len(got)} came. The hardware does not wait: copy a half as soon as it is full"
)


# %% mistake="stream_mended" because="takes the limit of passes back" keeps=2 says="with all passes done"
def stream_trigger():
    spread = [round(16_000 ** (n / 63)) for n in range(64)]
    return spread + [0] * 128


def stream_mended():
    change = HISTORY["stream"][-1]
    return versions("stream")[-1].replace(change["now"], change["was"])


# %% mistake="stream_mended" because="switches the stream off while it reads" keeps=1 says="a mean is wrong or missing"
def stream_trigger():
    spread = [round(16_000 ** (n / 63)) for n in range(64)]
    return spread + [0] * 128


def stream_mended():
    text = versions("stream")[-1]
    return text.replace(
        "    print_int(mean_without_outliers(ring + half * HALF));\n",
        "    REGISTER(DMA_S0CR) = 0;\n    print_int(mean_without_outliers(ring + half * HALF));\n    start_stream();\n",
    )


# %% mistake="stream_mended" because="feeds three calm halves" keeps=3 says="Reading must take longer"
def stream_trigger():
    return [n % 7 for n in range(192)]


def stream_mended():
    text = versions("stream")[-1]
    text = text.replace(
        "    print_int(mean_without_outliers(ring + half * HALF));\n",
        """    int16_t mine[HALF];
    for (int i = 0; i < HALF; i++) mine[i] = ring[half * HALF + i];
    print_int(mean_without_outliers(mine));
""",
    )
    return text.replace("const volatile int16_t *values", "const int16_t *values")


# %% [markdown] hint="stream_mended"
# The ring has two halves. While the program reads one, the hardware fills the other, and then comes
# back. How many cycles has the program, and what makes `mean_without_outliers` take longer?
#
# ---
#
# 64 samples of 300 cycles are 19,200 cycles. Each pass reads all 64 values, some 700 cycles; a
# spread of 16,000 takes 40 passes. Values of many sizes in one half do it. Mending: copy the half
# into an array of your own as soon as it is full, and work on the copy.
#
# ---
#
# ```python
# def stream_trigger():
#     first = ...            # 64 values from 1 to 16,000, more small than large
#     return first + [0] * 128
#
# def stream_mended():
#     text = versions("stream")[-1]
#     return text.replace(
#         "    print_int(mean_without_outliers(ring + half * HALF));\n",
#         """    int16_t mine[HALF];
#     ...
#     print_int(mean_without_outliers(mine));
# """,
#     )
# ```

# %% tags=["demonstration"] needs="stream_mended bisect_step"
samples = list(stream_trigger())
newest = versions("stream")[-1]
bisect("stream", lambda text: depends_on_later(text, samples))
for title, text in (("version 5", newest), ("mended", stream_mended())):
    alone, followed = (run(text, part).text.split()[0] for part in (samples[:64], samples))
    print(f"{title:10} mean of the half alone {alone:>4}, with samples after it {followed:>4}")

fig, ax = plt.subplots(figsize=(7, 2.6))
times = np.arange(192) * 300 / 1000
ax.plot(times, np.arange(192) % 128, "k.", ms=3, label="the hardware writes")
start, passes = 64 * 300 / 1000, 40
for number in range(passes):
    ax.plot([start + 0.7 * number, start + 0.7 * (number + 1)], [0, 63], color="0.6", lw=0.7)
ax.plot([], [], color="0.6", label="version 5 reads")
ax.axhline(64, color="black", ls=":")
ax.set(xlabel="thousand cycles", ylabel="place in the ring")
ax.legend(loc="upper left")
plt.show()

# %% [markdown]
# *In words:* dots rise from place 0 to 127 of the ring and begin at 0 again, at 38 thousand cycles:
# the hardware writes. Grey lines go through places 0 to 63 forty times, from 19 thousand cycles on
# (drawn for passes of 700 cycles): version 5 reads the first half. The last of them cross the dots'
# second round: they read samples that came later.
#
# Nothing crashed, and no line of the program is wrong where it stands. The number was never the mean
# of anything. Such a fault leaves no trace but a complaint.
#
# ## 7. The report
#
# The manufacturer's safety board asks for a root-cause report on **the fourth device**, the one with
# the number that nobody could find again. Write it, at most 200 words: what was seen, how it can be
# reproduced, the cause and what let it out, why no test found it, what was mended and how that was
# proved, and what is still open: which numbers on the ward are in doubt, and where else the same
# fault may be.

# %% [markdown] written="root_cause" points=4 rubric="root-cause-report"
# **Seen.** A mean on the ward was wrong once; feeding the same half second again gave the right one.
#
# **Reproduced.** 64 samples with a spread of 16,000, followed by 128 zeros: version 5 prints 25. The
# same 64 samples alone: 47. It happens every time on the emulated board.
#
# **Cause.** The mean is computed in the memory that the hardware refills without waiting. A half
# must be read within 19,200 cycles; a large spread takes longer, and the last passes read newer
# samples. The cause is as old as the firmware. Version 5, which removed the limit of eight passes
# for issue 31, let it out.
#
# **Why no test found it.** Tests fed calm signals, or one half at a time.
#
# **Mended.** A half is copied when it is full; work is done on the copy. All passes remain, so
# issue 31 stays closed. On 36 halves with a long one in every three each mean was right.
#
# **Open.** Two long halves in a row, or a spread over 32,000, can still be too slow: not tested. On a real chip nothing was
# measured yet. All means since version 5 with a large spread are in doubt. Every other program that
# works inside a buffer which hardware fills must be searched for the same.

# %% [markdown]
# ## What you have now
#
# - `bisect_step`: finds one change among thousands in a few runs, and what it finds is not yet the cause.
# - Four triggers: inputs that bring a fault about on purpose. Keep them as tests.
# - Four mended firmwares, none of which could be mended by taking a change back.
#
# Where real life is harder: a fault that shows once a week, on one device; tools that change the
# timing they look at; memory that is overwritten long before the crash; and a device that must not
# be stopped while you search.
