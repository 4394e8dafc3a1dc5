"""Reading output by byte offset."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debug_mcp.runner.output import excerpt, last_written, read, tail
from debug_mcp.runner.plain import plain


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "output"


@given(text=st.text(), length=st.integers(min_value=4, max_value=50))
def test_pages_that_follow_each_other_lose_and_double_nothing(text: str, length: int) -> None:
    with tempfile.NamedTemporaryFile() as file:
        path = Path(file.name)
        path.write_bytes(text.encode())
        pieces, offset = [], 0
        while offset < len(text.encode()):
            page = read(path, offset, length)
            assert (page.start, page.total) == (offset, len(text.encode()))
            assert page.end > page.start
            pieces.append(page.text)
            offset = page.end
        assert "".join(pieces) == text


@given(
    data=st.lists(st.sampled_from(b"a\x80\xbf\xc3\xe2\xf0\xff"), min_size=5).map(bytes),
    length=st.integers(4, 9),
)
def test_bytes_that_are_no_text_are_paged_as_if_they_were_read_at_once(
    data: bytes, length: int
) -> None:
    with tempfile.NamedTemporaryFile() as file:
        path = Path(file.name)
        path.write_bytes(data)
        pieces, offset = [], 0
        while offset < len(data):
            page = read(path, offset, length)
            assert (page.start, page.total) == (offset, len(data))
            assert page.end > page.start
            pieces.append(page.text)
            offset = page.end
        assert "".join(pieces) == data.decode("utf-8", "replace")


@given(data=st.binary(), offset=st.integers(0, 300), length=st.integers(1, 300))
def test_any_bytes_can_be_read_from_anywhere(data: bytes, offset: int, length: int) -> None:
    with tempfile.NamedTemporaryFile() as file:
        path = Path(file.name)
        path.write_bytes(data)
        page = read(path, offset, length)
        assert page.start <= page.end <= page.total == len(data)


@given(text=st.text(), cuts=st.lists(st.integers(0, 200)))
def test_what_is_followed_while_it_grows_is_the_same_text(text: str, cuts: list[int]) -> None:
    data = text.encode()
    with tempfile.NamedTemporaryFile() as file:
        path = Path(file.name)
        pieces, offset = [], 0
        for written in (*sorted(cuts), len(data)):
            path.write_bytes(data[:written])
            page = excerpt(path, 1000, since=offset, growing=True)
            pieces.append(page.text)
            offset = page.end
        assert "".join(pieces) == text


def test_short_output_is_shown_whole(path: Path) -> None:
    path.write_text("all of it\n")
    page = excerpt(path, 100)
    assert (page.text, page.total, page.omitted) == ("all of it\n", 10, None)


def test_of_long_output_the_head_and_the_tail_are_shown_and_the_cut_is_named(path: Path) -> None:
    path.write_text("".join(f"line {n}\n" for n in range(1000)))
    page = excerpt(path, 300)
    assert page.text.startswith("line 0\n")
    assert page.text.endswith("line 999\n")
    assert page.omitted is not None
    first, last = page.omitted
    assert f"bytes {first} to {last} left out" in page.text
    cut = read(path, first, last - first)
    assert page.text.replace(f"[… bytes {first} to {last} left out …]\n", cut.text) == (
        path.read_text()
    )


def test_a_cut_is_made_between_lines_and_within_a_line_that_is_too_long(path: Path) -> None:
    path.write_text("".join(f"line {n}\n" for n in range(1000)))
    head, tail = excerpt(path, 300).text.split("[…")[0], excerpt(path, 300).text.split("…]\n")[1]
    assert head.endswith("\n")
    assert tail.startswith("line ")
    path.write_bytes(b"x" * 10_000_000)
    page = excerpt(path, 300)
    assert page.omitted == (100, 10_000_000 - 200)
    assert page.text.startswith("x" * 100 + "\n[… bytes 100 to 9999800 left out …]\nxxx")


def test_what_is_not_shown_takes_no_room(path: Path) -> None:
    # A progress bar wrote much, and shows one state of each line.
    path.write_text(
        "begin\n" + "".join(f"\r\x1b[32m{n:>5} %\x1b[0m" for n in range(300)) + "\nend\n"
    )
    page = excerpt(path, 300)
    assert page.omitted is None
    assert plain(page.text) == "begin\n  299 %\nend\n"
    # The same between long parts: the bar is whole, and so are the offsets.
    path.write_text("a\n" * 3000 + "\r0%" * 500 + "\nend\n")
    page = excerpt(path, 300)
    assert page.omitted is not None
    assert plain(page.text).endswith("a\n0%\nend\n")
    assert page.text.endswith(read(path, page.omitted[1], 10_000).text)


def test_only_what_came_since_an_offset_is_shown(path: Path) -> None:
    path.write_text("old\nnew\n")
    assert excerpt(path, 100, since=4).text == "new\n"
    assert excerpt(path, 100, since=400).text == ""


def test_an_unfinished_character_is_shown_once_nothing_more_can_come(path: Path) -> None:
    path.write_bytes(b"caf\xc3")
    assert excerpt(path, 100, growing=True).text == "caf"
    assert excerpt(path, 100).text == "caf\N{REPLACEMENT CHARACTER}"


def test_the_tail_begins_at_a_whole_character(path: Path) -> None:
    path.write_text("äöü")
    assert tail(path, 3).text == "ü"


def test_output_that_is_not_there_is_empty(path: Path) -> None:
    assert excerpt(path, 100).text == ""
    assert read(path, 5, 5).total == 0
    assert last_written(path) is None
