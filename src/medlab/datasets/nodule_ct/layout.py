"""Names in LUNA16: `subset0` to `subset9` with `<seriesuid>.mhd` and `.raw`, and two tables."""

SUBSETS = 10
XYZ = ["coordX", "coordY", "coordZ"]
ANNOTATIONS, CANDIDATES = "annotations.csv", "candidates_V2.csv"
