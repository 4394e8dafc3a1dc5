"""Which file system a folder is on: the ledger's locks and shared memory do not work on all."""

import re
from pathlib import Path

from debug_mcp.errors import Unavailable

# SQLite's WAL needs memory that all servers share, and servers find each other by their locks.
NETWORKED = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse.ceph", "fuse.glusterfs",
        "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs",
        "nfs4", "orangefs", "smb3", "smbfs",
    }
)  # fmt: skip


def mounts() -> str:
    """Return what is mounted where, as the kernel says it."""
    return Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")


def require_local(folder: Path, mounted: str) -> None:
    """Refuse a folder behind a network; ``mounted`` as for ``file_system``.

    Raises:
        Unavailable: Locks cannot be trusted there.
    """
    kind = file_system(folder, mounted)
    if kind in NETWORKED:
        raise Unavailable(
            f"the data directory {folder} is on a network file system ({kind}), where locks "
            "cannot be trusted; name one on a local disk with --data-dir or DEBUG_MCP_DATA_DIR"
        )


def file_system(folder: Path, mounted: str) -> str:
    """Return the kind of file system that a folder is on, or will be: ``ext4``, ``nfs4``.

    Args:
        folder: An absolute path; it need not exist yet.
        mounted: Lines in the form of ``/proc/self/mountinfo``.
    """
    real = folder.resolve()
    kind, depth = "unknown", -1
    for line in mounted.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5:  # the fifth is the mount point
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4]))
        # Of two on one point, the later covers the earlier.
        if real.is_relative_to(point) and len(point.parts) >= depth:
            kind, depth = after.split(" ")[0], len(point.parts)
    return kind
