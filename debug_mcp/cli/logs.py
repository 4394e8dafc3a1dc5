"""``--log-format json``: one JSON object a line, for whatever collects logs.

Lines hold ids, names of operations and outcomes. They hold no arguments, so no token, environment
or patch; and of an exception where it was raised, not its message, which may quote a caller.
"""

import contextlib
import json
import logging
import queue
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TextIO

from debug_mcp.auth.tokens import SECRET
from debug_mcp.models.audit import FAULT, Entry
from debug_mcp.service.audit import OBJECT_ID
from debug_mcp.service.observers import Observers, SeenEnd
from debug_mcp.service.origins import present_request

_OURS = "debug_mcp"
# Kept while nobody reads; beyond that lines are lost, and the log says how many.
PENDING = 10_000
END_SECONDS = 2.0
_CHARACTERS = 1000
_FRAMES = 20
_KINDS = {"c": "command_id", "s": "session_id", "a": "artifact_id", "d": "debug_id"}

_log = logging.getLogger("debug_mcp.events")


@contextlib.contextmanager
def json_logs(stream: TextIO) -> Iterator[None]:
    """Write all that is logged in the block as JSON, instead of as text."""
    behind = Behind(stream)
    behind.setFormatter(JsonLines())
    root, ours = logging.getLogger(), logging.getLogger(_OURS)
    before, level = root.handlers[:], ours.level
    root.handlers[:] = [behind]
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers[:] = before
        ours.setLevel(level)
        behind.close()


def event(
    name: str, message: str | None = None, /, level: int = logging.INFO, **facts: Any
) -> None:
    """Log that something happened."""
    _log.log(level, "%s", message or name, extra={"facts": {"event": name, **facts}})


def log_calls_and_ends(observers: Observers) -> None:
    """Log each call when it is over, and each end of a command."""
    observers.at_each_call(_called)
    observers.at_each_end(_ended)


def _called(call: Entry) -> None:
    event(
        "call",
        level=logging.ERROR if call.outcome == FAULT else logging.INFO,
        operation=call.operation,
        outcome=call.outcome,
        seconds=round(call.seconds, 6),
        request_id=call.request_id,
        principal=call.principal,
        token_id=call.token_id,
        peer=call.peer,
        **_about(call),
    )


def _about(call: Entry) -> dict[str, str]:
    """Return the id or the name of what a call was about."""
    known = call.object_id
    if known is None:
        return {}
    if OBJECT_ID.fullmatch(known):
        return {_KINDS.get(known.partition("_")[0], "object"): known}
    return {"object": known}


def _ended(end: SeenEnd) -> None:
    event(
        "command_ended",
        command_id=end.command.id,
        session_id=end.command.session_id,
        principal=end.command.principal,
        kind=end.command.kind,
        outcome=end.outcome,
        queue_seconds=round(end.queue_seconds, 3),
        run_seconds=round(end.run_seconds, 3),
    )


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON; what is None is left out."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        facts = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:_CHARACTERS],
            "request_id": present_request(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            facts["exception"] = _where(record.exc_info[1])
        known = {name: fact for name, fact in facts.items() if fact is not None}
        # Whatever found its way here: no secret leaves.
        return SECRET.sub("dmcp_...", json.dumps(known, default=str))


def _where(error: BaseException) -> dict[str, Any]:
    """Return what an exception is and where it was raised; of a fault of the system also why."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    why = error.strerror if isinstance(error, OSError) else getattr(error, "sqlite_errorname", None)
    return {
        "type": type(error).__name__,
        **({"why": why} if why else {}),
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


class Behind(logging.Handler):
    """Hands lines to a thread that writes them: whoever logs never waits for whoever reads."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(PENDING)
        self._lost = 0
        # A daemon: a reader that is stuck does not keep the process.
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Hand over a line, or count it as lost."""
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Write what is left, if somebody reads it."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=END_SECONDS)
            self._thread.join(END_SECONDS)
        super().close()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            lost, self._lost = self._lost, 0
            if lost:
                line += "\n" + json.dumps({"level": "error", "event": "lines_lost", "lines": lost})
            try:
                self._stream.write(f"{line}\n")
                self._stream.flush()
            except OSError:
                return  # nobody reads any more, and nobody will
