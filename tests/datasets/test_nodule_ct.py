"""Lung nodules: the stand-in has LUNA16's layout and is hard; readers refuse what would mislead."""

import re

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from scipy import ndimage
from sklearn.metrics import fbeta_score, roc_auc_score

from medlab import datasets
from medlab.datasets import nodule_ct as nc
from medlab.datasets.nodule_ct.nodules import KINDS
from medlab.errors import BadInput

XYZ = ["coordX", "coordY", "coordZ"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nodules")
    nc.make(folder, seed=3, scans=20, candidates=50, prevalence=0.03)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """One subset of the made set, to be spoilt."""
    (tmp_path / "subset2").mkdir()
    for path in (made / "subset2").iterdir():
        (tmp_path / "subset2" / path.name).write_bytes(path.read_bytes())
    here = nc.find_series(tmp_path)
    for name in ("annotations", "candidates_V2"):
        table = pd.read_csv(made / f"{name}.csv")
        table[table.seriesuid.isin(here)].to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


@pytest.fixture(scope="module")
def many():
    """A larger set, for what only many nodules show."""
    return datasets.folder("nodule-ct", seed=5, scans=60, candidates=50, prevalence=0.04)


def a_scan(folder):
    return next(path for _subset, path in nc.find_series(folder).values())


def spoil(folder, name, change):
    """Change a table and write it back."""
    table = pd.read_csv(folder / f"{name}.csv")
    changed = change(table)
    (table if changed is None else changed).to_csv(folder / f"{name}.csv", index=False)


def refusal(call, folder) -> str:
    """Return the one line with which the reader refuses; verify says the same."""
    with pytest.raises(BadInput) as refused:
        call()
    assert str(refused.value) in nc.verify(folder)
    return str(refused.value)


def test_the_stand_in_lies_as_luna16_does(made):
    uids = nc.find_series(made)
    assert len(uids) == 20
    for uid, (subset, path) in uids.items():
        assert path == made / f"subset{subset}" / f"{uid}.mhd"
        assert path.with_suffix(".raw").is_file()
    annotations = pd.read_csv(made / "annotations.csv")
    candidates = pd.read_csv(made / "candidates_V2.csv")
    assert list(annotations) == ["seriesuid", *XYZ, "diameter_mm"]
    assert list(candidates) == ["seriesuid", *XYZ, "class"]
    assert nc.verify(made) == []


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(tmp_path):
    for name, seed in (("one", 7), ("two", 7), ("other", 8)):
        nc.make(tmp_path / name, seed=seed, scans=10, candidates=50)
    one, two, other = (
        {p.relative_to(base): p.read_bytes() for p in base.rglob("*") if p.is_file()}
        for base in (tmp_path / "one", tmp_path / "two", tmp_path / "other")
    )
    assert one == two
    assert not set(one.values()) & set(other.values())


def test_prevalence_is_exact_in_every_subset(made):
    candidates = nc.read_candidates(made)
    assert len(candidates) == 20 * 50
    assert set(candidates.groupby("subset")["class"].mean()) == {0.03}
    assert len(nc.read_annotations(made)) == candidates["class"].sum()


def test_every_scan_is_in_one_subset(made):
    assert (nc.read_candidates(made).groupby("seriesuid").subset.nunique() == 1).all()


@pytest.mark.parametrize(
    ("settings", "mend"),
    [
        ({"scans": 12}, "multiple of 10"),
        ({"scans": 0}, "multiple of 10"),
        ({"prevalence": 0.0213}, "choose numbers that give a whole one"),
        ({"prevalence": 0.0}, "choose numbers that give a whole one"),
        ({"prevalence": 0.5}, "too high"),
    ],
)
def test_settings_without_exact_prevalence_are_refused(tmp_path, settings, mend):
    with pytest.raises(BadInput, match=mend):
        nc.make(tmp_path, **{"scans": 10, **settings})


def test_positive_candidates_lie_in_nodules_and_all_others_far_from_them(made):
    candidates, nodules = nc.read_candidates(made), nc.read_annotations(made)
    for uid, rows in candidates.groupby("seriesuid"):
        here = nodules[nodules.seriesuid == uid]
        gaps = np.linalg.norm(rows[XYZ].to_numpy()[:, None] - here[XYZ].to_numpy(), axis=2)
        edge = gaps - here.diameter_mm.to_numpy() / 2
        for row, label in zip(edge, rows["class"], strict=True):
            assert row.min(initial=99) < 1 if label else row.min(initial=99) > 6


def test_nodules_have_plausible_sizes_and_kinds(many):
    truth = pd.read_csv(many / "truth" / "nodules.csv")
    assert truth.diameter_mm.between(3, 16).all()
    assert 5 < truth.diameter_mm.median() < 8
    assert set(truth.kind) == set(KINDS)


def test_tissues_have_their_hounsfield_values(many):
    truth = pd.read_csv(many / "truth" / "candidates.csv")
    centre = nc.read_patches(many, truth, side=2, spacing=1.0).mean(axis=(1, 2, 3))
    assert -900 < np.median(centre[truth.what == "lung"]) < -780
    nodules = pd.read_csv(many / "truth" / "nodules.csv")
    large = nodules[(nodules.diameter_mm > 7) & ~nodules.spiculated]
    found = nc.read_patches(many, large, side=2, spacing=1.0).mean(axis=(1, 2, 3))
    for kind, low, high in (("solid", -60, 90), ("ground-glass", -780, -520)):
        assert low < np.median(found[large.kind == kind]) < high


def test_the_mean_hounsfield_value_of_the_centre_does_not_solve_the_task(many):
    candidates = nc.read_candidates(many)
    label = candidates["class"].to_numpy()
    for side in (2, 4):
        centre = nc.read_patches(many, candidates, side=side).mean(axis=(1, 2, 3))
        assert 0.5 < roc_auc_score(label, centre) < 0.85
        best = max(
            fbeta_score(label, centre >= cut, beta=2)
            for cut in np.quantile(centre, np.linspace(0, 0.99, 60))
        )
        assert best < 0.4


def test_a_vessel_looks_like_a_nodule_in_a_slice_and_not_across_it(many):
    """What a slice of a vessel shows goes on in the next ones; a nodule ends."""
    truth = pd.read_csv(many / "truth" / "candidates.csv")
    patches = nc.read_patches(many, truth, side=16, spacing=1.0).astype(np.float32)
    middle = patches[:, 6:10, 6:10, 6:10].mean(axis=(1, 2, 3))
    tissue = patches > -400
    reach = np.zeros(len(tissue))
    for at in np.flatnonzero(middle > -400):
        parts, _count = ndimage.label(tissue[at])
        body = parts == parts[7:9, 7:9, 7:9].max()
        reach[at] = max(np.ptp(axis) for axis in np.nonzero(body))
    dense = middle > -400
    alone = pd.read_csv(many / "truth" / "nodules.csv").beside.eq("lung").mean()
    assert alone > 0.3
    assert np.median(reach[dense & (truth.what == "vessel")]) > 12
    assert np.quantile(reach[dense & (truth.what == "nodule")], 0.25) < 12


def test_scanners_differ_in_noise(many):
    quiet = []
    for _subset, path in list(nc.find_series(many).values())[:12]:
        hu = nc.read_volume(path).hu
        quiet.append(np.median(np.abs(np.diff(hu, axis=2))))
    assert max(quiet) > 1.5 * min(quiet)


def test_weaker_nodules_have_less_contrast(tmp_path):
    for name, strength in (("full", 1.0), ("weak", 0.4)):
        nc.make(tmp_path / name, scans=10, strength=strength)
    full, weak = (
        nc.read_patches(tmp_path / n, nc.read_annotations(tmp_path / n), side=2).mean()
        for n in ("full", "weak")
    )
    assert weak < full - 100


def test_patches_have_one_orientation_whichever_way_a_scan_is_stored(folder, tmp_path):
    path = a_scan(folder)
    table = nc.read_candidates(folder)
    before = nc.read_patches(folder, table, side=8)
    image = sitk.ReadImage(str(path))
    for axes in ((True, True, False), (False, False, True)):
        sitk.WriteImage(sitk.Flip(image, axes), str(path))
        assert np.abs(nc.read_patches(folder, table, side=8) - before).max() <= 1


def test_a_patch_is_centred_on_its_point(folder):
    path = a_scan(folder)
    image = sitk.ReadImage(str(path))
    values = sitk.GetArrayFromImage(image)
    values[:] = -900
    values[20, 30, 40] = 500
    marked = sitk.GetImageFromArray(values)
    marked.CopyInformation(image)
    sitk.WriteImage(marked, str(path))
    point = image.TransformIndexToPhysicalPoint((40, 30, 20))
    row = pd.DataFrame([{"seriesuid": path.stem, **dict(zip(XYZ, point, strict=True))}])
    [patch] = nc.read_patches(folder, row, side=5, spacing=1.0)
    assert np.unravel_index(patch.argmax(), patch.shape) == (2, 2, 2)
    assert patch[2, 2, 2] == 500


def test_some_subsets_are_read_without_the_others(made, folder):
    rows = nc.read_candidates(made, subsets=(2, 5))
    assert set(rows.subset) == {2, 5}
    assert set(nc.read_annotations(made, subsets=(5,)).subset) <= {5}
    with pytest.raises(BadInput, match=r"unpack subset7\.zip here"):
        nc.read_candidates(folder, subsets=(2, 7))


# --- bad input -----------------------------------------------------------------------------------
def test_a_folder_without_subsets_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"no folder subset0: unpack"):
        nc.find_series(tmp_path)
    assert len(nc.verify(tmp_path)) == 1


def test_an_empty_subset_is_refused(folder):
    (folder / "subset4").mkdir()
    assert "holds no .mhd file" in refusal(lambda: nc.find_series(folder), folder)


def test_a_series_in_two_subsets_is_refused(folder):
    path = a_scan(folder)
    (folder / "subset6").mkdir()
    (folder / "subset6" / path.name).write_bytes(path.read_bytes())
    assert "in two splits" in refusal(lambda: nc.find_series(folder), folder)


@pytest.mark.parametrize("name", ["annotations", "candidates_V2"])
def test_a_missing_table_is_refused(folder, name):
    (folder / f"{name}.csv").unlink()
    read = nc.read_annotations if name == "annotations" else nc.read_candidates
    assert f"{name}.csv not found" in refusal(lambda: read(folder), folder)


@pytest.mark.parametrize(
    ("name", "column"),
    [("annotations", "diameter_mm"), ("candidates_V2", "class"), ("candidates_V2", "coordY")],
)
def test_a_missing_column_is_refused_by_name(folder, name, column):
    spoil(folder, name, lambda table: table.drop(columns=column))
    read = nc.read_annotations if name == "annotations" else nc.read_candidates
    said = refusal(lambda: read(folder), folder)
    assert f"{name}.csv has no column {column}" in said
    assert "name it in the first line" in said


@pytest.mark.parametrize("value", [np.nan, np.inf, "left"])
def test_a_coordinate_that_is_no_number_is_refused_by_line(folder, value):
    def change(table):
        table["coordX"] = table["coordX"].astype(object)
        table.loc[3, "coordX"] = value

    spoil(folder, "candidates_V2", change)
    said = refusal(lambda: nc.read_candidates(folder), folder)
    assert "candidates_V2.csv: line 5: coordX is not a number" in said


@pytest.mark.parametrize(
    ("name", "column", "value", "mend"),
    [
        ("candidates_V2", "class", 2, "class 2: write 1 for a nodule"),
        ("annotations", "diameter_mm", 0, "diameter_mm is not above 0"),
    ],
)
def test_a_value_that_cannot_be_is_refused(folder, name, column, value, mend):
    spoil(folder, name, lambda table: table.assign(**{column: value}))
    read = nc.read_annotations if name == "annotations" else nc.read_candidates
    assert mend in refusal(lambda: read(folder), folder)


def test_a_row_whose_series_is_missing_is_refused(folder):
    path = a_scan(folder)
    path.unlink()
    said = refusal(lambda: nc.read_candidates(folder), folder)
    assert f"series {path.stem} has no .mhd file" in said
    assert "unpack the subset" in said


def test_a_point_outside_its_scan_is_refused(folder):
    spoil(folder, "candidates_V2", lambda table: table.assign(coordX=table.coordX + 500))
    said = refusal(lambda: nc.read_patches(folder, nc.read_candidates(folder)), folder)
    assert "is outside this scan" in said
    assert ".mhd" in said


def test_a_scan_without_spacing_is_refused(folder):
    path = a_scan(folder)
    path.write_text(re.sub(r"ElementSpacing.*\n", "", path.read_text()))
    said = refusal(lambda: nc.read_volume(path), folder)
    assert f"{path.name}: no line ElementSpacing" in said


@pytest.mark.parametrize("share", [0.0, 0.5, 2.0])
def test_a_raw_file_of_another_size_is_refused(folder, share):
    path = a_scan(folder)
    raw = path.with_suffix(".raw")
    content = raw.read_bytes()
    raw.write_bytes((content * 2)[: int(len(content) * share)])
    assert "truncated" in refusal(lambda: nc.read_volume(path), folder)


def test_a_missing_raw_file_is_refused(folder):
    path = a_scan(folder)
    path.with_suffix(".raw").unlink()
    assert "unpack or copy it again" in refusal(lambda: nc.read_volume(path), folder)


def test_voxels_that_are_not_finite_are_refused(folder):
    path = a_scan(folder)
    image = sitk.ReadImage(str(path), sitk.sitkFloat32)
    image[3, 3, 3] = float("nan")
    sitk.WriteImage(image, str(path))
    assert "1 voxels are NaN" in refusal(lambda: nc.read_volume(path), folder)


def test_what_is_no_header_is_refused(folder):
    path = a_scan(folder)
    path.write_bytes(b"\xff\xfe\x00\x01" * 20)
    assert "is not a MetaImage header" in refusal(lambda: nc.read_volume(path), folder)
    path.write_text("ElementSpacing = 1 1 1\nDimSize = a b\n")
    assert "is not a readable MetaImage" in refusal(lambda: nc.read_volume(path), folder)


def test_two_axes_are_refused(folder):
    path = a_scan(folder)
    sitk.WriteImage(sitk.ReadImage(str(path))[:, :, 3], str(path))
    assert "2 axes" in refusal(lambda: nc.read_volume(path), folder)


def test_verify_names_a_scan_that_is_not_in_hounsfield_units(folder):
    path = a_scan(folder)
    sitk.WriteImage(sitk.Abs(sitk.ReadImage(str(path))), str(path))
    [fault] = nc.verify(folder)
    assert "apply slope and intercept" in fault
