"""Build the monitor, read what it prints, score beats, and normalise windows in other words."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from medlab.edge import boards, compile_model

RATE, BEFORE, LENGTH = 360, 160, 256
CLASSES = "NSVF"
TOLERANCE = 54  # samples: 150 ms, the window within which AAMI EC57 takes two beats for one
MONITOR = boards.find_hardware_labs() / "ecg_monitor"
MODEL = MONITOR / "model.tflite"
WINDOWS_C = Path(__file__).parents[1] / "edge" / "monitor" / "windows.c"
BEAT = re.compile(
    r"beat (\d+) ([NSVF]) rr (\d+|-)(?: ms)? rate (\d+|-) confidence (\d+) %|beat (\d+) none: (.+)"
)


@dataclass(frozen=True)
class Beat:
    """A line about a beat: its class, or why there is none."""

    sample: int
    name: str | None
    why: str | None = None
    interval_ms: int | None = None
    rate: int | None = None
    confidence: int | None = None


@dataclass
class MonitorOutput:
    """What the monitor printed."""

    beats: list[Beat] = field(default_factory=list)
    alarms: list[tuple[int, str]] = field(default_factory=list)
    clears: list[int] = field(default_factory=list)

    @property
    def judged(self) -> list[Beat]:
        return [beat for beat in self.beats if beat.name]

    @property
    def refused(self) -> list[Beat]:
        return [beat for beat in self.beats if not beat.name]

    @property
    def kinds(self) -> list[str]:
        return [what for _, what in self.alarms]


def read_output(run) -> MonitorOutput:
    """Read a run's lines; a line of another form is an error."""
    heading, *lines = run.text.splitlines()
    assert "not a medical device" in heading
    found = MonitorOutput()
    for line in lines:
        word, number, *rest = line.split(maxsplit=2)
        if word == "beat":
            found.beats.append(_beat(line))
        elif word == "alarm":
            found.alarms.append((int(number), rest[0]))
        else:
            assert (word, rest) == ("clear", []), line
            found.clears.append(int(number))
    return found


def _beat(line: str) -> Beat:
    got = BEAT.fullmatch(line)
    assert got, line
    at, name, interval, rate, confidence, refused, why = got.groups()
    if refused:
        return Beat(int(refused), None, why)
    numbers = [None if text == "-" else int(text) for text in (interval, rate, confidence)]
    return Beat(int(at), name, None, *numbers)


def build(name: str, folder: Path, compiler, model: bytes | Path = MODEL, sources=None):
    """Build the monitor, or other files around it, for a board."""
    compile_model(model, folder / "model")
    files = sources or sorted(MONITOR.glob("*.c"))
    return boards.load(name).build(
        [*files, folder / "model" / "model.c"], folder / f"{name}.elf", compiler=compiler
    )


def matched(found, true, tolerance: int = TOLERANCE) -> list[tuple[int, int]]:
    """Pair each true beat with the nearest found one that nobody else has, within a tolerance."""
    pairs, left = [], sorted(found)
    for beat in sorted(true):
        near = [at for at in left if abs(at - beat) <= tolerance]
        if near:
            nearest = min(near, key=lambda at: abs(at - beat))
            pairs.append((nearest, beat))
            left.remove(nearest)
    return pairs


def score(found, true, first: int = 0, last: int = 10**9) -> tuple[float, float]:
    """Return sensitivity and positive predictivity from a first to a last sample."""
    inside = [at for at in found if first <= at <= last]
    wanted = [at for at in true if first <= at <= last]
    near = [at for at in found if first - TOLERANCE <= at <= last + TOLERANCE]
    hit = len(matched(near, wanted))
    known = [at for at in true if first - TOLERANCE <= at <= last + TOLERANCE]
    right = len(matched(inside, known))
    return hit / max(1, len(wanted)), right / max(1, len(inside))


def normalised(windows: np.ndarray) -> np.ndarray:
    """Return int8 windows: 8 steps for one mean absolute deviation, half a step away from zero.

    In float64, which is exact here: a tie divides to a number that it holds.
    """
    windows = np.asarray(windows, np.float64)
    away = windows - np.floor(windows.mean(axis=1, keepdims=True) + 0.5)
    steps = 8 * np.abs(away) / np.abs(away).mean(axis=1, keepdims=True)
    return np.clip(np.sign(away) * np.floor(steps + 0.5), -128, 127).astype(np.int8)
