"""Files of sensor samples: what a feed holds, and what is wrong with it."""

import re
import struct
from pathlib import Path

from medlab.errors import BadInput

LOWEST, HIGHEST = -(2**15), 2**16 - 1


def read_feed(path: Path) -> list[int]:
    """Return the samples in a file: whole numbers from -32768 to 65535.

    .npy: whole numbers of any shape, row by row. .bin: 16-bit integers, little-endian. Anything
    else: text, numbers separated by white space or commas, `#` begins a comment. Raises BadInput.
    """
    try:
        return _check(READERS.get(path.suffix, _read_text)(path), path)
    except OSError as problem:
        raise BadInput(
            f"cannot read the feed {path}: {problem.strerror}: name a file of samples"
        ) from None


def read_stretch(text: str) -> range:
    """Return the numbers of samples from FROM up to TO, written as FROM:TO. Raises BadInput."""
    found = re.fullmatch(r"(\d+):(\d+)", text.strip())
    if not found or int(found[1]) >= int(found[2]):
        raise BadInput(f"{text!r} is not a range of samples: write one such as 3600:7200")
    return range(int(found[1]), int(found[2]))


def _read_text(path: Path) -> list[int]:
    samples = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        for word in re.split(r"[\s,;]+", line.partition("#")[0]):
            if word:
                samples.append(_whole(word, f"{path}, line {number}"))
    return samples


def _whole(word: str, where: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise BadInput(f"{where}: {word[:20]!r} is not an integer: round samples first") from None


def _read_binary(path: Path) -> list[int]:
    content = path.read_bytes()
    if len(content) % 2:
        raise BadInput(f"{path} has {len(content)} bytes: 16-bit samples need an even number")
    return [sample for (sample,) in struct.iter_unpack("<h", content)]


def _read_numpy(path: Path) -> list[int]:
    import numpy as np

    try:
        samples = np.load(path, allow_pickle=False)
    except (ValueError, EOFError):
        samples = None
    if not isinstance(samples, np.ndarray):
        raise BadInput(f"{path} is not a NumPy file: save it with numpy.save")
    if samples.dtype.kind not in "iu":
        raise BadInput(f"{path} holds {samples.dtype}: round samples to integers first")
    return [int(sample) for sample in samples.ravel()]


READERS = {".npy": _read_numpy, ".bin": _read_binary}


def _check(samples: list[int], path: Path) -> list[int]:
    for number, sample in enumerate(samples, start=1):
        if not LOWEST <= sample <= HIGHEST:
            raise BadInput(f"{path}: sample {number} is {sample}, more than 16 bits hold")
    return samples
