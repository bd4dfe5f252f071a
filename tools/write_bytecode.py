"""Import what units, medlab and tests import, so that Python keeps the compiled files.

uv writes no bytecode. Where nothing may write it later, as in a jail, or does not, as with
PYTHONDONTWRITEBYTECODE, every start of torch and monai would compile them again.
"""

import ast
import contextlib
import importlib
import os
import sys
import warnings
from pathlib import Path

FOLDERS = ("course", "src", "tests")
OURS = {"medlab", "tests", "benchmarks"}


def imported_modules():
    """Name the modules, in the order of the alphabet; a unit's cells are Python like any other."""
    names = set()
    for folder in FOLDERS:
        for path in Path(folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names.add(node.module)
    return sorted(name for name in names if name.split(".")[0] not in OURS)


def main():
    sys.dont_write_bytecode = False
    warnings.simplefilter("ignore")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    for name in imported_modules():
        # Some are for other systems, or belong to a learner's folder.
        with contextlib.suppress(Exception, SystemExit):
            importlib.import_module(name)


if __name__ == "__main__":
    main()
