"""Heart signals of two leads with every beat named, generated, and readers for MIT-BIH too.

A folder holds records in the layout of the MIT-BIH Arrhythmia Database: for each record a header
(.hea), the samples (.dat, format 212, 360 Hz, 200 units/mV) and the annotations (.atr). Generated
records are numbered from 300, so that none bears the name of a real one. What no real set tells
stands apart in truth/patients.csv. Everything is read and written by wfdb.
"""

from medlab.datasets.ecg.making import make
from medlab.datasets.ecg.reading import BEATS, LEADS, RATE, Record, read_record, record_names
from medlab.datasets.ecg.verifying import verify

__all__ = ["BEATS", "LEADS", "RATE", "Record", "make", "read_record", "record_names", "verify"]
