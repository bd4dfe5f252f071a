"""Check a folder of records, generated or real."""

from pathlib import Path

import numpy as np

from medlab.datasets.ecg.layout import RATE
from medlab.datasets.ecg.reading import read_record, record_names
from medlab.errors import BadInput


def verify(folder: Path) -> list[str]:
    """Return one line for each fault, naming the file and the fix; [] if there is none."""
    try:
        names = record_names(folder)
    except BadInput as error:
        return [str(error)]
    faults = _not_listed(Path(folder), names)
    for name in names:
        try:
            record = read_record(folder, name)
        except BadInput as error:
            faults.append(str(error))
            continue
        faults += [f"{Path(folder) / name}{fault}" for fault in _faults(record)]
    return faults


def _not_listed(folder: Path, names: list[str]) -> list[str]:
    path = folder / "RECORDS"
    if not path.is_file():
        return []
    listed = path.read_text(encoding="utf-8", errors="replace").split()
    missing = sorted(set(listed) - set(names))
    return [f"{path} lists {name}, but {name}.hea is missing: fetch it" for name in missing]


def _faults(record) -> list[str]:
    samples, _symbols = record.beats()
    faults = []
    flat = [lead for n, lead in enumerate(record.leads) if np.ptp(record.digital[:, n]) == 0]
    if flat:
        faults.append(f".dat: lead {flat[0]} is flat throughout: leave the record out")
    close = samples[1:][np.diff(samples) < RATE / 10]
    if len(close):
        faults.append(f".atr: two beats within a tenth of a second at sample {close[0]}: keep one")
    return faults
