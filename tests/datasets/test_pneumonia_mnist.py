"""PneumoniaMNIST: the made archive looks like the real one, and one reader serves both."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medlab.datasets import cache, chest_xray, find, pneumonia_mnist
from medlab.datasets.pneumonia_mnist import making
from medlab.errors import BadInput

REAL = os.environ.get("MEDLAB_REALDATA", "")
SMALL = {"patients": 24, "images_per_patient": 2, "test_patients": 10}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    pneumonia_mnist.make(folder, seed=3, **SMALL)
    return folder


def arrays_of(folder):
    with np.load(folder / pneumonia_mnist.FILE) as archive:
        return {name: archive[name] for name in archive.files}


def spoil(folder, tmp_path, **changes):
    """Write the archive again with arrays changed, or left out where the change is None."""
    arrays = arrays_of(folder) | changes
    np.savez(tmp_path / pneumonia_mnist.FILE, **{k: v for k, v in arrays.items() if v is not None})
    return tmp_path


def test_the_archive_has_the_real_names_shapes_and_types(made):
    arrays = arrays_of(made)
    assert list(arrays) == [
        f"{s}_{k}" for s in ("train", "val", "test") for k in ("images", "labels")
    ]
    for split, count in (("train", 44), ("val", 4), ("test", 10)):
        assert arrays[f"{split}_images"].shape == (count, 28, 28)
        assert arrays[f"{split}_labels"].shape == (count, 1)
    assert {a.dtype for a in arrays.values()} == {np.dtype(np.uint8)}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(made, tmp_path):
    for name, seed in (("same", 3), ("other", 4)):
        (tmp_path / name).mkdir()
        pneumonia_mnist.make(tmp_path / name, seed=seed, **SMALL)
    first = (made / pneumonia_mnist.FILE).read_bytes()
    assert (tmp_path / "same" / pneumonia_mnist.FILE).read_bytes() == first
    assert (tmp_path / "other" / pneumonia_mnist.FILE).read_bytes() != first


def test_no_patient_is_in_two_splits(tmp_path):
    chest_xray.make(tmp_path / "xray", seed=1, size=32, format="jpeg", **SMALL)
    table = chest_xray.read_table(tmp_path / "xray")
    split = making.draw_splits(table, np.random.default_rng(0))
    assert set(split) == {"train", "val", "test"}
    assert table.assign(split=split).groupby("patient")["split"].nunique().max() == 1


def test_the_reader_gives_labels_without_a_second_axis(made):
    splits = pneumonia_mnist.read(made)
    assert splits["train"].labels.shape == (44,)
    assert splits["train"].labels.dtype == np.int64
    assert pneumonia_mnist.read(made / pneumonia_mnist.FILE)["test"].images.shape == (10, 28, 28)


def test_sick_pictures_are_brighter_in_the_lungs_than_normal_ones(made):
    train = pneumonia_mnist.read(made)["train"]
    lungs = train.images[:, 8:18, 5:10].mean(axis=(1, 2)) + train.images[:, 8:18, 18:23].mean(
        (1, 2)
    )
    assert lungs[train.labels == 1].mean() > lungs[train.labels == 0].mean()


def test_a_thumbnail_is_the_central_square(tmp_path):
    wide = np.zeros((40, 100), np.uint8)
    wide[:, 30:70] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    found = making.thumbnail(tmp_path / "wide.png")
    assert found.shape == (28, 28)
    assert (found == 200).all()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"val_labels": None}, "no array val_labels"),
        ({"test_labels": np.ones((10, 1), np.uint8)}, "expected 0 and 1"),
        ({"test_labels": np.arange(9)[:, None] % 2}, "10 test_images, 9 test_labels"),
        ({"train_images": np.zeros((44, 28, 28, 3), np.uint8)}, "square grey images"),
        ({"train_images": np.full((44, 28, 28), np.nan)}, "uint8"),
    ],
)
def test_a_wrong_archive_is_named_with_its_mend(made, tmp_path, changes, says):
    folder = spoil(made, tmp_path, **changes)
    (fault,) = pneumonia_mnist.verify(folder)
    assert says in fault
    assert pneumonia_mnist.FILE in fault
    with pytest.raises(BadInput, match=pneumonia_mnist.FILE):
        pneumonia_mnist.read(folder)


def test_a_cut_off_archive_and_a_missing_one_are_named(made, tmp_path):
    assert "not found" in pneumonia_mnist.verify(tmp_path)[0]
    whole = (made / pneumonia_mnist.FILE).read_bytes()
    (tmp_path / pneumonia_mnist.FILE).write_bytes(whole[: len(whole) // 2])
    assert "cannot be read" in pneumonia_mnist.verify(tmp_path)[0]


def test_a_whole_archive_has_no_fault(made):
    assert pneumonia_mnist.verify(made) == []


def test_the_cache_key_covers_the_maker_it_is_made_from():
    data_set = find("pneumonia-mnist")
    alone = dataclasses.replace(data_set, made_from=())
    assert cache.key(data_set, {}) != cache.key(alone, {})


@pytest.mark.real
@pytest.mark.skipif(not REAL, reason="MEDLAB_REALDATA is not set")
def test_real_pictures_are_read():
    splits = pneumonia_mnist.read(Path(REAL, "cxr", "pneumoniamnist_open.npz"))
    counts = {name: len(split.labels) for name, split in splits.items()}
    assert counts == {"train": 1680, "val": 257, "test": 241}
    assert 0.8 < splits["train"].labels.mean() < 0.95
