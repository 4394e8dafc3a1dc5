"""The environment of a command: built from an allow-list, never inherited."""

from collections.abc import Mapping, Sequence
from pathlib import Path

VIRTUAL_ENVIRONMENT = "venv"  # below the home
SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")

_FIXED = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "TERM": "dumb",
    "USER": "agent",
    "LOGNAME": "agent",
    "SHELL": "/bin/sh",
    "CI": "1",
    # Programs colour their output for people; a model pays for each escape code.
    "NO_COLOR": "1",
    # Output must be there when it is written, and no cache files among the person's work.
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    # Nothing may wait for a person.
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": "false",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}

TERMINAL = {"TERM": "xterm-256color"}
"""What a program in a terminal gets besides."""

# What a program needs to get out where the way leads through a proxy. In both cases: curl reads
# http_proxy, others HTTP_PROXY.
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")

# Where programs look for certificates, each in its own way.
_CERTIFICATES = (
    "SSL_CERT_FILE", "SSL_CERT_DIR", "NIX_SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO",
    "REQUESTS_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS", "CARGO_HTTP_CAINFO",
)  # fmt: skip


def network_environment(
    inherited: Mapping[str, str], further: Sequence[str] = ()
) -> tuple[dict[str, str], tuple[Path, ...]]:
    """Return what a command with the network gets of the server's own environment.

    Also the files and folders of certificates that it must be able to read for that.
    """
    names = [*_PROXIES, *(name.upper() for name in _PROXIES), *further]
    kept = {name: inherited[name] for name in names if name in inherited}
    certificates = {
        name: Path(inherited[name])
        for name in _CERTIFICATES
        if inherited.get(name, "").startswith("/") and Path(inherited[name]).exists()
    }
    kept |= {name: str(path) for name, path in certificates.items()}
    return kept, tuple(sorted(set(certificates.values())))


def command_environment(
    *,
    home: str,
    temporary: str,
    path: str,
    scripts: str | None,
    session_id: str,
    command_id: str,
    extra: Mapping[str, str],
    shared: str | None = None,
    building: bool = False,
) -> dict[str, str]:
    """Return the whole environment of one command.

    Args:
        home: Its home, as it sees it; likewise the others.
        temporary: Its temporary folder.
        path: Where its tools are.
        scripts: Where the programs of the person's Python packages are; None without a Python.
        session_id: Its session.
        command_id: Itself.
        extra: What its caller asked for.
        shared: The built environment of its session.
        building: It builds that, so what it installs belongs there.
    """
    environment = {
        **_FIXED,
        "HOME": home,
        "TMPDIR": temporary,
        "PATH": path,
        "DEBUG_MCP_SESSION": session_id,
        "DEBUG_MCP_COMMAND": command_id,
    }
    first = [] if shared is None else [f"{shared}/bin"]
    if scripts is not None:
        own = f"{home}/{VIRTUAL_ENVIRONMENT}"
        virtual = shared if building and shared is not None else own
        first = [*([] if building else [f"{own}/bin"]), *first, scripts]
        environment |= {"VIRTUAL_ENV": virtual, "UV_PROJECT_ENVIRONMENT": virtual}
    if shared is not None:
        environment["DEBUG_MCP_ENV"] = shared
    environment["PATH"] = ":".join((*first, path))
    return {**environment, **extra}
