"""Searching output by window."""

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from debug_mcp.errors import InvalidInput
from debug_mcp.runner import search
from debug_mcp.runner.patterns import PATTERN_CHARACTERS, Pattern
from debug_mcp.runner.search import OVERLAP, WINDOW, Watch, context, hits


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "output"


def test_each_line_with_the_text_is_found_once_with_its_offset_and_number(path: Path) -> None:
    path.write_bytes(b"one\nneedle and needle\nthree\n  needle")
    found = list(hits(path, Pattern("needle")))
    assert [(hit.offset, hit.end, hit.line, hit.text) for hit in found] == [
        (4, 10, 2, "needle and needle"),
        (30, 36, 4, "  needle"),
    ]


def test_a_text_is_taken_as_it_stands_and_a_pattern_as_one(path: Path) -> None:
    path.write_bytes(b"a.c\nabc\n")
    assert [hit.offset for hit in hits(path, Pattern("a.c"))] == [0]
    assert [hit.offset for hit in hits(path, Pattern("re:a.c"))] == [0, 4]
    assert [hit.offset for hit in hits(path, Pattern("re:(?i)^AB"))] == [4]


@pytest.mark.parametrize("pattern", ["re:x[^y]+y", "re:x\\s+y", "re:x(.|\\n)*y"])
def test_nothing_is_found_over_the_end_of_a_line(path: Path, pattern: str) -> None:
    path.write_bytes(b"x\n\ny\n")
    assert list(hits(path, Pattern(pattern))) == []


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "is empty"),
        ("re:", "is empty"),
        ("x" * (PATTERN_CHARACTERS + 1), "has 1001 characters; at most 1000"),
        ("two\nlines", "within a line"),
        ("re:(", "is no RE2 pattern: missing )"),
        (r"re:(?=x)", "is no RE2 pattern: invalid perl operator"),
        (r"re:(a)\1", "is no RE2 pattern: invalid escape"),
        ("re:x*", "matches the empty text"),
        ("re:(((((x{9}){9}){9}){9}){9})", "is no RE2 pattern"),
    ],
)
def test_what_cannot_be_looked_for_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Pattern(pattern, "until")
    assert said in refused.value.message
    assert refused.value.field == "until"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    lines=st.lists(st.sampled_from([b"", b"a", b"needle", b"xneedle", b"bb" * 9, b"e\xff"])),
    window=st.integers(12, 60),
)
def test_a_line_is_found_wherever_a_read_ends(
    path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[bytes], window: int
) -> None:
    # Windows this small, so that each kind of cut comes about.
    monkeypatch.setattr(search, "WINDOW", window)
    monkeypatch.setattr(search, "LONG_LINE", 10)
    monkeypatch.setattr(search, "OVERLAP", 6)
    data = b"\n".join(lines)
    path.write_bytes(data)
    found = [(hit.offset, hit.line) for hit in hits(path, Pattern("needle"))]
    offset, wanted = 0, []
    for number, line in enumerate(lines, 1):
        if b"needle" in line:
            wanted.append((offset + line.index(b"needle"), number))
        offset += len(line) + 1
    assert found == wanted


@pytest.mark.parametrize("at", [0, WINDOW - 3, WINDOW - OVERLAP - 3, 2 * WINDOW, 10_000_000 - 6])
def test_in_a_line_of_ten_megabytes_a_text_is_found_wherever_it_stands(path: Path, at: int) -> None:
    data = bytearray(b"x" * 10_000_000)
    data[at : at + 6] = b"needle"
    path.write_bytes(data)
    [hit] = hits(path, Pattern("needle"))
    assert (hit.offset, hit.line) == (at, 1)
    assert "needle" in hit.text
    assert len(hit.text) < 500


def test_colours_and_progress_bars_do_not_hide_a_text(path: Path) -> None:
    path.write_bytes(b"10%\r\x1b[31mFAI\x1b[0mLED tests\r\nlast\n")
    [hit] = hits(path, Pattern("re:^FAILED tests$"))
    assert (hit.offset, hit.text, hit.line) == (9, "FAILED tests", 1)
    assert path.read_bytes()[hit.offset :].startswith(b"FAI")


def test_the_lines_around_are_given_as_they_are_shown(path: Path) -> None:
    path.write_bytes(b"1\n2\n\x1b[1m3\x1b[0m\nneedle\n1%\r5\n6\n7\n")
    [hit] = hits(path, Pattern("needle"))
    assert context(path, hit, 2) == (["2", "3"], ["5", "6"])
    assert context(path, hit, 9) == (["1", "2", "3"], ["5", "6", "7"])


def test_output_that_is_not_there_yet_holds_nothing(path: Path) -> None:
    assert list(hits(path, Pattern("x"))) == []
    assert Watch(path, Pattern("x"), 0).look() == (None, False)


def test_a_watch_sees_what_comes_in_pieces(path: Path) -> None:
    watch = Watch(path, Pattern("Listening on"), 0)
    path.write_bytes(b"start\nListen")
    assert watch.look() == (None, True)
    assert watch.look() == (None, False)
    assert (watch.offset, watch.size) == (6, 12)
    with path.open("ab") as file:
        file.write(b"ing on 80")
    hit, _ = watch.look()
    assert hit is not None
    assert (hit.offset, hit.end, hit.text) == (6, 18, "Listening on 80")


def test_a_watch_does_not_look_before_its_start(path: Path) -> None:
    path.write_bytes(b"ready\nbusy\n")
    watch = Watch(path, Pattern("ready"), 6)
    assert watch.look() == (None, False)


def test_a_prompt_without_a_line_end_is_found(path: Path) -> None:
    path.write_bytes(b"stopped\n(Pdb) ")
    watch = Watch(path, Pattern("re:^\\(Pdb\\) $"), 0)
    while (looked := watch.look())[1]:
        pass
    assert looked[0] is not None


def test_much_output_is_searched_in_little_memory(path: Path) -> None:
    line = b"some line of output with a number 12345\n"
    with path.open("wb") as file:
        for _ in range(64):
            file.write(line * (WINDOW // len(line)))
        file.write(b"needle\n")
    tracemalloc.start()
    try:
        watch = Watch(path, Pattern("needle"), 0)
        while (looked := watch.look())[1]:
            pass
        [_] = hits(path, Pattern("needle"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert looked[0] is not None
    assert looked[0].offset == path.stat().st_size - 7
    assert peak < 8 * WINDOW
