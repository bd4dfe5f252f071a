"""What one beat looks like: waves as Gaussians, seen from two leads.

A wave is a row (time from the R wave in s, width in s, height in MLII in mV, height in V1 in mV);
a width is a Gaussian's standard deviation. Every constant is chosen, none is fitted.
"""

import numpy as np

NO_WAVES = np.zeros((0, 4))


def narrow_qrs(rng) -> np.ndarray:
    """Return a QRS complex that the bundles conduct: three waves."""
    height, wide = np.clip(rng.lognormal(0.0, 0.35), 0.4, 2.4), rng.uniform(0.75, 1.35)
    depth_v1 = rng.uniform(0.4, 1.6)
    return np.array(
        [
            (-0.026 * wide, 0.009 * wide, -rng.uniform(0, 0.18) * height, 0.0),
            (0.0, 0.011 * wide, height, rng.uniform(0.05, 0.4)),
            (0.027 * wide, 0.011 * wide, -rng.uniform(0, 0.5) * height, -depth_v1),
        ]
    )


def left_block_qrs(rng) -> np.ndarray:
    """Return the broad, notched QRS complex of a left bundle branch block."""
    height, apart = np.clip(rng.lognormal(0.0, 0.3), 0.5, 2.0), rng.uniform(0.04, 0.06)
    first = rng.uniform(0.55, 0.9)
    return np.array(
        [
            (-apart / 2, rng.uniform(0.017, 0.024), first * height, -rng.uniform(0.3, 0.8)),
            (apart / 2, rng.uniform(0.019, 0.027), height * 0.85, -rng.uniform(0.6, 1.4)),
        ]
    )


def right_block_qrs(rng) -> np.ndarray:
    """Return the QRS complex of a right bundle branch block: its end comes late and slurred."""
    late = rng.uniform(0.045, 0.065)
    slurred = -rng.uniform(0.15, 0.55)
    own = narrow_qrs(rng) * [1, 1, 1, 0.5]
    return np.vstack([own, (late, rng.uniform(0.016, 0.026), slurred, rng.uniform(0.4, 1.2))])


def ectopic_qrs(rng) -> np.ndarray:
    """Return the QRS complex of a ventricular focus: broad, either way up."""
    height = rng.uniform(0.6, 2.3) * rng.choice([-1, 1], p=[0.4, 0.6])
    second = rng.uniform(-0.6, 0.8) * height
    height_v1 = rng.uniform(0.4, 1.8) * rng.choice([-1, 1])
    later = rng.uniform(0.045, 0.09)
    return np.array(
        [
            (0.0, rng.uniform(0.022, 0.042), height, height_v1),
            (later, rng.uniform(0.022, 0.042), second, second / height * height_v1),
        ]
    )


def p_wave(rng) -> np.ndarray:
    """Return a P wave of the sinus node, at its distance before the R wave."""
    at, width = -rng.uniform(0.12, 0.22), rng.uniform(0.014, 0.028)
    v1 = rng.uniform(0.02, 0.1)
    return np.array(
        [
            (at - width / 2, width, rng.uniform(0.03, 0.14), v1),
            (at + width, width, rng.uniform(0.01, 0.12), -rng.uniform(0, 1) * v1),
        ]
    )


def ectopic_p(rng) -> np.ndarray:
    """Return a P wave from elsewhere in the atria: another shape, often upside down."""
    at, width = -rng.uniform(0.09, 0.2), rng.uniform(0.012, 0.024)
    return np.array([(at, width, rng.uniform(-0.2, 0.14), rng.uniform(-0.12, 0.12))])


def retrograde_p(rng) -> np.ndarray:
    """Return the P wave of a junctional beat: upside down, before, after or within the QRS."""
    at = rng.choice([-0.08, 0.0, 0.09])
    return np.array([(at, rng.uniform(0.014, 0.022), -rng.uniform(0.02, 0.15), 0.05)])


def t_wave(rng, qrs: np.ndarray, discordant: bool) -> np.ndarray:
    """Return ST segment and T wave at a rate of 60 beats a minute.

    discordant: against the direction of the QRS complex, as after a broad one.
    """
    main = qrs[np.abs(qrs[:, 2]).argmax(), 2:]
    heights = rng.normal((0.24, 0.1), (0.14, 0.12))
    if discordant:
        heights = -main * rng.uniform(0.2, 0.5)
    elif rng.random() < 0.12:
        heights = -np.abs(heights)
    at, width = rng.uniform(0.24, 0.34), rng.uniform(0.035, 0.06)
    st = rng.normal(0, 0.04, 2)
    return np.array(
        [
            (at * 0.5, 0.05, *st),
            (at - 0.6 * width, 1.2 * width, *(0.55 * heights)),
            (at + 0.3 * width, 0.8 * width, *(0.6 * heights)),
        ]
    )


def stretched(waves: np.ndarray, factor: float) -> np.ndarray:
    """Return waves with all times multiplied: repolarisation shortens as the heart beats faster."""
    return waves * [factor, factor, 1, 1]


def scaled(waves: np.ndarray, factor: float) -> np.ndarray:
    """Return waves with all heights multiplied."""
    return waves * [1, 1, factor, factor]


def moved(waves: np.ndarray, time: float) -> np.ndarray:
    """Return waves with their times shifted by so many seconds."""
    return waves + np.array([time, 0, 0, 0])


def r_time(qrs: np.ndarray) -> float:
    """Return when the largest deflection of a QRS complex in MLII comes, s."""
    times = np.arange(-0.1, 0.16, 1 / 720)
    return float(times[np.abs(render(qrs, times)[:, 0]).argmax()])


def render(waves: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return two leads in mV, shape (times, 2), of few waves."""
    shape = np.exp(-0.5 * ((times[:, None] - waves[:, 0]) / waves[:, 1]) ** 2)
    return shape @ waves[:, 2:]
