"""What may be named as an upstream."""

from pathlib import Path

import pytest

from debug_mcp.errors import InvalidInput
from debug_mcp.worktrees.upstreams import Upstream, parse_upstream, registered
from tests.upstream import Upstream as Checkout


def parsed(url: str) -> Upstream:
    return parse_upstream(url, "url", local=True)


@pytest.mark.parametrize(
    ("url", "scheme", "host", "name"),
    [
        ("https://example.org/team/project.git", "https", "example.org", "project"),
        ("HTTPS://Example.org:8443/project/", "https", "example.org", "project"),
        ("https://ada@example.org/project", "https", "example.org", "project"),
        ("http://[::1]:8000/project", "http", "::1", "project"),
        ("ssh://git@example.org:2222/~ada/project.git", "ssh", "example.org", "project"),
        ("git@example.org:project.git", "ssh", "example.org", "project"),
        ("example.org:team/project", "ssh", "example.org", "project"),
        ("https://example.org/gr%C3%B6%C3%9Fe", "https", "example.org", "gr-C3-B6-C3-9Fe"),
    ],
)
def test_a_remote_url_says_how_and_where_and_gives_a_name(
    url: str, scheme: str, host: str, name: str
) -> None:
    upstream = parsed(url)
    assert (upstream.scheme, upstream.host, upstream.name) == (scheme, host, name)
    assert not upstream.is_local
    assert registered(upstream.url) == upstream


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c true", "fd::17", "a.b::x", "-x", "--upload-pack=x", "git://example.org/x",
        "ftp://example.org/x", "https:///x", "https://-x/y", "ssh://-oProxyCommand=x/y",
        "ssh://-l@example.org/y", "https://example.org", "https://example.org:x/y", "a:-x",
        "https://ada:secret@example.org/x", "https://:secret@example.org/x",
        "ssh://ada:secret@example.org/x", "https://glpat-secret@example.org/x",
        f"https://{'s' * 40}@example.org/x", "https://example.org/x?private_token=secret",
        "https://example.org/x\nsecret", "relative/path", "",
    ],
)  # fmt: skip
def test_what_could_be_an_option_a_program_or_a_secret_is_refused_and_no_secret_is_shown(
    url: str,
) -> None:
    with pytest.raises(InvalidInput) as caught:
        parsed(url)
    if "@" in url or "?" in url:
        assert "secret" not in caught.value.message
    assert "secret" not in " ".join(caught.value.candidates)


def test_one_repository_is_the_same_however_it_is_written(upstream: Checkout) -> None:
    assert parsed("https://Example.org/x.git").same("https://example.org/x/")
    assert not parsed("https://example.org/x").same("https://example.org/y")
    assert parsed("git@example.org:x.git").same("git@example.org:x")
    here = parsed(f"file://{upstream.path}")
    assert here.same(str(upstream.path))
    assert not here.same("https://example.org/calculator")


def test_a_path_is_for_those_who_may_name_one(upstream: Checkout, tmp_path: Path) -> None:
    assert parsed(str(upstream.path / ".git")).url == str(upstream.path)
    with pytest.raises(InvalidInput, match="not yours to name"):
        parse_upstream(str(upstream.path), "url", local=False)
