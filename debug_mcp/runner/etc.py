"""What programs need of ``/etc``, as one folder that a sandbox binds.

Each mount costs the start of a sandbox more than a tenth of a millisecond. And where root runs the
server, a bound ``/etc/ssl`` would show what is root's alone: so only what anybody may read is here.
"""

import contextlib
import hashlib
import os
import secrets
import shutil
import stat
import time
from pathlib import Path

from debug_mcp.runner.toolchains import SYSTEM_ROOTS

ETC = Path("/etc")
# Longer than any command may run.
UNUSED_SECONDS = 2 * 86400
# What finds names, libraries, certificates and the time.
_NAMES = (
    "alternatives", "ca-certificates", "group", "hosts", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "localtime", "nsswitch.conf", "passwd", "pki", "protocols", "resolv.conf",
    "services", "ssl",
)  # fmt: skip
# Certificates are exchanged in these, and nothing changes above them.
_BELOW = ("ssl/certs", "pki/tls/certs", "pki/ca-trust/extracted/pem")


def current_etc(folder: Path, etc: Path = ETC) -> Path:
    """Return a copy of ``etc`` as it is now, below ``folder``; made where there is none.

    That takes some milliseconds, after a change of the network or an update of certificates.

    Raises:
        OSError: It cannot be written.
    """
    copy = folder / _digest(etc)
    try:
        os.utime(copy)
    except FileNotFoundError:
        _make(copy, etc)
        _forget_unused(folder)
    return copy


def _digest(etc: Path) -> str:
    """Return what changes when anything that is copied does."""
    seen = hashlib.sha256()
    for name in (*_NAMES, *_BELOW):
        with contextlib.suppress(OSError):
            status = os.stat(f"{etc}/{name}")
            seen.update(f"{name} {status.st_ino} {status.st_size} {status.st_mtime_ns} ".encode())
    return seen.hexdigest()[:16]


def _make(copy: Path, etc: Path) -> None:
    coming = copy.with_name(f"{copy.name}.{secrets.token_hex(4)}")
    coming.mkdir(parents=True)
    shown = tuple(f"{root}/" for root in (*SYSTEM_ROOTS, *(etc / name for name in _NAMES)))
    for name in _NAMES:
        _copy(f"{etc}/{name}", f"{coming}/{name}", shown)
    try:
        coming.rename(copy)
    except OSError:  # another server made it a moment ago
        shutil.rmtree(coming)


def _copy(source: str, target: str, shown: tuple[str, ...]) -> None:
    """Copy what anybody may read of a file, link or folder; ``shown``: where links may lead."""
    try:
        if os.path.islink(source) and _stays(source, shown):
            os.symlink(os.readlink(source), target)
            return
        mode = os.stat(source).st_mode
        if stat.S_ISDIR(mode) and mode & 0o005 == 0o005:
            os.mkdir(target)
            for name in os.listdir(source):
                _copy(f"{source}/{name}", f"{target}/{name}", shown)
        elif stat.S_ISREG(mode) and mode & 0o004:
            shutil.copyfile(source, target)
    except OSError:
        pass  # it is not there, or a link that leads nowhere


def _stays(link: str, shown: tuple[str, ...]) -> bool:
    """Return whether the end of a link is in the sandbox too."""
    text = os.readlink(link)
    # Most are names beside it or plain paths, and there are hundreds.
    plain = "/" not in text or (text.startswith(shown) and "/../" not in text)
    return plain or os.path.realpath(link).startswith(shown)


def _forget_unused(folder: Path) -> None:
    before = time.time() - UNUSED_SECONDS
    for copy in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if copy.stat().st_mtime < before:
                shutil.rmtree(copy, ignore_errors=True)
