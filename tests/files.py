"""Waiting for what another process does to a file."""

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
