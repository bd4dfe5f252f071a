"""The learner as a hidden test sees them: names, calls and data that cross over by themselves."""

import io
import math
import time

import numpy as np

from medlab.classroom.referee import wire
from medlab.classroom.referee.answering import ANSWER
from medlab.sandbox.kernel import Kernel, OutOfTime


class LearnerError(Exception):
    """The learner's code raised an exception."""

    def __init__(self, kind: str, message: str, function: str = "", line: int | None = None):
        super().__init__(f"{kind}: {message}")
        self.kind = kind  # name of the exception's class
        self.message = message
        self.function = function  # of the notebook, in which it was raised
        self.line = line  # in that function's cell, from 1


class HeldObject:
    """Something of the learner's that is not plain data: it stays there, reached through here."""

    def __init__(self, learner: "LearnerProxy", at: int, type_name: str):
        self._learner, self._at, self._type = learner, at, type_name

    def __call__(self, *args, **kwargs):
        return self._learner.request("call", of=self, args=list(args), kwargs=kwargs)

    def __getattr__(self, name: str):
        if name.startswith("_"):
            raise AttributeError(name)
        return self._learner.request("get", of=self, name=name)

    def __getitem__(self, key):
        return self._learner.request("item", of=self, key=key)

    def __str__(self) -> str:
        return str(self._learner.request("text", of=self))

    def __repr__(self) -> str:
        return f"<the learner's {self._type}>"

    def __iter__(self):
        raise TypeError(f"a {self._type} of the learner's cannot be looped over from here")


class LearnerProxy:
    """Give a hidden test the names of a learner's kernel.

    `learner.f(x)` calls f there, `learner["name"]` fetches data, `learner.put_file(name, content)`
    writes into the learner's folder and returns the path there.
    """

    def __init__(self, kernel: Kernel, seconds: float = math.inf):
        """Speak to a kernel; all calls together may take so many seconds."""
        self._kernel = kernel
        self._until = time.monotonic() + seconds
        self._seconds = seconds

    def __getattr__(self, name: str):
        if name.startswith("_"):
            raise AttributeError(name)
        return Function(self, name)

    def __getitem__(self, name: str):
        return self.request("name", name=name)

    def put_file(self, path: str, content: bytes) -> str:
        """Write a file into the learner's working folder; return its path there."""
        return self.request("file", path=path, content=content)

    def request(self, do: str, **what):
        """Send one request and return its value; raise LearnerError if the learner's code did."""
        text = wire.dumps({"do": do, **what}, _send)
        answer = wire.loads(self._ask(text), self._receive)
        if not isinstance(answer, dict) or not answer.keys() & {"value", "error"}:
            raise ValueError("malformed answer")
        if "error" in answer:
            raise LearnerError(**answer["error"])
        return answer["value"]

    def _ask(self, text: str) -> str:
        """Have the kernel answer the wire text of a request with wire text."""
        call = (
            "__import__('medlab.classroom.referee.answering', fromlist=['answer'])"
            f".answer(get_ipython().user_ns, {text!r}, {self._kernel.limits.answer_bytes})"
        )
        left = self._until - time.monotonic()
        try:
            return self._kernel.ask(call, ANSWER, left)
        except OutOfTime:
            if time.monotonic() < self._until:
                raise  # this call, or the whole sitting, took too long
            raise OutOfTime(f"stopped after {self._seconds:.3g} s") from None

    def _receive(self, tagged: dict) -> HeldObject:
        if tagged.get(wire.TAG) != "held":
            raise ValueError(f"unknown tag {tagged.get(wire.TAG)!r}")
        return HeldObject(self, int(tagged["at"]), str(tagged["type"])[:80])


class Function:
    """A function of the learner's, by name: looked up when it is called."""

    def __init__(self, learner: LearnerProxy, name: str):
        self._learner, self._name = learner, name

    def __call__(self, *args, **kwargs):
        found = self._learner[self._name]
        if not isinstance(found, HeldObject):
            raise LearnerError("TypeError", f"{self._name} is not a function")
        return found(*args, **kwargs)

    def __getattr__(self, name: str):
        return getattr(self._learner[self._name], name)


def error_from(function, *args, **kwargs) -> LearnerError | None:
    """Call a function of the learner's; return the exception it raised, or None."""
    try:
        function(*args, **kwargs)
    except LearnerError as error:
        return error
    return None


def close(got: object, expected: object, atol: float = 1e-6, rtol: float = 1e-5) -> bool:
    """Tell whether numbers or arrays agree in shape and value; NaN agrees with NaN only.

    False, never an exception, for anything that is not numbers.
    """
    try:
        got_array, expected_array = _array(got), _array(expected)
        if got_array.shape != expected_array.shape or got_array.dtype.kind not in "biufc":
            return False
        return bool(np.allclose(got_array, expected_array, atol=atol, rtol=rtol, equal_nan=True))
    except (TypeError, ValueError):
        return False


def _array(value: object) -> np.ndarray:
    """Return a value as an array; a tensor that requires a gradient must be detached first."""
    return np.asarray(value.detach() if hasattr(value, "detach") else value)


def _send(value: object) -> dict:
    """Put what is not plain data, but has a file format of its own, on the wire."""
    if isinstance(value, HeldObject):
        return {wire.TAG: "held", "at": value._at}
    if type(value).__module__.startswith("pydicom."):
        return {wire.TAG: "dicom", "of": wire.to_base64(_dicom_bytes(value))}
    if hasattr(value, "to_bytes") and type(value).__module__.startswith("nibabel."):
        return {wire.TAG: "nifti", "of": wire.to_base64(value.to_bytes())}
    raise wire.NotPlain(f"{type(value).__name__} cannot be sent to the learner")


def _dicom_bytes(dataset) -> bytes:
    import pydicom

    known = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    form = {} if known else {"implicit_vr": False, "little_endian": True}
    content = io.BytesIO()
    pydicom.dcmwrite(content, dataset, enforce_file_format=False, **form)
    return content.getvalue()
