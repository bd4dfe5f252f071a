"""The referee: hidden tests, run in the grader's process against the learner's kernel."""

import hashlib
import hmac
import time
import warnings
from dataclasses import replace

import numpy as np

from medlab.classroom.referee.proxy import LearnerError, LearnerProxy, close, error_from
from medlab.classroom.results import Status, TestResult
from medlab.course.unit import HiddenTest, Unit
from medlab.errors import BadInput
from medlab.sandbox.kernel import KernelDied, OutOfTime
from medlab.text import one_line

LONGEST_MESSAGE = 400
BAD_INPUT = BadInput.__name__  # what medlab refuses: complete by itself, such as a line of C


class Referee:
    """Judge one sitting of a unit."""

    def __init__(self, unit: Unit, key: bytes):
        """Keep the unit's tests; key makes the sitting's random numbers."""
        self._unit = unit
        self._key = key
        self._setup: dict | None = None

    def judge(self, test: HiddenTest, learner: LearnerProxy) -> TestResult:
        """Run one hidden test; whatever the learner's code does is a result, never an exception."""
        started = time.perf_counter()
        result = self._judged(test, learner)
        return replace(result, seconds=round(time.perf_counter() - started, 3))

    def _judged(self, test: HiddenTest, learner: LearnerProxy) -> TestResult:
        try:
            self._run(test, learner)
        except AssertionError as error:
            return _lost(test, Status.FAILED, str(error))
        except LearnerError as error:
            return _raised(test, error)
        except OutOfTime as error:
            return _lost(test, Status.TIMEOUT, str(error))
        except KernelDied:
            return _lost(test, Status.KILLED, "the kernel died while this ran")
        except Exception as error:
            # The test tripped over what came back: that is the answer's fault, the solution passes.
            return _lost(
                test, Status.FAILED, f"the test cannot use what came back ({_unusable(error)})"
            )
        return TestResult(test.about, test.points, test.points, Status.PASSED, "")

    def _run(self, test: HiddenTest, learner: LearnerProxy) -> None:
        namespace = dict(self._shared())
        namespace |= {"learner": learner, "rng": self._rng(test)}
        with warnings.catch_warnings():
            # A test makes odd files on purpose; libraries' remarks about them help nobody here.
            warnings.simplefilter("ignore")
            exec(_compiled(test.source, test.line, self._unit), namespace)

    def _shared(self) -> dict:
        """Return the names that all hidden tests share, from the unit's hidden setup cell."""
        if self._setup is None:
            names = {"close": close, "error_from": error_from, "__name__": "hidden"}
            exec(_compiled(self._unit.hidden_setup, 0, self._unit), names)
            self._setup = names
        return self._setup

    def _rng(self, test: HiddenTest) -> np.random.Generator:
        """Return numbers that depend on the sitting and the test, not on what ran before."""
        return np.random.default_rng(number(self._key, f"{test.exercise}/{test.number}"))


def sitting_key(secret: str, slug: str, student: str, seed: int) -> bytes:
    """Return the key of one student's sitting: nobody without the secret can foresee it."""
    return hmac.digest(secret.encode(), f"{slug}/{student}/{seed}".encode(), "sha256")


def number(key: bytes, what: str) -> int:
    """Return a repeatable 63-bit number for a purpose."""
    return int.from_bytes(hmac.digest(key, what.encode(), hashlib.sha256)[:8], "big") >> 1


def _compiled(source: str, line: int, unit: Unit):
    """Compile so that an author's traceback points into the unit's file."""
    return compile("\n" * line + source, str(unit.entry.source), "exec")


def _raised(test: HiddenTest, error: LearnerError) -> TestResult:
    if error.kind == "NotImplementedError":
        return _lost(test, Status.NOT_ATTEMPTED, "it still raises NotImplementedError")
    if error.kind == BAD_INPUT:
        return _lost(test, Status.ERROR, error.message)
    where = f" in {error.function}, line {error.line}" if error.line else ""
    return _lost(test, Status.ERROR, f"your code raised {error.kind}{where}: {error.message}")


def _lost(test: HiddenTest, status: Status, message: str) -> TestResult:
    shown = one_line(str(message), LONGEST_MESSAGE)
    return TestResult(test.about, 0, test.points, status, shown)


def _unusable(error: Exception) -> str:
    missing = "; is a `return` missing?" if "NoneType" in str(error) else ""
    return f"{type(error).__name__}: {error}{missing}"
