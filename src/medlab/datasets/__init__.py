"""Data sets: generated stand-ins in the layout of the real ones, and readers that read both.

No real data are shipped. Each package has layout, making, reading and verifying; see protocol.py.
"""

from medlab.datasets.cache import folder
from medlab.datasets.registry import DATA_SETS, DataSet, File, Real, find

__all__ = ["DATA_SETS", "DataSet", "File", "Real", "find", "folder"]
