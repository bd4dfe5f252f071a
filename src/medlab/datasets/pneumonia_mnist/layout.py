"""Names in MedMNIST's archive: six arrays, images (n, 28, 28) and labels (n, 1), all uint8."""

FILE = "pneumoniamnist.npz"
SPLITS = ("train", "val", "test")
SIDE = 28  # pixels
