"""One program under a debugger: its state, and what makes it go on."""

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import anyio

from debug_mcp.debuggers.client import (
    AdapterGone,
    DapClient,
    Refused,
    Stream,
    Unanswered,
)
from debug_mcp.debuggers.tail import Tail
from debug_mcp.debuggers.values import objects, whole
from debug_mcp.debuggers.wire import Message

LAUNCH_SECONDS = 60.0
OUTPUT_CHARACTERS = 8000
END_SECONDS = 3.0
# Adapters tell of themselves on these.
_NOT_OUTPUT = {"telemetry", "important"}

_WHO = {
    "clientID": "debug-mcp",
    "clientName": "debug-mcp",
    "pathFormat": "path",
    "linesStartAt1": True,
    "columnsStartAt1": True,
    "supportsVariableType": True,
    "supportsMemoryReferences": True,
    "supportsRunInTerminalRequest": False,
    "supportsStartDebuggingRequest": False,
}


class State(StrEnum):
    """What the program does, as far as its debugger has said."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPED = "stopped"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Stop:
    """Why and where the program stands still, in the adapter's words."""

    number: int
    reason: str
    thread: int | None
    description: str = ""
    text: str = ""
    breakpoints: tuple[int, ...] = ()


@dataclass(slots=True)
class Placed:
    """What an adapter says of one breakpoint. Ids count from 0 in some, and others give none."""

    id: int | None = None
    verified: bool = False
    line: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """How to start a program under an adapter.

    Attributes:
        adapter: The adapter's own name for itself.
        arguments: Of its ``launch`` or ``attach`` request, which ``request`` is.
        filters: Arguments of ``setExceptionBreakpoints``; None where there are none.
    """

    adapter: str
    arguments: Message
    request: str = "launch"
    filters: Message | None = None


class Debugger:
    """Drives one program; ``serve`` must run as long as it does.

    Args:
        stream: The adapter's standard input and output.
        take: Is given each piece of output, and returns whether it was its own kind, not a text
            of the program.
    """

    def __init__(self, stream: Stream, take: Callable[[str], bool] = lambda _: False) -> None:
        self.client = DapClient(stream, self._on_event)
        self.capabilities: Message = {}
        self.state = State.STARTING
        self.stop: Stop | None = None
        self.exit_code: int | None = None
        self.ended = anyio.Event()
        self.output = Tail(OUTPUT_CHARACTERS)
        self.hits: Counter[int] = Counter()
        self.changed_breakpoints: dict[int, Placed] = {}
        self._take = take
        self._stops = 0
        self._initialized = anyio.Event()
        self._changed = anyio.Event()

    async def serve(self) -> None:
        """Follow the adapter to its end."""
        try:
            await self.client.serve()
        finally:
            self._become(State.ENDED)

    async def start(self, start: Start, place: Callable[[], Awaitable[None]] | None = None) -> None:
        """Start the program, with its breakpoints placed before its first instruction.

        This order serves every adapter: some say that they are initialized before they answer the
        launch, others after it.

        Raises:
            Refused: The adapter cannot start it, and says why.
            Unanswered: It does not come to that in time.
            AdapterGone: It ended.
        """
        self.capabilities = await self.client.request(
            "initialize", {**_WHO, "adapterID": start.adapter}, LAUNCH_SECONDS
        )
        launched = await self.client.begin(start.request, start.arguments)
        await self._ready(launched.body)
        if place is not None:
            await place()
        if start.filters is not None:
            await self.client.request("setExceptionBreakpoints", start.filters)
        if self.state is State.STARTING:
            self._become(State.RUNNING)
        if self.capabilities.get("supportsConfigurationDoneRequest"):
            await self.client.request("configurationDone", {})
        await launched.body(LAUNCH_SECONDS)

    async def _ready(self, launched: Callable[[float], Awaitable[Message]]) -> None:
        """Wait for the event; an adapter that refuses the launch never sends it."""
        refusal: list[Exception] = []

        async def watch(scope: anyio.CancelScope) -> None:
            try:
                await launched(LAUNCH_SECONDS)
                await anyio.sleep(LAUNCH_SECONDS)  # answered: the event is still to come
                refusal.append(Unanswered("the debugger did not become ready"))
            except (Refused, AdapterGone, Unanswered) as error:
                refusal.append(error)
            scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch, tasks.cancel_scope)
            await self._initialized.wait()
            tasks.cancel_scope.cancel()
        if refusal:
            raise refusal[0]

    async def place(
        self, path: str, wanted: Sequence[Message], *, functions: bool = False
    ) -> list[Placed]:
        """Set all breakpoints of a file, or those on functions; return what became of each.

        Raises:
            Refused: The adapter cannot; likewise what else ``DapClient.request`` raises.
        """
        if functions:
            body = await self.client.request(
                "setFunctionBreakpoints", {"breakpoints": list(wanted)}
            )
        else:
            body = await self.client.request(
                "setBreakpoints",
                {
                    "source": {"path": path},
                    "breakpoints": list(wanted),
                    "lines": [each["line"] for each in wanted],
                },
            )
        found = [_placed(answer) for answer in objects(body, "breakpoints")]
        return (found + [Placed() for _ in wanted])[: len(wanted)]

    async def resume(self, how: str = "continue") -> None:
        """Let the stopped program go on: continue, next, stepIn or stepOut.

        Raises:
            Refused: It cannot do that here; likewise what else ``DapClient.request`` raises.
        """
        before = self.stop
        thread = await self._thread(before)
        self._become(State.RUNNING)
        try:
            await self.client.request(how, {"threadId": thread})
        except Refused:
            if self.state is State.RUNNING:
                self.stop = before
                self._become(State.STOPPED)
            raise

    async def pause(self) -> None:
        """Ask the running program to stop where it is; ``wait`` tells when it has."""
        await self.client.request("pause", {"threadId": await self._thread(None)})

    async def wait(self, seconds: float) -> State:
        """Return as soon as the program stands still or has ended, or after some seconds."""
        with anyio.move_on_after(seconds):
            while self.state in (State.STARTING, State.RUNNING):
                await self._changed.wait()
        return self.state

    async def end(self) -> None:
        """End the program and its adapter, as far as the adapter helps; the rest is the shim's."""
        with contextlib.suppress(Refused, Unanswered, AdapterGone):
            await self.client.request(
                "disconnect", {"terminateDebuggee": True, "restart": False}, END_SECONDS
            )
        self._become(State.ENDED)

    async def threads(self) -> list[Message]:
        """Return the program's threads."""
        return objects(await self.client.request("threads"), "threads")

    async def _thread(self, stop: Stop | None) -> int:
        """Return the thread that stopped; or any: adapters then mean all."""
        if stop is not None and stop.thread is not None:
            return stop.thread
        threads = await self.threads()
        return whole(threads[0].get("id")) if threads else 1

    def _become(self, state: State) -> None:
        if self.state is State.ENDED:
            return
        self.state = state
        if state is not State.STOPPED:
            self.stop = None
        if state is State.ENDED:
            self.ended.set()
        self._changed.set()
        self._changed = anyio.Event()

    def _on_event(self, name: str, body: Message) -> None:
        match name:
            case "initialized":
                self._initialized.set()
            case "stopped":
                self._stopped(body)
            case "exited":
                code = body.get("exitCode")
                self.exit_code = code if isinstance(code, int) else None
            case "terminated":
                self._become(State.ENDED)
            case "output" if body.get("category") not in _NOT_OUTPUT:
                text = str(body.get("output", ""))
                if not self._take(text):
                    self.output.add(text)
            case "breakpoint":
                placed = _placed(body.get("breakpoint"))
                if placed.id is not None:
                    self.changed_breakpoints[placed.id] = placed

    def _stopped(self, body: Message) -> None:
        ids = body.get("hitBreakpointIds")
        hit = tuple(id_ for id_ in ids if isinstance(id_, int)) if isinstance(ids, list) else ()
        self.hits.update(hit)
        if self.state is State.STOPPED:
            return  # another thread: it shows when the first has gone on
        thread = body.get("threadId")
        self._stops += 1
        self.stop = Stop(
            number=self._stops,
            reason=str(body.get("reason", "unknown")),
            thread=thread if isinstance(thread, int) else None,
            description=str(body.get("description") or ""),
            text=str(body.get("text") or ""),
            breakpoints=hit,
        )
        self._become(State.STOPPED)


def _placed(answer: object) -> Placed:
    if not isinstance(answer, dict):
        return Placed()
    id_, line = answer.get("id"), answer.get("line")
    return Placed(
        id=id_ if isinstance(id_, int) else None,
        verified=answer.get("verified") is True,
        line=line if isinstance(line, int) else None,
        message=str(answer.get("message") or ""),
    )
