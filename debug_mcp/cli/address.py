"""Where a server elsewhere is, and the token for it, which never stands on the command line."""

import os
import stat
from pathlib import Path
from urllib.parse import urlsplit

from debug_mcp.config import TOKEN_VARIABLE, client_token
from debug_mcp.errors import InvalidInput

MCP_PATH = "/mcp"


def read_token(file: Path | None) -> str:
    """Return the token of a file, or else of the environment. It is never an argument.

    Raises:
        InvalidInput: There is none, or others can read the file.
    """
    if file is None:
        token = client_token()
        where = TOKEN_VARIABLE
    else:
        where = str(file)
        try:
            with file.open() as opened:
                mode = os.fstat(opened.fileno()).st_mode
                token = opened.read()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"the token file {file} cannot be read: {error}") from error
        # Windows has no such bits.
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise InvalidInput(f"others may read the token in {file}: chmod 600 {file}")
    if not token.strip():
        raise InvalidInput(
            f"a token is needed and {where} holds none: set {TOKEN_VARIABLE}, or name a file of "
            "yours with --token-file"
        )
    if not token.strip().isascii() or any(mark.isspace() for mark in token.strip()):
        raise InvalidInput(f"{where} holds no token: it is one word that begins with dmcp_")
    return token.strip()


def read_url(text: str) -> str:
    """Return where MCP is served, for what a person wrote: a server alone stands for its /mcp.

    Raises:
        InvalidInput: It is no URL of a server.
    """
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.username or parts.query or parts.fragment:
        raise InvalidInput(f"--url {text!r} is no URL such as https://debug.example.org{MCP_PATH}")
    return parts._replace(path=MCP_PATH).geturl() if parts.path in ("", "/") else text


def rest_root(url: str) -> str:
    """Return where REST is served beside MCP: a proxy may have put both below another path."""
    return f"{url.rstrip('/').removesuffix(MCP_PATH)}/v1"
