"""A client of the Debug Adapter Protocol: requests, events, and what the adapter asks of us."""

import contextlib
from collections.abc import Callable
from typing import Any, Protocol

import anyio

from debug_mcp.debuggers.wire import Malformed, Message, Messages, encode

REQUEST_SECONDS = 30.0


class AdapterGone(Exception):
    """The adapter has ended, or its words cannot be understood any more."""


class Refused(Exception):
    """The adapter did not do what it was asked; the message is its own."""


class Unanswered(Exception):
    """The adapter did not answer in time. It may still be at it."""


class Stream(Protocol):
    """Where the adapter's standard input and output are."""

    async def send(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            OSError: Nobody is there.
        """

    async def receive(self) -> bytes:
        """Return some bytes; none at the end."""


class Pending:
    """A request that was sent, and its answer when it has come."""

    def __init__(self, command: str) -> None:
        self.command = command
        self._arrived = anyio.Event()
        self._answer: Message | None = None

    def resolve(self, answer: Message | None) -> None:
        """Give the answer; None when there will be none."""
        self._answer = answer
        self._arrived.set()

    async def body(self, seconds: float = REQUEST_SECONDS) -> Message:
        """Wait for the answer; return its body.

        Raises:
            Refused: The adapter says no.
            Unanswered: It says nothing in time.
            AdapterGone: It never will.
        """
        with anyio.move_on_after(seconds):
            await self._arrived.wait()
        if not self._arrived.is_set():
            raise Unanswered(f"no answer to {self.command} in {seconds:g} s")
        if self._answer is None:
            raise AdapterGone(f"the debugger ended before it answered {self.command}")
        body = self._answer.get("body")
        body = body if isinstance(body, dict) else {}
        if self._answer.get("success") is not True:
            raise Refused(_reason(self._answer, body))
        return body


class DapClient:
    """Speaks with one adapter; ``serve`` must run as long as it does.

    Args:
        stream: Its standard input and output.
        on_event: Called with the name and the body of each event, in their order.
    """

    def __init__(self, stream: Stream, on_event: Callable[[str, Message], None]) -> None:
        self._stream = stream
        self._on_event = on_event
        self._sent = 0
        self._pending: dict[int, Pending] = {}
        self._sending = anyio.Lock()  # two messages must not mix
        self.gone = anyio.Event()

    async def serve(self) -> None:
        """Read what the adapter says, until it says no more; then nobody waits for it."""
        messages = Messages()
        try:
            while data := await self._stream.receive():
                for message in messages.feed(data):
                    await self._take(message)
        except (OSError, Malformed):
            pass  # for those who wait, the same as its end
        finally:
            self.gone.set()
            for pending in self._pending.values():
                pending.resolve(None)
            self._pending.clear()

    async def request(
        self, command: str, arguments: Message | None = None, seconds: float = REQUEST_SECONDS
    ) -> Message:
        """Ask for something; return the body of the answer, or raise as ``Pending.body`` does."""
        return await (await self.begin(command, arguments)).body(seconds)

    async def begin(self, command: str, arguments: Message | None = None) -> Pending:
        """Ask for something whose answer is awaited later: some come only after other requests.

        Raises:
            AdapterGone: Nobody is there to be asked.
        """
        if self.gone.is_set():
            raise AdapterGone(f"the debugger has ended: nobody can be asked for {command}")
        pending = Pending(command)
        message: Message = {"type": "request", "command": command}
        if arguments is not None:
            message["arguments"] = arguments
        await self._send(message, pending)
        return pending

    async def _send(self, message: Message, pending: Pending | None = None) -> None:
        async with self._sending:
            self._sent += 1
            if pending is not None:
                self._pending[self._sent] = pending
            try:
                # Half a message would make nonsense of all that follow.
                with anyio.CancelScope(shield=True):
                    await self._stream.send(encode({"seq": self._sent, **message}))
            except OSError as error:
                raise AdapterGone("the debugger has ended") from error

    async def _take(self, message: Message) -> None:
        body = message.get("body")
        match message.get("type"):
            case "response":
                pending = self._pending.pop(message.get("request_seq", 0), None)
                if pending is not None:
                    pending.resolve(message)
            case "event":
                self._on_event(str(message.get("event")), body if isinstance(body, dict) else {})
            case "request":
                await self._decline(message)

    async def _decline(self, message: Message) -> None:
        """Answer what the adapter asks of us: left without an answer it would wait for ever."""
        answer: dict[str, Any] = {
            "type": "response",
            "request_seq": message.get("seq"),
            "command": message.get("command"),
            "success": False,
            "message": "not supported",
        }
        with contextlib.suppress(AdapterGone):  # the reader will see it too
            await self._send(answer)


def _reason(answer: Message, body: Message) -> str:
    """Return why a request was refused, in the adapter's words."""
    error = body.get("error")
    if isinstance(error, dict) and isinstance(error.get("format"), str):
        variables = error.get("variables")
        text: str = error["format"]
        for name, value in variables.items() if isinstance(variables, dict) else ():
            text = text.replace("{" + str(name) + "}", str(value))
        return text
    return str(answer.get("message") or f"{answer.get('command')} was refused")
