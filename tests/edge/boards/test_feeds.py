"""Files of samples, and what is said about those that hold none."""

import numpy as np
import pytest

from medlab.edge.boards.feeds import read_feed, read_stretch
from medlab.errors import BadInput


def test_text_numpy_and_binary_hold_the_same_samples(tmp_path):
    samples = [0, -1, 4095, -32768, 32767]
    (tmp_path / "a.txt").write_text("0, -1 4095 # rest\n\n-32768;32767\n")
    np.save(tmp_path / "a.npy", np.array([samples], dtype=np.int32))
    (tmp_path / "a.bin").write_bytes(np.array(samples, dtype="<i2").tobytes())
    assert all(read_feed(tmp_path / f"a.{kind}") == samples for kind in ("txt", "npy", "bin"))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", b"1\n2 3.5\n", "line 2: '3.5' is not an integer"),
        ("a.csv", b"1,70000\n", "sample 2 is 70000, more than 16 bits hold"),
        ("a.bin", b"123", "3 bytes"),
        ("a.npy", b"nothing", "not a NumPy file"),
    ],
)
def test_a_bad_feed_is_one_line(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=says) as told:
        read_feed(tmp_path / name)
    assert "\n" not in str(told.value)


def test_a_feed_of_fractions_is_one_line(tmp_path):
    np.save(tmp_path / "a.npy", np.array([0.5]))
    with pytest.raises(BadInput, match="holds float64: round"):
        read_feed(tmp_path / "a.npy")


def test_several_arrays_are_no_feed(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.arange(3))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(BadInput, match="not a NumPy file"):
        read_feed(tmp_path / "a.npy")


def test_a_feed_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(BadInput, match="cannot read the feed"):
        read_feed(tmp_path / "a.txt")


def test_a_stretch_of_samples_is_read_and_a_bad_one_is_one_line():
    assert read_stretch("36:72") == range(36, 72)
    for said in ("36", "72:36", "5:5", "a:b", "-1:4"):
        with pytest.raises(BadInput, match="not a range of samples"):
            read_stretch(said)
