"""Output without what only a terminal understands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debug_mcp.runner.plain import Searchable, plain


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain\n", "plain\n"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b[2K\x1b[1Gdone", "done"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\\\link\x1b]8;;\x1b\\\\", "link"),
        ("\x1b(Btext\x1b=", "text"),
        ("one\r\ntwo\r\n", "one\ntwo\n"),
        ("10%\r50%\r100%\n", "100%\n"),
        ("10%\r50%\r", "50%"),
        ("\r10%\r50%", "50%"),
        ("a\nb\r\r\nc", "a\nb\nc"),
        ("\x1b", "\x1b"),
    ],
)
def test_a_reader_is_shown_the_last_state_without_colours(written: str, shown: str) -> None:
    assert plain(written.replace("\\\\", "\\")) == shown


@given(
    parts=st.lists(
        st.sampled_from([b"a", b"needle", b"\x1b[31m", b"\x1b[0m", b"\r", b"\n", b"\xc3", b"\x1b"])
    )
)
def test_what_is_found_is_where_it_is_said_to_be(parts: list[bytes]) -> None:
    written = b"".join(parts)
    text = Searchable(written)
    at = text.data.find(b"needle")
    while at >= 0:
        origin = text.origin(at)
        assert written[origin : origin + 1] == b"n"
        at = text.data.find(b"needle", at + 1)
