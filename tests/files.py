"""Waiting for what another process does to a file; folders that are hard to walk through."""

import os
from pathlib import Path

import anyio

APPEARS_SECONDS = 20


async def appears(path: Path) -> None:
    """Wait for a file that another process writes."""
    with anyio.fail_after(APPEARS_SECONDS):
        while not path.exists():
            await anyio.sleep(0.01)


async def disappears(path: Path) -> None:
    """Wait for the end of a file or folder."""
    with anyio.fail_after(APPEARS_SECONDS):
        while path.exists():
            await anyio.sleep(0.01)


def deepen(folder: Path, levels: int) -> None:
    """Make folders in folders, each with a file in it."""
    at = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=at)
        os.close(os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=at))
        at, above = os.open("d", os.O_RDONLY, dir_fd=at), at
        os.close(above)
    os.close(at)
