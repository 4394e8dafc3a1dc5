"""How git reaches an upstream: as whom, with which credentials, and what is forced.

Profile ``user`` is the person who launched the server: their git and ssh configuration, credential
helpers, agent, proxy and certificates count, as in their terminal, but nothing prompts. Profile
``service`` is for everybody else: an empty environment, and credentials from ``config.toml`` alone.
Only what decides about code is forced in both (see ``worktrees.git``).
"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from debug_mcp.config import Credential
from debug_mcp.errors import InvalidInput, ToolFailed
from debug_mcp.worktrees import credential_helper
from debug_mcp.worktrees.addresses import Address
from debug_mcp.worktrees.git import plain, service_environment, user_environment
from debug_mcp.worktrees.upstreams import Upstream

USER = "user"
SERVICE = "service"
# For principals that are not the person; http:// tells nobody who answers.
SERVICE_SCHEMES = ("https", "ssh")
# What git's and ssh's words for "who are you?" have in common, in English as we ask for it.
_LOGIN_WORDS = (
    "authentication failed", "could not read username", "could not read password",
    "terminal prompts disabled", "permission denied", "host key verification failed",
    "returned error: 401", "returned error: 403", "http basic: access denied",
    "repository not found", "returned error: 404", "no supported authentication methods",
)  # fmt: skip
_BATCH = "ssh -oBatchMode=yes -oConnectTimeout=20"


@dataclass(frozen=True, slots=True)
class Connection:
    """One profile's way to one upstream; ``fault`` says why git may not go it."""

    profile: str
    upstream: Upstream
    environment: Mapping[str, str]
    options: tuple[tuple[str, str], ...]
    fault: InvalidInput | ToolFailed | None = None

    def explain(self, error: ToolFailed) -> ToolFailed:
        """Return the error with the remedy in it when it is a login that failed."""
        message = error.message
        if self.upstream.is_local or not any(word in message.lower() for word in _LOGIN_WORDS):
            return error
        return ToolFailed(f"{message}; {self._remedy()}", profile=self.profile)

    def _remedy(self) -> str:
        host, ssh = self.upstream.host, self.upstream.scheme == "ssh"
        if self.profile == USER:
            way = "ssh keys and known hosts" if ssh else "credential helper"
            return (
                f"login uses your own git configuration (profile user), and nothing can prompt: "
                f"your {way} must work without a question. In a terminal, repeat "
                f"`GIT_TERMINAL_PROMPT=0 git ls-remote {shlex.quote(self.upstream.url)}` until it "
                "does"
            )
        what = "ssh_key and known_hosts" if ssh else "token"
        return (
            f"login uses the server's own credentials (profile service): the operator gives "
            f'{what} in [credentials."{host}"] of config.toml'
        )


def as_user(
    upstream: Upstream, inherited: Mapping[str, str], ssh_command: str | None
) -> Connection:
    """Return how the person's own git goes there.

    Args:
        upstream: Where to.
        inherited: The person's environment.
        ssh_command: Their ``core.sshCommand``, which is left alone.
    """
    environment = user_environment(inherited)
    if ssh_command is None and not {"GIT_SSH", "GIT_SSH_COMMAND"} & environment.keys():
        environment["GIT_SSH_COMMAND"] = _BATCH
    # All three, as their `url.….insteadOf` may turn one into another.
    return Connection(USER, upstream, environment, _protocols("https", "http", "ssh"))


def as_service(
    upstream: Upstream,
    path: str,
    config: Path,
    credential: Credential | None,
    addresses: Sequence[Address] = (),
) -> Connection:
    """Return how git goes there for somebody who is not the person.

    Args:
        upstream: Where to.
        path: Where programs are found.
        config: The file that the credential helper reads: no secret passes through this process's
            arguments, environment or files.
        credential: What the operator wrote for the host, if anything.
        addresses: Those that its name has, which were looked at: git goes to no other, whatever the
            name stands for by then. None for a host that is an address itself.
    """
    environment = service_environment(path)
    ssh = "ssh -F /dev/null -oBatchMode=yes -oStrictHostKeyChecking=yes -oIdentitiesOnly=yes"
    # A redirect could lead anywhere, and so could what a server lists as its alternates: git
    # follows those only where it follows redirects.
    options = [*_protocols(*SERVICE_SCHEMES), ("http.followRedirects", "false")]
    if addresses and upstream.scheme == "ssh":
        ssh += _pinned(upstream, addresses[0])
    elif addresses:
        known = ",".join(f"[{a}]" if a.version == 6 else str(a) for a in addresses)
        options.append(("http.curloptResolve", f"{upstream.host}:{upstream.port or 443}:{known}"))
    if credential is not None:
        helper = (sys.executable, "-I", credential_helper.__file__, str(config))
        options.append(("credential.helper", f"!{shlex.join(helper)}"))
        if credential.ca_file is not None:
            options.append(("http.sslCAInfo", str(credential.ca_file)))
        if credential.known_hosts is not None:
            ssh += f" -oUserKnownHostsFile={shlex.quote(str(credential.known_hosts))}"
        if credential.ssh_key is not None:
            ssh += f" -i {shlex.quote(str(credential.ssh_key))}"
    if credential is None or credential.ssh_key is None:
        ssh += " -oIdentityFile=none"
    environment["GIT_SSH_COMMAND"] = f"{ssh} -oConnectTimeout=20"
    return Connection(SERVICE, upstream, environment, tuple(options))


def _pinned(upstream: Upstream, address: Address) -> str:
    """Return how ssh goes to an address and still asks for the key of the host that was named."""
    alias = upstream.host if upstream.port in (None, 22) else f"[{upstream.host}]:{upstream.port}"
    return f" -oHostName={address} -oHostKeyAlias={shlex.quote(alias or '')} -oCheckHostIP=no"


def _protocols(*schemes: str) -> tuple[tuple[str, str], ...]:
    return (
        *((f"protocol.{scheme}.allow", "always") for scheme in schemes),
        ("transfer.bundleURI", "false"),
        ("clone.defaultRemoteName", "origin"),
        ("clone.rejectShallow", "false"),
    )


def clone_fault(output: str) -> str:
    """Return what a clone that failed said, in one line, without its progress."""
    lines = [line.strip() for line in output.replace("\r", "\n").split("\n")]
    said = [line for line in lines if line and not _is_progress(line)]
    return plain("\n".join(said))[-_FAULT_CHARACTERS:]


def _is_progress(line: str) -> bool:
    counts = "% (" in line or line.endswith("done.")
    return counts or line.startswith(("Cloning into", "warning: ", "remote: Enumerating"))


_FAULT_CHARACTERS = 600
