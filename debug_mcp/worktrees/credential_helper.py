"""A git credential helper that reads ``config.toml``: ``python -I credential_helper.py FILE get``.

So a token goes from the file to git through a pipe between the two, and stands in no argument, no
environment and no other file. See gitcredentials(7) and git-credential(1) for the protocol. It
imports nothing of the package.
"""

import sys
import tomllib
from pathlib import Path

# What GitHub, GitLab and Gitea take beside a token.
DEFAULT_USERNAME = "oauth2"


def answer(asked: str, config: str) -> str:
    """Return what git reads: the user name and password for the host it asks about, or nothing."""
    fields = dict(line.split("=", 1) for line in asked.split("\n") if "=" in line)
    if fields.get("protocol") != "https":
        return ""  # a token is never sent in the clear
    known = tomllib.loads(config).get("credentials", {})
    host = fields.get("host", "")
    entry = known.get(host) or known.get(host.partition(":")[0]) or {}
    token = entry.get("token")
    if token is None or "\n" in token:
        return ""
    username = entry.get("username") or fields.get("username") or DEFAULT_USERNAME
    return f"username={username}\npassword={token}\n"


if __name__ == "__main__" and sys.argv[2:] == ["get"]:
    sys.stdout.write(answer(sys.stdin.read(), Path(sys.argv[1]).read_text("utf-8")))
