"""From a failing test to its paused frame, beside plain pytest and a debugger driven by hand.

By hand: debugpy's adapter as it comes, the same test and plugin, the same requests for the stack
and the locals, no sandbox and no ledger. The budget is 1.3 times that.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import anyio

from debug_mcp.debuggers.adapters import python_start
from debug_mcp.debuggers.debugger import Debugger, State
from debug_mcp.debuggers.invocation import PythonProgram
from debug_mcp.debuggers.stops import Places, exception_of, locals_of, stack_of
from debug_mcp.runner.channel import open_channel
from debug_mcp.testreports import STOP_PLUGIN, injected_folder
from tests.benchmarks.bench import Bench, interleaved, timed
from tests.benchmarks.client import Client
from tests.benchmarks.table import Budget, Line, Measure

_SAMPLES = 8
_TEST = "test_calculator.py::test_add"
_LOOKS = 20


def lines(bench: Bench) -> Iterator[Line]:
    repository = bench.upstream()
    client = bench.ready(bench.launch(bench.folder / "data-debugging"))
    session = bench.session(client, repository)
    client.call("command_run", session_id=session, command="true")  # looks for the tools once
    samples = bench.samples(_SAMPLES)
    called, by_hand, plain = interleaved(
        samples,
        _stopping(client, session),
        partial(timed, partial(anyio.run, _by_hand, repository)),
        partial(timed, partial(_pytest, repository)),
    )
    whole = Measure(called, "ms")
    yield Line(
        "debug_run, failing test to its frame",
        whole,
        Measure(by_hand, "ms"),
        "debugpy by hand",
        Budget("at most", 1.3, of="ratio"),
    )
    yield Line("the same", whole, Measure(plain, "ms"), "plain pytest")
    stopped = client.call("debug_run", session_id=session, test=_TEST)
    yield Line("its view", Measure([float(len(json.dumps(stopped)))], "characters"))
    look = _looking(client, stopped)
    yield Line("debug_inspect, one expression", Measure([timed(look) for _ in range(_LOOKS)], "ms"))


def _stopping(client: Client, session: str) -> Callable[[], float]:
    def work() -> float:
        view: dict[str, object] = {}

        def stop() -> None:
            view.update(client.call("debug_run", session_id=session, test=_TEST, wait_seconds=50))

        taken = timed(stop)
        assert view["reason"] == "test_failed", view
        client.call("debug_control", debug_id=view["debug_id"], action="stop")
        return taken

    return work


def _looking(client: Client, stopped: dict[str, object]) -> Callable[[], object]:
    """Return an evaluation inside of the function that the test calls."""
    debug_id = stopped["debug_id"]
    at = "test_calculator.py:5"
    view = client.call("debug_control", debug_id=debug_id, action="restart", breakpoints=[at])
    client.call("debug_control", debug_id=view["debug_id"], action="into")
    return lambda: client.call("debug_inspect", debug_id=debug_id, expressions=["a - b"])


def _pytest(tree: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", _TEST]
    subprocess.run(command, cwd=tree, capture_output=True, check=False)


async def _by_hand(tree: str) -> None:
    """Drive debugpy as it comes to the same stop, and look at the same things."""
    channel, descriptor = open_channel()
    environment = {**os.environ, "PYTHONPATH": str(injected_folder())}
    adapter = [sys.executable, "-Xfrozen_modules=off", "-m", "debugpy.adapter"]
    process = subprocess.Popen(  # noqa: ASYNC220  # this is all that it does
        adapter,
        cwd=tree,
        env=environment,
        stdin=descriptor,
        stdout=descriptor,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(descriptor)
    debugger = Debugger(channel)
    arguments = ("-p", STOP_PLUGIN, "-p", "no:cacheprovider", _TEST)
    program = PythonProgram((sys.executable,), arguments, module="pytest")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(debugger.serve)
        await debugger.start(python_start(program, tree, "failure", plugin=True))
        assert await debugger.wait(30) is State.STOPPED
        assert debugger.stop is not None
        assert debugger.stop.thread is not None
        stack = await stack_of(debugger, Places(str(Path(tree))), debugger.stop.thread)
        assert stack.top is not None
        await locals_of(debugger, stack.top)
        await exception_of(debugger, debugger.stop)
        tasks.cancel_scope.cancel()
    os.killpg(process.pid, 9)
    process.wait()
    channel.close()
