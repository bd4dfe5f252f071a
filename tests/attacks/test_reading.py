"""Looking for the course, hidden tests, other submissions, the gradebook and the secret."""

from tests.support.hostile import Attack

FILES = """
import os

found = []
WANTED = ("syllabus.yaml", "add-two.py", "rubrics.yaml", "gradebook.db", "sitting.secret")
for folder, folders, names in os.walk("/"):
    if folder in ("/proc", "/usr") or folder.endswith("site-packages"):
        folders.clear()
    found += [os.path.join(folder, n) for n in names if n in WANTED or n.endswith("two.ipynb")]
for path in ("@FOLDER@/c", "@FOLDER@/in", "@FOLDER@/out", "/etc/shadow", "/home"):
    found += [path] if os.path.exists(path) else []

def mean(values): return 0

print("FOUND", found)
"""
PROC = """
import glob, os

found = []
for path in glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline"):
    try:
        text = open(path, "rb").read()
    except OSError:
        continue
    found += [path for word in (b"MEDLAB_COURSE", b"MEDLAB_SECRET", b"secret-") if word in text]
for path in glob.glob("/proc/*/root") + glob.glob("/proc/*/cwd"):
    try:
        found += [path] if set(os.listdir(path)) & {"boot", "home", "var", "opt"} else []
    except OSError:
        continue

def mean(values): return 0

print("FOUND", found, sorted(p for p in os.listdir("/proc") if p.isdigit())[:1])
"""
# Brackets, so that a pattern does not find itself.
MEMORY = r"""
import gc, re

WANTED = re.compile(
    rb"MEDLAB_SECRE[T]=|MEDLAB_COURS[E]=|negative numbers keep their sig[n]|NaN is left ou[t]"
    rb"|sum divided by coun[t]|gradebook[.]d[b]|clinician-answe[r]"
)
found = set()
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
    for line in maps:
        if " rw" not in line or "[v" in line:
            continue
        start, end = (int(part, 16) for part in line.split()[0].split("-"))
        try:
            memory.seek(start)
            text = memory.read(end - start)
        except (OSError, ValueError):
            continue
        found |= set(WANTED.findall(text))
        del text
for thing in gc.get_objects():
    if type(thing).__name__ in ("Unit", "HiddenTest", "Referee", "Syllabus", "Gradebook"):
        found.add(type(thing).__name__)

def mean(values): return 0

print("FOUND", sorted(found))
"""
DESCRIPTORS = """
import os, socket

found = []
for name in os.listdir("/proc/self/fd"):
    try:
        target = os.readlink("/proc/self/fd/" + name)
    except OSError:
        continue
    private = ("socket:", "pipe:", "anon_inode:", "/dev/", "/null", "/proc/", "/memfd:launch")
    found += [] if target.startswith(private) else [target]
    if target.startswith("socket:"):
        one = socket.socket(fileno=os.dup(int(name)))
        if one.family == socket.AF_UNIX:
            listens = one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            found += [str(one)] if listens and "/sockets/" not in one.getsockname() else []
        elif target[8:-1] not in open("/proc/net/tcp").read():  # not in the jail's own network
            found.append(str(one))

def mean(values): return 0

print("FOUND", found)
"""
ATTACKS = {
    "reads-files": Attack({"mean": FILES}),
    "reads-proc": Attack({"mean": PROC}),
    "reads-memory": Attack({"mean": MEMORY}),
    "reads-descriptors": Attack({"mean": DESCRIPTORS}),
}


def test_no_file_of_the_course_or_the_class_is_in_sight(graded):
    graded.holds("reads-files", 2)
    assert "FOUND []" in graded.said("reads-files")


def test_proc_shows_the_learners_own_processes_alone(graded):
    graded.holds("reads-proc", 2)
    assert "FOUND [] ['1']" in graded.said("reads-proc")


def test_a_forked_kernels_memory_holds_nothing_of_the_graders(graded):
    graded.holds("reads-memory", 2)
    assert "FOUND []" in graded.said("reads-memory")


def test_no_descriptor_leads_out(graded):
    graded.holds("reads-descriptors", 2)
    assert "FOUND []" in graded.said("reads-descriptors")
