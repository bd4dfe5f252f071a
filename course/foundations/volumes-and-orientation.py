# %% [markdown]
# # Volumes and orientation
#
# A detector marks a bright finding in a head scan, and the report says *right frontal*. The surgeon
# opens the scan in her own viewer: the finding is on the patient's *left*. The network was right.
# The loader in front of it was wrong, and nobody could see it in the picture.
#
# **One new idea: a volume is an array and an affine, never the array alone.**
# The array says what each voxel holds. The affine says where in the patient that voxel lies.
#
# You will build both from single DICOM slices, name the patient's sides, turn a volume to a
# standard orientation, change its voxel size without moving the patient, and find two faults in a
# loader that somebody left behind.
#
# What this unit does not cover: registration of two scans, enhanced multi-frame DICOM, and
# smoothing before strong downsampling.

# %% tags=["parameters"]
SEED = 0

# %% [markdown]
# ## 1. The header knows where a slice lies; the file name does not
#
# Five slices of a heart CT come with pydicom (each cut down to 16 x 16 pixels, headers as they
# were). We read them in the order of their file names.
#
# **Predict before you run:** InstanceNumber counts the slices. Does the slice with the lowest
# number lie nearest to the head or nearest to the feet? (z grows towards the head.)

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pydicom.valuerep import DSfloat
from scipy import ndimage

NIBABEL_DATA = Path(nib.__file__).parent / "tests" / "data"
rng = np.random.default_rng(SEED)
plt.rcParams.update({"figure.dpi": 70, "image.cmap": "gray", "font.size": 10})


def real_paths(folder):
    """Return the paths of a series that pydicom ships, sorted by file name."""
    return sorted(get_testdata_files(f"dicomdirtests/{folder}/*"))


def real_series(folder):
    """Read a series that pydicom ships, in the order of the file names."""
    return [pydicom.dcmread(path) for path in real_paths(folder)]


heart_ct = real_series("98892001/CT5N")
print("PatientPosition:", heart_ct[0].PatientPosition, "(FFS: feet first, lying on the back)")
for path, ds in zip(real_paths("98892001/CT5N"), heart_ct):
    position = [round(float(v), 2) for v in ds.ImagePositionPatient]
    print(f"file {Path(path).name}  InstanceNumber {ds.InstanceNumber:>2}  position {position} mm")

# %% [markdown]
# Here the numbers run from head to feet, against z. In another scan they run the other way,
# and after an export they may be missing. File names promise even less.
#
# Three tags fix a slice in space, all in the patient's own coordinate system:
#
# | tag | meaning |
# |---|---|
# | ImagePositionPatient | where the centre of the **first** pixel lies: x, y, z in mm |
# | ImageOrientationPatient | six numbers. First three: the direction in which the **column index** grows (along a row). Last three: the direction in which the **row index** grows (down a column) |
# | PixelSpacing | mm between **rows** first, mm between **columns** second |
#
# The axes belong to the patient, not to the scanner bed: in DICOM x grows to the patient's
# **L**eft, y to the back (**P**osterior), z to the head (**S**uperior). This is called **LPS**.
# This patient went into the scanner feet first; the axes take no notice.
#
# The **normal** of a slice is the direction that sticks out of it: the cross product of the two
# directions. The **position of a slice along the normal** is the dot product of its
# ImagePositionPatient with the normal. One number in mm, and slices sort by it.

# %%
orientation = np.array(heart_ct[0].ImageOrientationPatient, dtype=float)
row_direction, column_direction = orientation[:3], orientation[3:]
normal = np.cross(row_direction, column_direction)
print("along a row    ", row_direction)
print("down a column  ", column_direction)
print("normal         ", normal)
for ds in heart_ct:
    along = float(np.dot(ds.ImagePositionPatient, normal))
    print(f"InstanceNumber {ds.InstanceNumber:>2}: {along:8.4f} mm along the normal")

# %% [markdown]
# For a straight axial scan the normal is the z axis, so reading z alone seems enough.
# It is not: the next real series shows why. It is an MR angiogram (pydicom's `MR700`),
# seen here from above. Each line is one slice, seen edge-on.

# %%
radial = real_series("98892003/MR700")


def draw_from_above(ax, series):
    for ds in series:
        start = np.array(ds.ImagePositionPatient, dtype=float)
        along_row = np.array(ds.ImageOrientationPatient[:3], dtype=float)
        # 512 columns: our guess of what it had before pydicom cut it to 16
        end = start + along_row * float(ds.PixelSpacing[1]) * 512
        ax.plot([start[0], end[0]], [start[1], end[1]], color="black", lw=1)
        ax.text(start[0], start[1], f" {ds.InstanceNumber}", va="bottom")
    ax.set(xlabel="x in mm (to the patient's left)", ylabel="y in mm (to the back)", aspect="equal")
    ax.invert_yaxis()


fig, ax = plt.subplots(figsize=(5, 4))
draw_from_above(ax, radial)
ax.set_title("MR700: seven slices, one axis")
plt.show()

# %% [markdown]
# *In words:* seven lines, numbered 1 to 7, cross in one point like the spokes of a wheel. No two
# are parallel. (The lines are drawn 512 pixels long; that length is our assumption, the directions
# and starting points are from the headers.)
#
# These slices have seven different normals. They are seven good pictures, and they are **not** one
# regular volume. Code that stacks them gives an array all the same. Yours should refuse.
#
# ### Exercise 1: slice_positions


# %% exercise="slice_positions" points=2
def slice_positions(datasets):
    """Return the position of every slice along the common slice normal, in mm.

    datasets: list of pydicom Datasets, in any order.
    Returns a float array, one number per dataset, in the order given.
    The normal is that of the first dataset: row direction x column direction.
    Raises ValueError when the slices are not parallel: any of the six numbers of
    ImageOrientationPatient differs by more than 0.001 from the first dataset's.
    """
    ### BEGIN SOLUTION
    orientations = np.array([ds.ImageOrientationPatient for ds in datasets], dtype=float)
    if np.abs(orientations - orientations[0]).max() > 1e-3:
        raise ValueError("slices are not parallel: they are not one volume")
    normal = np.cross(orientations[0, :3], orientations[0, 3:])
    origins = np.array([ds.ImagePositionPatient for ds in datasets], dtype=float)
    return origins @ normal
    ### END SOLUTION


# %% check="slice_positions"
positions = slice_positions(heart_ct)
assert len(positions) == len(heart_ct), (
    f"one position per dataset: 5 expected, {len(positions)} came"
)
assert np.allclose(np.sort(positions), [-1.2375, 1.2625, 3.7625, 6.2625, 8.7625]), (
    f"the heart CT lies at -1.2375 to 8.7625 mm, {np.round(np.sort(positions), 4)} came"
)
assert np.allclose(positions, [ds.ImagePositionPatient[2] for ds in heart_ct]), (
    "keep the order in which the datasets came; sorting is the next step"
)
try:
    slice_positions(radial)
    refused = False
except ValueError:
    refused = True
assert refused, "MR700 is a wheel of slices: raise ValueError when ImageOrientationPatient differs"

# %% hidden="setup"
import io
import re
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import DSfloat

NIBABEL_DATA = Path(nib.__file__).parent / "tests" / "data"
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
AXIAL = np.eye(3)


def real_paths(folder):
    return sorted(get_testdata_files(f"dicomdirtests/{folder}/*"))


def ds_values(values):
    return [DSfloat(float(v), auto_format=True) for v in values]


def rotation(rng):
    """A random rotation, well away from the patient's axes. Columns: row, column, normal."""
    while True:
        q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        q[:, 2] *= np.sign(np.linalg.det(q))
        if np.abs(q).max() < 0.95:
            return q


def one_slice(pixels, origin, directions, pixel_spacing):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.Modality = "CT"
    ds.ImagePositionPatient = ds_values(origin)
    ds.ImageOrientationPatient = ds_values(directions[:, :2].T.ravel())
    ds.PixelSpacing = ds_values(pixel_spacing)
    ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 1
    ds.PixelData = pixels.astype("<i2").tobytes()
    return ds


def make_series(rng, directions=None, pixel_spacing=None, tilt=0.0, jitter=0.0):
    """A generated series in random order, with misleading numbers, and the truth about it."""
    directions = rotation(rng) if directions is None else directions
    row_mm, column_mm = (
        rng.uniform([0.5, 1.2], [0.9, 1.8]) if pixel_spacing is None else pixel_spacing
    )
    count, rows, columns = int(rng.integers(6, 10)), 5, 7
    spacing = float(rng.uniform(2.0, 4.0))
    origin = rng.uniform(-150, 150, size=3)
    step = spacing * (directions[:, 2] + np.tan(tilt) * directions[:, 1])
    pixels = rng.integers(-1000, 1000, size=(count, rows, columns))
    wobble = rng.uniform(-jitter, jitter, size=count) * spacing
    origins = [origin + k * step + wobble[k] * directions[:, 2] for k in range(count)]
    slices = [
        one_slice(pixels[k], origins[k], directions, (row_mm, column_mm)) for k in range(count)
    ]
    for ds, number in zip(slices, rng.permutation(count)):
        ds.InstanceNumber = int(number) + 1
        ds.SliceThickness = ds_values([0.6 * spacing])[0]
        ds.SliceLocation = ds_values([1.7 * float(number) - 40])[0]
    affine = np.eye(4)
    affine[:3] = np.column_stack(
        [directions[:, 0] * column_mm, directions[:, 1] * row_mm, step, origin]
    )
    order = list(rng.permutation(count))
    if order[0] == 0:  # the first dataset must not happen to be the lowest slice
        order = order[::-1]
    return SimpleNamespace(
        slices=slices,
        shuffled=[slices[i] for i in order],
        positions=np.array([np.dot(o, directions[:, 2]) for o in origins]),
        order=order,
        spacing=spacing,
        affine=LPS_TO_RAS @ affine,
        volume=pixels.transpose(2, 1, 0),
    )


def numbers_in(text):
    return [float(n) for n in re.findall(r"\d+(?:\.\d+)?", text)]


def is_value_error(error):
    return error is not None and error.kind == "ValueError"


def names_place(error, *positions):
    found = np.array(numbers_in(error.message) or [np.inf])
    return all(np.abs(found - abs(p)).min() < 0.06 for p in positions)


def shown(array):
    return np.array2string(
        np.asarray(array, dtype=float), precision=2, suppress_small=True
    ).replace("\n", "")


def affine_slip(got, truth):
    """The likely slip behind a wrong affine, in words for the learner."""
    lps = LPS_TO_RAS @ truth
    if close(got, lps, atol=1e-3):
        return "These numbers are LPS. RAS turns the sign of x and of y"
    if np.shape(got) != (4, 4):
        return f"A 4 x 4 matrix was expected, shape {np.shape(got)} came"
    got = np.asarray(got, dtype=float)
    if close(got[:3, :3], truth[:3, :3], atol=1e-3):
        if close(got[:3, 3], lps[:3, 3], atol=1e-3):
            return "The directions are RAS, the origin is still LPS: turn the sign of x and y of the origin too"
        return "Directions are right, the origin is not: it is the ImagePositionPatient of the lowest slice"
    if close(got[:3, :2], truth[:3, :2], atol=1e-3):
        return (
            "The first two columns are right, the third is not: it is the step from one slice origin to the "
            "next, which a gantry tilt turns away from the normal, and which is not SliceThickness"
        )
    lengths = np.linalg.norm(truth[:3, :3], axis=0)
    swapped = truth[:3, :2] / lengths[:2] * lengths[1::-1]
    if close(got[:3, :2], swapped, atol=1e-3):
        return "PixelSpacing holds the row spacing first: it belongs to the second column of the affine"
    return f"Expected {shown(truth[:3])}, got {shown(got[:3])}"


def put_series(learner, rng, case_slices):
    paths = []
    for ds in case_slices:
        buffer = io.BytesIO()
        ds.save_as(buffer, enforce_file_format=True)
        paths.append(
            learner.put_file(
                f"scan{rng.integers(1 << 40)}/{rng.integers(1 << 40)}.dcm", buffer.getvalue()
            )
        )
    return paths


def order_slip(got, case):
    if np.shape(got) != case.volume.shape:
        return f"shape {case.volume.shape} (column, row, slice) expected, {np.shape(got)} came: was pixel_array transposed?"
    numbers = [int(ds.InstanceNumber) for ds in case.slices]
    if close(got, case.volume[:, :, np.argsort(numbers)]):
        return (
            "the slices are sorted by InstanceNumber: it counts in any direction; sort by position"
        )
    return (
        "the slices are not sorted by position: a file name says nothing about where a slice lies"
    )


def stored_case(rng):
    """A volume of distinct values; axes in random order and directions, tilted up to 15 degrees."""
    shape = tuple(int(n) for n in rng.permutation([4, 5, 6]))
    volume = rng.permutation(np.prod(shape)).reshape(shape).astype(float)
    axes = np.eye(3)[[[1, 2, 0], [2, 0, 1], [1, 0, 2]][rng.integers(3)]]
    angle = rng.uniform(-0.25, 0.25)
    tilt = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    affine = np.eye(4)
    signs = [[-1, 1, 1], [1, -1, -1], [-1, -1, 1], [-1, -1, -1]][rng.integers(4)]
    affine[:3, :3] = tilt @ axes @ np.diag(signs * rng.uniform(0.7, 3.0, size=3))
    affine[:3, 3] = rng.uniform(-90, 90, size=3)
    return volume, affine


def check_turned(volume, affine, new_volume, new_affine):
    image = nib.as_closest_canonical(nib.Nifti1Image(volume, affine))
    wanted, wanted_affine = np.asanyarray(image.dataobj), image.affine
    if np.shape(new_volume) != wanted.shape:
        raise AssertionError(
            f"R, A, S first: shape {wanted.shape} expected, {np.shape(new_volume)} came: mind the order of the axes"
        )
    assert close(new_volume, wanted), "the voxels are not in R, A, S order"
    assert not close(new_affine, affine, atol=1e-4), (
        "the array was flipped, the affine was not: they must change together"
    )
    if close(np.asarray(new_affine)[:3, :3], wanted_affine[:3, :3], atol=1e-4):
        assert close(new_affine, wanted_affine, atol=1e-4), (
            "the steps of the affine turned, its origin did not: the first voxel is now another one"
        )
    assert close(new_affine, wanted_affine, atol=1e-4), (
        "the affine does not say where the reoriented voxels lie"
    )


def to_sitk(volume, affine):
    lps = LPS_TO_RAS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.transpose(2, 1, 0)))
    image.SetSpacing([float(v) for v in spacing])
    image.SetOrigin([float(v) for v in lps[:3, 3]])
    image.SetDirection([float(v) for v in (lps[:3, :3] / spacing).ravel()])
    return image


def grid_case(rng):
    """Old and new grid; no new centre lies half-way between two old ones."""
    while True:
        shape = rng.integers(6, 12, size=3)
        spacing, new_spacing = rng.uniform(0.8, 3.0, size=(2, 3))
        ratio = new_spacing / spacing
        new_shape = np.maximum(1, np.round(shape / ratio)).astype(int)
        at = [r * np.arange(n) + (r - 1) / 2 for r, n in zip(ratio, new_shape)]
        near_half = min(np.abs(a - np.floor(a) - 0.5).min() for a in at)
        rounding = np.abs(shape / ratio - np.floor(shape / ratio) - 0.5).min()
        if near_half > 0.01 and rounding > 0.05 and np.abs(ratio - 1).min() > 0.1:
            break
    affine = np.eye(4)
    affine[:3, :3] = rotation(rng) * spacing
    affine[:3, 3] = rng.uniform(-90, 90, size=3)
    new_affine = affine.copy()
    new_affine[:3, :3] *= ratio
    new_affine[:3, 3] += affine[:3, :3] @ ((ratio - 1) / 2)
    return SimpleNamespace(
        affine=affine, shape=tuple(int(n) for n in shape), new_spacing=[float(v) for v in new_spacing],
        new_shape=tuple(int(n) for n in new_shape), new_affine=new_affine,
    )  # fmt: skip


def by_sitk(volume, case, interpolator, shift=True):
    """What SimpleITK makes of the case; without the shift, first centres coincide (a slip)."""
    grid = case.new_affine.copy()
    if not shift:
        grid[:3, 3] = case.affine[:3, 3]
    reference = to_sitk(np.zeros(case.new_shape), grid)
    resampled = sitk.Resample(
        to_sitk(volume, case.affine), reference, sitk.Transform(), interpolator
    )
    return sitk.GetArrayFromImage(resampled).transpose(2, 1, 0)


# %% hidden="slice_positions" points=1 about="positions along the slice normal, for any orientation and order"
for _ in range(3):
    case = make_series(rng)
    got = learner.slice_positions(case.shuffled)
    wanted = case.positions[case.order]
    z = [float(ds.ImagePositionPatient[2]) for ds in case.shuffled]
    locations = [float(ds.SliceLocation) for ds in case.shuffled]
    assert not close(got, z, atol=1e-3), (
        "z alone is the position only for axial slices: project ImagePositionPatient on the slice normal"
    )
    assert not close(got, locations, atol=1e-3), (
        "SliceLocation is optional and relative to anything the vendor likes: use ImagePositionPatient"
    )
    assert not close(got, -wanted, atol=1e-3), (
        "the sign is turned: the normal is row direction x column direction"
    )
    assert not close(got, np.sort(wanted), atol=1e-3), (
        "return the positions in the order of the datasets, unsorted"
    )
    assert close(got, wanted, atol=1e-3), f"oblique slices: expected {shown(wanted)} mm, got {got}"

# %% hidden="slice_positions" points=1 about="slices that are not parallel are refused, parallel ones are not"
fan = [pydicom.dcmread(path) for path in real_paths("98892003/MR700")]
error = error_from(learner.slice_positions, fan)
assert error is not None, (
    "MR700 is a wheel of slices that are not parallel: expected ValueError, got positions"
)
assert error.kind == "ValueError", (
    f"slices that are not parallel: expected ValueError, got {error.kind}"
)
case = make_series(rng)
case.shuffled[-1].ImageOrientationPatient = ds_values(rotation(rng)[:, :2].T.ravel())
error = error_from(learner.slice_positions, case.shuffled)
assert error is not None, (
    "only the last slice is not parallel to the others: compare every slice with the first"
)
case = make_series(rng)
for ds in case.shuffled[1:]:
    ds.ImageOrientationPatient = ds_values(np.array(ds.ImageOrientationPatient, dtype=float) + 5e-5)
error = error_from(learner.slice_positions, case.shuffled)
assert error is None, (
    "rounding of 0.00005 in ImageOrientationPatient is no reason to refuse: allow 0.001"
)


# %% mistake="slice_positions" because="reads z instead of projecting on the normal" keeps=1 says="normal"
def slice_positions(datasets):
    orientations = np.array([ds.ImageOrientationPatient for ds in datasets], dtype=float)
    if np.abs(orientations - orientations[0]).max() > 1e-3:
        raise ValueError("not parallel")
    return np.array([float(ds.ImagePositionPatient[2]) for ds in datasets])


# %% mistake="slice_positions" because="trusts SliceLocation and never compares orientations" keeps=0 says="SliceLocation"
def slice_positions(datasets):
    return np.array([float(ds.SliceLocation) for ds in datasets])


# %% mistake="slice_positions" because="stacks slices that are not parallel" keeps=1 says="not parallel"
def slice_positions(datasets):
    first = np.array(datasets[0].ImageOrientationPatient, dtype=float)
    normal = np.cross(first[:3], first[3:])
    return np.array(
        [np.dot(np.array(ds.ImagePositionPatient, dtype=float), normal) for ds in datasets]
    )


# %% [markdown] hint="slice_positions"
# The first six numbers you need are in ImageOrientationPatient, the other three in
# ImagePositionPatient. Compare the orientations before you trust the first one.
#
# ---
#
# normal = cross(orientation[:3], orientation[3:]), position = dot(ImagePositionPatient, normal).
#
# ---
#
# ```python
# orientations = np.array([ds.ImageOrientationPatient for ds in datasets], dtype=float)
# if np.abs(orientations - orientations[0]).max() > ...:
#     raise ValueError(...)
# normal = np.cross(..., ...)
# origins = np.array([...], dtype=float)
# return origins @ ...
# ```

# %% [markdown]
# Sorting is now one line. We give it to you, because everything below uses it.


# %%
def sort_slices(datasets):
    """Return the datasets from the lowest to the highest position along the slice normal."""
    return [datasets[i] for i in np.argsort(slice_positions(datasets))]


# %% needs="slice_positions"
print("by file name:", [int(ds.InstanceNumber) for ds in heart_ct], "(InstanceNumber)")
print("by position: ", [int(ds.InstanceNumber) for ds in sort_slices(heart_ct)])

# %% [markdown]
# ## 2. Spacing is measured between slices; thickness is not spacing
#
# **SliceThickness** says how much tissue one slice averages. **Spacing** is the distance from one
# slice to the next. Slices may overlap (spacing smaller than thickness) or leave tissue out
# (spacing larger). The tag SpacingBetweenSlices is often absent. Measure instead.

# %%
pair = [pydicom.dcmread(NIBABEL_DATA / name) for name in ("0.dcm", "1.dcm")]  # Siemens MR headers
measured = np.linalg.norm(np.subtract(pair[1].ImagePositionPatient, pair[0].ImagePositionPatient))
print(
    f"two MR headers:    SliceThickness {pair[0].SliceThickness:.1f} mm, measured spacing {measured:.1f} mm"
)
scout = real_series("98892001/CT2N")[0]
print(
    f"a CT scout header: SliceThickness {scout.SliceThickness:.1f} mm (a projection has no thickness)"
)

# %% [markdown]
# (nibabel's `0.dcm` and `1.dcm` carry real headers; their pixels are a test pattern, so we use the
# headers only.)
#
# **Predict before you run:** pydicom's `CT2` is a head CT of which four slices were kept. Their
# thickness is in the header. If you stack the four and call the thickness their spacing, how tall
# is the stack, and how tall is the piece of the patient that it spans?

# %%
head_ct = real_series("77654033/CT2")
z = sorted(float(ds.ImagePositionPatient[2]) for ds in head_ct)  # axial: the normal is the z axis
thickness = float(head_ct[0].SliceThickness)
print("SliceThickness:", thickness, "mm")
print("positions:     ", [round(v, 2) for v in z], "mm")
print("steps:         ", np.diff(z).round(2), "mm")
print(
    f"stacked by thickness: {thickness * (len(z) - 1):.2f} mm; in the patient: {z[-1] - z[0]:.2f} mm"
)

fig, axes = plt.subplots(1, 2, figsize=(6, 3), sharey=True)
axes[0].hlines(z, 0, 1, color="black")
axes[0].set(title="where they lie", ylabel="z in mm")
axes[1].hlines(z[0] + thickness * np.arange(4), 0, 1, color="black")
axes[1].set(title="stacked by thickness")
for ax in axes:
    ax.set_xticks([])
plt.show()

# %% [markdown]
# *In words:* on the left, one slice at the bottom and three close together about 200 mm above it.
# On the right, the same four slices as one thin stack at the bottom: the skull would be squashed.
#
# A regular volume has **one** spacing. When a step differs, a slice is missing (a gap) or is there
# twice (a duplicate, for example two reconstructions in one folder). Say so, and say where: the
# person who gets the message has to find the slice.
#
# Small example: positions 0, 2, 4, 8, 10 mm. The steps are 2, 2, 4, 2 and their median is 2.
# The step of 4 is a gap between 4.0 and 8.0 mm.
#
# ### Exercise 2: slice_spacing


# %% exercise="slice_spacing" points=3
def slice_spacing(datasets):
    """Return the distance between neighbouring slices along the normal, in mm, as a float.

    datasets: list of pydicom Datasets, in any order. The spacing is the median step.
    Raises ValueError when slices are not parallel, when there are fewer than two,
    when two share a position (step under 1 % of the median, or the median itself is 0),
    and when a step differs from the median by more than 1 %.
    The message of the last two holds the positions of the two slices in mm, with one decimal.
    """
    ### BEGIN SOLUTION
    if len(datasets) < 2:
        raise ValueError(f"spacing needs at least two slices, {len(datasets)} came")
    positions = np.sort(slice_positions(datasets))
    steps = np.diff(positions)
    spacing = float(np.median(steps))
    for low, high, step in zip(positions[:-1], positions[1:], steps):
        if step <= 0.01 * spacing:
            raise ValueError(f"duplicate slice at {low:.1f} mm and {high:.1f} mm")
        if abs(step - spacing) > 0.01 * spacing:
            raise ValueError(f"gap of {step:.1f} mm between {low:.1f} mm and {high:.1f} mm")
    return spacing
    ### END SOLUTION


# %% check="slice_spacing"
spacing = slice_spacing(heart_ct)
assert abs(spacing - 2.5) < 1e-6, (
    f"the heart CT has a slice every 2.5 mm, {np.round(spacing, 4)} came"
)
try:
    message = f"no error, but {slice_spacing(head_ct)}"
except ValueError as error:
    message = str(error)
assert "99.5" in message and "103.0" in message, (
    f"the gap lies between -99.5 and 103.0 mm; name both positions with one decimal. Came: {message}"
)

# %% hidden="slice_spacing" points=1 about="the spacing is measured, also with rounded positions"
for _ in range(3):
    case = make_series(rng, jitter=0.002)
    got = learner.slice_spacing(case.shuffled)
    assert not close(got, 0.6 * case.spacing, atol=1e-6), (
        "that is SliceThickness, which is not the spacing: measure the step"
    )
    assert close(got, case.spacing, rtol=0.01), (
        f"expected a spacing of {case.spacing:.3f} mm, got {got}"
    )
paths = real_paths("98892001/CT5N")
got = learner.slice_spacing([pydicom.dcmread(paths[i]) for i in rng.permutation(len(paths))])
assert close(got, 2.5, atol=1e-4), f"pydicom's CT5N in random order: expected 2.5 mm, got {got}"

# %% hidden="slice_spacing" points=1 about="a missing slice is refused, and the message says where"
for _ in range(3):
    case = make_series(rng, directions=AXIAL)  # a slip in slice_positions shall not cost this too
    lost = int(rng.integers(1, len(case.slices) - 1))
    left = [ds for ds in case.shuffled if ds is not case.slices[lost]]
    error = error_from(learner.slice_spacing, left)
    assert error is not None, "a slice is missing: expected ValueError for the gap, got a spacing"
    assert error.kind == "ValueError", f"a gap: expected ValueError, got {error.kind}"
    low, high = case.positions[lost - 1], case.positions[lost + 1]
    assert names_place(error, low, high), (
        f"the message must say where the gap is ({low:.1f} mm and {high:.1f} mm), it says: {error.message}"
    )

# %% hidden="slice_spacing" points=1 about="a position that occurs twice is refused, and so is a single slice"
for _ in range(3):
    case = make_series(rng, directions=AXIAL)
    twin = int(rng.integers(0, len(case.slices)))
    error = error_from(learner.slice_spacing, [*case.shuffled, case.slices[twin]])
    assert error is not None, (
        "two slices share one position: expected ValueError for the duplicate, got a spacing"
    )
    assert error.kind == "ValueError", f"a duplicate: expected ValueError, got {error.kind}"
    place = case.positions[twin]
    assert names_place(error, place), (
        f"the message must say where the duplicate is ({place:.1f} mm), it says: {error.message}"
    )
error = error_from(learner.slice_spacing, case.slices[:1])
assert is_value_error(error), "one slice has no spacing: expected ValueError"


# %% mistake="slice_spacing" because="returns SliceThickness" keeps=2 says="SliceThickness"
def slice_spacing(datasets):
    if len(datasets) < 2:
        raise ValueError("one slice")
    positions = np.sort(slice_positions(datasets))
    steps = np.diff(positions)
    for low, high, step in zip(positions[:-1], positions[1:], steps):
        if abs(step - np.median(steps)) > 0.01 * np.median(steps):
            raise ValueError(f"step of {step:.1f} mm between {low:.1f} and {high:.1f} mm")
    return float(datasets[0].SliceThickness)


# %% mistake="slice_spacing" because="takes the median and never looks for a gap" keeps=1 says="gap"
def slice_spacing(datasets):
    return float(np.median(np.diff(np.sort(slice_positions(datasets)))))


# %% mistake="slice_spacing" because="refuses a gap without saying where" keeps=1 says="where"
def slice_spacing(datasets):
    if len(datasets) < 2:
        raise ValueError("one slice")
    steps = np.diff(np.sort(slice_positions(datasets)))
    if np.abs(steps - np.median(steps)).max() > 0.01 * np.median(steps):
        raise ValueError("slices are not evenly spaced")
    return float(np.median(steps))


# %% [markdown] hint="slice_spacing"
# Sort the positions first. Then look at the steps between neighbours, not at any tag.
#
# ---
#
# steps = diff(sorted positions), spacing = median(steps). A gap: |step - spacing| > 1 % of the
# spacing. A duplicate: step close to 0.
#
# ---
#
# ```python
# positions = np.sort(slice_positions(datasets))
# steps = np.diff(positions)
# spacing = float(np.median(steps))
# for low, high, step in zip(positions[:-1], positions[1:], steps):
#     if ...:
#         raise ValueError(f"duplicate slice at {low:.1f} mm and {high:.1f} mm")
#     if ...:
#         raise ValueError(f"gap ... between {low:.1f} mm and {high:.1f} mm")
# return spacing
# ```

# %% [markdown]
# ## 3. Two ways to name a point: LPS and RAS
#
# DICOM, ITK and SimpleITK count in **LPS**. NIfTI and nibabel count in **RAS**: x grows to the
# patient's **R**ight, y to the front (**A**nterior), z to the head (**S**uperior). The patient does
# not move. Only two signs change.


# %%
def draw_head(ax, title, x_name, y_name, x_sign, y_sign):
    """Draw a head as a radiologist sees it: from the feet, patient's left on the right."""
    outline = np.linspace(0, 2 * np.pi, 100)
    ax.plot(np.cos(outline) * 0.8, np.sin(outline), color="grey")
    ax.plot([-0.12, 0, 0.12], [0.99, 1.15, 0.99], color="grey")
    for (dx, dy), name in (((0.6 * x_sign, 0), x_name), ((0, 0.6 * y_sign), y_name)):
        ax.annotate("", xy=(dx, dy), xytext=(0, 0), arrowprops={"arrowstyle": "-|>", "lw": 2})
        ax.text(dx + 0.06 * abs(dy), dy + 0.2 * abs(dx), name, ha="left" if dy else "center")
    for x, y, letter in ((1.2, 0, "L"), (-1.2, 0, "R"), (0, 1.3, "A"), (0, -1.3, "P")):
        ax.text(x, y, letter, ha="center", va="center", weight="bold")
    ax.set(title=title, xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal")
    ax.axis("off")


fig, axes = plt.subplots(1, 2, figsize=(6.5, 3.4))
draw_head(axes[0], "LPS: DICOM, ITK", "+x", "+y", x_sign=1, y_sign=-1)
draw_head(axes[1], "RAS: NIfTI, nibabel", "+x", "+y", x_sign=-1, y_sign=1)
plt.show()

# %% [markdown]
# *In words:* the same head twice, nose up, seen from the feet, so the patient's left (L) is at the
# right edge. In LPS the x arrow points to L and the y arrow to the back (P). In RAS both arrows
# point the other way. In both, z points away from you, into the page, to the head.
#
# An **affine** is a 4 x 4 matrix that turns a voxel's indices into mm:
#
#     [x]   [            |            |            |        ] [i]
#     [y] = [ step for i | step for j | step for k | origin ] [j]
#     [z]   [            |            |            |        ] [k]
#     [1]   [     0      |     0      |     0      |   1    ] [1]
#
# Each of the first three columns answers: *where do I land when this index grows by one?*
#
# Our volumes are indexed `volume[i, j, k]` = `volume[column, row, slice]`, as in NIfTI and ITK.
# `pixel_array` is indexed `[row, column]`, so each slice goes in transposed: `pixel_array.T`.
#
# | column of the affine | length | direction |
# |---|---|---|
# | step for i (next column) | PixelSpacing[1] | ImageOrientationPatient[:3] |
# | step for j (next row) | PixelSpacing[0] | ImageOrientationPatient[3:] |
# | step for k (next slice) | from one slice origin to the next, in sorted order | the same |
# | origin | | ImagePositionPatient of the lowest slice |
#
# The step for k is measured between slice **origins**. Usually it lies along the normal. When a CT
# gantry is tilted it does not: the slices are sheared like a pushed stack of cards, and the third
# column says so.
#
# A small example, in LPS: slices with PixelSpacing 0.5 \ 2, straight axial, 3 mm apart, first voxel
# at (-10, -20, 30).

# %%
small_lps = np.array([[2.0, 0, 0, -10], [0, 0.5, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1]])
small_ras = np.diag([-1.0, -1, 1, 1]) @ small_lps
print(small_ras)
print("voxel (0, 0, 0) in RAS:", nib.affines.apply_affine(small_ras, [0, 0, 0]))
print("voxel (1, 2, 3) in RAS:", nib.affines.apply_affine(small_ras, [1, 2, 3]))
print("the axes i, j, k run to:", nib.aff2axcodes(small_ras))

# %% [markdown]
# Multiplying from the left with diag(-1, -1, 1, 1) turns the whole x row and the whole y row,
# origin included. Growing i still runs to the patient's left: the array has not changed, only the
# names of the numbers.
#
# ### Exercise 3: affine_ras


# %% exercise="affine_ras" points=3
def affine_ras(datasets):
    """Return the 4 x 4 float affine from voxel (column, row, slice) to RAS millimetres.

    datasets: list of at least two parallel, evenly spaced pydicom Datasets, in any order;
    slice index 0 is the lowest position along the slice normal.
    The third column is the step between slice origins: (last - first) / (count - 1).
    """
    ### BEGIN SOLUTION
    slices = sort_slices(datasets)
    first, last = (np.array(ds.ImagePositionPatient, dtype=float) for ds in (slices[0], slices[-1]))
    row_mm, column_mm = (float(v) for v in slices[0].PixelSpacing)
    orientation = np.array(slices[0].ImageOrientationPatient, dtype=float)
    affine = np.eye(4)
    affine[:3, 0] = orientation[:3] * column_mm
    affine[:3, 1] = orientation[3:] * row_mm
    affine[:3, 2] = (last - first) / (len(slices) - 1)
    affine[:3, 3] = first
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    ### END SOLUTION


# %% check="affine_ras"
heart_affine = affine_ras(heart_ct)
assert np.shape(heart_affine) == (4, 4), (
    f"expected a 4 x 4 matrix, shape {np.shape(heart_affine)} came"
)
assert np.allclose(heart_affine[:3, 3], [72.2, 143.0, -1.2375], atol=1e-3), (
    f"the lowest slice starts at LPS (-72.2, -143, -1.24), so at RAS (72.2, 143, -1.24); {np.round(heart_affine[:3, 3], 2)} came"
)
assert np.allclose(
    np.linalg.norm(heart_affine[:3, :3], axis=0), [0.488281, 0.488281, 2.5], atol=1e-4
), "the columns should be 0.488, 0.488 and 2.5 mm long"
assert nib.aff2axcodes(heart_affine) == ("L", "P", "S"), (
    f"in this scan i, j, k run to L, P, S; yours run to {nib.aff2axcodes(heart_affine)}"
)

# %% hidden="affine_ras" points=1 about="axial slices: order, origin, and the signs that turn LPS into RAS"
for _ in range(3):
    mm = float(rng.uniform(0.4, 1.5))
    case = make_series(rng, directions=AXIAL, pixel_spacing=(mm, mm))
    got = learner.affine_ras(case.shuffled)
    assert close(got, case.affine, atol=1e-3), "Axial slices. " + affine_slip(got, case.affine)

# %% hidden="affine_ras" points=1 about="oblique slices with different row and column spacing"
for _ in range(3):
    case = make_series(rng)
    got = learner.affine_ras(case.shuffled)
    assert close(got, case.affine, atol=1e-3), "Oblique slices. " + affine_slip(got, case.affine)

# %% hidden="affine_ras" points=1 about="a tilted gantry: the third column is the step between slice origins"
for _ in range(3):
    mm = float(rng.uniform(0.4, 1.5))
    tilt = float(rng.uniform(0.15, 0.4) * rng.choice([-1, 1]))
    case = make_series(rng, directions=rotation(rng), pixel_spacing=(mm, mm), tilt=tilt)
    got = learner.affine_ras(case.shuffled)
    assert close(got, case.affine, atol=1e-3), "Tilted gantry. " + affine_slip(got, case.affine)


# %% mistake="affine_ras" because="stays in LPS" keeps=0 says="LPS"
def affine_ras(datasets):
    slices = sort_slices(datasets)
    first, last = (np.array(ds.ImagePositionPatient, dtype=float) for ds in (slices[0], slices[-1]))
    row_mm, column_mm = slices[0].PixelSpacing
    orientation = np.array(slices[0].ImageOrientationPatient, dtype=float)
    affine = np.eye(4)
    affine[:3, 0] = orientation[:3] * float(column_mm)
    affine[:3, 1] = orientation[3:] * float(row_mm)
    affine[:3, 2] = (last - first) / (len(slices) - 1)
    affine[:3, 3] = first
    return affine


# %% mistake="affine_ras" because="swaps the two numbers of PixelSpacing" keeps=2 says="row spacing"
def affine_ras(datasets):
    slices = sort_slices(datasets)
    first, last = (np.array(ds.ImagePositionPatient, dtype=float) for ds in (slices[0], slices[-1]))
    orientation = np.array(slices[0].ImageOrientationPatient, dtype=float)
    affine = np.eye(4)
    affine[:3, 0] = orientation[:3] * float(slices[0].PixelSpacing[0])
    affine[:3, 1] = orientation[3:] * float(slices[0].PixelSpacing[1])
    affine[:3, 2] = (last - first) / (len(slices) - 1)
    affine[:3, 3] = first
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


# %% mistake="affine_ras" because="takes the normal for the third column" keeps=2 says="tilt"
def affine_ras(datasets):
    slices = sort_slices(datasets)
    row_mm, column_mm = slices[0].PixelSpacing
    orientation = np.array(slices[0].ImageOrientationPatient, dtype=float)
    affine = np.eye(4)
    affine[:3, 0] = orientation[:3] * float(column_mm)
    affine[:3, 1] = orientation[3:] * float(row_mm)
    affine[:3, 2] = np.cross(orientation[:3], orientation[3:]) * slice_spacing(datasets)
    affine[:3, 3] = np.array(slices[0].ImagePositionPatient, dtype=float)
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


# %% mistake="affine_ras" because="turns the directions but not the origin" keeps=0 says="origin is still LPS"
def affine_ras(datasets):
    slices = sort_slices(datasets)
    first, last = (np.array(ds.ImagePositionPatient, dtype=float) for ds in (slices[0], slices[-1]))
    row_mm, column_mm = slices[0].PixelSpacing
    orientation = np.array(slices[0].ImageOrientationPatient, dtype=float)
    steps = np.column_stack(
        [
            orientation[:3] * float(column_mm),
            orientation[3:] * float(row_mm),
            (last - first) / (len(slices) - 1),
        ]
    )
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1.0, -1.0, 1.0]) @ steps
    affine[:3, 3] = first
    return affine


# %% [markdown] hint="affine_ras"
# Fill the four columns one by one from the table above, in LPS. Turn to RAS at the very end.
#
# ---
#
# column 0 = orientation[:3] * PixelSpacing[1], column 1 = orientation[3:] * PixelSpacing[0], column
# 2 = (last origin - first origin) / (count - 1), column 3 = first origin. Then diag(-1, -1, 1, 1) @
# affine.
#
# ---
#
# ```python
# slices = sort_slices(datasets)
# first = np.array(slices[0].ImagePositionPatient, dtype=float)
# last = ...
# affine = np.eye(4)
# affine[:3, 0] = ...
# affine[:3, 1] = ...
# affine[:3, 2] = ...
# affine[:3, 3] = first
# return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
# ```

# %% [markdown]
# ### Your affine against SimpleITK's
#
# SimpleITK reads the same five files through its own DICOM reader. It answers in LPS and keeps its
# geometry in three parts: origin, spacing, direction. We put them together, turn two signs, and
# compare.


# %% needs="affine_ras slice_positions"
def affine_from_sitk(image):
    """Return the RAS affine (4, 4) of a SimpleITK image, whose own geometry is LPS."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) @ np.diag(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    affine[:2] *= -1  # from LPS to RAS
    return affine


folder = Path(real_paths("98892001/CT5N")[0]).parent
sitk_image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
print("SimpleITK's origin, in LPS:", np.round(sitk_image.GetOrigin(), 4))
print("your origin, in RAS:       ", affine_ras(heart_ct)[:3, 3].round(4))
difference = np.abs(affine_from_sitk(sitk_image) - affine_ras(heart_ct)).max()
print(f"largest difference between the two affines: {difference:.4f}")

# %% [markdown]
# ## 4. A loader that somebody left behind
#
# Sixteen pixels are too few to look at. nibabel ships a real head: an echo-planar MR volume with an
# oblique affine. We write it out as a DICOM series. **The voxels are real, the DICOM headers are
# generated by us, and the bright ball is a generated lesion**: we set it at RAS (-45, 90, 40) mm,
# so x < 0, so it lies on the patient's **left**.

# %%
epi = nib.load(NIBABEL_DATA / "example4d.nii.gz")
print("shape", epi.shape, " axes run to", nib.aff2axcodes(epi.affine))
print("voxel size in mm", nib.affines.voxel_sizes(epi.affine).round(2))
print("affine, voxel to RAS mm:")
print(epi.affine.round(3))
print("first voxel at RAS", nib.affines.apply_affine(epi.affine, [0, 0, 0]).round(1))
inside = np.argwhere(np.asanyarray(epi.dataobj)[..., 0] > 150)
print(
    "middle of the head at RAS", nib.affines.apply_affine(epi.affine, inside).mean(axis=0).round(1)
)

# %% [markdown]
# The off-diagonal numbers are the tilt of the slices: the operator angled them by a few degrees.
# The middle of the head is not at x = 0. Zero is where the scanner or the software put it, so x < 0
# is a safe word for *left* only far from the midline. Our lesion is far from it.
#
# The next cell is plumbing. Read the names, skip the lines.

# %%
LESION_RAS = np.array([-45.0, 90.0, 40.0])


def with_lesion(volume, affine, centre, radius=9.0, value=1500):
    """Return a copy of the volume with a bright ball (radius in mm) around a RAS point."""
    grid = np.moveaxis(np.indices(volume.shape), 0, -1)
    distance = np.linalg.norm(nib.affines.apply_affine(affine, grid) - centre, axis=-1)
    return np.where(distance < radius, value, volume).astype(np.int16)


def decimal_strings(values):
    """Return numbers as DICOM decimal strings, rounded to the 16 characters these may have."""
    return [DSfloat(float(value), auto_format=True) for value in values]


def header(ras_affine, k):
    """Return the position, orientation and spacing tags of slice k for a RAS affine."""
    lps = np.diag([-1.0, -1, 1, 1]) @ ras_affine
    column_mm, row_mm, slice_mm = nib.affines.voxel_sizes(lps)
    return {
        "ImagePositionPatient": decimal_strings(lps[:3, 3] + k * lps[:3, 2]),
        "ImageOrientationPatient": decimal_strings(
            [*(lps[:3, 0] / column_mm), *(lps[:3, 1] / row_mm)]
        ),
        "PixelSpacing": decimal_strings([row_mm, column_mm]),
        "SpacingBetweenSlices": decimal_strings([slice_mm])[0],
    }


def dicom_slice(pixels, tags):
    """Return a minimal MR Dataset around pixels of shape (rows, columns)."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = MRImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.Modality, ds.SamplesPerPixel, ds.PhotometricInterpretation = "MR", 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.Rows, ds.Columns = pixels.shape
    ds.PixelData = np.ascontiguousarray(pixels, dtype="<i2").tobytes()
    for name, value in tags.items():
        setattr(ds, name, value)
    return ds


def write_series(folder, volume, ras_affine):
    """Write a volume (column, row, slice) as IM1.dcm, IM2.dcm, ... and return the paths."""
    paths = []
    for k in range(volume.shape[2]):
        ds = dicom_slice(volume[:, :, k].T, header(ras_affine, k))
        ds.InstanceNumber = volume.shape[2] - k  # as in the heart CT: from head to feet
        paths.append(str(Path(folder) / f"IM{k + 1}.dcm"))
        ds.save_as(paths[-1], enforce_file_format=True)
    return paths


# Axial DICOM rows run to the left and columns to the back: turn the array first.
to_lps = nib.orientations.ornt_transform(
    nib.io_orientation(epi.affine), nib.orientations.axcodes2ornt("LPS")
)
# Of the head take the first time point, without the empty margin.
head = epi.slicer[22:104, ..., 0].as_reoriented(to_lps)
head_volume = with_lesion(np.asanyarray(head.dataobj), head.affine, LESION_RAS)
series_paths = write_series(tempfile.mkdtemp(), head_volume, head.affine)
rng.shuffle(series_paths)  # a PACS export promises no order
first_names = [Path(path).name for path in series_paths[:3]]
print(len(series_paths), "files, the first three in the order they came:", first_names)

# %% [markdown]
# And here is the loader, as it was found. It ran for two years.


# %%
def legacy_load(paths):
    """Load a DICOM series: volume (column, row, slice) and its affine to RAS mm."""
    slices = [pydicom.dcmread(path) for path in sorted(paths)]
    volume = np.stack([ds.pixel_array.T for ds in slices], axis=-1)
    first = slices[0]
    along = np.reshape(first.ImageOrientationPatient, (2, 3)).astype(float)
    steps = [
        along[0] * float(first.PixelSpacing[1]),
        along[1] * float(first.PixelSpacing[0]),
        np.cross(*along) * float(first.SpacingBetweenSlices),
        np.asarray(first.ImagePositionPatient, dtype=float),
    ]
    matrix = np.vstack([np.transpose(steps), [0, 0, 0, 1]])
    matrix[1] *= -1  # heads were upside down on the screen
    return volume, matrix


# %% [markdown]
# A viewer trusts the affine: it asks which way each axis runs and draws patient's left at the right
# edge, front and head at the top (the radiologist's habit: you stand at the foot of the bed and
# look up).
#
# **Predict before you run:** will you see in the picture that something is wrong? In the axial
# slice? In the coronal one? On which side will the lesion be drawn? (Patient's left is at the right
# edge.)

# %%
OPPOSITE = dict(zip("RLAPSI", "LRPAIS"))


def show_plane(ax, volume, affine, axis, index, title, as_stored=False):
    """Draw one plane across an array axis, with the letters of the patient's sides at its edges."""
    codes = [code for d, code in enumerate(nib.aff2axcodes(affine)) if d != axis]
    across, up = np.delete(nib.affines.voxel_sizes(affine), axis)
    ax.imshow(np.take(volume, index, axis).T, origin="lower", aspect=up / across, vmin=0, vmax=900)
    right, top = codes
    if not as_stored and right in "RP":
        ax.invert_xaxis()
        right = OPPOSITE[right]
    if not as_stored and top in "PI":
        ax.invert_yaxis()
        top = OPPOSITE[top]
    edges = (
        (1, 0.5, right, 9, 0),
        (0, 0.5, OPPOSITE[right], -9, 0),
        (0.5, 1, top, 0, 9),
        (0.5, 0, OPPOSITE[top], 0, -9),
    )
    for x, y, letter, dx, dy in edges:
        where = {
            "xycoords": "axes fraction",
            "textcoords": "offset points",
            "ha": "center",
            "va": "center",
        }
        ax.annotate(letter, (x, y), (dx, dy), weight="bold", **where)
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, pad=20)


def side_of(volume, affine):
    """Return the RAS position of the lesion (the brightest voxels) and the patient's side."""
    centre = nib.affines.apply_affine(affine, np.argwhere(volume == volume.max()).mean(axis=0))
    return centre.round(0), "left" if centre[0] < 0 else "right"


def show_head(volume, affine, name):
    """Draw an axial and a coronal plane through the lesion of a volume (column, row, slice)."""
    _i, j, k = np.median(np.argwhere(volume == volume.max()), axis=0).astype(int)
    fig, axes = plt.subplots(1, 2, figsize=(8, 4))
    show_plane(axes[0], volume, affine, 2, k, "axial")
    show_plane(axes[1], volume, affine, 1, j, "coronal")
    fig.suptitle(name, y=1.02)
    plt.show()


legacy_volume, legacy_affine = legacy_load(series_paths)
centre, side = side_of(legacy_volume, legacy_affine)
print(f"the legacy loader puts the lesion at RAS {centre} mm: patient's {side}")
print(f"we set it at RAS {LESION_RAS} mm: patient's left")
show_head(legacy_volume, legacy_affine, "legacy_load")

# %% [markdown]
# *In words:* the axial slice is a sharp, plausible head, front at the top, with a bright spot near
# the left edge, the edge marked R. The coronal picture is scrambled: bands of slices lie in the
# wrong order, the outline of the head jumps in and out, and a piece of the lesion lies at the top
# edge.
#
# The scrambled coronal picture gives one fault away. The axial picture gives nothing away: a head
# looks the same in a mirror. Symmetric anatomy hides a flip. A heart or a liver on the wrong side
# would make you look twice; a brain, a face or a pelvis does not.
#
# ### Exercise 4: find and repair the two faults
#
# Write the loader anew. You may call every function you have built. Refuse what is not one regular
# volume.


# %% exercise="load_series" points=3
def load_series(paths):
    """Load a DICOM series as (volume, affine).

    paths: list of file paths (str) in any order, with any names.
    volume: array (column, row, slice) of stored pixel values, slices by rising position.
    affine: 4 x 4, voxel (column, row, slice) to RAS mm.
    Raises ValueError when the slices are not parallel or not evenly spaced.
    """
    ### BEGIN SOLUTION
    datasets = [pydicom.dcmread(path) for path in paths]
    slice_spacing(datasets)  # raises where the series is not one regular volume
    volume = np.stack([ds.pixel_array.T for ds in sort_slices(datasets)], axis=-1)
    return volume, affine_ras(datasets)
    ### END SOLUTION


# %% check="load_series"
volume, affine = load_series(series_paths)
assert volume.shape == head_volume.shape, (
    f"shape {head_volume.shape} expected (column, row, slice), {volume.shape} came"
)
assert np.array_equal(volume, head_volume), (
    "the slices are not in the order of their positions: by file name, IM10 comes before IM2"
)
centre, side = side_of(volume, affine)
assert side == "left", (
    f"the lesion was set on the patient's left; your affine puts it on the {side}"
)
assert np.allclose(affine, head.affine, atol=1e-3), (
    "the affine differs from the one the series was written with"
)

# %% hidden="load_series" points=1 about="slices in the order of their positions, whatever the files are called"
for _ in range(2):
    case = make_series(rng)
    volume, _affine = learner.load_series(put_series(learner, rng, case.shuffled))
    assert close(volume, case.volume), order_slip(volume, case)

# %% hidden="load_series" points=1 about="the affine is RAS: left stays left"
for _ in range(2):
    case = make_series(rng)
    _volume, affine = learner.load_series(put_series(learner, rng, case.shuffled))
    half_fixed = np.diag([1.0, -1.0, 1.0, 1.0]) @ LPS_TO_RAS @ case.affine
    assert not close(affine, half_fixed, atol=1e-3), (
        "patient's left and right are exchanged: x keeps its LPS sign"
    )
    assert close(affine, case.affine, atol=1e-3), affine_slip(affine, case.affine)
real = [pydicom.dcmread(path) for path in real_paths("98892001/CT5N")]
_volume, affine = learner.load_series(
    put_series(learner, rng, [real[i] for i in rng.permutation(5)])
)
assert close(np.asarray(affine)[:3, 3], [72.199997, 143.0, -1.2375], atol=1e-3), (
    "pydicom's CT5N: the lowest slice starts at RAS (72.2, 143, -1.24) mm"
)

# %% hidden="load_series" points=1 about="a series with a missing slice, or with slices that are not parallel, is refused"
case = make_series(rng)
lost = int(rng.integers(1, len(case.slices) - 1))
left = [ds for ds in case.shuffled if ds is not case.slices[lost]]
error = error_from(learner.load_series, put_series(learner, rng, left))
assert is_value_error(error), "a slice is missing: expected ValueError for the gap"
for folder in ("77654033/CT2", "98892003/MR700"):
    error = error_from(
        learner.load_series,
        put_series(learner, rng, [pydicom.dcmread(p) for p in real_paths(folder)]),
    )
    assert is_value_error(error), (
        f"pydicom's {folder} is not one regular volume: expected ValueError"
    )


# %% mistake="load_series" because="repairs the sides, still sorts by file name" keeps=2 says="file name"
def load_series(paths):
    datasets = [pydicom.dcmread(path) for path in sorted(paths)]
    slice_spacing(datasets)
    return np.stack([ds.pixel_array.T for ds in datasets], axis=-1), affine_ras(datasets)


# %% mistake="load_series" because="sorts by InstanceNumber" keeps=2 says="InstanceNumber"
def load_series(paths):
    datasets = sorted((pydicom.dcmread(path) for path in paths), key=lambda ds: ds.InstanceNumber)
    slice_spacing(datasets)
    return np.stack([ds.pixel_array.T for ds in datasets], axis=-1), affine_ras(datasets)


# %% mistake="load_series" because="repairs the order, left and right stay exchanged" keeps=2 says="left and right"
def load_series(paths):
    datasets = sort_slices([pydicom.dcmread(path) for path in paths])
    slice_spacing(datasets)
    volume = np.stack([ds.pixel_array.T for ds in datasets], axis=-1)
    return volume, np.diag([-1.0, 1.0, 1.0, 1.0]) @ affine_ras(datasets)


# %% mistake="load_series" because="never refuses a gap, stacks rows first" keeps=1 says="transposed"
def load_series(paths):
    datasets = sort_slices([pydicom.dcmread(path) for path in paths])
    return np.stack([ds.pixel_array for ds in datasets], axis=-1), affine_ras(datasets)


# %% [markdown] hint="load_series"
# One fault is in the first line of the loader, the other in its last lines. Which axis was repaired
# by eye, and which one could nobody see?
#
# ---
#
# Order: sort_slices. Affine: affine_ras. Refusal: slice_spacing raises for you.
#
# ---
#
# ```python
# datasets = [pydicom.dcmread(path) for path in paths]
# slice_spacing(datasets)
# volume = np.stack([... for ds in sort_slices(datasets)], axis=-1)
# return volume, ...
# ```

# %% needs="slice_positions slice_spacing affine_ras load_series"
volume, affine = load_series(series_paths)
centre, side = side_of(volume, affine)
print(f"load_series puts the lesion at RAS {centre} mm: patient's {side}")
show_head(volume, affine, "load_series")

# %% [markdown]
# *In words:* the axial head looks as before, but mirrored: the bright spot is now near the right
# edge, marked L. The coronal picture is whole, with one round lesion.
#
# The evidence for the side is the affine, not the picture. Keep it with the array, through every
# step.
#
# ## 5. One orientation for all: reorient, do not resample
#
# Scans come stored in many ways: i may run to the left or the right, k may run front to back. A
# network wants one way. To **reorient** is to flip and reorder axes so that i, j, k run as close as
# possible to R, A, S. No voxel value changes, and no voxel moves in the patient. So the affine must
# change together with the array.
#
# A row of four voxels, 2 mm apart, that runs to the patient's left. Voxel 0 lies at x = 10 mm.

# %%
row = np.array([7, 0, 0, 9])
x = 10 - 2 * np.arange(4)
print("before: values", row, " x in mm", x, " affine: step -2, origin 10")
print("after:  values", row[::-1], " x in mm", x[::-1], " affine: step +2, origin", x[-1])

# %% [markdown]
# The 7 is at x = 10 before and after. The origin became the place of the voxel that is now first.
# For n voxels: new origin = old origin + (n - 1) x old step.
#
# nibabel's `nib.as_closest_canonical(image)` does this for images. In the exercise you do it for an
# array and its affine; nibabel's `nib.orientations` may help you, or do it in plain numpy.
#
# ### Exercise 5: to_ras


# %% exercise="to_ras" points=2
def to_ras(volume, affine):
    """Reorient a volume to the closest RAS orientation, without interpolation.

    volume: array of three axes or more; axes after the third (time) stay as they are.
    affine: 4 x 4, voxel to RAS mm.
    Returns (volume, affine): first three axes run as close as possible to R, A, S;
    every voxel value keeps its place in the patient.
    """
    ### BEGIN SOLUTION
    orientation = nib.io_orientation(affine)
    reoriented = nib.orientations.apply_orientation(volume, orientation)
    return reoriented, affine @ nib.orientations.inv_ornt_aff(orientation, volume.shape[:3])
    ### END SOLUTION


# %% check="to_ras"
stored = np.arange(24.0).reshape(2, 3, 4)
stored_affine = np.array(
    [[0.0, 0, 5, -3], [-2, 0, 0, 8], [0, 3, 0, 1], [0, 0, 0, 1]]
)  # axes run to P, S, R
turned, turned_affine = to_ras(stored, stored_affine)
assert turned.shape == (4, 2, 3), (
    f"R, A, S should have 4, 2 and 3 voxels; shape {turned.shape} came"
)
assert nib.aff2axcodes(turned_affine) == ("R", "A", "S"), (
    f"the axes should run to R, A, S; they run to {', '.join(map(str, nib.aff2axcodes(turned_affine)))}"
)
place = nib.affines.apply_affine(stored_affine, np.argwhere(stored == 17)[0])
new_place = nib.affines.apply_affine(turned_affine, np.argwhere(turned == 17)[0])
assert np.allclose(place, new_place), (
    f"the voxel that holds 17 moved from {place} to {new_place} mm: did the origin change with the flip?"
)

# %% hidden="to_ras" points=1 about="any order and direction of the axes, slightly oblique"
for _ in range(4):
    volume, affine = stored_case(rng)
    got = learner.to_ras(volume, affine)
    check_turned(volume, affine, *got)

# %% hidden="to_ras" points=1 about="nibabel's real head over time: four axes, oblique"
image = nib.load(NIBABEL_DATA / "example4d.nii.gz")
start = int(rng.integers(0, 4))
part = image.slicer[start : start + 80 : 4, ::4, :, :]
data, affine = np.asanyarray(part.dataobj).astype(float), part.affine
got = learner.to_ras(data, affine)
check_turned(data, affine, *got)


# %% mistake="to_ras" because="flips the array but not the affine" keeps=0 says="the affine was not"
def to_ras(volume, affine):
    return nib.orientations.apply_orientation(volume, nib.io_orientation(affine)), affine


# %% mistake="to_ras" because="flips axes but keeps their order" keeps=1 says="order of the axes"
def to_ras(volume, affine):
    affine = np.array(affine, dtype=float)
    for axis in range(3):
        main = np.abs(affine[:3, axis]).argmax()
        if affine[main, axis] < 0:
            volume = np.flip(volume, axis)
            affine[:3, 3] += (volume.shape[axis] - 1) * affine[:3, axis]
            affine[:3, axis] *= -1
    return volume, affine


# %% mistake="to_ras" because="turns the steps but leaves the origin" keeps=0 says="origin did not"
def to_ras(volume, affine):
    orientation = nib.io_orientation(affine)
    turned = affine @ nib.orientations.inv_ornt_aff(orientation, volume.shape[:3])
    turned[:3, 3] = affine[:3, 3]
    return nib.orientations.apply_orientation(volume, orientation), turned


# %% [markdown] hint="to_ras"
# Three things change together: the order of the axes, their direction, and the origin.
#
# ---
#
# `nib.io_orientation(affine)` finds order and flips. `nib.orientations.apply_orientation` turns the
# array. `nib.orientations.inv_ornt_aff(orientation, shape)` maps new indices to old ones: multiply
# it from the right.
#
# ---
#
# ```python
# orientation = nib.io_orientation(affine)
# reoriented = nib.orientations.apply_orientation(volume, ...)
# new_affine = affine @ nib.orientations.inv_ornt_aff(orientation, volume.shape[:3])
# return ..., ...
# ```

# %% needs="to_ras"
sagittal_store = np.transpose(head_volume, (1, 2, 0))[:, ::-1]  # the same head, stored another way
sagittal_affine = head.affine[:, [1, 2, 0, 3]].copy()
sagittal_affine[:3, 3] += (sagittal_store.shape[1] - 1) * sagittal_affine[:3, 1]
sagittal_affine[:3, 1] *= -1
fig, axes = plt.subplots(1, 3, figsize=(9, 3.4), gridspec_kw={"wspace": 0.4})
show_plane(axes[0], head_volume, head.affine, 2, 14, "stored as L, P, S", as_stored=True)
name = ", ".join(nib.aff2axcodes(sagittal_affine))
show_plane(axes[1], sagittal_store, sagittal_affine, 2, 38, f"stored as {name}", as_stored=True)
canonical, canonical_affine = to_ras(sagittal_store, sagittal_affine)
show_plane(axes[2], canonical, canonical_affine, 2, 14, "second one, after to_ras", as_stored=True)
plt.show()
print("lesion in all three (RAS mm, side):")
for array, matrix in (
    (head_volume, head.affine),
    (sagittal_store, sagittal_affine),
    (canonical, canonical_affine),
):
    print("  ", *side_of(array, matrix))

# %% [markdown]
# *In words:* three pictures of one head, drawn as the arrays are stored, with no help from a
# viewer. The first is upside down, with the nose at the bottom (A). The second is a side view,
# upside down too. The third, after `to_ras`, has the nose at the top and the patient's right (R) at
# the right edge. The printed position of the lesion is the same three times.
#
# Note the third picture: RAS order puts the patient's right at the right edge, while a radiologist
# expects it at the left. Storage order is not display order. Put letters on every picture.
#
# ## 6. Another voxel size: resample
#
# Networks also want one spacing, say 3 mm in all directions. Now new values must be computed. Two
# choices:
#
# **Where do the new voxels lie?** We keep the *field of view*: the outer edge of the first voxel
# stays where it is. Voxels are little boxes and the affine points to their **centres**, so with
# another box size the first centre moves.
#
#     four boxes of 1 mm      | 0 . | 10. | 20. | 30. |      centres at 0, 1, 2, 3 mm
#     two boxes of 2 mm       |     5     |    25     |      centres at 0.5, 2.5 mm
#
# With ratio r = new spacing / old spacing, new voxel m looks at the old index `r * m + (r - 1) /
# 2`. The origin moves by (r - 1) / 2 old steps. The new number of voxels along an axis is the old
# number / r, rounded (at least 1).
#
# **How are values made?** Images: linear interpolation. Near the border the formula may ask for an
# index a little outside the first or last centre; the nearest voxel's value counts there. Labels:
# the nearest voxel, always.
#
# **Predict before you run:** a row of labels holds 0 = background and 3 = tumour; 1 means liver and
# 2 means vessel. Resample it linearly and round. Which labels come out?

# %%
labels = np.array([0, 0, 0, 3, 3, 3])
at = np.arange(10) * 0.6 + (0.6 - 1) / 2
at_linear = np.interp(at, np.arange(6), labels)
print("looked at index:   ", at.round(2))
print("linear:            ", at_linear.round(2))
print("linear and rounded:", at_linear.round().astype(int))
print("nearest:           ", labels[np.clip(np.floor(at + 0.5).astype(int), 0, 5)])

# %% [markdown]
# ### Exercise 6: resample


# %% exercise="resample" points=3
def resample(volume, affine, new_spacing, is_label=False):
    """Resample a volume to new_spacing; the outer edge of the first voxel stays in place.

    volume: array (i, j, k). affine: 4 x 4, voxel to mm. new_spacing: three numbers in mm.
    Linear interpolation in float for images; nearest neighbour for labels, with the dtype kept.
    Beyond the outermost voxel centres the nearest voxel counts.
    Returns (volume, affine) with shape max(1, round(old shape * old spacing / new spacing)).
    """
    ### BEGIN SOLUTION
    ratio = np.asarray(new_spacing) / nib.affines.voxel_sizes(affine)
    offset = (ratio - 1) / 2
    shape = np.maximum(1, np.round(np.array(volume.shape) / ratio)).astype(int)
    source = volume if is_label else volume.astype(float)
    resampled = ndimage.affine_transform(
        source, np.diag(ratio), offset, tuple(shape), order=0 if is_label else 1, mode="nearest"
    )
    return resampled, affine @ nib.affines.from_matvec(np.diag(ratio), offset)
    ### END SOLUTION


# %% check="resample"
line = np.array([0.0, 10, 20, 30]).reshape(4, 1, 1)
halved, halved_affine = resample(line, np.eye(4), (2, 1, 1))
assert halved.shape == (2, 1, 1), f"four voxels of 1 mm are two of 2 mm; shape {halved.shape} came"
assert np.allclose(halved.ravel(), [5, 25]), (
    f"expected 5 and 25, {halved.ravel()} came: mind the half voxel"
)
assert np.isclose(halved_affine[0, 3], 0.5), (
    f"the first centre is now at 0.5 mm, {halved_affine[0, 3]} came"
)
mask, _ = resample(labels.reshape(6, 1, 1), np.eye(4), (0.6, 1, 1), is_label=True)
assert set(np.unique(mask)) == {0, 3}, f"labels 0 and 3 went in, {np.unique(mask)} came out"

# %% hidden="resample" points=1 about="images: linear values at the right places, against SimpleITK"
for _ in range(3):
    case = grid_case(rng)
    volume = rng.integers(-1000, 1000, size=case.shape)
    got, _affine = learner.resample(volume, case.affine, case.new_spacing)
    assert np.shape(got) == case.new_shape, f"shape {case.new_shape} expected, {np.shape(got)} came"
    wanted = by_sitk(volume.astype(float), case, sitk.sitkLinear)
    shifted = by_sitk(volume.astype(float), case, sitk.sitkLinear, shift=False)
    inner = tuple(slice(0, max(1, n // 2)) for n in case.new_shape)
    assert not close(np.asarray(got)[inner], shifted[inner], atol=1e-2), (
        "the first centres coincide, so the field of view moved by half a voxel's change: look at r m + (r - 1) / 2"
    )
    assert not close(got, np.trunc(wanted), atol=1e-2), (
        "values were cut to whole numbers: interpolate in float"
    )
    assert close(got, wanted, atol=1e-2), (
        "values differ from SimpleITK's: linear interpolation at r m + (r - 1) / 2? A shape-based zoom is off by up to half a voxel"
    )

# %% hidden="resample" points=1 about="the new affine says where the new voxels lie"
for _ in range(3):
    case = grid_case(rng)
    _volume, got = learner.resample(rng.normal(size=case.shape), case.affine, case.new_spacing)
    assert not close(got, case.affine, atol=1e-4), (
        "the affine is unchanged, though the voxels have another size"
    )
    assert not (
        close(np.asarray(got)[:3, :3], case.new_affine[:3, :3], atol=1e-4)
        and close(np.asarray(got)[:3, 3], case.affine[:3, 3], atol=1e-4)
    ), "the origin did not move: the centre of the first voxel lies (r - 1) / 2 old steps further"
    assert close(got, case.new_affine, atol=1e-4), (
        f"expected {shown(case.new_affine[:3])}, got {shown(np.asarray(got)[:3])}"
    )

# %% hidden="resample" points=1 about="labels: nearest neighbour, no new label, the same dtype"
for _ in range(3):
    case = grid_case(rng)
    mask = rng.choice(np.array([0, 3, 9], dtype=np.uint8), size=case.shape)
    got, _affine = learner.resample(mask, case.affine, case.new_spacing, is_label=True)
    extra = sorted(set(np.unique(got).tolist()) - {0, 3, 9})
    assert not extra, (
        f"labels 0, 3 and 9 went in, {extra[:4]} came out too: use the nearest neighbour"
    )
    assert np.asarray(got).dtype == np.uint8, (
        f"uint8 labels went in, {np.asarray(got).dtype} came out"
    )
    assert close(got, by_sitk(mask, case, sitk.sitkNearestNeighbor)), (
        "each new voxel takes the label of the old voxel nearest to r m + (r - 1) / 2: SimpleITK's labels differ"
    )


# %% mistake="resample" because="zooms by shape, corner centres on corner centres" keeps=1 says="half a voxel"
def resample(volume, affine, new_spacing, is_label=False):
    ratio = np.asarray(new_spacing) / nib.affines.voxel_sizes(affine)
    shape = np.maximum(1, np.round(np.array(volume.shape) / ratio))
    source = volume if is_label else volume.astype(float)
    resampled = ndimage.zoom(source, shape / volume.shape, order=0 if is_label else 1)
    return resampled, affine @ nib.affines.from_matvec(np.diag(ratio), (ratio - 1) / 2)


# %% mistake="resample" because="interpolates labels linearly and rounds" keeps=2 says="nearest neighbour"
def resample(volume, affine, new_spacing, is_label=False):
    ratio = np.asarray(new_spacing) / nib.affines.voxel_sizes(affine)
    offset = (ratio - 1) / 2
    shape = np.maximum(1, np.round(np.array(volume.shape) / ratio)).astype(int)
    resampled = ndimage.affine_transform(
        volume.astype(float), np.diag(ratio), offset, tuple(shape), order=1, mode="nearest"
    )
    resampled = resampled.round().astype(volume.dtype) if is_label else resampled
    return resampled, affine @ nib.affines.from_matvec(np.diag(ratio), offset)


# %% mistake="resample" because="samples rightly, leaves the origin of the affine" keeps=2 says="origin did not move"
def resample(volume, affine, new_spacing, is_label=False):
    ratio = np.asarray(new_spacing) / nib.affines.voxel_sizes(affine)
    shape = np.maximum(1, np.round(np.array(volume.shape) / ratio)).astype(int)
    source = volume if is_label else volume.astype(float)
    resampled = ndimage.affine_transform(
        source,
        np.diag(ratio),
        (ratio - 1) / 2,
        tuple(shape),
        order=0 if is_label else 1,
        mode="nearest",
    )
    return resampled, affine @ np.diag([*ratio, 1.0])


# %% mistake="resample" because="lets the first centres coincide" keeps=0 says="first centres coincide"
def resample(volume, affine, new_spacing, is_label=False):
    ratio = np.asarray(new_spacing) / nib.affines.voxel_sizes(affine)
    shape = np.maximum(1, np.round(np.array(volume.shape) / ratio)).astype(int)
    source = volume if is_label else volume.astype(float)
    resampled = ndimage.affine_transform(
        source, np.diag(ratio), 0, tuple(shape), order=0 if is_label else 1, mode="nearest"
    )
    return resampled, affine @ np.diag([*ratio, 1.0])


# %% [markdown] hint="resample"
# Decide first at which old index each new voxel looks. Array and affine then follow from the same
# two numbers: ratio and offset.
#
# ---
#
# r = new / old spacing, offset = (r - 1) / 2, old index = r m + offset. New affine = old affine @
# (diag(r), offset). `ndimage.affine_transform(volume, matrix, offset, output_shape, order=...,
# mode="nearest")` looks at matrix @ m + offset.
#
# ---
#
# ```python
# ratio = np.asarray(new_spacing) / nib.affines.voxel_sizes(affine)
# offset = ...
# shape = np.maximum(1, np.round(...)).astype(int)
# source = volume if is_label else volume.astype(float)
# resampled = ndimage.affine_transform(source, np.diag(ratio), offset, tuple(shape), order=..., mode="nearest")
# return resampled, affine @ nib.affines.from_matvec(np.diag(ratio), offset)
# ```

# %% [markdown]
# ### Your resampling against SimpleITK's
#
# SimpleITK gets the same head and the grid of your result. Every voxel should agree.


# %% needs="resample"
def sitk_from(volume, affine):
    """Return a SimpleITK image (LPS geometry) of an array (i, j, k) and its RAS affine."""
    lps = np.diag([-1.0, -1, 1, 1]) @ affine
    spacing = nib.affines.voxel_sizes(lps)
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.T))  # SimpleITK's arrays are k, j, i
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    return image


coarse, coarse_affine = resample(head_volume, head.affine, (3, 3, 3))
grid = sitk_from(np.zeros(coarse.shape), coarse_affine)
oracle = sitk.Resample(
    sitk_from(head_volume.astype(float), head.affine), grid, sitk.Transform(), sitk.sitkLinear
)
difference = np.abs(sitk.GetArrayFromImage(oracle).T - coarse).max()
print("shape", head_volume.shape, "->", coarse.shape)
print(f"largest difference from SimpleITK: {difference:.3f} (values reach {coarse.max():.0f})")
print("lesion before:", *side_of(head_volume, head.affine))
print("lesion after: ", *side_of(coarse > 1200, coarse_affine))

# %% [markdown]
# One more look at the labels, on the head: 0 background, 1 brain, 3 lesion. Label 2 ("vessel", say)
# was never drawn.

# %% needs="resample"
label_map = np.where(head_volume == 1500, 3, (head_volume > 150).astype(int)).astype(np.uint8)
fine = (1.3, 1.3, 1.3)
by_nearest, fine_affine = resample(label_map, head.affine, fine, is_label=True)
by_linear = resample(label_map, head.affine, fine)[0].round().astype(np.uint8)
nearest, linear = (int((found == 2).sum()) for found in (by_nearest, by_linear))
print(f"voxels with label 2: nearest {nearest}, linear {linear}")

i, j, k = np.argwhere(by_nearest == 3).mean(axis=0).round().astype(int)
fig, axes = plt.subplots(1, 2, figsize=(6.5, 3))
for ax, result, title in (
    (axes[0], by_nearest, "nearest neighbour"),
    (axes[1], by_linear, "linear, rounded"),
):
    picture = ax.imshow(
        result[i - 14 : i + 14, j - 14 : j + 14, k].T, cmap="cividis", vmin=0, vmax=3
    )
    ax.set(title=title, xticks=[], yticks=[])
fig.colorbar(picture, ax=axes, ticks=[0, 1, 2, 3], label="label")
plt.show()

# %% [markdown]
# *In words:* two close-ups of the lesion's label. With the nearest neighbour, a bright disc (3)
# lies directly on brain (1). With linear interpolation the disc wears a ring of label 2: a class
# that nobody drew, all around the lesion.
#
# ## 7. In your own words
#
# A neurosurgeon writes: *"Your report says left frontal lesion. On my screen the spot is on the
# right-hand side. In your figure for the conference it is on the left-hand side. Which side do I
# operate on, and why should I believe you?"*
#
# Answer in at most 150 words, without the words affine, array or LPS. Say which side it is, why the
# pictures differ, how you know, and what you would check before anyone relies on it.

# %% [markdown] written="explain_the_side" points=2 rubric="clinician-answer"
# The lesion is on the patient's left. Your screen follows the radiologist's habit: you look from
# the feet, so the patient's left appears at the right-hand side. My conference figure was drawn the
# other way round and carried no letters. That was my mistake; I will send one with L and R.
#
# We do not judge the side by looking, because a brain looks the same in a mirror. Every slice
# carries its position in the patient, in mm, as the scanner wrote it. We compute the side from
# that, and a second, independent program gives the same answer.
#
# This cannot find an error made at the scanner, such as a patient registered in the wrong position.
# Before anyone relies on it, please compare with the original images on your hospital's viewer,
# with the letters switched on, and with the patient's symptoms. Software must not be the only
# source for the side of an operation.

# %% [markdown]
# ## What you have now
#
# - `slice_positions`, `slice_spacing`: slices in space, and a clear refusal where there is no regular volume.
# - `affine_ras`, `load_series`: a DICOM series as array and affine, checked against SimpleITK.
# - `to_ras`: one orientation for all scans, no value changed.
# - `resample`: one voxel size, the patient in place, labels that stay labels.
#
# Where real life is harder: a strong downsampling should smooth first, or fine structures alias;
# enhanced DICOM keeps all slices in one file; a mosaic (as `0.dcm` above claims to be) packs a
# volume into one picture; a tilted gantry gives a sheared affine that many programs cannot hold.
