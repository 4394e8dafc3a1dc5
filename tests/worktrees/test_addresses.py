"""Which addresses are public, and which spellings of a host are clear."""

import ipaddress

import pytest

from debug_mcp.worktrees.addresses import is_allowed, is_public, literal

NETWORKS = [ipaddress.ip_network(written) for written in ("10.0.0.0/8", "fd00::/8")]


@pytest.mark.parametrize(
    "written",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1",
        "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1",
        "239.255.255.255", "240.0.0.1", "255.255.255.255",
        "::", "::1", "fe80::1", "fe80::1%lo", "fc00::1", "fd00::1", "fec0::1", "ff02::1", "ff0e::1",
        "2001:db8::1", "3fff::1", "100::1", "5f00::1",
        # Mapped, compatible, NAT64, 6to4, Teredo and ISATAP: each of 127.0.0.1 or 10.0.0.1.
        "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
        "64:ff9b:1::8.8.8.8", "2002:7f00:1::1", "2002:a00:1::", "2001:0:808:808::f5ff:fffe",
        "2606:4700::5efe:7f00:1",
    ],
)  # fmt: skip
def test_what_only_this_machine_or_its_network_reaches_is_not_public(written: str) -> None:
    assert not is_public(ipaddress.ip_address(written))


@pytest.mark.parametrize(
    "written", ["8.8.8.8", "140.82.121.4", "2606:4700::1111", "64:ff9b::808:808"]
)
def test_a_host_of_the_internet_is(written: str) -> None:
    assert is_public(ipaddress.ip_address(written))


@pytest.mark.parametrize(
    ("written", "allowed"),
    [
        ("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("64:ff9b::a01:203", True),
        ("fd12::1", True), ("11.1.2.3", False), ("::ffff:127.0.0.1", False), ("fe80::1", False),
        ("fd00::5efe:7f00:1", False),
    ],
)  # fmt: skip
def test_a_network_of_the_operators_allows_what_is_in_it_however_it_is_carried(
    written: str, allowed: bool
) -> None:
    assert is_allowed(ipaddress.ip_address(written), NETWORKS) is allowed


@pytest.mark.parametrize(
    "host",
    [
        "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.0.0.1.",
        "127.0.0.010", "1.2.3.4.5", "localhost.", "0x", "::ffff:1.2.3", "256.1.1.1",
    ],
)  # fmt: skip
def test_an_address_that_programs_do_not_agree_on_is_none(host: str) -> None:
    with pytest.raises(ValueError, match="write"):
        literal(host)


@pytest.mark.parametrize("host", ["example.org", "4.example", "deadbeef", "0x7f.example.org"])
def test_a_name_is_no_address(host: str) -> None:
    assert literal(host) is None


def test_an_address_is_read() -> None:
    assert [str(literal(host)) for host in ("10.0.0.1", "::1")] == ["10.0.0.1", "::1"]
