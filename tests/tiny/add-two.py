# %% [markdown]
# # Add two

# %% tags=["parameters"]
SEED = 0


# %% exercise="add" points=2
def add(a, b):
    """Return the sum of a and b."""
    ### BEGIN SOLUTION
    return a + b
    ### END SOLUTION


# %% check="add"
assert add(1, 2) == 3, "1 + 2 is 3"

# %% hidden="setup"
import numpy as np

# %% hidden="add" points=1 about="positive numbers"
a, b = (int(x) for x in rng.integers(1, 100, 2))
assert learner.add(a, b) == a + b, "the sum of both"

# %% hidden="add" points=1 about="negative numbers"
assert learner.add(-1, -2) == -3, "negative numbers keep their sign"


# %% mistake="add" because="adds absolute values" keeps=1 says="sign"
def add(a, b):
    return abs(a) + abs(b)


# %% mistake="add" because="multiplies" keeps=0 says="sum"
def add(a, b):
    return a * b


# %% [markdown] hint="add"
# Use an operator.
#
# ---
# It is `+`.
#
# ---
# ```python
# return ...
# ```

# %% needs="add"
print(add(20, 22))

# %% exercise="mean" points=3


def mean(values):
    """Return the mean of an array, NaN left out."""
    ### BEGIN SOLUTION
    values = np.asarray(values, dtype=float)
    return float(np.nanmean(values))
    ### END SOLUTION


# %% check="mean"
assert mean([1, 3]) == 2, "the mean of 1 and 3 is 2"

# %% hidden="mean" points=2 about="plain arrays"
x = rng.normal(size=10)
assert close(learner.mean(x), x.mean()), "sum divided by count"

# %% hidden="mean" points=1 about="arrays with NaN"
assert close(learner.mean(np.array([1, np.nan, 3])), 2), "NaN is left out"

# %% mistake="mean" because="keeps NaN" keeps=2 says="NaN"
import numpy as np


def mean(values):
    return float(np.mean(values))


# %% mistake="mean" because="sums only" keeps=0 says="count"
import numpy as np


def mean(values):
    return float(np.nansum(values))


# %% [markdown] hint="mean"
# NumPy has it.

# %% [markdown]
# Why leave NaN out?

# %% [markdown] written="why" points=2 rubric="clinician-answer"
# Because a missing value is not zero.
