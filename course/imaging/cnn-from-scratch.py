# %% [markdown]
# # A CNN from scratch
#
# On the ward a trainee shows the new tool a chest X-ray: *pneumonia, 91 %*. She shows it the same
# picture again, this time between two other patients: *34 %*. Nobody touched the picture or the
# network. The network was still in the state in which it learns.
#
# **One new idea: a network has two modes. What it must do while it learns, it must not do while it answers.**
#
# You will write a convolution, a small network, its loss, its training loop and the code that asks
# it, each checked against PyTorch. Then you will see what a training curve tells and when to stop.
#
# What this unit does not cover: pictures of full size and pretrained weights (`chest-xray-pneumonia`),
# and who may be in which split (`patients-not-images`).

# %% tags=["parameters"]
SEED = 0

# %%
import copy

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from medlab import datasets
from medlab.datasets import pneumonia_mnist
from medlab.scale import pick

torch.manual_seed(SEED)
plt.rcParams.update({"figure.dpi": 70, "image.cmap": "gray", "font.size": 10})

# %% [markdown]
# ## 1. The pictures
#
# The real set in this form is **PneumoniaMNIST**: children's chest X-rays, cut to 28 x 28 pixels,
# in one file `pneumoniamnist.npz`.
#
# | PneumoniaMNIST, published, not from this notebook | |
# |---|---|
# | licence | CC BY 4.0 (medmnist.com) |
# | pictures | 4,708 to train, 524 to validate, 624 to test; labels 0 normal, 1 pneumonia |
# | ResNet-18 on 28 x 28 pixels | accuracy .854, AUC .944 |
#
# The pictures below are **not** from it. They are generated: a thorax drawn by equations, with
# consolidations (bright patches in the lung) deep enough to leave something at 28 pixels. File, names and shapes are the real set's, so that
# `pneumonia_mnist.read` reads both. Its numbers and ours must not be compared.

# %% tags=["demonstration"]
folder = datasets.folder("pneumonia-mnist", seed=SEED)
splits = pneumonia_mnist.read(folder)
for name, split in splits.items():
    print(
        f"{name:5s} {split.images.shape} {split.images.dtype}, pneumonia {split.labels.mean():.0%}"
    )

fig, axes = plt.subplots(2, 6, figsize=(8, 3.2))
for row, label in zip(axes, (0, 1)):
    of_label = splits["train"].images[splits["train"].labels == label]
    for ax, picture in zip(row, of_label[::40]):
        ax.imshow(picture)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(("normal", "pneumonia")[label])
fig.suptitle("Generated chest X-rays, 28 x 28 pixels")
plt.show()

# %% [markdown]
# *In words:* two rows of six small chest pictures: dark lungs to both sides of a white spine and
# heart. In the lower row most have a whitish patch in one lung.
#
# ## 2. A convolution is a small window that slides
#
# A **kernel** is a small table of weights. It is laid on the picture; weights times pixels, summed,
# give one number; then it moves on by the **stride**. **Padding** puts rows and columns of zeros
# around the picture first, so that the border has neighbours too.
#
# How many places are there? With n pixels, padding p on **both** sides, kernel k and stride s:
#
# $$m = \left\lfloor \frac{n + 2p - k}{s} \right\rfloor + 1$$
#
# **Predict before you go on:** 28 pixels, kernel 5, padding 2, stride 1. And with stride 2?
# (28, and 14: the floor throws the last half step away.)
#
# In mathematics a convolution turns the kernel by 180 degrees first. Deep learning does not; what
# it calls convolution is a cross-correlation. It makes no difference to a kernel that is learned,
# and all the difference to your test against PyTorch.
#
# ### Exercise 1: convolve


# %% exercise="convolve" points=3
def convolve(image, kernel, stride=1, padding=0):
    """Slide a kernel over a picture, as torch.nn.functional.conv2d does with one channel.

    image: float array (rows, columns). kernel: float array (kernel rows, kernel columns), not turned.
    stride: step in both directions. padding: zeros added on each of the four sides.
    Returns a float array (floor((n + 2 padding - k) / stride) + 1 in each direction).
    Raises ValueError when the kernel is larger than the padded picture.
    Use NumPy only; loops are fine.
    """
    ### BEGIN SOLUTION
    image = np.pad(np.asarray(image, dtype=float), padding)
    rows, columns = ((n - k) // stride + 1 for n, k in zip(image.shape, kernel.shape, strict=True))
    if rows < 1 or columns < 1:
        raise ValueError(f"kernel {kernel.shape} is larger than the padded picture {image.shape}")
    result = np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            window = image[top : top + kernel.shape[0], left : left + kernel.shape[1]]
            result[i, j] = (window * kernel).sum()
    return result
    ### END SOLUTION


# %% check="convolve"
ramp = np.arange(9.0).reshape(3, 3)
right = np.array([[0.0, 1.0]])  # looks one pixel to the right
assert convolve(ramp, right).shape == (3, 2), (
    f"3 columns, kernel 2 wide: 2 places; shape {convolve(ramp, right).shape} came"
)
assert np.allclose(convolve(ramp, right)[0], [1, 2]), (
    f"the first row should be 1, 2; {convolve(ramp, right)[0]} came: was the kernel turned?"
)
padded = convolve(ramp, np.ones((3, 3)), stride=2, padding=1)
assert padded.shape == (2, 2), f"3 + 2 - 3, by 2, plus 1 is 2 places; shape {padded.shape} came"
assert np.isclose(padded[0, 0], 0 + 1 + 3 + 4), f"the first corner sums to 8, {padded[0, 0]} came"

# %% hidden="setup"
import numpy as np
import torch
import torch.nn.functional as F


def by_torch(image, kernel, stride=1, padding=0):
    tensors = (torch.tensor(a.copy(), dtype=torch.float64)[None, None] for a in (image, kernel))
    return F.conv2d(*tensors, stride=stride, padding=padding)[0, 0].numpy()


def is_value_error(error):
    return error is not None and error.kind == "ValueError"


def seeded(rng):
    return torch.Generator().manual_seed(int(rng.integers(1 << 31)))


def small_net(learner, seed, features=6):
    """A network of torch's own layers in the learner's kernel, and its twin in ours."""
    there = learner["torch"]
    layers = (there.nn.Flatten(), there.nn.Linear(features, 1), there.nn.Flatten(0))
    net = there.nn.Sequential(*layers)
    twin = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(features, 1), torch.nn.Flatten(0)
    )
    torch.manual_seed(seed)
    twin[1].reset_parameters()
    net.load_state_dict({k: v.detach() for k, v in twin.state_dict().items()})
    return net, twin


def batch_net(learner, features=6):
    """A network in the learner's kernel whose BatchNorm and dropout show its mode."""
    nn = learner["torch"].nn
    layers = (nn.Flatten(), nn.BatchNorm1d(features), nn.Dropout(0.5))
    return nn.Sequential(*layers, nn.Linear(features, 1), nn.Flatten(0))


def small_data(rng, count, features=6):
    images = torch.tensor(rng.normal(size=(count, 1, 1, features)), dtype=torch.float32)
    labels = torch.tensor(rng.integers(0, 2, size=count), dtype=torch.float32)
    return images, labels


def sgd_reference(twin, images, labels, batches, rate):
    """What one epoch of plain gradient descent makes of the twin, over given batches."""
    for chosen in batches:
        twin.zero_grad()
        F.binary_cross_entropy_with_logits(twin(images[chosen]), labels[chosen]).backward()
        with torch.no_grad():
            for parameter in twin.parameters():
                parameter -= rate * parameter.grad


def same_weights(net, twin, atol=1e-5):
    got, wanted = net.state_dict(), twin.state_dict()
    return all(close(got[name], wanted[name], atol=atol) for name in wanted)


def torch_loss(learner):
    return learner["torch"].nn.functional.binary_cross_entropy_with_logits


# %% hidden="convolve" points=1 about="a kernel laid on the picture as it is"
for _ in range(3):
    image, kernel = rng.normal(size=(7, 9)), rng.normal(size=(3, 2))
    got, wanted = learner.convolve(image, kernel), by_torch(image, kernel)
    assert not close(got, by_torch(image, kernel[::-1, ::-1]), atol=1e-6), (
        "the kernel was turned by 180 degrees: deep learning's convolution does not turn it"
    )
    assert np.shape(got) == wanted.shape, f"shape {wanted.shape} expected, {np.shape(got)} came"
    assert close(got, wanted, atol=1e-6), "values differ from torch's conv2d without padding"

# %% hidden="convolve" points=1 about="stride and padding"
for stride, padding in ((2, 0), (1, 2), (2, 1), (3, 2)):
    image, kernel = rng.normal(size=(8, 11)), rng.normal(size=(3, 4))
    kernel = kernel + kernel[::-1, ::-1]  # a turned kernel shall not cost this too
    got, wanted = (
        learner.convolve(image, kernel, stride, padding),
        by_torch(image, kernel, stride, padding),
    )
    assert np.shape(got) == wanted.shape, (
        f"stride {stride}, padding {padding}: shape {wanted.shape} expected, {np.shape(got)} came. "
        "Padding counts on both sides, and the floor comes before the + 1"
    )
    assert close(got, wanted, atol=1e-6), (
        f"stride {stride}, padding {padding}: the shape is right, the values are not: zeros on "
        "both sides, and a window starts at place times stride"
    )

# %% hidden="convolve" points=1 about="a kernel that does not fit is refused"
error = error_from(learner.convolve, np.ones((3, 3)), np.ones((5, 5)))
assert is_value_error(error), "a 5 x 5 kernel on 3 x 3 pixels: ValueError expected"
error = error_from(learner.convolve, np.ones((3, 3)), np.ones((5, 5)), 1, 1)
assert error is None, "with padding 1 the same kernel fits exactly once: no error expected"


# %% mistake="convolve" because="turns the kernel as mathematics does" keeps=2 says="180"
def convolve(image, kernel, stride=1, padding=0):
    from scipy.signal import convolve2d

    image = np.pad(image, padding)
    if kernel.shape[0] > image.shape[0] or kernel.shape[1] > image.shape[1]:
        raise ValueError("too large")
    return convolve2d(image, kernel, mode="valid")[::stride, ::stride]


# %% mistake="convolve" because="pads at the end only" keeps=2 says="both sides"
def convolve(image, kernel, stride=1, padding=0):
    from scipy.signal import correlate2d

    image = np.pad(image, ((0, 2 * padding), (0, 2 * padding)))
    if kernel.shape[0] > image.shape[0] or kernel.shape[1] > image.shape[1]:
        raise ValueError("too large")
    return correlate2d(image, kernel, mode="valid")[::stride, ::stride]


# %% mistake="convolve" because="cuts the kernel instead of refusing" keeps=2 says="ValueError"
def convolve(image, kernel, stride=1, padding=0):
    from scipy.signal import correlate2d

    image = np.pad(image, padding)
    return correlate2d(image, kernel, mode="valid")[::stride, ::stride]


# %% [markdown] hint="convolve"
# Pad first. Then count the places in each direction, make an array of zeros of that shape, and fill
# it with two loops.
#
# ---
#
# Place (i, j) starts at row i * stride and column j * stride of the padded picture. Its value is the
# sum of window * kernel.
#
# ---
#
# ```python
# image = np.pad(np.asarray(image, dtype=float), padding)
# rows, columns = ((n - k) // stride + 1 for n, k in zip(image.shape, kernel.shape))
# if ...:
#     raise ValueError(...)
# result = np.zeros((rows, columns))
# for i in range(rows):
#     for j in range(columns):
#         window = image[i * stride : ..., j * stride : ...]
#         result[i, j] = ...
# return result
# ```

# %% needs="convolve"
image, kernel = np.random.default_rng(SEED).normal(size=(2, 12, 12))
kernel = kernel[:5, :5]
oracle = nn.functional.conv2d(
    torch.tensor(image)[None, None], torch.tensor(kernel)[None, None], stride=2, padding=2
)[0, 0]
ours = convolve(image, kernel, stride=2, padding=2)
print("shape", ours.shape, "and torch's", tuple(oracle.shape))
print(f"largest difference from torch: {np.abs(ours - oracle.numpy()).max():.6f}")

# %% tags=["demonstration"] needs="convolve"
edge = np.array([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
picture = splits["train"].images[splits["train"].labels == 1][0] / 255
fig, axes = plt.subplots(1, 3, figsize=(7.5, 2.7))
for ax, shown, title in (
    (axes[0], picture, "generated X-ray"),
    (axes[1], convolve(picture, edge, padding=1), "edges"),
    (
        axes[2],
        convolve(picture, np.ones((5, 5)) / 25, stride=2, padding=2),
        "mean, stride 2",
    ),
):
    ax.imshow(shown)
    ax.set(title=f"{title}\n{shown.shape[0]} x {shown.shape[1]}", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# *In words:* the X-ray; the same with bright lines where dark lung turns into bright tissue from
# left to right, and dark lines where it turns back; and a blurred copy of half the size. A CNN
# learns such kernels, many of them, instead of being given them.
#
# ## 3. A small network
#
# LeNet (1998) read digits with two convolutions, each followed by **pooling**, which keeps the
# largest value of every 2 x 2 pixels, and a few dense layers. Ours is its grandchild, with
# **batch normalisation** and **dropout**:
#
# | layer | what comes out, for 28 pixels |
# |---|---|
# | convolution 5 x 5, padding 2, 8 channels; BatchNorm; ReLU; max pool 2 | 8 x 14 x 14 |
# | convolution 5 x 5, no padding, 16 channels; BatchNorm; ReLU; max pool 2 | 16 x 5 x 5 |
# | flatten | 400 |
# | dense to 64; BatchNorm; ReLU; dropout | 64 |
# | dense to 1 | 1 **logit** |
#
# A logit is any number; the sigmoid 1 / (1 + exp(-logit)) makes a probability of it. The network
# returns the logit itself. Section 4 shows why.
#
# Two layers behave differently in the two modes, and they are the reason for this unit:
#
# | layer | while learning, `net.train()` | while answering, `net.eval()` |
# |---|---|---|
# | dropout | sets a random part of the features to 0 | does nothing |
# | BatchNorm | subtracts the mean of **this batch** and divides by its standard deviation | uses the means that it collected in training |
#
# A new network is in train mode. It stays there until somebody says otherwise.
#
# The dense layer must know how many features come in. That number depends on the size of the
# picture: compute it from the formula, do not write 400.
#
# ### Exercise 2: SmallCNN


# %% exercise="SmallCNN" points=4
class SmallCNN(nn.Module):
    """Two convolutions and two dense layers; returns one logit for each picture.

    size: side of the square pictures in pixels, 16 or more.
    dropout: share of the 64 features that is set to 0 while learning.
    Layers: those of the table above, in its order; convolutions and dense layers have a bias.
    """

    def __init__(self, size=28, dropout=0.5):
        """Make the layers for pictures of size x size pixels."""
        super().__init__()
        ### BEGIN SOLUTION
        after_first = size // 2  # padding 2 keeps the size, pooling halves it
        side = (after_first - 4) // 2
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 5, padding=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 5),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * side * side, 64),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(64, 1),
        )
        ### END SOLUTION

    def forward(self, images):
        """Return the logits, shape (N,), of pictures (N, 1, size, size)."""
        ### BEGIN SOLUTION
        return self.head(self.features(images)).squeeze(1)
        ### END SOLUTION


# %% check="SmallCNN"
torch.manual_seed(0)
fresh = SmallCNN(28)
logits = fresh(torch.randn(5, 1, 28, 28))
assert logits.shape == (5,), f"five pictures give shape (5,), {tuple(logits.shape)} came"
count = sum(p.numel() for p in fresh.parameters())
assert count == 29329, f"29329 numbers to learn, {count} came: compare your layers with the table"
assert SmallCNN(32)(torch.randn(2, 1, 32, 32)).shape == (2,), "pictures of 32 pixels must do too"
fresh.eval()
alone = fresh(torch.ones(1, 1, 28, 28)).item()
assert alone == fresh(torch.ones(1, 1, 28, 28)).item(), (
    "in eval mode the same picture gives the same logit: is dropout a layer (nn.Dropout)?"
)

# %% hidden="SmallCNN" points=1 about="one logit for each picture, at any size"
for size in (28, 32, 30, 17):
    net = learner.SmallCNN(size)
    net.eval()
    for count in (3, 1):
        images = torch.zeros(count, 1, size, size)
        error = error_from(net, images)
        assert error is None, (
            f"a network made for {size} pixels failed on such pictures ({error}): compute the number "
            "of features from size"
        )
        got = net(images)
        assert tuple(got.shape) == (count,), (
            f"{count} pictures of {size} pixels: shape ({count},) expected, {tuple(got.shape)} came. "
            "Compute the number of features from size; squeeze one axis only"
        )

# %% hidden="SmallCNN" points=1 about="the layers of the table"
shapes = sorted(tuple(value.shape) for value in learner.SmallCNN(28).state_dict().values())
convolutions, dense = [(8, 1, 5, 5), (16, 8, 5, 5)], [(64, 400), (1, 64), (1,)]
norms = [(8,)] * 5 + [(16,)] * 5 + [(64,)] * 5 + [()] * 3  # biases, and BatchNorm's numbers
assert shapes == sorted(convolutions + dense + norms), (
    "the shapes of the weights differ from the table: two convolutions with 8 and 16 channels and "
    "two dense layers, all with a bias, and a BatchNorm after each but the last"
)

# %% hidden="SmallCNN" points=1 about="logits, not probabilities"
net = learner.SmallCNN(28, dropout=0.0)
net.eval()
images = torch.tensor(rng.normal(size=(4, 1, 28, 28)), dtype=torch.float32)
before, weights = net(images), net.state_dict()
last = [name for name, value in weights.items() if tuple(value.shape) == (1,)]
assert len(last) == 1, "the last dense layer has one bias"
weights[last[0]] = weights[last[0]].detach() - 9
net.load_state_dict({name: value.detach() for name, value in weights.items()})
assert close(net(images), before - 9, atol=1e-4), (
    "the last bias fell by 9, so every logit must fall by 9. Is there a sigmoid (or a ReLU) after "
    "the last layer? The loss takes logits"
)

# %% hidden="SmallCNN" points=1 about="two modes: noise while learning, one answer for one picture afterwards"
net = learner.SmallCNN(28, dropout=0.5)
images = torch.tensor(rng.normal(size=(8, 1, 28, 28)), dtype=torch.float32)
assert not close(net(images), net(images)), "in train mode dropout must make two calls differ"
net.eval()
assert close(net(images), net(images)), (
    "in eval mode two calls differ: F.dropout does not know the mode, a layer nn.Dropout does"
)
assert close(net(images)[2:3], net(images[2:3]), atol=1e-4), (
    "in eval mode a picture's logit depends on the others in its batch: BatchNorm must follow the mode"
)


# %% mistake="SmallCNN" because="puts a sigmoid at the end" keeps=3 says="sigmoid"
class SmallCNN(nn.Module):
    def __init__(self, size=28, dropout=0.5):
        super().__init__()
        side = (size // 2 - 4) // 2
        one = (nn.Conv2d(1, 8, 5, padding=2), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
        two = (nn.Conv2d(8, 16, 5), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        dense = (nn.Linear(16 * side * side, 64), nn.BatchNorm1d(64), nn.ReLU())
        self.net = nn.Sequential(*one, *two, *dense, nn.Dropout(dropout), nn.Linear(64, 1))

    def forward(self, images):
        return torch.sigmoid(self.net(images)).squeeze(1)


# %% mistake="SmallCNN" because="writes 400 features" keeps=3 says="compute the number"
class SmallCNN(nn.Module):
    def __init__(self, size=28, dropout=0.5):
        super().__init__()
        one = (nn.Conv2d(1, 8, 5, padding=2), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
        two = (nn.Conv2d(8, 16, 5), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        dense = (nn.Linear(400, 64), nn.BatchNorm1d(64), nn.ReLU())
        self.net = nn.Sequential(*one, *two, *dense, nn.Dropout(dropout), nn.Linear(64, 1))

    def forward(self, images):
        return self.net(images).squeeze(1)


# %% mistake="SmallCNN" because="drops features in both modes" keeps=3 says="F.dropout"
class SmallCNN(nn.Module):
    def __init__(self, size=28, dropout=0.5):
        super().__init__()
        side = (size // 2 - 4) // 2
        one = (nn.Conv2d(1, 8, 5, padding=2), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
        two = (nn.Conv2d(8, 16, 5), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
        dense = (nn.Linear(16 * side * side, 64), nn.BatchNorm1d(64), nn.ReLU())
        self.features = nn.Sequential(*one, *two, *dense)
        self.last = nn.Linear(64, 1)
        self.share = dropout

    def forward(self, images):
        kept = nn.functional.dropout(self.features(images), self.share)
        return self.last(kept).squeeze(1)


# %% [markdown] hint="SmallCNN"
# `nn.Sequential` takes the layers in the order of the table. Follow the side of the picture through
# it with pencil and paper for 28 pixels, then write the same steps with `size`.
#
# ---
#
# Padding 2 with kernel 5 keeps the side, pooling halves it, kernel 5 without padding takes 4 away,
# pooling halves again. 16 channels times side times side features come out. BatchNorm2d follows a
# convolution, BatchNorm1d a dense layer.
#
# ---
#
# ```python
# side = (size // 2 - ...) // 2
# self.features = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), ...)
# self.head = nn.Sequential(nn.Flatten(), nn.Linear(16 * side * side, 64), nn.BatchNorm1d(64), ..., nn.Linear(64, 1))
# # forward
# return self.head(self.features(images)).squeeze(1)
# ```

# %% [markdown]
# ## 4. The loss, and what happens to it far out
#
# For a label y (0 or 1) and a probability p, **binary cross-entropy** is
# -y log p - (1 - y) log(1 - p): small when p is close to y, large when the network is sure and wrong.
#
# **Predict before you run:** the logit is 120, the label 0. The loss should be about 120, since the
# network is sure and wrong. What does the formula give in 32-bit numbers?

# %%
logit, label = torch.tensor([20.0, 120.0, -120.0]), torch.tensor([0.0, 0.0, 1.0])
p = torch.sigmoid(logit)
naive = -(label * torch.log(p) + (1 - label) * torch.log(1 - p))
print("logit      ", logit.tolist())
print("probability", p.tolist())
print("loss       ", [round(v, 2) for v in naive.tolist()])

# %% [markdown]
# The first should be 20. A 32-bit number next to 1 has a resolution of 0.00000006, so p becomes
# exactly 1, and log(1 - p) is log(0). One such picture turns the loss of the whole batch infinite,
# its gradient into NaN (not a number), and the network is lost, without an error.
#
# Put the sigmoid into the formula and rearrange it before you compute. With z for the logit:
#
# $$\mathrm{loss} = \max(z, 0) - z\,y + \log(1 + e^{-|z|})$$
#
# exp of a number that is never positive cannot overflow. This is why networks return logits.
#
# A second trap: MedMNIST's files hold labels of shape (N, 1). Logits (N,) minus labels (N, 1) is no
# error in NumPy or torch: it gives N x N numbers, every picture against every label, and a mean that
# looks like a loss. Refuse it. (`pneumonia_mnist.read` returns labels of shape (N,).)
#
# ### Exercise 3: bce_with_logits


# %% exercise="bce_with_logits" points=4
def bce_with_logits(logits, targets):
    """Return the mean binary cross-entropy of logits, as a tensor without axes.

    logits: float tensor of any shape. targets: float tensor of the same shape, values from 0 to 1.
    Finite for any finite logit, and gradients flow through it.
    Do not call torch's own loss or logsigmoid.
    Raises ValueError when the shapes differ.
    """
    ### BEGIN SOLUTION
    if logits.shape != targets.shape:
        raise ValueError(
            f"logits {tuple(logits.shape)} and targets {tuple(targets.shape)} differ in shape"
        )
    far = torch.log1p(torch.exp(-logits.abs()))
    return (logits.clamp(min=0) - logits * targets + far).mean()
    ### END SOLUTION


# %% check="bce_with_logits"
ours = bce_with_logits(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.0]))
assert torch.isclose(ours, torch.tensor(1.41004), atol=1e-4), (
    f"logits 0 and 2, labels 1 and 0: 1.4100 expected, {float(ours):.4f} came"
)
ours = bce_with_logits(torch.tensor([120.0]), torch.tensor([0.0]))
assert torch.isclose(ours, torch.tensor(120.0)), (
    f"logit 120, label 0: 120 expected, {float(ours)} came: rearrange before you compute"
)
try:
    bce_with_logits(torch.zeros(4), torch.zeros(4, 1))
    refused = False
except ValueError:
    refused = True
assert refused, "logits (4,) with targets (4, 1) must raise ValueError"

# %% hidden="bce_with_logits" points=1 about="the same as torch for moderate logits"
for shape in ((7,), (3, 4)):
    logits = torch.tensor(rng.normal(size=shape) * 3, dtype=torch.float32)
    targets = torch.tensor(rng.integers(0, 2, size=shape), dtype=torch.float32)
    got, wanted = (
        learner.bce_with_logits(logits, targets),
        F.binary_cross_entropy_with_logits(logits, targets),
    )
    assert np.shape(got) == (), f"one number expected, shape {np.shape(got)} came: take the mean"
    assert not close(got, wanted * logits.numel(), atol=1e-4), "that is the sum: take the mean"
    assert close(got, wanted, atol=1e-5), f"{float(wanted):.4f} expected, {float(got):.4f} came"
soft = learner.bce_with_logits(torch.tensor([1.0, -1.0]), torch.tensor([0.3, 0.8]))
assert close(
    soft,
    F.binary_cross_entropy_with_logits(torch.tensor([1.0, -1.0]), torch.tensor([0.3, 0.8])),
    atol=1e-5,
), "targets between 0 and 1 count too: two readers may disagree"

# %% hidden="bce_with_logits" points=1 about="large logits stay finite and right"
for z in (30.0, 95.0, 1000.0):
    for logit, target, wanted in ((z, 0.0, z), (-z, 1.0, z), (z, 1.0, 0.0), (-z, 0.0, 0.0)):
        got = learner.bce_with_logits(torch.tensor([logit]), torch.tensor([target]))
        assert close(got, wanted, atol=1e-4), (
            f"logit {logit:.0f}, label {target:.0f}: {wanted:.0f} expected, {float(got):.2f} came. "
            "exp of a large positive number overflows, and 1 - p is 0 long before: no sigmoid, no "
            "clamp on p, but max(z, 0) - z y + log(1 + exp(-|z|))"
        )

# %% hidden="bce_with_logits" points=1 about="the gradient is (sigmoid - target) / N"
logits = torch.tensor(rng.normal(size=6) * 2, dtype=torch.float32)
targets = torch.tensor(rng.integers(0, 2, size=6), dtype=torch.float32)
gradient_of = learner["torch"].func.grad(learner["bce_with_logits"])
error = error_from(gradient_of, logits, targets)
gradient = None if error else torch.as_tensor(gradient_of(logits, targets))
assert gradient is not None and gradient.abs().sum() > 0, (
    "no gradient flows through the loss: stay with torch's functions, without item(), float(), "
    "detach() or NumPy on the way"
)
assert close(gradient, (torch.sigmoid(logits) - targets) / 6, atol=1e-5), (
    "the gradient is not (sigmoid(logit) - target) / N: is a part of the formula cut off from the logits?"
)

# %% hidden="bce_with_logits" points=1 about="shapes that differ are refused"
for shapes in (((4,), (4, 1)), ((4, 1), (4,)), ((4,), (1,))):
    error = error_from(learner.bce_with_logits, torch.zeros(shapes[0]), torch.zeros(shapes[1]))
    assert is_value_error(error), (
        f"logits {shapes[0]} with targets {shapes[1]}: ValueError expected. Without it every picture "
        "meets every label"
    )


# %% mistake="bce_with_logits" because="takes log of a clamped sigmoid" keeps=3 says="clamp"
def bce_with_logits(logits, targets):
    if logits.shape != targets.shape:
        raise ValueError("shapes differ")
    p = torch.sigmoid(logits).clamp(1e-7, 1 - 1e-7)
    return -(targets * torch.log(p) + (1 - targets) * torch.log(1 - p)).mean()


# %% mistake="bce_with_logits" because="never compares the shapes" keeps=3 says="every picture"
def bce_with_logits(logits, targets):
    far = torch.log1p(torch.exp(-logits.abs()))
    return (logits.clamp(min=0) - logits * targets + far).mean()


# %% mistake="bce_with_logits" because="computes in NumPy" keeps=3 says="no gradient"
def bce_with_logits(logits, targets):
    if logits.shape != targets.shape:
        raise ValueError("shapes differ")
    z, y = np.array(logits.tolist()), np.array(targets.tolist())
    return torch.tensor((np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))).mean())


# %% [markdown] hint="bce_with_logits"
# Compare the shapes first. Then write the rearranged formula with torch's functions only.
#
# ---
#
# max(z, 0) is `logits.clamp(min=0)`, |z| is `logits.abs()`, log(1 + x) for small x is `torch.log1p(x)`.
#
# ---
#
# ```python
# if logits.shape != targets.shape:
#     raise ValueError(...)
# far = torch.log1p(torch.exp(...))
# return (... - logits * targets + far).mean()
# ```

# %% [markdown]
# ## 5. The training loop
#
# One **epoch** shows every training picture to the network once, in small batches, in random order.
# For each batch: set the old gradients to zero, compute the loss, send it backwards, let the
# optimiser take a step. Forget one of the four and the code still runs.
#
# Three things more that a loop owes:
#
# - It puts the network into train mode itself. The caller may have asked it something before.
# - It reports the mean loss **over pictures**. The last batch is often smaller; the mean of batch
#   means counts its pictures too much.
# - It stops at a loss that is not finite, **before** the step that would spoil the weights. One NaN
#   pixel is enough.
#
# ### Exercise 4: train_epoch


# %% exercise="train_epoch" points=4
def train_epoch(net, optimizer, images, labels, loss_function, batch_size=32, generator=None):
    """Train a network for one epoch; return the mean loss over all pictures, a float.

    images: tensor (N, 1, rows, columns). labels: float tensor (N,).
    loss_function(logits, labels) returns the mean loss of a batch.
    Order: torch.randperm(N, generator=generator), cut into batches; the last may be smaller.
    The network is in train mode while it learns, whatever its mode was.
    Raises ValueError, naming the batch, at a loss that is not finite, before its step is taken.
    """
    ### BEGIN SOLUTION
    net.train()
    total = 0.0
    order = torch.randperm(len(images), generator=generator)
    for number, chosen in enumerate(order.split(batch_size), start=1):
        optimizer.zero_grad()
        loss = loss_function(net(images[chosen]), labels[chosen])
        if not torch.isfinite(loss):
            raise ValueError(
                f"the loss of batch {number} is {loss.item()}: look for NaN in its pictures"
            )
        loss.backward()
        optimizer.step()
        total += loss.item() * len(chosen)
    return total / len(images)
    ### END SOLUTION


# %% check="train_epoch"
torch.manual_seed(0)
line = nn.Sequential(nn.Flatten(), nn.Linear(4, 1), nn.Flatten(0))
data = torch.randn(10, 1, 2, 2)
answers = (data.sum((1, 2, 3)) > 0).float()
torch_loss = nn.functional.binary_cross_entropy_with_logits
line.eval()
sgd = torch.optim.SGD(line.parameters(), lr=0.5)
history = [train_epoch(line, sgd, data, answers, torch_loss, batch_size=4) for _ in range(20)]
assert isinstance(history[0], float), f"return a float, {type(history[0]).__name__} came"
assert history[-1] < 0.6 * history[0], (
    f"the loss should fall in 20 epochs, {history[0]:.2f} became {history[-1]:.2f}"
)
assert line.training, "the network was in eval mode before: train_epoch must call net.train()"
still = torch.optim.SGD(line.parameters(), lr=0.0)
expected = torch_loss(line(data), answers).item()
found = train_epoch(line, still, data, answers, torch_loss, batch_size=4)
assert abs(found - expected) < 1e-5, (
    f"at a learning rate of 0 the loss over all ten pictures is {expected:.4f}, {found:.4f} came: "
    "the last batch has two pictures only"
)

# %% hidden="train_epoch" points=1 about="gradients start at zero, and every batch takes a step"
images, labels = small_data(rng, 8)
net, twin = small_net(learner, int(rng.integers(1000)))
sgd = learner["torch"].optim.SGD(net.parameters(), lr=0.3)
for epoch in (1, 2, 3):
    learner.train_epoch(net, sgd, images, labels, torch_loss(learner), 8)
    sgd_reference(twin, images, labels, [torch.arange(8)], 0.3)
    assert same_weights(net, twin), (
        f"after {epoch} step(s) of gradient descent the weights differ from the ones by hand: "
        + ("backward, then step" if epoch == 1 else "are old gradients set to zero (zero_grad)?")
    )

# %% hidden="train_epoch" points=1 about="all pictures once, in the generator's order"
images, labels = small_data(rng, 9)
net, twin = small_net(learner, int(rng.integers(1000)))
_same, unshuffled = small_net(learner, 0)
unshuffled.load_state_dict(twin.state_dict())
ours, seed = torch.Generator(), int(rng.integers(1 << 31))
sgd = learner["torch"].optim.SGD(net.parameters(), lr=1.0)
theirs = learner["torch"].Generator().manual_seed(seed)
learner.train_epoch(net, sgd, images, labels, torch_loss(learner), 1, theirs)
sgd_reference(
    twin, images, labels, torch.randperm(9, generator=ours.manual_seed(seed)).split(1), 1.0
)
sgd_reference(unshuffled, images, labels, torch.arange(9).split(1), 1.0)
assert not same_weights(net, unshuffled), (
    "the pictures came in the order of the folder, all normal ones first: shuffle with "
    "torch.randperm(N, generator=generator)"
)
assert same_weights(net, twin), (
    "steps over single pictures end elsewhere than by hand: every picture once, in the order of "
    "torch.randperm(N, generator=generator), gradients set to zero before each"
)

# %% hidden="train_epoch" points=1 about="the mean over pictures, with a smaller last batch"
for count in (5, 9):
    images, labels = small_data(rng, count)
    images = images * 4  # losses that differ much
    net, twin = small_net(learner, int(rng.integers(1000)))
    sgd = learner["torch"].optim.SGD(net.parameters(), lr=0.0)
    got = learner.train_epoch(net, sgd, images, labels, torch_loss(learner), 4)
    wanted = F.binary_cross_entropy_with_logits(twin(images), labels).item()
    assert close(got, wanted, atol=1e-4), (
        f"{count} pictures in batches of 4, learning rate 0: mean loss {wanted:.4f} expected, got {got}. "
        "The last batch is smaller: weigh each batch by its number of pictures"
    )

# %% hidden="train_epoch" points=1 about="train mode, and no step after a loss that is not finite"
images, labels = small_data(rng, 8)
net = batch_net(learner)
net.eval()
sgd = learner["torch"].optim.SGD(net.parameters(), lr=0.1)
learner.train_epoch(net, sgd, images, labels, torch_loss(learner), 4)
steps = [int(v) for name, v in net.state_dict().items() if name.endswith("num_batches_tracked")]
assert steps == [2], (
    "the network came in eval mode and BatchNorm collected nothing: train_epoch must call net.train()"
)
net, twin = small_net(learner, 1)
images[3] = float("nan")
sgd = learner["torch"].optim.SGD(net.parameters(), lr=0.1)
error = error_from(learner.train_epoch, net, sgd, images, labels, torch_loss(learner), 8)
assert is_value_error(error), "a picture holds NaN, so the loss is NaN: ValueError expected"
assert same_weights(net, twin), (
    "the step was taken before the NaN was found: the weights are spoilt"
)


# %% mistake="train_epoch" because="never sets gradients to zero" keeps=2 says="zero_grad"
def train_epoch(net, optimizer, images, labels, loss_function, batch_size=32, generator=None):
    net.train()
    total = 0.0
    for chosen in torch.randperm(len(images), generator=generator).split(batch_size):
        loss = loss_function(net(images[chosen]), labels[chosen])
        if not torch.isfinite(loss):
            raise ValueError("not finite")
        loss.backward()
        optimizer.step()
        total += loss.item() * len(chosen)
    return total / len(images)


# %% mistake="train_epoch" because="averages the means of batches" keeps=3 says="smaller"
def train_epoch(net, optimizer, images, labels, loss_function, batch_size=32, generator=None):
    net.train()
    losses = []
    for chosen in torch.randperm(len(images), generator=generator).split(batch_size):
        optimizer.zero_grad()
        loss = loss_function(net(images[chosen]), labels[chosen])
        if not torch.isfinite(loss):
            raise ValueError("not finite")
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


# %% mistake="train_epoch" because="never shuffles" keeps=3 says="order of the folder"
def train_epoch(net, optimizer, images, labels, loss_function, batch_size=32, generator=None):
    net.train()
    total = 0.0
    for chosen in torch.arange(len(images)).split(batch_size):
        optimizer.zero_grad()
        loss = loss_function(net(images[chosen]), labels[chosen])
        if not torch.isfinite(loss):
            raise ValueError("not finite")
        loss.backward()
        optimizer.step()
        total += loss.item() * len(chosen)
    return total / len(images)


# %% mistake="train_epoch" because="trusts the mode it finds" keeps=3 says="net.train()"
def train_epoch(net, optimizer, images, labels, loss_function, batch_size=32, generator=None):
    total = 0.0
    for chosen in torch.randperm(len(images), generator=generator).split(batch_size):
        optimizer.zero_grad()
        loss = loss_function(net(images[chosen]), labels[chosen])
        if not torch.isfinite(loss):
            raise ValueError("not finite")
        loss.backward()
        optimizer.step()
        total += loss.item() * len(chosen)
    return total / len(images)


# %% [markdown] hint="train_epoch"
# Begin with `net.train()`. Then one loop over batches of indices, with the four steps in their order.
#
# ---
#
# `order.split(batch_size)` cuts indices into batches. zero_grad, loss, a look at
# `torch.isfinite(loss)`, backward, step. Sum loss times number of pictures, divide by N at the end.
#
# ---
#
# ```python
# net.train()
# total = 0.0
# for number, chosen in enumerate(torch.randperm(len(images), generator=generator).split(batch_size), 1):
#     optimizer.zero_grad()
#     loss = loss_function(net(images[chosen]), labels[chosen])
#     if ...:
#         raise ValueError(...)
#     ...
#     ...
#     total += loss.item() * ...
# return total / ...
# ```

# %% [markdown]
# Now train it. Pixels go from 0..255 to about -2..2 first: networks start best with numbers around 0.


# %%
def tensors(split):
    """Return a split's pictures, scaled, as a tensor (N, 1, 28, 28), and labels (N,), both float."""
    pictures = torch.tensor(split.images, dtype=torch.float32)[:, None]
    return (pictures / 255 - 0.5) / 0.25, torch.tensor(split.labels, dtype=torch.float32)


# %% tags=["demonstration"] needs="SmallCNN bce_with_logits train_epoch"
EPOCHS = pick(ci=15, laptop=30, gpu=60)
train_images, train_labels = tensors(splits["train"])
test_images, test_labels = tensors(splits["test"])  # in the order of the folders: normal first
torch.manual_seed(SEED)
net = SmallCNN(28)
adam = torch.optim.AdamW(net.parameters(), lr=5e-4)
for epoch in range(EPOCHS):
    loss = train_epoch(net, adam, train_images, train_labels, bce_with_logits)
    if epoch % 5 == 0 or epoch == EPOCHS - 1:
        print(f"epoch {epoch + 1:2d}: training loss {loss:.2f}")
trained = copy.deepcopy(net.state_dict())

# %% [markdown]
# ## 6. Asking the network
#
# Your colleague has written the code that asks it. It is short, it uses no gradients, and every
# value that it returns is finite:


# %%
@torch.no_grad()
def colleague_logits(net, images, batch_size=32):
    """Return the logits of all pictures (a colleague's; there is a fault in it)."""
    answers = [net(batch) for batch in images.split(batch_size)]
    return torch.cat(answers)


# %% [markdown]
# **Predict before you run:** the test pictures lie in two folders, NORMAL and PNEUMONIA. We ask for
# all of them, once in the order of the folders and once shuffled. AUC asks how often a sick picture
# gets more than a normal one; the order of asking should not matter. Does it?

# %% tags=["demonstration"] needs="SmallCNN bce_with_logits train_epoch"
shuffled = torch.randperm(len(test_labels), generator=torch.Generator().manual_seed(SEED))
in_folders = colleague_logits(net, test_images)
mixed = colleague_logits(net, test_images[shuffled])
auc_wrong = roc_auc_score(test_labels, in_folders)
auc_mixed = roc_auc_score(test_labels[shuffled], mixed)
print(f"AUC, pictures in the order of the folders: {auc_wrong:.2f}")
print(f"AUC, the same pictures shuffled:           {auc_mixed:.2f}")

sick = test_images[test_labels == 1]
normal = test_images[test_labels == 0]
patient = sick[:1]
for words, company in (("31 normal pictures", normal), ("31 sick pictures", sick[1:])):
    answer = torch.sigmoid(colleague_logits(net, torch.cat([patient, company[:31]]))[0])
    print(f"one patient, in a batch with {words:18s}: pneumonia {answer:.0%}")
try:
    colleague_logits(net, patient)
except ValueError as error:
    print("the patient alone:", error)

# %% [markdown]
# The network is still in train mode, because training left it there. So BatchNorm compares each
# picture with its **neighbours in the batch**. In a batch of sick pictures only, sick is the average,
# and the network sees nothing special. Shuffled, half of the neighbours are normal, and the figure
# looks respectable: a test on shuffled data hides this fault. In the clinic pictures come one by one.
#
# It is worse than a wrong answer: each question also moves the means that BatchNorm collects. The
# network learns from test pictures, without a label, while it is asked. That is why we kept a copy
# (`trained`) before.
#
# Write the code that asks properly. The class `Probe` notes how a network was called; you may use it.


# %%
class Probe(nn.Module):
    """A network without weights: the logit is the mean pixel. Notes how it was called."""

    def __init__(self):
        super().__init__()
        self.calls = []  # for each batch: number of pictures, train mode, gradients on

    def forward(self, images):
        self.calls.append([len(images), self.training, torch.is_grad_enabled()])
        return images.mean((1, 2, 3))


# %% [markdown]
# ### Exercise 5: predict_logits


# %% exercise="predict_logits" points=3
def predict_logits(net, images, batch_size=64):
    """Return the logits of all pictures, a tensor (N,), in their order.

    The network answers in eval mode, without gradients, in batches of at most batch_size.
    Afterwards it is in the mode in which it came, also when it raised an exception.
    """
    ### BEGIN SOLUTION
    mode = net.training
    net.eval()
    try:
        with torch.no_grad():
            return torch.cat([net(batch) for batch in images.split(batch_size)])
    finally:
        net.train(mode)
    ### END SOLUTION


# %% check="predict_logits"
probe = Probe()
pictures = torch.arange(5.0)[:, None, None, None].expand(5, 1, 2, 2)
got = predict_logits(probe, pictures, batch_size=2)
assert got.tolist() == [0, 1, 2, 3, 4], f"one logit for each picture, in order; {got.tolist()} came"
assert [call[0] for call in probe.calls] == [2, 2, 1], (
    f"batches of 2, 2 and 1 pictures expected, {[call[0] for call in probe.calls]} came"
)
assert not any(call[1] for call in probe.calls), "the probe was asked in train mode: net.eval()"
assert not any(call[2] for call in probe.calls), "gradients were on: torch.no_grad()"
assert probe.training, "the probe came in train mode and must be in train mode afterwards"

# %% hidden="predict_logits" points=1 about="eval mode: an answer that does not depend on the company"
net = batch_net(learner)
images = torch.tensor(rng.normal(2.0, 3.0, size=(8, 1, 1, 6)), dtype=torch.float32)
before = net.state_dict()
together = learner.predict_logits(net, images)
pairs = [torch.as_tensor(learner.predict_logits(net, pair)) for pair in images.split(2)]
assert close(together, torch.cat(pairs), atol=1e-5), (
    "the same picture, asked with one other and with seven, got two answers: put the network into "
    "eval mode (net.eval())"
)
after = net.state_dict()
assert all(close(after[name], before[name]) for name in before), (
    "asking changed the means that BatchNorm collects: put the network into eval mode (net.eval())"
)

# %% hidden="predict_logits" points=1 about="the mode afterwards is the mode before"
for mode in (True, False):
    net = learner.Probe()
    net.train(mode)
    learner.predict_logits(net, torch.zeros(3, 1, 2, 2))
    assert net.training is mode, (
        f"the network came in {'train' if mode else 'eval'} mode and went in the other: leave it as you found it"
    )
net = learner.Probe()
error = error_from(learner.predict_logits, net, torch.zeros(3))  # has no axes for a mean
assert error is not None and net.training, (
    "the network raised an exception and was left in eval mode: leave it as you found it, with try and finally"
)

# %% hidden="predict_logits" points=1 about="batches, in order, without gradients"
net, count = learner.Probe(), int(rng.integers(9, 14))
images = torch.tensor(rng.normal(size=(count, 1, 3, 3)), dtype=torch.float32)
got = learner.predict_logits(net, images, 4)
assert close(got, images.mean((1, 2, 3)), atol=1e-5), "one logit for each picture, in their order"
calls = net.calls
assert max(call[0] for call in calls) <= 4, (
    f"batch_size is 4, a batch of {max(call[0] for call in calls)} came: a whole test set may not fit into memory"
)
assert not any(call[2] for call in calls), (
    "gradients were recorded, which costs memory for nothing: torch.no_grad()"
)


# %% mistake="predict_logits" because="leaves the network in train mode" keeps=2 says="eval mode"
def predict_logits(net, images, batch_size=64):
    with torch.no_grad():
        return torch.cat([net(batch) for batch in images.split(batch_size)])


# %% mistake="predict_logits" because="leaves the network in eval mode" keeps=2 says="as you found it"
def predict_logits(net, images, batch_size=64):
    net.eval()
    with torch.no_grad():
        return torch.cat([net(batch) for batch in images.split(batch_size)])


# %% mistake="predict_logits" because="eval mode, but gradients and one huge batch" keeps=2 says="memory"
def predict_logits(net, images, batch_size=64):
    mode = net.training
    net.eval()
    try:
        return net(images).detach()
    finally:
        net.train(mode)


# %% [markdown] hint="predict_logits"
# Three lines are new: remember the mode, set eval mode, restore the mode. The rest is your colleague's.
#
# ---
#
# `net.training` is True in train mode. `net.train(mode)` sets either. A `finally` block runs after
# `return` and after an exception.
#
# ---
#
# ```python
# mode = net.training
# net.eval()
# try:
#     with torch.no_grad():
#         return torch.cat([... for batch in images.split(...)])
# finally:
#     net.train(...)
# ```

# %% tags=["demonstration"] needs="SmallCNN bce_with_logits train_epoch predict_logits"
net.load_state_dict(trained)  # the means as training left them
asked = {
    "in the order of the folders": (test_labels, predict_logits(net, test_images)),
    "shuffled": (test_labels[shuffled], predict_logits(net, test_images[shuffled])),
}
for words, (labels, logits) in asked.items():
    print(f"AUC, {words:27s}: {roc_auc_score(labels, logits):.2f}")
auc = roc_auc_score(test_labels, predict_logits(net, test_images))
for words, company in (("31 normal pictures", normal), ("31 sick pictures", sick[1:])):
    answer = torch.sigmoid(predict_logits(net, torch.cat([patient, company[:31]]))[0])
    print(f"one patient, in a batch with {words:18s}: pneumonia {answer:.0%}")
print(f"the patient alone: pneumonia {torch.sigmoid(predict_logits(net, patient)[0]):.0%}")


def company_shift(ask):
    """Return by how much company changes a sick patient's probability, on average over 20."""
    changes = []
    for one in sick[-20:]:
        net.load_state_dict(trained)
        answers = [ask(net, torch.cat([one[None], c[:31]]))[0] for c in (normal, sick)]
        changes.append((torch.sigmoid(answers[0]) - torch.sigmoid(answers[1])).abs().item())
    return float(np.mean(changes))


shift, shift_wrong = company_shift(predict_logits), company_shift(colleague_logits)
print(f"change by company, mean of 20 patients: {shift:.2f}; colleague's code: {shift_wrong:.2f}")
assert auc >= 0.88, f"AUC {auc:.2f}: the network should reach .88 on the generated pictures"
assert auc_wrong <= auc - 0.20, "train mode in the order of the folders should cost .20 AUC or more"
assert shift < 0.01, "in eval mode company must not matter"

# %% [markdown]
# ## 7. Learning curves, and when to stop
#
# Real sets are often small. With 120 pictures the network can learn them by heart: the training loss
# goes to zero, and new patients gain nothing. **Overfitting** shows only when the loss on pictures it
# does not learn from, the **validation** set, is drawn beside it.
#
# Three common remedies:
#
# | remedy | what it does |
# |---|---|
# | dropout | no feature can count on another one |
# | weight decay | each step shrinks the weights a little, so large ones must be worth it |
# | early stopping | keep the weights of the epoch with the lowest validation loss; stop when it has not fallen for `patience` epochs |
#
# Small example, patience 2: the losses 0.9, 0.7, 0.8, 0.75, 0.6 stop after epoch 3 (counted from 0),
# since neither 0.8 nor 0.75 is below 0.7. The best is epoch 1. That 0.6 would have come, nobody can
# know at that time. If you look for the minimum of the finished curve instead, you used the future.
#
# ### Exercise 6: stop_epoch


# %% exercise="stop_epoch" points=2
def stop_epoch(losses, patience):
    """Return (best, last): the epoch whose weights to keep, and the last epoch that is run.

    losses: validation losses by epoch, from epoch 0. patience: whole number, 1 or more.
    Training stops after the first epoch that is `patience` epochs later than the best so far; if
    that never happens, last is the last epoch there is. Only a lower loss is better, not an equal one.
    Raises ValueError, naming the epoch, at a loss that is not finite before the stop.
    """
    ### BEGIN SOLUTION
    best = 0
    for epoch, loss in enumerate(losses):
        if not np.isfinite(loss):
            raise ValueError(f"the validation loss of epoch {epoch} is {loss}")
        if loss < losses[best]:
            best = epoch
        if epoch - best >= patience:
            return best, epoch
    return best, len(losses) - 1
    ### END SOLUTION


# %% check="stop_epoch"
found = stop_epoch([0.9, 0.7, 0.8, 0.75, 0.6], patience=2)
assert tuple(found) == (1, 3), f"the small example gives (1, 3), {found} came"
assert tuple(stop_epoch([0.9, 0.7, 0.8, 0.75, 0.6], patience=3)) == (4, 4), (
    "with patience 3 epoch 4 is reached, and it is the best"
)

# %% hidden="stop_epoch" points=1 about="best and last epoch, without a look into the future"
cases = [
    ([0.9, 0.5, 0.6, 0.7, 0.1], 2, (1, 3)),
    ([0.5, 0.6, 0.7, 0.1], 2, (0, 2)),
    ([0.9, 0.8, 0.7], 1, (2, 2)),
    ([0.9, 0.8, 0.85, 0.7, 0.75, 0.74, 0.73], 3, (3, 6)),
    ([0.4], 5, (0, 0)),
]
for losses, patience, wanted in cases:
    losses = [float(v * rng.uniform(1, 1.001)) for v in losses]
    got = learner.stop_epoch(losses, patience)
    assert tuple(got) == wanted, (
        f"losses {[round(v, 2) for v in losses]}, patience {patience}: {wanted} expected, got {got}. "
        "Walk through the epochs once, and look only at what came before: the future is not known"
    )

# %% hidden="stop_epoch" points=1 about="equal is not better; NaN is refused"
got = learner.stop_epoch([0.5, 0.5, 0.5, 0.5], 2)
assert tuple(got) == (0, 2), (
    f"four equal losses, patience 2: (0, 2) expected, got {got}. An equal loss is no improvement"
)
error = error_from(learner.stop_epoch, [0.7, float("nan"), 0.6], 2)
assert is_value_error(error), (
    "NaN is neither lower nor higher than anything, so it passes every comparison: ValueError expected"
)
assert "1" in error.message, f"the message must name epoch 1, it says: {error.message}"
got = error_from(learner.stop_epoch, [0.5, 0.6, 0.7, float("nan")], 2)
assert got is None, "the NaN lies after the stop: that epoch is never run, so no error"


# %% mistake="stop_epoch" because="takes the minimum of the finished curve" keeps=0 says="future"
def stop_epoch(losses, patience):
    best = int(np.argmin(losses))
    return best, min(best + patience, len(losses) - 1)


# %% mistake="stop_epoch" because="takes an equal loss for better, and NaN for a loss" keeps=1 says="equal"
def stop_epoch(losses, patience):
    best = 0
    for epoch, loss in enumerate(losses):
        if loss <= losses[best]:
            best = epoch
        if epoch - best >= patience:
            return best, epoch
    return best, len(losses) - 1


# %% mistake="stop_epoch" because="lets NaN pass" keeps=1 says="NaN"
def stop_epoch(losses, patience):
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        if epoch - best >= patience:
            return best, epoch
    return best, len(losses) - 1


# %% [markdown] hint="stop_epoch"
# One loop over the epochs, with one thing to remember: the best epoch so far.
#
# ---
#
# At each epoch: refuse a loss that is not finite; if it is lower than that of the best epoch, it is
# the new best; if the best lies `patience` epochs back, stop.
#
# ---
#
# ```python
# best = 0
# for epoch, loss in enumerate(losses):
#     if not np.isfinite(loss):
#         raise ValueError(...)
#     if loss ... losses[best]:
#         best = ...
#     if ... >= patience:
#         return best, epoch
# return ...
# ```

# %% [markdown]
# Now 120 training pictures, and two networks: one without any remedy, one with dropout and weight
# decay. Both run to the end, so that we see what early stopping would have spared us.
#
# **Predict before you run:** which curve turns upwards? Will dropout and weight decay help a lot?


# %%
def fit(net, train, held_out, epochs, lr, weight_decay):
    """Train; return training loss, validation loss and a copy of the weights for every epoch."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=weight_decay)
    curves, weights = [], []
    for _ in range(epochs):
        loss = train_epoch(net, optimizer, *train, bce_with_logits)
        validation = bce_with_logits(predict_logits(net, held_out[0]), held_out[1]).item()
        curves.append((loss, validation))
        weights.append(copy.deepcopy(net.state_dict()))
    return np.array(curves), weights


# %% tags=["demonstration"] needs="SmallCNN bce_with_logits train_epoch predict_logits stop_epoch"
PATIENCE = 8
chosen = torch.randperm(len(train_labels), generator=torch.Generator().manual_seed(SEED))[:120]
few = train_images[chosen], train_labels[chosen]
validation = tensors(splits["val"])
settings = {"no remedy": (0.0, 0.0), "dropout and weight decay": (0.5, 0.1)}
results = {}
fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
for ax, (name, (dropout, decay)) in zip(axes, settings.items()):
    torch.manual_seed(SEED)
    net = SmallCNN(28, dropout)
    curves, weights = fit(net, few, validation, pick(ci=40, laptop=80, gpu=80), 1e-3, decay)
    best, last = stop_epoch(curves[:, 1].tolist(), PATIENCE)
    for words, epoch in (("stopped", best), ("to the end", -1)):
        net.load_state_dict(weights[epoch])
        logits = predict_logits(net, test_images)
        results[name, words] = (
            bce_with_logits(logits, test_labels).item(),
            roc_auc_score(test_labels, logits),
        )
    ax.plot(curves[:, 0], color="black", label="training")
    ax.plot(curves[:, 1], color="black", ls="--", label="validation")
    ax.plot(best, curves[best, 1], "o", color="black", label="weights kept")
    ax.axvline(last, color="grey", lw=1, ls=":", label="stopped")
    ax.set(title=name, xlabel="epoch", ylim=(0, 1.5))
axes[0].set_ylabel("loss (generated pictures)")
axes[0].legend(fontsize=8)
plt.show()

# %% [markdown]
# *In words:* two pictures with a solid line, the training loss, that falls towards 0, and a dashed
# one, the validation loss, that soon stops falling, moves up and down and stays far above. A dot
# marks the epoch whose weights are kept, a thin dotted line the epoch at which training stops.

# %% tags=["demonstration"] needs="SmallCNN bce_with_logits train_epoch predict_logits stop_epoch"
print("120 generated training pictures      test loss   test AUC")
for (name, words), (loss, found) in results.items():
    print(f"{name:25s} {words:11s} {loss:9.2f} {found:10.2f}")
print(f"all {len(train_labels)} training pictures (section 6) {'':8s} {auc:10.2f}")

# %% [markdown]
# Read it slowly.
#
# - The gap between the two curves is what the network learned by heart.
# - Early stopping spares epochs. With 100 validation pictures the epoch that it takes is a noisy
#   choice; the test loss of the weights kept is often, not always, the lower one.
# - Dropout and weight decay help a little or not at all here, depending on the seed. Do not believe a
#   remedy after one run; `make bench NAME=imaging` runs five seeds.
# - More patients help more than all three.
#
# Real pictures: a test in this repository trains the same network with the same loop on a part of
# PneumoniaMNIST (1,680 to train, 241 to test, not the official split). It reached AUC .99 there, and
# .75 with your colleague's fault; see `datasets/pneumonia-mnist.md`.
#
# ## 8. In your own words
#
# The head of the ward writes: *"The tool gave my patient 91 %, then 34 %, within a minute, with the
# same picture. The vendor says it tested the tool on hundreds of patients and it was good. Who is
# right, and what do I do with the answers of the last month?"*
#
# Answer in at most 150 words, without the words batch, mode or network.

# %% [markdown] written="explain_two_answers" points=2 rubric="clinician-answer"
# Your doubt is right. The tool had been left in the state in which it is taught. In that state it
# compares a picture with those shown together with it. Beside normal pictures your patient stood
# out; beside other sick ones, not. The vendor probably tested sick and healthy patients mixed half
# and half, where the comparison happens to work; ask. Your ward is not mixed like that.
#
# With the switch set right, one picture has one answer, alone or in company. We checked this on
# generated pictures, not on your patients.
#
# Please rely on no answer of the last month, high or low. Each question also changed the tool a
# little. Where a decision rested on it, have a radiologist read the picture again. Ask the vendor to
# restore the tested version, and try one picture alone and among others before it is used again.

# %% tags=["demonstration"] needs="SmallCNN bce_with_logits train_epoch predict_logits stop_epoch"
FIGURES = {
    "auc": float(auc),
    "auc_wrong": float(auc_wrong),
    "company_shift": shift,
    "company_shift_wrong": shift_wrong,
    "few_auc_no_remedy": results["no remedy", "to the end"][1],
    "few_auc_all_remedies": results["dropout and weight decay", "stopped"][1],
    "few_loss_no_remedy": results["no remedy", "to the end"][0],
    "few_loss_all_remedies": results["dropout and weight decay", "stopped"][0],
}
for name, value in FIGURES.items():
    print(f"{name:22s} {value:.2f}")

# %% [markdown]
# ## What you have now
#
# - `convolve`: what a convolution does, equal to torch's.
# - `SmallCNN`: a network for any picture size, with two modes.
# - `bce_with_logits`: a loss that stays finite and refuses shapes that do not fit.
# - `train_epoch`, `stop_epoch`: a loop that learns, reports honestly, and knows when to stop.
# - `predict_logits`: one picture, one answer.
#
# Where real life is harder: pictures of full size, several hospitals, labels that experts dispute,
# and a probability that must mean what it says. The next units take these one by one.
