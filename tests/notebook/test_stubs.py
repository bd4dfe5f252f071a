import pytest

from medlab.notebook.stubs import is_stub

RELEASED = [
    "def f():\n    raise NotImplementedError",
    "def f(a, b=[], *c, d=1, **e):\n    '''What it does.'''\n    raise NotImplementedError",
    "class f:\n    def g(self):\n        raise NotImplementedError",
    "class f(dict):\n    x = 1\n    def g(self):\n        raise NotImplementedError",
]
WORK = [
    "def f():\n    return 1",
    "def f():\n    pass",
    "def f(a):\n    a = a + 1\n    raise NotImplementedError",
    "def f(a):\n    if a:\n        raise NotImplementedError\n    return 1",
    "def f():\n    raise ValueError",
    "def f():\n    raise NotImplementedError('no decoder')",
    "f = lambda: 1",
    "f = len",
    "f = 3",
    "class f:\n    def g(self):\n        return 1",
]


def made(source: str) -> object:
    names: dict = {}
    exec(source, names)
    return names["f"]


@pytest.mark.parametrize("source", RELEASED)
def test_what_only_raises_not_implemented_error_is_a_stub(source):
    assert is_stub(made(source))


@pytest.mark.parametrize("source", WORK)
def test_what_does_anything_else_is_somebodys_work(source):
    assert not is_stub(made(source))
