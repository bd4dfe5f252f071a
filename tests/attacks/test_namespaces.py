"""Namespaces within the jail, to mount anew what is read-only."""

from tests.support.hostile import Attack

TRY = """
import ctypes, os, platform, subprocess

libc = ctypes.CDLL(None, use_errno=True)
done = []
clone = 56 if platform.machine() == "x86_64" else 220
for flag in (0x10000000, 0x00020000, 0x40000000, 0x20000000, 0x10000000 | 0x00020000):
    if os.fork() == 0:
        os._exit(0 if libc.unshare(flag) == 0 else 1)
    done += [hex(flag)] if os.waitstatus_to_exitcode(os.wait()[1]) == 0 else []
    child = libc.syscall(clone, flag | 17, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    done += ["clone"] if child > 0 else []
for path in (b"/usr", b"/tmp", os.path.dirname(os.__file__).encode()):
    remount = libc.mount(None, path, None, 32 | 4096, None)  # MS_REMOUNT | MS_BIND
    done += [path] if remount == 0 or libc.umount2(path, 2) == 0 else []
done += ["tmpfs"] if libc.mount(b"none", b"/tmp", b"tmpfs", 0, b"size=9g") == 0 else []
for name in ("mnt", "net", "pid"):
    handle = os.open(f"/proc/self/ns/{name}", os.O_RDONLY)
    done += [name] if libc.setns(handle, 0) == 0 else []
    os.close(handle)
tool = subprocess.run(["unshare", "-Ur", "mount", "-o", "remount,rw", "/usr"], capture_output=True)
done += ["unshare"] if tool.returncode == 0 else []

def mean(values): return 0

print("DID", done)
"""
ATTACKS = {"namespaces": Attack({"mean": TRY})}


def test_no_namespace_is_made_and_nothing_is_mounted(graded):
    graded.holds("namespaces", 2)
    assert "DID []" in graded.said("namespaces")
