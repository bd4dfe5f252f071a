"""Abdominal CT: the stand-in has BTCV's layout, and the readers refuse what would mislead."""

import csv
import gzip
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from medlab import datasets
from medlab.datasets import abdominal_ct as ct
from medlab.errors import BadInput


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    ct.make(folder, seed=3, scans=3)
    return folder


@pytest.fixture
def folder(made, tmp_path) -> Path:
    """One scan of the made set, to be spoilt."""
    for kind, name in (("img", "img0001"), ("label", "label0001")):
        target = tmp_path / "RawData" / "Training" / kind
        target.mkdir(parents=True)
        (target / f"{name}.nii.gz").write_bytes(
            (made / "RawData" / "Training" / kind / f"{name}.nii.gz").read_bytes()
        )
    return tmp_path


def spoil(path, change):
    """Write a volume anew, with its values changed."""
    image = nib.load(path)
    values = change(np.asarray(image.dataobj, dtype=np.float32).copy())
    nib.save(nib.Nifti1Image(values.astype(np.float32), image.affine), path)


def refusal(folder) -> str:
    with pytest.raises(BadInput) as refused:
        ct.read_case(ct.cases(folder)[0])
    assert ct.verify(folder) == [str(refused.value)], "verify says the same as the reader"
    return str(refused.value)


def sides(label) -> dict[str, float]:
    """Return the mean x of every organ, in mm to the patient's right."""
    numbers = np.asarray(label.dataobj)
    to_mm = nib.affines.apply_affine
    return {
        name: to_mm(label.affine, np.argwhere(numbers == number))[:, 0].mean()
        for number, name in ct.ORGANS.items()
    }


def test_the_stand_in_lies_as_btcv_does(made):
    assert (made / "RawData/Training/img/img0002.nii.gz").is_file()
    assert (made / "RawData/Training/label/label0002.nii.gz").is_file()
    assert [case.name for case in ct.cases(made)] == ["img0001", "img0002", "img0003"]
    assert ct.verify(made) == []


@pytest.mark.parametrize("part", ["", "RawData", "RawData/Training"])
def test_a_folder_is_found_at_any_of_its_levels(made, part):
    assert len(ct.cases(made / part)) == 3


def test_the_same_seed_gives_the_same_bytes(made, tmp_path):
    ct.make(tmp_path, seed=3, scans=1)
    for name in ("img/img0001", "label/label0001"):
        again = (tmp_path / "RawData/Training" / f"{name}.nii.gz").read_bytes()
        assert again == (made / "RawData/Training" / f"{name}.nii.gz").read_bytes()


def test_another_seed_gives_another_patient(made, tmp_path):
    ct.make(tmp_path, seed=4, scans=1)
    one, other = (ct.cases(f)[0].image.read_bytes() for f in (made, tmp_path))
    assert one != other


def test_every_organ_has_its_number_place_and_hounsfield_value(made):
    with (made / "truth" / "organs.csv").open(newline="") as file:
        truth = list(csv.DictReader(file))
    for case in ct.cases(made):
        image, label = map(nib.as_closest_canonical, ct.read_case(case))
        values, numbers = (np.asarray(v.dataobj) for v in (image, label))
        x = sides(label)
        for right, left in (("liver", "spleen"), ("right kidney", "left kidney")):
            assert x[right] > 30, f"{right} lies on the right"
            assert x[left] < -30, f"{left} lies on the left"
        for row in (r for r in truth if r["scan"] == case.name and r["organ"] != "stomach"):
            inside = ndimage.binary_erosion(numbers == int(row["label"]))
            if inside.any():
                assert values[inside].mean() == pytest.approx(float(row["hu"]), abs=6), row


def test_scans_differ_in_spacing_and_orientation_and_slices_are_thicker(tmp_path):
    ct.make(tmp_path, seed=0, scans=6)
    stored = [ct.read_case(case)[0] for case in ct.cases(tmp_path)]
    assert len({nib.aff2axcodes(image.affine) for image in stored}) >= 3
    for image in map(nib.as_closest_canonical, stored):
        x, y, z = nib.affines.voxel_sizes(image.affine)
        assert x == pytest.approx(y)
        assert z > x


def test_noise_and_a_label_that_is_not_scored_are_there(made):
    image, label = ct.read_case(ct.cases(made)[0])
    liver = ndimage.binary_erosion(np.asarray(label.dataobj) == 6, iterations=2)
    assert 8 < np.asarray(image.dataobj)[liver].std() < 25
    assert (np.asarray(label.dataobj) == ct.VENA_CAVA).any()


def test_classes_count_the_eight_organs_and_drop_all_others():
    numbers = np.arange(14)
    assert ct.to_classes(numbers).tolist() == [0, 1, 2, 3, 4, 0, 5, 6, 7, 0, 0, 8, 0, 0]
    assert len(ct.CLASS_NAMES) == 9
    assert ct.CLASS_NAMES[8] == "pancreas"


def test_the_data_set_is_known_by_name():
    assert datasets.find("abdominal-ct").load() is ct


def test_no_scans_are_refused(tmp_path):
    with pytest.raises(BadInput, match="at least one"):
        ct.make(tmp_path, scans=0)


def test_a_folder_without_scans_is_refused(tmp_path):
    with pytest.raises(BadInput, match="point to the folder that holds RawData/Training/img"):
        ct.cases(tmp_path)


def test_a_scan_without_label_is_refused(folder):
    next((folder / "RawData/Training/label").iterdir()).unlink()
    with pytest.raises(BadInput, match=r"img0001.nii.gz: its label label0001.nii.gz is missing"):
        ct.cases(folder)
    assert len(ct.verify(folder)) == 1


def test_a_label_without_scan_is_refused(folder):
    label = folder / "RawData/Training/label/label0001.nii.gz"
    (label.parent / "label0002.nii.gz").write_bytes(label.read_bytes())
    with pytest.raises(BadInput, match=r"label0002.nii.gz: its scan img0002.nii.gz is missing"):
        ct.cases(folder)


def test_a_volume_without_spacing_is_refused(folder):
    path = ct.cases(folder)[0].image
    image = nib.load(path)
    image.header.set_sform(None, code=0)
    image.header.set_qform(None, code=0)
    bare = nib.Nifti1Image(np.asarray(image.dataobj), None, image.header)
    bare.header["pixdim"][1:4] = 0
    nib.save(bare, path)
    said = refusal(folder)
    assert "img0001.nii.gz: no spacing" in said
    assert "convert the DICOM series again" in said


def test_a_label_of_another_shape_is_refused(folder):
    spoil(ct.cases(folder)[0].label, lambda values: values[:-1])
    said = refusal(folder)
    assert "label0001.nii.gz" in said
    assert "take the label that was drawn on this scan" in said


def test_a_label_with_another_affine_is_refused(folder):
    path = ct.cases(folder)[0].label
    label = nib.load(path)
    moved = label.affine.copy()
    moved[0, 3] += 7
    nib.save(nib.Nifti1Image(np.asarray(label.dataobj), moved), path)
    said = refusal(folder)
    assert "label0001.nii.gz: lies 7.0 mm away from img0001.nii.gz" in said


def test_a_mirrored_label_is_refused(folder):
    path = ct.cases(folder)[0].label
    label = nib.load(path)
    nib.save(
        nib.Nifti1Image(np.asarray(label.dataobj), label.affine @ np.diag([-1, 1, 1, 1])), path
    )
    assert "the affines differ" in refusal(folder)


def test_nan_is_refused(folder):
    def hole(values):
        values[0, 0, :2] = np.nan
        return values

    spoil(ct.cases(folder)[0].image, hole)
    said = refusal(folder)
    assert "img0001.nii.gz: 2 voxels are NaN" in said
    assert "replace them by air" in said


def test_an_empty_label_is_refused(folder):
    spoil(ct.cases(folder)[0].label, lambda values: np.where(values == ct.VENA_CAVA, 9, 0))
    said = refusal(folder)
    assert "label0001.nii.gz: an empty label" in said
    assert "leave this scan out" in said


def test_a_label_that_was_resampled_linearly_is_refused(folder):
    spoil(ct.cases(folder)[0].label, lambda values: ndimage.uniform_filter(values, 2))
    assert "was it resampled linearly" in refusal(folder)


@pytest.mark.parametrize("keep", [0.5, 0.01])
def test_a_truncated_file_is_refused(folder, keep):
    path = ct.cases(folder)[0].image
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    said = refusal(folder)
    assert "img0001.nii.gz: truncated or not NIfTI" in said
    assert "fetch it again" in said


def test_damage_inside_a_file_is_refused(folder):
    path = ct.cases(folder)[0].image
    content = bytearray(path.read_bytes())
    content[5000:5400] = bytes(400)
    path.write_bytes(content)
    assert "img0001.nii.gz: truncated or not NIfTI" in refusal(folder)


def test_what_is_no_nifti_is_refused(folder):
    ct.cases(folder)[0].image.write_bytes(gzip.compress(b"a letter"))
    assert "truncated or not NIfTI" in refusal(folder)


def test_a_time_series_is_refused(folder):
    spoil(ct.cases(folder)[0].image, lambda values: np.stack([values, values], axis=-1))
    assert "a volume has three axes" in refusal(folder)


def test_verify_names_a_scan_that_is_not_in_hounsfield_units(folder):
    spoil(ct.cases(folder)[0].image, lambda values: (values + 1024) / 16)
    [said] = ct.verify(folder)
    assert "img0001.nii.gz: its lowest value is" in said
    assert "apply slope and intercept" in said


# --- one real CT; its labels are a program's, not a person's (see the card) --------------------
TOTAL = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 7, 7: 11, 52: 8, 63: 9}  # TotalSegmentator -> BTCV


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The real CT as a case of BTCV: its label with BTCV's numbers, on the scan's own grid."""
    if not os.environ.get("MEDLAB_REALDATA"):
        pytest.skip("set MEDLAB_REALDATA to the folder with real data")
    source = Path(os.environ["MEDLAB_REALDATA"], "ct_seg", "totalseg_P1")
    base = tmp_path_factory.mktemp("real") / "RawData" / "Training"
    (base / "img").mkdir(parents=True)
    (base / "label").mkdir()
    scan = (source / "example_ct.nii.gz").read_bytes()
    (base / "img" / "img0001.nii.gz").write_bytes(scan)
    label = nib.load(source / "example_seg_fast_force_split.nii.gz")
    numbers = np.zeros(label.shape, np.uint8)
    for theirs, ours in TOTAL.items():
        numbers[np.asarray(label.dataobj) == theirs] = ours
    nib.save(nib.Nifti1Image(numbers, label.affine), base / "label" / "label0001.nii.gz")
    return base.parent.parent


@pytest.mark.real
def test_the_real_scan_is_read_and_found_in_order(real):
    assert ct.verify(real) == []
    image, label = ct.read_case(ct.cases(real)[0])
    assert nib.affines.voxel_sizes(image.affine) == pytest.approx([3, 3, 3], abs=1e-3)
    assert set(ct.ORGANS) <= set(np.unique(np.asarray(label.dataobj)))


# ml and HU wide enough for any adult: contrast or none, with gas in the stomach.
PLAUSIBLE = {
    "spleen": (80, 500, 20, 150),
    "right kidney": (80, 300, 0, 250),
    "left kidney": (80, 300, 0, 250),
    "gallbladder": (5, 120, -15, 40),
    "liver": (800, 2500, 20, 150),
    "stomach": (50, 900, -400, 90),
    "aorta": (30, 200, 20, 400),
    "pancreas": (15, 150, -30, 130),
}


@pytest.mark.real
def test_volumes_and_hounsfield_values_of_real_organs_are_plausible(real):
    image, label = ct.read_case(ct.cases(real)[0])
    values, numbers = np.asarray(image.dataobj), np.asarray(label.dataobj)
    ml_of_voxel = np.prod(nib.affines.voxel_sizes(image.affine)) / 1000
    for number, organ in ct.ORGANS.items():
        low, high, dark, bright = PLAUSIBLE[organ]
        inside = numbers == number
        assert low <= inside.sum() * ml_of_voxel <= high, f"{organ}: ml"
        assert dark <= values[inside].mean() <= bright, f"{organ}: HU"


@pytest.mark.real
def test_real_sides_agree_with_the_affine(real):
    _image, label = ct.read_case(ct.cases(real)[0])
    x = sides(label)
    assert x["liver"] > x["spleen"]
    assert x["right kidney"] > x["left kidney"]


@pytest.mark.real
def test_a_real_label_survives_a_round_trip_over_two_spacings(real):
    _image, label = ct.read_case(ct.cases(real)[0])
    numbers = np.asarray(label.dataobj)
    for new, least in ((2.0, 0.97), (5.0, 0.65)):
        back = round_trip(numbers, nib.affines.voxel_sizes(label.affine), new)
        for number, organ in ct.ORGANS.items():
            one, two = numbers == number, back == number
            dice = 2 * (one & two).sum() / (one.sum() + two.sum())
            assert dice >= least, f"{organ}: {dice:.2f} after {new} mm and back"


def round_trip(numbers, spacing, new):
    """Resample a label to another spacing and back, nearest neighbour."""
    ratio = new / spacing
    shape = tuple(np.round(numbers.shape / ratio).astype(int))
    there = ndimage.affine_transform(
        numbers, ratio, (ratio - 1) / 2, shape, order=0, mode="nearest"
    )
    return ndimage.affine_transform(
        there, 1 / ratio, (1 / ratio - 1) / 2, numbers.shape, order=0, mode="nearest"
    )
