"""Where debug-mcp does not run, and what to do there instead."""

_WINDOWS = (
    "debug-mcp runs on Linux; on Windows use WSL 2: install debug-mcp there and configure the "
    'client with "command": "wsl", "args": ["debug-mcp", "stdio"]'
)
_OTHER = (
    "debug-mcp runs on Linux; on this system use a Linux machine or container, and reach it with "
    '"command": "ssh", "args": ["-T", "HOST", "debug-mcp", "stdio"] or over HTTP'
)
_NO_PERSON = "on Windows use debug-mcp call --url, or this command in WSL 2"


def elsewhere(platform: str) -> str | None:
    """Return what to do on a platform where debug-mcp does not run; None where it does.

    Args:
        platform: As in ``sys.platform``.
    """
    if platform.startswith("linux"):
        return None
    return _WINDOWS if platform == "win32" else _OTHER


def without_person(platform: str) -> str | None:
    """Return what to do where ``run`` and its like reach no server either; None where they do."""
    return _NO_PERSON if platform == "win32" else None
