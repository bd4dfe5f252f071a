# %% [markdown]
# # A reader study that can carry its claim
#
# A screening service wants to let a model decide which people with diabetes see an eye doctor.
# The vendor's leaflet says: *"less than 1 point of sensitivity lost against ophthalmologists,
# p < 0.001"*. It rests on 60 people with disease. You are asked to sign.
#
# **One new idea: the sample decides which claims can be made, and it does so before the first
# patient is seen. A claim that the sample cannot carry is refused, whatever the data say.**
#
# You will plan how many patients a study needs, measure how far a panel of ophthalmologists
# agrees, build a reference from it, put intervals around results from two eyes of one person,
# test for non-inferiority, and write the software that refuses the leaflet. At the end you write
# the protocol.
#
# What this unit does not cover: how the model was trained (`retinopathy-fusion`), studies with
# many readers as random effects, comparisons of AUC, and what a regulator asks beyond statistics.

# %% tags=["parameters"]
SEED = 0

# %% [markdown]
# ## 1. How many patients?
#
# Real studies first, so that the sizes mean something.
#
# | published, not from this notebook | |
# |---|---|
# | IDx-DR in primary care: [Abràmoff and others 2018](https://doi.org/10.1038/s41746-018-0040-6), the trial behind the first authorised autonomous system | 900 people enrolled, 198 (23.8 %) with disease; sensitivity 87.2 % (95 % interval 81.8 to 91.2), specificity 90.7 % (88.3 to 92.7) |
# | APTOS 2019 (fundus photographs, terms of the Kaggle competition) | agreement of networks with the labels, quadratic weighted kappa: ResNet-50 .888, ViT-B/16 .884 |
# | Kermany chest films (CC BY 4.0) | the official test folder holds 390 films with pneumonia |
#
# Everything else below is **generated**: no patient and no doctor stands behind it. In return we
# know the truth, so we can check whether a method keeps its promise.
#
# Sensitivity is a share of the people **with** disease. Let $p$ be the sensitivity you expect and
# $h$ the half-width that your interval may have. With $z$ the normal quantile of a two-sided
# interval ($z$ = 1.96 for 95 %):
#
# $$n_{\text{positive}} = \frac{z^2\, p\,(1-p)}{h^2}$$
#
# Round up: half a patient cannot be recruited. People with disease do not come sorted, so divide
# the rounded number by the prevalence, and round up again.
#
# **Predict before you run:** halving the half-width from 5 to 2.5 points needs how many times the
# patients?

# %%
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

rng = np.random.default_rng(SEED)
matplotlib.rcParams.update({"figure.dpi": 70, "font.size": 10})

for half_width in (0.10, 0.05, 0.025, 0.01):
    positives = stats.norm.ppf(0.975) ** 2 * 0.87 * 0.13 / half_width**2
    print(f"half-width {100 * half_width:4.1f} points: {positives:7.1f} people with disease")

# %% [markdown]
# Four times. Precision is paid for by the square.
#
# ### Exercise 1: patients_needed


# %% exercise="patients_needed" points=3
def patients_needed(sensitivity, half_width, prevalence, level=0.95):
    """Return (positives, patients): how many a study of sensitivity needs.

    sensitivity: expected, between 0 and 1. half_width: of the two-sided interval, above 0.
    prevalence: share of patients with disease, above 0, at most 1. level: of the interval.
    positives: people with disease, rounded up. patients: all people, from the rounded positives,
    rounded up. Both are ints.
    Raises ValueError when sensitivity, prevalence or level is not a share as said, or half_width
    is not above 0.
    """
    ### BEGIN SOLUTION
    if not (0 < sensitivity < 1 and 0 < level < 1 and 0 < prevalence <= 1 and half_width > 0):
        raise ValueError("sensitivity, level and prevalence are shares, half_width is above 0")
    z = stats.norm.ppf((1 + level) / 2)
    positives = int(np.ceil(z**2 * sensitivity * (1 - sensitivity) / half_width**2))
    return positives, int(np.ceil(positives / prevalence))
    ### END SOLUTION


# %% check="patients_needed"
plan = patients_needed(0.87, 0.05, 0.238)
assert len(plan) == 2, f"return two numbers, positives and patients; {plan} came"
assert plan[0] == 174, (
    f"174 people with disease expected, {plan[0]} came: two-sided 95 % means z = 1.96; round up"
)
assert plan[1] == 732, f"174 / 0.238 rounded up is 732 patients, {plan[1]} came"
try:
    patients_needed(87, 0.05, 0.238)
    refused = False
except ValueError:
    refused = True
assert refused, "a sensitivity of 87 is no share: raise ValueError"

# %% hidden="setup"
import numpy as np
from scipy import optimize, special, stats
from sklearn.metrics import cohen_kappa_score


def plan_case(rng):
    """A plan whose numbers lie clearly between two whole ones, and what it needs."""
    while True:
        sensitivity, half_width = rng.uniform(0.7, 0.95), rng.uniform(0.02, 0.08)
        prevalence, level = rng.uniform(0.05, 0.4), float(rng.choice([0.9, 0.95, 0.99]))
        z = stats.norm.isf((1 - level) / 2)
        raw = z * z * sensitivity * (1 - sensitivity) / half_width**2
        patients = np.ceil(raw) / prevalence
        if 0.05 < raw % 1 < 0.45 and 0.05 < patients % 1 < 0.45:
            break
    case = [float(v) for v in (sensitivity, half_width, prevalence, level)]
    return case, raw, patients


def two_readers(rng, count=200):
    """Grades 0 to 4 of two readers who often agree; not every grade need occur."""
    severity = rng.normal(size=count)
    cuts = [0.2, 0.8, 1.4, 1.9]
    first = np.digitize(severity + 0.3 * rng.normal(size=count), cuts)
    second = np.digitize(severity + 0.2 + 0.3 * rng.normal(size=count), cuts)
    return first, second


def panel_case(rng, count=60):
    grades = np.digitize(
        rng.normal(0.8, 1, (count, 1)) + rng.normal(0, 0.6, (count, 3)), [0, 0.8, 1.5, 2]
    )
    adjudicator = rng.integers(0, 5, size=count)
    grades[:6] = [[0, 1, 4], [2, 2, 1], [2, 3, 4], [1, 1, 1], [0, 4, 4], [1, 0, 2]]
    adjudicator[:6] = [0, 1, 0, 4, 1, 2]
    order = rng.permutation(count)
    grades, adjudicator = grades[order], adjudicator[order]
    asked = ~((grades >= 2).all(axis=1) | (grades < 2).all(axis=1))
    truth = np.where(asked, adjudicator >= 2, (grades >= 2).all(axis=1))
    return grades, adjudicator, truth, asked


def eyes_case(rng, patients=90):
    """Two eyes of most patients, alike within a patient; rows in random order."""
    eyes = 1 + (rng.random(patients) < 0.7)
    chance = rng.beta(1.6, 0.4, patients)
    patient = np.repeat(rng.permutation(patients) + 500, eyes)
    hits = rng.random(len(patient)) < np.repeat(chance, eyes)
    order = rng.permutation(len(patient))
    return hits[order], patient[order]


def cluster_variance(hits, patient):
    """Variance of a share whose rows come in patients, patient by patient (Rao and Scott 1992)."""
    share = hits.mean()
    rests = [(hits[patient == who] - share).sum() for who in np.unique(patient)]
    return float(np.sum(np.square(rests))) / len(hits) ** 2


def wilson(share, count, level=0.95):
    """Wilson's interval as the two roots of (p - share)^2 = z^2 p (1 - p) / count."""
    z2 = stats.chi2.ppf(level, 1)
    roots = np.roots([1 + z2 / count, -(2 * share + z2 / count), share**2])
    return float(roots.min()), float(roots.max())


def score_p(gained, lost, count, margin):
    """Score test of 'loss = margin' with the likelihood maximised by search, not by formula."""

    def unlikely(q):  # q: model missed, reader hit; the other share is q - margin
        counts = np.array([gained, lost, count - gained - lost])
        return -special.xlogy(counts, np.maximum([q - margin, q, 1 + margin - 2 * q], 0)).sum()

    edges = margin, (1 + margin) / 2
    inside = optimize.minimize_scalar(
        unlikely, bounds=edges, method="bounded", options={"xatol": 1e-12}
    )
    q = min((margin, inside.x), key=unlikely)
    z = (gained - lost + count * margin) / np.sqrt(count * (2 * q - margin * (1 + margin)))
    return float(stats.norm.sf(z))


def pairs(rng, gained, lost, both, neither):
    """Two arrays of hits with these counts, in random order."""
    table = (
        [(True, False)] * gained
        + [(False, True)] * lost
        + [(True, True)] * both
        + [(False, False)] * neither
    )
    table = np.array(table)[rng.permutation(len(table))]
    return table[:, 0], table[:, 1]


# %% hidden="patients_needed" points=1 about="the number of people with disease, for any level"
for _ in range(4):
    case, raw, patients = plan_case(rng)
    got = learner.patients_needed(*case)
    one_sided = stats.norm.ppf(case[3]) ** 2 * case[0] * (1 - case[0]) / case[1] ** 2
    assert not close(got[0], np.ceil(one_sided)), (
        "an interval has two sides: z belongs to (1 + level) / 2"
    )
    assert not close(got[0], np.floor(raw)), (
        "round up: with one person fewer the interval is too wide"
    )
    assert close(got[0], np.ceil(raw)), (
        f"{np.ceil(raw):.0f} people with disease expected, {got[0]} came"
    )

# %% hidden="patients_needed" points=1 about="the number of patients follows from the prevalence"
for _ in range(4):
    case, raw, patients = plan_case(rng)
    got = learner.patients_needed(*case)
    assert not close(got[0], got[1]), (
        "people with disease are only a share of those who come: divide by the prevalence"
    )
    assert not close(got[1], np.floor(patients)), "round the patients up, too"
    assert close(got[1], np.ceil(np.ceil(raw) / case[2])), (
        f"{np.ceil(patients):.0f} patients expected, {got[1]} came: rounded positives / prevalence, rounded up"
    )

# %% hidden="patients_needed" points=1 about="numbers that are no shares are refused"
for name, case in {
    "a prevalence of 0": (0.87, 0.05, 0.0),
    "a sensitivity of 87": (87.0, 0.05, 0.2),
    "a half-width of 0": (0.87, 0.0, 0.2),
    "a level of 95": (0.87, 0.05, 0.2, 95.0),
}.items():
    error = error_from(learner.patients_needed, *case)
    assert error is not None and error.kind == "ValueError", f"{name}: expected ValueError"


# %% mistake="patients_needed" because="forgets the prevalence" keeps=2 says="divide by the prevalence"
def patients_needed(sensitivity, half_width, prevalence, level=0.95):
    if not (0 < sensitivity < 1 and 0 < level < 1 and 0 < prevalence <= 1 and half_width > 0):
        raise ValueError("shares, please")
    z = stats.norm.ppf((1 + level) / 2)
    positives = int(np.ceil(z**2 * sensitivity * (1 - sensitivity) / half_width**2))
    return positives, positives


# %% mistake="patients_needed" because="takes the one-sided z" keeps=1 says="two sides"
def patients_needed(sensitivity, half_width, prevalence, level=0.95):
    if not (0 < sensitivity < 1 and 0 < level < 1 and 0 < prevalence <= 1 and half_width > 0):
        raise ValueError("shares, please")
    z = stats.norm.ppf(level)
    positives = int(np.ceil(z**2 * sensitivity * (1 - sensitivity) / half_width**2))
    return positives, int(np.ceil(positives / prevalence))


# %% mistake="patients_needed" because="rounds down and refuses nothing" keeps=0 says="round up"
def patients_needed(sensitivity, half_width, prevalence, level=0.95):
    z = stats.norm.ppf((1 + level) / 2)
    positives = int(z**2 * sensitivity * (1 - sensitivity) / half_width**2)
    return positives, int(positives / prevalence)


# %% [markdown] hint="patients_needed"
# Two steps: first count only people with disease. Then ask how many must come through the door to
# find that many.
#
# ---
#
# z is the normal quantile at (1 + level) / 2. positives = ceil(z² p (1 - p) / h²), patients =
# ceil(positives / prevalence). Check the arguments before you compute.
#
# ---
#
# ```python
# if not (0 < sensitivity < 1 and ...):
#     raise ValueError(...)
# z = stats.norm.ppf(...)
# positives = int(np.ceil(...))
# return positives, int(np.ceil(...))
# ```

# %% [markdown]
# ### Does the plan keep its promise?
#
# A plan can be tested before it costs anything: run the study 20,000 times on the computer, with a
# true sensitivity that you choose, and count. The formula promises that the estimate lies within
# the half-width of the truth in 95 % of studies.

# %% tags=["demonstration"] needs="patients_needed"
STUDIES = 20000
positives, patients = patients_needed(0.87, 0.05, 0.238)
found = rng.binomial(patients, 0.238, size=STUDIES)  # how many have disease is chance, too
estimates = rng.binomial(found, 0.87) / found
planned_precision = float(np.mean(np.abs(estimates - 0.87) <= 0.05))
wasted = rng.binomial(174, 0.238, size=STUDIES)  # 174 patients in all: the prevalence forgotten
planned_precision_wrong = float(np.mean(np.abs(rng.binomial(wasted, 0.87) / wasted - 0.87) <= 0.05))
print(f"{patients} patients: within 5 points in {100 * planned_precision:.0f} % of studies")
print(f"174 patients:      within 5 points in {100 * planned_precision_wrong:.0f} % of studies")
assert abs(planned_precision - 0.95) <= 0.02, "the plan does not keep its 95 %"

# %% [markdown]
# ## 2. A study, generated
#
# Each person has a severity; the two eyes of a person share most of it. Each photograph has a
# quality that all readers see alike. Every reader adds a habit and some noise, part of it alike in
# both eyes of a person, since lens, pigment and camera are. Grades are on the usual scale: 0 none,
# 1 mild, 2 moderate, 3 severe, 4 proliferative. **Referable** means grade 2 or more: this person
# should see an eye doctor.
#
# Three ophthalmologists form the panel. A fourth, more careful, is asked only when needed: the
# adjudicator. A fifth ophthalmologist is the one that the model is compared with, and has no part
# in the reference. The numbers of the generator are chosen, not taken from a clinic.

# %%
CUTS = [0.25, 0.85, 1.40, 1.90]  # severity at which grades 1 to 4 begin
READERS = {  # habit (shift of the severity), noise
    "panel A": (0.00, 0.35),
    "panel B": (0.15, 0.35),
    "panel C": (-0.15, 0.35),
    "adjudicator": (0.00, 0.15),
    "ophthalmologist": (0.00, 0.35),
    "model": (0.00, 0.35),
}
ALIKE = 0.7  # share of a reader's noise (variance) that both eyes of a person have in common


def generate_study(rng, patients):
    """Return grades of every reader for both eyes of each patient, and the truth; all generated."""
    person = np.repeat(np.arange(patients), 2)
    severity = np.sqrt(0.75) * rng.normal(size=patients)[person]
    severity = severity + np.sqrt(0.25) * rng.normal(size=2 * patients)
    seen = severity + 0.15 * rng.normal(size=2 * patients)  # what the photograph shows
    study = {"patient": person, "truth": np.digitize(severity, CUTS)}
    for name, (habit, noise) in READERS.items():
        error = np.sqrt(ALIKE) * rng.normal(size=patients)[person]
        error = error + np.sqrt(1 - ALIKE) * rng.normal(size=2 * patients)
        study[name] = np.digitize(seen + habit + noise * error, CUTS)
    return study


study = generate_study(rng, 1700)
panel = np.column_stack([study[f"panel {letter}"] for letter in "ABC"])
print(f"{len(panel)} eyes of {len(set(study['patient']))} people (generated)")
print("eyes by true grade:", np.bincount(study["truth"], minlength=5))
for eye in np.flatnonzero(panel.min(axis=1) < panel.max(axis=1))[:4]:
    print(f"eye {eye:2}: panel {panel[eye]}, adjudicator {study['adjudicator'][eye]}")

# %% [markdown]
# ## 3. How far do readers agree?
#
# Two readers who call most eyes healthy agree often by chance alone. **Cohen's kappa** takes that
# out. Count how often reader one gives grade $i$ while reader two gives $j$, as shares $o_{ij}$.
# By chance alone it would be $e_{ij}$ = (share of $i$ by reader one) times (share of $j$ by reader
# two). Give each disagreement a weight $w_{ij}$, 0 on the diagonal:
#
# $$\kappa = 1 - \frac{\sum w_{ij}\, o_{ij}}{\sum w_{ij}\, e_{ij}}$$
#
# | weights | $w_{ij}$ | used for |
# |---|---|---|
# | none | 1 for every $i \ne j$ | grades without an order |
# | quadratic | $(i - j)^2$ | grades with an order: 0 against 4 is worse than 0 against 1 |
#
# Two readers who both give one single grade to all eyes leave 0 / 0. Kappa is then not defined,
# and software should say so.
#
# **Predict before you run:** which will be higher for these readers, plain or quadratic kappa?
#
# ### Exercise 2: kappa


# %% exercise="kappa" points=3
def kappa(first, second, grades=5, weights="none"):
    """Return Cohen's kappa of two readers as a float.

    first, second: whole-number arrays of equal length with values 0 to grades - 1.
    weights: "none" or "quadratic". Raises ValueError for other weights, for lengths that differ,
    and when the disagreement expected by chance is 0.
    """
    ### BEGIN SOLUTION
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} and {len(second)} grades: each eye needs both")
    i, j = np.indices((grades, grades))
    if weights not in ("none", "quadratic"):
        raise ValueError(f"weights {weights!r}: say none or quadratic")
    weight = (i != j).astype(float) if weights == "none" else (i - j) ** 2.0
    observed = np.zeros((grades, grades))
    np.add.at(observed, (first, second), 1 / len(first))
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0))
    if (weight * expected).sum() == 0:
        raise ValueError("both readers gave one grade to all eyes: kappa is not defined")
    return float(1 - (weight * observed).sum() / (weight * expected).sum())
    ### END SOLUTION


# %% check="kappa"
one, two = np.array([0, 0, 1, 2, 4, 1]), np.array([0, 1, 1, 2, 3, 4])
plain, squared = kappa(one, two), kappa(one, two, weights="quadratic")
assert abs(kappa(one, one) - 1) < 1e-9, "a reader against the same reader: kappa 1 expected"
assert abs(plain - 0.3571) < 1e-3, (
    f"plain kappa .3571 expected, {plain:.4f} came: is the expectation the product of both margins?"
)
assert abs(squared - 0.5352) < 1e-3, (
    f"quadratic kappa .5352 expected, {squared:.4f} came: weights are (i - j) squared"
)
try:
    kappa([0, 0], [0, 0])
    refused = False
except ValueError:
    refused = True
assert refused, "one single grade by both: kappa is not defined, raise ValueError"

# %% hidden="kappa" points=1 about="plain kappa, as scikit-learn computes it"
for _ in range(3):
    first, second = two_readers(rng)
    got = learner.kappa(first, second)
    wanted = cohen_kappa_score(first, second, labels=range(5))
    agree = np.mean(first == second)
    assert not close(got, agree), "that is the share of agreement: chance is still in it"
    assert not close(got, (agree - 0.2) / 0.8), (
        "chance is not 1 in 5: it follows from how often each reader gives each grade"
    )
    assert close(got, wanted), f"plain kappa: {wanted:.4f} expected, {got} came"

# %% hidden="kappa" points=1 about="quadratic weights, also when a grade does not occur"
for drop in (False, True):
    first, second = two_readers(rng)
    if drop:
        first, second = np.where(first == 3, 4, first), np.where(second == 3, 4, second)
    got = learner.kappa(first, second, weights="quadratic")
    wanted = cohen_kappa_score(first, second, labels=range(5), weights="quadratic")
    linear = cohen_kappa_score(first, second, labels=range(5), weights="linear")
    assert not close(got, linear), "these are linear weights: square the distance"
    assert close(got, wanted), f"quadratic kappa: {wanted:.4f} expected, {got} came"

# %% hidden="kappa" points=1 about="what has no kappa is refused"
error = error_from(learner.kappa, [2, 2, 2], [2, 2, 2])
assert error is not None and error.kind == "ValueError", (
    "both readers gave grade 2 to all eyes: expected ValueError, since 0 / 0 is no kappa"
)
error = error_from(learner.kappa, [0, 1, 2], [0, 1])
assert error is not None and error.kind == "ValueError", "3 and 2 grades: expected ValueError"
error = error_from(learner.kappa, [0, 1, 2], [0, 1, 1], 5, "cubic")
assert error is not None and error.kind == "ValueError", "weights 'cubic': expected ValueError"


# %% mistake="kappa" because="takes one chance for all grades" keeps=0 says="chance is not 1 in 5"
def kappa(first, second, grades=5, weights="none"):
    agree = float(np.mean(np.asarray(first) == np.asarray(second)))
    return (agree - 1 / grades) / (1 - 1 / grades)


# %% mistake="kappa" because="weights by distance, not by its square" keeps=2 says="square the distance"
def kappa(first, second, grades=5, weights="none"):
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape or weights not in ("none", "quadratic"):
        raise ValueError("not like this")
    i, j = np.indices((grades, grades))
    weight = (i != j).astype(float) if weights == "none" else np.abs(i - j)
    observed = np.zeros((grades, grades))
    np.add.at(observed, (first, second), 1 / len(first))
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0))
    if (weight * expected).sum() == 0:
        raise ValueError("not defined")
    return float(1 - (weight * observed).sum() / (weight * expected).sum())


# %% mistake="kappa" because="returns NaN where kappa is not defined" keeps=2 says="0 / 0"
def kappa(first, second, grades=5, weights="none"):
    first, second = np.asarray(first), np.asarray(second)
    i, j = np.indices((grades, grades))
    weight = (i != j).astype(float) if weights == "none" else (i - j) ** 2.0
    observed = np.zeros((grades, grades))
    np.add.at(observed, (first, second), 1 / len(first))
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0))
    with np.errstate(invalid="ignore"):
        return float(1 - (weight * observed).sum() / (weight * expected).sum())


# %% [markdown] hint="kappa"
# Make a table of 5 x 5 counts first. Everything else is sums over that table.
#
# ---
#
# observed = table / number of eyes. expected = outer product of its row sums and its column sums.
# kappa = 1 - sum(weight · observed) / sum(weight · expected).
#
# ---
#
# ```python
# i, j = np.indices((grades, grades))
# weight = ... if weights == "none" else ...
# observed = np.zeros((grades, grades))
# np.add.at(observed, (first, second), 1 / len(first))
# expected = np.outer(observed.sum(axis=...), observed.sum(axis=...))
# if ...:
#     raise ValueError(...)
# return float(1 - ... / ...)
# ```

# %% [markdown]
# Cohen's kappa takes two readers. For a panel of three or more there is **Fleiss' kappa**: the
# same idea, with chance from the grades of all readers together. It knows no order of grades. We
# give it to you.


# %%
def fleiss_kappa(panel, grades=5):
    """Return Fleiss' kappa of a panel; panel: shape (eyes, readers), grades from 0."""
    counts = np.stack([(panel == grade).sum(axis=1) for grade in range(grades)], axis=1)
    readers = panel.shape[1]
    agreement = ((counts * (counts - 1)).sum(axis=1) / (readers * (readers - 1))).mean()
    chance = ((counts.sum(axis=0) / counts.sum()) ** 2).sum()
    return float((agreement - chance) / (1 - chance))


# %% needs="kappa"
pairs = {
    f"{'ABC'[a]} and {'ABC'[b]}": (panel[:, a], panel[:, b]) for a, b in ((0, 1), (0, 2), (1, 2))
}
kappas = {name: (kappa(*two), kappa(*two, weights="quadratic")) for name, two in pairs.items()}
print("two readers   plain   quadratic")
for name, (plain, squared) in kappas.items():
    print(f"{name}        {plain:.2f}    {squared:.2f}")
print(f"Fleiss, all three: {fleiss_kappa(panel):.2f} on five grades,", end=" ")
print(f"{fleiss_kappa((panel >= 2).astype(int)):.2f} on referable or not")
referable = (panel >= 2).mean(axis=0)
print("each calls referable:", ", ".join(f"{100 * share:.0f} %" for share in referable))

# %% [markdown]
# Quadratic kappa looks far better: most disagreements are one grade apart. It is the same panel.
# A paper that says "kappa .8" without naming the weights says little. And no kappa says who is
# right: B sends more people on than C, and kappa does not know which of them to believe.
#
# ## 4. A reference from a panel
#
# The model shall be held against something firmer than one reader. The rule of this study, fixed
# before reading begins:
#
# - Each of the three panel readers grades alone. What counts is referable (grade 2 or more) or not.
# - Where **all three** agree on that, it is the reference. They need not give the same grade.
# - Every other eye goes to the adjudicator, whose decision stands, even against a majority.
#
# An eye that should have gone to the adjudicator and has no grade (-1) is a hole in the study. It
# must not be filled silently.
#
# ### Exercise 3: adjudicated


# %% exercise="adjudicated" points=2
def adjudicated(panel, adjudicator):
    """Return (reference, asked): two bool arrays, one value per eye.

    panel: shape (eyes, readers), grades 0 to 4. adjudicator: shape (eyes,), grades, -1 where there
    is none. reference: referable (grade 2 or more). asked: the eyes the adjudicator decided.
    Raises ValueError naming the first eye (its index) that needs the adjudicator and has -1.
    """
    ### BEGIN SOLUTION
    votes = np.asarray(panel) >= 2
    adjudicator = np.asarray(adjudicator)
    asked = votes.any(axis=1) & ~votes.all(axis=1)
    holes = np.flatnonzero(asked & (adjudicator < 0))
    if len(holes):
        raise ValueError(f"eye {holes[0]} needs the adjudicator and has no grade")
    return np.where(asked, adjudicator >= 2, votes[:, 0]), asked
    ### END SOLUTION


# %% check="adjudicated"
grades = np.array([[0, 1, 1], [2, 3, 4], [2, 2, 1], [0, 0, 4]])
reference, asked = adjudicated(grades, np.array([-1, -1, 0, 3]))
assert list(asked) == [False, False, True, True], (
    f"0, 1, 1 agree on not referable and 2, 3, 4 on referable; only eyes 2 and 3 are asked. Came: {asked}"
)
assert list(reference) == [False, True, False, True], (
    f"the adjudicator's decision stands, even against two of three. Came: {reference}"
)
try:
    message = f"no error, but {adjudicated(grades, np.array([-1, -1, 0, -1]))}"
except ValueError as error:
    message = str(error)
assert "3" in message, f"eye 3 needs the adjudicator and has none: say so. Came: {message}"

# %% hidden="adjudicated" points=1 about="agreement of all three stands, every other eye is the adjudicator's"
for _ in range(3):
    grades, adjudicator, truth, asked = panel_case(rng)
    got = learner.adjudicated(grades, adjudicator)
    majority = (grades >= 2).sum(axis=1) >= 2
    assert not close(got[0], majority), (
        "that is the majority of the panel: where the three differ, the adjudicator decides, even against two"
    )
    same = (grades == grades[:, :1]).all(axis=1)
    assert not close(got[1], ~same), (
        "2, 3 and 4 agree on referable: compare the decisions, not the grades"
    )
    assert close(got[1], asked), (
        "the wrong eyes were sent to the adjudicator: only those on which the three differ about referable"
    )
    assert close(got[0], truth), "the reference differs from the rule: referable is grade 2 or more"

# %% hidden="adjudicated" points=1 about="a missing decision is refused by name, one that nobody needs is not"
grades, adjudicator, truth, asked = panel_case(rng)
without = np.where(asked, adjudicator, -1)
error = error_from(learner.adjudicated, grades, without)
assert error is None, "an eye on which the panel agrees needs no adjudicator: -1 is right there"
hole = int(rng.choice(np.flatnonzero(asked)))
without[hole] = -1
error = error_from(learner.adjudicated, grades, without)
assert error is not None and error.kind == "ValueError", (
    "an eye needs the adjudicator and has -1: expected ValueError, or -1 becomes 'not referable' without a word"
)
assert str(hole) in error.message, f"the message must name eye {hole}, it says: {error.message}"


# %% mistake="adjudicated" because="lets the majority decide" keeps=0 says="majority"
def adjudicated(panel, adjudicator):
    votes = np.asarray(panel) >= 2
    return votes.sum(axis=1) >= 2, votes.any(axis=1) & ~votes.all(axis=1)


# %% mistake="adjudicated" because="takes -1 for not referable" keeps=1 says="without a word"
def adjudicated(panel, adjudicator):
    votes = np.asarray(panel) >= 2
    asked = votes.any(axis=1) & ~votes.all(axis=1)
    return np.where(asked, np.asarray(adjudicator) >= 2, votes[:, 0]), asked


# %% mistake="adjudicated" because="compares grades where decisions count" keeps=0 says="compare the decisions"
def adjudicated(panel, adjudicator):
    panel, adjudicator = np.asarray(panel), np.asarray(adjudicator)
    asked = (panel != panel[:, :1]).any(axis=1)
    holes = np.flatnonzero(asked & (adjudicator < 0))
    if len(holes):
        raise ValueError(f"eye {holes[0]} has no grade")
    return np.where(asked, adjudicator >= 2, panel[:, 0] >= 2), asked


# %% [markdown] hint="adjudicated"
# Turn grades into decisions first, and forget the grades. Then ask: do all three decisions agree?
#
# ---
#
# votes = panel >= 2. An eye is asked about when some vote says yes and not all do. A hole is an
# eye that is asked about and whose adjudicator's grade is below 0.
#
# ---
#
# ```python
# votes = np.asarray(panel) >= 2
# asked = votes.any(axis=1) & ~votes.all(axis=1)
# holes = np.flatnonzero(...)
# if len(holes):
#     raise ValueError(f"eye {holes[0]} ...")
# return np.where(asked, ..., ...), asked
# ```

# %% [markdown]
# Because the data are generated, we can hold each possible reference against the truth. And we can
# show why no reader may be held against a reference that the same reader helped to make.

# %% needs="adjudicated"
truth = study["truth"] >= 2
reference, asked = adjudicated(panel, study["adjudicator"])
print(f"the adjudicator was asked about {100 * asked.mean():.0f} % of eyes")
for name, guess in {
    "one panel reader (A)": panel[:, 0] >= 2,
    "majority of three": (panel >= 2).sum(axis=1) >= 2,
    "adjudicated": reference,
}.items():
    print(f"{name:21} agrees with the truth in {100 * np.mean(guess == truth):.1f} % of eyes")

outsider, insider = study["ophthalmologist"] >= 2, panel[:, 0] >= 2  # same habit, same noise
majority = (panel >= 2).sum(axis=1) >= 2
print("\nsensitivity of two equally good readers, against the majority of A, B and C:")
print(f"  the fifth ophthalmologist  {100 * outsider[majority].mean():.1f} %")
print(
    f"  panel reader A             {100 * insider[majority].mean():.1f} % (whose own vote is in it)"
)

# %% [markdown]
# Readers A and five are equally good by construction, and A looks much better: part of the
# reference is A's own vote. A model that was trained on labels of the same panel has the same
# advantage. Write into the protocol who made the reference, and that nobody who is compared did.
#
# ## 5. Two eyes are not two patients
#
# The sensitivity on eyes is easy: of the referable eyes, how many did the model call? Its interval
# is not. The two eyes of a person are alike: when one is missed, the other often is, too. 300 eyes
# of 180 people know less than 300 people.
#
# How much less can be measured. Let $p$ be the share over all $N$ eyes. Sum for each patient the
# deviations of the eyes from $p$, and square **after** summing:
#
# $$V = \frac{1}{N^2} \sum_{\text{patients}} \Big( \sum_{\text{eyes}} (x - p) \Big)^2
# \qquad \text{deff} = \max\Big(1,\; \frac{V}{p(1-p)/N}\Big) \qquad n = N / \text{deff}$$
#
# The **design effect** says by how much the eyes are fewer than they look. With one eye per patient
# it is 1. Where all eyes were called, or none, $V$ is 0 and tells nothing: count patients, $n$ =
# number of patients. (After Rao and Scott, 1992.)
#
# Then **Wilson's interval** with $n$ in place of $N$, $z$ two-sided:
#
# $$\frac{p + \frac{z^2}{2n} \pm z\sqrt{\frac{p(1-p)}{n} + \frac{z^2}{4n^2}}}{1 + \frac{z^2}{n}}$$
#
# Unlike the textbook's $p \pm z\sqrt{p(1-p)/n}$ (called Wald's) it never leaves 0 to 1, and it does
# not shrink to nothing when everything was called.
#
# ### Exercise 4: clustered_interval


# %% exercise="clustered_interval" points=4
def clustered_interval(hits, patient, level=0.95):
    """Return (share, low, high) of hits, with Wilson's interval for eyes that come in patients.

    hits: bool array, one value per eye. patient: array of the same length, whose eye it is; rows
    in any order. n = N / deff as above; n = number of patients where share is 0 or 1.
    Raises ValueError for no eyes, and for lengths that differ.
    """
    ### BEGIN SOLUTION
    hits, patient = np.asarray(hits, dtype=float), np.asarray(patient)
    if len(hits) == 0 or len(hits) != len(patient):
        raise ValueError(f"{len(hits)} hits for {len(patient)} eyes: there is nothing to measure")
    share, eyes = hits.mean(), len(hits)
    people, whose = np.unique(patient, return_inverse=True)
    if share in (0.0, 1.0):
        n = len(people)
    else:
        variance = (np.bincount(whose, weights=hits - share) ** 2).sum() / eyes**2
        n = eyes / max(1.0, variance / (share * (1 - share) / eyes))
    z = stats.norm.ppf((1 + level) / 2)
    middle = share + z**2 / (2 * n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return (
        float(share),
        float((middle - half) / (1 + z**2 / n)),
        float((middle + half) / (1 + z**2 / n)),
    )
    ### END SOLUTION


# %% check="clustered_interval"
alone = clustered_interval([True] * 8 + [False] * 2, np.arange(10))
scipys = stats.binomtest(8, 10).proportion_ci(method="wilson")
assert np.allclose(alone, (0.8, scipys.low, scipys.high)), (
    f"one eye per patient is Wilson's own interval: .80, {scipys.low:.4f} to {scipys.high:.4f} expected, "
    f"{np.round(alone, 4)} came"
)
twins = clustered_interval([True] * 16 + [False] * 4, np.arange(20) // 2)
assert np.allclose(twins, alone), (
    f"every patient twice adds no knowledge: {np.round(alone, 4)} expected, {np.round(twins, 4)} came"
)
perfect = clustered_interval([True] * 20, np.arange(20) // 2)
assert np.allclose(perfect, clustered_interval([True] * 10, np.arange(10))), (
    f"20 eyes of 10 patients, all called: count patients. Came: {np.round(perfect, 4)}"
)

# %% hidden="clustered_interval" points=1 about="one eye per patient gives Wilson's interval, as SciPy computes it"
for level in (0.95, 0.9):
    count = int(rng.integers(30, 90))
    hits = rng.random(count) < 0.85
    got = learner.clustered_interval(hits, rng.permutation(count), level)
    test = stats.binomtest(int(hits.sum()), count)
    wanted = test.proportion_ci(level, method="wilson")
    z = stats.norm.ppf((1 + level) / 2)
    wald = z * np.sqrt(hits.mean() * (1 - hits.mean()) / count)
    assert not close(got[2] - got[1], 2 * wald), (
        "that is the textbook's p ± z sqrt(p(1-p)/n): Wilson's was asked for"
    )
    assert close(got, (hits.mean(), wanted.low, wanted.high), atol=1e-5), (
        f"one eye per patient, level {level:.2f}: {hits.mean():.4f}, {wanted.low:.4f} to {wanted.high:.4f} expected, {got} came"
    )

# %% hidden="clustered_interval" points=2 about="eyes of one patient count together, in any order of rows"
for _ in range(3):
    hits, patient = eyes_case(rng)
    got = learner.clustered_interval(hits, patient)
    share, eyes = hits.mean(), len(hits)
    assert not close(got[1:], wilson(share, eyes), atol=1e-5), (
        "the eyes are counted as if each were a patient: the interval is too narrow, divide by the design effect"
    )
    assert not close(got[1:], wilson(share, len(set(patient))), atol=1e-5), (
        "counting patients is right only for a share of 0 or 1: otherwise measure how alike the eyes are"
    )
    deff = max(1.0, cluster_variance(hits, patient) / (share * (1 - share) / eyes))
    assert close(got[1:], wilson(share, eyes / deff), atol=1e-5), (
        f"design effect {deff:.2f}: {np.round(wilson(share, eyes / deff), 4)} expected, {got[1:]} came: sum by patient first, then square"
    )
unlike = np.array([True, False] * 40)  # the eyes of a patient are opposites: V is 0
got = learner.clustered_interval(unlike, np.arange(80) // 2)
assert close(got[1:], wilson(0.5, 80), atol=1e-5), (
    "a design effect below 1 is taken as 1: never narrower than independent eyes"
)

# %% hidden="clustered_interval" points=1 about="nothing to measure is refused; a perfect result has an interval"
count = int(rng.integers(20, 40))
got = learner.clustered_interval([True] * (2 * count), np.arange(2 * count) // 2)
assert close(got, (1.0, *wilson(1.0, count)), atol=1e-5), (
    f"{2 * count} eyes of {count} patients, all called: {wilson(1.0, count)[0]:.4f} to 1 expected, {got} came; with no variance to measure, count patients"
)
error = error_from(learner.clustered_interval, [], [])
assert error is not None and error.kind == "ValueError", "no eyes: expected ValueError"
error = error_from(learner.clustered_interval, [True, False], [1])
assert error is not None and error.kind == "ValueError", "2 hits for 1 eye: expected ValueError"


# %% mistake="clustered_interval" because="takes eyes for patients" keeps=1 says="as if each were a patient"
def clustered_interval(hits, patient, level=0.95):
    share, n = float(np.mean(hits)), len(hits)
    z = stats.norm.ppf((1 + level) / 2)
    middle, half = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return share, float((middle - half) / (1 + z**2 / n)), float((middle + half) / (1 + z**2 / n))


# %% mistake="clustered_interval" because="squares before it sums, so that eyes stay independent" keeps=1 says="as if each were a patient"
def clustered_interval(hits, patient, level=0.95):
    hits, patient = np.asarray(hits, dtype=float), np.asarray(patient)
    share, eyes = hits.mean(), len(hits)
    variance = ((hits - share) ** 2).sum() / eyes**2
    n = eyes if share in (0, 1) else eyes / max(1.0, variance / (share * (1 - share) / eyes))
    z = stats.norm.ppf((1 + level) / 2)
    middle, half = share + z**2 / (2 * n), z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return (
        float(share),
        float((middle - half) / (1 + z**2 / n)),
        float((middle + half) / (1 + z**2 / n)),
    )


# %% mistake="clustered_interval" because="takes Wald's interval" keeps=0 says="textbook"
def clustered_interval(hits, patient, level=0.95):
    hits, patient = np.asarray(hits, dtype=float), np.asarray(patient)
    share, eyes = hits.mean(), len(hits)
    whose = np.unique(patient, return_inverse=True)[1]
    spread = np.sqrt((np.bincount(whose, weights=hits - share) ** 2).sum()) / eyes
    half = stats.norm.ppf((1 + level) / 2) * spread
    return float(share), float(share - half), float(share + half)


# %% [markdown] hint="clustered_interval"
# Write Wilson's interval for a number n first, and test it with one eye per patient. Then find the
# n that two alike eyes deserve.
#
# ---
#
# `np.unique(patient, return_inverse=True)` numbers the patients 0, 1, 2 and so on;
# `np.bincount(whose, weights=hits - share)` sums the deviations of each patient. Square these sums,
# add them, divide by N². Divide that by p(1-p)/N: the design effect, at least 1.
#
# ---
#
# ```python
# people, whose = np.unique(patient, return_inverse=True)
# if share in (0.0, 1.0):
#     n = ...
# else:
#     variance = (np.bincount(whose, weights=...) ** 2).sum() / eyes**2
#     n = eyes / max(1.0, ...)
# z = stats.norm.ppf((1 + level) / 2)
# middle = ...
# half = z * np.sqrt(...)
# return share, (middle - half) / ..., (middle + half) / ...
# ```

# %% needs="adjudicated clustered_interval"
reference, _ = adjudicated(panel, study["adjudicator"])
called = study["model"] >= 2
results = {}
for name, rows, right in (("sensitivity", reference, called), ("specificity", ~reference, ~called)):
    hits, whose = right[rows], study["patient"][rows]
    results[name] = hits, whose, clustered_interval(hits, whose)
print("model, on eyes (generated)          share   95 % interval")
for name, (hits, whose, (share, low, high)) in results.items():
    naive = stats.binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    people = len(set(whose))
    print(f"{name}: {len(hits)} eyes of {people} people")
    print(f"  eyes counted together by person   {share:.3f}   {low:.3f} to {high:.3f}")
    print(f"  eyes counted as people            {share:.3f}   {naive.low:.3f} to {naive.high:.3f}")

# %% [markdown]
# The two intervals hardly differ here: in this generated study, what makes the model wrong about
# one eye seldom makes it wrong about the other. Nobody knows that before it is measured. With a
# cloudy lens in both eyes it can be otherwise, and then it matters, as the next cell shows.
#
# ### Does a 95 % interval hold the truth 95 times in 100?
#
# Again we can count: 4,000 studies with a sensitivity of 87 % and eyes that are alike (correlation
# .5 within a person), and the share of intervals that hold 87 %. Then one eye per person, 40
# people and a sensitivity of 95 %, where the textbook's interval gets into trouble.
# **Clopper and Pearson's** interval, SciPy's `exact`, promises *at least* 95 %: it is wider, and
# many regulators know it.


# %% tags=["demonstration"] needs="clustered_interval"
def eyes_of(rng, people, share, alike):
    """Generate hits on one or two eyes per person; alike: correlation within a person."""
    total = 1 / alike - 1
    chance = rng.beta(share * total, (1 - share) * total, size=people)
    person = np.repeat(np.arange(people), 1 + (rng.random(people) < 0.7))
    return rng.random(len(person)) < chance[person], person


def coverage(intervals, truth):
    return float(np.mean([low <= truth <= high for low, high in intervals]))


studies = [eyes_of(rng, 174, 0.87, 0.5) for _ in range(4000)]
together = [clustered_interval(hits, person)[1:] for hits, person in studies]
apart = [clustered_interval(hits, np.arange(len(hits)))[1:] for hits, _ in studies]
coverage_two_eyes, coverage_two_eyes_wrong = coverage(together, 0.87), coverage(apart, 0.87)

PEOPLE = 40
single = rng.binomial(PEOPLE, 0.95, size=20000)
Z = stats.norm.ppf(0.975)
wilsons, walds, exacts = {}, {}, {}
for count in np.unique(single):
    p, who = count / PEOPLE, np.arange(PEOPLE)
    wilsons[count] = clustered_interval(who < count, who)[1:]
    half = Z * np.sqrt(p * (1 - p) / PEOPLE)
    walds[count] = (p - half, p + half)
    exact = stats.binomtest(int(count), PEOPLE).proportion_ci(method="exact")
    exacts[count] = (exact.low, exact.high)
coverage_wilson = coverage([wilsons[count] for count in single], 0.95)
coverage_wilson_wrong = coverage([walds[count] for count in single], 0.95)
coverage_exact = coverage([exacts[count] for count in single], 0.95)

bars = {
    "two eyes: counted by person": coverage_two_eyes,
    "two eyes: counted as people": coverage_two_eyes_wrong,
    "one eye: Wilson": coverage_wilson,
    "one eye: Clopper-Pearson": coverage_exact,
    "one eye: Wald (textbook)": coverage_wilson_wrong,
}
fig, ax = plt.subplots(figsize=(6.5, 2.6))
shades = ["0.35" if "Wald" not in name and "as people" not in name else "0.75" for name in bars]
ax.barh(list(bars), [100 * value for value in bars.values()], color=shades)
for row, value in enumerate(bars.values()):
    ax.text(100 * value + 0.3, row, f"{100 * value:.1f}", va="center")
ax.axvline(95, color="black", lw=1)
ax.set(xlim=(75, 103), xlabel="% of intervals that hold the truth (generated studies)")
ax.invert_yaxis()
plt.show()
assert abs(coverage_two_eyes - 0.95) <= 0.02, "the clustered interval does not keep its 95 %"
assert abs(coverage_wilson - 0.95) <= 0.02, "Wilson's interval does not keep its 95 %"
assert coverage_two_eyes_wrong < 0.93, "eyes counted as people should cover too little"
assert coverage_wilson_wrong < 0.90, "Wald's interval should cover too little"

# %% [markdown]
# *In words:* five horizontal bars and a line at 95 %. Eyes counted by person come out at 95 %, eyes
# counted as people only near 90 %. With one eye each, Wilson's lies at 95 %,
# Clopper-Pearson's near 99 %, and the textbook's far below, near 87 %.
#
# ## 6. Not worse than an ophthalmologist
#
# Now the claim of the leaflet. Both the model and an ophthalmologist see the same people with
# disease: the data are **paired**. People whom both call, or both miss, say nothing about the
# difference. Only two counts do:
#
# | | ophthalmologist called | ophthalmologist missed |
# |---|---|---|
# | **model called** | both | **gained** |
# | **model missed** | **lost** | neither |
#
# The loss of sensitivity is (lost - gained) / n. **Non-inferior** means: the true loss is smaller
# than a **margin** that was fixed before. "No significant difference" is something else: a small
# study finds no difference between anything.
#
# How many people with disease does that need? Let $\psi$ be the **discordance**, the share of
# people on whom the two differ (gained and lost together), $d$ the true loss that you expect
# (mostly 0), and one-sided $z$ for level and power:
#
# $$n = \frac{(z_{\text{level}} + z_{\text{power}})^2\,(\psi - d^2)}{(\text{margin} - d)^2}$$
#
# **Predict before you run:** a margin of 1 point, level 95 %, power 80 %, and model and
# ophthalmologist differ on 4 people in 100. How many people with disease: 150, 600 or 2,500?
#
# ### Exercise 5: positives_for_claim


# %% exercise="positives_for_claim" points=2
def positives_for_claim(margin, discordance, loss=0.0, level=0.95, power=0.8):
    """Return how many people with disease a paired non-inferiority claim needs, rounded up (int).

    margin: largest loss of sensitivity that may be called not inferior, above loss. discordance:
    share of people on whom model and reader differ, planned, above 0, at most 1. loss: expected
    true loss. level: one-sided. Raises ValueError where margin is not above loss, or discordance
    is not above 0 and at least as large as the loss's size.
    """
    ### BEGIN SOLUTION
    if margin <= loss:
        raise ValueError(f"a true loss of {loss} cannot be shown to be under {margin}")
    if not (0 < discordance <= 1 and discordance >= abs(loss)):
        raise ValueError(f"discordance {discordance} is not above 0, or smaller than the loss")
    z = stats.norm.ppf(level) + stats.norm.ppf(power)
    return int(np.ceil(z**2 * (discordance - loss**2) / (margin - loss) ** 2))
    ### END SOLUTION


# %% check="positives_for_claim"
table = [positives_for_claim(0.01, discordance) for discordance in (0.01, 0.02, 0.04)]
assert table == [619, 1237, 2474], (
    f"margin 1 point, discordance 1, 2 and 4 %: 619, 1237 and 2474 expected, {table} came; "
    "level is one-sided here, and power counts too"
)
try:
    positives_for_claim(0.01, 0.04, loss=0.02)
    refused = False
except ValueError:
    refused = True
assert refused, "a true loss of 2 points cannot be shown to be under 1 point: raise ValueError"

# %% hidden="positives_for_claim" points=1 about="the number for any margin, discordance, level and power"
for _ in range(4):
    while True:
        margin, discordance = float(rng.uniform(0.01, 0.06)), float(rng.uniform(0.02, 0.15))
        level, power = float(rng.choice([0.95, 0.975])), float(rng.choice([0.8, 0.9]))
        z = stats.norm.isf(1 - level) + stats.norm.isf(1 - power)
        raw = z * z * discordance / margin**2
        if 0.05 < raw % 1 < 0.45:
            break
    got = learner.positives_for_claim(margin, discordance, 0.0, level, power)
    two_sided = (
        (stats.norm.ppf((1 + level) / 2) + stats.norm.ppf(power)) ** 2 * discordance / margin**2
    )
    assert not close(got, np.ceil(two_sided)), (
        "not worse has one side: z belongs to the level itself"
    )
    assert not close(got, np.ceil(stats.norm.ppf(level) ** 2 * discordance / margin**2)), (
        "without power: such a study misses its claim every second time"
    )
    assert close(got, np.ceil(raw)), f"{np.ceil(raw):.0f} expected, {got} came: rounded up?"

# %% hidden="positives_for_claim" points=1 about="an expected loss counts, and an impossible plan is refused"
z = stats.norm.ppf(0.95) + stats.norm.ppf(0.8)
for margin, discordance, loss in ((0.05, 0.1, 0.02), (0.05, 0.1, -0.01), (0.04, 0.09, 0.013)):
    wanted = np.ceil(z * z * (discordance - loss**2) / (margin - loss) ** 2)
    got = learner.positives_for_claim(margin, discordance, loss)
    assert close(got, wanted), (
        f"margin {margin}, discordance {discordance}, true loss {loss}: {wanted:.0f} expected, {got} came: what is left of the margin is margin - loss"
    )
for name, plan in {
    "a true loss as large as the margin": (0.05, 0.1, 0.05),
    "a discordance of 0": (0.05, 0.0),
    "a loss of 3 points with a discordance of 1 %": (0.05, 0.01, 0.03),
}.items():
    error = error_from(learner.positives_for_claim, *plan)
    assert error is not None and error.kind == "ValueError", f"{name}: expected ValueError"


# %% mistake="positives_for_claim" because="plans without power" keeps=0 says="every second time"
def positives_for_claim(margin, discordance, loss=0.0, level=0.95, power=0.8):
    return int(np.ceil(stats.norm.ppf(level) ** 2 * discordance / margin**2))


# %% mistake="positives_for_claim" because="ignores the expected loss" keeps=1 says="margin - loss"
def positives_for_claim(margin, discordance, loss=0.0, level=0.95, power=0.8):
    if margin <= loss or not 0 < discordance <= 1 or discordance < abs(loss):
        raise ValueError("no such plan")
    z = stats.norm.ppf(level) + stats.norm.ppf(power)
    return int(np.ceil(z**2 * discordance / margin**2))


# %% [markdown] hint="positives_for_claim"
# The formula stands above. Mind which side of the normal curve each z belongs to, and what is left
# of the margin when you expect a loss.
#
# ---
#
# z = norm.ppf(level) + norm.ppf(power), both one-sided. n = ceil(z² (discordance - loss²) /
# (margin - loss)²). Check margin and discordance first.
#
# ---
#
# ```python
# if margin <= loss:
#     raise ValueError(...)
# if not (0 < discordance <= 1 and ...):
#     raise ValueError(...)
# z = stats.norm.ppf(...) + stats.norm.ppf(...)
# return int(np.ceil(...))
# ```

# %% needs="positives_for_claim"
assumed = (0.02, 0.04, 0.08, 0.16)
table = {
    m: [positives_for_claim(m, discordance) for discordance in assumed] for m in (0.01, 0.02, 0.05)
}
print("people with disease needed (level 95 % one-sided, power 80 %, true loss 0)")
print("margin        discordance 2 %   4 %      8 %      16 %")
for margin, row in table.items():
    points = f"{100 * margin:.0f} point{'s' if margin > 0.01 else ' '}"
    print(points, f"{row[0]:15,} {row[1]:8,} {row[2]:8,} {row[3]:8,}")
print("\nthe leaflet has 60, the test folder of the Kermany chest films has 390")

# %% [markdown]
# ## 7. The planted fault: a claim that the sample cannot carry
#
# Here is how the leaflet came to its p-value: the textbook's test for paired shares. Its standard
# error is estimated from the discordant pairs that were seen.


# %%
def leaflet_p(model, reader, margin):
    """The leaflet's p-value: Wald's test of 'the loss is at least the margin'."""
    n = len(model)
    gained, lost = np.sum(model & ~reader), np.sum(~model & reader)
    spread = np.sqrt(gained + lost - (gained - lost) ** 2 / n) / n
    return float(stats.norm.sf(((gained - lost) / n + margin) / max(spread, 1e-9)))


leaflet_reader = np.array([True] * 52 + [False] * 8)
leaflet_model = leaflet_reader.copy()  # both called 52 of 60, and the same 52
p = leaflet_p(leaflet_model, leaflet_reader, margin=0.01)
print("60 people with disease, no discordant pair")
print("leaflet: less than 1 point lost, p", "< 0.001" if p < 0.001 else f"= {p:.3f}")

# %% [markdown]
# **Predict before you run:** suppose the model truly loses exactly 1 point, so that the claim is
# wrong. A test at 5 % may let it pass in 5 % of studies. In how many does the leaflet's test let it
# pass, with 60 people?

# %%
losing = 0.01
studies_of_60 = rng.random((20000, 60)) < losing  # people whom the model loses; it gains none
no_pair = float(np.mean(studies_of_60.sum(axis=1) == 0))
print(f"studies without one discordant pair: {100 * no_pair:.0f} %")
print("in all of these the leaflet's standard error is 0 and its p-value is 0")

# %% [markdown]
# More than half. The fault is not in the arithmetic. With 60 people, seeing no discordant pair is
# what one expects from a model that loses one person in a hundred. The sample cannot tell, and the
# test takes "seen none" for "there are none".
#
# Two things are needed. First, a test that does not collapse: the **score test** (Tango, 1998). It
# takes the standard error that would hold *if the loss were exactly the margin*. With $b$ gained,
# $c$ lost and margin $m$:
#
# $$B = -(b+c) - (2n - b + c)\,m \qquad C = c\,m\,(1+m) \qquad
# q = \frac{-B + \sqrt{B^2 - 8nC}}{4n}$$
#
# $$Z = \frac{b - c + n\,m}{\sqrt{n\,\big(2q - m(1+m)\big)}} \qquad p = P(\text{normal} > Z)$$
#
# ($q$ is the most likely share of lost people under that assumption.)
#
# Second, and more important,
# **the plan goes first**: when the sample has fewer people with disease than the plan asked for,
# no p-value is computed at all. The number comes from the *planned* discordance. The one observed
# would say that 60 people are plenty.
#
# ### Exercise 6: judge_claim


# %% exercise="judge_claim" points=4
def judge_claim(model, reader, margin, needed, level=0.95):
    """Judge 'the model loses less than margin of sensitivity' on paired data of people with disease.

    model, reader: bool arrays of equal length, who was called. margin: above 0.
    needed: people with disease that the plan asked for.
    Returns a dict: "verdict" ("refused", "shown" or "not shown"), "loss" (reader's sensitivity
    minus the model's, float), "p_value" (float, None when refused).
    Refused: fewer people than needed. Shown: p_value of the score test at most 1 - level.
    Raises ValueError for lengths that differ or no people.
    """
    ### BEGIN SOLUTION
    model, reader = np.asarray(model, dtype=bool), np.asarray(reader, dtype=bool)
    n = len(model)
    if n == 0 or n != len(reader):
        raise ValueError(
            f"{n} and {len(reader)} decisions: each person needs both, and there must be some"
        )
    b, c = int(np.sum(model & ~reader)), int(np.sum(~model & reader))
    if n < needed:
        return {"verdict": "refused", "loss": (c - b) / n, "p_value": None}
    first = -(b + c) - (2 * n - b + c) * margin
    q = (-first + np.sqrt(first**2 - 8 * n * c * margin * (1 + margin))) / (4 * n)
    z = (b - c + n * margin) / np.sqrt(n * (2 * q - margin * (1 + margin)))
    p_value = float(stats.norm.sf(z))
    verdict = "shown" if p_value <= 1 - level else "not shown"
    return {"verdict": verdict, "loss": (c - b) / n, "p_value": p_value}
    ### END SOLUTION


# %% check="judge_claim"
def decisions(gained, lost, both, neither):
    """Return (model, reader) with these counts."""
    counts = gained, lost, both, neither
    return np.repeat([True, False, True, False], counts), np.repeat(
        [False, True, True, False], counts
    )


small = judge_claim(*decisions(0, 0, 52, 8), margin=0.01, needed=1237)
assert small["verdict"] == "refused", (
    f"60 people where 1237 are needed: refused expected, {small['verdict']} came"
)
assert small["p_value"] is None, "a refused claim has no p-value: whoever gets one will print it"
fine = judge_claim(*decisions(12, 10, 250, 28), margin=0.05, needed=297)
assert fine["verdict"] == "shown", (
    f"12 gained, 10 lost of 300, margin 5 points: shown expected, {fine['verdict']} came"
)
assert abs(fine["loss"] + 2 / 300) < 1e-9, (
    f"loss = (lost - gained) / n = -0.0067 expected, {fine['loss']:.4f} came: it is below 0 when the model gains"
)
assert abs(fine["p_value"] - 0.0008) < 1e-4, f"p = 0.0008 expected, {fine['p_value']:.4f} came"
worse = judge_claim(*decisions(8, 24, 240, 28), margin=0.05, needed=297)
assert worse["verdict"] == "not shown", (
    f"8 gained, 24 lost: not shown expected, {worse['verdict']} came"
)

# %% hidden="judge_claim" points=2 about="the p-value is the score test's, also without a discordant pair"
for gained, lost, both, neither, margin in (
    (int(rng.integers(3, 9)), int(rng.integers(4, 12)), 200, 40, 0.05),
    (int(rng.integers(10, 20)), int(rng.integers(10, 20)), 300, 33, 0.03),
    (0, int(rng.integers(1, 4)), 150, 20, 0.04),
    (int(rng.integers(1, 4)), 0, 150, 20, 0.02),
    (0, 0, int(rng.integers(80, 120)), 15, 0.02),
):
    model, reader = pairs(rng, gained, lost, both, neither)
    count = len(model)
    got = learner.judge_claim(model, reader, margin, count)["p_value"]
    wanted = score_p(gained, lost, count, margin)
    spread = max(np.sqrt(gained + lost - (gained - lost) ** 2 / count), 1e-9)
    wald = stats.norm.sf((gained - lost + count * margin) / spread)
    where = f"{gained} gained, {lost} lost of {count}, margin {margin}"
    if gained != lost:
        turned = score_p(lost, gained, count, margin)
        assert not close(got, turned, atol=1e-5), f"{where}: gained and lost are exchanged"
    assert got is not None, (
        f"{where}: the sample has as many people as needed, a p-value is expected"
    )
    assert abs(wanted - wald) < 1e-4 or not close(got, wald, atol=1e-5), (
        f"{where}: that is the leaflet's test, whose standard error collapses with the pairs it saw"
    )
    assert close(got, wanted, atol=2e-5), f"{where}: p = {wanted:.5f} expected, {got} came"

# %% hidden="judge_claim" points=1 about="too few people: refused, whatever the data say"
for count in (60, 390):
    model, reader = pairs(rng, 0, 0, count - 7, 7)
    got = learner.judge_claim(model, reader, 0.01, 1237)
    assert got["verdict"] == "refused", (
        f"{count} people where the plan needs 1237: the sample cannot carry the claim, whatever it shows"
    )
    assert got["p_value"] is None, "a refused claim has no p-value: return None"
model, reader = pairs(rng, 9, 6, 260, 25)
got = learner.judge_claim(model, reader, 0.05, 300)
assert got["verdict"] != "refused", "300 people where 300 are needed: that is enough"
assert close(got["loss"], -0.01), (
    f"9 gained, 6 lost of 300: loss -0.01 expected, {got['loss']} came"
)

# %% hidden="judge_claim" points=1 about="shown or not shown follows from level, and bad input is refused"
model, reader = pairs(rng, 8, 26, 240, 26)
got = learner.judge_claim(model, reader, 0.05, 200)
assert got["verdict"] == "not shown", (
    f"26 lost and 8 gained of 300: not shown expected, '{got['verdict']}' came: no significant difference is not the same as not worse"
)
model, reader = pairs(rng, 10, 14, 250, 26)
p = score_p(10, 14, 300, 0.05)
for level, verdict in ((0.95, "shown" if p <= 0.05 else "not shown"), (0.999, "not shown")):
    got = learner.judge_claim(model, reader, 0.05, 200, level)
    assert got["verdict"] == verdict, (
        f"p = {p:.3f} at level {level}: '{verdict}' expected, '{got['verdict']}' came"
    )
for name, two in {"lengths that differ": ([True, False], [True]), "no people": ([], [])}.items():
    error = error_from(learner.judge_claim, *two, 0.05, 1)
    assert error is not None and error.kind == "ValueError", f"{name}: expected ValueError"


# %% mistake="judge_claim" because="judges every sample, planned or not" keeps=3 says="cannot carry the claim"
def judge_claim(model, reader, margin, needed, level=0.95):
    model, reader = np.asarray(model, dtype=bool), np.asarray(reader, dtype=bool)
    n = len(model)
    if n == 0 or n != len(reader):
        raise ValueError("pairs, please")
    b, c = int(np.sum(model & ~reader)), int(np.sum(~model & reader))
    first = -(b + c) - (2 * n - b + c) * margin
    q = (-first + np.sqrt(first**2 - 8 * n * c * margin * (1 + margin))) / (4 * n)
    p_value = float(
        stats.norm.sf((b - c + n * margin) / np.sqrt(n * (2 * q - margin * (1 + margin))))
    )
    return {
        "verdict": "shown" if p_value <= 1 - level else "not shown",
        "loss": (c - b) / n,
        "p_value": p_value,
    }


# %% mistake="judge_claim" because="keeps the leaflet's test" keeps=2 says="leaflet"
def judge_claim(model, reader, margin, needed, level=0.95):
    model, reader = np.asarray(model, dtype=bool), np.asarray(reader, dtype=bool)
    n = len(model)
    if n == 0 or n != len(reader):
        raise ValueError("pairs, please")
    b, c = int(np.sum(model & ~reader)), int(np.sum(~model & reader))
    if n < needed:
        return {"verdict": "refused", "loss": (c - b) / n, "p_value": None}
    spread = max(np.sqrt(b + c - (b - c) ** 2 / n), 1e-9)
    p_value = float(stats.norm.sf((b - c + n * margin) / spread))
    return {
        "verdict": "shown" if p_value <= 1 - level else "not shown",
        "loss": (c - b) / n,
        "p_value": p_value,
    }


# %% mistake="judge_claim" because="takes no significant difference for not worse" keeps=1 says="no significant difference"
def judge_claim(model, reader, margin, needed, level=0.95):
    model, reader = np.asarray(model, dtype=bool), np.asarray(reader, dtype=bool)
    n = len(model)
    if n == 0 or n != len(reader):
        raise ValueError("pairs, please")
    b, c = int(np.sum(model & ~reader)), int(np.sum(~model & reader))
    if n < needed:
        return {"verdict": "refused", "loss": (c - b) / n, "p_value": None}
    p_value = float(stats.binomtest(b, b + c).pvalue) if b + c else 1.0
    return {
        "verdict": "shown" if p_value > 0.001 else "not shown",
        "loss": (c - b) / n,
        "p_value": p_value,
    }


# %% [markdown] hint="judge_claim"
# Count first, compare with the plan second, and compute a p-value only third. Who returns early
# cannot print too much.
#
# ---
#
# b = model and not reader, c = reader and not model. n < needed: refused, p_value None. Otherwise
# B, C, q and Z as above, p = norm.sf(Z), shown when p <= 1 - level. loss = (c - b) / n.
#
# ---
#
# ```python
# b, c = int(np.sum(model & ~reader)), int(np.sum(...))
# if n < needed:
#     return {"verdict": "refused", "loss": ..., "p_value": None}
# first = -(b + c) - (2 * n - b + c) * margin
# q = (-first + np.sqrt(...)) / (4 * n)
# z = (b - c + n * margin) / np.sqrt(...)
# p_value = float(stats.norm.sf(z))
# ```

# %% [markdown]
# Now the two claims side by side: the leaflet's, and the one of our own generated study, planned
# with a margin of 5 points and a discordance of 16 %. It counts **people**, as the service does: a
# person is called when one eye is, and has disease when one eye is referable.


# %% needs="adjudicated positives_for_claim judge_claim"
def by_person(eyes):
    """True for a person with at least one eye that is True; two eyes per person, in order."""
    return eyes.reshape(-1, 2).any(axis=1)


reference, _ = adjudicated(panel, study["adjudicator"])
diseased = by_person(reference)
model_called = by_person(study["model"] >= 2)[diseased]
reader_called = by_person(study["ophthalmologist"] >= 2)[diseased]
differ = np.mean(model_called != reader_called)

claims = {
    "leaflet: 60 people, margin 1 point": (leaflet_model, leaflet_reader, 0.01, 0.02),
    "our study, margin 1 point": (model_called, reader_called, 0.01, 0.16),
    "our study, margin 5 points, as planned": (model_called, reader_called, 0.05, 0.16),
}
print(f"our study: {len(model_called)} people with disease, the two differ on {100 * differ:.0f} %")
for name, (model, reader, margin, discordance) in claims.items():
    needed = positives_for_claim(margin, discordance)
    got = judge_claim(model, reader, margin, needed)
    p = got["p_value"]
    p = "no p-value" if p is None else "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    loss = f"loss seen {100 * got['loss'] + 0:.1f} points"
    print(f"{name}\n  needs {needed:,}, has {len(model):,}: {got['verdict']}, {p} ({loss})")

# %% [markdown]
# The same data carry one claim and not the other. The number of people decides it, not the wish.
# (A loss below 0 is a gain.) Compare also the share on which the two differ with the 16 % that the
# plan assumed. Where it is higher, power falls, unless more people with disease came than needed.
# A good protocol says beforehand what happens then.
#
# ### Power and false claims, counted
#
# One more time we check the promises, 80 % power and at most 5 % false claims, for three plans
# with a margin of 1 point. The counts can be summed exactly, study by study that could happen, or
# drawn; we draw 20,000 studies for each. A **false claim** is "shown" while the true loss is the
# margin.


# %% tags=["demonstration"] needs="positives_for_claim judge_claim"
def share_shown(rng, n, discordance, loss, judge, studies=20000):
    """Return the share of generated studies in which judge(gained, lost) says shown."""
    shares = (discordance - loss) / 2, (discordance + loss) / 2
    counts = rng.multinomial(n, [*shares, 1 - sum(shares)], size=studies)[:, :2]
    kinds, times = np.unique(counts, axis=0, return_counts=True)
    return float(sum(times[row] for row, kind in enumerate(kinds) if judge(*kind)) / studies)


def by_score(n, margin):
    return lambda gained, lost: (
        judge_claim(*decisions_of(gained, lost, n), margin, n)["verdict"] == "shown"
    )


def by_leaflet(n, margin):
    return lambda gained, lost: leaflet_p(*decisions_of(gained, lost, n), margin) <= 0.05


def decisions_of(gained, lost, n):
    counts = gained, lost, n - gained - lost
    return np.repeat([True, False, True], counts), np.repeat([False, True, True], counts)


power, false_claims, leaflet_false = {}, {}, {}
for discordance in (0.01, 0.02, 0.04):
    n = positives_for_claim(0.01, discordance)
    power[n] = share_shown(rng, n, discordance, 0.0, by_score(n, 0.01))
    false_claims[n] = share_shown(rng, n, discordance, 0.01, by_score(n, 0.01))
    leaflet_false[n] = share_shown(rng, n, discordance, 0.01, by_leaflet(n, 0.01))
leaflet_60 = share_shown(rng, 60, 0.01, 0.01, by_leaflet(60, 0.01))
print("margin 1 point   planned   power          false claims")
print("discordance      people    score test     score test   leaflet's test")
for discordance, n in zip((1, 2, 4), power):
    honest = f"{100 * power[n]:5.0f} %        {100 * false_claims[n]:5.0f} %"
    print(f"{discordance} %            {n:8,}   {honest}      {100 * leaflet_false[n]:5.0f} %")
print(f"leaflet                60                                {100 * leaflet_60:5.0f} %")

# %% [markdown]
# Read the first row with care. With 619 people and a discordance of 1 %, only six discordant pairs
# are expected. The formula promises 80 % power, and it keeps that only with the leaflet's test,
# which pays with false claims far above 5 %. With the honest test, power is near two thirds. The
# formula is a large-sample formula: it holds where discordant pairs are plenty, as in the last
# row. So the table's smallest number is too small, and a simulation before the study finds that
# out for nothing.
#
# **How many would it take?** Raise n until the simulation reaches 80 %.

# %% tags=["demonstration"] needs="positives_for_claim judge_claim"
needed = {}
for discordance in (0.01, 0.02, 0.04):
    plan = positives_for_claim(0.01, discordance)
    for n in range(plan, 2 * plan, max(10, plan // 40)):
        if share_shown(rng, n, discordance, 0.0, by_score(n, 0.01)) >= 0.80:
            break
    needed[discordance] = n
    print(
        f"discordance {100 * discordance:.0f} %: formula {plan:,}, by simulation about {round(n, -1):,}"
    )

margins = np.linspace(0.01, 0.08, 71)
fig, ax = plt.subplots(figsize=(6, 3.2))
for discordance, style in ((0.02, ":"), (0.04, "--"), (0.16, "-")):
    sizes = [positives_for_claim(margin, discordance) for margin in margins]
    ax.plot(
        100 * margins,
        sizes,
        color="black",
        ls=style,
        label=f"discordance {100 * discordance:.0f} %",
    )
for people, name in ((60, "leaflet, 60"), (390, "Kermany test folder, 390")):
    ax.axhline(people, color="0.6", lw=1)
    ax.text(8.05, people * 1.06, name, ha="right", va="bottom", color="0.3")
ax.set(yscale="log", xlabel="margin in points of sensitivity", ylabel="people with disease needed")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# *In words:* three falling curves, people needed (from 20 to 10,000, on a logarithmic axis) against
# the margin from 1 to 8 points. The higher the discordance, the higher the curve. A grey line at 60
# people meets the lowest curve only beyond a margin of 4 points. A line at 390 stays below all
# three curves at 1 point; it meets them at about 1.8, 2.5 and 5 points.
#
# ## 8. In your own words: the protocol
#
# The service asks you to plan the study that the leaflet lacks: may the model decide which people
# with diabetes see an eye doctor, in place of an ophthalmologist who reads the photographs?
#
# Write the protocol in at most 350 words, for an ethics committee with one statistician in it.
# Say: the question and the one primary claim with its margin, and why this margin; how many people
# and under which assumptions; how the reference is made and who must not know what; how the result
# is analysed, two eyes and photographs that cannot be graded included; and what will **not** be
# claimed. Assume a prevalence of 24 % and use numbers from this notebook.

# %% [markdown] written="protocol" points=5 rubric="study-protocol"
# **Question.** In people with diabetes at primary-care visits, does the model find those who need
# an eye doctor (grade 2 or more in at least one eye) not worse than an ophthalmologist reading the
# same photographs? Primary claim: it loses less than 5 points of sensitivity. We chose 5 points
# with patients and eye doctors before any data were seen: those missed are photographed again
# within a year. Specificity is secondary.
#
# **Sample.** One-sided level 95 %, power 80 %, true loss 0, discordance 16 %: 396 people with
# disease; a simulation with the score test sets the final number. At a prevalence of 24 % that is
# 1,650 people; we enrol 1,800, because some photographs will be ungradable. Enrolment is
# consecutive, at sites that gave no training data. If fewer than 396 with disease are found,
# enrolment goes on; the claim is not tested early.
#
# **Reference.** Three ophthalmologists grade each eye alone, without knowing the model's or each
# other's grades. Where they do not all agree on referral, a fourth decides, equally blinded. The
# ophthalmologist who is compared has no part in the reference; the model was not trained on labels
# of these readers. The model's version and threshold are frozen before enrolment.
#
# **Analysis.** People are counted, not eyes. The score test for paired data judges the claim;
# sensitivity and specificity get Wilson intervals. Results on eyes are secondary, with intervals
# that count the two eyes of a person together. A person whose photographs the model cannot grade
# is referred, and counts as called for sensitivity and specificity alike; the number is reported.
# Agreement of the panel is given as kappa, plain and quadratic. Nothing is chosen after unblinding.
#
# **What we will not claim.** Not "less than 1 point lost": with a discordance of 16 % that needs
# 9,893 people with disease. Not superiority, nothing about other cameras, other sites, children or
# pregnancy, and nothing about sight saved. Referable disease that all four readers miss stays
# unseen.

# %% [markdown]
# ## What this unit promised
#
# The shares that simulation found, beside what was promised. Each is counted on generated studies.

# %% tags=["demonstration"] needs="patients_needed clustered_interval positives_for_claim judge_claim"
FIGURES = {
    "planned_precision": planned_precision,
    "planned_precision_wrong": planned_precision_wrong,
    "coverage_two_eyes": coverage_two_eyes,
    "coverage_two_eyes_wrong": coverage_two_eyes_wrong,
    "coverage_wilson": coverage_wilson,
    "coverage_wilson_wrong": coverage_wilson_wrong,
    "power": power[2474],
    "false_claims": false_claims[2474],
    "false_claims_wrong": leaflet_60,
}
PROMISED = {"planned_precision": 0.95, "coverage_two_eyes": 0.95, "coverage_wilson": 0.95}
PROMISED |= {"power": 0.80, "false_claims": 0.05}
print("share                promised   found   wrong way")
for name, promise in PROMISED.items():
    wrong = FIGURES.get(f"{name}_wrong")
    shown = "" if wrong is None else f"{100 * wrong:8.1f}"
    print(f"{name:20} {100 * promise:8.1f} {100 * FIGURES[name]:7.1f} {shown}")
for name in PROMISED:
    assert abs(FIGURES[name] - PROMISED[name]) <= 0.02, f"{name} is more than 2 points off"
