"""Beats that the monitor finds, against those that generated records name."""

import os
from pathlib import Path

import monitor_runs as runs
import numpy as np
import pytest

from medlab.datasets import ecg

FIRST = 4 * runs.RATE  # the thresholds have learned


@pytest.fixture(scope="module")
def heard(listen, records):
    return [listen(record.digital[:, 0]) for record in records]


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    ecg.make(folder, seed=12, patients=4, seconds=30)
    return [ecg.read_record(folder, name) for name in ecg.record_names(folder)]


def test_beats_of_generated_patients_are_found_within_150_ms(heard, records):
    scores = []
    for said, record in zip(heard, records, strict=True):
        found = [beat.sample for beat in said.beats]
        scores.append(runs.score(found, record.beats()[0], FIRST, len(record.signal) - runs.RATE))
    sensitivity, predictivity = np.mean(scores, axis=0)
    assert sensitivity >= 0.97
    assert predictivity >= 0.97


def test_r_is_found_near_enough_for_the_model(heard, records):
    away = []
    for said, record in zip(heard, records, strict=True):
        pairs = runs.matched([beat.sample for beat in said.beats], record.beats()[0])
        away += [abs(found - true) for found, true in pairs]
    assert np.mean(np.array(away) <= 8) >= 0.9


@pytest.mark.real
@pytest.mark.skipif(not os.environ.get("MEDLAB_REALDATA"), reason="MEDLAB_REALDATA is not set")
def test_beats_of_mit_bih_record_100_are_found_and_most_are_called_normal(listen):
    record = ecg.read_record(Path(os.environ["MEDLAB_REALDATA"]) / "ecg" / "mitdb", "100")
    last = 2 * 60 * runs.RATE
    said = listen(record.digital[:last, 0])
    found = [beat.sample for beat in said.beats]
    sensitivity, predictivity = runs.score(found, record.beats()[0], FIRST, last - runs.RATE)
    assert sensitivity > 0.95
    assert predictivity > 0.95
    assert np.mean([beat.name == "N" for beat in said.judged]) > 0.5
