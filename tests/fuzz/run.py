"""A real server with something in it, and schemathesis set upon it."""

import json
import subprocess
import sys
from pathlib import Path

import httpx2

from debug_mcp.auth.principal import Scope
from tests.operator import Operator
from tests.upstream import Upstream

# What is left out, and why:
# - positive_data_acceptance: a schema cannot say that a folder must exist, or that two arguments
#   exclude one another; such calls are refused with 422.
# - negative_data_rejection: strings are accepted for numbers and truths, on purpose.
LEFT_OUT = "positive_data_acceptance,negative_data_rejection"
# So that no limit of one caller ends the run: it is one caller.
_LIMITS = {
    "DEBUG_MCP_HTTP_REQUESTS_PER_SECOND": "10000",
    "DEBUG_MCP_HTTP_REQUESTS_BURST": "10000",
    "DEBUG_MCP_HTTP_FAILURES": "100000",
    "DEBUG_MCP_DEFAULT_WAIT": "1",
    "DEBUG_MCP_HTTP_REQUEST_SECONDS": "2",
}
_OFTEN = 0.7
# It ends before long: who waits for it as long as may be waited would hold up the run.
_TYPED = {"stdin": "open", "timeout_seconds": 5, "wait_seconds": 0}


def fuzz(folder: Path, *, seed: int, examples: int, seconds: int) -> tuple[int, str]:
    """Return schemathesis' exit code and what it printed.

    Args:
        folder: For everything that is made on the way.
        seed: The same seed asks the same.
        examples: Of each operation, in each phase.
        seconds: How long one request may take.
    """
    upstream = Upstream(folder / "app")
    upstream.commit("First", {"a.txt": "a\n"})
    operator = Operator(folder / "data")
    operator.does("call", "repository_init", f"url={upstream.path}", "name=app")
    scopes = ",".join(scope for scope in Scope if scope is not Scope.COMMAND_NETWORK)
    token = operator.token("fuzz", "--scope", scopes)
    with operator.serving(**_LIMITS) as server:
        root = server.url.removesuffix("/mcp")
        config = folder / "schemathesis.toml"
        config.write_text(_known(_filled(root, token)))
        run = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
                *("run", f"{root}/openapi.json", "--header", f"Authorization: Bearer {token}"),
                *("--seed", str(seed), "--max-examples", str(examples)),
                *("--exclude-checks", LEFT_OUT, "--request-timeout", str(seconds)),
                *("--suppress-health-check", "all", "--continue-on-failure", "--no-color"),
                *("--generation-database", "none", "--warnings", "off"),
            ],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        ended = server.process.poll()
    if ended is not None:
        return 1, f"{run.stdout}\nthe server ended with {ended}"
    return run.returncode, run.stdout


def _filled(root: str, token: str) -> dict[str, list[str]]:
    """Put a session with a command and an artifact into the server; return its ids."""
    headers = {"Authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=f"{root}/v1", headers=headers, timeout=60) as client:
        session = client.post("/sessions", json={"repository": "app"}).json()["session_id"]
        ran = client.post(
            f"/sessions/{session}/commands",
            json={"command": "echo Error: one; cat", **_TYPED},
        ).json()
        kept = client.post(f"/sessions/{session}/artifacts", json={"collect": "*.txt"}).json()
    return {
        "session_id": [session],
        "command_id": [ran["command_id"]],
        "artifact_id": [kept["artifacts"][0]["artifact_id"]],
        "name": ["app"],
    }


def _known(ids: dict[str, list[str]]) -> str:
    """Return the configuration: ids that there are, most of the time."""
    lines: list[str] = []
    for name, values in ids.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(values)}"]
    lines.append("[parameters]")
    for name in ids:
        lines.append(f'"path.{name}" = {{ dictionary = "{name}", probability = {_OFTEN} }}')
    return "\n".join(lines) + "\n"
