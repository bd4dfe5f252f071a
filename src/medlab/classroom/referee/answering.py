"""Answer the grader's requests inside the learner's kernel.

This is the only part of the referee that enters the learner's process. It knows no test and no
expected value; a learner who tampers with it can only spoil their own answers.
"""

import io
from pathlib import Path

from medlab.classroom.referee import wire

ANSWER = "application/vnd.medlab.answer+json"

_held: list[object] = []  # what the grader may refer to later, by position


class Answer:
    """Carry an answer through IPython's display machinery as one MIME bundle."""

    def __init__(self, text: str):
        self.text = text

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {ANSWER: self.text}


def answer(namespace: dict, request: str, most: int) -> Answer:
    """Do what a request asks in the learner's namespace and return the outcome as text.

    The request is wire text of a mapping with 'do' (name, get, item, call, text or file). Raises
    ValueError for a text of more than most characters: on the way it would be cut off.
    """
    text = _outcome(namespace, request)
    if len(text) > most:
        raise ValueError(f"the answer is larger than {most / 1e6:g} MB")
    return Answer(text)


def _outcome(namespace: dict, request: str) -> str:
    try:
        value = _do(namespace, wire.loads(request, _revive))
        return wire.dumps({"value": value}, _hold)
    except Exception as error:
        raised = {"kind": type(error).__name__, "message": str(error)}
        return wire.dumps({"error": raised | _place(error)})


def _do(namespace: dict, request: dict) -> object:
    do, of = request["do"], request.get("of")
    if do == "name":
        if request["name"] not in namespace:
            raise NameError(f"name '{request['name']}' is not defined")
        return namespace[request["name"]]
    if do == "get":
        return getattr(of, request["name"])
    if do == "item":
        return of[request["key"]]
    if do == "call":
        return of(*request["args"], **request["kwargs"])
    if do == "text":
        return str(of)
    return _write(request["path"], request["content"])


def _write(name: str, content: bytes) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path)


def _place(error: BaseException) -> dict:
    """Return the function and line of the notebook in which an error was raised last.

    The function may be one that the unit gives: it need not be in the learner's own cell.
    """
    place, trace = {}, error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if "ipykernel_" in code.co_filename:
            function = code.co_qualname.split(".<locals>")[0]
            place = {"function": function, "line": trace.tb_lineno}
        trace = trace.tb_next
    return place


def _hold(value: object) -> dict:
    """Keep a value that is not plain data, and give the grader a reference to it."""
    _held.append(value)
    return {wire.TAG: "held", "at": len(_held) - 1, "type": type(value).__name__}


def _revive(tagged: dict) -> object:
    """Make what the grader sent in a format of its own."""
    kind = tagged[wire.TAG]
    if kind == "held":
        return _held[tagged["at"]]
    content = io.BytesIO(wire.from_base64(tagged["of"]))
    if kind == "dicom":
        import pydicom

        return pydicom.dcmread(content, force=True)
    if kind == "nifti":
        import nibabel

        return nibabel.Nifti1Image.from_bytes(content.getvalue())
    raise ValueError(f"unknown tag {kind!r}")
