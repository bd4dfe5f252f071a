"""Heart signals of two leads with every beat labelled: a generated stand-in, and readers for both.

Not the real set, the MIT-BIH Arrhythmia Database (datasets/ecg.md), whose file formats it has.
"""

from medlab.datasets.ecg.layout import BEATS, LEADS, RATE
from medlab.datasets.ecg.reading import Record, read_record, record_names
from medlab.datasets.ecg.verifying import verify
from medlab.datasets.lazy import on_first_use

__all__ = ["BEATS", "LEADS", "RATE", "Record", "make", "read_record", "record_names", "verify"]

__getattr__ = on_first_use(__name__, make="making")
