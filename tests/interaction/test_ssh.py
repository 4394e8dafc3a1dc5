"""Repositories behind a real sshd: with the person's own ssh, and with the operator's key."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from mcp import Client

from debug_mcp.app import open_services
from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.config import Credential, IsolationPolicy, Settings
from debug_mcp.interfaces.server import build_server
from tests.clients import Agent, run
from tests.sshserver import SshServer
from tests.upstream import Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.sshd]

OTHER = Principal("other", frozenset(Scope))
# More than ssh's own limit for connecting, less than anybody's patience.
NO_PROMPT_SECONDS = 40

Connect = Callable[[Path, Path], AbstractAsyncContextManager[Agent]]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[SshServer]:
    with SshServer(tmp_path / "ssh").serving() as host:
        yield host


@pytest.fixture(params=["user", "service"])
def profile(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def connect(profile: str, tmp_path: Path, own_home: Path) -> Iterator[Connect]:
    """Return what connects an agent whose git has a key and knows some hosts."""
    gitconfig = own_home / ".gitconfig"
    before = gitconfig.read_text()

    @asynccontextmanager
    async def connect(key: Path, known_hosts: Path) -> AsyncIterator[Agent]:
        entry = Credential(ssh_key=key, known_hosts=known_hosts)
        if profile == "user":
            options = (
                f"-F /dev/null -oIdentitiesOnly=yes -i {key} -oUserKnownHostsFile={known_hosts}"
            )
            gitconfig.write_text(f'{before}[core]\n\tsshCommand = "ssh -F /dev/null {options}"\n')
        settings = Settings(
            data_dir=tmp_path / "data",
            isolation=IsolationPolicy.NONE,
            credentials={"127.0.0.1": entry} if profile == "service" else {},
        )
        principal = LOCAL if profile == "user" else OTHER
        async with (
            open_services(settings) as services,
            Client(build_server(services, lambda: principal), raise_exceptions=True) as client,
        ):
            yield Agent(client)

    yield connect
    gitconfig.write_text(before)


async def test_a_repository_is_cloned_worked_in_and_fetched_over_ssh(
    connect: Connect, host: SshServer, upstream: Upstream
) -> None:
    url = host.url(upstream.path)
    async with connect(host.key, host.known_hosts) as agent:
        view = await agent.call("session_create", repository=url)
        assert "calculator.py" in await run(agent, view["session_id"], "ls")
        newer = upstream.commit("Newer", {"newer.txt": "x"})
        view = await agent.call("repository_init", url=url)
        assert view["head"]["commit"] == newer
        assert "hint" not in view
        assert (await agent.call("session_create"))["commit"] == newer


@pytest.mark.parametrize("wrong", ["key", "host"])
async def test_a_key_that_is_not_known_is_an_error_with_the_mend_and_never_a_question(
    connect: Connect, profile: str, host: SshServer, upstream: Upstream, tmp_path: Path, wrong: str
) -> None:
    nobody = tmp_path / "nobody"
    nobody.touch()
    key = host.stranger if wrong == "key" else host.key
    known_hosts = nobody if wrong == "host" else host.known_hosts
    url = host.url(upstream.path)
    async with connect(key, known_hosts) as agent:
        with anyio.fail_after(NO_PROMPT_SECONDS):
            refused = await agent.refused("repository_init", url=url)
    message = refused["error"]["message"]
    said = "Permission denied" if wrong == "key" else "Host key verification failed"
    assert said in message
    assert f"profile {profile}" in message
    mend = "ssh_key and known_hosts" if profile == "service" else "ssh keys and known hosts"
    assert mend in message
    assert not nobody.read_text(), "a host is never trusted by itself"


async def test_a_login_that_stops_working_is_told_at_the_next_fetch(
    connect: Connect, profile: str, host: SshServer, upstream: Upstream
) -> None:
    url = host.url(upstream.path)
    async with connect(host.key, host.known_hosts) as agent:
        await agent.call("repository_init", url=url)
    async with connect(host.stranger, host.known_hosts) as agent:
        view = await agent.call("repository_init", url=url)
        assert view["state"] == "ready"
        assert f"profile {profile}" in view["hint"]
