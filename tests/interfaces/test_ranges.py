"""Which bytes a Range header asks for."""

import pytest
from starlette.datastructures import Headers

from debug_mcp.interfaces.ranges import asked_part


def asked(value: str, size: int = 10, **headers: str) -> tuple[int, int, bool] | None:
    sent = Headers({"Range": value, **{name.replace("_", "-"): v for name, v in headers.items()}})
    part = asked_part(sent, size, lambda tag: tag == '"mine"')
    return None if part is None else (part.start, part.end, part.whole)


@pytest.mark.parametrize(
    ("value", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=3-5", 3, 6),
        ("bytes=3-", 3, 10),
        ("bytes=-3", 7, 10),
        ("bytes=-30", 0, 10),
        ("bytes=3-999", 3, 10),
        ("bytes= 3-5 ", 3, 6),
    ],
)
def test_one_range_is_served(value: str, start: int, end: int) -> None:
    assert asked(value) == (start, end, False)


@pytest.mark.parametrize(
    "value",
    ["bytes=0-1,3-4", "bytes=5-3", "bytes=-", "bytes=a-b", "lines=0-1", "bytes", "", "bytes=-1-2",
     "bytes=9999999999999999999-", "bytes=²-"],
)  # fmt: skip
def test_nonsense_and_several_ranges_get_the_whole(value: str) -> None:
    assert asked(value) == (0, 10, True)


@pytest.mark.parametrize("value", ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99-"])
def test_what_lies_behind_the_end_is_not_there(value: str) -> None:
    assert asked(value) is None


def test_of_nothing_no_range_is_there() -> None:
    assert asked("bytes=0-", size=0) is None
    assert asked("bytes=-5", size=0) is None


def test_a_range_of_another_file_gets_the_whole() -> None:
    assert asked("bytes=3-5", If_Range='"mine"') == (3, 6, False)
    assert asked("bytes=3-5", If_Range='"other"') == (0, 10, True)
    assert asked("bytes=30-", If_Range="Wed, 21 Oct 2015 07:28:00 GMT") == (0, 10, True)
