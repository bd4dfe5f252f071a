# %% [markdown]
# # Patients, not images
#
# A team shows a network that finds pneumonia with an AUC of .97. The hospital across the river
# tries it on its own children and measures .7. Nobody changed the network, and both hospitals use
# the same scanners. The difference was made before training, when the films were dealt into two
# heaps.
#
# **One new idea: the unit of a split is the patient, never the image.**
# Two films of one person are not two facts. A network that has seen the first has, in part, seen
# the second.
#
# You will find the leak in a split that somebody left behind, split by patient, look for persons
# who have two names in the archive, and measure what each of these is worth.
#
# What this unit does not cover: how networks train (`cnn-from-scratch`), how images are read
# (`dicom-to-hounsfield`), and what happens on a scanner that nobody trained on (`scanner-shift`).

# %% tags=["parameters"]
SEED = 0

# %% [markdown]
# ## 1. The films
#
# The real set with this layout was published by Kermany and others (children in Guangzhou;
# CC BY 4.0; 5,856 films). Its file names hold the patient: `person7_bacteria_2.jpeg` is the second
# film of person 7.
#
# | published, not from this notebook | result |
# |---|---|
# | DenseNet-169, the owner's split of the real set | 91.6 % accuracy |
# | the owner's training folder split again, by image | 99.43 % accuracy |
#
# Two tables in two papers, one of them far better. This unit asks what the difference can be.
#
# Here we use **generated films** in the same folders and names: 60 patients with 8 films each, and
# 300 other patients, with one film each, who stand for the hospital across the river. No person
# stands behind them, and no result below says anything about real films.
# Data card: `datasets/chest-xray.md`.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate

from medlab import datasets
from medlab.datasets.chest_xray import read_table
from medlab.models.backbones import chest_resnet18
from medlab.models.device import training_device
from medlab.scale import pick

torch.set_num_threads(1)
PATIENTS, FILMS = pick(ci=60, laptop=60, gpu=300), 8
EPOCHS = pick(ci=12, laptop=15, gpu=20)
folder = datasets.folder(
    "chest-xray",
    patients=PATIENTS,
    images_per_patient=FILMS,
    test_patients=300,
    lesion=0.7,
    format="jpeg",
    seed=SEED,
)
table = read_table(folder)
here = table[table.split == "train"].reset_index(drop=True)
there = table[table.split == "test"].reset_index(drop=True)
patients, labels = here.patient.to_numpy(str), here.label.to_numpy()
print("this hospital:   ", len(here), "films of", here.patient.nunique(), "patients")
print("across the river:", len(there), "films of", there.patient.nunique(), "patients")
print(here.groupby("label").patient.nunique().rename("patients by label").to_string())

# %% [markdown]
# Four films: two patients, two films of each.
#
# **Predict before you look at the names:** which two belong together? What did you go by?


# %%
plt.rcParams.update({"figure.dpi": 70, "image.cmap": "gray", "font.size": 10})


def load(paths, size=64):
    """Return films as a float tensor (n, 1, size, size), 0 to 1."""
    films = np.stack([np.asarray(Image.open(folder / path)) for path in paths])
    films = torch.from_numpy(films).float()[:, None] / 255
    return interpolate(films, size=(size, size), mode="bilinear", antialias=True)


films = load(here.path)
healthy = here[here.label == 0].patient.unique()[:2]
shown = [here.index[here.patient == name][k] for k, name in zip((0, 0, 1, 1), (*healthy, *healthy))]
fig, axes = plt.subplots(1, 4, figsize=(9, 2.6))
for ax, at in zip(axes, shown):
    ax.imshow(films[at, 0], vmin=0, vmax=1)
    ax.set(title=patients[at], xticks=[], yticks=[])
fig.suptitle("generated films")
plt.show()

# %% [markdown]
# *In words:* four chest films, two of each of two patients, in the order first, second, first,
# second. Brightness differs, because scanners differ. The outline of the chest, the arcs of the
# ribs and the shape of the heart come back in the second film of the same patient.
#
# If you can recognise a patient, a network can. It need not find the disease of a person whose
# label it remembers.
#
# ## 2. A split that somebody left behind
#
# This is how the team dealt the films: shuffle all, put a quarter aside.
#
# **Predict before you run:** of the patients in the test heap, which share is in the training heap
# too?

# %%
rng = np.random.default_rng(SEED)
theirs = np.where(rng.random(len(here)) < 1 / 4, "test", "train")
print({name: int((theirs == name).sum()) for name in ("train", "test")}, "films")

# %% [markdown]
# ### Exercise 1: shared_patients
#
# Names come from several programs. `person7`, `Person7` and `person7` with a blank at its end are
# one person.


# %% exercise="shared_patients" points=3
def shared_patients(patients, splits):
    """Return the patients who are in more than one split, sorted, each once.

    patients: a name for each image (text). splits: a split for each image (text), same length.
    Names count without regard to upper and lower case and to blanks around them; they are returned
    in lower case, without these blanks.
    Raises ValueError, which names the row (from 0), when an image has no patient (an empty name).
    """
    ### BEGIN SOLUTION
    found = {}
    for row, (patient, split) in enumerate(zip(patients, splits, strict=True)):
        name = str(patient).strip().lower()
        if not name:
            raise ValueError(
                f"row {row} has no patient: find out whose image it is, or leave it out"
            )
        found.setdefault(name, set()).add(split)
    return sorted(name for name, seen in found.items() if len(seen) > 1)
    ### END SOLUTION


# %% check="shared_patients"
found = shared_patients(["a", "a", "b", "c", "c"], ["train", "test", "test", "train", "train"])
assert list(found) == ["a"], (
    f"only 'a' is in both heaps, {found} came: 'c' has two images, but both in one heap"
)
found = shared_patients(["P2", "p1", "p2 ", "P1"], ["train", "train", "test", "test"])
assert list(found) == ["p1", "p2"], f"expected ['p1', 'p2'], {found} came: mind case and blanks"

# %% hidden="setup"
import itertools

import numpy as np


def dealt(rng, count=40, most=6, share=0.4):
    """Names and labels of images: every patient has one label and up to `most` images."""
    names, labels = [], []
    for number in rng.permutation(count):
        images = int(rng.integers(1, most + 1))
        names += [f"p{number:03d}"] * images
        labels += [int(number < share * count)] * images
    order = rng.permutation(len(names))
    return np.array(names)[order], np.array(labels)[order]


def by_patient(names, values):
    """The set of values that each patient's images have."""
    found = {}
    for name, value in zip(names, values, strict=True):
        found.setdefault(str(name), set()).add(value)
    return found


def correlations(images, others):
    """Cosine of standardised pictures without their average."""
    pool = np.concatenate([images, others]).reshape(len(images) + len(others), -1).astype(float)
    pool = (pool - pool.mean(axis=1, keepdims=True)) / pool.std(axis=1, keepdims=True)
    pool -= pool.mean(axis=0)
    pool /= np.linalg.norm(pool, axis=1, keepdims=True)
    return pool[: len(images)] @ pool[len(images) :].T


# %% hidden="shared_patients" points=1 about="patients in more than one split, and only those"
for _ in range(3):
    names, _labels = dealt(rng)
    splits = rng.choice(["train", "val", "test"], len(names), p=[0.8, 0.1, 0.1])
    wanted = sorted(n for n, seen in by_patient(names, splits).items() if len(seen) > 1)
    got = learner.shared_patients(names.tolist(), splits.tolist())
    several = sorted(n for n in set(names.tolist()) if (names == n).sum() > 1)
    assert list(got) != several, (
        "these are all patients with several images: that is no fault while they are in one split"
    )
    assert list(got) == wanted, (
        f"{len(wanted)} patients are in more than one of train, val and test; {len(got)} came, or not sorted"
    )

# %% hidden="shared_patients" points=1 about="case and blanks do not make another person"
names, _labels = dealt(rng)
splits = rng.choice(["train", "test"], len(names))
forms = [str.upper, str.title, lambda n: f" {n}", lambda n: f"{n}  "]
spelled = [forms[int(rng.integers(4))](name) for name in names.tolist()]
wanted = sorted(n for n, seen in by_patient(names, splits).items() if len(seen) > 1)
got = list(learner.shared_patients(spelled, splits.tolist()))
assert [str(name).strip().lower() for name in got] == wanted, (
    "a patient whose name is spelled in two ways was missed: compare without case and blanks"
)
assert got == wanted, "return names in lower case and without blanks around them"

# %% hidden="shared_patients" points=1 about="an image without a patient is refused by its row"
names, splits = ["a", "b", "  ", "a"], ["train", "test", "test", "train"]
error = error_from(learner.shared_patients, names, splits)
assert error is not None, (
    "an image without a patient went through: nobody can say on which side it belongs, raise ValueError"
)
assert error.kind == "ValueError" and "2" in error.message, (
    f"ValueError that names row 2 expected, {error.kind} came: {error.message[:80]}"
)


# %% mistake="shared_patients" because="lists patients with several images" keeps=1 says="no fault while they are in one split"
def shared_patients(patients, splits):
    names = [str(name).strip().lower() for name in patients]
    if "" in names:
        raise ValueError(f"row {names.index('')} has no patient")
    return sorted({name for name in names if names.count(name) > 1})


# %% mistake="shared_patients" because="compares names as they are spelled" keeps=2 says="spelled in two ways"
def shared_patients(patients, splits):
    found = {}
    for row, (patient, split) in enumerate(zip(patients, splits, strict=True)):
        if not patient.strip():
            raise ValueError(f"row {row} has no patient")
        found.setdefault(patient, set()).add(split)
    return sorted(name.strip().lower() for name, seen in found.items() if len(seen) > 1)


# %% mistake="shared_patients" because="drops images without a patient" keeps=2 says="an image without a patient went through"
def shared_patients(patients, splits):
    found = {}
    for patient, split in zip(patients, splits, strict=True):
        if name := patient.strip().lower():
            found.setdefault(name, set()).add(split)
    return sorted(name for name, seen in found.items() if len(seen) > 1)


# %% [markdown] hint="shared_patients"
# Collect, for every patient, the set of splits that their images are in. Who has more than one?
#
# ---
#
# A dict from name to set: `found.setdefault(name, set()).add(split)`. The name is
# `str(patient).strip().lower()`. An empty one raises.
#
# ---
#
# ```python
# found = {}
# for row, (patient, split) in enumerate(zip(patients, splits, strict=True)):
#     name = ...
#     if not name:
#         raise ValueError(f"row {row} ...")
#     found.setdefault(name, set()).add(split)
# return sorted(name for name, seen in found.items() if ...)
# ```

# %% needs="shared_patients"
shared = shared_patients(patients, theirs)
tested = np.unique(patients[theirs == "test"])
print(f"patients in the test heap: {len(tested)}, of them in the training heap too: {len(shared)}")

# %% [markdown]
# Nearly every patient of the test heap has been seen in training. With 8 films and a quarter set
# aside, a patient has all films on one side with probability (3/4)^8, about 10 %. That
# test asks: "do you remember this person?"
#
# ## 3. Split by patient
#
# Two rules. All films of a patient go to one side. And each side gets its share of the sick: with
# few patients, chance alone can leave a side with too few of them. So deal the sick patients and
# the healthy ones separately. This is called **stratified**.
#
# A third rule, easily forgotten: the split must be the same tomorrow. It may depend on the seed and
# on who the patients are. It may not depend on the order in which a folder happened to be listed.
#
# ### Exercise 2: split_by_patient


# %% exercise="split_by_patient" points=4
def split_by_patient(patients, labels, test_share=0.25, seed=0):
    """Return a bool array, one for each image: True where it belongs to the test side.

    patients: a name for each image. labels: 0 or 1 for each image.
    All images of a patient are on one side. A patient is sick when any image has label 1.
    Of the sick patients, round(test_share * number), but at least 1, are on the test side; of the
    healthy ones likewise. Who they are is drawn at random: another seed gives another split.
    The side of a patient does not depend on the order of the images.
    Raises ValueError when there are fewer than 2 sick or fewer than 2 healthy patients.
    """
    ### BEGIN SOLUTION
    patients, labels = np.asarray(patients), np.asarray(labels)
    sick = set(patients[labels == 1].tolist())
    everyone = sorted(set(patients.tolist()))
    rng = np.random.default_rng(seed)
    chosen = set()
    for is_sick in (False, True):
        group = [name for name in everyone if (name in sick) == is_sick]
        if len(group) < 2:
            word = "sick" if is_sick else "healthy"
            raise ValueError(f"{len(group)} {word} patients cannot be on two sides: at least 2")
        count = max(1, round(test_share * len(group)))
        chosen.update(group[i] for i in rng.permutation(len(group))[:count])
    return np.array([name in chosen for name in patients.tolist()])
    ### END SOLUTION


# %% check="split_by_patient"
names = np.repeat([f"p{i}" for i in range(12)], 3)
sick = np.repeat([1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 3)
side = np.asarray(split_by_patient(names, sick, test_share=1 / 3, seed=1))
assert side.shape == (36,) and side.dtype == bool, (
    f"36 bools expected, one for each image; {side.dtype} of shape {side.shape} came"
)
both = [name for name in set(names) if 0 < side[names == name].sum() < 3]
assert not both, f"patients on both sides: {sorted(both)}. Draw patients, not images"
assert side[sick == 1].sum() == 3, (
    f"1 of 3 sick patients (3 images) belongs on the test side, {side[sick == 1].sum()} images came"
)
assert side[sick == 0].sum() == 9, (
    f"3 of 9 healthy patients, 9 images; {side[sick == 0].sum()} came"
)

# %% hidden="split_by_patient" points=2 about="no patient on both sides, and the right share of patients"
for share in (0.2, 0.33, 0.5):
    names, sick = dealt(rng)
    side = np.asarray(learner.split_by_patient(names, sick, share, int(rng.integers(1000))))
    assert side.shape == (len(names),), (
        f"one answer for each of {len(names)} images expected, shape {side.shape} came"
    )
    torn = [name for name, seen in by_patient(names, side.tolist()).items() if len(seen) > 1]
    assert not torn, f"{len(torn)} of 40 patients are on both sides: draw patients, not images"
    tested = len(set(names[side.astype(bool)].tolist()))
    assert abs(tested - share * 40) <= 2, (
        f"with test_share {share} about {share * 40:.0f} of 40 patients are tested, {tested} came: a share of patients, not of images"
    )

# %% hidden="split_by_patient" points=1 about="stratified: each side has its share of the sick"
for share in (0.2, 0.3):
    names, sick = dealt(rng, share=0.25)
    ill = set(names[sick == 1].tolist())
    first = {name: int(np.flatnonzero(names == name)[0]) for name in sorted(ill)}
    mixed = sick.copy()
    for name in ill:
        mixed[names == name] = 0
        mixed[first[name]] = 1  # one sick image makes a sick patient
    side = np.asarray(learner.split_by_patient(names, mixed, share, int(rng.integers(1000))))
    tested = set(names[side.astype(bool)].tolist())
    assert len(tested & ill) == max(1, round(share * 10)), (
        f"of 10 sick patients {round(share * 10)} belong on the test side, {len(tested & ill)} came: deal the sick and the healthy separately. One sick image makes a sick patient"
    )
    assert len(tested - ill) == round(share * 30), (
        f"of 30 healthy patients {round(share * 30)} expected, {len(tested - ill)} came"
    )
error = error_from(learner.split_by_patient, ["a", "a", "b", "c"], [1, 1, 0, 0], 0.5, 0)
assert error is not None and error.kind == "ValueError", (
    "one sick patient cannot be on both sides: ValueError expected"
)

# %% hidden="split_by_patient" points=1 about="the same split tomorrow, another one with another seed"
names, sick = dealt(rng)
order = rng.permutation(len(names))
side = np.asarray(learner.split_by_patient(names, sick, 0.33, 7))
again = np.asarray(learner.split_by_patient(names[order], sick[order], 0.33, 7))
assert (side[order] == again).all(), (
    "the same images in another order gave another split: sort the patients before you draw"
)
others = [np.asarray(learner.split_by_patient(names, sick, 0.33, seed)) for seed in range(4)]
assert any((side != other).any() for other in others), "another seed should give another split"


# %% mistake="split_by_patient" because="draws images" keeps=0 says="draw patients, not images"
def split_by_patient(patients, labels, test_share=0.25, seed=0):
    rng = np.random.default_rng(seed)
    side = np.zeros(len(patients), bool)
    for label in (0, 1):
        rows = np.flatnonzero(np.asarray(labels) == label)
        side[rng.permutation(rows)[: round(test_share * len(rows))]] = True
    return side


# %% mistake="split_by_patient" because="draws patients without regard to their label" keeps=3 says="deal the sick and the healthy separately"
def split_by_patient(patients, labels, test_share=0.25, seed=0):
    everyone = sorted(set(np.asarray(patients).tolist()))
    rng = np.random.default_rng(10007 * seed + 3)
    chosen = set(rng.permutation(everyone)[: round(test_share * len(everyone))].tolist())
    return np.array([name in chosen for name in np.asarray(patients).tolist()])


# %% mistake="split_by_patient" because="draws from patients in the order of the images" keeps=3 says="in another order"
def split_by_patient(patients, labels, test_share=0.25, seed=0):
    patients, labels = np.asarray(patients).tolist(), np.asarray(labels)
    sick = {name for name, label in zip(patients, labels, strict=True) if label}
    everyone = list(dict.fromkeys(patients))
    rng = np.random.default_rng(seed)
    chosen = set()
    for is_sick in (False, True):
        group = [name for name in everyone if (name in sick) == is_sick]
        if len(group) < 2:
            raise ValueError("too few patients")
        count = max(1, round(test_share * len(group)))
        chosen.update(group[i] for i in rng.permutation(len(group))[:count])
    return np.array([name in chosen for name in patients])


# %% [markdown] hint="split_by_patient"
# First make a list of patients, each once, in an order that is always the same. Draw from that list.
# The images come last.
#
# ---
#
# Sorted names; sick = names with any label 1. For the healthy and for the sick:
# `rng.permutation(len(group))[:count]` with `count = max(1, round(test_share * len(group)))`.
# Then ask of each image whether its patient was chosen.
#
# ---
#
# ```python
# sick = set(patients[labels == 1].tolist())
# everyone = sorted(set(patients.tolist()))
# rng = np.random.default_rng(seed)
# chosen = set()
# for is_sick in (False, True):
#     group = [name for name in everyone if ...]
#     if len(group) < 2:
#         raise ValueError(...)
#     count = ...
#     chosen.update(group[i] for i in ...)
# return np.array([name in chosen for name in patients.tolist()])
# ```

# %% needs="shared_patients split_by_patient"
test_side = split_by_patient(patients, labels, seed=SEED)
print("films on the test side:   ", int(test_side.sum()), "of", len(test_side))
print("patients on the test side:", len(set(patients[test_side])))
print("patients on both sides:   ", len(shared_patients(patients, np.where(test_side, "b", "a"))))

# %% [markdown]
# scikit-learn has ready-made splits for this: `GroupShuffleSplit` keeps patients together,
# `StratifiedGroupKFold` also looks after labels. Both take the patients as `groups`. A function
# without an argument for groups, such as `train_test_split`, cannot know what a patient is.
#
# ## 4. What the split was worth
#
# Now the same small network is trained twice from nothing, once on each split, and both are tested
# twice: on the films that were set aside, and across the river.
#
# **Predict before you run:** which of the two reports the higher AUC? Which is the better network
# across the river?


# %% tags=["demonstration"]
DEVICE = training_device()  # a GPU at the scale gpu, if there is one


def train(images, labels, seed, batch=16):
    """Train a small ResNet from nothing; return it in eval mode."""
    torch.manual_seed(seed)
    net = chest_resnet18(pretrained=False).to(DEVICE, memory_format=torch.channels_last)
    wanted = torch.as_tensor(labels).float()
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
    steps = EPOCHS * -(-len(images) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(batch):
            inputs = images[rows].contiguous(memory_format=torch.channels_last).to(DEVICE)
            logits = net(inputs)[:, 0]
            loss = binary_cross_entropy_with_logits(logits, wanted[rows].to(DEVICE))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval().cpu()


@torch.no_grad()
def auc_of(net, images, labels):
    """Return the AUC of a network on images."""
    scores = torch.cat([net(part)[:, 0] for part in images.split(128)])
    return float(roc_auc_score(labels, scores))


# %% tags=["demonstration"] needs="split_by_patient"
across, across_labels = load(there.path), there.label.to_numpy()
splits = {"by image": theirs == "test", "by patient": test_side}
results = {}
for name, aside in splits.items():
    net = train(films[~aside], labels[~aside], SEED)
    reported = auc_of(net, films[aside], labels[aside])
    results[name] = (reported, auc_of(net, across, across_labels))
    print(f"{name:10}  reported {reported:.2f}   across the river {results[name][1]:.2f}")

fig, ax = plt.subplots(figsize=(6, 3.2))
for name, marker in (("by image", "s"), ("by patient", "o")):
    ax.plot([0, 1], results[name], color="black", marker=marker, ls="--" if marker == "s" else "-")
    ax.text(1.04, results[name][1] + (0.02 if marker == "s" else -0.03), f"split {name}")
ax.set(xticks=[0, 1], xticklabels=["reported", "across the river"], xlim=(-0.2, 1.7), ylabel="AUC")
ax.set(ylim=(0.5, 1.02), title="the same network, two splits (generated films)")
plt.show()

# %% [markdown]
# *In words:* two lines from "reported" on the left to "across the river" on the right. The dashed
# line of the split by image starts near the top, above .94, and falls steeply. The line of the
# split by patient starts much lower. Both end close together.
#
# Read this with care. The network from the split by image is **not worse**: it even trained on
# films of nearly all patients. Its *report* is wrong. The lesson is the gap, not the level.
#
# The honest report may have a gap too, in one direction or the other: it rests on 15 patients, and
# an AUC from 15 patients moves by more than a tenth from draw to draw. That is not a leak. It is an
# argument for intervals over patients (`chest-xray-pneumonia`) and for more patients.
#
# ## 5. The leak that names do not show
#
# Three years ago two archives were merged. Some patients were registered again under new numbers,
# and a film of each was exported again, with another contrast. The names say nothing. The pictures
# do.


# %%
def export_again(film, rng):
    """Return a film with another contrast and brightness, a little noisy."""
    again = rng.uniform(0.7, 0.9) * film + rng.uniform(0.0, 0.2)
    return (again + 0.01 * torch.from_numpy(rng.normal(size=again.shape)).float()).clamp(0, 1)


archive_rng = np.random.default_rng([SEED, 5])
again = archive_rng.choice(np.unique(patients), 6, replace=False)
copies = [int(np.flatnonzero(patients == name)[0]) for name in again]
names_now = np.append(patients, [f"person{9001 + k}" for k in range(6)])
labels_now = np.append(labels, labels[copies])
films_now = torch.cat([films, torch.stack([export_again(films[at], archive_rng) for at in copies])])
print(len(films_now), "films under", len(set(names_now)), "names")

# %% [markdown]
# How alike are two films? Their correlation, pixel by pixel, takes no notice of brightness and
# contrast. But all chests look alike: two *different* patients easily reach .9. So subtract from
# every film what all of them share, the average film, and compare what is left.
#
# In steps: **standardise** every film (mean 0, standard deviation 1), so that contrast does not
# count. Subtract the **average** of all these standardised films, those of both groups together.
# Scale what is left to **length 1**. The similarity of two films is then the sum of the products of
# their pixels, a number between -1 and 1.
#
# ### Exercise 3: similarity


# %% exercise="similarity" points=3
def similarity(images, others):
    """Return how alike each image is to each other image: float array (n, m), -1 to 1.

    images: array (n, rows, columns). others: array (m, rows, columns).
    Each image is standardised over its pixels (mean 0, sd 1); the average of all n + m standardised
    images is subtracted; each remainder is scaled to length 1; the entry (i, j) is the sum of the
    products of the pixels of images[i] and others[j].
    Raises ValueError, which names group and number, for an image that is constant or not finite:
    such as "others[3]".
    """
    ### BEGIN SOLUTION
    groups = {"images": np.asarray(images, float), "others": np.asarray(others, float)}
    flat = {name: group.reshape(len(group), -1) for name, group in groups.items()}
    for name, group in flat.items():
        for number, image in enumerate(group):
            if not np.isfinite(image).all() or image.std() == 0:
                raise ValueError(f"{name}[{number}] is constant or not finite: look at this image")
    pool = np.concatenate([flat["images"], flat["others"]])
    pool = (pool - pool.mean(axis=1, keepdims=True)) / pool.std(axis=1, keepdims=True)
    pool = pool - pool.mean(axis=0)
    pool = pool / np.maximum(np.linalg.norm(pool, axis=1, keepdims=True), 1e-12)
    return pool[: len(flat["images"])] @ pool[len(flat["images"]) :].T
    ### END SOLUTION


# %% check="similarity"
some = np.random.default_rng(0).random((4, 8, 8))
alike = np.asarray(similarity(some, 3 * some[:2] + 1))
assert alike.shape == (4, 2), f"4 images and 2 others give shape (4, 2), {alike.shape} came"
assert np.allclose(np.diag(alike[:2]), 1), (
    f"a film with another contrast is the same film: 1 expected, {np.diag(alike[:2]).round(2)} came"
)
assert alike[2:].max() < 0.9, "images that have nothing in common came out as alike"

# %% hidden="similarity" points=2 about="standardised, without the average film, of length 1"
for _ in range(3):
    shape = (int(rng.integers(6, 12)), int(rng.integers(6, 12)))
    chest = 5 * rng.random(shape)
    images, others = chest + rng.random((7, *shape)), chest + rng.random((5, *shape))
    images *= rng.uniform(0.2, 3, (7, 1, 1))
    got = np.asarray(learner.similarity(images, others), dtype=float)
    assert got.shape == (7, 5), f"shape (7, 5) expected, {got.shape} came"
    flat = [group.reshape(len(group), -1) for group in (images, others)]
    plain = np.corrcoef(*flat)[:7, 7:]
    assert not close(got, plain, atol=1e-3), (
        "this is the plain correlation: every chest resembles every other. Subtract the average film"
    )
    bare = [group - np.concatenate(flat).mean(axis=0) for group in flat]
    bare = [group / np.linalg.norm(group, axis=1, keepdims=True) for group in bare]
    assert not close(got, bare[0] @ bare[1].T, atol=1e-3), (
        "the average was taken of films with different contrast: standardise each film first"
    )
    assert close(got, correlations(images, others), atol=1e-4), (
        "standardise each image, subtract the average of all n + m, scale to length 1, multiply: the numbers differ"
    )

# %% hidden="similarity" points=1 about="a constant or broken image is refused by name"
for group, number, value in (("images", 2, 0.5), ("others", 1, np.nan)):
    both = {"images": rng.random((4, 6, 6)), "others": rng.random((3, 6, 6))}
    both[group][number] = value
    error = error_from(learner.similarity, both["images"], both["others"])
    assert error is not None, (
        "an image that is constant or has NaN went through: its similarity is not a number"
    )
    assert error.kind == "ValueError" and f"{group}[{number}]" in error.message, (
        f"ValueError that names {group}[{number}] expected, {error.kind} came: {error.message[:80]}"
    )


# %% mistake="similarity" because="takes the plain correlation" keeps=1 says="Subtract the average film"
def similarity(images, others):
    flat = [np.asarray(group, float).reshape(len(group), -1) for group in (images, others)]
    for name, group in zip(("images", "others"), flat, strict=True):
        for number, image in enumerate(group):
            if not np.isfinite(image).all() or image.std() == 0:
                raise ValueError(f"{name}[{number}] is constant or not finite")
    return np.corrcoef(*flat)[: len(flat[0]), len(flat[0]) :]


# %% mistake="similarity" because="subtracts the average before it standardises" keeps=1 says="standardise each film first"
def similarity(images, others):
    flat = [np.asarray(group, float).reshape(len(group), -1) for group in (images, others)]
    for name, group in zip(("images", "others"), flat, strict=True):
        for number, image in enumerate(group):
            if not np.isfinite(image).all() or image.std() == 0:
                raise ValueError(f"{name}[{number}] is constant or not finite")
    average = np.concatenate(flat).mean(axis=0)
    flat = [group - average for group in flat]
    flat = [group / np.linalg.norm(group, axis=1, keepdims=True) for group in flat]
    return flat[0] @ flat[1].T


# %% mistake="similarity" because="lets a constant image become NaN" keeps=2 says="its similarity is not a number"
def similarity(images, others):
    pool = np.concatenate([np.asarray(images, float), np.asarray(others, float)])
    pool = pool.reshape(len(pool), -1)
    with np.errstate(all="ignore"):
        pool = (pool - pool.mean(axis=1, keepdims=True)) / pool.std(axis=1, keepdims=True)
        pool = pool - pool.mean(axis=0)
        pool = pool / np.linalg.norm(pool, axis=1, keepdims=True)
    return pool[: len(images)] @ pool[len(images) :].T


# %% [markdown] hint="similarity"
# Put both groups into one array of rows, one row for each image. Three lines of NumPy follow, each
# along one axis. Which axis each time: over pixels, or over images?
#
# ---
#
# Standardise along axis 1 (pixels), subtract the mean along axis 0 (images), divide by
# `np.linalg.norm(pool, axis=1, keepdims=True)`. The matrix product of the first n rows with the
# transposed rest is the answer.
#
# ---
#
# ```python
# pool = np.concatenate([images.reshape(n, -1), others.reshape(m, -1)])
# pool = (pool - ...) / ...
# pool = pool - pool.mean(axis=0)
# pool = pool / np.linalg.norm(pool, axis=1, keepdims=True)
# return pool[:n] @ pool[n:].T
# ```

# %% [markdown]
# First a question about people: can pixels alone recognise a patient? For each film of that quarter,
# take the most alike film of the rest, and see whether it is the same person.
#
# **Predict before you run:** with 60 patients, guessing is right about once in 60. And pixels?

# %% needs="similarity"
aside = theirs == "test"
alike = similarity(films[aside, 0].numpy(), films[~aside, 0].numpy())
recognised = patients[~aside][alike.argmax(axis=1)] == patients[aside]
print(f"most alike film is of the same patient: {recognised.mean():.0%} of {len(recognised)} films")

# %% [markdown]
# No network, no training, and far more than one in 60 is recognised, though breath, position and
# scanner have changed in between. That is the leak of section 2, made visible.
#
# Now the renamed. Which pairs of films under different names are nearly the same film?

# %% needs="similarity"
pictures = films_now[:, 0].numpy()
alike = similarity(pictures, pictures)
same_name = names_now[:, None] == names_now[None, :]
print(f"two films of one patient:  median {np.median(alike[same_name & (alike < 0.999)]):.2f}")
print(f"films of different names:  median {np.median(alike[~same_name]):.2f}")
near = np.argwhere(np.triu(~same_name & (alike > 0.95), k=1))
pairs = sorted({(str(names_now[i]), str(names_now[j])) for i, j in near})
for pair in pairs:
    print("nearly the same film under two names:", *pair)

fig, axes = plt.subplots(1, 3, figsize=(9, 3.2))
i = copies[0]
for ax, picture, title in (
    (axes[0], pictures[i], names_now[i]),
    (axes[1], pictures[len(films)], names_now[len(films)]),
):
    ax.imshow(picture, vmin=0, vmax=1)
    ax.set(title=f"{title} (generated)", xticks=[], yticks=[])
bins = np.linspace(-1, 1, 41)
upper = np.triu(np.ones_like(same_name), k=1)
axes[2].hist(alike[upper & same_name], bins, density=True, histtype="step", color="black", lw=2)
axes[2].hist(alike[upper & ~same_name], bins, density=True, color="0.7")
axes[2].axvline(0.95, color="black", ls=":")
axes[2].set(xlabel="similarity: one name (line), two (grey)", yticks=[])
plt.show()

# %% [markdown]
# *In words:* left, a film and its second export: the same chest, paler. Right, two distributions of
# similarity: pairs under different names, in grey, are spread around 0; pairs of one patient lie
# further to the right, and the two overlap. The dotted line at .95, at the right end of both, is
# where we call two films one.
#
# The threshold was chosen by looking at this picture. It finds films that were exported again. It
# does not find a patient who came back a year later: for that there is only the register.
#
# ## 6. One name for one person
#
# A pair says: these two names are one person. Pairs form chains: if A is B and B is C, then A is C,
# though nobody compared them. The split needs **one** name for each person.
#
# ### Exercise 4: one_name


# %% exercise="one_name" points=3
def one_name(patients, pairs):
    """Return a name for each image, the same for all names that are one person.

    patients: a name for each image. pairs: list of two names each, which are one person.
    Pairs chain: (a, b) and (b, c) make a, b and c one person, in whatever order the pairs come.
    The name returned is the first in alphabetical order of all names of the person, also of those
    that occur in pairs only. Returns a list of text, in the order of patients.
    """
    ### BEGIN SOLUTION
    leader = {}

    def find(name):
        while leader.get(name, name) != name:
            name = leader[name]
        return name

    for one, other in pairs:
        first, second = sorted((find(one), find(other)))
        leader[second] = first
    return [find(str(name)) for name in patients]
    ### END SOLUTION


# %% check="one_name"
found = one_name(["c", "a", "d", "b"], [("b", "c"), ("a", "b")])
assert list(found) == ["a", "a", "d", "a"], (
    f"a, b and c are one person: ['a', 'a', 'd', 'a'] expected, {found} came"
)
found = one_name(["x", "y"], [])
assert list(found) == ["x", "y"], f"without pairs the names stay, {found} came"

# %% hidden="one_name" points=1 about="two names of one person become the first of them"
for _ in range(3):
    names = [f"p{n:02d}" for n in rng.permutation(30)]
    pairs = [(names[2 * k + (k % 2)], names[2 * k + 1 - (k % 2)]) for k in range(6)]
    first = {name: min(pair) for pair in pairs for name in pair}
    rows = [names[i] for i in rng.integers(0, 30, 50)]
    got = [str(name) for name in learner.one_name(rows, pairs)]
    assert got == [first.get(name, name) for name in rows], (
        "pairs without chains: each name of a pair becomes the first of both in the alphabet, all other names stay"
    )

# %% hidden="one_name" points=2 about="chains of any length, pairs in any order"
for _ in range(5):
    names = [f"p{n:02d}" for n in rng.permutation(24)]
    people = [names[:9], names[9:14], names[14:17]]
    links = []
    for person in people:
        links += list(itertools.pairwise(person))
    pairs = [
        links[i] if rng.random() < 0.5 else links[i][::-1] for i in rng.permutation(len(links))
    ]
    first = {name: min(person) for person in people for name in person}
    wanted = [first.get(name, name) for name in names]
    got = [str(name) for name in learner.one_name(names, pairs)]
    count, right = len(set(got)), len(set(wanted))
    assert count <= right, (
        f"{count} persons are left of {right}: a chain a = b, b = c was not followed to its end, or only in one order of the pairs"
    )
    assert got == wanted, (
        "each person takes the first of all their names in the alphabet: some names differ"
    )


# %% mistake="one_name" because="follows each name for one step" keeps=1 says="not followed to its end"
def one_name(patients, pairs):
    first = {}
    for pair in pairs:
        for name in pair:
            first[name] = min(*pair, first.get(name, name))
    return [first.get(name, name) for name in patients]


# %% mistake="one_name" because="renames pair by pair and forgets names met before" keeps=1 says="not followed to its end"
def one_name(patients, pairs):
    names = [str(name) for name in patients]
    for one, other in pairs:
        names = [min(one, other) if name == max(one, other) else name for name in names]
    return names


# %% mistake="one_name" because="names a person after the first pair, not the alphabet" keeps=0 says="the first of both in the alphabet"
def one_name(patients, pairs):
    leader = {}

    def find(name):
        while leader.get(name, name) != name:
            name = leader[name]
        return name

    for one, other in pairs:
        if find(one) != find(other):
            leader[find(other)] = find(one)
    return [find(str(name)) for name in patients]


# %% [markdown] hint="one_name"
# Give every name a leader. At first each leads itself. A pair joins two groups: what must happen to
# the leaders, not to the two names?
#
# ---
#
# `find(name)`: go from a name to its leader, to that one's leader, until one leads itself. For each
# pair, find both ends and let the later one (in the alphabet) follow the earlier one. This is called
# union-find.
#
# ---
#
# ```python
# leader = {}
#
# def find(name):
#     while leader.get(name, name) != name:
#         name = leader[name]
#     return name
#
# for one, other in pairs:
#     first, second = sorted((find(one), find(other)))
#     leader[second] = ...
# return [find(str(name)) for name in patients]
# ```

# %% needs="split_by_patient similarity one_name"
persons = np.array(one_name(names_now, pairs))
for title, name in (("by name", names_now), ("by person", persons)):
    side = split_by_patient(name, labels_now, seed=SEED + 1)
    torn = [pair for pair in pairs if np.ptp(side[np.isin(names_now, pair)].astype(int))]
    print(f"split {title:9}: {len(torn)} of {len(pairs)} renamed patients on both sides")

# %% [markdown]
# ## 7. In your own words
#
# The head of the children's ward writes: *"You told us in spring that the program is right in 97
# of 100 comparisons. The hospital across the river says 70. You now say that both numbers were
# measured correctly. How can that be, which one should I tell the parents, and can I still use the
# program?"*
#
# Answer in at most 150 words, without the words leak, split, AUC or network.

# %% [markdown] written="explain_the_gap" points=2 rubric="clinician-answer"
# Both numbers were computed correctly, but they answer different questions. In spring we tested the
# program with films of children of whom it had already studied other films, with the answer. It
# partly recognised the child, by the ribs and the shape of the heart, and remembered the diagnosis.
# The hospital across the river has children whom the program had never seen. So will every new
# child on your ward be. Please tell parents the lower number.
#
# We have tested again, with children who were kept out altogether. That result rests on about
# fifteen children and is uncertain.
#
# The program itself has not become worse. Our promise was too high. Until it has been tested on
# more new children, please read every film as if the program were not there. Decisions made since
# spring because it saw nothing should be looked at again.

# %% [markdown]
# ## 8. The figures of this unit

# %% tags=["demonstration"] needs="split_by_patient"
FIGURES = {
    "reported_auc": results["by patient"][0],
    "external_auc": results["by patient"][1],
    "gap": results["by patient"][0] - results["by patient"][1],
    "reported_auc_wrong": results["by image"][0],
    "external_auc_wrong": results["by image"][1],
    "gap_wrong": results["by image"][0] - results["by image"][1],
}
for name, value in FIGURES.items():
    print(f"{name:20} {value:.2f}")
assert FIGURES["reported_auc_wrong"] >= 0.94, "the split by image no longer looks too good"
assert FIGURES["gap_wrong"] >= 0.08, "the split by image no longer reports too much"

# %% [markdown]
# ## What you have now
#
# - `shared_patients`: the first question to ask of any split, yours or a paper's.
# - `split_by_patient`: whole patients, the sick shared out, the same split tomorrow.
# - `similarity`: finds the same film under two names, and shows that pixels know people.
# - `one_name`: one name for one person, before anything is split.
#
# Where real life is harder: siblings, twins and neighbours share more than pixels; a hospital, a
# scanner or a year can leak as a patient does, and then *they* are the unit of the split; and a
# patient's films taken after the diagnosis may show the treatment instead of the disease.
