"""Writing outside one's own folder, changing rights and owners, programs that run as root."""

from tests.support.hostile import Attack

EVERYWHERE = """
import os

written = set()
for folder, folders, names in os.walk("/"):
    if folder == "/proc" or folder.count("/") > 3:
        folders.clear()
    try:
        open(os.path.join(folder, "@MARK@"), "w").close()
        written.add(folder)
    except OSError:
        pass
for path in ("@FOLDER@/@MARK@", "@FOLDER@/c/x", "/etc/passwd", "/proc/sysrq-trigger"):
    try:
        open(path, "a").write("x")
        written.add(path)
    except OSError:
        pass

def mean(values): return 0

own = ("/tmp", "/dev/shm", "/learner")
print("WROTE", sorted(f for f in written if not f.startswith(own)))
"""
GAMES = """
import os, stat, subprocess, sys

done = []
def attempt(what, *args):
    try:
        what(*args)
        done.append((what.__name__, args))
    except OSError:
        pass

python = os.path.realpath(sys.executable)
for path in ("/", "/usr", "/etc", python, "/proc/sys/kernel/hostname", "/dev/null"):
    attempt(os.chmod, path, 0o4777)
    attempt(os.chown, path, os.getuid(), os.getgid())
    attempt(os.rename, path, "/tmp/@MARK@")
    attempt(os.link, path, "/tmp/@MARK@-link")
attempt(os.setuid, 0)
attempt(os.setgroups, [0])
attempt(os.chroot, "/tmp")
attempt(os.mknod, "/tmp/@MARK@-disk", 0o666 | stat.S_IFBLK, os.makedev(254, 0))
programs = [os.path.join("/usr/bin", name) for name in os.listdir("/usr/bin")]
for path in programs:
    if os.path.exists(path) and os.stat(path).st_mode & stat.S_ISUID:
        made = subprocess.run([python, "-c", "pass"], capture_output=True)
        told = subprocess.run([path], capture_output=True, stdin=subprocess.DEVNULL, timeout=1)
open("/tmp/own", "w").close()
os.chmod("/tmp/own", 0o6777)
status = open("/proc/self/status").read()
done += [] if "NoNewPrivs:\\t1" in status else ["privileges"]

def mean(values): return 0

print("DID", done)
"""
ATTACKS = {
    "writes-everywhere": Attack({"mean": EVERYWHERE}),
    "changes-rights": Attack({"mean": GAMES}),
}


def test_only_the_jails_own_folders_can_be_written(graded):
    graded.holds("writes-everywhere", 2)
    assert "WROTE []" in graded.said("writes-everywhere")


def test_rights_and_owners_of_what_is_shared_stay(graded):
    graded.holds("changes-rights", 2)
    assert "DID []" in graded.said("changes-rights")
