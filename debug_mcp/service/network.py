"""Who gets the network, and how a program says that it lacked one.

A command has its session's loopback. The host's network is the operator's to give: by the setting
``network``, and within that by the token.
"""

import re

from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.errors import PermissionDenied
from debug_mcp.models.network import NetworkPolicy, narrower

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
    """What the setting ``network`` and a token say, for each principal."""

    def __init__(self, policy: NetworkPolicy) -> None:
        self._policy = policy

    def policy(self, principal: Principal) -> NetworkPolicy:
        """Return what holds for a principal: the person at their own machine may ask."""
        own = principal.network
        if self._policy is NetworkPolicy.AUTO:
            usual = NetworkPolicy.ASK if principal.name == LOCAL.name else NetworkPolicy.OFF
            return own or usual
        return narrower(self._policy, own) if own else self._policy

    def decide(self, principal: Principal, *, asked: bool) -> bool:
        """Return whether a command gets the host's network.

        Raises:
            PermissionDenied: It was asked for and is not to be had.
        """
        policy = self.policy(principal)
        if not asked:
            return policy is NetworkPolicy.ON and Scope.COMMAND_NETWORK in principal.scopes
        principal.require(Scope.COMMAND_NETWORK)
        if policy in (NetworkPolicy.OFF, NetworkPolicy.SETUP):
            raise PermissionDenied(
                f"network: true is refused here: commands have their session's loopback alone. "
                f"The operator can allow it: {self._remedy(principal)}",
                field="network",
            )
        return True

    def decide_for_setup(self, principal: Principal) -> bool:
        """Return whether the set-up of a session, which installs things, gets it."""
        policy = self.policy(principal)
        return policy is not NetworkPolicy.OFF and Scope.COMMAND_NETWORK in principal.scopes

    def _remedy(self, principal: Principal) -> str:
        """Return how to be given what was asked for: by the setting, by another token, or both."""
        setting = 'network = "ask" in config.toml, DEBUG_MCP_NETWORK=ask'
        another = "a token made with --network ask"
        if self._policy is NetworkPolicy.AUTO:
            return another if principal.network else f"{setting}; or {another}"
        refusing = (NetworkPolicy.OFF, NetworkPolicy.SETUP)
        if principal.network not in refusing:
            return setting
        return f"{setting}; and {another}" if self._policy in refusing else another


def lacks_network(output: str) -> bool:
    """Return whether a program says that it found no name or no way to another machine."""
    return bool(_NO_NETWORK.search(output))
