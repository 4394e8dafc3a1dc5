"""The client and an adapter that does what the test says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from debug_mcp.debuggers.client import AdapterGone, DapClient, Refused, Unanswered
from debug_mcp.debuggers.wire import Message, Messages, encode

pytestmark = pytest.mark.anyio


class Line:
    """One end of a line in memory."""

    def __init__(self, sending: Any, receiving: Any) -> None:
        self._sending = sending
        self._receiving = receiving

    async def send(self, data: bytes) -> None:
        try:
            await self._sending.send(data)
        except anyio.BrokenResourceError as error:
            raise BrokenPipeError from error

    async def receive(self) -> bytes:
        try:
            data: bytes = await self._receiving.receive()
        except anyio.EndOfStream:
            return b""
        return data

    async def close(self) -> None:
        await self._sending.aclose()
        await self._receiving.aclose()


class Adapter:
    """The other end."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._messages = Messages()
        self._came: list[Message] = []

    async def next(self) -> Message:
        while not self._came:
            self._came += self._messages.feed(await self.line.receive())
        return self._came.pop(0)

    async def answer(self, request: Message, success: bool = True, **members: Any) -> None:
        answer = {"type": "response", "request_seq": request["seq"], "success": success}
        await self.line.send(encode({**answer, "command": request["command"], **members}))


@asynccontextmanager
async def speaking() -> AsyncIterator[tuple[DapClient, Adapter, list[tuple[str, Message]]]]:
    to_adapter, from_client = anyio.create_memory_object_stream[bytes](10)
    to_client, from_adapter = anyio.create_memory_object_stream[bytes](10)
    heard: list[tuple[str, Message]] = []
    ours = Line(to_adapter, from_adapter)
    adapter = Adapter(Line(to_client, from_client))
    client = DapClient(ours, lambda name, body: heard.append((name, body)))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.serve)
        with anyio.fail_after(10):
            yield client, adapter, heard
        await adapter.line.close()
    await ours.close()


async def test_answers_find_their_requests_in_any_order() -> None:
    async with speaking() as (client, adapter, _):
        first, second = await client.begin("launch"), await client.begin("threads", {"x": 1})
        launch, threads = await adapter.next(), await adapter.next()
        assert "arguments" not in launch
        assert threads["arguments"] == {"x": 1}
        await adapter.answer(threads, body={"threads": []})
        assert await second.body() == {"threads": []}
        await adapter.answer(launch)
        assert await first.body() == {}


async def test_a_refusal_says_the_adapters_own_words() -> None:
    async with speaking() as (client, adapter, _):
        asked = await client.begin("evaluate")
        error = {"format": "no {what} here", "variables": {"what": "name"}}
        await adapter.answer(await adapter.next(), success=False, body={"error": error})
        with pytest.raises(Refused, match="no name here"):
            await asked.body()
        asked = await client.begin("next")
        await adapter.answer(await adapter.next(), success=False, message="not stopped")
        with pytest.raises(Refused, match="not stopped"):
            await asked.body()


async def test_events_come_in_their_order() -> None:
    async with speaking() as (client, adapter, heard):
        await adapter.line.send(encode({"type": "event", "event": "output", "body": {"n": 1}}))
        await adapter.line.send(encode({"type": "event", "event": "terminated"}))
        asked = await client.begin("threads")
        await adapter.answer(await adapter.next())
        await asked.body()
        assert heard == [("output", {"n": 1}), ("terminated", {})]


async def test_what_the_adapter_asks_of_us_is_declined_and_not_left_open() -> None:
    async with speaking() as (_, adapter, _):
        wish = {"type": "request", "seq": 7, "command": "runInTerminal", "arguments": {}}
        await adapter.line.send(encode(wish))
        answer = await adapter.next()
        assert (answer["type"], answer["request_seq"], answer["success"]) == ("response", 7, False)


async def test_everybody_who_waits_hears_that_the_adapter_is_gone() -> None:
    async with speaking() as (client, adapter, _):
        pending = [await client.begin("threads") for _ in range(3)]
        await adapter.line.close()
        for each in pending:
            with pytest.raises(AdapterGone):
                await each.body()
        with pytest.raises(AdapterGone):
            await client.request("threads")


async def test_an_adapter_that_talks_nonsense_is_as_good_as_gone() -> None:
    async with speaking() as (client, adapter, _):
        asked = await client.begin("threads")
        await adapter.line.send(b"Segmentation fault\n" * 1000)
        with pytest.raises(AdapterGone):
            await asked.body()


async def test_a_request_that_is_never_answered_ends_with_its_time() -> None:
    async with speaking() as (client, adapter, _):
        with pytest.raises(Unanswered, match=r"evaluate in 0.01 s"):
            await client.request("evaluate", seconds=0.01)
        late = await adapter.next()
        await adapter.answer(late)  # nobody waits for it, and that is all
        asked = await client.begin("threads")
        await adapter.answer(await adapter.next(), body={"threads": [1]})
        assert await asked.body() == {"threads": [1]}
