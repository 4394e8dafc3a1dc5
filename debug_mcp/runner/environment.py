"""The environment of a command: built from an allow-list, never inherited."""

from collections.abc import Mapping

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


def command_environment(
    *,
    home: str,
    temporary: str,
    path: str,
    session_id: str,
    command_id: str,
    extra: Mapping[str, str],
) -> dict[str, str]:
    """Return the whole environment of one command; ``extra`` is what its caller asked for."""
    return {
        **_FIXED,
        "HOME": home,
        "TMPDIR": temporary,
        "PATH": path,
        "DEBUG_MCP_SESSION": session_id,
        "DEBUG_MCP_COMMAND": command_id,
        **extra,
    }
