"""What there is to see while a program stands still: frames, variables, values, exceptions.

Frame ids and references to variables die at each resume: they stay within this package's callers'
one look, and never reach an agent.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from debug_mcp.debuggers.client import AdapterGone, Refused, Unanswered
from debug_mcp.debuggers.debugger import Debugger, Stop
from debug_mcp.debuggers.values import clip, is_plain, objects, whole
from debug_mcp.debuggers.wire import Message

FRAMES = 50
EVALUATE_SECONDS = 5.0
LOOK_SECONDS = 10.0
ERROR_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Places:
    """Paths as the program sees them, and relative to the tree. ``root`` is the tree's."""

    root: str

    def relative(self, path: str) -> str | None:
        """Return a path relative to the tree; None for one outside of it."""
        path = os.path.normpath(path)
        return path[len(self.root) + 1 :] if path.startswith(f"{self.root}/") else None

    def absolute(self, path: str) -> str:
        """Return a path of the tree as the program sees it."""
        return os.path.normpath(f"{self.root}/{path}")


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of a stack. ``path`` is relative to the tree for a file of it, else as it is."""

    number: int
    id: int
    function: str
    path: str
    line: int
    own: bool

    @property
    def at(self) -> str:
        """Where it is, as ``path:line``."""
        return f"{self.path}:{self.line}" if self.path else "?"


@dataclass(slots=True)
class Stack:
    """The first frames of a thread, and how many it has in all where that is known."""

    frames: list[Frame] = field(default_factory=list)
    total: int = 0

    @property
    def top(self) -> Frame | None:
        """The first frame whose source is the tree's, else the first."""
        own = (frame for frame in self.frames if frame.own)
        return next(own, self.frames[0] if self.frames else None)


async def stack_of(
    debugger: Debugger, places: Places, thread: int, start: int = 0, levels: int = FRAMES
) -> Stack:
    """Return the stack of a thread that stands still. It raises what a request raises."""
    body = await debugger.client.request(
        "stackTrace", {"threadId": thread, "startFrame": start, "levels": levels}
    )
    frames = [
        _frame(number, frame, places)
        for number, frame in enumerate(objects(body, "stackFrames"), start)
    ]
    return Stack(frames, max(whole(body.get("totalFrames")), start + len(frames)))


def _frame(number: int, raw: Message, places: Places) -> Frame:
    source = raw.get("source")
    path = str((source.get("path") if isinstance(source, dict) else None) or "")
    own = places.relative(path)
    return Frame(
        number=number,
        id=whole(raw.get("id")),
        function=str(raw.get("name", "?")),
        path=path if own is None else own,
        line=whole(raw.get("line")),
        own=own is not None,
    )


async def locals_of(debugger: Debugger, frame: Frame) -> list[Message]:
    """Return the variables of a frame that are not global, in the debugger's order.

    Some debuggers have one scope for each block, so all of them are taken together.
    """
    body = await debugger.client.request("scopes", {"frameId": frame.id})
    found: dict[str, Message] = {}
    for scope in objects(body, "scopes"):
        if _is_local(scope):
            for variable in await members_of(debugger, whole(scope.get("variablesReference"))):
                if is_plain(variable):
                    found.setdefault(str(variable.get("name")), variable)
    return list(found.values())


def _is_local(scope: Message) -> bool:
    if scope.get("expensive"):
        return False
    hint, name = scope.get("presentationHint"), str(scope.get("name", "")).lower()
    return hint not in ("registers", "globals") and not name.startswith(("global", "register"))


async def members_of(debugger: Debugger, reference: int) -> list[Message]:
    """Return the members that a reference stands for; none for 0."""
    if not reference:
        return []
    body = await debugger.client.request(
        "variables", {"variablesReference": reference}, LOOK_SECONDS
    )
    return objects(body, "variables")


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression came to; ``error`` says why it came to nothing."""

    text: str
    reference: int = 0
    error: bool = False


async def evaluate(
    debugger: Debugger,
    expression: str,
    frame: Frame,
    context: str = "watch",
    seconds: float = EVALUATE_SECONDS,
) -> Value:
    """Run an expression in a frame. A wrong or slow one is an answer, no error."""
    arguments = {"expression": expression, "frameId": frame.id, "context": context}
    try:
        body = await debugger.client.request("evaluate", arguments, seconds)
    except Refused as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        return Value(f"error: {clip(lines[-1].strip() if lines else 'it failed')}", error=True)
    except Unanswered:
        return Value(f"error: no value in {seconds:g} s; it goes on in the program", error=True)
    return Value(str(body.get("result", "")), whole(body.get("variablesReference")))


async def evaluate_all(
    debugger: Debugger, expressions: Sequence[str], frame: Frame | None, context: str = "watch"
) -> dict[str, str]:
    """Return what each of some expressions comes to in a frame, as a text."""
    if frame is None:
        return {}
    found = {}
    for expression in expressions:
        found[expression] = (await evaluate(debugger, expression, frame, context)).text
    return found


async def exception_of(debugger: Debugger, stop: Stop) -> tuple[str, str] | None:
    """Return the type and the text of the exception that stopped the program, if one did."""
    if stop.reason != "exception":
        return None
    kind, said = stop.text, stop.description
    if debugger.capabilities.get("supportsExceptionInfoRequest") and stop.thread is not None:
        try:
            body = await debugger.client.request("exceptionInfo", {"threadId": stop.thread})
        except (Refused, Unanswered, AdapterGone):
            body = {}
        kind = str(body.get("exceptionId") or kind)
        said = str(body.get("description") or said)
    return kind, clip(said, ERROR_CHARACTERS)
