"""The system calls that jailed code does without: a filter that the Linux kernel applies.

Namespaces hide things; this takes away the ways to make further namespaces, to look into other
processes, to hold memory that no limit counts, and the parts of the kernel with the most holes.
"""

import ctypes
import errno
import os
import struct

from medlab.sandbox import linux

# What a filter reads: struct seccomp_data {int nr; u32 arch; u64 ip; u64 args[6]}.
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL_PROCESS, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
OTHER_NUMBERING = 0x40000000  # x32 on x86_64 counts from here
NEW_NAMESPACES = 0x7E020080  # the CLONE_NEW* bits
FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: these have namespaces
# Numbers from the kernel's tables: x86_64, aarch64.
CLONE, CLONE3, SOCKET = (56, 220), (435, 435), (41, 198)
DENIED = {
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "fanotify_init": (300, 262),
    "personality": (135, 92),
}
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2


def apply() -> None:
    """Put the filter on this process and its children for good; privileges must be given up.

    Raises OSError where the Linux kernel has no such filters, or the processor is not known.
    """
    machine = os.uname().machine
    if machine not in MACHINES:
        raise OSError(errno.ENOSYS, f"no filter of system calls for {machine}")
    code = b"".join(_program(machine))
    instructions = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(instructions))
    held = ctypes.create_string_buffer(program, len(program))
    linux.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(held))


def _program(machine: str) -> list[bytes]:
    """Return the filter's instructions; each test jumps over the verdict that follows it."""
    column = list(MACHINES).index(machine)
    verdicts = [
        _do(LOAD, ARCHITECTURE),
        _do(JUMP_EQUAL, MACHINES[machine], then=1),
        _do(RETURN, KILL_PROCESS),
        _do(LOAD, NUMBER),
        _do(JUMP_AT_LEAST, OTHER_NUMBERING, otherwise=1),
        _do(RETURN, FAIL | errno.ENOSYS),
        # Its flags lie in memory, out of a filter's sight; libraries fall back to clone.
        *_if_number(CLONE3[column], [_do(RETURN, FAIL | errno.ENOSYS)]),
        *_if_number(CLONE[column], _unless_plain_clone()),
        *_if_number(SOCKET[column], _unless_known_family()),
    ]
    for numbers in DENIED.values():
        verdicts += _if_number(numbers[column], [_do(RETURN, FAIL | errno.EPERM)])
    return [*verdicts, _do(RETURN, ALLOW)]


def _if_number(number: int, verdict: list[bytes]) -> list[bytes]:
    return [_do(JUMP_EQUAL, number, otherwise=len(verdict)), *verdict]


def _unless_plain_clone() -> list[bytes]:
    return [
        _do(LOAD, FIRST_ARGUMENT),
        _do(JUMP_ANY_BIT, NEW_NAMESPACES, otherwise=1),
        _do(RETURN, FAIL | errno.EPERM),
        _do(RETURN, ALLOW),
    ]


def _unless_known_family() -> list[bytes]:
    """Refuse the families of sockets that no network namespace contains, such as AF_VSOCK."""
    known = [
        _do(JUMP_EQUAL, family, then=len(FAMILIES) - place) for place, family in enumerate(FAMILIES)
    ]
    return [
        _do(LOAD, FIRST_ARGUMENT),
        *known,
        _do(RETURN, FAIL | errno.EAFNOSUPPORT),
        _do(RETURN, ALLOW),
    ]


def _do(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    """Return one instruction: struct sock_filter {u16 code; u8 jt; u8 jf; u32 k}."""
    return struct.pack("HBBI", code, then, otherwise, value)
