"""What a detector makes of a radiograph: blur, noise, tone curve and stored whole numbers.

Four scanners, all chosen. A, B and C are those of the training hospital; B stores its pictures as
MONOCHROME1. D is the one that nobody trained on: blurred, noisy, with another tone curve.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid
from scipy import ndimage

# The attenuation that is shown black and white: from open air in the lung to the spine.
BLACK, WHITE = 0.9, 4.9
# An R of lead, as technologists lay it beside the patient.
MARKER = ((1, 1, 1, 0), (1, 0, 1, 0), (1, 1, 1, 0), (1, 1, 0, 0), (1, 0, 1, 0))


@dataclass(frozen=True)
class Scanner:
    """A detector and its processing."""

    bits: int
    inverted: bool  # MONOCHROME1
    low: float  # where black is stored, as a share of the range
    high: float  # where white is stored
    gamma: float
    noise: float  # quantum noise in attenuation, at attenuation 2.5
    blur: float  # in pixels of a 96-pixel image


SCANNERS = {
    "A": Scanner(bits=12, inverted=False, low=0.08, high=0.55, gamma=1.00, noise=0.020, blur=0.35),
    "B": Scanner(bits=14, inverted=True, low=0.30, high=0.94, gamma=0.90, noise=0.025, blur=0.45),
    "C": Scanner(bits=12, inverted=False, low=0.05, high=0.33, gamma=1.12, noise=0.030, blur=0.55),
    "D": Scanner(bits=14, inverted=False, low=0.20, high=0.90, gamma=0.50, noise=0.120, blur=1.10),
}


@dataclass(frozen=True)
class Stored:
    """Pixels as a detector stores them, and the window that shows them."""

    values: np.ndarray  # uint16
    centre: float
    width: float
    scanner: Scanner


def expose(attenuation: np.ndarray, scanner: Scanner, rng: np.random.Generator) -> Stored:
    """Return what a scanner stores of attenuation (size, size), with a window for this exposure."""
    size = len(attenuation)
    noise = scanner.noise * np.exp((attenuation - 2.5) / 2)
    seen = attenuation + noise * rng.standard_normal(attenuation.shape).astype(np.float32)
    seen = ndimage.gaussian_filter(seen, scanner.blur * size / 96)
    tone = np.clip((seen - BLACK) / (WHITE - BLACK), 0, 1) ** scanner.gamma
    top = 2**scanner.bits - 1
    exposure = rng.uniform(-0.04, 0.04)  # moves all stored values; the window follows
    low, high = scanner.low + exposure, scanner.high + exposure
    stored = low + (high - low) * tone
    stored[_marker(size)] = 1.0  # lead, far above the window
    values = np.clip(np.round(stored * top), 0, top)
    low, high = low + rng.normal(0, 0.01), high + rng.normal(0, 0.01)
    if scanner.inverted:
        values, low, high = top - values, 1 - high, 1 - low
    # DICOM PS3.3 C.11.2.1.2: the window runs from centre - 0.5 - (width - 1) / 2 to its mirror
    centre, width = (low + high) / 2 * top + 0.5, (high - low) * top + 1
    return Stored(values.astype(np.uint16), round(centre, 1), round(width, 1), scanner)


def _marker(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels of the lead letter that names the patient's right side."""
    letter = np.kron(np.array(MARKER), np.ones((max(1, size // 64),) * 2))
    rows, columns = np.nonzero(letter)
    return rows + size // 24, columns + size // 24


def grey(stored: Stored) -> np.ndarray:
    """Return the picture as a screen shows it: uint8, dense tissue bright."""
    low = stored.centre - 0.5 - (stored.width - 1) / 2
    shown = np.clip((stored.values - low) / (stored.width - 1), 0, 1)
    return np.round(255 * (1 - shown if stored.scanner.inverted else shown)).astype(np.uint8)


def write_dicom(path: Path, stored: Stored, patient: str, scanner: str) -> None:
    """Write a digital radiograph as DICOM; the same pixels and names give the same bytes."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = _uid("image", path.name)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    _say_what_it_is(ds, path, patient, scanner)
    _put_pixels(ds, stored)
    ds.save_as(path, enforce_file_format=True)


def _uid(*names: str) -> str:
    return generate_uid(entropy_srcs=["medlab chest-xray", *names])


def _say_what_it_is(ds: FileDataset, path: Path, patient: str, scanner: str) -> None:
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID = _uid("study", path.name), _uid("series", path.name)
    ds.PatientID, ds.PatientName = patient, f"Generated^{patient}"
    ds.PatientBirthDate = ds.PatientSex = ds.StudyDate = ds.StudyTime = ""
    ds.Modality, ds.PresentationIntentType = "DX", "FOR PRESENTATION"
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.Manufacturer = "generated by medlab"
    ds.ManufacturerModelName = f"scanner {scanner}"
    ds.ImageComments = "Generated picture of nobody"
    ds.BodyPartExamined, ds.ViewPosition, ds.PatientOrientation = "CHEST", "PA", ["L", "F"]
    ds.InstanceNumber = 1


def _put_pixels(ds: FileDataset, stored: Stored) -> None:
    ds.SamplesPerPixel, ds.PixelRepresentation = 1, 0
    ds.PhotometricInterpretation = "MONOCHROME1" if stored.scanner.inverted else "MONOCHROME2"
    ds.PresentationLUTShape = "INVERSE" if stored.scanner.inverted else "IDENTITY"
    ds.Rows, ds.Columns = stored.values.shape
    ds.BitsAllocated, ds.BitsStored = 16, stored.scanner.bits
    ds.HighBit = stored.scanner.bits - 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"
    ds.WindowCenter, ds.WindowWidth, ds.VOILUTFunction = stored.centre, stored.width, "LINEAR"
    ds.PixelData = stored.values.astype("<u2").tobytes()
