"""Stacks of a program that nobody stopped: what py-spy and lldb say of one that runs."""

import json
import re
from dataclasses import dataclass, field

from debug_mcp.debuggers.stops import Places
from debug_mcp.debuggers.values import clip, objects
from debug_mcp.debuggers.wire import Message

FRAMES = 12
LOCALS = 12
_VALUE_CHARACTERS = 100

# ``frame #0: 0x… program`work(n=3) at work.c:12:9``, and ``thread #1, name = 'program'``.
# What lldb is asked for the stacks of all threads.
BACKTRACE = "thread backtrace all"
_NATIVE_THREAD = re.compile(r"^[* ] thread #(\d+)(?:, name = '([^']*)')?")
_NATIVE_VALUE = re.compile(r"^\([^)]*\) (?P<name>[A-Za-z_]\w*) = (?P<value>.*)$")
_NATIVE_FRAME = re.compile(r"^\s+[* ] ?frame #\d+: 0x[0-9a-f]+ (.*)$")


@dataclass(slots=True)
class ThreadStack:
    """A thread and its frames, the innermost first, each as ``path:line in function``.

    ``runs`` is whether it was at work, None where that is not known. ``values`` are the variables
    of ``at``, its innermost frame in a file of the tree.
    """

    name: str
    runs: bool | None = None
    holds_gil: bool = False
    frames: list[str] = field(default_factory=list)
    more_frames: int = 0
    at: str | None = None
    values: dict[str, str] = field(default_factory=dict)
    more_values: int = 0


class Unreadable(Exception):
    """What was said is no dump."""


def python_stacks(dump: bytes, places: Places) -> list[ThreadStack]:
    """Return the threads of ``py-spy dump --json --locals``.

    Raises:
        Unreadable: It is none.
    """
    try:
        threads = json.loads(dump)
    except ValueError as error:
        raise Unreadable(f"py-spy's dump cannot be read: {error}") from None
    return [_python_thread(thread, places) for thread in objects({"threads": threads}, "threads")]


def _python_thread(thread: Message, places: Places) -> ThreadStack:
    stack = ThreadStack(
        str(thread.get("thread_name") or thread.get("thread_id")),
        runs=thread.get("active") is True,
        holds_gil=thread.get("owns_gil") is True,
    )
    outermost = 0
    for frame in objects(thread, "frames"):
        path = str(frame.get("filename") or "?")
        own = places.relative(path)
        at = f"{own or frame.get('short_filename') or path}:{frame.get('line')}"
        stack.frames.append(f"{at} in {frame.get('name')}")
        if own is None:
            continue
        outermost = len(stack.frames)
        if stack.at is None:
            stack.at = at
            _values(stack, objects(frame, "locals"))
    # Beyond the tree's own is who called it: a runner of tests, a pool of threads.
    _cut(stack, min(outermost or FRAMES, FRAMES))
    return stack


def _cut(stack: ThreadStack, frames: int) -> None:
    stack.more_frames = max(len(stack.frames) - frames, 0)
    del stack.frames[frames:]


def _values(stack: ThreadStack, variables: list[Message]) -> None:
    for variable in variables[:LOCALS]:
        value = clip(str(variable.get("repr") or "?"), _VALUE_CHARACTERS)
        stack.values[str(variable.get("name"))] = value
    stack.more_values = max(len(variables) - LOCALS, 0)


def native_stacks(said: str) -> list[ThreadStack]:
    """Return the threads of lldb's answer to ``BACKTRACE``; none where it says none."""
    stacks: list[ThreadStack] = []
    for line in said.splitlines():
        if thread := _NATIVE_THREAD.match(line):
            stacks.append(ThreadStack(thread[2] or f"thread {thread[1]}"))
        elif stacks and (frame := _NATIVE_FRAME.match(line)):
            stacks[-1].frames.append(_native_frame(frame[1]))
    for stack in stacks:
        _cut(stack, FRAMES)
    return stacks


def native_values(stack: ThreadStack, said: str) -> None:
    """Add what ``frame variable`` of lldb says; a value that takes several lines is cut."""
    found = [match for match in map(_NATIVE_VALUE.match, said.splitlines()) if match]
    for match in found[:LOCALS]:
        stack.values[match["name"]] = clip(match["value"], _VALUE_CHARACTERS)
    stack.more_values = max(len(found) - LOCALS, 0)


def _native_frame(said: str) -> str:
    """Turn ``program`work(n=3) at work.c:12:9`` into ``work.c:12 in work(n=3)``."""
    module, _, rest = said.partition("`")
    function, at, place = rest.rpartition(" at ")
    if not at:
        return clip(f"{module} in {rest or '?'}")
    return clip(f"{place.rsplit(':', 1)[0] if place.count(':') > 1 else place} in {function}")
