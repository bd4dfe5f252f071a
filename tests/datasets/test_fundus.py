"""The fundus stand-in has APTOS's layout, known causes, and readers that name what is wrong."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage

from medlab.datasets import find, fundus
from medlab.datasets.fundus import patients
from medlab.errors import BadInput

REAL = os.environ.get("MEDLAB_REALDATA")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fundus")
    fundus.make(folder, seed=3, patients=60)
    return folder


@pytest.fixture
def small(tmp_path):
    fundus.make(tmp_path, seed=1, patients=3, size=48)
    return tmp_path


@pytest.fixture(scope="module")
def clinic():
    return patients.draw_patients(np.random.default_rng(0), 20_000)


def test_the_layout_is_that_of_aptos(made):
    grades = pd.read_csv(made / "train.csv")
    assert list(grades.columns) == ["id_code", "diagnosis"]
    assert sorted(p.stem for p in (made / "train_images").iterdir()) == sorted(grades["id_code"])
    assert grades["id_code"].str.fullmatch("[0-9a-f]{12}").all()
    with Image.open(made / "train_images" / f"{grades['id_code'][0]}.png") as image:
        assert (image.mode, image.size, image.format) == ("RGB", (96, 96), "PNG")


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        fundus.make(tmp_path / name, seed=seed, patients=10, size=48)
    content = {
        name: [p.read_bytes() for p in sorted((tmp_path / name).rglob("*")) if p.is_file()]
        for name in "abc"
    }
    assert content["a"] == content["b"] != content["c"]


def test_what_was_made_is_found_free_of_faults(made):
    assert fundus.verify(made) == []


def test_the_registry_knows_the_set():
    assert find("fundus").load() is fundus


def test_a_setting_out_of_range_is_refused(tmp_path):
    with pytest.raises(BadInput, match="32 pixels or more"):
        fundus.make(tmp_path, size=8)


# What is true about the generated patients


def test_the_grade_is_severity_cut_at_the_stated_points(clinic):
    _, truth = clinic
    assert (truth["grade"] == np.digitize(truth["severity"], patients.CUTS)).all()
    assert truth["grade"].value_counts(normalize=True).min() > 0.07


def test_severity_depends_on_its_three_causes_in_their_order_and_on_nothing_else(clinic):
    table, truth = clinic
    table = table.assign(sex=table["sex"] == "M", duration_years=np.log(table["duration_years"]))
    design = table.astype(float).pipe(lambda t: (t - t.mean()) / t.std())
    found = np.linalg.lstsq(design.to_numpy(), truth["severity"], rcond=None)[0]
    for name, weight in zip(design.columns, found, strict=True):
        assert weight == pytest.approx(patients.WEIGHTS.get(name, 0), abs=0.04), name


def test_patients_are_plausible_and_complete(clinic):
    table, _ = clinic
    assert tuple(table.columns) == fundus.COLUMNS
    assert table.notna().all(axis=None)
    assert table["hba1c_percent"].between(4.8, 14).all()
    assert (table["duration_years"] < table["age_years"]).all()


def test_lesions_grow_with_the_grade(made):
    truth = pd.read_csv(made / "truth" / "images.csv")
    total = truth[["microaneurysms", "haemorrhages", "exudates"]].sum(axis=1)
    means = total.groupby(truth["grade"]).mean()
    assert means[0] < 2 < means[2] < means[4]


def test_lesions_lie_where_the_mask_says(made):
    truth = pd.read_csv(made / "truth" / "images.csv").set_index("id_code")
    sharp = truth.index[(truth["quality"] > 0.7) & (truth["grade"] >= 2)][:6]
    assert len(sharp) >= 3
    for name in sharp:
        green = fundus.read_photograph(made / "train_images" / f"{name}.png")[..., 1].astype(float)
        unlike = np.abs(green - ndimage.median_filter(green, 15))
        mask = fundus.read_mask(made, name)
        beside = ndimage.binary_dilation(mask, iterations=4) & ~mask
        assert unlike[mask].mean() > 2 * unlike[beside].mean(), name


def test_bad_quality_blurs(made):
    truth = pd.read_csv(made / "truth" / "images.csv").set_index("id_code")
    vessels = []
    for name in (truth["quality"].idxmin(), truth["quality"].idxmax()):
        grey = fundus.read_photograph(made / "train_images" / f"{name}.png")[30:66, 30:66, 1]
        smooth = grey.reshape(12, 3, 12, 3).mean(axis=(1, 3))  # takes the noise out
        vessels.append(np.ptp(smooth))
    assert vessels[0] < vessels[1]


# Readers


def test_the_table_joins_grades_and_patients(made):
    table = fundus.read_table(made)
    assert list(table.columns) == ["id_code", "path", "diagnosis", *fundus.COLUMNS]
    assert fundus.read_images(made, table).shape == (60, 96, 96, 3)


def test_a_folder_without_patients_is_read_as_aptos_is(small):
    (small / "patients.csv").unlink()
    assert list(fundus.read_table(small).columns) == ["id_code", "path", "diagnosis"]


def test_a_csv_with_a_missing_column_is_refused_by_file_and_column(small):
    for file, column in (("train.csv", "diagnosis"), ("patients.csv", "hba1c_percent")):
        whole = (small / file).read_text()
        pd.read_csv(small / file).drop(columns=column).to_csv(small / file, index=False)
        with pytest.raises(BadInput, match=f"{file} has no column {column}.*add it"):
            fundus.read_table(small)
        (small / file).write_text(whole)


def test_a_row_without_its_photograph_is_refused_by_name(small):
    gone = sorted((small / "train_images").iterdir())[1]
    gone.unlink()
    with pytest.raises(BadInput, match=f"{gone.stem} has no photograph: put .*delete the row"):
        fundus.read_table(small)


def test_a_row_without_its_patient_is_refused_by_name(small):
    pd.read_csv(small / "patients.csv").iloc[1:].to_csv(small / "patients.csv", index=False)
    with pytest.raises(BadInput, match=r"patients.csv has no row for id_code"):
        fundus.read_table(small)


def test_an_empty_cell_is_refused_by_name(small):
    table = pd.read_csv(small / "patients.csv")
    table.loc[1, "bmi_kg_m2"] = None
    table.to_csv(small / "patients.csv", index=False)
    with pytest.raises(BadInput, match=f"{table['id_code'][1]} has no bmi_kg_m2"):
        fundus.read_table(small)


def test_a_grade_out_of_range_and_a_name_twice_are_refused(small):
    table = pd.read_csv(small / "train.csv")
    table.assign(diagnosis=[0, 5, 1]).to_csv(small / "train.csv", index=False)
    with pytest.raises(BadInput, match="has diagnosis 5: grades are 0 to 4"):
        fundus.read_table(small)
    table.loc[[0, 0, 1, 2]].to_csv(small / "train.csv", index=False)
    with pytest.raises(BadInput, match="duplicate id_code"):
        fundus.read_table(small)


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"train.csv not found"):
        fundus.read_table(tmp_path)


def test_a_truncated_photograph_is_refused_and_verify_lists_it(small):
    path = sorted((small / "train_images").iterdir())[0]
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(BadInput, match=f"{path.name} cannot be read.*fetch it again"):
        fundus.read_photograph(path)
    assert [path.name in fault for fault in fundus.verify(small)] == [True]


def test_verify_lists_a_dark_photograph_and_one_without_a_row(small):
    paths = sorted((small / "train_images").iterdir())
    Image.new("RGB", (48, 48)).save(paths[0])
    Image.new("RGB", (48, 48)).save(small / "train_images" / "stray.png")
    faults = fundus.verify(small)
    assert len(faults) == 2
    assert "stray.png has no row" in faults[0]
    assert "the image is dark" in faults[1]


def test_photographs_of_different_shape_need_a_size(small):
    table = fundus.read_table(small)
    Image.new("RGB", (60, 40), (120, 60, 20)).save(small / table["path"][1])
    with pytest.raises(BadInput, match="pass a size"):
        fundus.read_images(small, table)
    assert fundus.read_images(small, table, size=32).shape == (3, 32, 32, 3)


def test_the_field_is_found_in_a_wide_image_with_a_bright_speck():
    y, x = np.mgrid[:100, :160]
    pixels = np.zeros((100, 160, 3), np.uint8)
    pixels[(x - 70) ** 2 + (y - 52) ** 2 < 40**2] = (150, 70, 30)
    pixels[3, 150] = 255
    rows, columns = fundus.field_of_view(pixels)
    found = [rows.start, rows.stop, columns.start, columns.stop]
    assert np.allclose(found, [13, 92, 31, 110], atol=2)


def test_a_real_photograph_has_no_mask(small):
    with pytest.raises(BadInput, match="only generated photographs"):
        fundus.read_mask(small, "no-such")


@pytest.mark.real
@pytest.mark.skipif(not REAL, reason="MEDLAB_REALDATA names no folder of real data")
def test_real_photographs_are_read_and_their_field_of_view_holds_the_marked_lesions():
    """28 photographs of IDRiD, 4288 x 2848; boxes are class, centre x, centre y, width, height."""
    paths = sorted(Path(REAL, "retina", "idrid_via_codras").glob("*.jpg"))
    assert len(paths) == 28
    for path in paths[::4]:
        pixels = fundus.read_photograph(path)
        rows, columns = fundus.field_of_view(pixels)
        height, width = pixels.shape[:2]
        assert (height, width) == (2848, 4288)
        assert 0.7 * width < columns.stop - columns.start < 0.95 * width, path.name
        assert rows.stop - rows.start > 0.95 * height, path.name
        boxes = np.loadtxt(path.with_suffix(".txt"), ndmin=2)
        assert (boxes[:, 1] * width > columns.start).all(), path.name
        assert (boxes[:, 1] * width < columns.stop).all(), path.name


@pytest.mark.real
@pytest.mark.skipif(not REAL, reason="MEDLAB_REALDATA names no folder of real data")
def test_a_real_photograph_comes_out_square_with_a_dark_surround_and_a_red_field():
    paths = sorted(Path(REAL, "retina", "idrid_via_codras").glob("*.jpg"))[1::7]
    for path in paths:
        pixels = fundus.read_photograph(path, size=96).astype(float)
        assert pixels.shape == (96, 96, 3)
        red, green, blue = pixels[40:56, 40:56].mean(axis=(0, 1))
        assert red > green > blue, path.name
        corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert corners.mean() < 25, path.name
