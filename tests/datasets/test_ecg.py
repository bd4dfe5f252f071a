"""The heart signals have MIT-BIH's layout and rhythm, and readers that name what is wrong."""

import csv
import itertools
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import wfdb

from medlab.datasets import ecg, find
from medlab.datasets.ecg import patients, rhythm, waves
from medlab.errors import BadInput

REAL = os.environ.get("MEDLAB_REALDATA")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ecg")
    ecg.make(folder, seed=3, patients=24, seconds=60)
    return folder


@pytest.fixture(scope="module")
def records(made):
    return [ecg.read_record(made, name) for name in ecg.record_names(made)]


@pytest.fixture
def small(tmp_path):
    ecg.make(tmp_path, seed=1, patients=2, seconds=10)
    return tmp_path


def write(folder, name="300", rate=360, signal=None, samples=(500,)):
    """Write a record of one's own over a generated one."""
    usual = np.full((3600, 2), 1024) + np.arange(3600)[:, None] % 50
    signal = usual if signal is None else signal
    wfdb.wrsamp(
        name,
        fs=rate,
        units=["mV"] * 2,
        sig_name=["MLII", "V1"],
        d_signal=signal.astype(np.int16),
        fmt=["212"] * 2,
        adc_gain=[200] * 2,
        baseline=[1024] * 2,
        write_dir=str(folder),
    )
    wfdb.wrann(name, "atr", np.array(samples), ["N"] * len(samples), write_dir=str(folder))


# The layout


def test_a_record_is_a_header_a_signal_and_annotations_as_in_mit_bih(made):
    header = wfdb.rdheader(str(made / "300"))
    assert (header.fs, header.sig_len, header.fmt) == (360, 21600, ["212", "212"])
    assert (header.sig_name, header.units) == (["MLII", "V1"], ["mV", "mV"])
    assert (header.adc_gain, header.baseline) == ([200, 200], [1024, 1024])
    assert (made / "300.dat").stat().st_size == 21600 * 3
    marks = wfdb.rdann(str(made / "300"), "atr")
    assert marks.symbol[0] == "+"
    assert marks.aux_note[0].startswith("(")


def test_generated_records_say_so_and_bear_no_real_records_number(made, records):
    assert (made / "RECORDS").read_text().split() == [record.name for record in records]
    for record in records:
        assert "generated" in record.comments[0]
        assert int(record.name) >= 300


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        (tmp_path / name).mkdir()
        ecg.make(tmp_path / name, seed=seed, patients=2, seconds=10)
    content = {
        name: [p.read_bytes() for p in sorted((tmp_path / name).rglob("*")) if p.is_file()]
        for name in "abc"
    }
    assert content["a"] == content["b"] != content["c"]


def test_every_eighth_patient_has_two_records_with_the_same_waves(made, records):
    with (made / "truth" / "patients.csv").open() as file:
        rows = list(csv.DictReader(file))
    count = Counter(row["patient"] for row in rows)
    assert sorted(count) == [f"p{n:03d}" for n in range(24)]
    assert [name for name in sorted(count) if count[name] == 2] == ["p007", "p015", "p023"]
    assert rows[7]["conduction"] == rows[8]["conduction"]
    assert not np.array_equal(records[7].digital, records[8].digital)


def test_the_registry_knows_the_set_and_nothing_is_wrong_with_what_it_makes(made):
    assert find("ecg").load() is ecg
    assert ecg.verify(made) == []


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"patients": 0}, "1 to 622"),
        ({"seconds": 1}, "expected 5 seconds"),
        ({"noise": -1}, "0 to 10"),
    ],
)
def test_a_setting_out_of_range_is_refused(tmp_path, setting, said):
    with pytest.raises(BadInput, match=said):
        ecg.make(tmp_path, **setting)


# What is true about generated hearts


def test_every_kind_of_beat_occurs(tmp_path):
    ecg.make(tmp_path, seed=0, patients=60, seconds=60)
    count = Counter()
    for name in ecg.record_names(tmp_path):
        count.update(ecg.read_record(tmp_path, name).symbols)
    assert set("NLRAaJVEFj+~") <= set(count)
    assert count["N"] + count["L"] + count["R"] > 0.7 * (sum(count.values()))


def test_an_annotated_beat_is_the_top_of_its_deflection(tmp_path):
    ecg.make(tmp_path, seed=2, patients=16, seconds=30, noise=0)
    for name in ecg.record_names(tmp_path):
        record = ecg.read_record(tmp_path, name)
        lead = np.abs(record.signal[:, record.lead("MLII")])
        for at, symbol in zip(*record.beats(), strict=True):
            if symbol in "NV":  # P and T waves lie over the others and move their tops
                assert lead[at] >= 0.8 * lead[max(0, at - 18) : at + 19].max(), (name, at)


def made_patient(seed, **given):
    patient = patients.draw_patient(np.random.default_rng(seed), ectopy=0)
    steady = {"fibrillates": False, "rr": 0.8, "breathing": 0.0, "restless": 0.0} | given
    return patients.Patient(**(vars(patient) | steady))


def test_a_ventricular_beat_comes_early_and_its_pause_makes_up_for_it():
    patient = made_patient(1, rates={"ventricular": 0.2})
    beats = rhythm.draw_rhythm(np.random.default_rng(1), patient, 300)
    pairs = [
        (one.before, two.before)
        for one, two in itertools.pairwise(beats)
        if one.symbol == "V" and two.symbol != "V"
    ]
    assert len(pairs) > 20
    assert max(before for before, _ in pairs) < 0.7
    assert np.allclose(np.sum(pairs, axis=1), 1.6, atol=0.13)


def test_after_an_atrial_beat_the_sinus_node_starts_again():
    patient = made_patient(1, rates={"atrial": 0.2})
    beats = rhythm.draw_rhythm(np.random.default_rng(1), patient, 300)
    pairs = [
        one.before + two.before
        for one, two in itertools.pairwise(beats)
        if one.symbol == "A" and two.symbol != "A"
    ]
    assert len(pairs) > 20
    assert np.mean(pairs) < 1.55


def test_a_fusion_beat_lies_between_its_two_parents():
    from medlab.datasets.ecg.signals import _beat_waves

    patient, times = made_patient(4), np.arange(-0.15, 0.2, 1 / 360)
    shapes = [
        waves.render(
            _beat_waves(np.random.default_rng(0), patient, rhythm.Beat(0, symbol, 0.8, "(N"))[1],
            times,
        )[:, 0]
        for symbol in ("N", "F", "V")
    ]
    low, high = np.minimum(shapes[0], shapes[2]), np.maximum(shapes[0], shapes[2])
    assert (shapes[1] >= low - 1e-9).all()
    assert (shapes[1] <= high + 1e-9).all()


def test_fibrillating_atria_give_an_irregular_rhythm_without_early_beats():
    patient = patients.draw_patient(np.random.default_rng(0), ectopy=1)
    for seed in range(60):
        patient = patients.draw_patient(np.random.default_rng(seed), ectopy=1)
        if patient.fibrillates:
            break
    beats = rhythm.draw_rhythm(np.random.default_rng(0), patient, 300)
    assert {beat.rhythm for beat in beats} & {"(AFIB"}
    assert not {beat.symbol for beat in beats} & set("AaJF")
    ordinary = [beat.before for beat in beats if beat.symbol == patient.conduction]
    assert np.std(ordinary) > 0.12 * np.mean(ordinary)


def test_noise_is_named_where_it_begins_and_ends(records):
    for record in records:
        marks = [symbol for symbol in record.symbols if symbol == "~"]
        assert len(marks) % 2 == 0
    assert any("~" in record.symbols for record in records)


# Readers


def test_a_record_is_read_as_wfdb_reads_it(made, records):
    known = wfdb.rdrecord(str(made / "302"))
    assert np.allclose(records[2].signal, known.p_signal)
    assert records[2].signal.shape == records[2].digital.shape == (21600, 2)
    samples, symbols = records[2].beats()
    assert len(samples) == len(symbols) > 40
    assert set(symbols) <= ecg.BEATS


def test_a_lead_that_is_not_there_is_refused_with_those_that_are(records):
    assert records[0].lead("V1") == 1
    with pytest.raises(BadInput, match=r"record 300 has no lead II, but MLII and V1"):
        records[0].lead("II")


@pytest.mark.parametrize(
    ("kind", "said"), [("atr", "300.atr not found: .*fetch"), ("dat", "300.dat not found")]
)
def test_a_missing_file_is_named(small, kind, said):
    (small / f"300.{kind}").unlink()
    with pytest.raises(BadInput, match=said):
        ecg.read_record(small, "300")


def test_a_missing_header_and_an_empty_folder_are_named(small, tmp_path):
    with pytest.raises(BadInput, match=r"555.hea not found: fetch 555.hea, 555.dat and 555.atr"):
        ecg.read_record(small, "555")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds no record"):
        ecg.record_names(tmp_path / "empty")


def test_a_signal_that_is_cut_off_is_refused_with_its_size(small):
    path = small / "300.dat"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(BadInput, match=r"300.dat is truncated: 5,000 bytes, expected 10,800"):
        ecg.read_record(small, "300")


def test_another_sampling_rate_is_refused_with_its_fix(small):
    write(small, rate=250)
    with pytest.raises(BadInput, match=r"250 samples a second, expected 360: resample"):
        ecg.read_record(small, "300")


def test_a_gap_is_refused_by_lead_and_time(small):
    signal = np.full((3600, 2), 1024) + np.arange(3600)[:, None] % 50
    signal[720:730, 1] = -2048
    write(small, signal=signal)
    with pytest.raises(BadInput, match=r"300.dat: 10 samples .*at 2.0 s in lead V1: cut the gap"):
        ecg.read_record(small, "300")


def test_annotations_of_another_record_are_refused(small):
    write(small, samples=(500, 999_999))
    with pytest.raises(BadInput, match=r"300.atr: an annotation at sample 999999"):
        ecg.read_record(small, "300")


@pytest.mark.parametrize("kind", ["hea", "atr"])
def test_a_damaged_file_is_one_line(small, kind):
    (small / f"300.{kind}").write_bytes(b"\xff\xfe\x00 nonsense")
    with pytest.raises(BadInput, match=rf"300\.{kind} ") as caught:
        ecg.read_record(small, "300")
    assert "\n" not in str(caught.value)


def test_verify_names_every_file_with_a_fault(small):
    (small / "301.atr").unlink()
    write(small, signal=np.full((3600, 2), 1024), samples=(500, 510))
    (small / "RECORDS").write_text("300\n301\n302\n")
    faults = ecg.verify(small)
    assert len(faults) == 4
    for fault, said in zip(
        faults,
        ("RECORDS lists 302", "lead MLII is flat", "two beats within", "301.atr not found"),
        strict=True,
    ):
        assert said in fault


def test_annotations_that_are_cut_off_are_refused(small):
    path = small / "300.atr"
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(BadInput, match=r"300.atr is truncated or damaged: fetch"):
        ecg.read_record(small, "300")


# The real one


@pytest.mark.real
@pytest.mark.skipif(not REAL, reason="MEDLAB_REALDATA names no folder of real data")
def test_record_100_of_mit_bih_is_read_whole():
    """Counts as its owners list them: 2,239 normal beats, 33 atrial, 1 ventricular."""
    record = ecg.read_record(Path(REAL, "ecg", "mitdb"), "100")
    assert record.signal.shape == (650_000, 2)
    assert record.leads[record.lead("MLII")] == "MLII"
    assert record.notes[0] == "(N"
    _samples, symbols = record.beats()
    assert Counter(symbols) == {"N": 2239, "A": 33, "V": 1}
    assert ecg.verify(Path(REAL, "ecg", "mitdb")) == []


@pytest.mark.real
@pytest.mark.skipif(not REAL, reason="MEDLAB_REALDATA names no folder of real data")
def test_records_without_annotations_are_refused():
    folder = Path(REAL, "ecg", "wfdb_formats")
    for name in ("100_3chan", "v102s"):
        with pytest.raises(BadInput):
            ecg.read_record(folder, name)
