"""From beats to two leads in mV, with the noise of a recording."""

import numpy as np

from medlab.datasets.ecg import waves
from medlab.datasets.ecg.layout import RATE
from medlab.datasets.ecg.patients import Patient
from medlab.datasets.ecg.rhythm import Beat


def draw_signal(rng, patient: Patient, beats: list[Beat], times) -> tuple[np.ndarray, list[float]]:
    """Return the clean leads in mV, shape (times, 2), and when each beat's R wave is, s."""
    signal, r_times = np.zeros((len(times), 2)), []
    for beat in beats:
        shape, qrs = _beat_waves(rng, patient, beat)
        r_times.append(beat.time + waves.r_time(qrs))
        breath = 1 + 0.05 * np.sin(2 * np.pi * 0.25 * beat.time) + 0.02 * rng.normal()
        _add(signal, waves.moved(waves.scaled(shape, breath), beat.time), times)
        if beat.lost_p is not None:
            _add(signal, waves.moved(patient.p, beat.lost_p), times)
    if patient.fibrillates:
        signal += _fibrillation(rng, times)
    return signal, r_times


def _add(signal: np.ndarray, shape: np.ndarray, times: np.ndarray) -> None:
    start = max(0, int((shape[:, 0] - 4 * shape[:, 1]).min() * RATE))
    stop = int((shape[:, 0] + 4 * shape[:, 1]).max() * RATE) + 2
    signal[start:stop] += waves.render(shape, times[start:stop])


def _beat_waves(rng, patient: Patient, beat: Beat) -> tuple[np.ndarray, np.ndarray]:
    """Return all waves of a beat, and its QRS complex alone, about time 0."""
    faster = np.sqrt(np.clip(beat.before, 0.35, 1.3))
    own_p = waves.NO_WAVES if patient.fibrillates else patient.p
    qrs_v, t_v = patient.foci[beat.focus]
    if beat.symbol in "VE":
        p, qrs, t = waves.NO_WAVES, qrs_v, t_v
    elif beat.symbol == "F":
        share = rng.uniform(0.3, 0.7)  # how much of the ventricles the focus excites
        p = own_p
        qrs = np.vstack([waves.scaled(qrs_v, share), waves.scaled(patient.qrs, 1 - share)])
        t = np.vstack([waves.scaled(t_v, share), waves.scaled(patient.t, 1 - share)])
    elif beat.symbol == "a":
        p, qrs, t = waves.ectopic_p(rng), patient.aberrant, patient.t
    elif beat.symbol in "AJj":
        p = waves.ectopic_p(rng) if beat.symbol == "A" else waves.retrograde_p(rng)
        qrs, t = patient.qrs, patient.t
    else:
        p, qrs, t = own_p, patient.qrs, patient.t
    return np.vstack([p, qrs, waves.stretched(t, faster)]), qrs


def _fibrillation(rng, times: np.ndarray) -> np.ndarray:
    """Return the waves of fibrillating atria: no fixed frequency, no fixed height."""
    speed = rng.uniform(4.5, 7.5) + 0.7 * np.sin(2 * np.pi * times / rng.uniform(2, 6))
    phase = 2 * np.pi * np.cumsum(speed) / RATE
    wave = np.sin(phase) + 0.4 * np.sin(2 * phase + 1)
    swell = 1 + 0.5 * np.sin(2 * np.pi * times / rng.uniform(1.5, 4))
    return (wave * swell)[:, None] * rng.uniform((0.02, 0.03), (0.08, 0.12))


def add_noise(rng, signal: np.ndarray, times: np.ndarray, noise: float) -> list:
    """Add wander, hum, muscle and electrode noise in place; return bursts as (start, end) in s."""
    for lead in range(2):
        signal[:, lead] += noise * rng.gamma(2, 0.04) * _wander(rng, times)
        hum = rng.exponential(0.006)  # mV, mains of 60 Hz as in Boston
        signal[:, lead] += noise * hum * np.sin(2 * np.pi * 60 * times + rng.uniform(0, 6.3))
        muscle = rng.uniform(0.004, 0.03)
        signal[:, lead] += noise * muscle * rng.normal(size=len(times))
    return _electrode_motion(rng, signal, times, noise)


def _wander(rng, times: np.ndarray) -> np.ndarray:
    slow = sum(
        rng.normal() * np.sin(2 * np.pi * f * times + rng.uniform(0, 6.3))
        for f in rng.uniform(0.03, 0.25, 4)
    )
    breath = np.sin(2 * np.pi * 0.25 * times + rng.uniform(0, 6.3))
    return slow + rng.uniform(0, 1) * breath


def _electrode_motion(rng, signal: np.ndarray, times: np.ndarray, noise: float) -> list:
    """An electrode that is touched: the baseline jumps and comes back; now and then."""
    bursts, now = [], rng.exponential(60)
    while noise > 0 and now < times[-1] - 4:
        lasts = rng.uniform(0.8, 3)
        inside = (times >= now) & (times < now + lasts)
        t = (times[inside] - now)[:, None]
        height = noise * rng.normal(0, 0.5, 2)
        jump = height * np.exp(-t / rng.uniform(0.15, 0.5))
        shake = np.sin(2 * np.pi * rng.uniform(1, 6) * t) * np.sin(np.pi * t / lasts)
        signal[inside] += jump + 0.5 * height * shake
        bursts.append((now, now + lasts))
        now += lasts + 1 + rng.exponential(60)
    return bursts
