"""Which system calls are refused: a seccomp filter, for what Landlock does not see.

It is a list of what is refused, not of what is allowed: programs of every kind run under it, and
files, signals and tracing are Landlock's. See ``seccomp(2)``; the program is one of the classic
packet filter (``linux/filter.h``).
"""

import ctypes
import os
import struct
from dataclasses import dataclass
from errno import EACCES, ENETUNREACH, ENOSYS, EPERM

_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _EQUAL, _AT_LEAST, _ANY_OF, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_X32 = 0x40000000
_AF_INET, _AF_INET6 = 2, 10
_CLONE_NEW = 0x7E020000  # every kind of namespace


@dataclass(frozen=True, slots=True)
class Machine:
    """The numbers of one architecture; ``refused`` are those that no program of a session needs."""

    audit: int
    socket: int
    clone: int
    clone3: int
    refused: tuple[int, ...]
    has_x32: bool = False


# Since Linux 5.1 new calls have one number on every machine. In this order: io_uring, which opens
# sockets and files by itself; mounts; clone3 stands apart.
_NEW = (425, 426, 427, 428, 429, 430, 431, 432, 433, 442)
MACHINES = {
    # Memory and messages that processes of one user share by number (shmget, shmat, semget, semop,
    # semctl, shmctl, msgget, msgsnd, msgrcv, msgctl, mq_open, mq_unlink), mounts and roots
    # (pivot_root, chroot, mount, umount2), namespaces (unshare, setns), keys (add_key, request_key,
    # keyctl), and what looks into the kernel (perf_event_open, bpf, userfaultfd, kexec_load,
    # kexec_file_load, init_module, finit_module, delete_module, open_by_handle_at).
    "x86_64": Machine(
        audit=0xC000003E, socket=41, clone=56, clone3=435, has_x32=True,
        refused=(
            29, 30, 31, 64, 65, 66, 68, 69, 70, 71, 240, 241, 155, 161, 165, 166, 272, 308,
            248, 249, 250, 298, 321, 323, 246, 320, 175, 313, 176, 304, *_NEW,
        ),
    ),
    "aarch64": Machine(
        audit=0xC00000B7, socket=198, clone=220, clone3=435,
        refused=(
            194, 195, 196, 190, 191, 193, 186, 187, 188, 189, 180, 181, 41, 51, 40, 39, 97, 268,
            217, 218, 219, 241, 280, 282, 104, 294, 105, 273, 106, 265, *_NEW,
        ),
    ),
}  # fmt: skip


def program(machine: Machine, *, network: bool) -> bytes:
    """Return the filter: sockets by name and of other families than the network's are refused.

    A pair of connected sockets can always be made.
    """
    refuse = _one(_RETURN, 0, 0, _ERROR | EPERM)
    lines = [
        _one(_LOAD, 0, 0, _ARCHITECTURE),
        _one(_EQUAL, 1, 0, machine.audit),
        _one(_RETURN, 0, 0, _KILL),
        _one(_LOAD, 0, 0, _NUMBER),
    ]
    if machine.has_x32:  # its numbers would lead around everything below
        lines += [_one(_AT_LEAST, 0, 1, _X32), refuse]
    for number in machine.refused:
        lines += [_one(_EQUAL, 0, 1, number), refuse]
    # Its flags are behind a pointer; the C library then takes clone.
    lines += [_one(_EQUAL, 0, 1, machine.clone3), _one(_RETURN, 0, 0, _ERROR | ENOSYS)]
    lines += [
        _one(_EQUAL, 0, 4, machine.clone),
        _one(_LOAD, 0, 0, _FIRST_ARGUMENT),
        _one(_ANY_OF, 0, 1, _CLONE_NEW),
        refuse,
        _one(_RETURN, 0, 0, _ALLOW),
    ]
    # As where there is no way out: what asks for the network can then be told so.
    online = _ALLOW if network else _ERROR | ENETUNREACH
    lines += [
        _one(_EQUAL, 1, 0, machine.socket),
        _one(_RETURN, 0, 0, _ALLOW),
        _one(_LOAD, 0, 0, _FIRST_ARGUMENT),
        _one(_EQUAL, 1, 0, _AF_INET),
        _one(_EQUAL, 0, 1, _AF_INET6),
        _one(_RETURN, 0, 0, online),
        _one(_RETURN, 0, 0, _ERROR | EACCES),
    ]
    return b"".join(lines)


def restrict(*, network: bool) -> None:
    """Have the kernel refuse these calls, for this thread and all that it starts.

    Raises:
        OSError: The kernel refuses, or the machine is of a kind that this knows no numbers of.
    """
    machine = MACHINES.get(os.uname().machine)
    if machine is None:
        raise OSError(ENOSYS, f"no filter of system calls for {os.uname().machine}")
    lines = program(machine, network=network)
    code = ctypes.create_string_buffer(lines)
    header = struct.pack("HP", len(lines) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_SECCOMP, _MODE_FILTER, header, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")


def _one(code: int, if_true: int, if_false: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
