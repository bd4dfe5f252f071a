# %% [markdown]
# # A scanner that nobody trained on
#
# A hospital buys a new X-ray machine. On Monday the pneumonia program, which had an AUC of .99 on
# the old ones, seems to guess. The films look fine to the radiologists: a little brighter, a little
# grainier. The program has never met such films, and does not say so.
#
# **One new idea: measure the distance between sites, and take from the new site nothing that you
# will not have on the day it matters.**
#
# You will measure how far the new scanner is from the old ones, bring its films back towards what
# the network knows in two ways, train networks that mind less, average networks of hospitals that
# share no films, and find a result that was bought with the test site's own statistics.
#
# What this unit does not cover: networks that are trained to hide the scanner from an adversary
# (adversarial adaptation), which needs more data than two cores like; and how to notice a shift
# that nobody announced.

# %% tags=["parameters"]
SEED = 0

# %% [markdown]
# ## 1. Old scanners, a new scanner
#
# All films here are **generated**: medlab draws chests of patients who do not exist, in the folders
# of the children's set of Kermany and others (CC BY 4.0). No result below says anything about real
# films. Data card: `datasets/chest-xray.md`.
#
# | published on real films, not from this notebook | result |
# |---|---|
# | ResNet-18 on PneumoniaMNIST, test images of the same source | AUC .944 to .956 |
#
# Same source: that is the catch. The hospital's network was trained on scanners A, B and C. The new
# one is D: another tone curve, more noise, a softer picture.

# %%
import copy

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from PIL import Image
from scipy.stats import wasserstein_distance
from sklearn.metrics import roc_auc_score
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.transforms.v2.functional import gaussian_blur

from medlab import datasets
from medlab.datasets.chest_xray import read_table
from medlab.models.backbones import chest_resnet18
from medlab.models.device import training_device
from medlab.scale import pick

torch.set_num_threads(1)
EPOCHS = pick(ci=10, laptop=15, gpu=20)
PATIENTS = pick(ci=120, laptop=200, gpu=600)


def films_of(scanners, patients, test_patients, split, seed):
    """Return films (n, 96, 96) as numbers from 0 to 1, labels, and each film's scanner."""
    made = datasets.folder(
        "chest-xray",
        patients=patients,
        test_patients=test_patients,
        scanners=scanners,
        test_scanners=scanners,
        format="jpeg",
        seed=seed,
    )
    table = read_table(made).query("split == @split")
    films = np.stack([np.asarray(Image.open(made / path)) for path in table.path]) / 255
    truth = pd.read_csv(made / "truth" / "images.csv").set_index("path")
    scanner = truth.loc[table.path, "scanner"].to_numpy(str)
    return films.astype(np.float32), table.label.to_numpy(copy=True), scanner


train_films, train_labels, train_scanner = films_of("ABC", PATIENTS, 200, "train", SEED)
home_films, home_labels, home_scanner = films_of("ABC", PATIENTS, 200, "test", SEED)
new_films, new_labels, _ = films_of("D", 2, 200, "test", SEED)
print("training:", train_films.shape, {s: int((train_scanner == s).sum()) for s in "ABC"})
print("test at home:", home_films.shape, " on the new scanner:", new_films.shape)

# %% [markdown]
# The test patients are the same 200 people both times: once on the old scanners, once on the new
# one. With generated patients that is possible. So any difference is the scanner's.
#
# **Predict before you run:** from .99, how far will the network fall on scanner D?

# %% tags=["demonstration"]
FROZEN = ("conv1", "bn1", "layer1")
DEVICE = training_device()  # a GPU at the scale gpu, if there is one


def tensor(films):
    return torch.from_numpy(np.ascontiguousarray(films, dtype=np.float32))[:, None]


def fit(net, films, labels, epochs, rate, change=None):
    """Train a network, stem and first layer frozen; change alters each batch of films."""
    net, images, wanted = net.to(DEVICE), tensor(films), torch.as_tensor(labels).float()
    for name in FROZEN:
        getattr(net, name).requires_grad_(False)
    free = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(free, lr=rate, weight_decay=1e-2)
    steps = epochs * -(-len(images) // 16)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    net.train()
    for name in FROZEN:
        getattr(net, name).eval()
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(16):
            batch = change(images[rows]) if change else images[rows]
            logits = net(batch.contiguous(memory_format=torch.channels_last).to(DEVICE))[:, 0]
            loss = binary_cross_entropy_with_logits(logits, wanted[rows].to(DEVICE))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval().cpu()


def trained(films, labels, change=None):
    """Return the course's pretrained network, fine-tuned on films."""
    torch.manual_seed(SEED)
    net = chest_resnet18().to(memory_format=torch.channels_last)
    return fit(net, films, labels, EPOCHS, 2e-3, change)


@torch.no_grad()
def auc_of(net, films, labels):
    scores = torch.cat([net(part)[:, 0] for part in tensor(films).split(128)])
    return float(roc_auc_score(labels, scores))


plain = trained(train_films, train_labels)
home_auc = auc_of(plain, home_films, home_labels)
new_auc = auc_of(plain, new_films, new_labels)
print(f"AUC at home {home_auc:.2f}, on the new scanner {new_auc:.2f}")

# %% [markdown]
# The same people, and the program is near a coin toss. Look at the films.

# %%
plt.rcParams.update({"figure.dpi": 70, "image.cmap": "gray", "font.size": 10})
fig, axes = plt.subplots(1, 3, figsize=(9, 3))
for ax, films, title in zip(axes, (home_films, new_films), ("old scanner", "scanner D")):
    ax.imshow(films[0], vmin=0, vmax=1)
    ax.set(title=f"{title}\n(generated)", xticks=[], yticks=[])
bins = np.linspace(0, 1, 60)
axes[2].hist(home_films.ravel(), bins, density=True, color="0.7")
axes[2].hist(new_films.ravel(), bins, density=True, histtype="step", color="black", lw=2)
axes[2].set(xlabel="grey value: home (grey), D (line)", yticks=[])
plt.show()

# %% [markdown]
# *In words:* left, a film of an old scanner; middle, the same person on scanner D, paler and
# grainier, with lungs that are grey instead of dark. Right, how often each grey value occurs: the
# line of scanner D lies to the right of the grey area of the old scanners.
#
# ## 2. How far is it? One number
#
# The **Wasserstein distance** asks: how far, on average, must a pixel's value move to turn one
# distribution into the other? Sort both sets of values and walk along both in step: from the
# darkest thousandth to the brightest. Average the differences. In other words, it is the mean
# absolute difference of the **quantiles**.
#
# ### Exercise 1: intensity_gap


# %% exercise="intensity_gap" points=2
def intensity_gap(home, away):
    """Return the Wasserstein distance between the values of two sets of films, a float.

    home, away: arrays of any shapes, which may differ; every value counts once.
    The mean absolute difference of the quantiles at 1000 levels: 0.0005, 0.0015, ... 0.9995.
    """
    ### BEGIN SOLUTION
    levels = (np.arange(1000) + 0.5) / 1000
    return float(np.abs(np.quantile(home, levels) - np.quantile(away, levels)).mean())
    ### END SOLUTION


# %% check="intensity_gap"
some = np.linspace(0, 1, 5000)
got = intensity_gap(some, some[::2] + 0.2)
assert np.isclose(got, 0.2, atol=0.01), (
    f"everything moved by 0.2, so the distance is 0.2; {got:.3f} came"
)
got = intensity_gap(some, 0.5 + (some - 0.5) / 2)
assert np.isclose(got, 0.125, atol=0.01), (
    f"half the contrast, the same mean: 0.125 expected, {got:.3f} came"
)

# %% hidden="setup"
import numpy as np
import torch
from scipy.stats import wasserstein_distance


def matched(films, reference):
    """Films with their own quantiles moved to the reference's."""
    levels = np.linspace(0, 1, len(reference))
    return np.stack([np.interp(f, np.quantile(f, levels), reference) for f in films])


def swapped(films, amplitude, radius, rows_only_positive=False):
    """Films with the low frequencies' amplitude replaced."""
    spectrum = np.fft.fft2(films)
    size = films.shape[1:]
    rates = [np.fft.fftfreq(n) * n for n in size]
    low = (abs(rates[0][:, None]) <= radius) & (abs(rates[1]) <= radius)
    if rows_only_positive:
        low &= (rates[0][:, None] >= 0) & (rates[1] >= 0)
    new = np.where(low, amplitude, abs(spectrum)) * np.exp(1j * np.angle(spectrum))
    return np.clip(np.fft.ifft2(new).real, 0, 1)


def some_films(rng, count=4, shape=(24, 20)):
    """Smooth random films, each with its own contrast, values inside 0 to 1."""
    films = rng.random((count, *shape)).cumsum(axis=1).cumsum(axis=2)
    films += 2 * rng.random(films.shape)
    films = films / films.max(axis=(1, 2), keepdims=True)
    return films ** rng.uniform(0.5, 2, (count, 1, 1)) * 0.8 + 0.1


def some_state(rng):
    return {
        "weight": torch.from_numpy(rng.normal(size=(3, 2)).astype(np.float32)),
        "bias": torch.from_numpy(rng.normal(size=3).astype(np.float32)),
        "num_batches_tracked": torch.tensor(int(rng.integers(1, 100))),
    }


# %% hidden="intensity_gap" points=1 about="sets of different size and shape, moved as a whole"
for _ in range(3):
    home = rng.random((20, 30, 30))
    away = rng.random((7, 25, 25)) + rng.uniform(0.1, 0.5)
    got = learner.intensity_gap(home, away)
    wanted = wasserstein_distance(home.ravel(), away.ravel())
    assert close(got, wanted, atol=5e-3), (
        f"{wanted:.3f} expected (SciPy's wasserstein_distance), {got} came: compare sorted values, not pixel with pixel"
    )

# %% hidden="intensity_gap" points=1 about="contrast counts, not only the mean"
for _ in range(3):
    home = rng.normal(0.5, 0.05, (10, 30, 30))
    away = rng.normal(0.5, rng.uniform(0.1, 0.3), (12, 28, 28))
    got = learner.intensity_gap(home, away)
    wanted = wasserstein_distance(home.ravel(), away.ravel())
    assert close(got, wanted, atol=5e-3), (
        f"{wanted:.3f} expected, {got} came: two sets may have one mean and another contrast"
    )


# %% mistake="intensity_gap" because="compares the means" keeps=1 says="another contrast"
def intensity_gap(home, away):
    return float(abs(np.mean(home) - np.mean(away)))


# %% mistake="intensity_gap" because="compares pixel with pixel" keeps=0 says="not pixel with pixel"
def intensity_gap(home, away):
    home, away = np.ravel(home), np.ravel(away)
    count = min(len(home), len(away))
    return float(np.abs(home[:count] - away[:count]).mean())


# %% [markdown] hint="intensity_gap"
# It is a distance between two sorted lists of values. The lists have different lengths, so read
# both at the same shares of the way.
#
# ---
#
# Levels `(np.arange(1000) + 0.5) / 1000`; `np.quantile(home, levels)` reads all values of an array
# of any shape.
#
# ---
#
# ```python
# levels = ...
# return float(np.abs(np.quantile(home, levels) - ...).mean())
# ```

# %% needs="intensity_gap"
for scanner in "ABC":
    gap = intensity_gap(home_films[home_scanner == scanner], train_films)
    print(f"scanner {scanner} from the training films: {gap:.3f}")
print(f"scanner D from the training films: {intensity_gap(new_films, train_films):.3f}")
exact = wasserstein_distance(new_films.ravel(), train_films.ravel())
print(f"the same by SciPy:                 {exact:.3f}")

# %% [markdown]
# Scanner D stands out before a single label is known. That is worth a daily measurement.
#
# ## 3. Bring the film back: histogram matching
#
# Give every film the grey values that the network is used to. The **reference** is a list of
# quantiles, made once from training films. For a film: take its own quantiles at the same levels,
# and move each value from its own quantile to the reference's (`np.interp`). The darkest tenth
# becomes as dark as the darkest tenth at home. The order of the values stays.
#
# One film at a time, by its own quantiles. A film's result must not depend on who else was X-rayed
# that day.
#
# ### Exercise 2: match_to


# %% exercise="match_to" points=4
def match_to(films, reference):
    """Return films (n, rows, columns) whose quantiles are those of the reference, float array.

    reference: quantiles at the levels np.linspace(0, 1, len(reference)), increasing.
    Each film by itself: its values go from its own quantiles, at the same levels, to the
    reference's, with linear interpolation (np.interp).
    Raises ValueError, which names the film ("films[3]"), when a value is not finite.
    """
    ### BEGIN SOLUTION
    levels = np.linspace(0, 1, len(reference))
    result = np.empty(np.shape(films))
    for number, film in enumerate(np.asarray(films, dtype=float)):
        if not np.isfinite(film).all():
            raise ValueError(f"films[{number}] has values that are not finite: look at this film")
        result[number] = np.interp(film, np.quantile(film, levels), reference)
    return result
    ### END SOLUTION


# %% check="match_to"
ramp = np.linspace(0, 1, 400).reshape(1, 20, 20)
target = np.linspace(0.2, 0.6, 9)
got = np.asarray(match_to(ramp, target))
assert got.shape == (1, 20, 20), f"shape (1, 20, 20) expected, {got.shape} came"
assert np.isclose(got.min(), 0.2) and np.isclose(got.max(), 0.6), (
    f"values from 0.2 to 0.6 expected, {got.min():.2f} to {got.max():.2f} came"
)
assert np.allclose(match_to(ramp**2, target), got, atol=0.02), (
    "a film with another tone curve has the same order of values: it must come out nearly the same"
)

# %% hidden="match_to" points=2 about="each film gets the reference's quantiles"
for _ in range(3):
    films, reference = some_films(rng), np.sort(rng.random(17))
    got = np.asarray(learner.match_to(films, reference), dtype=float)
    assert got.shape == films.shape, f"shape {films.shape} expected, {got.shape} came"
    levels = np.linspace(0, 1, 17)
    together = np.interp(films, np.quantile(films, levels), reference)
    assert not close(got, together, atol=1e-3), (
        "the quantiles were taken over all films together: a film must be matched by its own"
    )
    assert close(got, matched(films, reference), atol=1e-3), (
        "the values differ: np.interp(film, its own quantiles, reference), at the levels linspace(0, 1, number of quantiles)"
    )

# %% hidden="match_to" points=1 about="a film's result does not depend on other films"
films, reference = some_films(rng, 5), np.sort(rng.random(33))
alone = np.asarray(learner.match_to(films[2:3], reference), dtype=float)
among = np.asarray(learner.match_to(films, reference), dtype=float)
assert close(alone[0], among[2], atol=1e-9), (
    "the same film came out differently beside others: one day's patients must not change each other's films"
)

# %% hidden="match_to" points=1 about="a film that is not finite is refused by its number"
films = some_films(rng, 4)
films[2, 3, 4] = np.nan
error = error_from(learner.match_to, films, np.linspace(0, 1, 9))
assert error is not None, (
    "a film with NaN went through: its quantiles are not numbers, raise ValueError"
)
assert error.kind == "ValueError" and "films[2]" in error.message, (
    f"ValueError that names films[2] expected, {error.kind} came: {error.message[:80]}"
)


# %% mistake="match_to" because="takes the quantiles of all films together" keeps=1 says="matched by its own"
def match_to(films, reference):
    films = np.asarray(films, dtype=float)
    for number, film in enumerate(films):
        if not np.isfinite(film).all():
            raise ValueError(f"films[{number}] is not finite")
    levels = np.linspace(0, 1, len(reference))
    return np.interp(films, np.quantile(films, levels), reference)


# %% mistake="match_to" because="moves mean and spread only" keeps=2 says="its own quantiles, reference"
def match_to(films, reference):
    films = np.asarray(films, dtype=float)
    for number, film in enumerate(films):
        if not np.isfinite(film).all():
            raise ValueError(f"films[{number}] is not finite")
    mean, spread = films.mean(axis=(1, 2), keepdims=True), films.std(axis=(1, 2), keepdims=True)
    return (films - mean) / spread * np.std(reference) + np.mean(reference)


# %% mistake="match_to" because="lets NaN pass" keeps=3 says="a film with NaN went through"
def match_to(films, reference):
    levels = np.linspace(0, 1, len(reference))
    return np.stack([np.interp(film, np.quantile(film, levels), reference) for film in films])


# %% [markdown] hint="match_to"
# For one film: two lists of the same length, where its values are and where they should be. Which
# NumPy function walks from the first list to the second?
#
# ---
#
# `levels = np.linspace(0, 1, len(reference))`, own quantiles `np.quantile(film, levels)`, then
# `np.interp(film, own, reference)`. Loop over films; check `np.isfinite(film).all()` first.
#
# ---
#
# ```python
# levels = np.linspace(0, 1, len(reference))
# result = np.empty(np.shape(films))
# for number, film in enumerate(np.asarray(films, dtype=float)):
#     if not ...:
#         raise ValueError(f"films[{number}] ...")
#     result[number] = np.interp(film, ..., reference)
# return result
# ```

# %% [markdown]
# **Predict before you run:** scanner D has another tone curve, more noise and a softer picture.
# Which of the three can histogram matching undo?

# %% needs="match_to"
LEVELS = np.linspace(0, 1, 65)


def reference_of(films):
    """Return the average quantiles of films."""
    return np.quantile(films.reshape(len(films), -1), LEVELS, axis=1).mean(axis=1)


home_reference = reference_of(train_films)
new_matched = match_to(new_films, home_reference)
fig, axes = plt.subplots(1, 3, figsize=(9, 3))
for ax, film, title in zip(
    axes,
    (home_films[0], new_films[0], new_matched[0]),
    ("old scanner", "scanner D", "scanner D, matched"),
):
    ax.imshow(film, vmin=0, vmax=1)
    ax.set(title=f"{title}\n(generated)", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# *In words:* three films of one person. The matched film of scanner D has the dark lungs and bright
# spine of the old scanner again. It is still grainier and softer: matching moves values, it does
# not know about neighbours.

# %% tags=["demonstration"] needs="match_to"
matched_auc = auc_of(plain, new_matched, new_labels)
print(f"new scanner as it is: {new_auc:.2f}   matched: {matched_auc:.2f}   at home: {home_auc:.2f}")

# %% [markdown]
# ## 4. Another way back: swap the amplitude
#
# A picture is a sum of waves. The **phase** of the waves says where edges are: the anatomy. The
# **amplitude** says how strong each wave is: brightness, contrast, softness, much of the "style".
# So keep the phase of the film and take the amplitude of the lowest frequencies from home (Fourier
# domain adaptation, Yang and Soatto 2020).
#
# `np.fft.fft2` sorts frequencies as 0, 1, 2, ..., -2, -1 along each axis. Low means near 0 on
# **both** sides: a wave and its negative twin belong together. `np.fft.fftfreq(n) * n` gives the
# frequencies in waves per picture.
#
# ### Exercise 3: swap_amplitude


# %% exercise="swap_amplitude" points=3
def swap_amplitude(films, amplitude, radius=1):
    """Return films with the amplitude of their low frequencies replaced, cut to 0..1, float.

    films: array (n, rows, columns). amplitude: array (rows, columns), in the order of np.fft.fft2.
    A frequency is low when its row and its column frequency, in waves per picture
    (np.fft.fftfreq(n) * n), are both between -radius and radius. The phase stays everywhere.
    """
    ### BEGIN SOLUTION
    spectrum = np.fft.fft2(np.asarray(films, dtype=float))
    rows, columns = (abs(np.fft.fftfreq(n) * n) <= radius for n in np.shape(amplitude))
    low = rows[:, None] & columns[None, :]
    mixed = np.where(low, amplitude, np.abs(spectrum)) * np.exp(1j * np.angle(spectrum))
    return np.clip(np.fft.ifft2(mixed).real, 0, 1)
    ### END SOLUTION


# %% check="swap_amplitude"
one = np.random.default_rng(2).random((1, 16, 16)) * 0.5 + 0.2
own = np.abs(np.fft.fft2(one[0]))
assert np.allclose(swap_amplitude(one, own, 3), one), (
    "a film with its own amplitude is the same film: is the phase kept?"
)
brighter = own.copy()
brighter[0, 0] *= 1.2
got = np.asarray(swap_amplitude(one, brighter, 0))
assert np.isclose(got.mean(), one.mean() * 1.2), (
    f"radius 0 swaps only the mean: {one.mean() * 1.2:.2f} expected, {got.mean():.2f} came"
)

# %% hidden="swap_amplitude" points=2 about="low frequencies of both signs, the phase kept"
for radius in (1, 2, 5):
    films = some_films(rng)
    amplitude = np.abs(np.fft.fft2(some_films(rng, 3))).mean(axis=0)
    got = np.asarray(learner.swap_amplitude(films, amplitude, radius), dtype=float)
    assert got.shape == films.shape, f"shape {films.shape} expected, {got.shape} came"
    assert not close(got, swapped(films, amplitude, radius, True), atol=1e-4), (
        "only frequencies 0 to radius were swapped: their negative twins stand at the other end of each axis"
    )
    assert close(got, swapped(films, amplitude, radius), atol=1e-4), (
        "values differ: amplitude of low frequencies from the argument, phase of the film, real part of the way back, cut to 0..1"
    )

# %% hidden="swap_amplitude" points=1 about="a film with its own amplitude stays as it is"
films = some_films(rng, 1)
got = learner.swap_amplitude(films, np.abs(np.fft.fft2(films[0])), 4)
assert close(got, films, atol=1e-6), (
    "a film's own amplitude must change nothing: the phase is lost or moved"
)


# %% mistake="swap_amplitude" because="swaps one corner of the spectrum" keeps=1 says="negative twins"
def swap_amplitude(films, amplitude, radius=1):
    spectrum = np.fft.fft2(np.asarray(films, dtype=float))
    size, phase = np.abs(spectrum), np.angle(spectrum)
    size[:, : radius + 1, : radius + 1] = amplitude[: radius + 1, : radius + 1]
    return np.clip(np.fft.ifft2(size * np.exp(1j * phase)).real, 0, 1)


# %% mistake="swap_amplitude" because="loses the phase of what it swaps" keeps=0 says="the phase is lost"
def swap_amplitude(films, amplitude, radius=1):
    spectrum = np.fft.fft2(np.asarray(films, dtype=float))
    rows, columns = (abs(np.fft.fftfreq(n) * n) <= radius for n in np.shape(amplitude))
    spectrum = np.where(rows[:, None] & columns[None, :], amplitude, spectrum)
    return np.clip(np.fft.ifft2(spectrum).real, 0, 1)


# %% [markdown] hint="swap_amplitude"
# A complex number is a size and an angle. Change the size at a few places, keep the angle, put them
# together again.
#
# ---
#
# `np.abs(spectrum)` and `np.angle(spectrum)`; together: `size * np.exp(1j * angle)`. Low:
# `abs(np.fft.fftfreq(n) * n) <= radius` along each axis, both at once by broadcasting.
#
# ---
#
# ```python
# spectrum = np.fft.fft2(np.asarray(films, dtype=float))
# rows, columns = (abs(np.fft.fftfreq(n) * n) <= radius for n in np.shape(amplitude))
# low = rows[:, None] & ...
# mixed = np.where(low, ..., ...) * np.exp(1j * np.angle(spectrum))
# return np.clip(np.fft.ifft2(mixed).real, 0, 1)
# ```

# %% tags=["demonstration"] needs="swap_amplitude"
home_amplitude = np.abs(np.fft.fft2(train_films)).mean(axis=0)
swap_aucs = {}
for radius in (1, 2, 4, 48):
    swap_aucs[radius] = auc_of(plain, swap_amplitude(new_films, home_amplitude, radius), new_labels)
    print(f"amplitude from home up to frequency {radius:2}: AUC {swap_aucs[radius]:.2f}")

# %% [markdown]
# The very lowest frequencies help. More is worse: the amplitude at frequency 4 and above is also
# how strong *this* person's lesion shows, and the swap replaces it by everybody's average. Which
# radius is best was seen with labels of the new scanner. So we keep the smallest, which could be
# chosen without.
#
# ## 5. Prevent it: a network that minds less
#
# Mitigation comes after the fact. Two ways to be ready before:
#
# **Train on variation.** Bend the tone curve, add noise, blur: at random, for every batch. Not
# scanner D's values (nobody knows them yet), but a range that any scanner might have.
#
# **Train on more sites without moving a film.** In *federated averaging* every hospital trains the
# shared network on its own films for a while and sends back only the weights. The average of the
# weights, in proportion to the number of films, is the next shared network.
#
# ### Exercise 4: federated_average


# %% exercise="federated_average" points=3
def federated_average(states, counts):
    """Return the average of networks' states, weighted by how many films each was trained on.

    states: list of dicts from name to tensor, all with the same names and shapes.
    counts: number of films of each. Floating tensors are averaged with weights counts / sum(counts)
    and keep their dtype; tensors of whole numbers (such as num_batches_tracked) are taken from the
    first state. The states given are not changed.
    """
    ### BEGIN SOLUTION
    total = sum(counts)
    average = {}
    for name, first in states[0].items():
        if first.is_floating_point():
            parts = [state[name] * (n / total) for state, n in zip(states, counts, strict=True)]
            average[name] = torch.stack(parts).sum(dim=0)
        else:
            average[name] = first.clone()
    return average
    ### END SOLUTION


# %% check="federated_average"
two = [{"w": torch.tensor([0.0, 4.0])}, {"w": torch.tensor([4.0, 4.0])}]
got = federated_average(two, [300, 100])["w"]
assert torch.allclose(got, torch.tensor([1.0, 4.0])), (
    f"3 parts of 0 and 1 part of 4 make 1; {got.tolist()} came: weight by the number of films"
)

# %% hidden="federated_average" points=2 about="weighted by the number of films"
for _ in range(3):
    states = [some_state(rng) for _site in range(3)]
    counts = [int(n) for n in rng.integers(10, 500, 3)]
    got = learner.federated_average(states, counts)
    assert set(got.keys()) == set(states[0]), f"names {sorted(states[0])} expected"
    for name in ("weight", "bias"):
        stack = np.stack([state[name].numpy() for state in states])
        value = np.asarray(got[name])
        assert not close(value, stack.mean(axis=0), atol=1e-4), (
            "this is the plain mean: a hospital with ten times the films counts ten times"
        )
        assert close(value, np.average(stack, axis=0, weights=counts), atol=1e-4), (
            "the average differs: sum of state times count, divided by the sum of counts"
        )

# %% hidden="federated_average" points=1 about="whole numbers stay whole"
states = [some_state(rng) for _site in range(2)]
got = np.asarray(learner.federated_average(states, [30, 70])["num_batches_tracked"])
assert np.issubdtype(got.dtype, np.integer), (
    f"num_batches_tracked counts batches, but came back as {got.dtype}: whole numbers are taken from the first state"
)
assert int(got) == int(states[0]["num_batches_tracked"]), "whole numbers: from the first state"


# %% mistake="federated_average" because="averages without weights" keeps=1 says="counts ten times"
def federated_average(states, counts):
    return {
        name: torch.stack([state[name] for state in states]).mean(dim=0)
        if first.is_floating_point()
        else first
        for name, first in states[0].items()
    }


# %% mistake="federated_average" because="averages counters too" keeps=2 says="whole numbers are taken from the first state"
def federated_average(states, counts):
    total = sum(counts)
    return {
        name: sum(state[name] * (n / total) for state, n in zip(states, counts, strict=True))
        for name in states[0]
    }


# %% [markdown] hint="federated_average"
# One loop over the names. For every name, one weighted sum over the hospitals.
#
# ---
#
# `state[name] * (n / total)`, summed over `zip(states, counts)`. Ask `tensor.is_floating_point()`
# first; what is no floating tensor is `states[0][name].clone()`.
#
# ---
#
# ```python
# total = sum(counts)
# average = {}
# for name, first in states[0].items():
#     if first.is_floating_point():
#         parts = [state[name] * ... for state, n in zip(states, counts)]
#         average[name] = torch.stack(parts).sum(dim=0)
#     else:
#         average[name] = ...
# return average
# ```


# %% tags=["demonstration"] needs="match_to federated_average"
def vary(batch):
    """Return films with a random tone curve and noise each; half of the batches blurred."""
    count = len(batch)
    bend = torch.empty(count, 1, 1, 1).uniform_(-0.7, 0.7).exp()
    batch = batch.clamp(1e-4, 1) ** bend
    batch = batch + 0.1 * torch.rand(count, 1, 1, 1) * torch.randn_like(batch)
    if torch.rand(1) < 0.5:
        batch = gaussian_blur(batch, 5, float(torch.empty(1).uniform_(0.3, 1.4)))
    return batch.clamp(0, 1)


varied = trained(train_films, train_labels, change=vary)
torch.manual_seed(SEED)
shared = chest_resnet18()
for _round in range(pick(ci=3, laptop=6, gpu=10)):
    states, counts = [], []
    for scanner in "ABC":
        own = train_scanner == scanner
        local = fit(copy.deepcopy(shared), train_films[own], train_labels[own], 3, 1e-3)
        states.append(local.state_dict())
        counts.append(int(own.sum()))
    shared.load_state_dict(federated_average(states, counts))
    shared.eval()

nets = {"trained as usual": plain, "trained on variation": varied, "federated, 3 sites": shared}
found = {}
print("AUC                    home   new scanner   new scanner, matched")
for name, net in nets.items():
    sets = ((home_films, home_labels), (new_films, new_labels), (new_matched, new_labels))
    found[name] = [auc_of(net, films, labels) for films, labels in sets]
    print(f"{name:20}   {found[name][0]:.2f}   {found[name][1]:11.2f}   {found[name][2]:20.2f}")

# %% [markdown]
# Variation in training is worth most together with matching: the one brings the values back, the
# other has taught the network to live with noise and softness. The federated network is as good at
# home as the one trained on all films in one place, and no film left its hospital. It is no remedy
# for a scanner that none of the sites has.
#
# ## 6. A result that was bought
#
# A colleague reports: *"I matched all training films to scanner D and trained on those. I used no
# label of scanner D. The unseen scanner now gets about .9, and a new patient's film needs no
# preparation at all."*
#
# **Predict before you run:** what happens on the next new scanner, E?
#
# Scanner E is made here from the home test films: a tone curve bent the other way, some blur and
# noise. Nothing of it was used by anyone.


# %% tags=["demonstration"] needs="match_to"
noise = np.random.default_rng([SEED, 1]).normal(0, 0.03, home_films.shape)
bent = gaussian_blur(tensor(home_films**2.2), 5, 0.7)[:, 0].numpy()
next_films = np.clip(bent + noise, 0, 1).astype(np.float32)
bought = trained(match_to(train_films, reference_of(new_films)), train_labels)

table = {
    "colleague's: trained towards D's test films": (
        auc_of(bought, new_films, new_labels),
        auc_of(bought, next_films, home_labels),
    ),
    "yours: variation, matched to home": (
        auc_of(varied, new_matched, new_labels),
        auc_of(varied, match_to(next_films, home_reference), home_labels),
    ),
}
print("AUC on scanner                                   D      E")
for name, values in table.items():
    print(f"{name:44}  {values[0]:.2f}   {values[1]:.2f}")

fig, ax = plt.subplots(figsize=(6.5, 3))
for (name, values), style in zip(table.items(), ("s--", "o-")):
    ax.plot([0, 1], values, style, color="black", label=name)
ax.set(xticks=[0, 1], xticklabels=["D (reported)", "E (the next one)"], ylabel="AUC")
ax.set(ylim=(0.3, 1.02), xlim=(-0.3, 1.3), title="generated films")
ax.legend(loc="lower left", fontsize=8)
plt.show()

# %% [markdown]
# *In words:* two lines from scanner D on the left to scanner E on the right. The dashed line of the
# colleague starts near .9 and falls to a coin toss or below. The solid line stays level, above .9.
#
# No label leaked. The **statistics** did: the reference was made from the very films that the
# report calls unseen. That network is a network for scanner D, measured on scanner D. It may be of
# use there, if somebody says so. As evidence for "works on unseen scanners" it is void.
#
# The rule: a reference, a mean, a threshold, a radius, and the choice among methods come from
# training sites. What comes from the test site may come only from the one film that is being read.
#
# ## 7. In your own words
#
# The head of radiology writes: *"The new machine goes live on Monday. Your program is worse on it,
# you say, and you have a correction. May we use it on Monday, what should we watch, and what do
# you need from us?"*
#
# Answer in at most 150 words, without the words distribution, histogram, AUC or domain.

# %% [markdown] written="explain_the_new_machine" points=2 rubric="clinician-answer"
# Please do not use the program on Monday's films. On the new machine it can hardly tell sick from
# healthy, although the films look good to you: grey values and grain differ from all films it
# learned from.
#
# We can bring the grey values of each film back to what the program knows. In a trial this restored
# most of its ability, but that trial used simulated films. It does not undo the grain, and we have
# not tried it on your patients.
#
# From the new machine we need some hundred films with your own reading, sick and healthy. We will
# test the corrected program on them once, without adjusting anything to them, and tell you how many
# pneumonias it misses.
#
# Afterwards, please keep a daily comparison of the films' brightness with the old machines'. If it
# jumps, the program stops until we have looked.

# %% [markdown]
# ## 8. The figures of this unit

# %% tags=["demonstration"] needs="match_to swap_amplitude federated_average"
best = max(matched_auc, found["trained on variation"][2])
FIGURES = {
    "home_auc": home_auc,
    "new_scanner_auc_wrong": new_auc,
    "scanner_cost": home_auc - new_auc,
    "matched_auc": matched_auc,
    "swapped_auc": swap_aucs[1],
    "varied_auc": found["trained on variation"][1],
    "varied_matched_auc": found["trained on variation"][2],
    "federated_home_auc": found["federated, 3 sites"][0],
    "won_back": (best - new_auc) / (home_auc - new_auc),
    "next_scanner_auc": table["yours: variation, matched to home"][1],
    "next_scanner_auc_wrong": table["colleague's: trained towards D's test films"][1],
    "reported_auc_wrong": table["colleague's: trained towards D's test films"][0],
}
for name, value in FIGURES.items():
    print(f"{name:24} {value:.2f}")
assert FIGURES["scanner_cost"] >= 0.15, "the unseen scanner no longer costs much"
assert FIGURES["won_back"] >= 0.5, "the best mitigation no longer wins back half"
assert FIGURES["next_scanner_auc"] >= FIGURES["next_scanner_auc_wrong"] + 0.1, (
    "statistics of the test site no longer betray themselves on the next scanner"
)

# %% [markdown]
# ## What you have now
#
# - `intensity_gap`: how far a scanner is from those that the network knows, without labels.
# - `match_to`, `swap_amplitude`: two ways back, one film at a time.
# - `federated_average`: one network from several hospitals, no film moved.
# - A rule for what may come from the test site: the one film that is being read.
#
# Where real life is harder: a new scanner often comes with new patients, so that distance mixes
# both; processing inside the machine changes edges, not only values; and weights that hospitals
# exchange can tell something about the films they came from.
