"""A ledger of its own for each test, in a real file."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.store.ledger import Ledger, open_ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger's file is, or will be."""
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[Ledger]:
    """An open ledger with nothing in it."""
    async with open_ledger(path) as ledger:
        yield ledger
