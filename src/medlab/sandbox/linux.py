"""The few Linux calls that a jail needs and that Python 3.11 does not offer."""

import ctypes
import os
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
CLONE_NEWCGROUP = 0x02000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
MS_MOVE = 8192
MNT_DETACH = 2
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV = 1, 2, 4
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
CAPABILITY_VERSION_3 = 0x20080522
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
# Numbers from the kernel's tables; those of 5.1 and later are the same on every architecture.
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
SYS_CAPSET = {"x86_64": 126, "aarch64": 91}
SYS_MOUNT_SETATTR = 442


def unshare(flags: int) -> None:
    """Move this process, or for CLONE_NEWPID its children, into new namespaces."""
    _check(_libc().unshare(flags), "unshare")


def mount(source: str, target: Path, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount a file system, or with MS_BIND another path."""
    names = (source.encode(), str(target).encode(), kind.encode() or None)
    _check(_libc().mount(*names, ctypes.c_ulong(flags), data.encode() or None), f"mount {target}")


def set_read_only(target: Path, below: bool = True) -> None:
    """Make a mount, and those below it, read-only, without devices and without setuid."""

    class Attributes(ctypes.Structure):
        _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns")]

    wanted = Attributes(ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV, 0, 0, 0)
    call = (SYS_MOUNT_SETATTR, AT_FDCWD, str(target).encode(), AT_RECURSIVE if below else 0)
    size = ctypes.sizeof(wanted)
    _check(_libc().syscall(*call, ctypes.byref(wanted), size), f"read-only {target}")


def pivot_root(new_root: Path) -> None:
    """Make a mount the root of this mount namespace and let go of the old one."""
    os.chdir(new_root)
    _check(_libc().syscall(SYS_PIVOT_ROOT[os.uname().machine], b".", b"."), "pivot_root")
    _check(_libc().umount2(b".", MNT_DETACH), "umount of the old root")
    os.chdir("/")


def drop_capabilities() -> None:
    """Give up all capabilities of this thread and the way back to them."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    _check(_libc().syscall(SYS_CAPSET[os.uname().machine], header, none), "capset")


def prctl(option: int, value: int, more: int = 0) -> None:
    """Set one attribute of this process."""
    values = (ctypes.c_ulong(number) for number in (value, more, 0, 0))
    _check(_libc().prctl(option, *values), "prctl")


def _libc():
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
