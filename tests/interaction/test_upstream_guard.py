"""What somebody with a token makes the server ask for: nothing of its own network."""

import contextlib
import ipaddress
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from debug_mcp.app import open_services
from debug_mcp.auth.principal import LOCAL
from debug_mcp.config import Credential, IsolationPolicy, load
from debug_mcp.models.repositories import RepositoryInit
from debug_mcp.worktrees.connections import Connection, as_service
from debug_mcp.worktrees.upstreams import parse_upstream
from tests.clients import Agent, http_client, run, secret, serving
from tests.gitserver import GitServer, make_certificate
from tests.sshserver import SshServer
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

# Each leads to this machine, its network, or the metadata of a cloud.
WITHIN = (
    "https://127.0.0.1:{port}/calculator", "https://localhost:{port}/calculator",
    "https://user@localhost:{port}/calculator", "https://LOCALHOST:{port}/calculator",
    "https://169.254.169.254/latest/meta-data", "https://[::1]:{port}/calculator",
    "https://[::ffff:127.0.0.1]:{port}/calculator", "https://[64:ff9b::7f00:1]:{port}/calculator",
    "https://[2002:7f00:1::]:{port}/calculator", "https://0.0.0.0:{port}/calculator",
    "https://10.0.0.1/x", "https://[fd00::1]/x", "https://224.0.0.1/x",
    "ssh://git@127.0.0.1:{port}/x", "git@localhost:x.git", "git@[::1]:x.git",
)  # fmt: skip
UNCLEAR = (
    "https://2130706433:{port}/calculator", "https://0x7f000001:{port}/calculator",
    "https://0177.0.0.1:{port}/calculator", "https://127.1:{port}/calculator",
    "https://127.0.0.1.:{port}/calculator", "https://localhost.:{port}/calculator",
)  # fmt: skip
MALFORMED = (
    "http://example.org/x", "http://127.0.0.1:{port}/calculator", "git://127.0.0.1:{port}/x",
    "ftp://127.0.0.1/x", "gopher://127.0.0.1:{port}/_x", "https://127%2e0%2e0%2e1:{port}/x",
    "https://example.org\\@127.0.0.1:{port}/x", "https://a@b@127.0.0.1:{port}/x",
    "https://①②⑦.0.0.1:{port}/x", "file:///etc", "ext::sh -c true", "-oProxyCommand=true:x",
)  # fmt: skip


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path)


@pytest.fixture
def host(upstream: Upstream, certificate: Path) -> Iterator[GitServer]:
    """A host on this machine, where nobody over HTTP has any business."""
    with GitServer(upstream.path.parent, certificate).serving() as host:
        yield host


@contextlib.asynccontextmanager
async def stranger(tmp_path: Path, upstream: Upstream, **settings: object) -> AsyncIterator[Agent]:
    """Connect somebody with a token; the operator has registered the upstream as ``app``."""
    known = load(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE, **settings)
    async with open_services(known) as services:
        await services.repositories.init(LOCAL, RepositoryInit(url=str(upstream.path), name="app"))
        async with (
            serving(services, known) as url,
            http_client(url, await secret(services, "ada")) as client,
        ):
            yield Agent(client)


async def test_whoever_has_a_token_reaches_nothing_of_the_servers_network(
    tmp_path: Path, upstream: Upstream, host: GitServer
) -> None:
    async with stranger(tmp_path, upstream) as agent:
        for forms, expected in (
            (WITHIN, "the operator allows it with allowed_upstreams"),
            (UNCLEAR, "not clear as a host"),
            (MALFORMED, ""),
        ):
            for form in forms:
                url = form.format(port=host.port)
                for tool, argument in (
                    ("repository_init", "url"),
                    ("session_create", "repository"),
                ):
                    refused = await agent.refused(tool, **{argument: url})
                    assert refused["error"]["code"] == "invalid_input", (url, refused)
                    assert expected in refused["error"]["message"], (url, refused)
        listed = await agent.call("repository_list")
        assert [known["repository"] for known in listed["repositories"]] == ["app"]
    assert host.requests == 0


async def test_no_redirect_leads_from_an_allowed_host_to_another(
    tmp_path: Path, upstream: Upstream, host: GitServer, certificate: Path
) -> None:
    with GitServer(upstream.path.parent, certificate).serving() as allowed:
        allowed.elsewhere = host.url
        entry = {"127.0.0.1": Credential(ca_file=certificate)}
        async with stranger(tmp_path, upstream, credentials=entry) as agent:
            url = f"{allowed.url}/calculator"
            refused = await agent.refused("repository_init", url=url)
            assert "cannot be cloned" in refused["error"]["message"]
            assert allowed.requests == 1
            allowed.elsewhere = None
            view = await agent.call("session_create", repository=url)
            assert "calculator.py" in await run(agent, view["session_id"], "ls")
            # Once it is known, too.
            upstream.commit("Newer", {"newer.txt": ""})
            allowed.elsewhere = host.url
            assert "git fetch failed" in (await agent.call("repository_init", url=url))["hint"]
    assert host.requests == 0


async def test_what_the_operator_registered_is_used_but_not_fetched_for_those_who_may_not_go_there(
    tmp_path: Path, upstream: Upstream
) -> None:
    known = load(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE)
    with GitServer(upstream.path.parent).serving() as plain:
        async with open_services(known) as services:
            theirs = RepositoryInit(url=f"{plain.url}/calculator")
            await services.repositories.init(LOCAL, theirs)
            async with (
                serving(services, known) as url,
                http_client(url, await secret(services, "ada")) as client,
            ):
                agent, requests = Agent(client), plain.requests
                view = await agent.call("session_create", repository="calculator", ref="HEAD")
                assert "calculator.py" in await run(agent, view["session_id"], "ls")
                refused = await agent.refused("session_create", ref="unheard-of")
                assert refused["error"]["code"] == "not_found"
                refused = await agent.refused("session_create", ref="pull/7/head")
                assert refused["error"]["code"] == "not_found"
                exported = {"session_id": view["session_id"], "branch": "new", "push": True}
                await run(agent, view["session_id"], "echo 1 > new && git add new")
                assert (await agent.refused("session_export", **exported))["error"]
                assert plain.requests == requests


def reached(connection: Connection) -> str:
    """Return what git lists over a connection, or says of it."""
    options = [part for key, value in connection.options for part in ("-c", f"{key}={value}")]
    asked = ["git", *options, "ls-remote", "--", connection.upstream.url, "HEAD"]
    done = subprocess.run(
        asked, capture_output=True, text=True, check=False, env=dict(connection.environment)
    )
    return done.stdout + done.stderr


def test_git_goes_to_the_address_that_was_looked_at_whatever_the_name_stands_for(
    host: GitServer, upstream: Upstream, certificate: Path
) -> None:
    """No resolver knows git.test: there is no other way to where the repository is."""
    entry = Credential(ca_file=certificate)
    there = parse_upstream(f"https://git.test:{host.port}/calculator", "url", local=False)
    here = (ipaddress.ip_address("127.0.0.1"),)
    head = upstream.git("rev-parse", "HEAD")
    assert head in reached(as_service(there, "/usr/bin:/bin", Path("/none"), entry, here))
    # And to that alone: a name that this machine knows leads where the address says.
    known = parse_upstream(f"https://localhost:{host.port}/calculator", "url", local=False)
    before = host.requests
    nowhere = (ipaddress.ip_address("127.0.0.2"),)
    assert head not in reached(as_service(known, "/usr/bin:/bin", Path("/none"), entry, nowhere))
    assert host.requests == before


@pytest.mark.sshd
def test_ssh_goes_to_that_address_and_asks_for_the_key_of_the_name(
    tmp_path: Path, upstream: Upstream
) -> None:
    with SshServer(tmp_path / "ssh").serving() as host:
        url = host.url(upstream.path).replace("127.0.0.1", "git.test")
        there = parse_upstream(url, "url", local=False)
        here = (ipaddress.ip_address("127.0.0.1"),)
        known = tmp_path / "known"
        keys = host.known_hosts.read_text()
        for names, expected in ((keys.replace("127.0.0.1", "git.test"), True), (keys, False)):
            known.write_text(names)
            entry = Credential(ssh_key=host.key, known_hosts=known)
            said = reached(as_service(there, "/usr/bin:/bin", Path("/none"), entry, here))
            assert (upstream.git("rev-parse", "HEAD") in said) is expected, said
