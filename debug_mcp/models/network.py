"""Whether commands get the host's network."""

from enum import StrEnum


class NetworkPolicy(StrEnum):
    """Who has it: of a server, and of a token within that.

    ``ask``: commands that ask for it, and the set-up of sessions; ``setup``: that alone; ``auto``:
    as it is usual where somebody comes in, which no token says.
    """

    AUTO = "auto"
    ASK = "ask"
    SETUP = "setup"
    OFF = "off"
    ON = "on"


# From the narrowest to the widest.
POLICIES = (NetworkPolicy.OFF, NetworkPolicy.SETUP, NetworkPolicy.ASK, NetworkPolicy.ON)


def narrower(one: NetworkPolicy, other: NetworkPolicy) -> NetworkPolicy:
    """Return the one that gives less; neither is ``auto``."""
    return min(one, other, key=POLICIES.index)
