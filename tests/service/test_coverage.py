"""What a caller is shown of coverage: few numbers, and the files with the least."""

from pathlib import Path

from debug_mcp.service.coverage import (
    LARGEST_BYTES,
    LOWEST,
    coverage_view,
    note_coverage,
    noted_coverage,
)
from debug_mcp.testreports.coverage import Coverage


def with_files(**files: tuple[int, int]) -> Coverage:
    """Return coverage of files: how many lines ran, of how many."""
    lines = {name: {n: n < ran for n in range(all_)} for name, (ran, all_) in files.items()}
    return Coverage(lines)


def test_the_files_with_the_least_come_first_and_those_that_lack_nothing_not_at_all() -> None:
    view = coverage_view(with_files(a=(9, 10), b=(0, 2), c=(5, 5), d=(0, 40), e=(0, 0)))
    assert (view.files, view.lines, view.missing) == (5, 57, 43)
    assert [file.path for file in view.lowest] == ["d", "b", "a"]
    assert view.compact()["lowest"][2] == {"path": "a", "percent": 90.0, "missing": 1}


def test_it_is_short_however_many_files_there_are_and_never_rounded_up_to_all() -> None:
    view = coverage_view(with_files(**{"f" * 1000 + str(n): (9999, 10000) for n in range(50)}))
    assert len(view.lowest) == LOWEST
    assert view.compact()["percent"] == 99.9
    assert len(str(view.compact())) < 2000


def test_what_is_noted_of_several_files_is_their_union(tmp_path: Path) -> None:
    contents = []
    for number, text in enumerate(("SF:a\nDA:1,1\nDA:2,0\n", "SF:a\nDA:2,1\nSF:b\nDA:1,0\n", "?")):
        contents.append(tmp_path / f"{number}.info")
        contents[-1].write_text(text)
    with (tmp_path / "large").open("wb") as large:
        large.truncate(LARGEST_BYTES + 1)
    note_coverage(tmp_path, [*contents, tmp_path / "large"])
    view = noted_coverage(tmp_path)
    assert view is not None
    assert (view.files, view.lines, view.missing) == (2, 3, 1)


def test_nothing_is_told_where_nothing_was_noted_or_what_is_there_is_damaged(
    tmp_path: Path,
) -> None:
    note_coverage(tmp_path, [])
    assert noted_coverage(tmp_path) is None
    (tmp_path / "coverage").write_text('{"percent": ')
    assert noted_coverage(tmp_path) is None
