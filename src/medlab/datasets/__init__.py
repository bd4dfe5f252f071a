"""Data sets: generated stand-ins, in the layout of the real ones, and readers that serve both."""

from medlab.datasets.cache import folder
from medlab.datasets.registry import DATA_SETS, DataSet, File, Real, find

__all__ = ["DATA_SETS", "DataSet", "File", "Real", "find", "folder"]
