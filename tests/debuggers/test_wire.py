"""Messages of the protocol, however they are cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debug_mcp.debuggers.wire import MESSAGE_BYTES, Malformed, Message, Messages, encode

SOME = [{"seq": 1, "text": "é 𝄞"}, {"seq": 2, "body": {"n": [1, None, "\r\n\r\n"]}}]


@given(st.lists(st.integers(1, 40), max_size=30))
def test_messages_are_the_same_however_their_bytes_arrive(sizes: list[int]) -> None:
    data = b"".join(map(encode, SOME))
    messages, position = Messages(), 0
    found: list[Message] = []
    for size in [*sizes, len(data)]:
        found += messages.feed(data[position : position + size])
        position += size
    assert found == SOME


def test_other_headers_and_odd_spelling_are_passed_over() -> None:
    data = b'Content-Type: x\r\ncontent-LENGTH:  9 \r\n\r\n{"a": 12}'
    assert list(Messages().feed(data)) == [{"a": 12}]


@pytest.mark.parametrize("body", [b"no json", b"[1]", b"\xff\xfe"])
def test_a_body_that_is_no_object_is_passed_over(body: bytes) -> None:
    data = b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    assert list(Messages().feed(data + encode({"seq": 3}))) == [{"seq": 3}]


@pytest.mark.parametrize(
    "data",
    [
        b"x" * 5000,
        b"Length: 3\r\n\r\n{}",
        b"Content-Length: -3\r\n\r\n{}",
        b"Content-Length: %d\r\n\r\n{}" % (MESSAGE_BYTES + 1),
    ],
)
def test_what_is_no_message_is_an_error(data: bytes) -> None:
    with pytest.raises(Malformed):
        list(Messages().feed(data))
