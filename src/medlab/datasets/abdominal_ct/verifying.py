"""Check a folder of abdominal CT with labels, generated or real."""

from pathlib import Path

import numpy as np

from medlab.datasets.abdominal_ct.reading import find_pairs, read_case
from medlab.errors import BadInput
from medlab.imaging.hounsfield import find_rescale_fault


def verify(folder: Path) -> list[str]:
    """Return one line for each fault, naming the file and the fix; [] if there is none."""
    faults, found = find_pairs(Path(folder))
    for case in found:
        try:
            image, _label = read_case(case)
        except BadInput as error:
            faults.append(str(error))
            continue
        fault = find_rescale_fault(np.asarray(image.dataobj), -200, "air is near -1000 HU")
        if fault:
            faults.append(f"{case.image}: {fault}")
    return faults
