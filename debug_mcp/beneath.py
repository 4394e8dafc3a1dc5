"""Opening a file below a folder that a hostile program may still change.

``openat2`` with "stay beneath, follow no link", then the descriptor is judged, never the path. A
check by ``realpath`` and an open after it lose that race.
"""

import contextlib
import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

from debug_mcp.errors import Unavailable

_SYS_OPENAT2 = 437  # the same number on x86_64 and arm64
_RESOLVE_NO_XDEV = 0x01
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_STRICT = _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS | _RESOLVE_NO_XDEV
# O_NONBLOCK keeps a FIFO without a writer from hanging the open.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# EAGAIN: something was renamed meanwhile and the kernel cannot be sure.
_RETRIES = 64

_libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """Raised when a file is not one to open or hand out; the message says why.

    ``code`` is the kernel's error number, 0 when the kernel had no objection.
    """

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


@contextlib.contextmanager
def opened_root(folder: Path) -> Iterator[int]:
    """Hold a folder open whose own path no hostile program can change."""
    fd = os.open(folder, _FOLDER)
    try:
        yield fd
    finally:
        os.close(fd)


def open_beneath(root: int, path: str) -> int:
    """Open a path below an open folder, read-only, following no link at all.

    A folder can be opened too; ``.`` is the root itself.

    Raises:
        Refused: A link, a mount or ``..`` stands in the way, or it is gone.
        Unavailable: The kernel has no ``openat2`` (before 5.6).
    """
    how = struct.pack("=QQQ", _READ, 0, _STRICT)
    code = 0
    for _ in range(_RETRIES):
        fd = _libc.syscall(
            ctypes.c_long(_SYS_OPENAT2),
            ctypes.c_int(root),
            os.fsencode(path),
            how,
            ctypes.c_size_t(len(how)),
        )
        if fd >= 0:
            return int(fd)
        code = ctypes.get_errno()
        if code not in (errno.EAGAIN, errno.EINTR):
            break
    if code in (errno.ENOSYS, errno.EPERM):
        raise Unavailable("the files of a session are reached with openat2: Linux 5.6 or newer")
    raise Refused("a symbolic link" if code == errno.ELOOP else os.strerror(code).lower(), code)


def check_regular(fd: int, limit: int) -> os.stat_result:
    """Judge an open file.

    Raises:
        Refused: It is no regular file, has other names (hard links), or is over ``limit`` bytes.
    """
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise Refused("not a regular file")
    if found.st_nlink > 1:
        raise Refused("has other names (hard links)")
    if found.st_size > limit:
        raise Refused(f"{found.st_size} bytes; the limit is {limit}")
    return found
