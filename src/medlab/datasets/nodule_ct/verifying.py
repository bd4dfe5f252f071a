"""Check a folder in LUNA16's layout, generated or real."""

from pathlib import Path

from medlab.datasets.nodule_ct.layout import XYZ
from medlab.datasets.nodule_ct.reading import (
    check_inside,
    find_series,
    read_annotations,
    read_candidates,
    read_volume,
)
from medlab.errors import BadInput
from medlab.imaging.hounsfield import find_rescale_fault


def verify(folder: Path) -> list[str]:
    """Return one line for each fault, naming the file and the fix; [] if there is none."""
    faults, tables = [], []
    try:
        series = find_series(folder)
    except BadInput as error:
        return [str(error)]
    for read in (read_annotations, read_candidates):
        try:
            tables.append(read(folder))
        except BadInput as error:
            faults.append(str(error))
    for uid, (_subset, path) in series.items():
        try:
            volume = read_volume(path)
            for table in tables:
                points = table.loc[table["seriesuid"] == uid, XYZ].to_numpy(float)
                if len(points):
                    check_inside(path, volume, points)
        except BadInput as error:
            faults.append(str(error))
            continue
        fault = find_rescale_fault(volume.hu, -500, "lung is near -850 HU")
        if fault:
            faults.append(f"{path}: {fault}")
    return faults
