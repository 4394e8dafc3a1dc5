"""Programs that do not start, and whether the call that the answer names puts it right."""

from pathlib import Path
from typing import Any

import pytest

from debug_mcp.config import IsolationPolicy, Settings
from tests.clients import Agent
from tests.upstream import Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.bwrap]

FILES = {
    "said.sh": "#!/bin/sh\necho said\n",
    "windows.sh": "#!/bin/sh\r\necho said\r\n",
    "dos.sh": "#!/bin/sh\r\necho said\r\n",
    "gone.sh": "#!/no/such/program\n",
    "elsewhere.sh": "#!/opt/nowhere/bash\necho said\n",
    ".venv/bin/special": "#!/bin/sh\necho said\n",
    "node_modules/.bin/bundle-it": "#!/bin/sh\necho said\n",
    "module/__main__.py": "print('said')\n",
    "src/app/said.sh": "#!/bin/sh\necho said\n",
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.REQUIRE_BWRAP)


@pytest.fixture
async def session(agent: Agent, upstream: Upstream) -> str:
    upstream.commit("Programs", FILES)
    for name in FILES:
        if name != "said.sh":
            (upstream.path / name).chmod(0o755)
    upstream.commit("They can be run", {"src/app/x": ""})
    session: str = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
    return session


async def run(agent: Agent, session: str, command: Any, **arguments: Any) -> dict[str, Any]:
    return await agent.call("command_run", session_id=session, command=command, **arguments)


async def test_what_did_not_start_is_put_right_by_the_call_that_the_answer_names(
    agent: Agent, session: str
) -> None:
    for command, said in (
        ("./said.sh", "permission_denied: ./said.sh has no x bit"),
        (["./said.sh"], "permission_denied: ./said.sh has no x bit"),
        ("./windows.sh", "bad_interpreter: the lines of ./windows.sh end as on Windows"),
        (["./dos.sh"], "bad_interpreter: the lines of ./dos.sh end as on Windows"),
        ("./elsewhere.sh", "bad_interpreter: ./elsewhere.sh begins with '#!/opt/nowhere/bash'"),
        ("special", "program_not_found: special; in the tree, not on PATH: .venv/bin/special"),
        (["bundle-it"], "program_not_found: bundle-it; in the tree, not on PATH: node_modules/"),
        ("module", "program_not_found: module; it is a module: python -m module"),
        ("pythn -c 'print(\"said\")'", "program_not_found: pythn; on PATH: python"),
        (["pythn", "-c", "print('said')"], "program_not_found: pythn; on PATH: python"),
        ("src/app/sayd.sh", "program_not_found: src/app/sayd.sh; in the tree: src/app/said.sh"),
        (["eval", "echo", "said"], "eval is a word of the shell"),
        (["echo said"], "program_not_found: 'echo said' is taken for one name"),
    ):
        view = await run(agent, session, command)
        assert view["outcome"] in ("failed", "spawn_failed"), command
        assert view["hint"].startswith(said)
        assert (await agent.follow(view))["output"]["text"] == "said\n"


async def test_what_no_call_puts_right_says_what_is_wrong(agent: Agent, session: str) -> None:
    for command, said in (
        ("./gone.sh", "bad_interpreter: ./gone.sh begins with '#!/no/such/program'"),
        ("./src", "is_a_folder: ./src is no program"),
        (["./src"], "is_a_folder: ./src is no program"),
        ("kill -KILL $$", "killed by SIGKILL"),
        ("kill -SEGV $$", "crashed with SIGSEGV"),
    ):
        view = await run(agent, session, command)
        assert view["hint"].startswith(said)
        assert "next" not in view


async def test_a_folder_that_is_not_there_is_answered_with_one_that_is(
    agent: Agent, session: str
) -> None:
    view = await run(agent, session, "ls", cwd="src/ap")
    assert view["hint"] == "cwd: there is no folder 'src/ap' in the tree; there is src/app"
    assert "said.sh" in (await agent.follow(view))["output"]["text"]
    file = await run(agent, session, "ls", cwd="src/app/said.sh")
    assert file["hint"] == "cwd: 'src/app/said.sh' is a file"
    assert "said.sh" in (await agent.follow(file))["output"]["text"]


async def test_silence_is_answered_with_the_call_that_waits_longer(
    agent: Agent, session: str
) -> None:
    view = await run(
        agent, session, "[ -e slept ] || { touch slept; sleep 600; }", idle_timeout_seconds=0.5
    )
    assert (view["outcome"], view["hint"]) == ("idle_timed_out", "it printed nothing for 0.5 s")
    assert view["next"]["arguments"]["idle_timeout_seconds"] == 1.5
    assert (await agent.follow(view))["outcome"] == "succeeded"


async def test_a_cancel_that_comes_too_late_says_which_end_stands(
    agent: Agent, session: str
) -> None:
    view = await run(agent, session, "true")
    late = await agent.call("command_cancel", command_id=view["command_id"])
    assert (late["outcome"], late["exit_code"]) == ("succeeded", 0)
    assert late["hint"] == "it had ended before it was to be cancelled; its end stands"


async def test_links_of_the_tree_lead_no_hint_out_of_it(
    agent: Agent, session: str, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret-tool").touch()
    view = await run(
        agent, session, f"ln -s {tmp_path}/outside bin; ln -s {tmp_path}/outside link; secret-tool"
    )
    assert view["exit_code"] == 127
    assert "in the tree" not in view["hint"].replace("neither in the tree", "")
    linked = await run(agent, session, "true", cwd="link/secret-tol")
    assert "secret-tool" not in linked["hint"]
