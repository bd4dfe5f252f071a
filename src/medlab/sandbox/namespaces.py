"""A jail of Linux namespaces for one kernel: what it sees, what it may use, who it is.

A kernel in it has its own processes (it is process 1), no network, its own user id, and a file
system put together from an allow-list: Python and its libraries, read-only, and an empty, small,
writable part in memory. The course, other submissions and the gradebook are not in it.

It is not a virtual machine: a hole in the Linux kernel is a hole in the jail.
"""

import os
import shutil
import signal
import site
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from medlab.files import folder_for_sockets
from medlab.sandbox import linux, seccomp
from medlab.sandbox.allowance import Allowance

# User ids that nobody else is known to use. In systemd's table 60578 to 61183 are unused (the ids
# after them go to services with DynamicUser=). Of 60000 to 64999, which Debian's policy (section
# 9.2.2) keeps for packages, none of these is given out as of base-passwd 3.6.1. They are below
# 65,536, so that a container with so many ids has them. Two kernels at a time may get the same
# one: they then share no more than the count of processes that RLIMIT_NPROC looks at.
FIRST_UID, UIDS = 60_578, 606
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/lib32", "/sbin")
SETTINGS = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime")
MORE_SETTINGS = ("/etc/fonts", "/etc/alternatives", "/etc/mime.types")
# Of a folder that Python is installed in: not all of it, since it may be the course's own.
PYTHON = ("bin", "lib", "lib64", "include", "share", "pyvenv.cfg")
DEVICES = ("null", "zero", "full", "random", "urandom")
HOME = Path("/learner")
WRITABLE = (Path("/tmp"), Path("/dev/shm"), HOME)
SUBSTITUTE = Path(__file__).with_name("hidden_module.py")
STAGING = Path("/staging")  # where a copy of a writable folder is put together
NAMESPACES = (
    linux.CLONE_NEWNS
    | linux.CLONE_NEWPID
    | linux.CLONE_NEWNET
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWUTS
    | linux.CLONE_NEWCGROUP
)


def enter_namespaces(flags: int = NAMESPACES) -> None:
    """Give this process namespaces of its own, with a user namespace where it is not root."""
    if os.geteuid() == 0:
        linux.unshare(flags)
        return
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    linux.unshare(linux.CLONE_NEWUSER | flags)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{FIRST_UID} {outer_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{FIRST_UID} {outer_gid} 1")


def build_root(
    new_root: Path,
    shared: Path,
    allowance: Allowance,
    readable: Iterable[str] = (),
    hidden: Iterable[str] = (),
) -> None:
    """Put the jail's file system together in new_root, for `enter_root`.

    shared is a folder outside that stays writable (a kernel's sockets, until `close_sockets`); it
    has the same path in the jail. readable names what may be read besides Python and medlab;
    hidden names files of it in whose place there is one that cannot be imported.
    """
    linux.mount("none", Path("/"), flags=linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("tmpfs", new_root, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "size=1m,mode=755")
    # The writable folders first: what must be readable may lie in one of them.
    for folder in WRITABLE:
        _mount_writable(_at(new_root, folder), allowance)
    for path in readable_paths(readable):
        _show(Path(path), new_root)
    for path in hidden:
        linux.mount(str(SUBSTITUTE), _at(new_root, Path(path)), flags=linux.MS_BIND)
        linux.set_read_only(_at(new_root, Path(path)))
    _make_devices(new_root)
    _make_settings(new_root)
    for folder in (HOME / "work", HOME / "home"):
        _at(new_root, folder).mkdir()
        _at(new_root, folder).chmod(0o777)
    _bind(shared, _at(new_root, shared))
    _at(new_root, STAGING).mkdir()
    _at(new_root, Path("/proc")).mkdir()
    linux.set_read_only(new_root, below=False)


def close_sockets(sockets: Path) -> None:
    """Make the sockets' folder read-only, once the kernel has bound its sockets there."""
    linux.set_read_only(sockets)


def enter_root(new_root: Path) -> None:
    """Show the processes of this pid namespace and move into the root, with all who share it.

    To be called by the namespace's first process. The old /proc must still be in sight, or an
    ordinary user may not mount a new one.
    """
    show_processes(_at(new_root, Path("/proc")))
    linux.pivot_root(new_root)


def enter_root_of_checkpoint(new_root: Path) -> None:
    """Move into the root; the processes in sight stay those outside: no student's code runs here.

    A process that is not the first of a pid namespace may not mount its own /proc.
    """
    _bind(Path("/proc"), _at(new_root, Path("/proc")))
    linux.pivot_root(new_root)


def show_processes(folder: Path = Path("/proc")) -> None:
    """Mount the processes of this pid namespace, as its first process."""
    linux.mount("proc", folder, "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)


def branch_off(shared: Path, own: Path, allowance: Allowance, flags: int = NAMESPACES) -> None:
    """Give a process forked inside a jail namespaces and writable folders of its own.

    The writable folders are copies of the jail's as they are now. Of the shared folder only own,
    a folder in it, stays in sight.
    """
    linux.unshare(flags)
    kept = os.open(own, os.O_PATH | os.O_DIRECTORY)
    for folder in WRITABLE:
        _renew(folder, shared, allowance)
    shared.mkdir(parents=True, exist_ok=True)  # it may be in one of them
    if own != shared:
        linux.mount("tmpfs", shared, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "size=64k,mode=755")
        own.mkdir(parents=True)
    linux.mount(f"/proc/self/fd/{kept}", own, flags=linux.MS_BIND | linux.MS_REC)
    if own != shared:
        linux.set_read_only(shared, below=False)
    os.close(kept)


def _renew(folder: Path, shared: Path, allowance: Allowance) -> None:
    """Put a copy in the place of a writable folder, without what is shared with the outside."""
    _mount_writable(STAGING, allowance)
    _copy(folder, STAGING, shared)
    linux.mount(str(STAGING), folder, flags=linux.MS_MOVE)


def _copy(source: Path, target: Path, left_out: Path) -> None:
    """Copy plain files, links and folders, so that every user may read and write the copies.

    What is mounted there, such as data that all may read, is shown again, and is not copied.
    """
    for path in source.iterdir():
        copy = target / path.name
        if path == left_out:
            continue
        if path.is_symlink():
            copy.symlink_to(os.readlink(path))
        elif path.is_dir() and path.is_mount():
            copy.mkdir()
            linux.mount(str(path), copy, flags=linux.MS_BIND | linux.MS_REC)
        elif path.is_dir():
            copy.mkdir()
            _copy(path, copy, left_out)
            copy.chmod(0o777)
        elif path.is_file():
            shutil.copyfile(path, copy)
            copy.chmod(0o777 if path.stat().st_mode & 0o100 else 0o666)


def become_nobody(number: int) -> None:
    """Take a user id of the jail's own and give up every privilege; number picks the id."""
    if os.geteuid() == 0:
        uid = FIRST_UID + number % UIDS
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    linux.drop_capabilities()
    # After the change of user, which resets both.
    linux.prctl(linux.PR_SET_DUMPABLE, 1)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    seccomp.apply()


def readable_paths(more: Iterable[str] = ()) -> list[str]:
    """Return the paths outside that a kernel may read: system, Python, medlab, and more."""
    own = Path(__file__).resolve().parents[1]
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    python = {str(Path(prefix, part)) for prefix in prefixes for part in PYTHON}
    libraries = {
        sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")
    }
    if site.ENABLE_USER_SITE:
        libraries.add(site.getusersitepackages())
    wanted = [*SYSTEM, *SETTINGS, *MORE_SETTINGS, *sorted(python | libraries), str(own), *more]
    kept: list[str] = []
    for path in wanted:
        inside = any(Path(path).is_relative_to(other) for other in kept)
        if os.path.lexists(path) and not inside:
            kept.append(path)
    return kept


def _mount_writable(folder: Path, allowance: Allowance) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    size = f"size={allowance.disk_bytes},nr_inodes={allowance.files},mode=777"
    linux.mount("tmpfs", folder, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, size)


def _show(path: Path, new_root: Path) -> None:
    """Make a path of the outside readable in the jail; a link stays a link."""
    target = _at(new_root, path)
    if path.is_symlink():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(os.readlink(path))
        return
    _bind(path, target)
    linux.set_read_only(target)


def _bind(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        target.mkdir(exist_ok=True)
    else:
        target.touch()
    linux.mount(str(path), target, flags=linux.MS_BIND | linux.MS_REC)


def _make_devices(new_root: Path) -> None:
    for name in DEVICES:
        _bind(Path("/dev", name), _at(new_root, Path("/dev", name)))
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        _at(new_root, Path("/dev", name)).symlink_to(f"/proc/self/fd/{number}")
    _at(new_root, Path("/dev/fd")).symlink_to("/proc/self/fd")


def _make_settings(new_root: Path) -> None:
    """Name every possible user 'learner', so that getpass and pwd find one."""
    etc = _at(new_root, Path("/etc"))
    etc.mkdir(exist_ok=True)
    uids = range(FIRST_UID, FIRST_UID + UIDS) if os.geteuid() == 0 else [FIRST_UID]
    lines = [f"learner:x:{uid}:{uid}::{HOME / 'home'}:/bin/sh\n" for uid in uids]
    (etc / "passwd").write_text("".join(lines))
    (etc / "group").write_text(f"learner:x:{FIRST_UID}:\n")


def _at(new_root: Path, path: Path) -> Path:
    return new_root / path.relative_to("/")


def main() -> None:
    """Build a jail and leave it: exit status 0 if this system allows that."""
    with folder_for_sockets() as folder:
        new_root, sockets = Path(folder, "root"), Path(folder, "sockets")
        new_root.mkdir()
        sockets.mkdir()
        child = os.fork()
        if child == 0:
            _try_all(new_root, sockets)
        _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


def _try_all(new_root: Path, sockets: Path) -> None:
    """Do all that a kernel's start does, in a process that ends here."""
    status = 1
    try:
        enter_namespaces()
        build_root(new_root, sockets, Allowance())
        first = os.fork()
        if first == 0:
            enter_root(new_root)
            become_nobody(0)
            os._exit(0)
        _, ended = os.waitpid(first, 0)
        close_sockets(sockets)
        status = os.waitstatus_to_exitcode(ended)
    except OSError as error:
        print(error.strerror or error, file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
