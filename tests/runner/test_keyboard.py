"""Typing into a program under its shim: order, bounds, interrupts, and the end."""

import os
import signal
from pathlib import Path

import anyio
import pytest

from debug_mcp.runner.keyboard import NobodyReads, end_input, interrupt, resize, type_text
from debug_mcp.runner.supervisor import Stdin, read_fields
from tests.files import appears
from tests.runner.conftest import Runs, only_none

pytestmark = pytest.mark.anyio


def start(runs: Runs, command: str, kind: str = "open") -> Path:
    extra = {"terminal": True} if kind == "tty" else {}
    return runs.start(command, stdin=Stdin(kind), **extra)  # type: ignore[arg-type]


async def finished(runs: Runs, directory: Path) -> bytes:
    with anyio.fail_after(30):
        seen = await runs.supervisor.wait(directory)
    assert seen is not None, (directory / "log").read_text()
    assert seen.reason == "exit", seen
    return (directory / "output").read_bytes()


async def test_a_long_text_arrives_whole_and_in_order(runs: Runs) -> None:
    directory = start(runs, "cat")
    await appears(directory / "state")
    text = "".join(f"line {n} ä\n" for n in range(40_000))
    assert await type_text(directory, text) == len(text)
    assert await end_input(directory)
    assert (await finished(runs, directory)).decode() == text


async def test_two_writers_do_not_mix_their_texts(runs: Runs) -> None:
    directory = start(runs, "cat")
    await appears(directory / "state")
    texts = [letter * 100_000 for letter in "ab"]
    async with anyio.create_task_group() as tasks:
        for text in texts:
            tasks.start_soon(type_text, directory, text)
    await end_input(directory)
    output = (await finished(runs, directory)).decode()
    assert output in ("".join(texts), "".join(reversed(texts)))


async def test_a_program_that_does_not_read_holds_nobody_up(runs: Runs) -> None:
    directory = start(runs, "until [ -e go ]; do sleep 0.01; done; wc -c")
    await appears(directory / "state")
    text = "x" * 1_000_000
    taken = await type_text(directory, text)
    assert 0 < taken < len(text)
    (runs.folders.tree / "go").touch()
    assert await type_text(directory, text[taken:]) == len(text) - taken
    await end_input(directory)
    assert (await finished(runs, directory)).split() == [b"1000000"]


async def test_an_interrupt_passes_all_that_was_typed(runs: Runs) -> None:
    script = "trap 'echo caught; exit 0' INT; touch ready; while :; do sleep 0.01; done"
    directory = start(runs, script)
    await appears(runs.folders.tree / "ready")
    await type_text(directory, "x" * 1_000_000)
    assert await interrupt(directory, signal.SIGINT)
    assert b"caught" in await finished(runs, directory)


async def test_in_a_terminal_ctrl_c_reaches_what_is_in_front(runs: Runs) -> None:
    script = "trap 'echo caught; exit 0' INT; touch ready; while :; do sleep 0.01; done"
    directory = start(runs, script, "tty")
    await appears(runs.folders.tree / "ready")
    assert await interrupt(directory, signal.SIGINT)
    assert b"caught\n" in await finished(runs, directory)


async def test_a_terminal_is_one_to_the_program_and_changes_its_size(runs: Runs) -> None:
    script = "test -t 0 && test -t 1 && stty size; read -r line; stty size; echo $line </dev/tty"
    directory = start(runs, script, "tty")
    await appears(directory / "state")
    await resize(directory, 40, 100)
    await type_text(directory, "typed\n")
    output = await finished(runs, directory)
    # Line ends are as written, and what was typed is not said again.
    assert output.endswith(b"40 100\ntyped\n")
    assert b"\r" not in output


async def test_cancelling_ends_an_interactive_shell(runs: Runs) -> None:
    directory = start(runs, "touch ready; exec sh -i", "tty")
    await appears(runs.folders.tree / "ready")
    await runs.supervisor.cancel(directory)
    seen = await runs.supervisor.wait(directory)
    assert seen is not None
    assert seen.reason == "cancel"


async def test_nobody_reads_once_the_shim_is_gone(runs: Runs) -> None:
    directory = start(runs, "true")
    await finished(runs, directory)
    with pytest.raises(NobodyReads):
        await type_text(directory, "x")


async def test_a_text_is_read_to_its_end_and_again(runs: Runs) -> None:
    directory = runs.start("cat; cat /dev/stdin", stdin=Stdin("text", "given ä\n"))
    assert (await finished(runs, directory)).decode().startswith("given ä\n")


@only_none
async def test_without_a_sandbox_the_program_ends_with_its_shim_too(runs: Runs) -> None:
    directory = runs.start("touch ready; exec sleep 600")
    await appears(runs.folders.tree / "ready")
    state = read_fields(directory / "state")
    assert state is not None
    [program] = children(int(state["shim"]))
    with anyio.fail_after(30):
        os.kill(int(state["shim"]), signal.SIGKILL)
        assert await runs.supervisor.wait(directory) is None
        while Path(f"/proc/{program}/exe").exists():
            await anyio.sleep(0.01)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
