"""Who gets the network, and how a program says that it lacked one.

A command has its session's loopback. The host's network is the operator's to give: the setting
``network``.
"""

import re

from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.config import NetworkPolicy
from debug_mcp.errors import PermissionDenied

# As curl, git, ssh, wget, pip, uv, npm, cargo, Go, Java, apt and Ruby put it. Nothing here may say
# it of a refused connection or of a wrong name in the program's own configuration.
_NO_NETWORK = re.compile(
    r"could(?: not|n't) resolve (?:host|proxy)|unable to resolve host"
    r"|temporary failure (?:in name resolution|resolving)|temporary error in name resolution"
    r"|name or service not known|no address associated with hostname"
    r"|failed to lookup address information|EAI_AGAIN|getaddrinfo ENOTFOUND"
    r"|dial tcp: lookup |java\.net\.UnknownHostException"
    r"|network is unreachable|network unreachable|ENETUNREACH",
    re.IGNORECASE,
)


class NetworkRules:
    """The setting ``network``, for each principal."""

    def __init__(self, policy: NetworkPolicy) -> None:
        self._policy = policy

    def policy(self, name: str) -> NetworkPolicy:
        """Return what holds for a principal: the person at their own machine may ask."""
        if self._policy is not NetworkPolicy.AUTO:
            return self._policy
        return NetworkPolicy.ASK if name == LOCAL.name else NetworkPolicy.OFF

    def decide(self, principal: Principal, *, asked: bool) -> bool:
        """Return whether a command gets the host's network.

        Raises:
            PermissionDenied: It was asked for and is not to be had.
        """
        policy = self.policy(principal.name)
        if not asked:
            return policy is NetworkPolicy.ON and Scope.COMMAND_NETWORK in principal.scopes
        principal.require(Scope.COMMAND_NETWORK)
        if policy in (NetworkPolicy.OFF, NetworkPolicy.SETUP):
            raise PermissionDenied(
                "network: true is refused here: commands have their session's loopback alone. "
                'The operator can allow it: network = "ask" in config.toml, DEBUG_MCP_NETWORK=ask',
                field="network",
            )
        return True

    def decide_for_setup(self, principal: Principal) -> bool:
        """Return whether the set-up of a session, which installs things, gets it."""
        policy = self.policy(principal.name)
        return policy is not NetworkPolicy.OFF and Scope.COMMAND_NETWORK in principal.scopes


def lacks_network(output: str) -> bool:
    """Return whether a program says that it found no name or no way to another machine."""
    return bool(_NO_NETWORK.search(output))
