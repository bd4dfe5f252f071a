# %% [markdown]
# # From DICOM bytes to Hounsfield units
#
# *The scene.* A stroke unit lets a program pre-read head CTs, guarded by a small quality check. The
# hospital moves its images to a new archive, and the next morning the check rejects every slice.
# Same patients, same scans, same program. You are asked why.
#
# **The new idea.** A pixel in a file is not a measurement. It is a *stored value*, and the tags
# around it say how to turn it into one. Whoever skips a tag gets an image that looks right and
# numbers that are wrong.
#
# You will read DICOM files and refuse broken ones, turn stored values into Hounsfield units, show
# them as the standard says, bring frames and colours into one shape, repair the quality check, and
# remove patient data before a file leaves the hospital.
#
# You need Python and NumPy. You need no knowledge of DICOM. The section numbers such as *PS3.3
# C.11.2.1.2* point into the DICOM standard, which is free to read at
# [dicomstandard.org/current](https://www.dicomstandard.org/current).
#
# **How to work.** Run the cells from top to bottom (Shift+Enter). In an exercise, put your code in
# the place of `raise NotImplementedError`, run the cell, and run the `%%check` cell below it. It
# says what is not right yet, and from the second failure in a row it adds a hint. Cells that begin
# with `%%needs` wait for your answer. A check is a first look: grading uses hidden tests, with
# other inputs and the special cases that the text names.

# %% tags=["parameters"]
SEED = 0

# %%
import copy
import io
import struct
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pydicom
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_color_lut, convert_color_space, pixel_array

plt.rcParams["figure.dpi"] = 70
warnings.simplefilter("ignore")  # some of the files below are broken on purpose


def bundled(name):
    """Return the path of a file that ships inside pydicom; nothing is downloaded."""
    return get_testdata_file(name, download=False)


def show(axis, image, title, **options):
    """Draw one image in grey, without axes."""
    axis.imshow(image, **{"cmap": "gray", "interpolation": "nearest", **options})
    axis.set_title(title, fontsize=10)
    axis.axis("off")


print("pydicom", pydicom.__version__.split(".")[0])

# %% [markdown]
# ## 1. What is in the file
#
# A DICOM file is a list of labelled values, one after the other:
#
# | part | bytes | what it is for |
# |---|---|---|
# | preamble | 128 | free for any use, mostly zeros |
# | prefix | 4 | the letters `DICM`: the mark of a DICOM file |
# | file meta information | some hundred | tags of group 0002, always written the same way |
# | data set | the rest | patient, study, scanner, geometry, and last the pixels |
#
# Each entry, a *data element*, has four fields:
#
# - a **tag**: two 16-bit numbers, such as (0028,1053). The tag is the name. A program looks up that
#   (0028,1053) is called *Rescale Slope*;
# - a **VR** (value representation): two letters for the type. `DS` is a decimal number written as
#   text, `US` an unsigned 16-bit number, `PN` a person's name, `DA` a date, `UI` a unique
#   identifier, `SQ` a sequence, that is, a list of nested data sets;
# - a **length** in bytes, always even (or the mark "undefined": then an end mark follows later);
# - the **value**.
#
# You do not need a library to see this. The next cell reads the first elements of a CT slice by
# hand.

# %%
raw = Path(bundled("CT_small.dcm")).read_bytes()


def elements_by_hand(raw, start, count):
    """Yield tag, VR, length and value of the first elements (explicit VR, little endian)."""
    for _ in range(count):
        group, element, vr = struct.unpack_from("<HH2s", raw, start)
        wide = vr in (b"OB", b"OW", b"SQ", b"UN", b"UT")  # these have a 32-bit length
        length = struct.unpack_from("<I" if wide else "<H", raw, start + (8 if wide else 6))[0]
        value_at = start + (12 if wide else 8)
        yield f"({group:04X},{element:04X})", vr.decode(), length, raw[value_at:][:length]
        start = value_at + length


print("bytes 128 to 131:", raw[128:132])
for tag, vr, length, value in elements_by_hand(raw, start=132, count=6):
    print(tag, vr, f"{length:4d} bytes ", value[:44])

# %% [markdown]
# The fifth element, (0002,0010), is the **transfer syntax**. It says how everything after the meta
# information is written: byte order, whether VRs are spelled out, and how the pixels are
# compressed. `1.2.840.10008.1.2.1` means explicit VR, little endian, not compressed. With
# *implicit* VR the two letters are missing, and the reader looks the type up by tag in the
# standard's dictionary.
#
# pydicom does this reading for you. Elements get names, and values get Python types:

# %%
ct = pydicom.dcmread(bundled("CT_small.dcm"))
for keyword in [
    "Modality",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "PhotometricInterpretation",
    "RescaleSlope",
    "RescaleIntercept",
    "PixelPaddingValue",
]:
    element = ct[keyword]
    tag = str(element.tag)
    print(f"{tag:12s} {element.VR}  {keyword:26s} {element.value}")

# %% [markdown]
# ### One image, many transfer syntaxes
#
# The same picture can be written in many ways. A program that copies bytes without looking at the
# transfer syntax gets noise, or nothing.

# %%
print(f"{'file':26s} {'transfer syntax':46s} {'in file':>8s} {'decoded':>8s}")
for name in [
    "MR_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jp2klossless.dcm",
    "examples_ybr_color.dcm",
]:
    dataset = pydicom.dcmread(bundled(name))
    syntax = dataset.file_meta.TransferSyntaxUID.name
    stored_bytes, image = len(dataset.PixelData), dataset.pixel_array
    print(f"{name:26s} {syntax:46s} {stored_bytes:8d} {image.nbytes:8d}")

# %% [markdown]
# The first five rows decode to the same 64 x 64 image. The last row, an ultrasound clip, is another
# case: it was compressed with *loss*. The decoded values are not the measured ones. A file admits
# it in the tag `LossyImageCompression`.
#
# How much does it matter? The next cell takes the brain out of a head CT, compresses it with JPEG
# 2000 at two ratios, and decodes it again. All greys are spent on the narrow range in which brain
# lies; section 3 says how.

# %%
head = pydicom.dcmread(bundled("J2K_pixelrep_mismatch.dcm"))
brain = head.pixel_array[270:470, 150:360]


def through_lossy(values, ratio):
    """Compress values of at least -1024 with lossy JPEG 2000 and return what comes back."""
    file = io.BytesIO()
    unsigned = Image.fromarray((np.maximum(values, -1024) + 1024).astype(np.uint16))
    unsigned.save(file, "JPEG2000", irreversible=True, quality_layers=[ratio])
    return np.asarray(Image.open(file)).astype(int) - 1024


fig, axes = plt.subplots(1, 3, figsize=(10, 3.6))
show(axes[0], brain, "as stored", vmin=0, vmax=80)
soft = (brain > 0) & (brain < 80)
for axis, ratio in zip(axes[1:], [20, 100], strict=True):
    decoded = through_lossy(brain, ratio)
    show(axis, decoded, f"lossy, {ratio} to 1", vmin=0, vmax=80)
    error = np.abs(decoded - brain)[soft]
    print(f"{ratio:3d} to 1: a value of brain is off by {error.mean():.0f} HU on average")
fig.tight_layout()
film = pydicom.dcmread(bundled("examples_ybr_color.dcm"))
print("examples_ybr_color.dcm, LossyImageCompression:", film.LossyImageCompression)

# %% [markdown]
# *In words:* three times the back of a brain between white bone. As stored, it is finely grained.
# At 20 to 1 it looks clean, even cleaner: the grain is gone, and faint texture with it. At 100 to 1
# it is a mosaic of light and dark blobs that no scanner measured.
#
# HU is the unit of CT values; section 2 explains it. Grey and white matter differ by about 10 HU,
# so an error of a few HU counts. A network trained on such files can learn the compression instead
# of the disease, and nothing in the picture at 20 to 1 warns you. The tag does.
#
# ### Files that are not what they say
#
# Three things go wrong with files in practice. Look at what pydicom does with each.

# %%
for name in ["no_meta.dcm", "MR_truncated.dcm", "rtplan.dcm"]:
    try:
        pydicom.dcmread(bundled(name)).pixel_array
    except Exception as error:
        print(f"{name:18s} {type(error).__name__}: {str(error)[:60]} ...")

profile = io.BytesIO(Path(bundled("crayons.icc")).read_bytes())  # a colour profile
forced = pydicom.dcmread(profile, force=True)
print(f"{'crayons.icc':18s} not DICOM, read with force=True: a {type(forced).__name__}, no error")

# %% [markdown]
# - `no_meta.dcm` holds a real CT slice, but its preamble, prefix and meta information were cut off.
#   Nobody can know its transfer syntax any more. One can guess. A guess that is wrong gives
#   plausible nonsense, so a pipeline refuses the file and a person looks at it.
# - `MR_truncated.dcm` stops before its last pixels. The header reads well. The damage shows only
#   when **the pixels are decoded**.
# - `rtplan.dcm` is a good DICOM file. It is a treatment plan, so it has no image.
# - `force=True` reads anything, even a colour profile. It takes four bytes of it for the length of a
#   value, and for a file on disk it would ask for that much memory, here 1.8 GiB. (The cell avoids
#   this: it hands over bytes that are in memory already.) `force=True` is a tool for looking into damaged files by
#   hand, not for a pipeline.
#
# A compressed file that was cut is worse: pydicom drops the unfinished pixel element with a
# warning, and the file looks like one that never had an image. And extra bytes at the end do no
# harm: one is legal, to make the length even, and some writers add more (`MR_small_padded.dcm`).

# %% [markdown]
# ## Exercise 1: read an image, or say clearly why not
#
# Write `read_image(path)`. It returns the data set when the file is DICOM **and** its pixels
# decode. Otherwise it raises one kind of error, `ValueError`, with the file's name in the message.
# One kind, because the caller has one decision to make: set the file aside and go on with the next.


# %% exercise="read_image" points=3
def read_image(path):
    """Read a DICOM image whose pixels can be decoded.

    path: str or Path of a file.
    Returns a pydicom Dataset.
    Raises ValueError, with the file's name in the message, for anything else: not DICOM, cut
    off, without pixels, or in a transfer syntax that cannot be decoded here.
    """
    ### BEGIN SOLUTION
    try:
        dataset = pydicom.dcmread(path)
        dataset.pixel_array  # decoding is the only proof that the pixels are all there
    except Exception as error:  # damaged files raise many kinds of error; the caller gets one
        raise ValueError(f"{Path(path).name} is not a readable DICOM image: {error}") from error
    return dataset
    ### END SOLUTION


# %% check="read_image"
assert read_image(bundled("CT_small.dcm")).Modality == "CT", "return the data set of a good file"
for name in ["no_meta.dcm", "MR_truncated.dcm"]:
    try:
        read_image(bundled(name))
    except ValueError as error:
        assert name in str(error), f"the message should name the file {name}; it was: {error}"
    except Exception as error:
        kind = type(error).__name__
        raise AssertionError(f"{name}: raise ValueError; the caller got {kind}") from error
    else:
        raise AssertionError(f"{name} is damaged, so read_image should raise ValueError")

# %% hidden="setup"
import json

import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"


def bundled(name):
    return get_testdata_file(name, download=False)


def file_bytes(name):
    with open(bundled(name), "rb") as file:
        return file.read()


def image_dataset(pixels, modality="CT", frames=None, photometric="MONOCHROME2", samples=1):
    """A small data set around `pixels`, written without compression."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CT_IMAGE_STORAGE
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.Modality, ds.PhotometricInterpretation, ds.SamplesPerPixel = modality, photometric, samples
    shape = pixels.shape[1:] if frames else pixels.shape
    ds.Rows, ds.Columns = int(shape[0]), int(shape[1])
    if frames:
        ds.NumberOfFrames = frames
    if samples > 1:
        ds.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    return ds


def ct_slice(pixels, slope=1, intercept=0, padding=None, limit=None):
    """A CT slice of stored values; `padding` and `limit` are in stored values too."""
    ds = image_dataset(pixels)
    ds.RescaleSlope, ds.RescaleIntercept = str(slope), str(intercept)
    vr = "SS" if ds.PixelRepresentation else "US"
    if padding is not None:
        ds.add_new("PixelPaddingValue", vr, int(padding))
    if limit is not None:
        ds.add_new("PixelPaddingRangeLimit", vr, int(limit))
    return ds


def numbers(result):
    """The learner's result as an array of float64, or NaN when it holds no numbers."""
    try:
        return np.asarray(result, dtype=np.float64)
    except (TypeError, ValueError):
        return np.array(np.nan)


# %% hidden="read_image" points=1 about="good files come back, whatever their transfer syntax"
for name in [
    "MR_small_padded.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jp2klossless.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
]:
    path = learner.put_file(f"{rng.integers(10**6)}-{name}", file_bytes(name))
    problem = error_from(learner.read_image, path)
    assert problem is None, (
        f"{name} is a good file, also when its pixels are padded or compressed, but read_image "
        f"raised {problem.kind}: {problem.message}"
    )
    got, expected = learner.read_image(path), pydicom.dcmread(bundled(name))
    assert got is not None, f"{name}: read_image returned None; return the data set"
    assert close(got.Rows, expected.Rows), f"{name}: return the data set that pydicom read"
    assert close(got.pixel_array, expected.pixel_array, atol=3), f"{name}: the pixels changed"

# %% hidden="read_image" points=1 about="what is not DICOM raises a ValueError that names the file"
not_dicom = {
    "empty.dcm": b"",
    "noise.dcm": rng.bytes(int(rng.integers(200, 2000))),
    "picture.dcm": b"\x89PNG\r\n\x1a\n" + rng.bytes(600),
    "headless.dcm": file_bytes("no_meta.dcm"),
}
for name, data in not_dicom.items():
    path = learner.put_file(name, data)
    problem = error_from(learner.read_image, path)
    assert problem is not None, (
        f"{name} is not a DICOM file, but no error was raised. Did you use force=True, or return "
        "None? Both pass the problem on to the next step"
    )
    assert problem.kind == "ValueError", f"{name}: raise ValueError, not {problem.kind}"
    assert name in problem.message, f"{name}: the message should name the file: {problem.message}"

# %% hidden="read_image" points=1 about="cut files and files without an image raise ValueError"
native, compressed = file_bytes("MR_small.dcm"), file_bytes("SC_rgb_jpeg_dcmtk.dcm")
half = int(rng.integers(3000, 7000))
unknown = native.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0")
broken = {
    "cut-native.dcm": native[:half],
    "cut-jpeg.dcm": compressed[: int(rng.integers(1500, 3000))],
    "plan.dcm": file_bytes("rtplan.dcm"),
    "unknown-syntax.dcm": unknown,
}
for name, data in broken.items():
    path = learner.put_file(name, data)
    problem = error_from(learner.read_image, path)
    assert problem is not None, (
        f"{name}: no error was raised, although its pixels cannot be decoded. Decode them inside "
        "read_image: only that shows whether they are all there"
    )
    assert problem.kind == "ValueError", (
        f"{name}: the caller expects ValueError but got {problem.kind}. Decode the pixels inside "
        "the try block"
    )
    assert name in problem.message, f"{name}: the message should name the file: {problem.message}"


# %% mistake="read_image" because="never decodes the pixels" keeps=2 says="Decode"
def read_image(path):
    try:
        return pydicom.dcmread(path)
    except pydicom.errors.InvalidDicomError as error:
        raise ValueError(f"{Path(path).name} is not DICOM") from error


# %% mistake="read_image" because="reads everything with force=True" keeps=1 says="force=True"
def read_image(path):
    return pydicom.dcmread(path, force=True)


# %% mistake="read_image" because="returns None instead of raising" keeps=1 says="None"
def read_image(path):
    try:
        dataset = pydicom.dcmread(path)
        dataset.pixel_array
    except Exception:
        return None
    return dataset


# %% mistake="read_image" because="rejects padded and compressed pixels" keeps=2 says="padded"
def read_image(path):
    try:
        dataset = pydicom.dcmread(path)
        dataset.pixel_array
    except Exception as error:
        raise ValueError(f"{Path(path).name}: {error}") from error
    if len(dataset.PixelData) != dataset.Rows * dataset.Columns * dataset.BitsAllocated // 8:
        raise ValueError(f"{Path(path).name} has the wrong number of bytes")
    return dataset


# %% [markdown] hint="read_image"
# `pydicom.dcmread(path)` refuses what is not DICOM. What has to happen before you know that the
# pixels are complete, too?
#
# ---
#
# Read the file and touch `dataset.pixel_array` inside one `try`. Catch every `Exception`, because
# damaged files raise many kinds, and raise `ValueError` with `Path(path).name` in its message.
#
# ---
#
# ```python
# try:
#     dataset = pydicom.dcmread(...)
#     ...                              # decode
# except Exception as error:
#     raise ValueError(f"{Path(path).name} ...: {error}") from error
# return dataset
# ```

# %% [markdown]
# ## 2. From stored values to Hounsfield units
#
# A CT scanner measures how strongly tissue weakens X-rays: the attenuation $\mu$. Godfrey
# Hounsfield's scale puts water at 0 and nothing at all (vacuum, nearly air) at -1000:
#
# $$\mathrm{HU} = 1000 \cdot \frac{\mu - \mu_\mathrm{water}}{\mu_\mathrm{water}}$$
#
# Rough values to keep in mind: air -1000, fat -100, water 0, white matter 20 to 30, grey matter 35
# to 45, fresh clotted blood 60 to 90, dense bone above 1000.
#
# The file holds whole numbers. Two tags turn them into HU (PS3.3 C.11.1):
#
# $$\mathrm{HU} = \mathrm{stored} \cdot \mathrm{RescaleSlope} + \mathrm{RescaleIntercept}$$
#
# With slope 1 and intercept -1024, a stored 1064 is 1064 - 1024 = 40 HU: brain. Forget the
# intercept, and brain becomes 1064 HU: bone.
#
# Two traps lie around this one line.
#
# **Signed or unsigned.** `PixelRepresentation` 1 means that stored values can be negative. The same
# 16 bits mean different numbers, and arithmetic in 16 bits wraps around without a word:

# %%
two_bytes = np.array([-2000], dtype=np.int16)
print("the bits of -2000, read as signed:  ", two_bytes[0])
print("the bits of -2000, read as unsigned:", two_bytes.view(np.uint16)[0])
air = np.array([24], dtype=np.uint16)
print("stored 24, minus 1024, in uint16:   ", (air - np.uint16(1024))[0])
print("stored 24, minus 1024, in float32:  ", (air.astype(np.float32) - 1024)[0])

# %% [markdown]
# So: turn stored values into floating point **before** any arithmetic.
#
# **Padding.** A scanner reconstructs a circle, but an image is a square. What fills the corners?
# Look at the head slice without any window, and at its histogram.

# %%
stored = head.pixel_array
fig, axes = plt.subplots(1, 2, figsize=(9, 3.8))
show(axes[0], stored, "stored values, -2000 black, largest white")
axes[1].hist(stored.ravel(), bins=120, color="0.35")
axes[1].set(yscale="log", xlabel="stored value", ylabel="number of pixels")
axes[1].set_xticks(range(-2000, 2001, 1000))
fig.tight_layout()
share = np.mean(stored == -2000)
print(f"share of pixels with the value -2000: {share:.3f}")
print("next smallest value:", stored[stored > -2000].min())
print("PixelPaddingValue in this file:", head.get("PixelPaddingValue", "not present"))
print("PixelPaddingValue in CT_small.dcm:", ct.PixelPaddingValue)
print("pixels with that value in CT_small.dcm:", int((ct.pixel_array == -2000).sum()))

# %% [markdown]
# *In words:* on the left a head in a black square; around the grey circle of scanned air the four
# corners are darker still. On the right a histogram with a lone spike at -2000, an empty stretch,
# and then the real values from about -1050 upwards.
#
# Nothing attenuates X-rays less than vacuum, so no tissue and no air can have -2000 HU. Noise
# scatters air a little below -1000, not by a thousand. The spike is **padding**: "there is no
# measurement here". Averages, minima and normalisations must leave it out.
#
# `PixelPaddingValue` (0028,0120) declares it, and `PixelPaddingRangeLimit` (0028,0121), where
# present, makes it a range from one to the other, both ends included. Three facts to hold on to:
#
# 1. Both tags speak of **stored** values, before slope and intercept (PS3.3 C.7.5.1.1.2).
# 2. A file can declare padding and have none: `CT_small.dcm`.
# 3. A file can have padding and not declare it: this head slice. Remember it for exercise 5.
#
# `MR_small_padded.dcm` of exercise 1 has another sort of padding: spare *bytes* after the last
# pixel. The word is the same, the thing is not.
#
# ## Exercise 2: `to_hounsfield`
#
# Return Hounsfield units as `float32`. Put NaN ("not a number") where the file declares padding:
# NaN cannot be averaged by accident, because it spreads.
#
# Refuse what is not CT. An MR image has no Hounsfield scale, and a chest film may carry rescale
# tags that mean something else. A number without a scale is better refused than invented.


# %% exercise="to_hounsfield" points=4
def to_hounsfield(dataset):
    """Turn the stored values of a CT slice into Hounsfield units.

    dataset: pydicom Dataset of a CT image with RescaleSlope and RescaleIntercept.
    Returns a float32 array, shape (rows, columns), in HU; NaN where the file declares padding.
    Raises ValueError when Modality is not "CT".
    Source: DICOM PS3.3 C.11.1 (Modality LUT) and C.7.5.1.1.2 (Pixel Padding Value).
    """
    ### BEGIN SOLUTION
    if dataset.Modality != "CT":
        raise ValueError(f"Hounsfield units need a CT image, this is {dataset.Modality}")
    stored = dataset.pixel_array.astype(np.float32)
    hu = stored * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    if "PixelPaddingValue" in dataset:
        first = dataset.PixelPaddingValue
        last = dataset.get("PixelPaddingRangeLimit", first)
        hu[(stored >= min(first, last)) & (stored <= max(first, last))] = np.nan
    return hu.astype(np.float32)
    ### END SOLUTION


# %% check="to_hounsfield"
hu = to_hounsfield(ct)
assert hu.shape == (128, 128), f"keep rows and columns: expected (128, 128), got {hu.shape}"
assert hu.dtype == np.float32, f"return float32, got {hu.dtype}"
assert hu[0, 0] == ct.pixel_array[0, 0] - 1024.0, "CT_small.dcm has slope 1 and intercept -1024"
toy = copy.deepcopy(ct)
toy.PixelPaddingValue = int(ct.pixel_array[0, 0])
assert np.isnan(to_hounsfield(toy)[0, 0]), "a stored value equal to PixelPaddingValue becomes NaN"
mr = pydicom.dcmread(bundled("MR_small.dcm"))
try:
    to_hounsfield(mr)
except ValueError:
    pass
else:
    raise AssertionError("MR_small.dcm is not CT: raise ValueError")

# %% hidden="to_hounsfield" points=1 about="slope and intercept both count, with fractions"
for _ in range(4):
    slope = round(float(rng.uniform(0.3, 3)), 3)
    intercept = round(float(rng.uniform(-1500, 500)), 2)
    pixels = rng.integers(0, 4096, (int(rng.integers(5, 12)), 7)).astype(np.uint16)
    got = learner.to_hounsfield(ct_slice(pixels, slope, intercept))
    assert close(got, pixels * slope + intercept, atol=0.01), (
        f"slope {slope}, intercept {intercept}: HU = stored * RescaleSlope + RescaleIntercept. "
        "Use both, as fractions"
    )

# %% hidden="to_hounsfield" points=1 about="signed and unsigned values keep their sign and size"
for dtype, low, high in [(np.int16, -32768, 32767), (np.uint16, 0, 65535), (np.uint8, 0, 255)]:
    pixels = rng.integers(low, high + 1, (9, 8)).astype(dtype)
    pixels[0, :2] = low, high
    intercept = -int(rng.integers(900, 1100))
    got = learner.to_hounsfield(ct_slice(pixels, 1, intercept))
    assert close(got, pixels.astype(float) + intercept, atol=0.01), (
        f"stored {np.dtype(dtype).name} values from {low} to {high}, intercept {intercept}: "
        "expected stored + intercept. Values wrap around in 8 or 16 bits: use floating point"
    )

# %% hidden="to_hounsfield" points=1 about="declared padding becomes NaN, nothing else does"
cases = [(np.int16, -2000, None), (np.uint16, 0, None), (np.uint16, 63000, 63536)]
for dtype, padding, limit in [*cases, (np.int16, -1500, -2000), (np.int16, None, None)]:
    intercept = -int(rng.integers(900, 1100))
    pixels = rng.integers(1, 3000, (10, 11)).astype(dtype)
    pixels[2, :5] = 0 if padding is None else padding
    pixels[3, :5] = 5 if limit is None else (padding + limit) // 2
    if padding is not None and padding - intercept < 3000:
        pixels[7, 7] = padding - intercept  # a real measurement whose HU equals the padding value
    ends = (padding, padding if limit is None else limit)
    expected = np.zeros(pixels.shape, bool)
    if padding is not None:
        expected = (pixels >= min(ends)) & (pixels <= max(ends))
    got = np.isnan(numbers(learner.to_hounsfield(ct_slice(pixels, 1, intercept, padding, limit))))
    tags = f"PixelPaddingValue {padding}, PixelPaddingRangeLimit {limit}".replace("None", "absent")
    assert close(got, expected), (
        f"{tags}: NaN belongs exactly where "
        "the stored value, before slope and intercept, is padding"
    )

# %% hidden="to_hounsfield" points=1 about="a real CT slice works; MR and film are refused"
real = pydicom.dcmread(bundled("J2K_pixelrep_mismatch.dcm"))
got = learner.to_hounsfield(real)
assert close(got, real.pixel_array, atol=0.01), (
    "the head slice has signed values, slope 1 and intercept 0: HU equals the stored values"
)
assert np.asarray(got).dtype == np.float32, "return float32"
for name in ["MR_small.dcm", "dicomdirtests/77654033/CR1/6154"]:
    other = pydicom.dcmread(bundled(name))
    problem = error_from(learner.to_hounsfield, other)
    assert problem is not None and problem.kind == "ValueError", (
        f"Modality {other.Modality} has no Hounsfield scale: raise ValueError, also when the file "
        "has rescale tags"
    )


# %% mistake="to_hounsfield" because="forgets the intercept" keeps=2 says="RescaleIntercept"
def to_hounsfield(dataset):
    if dataset.Modality != "CT":
        raise ValueError("not CT")
    stored = dataset.pixel_array.astype(np.float32)
    hu = stored * float(dataset.RescaleSlope)
    if "PixelPaddingValue" in dataset:
        first = dataset.PixelPaddingValue
        last = dataset.get("PixelPaddingRangeLimit", first)
        hu[(stored >= min(first, last)) & (stored <= max(first, last))] = np.nan
    return hu


# %% mistake="to_hounsfield" because="casts to uint16 first" keeps=1 says="wrap around"
def to_hounsfield(dataset):
    if dataset.Modality != "CT":
        raise ValueError("not CT")
    stored = dataset.pixel_array.astype(np.uint16)
    hu = stored * np.float32(dataset.RescaleSlope) + np.float32(dataset.RescaleIntercept)
    if "PixelPaddingValue" in dataset:
        first = dataset.PixelPaddingValue
        last = dataset.get("PixelPaddingRangeLimit", first)
        hu[(stored >= min(first, last)) & (stored <= max(first, last))] = np.nan
    return hu.astype(np.float32)


# %% mistake="to_hounsfield" because="compares padding with HU" keeps=3 says="before slope"
def to_hounsfield(dataset):
    if dataset.Modality != "CT":
        raise ValueError("not CT")
    stored = dataset.pixel_array.astype(np.float32)
    hu = stored * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    if "PixelPaddingValue" in dataset:
        hu[hu == dataset.PixelPaddingValue] = np.nan
    return hu


# %% mistake="to_hounsfield" because="rescales all, keeps padding" keeps=2 says="Hounsfield scale"
def to_hounsfield(dataset):
    stored = dataset.pixel_array.astype(np.float32)
    slope = float(dataset.get("RescaleSlope", 1))
    return stored * slope + float(dataset.get("RescaleIntercept", 0))


# %% [markdown] hint="to_hounsfield"
# Four steps in this order: is it CT, stored values as floating point, the formula, then NaN where
# the *stored* value is padding.
#
# ---
#
# `hu = stored * float(slope) + float(intercept)`. Padding is every stored value between
# `PixelPaddingValue` and `PixelPaddingRangeLimit`, ends included; without a limit the range is one
# value. The limit may be the smaller of the two.
#
# ---
#
# ```python
# if dataset.Modality != "CT":
#     raise ValueError(...)
# stored = dataset.pixel_array.astype(np.float32)
# hu = ...
# if "PixelPaddingValue" in dataset:
#     first = dataset.PixelPaddingValue
#     last = dataset.get("PixelPaddingRangeLimit", first)
#     hu[(stored >= min(first, last)) & (...)] = np.nan
# return hu
# ```

# %% [markdown]
# ## 3. Windows: from Hounsfield units to grey
#
# A CT slice spans some 4000 HU. A screen shows 256 greys, and grey matter differs from white matter
# by about 10 HU. So a reader picks a **window**: a center $c$ and a width $w$. Below it all is
# black, above it all is white, and the greys are spent in between.
#
# The standard fixes the formula (PS3.3 C.11.2.1.2.1, function LINEAR). For a value $x$:
#
# - black (0) where $x \le c - 0.5 - \frac{w-1}{2}$
# - white (1) where $x > c - 0.5 + \frac{w-1}{2}$
# - else $y = \frac{x - (c - 0.5)}{w - 1} + 0.5$
#
# Why -0.5 and $w - 1$? The formula counts whole stored values. Center 2048 and width 4096 should
# cover the 4096 values from 0 to 4095, no more:

# %%
for center, width in [(2048, 4096), (40, 80), (128, 1)]:
    middle, half = center - 0.5, (width - 1) / 2
    lowest, highest = middle - half, middle + half
    print(f"center {center:4d} width {width:4d}: black up to {lowest}, white above {highest}")

# %% [markdown]
# The last row is the smallest legal width, 1: a threshold. The formula in $c \pm w/2$ that one
# finds in many programs is a different function in the standard, LINEAR_EXACT. Close, but your
# picture then differs from the one on the radiologist's screen, and at width 1 by up to a whole
# grey scale.
#
# **MONOCHROME1.** `PhotometricInterpretation` says what the smallest value looks like. MONOCHROME2:
# black. MONOCHROME1: white, as on an X-ray film. The turn comes **after** the window, on the
# displayed greys (PS3.3 C.7.6.3.1.2); the window itself works on the unturned values.
#
# Padding has no grey. Show NaN as 0, the background, in both cases.
#
# **Predict before you go on.** A window with center 40 and width 80 meets a bleed of 75 HU and bone
# of 800 HU. Which can you tell from its neighbours, and which is lost? Decide, then solve and look.
#
# ## Exercise 3: `apply_window`


# %% exercise="apply_window" points=3
def apply_window(values, center, width, photometric="MONOCHROME2"):
    """Map values to displayed grey with the standard's LINEAR window.

    values: float array of any shape, for CT in HU; NaN marks padding.
    center, width: the window, in the units of values; width is at least 1.
    photometric: "MONOCHROME2" (smallest value black) or "MONOCHROME1" (smallest value white).
    Returns a float array of the same shape, 0 (black) to 1 (white); NaN becomes 0.
    Source: DICOM PS3.3 C.11.2.1.2.1.
    """
    ### BEGIN SOLUTION
    values = np.asarray(values, dtype=np.float64)
    black = center - 0.5 - (width - 1) / 2
    white = center - 0.5 + (width - 1) / 2
    slope_width = max(width - 1, 1)  # at width 1 nothing lies between black and white
    grey = (values - (center - 0.5)) / slope_width + 0.5
    grey = np.where(values <= black, 0.0, np.where(values > white, 1.0, grey))
    if photometric == "MONOCHROME1":
        grey = 1.0 - grey
    return np.where(np.isnan(values), 0.0, grey)
    ### END SOLUTION


# %% check="apply_window"
ramp = np.array([-1000.0, 0.0, 40.0, 79.0, 1000.0])
grey = apply_window(ramp, center=40, width=80)
expected = np.array([0, 0, 0.5 / 79 + 0.5, 1, 1])
assert np.allclose(grey, expected), (
    f"center 40, width 80: expected {expected.round(4)}, got {np.round(grey, 4)}"
)
assert np.allclose(apply_window(ramp, 40, 80, "MONOCHROME1"), 1 - expected), (
    "MONOCHROME1 turns the greys around: 1 minus the windowed value"
)
assert apply_window(np.array([np.nan]), 40, 80)[0] == 0, "NaN is background: 0"

# %% hidden="apply_window" points=1 about="the linear formula of the standard, to the last digit"
for _ in range(4):
    center, width = int(rng.integers(-600, 600)), int(rng.integers(20, 400))
    values = rng.uniform(center - width, center + width, (12, 9)).round(1)
    ramp = (values - (center - 0.5)) / (width - 1) + 0.5
    got = learner.apply_window(values, center, width)
    assert close(got, np.clip(ramp, 0, 1), atol=1e-4), (
        f"center {center}, width {width}: off by up to half a value. The standard has c - 0.5 and "
        "w - 1. Are the values still floating point, and clipped only after the formula?"
    )

# %% hidden="apply_window" points=1 about="far values, width 1 and padding"
center = int(rng.integers(300, 500) * rng.choice([-1, 1]))
values = np.array([[center - 900.0, center - 1, center, center + 900], [np.nan, 0, 0, np.nan]])
values[1, 1:3] = center - 5, center + 5
got = learner.apply_window(values, center, 1)
assert close(got, [[0, 0, 1, 1], [0, 0, 1, 0]], atol=1e-6), (
    f"center {center}, width 1 is a threshold: 0 up to center - 0.5, 1 above, no division by zero, "
    f"and NaN shown as 0. Got {np.round(numbers(got), 2).tolist()}"
)

# %% hidden="apply_window" points=1 about="MONOCHROME1: the greys turn around after the window"
center, width = float(rng.integers(500, 2500)), float(rng.integers(100, 900))
values = rng.uniform(center - 2 * width, center + 2 * width, (8, 8))
values[0, :3] = np.nan, center - 3 * width, center + 3 * width
plain = numbers(learner.apply_window(values, center, width, "MONOCHROME2"))
turned = numbers(learner.apply_window(values, center, width, "MONOCHROME1"))
assert plain.shape == turned.shape == values.shape, "keep the shape of the values"
assert close(turned[0, 1:3], [1, 0], atol=1e-6), (
    "MONOCHROME1: the smallest value is white and the largest black. Turn the greys (1 - y) after "
    "the window, not the values before it"
)
assert close(plain[0, 1:3], [0, 1], atol=1e-6), "MONOCHROME2: the smallest value is black"
measured = ~np.isnan(values)
assert close(turned[measured], 1 - plain[measured], atol=1e-6), (
    "MONOCHROME1 should give 1 - y of the same window: turn after the window"
)
assert close([plain[0, 0], turned[0, 0]], [0, 0]), "NaN is background, 0, also in MONOCHROME1"


# %% mistake="apply_window" because="uses center plus/minus width/2" keeps=1 says="c - 0.5"
def apply_window(values, center, width, photometric="MONOCHROME2"):
    grey = np.clip((values - (center - width / 2)) / width, 0, 1)
    grey = 1 - grey if photometric == "MONOCHROME1" else grey
    return np.where(np.isnan(values), 0, grey)


# %% mistake="apply_window" because="ignores MONOCHROME1" keeps=2 says="MONOCHROME1"
def apply_window(values, center, width, photometric="MONOCHROME2"):
    grey = (values - (center - 0.5)) / max(width - 1, 1e-9) + 0.5
    return np.nan_to_num(np.clip(grey, 0, 1), nan=0.0)


# %% mistake="apply_window" because="inverts before the window" keeps=2 says="after the window"
def apply_window(values, center, width, photometric="MONOCHROME2"):
    if photometric == "MONOCHROME1":
        values = np.nanmax(values) - values
    grey = (values - (center - 0.5)) / max(width - 1, 1e-9) + 0.5
    return np.nan_to_num(np.clip(grey, 0, 1), nan=0.0)


# %% mistake="apply_window" because="cuts to 8 bits before the window" keeps=0 says="floating point"
def apply_window(values, center, width, photometric="MONOCHROME2"):
    bytes_ = np.clip(np.nan_to_num(values), 0, 255).astype(np.uint8).astype(float)
    grey = np.clip((bytes_ - (center - 0.5)) / max(width - 1, 1e-9) + 0.5, 0, 1)
    grey = 1 - grey if photometric == "MONOCHROME1" else grey
    return np.where(np.isnan(values), 0, grey)


# %% [markdown] hint="apply_window"
# Compute the ramp in floating point for all values, then decide where it is black and where white.
# Turning around comes last but one; NaN comes last.
#
# ---
#
# With `y = (x - (c - 0.5)) / (w - 1) + 0.5`, clipping to 0..1 gives the two flat parts for any
# width above 1. At width 1 you would divide by zero: there, 1 where `x > c - 0.5`, else 0.
#
# ---
#
# ```python
# black = center - 0.5 - (width - 1) / 2
# white = ...
# grey = (values - (center - 0.5)) / max(width - 1, 1) + 0.5
# grey = np.where(values <= black, 0.0, np.where(values > white, ..., grey))
# if photometric == "MONOCHROME1":
#     grey = ...
# return np.where(np.isnan(values), 0.0, grey)
# ```

# %% needs="to_hounsfield apply_window"
head_hu = to_hounsfield(head)
fig, axes = plt.subplots(1, 3, figsize=(10.5, 3.8))
for axis, (name, center, width) in zip(
    axes, [("brain", 40, 80), ("bone", 600, 2800), ("air", -700, 900)]
):
    grey = apply_window(head_hu, center, width)
    show(axis, grey, f"{name}: center {center}, width {width}", vmin=0, vmax=1)
fig.tight_layout()

# %% [markdown]
# *In words:* the same head slice three times. In the brain window the brain is grey, all bone is
# one white. In the bone window the brain is one flat grey and the fine bone of the skull base
# shows. In the window for air the sinuses stay dark and all tissue is white, and outside the head
# the scanned circle shows as a dark grey disc in black corners.
#
# The bleed of 75 HU keeps its own light grey in the brain window. Bone of 800 HU is lost: it is as
# white as anything of 90 HU. No window shows everything. This is why a network should get
# Hounsfield units, or several windows as channels, not one reader's greys.
#
# A file can carry several windows (`WindowCenter` of this head slice has three values), or a curve
# (*VOI LUT Sequence*), or another function in `VOILUTFunction`, for example SIGMOID. The exercise
# covers LINEAR, which holds when nothing is said.

# %% needs="apply_window"
scan = pydicom.dcmread(bundled("JPEG2000.dcm"))
fig, axes = plt.subplots(1, 2, figsize=(4.4, 4.6))
for axis, photometric in zip(axes, ["MONOCHROME2", "MONOCHROME1"]):
    grey = apply_window(scan.pixel_array[::2, ::2], 60, 120, photometric)
    show(axis, grey, photometric, vmin=0, vmax=1)
fig.tight_layout()
xray = pydicom.dcmread(bundled("dicomdirtests/77654033/CR1/6154"))
print("JPEG2000.dcm:", scan.PhotometricInterpretation)
print("dicomdirtests/77654033/CR1/6154:", xray.PhotometricInterpretation)

# %% [markdown]
# *In words:* a bone scan of a whole body, twice. Left, as MONOCHROME2: bright skeleton on black.
# Right, the same values as MONOCHROME1: dark skeleton on white.
#
# Both look like medical images. A network trained on one kind and fed the other fails without an
# error message. The second file printed above is a real X-ray film tagged MONOCHROME1.

# %% [markdown]
# ## 4. Frames and colours
#
# One file can hold one image, or thirty frames of a beating heart, or fifteen planes of a radiation
# dose. A pixel can be one grey, three colours, or a number that is looked up in a table:

# %%
print(f"{'file':32s} {'photometric':14s} {'frames':>6s} {'samples':>7s}  pixel_array")
for name in [
    "CT_small.dcm",
    "rtdose.dcm",
    "examples_rgb_color.dcm",
    "SC_rgb_rle_2frame.dcm",
    "examples_ybr_color.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "examples_palette.dcm",
]:
    ds = pydicom.dcmread(bundled(name))
    photometric, samples = ds.PhotometricInterpretation, ds.SamplesPerPixel
    frames = str(ds.get("NumberOfFrames", "-"))
    print(f"{name:32s} {photometric:14s} {frames:>6s} {samples:7d}  {ds.pixel_array.shape}")

# %% [markdown]
# Three axes can mean frames, rows, columns, or rows, columns, colours. Do not guess from the shape:
# an image three columns wide looks like a colour image. `NumberOfFrames` and `SamplesPerPixel` say
# it. What the frame axis *means*, time or depth or energy, is in other tags: in the echo
# `FrameIncrementPointer` points to `FrameTime`, the milliseconds from one frame to the next.
#
# **YBR.** JPEG usually works on one brightness (Y) and two colour differences (CB, CR), because
# eyes see brightness more sharply. YBR_FULL_422 keeps the colour differences at half the width.
# Since version 3, pydicom's `pixel_array` **already returns RGB** for these files, while the tag
# still says YBR. Older code converts once more. The picture shows the three cases on a test card.

# %%
card = pydicom.dcmread(bundled("SC_rgb_dcmtk_+eb+cy+np.dcm"))
fig, axes = plt.subplots(1, 3, figsize=(8, 3))
show(axes[0], pixel_array(card, raw=True), "YBR shown as if RGB")
show(axes[1], card.pixel_array, "pixel_array: RGB")
twice = convert_color_space(card.pixel_array, "YBR_FULL", "RGB")
show(axes[2], twice, "converted twice")
fig.tight_layout()
red = card.pixel_array[5, 50]
print("first bar, red green blue:", *(int(v) for v in red))
print("first bar, converted twice:", *(int(v) for v in twice[5, 50]))

# %% [markdown]
# *In words:* three test cards of horizontal bars. The middle one has red, pink, green, light green,
# blue, light blue, black, dark grey, light grey and white. On the left the same bars have wrong
# hues, and black has become teal. On the right they are wrong in another way, and the first bar,
# red, has become green. The numbers printed with the picture say the same.
#
# **PALETTE COLOR.** The pixel is a row number in three tables, for red, green and blue.
# `apply_color_lut(image, dataset)` looks them up. Tables often hold 16-bit entries; the high byte
# is the 8-bit colour, so shift right by 8: an entry of 65280 becomes 255.
#
# ## Exercise 4: `to_frames`
#
# Bring every image into one shape: **(frames, rows, columns, samples)**, with 1 sample for grey and
# 3, red green blue, for colour. Code after it never has to ask again.


# %% exercise="to_frames" points=3
def to_frames(dataset):
    """Return the pixels of any image in one shape.

    dataset: pydicom Dataset: grey, RGB, YBR or PALETTE COLOR; one or several frames.
    Returns an array, shape (frames, rows, columns, samples): samples is 1 for grey (values as
    stored, no rescale) and 3 for colour (RGB). PALETTE COLOR gives uint8: the high byte of a
    16-bit table.
    """
    ### BEGIN SOLUTION
    image = dataset.pixel_array  # pydicom 3 has turned YBR into RGB here
    samples = dataset.SamplesPerPixel
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        image, samples = apply_color_lut(image, dataset), 3
        if image.dtype == np.uint16:
            image = (image >> 8).astype(np.uint8)
    frames = int(dataset.get("NumberOfFrames", 1))
    return image.reshape(frames, dataset.Rows, dataset.Columns, samples)
    ### END SOLUTION


# %% check="to_frames"
for name, expected in {
    "CT_small.dcm": (1, 128, 128, 1),
    "rtdose.dcm": (15, 10, 10, 1),
    "SC_rgb_rle_2frame.dcm": (2, 100, 100, 3),
    "examples_palette.dcm": (1, 350, 800, 3),
}.items():
    shape = to_frames(pydicom.dcmread(bundled(name))).shape
    assert shape == expected, f"{name}: expected the shape {expected}, got {shape}"

# %% hidden="to_frames" points=1 about="grey images: one frame and several, also three columns wide"
for frames, rows, columns in [(None, 9, 7), (4, 6, 3), (3, 5, 8), (1, 6, 3)]:
    count = frames or 1
    pixels = rng.integers(0, 4000, (count, rows, columns)).astype(np.uint16)
    ds = image_dataset(pixels if frames else pixels[0], frames=frames)
    got = learner.to_frames(ds)
    assert close(got, pixels[..., None]), (
        f"grey, {count} frames of {rows} rows and {columns} columns: expected the shape "
        f"{(count, rows, columns, 1)}, got {np.shape(got)}. The tags NumberOfFrames and "
        "SamplesPerPixel tell frames from colours; the number of columns does not"
    )

# %% hidden="to_frames" points=1 about="RGB stays RGB, and YBR is converted once"
for frames in (None, 1, 3):
    count = frames or 1
    pixels = rng.integers(0, 256, (count, 6, 5, 3)).astype(np.uint8)
    ds = image_dataset(pixels if frames else pixels[0], "US", frames, "RGB", samples=3)
    assert close(learner.to_frames(ds), pixels), (
        f"RGB with {count} frames: expected the stored colours in the shape {pixels.shape}"
    )
for name in ["SC_rgb_dcmtk_+eb+cy+np.dcm", "SC_ybr_full_422_uncompressed.dcm"]:
    ds = pydicom.dcmread(bundled(name))
    assert close(learner.to_frames(ds), ds.pixel_array[None], atol=3), (
        f"{name} is {ds.PhotometricInterpretation}, and pixel_array is RGB already. Was it "
        "converted twice?"
    )

# %% hidden="to_frames" points=1 about="palette colours are looked up and reduced to 8 bits"
for frames in (None, 2):
    table = rng.integers(0, 256, (3, 256)).astype(np.uint16) << 8
    indices = rng.integers(0, 256, (frames or 1, 8, 6)).astype(np.uint8)
    ds = image_dataset(indices if frames else indices[0], "US", frames, "PALETTE COLOR")
    for channel, entries in zip(("Red", "Green", "Blue"), table):
        descriptor = f"{channel}PaletteColorLookupTableDescriptor"
        ds.add_new(descriptor, "US", [256, 0, 16])
        ds.add_new(f"{channel}PaletteColorLookupTableData", "OW", entries.tobytes())
    expected = np.moveaxis((table >> 8)[:, indices], 0, -1)
    assert close(learner.to_frames(ds), expected, atol=1), (
        "PALETTE COLOR: each pixel is a row of the palette. Look up red, green and blue with "
        "apply_color_lut, and keep the high byte of 16-bit entries"
    )


# %% mistake="to_frames" because="guesses the axes from the shape" keeps=2 says="NumberOfFrames"
def to_frames(dataset):
    image = dataset.pixel_array
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        image = (apply_color_lut(image, dataset) >> 8).astype(np.uint8)
    if image.shape[-1] != 3:
        image = image[..., None]
    return image if image.ndim == 4 else image[None]


# %% mistake="to_frames" because="converts YBR to RGB a second time" keeps=2 says="converted twice"
def to_frames(dataset):
    image, samples = dataset.pixel_array, dataset.SamplesPerPixel
    if dataset.PhotometricInterpretation.startswith("YBR"):
        image = convert_color_space(image, "YBR_FULL", "RGB")
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        image, samples = (apply_color_lut(image, dataset) >> 8).astype(np.uint8), 3
    return image.reshape(-1, dataset.Rows, dataset.Columns, samples)


# %% mistake="to_frames" because="shows palette indices as greys" keeps=2 says="palette"
def to_frames(dataset):
    frames = int(dataset.get("NumberOfFrames", 1))
    shape = (frames, dataset.Rows, dataset.Columns, dataset.SamplesPerPixel)
    return dataset.pixel_array.reshape(shape)


# %% [markdown] hint="to_frames"
# All the sizes you need are tags: `NumberOfFrames` (absent means 1), `Rows`, `Columns`,
# `SamplesPerPixel`. Only PALETTE COLOR needs work on the values.
#
# ---
#
# `image.reshape(frames, rows, columns, samples)`. For PALETTE COLOR, first `apply_color_lut(image,
# dataset)`, and samples becomes 3; a `uint16` result is shifted right by 8 and cast to `uint8`.
#
# ---
#
# ```python
# image, samples = dataset.pixel_array, dataset.SamplesPerPixel
# if dataset.PhotometricInterpretation == "PALETTE COLOR":
#     image, samples = apply_color_lut(...), 3
#     if image.dtype == np.uint16:
#         image = ...
# frames = int(dataset.get("NumberOfFrames", 1))
# return image.reshape(...)
# ```

# %% needs="to_frames"
echo = to_frames(pydicom.dcmread(bundled("examples_ybr_color.dcm")))
fig, axes = plt.subplots(1, 2, figsize=(8, 3.2))
show(axes[0], echo[0], "echo, first of its frames")
change = echo.astype(float).mean(axis=-1).std(axis=0)
show(axes[1], change, "change over the frames", cmap="cividis")
fig.tight_layout()
print("shape:", echo.shape)

# %% [markdown]
# *In words:* left, one ultrasound frame of a heart: a grey fan on black. Right, how much each pixel
# changes over time: walls and valves that move are bright yellow, the still text and the background
# dark blue.

# %% [markdown]
# ## 5. The check that failed overnight
#
# This is the hospital's quality check. It computes the mean HU over the scanned circle and rejects
# a slice whose mean is far from the expected. It was tested on slices of the head scanner, and it
# has worked for years.

# %%
PADDING = -2000


def legacy_mean_hu(dataset):
    """Mean HU over the scanned circle; padding is left out."""
    hu = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    measured = hu[hu != PADDING]
    return float(measured.mean())


print(f"head slice as it came from the scanner: {legacy_mean_hu(head):.1f} HU")

# %% [markdown]
# The new archive writes the same slice in another legal way: with intercept -1024, so that stored
# values of tissue are positive, and with its padding declared. The next cell does what the archive
# did.


# %%
def as_archived(dataset, intercept=-1024, padding=-2000):
    """Store the same measurements with another intercept, and declare the padding."""
    stored = dataset.pixel_array.astype(np.int16)
    hu = stored * int(dataset.RescaleSlope) + int(dataset.RescaleIntercept)
    archived = copy.deepcopy(dataset)
    archived.RescaleIntercept = str(intercept)
    archived.add_new("PixelPaddingValue", "SS", padding)
    restored = np.where(stored == -2000, padding, hu - intercept).astype(np.int16)
    archived.set_pixel_data(restored, "MONOCHROME2", bits_stored=16)
    return archived


archived_head = as_archived(head)
corner, middle = (0, 0), (256, 256)
for name, ds in [("scanner", head), ("archive", archived_head)]:
    stored = ds.pixel_array
    print(f"{name}: stored in the corner {stored[corner]}, in the middle {stored[middle]}")
    print(f"         intercept {ds.RescaleIntercept}, padding {ds.get('PixelPaddingValue', '-')}")

# %% [markdown]
# **Predict before you run the next cell.** Both files describe the same measurements. Will the
# check give the same mean? If not, will the archived slice come out higher or lower, and by tens or
# by hundreds of HU? Write your guess on paper.

# %%
for name, ds in [("scanner", head), ("archive", archived_head)]:
    print(f"{name}: {legacy_mean_hu(ds):.1f} HU")

# %% [markdown]
# ## Exercise 5: find the fault and repair it
#
# No line of `legacy_mean_hu` raises an error, and its test passes. Find the line that is wrong, and
# say to yourself why the old test could not see it. Then write `mean_hu`, which gives one answer
# for one set of measurements, however they are stored:
#
# - padding that the file declares (`PixelPaddingValue`; no range limit here) is left out;
# - padding that the file does not declare is left out, too: whatever lies below -1500 HU is not a
#   measurement. The limit is a choice of this hospital, far below vacuum (-1000) and noise;
# - air is a measurement and stays in.


# %% exercise="mean_hu" points=2
def mean_hu(dataset):
    """Mean Hounsfield value of the measured pixels of a CT slice.

    dataset: pydicom Dataset of a CT image.
    Returns a float in HU. Left out: stored values equal to PixelPaddingValue, where the file
    declares it, and everything below -1500 HU.
    """
    ### BEGIN SOLUTION
    stored = dataset.pixel_array
    hu = stored.astype(np.float64) * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    measured = hu >= -1500
    if "PixelPaddingValue" in dataset:
        measured &= stored != dataset.PixelPaddingValue  # the tag speaks of stored values
    return float(hu[measured].mean())
    ### END SOLUTION


# %% check="mean_hu"
scanner, archive = mean_hu(head), mean_hu(archived_head)
assert abs(scanner - archive) < 0.01, (
    f"one slice, two means: {scanner:.1f} from the scanner's file, {archive:.1f} from the archive's"
)
zero_padded = as_archived(head, intercept=-1100, padding=0)
assert abs(mean_hu(zero_padded) - scanner) < 0.01, (
    "padding may be declared as any stored value, here 0, which would be -1100 HU"
)

# %% hidden="mean_hu" points=1 about="declared padding: one slice stored in five ways has one mean"
for dtype, slope, padding in [
    (np.int16, 1, -2000),
    (np.int16, 2, -2000),
    (np.uint16, 1, 0),
    (np.uint16, 0.5, 63536),
    (np.int16, 1, 24),
]:
    intercept = -1024
    measured = rng.integers(-499, 900, (30, 30)) * 2
    corner = np.add.outer(np.arange(30), np.arange(30)) < int(rng.integers(10, 25))
    stored = np.where(corner, padding, (measured - intercept) / slope).astype(dtype)
    got = numbers(learner.mean_hu(ct_slice(stored, slope, intercept, padding)))
    inside = (~corner) & (stored != padding)
    assert not close(got, measured[inside & (measured > -900)].mean(), atol=1e-3), (
        "air was left out: values near -1000 HU are measurements of air and stay in"
    )
    assert close(got, measured[inside].mean(), atol=1e-3), (
        f"slope {slope}, intercept {intercept}, PixelPaddingValue {padding}: expected a mean of "
        f"{measured[inside].mean():.1f} HU, got {np.round(got, 1)}. "
        "Compare PixelPaddingValue with the stored "
        "values, not with Hounsfield units"
    )

# %% hidden="mean_hu" points=1 about="a real slice with padding that no tag declares"
real = pydicom.dcmread(bundled("J2K_pixelrep_mismatch.dcm")).pixel_array.astype(int)
for intercept in (0, -int(rng.integers(900, 1200))):
    top, left = rng.integers(0, 40, 2)  # near a corner, so that padding is always in
    hu = real[top : top + 300, left : left + 300]
    stored = np.where(hu == -2000, -2000, hu - intercept).astype(np.int16)
    expected = hu[hu != -2000].mean()
    got = numbers(learner.mean_hu(ct_slice(stored, 1, intercept)))
    assert not close(got, hu[hu > -900].mean(), atol=1e-3), (
        "air was left out: values near -1000 HU are measurements of air and stay in"
    )
    assert close(got, expected, atol=1e-3), (
        f"intercept {intercept}, no PixelPaddingValue, expected a mean of {expected:.1f} HU, got "
        f"{np.round(got, 1)}. Undeclared padding is averaged in: leave out what lies below -1500 HU"
    )


# %% mistake="mean_hu" because="keeps the planted fault" keeps=0 says="not with Hounsfield units"
def mean_hu(dataset):
    hu = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    return float(hu[hu != dataset.get("PixelPaddingValue", -2000)].mean())


# %% mistake="mean_hu" because="averages undeclared padding in" keeps=1 says="-1500"
def mean_hu(dataset):
    stored = dataset.pixel_array
    hu = stored * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    return float(hu[stored != dataset.get("PixelPaddingValue", 10**6)].mean())


# %% mistake="mean_hu" because="ignores the padding tag" keeps=1 says="stored"
def mean_hu(dataset):
    hu = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    return float(hu[hu >= -1500].mean())


# %% mistake="mean_hu" because="drops the air with the padding" keeps=0 says="air was left out"
def mean_hu(dataset):
    stored = dataset.pixel_array
    hu = stored * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    measured = (hu > -900) & (stored != dataset.get("PixelPaddingValue", 10**6))
    return float(hu[measured].mean())


# %% [markdown] hint="mean_hu"
# Look at the corner of both files: the stored value is the same. What is its value in HU in each?
#
# ---
#
# The fault is `hu != PADDING`: it compares Hounsfield units with a stored value. That works only
# while the intercept is 0 and the slope 1. Build the mask from `stored`, and add `hu >= -1500`.
#
# ---
#
# ```python
# stored = dataset.pixel_array
# hu = ...
# measured = hu >= -1500
# if "PixelPaddingValue" in dataset:
#     measured &= stored != ...
# return float(hu[measured].mean())
# ```

# %% [markdown]
# What the fault teaches goes beyond padding. The old test used one file in which two units happened
# to agree. A better test states what must not change: *the same measurements, stored in another
# legal way, give the same answer*. Such a test needs no known result, and it finds faults nobody
# has thought of.

# %% [markdown]
# ## 6. Patient data
#
# A slice carries its patient along. Before it leaves the hospital, the identity has to go, and the
# measurement has to stay. PS3.15 Annex E lists what to do with each of several hundred attributes
# (Table E.1-1). Look at a few places in `CT_small.dcm`, a file that was already cleaned for
# publication:

# %%
for keyword in ["PatientName", "PatientID", "InstitutionName", "AcquisitionDate", "SOPClassUID"]:
    print(f"{ct[keyword].VR}  {keyword:18s} {ct[keyword].value}")
nested = ct.OtherPatientIDsSequence
print(f"SQ  OtherPatientIDsSequence, {len(nested)} items: {[str(i.PatientID) for i in nested]}")
private = [e for e in ct if e.tag.is_private]
print(f"private elements: {len(private)}, one of them: {private[3].name} = {private[3].value}")

# %% [markdown]
# Four places where identity hides:
#
# - **standard attributes**: names, numbers, dates, free text such as `ImageComments`;
# - **nested data sets**: sequences hold data sets, which hold sequences. A loop over the top level
#   misses them;
# - **private elements**: tags with an odd group number are defined by makers of scanners and
#   software. You cannot know what they hold, so they go;
# - **UIDs**: an instance UID is not a name, but whoever has the archive can look it up. Replace it,
#   but **the same way everywhere**: two slices of one series must keep one series UID, or the
#   volume falls apart. And do not touch UIDs that name a *kind*, such as the SOP class "CT Image".
#   Those registered by the standard all begin with `1.2.840.10008.`.
#
# ## Exercise 6: `deidentify`
#
# Work on a copy. In the copy, at every depth:
#
# 1. delete private elements, and the elements in `IDENTIFIERS`;
# 2. empty every person's name, date and time: VR `PN`, `DA`, `DT`, `TM`. (Empty, not deleted: the
#    standard demands that some of them are present.)
# 3. replace every UID (VR `UI`) with `new_uid(uid, secret)`, which leaves those of the standard
#    alone.
#
# Then, at the top, set `PatientName` and `PatientID` to `code`, and `PatientIdentityRemoved` to
# `"YES"`. The meta information repeats one UID: set `file_meta.MediaStorageSOPInstanceUID` to the
# new `SOPInstanceUID`.
#
# The helper below is given. It mixes in a secret: without one, anybody could hash the old UIDs and
# find the patient again.

# %%
IDENTIFIERS = {
    "PatientID", "OtherPatientIDs", "OtherPatientIDsSequence", "IssuerOfPatientID",
    "PatientAddress", "PatientTelephoneNumbers", "PatientComments", "AdditionalPatientHistory",
    "EthnicGroup", "Occupation", "AccessionNumber", "StudyID", "InstitutionName",
    "InstitutionAddress", "InstitutionalDepartmentName", "StationName", "DeviceSerialNumber",
    "StudyDescription", "SeriesDescription", "ImageComments", "ProtocolName",
    "RequestedProcedureID", "ScheduledProcedureStepID", "PerformedProcedureStepID",
}  # fmt: skip


def new_uid(uid, secret):
    """Return the replacement of a UID: always the same for the same UID and secret."""
    if str(uid).startswith("1.2.840.10008."):
        return uid
    return pydicom.uid.generate_uid(entropy_srcs=[str(uid), secret])


example = ct.SeriesInstanceUID
print("same secret, same UID:  ", new_uid(example, "a") == new_uid(example, "a"))
print("other secret, same UID: ", new_uid(example, "a") == new_uid(example, "b"))
print("SOP class is kept:      ", new_uid(ct.SOPClassUID, "a") == ct.SOPClassUID)


# %% exercise="deidentify" points=3
def deidentify(dataset, code, secret):
    """Return a copy without patient data, with its measurement unchanged.

    dataset: pydicom Dataset with file_meta. It stays as it is.
    code: str, the pseudonym for PatientName and PatientID.
    secret: str for new_uid.
    Source: a small part of DICOM PS3.15 Annex E; the text after the exercise says what it leaves.
    """

    ### BEGIN SOLUTION
    def clean(parent, element):
        if element.tag.is_private or element.keyword in IDENTIFIERS:
            del parent[element.tag]
        elif element.VR in ("PN", "DA", "DT", "TM"):
            element.value = None
        elif element.VR == "UI" and element.value:
            many = element.VM > 1
            uids = [new_uid(uid, secret) for uid in (element.value if many else [element.value])]
            element.value = uids if many else uids[0]

    result = copy.deepcopy(dataset)
    result.walk(clean)  # walk visits nested data sets, too
    result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    result.PatientName = result.PatientID = code
    result.PatientIdentityRemoved = "YES"
    return result
    ### END SOLUTION


# %% check="deidentify"
original = pydicom.dcmread(bundled("CT_small.dcm"))
clean_ct = deidentify(original, code="medlab-001", secret="only here")
unchanged = original == pydicom.dcmread(bundled("CT_small.dcm"))
assert unchanged, "work on a copy: the original was changed"
assert clean_ct.PatientID == "medlab-001", "PatientID should be the code"
assert not [e for e in clean_ct.iterall() if e.tag.is_private], "private elements are left"
assert clean_ct.SOPClassUID == original.SOPClassUID, (
    "the SOP Class UID names a kind of image: keep it"
)
assert clean_ct.SeriesInstanceUID != original.SeriesInstanceUID, "the series UID should be replaced"
assert np.array_equal(clean_ct.pixel_array, original.pixel_array), "the pixels must not change"

# %% hidden="setup"
LISTED = [
    "PatientAddress", "PatientComments", "AccessionNumber", "InstitutionName", "StationName",
    "StudyDescription", "SeriesDescription", "ImageComments", "StudyID", "DeviceSerialNumber",
]  # fmt: skip
REGISTERED = "1.2.840.10008."


def word(rng):
    """Twelve random capitals: text that can only come from this patient."""
    return "".join(chr(65 + i) for i in rng.integers(0, 26, 12))


def patient_slice(rng, study, series):
    """A CT slice with identity at every depth; returns it and its secrets by place."""
    ds = ct_slice(rng.integers(0, 3000, (6, 5)).astype(np.int16), 1, -1024)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
    ds.ImagePositionPatient, ds.PixelSpacing = [1, 2, float(rng.integers(90))], [0.5, 0.5]
    found = {key: word(rng) for key in ["PatientName", "PatientID", "OperatorsName"]}
    found |= {key: word(rng) for key in rng.choice(LISTED, 5, replace=False).tolist()}
    days = {key: f"19{rng.integers(10, 99)}0{rng.integers(1, 9)}17" for key in ("StudyDate",)}
    days["PatientBirthDate"] = f"19{rng.integers(10, 99)}1203"
    days["AcquisitionDateTime"] = f"20{rng.integers(10, 20)}0506111213"
    for key, value in (found | days).items():
        setattr(ds, key, value)
    item = Dataset()
    item.AccessionNumber, item.ReferringPhysicianName = word(rng), word(rng)
    deep = Dataset()
    deep.PatientID, deep.ReferencedSOPInstanceUID = word(rng), generate_uid()
    deep.ReferencedSOPClassUID = CT_IMAGE_STORAGE
    item.ReferencedStudySequence = [deep]
    ds.RequestAttributesSequence = [item]
    nested = [item.AccessionNumber, str(item.ReferringPhysicianName), deep.PatientID]
    private = [word(rng), word(rng)]
    ds.private_block(0x0011, "MEDLAB TEST", create=True).add_new(1, "LO", private[0])
    item.private_block(0x0013, "MEDLAB TEST", create=True).add_new(1, "LO", private[1])
    return ds, found | days, nested, private


def cleaned(result):
    """The learner's data set, rebuilt here from its JSON form, and that text."""
    assert not isinstance(result, None | str | bytes | dict | list | tuple | int), (
        "deidentify should return the cleaned copy, a Dataset"
    )
    text = str(result.to_json())
    return Dataset.from_json(json.loads(text)), text


def uid(ds, keyword):
    """A UID of the cleaned data set as text; empty when it is missing."""
    return str(ds.get(keyword, "") or "")


# %% hidden="deidentify" points=1 about="identity and private elements go, at every depth"
for _ in range(2):
    ds, top, nested, private = patient_slice(rng, generate_uid(), generate_uid())
    code = f"case-{rng.integers(10**6)}"
    got, text = cleaned(learner.deidentify(ds, code, word(rng)))
    left = [place for place, value in top.items() if value in text]
    assert not left, f"still readable at the top level: {', '.join(left)}"
    assert not any(value in text for value in nested), (
        "identity is left inside a nested sequence: walk through all depths, not only the top level"
    )
    assert not any(value in text for value in private), "private elements are left"
    assert not [e for e in got.iterall() if e.tag.is_private], "private elements are left"
    assert str(got.get("PatientName", "")) == code == got.get("PatientID"), (
        f"PatientName and PatientID should both be the code {code}"
    )
    assert got.get("PatientIdentityRemoved") == "YES", 'set PatientIdentityRemoved to "YES"'

# %% hidden="deidentify" points=1 about="UIDs are replaced, the same way in every slice"
study, series, secret = generate_uid(), generate_uid(), word(rng)
slices = [patient_slice(rng, study, series)[0] for _ in range(2)]
results = [learner.deidentify(ds, "case-1", secret) for ds in slices]
(first, text), (second, _) = (cleaned(result) for result in results)
assert study not in text and series not in text, "the old study or series UID is still there"
assert uid(first, "SeriesInstanceUID") and uid(first, "StudyInstanceUID"), (
    "replace the UIDs; without them nobody can put the series together"
)
assert uid(first, "SeriesInstanceUID") == uid(second, "SeriesInstanceUID"), (
    "two slices of one series got different series UIDs: the volume falls apart. Use new_uid"
)
assert uid(first, "SOPInstanceUID") != uid(second, "SOPInstanceUID"), (
    "two slices must keep different SOP Instance UIDs"
)
other, _ = cleaned(learner.deidentify(slices[0], "case-1", word(rng)))
assert uid(other, "SeriesInstanceUID") != uid(first, "SeriesInstanceUID"), (
    "another secret must give other UIDs: pass the secret to new_uid"
)
inner = slices[0].RequestAttributesSequence[0].ReferencedStudySequence[0]
assert inner.ReferencedSOPInstanceUID not in text, (
    "a UID inside a nested sequence still leads back to the patient: walk through all depths"
)
meta_uid = str(results[0].file_meta.MediaStorageSOPInstanceUID)
assert meta_uid == uid(first, "SOPInstanceUID"), (
    "file_meta.MediaStorageSOPInstanceUID should agree with SOPInstanceUID"
)

# %% hidden="deidentify" points=1 about="pixels, geometry, rescale and kind of image stay"
ds = patient_slice(rng, generate_uid(), generate_uid())[0]
for original in (ds, pydicom.dcmread(bundled("CT_small.dcm"))):
    result = learner.deidentify(original, "case-2", word(rng))
    got, _ = cleaned(result)
    assert close(result.pixel_array, original.pixel_array), "the pixels changed"
    for keyword in ["RescaleIntercept", "RescaleSlope", "PixelSpacing", "ImagePositionPatient"]:
        expected = np.asarray(original[keyword].value, dtype=float)
        assert close(numbers(got.get(keyword)), expected), f"{keyword} must stay as it was"
    assert uid(got, "SOPClassUID") == original.SOPClassUID, (
        "the SOP Class UID names a kind of image and must stay: new_uid keeps registered UIDs"
    )
    syntax = str(result.file_meta.TransferSyntaxUID)
    assert syntax == original.file_meta.TransferSyntaxUID, "keep the Transfer Syntax UID"


# %% mistake="deidentify" because="deletes the patient's name only" keeps=1 says="PatientID"
def deidentify(dataset, code, secret):
    result = copy.deepcopy(dataset)
    del result.PatientName
    return result


# %% mistake="deidentify" because="cleans the top level only" keeps=1 says="nested sequence"
def deidentify(dataset, code, secret):
    result = copy.deepcopy(dataset)
    for element in list(result):
        if element.tag.is_private or element.keyword in IDENTIFIERS:
            del result[element.tag]
        elif element.VR in ("PN", "DA", "DT", "TM"):
            element.value = None
        elif element.VR == "UI":
            element.value = new_uid(element.value, secret)
    result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    result.PatientName = result.PatientID = code
    result.PatientIdentityRemoved = "YES"
    return result


# %% mistake="deidentify" because="draws random UIDs per slice" keeps=2 says="volume falls apart"
def deidentify(dataset, code, secret):
    def clean(parent, element):
        if element.tag.is_private or element.keyword in IDENTIFIERS:
            del parent[element.tag]
        elif element.VR in ("PN", "DA", "DT", "TM"):
            element.value = None
        elif element.VR == "UI" and not str(element.value).startswith("1.2.840.10008."):
            element.value = pydicom.uid.generate_uid()

    result = copy.deepcopy(dataset)
    result.walk(clean)
    result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    result.PatientName = result.PatientID = code
    result.PatientIdentityRemoved = "YES"
    return result


# %% mistake="deidentify" because="replaces the standard's UIDs" keeps=2 says="a kind of image"
def deidentify(dataset, code, secret):
    def clean(parent, element):
        if element.tag.is_private or element.keyword in IDENTIFIERS:
            del parent[element.tag]
        elif element.VR in ("PN", "DA", "DT", "TM"):
            element.value = None
        elif element.VR == "UI":
            element.value = pydicom.uid.generate_uid(entropy_srcs=[str(element.value), secret])

    result = copy.deepcopy(dataset)
    result.walk(clean)
    result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    result.PatientName = result.PatientID = code
    result.PatientIdentityRemoved = "YES"
    return result


# %% [markdown] hint="deidentify"
# `dataset.walk(callback)` calls `callback(parent, element)` for every element at every depth, and
# the callback may delete `parent[element.tag]`. `element.tag.is_private`, `element.keyword` and
# `element.VR` tell what it is.
#
# ---
#
# Three cases in the callback: private or listed, so delete; VR `PN`, `DA`, `DT`, `TM`, so set the
# value to None; VR `UI`, so replace with `new_uid`. Walk the copy, then set the three attributes
# and the UID in `file_meta`.
#
# ---
#
# ```python
# def clean(parent, element):
#     if element.tag.is_private or element.keyword in IDENTIFIERS:
#         del parent[element.tag]
#     elif element.VR in ("PN", "DA", "DT", "TM"):
#         ...
#     elif element.VR == "UI":
#         ...
#
# result = copy.deepcopy(dataset)
# result.walk(clean)
# result.file_meta.MediaStorageSOPInstanceUID = ...
# ...
# return result
# ```

# %% [markdown]
# ### What this exercise does not do
#
# Do not publish data with it. The full profile of PS3.15 Annex E has several hundred attributes;
# `IDENTIFIERS` has two dozen. Also open:
#
# - **text in the pixels**: the tag `BurnedInAnnotation` may warn you, or be absent;
# - **free text** in attributes that are not listed, and in structured reports;
# - **faces**: a head CT can be rendered as a face, and a face can be recognised. Defacing is a step
#   of its own;
# - **the meta information**: it names the sending system (`SourceApplicationEntityTitle`);
# - **rare values**: an age above 89, a rare disease, one hospital on one day;
# - **private elements that matter**: in some MR files they hold the diffusion weighting. The
#   profile's *Retain Safe Private* option keeps the known ones;
# - **time**: empty dates destroy the order of examinations. The standard has an option that shifts
#   them instead.
#
# Look at text in the pixels of a real file, after your own function has cleaned its tags:

# %% needs="deidentify"
doppler = pydicom.dcmread(bundled("examples_rgb_color.dcm"))
cleaned = deidentify(doppler, code="medlab-002", secret="only here")
fig, axis = plt.subplots(figsize=(7, 1.9))
show(axis, cleaned.pixel_array[:55], "examples_rgb_color.dcm after deidentify: its first rows")
fig.tight_layout()
print("InstitutionName before:", doppler.get("InstitutionName", "not present"))
print("InstitutionName after: ", cleaned.get("InstitutionName", "not present"))
print("BurnedInAnnotation:    ", doppler.get("BurnedInAnnotation", "not present"))

# %% [markdown]
# *In words:* a strip from the top of an ultrasound picture. The name of a medical centre stands
# there in white letters, as part of the image, with a time and a number. The tag with the name is
# gone, the letters are not, and no tag warned of them.

# %% [markdown]
# ## In words, for a clinician
#
# The neuroradiologist on call writes: "Your check has rejected every head CT since the archive
# moved, and I had to read them all without the program. Did our patients change? Were the earlier
# results wrong? And how do I know that it is right now?"
#
# Answer in at most 170 words, without code. Say what happened, what it means for patients seen
# before and after, and what you have not yet checked.

# %% [markdown] written="explain" points=2 rubric="clinician-answer"
# Your patients did not change, and neither did the images you read. The scanner measures a circle,
# and a placeholder number fills the corners of the picture. Our check is meant to skip them. It
# looked for the placeholder after converting the pixels to Hounsfield units, although the file
# defines it before. In the old archive both numbers happened to be the same. The new archive
# converts differently, so empty corners counted as far thinner than air, the average fell, and good
# slices were refused.
#
# Earlier results stand as far as we have tested: on a slice in the old format the check was right.
# Since the move the cost was your time, and a delay for patients. The repaired check gives the same
# average for one slice stored in several ways, and we test this on every change. Not yet checked:
# other scanners, and other tools with the same shortcut. Please read without the program until we
# report on both.

# %% [markdown]
# ## What to take along
#
# - Stored values are not measurements. Slope, intercept, sign and padding come first; resizing,
#   clipping and averaging come after.
# - A picture that looks right proves little. Test what must not change.
# - Refuse what you cannot decode or scale, with one clear error.
#
# In daily work pydicom does most of these steps: `pydicom.pixels.apply_modality_lut`,
# `apply_voi_lut`, `apply_color_lut`. You now know what they do, and what they leave to you:
# padding, MONOCHROME1, the meaning of the frame axis, and the patient.
