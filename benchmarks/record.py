"""Write a benchmark's figures as a dated result; run as a module, list the results."""

import datetime
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import medlab
from medlab.figures import Figure, Kind

HERE = Path(__file__).parent
RESULTS = HERE / "results"
KINDS = tuple(Kind)
RESULT_KEYS = {"date", "machine", "versions", "figures"}


def record(script, figures: Sequence[Figure], versions=None, machine=None):
    """Print figures and write results/NAME.json; see README.md for the keys.

    script: the benchmark's __file__; versions: what is compared, besides Python and medlab;
    machine: a description, where figures come from a board. Raises ValueError for a bad result.
    """
    result = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine or _machine(),
        "versions": _versions() | (versions or {}),
        "figures": [asdict(figure) for figure in figures],
    }
    if faults := faults_of(result):
        raise ValueError("; ".join(faults))
    path = RESULTS / f"{Path(script).stem}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))
    print(f"written: {os.path.relpath(path)}")


def recorded(script) -> list[Figure]:
    """Return the figures of a benchmark's last result, none where there is none."""
    path = RESULTS / f"{Path(script).stem}.json"
    rows = json.loads(path.read_text())["figures"] if path.is_file() else []
    return [Figure(**row) for row in rows]


def faults_of(result):
    """List in words what keeps a result from matching README.md; empty when it matches."""
    if set(result) != RESULT_KEYS:
        return [f"keys are {sorted(result)}, not {sorted(RESULT_KEYS)}"]
    faults = [] if _is_date(result["date"]) else [f"date {result['date']!r} is not ISO 8601"]
    faults += [] if result["machine"] else ["machine is empty"]
    faults += [f"versions lack {name}" for name in ("python", "medlab") - result["versions"].keys()]
    faults += [] if result["figures"] else ["there are no figures"]
    return faults + [fault for figure in result["figures"] for fault in _faults_of_figure(figure)]


def _faults_of_figure(row):
    try:
        Figure(**row)
    except TypeError:
        return [f"a figure's keys are {sorted(row)}, not {sorted(Figure.__annotations__)}"]
    except ValueError as fault:
        return [str(fault)]
    return []


def _is_date(text):
    try:
        return bool(datetime.date.fromisoformat(text))
    except (TypeError, ValueError):
        return False


def _machine():
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}"
    return f"{platform.machine()}, {os.cpu_count()} cores, {memory:.1f} GiB, {system}"


def _versions():
    return {"python": platform.python_version(), "medlab": medlab.__version__}


def table(result):
    """Lay out a result as lines of text, one figure each."""
    head = f"{result['date']}  {result['machine']}"
    rows = [
        f"  {f['name']:<32} {f['value']:>12.6g} {f['unit']:<6} {f['kind']:<9} {f['how']}"
        for f in result["figures"]
    ]
    return "\n".join([head, *rows])


def _result_of(name):
    path = RESULTS / f"{name}.json"
    return table(json.loads(path.read_text())) if path.is_file() else "  no result yet"


def _list():
    for script in sorted(HERE.glob("*.py")):
        if script.stem not in ("record", "__init__"):
            print(f"make bench NAME={script.stem}\n{_result_of(script.stem)}")


if __name__ == "__main__":
    _list()
