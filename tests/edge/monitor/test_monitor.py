"""The monitor on an emulated board: what it says of beats, and that faults get no prediction."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support import edge_models as making
from tests.support import monitor_runs as runs

from medlab.datasets import ecg
from medlab.edge import boards
from medlab.edge.boards.devices.sensor import Feed
from medlab.errors import BadInput

FROM, TO = 5 * runs.RATE + 37, 7 * runs.RATE  # where faults are
END = 13 * runs.RATE
JUDGED_AFTER = 185  # samples from R to the model: 95 to the window's end, and a block of quality


@pytest.fixture(scope="session")
def record(tmp_path_factory):
    """A generated patient with few ectopic beats: samples, and where the beats are."""
    folder = tmp_path_factory.mktemp("patient")
    ecg.make(folder, seed=11, patients=1, seconds=20, ectopy=0.3, noise=0.5)
    record = ecg.read_record(folder, ecg.record_names(folder)[0])
    return record.digital[:, 0].astype(int), record.beats()[0]


@pytest.fixture(scope="session")
def samples(record):
    return record[0][:END]


def with_fault(samples, change):
    feed = samples.copy()
    feed[FROM:TO] = change(feed[FROM:TO])
    return feed


def hum(part):
    return part + np.round(300 * np.sin(2 * np.pi * 50 * np.arange(len(part)) / runs.RATE))


def muscle(part):
    return part + np.round(np.random.default_rng(5).normal(0, 80, len(part)))


FAULTS = {
    "flat": ("flat line", lambda part: part[0]),
    "all zeros": ("flat line", lambda part: 0),
    "saturated": ("saturated", lambda part: np.clip(1024 + 30 * (part - 1024), 0, 4095)),
    "stuck at the top": ("saturated", lambda part: 4095),
    "hum": ("noise", hum),
    "muscle": ("noise", muscle),
}


def touched(beats, first, last):
    """Return the beats whose window touches a stretch."""
    after = runs.LENGTH - 1 - runs.BEFORE
    return [b for b in beats if b.sample - runs.BEFORE <= last and b.sample + after >= first]


def test_every_beat_has_a_line_with_class_interval_rate_and_confidence(listen, record, samples):
    said = listen(samples)
    true = [at for at in record[1] if 2.5 * runs.RATE < at < END - runs.RATE]
    found = runs.matched([beat.sample for beat in said.judged], true)
    assert len(found) == len(true)
    later = said.judged[1:]
    assert all(b.interval_ms and 30 <= b.rate <= 200 and 25 <= b.confidence <= 100 for b in later)
    pairs = zip(said.judged, later, strict=False)
    for before, beat in pairs:
        assert abs(beat.interval_ms - (beat.sample - before.sample) * 1000 / runs.RATE) <= 0.5
        assert abs(beat.rate - 60_000 / beat.interval_ms) <= 1
    assert said.kinds == ["sensor stopped"], "a clean signal is no reason for another alarm"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_raises_its_alarm_and_no_prediction(fault, listen, samples):
    kind, change = FAULTS[fault]
    said = listen(with_fault(samples, change))
    at = said.alarms[0][0]
    assert kind in said.kinds[:2]
    assert FROM - runs.RATE // 2 <= at <= FROM + runs.RATE // 2
    assert not touched(said.judged, FROM, TO - 1)
    assert all(beat.why == kind for beat in touched(said.refused, FROM, FROM + 90))
    assert [clear for clear in said.clears if clear > TO], "the signal came back"
    assert any(beat.sample > TO + 3 * runs.RATE for beat in said.judged)


def test_an_electrode_that_comes_off_raises_its_alarm_and_no_prediction(listen, samples):
    said = listen(samples, lead_off=[range(FROM, TO)])
    assert said.kinds[0] == "lead off"
    assert FROM - runs.RATE // 2 <= said.alarms[0][0] <= FROM
    assert not touched(said.judged, FROM, TO - 1)
    assert any(beat.sample > TO + 3 * runs.RATE for beat in said.judged)


@pytest.mark.parametrize("samples_after_r", [5, 60, 94])
def test_a_sensor_that_stops_within_a_window_gives_no_prediction(
    samples_after_r, listen, record, samples
):
    r = int(record[1][record[1] > FROM][0])
    said = listen(samples[: r + samples_after_r])
    assert said.kinds == ["sensor stopped"]
    assert all(beat.sample < r - runs.TOLERANCE for beat in said.judged)


def test_a_sensor_that_stops_and_holds_its_value_within_a_window_gives_no_prediction(
    listen, record, samples
):
    r = int(record[1][record[1] > FROM][0])
    feed = samples.copy()
    feed[r + 60 :] = feed[r + 60]
    said = listen(feed)
    assert said.kinds[0] == "flat line"
    assert all(beat.sample < r - runs.TOLERANCE for beat in said.judged)


def with_misses(monkeypatch, misses):
    """Let the sensor be asked in vain at these of its samples, each so many times."""
    left, given = dict(misses), Feed.next

    def answer(feed):
        if left.get(feed.used):
            left[feed.used] -= 1
            return None
        return given(feed)

    monkeypatch.setattr(Feed, "next", answer)
    return left


@pytest.mark.parametrize("misses", [1, 3])
def test_a_sensor_that_misses_samples_and_comes_back_gives_no_prediction_across_the_gap(
    misses, listen, record, samples, monkeypatch
):
    r = int(record[1][record[1] > FROM][0])
    left = with_misses(monkeypatch, {r + 20: misses})
    said = listen(samples)
    assert not any(left.values())
    assert said.alarms[0] == (r + 20, "sensor stopped")
    assert not touched(said.judged, r + 20, r + 20)
    assert said.clears, "the samples came back"
    assert any(beat.sample > r + 4 * runs.RATE for beat in said.judged)


def test_a_sample_that_is_missed_while_the_model_runs_is_told(listen, record, samples, monkeypatch):
    slow = "nrf52840"  # at 64 MHz the model takes longer than a sample
    judged = [beat.sample for beat in listen(samples, slow).judged if beat.sample > FROM]
    model_runs = judged[0] + JUDGED_AFTER
    for gap in (model_runs, model_runs + 1):
        with monkeypatch.context() as patch:
            with_misses(patch, {gap: 1})
            said = listen(samples, slow)
        at, kind = said.alarms[0]
        assert kind == "sensor stopped"
        assert at < gap + 4, "the alarm came with the gap, not with the end"


@pytest.mark.parametrize("feed", [[], [1024], [1024] * 400, [0] * 1500])
def test_a_sensor_that_never_gave_a_heart_beat_gives_none(feed, listen):
    said = listen(feed)
    assert not said.beats
    assert said.kinds[-1] == "sensor stopped"


def test_a_heart_that_pauses_is_told(listen, samples):
    rng = np.random.default_rng(2)
    feed = samples.copy()
    slow = 40 * np.sin(np.arange(5 * runs.RATE) / 60)  # a baseline that moves, and no beat
    feed[FROM : FROM + 5 * runs.RATE] = 1024 + slow + rng.normal(0, 2, 5 * runs.RATE)
    said = listen(feed)
    assert "no beat for three seconds" in said.kinds
    at = {what: at for at, what in said.alarms}["no beat for three seconds"]
    assert FROM + 2 * runs.RATE < at < FROM + 4 * runs.RATE


def test_a_firmware_that_never_returns_hits_its_budget(firmware, samples):
    board, built = firmware()
    run = board.run(built, samples.tolist(), budget=1_000_000)
    with pytest.raises(BadInput, match=r"did not return within 1,000,000 instructions"):
        run.check()


def test_a_model_with_another_window_is_refused_when_it_is_built(tmp_path, zig):
    rng = np.random.default_rng(0)
    for shape, classes, says in (((1, 1, 187, 1), 4, "window"), ((1, 1, 256, 1), 5, "classes")):
        maker = making.Maker(shape)
        last = making.convolve(maker, rng, maker.input, 4, (1, 5), (1, 4))
        whole = maker.shape_of(last)[1:3]
        last = making.pool(maker, last, kernel=whole, strides=whole, padding=making.VALID)
        making.dense(maker, rng, last, classes)
        with pytest.raises(BadInput, match=says):
            runs.build("stm32f405", tmp_path, zig, maker.finish())


@pytest.mark.parametrize("name", boards.names())
def test_the_firmware_keeps_within_64_kb_of_flash_and_32_kb_of_ram_and_loses_no_sample(
    name, firmware, samples
):
    board, built = firmware(name)
    run = board.run(built, samples[: 6 * runs.RATE].tolist()).check()
    assert len(runs.read_output(run).judged) >= 3
    assert runs.read_output(run).kinds == ["sensor stopped"]
    assert built.flash_bytes <= 64 * 1024
    assert built.ram_bytes + run.stack_bytes <= 32 * 1024


def test_the_command_runs_the_monitor_with_its_own_model(samples, tmp_path):
    np.save(tmp_path / "feed.npy", samples[: 6 * runs.RATE].astype(np.int16))
    command = [Path(sys.executable).with_name("medlab"), "board", "run", "ecg_monitor"]
    command += ["--feed", tmp_path / "feed.npy", "--lead-off", "1800:1900"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "alarm 1800 lead off" in done.stdout
