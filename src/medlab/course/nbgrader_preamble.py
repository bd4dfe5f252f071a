"""The names that hidden tests use, for a grader in which they share the learner's process.

nbgrader runs this text in the submission's own kernel. It leaves one name in the notebook,
`hidden`, so that hidden tests and the learner's functions cannot overwrite each other's names.

Kept from medlab: arguments reach the learner as copies, an exception becomes a LearnerError, and
what is written to stderr costs nothing.
Not kept: seeds are the same for every student, and nothing stops a learner who reads this.
"""

import contextlib
import copy
import importlib
import io
from pathlib import Path

np = importlib.import_module("numpy")
shared: dict = {}  # what all hidden tests see


class LearnerError(Exception):
    """The learner's code raised an exception."""

    def __init__(self, kind: str, message: str):
        super().__init__(f"{kind}: {message}")
        self.kind, self.message = kind, message


class Learner:
    """Give a hidden test the notebook's names."""

    def __init__(self, names: dict):
        self._names = names

    def __getattr__(self, name: str):
        return lambda *args, **kwargs: _call(self[name], *copy.deepcopy((args, kwargs)))

    def __getitem__(self, name: str):
        if name not in self._names:
            raise LearnerError("NameError", f"name '{name}' is not defined")
        return self._names[name]

    def put_file(self, path: str, content: bytes) -> str:
        """Write a file into the working folder and return its path."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content)
        return path


def _call(function, args: tuple, kwargs: dict):
    try:
        return function(*args, **kwargs)
    except Exception as error:
        raise LearnerError(type(error).__name__, str(error)) from error


def error_from(function, *args, **kwargs) -> LearnerError | None:
    """Return the exception that a function of the learner's raised, or None."""
    try:
        function(*args, **kwargs)
    except LearnerError as error:
        return error
    except Exception as error:  # a method of an object that the learner's code returned
        return LearnerError(type(error).__name__, str(error))
    return None


def close(got, expected, atol: float = 1e-6, rtol: float = 1e-5) -> bool:
    """Tell whether numbers agree in shape and value; False for anything that is not a number."""
    try:
        same_shape = np.shape(got) == np.shape(expected)
        return same_shape and bool(np.allclose(got, expected, rtol, atol, equal_nan=True))
    except (TypeError, ValueError):
        return False


def start(notebook: dict, setup: str) -> None:
    """Run a unit's hidden setup; notebook holds the learner's names."""
    shared.update(__name__="hidden", close=close, error_from=error_from)
    exec(setup, shared)
    shared["learner"] = Learner(notebook)


def test(source: str, seed: int) -> None:
    """Run one hidden test; it raises what the test raises."""
    # A cell that writes to stderr scores 0 in nbgrader, were it a progress bar or a warning.
    with contextlib.redirect_stderr(io.StringIO()):
        exec(source, {**shared, "rng": np.random.default_rng(seed)})
