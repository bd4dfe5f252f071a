"""When the heart beats, and which beats: premature ones, pauses after them, runs, escapes."""

from dataclasses import dataclass

import numpy as np

from medlab.datasets.ecg.patients import Patient

ON_TIME = {"sinus", "fusion"}


@dataclass(frozen=True)
class Beat:
    """One beat: when (s), its symbol, the seconds since the beat before, and its rhythm."""

    time: float
    symbol: str
    before: float
    rhythm: str  # as MIT-BIH writes it: (N, (AFIB, (B, (VT, (SVTA
    focus: int = 0  # which ventricular focus, where one takes part
    lost_p: float | None = None  # s: a P wave of the sinus node that was not conducted


def draw_rhythm(rng, patient: Patient, seconds: float) -> list[Beat]:
    """Return the beats of a record, in order, none in its first or last half second."""
    beats, now, events = [], rng.uniform(0.3, 0.9), _events(rng, patient)
    phase = rng.uniform(0, 2 * np.pi)
    pause = None
    for kind, rhythm in events:
        if now > seconds + 2:
            break
        due = _interval(rng, patient, now, phase)
        step, pause = _timing(rng, patient, kind, pause if pause and kind in ON_TIME else due)
        focus = int(rng.integers(len(patient.foci)))
        lost = now + due if kind == "ventricular" and not patient.fibrillates else None
        now += step
        beats.append(Beat(now, _symbol(kind, patient), step, rhythm, focus, lost))
    return [beat for beat in beats if 0.5 < beat.time < seconds - 0.5]


def _interval(rng, patient: Patient, now: float, phase: float) -> float:
    """Return the seconds to the next ordinary beat."""
    if patient.fibrillates:
        return float(patient.rr * np.clip(rng.lognormal(0, 0.22), 0.5, 1.9))
    breath = patient.breathing * np.sin(2 * np.pi * 0.25 * now + phase)
    drift = 0.04 * np.sin(2 * np.pi * now / 47 + 3 * phase)
    return float(patient.rr * (1 + breath + drift + patient.restless * rng.normal()))


def _events(rng, patient: Patient):
    """Yield kinds of beats with their rhythm, forever."""
    usual = "(AFIB" if patient.fibrillates else "(N"
    kinds, rates = list(patient.rates), list(patient.rates.values())
    ordinary = max(0.0, 1 - sum(rates))
    chances = np.array([*rates, ordinary]) / (sum(rates) + ordinary)
    while True:
        kind = [*kinds, "sinus"][rng.choice(len(chances), p=chances)]
        if kind == "bigeminy":
            yield from [("sinus", "(B"), ("ventricular", "(B")] * int(rng.integers(3, 9))
        elif kind == "ventricular run":
            yield from [("ventricular", "(VT")] * int(rng.integers(3, 6))
        elif kind == "atrial run":
            yield from [("atrial", "(SVTA")] * int(rng.integers(3, 8))
        else:
            yield kind, usual
        yield "sinus", usual  # what follows an ectopic beat is more often ordinary


def _timing(rng, patient: Patient, kind: str, due: float) -> tuple[float, float | None]:
    """Return the seconds to this beat, and those from it to the next if they are fixed by it."""
    if kind in ("atrial", "nodal", "aberrant"):
        early = due * (rng.uniform(0.5, 0.65) if kind == "aberrant" else rng.uniform(0.5, 0.78))
        return max(early, 0.32), due * rng.uniform(0.98, 1.2)  # the sinus node starts again
    if kind == "ventricular":
        early = max(due * rng.uniform(0.45, 0.82), 0.32)
        # The sinus node goes on undisturbed: its next beat is lost, the one after comes in time.
        return early, None if patient.fibrillates else 2 * due - early
    if kind == "fusion":
        return due * rng.uniform(0.9, 1.0), None
    if kind.endswith("escape"):
        return due * rng.uniform(1.35, 1.8), None
    return due, None


def _symbol(kind: str, patient: Patient) -> str:
    symbols = {"atrial": "A", "nodal": "J", "aberrant": "a", "ventricular": "V", "fusion": "F"}
    symbols |= {"nodal escape": "j", "ventricular escape": "E", "sinus": patient.conduction}
    return symbols[kind]
