"""The learner as hidden tests see them: calls, data and exceptions that cross over."""

import time
from dataclasses import replace

import pytest

from medlab.classroom.referee.proxy import HeldObject, LearnerError, LearnerProxy, close, error_from
from medlab.sandbox import kernel as kernels
from medlab.sandbox.kernel import Kernel, KernelDied, OutOfTime
from medlab.sandbox.limits import Limits

SHORT = Limits(cell_seconds=2, output_bytes=10_000, answer_bytes=100_000)
LARGE = "from IPython.display import display; display({'text/html': 'x' * 10**6}, raw=True)"


@pytest.fixture
def kernel(tmp_path):
    started = Kernel(tmp_path / "k", SHORT)
    yield started
    started.stop()


@pytest.fixture
def learner(kernel):
    return LearnerProxy(kernel)


@pytest.fixture
def patient_kernel(tmp_path):
    """A kernel with time to import a library, which takes seconds on a busy machine."""
    started = Kernel(tmp_path / "p", replace(SHORT, cell_seconds=60))
    yield started
    started.stop()


def test_a_call_crosses_over_as_plain_data(kernel, learner):
    kernel.run("def f(x, scale=1): return {'double': x * 2 * scale, 'type': type(x).__name__}")
    assert learner.f(3, scale=2) == {"double": 12, "type": "int"}


def test_data_is_fetched_by_name(kernel, learner):
    kernel.run("auc = 0.75")
    assert learner["auc"] == 0.75
    with pytest.raises(LearnerError, match="name 'nothing' is not defined"):
        learner["nothing"]


def test_what_is_not_data_stays_there_and_is_reached_through_calls(kernel, learner):
    kernel.run("class Model:\n    bias = 1\n    def predict(self, x): return x + self.bias")
    kernel.run("def fit(): return Model()\ndef bias_of(model): return model.bias")
    model = learner.fit()
    assert isinstance(model, HeldObject)
    assert model.predict(2) == 3
    assert learner.bias_of(model) == 1


def test_a_dataset_crosses_to_the_learner_and_back_as_a_handle(patient_kernel):
    learner = LearnerProxy(patient_kernel)
    from pydicom import Dataset, examples

    patient_kernel.run("def rename(ds):\n    ds.PatientName = 'None^A'\n    return ds")
    back = learner.rename(examples.ct)
    assert str(back.PatientName) == "None^A"
    assert back.Rows == 128
    bare = Dataset()
    bare.PatientID = "1"
    assert learner.rename(bare).PatientID == "1"


def test_a_nifti_image_crosses_to_the_learner(patient_kernel):
    learner = LearnerProxy(patient_kernel)
    import nibabel
    import numpy as np

    image = nibabel.Nifti1Image(np.zeros((2, 3, 4), np.int16), np.diag([2.0, 3, 4, 1]))
    patient_kernel.run("def spacing(image): return image.header.get_zooms()")
    assert close(learner.spacing(image), (2, 3, 4))


def test_a_file_is_put_into_the_learners_folder(kernel, learner):
    path = learner.put_file("series/1.dcm", b"bytes")
    kernel.run("def read(path): return open(path, 'rb').read()")
    assert learner.read(path) == b"bytes"


def test_the_learners_exception_comes_back_with_its_kind_and_place(kernel, learner):
    kernel.run("def f(x):\n    x = x + 1\n    raise ValueError('too large')")
    error = error_from(learner.f, 1)
    assert (error.kind, error.message) == ("ValueError", "too large")
    assert (error.function, error.line) == ("f", 3)
    assert error_from(learner.f) is not None
    assert error_from(str, 1) is None


def test_an_error_in_a_function_that_the_unit_gives_names_that_function(kernel, learner):
    kernel.run("def own(x): return None")
    kernel.run("def given(x):\n    y = own(x)\n    return [len(v) for v in [y]]")
    error = error_from(learner.given, 1)
    assert (error.kind, error.function, error.line) == ("TypeError", "given", 3)


def test_a_call_that_does_not_end_is_out_of_time(kernel, learner):
    kernel.run("def f():\n    while True: pass")
    with pytest.raises(OutOfTime):
        learner.f()


def test_a_call_that_ends_the_process_is_noticed(kernel, learner):
    kernel.run("import os\ndef f(): os._exit(1)")
    with pytest.raises(KernelDied):
        learner.f()


def test_an_answer_larger_than_the_limit_is_refused(kernel, learner):
    kernel.run("def f(): return 'x' * 200_000")
    with pytest.raises(ValueError, match="larger than"):
        learner.f()


@pytest.mark.parametrize(
    "source",
    [
        "import medlab.classroom.referee.answering as a\na.answer = lambda *_: 'x'",
        "import medlab.classroom.referee.wire as w\nw.dumps = lambda *_: '{'",
        "import json\njson.dumps = lambda *_, **__: '[1]'",
        'import json\njson.dumps = lambda *_, **__: \'{"!": "held", "at": "x"}\'',
        "import builtins\nbuiltins.__import__ = None",
    ],
)
def test_tampering_with_the_answering_side_spoils_only_ones_own_answer(kernel, learner, source):
    kernel.run("def f(): return 1")
    kernel.run(source)
    with pytest.raises((ValueError, LearnerError, OutOfTime, KernelDied)):
        learner.f()


def test_close_is_false_rather_than_an_exception():
    assert close([1, 2], [1, 2.0000001])
    assert close(float("nan"), float("nan"))
    for wrong in (None, "1", [1], [[1, 2]], [1, float("nan")], object(), {"a": 1}):
        assert not close(wrong, [1, 2])


def test_a_message_that_is_too_large_is_not_unpacked(kernel, learner, monkeypatch):
    session, sizes = kernel._client.session, []
    unpack = session.deserialize
    monkeypatch.setattr(
        session, "deserialize", lambda parts: sizes.append(sum(map(len, parts))) or unpack(parts)
    )
    ran = kernel.run(LARGE)
    assert (ran.status, [output.text for output in ran.outputs]) == ("ok", ["[output cut here]\n"])
    kernel.run("def f(): return 'x' * 3_000_000")
    with pytest.raises(ValueError, match=r"larger than 0\.1 MB"):
        learner.f()
    assert kernel.run("1").outputs[0].data["text/plain"] == "1"
    assert max(sizes) < 100_000


def test_a_line_that_is_cut_off_costs_outputs_and_no_points(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "LARGEST_OUTPUT", 100_000)
    started = Kernel(tmp_path / "k", SHORT)
    assert started.run(LARGE).status == "ok"
    assert started.run("def f(): return 7").status == "ok"
    assert LearnerProxy(started).f() == 7
    started.stop()


def test_nothing_runs_after_the_end_of_the_sitting(tmp_path):
    started = Kernel(tmp_path / "k", SHORT, until=time.monotonic() + 10)
    assert started.run("1").status == "ok"
    started._until = time.monotonic() + 0.5
    assert "the whole notebook" in started.run("while True: pass").error
    assert started.run("1").status == "timeout"
    with pytest.raises(OutOfTime, match="the whole notebook"):
        LearnerProxy(started).f()
    started.stop()
