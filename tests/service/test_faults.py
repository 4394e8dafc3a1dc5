"""Faults of the ground that a server stands on; docs/explanation/faults.md has them as a table."""

import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from debug_mcp.app import open_services
from debug_mcp.auth.principal import LOCAL
from debug_mcp.config import Layout, Settings
from debug_mcp.errors import Unavailable
from debug_mcp.models.commands import CommandList
from debug_mcp.models.outputs import CommandOutput
from tests.service.house import House, text
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder one that cannot be written, for root too."""
    if os.geteuid():
        folder.chmod(0o500)
        yield
        folder.chmod(0o700)
        return
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "--options", "remount,bind,ro", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


async def damage(settings: Settings, command: str) -> None:
    """Make a row of the ledger unreadable behind the server's back."""

    def write() -> None:
        with closing(sqlite3.connect(Layout(settings.data_dir).database)) as ledger, ledger:
            ledger.execute("UPDATE commands SET request = '{}' WHERE id = ?", (command,))

    await anyio.to_thread.run_sync(write)


async def test_a_damaged_row_stops_neither_the_queue_nor_a_list(
    settings: Settings, upstream: Upstream
) -> None:
    async with open_services(settings) as services:
        house = House(services, settings)
        session = await house.open(upstream)
        other = await house.open(upstream)
        first = await house.begin(session)
        damaged = await house.queue(session, "echo damaged")
        await damage(settings, damaged)
        after = await house.queue(session, "echo after")
        house.file(session, "go").touch()

        assert (await house.wait(first)).exit_code == 5
        assert text(await house.wait(after)) == "after\n"
        assert text(await house.run(other, "echo other")) == "other\n"
        view = await house.wait(damaged)
        assert view.outcome == "lost"
        assert "damaged" in (view.hint or "")
        assert view.next is None
        listed = await services.commands.list(LOCAL, CommandList())
        assert damaged in {row.command_id for row in listed.commands}


async def test_output_that_is_gone_is_said_to_be_gone(
    settings: Settings, upstream: Upstream
) -> None:
    async with open_services(settings) as services:
        house = House(services, settings)
        ran = await house.run(await house.open(upstream), "echo hello")
        (house.layout.commands / ran.command_id / "output").unlink()

        view = await house.wait(ran.command_id)
        page = await services.commands.output(LOCAL, CommandOutput(command_id=ran.command_id))

    assert (view.outcome, view.exit_code) == ("succeeded", 0)
    assert view.hint == page.hint == "6 of 6 bytes of its output are gone: the file was changed"


async def test_a_server_says_when_it_may_not_write(settings: Settings, upstream: Upstream) -> None:
    async with open_services(settings) as services:
        await House(services, settings).open(upstream)
    with (
        read_only(settings.data_dir),
        pytest.raises(Unavailable, match=f"{settings.data_dir} cannot be used: Read-only"),
    ):
        async with open_services(settings):
            pass
