"""Correct answers that warn, log, write to stderr or show progress keep their points."""

import pytest
from tests.support.hostile import FULL, Attack

POOL = "from concurrent.futures import ThreadPoolExecutor as P; P(4).submit(id, 1).result()"
NOISE = {
    "warnings": "import warnings; warnings.warn('careful', DeprecationWarning)",
    "logging": "import logging; logging.basicConfig(level=0); logging.error('odd')",
    "stderr": "import sys; print('to stderr', file=sys.stderr); sys.stderr.flush()",
    "descriptor": "import os; os.write(2, b'raw'); os.write(1, b'raw')",
    "progress": "import sys; [print(f'\\r{n}%', end='', file=sys.stderr) for n in range(99)]",
    "process": "import subprocess; subprocess.run('echo a; echo b >&2', shell=True)",
    "display": "from IPython.display import clear_output, display; clear_output(); display(1)",
    "figure": "import matplotlib.pyplot as p; p.plot([1, 2]); p.show()",
    "threads": POOL,
    "files": "import tempfile; open('note.txt', 'w').write('x'); tempfile.mkdtemp()",
    "user": "import getpass, os, pwd; getpass.getuser(); pwd.getpwuid(os.getuid())",
}
ATTACKS = {
    f"noise-{name}": Attack(
        {"add": f"def add(a, b):\n    {noise}\n    return a + b\n\nadd(1, 2)"},
        added=(("exercise-mean", noise),),
    )
    for name, noise in NOISE.items()
}


@pytest.mark.parametrize("name", ATTACKS)
def test_noise_costs_nothing(graded, name):
    graded.holds(name, FULL)
