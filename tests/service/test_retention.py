"""How long what sessions left is kept."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from debug_mcp.app import open_retention, open_services
from debug_mcp.auth.principal import LOCAL
from debug_mcp.cli.opening import opened
from debug_mcp.config import Settings
from debug_mcp.errors import Busy, NotFound
from debug_mcp.models.artifacts import ArtifactRead
from debug_mcp.models.flakiness import FlakyRun
from debug_mcp.models.retention import RetentionView
from debug_mcp.service.locks import lock_at_once
from debug_mcp.service.retention import too_much
from debug_mcp.service.services import Services
from debug_mcp.store.retention import Left
from tests.files import disappears
from tests.service.house import House
from tests.store.ledger import MIDDAY
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

WRITES = "echo some output; echo kept > kept.txt"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Nothing is kept once its session has ended, but by a limit of a test's own."""
    return settings.model_copy(update={"retention_days": 0})


@pytest.fixture
async def house(services: Services, settings: Settings) -> House:
    return House(services, settings)


async def collect(settings: Settings, *, dry_run: bool = False, **limits: int) -> RetentionView:
    async with open_retention(settings.model_copy(update=limits)) as retention:
        return await retention.collect(dry_run=dry_run)


def age(folder: Path) -> None:
    """Make files look as if they had been there for long."""
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (1, 1))


def left(kind: str, number: int, size: int, sha256: str = "") -> Left:
    since = MIDDAY + timedelta(days=number)
    return Left(kind, f"{kind}{number}", size, sha256, since)  # type: ignore[arg-type]


async def test_what_a_closed_session_left_goes_when_its_time_is_over(
    house: House, upstream: Upstream, settings: Settings
) -> None:
    session = await house.open(upstream)
    ran = await house.run(session, WRITES, artifacts=["kept.txt"])
    await house.close(session)
    age(house.layout.artifacts)

    view = await collect(settings)

    assert (view.commands, view.kept_bytes) == (1, 0)
    assert view.artifacts == 2  # kept.txt and final.patch
    assert view.removed_bytes > len("some output\n")
    assert not (house.layout.commands / ran.command_id).exists()
    assert [path for path in house.layout.artifacts.rglob("*") if path.is_file()] == []
    with pytest.raises(NotFound):
        await house.wait(ran.command_id)


async def test_folders_deeper_than_python_can_call_itself_go_too(
    house: House, upstream: Upstream, settings: Settings
) -> None:
    session = await house.open(upstream)
    deep = 'cd "$DEBUG_MCP_REPORT" && for i in $(seq 1200); do mkdir d && cd d; done'
    ran = await house.run(session, deep)
    assert ran.outcome == "succeeded", ran.output
    await house.close(session)
    assert (await collect(settings)).commands == 1
    assert not (house.layout.commands / ran.command_id).exists()


async def test_evidence_goes_with_its_idempotency_key_when_its_time_is_over(
    house: House, upstream: Upstream, settings: Settings
) -> None:
    args = FlakyRun(
        session_id=await house.open(upstream), command="true", repeats=2, idempotency_key="once"
    )
    first = await house.services.flakiness.run(LOCAL, args)
    assert (await house.services.flakiness.run(LOCAL, args)).flaky_id == first.flaky_id

    assert (await collect(settings, retention_days=1)).evidence == 0
    assert (await collect(settings)).evidence == 1

    with pytest.raises(NotFound):
        await house.services.flakiness.run(LOCAL, FlakyRun(flaky_id=first.flaky_id))
    assert (await house.services.flakiness.run(LOCAL, args)).flaky_id != first.flaky_id


async def test_what_an_open_session_has_stays(
    house: House, upstream: Upstream, settings: Settings
) -> None:
    ran = await house.run(await house.open(upstream), WRITES, artifacts=["kept.txt"])
    age(house.layout.artifacts)

    view = await collect(settings, retention_bytes=0)

    assert (view.commands, view.artifacts, view.removed_bytes) == (0, 0, 0)
    assert "session_close" in (view.hint or "")
    again = await house.wait(ran.command_id)
    assert again.artifacts == ran.artifacts


async def test_a_dry_run_says_the_same_and_removes_nothing(
    house: House, upstream: Upstream, settings: Settings
) -> None:
    session = await house.open(upstream)
    ran = await house.run(session, WRITES)
    await house.close(session)

    said = await collect(settings, dry_run=True)
    assert (house.layout.commands / ran.command_id).exists()
    done = await collect(settings)

    assert said.dry_run
    assert said.model_copy(update={"dry_run": False}) == done


async def test_work_that_was_exported_outlives_it(
    house: House, upstream: Upstream, settings: Settings
) -> None:
    session = await house.open(upstream)
    await house.run(session, "echo work > work.txt")
    await house.close(session)
    await collect(settings)

    [mirror] = house.layout.repositories.glob("r_????")
    exported = f"refs/debug-mcp/exports/{session}/debug-mcp/{session}"
    assert upstream.git("-C", str(mirror), "show", f"{exported}:work.txt") == "work"


async def test_a_folder_that_no_command_has_goes_once_it_is_old(
    house: House, settings: Settings
) -> None:
    old, new = house.layout.commands / "c_old", house.layout.commands / "c_new"
    old.mkdir()
    new.mkdir()
    os.utime(old, (1, 1))

    await collect(settings)

    assert not old.exists()
    assert new.exists()


async def test_a_content_that_is_stored_again_stays(
    house: House, upstream: Upstream, settings: Settings
) -> None:
    first = await house.open(upstream)
    await house.run(first, WRITES, artifacts=["kept.txt"])
    await house.close(first)
    age(house.layout.artifacts)
    second = await house.open(upstream)
    again = await house.run(second, WRITES, artifacts=["kept.txt"])

    await collect(settings)

    args = {"artifact_id": again.artifacts[0].artifact_id}
    read = await house.services.artifacts.read(LOCAL, ArtifactRead.model_validate(args))
    assert read.text == "kept\n"


async def test_two_do_not_collect_at_once(house: House, settings: Settings) -> None:
    with lock_at_once(house.layout.root / "retention.lock"), pytest.raises(Busy):
        async with opened(open_retention(settings)) as retention:
            await retention.collect()


async def test_a_server_collects_at_its_start(settings: Settings, upstream: Upstream) -> None:
    async with open_services(settings) as services:
        house = House(services, settings)
        session = await house.open(upstream)
        ran = await house.run(session, "true")
        await house.close(session)
    os.utime(settings.data_dir / "retention.lock", (1, 1))
    async with open_services(settings) as services:
        await disappears(House(services, settings).layout.commands / ran.command_id)


@pytest.mark.parametrize(
    ("oldest", "most", "chosen"),
    [
        pytest.param(0, 100, [], id="nothing is too old or too much"),
        pytest.param(2, 100, ["command0", "artifact1"], id="too old"),
        pytest.param(0, 45, ["command0"], id="too much"),
        pytest.param(0, 30, ["command0", "artifact1", "artifact2"], id="a content that two have"),
        pytest.param(0, 0, ["command0", "artifact1", "artifact2", "command3"], id="all"),
    ],
)
def test_the_oldest_goes_first(oldest: int, most: int, chosen: list[str]) -> None:
    there = [
        left("command", 0, 10),
        left("artifact", 1, 20, "same"),
        left("artifact", 2, 20, "same"),
        left("command", 3, 20),
    ]
    found = too_much(there, 50, oldest=MIDDAY + timedelta(days=oldest), most=most)
    assert [each.id for each in found] == chosen
