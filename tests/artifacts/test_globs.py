"""Globs, matched folder by folder."""

import pytest

from debug_mcp.artifacts.globs import Glob


def matches(glob: str, path: str) -> bool:
    """Walk down a path as a collection does."""
    pattern = Glob(glob)
    places = pattern.start
    for name in path.split("/"):
        places = pattern.step(places, name)
    return pattern.matches(places)


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("a", ["a"], ["b", "a/a", "aa"]),
        ("./a//b", ["a/b"], ["b"]),
        ("*", ["a", ".hidden"], ["a/b"]),
        ("a?c", ["abc"], ["a/c", "ac"]),
        ("[a-c].x", ["b.x"], ["d.x"]),
        ("[!a].x", ["b.x"], ["a.x", "/.x"]),
        ("[.*]", [".", "*"], ["a"]),
        ("**", ["a", "a/b", "a/b/c"], []),
        ("**/*", ["a", "a/b/c"], []),
        ("**/c", ["c", "a/c", "a/b/c"], ["c/d"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "b/a"]),
        ("a/", ["a/b", "a/b/c"], ["a"]),
        ("a/**/c", ["a/c", "a/b/c", "a/b/b/c"], ["c", "a/c/d"]),
        ("**/a/**/b/**", ["a/b/c", "x/a/y/b/z"], ["a/b", "b/a/c"]),
        ("a**", ["ab"], ["a/b"]),
        ("**/**/c", ["c", "a/c"], ["a"]),
        ("Makefile", ["Makefile"], ["makefile"]),
        ("", [], ["a"]),
    ],
)
def test_a_glob_means_what_a_person_means_by_it(glob: str, yes: list[str], no: list[str]) -> None:
    assert [path for path in yes if not matches(glob, path)] == []
    assert [path for path in no if matches(glob, path)] == []


def test_a_glob_that_almost_matches_in_very_many_ways_is_decided_all_the_same() -> None:
    deep = "/".join(["a"] * 40)
    assert not matches("**/a/" * 40 + "b", deep)
    assert not matches("*a" * 100 + "b", "a" * 255)
    assert matches("**/a/" * 20 + "a", deep)


def test_a_walk_knows_where_nothing_can_be() -> None:
    pattern = Glob("build/**/*.xml")
    assert not pattern.step(pattern.start, "src")
    assert pattern.step(pattern.start, "build")
    assert pattern.names(pattern.start, "build")
    assert not pattern.is_literal
    assert Glob("build/x.xml").is_literal
