"""What py-spy and lldb say of a running program, as stacks."""

import json
from typing import Any

import pytest

from debug_mcp.debuggers.stacks import FRAMES, LOCALS, Unreadable, native_stacks, python_stacks
from debug_mcp.debuggers.stops import Places

PLACES = Places("/workspace")
LLDB = """\
(lldb) process attach --pid 2
* thread #1, name = 'spin', stop reason = signal SIGSTOP
  * frame #0: 0x00007fd634387dd0 libc.so.6`__libc_pause at pause.c:29:10
    frame #1: 0x000055ad19bdd149 spin`work(n=3) at spin.c:2:37
    frame #2: 0x00007fd6342db24a libc.so.6`start(main=(spin`main at spin.c:3:16), argc=1) at start.h:58:16
    frame #3: 0x000055ad19bdd071 spin`_start + 33
  thread #2, name = 'worker'
    frame #0: 0x00007fd634387dd0 libc.so.6`read + 16
"""  # noqa: E501


def frame(name: str, path: str, line: int, **variables: str) -> dict[str, Any]:
    return {
        "name": name,
        "filename": path,
        "short_filename": path.rsplit("/", 1)[-1],
        "line": line,
        "locals": [{"name": key, "repr": value} for key, value in variables.items()] or None,
    }


def thread(*frames: dict[str, Any], **more: Any) -> bytes:
    return json.dumps([{"thread_name": "main", "active": True, "frames": frames, **more}]).encode()


def test_the_frames_of_the_tree_stand_relative_to_it_and_the_innermost_has_its_variables() -> None:
    [stack] = python_stacks(
        thread(
            frame("wait", "/usr/lib/python3/threading.py", 5, hidden="1"),
            frame("inner", "/workspace/pkg/a.py", 3, x="1"),
            frame("outer", "/workspace/pkg/a.py", 9, y="2"),
            frame("runner", "/usr/lib/pytest.py", 1),
            owns_gil=True,
        ),
        PLACES,
    )
    assert stack.frames == ["threading.py:5 in wait", "pkg/a.py:3 in inner", "pkg/a.py:9 in outer"]
    assert (stack.at, stack.values) == ("pkg/a.py:3", {"x": "1"})
    assert (stack.more_frames, stack.runs, stack.holds_gil) == (1, True, True)


def test_where_no_frame_is_the_tree_s_the_first_are_shown() -> None:
    frames = [frame(f"f{number}", "/usr/lib/x.py", number) for number in range(40)]
    [stack] = python_stacks(thread(*frames), PLACES)
    assert len(stack.frames) == FRAMES
    assert stack.more_frames == 40 - FRAMES
    assert (stack.at, stack.values) == (None, {})


def test_many_and_long_variables_are_cut_and_counted() -> None:
    variables = {f"v{number}": "x" * 500 for number in range(LOCALS + 3)}
    [stack] = python_stacks(thread(frame("f", "/workspace/a.py", 1, **variables)), PLACES)
    assert stack.values["v0"] == "x" * 100 + "…(+400)"
    assert (len(stack.values), stack.more_values) == (LOCALS, 3)


@pytest.mark.parametrize("dump", [b"", b"{", b"no dump", b"\xff"])
def test_what_is_no_dump_is_refused(dump: bytes) -> None:
    with pytest.raises(Unreadable):
        python_stacks(dump, PLACES)


@pytest.mark.parametrize("dump", [b"{}", b"3", b"[3]", b"null"])
def test_json_that_is_no_list_of_threads_holds_none(dump: bytes) -> None:
    assert python_stacks(dump, PLACES) == []


def test_a_thread_may_lack_anything() -> None:
    [stack] = python_stacks(b'[{"frames": [{}], "thread_id": 7}]', PLACES)
    assert stack.name == "7"
    assert stack.frames == ["?:None in None"]


def test_native_frames_name_place_and_function() -> None:
    first, second = native_stacks(LLDB)
    assert first.name == "spin"
    assert first.frames == [
        "pause.c:29 in __libc_pause",
        "spin.c:2 in work(n=3)",
        "start.h:58 in start(main=(spin`main at spin.c:3:16), argc=1)",
        "spin in _start + 33",
    ]
    assert (second.name, second.frames) == ("worker", ["libc.so.6 in read + 16"])


def test_an_lldb_that_says_nothing_of_threads_gives_none() -> None:
    assert native_stacks("error: attach failed: Operation not permitted\n") == []
