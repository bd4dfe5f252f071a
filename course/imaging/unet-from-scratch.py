# %% [markdown]
# # A U-Net from scratch
#
# A radiotherapy team buys a program that draws organs on CT scans. The brochure says *Dice 0.95*. On
# the first patient the program draws nothing at all: no liver, no kidney, no aorta. The team asks
# for the figures again. They are right. The program was scored on everything it drew, and most of a
# CT scan is nothing.
#
# **One new idea: a segmentation has a score for each organ, and the background is not an organ.**
#
# You will write Dice as a score and as a loss, cross-entropy for pixels, and a U-Net with its skip
# connections. MONAI, a library that many clinics' models are built with, checks the first three to
# the digit and runs against your network under the same conditions.
#
# What this unit does not cover: volumes, spacing and distances in mm. Those are `ct-multi-organ`'s.

# %% tags=["parameters"]
SEED = 0

# %%
import matplotlib.pyplot as plt
import monai.losses
import monai.metrics
import monai.networks.nets
import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from medlab import datasets
from medlab.datasets import abdominal_ct
from medlab.models.device import training_device
from medlab.scale import pick

torch.manual_seed(SEED)
CLASSES = ("background", "liver", "spleen", "kidneys", "aorta")

# %% [markdown]
# ## 1. Slices of the abdomen
#
# The real set in this form is **BTCV** (also called Synapse): abdominal CT scans with 13 labelled
# structures.
#
# | published, not from this notebook | |
# |---|---|
# | terms | none stated as a licence; an account at Synapse, and the owner's terms |
# | 13 organs of BTCV, mean Dice in % | nnU-Net 82.47, MedNeXt-L 85.47 |
# | 8 organs, 18 scans to train and 12 to test | TransUNet 77.48, UNETR 74.52 |
#
# The two rows have other organs and other scans: they cannot be compared with each other, and
# neither with this notebook. The scans below are **generated** (bodies of ellipsoids with Hounsfield
# values, noise and bowel around them) in BTCV's folders and numbers. We take slices across the body
# at 5.4 mm and four labels: liver, spleen, both kidneys as one, aorta.

# %%
BTCV_NUMBERS = {1: 2, 2: 3, 3: 3, 6: 1, 8: 4}  # spleen, right and left kidney, liver, aorta
SIZE = (64, 48)  # pixels to the right and to the front: about 5.4 mm each


def slices_of(case):
    """Return a scan's slices from feet to head: pictures (n, 1, 64, 48) and classes (n, 64, 48)."""
    image, label = (nib.as_closest_canonical(v) for v in abdominal_ct.read_case(case))
    hu = torch.tensor(image.get_fdata(dtype=np.float32).copy()).permute(2, 0, 1)[:, None]
    numbers = np.asarray(label.dataobj).astype(np.uint8)
    table = np.zeros(256, dtype=np.float32)
    table[list(BTCV_NUMBERS)] = list(BTCV_NUMBERS.values())
    classes = torch.tensor(table[numbers]).permute(2, 0, 1)[:, None]
    pictures = F.interpolate(hu, SIZE, mode="bilinear", antialias=True)
    windowed = (pictures.clamp(-160, 240) - 40) / 100  # soft tissue, around 0
    return windowed, F.interpolate(classes, SIZE, mode="nearest")[:, 0].long()


# %% tags=["demonstration"]
plt.rcParams.update({"figure.dpi": 70, "font.size": 10})
SCANS, TEST_SCANS = pick(ci=16, laptop=32, gpu=48), 5
folder = datasets.folder("abdominal-ct", seed=SEED, scans=SCANS)
scans = [slices_of(case) for case in abdominal_ct.cases(folder)]
train_scans, test_scans = scans[:-TEST_SCANS], scans[-TEST_SCANS:]  # by scan: one patient each
train_images = torch.cat([images for images, _ in train_scans])
train_labels = torch.cat([labels for _, labels in train_scans])
print(f"{len(train_scans)} scans, {len(train_images)} slices to train; {TEST_SCANS} scans to test")
share = torch.bincount(train_labels.flatten(), minlength=len(CLASSES)) / train_labels.numel()
for name, part in zip(CLASSES, share):
    print(f"{name:10s} {part:6.1%} of all pixels")


def draw(ax, picture, labels=None):
    """Show a slice, the patient's right at the left; labels lie over it in viridis."""
    ax.imshow(picture[0].T.flip(0, 1), cmap="gray", vmin=-2, vmax=2)
    if labels is not None:
        shown = np.ma.masked_equal(labels.T.flip(0, 1).numpy(), 0)
        ax.imshow(shown, cmap="viridis", vmin=1, vmax=4, interpolation="nearest")
    ax.set(xticks=[], yticks=[])


fig, axes = plt.subplots(2, 4, figsize=(9, 4))
images, labels = test_scans[0]
for column, at in zip(axes.T, np.linspace(0.2, 0.8, 4)):
    k = int(at * len(images))
    draw(column[0], images[k])
    draw(column[1], images[k], labels[k])
fig.suptitle("Generated CT, four slices from feet to head, below with labels")
colours = [plt.Rectangle((0, 0), 1, 1, color=plt.cm.viridis(k / 3)) for k in range(4)]
fig.legend(colours, CLASSES[1:], loc="lower center", ncol=4, fontsize=8)
plt.show()

# %% [markdown]
# *In words:* four grey slices through a trunk, the spine at the bottom. Below, the same with coloured
# areas: the large liver at the left of the picture (the patient's right), the spleen at the right,
# two kidneys beside the spine, the small round aorta in front of it. The first slices have no spleen,
# the last no kidneys.
#
# ## 2. Dice, organ by organ
#
# **Dice** compares two areas: twice the overlap, divided by the sum of both areas. 1 is perfect, 0 is
# no overlap.
#
# $$\mathrm{Dice} = \frac{2\,|A \cap B|}{|A| + |B|}$$
#
# Three cases at the edge decide what a mean of many Dice values is worth:
#
# | predicted | drawn by the reader | Dice |
# |---|---|---|
# | nothing | an organ | 0 |
# | something | nothing | 0 |
# | nothing | nothing | not defined: NaN, and left out of means |
#
# Small example, one row of six pixels, classes 0, 1, 2. Reader: 0 1 1 2 0 0. Network: 0 1 0 2 2 0.
# Class 1: 2 x 1 / (1 + 2) = 0.67. Class 2: 2 x 1 / (2 + 1) = 0.67.
#
# ### Exercise 1: dice_per_class


# %% exercise="dice_per_class" points=3
def dice_per_class(predicted, target, classes):
    """Return Dice for each picture and each class but the background, float tensor (N, classes - 1).

    predicted, target: whole-number tensors (N, ...) of one shape, values 0 (background) to classes - 1.
    NaN where a class is in neither. Raises ValueError when the shapes differ, or when a value lies
    outside 0 to classes - 1.
    """
    ### BEGIN SOLUTION
    if predicted.shape != target.shape:
        raise ValueError(f"shapes {tuple(predicted.shape)} and {tuple(target.shape)} differ")
    for labels in (predicted, target):
        if labels.min() < 0 or labels.max() >= classes:
            raise ValueError(f"a class lies outside 0 to {classes - 1}")
    columns = []
    for number in range(1, classes):
        ours, truth = (predicted == number).flatten(1), (target == number).flatten(1)
        overlap = (ours & truth).sum(1)
        columns.append(2 * overlap / (ours.sum(1) + truth.sum(1)))  # 0 / 0 is NaN
    return torch.stack(columns, dim=1)
    ### END SOLUTION


# %% check="dice_per_class"
reader = torch.tensor([[0, 1, 1, 2, 0, 0]])
network = torch.tensor([[0, 1, 0, 2, 2, 0]])
got = dice_per_class(network, reader, 4)
assert tuple(got.shape) == (1, 3), (
    f"one picture, three classes without the background: shape (1, 3) expected, {tuple(got.shape)} came"
)
assert torch.allclose(got[0, :2], torch.tensor([2 / 3, 2 / 3])), (
    f"the small example gives 0.67 and 0.67, {got[0, :2].tolist()} came"
)
assert torch.isnan(got[0, 2]), f"class 3 is in neither: NaN expected, {got[0, 2].item()} came"
assert dice_per_class(torch.zeros_like(reader), reader, 3)[0, 0] == 0, (
    "an organ that was missed has Dice 0"
)

# %% hidden="setup"
import numpy as np
import torch
import torch.nn.functional as F


def is_value_error(error):
    return error is not None and error.kind == "ValueError"


def hard_dice(predicted, target, classes):
    rows = []
    for p, t in zip(np.asarray(predicted), np.asarray(target)):
        row = []
        for c in range(1, classes):
            both, total = ((p == c) & (t == c)).sum(), (p == c).sum() + (t == c).sum()
            row.append(2 * both / total if total else np.nan)
        rows.append(row)
    return np.array(rows)


def soft_dice(logits, target, first=1, by_batch=False):
    p = torch.softmax(logits.double(), 1).flatten(2)
    t = F.one_hot(target, logits.shape[1]).movedim(-1, 1).flatten(2).double()
    axes = (0, 2) if by_batch else (2,)
    overlap, total = (p * t).sum(axes), (p + t).sum(axes)
    return float((1 - (2 * overlap + 1e-5) / (total + 1e-5))[..., first:].mean())


def label_case(rng, count=3, classes=4, shape=(6, 7)):
    """Labels in which every picture has every class."""
    target = rng.integers(0, classes, size=(count, *shape))
    target[..., 0, :classes] = np.arange(classes)
    return torch.tensor(target)


def logit_case(rng, count=3, classes=4, shape=(5, 6)):
    logits = torch.tensor(rng.normal(size=(count, classes, *shape)) * 2, dtype=torch.float32)
    return logits, label_case(rng, count, classes, shape)


def weights_of(net):
    return {name: value.detach() for name, value in net.state_dict().items()}


def cut_off(net):
    """The weights of a U-Net with nothing coming up: its transposed convolutions are zero."""
    weights = weights_of(net)
    ups = [name[:-6] for name, v in weights.items() if tuple(v.shape[2:]) == (2, 2)]
    assert ups, "no ConvTranspose2d with kernel 2 was found"
    return {k: v * 0 if k.startswith(tuple(ups)) else v for k, v in weights.items()}


# %% hidden="dice_per_class" points=1 about="twice the overlap over the sum of both, without the background"
for shape in ((6, 7), (3, 5, 6)):  # slices, and a volume
    target = label_case(rng, shape=shape)
    predicted = torch.where(
        torch.tensor(rng.random(target.shape)) < 0.5, target, target.roll(1, -1)
    )
    got, wanted = learner.dice_per_class(predicted, target, 4), hard_dice(predicted, target, 4)
    assert np.shape(got) == wanted.shape, (
        f"shape {wanted.shape} expected, {np.shape(got)} came: one row for each picture, one column "
        "for each class without the background"
    )
    assert not close(got, wanted / (2 - wanted), atol=1e-5), (
        "that is IoU, the overlap over the union: Dice counts the overlap twice, over the sum of both"
    )
    assert close(got, wanted, atol=1e-5), (
        f"expected {np.round(wanted[0], 3)} in the first row, got {got[0]}"
    )

# %% hidden="dice_per_class" points=1 about="missed, invented, and in neither"
target, predicted = torch.zeros(2, 4, 4, dtype=torch.long), torch.zeros(2, 4, 4, dtype=torch.long)
target[0, :2], predicted[0, 2:] = 1, 2  # the first picture: 1 is missed, 2 is invented
got = learner.dice_per_class(predicted, target, 4)
assert np.shape(got) == (2, 3), "two pictures, three classes without the background"
assert close(np.asarray(got)[0, :2], [0, 0]), (
    f"an organ missed and one invented both have Dice 0, {np.asarray(got)[0, :2]} came"
)
assert np.isnan(np.asarray(got)[[0, 1, 1, 1], [2, 0, 1, 2]]).all(), (
    "a class that neither has must be NaN: a 1 there rewards a network for what is not in the picture"
)

# %% hidden="dice_per_class" points=1 about="shapes that differ and unknown classes are refused"
zeros = torch.zeros(2, 4, 4, dtype=torch.long)
assert is_value_error(error_from(learner.dice_per_class, zeros, zeros[:1], 3)), (
    "two pictures against one: ValueError expected; torch would compare both with the same one"
)
strange = zeros.clone()
strange[0, 0, 0] = 3
for pair in ((strange, zeros), (zeros, strange), (zeros, zeros - 1)):
    assert is_value_error(error_from(learner.dice_per_class, *pair, 3)), (
        "three classes are 0, 1 and 2; another number (3, or -1) must raise ValueError, or it counts for nothing"
    )


# %% mistake="dice_per_class" because="gives 1 where neither has the class" keeps=2 says="NaN"
def dice_per_class(predicted, target, classes):
    if predicted.shape != target.shape or min(predicted.min(), target.min()) < 0:
        raise ValueError("shapes")
    if max(predicted.max(), target.max()) >= classes:
        raise ValueError("classes")
    columns = []
    for number in range(1, classes):
        ours, truth = (predicted == number).flatten(1), (target == number).flatten(1)
        columns.append((2 * (ours & truth).sum(1) + 1e-6) / (ours.sum(1) + truth.sum(1) + 1e-6))
    return torch.stack(columns, dim=1)


# %% mistake="dice_per_class" because="computes IoU" keeps=2 says="IoU"
def dice_per_class(predicted, target, classes):
    if predicted.shape != target.shape or min(predicted.min(), target.min()) < 0:
        raise ValueError("shapes")
    if max(predicted.max(), target.max()) >= classes:
        raise ValueError("classes")
    columns = []
    for number in range(1, classes):
        ours, truth = (predicted == number).flatten(1), (target == number).flatten(1)
        columns.append((ours & truth).sum(1) / (ours | truth).sum(1))
    return torch.stack(columns, dim=1)


# %% mistake="dice_per_class" because="has a column for the background" keeps=1 says="background"
def dice_per_class(predicted, target, classes):
    if predicted.shape != target.shape or min(predicted.min(), target.min()) < 0:
        raise ValueError("shapes")
    if max(predicted.max(), target.max()) >= classes:
        raise ValueError("classes")
    columns = []
    for number in range(classes):
        ours, truth = (predicted == number).flatten(1), (target == number).flatten(1)
        columns.append(2 * (ours & truth).sum(1) / (ours.sum(1) + truth.sum(1)))
    return torch.stack(columns, dim=1)


# %% [markdown] hint="dice_per_class"
# Refuse first. Then go through the classes from 1 on, and make two masks for each.
#
# ---
#
# `(predicted == number).flatten(1)` is a mask with one row for each picture; `.sum(1)` counts. In
# torch 0 / 0 is NaN, which is just what is wanted.
#
# ---
#
# ```python
# if ...:
#     raise ValueError(...)
# columns = []
# for number in range(1, classes):
#     ours, truth = (predicted == number).flatten(1), ...
#     overlap = (ours & truth).sum(1)
#     columns.append(2 * overlap / (...))
# return torch.stack(columns, dim=1)
# ```

# %% [markdown]
# MONAI has the same score, `compute_dice`. It wants one layer for each class (**one-hot**) in place
# of numbers.


# %%
def one_hot(labels, classes):
    """Return labels (N, ...) as float layers (N, classes, ...)."""
    return F.one_hot(labels, classes).movedim(-1, 1).float()


# %% needs="dice_per_class"
generator = torch.Generator().manual_seed(SEED)
truth = torch.randint(0, 4, (3, 9, 9), generator=generator)
truth[2] = truth[2].clamp(max=2)  # the last picture has no class 3
guess = torch.where(torch.rand(truth.shape, generator=generator) < 0.7, truth, truth.roll(1, 1))
ours = dice_per_class(guess, truth, 4)
oracle = monai.metrics.compute_dice(one_hot(guess, 4), one_hot(truth, 4), include_background=False)
print("ours", ours.numpy().round(3), "MONAI", oracle.numpy().round(3), sep="\n")
print(f"largest difference from MONAI: {(ours - oracle).nan_to_num().abs().max():.6f}")

# %% [markdown]
# ## 3. A score for the whole, and a colleague's
#
# Here is how your colleague scores a program. He saw that *dice = 2 x overlap / (sum of both)* works on
# one-hot layers too, all of them at once:


# %%
def colleague_score(predicted, target, classes):
    """Return one Dice for a scan (a colleague's; there is a fault in it)."""
    ours, truth = one_hot(predicted, classes), one_hot(target, classes)
    return float(2 * (ours * truth).sum() / (ours.sum() + truth.sum()))


# %% [markdown]
# **Predict before you run:** a "program" draws nothing, in no slice of any scan. What does your
# colleague's score give it? What does yours?

# %% tags=["demonstration"] needs="dice_per_class"
empty_wrong = np.mean(
    [colleague_score(torch.zeros_like(t), t, len(CLASSES)) for _, t in test_scans]
)
nothing = torch.cat(
    [dice_per_class(torch.zeros_like(t)[None], t[None], len(CLASSES)) for _, t in test_scans]
)
print(f"a program that draws nothing: colleague's score {empty_wrong:.2f}")
print("the same, organ by organ:    ", dict(zip(CLASSES[1:], nothing.nanmean(0).tolist())))

# %% [markdown]
# Nine of ten pixels are background, and the empty program has every one of them right. The sum over
# all layers counts them like organ pixels. (Summed over all layers, Dice is simply the share of
# pixels that are right.) A small organ disappears in it: an aorta missed completely costs less than a
# hundredth.
#
# Averaging over classes **with** the background, or giving 1 to a class that is in neither, are
# weaker forms of the same fault.
#
# The way out has two steps. Dice for each scan and each organ, without the background, is yours
# already. Then the mean **over scans** for each organ, NaN left out, and only then the mean **over
# organs**. The order matters when an organ is missing in some scans: otherwise organs that are always
# there count more than the others.
#
# Small example, two scans and two organs: 0.9, 0.3 in the first; 0.8, NaN in the second. By organ: 0.85
# and 0.3, mean 0.575. Over all three numbers it would be 0.67.
#
# ### Exercise 2: mean_dice


# %% exercise="mean_dice" points=2
def mean_dice(scores):
    """Return the mean over organs of each organ's mean over scans, as a float.

    scores: float tensor (scans, organs), NaN where an organ is not defined in a scan.
    Raises ValueError, naming the organ's column, when an organ is defined in no scan.
    """
    ### BEGIN SOLUTION
    by_organ = scores.nanmean(dim=0)
    missing = torch.isnan(by_organ).nonzero().flatten().tolist()
    if missing:
        raise ValueError(f"no scan has a score for organ(s) in column {missing}: score other scans")
    return by_organ.mean().item()
    ### END SOLUTION


# %% check="mean_dice"
small_example = torch.tensor([[0.9, 0.3], [0.8, float("nan")]])
got = mean_dice(small_example)
assert abs(got - 0.575) < 1e-6, f"the small example gives 0.575, {got:.3f} came"

# %% hidden="mean_dice" points=1 about="first over scans, then over organs, NaN left out"
for _ in range(3):
    scores = torch.tensor(rng.uniform(0.2, 1, size=(6, 4)), dtype=torch.float32)
    scores[:4, 1] = scores[0, 2] = float("nan")
    got, wanted = learner.mean_dice(scores), float(scores.nanmean(0).mean())
    assert not close(got, float(scores.nanmean()), atol=1e-5), (
        "that is the mean of all numbers: take each organ's mean over scans first, so that each organ counts once"
    )
    assert not close(got, float(scores.nan_to_num().mean()), atol=1e-5), (
        "NaN was counted as 0: an organ that is not in a scan says nothing about the program"
    )
    assert close(got, wanted, atol=1e-5), f"{wanted:.3f} expected, {got} came"

# %% hidden="mean_dice" points=1 about="an organ without any score is refused"
scores = torch.tensor(rng.uniform(0.2, 1, size=(3, 4)), dtype=torch.float32)
scores[:, 2] = float("nan")
error = error_from(learner.mean_dice, scores)
assert is_value_error(error), (
    "no scan has a score in column 2, so there is no mean over four organs: ValueError expected"
)
assert "2" in error.message, f"the message must name column 2, it says: {error.message}"


# %% mistake="mean_dice" because="takes the mean of all numbers" keeps=0 says="each organ"
def mean_dice(scores):
    return scores.nanmean().item()


# %% mistake="mean_dice" because="counts NaN as zero" keeps=1 says="counted as 0"
def mean_dice(scores):
    if torch.isnan(scores).all(0).any():
        raise ValueError(f"columns {torch.isnan(scores).all(0).nonzero().tolist()}")
    return scores.nan_to_num().mean().item()


# %% mistake="mean_dice" because="passes over an organ that was never scored" keeps=1 says="column 2"
def mean_dice(scores):
    return scores.nanmean(0).nanmean().item()


# %% [markdown] hint="mean_dice"
# Two means, one after the other. The first may leave NaN behind: look for it before the second.
#
# ---
#
# `scores.nanmean(dim=0)` leaves NaN out; a column of NaN only stays NaN.
#
# ---
#
# ```python
# by_organ = scores.nanmean(dim=...)
# missing = torch.isnan(by_organ).nonzero().flatten().tolist()
# if missing:
#     raise ValueError(...)
# return by_organ....
# ```

# %% [markdown]
# ## 4. Two losses
#
# Dice on whole-number labels has no gradient: a small change of a weight changes no label. The
# **soft Dice loss** puts probabilities in the place of labels. For a picture and a class, with p the
# softmax of the logits and t the one-hot truth, summed over the pixels:
#
# $$1 - \frac{2 \sum p\,t + \epsilon}{\sum p + \sum t + \epsilon} \qquad \epsilon = 0.00001$$
#
# Then the mean over pictures and classes, the background left out here too.
#
# **Cross-entropy** asks each pixel by itself: minus the log of the probability that the right class
# got. It gives useful gradients from the first step on, but every pixel counts the same, so the
# background rules. The two together (DiceCE) are what most segmentation networks are trained with.
#
# Both start from logits. The log of a softmax is z - logsumexp(z), which stays finite.
#
# ### Exercise 3: dice_ce


# %% exercise="dice_ce" points=4
def dice_ce(logits, target):
    """Return soft Dice loss and cross-entropy, a tuple of two tensors without axes.

    logits: float tensor (N, classes, ...). target: whole-number tensor (N, ...), values 0 to classes - 1.
    Dice: 1 - (2 sum p t + 1e-5) / (sum p + sum t + 1e-5) for each picture and each class but the
    background, sums over the pixels; then the mean.
    Cross-entropy: mean over all pixels of -log softmax at the right class; finite for finite logits.
    Gradients flow through both. Do not call a ready-made loss; torch.logsumexp is fine.
    Raises ValueError when target's shape is not (N, ...).
    """
    ### BEGIN SOLUTION
    if target.shape != logits.shape[:1] + logits.shape[2:]:
        raise ValueError(
            f"logits {tuple(logits.shape)} and target {tuple(target.shape)} do not fit: one label for each pixel"
        )
    truth = one_hot(target, logits.shape[1])
    log_p = logits - torch.logsumexp(logits, dim=1, keepdim=True)
    p, t = log_p.exp().flatten(2)[:, 1:], truth.flatten(2)[:, 1:]
    overlap, total = (p * t).sum(2), p.sum(2) + t.sum(2)
    dice = (1 - (2 * overlap + 1e-5) / (total + 1e-5)).mean()
    return dice, -(log_p * truth).sum(1).mean()
    ### END SOLUTION


# %% check="dice_ce"
# two pixels, two classes: the first is surely right, the second undecided
tiny_logits = torch.tensor([[[-20.0, 0.0], [20.0, 0.0]]])
tiny_target = torch.tensor([[1, 0]])
tiny_dice, tiny_ce = dice_ce(tiny_logits, tiny_target)
assert abs(float(tiny_dice) - 0.2) < 1e-3, (
    f"organ: overlap 1, sums 1.5 and 1, so 1 - 2 / 2.5 = 0.2; {float(tiny_dice):.3f} came"
)
assert abs(float(tiny_ce) - 0.34657) < 1e-3, (
    f"cross-entropy: the mean of 0 and log 2, 0.347; {float(tiny_ce):.3f} came"
)
far = dice_ce(torch.tensor([[[400.0], [-400.0]]]), torch.tensor([[1]]))[1]
assert torch.isclose(far, torch.tensor(800.0)), (
    f"sure and wrong by 800: {float(far)} came, 800 expected"
)

# %% hidden="dice_ce" points=1 about="soft Dice: each picture and each organ for itself, without the background"
for count, classes in ((1, 2), (3, 4)):
    logits, target = logit_case(rng, count, classes)
    got = learner.dice_ce(logits, target)
    assert isinstance(got, tuple) and len(got) == 2, (
        "return a tuple of two: Dice loss, cross-entropy"
    )
    assert not close(got[0], soft_dice(logits, target, first=0), atol=1e-5), (
        "the background is counted in the Dice loss: begin with class 1"
    )
    assert count == 1 or not close(got[0], soft_dice(logits, target, by_batch=True), atol=1e-5), (
        "the sums run over the whole batch: each picture has its own Dice, the mean comes last"
    )
    assert close(got[0], soft_dice(logits, target), atol=1e-5), (
        f"soft Dice loss {soft_dice(logits, target):.4f} expected, {float(got[0]):.4f} came: sums over pixels "
        "of p t, of p and of t, with 1e-5 above and below"
    )

# %% hidden="dice_ce" points=1 about="cross-entropy, also far out"
for scale in (1.0, 200.0):
    logits, target = logit_case(rng)
    got, wanted = (
        learner.dice_ce(logits * scale, target)[1],
        F.cross_entropy(logits * scale, target),
    )
    assert close(got, wanted, rtol=1e-4, atol=1e-4), (
        f"cross-entropy {float(wanted):.3f} expected, {float(got):.3f} came"
        + (
            ": log of a softmax is -inf far out; use z - logsumexp(z)"
            if scale > 1
            else ": the mean over all pixels"
        )
    )

# %% hidden="dice_ce" points=1 about="gradients of both"
logits, target = logit_case(rng, 2, 3)
gradients_of = learner["torch"].func.jacrev(learner["dice_ce"])
error = error_from(gradients_of, logits, target)
gradients = (
    [torch.zeros(1)] * 2 if error else [torch.as_tensor(g) for g in gradients_of(logits, target)]
)
for gradient, name in zip(gradients, ("Dice", "cross-entropy")):
    assert gradient.abs().sum() > 0, (
        f"no gradient flows through {name}: whole numbers (argmax, rounding), item() or NumPy on the way?"
    )

# %% hidden="dice_ce" points=1 about="a target that does not fit is refused"
logits, target = logit_case(rng, 2, 3)
for wrong in (target[:1], target[:, None], target[:, :1]):
    assert is_value_error(error_from(learner.dice_ce, logits, wrong)), (
        f"logits {tuple(logits.shape)} with a target {tuple(wrong.shape)}: ValueError expected"
    )


# %% mistake="dice_ce" because="counts the background in the Dice loss" keeps=3 says="background"
def dice_ce(logits, target):
    if target.shape != logits.shape[:1] + logits.shape[2:]:
        raise ValueError("shapes")
    truth = one_hot(target, logits.shape[1])
    log_p = logits - torch.logsumexp(logits, dim=1, keepdim=True)
    p, t = log_p.exp().flatten(2), truth.flatten(2)
    dice = (1 - (2 * (p * t).sum(2) + 1e-5) / (p.sum(2) + t.sum(2) + 1e-5)).mean()
    return dice, -(log_p * truth).sum(1).mean()


# %% mistake="dice_ce" because="sums over the whole batch" keeps=3 says="each picture"
def dice_ce(logits, target):
    if target.shape != logits.shape[:1] + logits.shape[2:]:
        raise ValueError("shapes")
    truth = one_hot(target, logits.shape[1])
    log_p = logits - torch.logsumexp(logits, dim=1, keepdim=True)
    p, t = log_p.exp().flatten(2)[:, 1:], truth.flatten(2)[:, 1:]
    overlap, total = (p * t).sum((0, 2)), (p + t).sum((0, 2))
    dice = (1 - (2 * overlap + 1e-5) / (total + 1e-5)).mean()
    return dice, -(log_p * truth).sum(1).mean()


# %% mistake="dice_ce" because="takes the log of a softmax" keeps=3 says="logsumexp"
def dice_ce(logits, target):
    if target.shape != logits.shape[:1] + logits.shape[2:]:
        raise ValueError("shapes")
    truth = one_hot(target, logits.shape[1])
    p, t = torch.softmax(logits, 1).flatten(2)[:, 1:], truth.flatten(2)[:, 1:]
    dice = (1 - (2 * (p * t).sum(2) + 1e-5) / (p.sum(2) + t.sum(2) + 1e-5)).mean()
    right = torch.softmax(logits, 1).gather(1, target[:, None])
    return dice, -torch.log(right + 1e-9).mean()


# %% mistake="dice_ce" because="computes Dice from the labels of the network" keeps=2 says="argmax"
def dice_ce(logits, target):
    if target.shape != logits.shape[:1] + logits.shape[2:]:
        raise ValueError("shapes")
    truth = one_hot(target, logits.shape[1])
    log_p = logits - torch.logsumexp(logits, dim=1, keepdim=True)
    p, t = one_hot(logits.argmax(1), logits.shape[1]).flatten(2)[:, 1:], truth.flatten(2)[:, 1:]
    dice = (1 - (2 * (p * t).sum(2) + 1e-5) / (p.sum(2) + t.sum(2) + 1e-5)).mean()
    return dice, -(log_p * truth).sum(1).mean()


# %% [markdown] hint="dice_ce"
# Make the truth one-hot and the log of the softmax first: both losses need them.
#
# ---
#
# log_p = logits - logsumexp over the classes; p = exp(log_p). `.flatten(2)` leaves (N, classes,
# pixels): sum over the last axis, leave out class 0, divide, and take the mean at the very end.
# The cross-entropy is -(log_p * truth), summed over classes, then the mean over all pixels.
#
# ---
#
# ```python
# if target.shape != logits.shape[:1] + logits.shape[2:]:
#     raise ValueError(...)
# truth = one_hot(target, logits.shape[1])
# log_p = logits - torch.logsumexp(logits, dim=1, keepdim=True)
# p, t = log_p.exp().flatten(2)[:, 1:], ...
# overlap, total = (p * t).sum(2), ...
# dice = (1 - ...).mean()
# return dice, -(log_p * truth).sum(1).mean()
# ```

# %% needs="dice_ce"
generator = torch.Generator().manual_seed(SEED)
logits = torch.randn(3, 5, 12, 12, generator=generator) * 3
truth = torch.randint(0, 5, (3, 12, 12), generator=generator)
their_dice = monai.losses.DiceLoss(softmax=True, to_onehot_y=True, include_background=False)
our_dice, our_ce = dice_ce(logits, truth)
print(f"soft Dice loss: ours {our_dice:.6f}, MONAI's {their_dice(logits, truth[:, None]):.6f}")
print(f"cross-entropy:  ours {our_ce:.6f}, torch's {F.cross_entropy(logits, truth):.6f}")

# %% [markdown]
# ## 5. The U-Net
#
# To know that a pixel is liver, a network must see far around it; so pictures are made smaller and
# smaller. To know where the liver ends, it must see every pixel; so they are made large again. On
# the way down the places of edges are lost. **Skip connections** carry each level's features across,
# to where they are needed on the way up:
#
#     picture --> [ w ] ------------------ skip ------------------> [ w ] --> logits
#                   | pool                                         up |
#                 [ 2w ] --------------- skip ---------------> [ 2w ]
#                     | pool                                 up |
#                   [ 4w ] ----------- skip ---------> [ 4w ]
#                       | pool                       up |
#                       +--------> [ 8w ] -------------+
#
# Every box is a `double_conv`, given below. On the way up at each level: a transposed convolution
# doubles the side and halves the channels; the result is **concatenated** with the skip of the same
# level (w and w make 2w channels); a `double_conv` brings 2w back to w.
#
# `double_conv` uses InstanceNorm, which looks at one picture at a time: here train and eval mode do
# the same.


# %%
def double_conv(channels_in, channels_out):
    """Return two convolutions 3 x 3 that keep the size, each with InstanceNorm and ReLU."""
    layers = []
    for channels in (channels_in, channels_out):
        layers += [
            nn.Conv2d(channels, channels_out, 3, padding=1),
            nn.InstanceNorm2d(channels_out, affine=True),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


# %% [markdown]
# A side that is odd cannot be halved and doubled back. With three poolings both sides must be
# multiples of 8; refuse others, with the number in the message.
#
# **Predict before you go on:** width 8, depth 3. How many channels are at the bottom, and what goes
# into the first `double_conv` of the way up? (64; 32 from below and 32 from the skip, 64 again.)
#
# ### Exercise 4: UNet


# %% exercise="UNet" points=5
class UNet(nn.Module):
    """A 2D U-Net: (N, 1, rows, columns) becomes logits (N, classes, rows, columns).

    width: channels of the first level, doubled at each of `depth` max poolings.
    Way up: nn.ConvTranspose2d(2 c, c, kernel 2, stride 2), concatenated with the skip, double_conv(2 c, c).
    Last: a convolution 1 x 1 with a bias, no activation.
    """

    def __init__(self, classes, width=8, depth=3):
        """Make the layers."""
        super().__init__()
        ### BEGIN SOLUTION
        widths = [width * 2**level for level in range(depth + 1)]
        upwards = widths[-2::-1]
        self.down = nn.ModuleList(double_conv(a, b) for a, b in zip([1, *widths], widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * c, c, 2, stride=2) for c in upwards)
        self.merge = nn.ModuleList(double_conv(2 * c, c) for c in upwards)
        self.last = nn.Conv2d(width, classes, 1)
        self.multiple = 2**depth
        ### END SOLUTION

    def forward(self, images):
        """Return the logits. Raises ValueError when a side is no multiple of 2 ** depth."""
        ### BEGIN SOLUTION
        if images.shape[2] % self.multiple or images.shape[3] % self.multiple:
            raise ValueError(
                f"pictures of {images.shape[2]} x {images.shape[3]} pixels: both must be multiples of {self.multiple}"
            )
        features, skips = images, []
        for level, block in enumerate(self.down):
            features = block(F.max_pool2d(features, 2) if level else features)
            skips.append(features)
        skips.pop()  # the bottom is no skip
        for up, merge in zip(self.up, self.merge):
            features = merge(torch.cat([skips.pop(), up(features)], dim=1))
        return self.last(features)
        ### END SOLUTION


# %% check="UNet"
torch.manual_seed(0)
small = UNet(3, width=4, depth=2)
got = small(torch.randn(2, 1, 16, 24))
assert tuple(got.shape) == (2, 3, 16, 24), (
    f"logits of shape (2, 3, 16, 24) expected, {tuple(got.shape)} came"
)
count = sum(p.numel() for p in small.parameters())
assert count == 7567, f"7567 weights expected, {count} came: compare with the drawing"
try:
    small(torch.randn(1, 1, 18, 24))
    message = "no error"
except ValueError as error:
    message = str(error)
assert "4" in message, f"18 is no multiple of 4: ValueError naming 4 expected, came: {message}"

# %% hidden="UNet" points=1 about="logits at the size of the picture"
for classes, depth, side in ((2, 1, (6, 10)), (4, 2, (12, 8)), (5, 3, (16, 24))):
    net = learner.UNet(classes, 4, depth)
    images = torch.tensor(rng.normal(size=(2, 1, *side)), dtype=torch.float32)
    error = error_from(net, images)
    assert error is None, f"depth {depth}, {side[0]} x {side[1]} pixels: {error}"
    got = net(images)
    assert tuple(got.shape) == (2, classes, *side), (
        f"depth {depth}: shape {(2, classes, *side)} expected, {tuple(got.shape)} came"
    )

# %% hidden="UNet" points=1 about="the layers of the drawing"
wanted = [(3, 4, 1, 1), (3,)]
for a, b in ((1, 4), (4, 8), (8, 16), (16, 8), (8, 4)):
    wanted += [(b, a, 3, 3), (b, b, 3, 3)] + [(b,)] * 6
for c in (8, 4):
    wanted += [(2 * c, c, 2, 2), (c,)]
shapes = sorted(tuple(v.shape) for v in learner.UNet(3, 4, 2).state_dict().values())
assert shapes == sorted(wanted), (
    "width 4, depth 2: the shapes of the weights differ from the drawing. Down 4, 8, 16 channels; up by "
    "ConvTranspose2d from 2c to c; double_conv takes 2c channels, c from below and c from the skip"
)

# %% hidden="UNet" points=1 about="skip connections reach the way up"
net = learner.UNet(3, 4, 2)
net.load_state_dict(cut_off(net))
one, other = torch.tensor(rng.normal(size=(2, 1, 1, 16, 16)), dtype=torch.float32)
assert not close(net(one), net(other), atol=1e-4), (
    "with everything from below cut off, two different pictures give the same logits: the skip "
    "connections do not arrive. Concatenate the features of the same level from the way down"
)

# %% hidden="UNet" points=1 about="the way through the bottom is used, and logits stay logits"
net = learner.UNet(3, 4, 2)
picture = torch.tensor(rng.normal(size=(1, 1, 16, 16)), dtype=torch.float32)
before, weights = torch.as_tensor(net(picture)), weights_of(net)
last = next(name for name, value in weights.items() if tuple(value.shape) == (3,))
net.load_state_dict(weights | {last: weights[last] + 7})
assert close(net(picture), before + 7, atol=1e-3), (
    "the last bias rose by 7, so every logit must rise by 7: is there a softmax or a ReLU at the end? "
    "The loss takes logits"
)
net.load_state_dict(cut_off(net))
assert not close(net(picture), before + 7, atol=1e-4), (
    "cutting off the transposed convolutions changes nothing: what comes from below is not used"
)

# %% hidden="UNet" points=1 about="sides that cannot be halved are refused"
for depth, side, multiple in ((2, (18, 16), 4), (3, (16, 20), 8)):
    error = error_from(learner.UNet(2, 4, depth), torch.zeros(1, 1, *side))
    assert is_value_error(error), (
        f"depth {depth}, {side[0]} x {side[1]} pixels: ValueError expected (multiples of {multiple})"
    )
    assert str(multiple) in error.message, (
        f"the message must name {multiple}, it says: {error.message}"
    )


# %% mistake="UNet" because="concatenates what comes from below with itself" keeps=4 says="skip connections do not arrive"
class UNet(nn.Module):
    def __init__(self, classes, width=8, depth=3):
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        upwards = widths[-2::-1]
        self.down = nn.ModuleList(double_conv(a, b) for a, b in zip([1, *widths], widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * c, c, 2, stride=2) for c in upwards)
        self.merge = nn.ModuleList(double_conv(2 * c, c) for c in upwards)
        self.last = nn.Conv2d(width, classes, 1)
        self.multiple = 2**depth

    def forward(self, images):
        if images.shape[2] % self.multiple or images.shape[3] % self.multiple:
            raise ValueError(f"multiples of {self.multiple}")
        features = images
        for level, block in enumerate(self.down):
            features = block(F.max_pool2d(features, 2) if level else features)
        for up, merge in zip(self.up, self.merge):
            larger = up(features)
            features = merge(torch.cat([larger, larger], dim=1))
        return self.last(features)


# %% mistake="UNet" because="adds the skip instead of concatenating it" keeps=4 says="drawing"
class UNet(nn.Module):
    def __init__(self, classes, width=8, depth=3):
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        upwards = widths[-2::-1]
        self.down = nn.ModuleList(double_conv(a, b) for a, b in zip([1, *widths], widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * c, c, 2, stride=2) for c in upwards)
        self.merge = nn.ModuleList(double_conv(c, c) for c in upwards)
        self.last = nn.Conv2d(width, classes, 1)
        self.multiple = 2**depth

    def forward(self, images):
        if images.shape[2] % self.multiple or images.shape[3] % self.multiple:
            raise ValueError(f"multiples of {self.multiple}")
        features, skips = images, []
        for level, block in enumerate(self.down):
            features = block(F.max_pool2d(features, 2) if level else features)
            skips.append(features)
        skips.pop()
        for up, merge in zip(self.up, self.merge):
            features = merge(skips.pop() + up(features))
        return self.last(features)


# %% mistake="UNet" because="ends with a softmax and takes any size" keeps=3 says="softmax"
class UNet(nn.Module):
    def __init__(self, classes, width=8, depth=3):
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        upwards = widths[-2::-1]
        self.down = nn.ModuleList(double_conv(a, b) for a, b in zip([1, *widths], widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * c, c, 2, stride=2) for c in upwards)
        self.merge = nn.ModuleList(double_conv(2 * c, c) for c in upwards)
        self.last = nn.Conv2d(width, classes, 1)

    def forward(self, images):
        features, skips = images, []
        for level, block in enumerate(self.down):
            features = block(F.max_pool2d(features, 2) if level else features)
            skips.append(features)
        skips.pop()
        for up, merge in zip(self.up, self.merge):
            skip = skips.pop()
            larger = F.interpolate(up(features), skip.shape[2:])
            features = merge(torch.cat([skip, larger], dim=1))
        return torch.softmax(self.last(features), dim=1)


# %% [markdown] hint="UNet"
# Write down the channels of each level for width 8 and depth 3: 8, 16, 32, 64. Keep the layers in
# three `nn.ModuleList`s: down, up, merge. Layers in a plain list are not trained.
#
# ---
#
# Way down: `double_conv` at each level, `F.max_pool2d(features, 2)` before each but the first; keep
# the results in a list, the last of which is no skip. Way up: `up`, then
# `torch.cat([skip, ...], dim=1)`, then `merge`; the skips are taken from the end of the list.
#
# ---
#
# ```python
# widths = [width * 2**level for level in range(depth + 1)]
# self.down = nn.ModuleList(double_conv(a, b) for a, b in zip([1, *widths], widths))
# self.up = nn.ModuleList(nn.ConvTranspose2d(2 * c, c, 2, stride=2) for c in widths[-2::-1])
# self.merge = nn.ModuleList(double_conv(..., c) for c in widths[-2::-1])
# self.last = ...
# # forward: refuse first
# features, skips = images, []
# for level, block in enumerate(self.down):
#     features = block(F.max_pool2d(features, 2) if level else features)
#     skips.append(...)
# skips.pop()
# for up, merge in zip(self.up, self.merge):
#     features = merge(torch.cat([...], dim=1))
# return self.last(features)
# ```

# %% [markdown]
# ## 6. Yours against MONAI's, under the same conditions
#
# A comparison is fair when everything but the network is the same: the same scans to train and to
# test, the same batches in the same order, the same loss, optimiser and number of steps, the same
# score, and a like number of weights. We fix all of it before we look.
#
# MONAI's `UNet` has residual units and strided convolutions in place of pooling: another design of
# the same idea.
#
# **Predict before you run:** which one is ahead, and by how much would it have to be before you
# believe it, with five test scans?


# %%
def rarity(labels):
    """Return how often to draw each slice, so that each organ comes equally often."""
    has = torch.stack([(labels == k).flatten(1).any(1) for k in range(1, len(CLASSES))], dim=1)
    return (has / has.sum(0).clamp(min=1)).sum(1)


DEVICE = training_device()  # a GPU at the scale gpu, if there is one


def train(net, images, labels, steps, batch_size=8, lr=1e-2):
    """Train on random batches, the same for each network; return the loss of every step."""
    order, often = torch.Generator().manual_seed(SEED), rarity(labels)
    net.to(DEVICE, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    losses = []
    for _ in range(steps):
        chosen = torch.multinomial(often, batch_size, replacement=True, generator=order)
        optimizer.zero_grad()
        loss = sum(dice_ce(net(images[chosen].to(DEVICE)), labels[chosen].to(DEVICE)))
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    net.cpu()
    return losses


@torch.no_grad()
def segment(net, images):
    """Return the class of each pixel of a scan's slices."""
    net.eval()
    return torch.cat([net(batch).argmax(1) for batch in images.split(24)])


# %% tags=["demonstration"] needs="dice_per_class mean_dice dice_ce UNet"
STEPS = pick(ci=300, laptop=1000, gpu=3000)


def their_unet():
    """Return MONAI's U-Net with about as many weights as ours."""
    return monai.networks.nets.UNet(
        spatial_dims=2,
        in_channels=1,
        out_channels=len(CLASSES),
        channels=(12, 24, 48, 96),
        strides=(2, 2, 2),
        num_res_units=1,
    )


def scan_scores(segmented):
    """Return Dice by scan and organ: a scan's slices together are one volume."""
    pairs = zip(segmented, (labels for _, labels in test_scans))
    return torch.cat([dice_per_class(p[None], t[None], len(CLASSES)) for p, t in pairs])


results, curves = {}, {}
for name, make in (("ours", lambda: UNet(len(CLASSES))), ("MONAI's", their_unet)):
    torch.manual_seed(SEED)
    net = make()
    curves[name] = train(net, train_images, train_labels, STEPS)
    segmented = [segment(net, images) for images, _ in test_scans]
    results[name] = segmented, scan_scores(segmented)
    print(f"{name:8s} {sum(p.numel() for p in net.parameters()):7,} weights, {STEPS} steps")

# %% tags=["demonstration"] needs="dice_per_class mean_dice dice_ce UNet"
print(f"Dice on {TEST_SCANS} generated scans")
print(" " * 19 + "".join(f"{name:>9s}" for name in CLASSES[1:]) + "     mean  colleague's")
empty = [torch.zeros_like(labels) for _, labels in test_scans]
wrong = {}
for name, segmented in (
    *((name, segmented) for name, (segmented, _) in results.items()),
    ("draws nothing", empty),
):
    scores = scan_scores(segmented)
    wrong[name] = np.mean(
        [colleague_score(p, t, len(CLASSES)) for p, (_, t) in zip(segmented, test_scans)]
    )
    by_organ = "".join(f"{v:9.2f}" for v in scores.nanmean(0).tolist())
    print(f"{name:19s}{by_organ} {mean_dice(scores):8.2f} {wrong[name]:12.2f}")

dice, dice_monai = (mean_dice(results[name][1]) for name in ("ours", "MONAI's"))
assert dice >= dice_monai - 0.02, f"Dice {dice:.3f}, MONAI's {dice_monai:.3f}: more than .02 behind"
assert wrong["draws nothing"] >= 0.8, "the colleague's score should praise an empty program"

fig, axes = plt.subplots(2, 4, figsize=(9, 4))
for row, scan in zip(axes, (0, 1)):
    images, labels = test_scans[scan]
    k = int((labels == 3).sum((1, 2)).argmax())  # the slice with most kidney
    found = [results[name][0][scan][k] for name in ("ours", "MONAI's")]
    for ax, shown, title in zip(
        row, (None, labels[k], *found), ("generated CT", "truth", "ours", "MONAI's")
    ):
        draw(ax, images[k], shown)
        ax.set_title(title)
plt.show()

# %% [markdown]
# *In words:* two slices, in four pictures each: the CT alone; with the true labels; with ours; with
# MONAI's. Both networks find the liver, both kidneys, the spleen and the aorta, with slightly other
# borders than the truth.
#
# Look at the last column again. By your colleague's score the two networks look equal and a program
# that draws nothing lies a tenth below them. The columns before it tell what happened.
#
# Two designs, the same conditions, five scans, one seed: that is no verdict on either. Besides, the
# authors chose the learning rate and the number of steps while they watched these two networks on
# such scans; a third design might like other ones. A verdict needs many more scans, several seeds, an
# interval around the difference, and settings that were chosen on scans of their own.
#
# ## 7. In your own words
#
# The head of radiotherapy writes: *"The vendor reports Dice 0.95 on 200 patients. In our first case
# the program found no organ at all. They say that this is one case and that 0.95 is the average. Can
# both be true, and what do I ask them?"*
#
# Answer in at most 150 words, without the words class, pixel or loss.

# %% [markdown] written="explain_the_brochure" points=2 rubric="clinician-answer"
# Both can be true. The score measures how far two drawings overlap. If everything that is not an
# organ counts as a correct drawing too, a program that draws nothing agrees with the reader almost
# everywhere. On our generated scans such a program reached about 0.9. We do not know how the vendor
# computed the 0.95; it may be sound.
#
# So ask: what is the score of each organ, without the surroundings? How are patients counted in
# whom an organ is missing? What does a program get that draws nothing? In how many of the 200 was an
# organ missed completely? Small organs matter most: a missed one hardly moves an average.
#
# Until the answers are here, please let nobody plan on these drawings without checking each one, and
# send the failed case to the vendor. What the program does on your scanner was not tested by us.

# %% tags=["demonstration"] needs="dice_per_class mean_dice dice_ce UNet"
FIGURES = {
    "dice": dice,
    "dice_monai": dice_monai,
    "empty_dice": 0.0 if not torch.nan_to_num(nothing).any() else float("nan"),
    "empty_dice_wrong": float(empty_wrong),
    "dice_wrong": float(wrong["ours"]),
}
for name, value in FIGURES.items():
    print(f"{name:17s} {value:.2f}")

# %% [markdown]
# ## What you have now
#
# - `dice_per_class`, `mean_dice`: a score for each organ, and one mean that no empty program can win.
# - `dice_ce`: two losses in one function, equal to MONAI's and torch's.
# - `UNet`: a way down, a way up, and the skips between them.
#
# Where real life is harder: organs go on from slice to slice, voxels are not cubes, and a border that
# is 2 mm off may matter more than an area. `ct-multi-organ` goes there.
