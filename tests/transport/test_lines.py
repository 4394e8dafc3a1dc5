"""Reading frames from a descriptor, without ever blocking a thread."""

import os
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from debug_mcp.transport import stdio
from debug_mcp.transport.stdio import Lines

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)


async def collect(fd: int) -> list[str]:
    return [line async for line in Lines(fd)]


async def test_a_frame_that_arrives_in_pieces_is_one_line(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    got: list[str] = []

    async def read() -> None:
        got.extend(await collect(reader))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        for piece in (b'{"a"', b": 1}\n{", b"}\n"):
            os.write(writer, piece)
            await anyio.lowlevel.checkpoint()
        os.close(writer)
    assert got == ['{"a": 1}', "{}"]


async def test_several_frames_in_one_piece_are_several_lines(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.write(writer, b"one\ntwo\nthree\n")
    os.close(writer)
    assert await collect(reader) == ["one", "two", "three"]


async def test_what_is_no_utf8_is_replaced_and_does_not_end_the_server(
    pipe: tuple[int, int],
) -> None:
    reader, writer = pipe
    os.write(writer, b"\xff\xfe\n{}\n")
    os.close(writer)
    assert await collect(reader) == ["\ufffd\ufffd", "{}"]


async def test_a_frame_over_the_limit_is_cut_and_the_next_one_is_read(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdio, "FRAME_LIMIT_BYTES", 100)
    monkeypatch.setattr(stdio, "_READ_BYTES", 64)
    reader, writer = pipe
    os.write(writer, b"x" * 1000 + b"\nnext\n")
    os.close(writer)
    cut, following = await collect(reader)
    assert len(cut) < 300
    assert following == "next"


async def test_a_regular_file_can_be_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    path.write_text("one\ntwo\n")
    fd = os.open(path, os.O_RDONLY)
    try:
        assert await collect(fd) == ["one", "two"]
    finally:
        os.close(fd)
