"""Beats that the monitor finds, against those that generated records name."""

import os
from pathlib import Path

import numpy as np
import pytest
from tests.support import monitor_runs as runs

from medlab.datasets import ecg

FIRST = 4 * runs.RATE  # the thresholds have learned


@pytest.fixture(scope="module")
def heard(listen, records):
    return [listen(record.digital[:, 0]) for record in records]


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    ecg.make(folder, seed=12, patients=3, seconds=25)
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


def drawn(beats, heights, t_height=0.0):
    """Draw QRS complexes of some heights (mV), each with a T wave 0.28 s later."""
    at = np.arange(beats[-1] + 2 * runs.RATE)[:, None]
    signal = np.exp(-0.5 * ((at - beats) / 4) ** 2) @ heights
    signal += np.exp(-0.5 * ((at - beats - 100) / 17) ** 2) @ np.full(len(beats), t_height)
    noise = np.random.default_rng(6).normal(0, 0.01, len(at))
    return np.round(1024 + 200 * (signal + noise)).astype(int)


def test_a_small_beat_is_found_by_looking_back(listen):
    beats = np.arange(1, 12) * 300
    heights = np.ones(11)
    heights[7] = 0.42  # under the threshold, over half of it
    said = listen(drawn(beats, heights))
    found = [beat.sample for beat in said.beats]
    assert runs.score(found, beats.tolist(), FIRST) == (1, 1)
    assert [at for at in found if abs(at - 2400) <= 8]


def test_a_tall_t_wave_is_no_beat(listen):
    beats = np.arange(1, 12) * 300
    said = listen(drawn(beats, np.ones(11), t_height=1.0))
    assert runs.score([beat.sample for beat in said.beats], beats.tolist(), FIRST) == (1, 1)


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
