"""Views show slices in true proportions, in grey, with one range of brightness."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt

from medlab.errors import BadInput
from medlab.notebook.views import show_slice, show_slices

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def _close_all():
    yield
    plt.close("all")


def images(figure):
    return [axis.get_images()[0] for axis in figure.axes]


def volume(slices=10):
    return np.arange(slices * 12, dtype=np.int16).reshape(slices, 3, 4)


def test_a_volume_shows_six_slices_from_the_first_to_the_last():
    titles = [axis.get_title() for axis in show_slices(volume(11)).axes]
    assert titles == ["slice 0", "slice 2", "slice 4", "slice 6", "slice 8", "slice 10"]


def test_few_slices_are_all_shown():
    assert len(show_slices(volume(3)).axes) == 3


def test_pixels_take_the_proportions_of_their_spacing():
    for spacing in [(5.0, 2.0, 1.0), (2.0, 1.0)]:
        figure = show_slices(volume(2), spacing=spacing)
        assert [axis.get_aspect() for axis in figure.axes] == [2.0, 2.0]


def test_pixels_are_square_without_a_spacing():
    assert show_slices(volume(1)).axes[0].get_aspect() == 1.0


def test_all_slices_share_one_range_of_brightness():
    assert {image.get_clim() for image in images(show_slices(volume(3)))} == {(0, 35)}


def test_a_window_gives_the_values_of_black_and_white():
    assert images(show_slice(volume()[0], window=(-100, 300)))[0].get_clim() == (-100, 300)


def test_nan_and_infinity_do_not_spoil_the_range():
    image = np.array([[np.nan, 1.0], [3.0, np.inf]])
    assert images(show_slice(image))[0].get_clim() == (1.0, 3.0)
    show_slice(np.full((2, 2), np.nan))


def test_the_map_is_grey_and_a_mask_can_be_shown():
    image = images(show_slice(np.eye(3, dtype=bool), title="a mask"))[0]
    assert image.get_cmap().name == "gray"
    assert image.axes.get_title() == "a mask"


def test_a_colour_image_is_shown():
    assert images(show_slice(np.zeros((4, 5, 3), np.uint8)))[0].get_array().shape == (4, 5, 3)


def test_images_of_different_shapes_stand_side_by_side():
    figure = show_slices([np.zeros((2, 3)), np.ones((4, 4))], titles=["before", "after"])
    assert [axis.get_title() for axis in figure.axes] == ["before", "after"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"volume": np.zeros((4, 4))},
        {"volume": []},
        {"volume": np.zeros((2, 3, 4, 5))},
        {"volume": volume(2), "titles": ["one"]},
        {"volume": volume(2), "spacing": (1.0,)},
        {"volume": volume(2), "spacing": (1.0, 0.0, 1.0)},
    ],
    ids=["an image", "nothing", "four axes", "one title", "one spacing", "spacing of zero"],
)
def test_what_cannot_be_shown_is_refused_and_leaves_no_figure(wrong):
    with pytest.raises(BadInput):
        show_slices(**wrong)
    assert plt.get_fignums() == []


def test_matplotlib_is_imported_late():
    code = "import sys, medlab.notebook.views; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
