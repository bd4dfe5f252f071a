"""Virtual environments for the graders that are compared, made once under build/bench/."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "build" / "bench" / "classroom" / "environments"
# All get medlab: the notebooks' visible checks are its magics, whoever grades.
LIBRARIES = ["torch==2.13.0", "monai==1.6.1"]
WANTED = {
    "medlab": [*LIBRARIES, "-e", f"{ROOT}[cluster]"],
    "nbgrader": [*LIBRARIES, "nbgrader==0.9.6", "-e", str(ROOT)],
    "otter": [*LIBRARIES, "otter-grader==7.0.0", "-e", str(ROOT)],
}
COMPARED = ("torch", "monai", "numpy", "papermill", "nbgrader", "otter-grader", "distributed")
ASK = """\
import importlib.metadata as m, json, sys
print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))
"""


def make():
    """Make the environments, unless they are there; this downloads packages."""
    for name, wanted in WANTED.items():
        done = PLACE / name / "installed.json"
        if done.is_file() and json.loads(done.read_text()) == wanted:
            continue
        print(f"making the environment of {name}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", PLACE / name], check=True)
        pip = [PLACE / name / "bin" / "python", "-m", "pip", "install", "-qq"]
        subprocess.run([*pip, *wanted], check=True)
        done.write_text(json.dumps(wanted))


def versions():
    """Return the versions of what is compared, over all environments."""
    found = {}
    for name in WANTED:
        told = subprocess.check_output([PLACE / name / "bin" / "python", "-c", ASK])
        found |= json.loads(told)
    return {name: found[name] for name in COMPARED}


def variables(environment, home, course):
    """Return the environment variables of a grader: its own programs, nobody's settings."""
    home.mkdir(parents=True, exist_ok=True)
    folders = ["HOME", "IPYTHONDIR", "MPLCONFIGDIR"]
    folders += [f"JUPYTER_{kind}_DIR" for kind in ("CONFIG", "DATA", "RUNTIME")]
    path = f"{environment / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    own = {"PATH": path, "MEDLAB_COURSE": str(course), "OMP_NUM_THREADS": "1"}
    return os.environ | dict.fromkeys(folders, str(home)) | own
