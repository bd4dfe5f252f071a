"""Read records of two leads with their beats: MIT-BIH itself, or its stand-in."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import wfdb

from medlab.datasets.ecg.layout import BEATS, RATE
from medlab.errors import BadInput

VALUES_IN_BYTES = {"212": (3, 2), "16": (2, 1), "80": (1, 1)}  # bytes, values in them


@dataclass(frozen=True)
class Record:
    """One record: n samples of some leads, and its annotations."""

    name: str
    leads: tuple[str, ...]
    signal: np.ndarray  # mV, float, (n, leads)
    digital: np.ndarray  # what the converter gave, int16, (n, leads)
    samples: np.ndarray  # where annotations are: index into signal, rising
    symbols: tuple[str, ...]  # of each annotation; those in BEATS are beats
    notes: tuple[str, ...]  # of a `+` the new rhythm, such as (AFIB; else mostly ''
    comments: tuple[str, ...]  # of the header

    def lead(self, name: str) -> int:
        """Return the column of a lead; raise BadInput if the record has no such lead."""
        if name not in self.leads:
            raise BadInput(
                f"record {self.name} has no lead {name}, but {' and '.join(self.leads)}: "
                "leave this record out, or take another lead for all"
            )
        return self.leads.index(name)

    def beats(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return where the beats are and their symbols, without rhythm, noise and other marks."""
        rows = [i for i, symbol in enumerate(self.symbols) if symbol in BEATS]
        return self.samples[rows], tuple(self.symbols[i] for i in rows)


def record_names(folder: Path) -> list[str]:
    """Return the names of the records in a folder, sorted. Raises BadInput if there are none."""
    names = sorted(path.stem for path in Path(folder).glob("*.hea"))
    if not names:
        raise BadInput(
            f"{folder} holds no record (.hea): point to the folder that holds them, or "
            "'medlab data make ecg' makes some"
        )
    return names


def read_record(folder: Path, name: str, rate: int = RATE) -> Record:
    """Return one record of a folder, whole.

    Raises BadInput for a file that is missing, damaged or truncated, another sampling rate, and a
    signal with gaps.
    """
    stem = Path(folder) / name
    for kind in (".hea", ".atr"):
        if not stem.with_suffix(kind).is_file():
            raise BadInput(f"{stem}{kind} not found: {_fix(name, kind)}")
    if not stem.with_suffix(".atr").read_bytes().endswith(b"\0\0"):  # how annotations end
        raise BadInput(f"{stem}.atr is truncated or damaged: fetch or make it again")
    header = _try(f"{stem}.hea", wfdb.rdheader, str(stem))
    _check_header(header, stem, rate)
    stored = _try(f"{stem}.dat", wfdb.rdrecord, str(stem), physical=False, return_res=16)
    marks = _try(f"{stem}.atr", wfdb.rdann, str(stem), "atr")
    digital = np.asarray(stored.d_signal)
    signal = (digital - np.array(stored.baseline, float)) / np.array(stored.adc_gain, float)
    record = Record(
        name=name,
        leads=tuple(stored.sig_name),
        signal=signal,
        digital=digital,
        samples=np.asarray(marks.sample, dtype=np.int64),
        symbols=tuple(marks.symbol),
        notes=tuple(note.strip("\x00 ") for note in marks.aux_note),
        comments=tuple(stored.comments),
    )
    _check_content(record, stem, stored.fmt)
    return record


def _fix(name: str, kind: str) -> str:
    if kind == ".atr":
        return f"beats need annotations; fetch {name}.atr too"
    return f"fetch {name}.hea, {name}.dat and {name}.atr into one folder"


def _try(file: str, read, *arguments, **options):
    """Call one of wfdb's readers; turn whatever it raises into one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # wfdb's use of pandas
            return read(*arguments, **options)
    except Exception as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{file} cannot be read ({why[:100]}): fetch or make it again") from None


def _check_header(header, stem: Path, rate: int) -> None:
    if not isinstance(header, wfdb.Record) or not header.n_sig:
        raise BadInput(f"{stem}.hea has no signal of its own: take one of its segments")
    if header.fs != rate:
        raise BadInput(
            f"{stem}.hea: {header.fs:g} samples a second, expected {rate}: resample it with "
            "wfdb.processing.resample_multichan, annotations too"
        )
    for file in dict.fromkeys(header.file_name):
        _check_size(header, stem.parent / file)


def _check_size(header, path: Path) -> None:
    """Raise BadInput for a signal file that is missing or shorter than its header says."""
    if not path.is_file():
        raise BadInput(f"{path} not found: {_fix(path.stem, '.dat')}")
    formats = [f for f, name in zip(header.fmt, header.file_name, strict=True) if name == path.name]
    per, values = VALUES_IN_BYTES.get(formats[0], (0, 1))
    wanted = -(-header.sig_len * len(formats) * per // values)
    there = path.stat().st_size
    if there < wanted:
        raise BadInput(f"{path} is truncated: {there:,} bytes, expected {wanted:,}: fetch it again")


def _check_content(record: Record, stem: Path, formats: list[str]) -> None:
    # wfdb's format 212 and 16 mark a missing sample by their lowest value.
    lowest = np.array([{"212": -2048, "16": -32768}.get(f, -32768) for f in formats])
    gaps = np.argwhere(record.digital == lowest)
    if len(gaps):
        at, lead = gaps[0]
        raise BadInput(
            f"{stem}.dat: {len(gaps)} samples are missing, the first at {at / RATE:.1f} s in lead "
            f"{record.leads[lead]}: cut the gap out, or leave the record out"
        )
    if not len(record.beats()[0]):
        raise BadInput(f"{stem}.atr has no beats: it may be damaged, fetch it again")
    outside = record.samples[(record.samples < 0) | (record.samples >= len(record.signal))]
    if len(outside):
        raise BadInput(
            f"{stem}.atr: an annotation at sample {outside[0]}, but the signal has "
            f"{len(record.signal)}: they belong to different records, fetch both again"
        )
