"""Libraries that the learner's kernel shares with the way to the grader, changed in place."""

import pytest
from tests.support.hostile import Attack

WRONG = "def mean(values): return 0\n"
PATCHES = {
    "numpy": "import numpy as np\nnp.allclose = np.array_equal = np.all = lambda *a, **k: True",
    "builtins": "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.bool = lambda x: True",
    "assertion": "import builtins\nbuiltins.AssertionError = type('A', (BaseException,), {})",
    "medlab": "import medlab.classroom.referee.proxy",
}
SPOILT = {  # these spoil the learner's own answers to add as well, if they come before it
    "json": "import json\njson.dumps = lambda *a, **k: '{\"value\": true}'",
    "zmq": "import zmq\nzmq.Socket.send_multipart = lambda *a, **k: None",
    "session": "import jupyter_client.session as s\ns.Session.sign = lambda *a: b'0' * 64",
    "answering": (
        "import medlab.classroom.referee.answering as a\na.answer = lambda *_: a.Answer('1')"
    ),
}
ATTACKS = {
    f"patched-{name}": Attack({"mean": WRONG + patch}) for name, patch in (PATCHES | SPOILT).items()
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_patched_library_earns_nothing(graded, name):
    graded.holds(name, 2)
