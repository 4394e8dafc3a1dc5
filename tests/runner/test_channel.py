"""A command that speaks with the server over its standard input and output."""

import os
from pathlib import Path

import anyio
import pytest

from debug_mcp.runner.channel import Channel, open_channel
from tests.files import appears
from tests.runner.conftest import Runs

pytestmark = pytest.mark.anyio


def begin(runs: Runs, command: str, **limits: float) -> tuple[Channel, Path]:
    channel, descriptor = open_channel()
    try:
        return channel, runs.start(command, channel=descriptor, **limits)
    finally:
        os.close(descriptor)


async def all_of(channel: Channel) -> bytes:
    received = b""
    with anyio.fail_after(20):
        while data := await channel.receive():
            received += data
    return received


async def test_both_ends_hear_each_other_and_standard_error_is_the_output(runs: Runs) -> None:
    channel, directory = begin(runs, "read line; echo heard $line; echo aside >&2; exit 3")
    await channel.send(b"hello\n")
    assert await all_of(channel) == b"heard hello\n"
    seen = await runs.supervisor.wait(directory)
    channel.close()
    assert seen is not None
    assert (seen.reason, seen.code, seen.output_bytes) == ("exit", 3, len(b"aside\n"))


async def test_more_than_fits_at_once_arrives_whole_in_both_directions(runs: Runs) -> None:
    channel, directory = begin(runs, "head -c 3000000 > copy; cat copy")
    data = os.urandom(3_000_000)
    await channel.send(data)
    assert await all_of(channel) == data
    await runs.supervisor.wait(directory)
    channel.close()


async def test_a_command_whose_server_hangs_up_is_ended_with_all_it_started(runs: Runs) -> None:
    command = "trap '' TERM; (trap '' TERM; touch ready; sleep 600) & wait"
    channel, directory = begin(runs, command, grace=0.1)
    await appears(runs.folders.tree / "ready")
    channel.close()
    with anyio.fail_after(20):
        seen = await runs.supervisor.wait(directory)
    assert seen is not None
    assert seen.reason == "hangup"


async def test_nothing_can_be_sent_to_a_command_that_has_ended(runs: Runs) -> None:
    channel, directory = begin(runs, "exit 0")
    await runs.supervisor.wait(directory)
    assert await channel.receive() == b""
    with pytest.raises(OSError, match="pipe"):
        await channel.send(b"anybody?")
    channel.close()
