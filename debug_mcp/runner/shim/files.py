"""The files in which a shim says what it does."""

import os

WRITE = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
EXIT_BYTES = 4096


def publish(directory: int, name: str, fields: dict[str, object], durable: bool = False) -> None:
    """Write a file that is either absent or complete."""
    fd = os.open(name + ".tmp", WRITE, 0o600, dir_fd=directory)
    data = "".join(f"{key}={value}\n" for key, value in fields.items())
    os.ftruncate(fd, os.write(fd, data.encode("utf-8", "surrogateescape")))
    if durable:
        os.fsync(fd)
    os.close(fd)
    os.rename(name + ".tmp", name, src_dir_fd=directory, dst_dir_fd=directory)
    if durable:
        os.fsync(directory)


def reserve(directory: int, name: str) -> None:
    """Take room for a file that ``publish`` will write, so that a full disk cannot prevent it."""
    fd = os.open(name + ".tmp", WRITE, 0o600, dir_fd=directory)
    try:
        os.posix_fallocate(fd, 0, EXIT_BYTES)
    except OSError:
        pass  # not every file system can
    os.close(fd)
