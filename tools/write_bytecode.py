"""Import what units import, so that Python keeps the compiled files.

uv writes no bytecode, and a unit's kernel, in its jail, cannot: every start of torch and monai
would compile them again. What medlab and its tests import is compiled when it is first used.
"""

import ast
import contextlib
import importlib
import subprocess
import sys
import warnings
from pathlib import Path

FOLDER = "course"
FRAMEWORKS = {
    **dict.fromkeys(("torch", "torchvision", "monai", "pytorch_grad_cam", "shap"), "torch"),
    **dict.fromkeys(("tensorflow", "keras", "ai_edge_litert"), "tensorflow"),
}


def imported_modules():
    """Name the modules, in the order of the alphabet; a unit's cells are Python like any other."""
    names = set()
    for path in Path(FOLDER).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module)
    return sorted(name for name in names if name.split(".")[0] != "medlab")


def import_all(names):
    sys.dont_write_bytecode = False
    warnings.simplefilter("ignore")
    for name in names:
        # Some are for other systems, or belong to a learner's folder.
        with contextlib.suppress(Exception, SystemExit):
            importlib.import_module(name)


def main():
    """Share the imports among processes: side by side, and frameworks that clash in one apart."""
    shares = {framework: [] for framework in FRAMEWORKS.values()} | {"others": []}
    for name in imported_modules():
        shares[FRAMEWORKS.get(name.split(".")[0], "others")].append(name)
    started = [subprocess.Popen([sys.executable, __file__, *names]) for names in shares.values()]
    for process in started:
        process.wait()  # one that crashed has only left some files for later


if __name__ == "__main__":
    import_all(sys.argv[1:]) if sys.argv[1:] else main()
