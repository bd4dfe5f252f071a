"""Say what is wrong with a folder in LUNA16's layout."""

from pathlib import Path

from medlab.datasets.nodule_ct.making import XYZ
from medlab.datasets.nodule_ct.reading import (
    check_inside,
    find_series,
    read_annotations,
    read_candidates,
    read_volume,
)
from medlab.errors import BadInput


def verify(folder: Path) -> list[str]:
    """Return what is wrong with a folder, in words that name file and mend; [] if nothing is."""
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
        if volume.hu.min() > -500:
            faults.append(
                f"{path}: its lowest value is {volume.hu.min():.0f}, but lung is near -850 HU: "
                f"apply slope and intercept, or take the file before it was windowed"
            )
    return faults
