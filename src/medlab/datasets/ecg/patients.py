"""Generated patients: their own waves, rate, rhythm and ectopic beats."""

from dataclasses import dataclass

import numpy as np

from medlab.datasets.ecg import waves


@dataclass(frozen=True)
class Patient:
    """What is the same in all records of one patient."""

    age: int
    sex: str  # F or M
    conduction: str  # symbol of an ordinary beat: N, or L, R with a blocked bundle branch
    fibrillates: bool  # atria that fibrillate: no P waves, no regular rate
    rr: float  # seconds between ordinary beats
    breathing: float  # share of rr that breathing adds and takes
    restless: float  # share of rr that varies at random
    p: np.ndarray
    qrs: np.ndarray
    t: np.ndarray
    aberrant: np.ndarray  # QRS of an early beat that meets a bundle still refractory
    foci: tuple[tuple[np.ndarray, np.ndarray], ...]  # QRS and T of each ventricular focus
    rates: dict[str, float]  # kind of event: how likely with each beat


def draw_patient(rng, ectopy: float) -> Patient:
    """Return a patient drawn at random. ectopy multiplies how often beats are ectopic."""
    conduction = rng.choice(["N", "L", "R"], p=[0.8, 0.1, 0.1])
    shapes = {"N": waves.narrow_qrs, "L": waves.left_block_qrs, "R": waves.right_block_qrs}
    qrs = shapes[conduction](rng)
    foci = tuple(_focus(rng) for _ in range(rng.integers(1, 3)))
    fibrillates = bool(rng.random() < 0.1)
    return Patient(
        age=int(rng.integers(23, 90)),
        sex=str(rng.choice(["F", "M"])),
        conduction=str(conduction),
        fibrillates=fibrillates,
        rr=rng.uniform(0.55, 1.15),
        breathing=rng.uniform(0.005, 0.07),
        restless=rng.uniform(0.005, 0.03),
        p=waves.p_wave(rng),
        qrs=qrs,
        t=waves.t_wave(rng, qrs, discordant=conduction == "L"),
        aberrant=waves.right_block_qrs(rng),
        foci=foci,
        rates=_rates(rng, ectopy, fibrillates),
    )


def _focus(rng) -> tuple[np.ndarray, np.ndarray]:
    qrs = waves.ectopic_qrs(rng)
    return qrs, waves.t_wave(rng, qrs, discordant=True)


def _rates(rng, ectopy: float, fibrillates: bool) -> dict[str, float]:
    """How likely each event is with a beat. Half of all patients have hardly any."""
    rates = {
        "atrial": 0.08,
        "nodal": 0.015,
        "aberrant": 0.015,
        "atrial run": 0.004,
        "ventricular": 0.07,
        "bigeminy": 0.006,
        "ventricular run": 0.003,
        "fusion": 0.035,
        "nodal escape": 0.004,
        "ventricular escape": 0.003,
    }
    many = {name: rng.gamma(0.8) for name in rates}
    if fibrillates:  # a beat without a time at which it is due cannot be early
        many |= dict.fromkeys(("atrial", "nodal", "aberrant", "atrial run", "fusion"), 0.0)
    return {name: min(0.25, ectopy * rate * many[name]) for name, rate in rates.items()}
