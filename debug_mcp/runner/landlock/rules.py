"""Which files a process may open, and whom it may signal: Landlock, by system calls of its own.

The kernel's interface has versions; each adds rights that can be taken away. See ``landlock(7)``
and ``linux/landlock.h``.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

# The first at which no file outside can be emptied either.
LEAST_ABI = 3
# From this on nobody outside can be signalled.
SCOPED_ABI = 6

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every machine
_VERSION = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVS = 38

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
MAKE_CHAR, MAKE_BLOCK = 1 << 6, 1 << 11
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
READ = EXECUTE | READ_FILE | READ_DIR
_OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
_DEVICES = MAKE_CHAR | MAKE_BLOCK

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Return the version of the kernel's interface; 0 where there is none, or it is turned off."""
    try:
        return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    except OSError:
        return 0


def handled(abi: int) -> int:
    """Return the rights on files that can be taken away; unknown ones are an error."""
    rights = (1 << 13) - 1
    for since, right in ((2, 1 << 13), (3, TRUNCATE), (5, IOCTL_DEV)):
        rights |= right if abi >= since else 0
    return rights


def attributes(abi: int, *, network: bool) -> bytes:
    """Return what a set of rules takes away where nothing gives it back.

    TCP only without ``network``; from ``SCOPED_ABI`` on signals and abstract sockets in any case.
    """
    fields = [handled(abi)]
    if abi >= 4:
        fields.append(0 if network else 3)  # to bind, to connect
    if abi >= SCOPED_ABI:
        fields.append(3)  # abstract sockets, signals
    return struct.pack(f"={len(fields)}Q", *fields)


def restrict(abi: int, *, readable: Iterable[str], writable: Iterable[str], network: bool) -> None:
    """Give up, for this thread and all that it starts, every file but these.

    What is not there is left out. Descriptors that are open stay so.

    Raises:
        OSError: The kernel refuses.
    """
    wanted = attributes(abi, network=network)
    ruleset = _call(_CREATE_RULESET, wanted, ctypes.c_size_t(len(wanted)), ctypes.c_uint32(0))
    for path in readable:
        _allow(ruleset, path, READ)
    for path in writable:
        _allow(ruleset, path, handled(abi) & ~_DEVICES)
    if _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs is refused")
    _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not stat.S_ISDIR(os.fstat(fd).st_mode):
        rights &= _OF_A_FILE
    rule = struct.pack("=Qi", rights, fd)
    _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))
    os.close(fd)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"landlock: {os.strerror(code)}")
    return result
