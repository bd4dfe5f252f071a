"""Generated patients: measurements, severity of their retinopathy, and the grade that follows.

Severity is a weighted sum of standardised HbA1c, duration and blood pressure, plus what no table
knows. The grade is severity cut at four points: what a full examination of the eye would say. A
photograph shows only a sample of it (see photograph.py), and the table only its causes, so that
the two together know more than either.

All constants are chosen, none is an estimate from patients. The order of the three causes, HbA1c
before duration before blood pressure, is what an explanation has to find.
"""

import numpy as np
import pandas as pd

WEIGHTS = {"hba1c_percent": 0.76, "duration_years": 0.48, "systolic_mmhg": 0.20}
NOISE = 0.80  # sd of what no table knows
QUALITY = (2.4, 1.4)  # of a beta distribution; 1 is a sharp, clear photograph
CUTS = (-0.35, 0.15, 0.95, 1.65)  # severity at which grades 1 to 4 begin


def draw_patients(rng: np.random.Generator, count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw patients; return what a clinic knows (COLUMNS) and the truth, one row for each.

    The truth has severity (no unit, sd about 1.2), grade 0 to 4 and quality 0 to 1.
    """
    cause = {name: rng.standard_normal(count) for name in WEIGHTS}
    severity = sum(weight * cause[name] for name, weight in WEIGHTS.items())
    severity = severity + NOISE * rng.standard_normal(count)
    truth = pd.DataFrame(
        {
            "severity": severity,
            "grade": np.digitize(severity, CUTS),
            "quality": rng.beta(*QUALITY, size=count),
        }
    )
    return _measured(rng, cause), truth


def _measured(rng: np.random.Generator, cause: dict[str, np.ndarray]) -> pd.DataFrame:
    """Turn standard normal causes into what a clinic measures, rounded as a clinic rounds."""
    count = len(cause["hba1c_percent"])
    duration = np.clip(11 * np.exp(0.5 * cause["duration_years"]), 0.5, 45)
    age = np.clip(0.3 * duration + rng.normal(54, 10, count), 20, 90)
    return pd.DataFrame(
        {
            "age_years": age.round().astype(int),
            "sex": rng.choice(["F", "M"], count),
            "duration_years": duration.round(1),
            "hba1c_percent": np.clip(7.8 + 1.4 * cause["hba1c_percent"], 4.8, 14).round(1),
            "systolic_mmhg": np.clip(136 + 16 * cause["systolic_mmhg"], 90, 210)
            .round()
            .astype(int),
            "bmi_kg_m2": np.clip(rng.normal(29, 4.5, count), 17, 50).round(1),
        }
    )
