"""Where git may go for principals over HTTP, by the settings and by what a name stands for."""

import ipaddress
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from debug_mcp.config import Credential, Settings, load
from debug_mcp.errors import InvalidInput, ToolFailed
from debug_mcp.runner.capture import Captured
from debug_mcp.service.destinations import Addresses, Destinations
from debug_mcp.worktrees.git import GitCall
from debug_mcp.worktrees.upstreams import parse_upstream

pytestmark = pytest.mark.anyio

PUBLIC, METADATA = "93.184.216.34", "169.254.169.254"


def settings(tmp_path: Path, *allowed: str) -> Settings:
    return load(data_dir=tmp_path, allowed_upstreams=list(allowed))


async def asked(
    known: Settings, url: str, *answers: Sequence[str], git: str = "2.39.5"
) -> list[str]:
    """Return the addresses that git is given, where each look at the name has the next answer."""
    looks: Iterator[Sequence[str]] = iter(answers)

    async def run(call: GitCall) -> Captured:
        assert call.arguments == ("version",)
        return Captured(0, f"git version {git}\n".encode(), b"")

    async def resolve(host: str) -> Addresses:
        return tuple(ipaddress.ip_address(written) for written in next(looks))

    destinations = Destinations(known, run, resolve)
    return [str(a) for a in await destinations.addresses(parse_upstream(url, "url", local=False))]


async def test_git_gets_the_addresses_that_were_looked_at_and_nobody_looks_again(
    tmp_path: Path,
) -> None:
    found = await asked(settings(tmp_path), "https://example.org/x", [PUBLIC], [METADATA])
    assert found == [PUBLIC]


@pytest.mark.parametrize(
    "answer", [[METADATA], [PUBLIC, METADATA], ["::ffff:10.0.0.1"], ["64:ff9b::a9fe:a9fe"]]
)
@pytest.mark.parametrize("url", ["https://example.org/x", "git@example.org:x.git"])
async def test_a_name_that_stands_for_one_address_within_is_refused(
    tmp_path: Path, url: str, answer: list[str]
) -> None:
    with pytest.raises(InvalidInput, match="allowed_upstreams") as refused:
        await asked(settings(tmp_path), url, answer)
    assert not any(address in refused.value.message for address in answer)


async def test_the_operator_allows_a_host_or_a_network_and_it_is_held_to_its_addresses(
    tmp_path: Path,
) -> None:
    url = "https://Git.Internal:8443/x"
    for allowed in ("git.internal", "10.0.0.0/8", "10.1.2.3"):
        assert await asked(settings(tmp_path, allowed), url, ["10.1.2.3"]) == ["10.1.2.3"]
    for other in ("internal", "11.0.0.0/8", "10.1.2.4"):
        with pytest.raises(InvalidInput):
            await asked(settings(tmp_path, other), url, ["10.1.2.3"])
    entry = Settings(data_dir=tmp_path, credentials={"git.internal": Credential()})
    assert await asked(entry, url, ["10.1.2.3"]) == ["10.1.2.3"]


async def test_an_address_that_is_written_is_asked_of_nobody(tmp_path: Path) -> None:
    assert await asked(settings(tmp_path), f"https://{PUBLIC}/x") == []
    assert await asked(settings(tmp_path, "::1"), "https://[::1]/x") == []
    with pytest.raises(InvalidInput):
        await asked(settings(tmp_path, "10.0.0.0/8"), "https://[::1]/x")


async def test_a_git_that_cannot_be_held_to_an_address_goes_only_where_it_is_trusted(
    tmp_path: Path,
) -> None:
    url = "https://example.org/x"
    with pytest.raises(ToolFailed, match=r"2\.37"):
        await asked(settings(tmp_path), url, [PUBLIC], git="2.34.1")
    assert await asked(settings(tmp_path, "example.org"), url, [PUBLIC], git="2.34.1") == [PUBLIC]


@pytest.mark.parametrize("entry", ["10.0.0.1/8", "https://git.internal", "*.internal", ""])
def test_what_is_neither_host_nor_network_is_no_setting(tmp_path: Path, entry: str) -> None:
    with pytest.raises(InvalidInput, match="allowed_upstreams"):
        settings(tmp_path, entry)
