import json
import math
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from medlab.classroom.referee import wire

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)
ARRAYS = hnp.arrays(
    st.sampled_from(["u1", "i2", "<f4", ">f8", "?", "c16", "U3", "S4"]),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)


@given(PLAIN)
def test_plain_data_crosses_unchanged(value):
    back = wire.loads(wire.dumps(value))
    assert back == value
    assert type(back) is type(value)


@given(ARRAYS)
def test_arrays_cross_unchanged(array):
    back = wire.loads(wire.dumps(array))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_numpy_scalars_stay_scalars():
    back = wire.loads(wire.dumps(np.float32(1.5)))
    assert back == 1.5
    assert isinstance(back, np.float32)


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinities_cross(value):
    assert wire.loads(wire.dumps(value)) == value


def test_nan_crosses():
    assert math.isnan(wire.loads(wire.dumps(math.nan)))


class AlwaysEqual(str):
    def __eq__(self, other):
        return True

    __hash__ = str.__hash__


def test_a_subclass_leaves_its_behaviour_behind():
    back = wire.loads(wire.dumps(AlwaysEqual("a")))
    assert type(back) is str
    assert back != "b"


def test_what_is_not_plain_is_refused():
    with pytest.raises(wire.NotPlain, match="object is not plain data"):
        wire.dumps(object())
    with pytest.raises(wire.NotPlain):
        wire.dumps(np.array([object()]))


def test_a_list_that_holds_itself_is_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(wire.NotPlain, match="nested too deeply"):
        wire.dumps(endless)


def array(**changed):
    whole = {wire.TAG: "array", "dtype": "<f8", "shape": [1], "scalar": False, "of": "AAAAAAAAAAA="}
    return json.dumps(whole | changed)


def tensor(**changed):
    return json.dumps({wire.TAG: "tensor", "of": json.loads(array(**changed))})


@pytest.mark.parametrize(
    "text",
    [
        array(shape=[10**12]),
        array(shape=[0, 10**12], of=""),
        array(shape=[0] + [10**4] * 9, of=""),
        array(shape=[10**4000] * 5000),
        array(shape="1"),
        tensor(shape=[10**12]),
        tensor(shape=[0, 10**12], of=""),
        tensor(dtype="U2"),
        tensor(dtype="O"),
        '{"!": "tensor", "of": "gASVAA=="}',
        '{"!": "tensor"}',
        '{"!": "tensor", "of": {"!": "tensor", "of": {}}}',
        array(shape=[-1]),
        array(dtype="O"),
        array(dtype="V8"),
        array(of="not base64!"),
        array(of=None),
        '{"!": "pickle", "of": "gASVAA=="}',
        '{"!": "float", "of": "1e3"}',
        '{"!": "dict", "of": [[1]]}',
        '{"!": "dict", "of": [[[1], 2]]}',
        "{}",
        "[" * 100_000,
        "not json",
    ],
)
def test_malformed_text_is_a_value_error_and_nothing_worse(text):
    with pytest.raises(ValueError, match=r"."):
        wire.loads(text)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64, torch.bool])
def test_tensors_cross_with_shape_and_type(dtype):
    value = torch.arange(6).reshape(2, 3).to(dtype)
    back = wire.loads(wire.dumps(value))
    assert isinstance(back, torch.Tensor)
    assert back.dtype == value.dtype
    assert torch.equal(back, value)


def test_a_result_of_training_crosses_without_its_gradient():
    back = wire.loads(wire.dumps(torch.ones(2, requires_grad=True) * 2))
    assert not back.requires_grad


@pytest.mark.parametrize("trained", [True, False])
def test_a_parameter_still_says_whether_it_is_trained(trained):
    parameter = torch.nn.Parameter(torch.ones(2), requires_grad=trained)
    assert wire.loads(wire.dumps(parameter)).requires_grad is trained


def test_a_tensor_that_numpy_has_no_type_for_is_not_plain():
    with pytest.raises(wire.NotPlain):
        wire.dumps(torch.ones(2, dtype=torch.bfloat16))


def test_a_tensor_is_an_array_where_torch_is_not_in_use(monkeypatch):
    text = wire.dumps(torch.ones(2))
    monkeypatch.delitem(sys.modules, "torch")
    assert isinstance(wire.loads(text), np.ndarray)
