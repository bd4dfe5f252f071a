"""Read fundus photographs and their tables: APTOS 2019 itself, or its stand-in."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from medlab.datasets import masks, tables
from medlab.datasets.fundus.layout import COLUMNS, GRADES, GRADES_FILE, IMAGES, PATIENTS_FILE
from medlab.errors import BadInput


def read_table(folder: Path) -> pd.DataFrame:
    """Return one row per photograph: id_code, path (relative), diagnosis 0 to 4, and patient data.

    The patients' columns come from folder/patients.csv, if it exists: APTOS has none. Raises
    BadInput for a missing file or column, a grade out of range, a duplicate id, and a row without
    its photograph or its patient.
    """
    folder = Path(folder)
    table = _read_csv(folder / GRADES_FILE, ("diagnosis",))
    _check_grades(table, folder / GRADES_FILE)
    table.insert(1, "path", IMAGES + "/" + table["id_code"] + ".png")
    present = {path.name for path in (folder / IMAGES).glob("*.png")}
    for name in table["id_code"]:
        if f"{name}.png" not in present:
            raise BadInput(
                f"{folder / GRADES_FILE}: id_code {name} has no photograph: put {name}.png into "
                f"{folder / IMAGES}, or delete the row"
            )
    return _with_patients(table, folder / PATIENTS_FILE)


def _read_csv(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    table = tables.read_table(path, "id_code", columns)
    twice = table["id_code"][table["id_code"].duplicated()]
    if len(twice):
        raise BadInput(f"{path}: duplicate id_code {twice.iloc[0]}: keep one row")
    return table


def _check_grades(table: pd.DataFrame, path: Path) -> None:
    wrong = table[~table["diagnosis"].isin(range(len(GRADES)))]
    if len(wrong):
        name, grade = wrong.iloc[0][["id_code", "diagnosis"]]
        raise BadInput(f"{path}: id_code {name} has diagnosis {grade}: grades are 0 to 4")


def _with_patients(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    if not path.is_file():
        return table
    patients = _read_csv(path, COLUMNS)
    missing = sorted(set(table["id_code"]) - set(patients["id_code"]))
    if missing:
        raise BadInput(f"{path} has no row for id_code {missing[0]}: add it")
    for name in COLUMNS:
        empty = patients["id_code"][patients[name].isna()]
        if len(empty):
            raise BadInput(f"{path}: id_code {empty.iloc[0]} has no {name}: fill it in")
    return table.merge(patients[["id_code", *COLUMNS]], on="id_code", validate="one_to_one")


def read_photograph(path: Path, size: int | None = None) -> np.ndarray:
    """Return a photograph as uint8 RGB, shape (rows, columns, 3).

    With a size, the photograph is first cropped to its field of view, padded to a square and
    reduced to (size, size, 3), so that cameras with other margins give comparable images. Raises
    BadInput for a file that is missing, truncated or not an image.
    """
    try:
        with Image.open(path) as stored:
            if size is not None:  # lets JPEG decode at a fraction of its size
                stored.draft("RGB", (4 * size, 4 * size))
            image = stored.convert("RGB")
    except FileNotFoundError:
        raise BadInput(f"{path} not found: fetch or make the data again") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise BadInput(
            f"{path} cannot be read as an image, it may be truncated ({error}): fetch it again"
        ) from None
    pixels = np.asarray(image)
    return pixels if size is None else _square(pixels, size, Path(path))


def field_of_view(pixels: np.ndarray) -> tuple[slice, slice]:
    """Return rows and columns of the bright field of a photograph (rows, columns, 3).

    The field is where red exceeds a fifth of its 99th percentile, in more than one pixel out of
    fifty of the row or column, so that single bright pixels in the surround do not count. Raises
    ValueError for an image without any.
    """
    red = pixels[..., 0].astype(np.float32)
    bright = red > max(0.2 * np.percentile(red, 99), 4)
    spans = []
    for axis in (1, 0):
        found = np.flatnonzero(bright.mean(axis=axis) > 0.02)
        if not len(found):
            raise ValueError("no field of view: the image is dark")
        spans.append(slice(int(found[0]), int(found[-1]) + 1))
    return spans[0], spans[1]


def _square(pixels: np.ndarray, size: int, path: Path) -> np.ndarray:
    try:
        cut = pixels[field_of_view(pixels)]
    except ValueError as error:
        raise BadInput(f"{path}: {error}; delete its row in {GRADES_FILE}") from None
    side = max(cut.shape[:2])
    top, left = ((side - length) // 2 for length in cut.shape[:2])
    square = np.zeros((side, side, 3), np.uint8)
    square[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BOX))


def read_images(folder: Path, table: pd.DataFrame, size: int | None = None) -> np.ndarray:
    """Return the photographs of a table's rows as uint8, shape (rows, height, width, 3).

    Without a size all must have one shape; raises BadInput for the first that differs.
    """
    photographs = []
    for path in table["path"]:
        photographs.append(read_photograph(Path(folder) / path, size))
        if photographs[-1].shape != photographs[0].shape:
            raise BadInput(
                f"{Path(folder) / path} has shape {photographs[-1].shape}, the first one "
                f"{photographs[0].shape}: pass a size to read_images"
            )
    return np.stack(photographs)


def read_mask(folder: Path, id_code: str) -> np.ndarray:
    """Read where a generated photograph has lesions, bool of shape (rows, columns).

    Raises BadInput if there is no mask: real photographs have none.
    """
    return masks.read_mask(folder, id_code, "generated photographs")
