"""Where an upstream may be that somebody else than the person names: at public addresses alone.

Otherwise whoever has a token could ask for what only the server's machine reaches: its own
services, its neighbours, the metadata of a cloud. Everything here is pure; names are resolved by
the service.
"""

import ipaddress
import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# All that is routed between providers; `is_global` knows what is taken out of it.
_UNICAST = IPv6Network("2000::/3")
_DOCUMENTATION = IPv6Network("3fff::/20")  # newer than some `ipaddress`
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)  # the upper half of such an interface identifier
_LOW = 0xFFFF_FFFF
# What some resolvers read as an IPv4 address: 127.1, 0x7f000001, 017700000001, 2130706433.
_NUMBER = re.compile(r"\d+|0[xX][0-9a-fA-F]*")


def is_public(address: Address) -> bool:
    """Return whether an address is one host that anybody on the internet reaches.

    An IPv6 address that stands for an IPv4 one, or leads to it through a gateway, is as public as
    that.
    """
    if isinstance(address, IPv4Address):
        return address.is_global and not (address.is_multicast or address.is_reserved)
    inner = carried(address)
    if inner is not None and not is_public(inner):
        return False
    if address in _NAT64:
        return True
    return address in _UNICAST and address.is_global and address not in _DOCUMENTATION


def carried(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for or is tunnelled to, if any."""
    number = int(address)
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or 1 < number <= _LOW or (number >> 32) & _LOW in _ISATAP:
        return IPv4Address(number & _LOW)
    return None


def is_allowed(address: Address, allowed: Sequence[Network | str]) -> bool:
    """Return whether an operator's list has a network that an address, or what it carries, is in.

    What carries an address of another network is not allowed by its own alone.
    """
    inner = carried(address) if isinstance(address, IPv6Address) else None
    meant = address if inner is None else inner
    return any(meant in network for network in allowed if not isinstance(network, str))


def literal(host: str) -> Address | None:
    """Return the address that a host is written as; None for a name.

    Raises:
        ValueError: It is an address as only some programs read it, or a name with a final dot; the
            message says how to write it.
    """
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    if ":" in host or _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        raise ValueError("write an address as four decimal numbers, or as IPv6 in brackets")
    if host.endswith("."):
        raise ValueError(f"write {host.rstrip('.')} without the dot at its end")
    return None
