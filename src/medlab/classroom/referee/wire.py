"""Plain data as text: what may cross between the grader and a learner's kernel.

Nothing here runs what it reads: no pickle, no object arrays, and a declared size is believed only
when the bytes are there.
"""

import base64
import json
import math
import sys
from collections.abc import Callable, Sequence

TAG = "!"  # a mapping with this key stands for something that JSON cannot hold
ARRAY_KINDS = "biufcSUmM"
MAX_DEPTH = 60
MOST_VALUES = 5_000_000  # in one text; more would fill the reader's memory
MOST_KEYS = 20_000  # of a set or dict, but for text: numbers can be chosen so that all collide
LONGEST_TYPE = 40  # characters of an array's type
LARGEST_ARRAY = 1_000_000_000  # bytes that an array's shape may stand for
MOST_AXES = 64  # numpy has no more


class NotPlain(TypeError):
    """The value is not plain data."""


def dumps(value: object, other: Callable[[object], dict] | None = None) -> str:
    """Return a value as JSON text.

    Plain data are None, bool, int, float, complex, str, bytes, list, tuple, set, dict, and numpy
    arrays and scalars without objects, and torch tensors (of any device; without gradients, but a
    parameter still says whether it requires one). `other` turns anything else into a tagged
    mapping; without it, NotPlain is raised.
    """
    return json.dumps(_encode(value, other or _refuse, 0), allow_nan=False)


def loads(text: str, other: Callable[[dict], object] | None = None) -> object:
    """Return the value in a JSON text; raise ValueError for anything malformed.

    `other` makes a value of a tagged mapping that is not plain data.
    """
    if sum(map(text.count, ",[{")) > MOST_VALUES:
        raise ValueError("too many values")
    try:
        return _decode(json.loads(text), other or _unknown)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"malformed: {error}") from None


def _refuse(value: object) -> dict:
    raise NotPlain(f"{type(value).__name__} is not plain data")


def _unknown(tagged: dict) -> object:
    raise ValueError(f"unknown tag {tagged.get(TAG)!r}")


def _encode(value: object, other: Callable, depth: int) -> object:
    if depth > MAX_DEPTH:
        raise NotPlain("nested too deeply")
    # Exact base values, so that a subclass cannot bring its own behaviour along.
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and not _is_numpy(value):
        return int.__int__(value)
    if isinstance(value, float) and not _is_numpy(value):
        return _encode_float(float.__float__(value))
    if isinstance(value, complex) and not _is_numpy(value):
        return {TAG: "complex", "of": [_encode_float(value.real), _encode_float(value.imag)]}
    if isinstance(value, bytes | bytearray | memoryview):
        return {TAG: "bytes", "of": to_base64(bytes(value))}
    if isinstance(value, dict):
        return {
            TAG: "dict",
            "of": [_encode(list(pair), other, depth + 1) for pair in value.items()],
        }
    if _is_numpy(value):
        return _encode_numpy(value, other)
    if isinstance(value, Sequence | set | frozenset):
        return _encode_items(value, other, depth)
    if _is_tensor(value):
        return _encode_tensor(value, other)
    return other(value)


def _encode_float(value: float) -> object:
    return value if math.isfinite(value) else {TAG: "float", "of": repr(value)}


def _encode_items(value, other: Callable, depth: int) -> object:
    items = [_encode(item, other, depth + 1) for item in value]
    if isinstance(value, tuple):
        return {TAG: "tuple", "of": items}
    return {TAG: "set", "of": items} if isinstance(value, set | frozenset) else items


def _is_numpy(value: object) -> bool:
    return type(value).__module__ == "numpy" and hasattr(value, "dtype")


def _encode_numpy(value, other: Callable) -> dict:
    if value.dtype.kind not in ARRAY_KINDS:
        return other(value)
    return {
        TAG: "array",
        "dtype": value.dtype.str,
        "shape": list(value.shape),
        "scalar": type(value).__name__ != "ndarray",
        "of": to_base64(value.tobytes()),
    }


def _is_tensor(value: object) -> bool:
    torch = sys.modules.get("torch")  # whoever has a tensor has imported it
    return torch is not None and isinstance(value, torch.Tensor)


def _encode_tensor(value, other: Callable) -> dict:
    try:
        array = value.detach().cpu().numpy()
    except (TypeError, RuntimeError):  # sparse, quantised, or a type that numpy lacks
        return other(value)
    trained = bool(value.requires_grad and value.is_leaf)  # a parameter that training may change
    return {TAG: "tensor", "of": _encode_numpy(array, other), "trained": trained}


def _decode(value: object, other: Callable) -> object:
    if isinstance(value, list):
        return [_decode(item, other) for item in value]
    if not isinstance(value, dict):
        return value
    decode = _DECODERS.get(value.get(TAG))
    return decode(value, other) if decode else other(value)


def _decode_array(value: dict, other: Callable) -> object:
    import numpy as np

    dtype = np.dtype(str(value["dtype"])[:LONGEST_TYPE])
    shape = _shape(value["shape"], dtype.itemsize)
    raw = from_base64(value["of"])
    if dtype.kind not in ARRAY_KINDS or (dtype.itemsize == 0 and raw):
        raise ValueError(f"arrays of {dtype} do not cross")
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise ValueError("an array's shape does not fit its bytes")
    array = np.frombuffer(raw, dtype=dtype).reshape(shape).copy()
    return array[()] if value["scalar"] else array


def _shape(declared: list, itemsize: int) -> tuple[int, ...]:
    """Return a shape that may be true; an empty array's has no bytes that would vouch for it.

    Without this bound, a sum along the empty axis of such an array would fill the memory.
    """
    if not isinstance(declared, list) or len(declared) > MOST_AXES:
        raise ValueError("not the shape of an array")
    shape = tuple(int(n) for n in declared)
    if any(n < 0 or n > LARGEST_ARRAY for n in shape):
        raise ValueError("not the shape of an array")
    if math.prod(n for n in shape if n) * max(itemsize, 1) > LARGEST_ARRAY:
        raise ValueError("an array's shape is too large")
    return shape


def _decode_tensor(value: dict, other: Callable) -> object:
    """Return a tensor; an array where torch is not in use, so that no text makes us import it."""
    array = _decode_array(value["of"], other)
    torch = sys.modules.get("torch")
    if torch is None:
        return array
    tensor = torch.as_tensor(array)
    trained = value.get("trained") is True and tensor.is_floating_point()
    return tensor.requires_grad_(trained)


def _decode_float(value: dict, other: Callable) -> float:
    return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[value["of"]]


def _decode_set(value: dict, other: Callable) -> set:
    return set(_keys(value["of"], other))


def _decode_dict(value: dict, other: Callable) -> dict:
    keys = _keys([key for key, _ in value["of"]], other)
    return dict(zip(keys, (_decode(item, other) for _, item in value["of"]), strict=True))


def _keys(raw: list, other: Callable) -> list:
    if sum(not isinstance(key, str) for key in raw) > MOST_KEYS:
        raise ValueError("too many keys that are not text")
    return [_decode(key, other) for key in raw]


_DECODERS: dict[object, Callable] = {
    "array": _decode_array,
    "bytes": lambda value, other: from_base64(value["of"]),
    "complex": lambda value, other: complex(*(_decode(part, other) for part in value["of"])),
    "dict": _decode_dict,
    "float": _decode_float,
    "set": _decode_set,
    "tensor": _decode_tensor,
    "tuple": lambda value, other: tuple(_decode(item, other) for item in value["of"]),
}


def to_base64(raw: bytes) -> str:
    """Return bytes as base64 text."""
    return base64.b64encode(raw).decode("ascii")


def from_base64(text: str) -> bytes:
    """Return the bytes of base64 text; raise ValueError for anything else."""
    return base64.b64decode(text, validate=True)
