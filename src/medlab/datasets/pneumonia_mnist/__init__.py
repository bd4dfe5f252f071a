"""Chest radiographs of 28 x 28 pixels: a generated stand-in, and a reader for both sets.

Not the real set, PneumoniaMNIST (datasets/pneumonia-mnist.md), whose file format it has.
"""

from medlab.datasets.lazy import on_first_use
from medlab.datasets.pneumonia_mnist.layout import FILE, SIDE, SPLITS
from medlab.datasets.pneumonia_mnist.reading import Split, read
from medlab.datasets.pneumonia_mnist.verifying import verify

__all__ = ["FILE", "SIDE", "SPLITS", "Split", "make", "read", "verify"]

__getattr__ = on_first_use(__name__, make="making")
