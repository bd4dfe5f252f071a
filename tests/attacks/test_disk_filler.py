"""Filling every place that can be written, with bytes and with files."""

from tests.support.hostile import Attack

FILL = """
import glob, os

def fill(folder):
    total = 0
    for number in range(100):
        try:
            with open(f"{folder}/{number}", "wb") as file:
                while True:
                    total += file.write(bytes(10**7))
        except OSError:
            pass
        if number > 3:
            return total
    return total

sockets = glob.glob("/**/sockets/", recursive=True) + glob.glob("/tmp/*/*/sockets")
places = ["/tmp", "/dev/shm", "/learner/work", "/learner/home", "/", "/usr", "/etc", *sockets]
total = 0
for place in places:
    try:
        total += fill(place)
    except OSError:
        pass
"""
MANY = """
import itertools, os
made = 0
for folder in ("/tmp", "/dev/shm", "/learner/work"):
    try:
        for number in itertools.count():
            os.mkdir(f"{folder}/many-{number}")
            made += 1
    except OSError:
        pass
print("MADE", made)
"""
ATTACKS = {
    "disk-filled": Attack({"mean": FILL}),
    "disk-many-files": Attack({"mean": MANY}),
}


def test_a_full_disk_is_the_learners_own(graded):
    # How far it comes is asserted in tests/sandbox/test_namespaces.py, with a smaller disk.
    graded.holds("disk-filled", 2)


def test_files_without_end_are_the_learners_own(graded):
    graded.holds("disk-many-files", 2)
    assert int(graded.said("disk-many-files").split("MADE ")[1].split()[0]) < 70_000
