"""Opening a file below a folder that a hostile program may still change.

``openat2`` with "stay beneath, follow no link", then the descriptor is judged, never the path. A
check by ``realpath`` and an open after it lose that race. Where the kernel has no ``openat2``, the
path is walked part by part.
"""

import contextlib
import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

_AT_FDCWD = -100
_SYS_OPENAT2 = 437  # the same number on x86_64 and arm64
_RESOLVE_NO_XDEV = 0x01
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_STRICT = _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS | _RESOLVE_NO_XDEV
# O_NONBLOCK keeps a FIFO without a writer from hanging the open.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER_TO_PASS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
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
        Refused: A link, a mount or a way out stands in it, or it is gone.
    """
    try:
        return _by_kernel(root, path) if HAS_OPENAT2 else _by_walking(root, path)
    except OSError as error:
        code = error.errno or 0
        said = "a symbolic link" if code == errno.ELOOP else os.strerror(code).lower()
        raise Refused(said, code) from None


@contextlib.contextmanager
def opened_beneath(root: int, path: str) -> Iterator[int]:
    """Hold open what ``open_beneath`` opens, and raise what it raises."""
    fd = open_beneath(root, path)
    try:
        yield fd
    finally:
        os.close(fd)


def _by_kernel(root: int, path: str) -> int:
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
    raise OSError(code, os.strerror(code))


def _by_walking(root: int, path: str) -> int:
    """Do what ``openat2`` does in one step part by part, each from a descriptor of the last.

    So nothing that is renamed meanwhile can lead out. ``..`` is refused, also where it would stay
    beneath.
    """
    parts = path.split("/")
    if not path:
        raise FileNotFoundError(errno.ENOENT, "no name")
    if not parts[0] or ".." in parts:
        raise OSError(errno.EXDEV, "a way out")
    names = [part for part in parts if part not in ("", ".")]
    mount = _mount(root)
    folder = _opened(".", _FOLDER_TO_PASS, root, mount)
    try:
        for name in names[:-1]:
            above, folder = folder, _opened(name, _FOLDER_TO_PASS, folder, mount)
            os.close(above)
        # A name with a slash behind it is a folder's.
        folders = os.O_DIRECTORY if parts[-1] in ("", ".") else 0
        last = names[-1] if names else "."
        return _opened(last, _READ | os.O_NOFOLLOW | folders, folder, mount)
    finally:
        os.close(folder)


def _opened(name: str, flags: int, folder: int, mount: bytes) -> int:
    try:
        fd = os.open(name, flags, dir_fd=folder)
    except NotADirectoryError:
        # The kernel says so of a link too, where only a folder will do.
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, "a symbolic link") from None
        raise
    try:
        if _mount(fd) != mount:
            raise OSError(errno.EXDEV, "a mount")
    except OSError:
        os.close(fd)
        raise
    return fd


def _mount(fd: int) -> bytes:
    """Return which mount an open file is on."""
    for line in Path(f"/proc/self/fdinfo/{fd}").read_bytes().splitlines():
        if line.startswith(b"mnt_id:"):
            return line
    raise OSError(errno.ENOSYS, "the kernel does not tell mounts")


def _has_openat2() -> bool:
    """Return whether this kernel has it (since 5.6) and lets us use it: some containers do not."""
    try:
        os.close(_by_kernel(_AT_FDCWD, "."))
    except OSError as error:
        return error.errno not in (errno.ENOSYS, errno.EPERM)
    return True


HAS_OPENAT2 = _has_openat2()


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
