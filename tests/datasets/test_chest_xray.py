import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.pixels import apply_voi_lut

from medlab import datasets
from medlab.datasets import chest_xray
from medlab.datasets.chest_xray import making, patients, scanner, thorax, verifying
from medlab.errors import BadInput

SMALL = {"patients": 6, "test_patients": 5, "images_per_patient": 2, "size": 48}


@pytest.fixture(scope="module")
def dicom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dicom") / "set"
    chest_xray.make(folder, **SMALL)
    return folder


@pytest.fixture(scope="module")
def jpeg(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jpeg") / "set"
    chest_xray.make(folder, format="jpeg", **SMALL)
    return folder


@pytest.fixture
def copy(jpeg, tmp_path):
    return Path(shutil.copytree(jpeg, tmp_path / "copy"))


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def shown(path):
    """Show a DICOM file with pydicom's own window, dense tissue bright, 0 to 255."""
    ds = pydicom.dcmread(path)
    grey = apply_voi_lut(ds.pixel_array, ds) / (2**ds.BitsStored - 1)
    return 255 * (1 - grey if ds.PhotometricInterpretation == "MONOCHROME1" else grey)


def test_the_registry_names_the_maker():
    assert datasets.find("chest-xray").load() is chest_xray


def test_folders_and_names_are_those_of_the_real_set(jpeg):
    folders = {path.parent.as_posix() for path in map(Path, contents(jpeg))}
    assert folders == {
        "chest_xray/train/NORMAL",
        "chest_xray/train/PNEUMONIA",
        "chest_xray/test/NORMAL",
        "chest_xray/test/PNEUMONIA",
        "truth",
        "truth/masks",
    }
    for path in chest_xray.read_table(jpeg).path:
        sick = "PNEUMONIA" in path
        assert Path(path).name.startswith("person" if sick else "IM-")


def test_both_formats_have_the_same_names_and_patients(dicom, jpeg):
    one, other = chest_xray.read_table(dicom), chest_xray.read_table(jpeg)
    assert list(one.path.str.replace(".dcm", "")) == list(other.path.str.replace(".jpeg", ""))
    assert list(one.patient) == list(other.patient)


@pytest.mark.parametrize("format", ["dicom", "jpeg"])
def test_the_same_arguments_give_the_same_bytes(format, tmp_path):
    for name in ("one", "two"):
        chest_xray.make(tmp_path / name, format=format, patients=2, test_patients=2, size=32)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_another_seed_gives_other_pictures(dicom, tmp_path):
    chest_xray.make(tmp_path / "other", seed=1, **SMALL)
    one, other = contents(dicom), contents(tmp_path / "other")
    same = [path for path in one if path.endswith(".dcm") and one[path] == other.get(path)]
    assert not same


def test_test_patients_stay_when_training_patients_are_added(dicom, tmp_path):
    chest_xray.make(tmp_path / "more", **{**SMALL, "patients": 9})
    few = pd.read_csv(dicom / "truth" / "images.csv").query("split == 'test'")
    more = pd.read_csv(tmp_path / "more" / "truth" / "images.csv").query("split == 'test'")
    pixels = [
        sorted(pydicom.dcmread(folder / path).PixelData for path in table.path)
        for folder, table in ((dicom, few), (tmp_path / "more", more))
    ]
    assert pixels[0] == pixels[1]


def test_truth_agrees_with_folders_and_file_names(dicom):
    truth = pd.read_csv(dicom / "truth" / "images.csv").sort_values("path", ignore_index=True)
    table = chest_xray.read_table(dicom)
    pd.testing.assert_frame_equal(truth[["path", "split", "label", "patient"]], table)
    assert set(truth.scanner) <= set("ABC")


def test_the_table_counts_what_was_asked_for(dicom):
    table = chest_xray.read_table(dicom)
    train = table[table.split == "train"]
    assert len(train) == 12
    assert train.patient.nunique() == 6
    assert train.groupby("patient").label.nunique().eq(1).all()
    assert table.groupby("patient").split.nunique().eq(1).all()
    assert train.groupby("patient").label.first().sum() == round(0.4 * 6)


def test_dicom_files_say_how_to_show_them(dicom):
    truth = pd.read_csv(dicom / "truth" / "images.csv").set_index("path")
    for path, row in truth.iterrows():
        ds = pydicom.dcmread(dicom / path)
        wanted = "MONOCHROME1" if row.scanner == "B" else "MONOCHROME2"
        assert wanted == ds.PhotometricInterpretation
        assert (ds.PatientID, ds.Modality, ds.VOILUTFunction) == (row.patient, "DX", "LINEAR")
        assert "generated" in ds.Manufacturer
        assert ds.BitsStored == scanner.SCANNERS[row.scanner].bits
        assert ds.pixel_array.max() < 2**ds.BitsStored


def test_pydicom_shows_of_the_dicom_file_what_the_jpeg_holds(dicom, jpeg):
    for path in chest_xray.read_table(dicom).path:
        with Image.open((jpeg / path).with_suffix(".jpeg")) as picture:
            grey = np.asarray(picture, float)
        # 95 % JPEG: a few grey levels at edges
        assert np.abs(shown(dicom / path) - grey).mean() < 3


def test_without_window_and_inversion_scanners_differ(dicom):
    truth = pd.read_csv(dicom / "truth" / "images.csv")
    raw, right = {}, {}
    for path, letter in zip(truth.path, truth.scanner, strict=True):
        ds = pydicom.dcmread(dicom / path)
        middle = slice(18, 30)
        raw.setdefault(letter, []).append(
            ds.pixel_array[middle, middle].mean() / (2**ds.BitsStored - 1)
        )
        right.setdefault(letter, []).append(shown(dicom / path)[middle, middle].mean() / 255)
    raw_means = [np.mean(values) for values in raw.values()]
    right_means = [np.mean(values) for values in right.values()]
    assert np.ptp(raw_means) > 2 * np.ptp(right_means)


def test_sick_images_have_a_mask_inside_the_picture_and_others_have_none(dicom):
    table = chest_xray.read_table(dicom)
    for path, label in zip(table.path, table.label, strict=True):
        if label:
            mask = chest_xray.read_mask(dicom, path)
            assert mask.shape == (48, 48)
            assert 0 < mask.mean() < 0.3
        else:
            with pytest.raises(BadInput, match="no lesion mask"):
                chest_xray.read_mask(dicom, path)


def test_a_lesion_is_where_its_mask_says():
    rng = np.random.default_rng(3)
    patient, pose = patients.draw_patient(rng), patients.draw_pose(rng)
    blobs = patients.draw_consolidation(rng, patient)
    healthy, _ = thorax.attenuation(patient, pose, [], patients.Extra(), 64)
    sick, fields = thorax.attenuation(patient, pose, blobs, patients.Extra(), 64)
    added = sick - healthy
    mask = fields.max(axis=0) > making.MASK_FROM
    assert added[mask].mean() > 10 * added[~mask].mean()


def test_denser_tissue_lets_less_through():
    rng = np.random.default_rng(0)
    patient = patients.draw_patient(rng)
    straight = patients.Pose(np.zeros(2), 0.0, 1.0, 0.0)
    total, _ = thorax.attenuation(patient, straight, [], patients.Extra(), 96)
    lung, spine, air = total[40:50, 24:34].mean(), total[40:50, 47:49].mean(), total[:4, :4].mean()
    assert air < lung < spine


@given(st.integers(0, 10_000), st.integers(32, 80))
@settings(max_examples=25, deadline=None)
def test_every_drawn_radiograph_is_finite_and_positive(seed, size):
    rng = np.random.default_rng(seed)
    patient = patients.draw_patient(rng)
    blobs = patients.draw_consolidation(rng, patient, strength=3.0, viral=bool(seed % 2))
    total, fields = thorax.attenuation(
        patient, patients.draw_pose(rng), blobs, patients.draw_devices(rng), size
    )
    assert total.shape == (size, size)
    assert (total > 0).all()
    assert ((fields >= 0) & (fields <= 1)).all()


@given(st.integers(0, 10_000), st.sampled_from("ABCD"))
@settings(max_examples=25, deadline=None)
def test_what_a_scanner_shows_has_the_contrast_of_a_radiograph(seed, letter):
    rng = np.random.default_rng(seed)
    total, _ = thorax.attenuation(
        patients.draw_patient(rng), patients.draw_pose(rng), [], patients.Extra(), 48
    )
    stored = scanner.expose(total, scanner.SCANNERS[letter], rng)
    grey = scanner.grey(stored)
    assert stored.values.max() < 2**stored.scanner.bits
    assert np.corrcoef(grey.ravel(), total.ravel())[0, 1] > 0.7


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("person12_bacteria_3.jpeg", "person12"),
        ("person12_virus_4.dcm", "person12"),
        ("IM-0115-0001.jpeg", "IM-0115"),
        ("IM-0666-0001-0002.jpeg", "IM-0666"),
        ("NORMAL2-IM-0383-0001.jpeg", "NORMAL2-IM-0383"),
        ("BACTERIA-1008087-0001.jpeg", "1008087"),
        ("NORMAL-1003233-0001.jpeg", "1003233"),
    ],
)
def test_the_patient_is_read_from_names_of_every_copy_of_the_real_set(name, patient):
    assert chest_xray.patient_of(name) == patient


def test_a_name_without_patient_is_refused_by_name(copy):
    odd = copy / "chest_xray" / "train" / "NORMAL" / "scan.jpeg"
    shutil.copy(next(odd.parent.glob("*.jpeg")), odd)
    with pytest.raises(BadInput, match=r"scan\.jpeg names no patient.*rename it"):
        chest_xray.read_table(copy)
    assert any("scan.jpeg" in fault for fault in chest_xray.verify(copy))


def test_hidden_files_and_other_files_are_passed_over(copy):
    before = chest_xray.read_table(copy)
    for name in (".DS_Store", "._person1_virus_1.jpeg", "Thumbs.db"):
        (copy / "chest_xray" / "train" / "NORMAL" / name).write_bytes(b"x")
    pd.testing.assert_frame_equal(before, chest_xray.read_table(copy))


def test_a_folder_may_be_given_with_or_without_chest_xray(jpeg):
    inner = chest_xray.read_table(jpeg / "chest_xray")
    assert list("chest_xray/" + inner.path) == list(chest_xray.read_table(jpeg).path)


def test_made_folders_have_no_fault(dicom, jpeg):
    assert chest_xray.verify(dicom) == []
    assert chest_xray.verify(jpeg) == []


def test_verify_names_a_truncated_image(dicom, copy, tmp_path):
    other = Path(shutil.copytree(dicom, tmp_path / "dicom"))
    for folder in (copy, other):
        broken = folder / chest_xray.read_table(folder).path[0]
        broken.write_bytes(broken.read_bytes()[:-700])
        (fault,) = chest_xray.verify(folder)
        assert broken.name in fault
        assert "again" in fault


def test_verify_names_a_patient_in_two_splits(copy):
    table = chest_xray.read_table(copy)
    moved = copy / table[(table.split == "train") & (table.label == 1)].path.iloc[0]
    target = copy / "chest_xray" / "test" / "PNEUMONIA" / moved.name
    shutil.move(moved, target)
    faults = [fault for fault in chest_xray.verify(copy) if "two" in fault or "is in" in fault]
    assert any(
        table[table.path.str.endswith(moved.name)].patient.iloc[0] in fault
        and "into one split" in fault
        for fault in faults
    )


def test_verify_names_a_missing_folder_and_missing_masks(copy):
    shutil.rmtree(copy / "chest_xray" / "test" / "NORMAL")
    next((copy / "truth" / "masks").glob("*.png")).unlink()
    faults = "\n".join(chest_xray.verify(copy))
    assert "test/NORMAL: missing" in faults
    assert ".png: missing" in faults


def test_verify_says_what_is_wrong_with_an_empty_place(tmp_path):
    (fault,) = chest_xray.verify(tmp_path)
    assert "medlab data make chest-xray" in fault


def test_many_faults_of_one_kind_are_counted(copy):
    for path in chest_xray.read_table(copy).path:
        (copy / path).write_bytes(b"")
    faults = chest_xray.verify(copy)
    assert len(faults) == verifying.NAMED_FAULTS + 1
    assert "more" in faults[-1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"patients": 1}, "patients=1"),
        ({"size": 8}, "size=8"),
        ({"prevalence": 0.0}, "prevalence=0.0"),
        ({"scanners": "AX"}, "'AX'"),
        ({"test_scanners": ""}, "''"),
        ({"format": "png"}, "'png'"),
        ({"lesion": 0}, "lesion=0"),
    ],
)
def test_a_setting_out_of_range_is_refused(settings, said, tmp_path):
    with pytest.raises(BadInput, match=said):
        chest_xray.make(tmp_path / "no", **{**SMALL, **settings})


REAL = os.environ.get("MEDLAB_REALDATA", "")


@pytest.mark.real
@pytest.mark.skipif(not REAL, reason="MEDLAB_REALDATA is not set")
def test_real_radiographs_in_the_layout_are_read_and_verified(jpeg, tmp_path):
    pictures = [
        path
        for path in sorted(Path(REAL, "cxr").rglob("*"))
        if path.suffix.lower() in (".png", ".dcm", ".dicom")
    ]
    assert pictures, "no PNG or DICOM under cxr/"
    folder = Path(shutil.copytree(jpeg, tmp_path / "real"))
    shutil.rmtree(folder / "truth")
    for number, picture in enumerate(pictures, start=9000):
        suffix = ".png" if picture.suffix.lower() == ".png" else ".dcm"
        target = folder / "chest_xray" / "train" / "NORMAL" / f"IM-{number}-0001{suffix}"
        shutil.copyfile(picture, target)
        target.chmod(0o644)
    assert chest_xray.verify(folder) == []
    assert chest_xray.read_table(folder).patient.str.startswith("IM-9").sum() == len(pictures)


@pytest.mark.real
@pytest.mark.skipif(not REAL, reason="MEDLAB_REALDATA is not set")
def test_a_real_monochrome1_radiograph_has_the_tags_that_ours_have():
    found = [
        pydicom.dcmread(path)
        for path in sorted(Path(REAL, "cxr").rglob("*"))
        if path.suffix.lower() in (".dcm", ".dicom")
    ]
    inverted = [ds for ds in found if ds.PhotometricInterpretation == "MONOCHROME1"]
    assert inverted
    for ds in inverted:
        assert ds.BitsStored <= ds.BitsAllocated
        assert ds.SamplesPerPixel == 1
        assert ds.pixel_array.ndim == 2
